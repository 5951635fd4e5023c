//! What a key is: what it is for, where it comes from, what keeps it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Algorithm {
    /// 32 random bytes for AES-256 in an AEAD mode: a data key of one protected item.
    #[serde(rename = "aes-256")]
    Aes256,
    /// 32 random bytes for HMAC-SHA-256 (RFC 2104).
    #[serde(rename = "hmac-sha-256")]
    HmacSha256,
    /// 16 bytes for AES-128: for applications that have it.
    #[serde(rename = "aes-128")]
    Aes128,
    /// 24 bytes for AES-192: for applications that have it.
    #[serde(rename = "aes-192")]
    Aes192,
    /// 1 to [`LONGEST_SECRET`](super::LONGEST_SECRET) bytes for HMAC, or for whatever an application has them for.
    #[serde(rename = "generic-secret")]
    GenericSecret,
    /// An RSA key pair (RFC 8017) with a modulus of 2048 bits and the exponent 65537.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// An RSA key pair with a modulus of 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// An RSA key pair with a modulus of 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// A key pair on the curve P-256 (NIST SP 800-186), for ECDSA and ECDH.
    #[serde(rename = "ec-p256")]
    EcP256,
    /// A key pair on the curve P-384.
    #[serde(rename = "ec-p384")]
    EcP384,
    /// A key pair on the curve P-521.
    #[serde(rename = "ec-p521")]
    EcP521,
    /// A key pair for Ed25519 (RFC 8032).
    #[serde(rename = "ed25519")]
    Ed25519,
    /// A key pair for X25519 (RFC 7748).
    #[serde(rename = "x25519")]
    X25519,
    /// A key pair for ML-DSA-65 (FIPS 204).
    #[serde(rename = "ml-dsa-65")]
    MlDsa65,
    /// A key pair for ML-KEM-768 (FIPS 203).
    #[serde(rename = "ml-kem-768")]
    MlKem768,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: &'static [Self] = &[
        Self::Aes256,
        Self::HmacSha256,
        Self::Aes128,
        Self::Aes192,
        Self::GenericSecret,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
        Self::Ed25519,
        Self::X25519,
        Self::MlDsa65,
        Self::MlKem768,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "aes-256",
            Self::HmacSha256 => "hmac-sha-256",
            Self::Aes128 => "aes-128",
            Self::Aes192 => "aes-192",
            Self::GenericSecret => "generic-secret",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::EcP521 => "ec-p521",
            Self::Ed25519 => "ed25519",
            Self::X25519 => "x25519",
            Self::MlDsa65 => "ml-dsa-65",
            Self::MlKem768 => "ml-kem-768",
        }
    }

    /// Whether keys for it are pairs: the material is the private key, PKCS #8 in DER (RFC 5958), and the public key is for everyone.
    #[must_use]
    pub const fn is_pair(self) -> bool {
        self.length().is_none() && !matches!(self, Self::GenericSecret)
    }

    /// The length of its material in bytes, where that is always the same.
    #[must_use]
    pub const fn length(self) -> Option<usize> {
        match self {
            Self::Aes256 | Self::HmacSha256 => Some(32),
            Self::Aes128 => Some(16),
            Self::Aes192 => Some(24),
            _ => None,
        }
    }
}

/// Whether a key's material may go to clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Releasable {
    /// As usage policies say.
    #[default]
    ByPolicy,
    /// Never, from the day it was made: the appliance uses it for its clients. Its usage policy is `operations_only` for ever.
    Never,
    /// No more, from some day on: until then it was as usage policies said. Its usage policy is `operations_only` for ever.
    NoMore,
}

impl Releasable {
    /// Whether the material may go to clients where usage policies allow it.
    #[must_use]
    pub const fn is_by_policy(self) -> bool {
        matches!(self, Self::ByPolicy)
    }
}

/// Where a key's material comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The appliance generated it.
    #[default]
    Generated,
    /// A client brought it.
    Imported,
    /// It was unwrapped under another key.
    Unwrapped,
    /// It was derived with another key.
    Derived,
}

/// What keeps a key's material.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// It is sealed under the account KEKs of its grantees, and used in the appliance's memory.
    #[default]
    Software,
    /// It was generated in the HSM and never leaves it.
    Hsm,
}
