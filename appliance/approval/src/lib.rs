//! Approvals: what a person signs when they approve an act, how the signature is verified years later, and whether enough people did.
//!
//! | module | what lives there |
//! |---|---|
//! | [`canonical`] | JSON in the one spelling of RFC 8785, as far as documents here need it |
//! | [`statement`] | [`Statement`]: the exact act that a person signs |
//! | [`key`] | [`ApprovalKey`]: a registered public key, Ed25519 or P-256, and the detached JWS that it signs with |
//! | [`webauthn`] | verifying what passkeys sign |
//! | [`evidence`] | [`Evidence`]: an approval as it is kept, which needs nothing else to be verified |
//! | [`quorum`] | [`Quorum`]: m distinct people of a role, each for the very same act, none of them excluded |
//!
//! The format is specified in `appliance/audit/FORMAT.md`, section "Approvals", whose examples are tests here.
//!
//! Never in this crate: input or output, a clock, randomness, a private key, a decision about an account that is not in its arguments.

#![forbid(unsafe_code)]

pub mod canonical;
pub mod evidence;
pub mod key;
pub mod quorum;
pub mod statement;
pub mod webauthn;

pub use evidence::{Approval, Assertion, Credential, Evidence, EvidenceError};
pub use key::{ApprovalKey, Scheme};
pub use quorum::{Discount, Quorum, Tally};
pub use statement::{Decision, Of, Statement};

use sha2::{Digest as _, Sha256};

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A SHA-256 in JSON: 64 lower-case hexadecimal digits.
pub(crate) mod digest {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        digest: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(digest))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(D::Error::custom("a digest is written in lower case"));
        }
        let mut digest = [0; 32];
        hex::decode_to_slice(&text, &mut digest)
            .map_err(|_| D::Error::custom("a SHA-256 has 64 hexadecimal digits"))?;
        Ok(digest)
    }
}
