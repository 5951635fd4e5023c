//! Operations of public keys: always in this process, whoever has the private half.

use aws_lc_rs::kem::{EncapsulationKey, ML_KEM_768};
use aws_lc_rs::signature::{ML_DSA_65, UnparsedPublicKey};
use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::curves::{self, Curve};
use super::soft::context;
use super::{Family, Mechanism, rsa};
use crate::error::{CkError, CkResult, fail};
use crate::object::Attributes;
use crate::token::Input;

/// A public key.
pub(crate) enum PublicKey {
    Rsa(rsa::Public),
    Curve(Curve, Vec<u8>),
    MlKem(Vec<u8>),
    MlDsa(Vec<u8>),
}

impl PublicKey {
    /// The key that these attributes are.
    pub(crate) fn of(attributes: &Attributes) -> CkResult<Self> {
        let bytes = |attribute| match attributes.bytes(attribute) {
            Some(bytes) => Ok(bytes),
            None => fail(CKR_TEMPLATE_INCOMPLETE, "the public key's value is missing"),
        };
        match attributes.number(CKA_KEY_TYPE) {
            Some(CKK_RSA) => Ok(Self::Rsa(rsa::Public::of(attributes)?)),
            Some(CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY) => {
                let curve = curves::of_attributes(attributes)?;
                let point = curve.point(bytes(CKA_EC_POINT)?).ok_or(CkError::new(
                    CKR_ATTRIBUTE_VALUE_INVALID,
                    "the point is none of this curve",
                ))?;
                Ok(Self::Curve(curve, point.to_vec()))
            }
            Some(CKK_ML_KEM) => Ok(Self::MlKem(bytes(CKA_VALUE)?.to_vec())),
            Some(CKK_ML_DSA) => Ok(Self::MlDsa(bytes(CKA_VALUE)?.to_vec())),
            _ => fail(
                CKR_KEY_TYPE_INCONSISTENT,
                "keys of this type are not used here",
            ),
        }
    }

    /// Verifies a signature.
    pub(crate) fn verify(
        &self,
        mechanism: &Mechanism,
        input: Input<'_>,
        signature: &[u8],
    ) -> CkResult<()> {
        let digested;
        let data = match (input, mechanism.prehash()) {
            (Input::Data(data), Some(hash)) => {
                digested = hash.digest(&[data]);
                &digested[..]
            }
            (Input::Data(data) | Input::Digest(data) | Input::Blocks(data), _) => data,
        };
        match (self, mechanism.family) {
            (Self::Rsa(key), _) => key.verify(mechanism, data, signature),
            (Self::Curve(curve, point), Family::Ecdsa(_)) => {
                curve.verify_digest(point, data, signature)
            }
            (Self::Curve(Curve::Ed25519, point), Family::Eddsa) => {
                curves::verify_eddsa(mechanism, point, data, signature)
            }
            (Self::MlDsa(_), Family::MlDsa) if context(mechanism).is_some() => {
                fail(CKR_MECHANISM_PARAM_INVALID, "no context is served here")
            }
            (Self::MlDsa(_), Family::MlDsa) if signature.len() != 3309 => fail(
                CKR_SIGNATURE_LEN_RANGE,
                "an ML-DSA-65 signature has 3309 bytes",
            ),
            (Self::MlDsa(key), Family::MlDsa) => UnparsedPublicKey::new(&ML_DSA_65, key)
                .verify(data, signature)
                .map_err(|_| {
                    CkError::new(
                        CKR_SIGNATURE_INVALID,
                        "the signature is of other data or of another key",
                    )
                }),
            _ => wrong_type(),
        }
    }

    /// What was signed, from the signature.
    pub(crate) fn recover(&self, mechanism: &Mechanism, signature: &[u8]) -> CkResult<Vec<u8>> {
        match self {
            Self::Rsa(key) => key.recover(mechanism, signature),
            _ => wrong_type(),
        }
    }

    /// Encrypts.
    pub(crate) fn encrypt(
        &self,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> CkResult<Zeroizing<Vec<u8>>> {
        match self {
            Self::Rsa(key) => key.encrypt(mechanism, data),
            _ => wrong_type(),
        }
    }

    /// A new shared secret and what encapsulates it.
    pub(crate) fn encapsulate(&self) -> CkResult<(Zeroizing<Vec<u8>>, Vec<u8>)> {
        let Self::MlKem(key) = self else {
            return wrong_type();
        };
        let bad = |_| CkError::new(CKR_PUBLIC_KEY_INVALID, "the value is no ML-KEM-768 key");
        let key = EncapsulationKey::new(&ML_KEM_768, key).map_err(bad)?;
        let (ciphertext, secret) = key
            .encapsulate()
            .map_err(|_| CkError::new(CKR_PUBLIC_KEY_INVALID, "the value is no ML-KEM-768 key"))?;
        Ok((
            Zeroizing::new(secret.as_ref().to_vec()),
            ciphertext.as_ref().to_vec(),
        ))
    }
}

fn wrong_type<T>() -> CkResult<T> {
    fail(
        CKR_KEY_TYPE_INCONSISTENT,
        "the mechanism is not for keys of this type",
    )
}
