//! How a secret is made of another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::Base64;

/// The hash function of a key derivation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = KdfHash)]
pub enum Hash {
    /// SHA-1, as old applications have it. Its weakness to collisions does not concern key derivation (NIST SP 800-131A).
    #[serde(rename = "sha-1")]
    Sha1,
    /// SHA-224 (FIPS 180-4).
    #[serde(rename = "sha-224")]
    Sha224,
    /// SHA-256.
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-384.
    #[serde(rename = "sha-384")]
    Sha384,
    /// SHA-512.
    #[serde(rename = "sha-512")]
    Sha512,
}

impl Hash {
    /// The length of its digests, in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A key derivation function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kdf {
    /// That of ANSI X9.63 (SEC 1 section 3.6.1), for agreed secrets.
    X963 {
        /// Its hash function.
        hash: Hash,
        /// What both sides put in beside the secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shared_info: Option<Base64>,
    },
    /// HKDF (RFC 5869).
    Hkdf {
        /// Its hash function.
        hash: Hash,
        /// Whether the secret goes through the first step (section 2.2). Where it does not it is taken to be uniform already.
        #[serde(default = "yes")]
        extract: bool,
        /// Whether the second step follows (section 2.3). Where it does not the outcome is as long as the hash.
        #[serde(default = "yes")]
        expand: bool,
        /// The salt of the first step; zeros where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salt: Option<Base64>,
        /// The context of the second step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        info: Option<Base64>,
    },
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn both_steps_of_hkdf_are_the_rule() {
        let usual: Kdf = serde_json::from_str(r#"{"type":"hkdf","hash":"sha-256"}"#).unwrap();
        assert_eq!(
            usual,
            Kdf::Hkdf {
                hash: Hash::Sha256,
                extract: true,
                expand: true,
                salt: None,
                info: None,
            }
        );
        let text = r#"{"type":"x963","hash":"sha-1","shared_info":"AQ"}"#;
        let other: Kdf = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&other).unwrap(), text);
        for wrong in [
            r#"{"type":"x963","hash":"sha-1","info":"AQ"}"#,
            r#"{"type":"hkdf","hash":"md5"}"#,
            r#"{"type":"hkdf"}"#,
        ] {
            assert!(serde_json::from_str::<Kdf>(wrong).is_err(), "{wrong}");
        }
    }
}
