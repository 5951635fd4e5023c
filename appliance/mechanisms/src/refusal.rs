//! Why a mechanism does not do what it is asked for.

use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::Mechanism;

/// Why a mechanism does not do what it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The key is for something else, or the mechanism is none of this operation.
    #[error("{mechanism} cannot be used so with a key for {}", .algorithm.as_str())]
    Unsuitable {
        /// What was asked for.
        mechanism: Mechanism,
        /// What the key is for.
        algorithm: Algorithm,
    },
    /// What is to be worked on, or what comes with it, has a length that the mechanism does not take.
    #[error("{0}")]
    Length(&'static str),
    /// What was decrypted or unwrapped was not made under this key, or was altered. Nothing more is said of it.
    #[error("it was not made under this key, or was altered")]
    NotAuthentic,
    /// The material is no key for this algorithm.
    #[error("this is no key for {}", .0.as_str())]
    MalformedKey(Algorithm),
    /// The other's public key is none on this curve.
    #[error("the other public key is none for {}", .0.as_str())]
    MalformedPeer(Algorithm),
    /// The primitive failed, as it does when the system gives no random bytes.
    #[error("the cryptographic library failed")]
    Failed,
}

impl From<aws_lc_rs::error::Unspecified> for Refusal {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Failed
    }
}

/// The refusal of a mechanism that does not suit.
pub(crate) const fn unsuitable(mechanism: Mechanism, algorithm: Algorithm) -> Refusal {
    Refusal::Unsuitable {
        mechanism,
        algorithm,
    }
}
