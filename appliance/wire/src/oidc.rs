//! Sign-in at the enterprise's OpenID provider, and the identities there that accounts are linked with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{Base64, Timestamp};
use crate::id::SignInId;
use crate::session::{SealedTransportKey, SignedIn};

/// `GET /v1/oidc`: the providers at which one can sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OidcProviders {
    /// In the order of the configuration.
    pub providers: Vec<OidcProvider>,
}

/// A provider, as whoever has not signed in sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OidcProvider {
    /// Its name.
    pub name: String,
}

/// `POST /v1/sessions/oidc/start` and `POST /v1/accounts/me/identities/start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartOidc {
    /// The provider's name.
    pub provider: String,
    /// The client's ephemeral X-Wing public key, 1216 bytes, made for this sign-in.
    pub client_key: Base64,
    /// Where the provider sends the user's browser back to: `http://127.0.0.1:PORT/PATH` or `http://[::1]:PORT/PATH` (RFC 8252 section
    /// 7.3), or an address that the site's configuration allows.
    pub redirect_uri: String,
    /// Whether the provider shall ask its user to sign in although they have done so already: for acts that need a recent sign-in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// The answer to [`StartOidc`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OidcStarted {
    /// Names this sign-in to [`FinishOidc`]; good for one try.
    pub sign_in: SignInId,
    /// How the transport key will be sealed.
    pub suite: String,
    /// The appliance's 32 random bytes. The ID token's nonce is SHA-256 of `strongroom/v1/oidc-nonce`, these and the client's ephemeral
    /// public key, in base64url without padding.
    pub random: Base64,
    /// Where to send the user's browser. A client goes on only if its parameter `nonce` is that of the client's own key.
    pub authorization_url: String,
    /// The parameter `state` with which the browser comes back.
    pub state: String,
    /// Until when it waits.
    pub expires: Timestamp,
}

/// `POST /v1/sessions/oidc/finish` and `POST /v1/accounts/me/identities/finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishOidc {
    /// What [`OidcStarted`] said.
    pub sign_in: SignInId,
    /// The parameter `state` with which the browser came back.
    pub state: String,
    /// Its parameter `code`.
    pub code: String,
    /// Its parameter `iss` (RFC 9207), where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// The answer to [`FinishOidc`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OidcSignedIn {
    /// The session.
    pub signed_in: SignedIn,
    /// The session's transport key, with info `strongroom/v1/oidc-transport-key`.
    pub transport_key: SealedTransportKey,
}

/// `GET /v1/accounts/me/identities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Identities {
    /// The identities that the caller's account is linked with, the oldest first.
    pub identities: Vec<Identity>,
}

/// An identity at an OpenID provider that an account is linked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// The provider's issuer identifier: a URL.
    pub issuer: String,
    /// The provider's own name for whom it signs in, which it never gives to another.
    pub subject: String,
    /// When they were linked.
    pub created: Timestamp,
    /// When a session was last opened with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

/// `DELETE /v1/accounts/me/identities`: which identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IdentityName {
    /// The provider's issuer identifier.
    pub issuer: String,
}
