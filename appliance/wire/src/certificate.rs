//! Sign-in by client certificate, and the names in certificates by which accounts are known.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::encoding::{Base64, Timestamp};
use crate::session::SignedIn;

/// What of a certificate names an account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum CertificateNameKind {
    /// The whole certificate: its SHA-256, in 64 lower-case hexadecimal digits. The next certificate has another.
    Fingerprint,
    /// A URI among its subject alternative names (RFC 5280 section 4.2.1.6), which the authority puts into the next certificate, too.
    Uri,
    /// A DNS name among them, in lower case and without a wildcard. As with URIs, the authority puts it into the next certificate, too.
    Dns,
}

/// A name in certificates by which an account is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CertificateName {
    /// Of what kind.
    pub kind: CertificateNameKind,
    /// The fingerprint, the URI or the DNS name.
    pub value: String,
}

/// A name that is registered for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegisteredName {
    /// The name.
    pub name: CertificateName,
    /// Since when.
    pub created: Timestamp,
}

/// `GET /v1/accounts/{account}/certificates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateNames {
    /// The names, by kind and value.
    pub names: Vec<RegisteredName>,
}

/// `POST /v1/sessions/certificate`, on a connection on which the client presented a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenByCertificate {
    /// The client's ephemeral public key, to which the transport key is sealed: X-Wing, 1216 bytes.
    pub wrapping_key: Base64,
}

/// The answer to [`OpenByCertificate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedInByCertificate {
    /// The session.
    pub signed_in: SignedIn,
    /// The encapsulated key (HPKE, RFC 9180), 1120 bytes.
    pub encapsulated: Base64,
    /// The session's transport key, sealed: 48 bytes.
    pub sealed: Base64,
}
