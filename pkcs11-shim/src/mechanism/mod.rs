//! Mechanisms: what there is, their parameters, and the cryptography that is done in this process.
//!
//! | module | what lives there |
//! |---|---|
//! | [`list`] | every mechanism: what it is for, of which family, with which keys |
//! | [`digest`] | SHA-1, SHA-2, SHA-3, in parts, with a state that can be saved |
//! | [`mac`] | HMAC and AES-CMAC |
//! | [`blocks`] | AES in the modes ECB, CBC, CBC with padding and CTR, in parts with constant memory |
//! | [`gcm`] | AES-GCM |
//! | [`wrapping`] | AES key wrap (RFC 3394, RFC 5649) |
//! | [`rsa`] | RSA with public keys, and the encodings of RFC 8017 |
//! | [`curves`] | elliptic curves: parameters, points, verification |
//! | [`public`] | operations of public keys |
//! | [`soft`] | keys whose material is in this process: released ones, and those of session objects |
//! | [`software`] | whole operations with keys whose material is at hand |
//! | [`making`] | making keys in this process, for session objects |
//!
//! Parameters are read from the application's memory by the C table; here they are values.

pub(crate) mod blocks;
pub(crate) mod curves;
pub mod digest;
pub(crate) mod gcm;
pub mod list;
pub(crate) mod mac;
pub(crate) mod making;
pub(crate) mod public;
pub(crate) mod rsa;
pub mod soft;
pub mod software;
pub(crate) mod wrapping;

use cryptoki_sys::*;

use crate::error::{CkResult, fail};
pub use digest::Hash;
pub use list::{Family, Listed, listed};

/// A mechanism with its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanism {
    /// Its number.
    pub kind: CK_MECHANISM_TYPE,
    /// Its family.
    pub family: Family,
    /// Its parameter.
    pub parameter: Parameter,
}

/// An initialisation vector of AES-GCM. A short one is held in place.
#[derive(Clone, PartialEq, Eq)]
pub enum Iv {
    /// At most 16 bytes, and how many.
    Short([u8; 16], usize),
    /// More.
    Long(Vec<u8>),
}

/// The longest initialisation vector, in bytes.
const LONGEST_IV: usize = 64 * 1024;

/// The parameter of a mechanism.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// None.
    None,
    /// An initialisation vector of one AES block.
    Block([u8; 16]),
    /// AES-CTR: the first counter block, and how many of its bits count.
    Counter {
        /// 1 to 128.
        bits: u32,
        /// The first counter block.
        block: [u8; 16],
    },
    /// AES-GCM.
    Gcm {
        /// The initialisation vector.
        iv: Iv,
        /// The additional authenticated data.
        aad: Vec<u8>,
        /// The tag's length in bits.
        tag_bits: u32,
    },
    /// The length of a MAC, in bytes.
    Length(usize),
    /// RSA-OAEP.
    Oaep {
        /// The hash of the label.
        hash: Hash,
        /// The hash of the mask generation function.
        mgf: Hash,
        /// The label.
        label: Vec<u8>,
    },
    /// RSA-PSS.
    Pss {
        /// The hash of the data.
        hash: Hash,
        /// The hash of the mask generation function.
        mgf: Hash,
        /// The salt's length in bytes.
        salt: usize,
    },
    /// ECDH.
    Ecdh {
        /// The key derivation function; none takes the shared secret as it is.
        kdf: Option<Hash>,
        /// What goes into the key derivation function.
        shared: Vec<u8>,
        /// The other side's public point.
        public: Vec<u8>,
    },
    /// The context of an `EdDSA` or ML-DSA signature, and whether the data is hashed first (Ed25519ph).
    Context {
        /// Whether the data is hashed first.
        prehash: bool,
        /// The context; at most 255 bytes.
        context: Vec<u8>,
    },
    /// The initialisation vector of a key wrap that is not the standard's.
    WrapIv(Vec<u8>),
    /// Data to encrypt, or to concatenate, in key derivation.
    Data {
        /// The initialisation vector, for CBC.
        iv: Option<[u8; 16]>,
        /// The data.
        data: Vec<u8>,
    },
    /// HKDF (RFC 5869).
    Hkdf {
        /// Whether to extract.
        extract: bool,
        /// Whether to expand.
        expand: bool,
        /// The hash.
        hash: Hash,
        /// The salt.
        salt: Vec<u8>,
        /// The info.
        info: Vec<u8>,
    },
}

impl Mechanism {
    /// A mechanism without a parameter.
    ///
    /// # Errors
    /// `CKR_MECHANISM_INVALID` when there is no such mechanism.
    pub fn plain(kind: CK_MECHANISM_TYPE) -> CkResult<Self> {
        Ok(Self {
            kind,
            family: family_of(kind)?,
            parameter: Parameter::None,
        })
    }

    /// What its parameter says, with another one in its place.
    #[must_use]
    pub(crate) fn with(&self, parameter: Parameter) -> Self {
        Self { parameter, ..*self }
    }

    /// The hash that the mechanism begins with, if it does.
    #[must_use]
    pub fn prehash(&self) -> Option<Hash> {
        match self.family {
            Family::RsaPkcs(hash) | Family::RsaPss(hash) | Family::Ecdsa(hash) => hash,
            _ => None,
        }
    }
}

/// The family of a mechanism.
pub(crate) fn family_of(kind: CK_MECHANISM_TYPE) -> CkResult<Family> {
    match listed(kind) {
        Some(listed) => Ok(listed.family),
        None => fail(CKR_MECHANISM_INVALID, "there is no such mechanism"),
    }
}

impl Iv {
    /// None when there are no or too many bytes.
    #[must_use]
    pub fn new(iv: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        match iv.len() {
            length @ 1..=16 => {
                bytes[..length].copy_from_slice(iv);
                Some(Self::Short(bytes, length))
            }
            17..=LONGEST_IV => Some(Self::Long(iv.to_vec())),
            _ => None,
        }
    }
}

impl AsRef<[u8]> for Iv {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => &bytes[..*length],
            Self::Long(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Iv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x?}", self.as_ref())
    }
}
