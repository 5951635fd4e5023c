//! Sign-in with an identity at an enterprise's OpenID provider.
//!
//! Whoever serves the keystore has spoken to the provider and verified its ID token; what that says comes in as a [`Claimed`]. Here it is
//! decided which account goes with it.
//!
//! | module | what lives there |
//! |---|---|
//! | `links` | which account an identity is linked with, by whom and when; accounts made for identities |
//! | `memberships` | the memberships that a provider says |
//!
//! What must never happen here: an account with a credential, a role or a past is taken by whoever a provider gives its name. The provider's
//! issuer and subject are what an identity is; a name in a claim counts once, for an account that nobody has held yet.

mod links;
mod memberships;

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_session::{TransportKey, oidc, passkey};
use strongroom_wire::account::AccountKind;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::SignInId;
use strongroom_wire::oidc::OidcSignedIn;
use strongroom_wire::session::{SealedTransportKey, SignInStrength};

use crate::act::Scope;
use crate::credentials::second_factor::Factors;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::seal;
use crate::sessions;
use crate::store::IdentityLinkRecord;

/// What a provider's verified ID token says of whoever signed in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The provider's issuer identifier.
    pub issuer: String,
    /// Its own name for them, which it never gives to another: `sub`.
    pub subject: String,
    /// The name of the account that they would have, where the token says one that the provider vouches for.
    pub name: Option<String>,
    /// Their groups; none where the provider says nothing of groups, and memberships stay as they are.
    pub groups: Option<ClaimedGroups>,
    /// How strongly they proved to the provider who they are.
    pub strength: SignInStrength,
    /// When they did, where the token says.
    pub authenticated: Option<Timestamp>,
}

/// The groups of an identity, by the names of the groups' accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimedGroups {
    /// The groups whose members this provider says.
    pub mapped: Vec<String>,
    /// Those of them that the identity is in.
    pub held: Vec<String>,
}

/// What a provider's word is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityRules {
    /// An identity whose name no account has gets an account.
    pub create: bool,
    /// An identity whose name a pending account has gets that account, unless it has a role or was invited by mail.
    pub link_pending: bool,
}

impl Keystore {
    /// Opens a session with an identity, whose ID token carried the nonce of the client's ephemeral key. The session's transport key is sealed
    /// to that key.
    pub fn open_by_identity(
        &self,
        source: IpAddr,
        sign_in: SignInId,
        client_key: Vec<u8>,
        claimed: Claimed,
        rules: IdentityRules,
    ) -> Answer<OidcSignedIn> {
        let claimed = Arc::new(claimed);
        self.ensure_link(source, &claimed, rules)?;
        let core = &self.core;
        // Held until the new versions that are made here are written.
        let _wrapping = core.rotation.wrapping();
        let prepared = core.prepare_removals(&claimed)?;
        let transport = TransportKey::from_bytes(seal::random()?);
        let options = core.options.clone();
        core.act(Act::SessionOpen, source, move |scope| {
            scope.record_strangers = true;
            let link = linked(scope, &claimed)?.ok_or(Error::IdentityRefused(NOT_LINKED))?;
            scope.detail.subject = Some(link.account);
            let account = sessions::active(scope, link.account)
                .ok()
                .filter(|account| account.kind == AccountKind::Person)
                .ok_or(Error::IdentityRefused("the account may not sign in"))?;
            // A provider that asked for less than the account's holder wants asked shall not be a way around it.
            if claimed.strength < SignInStrength::TwoFactor
                && Factors::of(&scope.view(), account.id)?.are_any()
            {
                return Err(Error::IdentityRefused(
                    "the account has a second factor, and the provider asked for none",
                ));
            }
            memberships::bring_in_line(scope, &account, &claimed, &prepared)?;
            use_link(scope, link)?;
            let confirmed = claimed
                .authenticated
                .map_or(scope.now, |at| at.min(scope.now));
            let proved = (claimed.strength, confirmed);
            let signed_in =
                sessions::open_proved(scope, &account, &transport, proved, source, &options)?;
            let sealed = oidc::seal(&client_key, sign_in, signed_in.session, &transport)
                .map_err(|_| Error::IdentityRefused("the client's ephemeral key is none"))?;
            Ok(OidcSignedIn {
                signed_in,
                transport_key: SealedTransportKey {
                    suite: passkey::SUITE.to_owned(),
                    encapsulated: sealed.encapsulated.into(),
                    ciphertext: sealed.ciphertext.into(),
                },
            })
        })
        .inspect_err(|refusal| log(&refusal.error))
    }

    /// Records that a sign-in with an identity was refused before the keystore was asked, and answers that refusal.
    pub fn refuse_identity<T: Send + 'static>(
        &self,
        source: IpAddr,
        reason: &'static str,
    ) -> Answer<T> {
        self.core
            .act(Act::SessionOpen, source, move |scope| {
                scope.record_strangers = true;
                Err(Error::IdentityRefused(reason))
            })
            .inspect_err(|refusal| log(&refusal.error))
    }
}

const NOT_LINKED: &str = "no account is linked with the identity";

/// The link of an identity, its record checked.
fn linked(scope: &Scope<'_>, claimed: &Claimed) -> Result<Option<IdentityLinkRecord>, Error> {
    scope
        .tx
        .identity_link(scope.domain.number, &claimed.issuer, &claimed.subject)?
        .map(|link| scope.domain.check_identity_link(link))
        .transpose()
}

/// Notes that a session is opened with a link.
fn use_link(scope: &mut Scope<'_>, mut link: IdentityLinkRecord) -> Result<(), Error> {
    link.used = Some(scope.now);
    scope.domain.authenticate_identity_link(&mut link);
    Ok(scope.tx.put_identity_link(&link)?)
}

fn log(error: &Error) {
    if let Error::IdentityRefused(reason) = error {
        tracing::info!(reason, "a sign-in at an OpenID provider was refused");
    }
}
