//! Operations: the appliance uses a key for a client, which never receives its material.

mod derivation;
mod mechanism;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::encoding::Base64;
use crate::id::{IdempotencyKey, KeyId};
use crate::key::{Algorithm, Key, NewKey, Right};
use crate::problem::Problem;

pub use derivation::{Hash, Kdf};
pub use mechanism::Mechanism;

/// The most operations of one request.
pub const MOST_OPERATIONS_A_REQUEST: usize = 1000;

/// The shortest MAC that is verified, in bytes (NIST SP 800-107 section 5.3.3).
pub const SHORTEST_MAC: u8 = 4;
/// The lengths of tags of AES-GCM, in bytes (NIST SP 800-38D section 5.2.1.2, without those of special applications).
pub const TAG_LENGTHS: std::ops::RangeInclusive<u8> = 12..=16;

/// How an ECDSA signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// `ECDSA-Sig-Value` in DER (RFC 3279 section 2.2.3): what OpenSSL, X.509 and TLS take.
    #[default]
    Der,
    /// r and s, each as long as the curve's order, one after the other: what PKCS #11 and JWS (RFC 7518) take.
    Fixed,
}

/// What the appliance is to do with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Operation {
    /// Sign. Needs the right `sign`.
    Sign {
        /// How.
        mechanism: Mechanism,
        /// The message, or with `prehashed` its digest.
        data: Base64,
        /// Whether `data` is the digest that the mechanism's hash function has made of the message. For ECDSA and RSA.
        #[serde(default)]
        prehashed: bool,
        /// How an ECDSA signature is written.
        #[serde(default)]
        encoding: SignatureEncoding,
        /// RSASSA-PSS: the salt's length in bytes, from 0 to what the modulus leaves; the digest's length where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salt_length: Option<u16>,
    },
    /// Verify a signature. Needs the right `verify`. Whoever has the public key can do it alone.
    Verify {
        /// How.
        mechanism: Mechanism,
        /// The message, or with `prehashed` its digest.
        data: Base64,
        /// The signature.
        signature: Base64,
        /// Whether `data` is a digest.
        #[serde(default)]
        prehashed: bool,
        /// How an ECDSA signature is written.
        #[serde(default)]
        encoding: SignatureEncoding,
        /// RSASSA-PSS: the salt's length in bytes; the digest's length where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salt_length: Option<u16>,
    },
    /// Make a MAC. Needs the right `sign`.
    Mac {
        /// How.
        mechanism: Mechanism,
        /// The message.
        data: Base64,
    },
    /// Verify a MAC, in constant time. Needs the right `verify`.
    VerifyMac {
        /// How.
        mechanism: Mechanism,
        /// The message.
        data: Base64,
        /// The MAC.
        mac: Base64,
        /// For a MAC of which only the first bytes are kept: how many, at least [`SHORTEST_MAC`]. It is whole where this is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u8>,
    },
    /// Encrypt. Needs the right `encrypt`.
    Encrypt {
        /// How.
        mechanism: Mechanism,
        /// The plaintext.
        data: Base64,
        /// AES-GCM: the nonce of 12 bytes, which the appliance draws where it is absent. AES-CBC and AES-CTR: the initialisation vector or first
        /// counter block of 16 bytes, which the appliance draws where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iv: Option<Base64>,
        /// AES-GCM: what is authenticated beside the plaintext. RSAES-OAEP: the label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        associated_data: Option<Base64>,
        /// AES-GCM: the tag's length in bytes, 12 to 16; 16 where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag_length: Option<u8>,
    },
    /// Decrypt. Needs the right `decrypt`.
    Decrypt {
        /// How.
        mechanism: Mechanism,
        /// The ciphertext; of AES-GCM with the tag.
        data: Base64,
        /// The nonce, the initialisation vector or the first counter block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iv: Option<Base64>,
        /// What is authenticated beside it, or the label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        associated_data: Option<Base64>,
        /// AES-GCM: the tag's length in bytes, 12 to 16; 16 where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag_length: Option<u8>,
    },
    /// Wrap another key of the caller's under this one. Needs the right `wrap` to this key, and `release` to the other, whose usage policies
    /// count it as a release.
    Wrap {
        /// How: AES-KW, AES-KWP, AES-GCM, AES-CBC-PAD, or AES-CBC and AES-ECB, which fill the last block with zeros; RSAES for what is short enough.
        mechanism: Mechanism,
        /// The key to be wrapped: its bytes, or for a private key PKCS #8 in DER.
        key: KeyId,
        /// Which version of it; the newest where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
        /// The nonce or initialisation vector, which the appliance draws where it is absent and the mechanism has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iv: Option<Base64>,
        /// What is authenticated beside it, or the label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        associated_data: Option<Base64>,
    },
    /// Unwrap what was wrapped under this key. Needs the right `unwrap`.
    Unwrap {
        /// How.
        mechanism: Mechanism,
        /// What was wrapped.
        wrapped: Base64,
        /// The nonce or initialisation vector.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iv: Option<Base64>,
        /// What is authenticated beside it, or the label.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        associated_data: Option<Base64>,
        /// The key of the caller's that it is to become; without `material`. Where it is absent what was wrapped is the answer, unless a usage
        /// policy of the domain allows operations only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<Box<NewKey>>,
        /// What the key may be for beside what `new` says, where the caller cannot know: it becomes one for the first of these that it fits.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alternatives: Vec<Algorithm>,
    },
    /// Derive a secret: by Diffie-Hellman with the holder of another key pair, or by HKDF from a secret key. Needs the right `derive`.
    Derive {
        /// How: `ecdh` or `hkdf`.
        mechanism: Mechanism,
        /// For `ecdh` the other's public key: `SubjectPublicKeyInfo` in DER, or its point (SEC 1) or 32 bytes (RFC 7748).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<Base64>,
        /// What makes the outcome of the agreed secret, or for `hkdf` of the key. Where it is absent with `ecdh` the agreed secret is the
        /// outcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kdf: Option<Kdf>,
        /// How many bytes the outcome has, 1 to [`LONGEST_SECRET`](crate::key::LONGEST_SECRET), where it is the answer and a function makes it;
        /// as many as the function's hash where it is absent. A new key says its own length.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u16>,
        /// A new key of the caller's, for a generic secret, HMAC or AES, that the outcome becomes; where it is absent the outcome is the answer.
        /// Of an agreed secret that is longer than the key the last bytes are taken, as PKCS #11 has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<Box<NewKey>>,
    },
    /// Make a secret that only the holder of the private key can learn. Needs the right `encrypt`. Whoever has the public key can do it alone.
    Encapsulate {
        /// How.
        mechanism: Mechanism,
    },
    /// Learn the secret that was encapsulated. Needs the right `decrypt`.
    Decapsulate {
        /// How.
        mechanism: Mechanism,
        /// What the other side sent.
        data: Base64,
    },
}

impl Operation {
    /// How the key is used.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        match self {
            Self::Sign { mechanism, .. }
            | Self::Verify { mechanism, .. }
            | Self::Mac { mechanism, .. }
            | Self::VerifyMac { mechanism, .. }
            | Self::Encrypt { mechanism, .. }
            | Self::Decrypt { mechanism, .. }
            | Self::Wrap { mechanism, .. }
            | Self::Unwrap { mechanism, .. }
            | Self::Derive { mechanism, .. }
            | Self::Encapsulate { mechanism }
            | Self::Decapsulate { mechanism, .. } => *mechanism,
        }
    }

    /// Whether it is done with the public key of a pair for this algorithm.
    #[must_use]
    pub const fn is_with_public_key(&self, algorithm: Algorithm) -> bool {
        let public = matches!(
            self,
            Self::Verify { .. }
                | Self::Encrypt { .. }
                | Self::Encapsulate { .. }
                | Self::Wrap { .. }
        );
        public && algorithm.is_pair()
    }

    /// The right to the key that it needs.
    #[must_use]
    pub const fn right(&self) -> Right {
        match self {
            Self::Sign { .. } | Self::Mac { .. } => Right::Sign,
            Self::Verify { .. } | Self::VerifyMac { .. } => Right::Verify,
            Self::Encrypt { .. } | Self::Encapsulate { .. } => Right::Encrypt,
            Self::Decrypt { .. } | Self::Decapsulate { .. } => Right::Decrypt,
            Self::Wrap { .. } => Right::Wrap,
            Self::Unwrap { .. } => Right::Unwrap,
            Self::Derive { .. } => Right::Derive,
        }
    }
}

/// `POST /v1/keys/{key}/operations`: use the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Operate {
    /// What to do.
    pub operation: Operation,
    /// With which version of the key; the newest where it is absent. Only the newest protects: older versions verify, decrypt and unwrap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// The query of `POST /v1/keys/{key}/operations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OperateQuery {
    /// For an operation that makes a key: a UUID that the client made for this request. Made again with it, the request makes no other key, as
    /// with `POST /v1/keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = Uuid)]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// `GET /v1/mechanisms`: how the appliance may use keys for anybody, as the domain's policy stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllowedMechanisms {
    /// The mechanisms, sorted.
    pub mechanisms: Vec<Mechanism>,
}

/// `POST /v1/keys/operations`: use keys many times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperateMany {
    /// 1 to [`MOST_OPERATIONS_A_REQUEST`] operations.
    pub operations: Vec<KeyOperation>,
}

/// One operation of [`OperateMany`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyOperation {
    /// The key.
    pub key: KeyId,
    /// What to do.
    pub operation: Operation,
    /// With which version of the key; the newest where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// The answer to [`OperateMany`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operated {
    /// What became of each operation, in the order asked for. That one is refused stops no other.
    pub operations: Vec<OperationOutcome>,
}

/// What became of one operation of [`OperateMany`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationOutcome {
    /// It was done.
    Done(Box<Performed>),
    /// It was refused, as it alone would have been.
    Refused(Box<Problem>),
}

/// The answer to [`Operate`]: an operation that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Performed {
    /// The key.
    pub key: KeyId,
    /// The version of it that was used.
    pub version: u32,
    /// What came of it.
    pub result: OperationResult,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum OperationResult {
    /// A signature.
    Signature {
        /// The signature.
        signature: Base64,
    },
    /// Whether a signature or a MAC is right.
    Verified {
        /// Whether it is.
        valid: bool,
    },
    /// A MAC.
    Mac {
        /// The MAC, untruncated.
        mac: Base64,
    },
    /// A ciphertext.
    Ciphertext {
        /// The ciphertext; of AES-GCM with the tag.
        data: Base64,
        /// The nonce, initialisation vector or first counter block, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iv: Option<Base64>,
    },
    /// A plaintext.
    Plaintext {
        /// The plaintext.
        data: Base64,
    },
    /// A wrapped key.
    Wrapped {
        /// The wrapped key.
        wrapped: Base64,
        /// The nonce or initialisation vector, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iv: Option<Base64>,
    },
    /// A new key.
    Created {
        /// The key.
        key: Box<Key>,
    },
    /// A secret.
    Secret {
        /// AES-KWP (RFC 5649) of the secret, under a key that follows from the session's transport key, the identifier of the key that was used
        /// and its version.
        wrapped: Base64,
        /// What the holder of the private key needs to learn it, where it was made here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ciphertext: Option<Base64>,
    },
}

/// The query of `GET /v1/keys/{key}/public`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PublicKeyQuery {
    /// Which version; the newest where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// The answer to [`PublicKeyQuery`]: the public half of one version of a key pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicKey {
    /// The key.
    pub key: KeyId,
    /// The version.
    pub version: u32,
    /// What it is for.
    pub algorithm: Algorithm,
    /// `SubjectPublicKeyInfo` (RFC 5280 section 4.1) in DER.
    pub public_key: Base64,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_are_spelt_alike_everywhere() {
        for mechanism in Mechanism::ALL {
            let json = serde_json::to_string(mechanism).unwrap();
            assert_eq!(json, format!("{:?}", mechanism.as_str()));
            assert!(
                Algorithm::ALL.iter().any(|key| mechanism.suits(*key)),
                "{mechanism} works with no key"
            );
        }
        for algorithm in Algorithm::ALL {
            if let Some(mechanism) = Mechanism::of_signatures(*algorithm) {
                assert!(mechanism.suits(*algorithm));
            }
        }
    }

    #[test]
    fn an_operation_reads_as_it_is_written_and_a_misspelt_member_is_an_error() {
        let text = r#"{"operation":{"type":"sign","mechanism":"ecdsa-sha-256","data":"AQ","encoding":"fixed"}}"#;
        let request: Operate = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Operate>(&again).unwrap(), request);
        assert_eq!(request.operation.right(), Right::Sign);
        assert!(matches!(
            request.operation,
            Operation::Sign {
                prehashed: false,
                encoding: SignatureEncoding::Fixed,
                ..
            }
        ));
        for wrong in [
            r#"{"operation":{"type":"sign","mechanism":"ecdsa-sha-256","data":"AQ","prehash":true}}"#,
            r#"{"operation":{"type":"sign","mechanism":"sha-1","data":"AQ"}}"#,
            r#"{"operation":{"type":"signify","mechanism":"ecdsa","data":"AQ"}}"#,
            r#"{"operation":{"mechanism":"ecdsa","data":"AQ"}}"#,
        ] {
            assert!(serde_json::from_str::<Operate>(wrong).is_err(), "{wrong}");
        }
    }
}
