//! What a verified ID token says, in the keystore's words.

use openidconnect::core::CoreGenderClaim;
use openidconnect::{AdditionalClaims, IdTokenClaims};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_keystore::identities::{Claimed, ClaimedGroups};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::invitation::fits;
use strongroom_wire::session::SignInStrength;

use crate::config;

/// Methods of authentication (RFC 8176) that take more than a password: several factors, a one-time password, a key in hardware, a smart
/// card.
const MORE_THAN_A_PASSWORD: [&str; 4] = ["mfa", "otp", "hwk", "sc"];
/// Where a provider says that it has left claims out because they are too many (OpenID Connect Core section 5.6.2).
const ELSEWHERE: &str = "_claim_names";

/// The claims beside those of the standard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Extra(pub(super) Map<String, Value>);

impl AdditionalClaims for Extra {}

/// What the token says.
///
/// # Errors
///
/// Why it cannot be used.
pub(super) fn claimed(
    settings: &config::OidcProvider,
    claims: &IdTokenClaims<Extra, CoreGenderClaim>,
) -> Result<Claimed, &'static str> {
    let subject = claims.subject().as_str();
    if subject.is_empty() {
        return Err("the ID token has no subject");
    }
    let authenticated = claims
        .auth_time()
        .and_then(|at| u64::try_from(at.timestamp_millis()).ok());
    Ok(Claimed {
        issuer: settings.issuer.clone(),
        subject: subject.to_owned(),
        name: name(settings, claims).filter(|name| {
            let name = name.trim().to_lowercase();
            settings.names.iter().any(|pattern| fits(pattern, &name))
        }),
        groups: groups(settings, &claims.additional_claims().0),
        strength: strength(settings, claims),
        authenticated: authenticated.map(Timestamp::from_millis),
    })
}

/// The name of the account that whoever signed in would have. An address counts only where the provider has verified that it is theirs.
fn name(
    settings: &config::OidcProvider,
    claims: &IdTokenClaims<Extra, CoreGenderClaim>,
) -> Option<String> {
    match settings.name_claim.as_str() {
        "preferred_username" => claims
            .preferred_username()
            .map(|name| name.as_str().to_owned()),
        "email" => claims
            .email()
            .filter(|_| claims.email_verified() == Some(true))
            .map(|address| address.as_str().to_owned()),
        "sub" => Some(claims.subject().as_str().to_owned()),
        other => claims
            .additional_claims()
            .0
            .get(other)?
            .as_str()
            .map(str::to_owned),
    }
}

/// The groups, where the configuration maps any. A token without the claim says that there are none, unless it says that they are elsewhere.
fn groups(settings: &config::OidcProvider, extra: &Map<String, Value>) -> Option<ClaimedGroups> {
    if settings.groups.is_empty() {
        return None;
    }
    let claim = &settings.groups_claim;
    let said = extra.get(claim);
    let elsewhere = extra.get(ELSEWHERE).and_then(|names| names.get(claim));
    if said.is_none() && elsewhere.is_some() {
        tracing::warn!(
            provider = settings.name,
            "the OpenID provider left the groups out of its ID token, so that memberships stay as they are"
        );
        return None;
    }
    let held = match said {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mapped = |name: &&str| settings.groups.get(*name).cloned();
    Some(ClaimedGroups {
        mapped: settings.groups.values().cloned().collect(),
        held: held.iter().filter_map(mapped).collect(),
    })
}

fn strength(
    settings: &config::OidcProvider,
    claims: &IdTokenClaims<Extra, CoreGenderClaim>,
) -> SignInStrength {
    let by_method = claims
        .auth_method_refs()
        .into_iter()
        .flatten()
        .any(|method| MORE_THAN_A_PASSWORD.contains(&method.as_str()));
    let by_class = claims.auth_context_ref().is_some_and(|class| {
        settings
            .two_factor_acr
            .iter()
            .any(|listed| *listed == **class)
    });
    if by_method || by_class {
        SignInStrength::TwoFactor
    } else {
        SignInStrength::Password
    }
}
