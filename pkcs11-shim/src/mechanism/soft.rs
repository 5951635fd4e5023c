//! Keys whose material is in this process: released ones, and those of session objects.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::aead::{self, LessSafeKey, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey};
use aws_lc_rs::cipher::{self, DecryptingKey, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, ML_KEM_768};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use cryptoki_sys::*;
use zeroize::{Zeroize, Zeroizing};

use super::curves::{self, Curve};
use super::{Family, Mechanism, Parameter, rsa};
use crate::error::{CkError, CkResult, fail};
use crate::object::Attributes;
use crate::secret_memory::Locked;
use crate::token::{Input, Use};

/// The longest secret, in bytes.
pub const LONGEST_SECRET: usize = 4096;

/// A key that is used in this process.
#[expect(clippy::large_enum_variant, reason = "it lies in pages of its own")]
pub enum SoftKey {
    /// A secret of any length.
    Secret(Secret),
    /// An AES key.
    Aes(AesKey),
    /// The private half of an RSA key pair.
    Rsa(rsa::Private),
    /// The private half of an elliptic-curve key pair.
    Curve(CurveKey),
    /// The private half of an ML-KEM-768 key pair.
    MlKem(DecapsulationKey),
    /// The private half of an ML-DSA-65 key pair.
    MlDsa(PqdsaKeyPair),
}

/// Secret bytes, in place, and overwritten when dropped.
pub struct Secret {
    bytes: [u8; LONGEST_SECRET],
    length: usize,
}

/// An AES key with its schedules, each set up when it is first needed.
pub struct AesKey {
    bytes: [u8; 32],
    length: usize,
    gcm: OnceLock<LessSafeKey>,
    ecb: OnceLock<(EncryptingKey, DecryptingKey)>,
    cbc: OnceLock<(EncryptingKey, DecryptingKey)>,
    ctr: OnceLock<EncryptingKey>,
}

/// A private key on a curve.
pub struct CurveKey {
    curve: Curve,
    scalar: Zeroizing<Vec<u8>>,
    ecdsa: Option<EcdsaKeyPair>,
    eddsa: Option<Ed25519KeyPair>,
}

/// A key that somebody else uses for this process: the token.
pub(crate) trait Remote: Send + Sync {
    fn operate(
        &self,
        what: Use,
        mechanism: &Mechanism,
        input: Input<'_>,
    ) -> CkResult<Zeroizing<Vec<u8>>>;

    fn verify(&self, mechanism: &Mechanism, data: &[u8], signature: &[u8]) -> CkResult<()>;
}

/// Where a key is used.
#[derive(Clone)]
pub(crate) enum KeyUse {
    Here(Arc<Locked<SoftKey>>),
    There(Arc<dyn Remote>),
}

impl SoftKey {
    /// The key that these attributes are, material among them.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_VALUE_INVALID` when the material is none of such a key.
    pub fn of(attributes: &Attributes) -> CkResult<Self> {
        let value = || match attributes.bytes(CKA_VALUE) {
            Some(value) => Ok(value),
            None => fail(CKR_TEMPLATE_INCOMPLETE, "the key's value is missing"),
        };
        match (
            attributes.number(CKA_CLASS),
            attributes.number(CKA_KEY_TYPE),
        ) {
            (Some(CKO_SECRET_KEY), Some(CKK_AES)) => Ok(Self::Aes(AesKey::new(value()?)?)),
            (Some(CKO_SECRET_KEY), Some(_)) => Ok(Self::Secret(Secret::new(value()?)?)),
            (Some(CKO_PRIVATE_KEY), Some(CKK_RSA)) => Ok(Self::Rsa(rsa::Private::of(attributes)?)),
            (Some(CKO_PRIVATE_KEY), Some(CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY)) => {
                let curve = curves::of_attributes(attributes)?;
                Ok(Self::Curve(CurveKey::new(curve, value()?)?))
            }
            (Some(CKO_PRIVATE_KEY), Some(CKK_ML_KEM)) => {
                DecapsulationKey::new(&ML_KEM_768, value()?)
                    .map(Self::MlKem)
                    .map_err(|_| not_this_key())
            }
            (Some(CKO_PRIVATE_KEY), Some(CKK_ML_DSA)) => {
                PqdsaKeyPair::from_raw_private_key(&ML_DSA_65_SIGNING, value()?)
                    .map(Self::MlDsa)
                    .map_err(|_| not_this_key())
            }
            _ => fail(
                CKR_KEY_TYPE_INCONSISTENT,
                "keys of this type are not used here",
            ),
        }
    }

    pub(crate) fn aes(&self) -> CkResult<&AesKey> {
        match self {
            Self::Aes(key) => Ok(key),
            _ => wrong_type(),
        }
    }

    /// The bytes of a secret key.
    pub(crate) fn secret(&self) -> CkResult<&[u8]> {
        match self {
            Self::Secret(secret) => Ok(&secret.bytes[..secret.length]),
            Self::Aes(key) => Ok(key.material()),
            _ => wrong_type(),
        }
    }

    /// Signs. MACs are elsewhere.
    ///
    /// # Errors
    /// As `C_Sign` says.
    pub fn sign(&self, mechanism: &Mechanism, input: Input<'_>) -> CkResult<Zeroizing<Vec<u8>>> {
        let prehash = mechanism.prehash();
        let digested;
        let data = match (input, prehash) {
            (Input::Digest(digest), Some(_)) => digest,
            (Input::Data(data), Some(hash)) => {
                digested = hash.digest(&[data]);
                &digested
            }
            (Input::Data(data) | Input::Blocks(data) | Input::Digest(data), _) => data,
        };
        match (self, mechanism.family) {
            (Self::Rsa(key), _) => key.sign(mechanism, data),
            (Self::Curve(key), Family::Ecdsa(_)) => key.sign_digest(data),
            (Self::Curve(key), Family::Eddsa) => key.sign_message(mechanism, data),
            (Self::MlDsa(key), Family::MlDsa) => {
                if !matches!(
                    &mechanism.parameter,
                    Parameter::None | Parameter::Context { prehash: false, .. }
                ) || context(mechanism).is_some()
                {
                    return fail(CKR_MECHANISM_PARAM_INVALID, "no context is served here");
                }
                let mut signature = Zeroizing::new(vec![0; key.algorithm().signature_len()]);
                let length = key.sign(data, &mut signature).map_err(|_| failed())?;
                signature.truncate(length);
                Ok(signature)
            }
            _ => wrong_type(),
        }
    }

    /// Decrypts with an RSA key.
    ///
    /// # Errors
    /// As `C_Decrypt` says.
    pub fn decrypt(&self, mechanism: &Mechanism, data: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        match self {
            Self::Rsa(key) => key.decrypt(mechanism, data),
            _ => wrong_type(),
        }
    }

    /// The secret that this key and another side's public point give (ECDH1).
    pub(crate) fn agree(&self, public: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        match self {
            Self::Curve(key) => key.agree(public),
            _ => wrong_type(),
        }
    }

    /// The secret that was encapsulated to this key (ML-KEM).
    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        match self {
            Self::MlKem(key) => {
                let secret = key.decapsulate(Ciphertext::from(ciphertext));
                let secret = secret.map_err(|_| {
                    CkError::new(CKR_ENCRYPTED_DATA_LEN_RANGE, "this is no ML-KEM ciphertext")
                })?;
                Ok(Zeroizing::new(secret.as_ref().to_vec()))
            }
            _ => wrong_type(),
        }
    }
}

impl Secret {
    fn new(material: &[u8]) -> CkResult<Self> {
        let mut secret = Self {
            bytes: [0; LONGEST_SECRET],
            length: material.len(),
        };
        match secret.bytes.get_mut(..material.len()) {
            Some(place) if !material.is_empty() => place.copy_from_slice(material),
            _ => return fail(CKR_ATTRIBUTE_VALUE_INVALID, "a secret has 1 to 4096 bytes"),
        }
        Ok(secret)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl AesKey {
    fn new(material: &[u8]) -> CkResult<Self> {
        if !matches!(material.len(), 16 | 24 | 32) {
            return fail(
                CKR_ATTRIBUTE_VALUE_INVALID,
                "an AES key has 16, 24 or 32 bytes",
            );
        }
        let mut bytes = [0; 32];
        bytes[..material.len()].copy_from_slice(material);
        Ok(Self {
            bytes,
            length: material.len(),
            gcm: OnceLock::new(),
            ecb: OnceLock::new(),
            cbc: OnceLock::new(),
            ctr: OnceLock::new(),
        })
    }

    pub(crate) fn material(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(crate) fn gcm(&self) -> CkResult<&LessSafeKey> {
        set_up(&self.gcm, || {
            let algorithm = match self.length {
                16 => &aead::AES_128_GCM,
                24 => &aead::AES_192_GCM,
                _ => &aead::AES_256_GCM,
            };
            UnboundKey::new(algorithm, self.material()).map(LessSafeKey::new)
        })
    }

    pub(crate) fn ecb(&self) -> CkResult<&(EncryptingKey, DecryptingKey)> {
        set_up(&self.ecb, || {
            Ok((
                EncryptingKey::ecb(self.unbound()?)?,
                DecryptingKey::ecb(self.unbound()?)?,
            ))
        })
    }

    pub(crate) fn cbc(&self) -> CkResult<&(EncryptingKey, DecryptingKey)> {
        set_up(&self.cbc, || {
            Ok((
                EncryptingKey::cbc(self.unbound()?)?,
                DecryptingKey::cbc(self.unbound()?)?,
            ))
        })
    }

    pub(crate) fn ctr(&self) -> CkResult<&EncryptingKey> {
        set_up(&self.ctr, || EncryptingKey::ctr(self.unbound()?))
    }

    fn unbound(&self) -> Result<UnboundCipherKey, aws_lc_rs::error::Unspecified> {
        let algorithm = match self.length {
            16 => &cipher::AES_128,
            24 => &cipher::AES_192,
            _ => &cipher::AES_256,
        };
        UnboundCipherKey::new(algorithm, self.material())
    }
}

/// What stands there, made when it is first needed.
fn set_up<T>(
    place: &OnceLock<T>,
    make: impl FnOnce() -> Result<T, aws_lc_rs::error::Unspecified>,
) -> CkResult<&T> {
    if let Some(made) = place.get() {
        return Ok(made);
    }
    let made = make().map_err(|_| failed())?;
    Ok(place.get_or_init(|| made))
}

impl Drop for AesKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl CurveKey {
    fn new(curve: Curve, scalar: &[u8]) -> CkResult<Self> {
        let scalar = curve.scalar(scalar).ok_or_else(not_this_key)?;
        let ecdsa = match curve.signing() {
            Some(algorithm) => {
                let public = curves::public_of(curve, &scalar)?;
                let pair =
                    EcdsaKeyPair::from_private_key_and_public_key(algorithm, &scalar, &public);
                Some(pair.map_err(|_| not_this_key())?)
            }
            None => None,
        };
        let eddsa = match curve {
            Curve::Ed25519 => {
                Some(Ed25519KeyPair::from_seed_unchecked(&scalar).map_err(|_| not_this_key())?)
            }
            _ => None,
        };
        Ok(Self {
            curve,
            scalar,
            ecdsa,
            eddsa,
        })
    }

    fn sign_digest(&self, digest: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        let Some(pair) = &self.ecdsa else {
            return wrong_type();
        };
        let digest = self.curve.digest(digest)?;
        let _ = SystemRandom::new();
        let signature = pair.sign_digest(&digest).map_err(|_| failed())?;
        Ok(Zeroizing::new(signature.as_ref().to_vec()))
    }

    fn sign_message(&self, mechanism: &Mechanism, message: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        let Some(pair) = &self.eddsa else {
            return wrong_type();
        };
        curves::pure_eddsa(mechanism)?;
        let signature = pair.try_sign(message).map_err(|_| failed())?;
        Ok(Zeroizing::new(signature.as_ref().to_vec()))
    }

    fn agree(&self, public: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        let Some(algorithm) = self.curve.agreement() else {
            return wrong_type();
        };
        let bad_point = || {
            CkError::new(
                CKR_MECHANISM_PARAM_INVALID,
                "this is no point of the key's curve",
            )
        };
        let point = self.curve.point(public).ok_or_else(bad_point)?;
        let private = agreement::PrivateKey::from_private_key(algorithm, &self.scalar)
            .map_err(|_| not_this_key())?;
        agreement::agree(
            &private,
            UnparsedPublicKey::new(algorithm, point),
            bad_point(),
            |secret| Ok(Zeroizing::new(secret.to_vec())),
        )
    }
}

/// The context that a mechanism signs with, if it has one.
pub(crate) fn context(mechanism: &Mechanism) -> Option<&[u8]> {
    match &mechanism.parameter {
        Parameter::Context { context, .. } if !context.is_empty() => Some(context),
        _ => None,
    }
}

fn wrong_type<T>() -> CkResult<T> {
    fail(
        CKR_KEY_TYPE_INCONSISTENT,
        "the mechanism is not for keys of this type",
    )
}

fn not_this_key() -> CkError {
    CkError::new(
        CKR_ATTRIBUTE_VALUE_INVALID,
        "the material is none of such a key",
    )
}

fn failed() -> CkError {
    CkError::new(CKR_FUNCTION_FAILED, "AWS-LC refused")
}
