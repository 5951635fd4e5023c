//! Sign-in by OPAQUE (RFC 9807) and the sessions it opens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::Account;
use crate::encoding::{Base64, Timestamp};
use crate::id::{SessionId, SignInId};

/// How strongly the holder of a session proved who they are, from the weakest to the strongest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SignInStrength {
    /// With a secret that a machine keeps.
    Secret,
    /// With a password that a person knows.
    Password,
    /// With a password and a second factor.
    TwoFactor,
    /// With a passkey, which no imitated page can be given.
    Passkey,
}

impl SignInStrength {
    /// Every strength, from the weakest to the strongest.
    pub const ALL: [Self; 4] = [Self::Secret, Self::Password, Self::TwoFactor, Self::Passkey];
}

/// `POST /v1/sessions/start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSignIn {
    /// The account's name.
    pub account: String,
    /// `KE1` (RFC 9807 section 6.1).
    pub ke1: Base64,
}

/// The answer to [`StartSignIn`]; of the same form whether the account exists or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInStarted {
    /// Names this sign-in to [`FinishSignIn`]; good for one try within a minute.
    pub sign_in: SignInId,
    /// The domain, which both ends bind into the key exchange.
    pub domain: String,
    /// `KE2`.
    pub ke2: Base64,
}

/// `POST /v1/sessions/finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishSignIn {
    /// What [`SignInStarted`] said.
    pub sign_in: SignInId,
    /// `KE3`.
    pub ke3: Base64,
}

/// The answer to [`FinishSignIn`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// The session.
    pub session: SessionId,
    /// 32 bytes for the `Authorization: Bearer` header. Kept by the appliance only as a hash.
    pub token: Base64,
    /// Whose session it is.
    pub account: Account,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `POST /v1/sessions/current/step-up/start`: to sign in again in the present session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartStepUp {
    /// `KE1` (RFC 9807 section 6.1), for the session's account.
    pub ke1: Base64,
}

/// The answer to `POST /v1/sessions/current/step-up/finish`, which takes a [`FinishSignIn`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SteppedUp {
    /// When the session's holder last signed in in it: now.
    pub confirmed: Timestamp,
    /// How strong the session's sign-in is.
    pub strength: SignInStrength,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// When its holder signed in.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// The address from which its holder signed in.
    pub source: String,
    /// How strongly its holder signed in.
    pub strength: SignInStrength,
    /// When its holder last signed in in it: when it was opened, or stepped up.
    pub confirmed: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// The address from which it was last used.
    pub last_source: String,
    /// When it ends by itself unless it is used before.
    pub idle_expires: Timestamp,
    /// Whether the request was made with it.
    pub current: bool,
}

/// `GET /v1/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// The caller's sessions that have not ended, the newest first.
    pub sessions: Vec<Session>,
}
