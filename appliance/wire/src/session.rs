//! Sign-in by OPAQUE (RFC 9807) and the sessions it opens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::Account;
use crate::credential::{CredentialKind, PasskeyAssertion, PasskeyRequest, SecondFactor};
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

/// The answer to [`FinishSignIn`]: a session, or what it still takes to open one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SignInFinished {
    /// The session.
    SignedIn(SignedIn),
    /// The password was right, and the account has a second factor.
    SecondFactor {
        /// What is asked for.
        second_factor: SecondFactorNeeded,
    },
}

/// A sign-in whose password was right waits for a second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondFactorNeeded {
    /// Names this sign-in to [`FinishSecondFactor`].
    pub sign_in: SignInId,
    /// What the account has; one of them is enough.
    pub kinds: Vec<CredentialKind>,
    /// What to ask a passkey for, where the account has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PasskeyRequest>,
    /// How many tries this sign-in is good for.
    pub tries: u32,
    /// Until when it waits.
    pub expires: Timestamp,
}

/// `POST /v1/sessions/second-factor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishSecondFactor {
    /// What [`SecondFactorNeeded`] said.
    pub sign_in: SignInId,
    /// The proof.
    pub proof: SecondFactor,
}

/// `POST /v1/sessions/passkey/start`: a sign-in with a passkey alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartPasskeySignIn {
    /// The client's ephemeral X-Wing public key, 1216 bytes, made for this sign-in.
    pub client_key: Base64,
}

/// The answer to [`StartPasskeySignIn`]: the same for everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeySignInStarted {
    /// Names this sign-in to [`FinishPasskeySignIn`]; good for one try.
    pub sign_in: SignInId,
    /// How the transport key will be sealed.
    pub suite: String,
    /// What to ask the authenticator for, with user verification. The challenge is SHA-256 of `strongroom/v1/passkey-challenge`, `random`
    /// and the client's ephemeral public key.
    pub request: PasskeyRequest,
    /// Until when it waits.
    pub expires: Timestamp,
}

/// `POST /v1/sessions/passkey/finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishPasskeySignIn {
    /// What [`PasskeySignInStarted`] said.
    pub sign_in: SignInId,
    /// What the authenticator answered.
    pub assertion: PasskeyAssertion,
}

/// The answer to [`FinishPasskeySignIn`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeySignedIn {
    /// The session.
    pub signed_in: SignedIn,
    /// The session's transport key.
    pub transport_key: SealedTransportKey,
}

/// A session's transport key, sealed by HPKE (RFC 9180, mode base) to the client's ephemeral key, with info
/// `strongroom/v1/passkey-transport-key` and the identifiers of sign-in and session, 16 bytes each, as associated data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealedTransportKey {
    /// KEM, KDF and AEAD: `x-wing-06/hkdf-sha512/aes-256-gcm`.
    pub suite: String,
    /// `enc`: 1120 bytes.
    pub encapsulated: Base64,
    /// The 32 bytes of the transport key and the tag: 48 bytes.
    pub ciphertext: Base64,
}

/// An open session.
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
