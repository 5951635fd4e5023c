//! What an account signs in with beside its password: authenticator apps, passkeys and recovery codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::encoding::{Base64, Timestamp};
use crate::id::{MalformedIdentifier, PasskeyId, RegistrationId};

/// What kind of credential an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A password, by OPAQUE (RFC 9807).
    Password,
    /// An authenticator app's codes (TOTP, RFC 6238): a second factor.
    Totp,
    /// A passkey (Web Authentication Level 3): a second factor, or the only one.
    Passkey,
    /// One-time codes, each good in place of the second factor once.
    RecoveryCodes,
}

/// A credential as its holder sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// What kind.
    pub kind: CredentialKind,
    /// Passkeys only: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PasskeyId>,
    /// Passkeys only: the name that its holder gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was set up; not known of passwords that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When it was last used to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
    /// Recovery codes only: how many are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
}

/// `GET /v1/accounts/me/credentials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credentials {
    /// The caller's credentials.
    pub credentials: Vec<Credential>,
}

/// Which credential of an account: `password`, `totp`, `recovery-codes`, or a passkey's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialName {
    /// The password.
    Password,
    /// The authenticator app.
    Totp,
    /// The recovery codes, all of them.
    RecoveryCodes,
    /// A passkey.
    Passkey(PasskeyId),
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("password"),
            Self::Totp => f.write_str("totp"),
            Self::RecoveryCodes => f.write_str("recovery-codes"),
            Self::Passkey(passkey) => passkey.fmt(f),
        }
    }
}

impl FromStr for CredentialName {
    type Err = MalformedIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "password" => Ok(Self::Password),
            "totp" => Ok(Self::Totp),
            "recovery-codes" => Ok(Self::RecoveryCodes),
            text => text.parse().map(Self::Passkey),
        }
    }
}

impl<'de> Deserialize<'de> for CredentialName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `POST /v1/accounts/me/password/start`: the account's holder is about to take another password (OPAQUE, RFC 9807 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartPassword {
    /// OPAQUE's registration request.
    pub request: Base64,
}

/// `POST /v1/accounts/me/password`: the new password takes the place of the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishPassword {
    /// OPAQUE's registration record.
    pub upload: Base64,
}

/// `POST /v1/accounts/me/totp/start`: the secret of a new authenticator app. It is asked for from the first right code on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TotpStarted {
    /// `otpauth://totp/...`: what the app reads from a QR code. Holds the secret.
    pub uri: String,
    /// The secret alone, in base 32 (RFC 4648 section 6) without padding, for those who type it.
    pub secret: String,
    /// Until when a code of it can be confirmed.
    pub expires: Timestamp,
}

/// `POST /v1/accounts/me/totp`: the first code that the app shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    /// Six digits.
    pub code: String,
}

/// The answer to an act that added a second factor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FactorAdded {
    /// The credential.
    pub credential: Credential,
    /// Recovery codes, where the account had none; shown this once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery_codes: Vec<String>,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `POST /v1/accounts/me/recovery-codes`: new recovery codes; those before them are void.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes; shown this once.
    pub codes: Vec<String>,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// The proof of a second factor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    /// The six digits that the authenticator app shows; each code is good once.
    Totp(String),
    /// A recovery code, which is used up.
    RecoveryCode(String),
    /// A passkey's assertion.
    Passkey(PasskeyAssertion),
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Totp(_) => "Totp(hidden)",
            Self::RecoveryCode(_) => "RecoveryCode(hidden)",
            Self::Passkey(_) => "Passkey(..)",
        })
    }
}

/// `POST /v1/accounts/me/passkeys/start`: what a client hands to `navigator.credentials.create` (Web Authentication Level 3 section
/// 5.4), with attestation `none`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeyRegistration {
    /// Names this registration to [`RegisterPasskey`].
    pub registration: RegistrationId,
    /// The challenge: 32 random bytes.
    pub challenge: Base64,
    /// The relying party's identifier (`rp.id`): a domain name.
    pub rp_id: String,
    /// The relying party's name for people (`rp.name`).
    pub rp_name: String,
    /// `user.id`: says nothing of the account to others, and comes back as `userHandle`.
    pub user: Base64,
    /// `user.name` and `user.displayName`: the account's name.
    pub user_name: String,
    /// The COSE algorithms that the appliance takes, the preferred one first (`pubKeyCredParams`).
    pub algorithms: Vec<i64>,
    /// The account's passkeys, of which the authenticator shall hold none yet (`excludeCredentials`).
    pub exclude: Vec<Base64>,
    /// Until when it can be finished.
    pub expires: Timestamp,
}

/// `POST /v1/accounts/me/passkeys`: what `navigator.credentials.create` answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterPasskey {
    /// What [`PasskeyRegistration`] said.
    pub registration: RegistrationId,
    /// What its holder calls it: 1 to 64 characters.
    pub name: String,
    /// `clientDataJSON`.
    pub client_data: Base64,
    /// `attestationObject`. No attestation is asked for, and none is believed.
    pub attestation_object: Base64,
}

/// What a client hands to `navigator.credentials.get`.
///
/// The challenge is not in it: the client makes it from `random` and from what it binds the assertion to, as
/// `strongroom_session::passkey` says, so that an assertion made for one end of a connection is of no use to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeyRequest {
    /// 32 random bytes.
    pub random: Base64,
    /// The relying party's identifier.
    pub rp_id: String,
    /// The credential identifiers that are asked for (`allowCredentials`); empty: any that the authenticator holds for the relying party.
    pub allow: Vec<Base64>,
}

/// What `navigator.credentials.get` answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyAssertion {
    /// The credential's identifier (`rawId`).
    pub credential: Base64,
    /// `clientDataJSON`.
    pub client_data: Base64,
    /// `authenticatorData`.
    pub authenticator_data: Base64,
    /// `signature`.
    pub signature: Base64,
    /// `userHandle`, where the authenticator gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<Base64>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_second_factor_says_which_it_is_and_hides_in_debug() {
        let factor = SecondFactor::Totp("123456".to_owned());
        assert_eq!(
            serde_json::to_string(&factor).unwrap(),
            r#"{"totp":"123456"}"#
        );
        assert_eq!(format!("{factor:?}"), "Totp(hidden)");
        let factor: SecondFactor =
            serde_json::from_str(r#"{"recovery-code":"ABCD-EFGH"}"#).unwrap();
        assert_eq!(factor, SecondFactor::RecoveryCode("ABCD-EFGH".to_owned()));
        let passkey = CredentialName::Passkey(PasskeyId::generate());
        for name in [
            CredentialName::Password,
            CredentialName::RecoveryCodes,
            passkey,
        ] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert!("fingerprint".parse::<CredentialName>().is_err());
        assert!(serde_json::from_str::<SecondFactor>(r#"{"pin":"1234"}"#).is_err());
        assert!(
            serde_json::from_str::<SecondFactor>(r#"{"totp":"1","recovery-code":"2"}"#).is_err()
        );
    }
}
