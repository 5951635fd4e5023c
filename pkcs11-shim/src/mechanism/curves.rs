//! Elliptic curves: their parameters and points as applications write them, and verification.
//!
//! Parameters are a DER object identifier, or for the curves of RFC 7748 the curve's name as a `PrintableString`. A point is given out as a
//! DER octet string, as current applications expect it, and taken with or without that.

use aws_lc_rs::agreement;
use aws_lc_rs::digest::{self as lc_digest, Digest};
use aws_lc_rs::signature::{
    self, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::{Mechanism, Parameter};
use crate::der;
use crate::error::{CkError, CkResult, fail};
use crate::object::Attributes;

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
    Ed25519,
    X25519,
}

const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x23];
const ED25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";
const X25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x6e];
const X25519_NAME: &[u8] = b"\x13\x0acurve25519";

impl Curve {
    /// The curve that parameters name.
    pub(crate) fn of_parameters(parameters: &[u8]) -> Option<Self> {
        [
            (P256, Self::P256),
            (P384, Self::P384),
            (P521, Self::P521),
            (ED25519, Self::Ed25519),
            (ED25519_NAME, Self::Ed25519),
            (X25519, Self::X25519),
            (X25519_NAME, Self::X25519),
        ]
        .into_iter()
        .find_map(|(known, curve)| (known == parameters).then_some(curve))
    }

    /// The type of its keys.
    pub(crate) fn key_type(self) -> CK_KEY_TYPE {
        match self {
            Self::P256 | Self::P384 | Self::P521 => CKK_EC,
            Self::Ed25519 => CKK_EC_EDWARDS,
            Self::X25519 => CKK_EC_MONTGOMERY,
        }
    }

    /// The length of a coordinate, in bytes.
    pub(crate) fn field(self) -> usize {
        match self {
            Self::P256 | Self::Ed25519 | Self::X25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The object identifier, in DER.
    pub(crate) fn identifier(self) -> &'static [u8] {
        match self {
            Self::P256 => P256,
            Self::P384 => P384,
            Self::P521 => P521,
            Self::Ed25519 => ED25519,
            Self::X25519 => X25519,
        }
    }

    pub(crate) fn signing(self) -> Option<&'static EcdsaSigningAlgorithm> {
        match self {
            Self::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            Self::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            Self::P521 => Some(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            Self::Ed25519 | Self::X25519 => None,
        }
    }

    fn verifying(self) -> Option<&'static EcdsaVerificationAlgorithm> {
        match self {
            Self::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Self::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            Self::P521 => Some(&signature::ECDSA_P521_SHA512_FIXED),
            Self::Ed25519 | Self::X25519 => None,
        }
    }

    pub(crate) fn agreement(self) -> Option<&'static agreement::Algorithm> {
        match self {
            Self::P256 => Some(&agreement::ECDH_P256),
            Self::P384 => Some(&agreement::ECDH_P384),
            Self::P521 => Some(&agreement::ECDH_P521),
            Self::X25519 => Some(&agreement::X25519),
            Self::Ed25519 => None,
        }
    }

    /// A private scalar (or seed) at its full length: applications leave zeros in front out, or put some there.
    pub(crate) fn scalar(self, scalar: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if matches!(self, Self::Ed25519 | Self::X25519) {
            return (scalar.len() == 32).then(|| Zeroizing::new(scalar.to_vec()));
        }
        let zeros = scalar.iter().take_while(|byte| **byte == 0).count();
        let scalar = &scalar[zeros..];
        let missing = self.field().checked_sub(scalar.len())?;
        let mut whole = Zeroizing::new(vec![0; self.field()]);
        whole[missing..].copy_from_slice(scalar);
        Some(whole)
    }

    /// A point as AWS-LC takes it, from a DER octet string or as it is.
    pub(crate) fn point(self, point: &[u8]) -> Option<&[u8]> {
        let length = match self {
            Self::Ed25519 | Self::X25519 => 32,
            curve => 1 + 2 * curve.field(),
        };
        let right = |point: &&[u8]| {
            let uncompressed = length == 32 || point.first() == Some(&4);
            point.len() == length && uncompressed
        };
        Some(point)
            .filter(right)
            .or_else(|| der::octet_string(point).filter(right))
    }

    /// A digest of any length as ECDSA takes it on this curve (FIPS 186-5 section 6.4): the leftmost bits that the order has.
    pub(crate) fn digest(self, data: &[u8]) -> CkResult<Digest> {
        let (algorithm, length) = match self {
            Self::P384 => (&lc_digest::SHA384, 48),
            Self::P521 => (&lc_digest::SHA512, 64),
            _ => (&lc_digest::SHA256, 32),
        };
        if data.is_empty() || (self == Self::P521 && data.len() > length) {
            return fail(CKR_DATA_LEN_RANGE, "a digest cannot be so long");
        }
        let mut digest = [0; 64];
        let taken = &data[..data.len().min(length)];
        digest[length - taken.len()..length].copy_from_slice(taken);
        Digest::import_less_safe(&digest[..length], algorithm)
            .map_err(|_| CkError::new(CKR_FUNCTION_FAILED, "AWS-LC takes no such digest"))
    }

    /// Verifies an ECDSA signature: r and s, each as long as the field.
    pub(crate) fn verify_digest(
        self,
        point: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> CkResult<()> {
        let Some(algorithm) = self.verifying() else {
            return fail(CKR_KEY_TYPE_INCONSISTENT, "the curve is not for ECDSA");
        };
        if signature.len() != 2 * self.field() {
            return fail(
                CKR_SIGNATURE_LEN_RANGE,
                "an ECDSA signature is r and s at full length",
            );
        }
        let digest = self.digest(digest)?;
        UnparsedPublicKey::new(algorithm, point)
            .verify_digest(&digest, signature)
            .map_err(|_| bad_signature())
    }
}

/// Verifies an Ed25519 signature (RFC 8032).
pub(crate) fn verify_eddsa(
    mechanism: &Mechanism,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> CkResult<()> {
    pure_eddsa(mechanism)?;
    if signature.len() != 64 {
        return fail(CKR_SIGNATURE_LEN_RANGE, "an Ed25519 signature has 64 bytes");
    }
    UnparsedPublicKey::new(&signature::ED25519, point)
        .verify(message, signature)
        .map_err(|_| bad_signature())
}

/// Ed25519 alone is served: neither Ed25519ctx nor Ed25519ph.
pub(crate) fn pure_eddsa(mechanism: &Mechanism) -> CkResult<()> {
    match &mechanism.parameter {
        Parameter::None => Ok(()),
        Parameter::Context {
            prehash: false,
            context,
        } if context.is_empty() => Ok(()),
        _ => fail(
            CKR_MECHANISM_PARAM_INVALID,
            "Ed25519 is served without a context and without prehashing",
        ),
    }
}

/// The curve of a key.
pub(crate) fn of_attributes(attributes: &Attributes) -> CkResult<Curve> {
    let curve = attributes
        .bytes(CKA_EC_PARAMS)
        .and_then(Curve::of_parameters);
    match curve {
        Some(curve) if attributes.number(CKA_KEY_TYPE) == Some(curve.key_type()) => Ok(curve),
        Some(_) => fail(
            CKR_TEMPLATE_INCONSISTENT,
            "the curve is not for keys of this type",
        ),
        None if attributes.has(CKA_EC_PARAMS) => {
            fail(CKR_CURVE_NOT_SUPPORTED, "the curve is not served")
        }
        None => fail(CKR_TEMPLATE_INCOMPLETE, "the curve is missing"),
    }
}

/// The public point of a private scalar.
pub(crate) fn public_of(curve: Curve, scalar: &[u8]) -> CkResult<Vec<u8>> {
    let bad = |_| {
        CkError::new(
            CKR_ATTRIBUTE_VALUE_INVALID,
            "this is no private key of the curve",
        )
    };
    if let Some(algorithm) = curve.agreement() {
        let private = agreement::PrivateKey::from_private_key(algorithm, scalar).map_err(bad)?;
        let public = private
            .compute_public_key()
            .map_err(|_| CkError::new(CKR_FUNCTION_FAILED, "AWS-LC refused"))?;
        return Ok(public.as_ref().to_vec());
    }
    let pair = signature::Ed25519KeyPair::from_seed_unchecked(scalar).map_err(bad)?;
    Ok(signature::KeyPair::public_key(&pair).as_ref().to_vec())
}

fn bad_signature() -> CkError {
    CkError::new(
        CKR_SIGNATURE_INVALID,
        "the signature is of other data or of another key",
    )
}
