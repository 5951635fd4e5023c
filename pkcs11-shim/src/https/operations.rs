//! Mechanisms of PKCS #11 as operations of the appliance.
//!
//! What the appliance does not do with keys that stay there is refused here, before it is asked: a mechanism of another family, or with a hash that
//! the appliance does not sign with, as [`TokenErrorKind::Mechanism`]; a parameter as [`TokenErrorKind::MechanismParameter`]; data that such a
//! mechanism does not take as [`TokenErrorKind::Data`] or [`TokenErrorKind::DataLength`].

use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{
    Hash as WireHash, Kdf, Mechanism as Wire, Operation, SHORTEST_MAC, SignatureEncoding,
    TAG_LENGTHS,
};

use cryptoki_sys::*;

use crate::mechanism::{Family, Hash, Mechanism, Parameter, curves, mac as macs, rsa, wrapping};
use crate::object::Attributes;
use crate::token::{Input, TokenError, TokenErrorKind, TokenResult, Use};

fn not_served<T>() -> TokenResult<T> {
    Err(TokenError::new(
        TokenErrorKind::Mechanism,
        "the appliance does not do this with keys that stay there",
    ))
}

fn parameter<T>() -> TokenResult<T> {
    Err(TokenError::new(
        TokenErrorKind::MechanismParameter,
        "the appliance does not serve this parameter",
    ))
}

/// The operation that a use of a key is.
pub(super) fn operation(
    what: Use,
    mechanism: &Mechanism,
    input: Input<'_>,
) -> TokenResult<Operation> {
    match what {
        Use::Sign => sign(mechanism, input),
        Use::SignRecover => not_served(),
        Use::Encrypt | Use::Decrypt => crypt(what == Use::Encrypt, mechanism, input),
    }
}

/// The verification of a MAC.
pub(super) fn verification(
    mechanism: &Mechanism,
    data: &[u8],
    presented: &[u8],
) -> TokenResult<Operation> {
    let wire = mac(mechanism)?;
    let length = macs::length(mechanism)
        .map_err(|error| TokenError::new(TokenErrorKind::MechanismParameter, error.what))?;
    if presented.len() != length {
        return Err(TokenError::new(
            TokenErrorKind::SignatureLength,
            "a MAC of this mechanism is not so long",
        ));
    }
    let length = match &mechanism.parameter {
        Parameter::Length(length) => match u8::try_from(*length) {
            Ok(length) if length >= SHORTEST_MAC => Some(length),
            _ => return parameter(),
        },
        _ => None,
    };
    Ok(Operation::VerifyMac {
        mechanism: wire,
        data: data.into(),
        mac: presented.into(),
        length,
    })
}

/// How a MAC is made.
fn mac(mechanism: &Mechanism) -> TokenResult<Wire> {
    match mechanism.family {
        Family::Hmac { hash, .. } => hmac(hash).map_or_else(not_served, Ok),
        Family::Cmac { .. } => Ok(Wire::AesCmac),
        _ => not_served(),
    }
}

pub(super) const fn hmac(hash: Hash) -> Option<Wire> {
    match hash {
        Hash::Sha1 => Some(Wire::HmacSha1),
        Hash::Sha224 => Some(Wire::HmacSha224),
        Hash::Sha256 => Some(Wire::HmacSha256),
        Hash::Sha384 => Some(Wire::HmacSha384),
        Hash::Sha512 => Some(Wire::HmacSha512),
        _ => None,
    }
}

fn sign(mechanism: &Mechanism, input: Input<'_>) -> TokenResult<Operation> {
    let (Input::Data(data) | Input::Digest(data) | Input::Blocks(data)) = input;
    let digest = |hash: Hash| match input {
        Input::Digest(digest) => digest.to_vec(),
        _ => hash.digest(&[data]).to_vec(),
    };
    let mut salt_length = None;
    let (wire, data, prehashed) = match (mechanism.family, &mechanism.parameter) {
        (Family::Hmac { .. } | Family::Cmac { .. }, _) => {
            return Ok(Operation::Mac {
                mechanism: mac(mechanism)?,
                data: data.into(),
            });
        }
        (Family::Ecdsa(None), _) => {
            check_digest((1..=LONGEST_DIGEST).contains(&data.len()))?;
            (Wire::Ecdsa, data.to_vec(), true)
        }
        (Family::Ecdsa(Some(hash)), _) => (ecdsa(hash), digest(hash), true),
        (Family::RsaPkcs(None), _) => match digest_info(data) {
            Some((wire, digest)) => (wire, digest.to_vec(), true),
            None => (Wire::RsaPkcs1, data.to_vec(), true),
        },
        (Family::RsaRaw, _) => (Wire::RsaRaw, data.to_vec(), true),
        (Family::RsaPkcs(Some(hash)), _) => {
            let wire = pkcs1(hash).map_or_else(not_served, Ok)?;
            (wire, digest(hash), true)
        }
        (Family::RsaPss(hashed), Parameter::Pss { hash, mgf, salt }) => {
            if hash != mgf || hashed.is_some_and(|hashed| hashed != *hash) {
                return parameter();
            }
            let Some(wire) = pss(*hash) else {
                return parameter();
            };
            if *salt != hash.length() {
                let Ok(length) = u16::try_from(*salt) else {
                    return parameter();
                };
                salt_length = Some(length);
            }
            let data = hashed.map_or_else(|| data.to_vec(), digest);
            check_digest(data.len() == hash.length())?;
            (wire, data, true)
        }
        (Family::RsaPss(_), _) => return parameter(),
        (Family::Eddsa | Family::MlDsa, parameters) => {
            let pure = match parameters {
                Parameter::None => true,
                Parameter::Context { prehash, context } => !prehash && context.is_empty(),
                _ => false,
            };
            if !pure {
                return parameter();
            }
            let wire = if mechanism.family == Family::Eddsa {
                Wire::Ed25519
            } else {
                Wire::MlDsa65
            };
            (wire, data.to_vec(), false)
        }
        _ => return not_served(),
    };
    Ok(Operation::Sign {
        mechanism: wire,
        data: data.into(),
        prehashed,
        encoding: SignatureEncoding::Fixed,
        salt_length,
    })
}

/// The longest digest that ECDSA takes in the appliance, in bytes.
const LONGEST_DIGEST: usize = 64;

fn check_digest(fits: bool) -> TokenResult<()> {
    if fits {
        return Ok(());
    }
    Err(TokenError::new(
        TokenErrorKind::DataLength,
        "this is no digest for this mechanism",
    ))
}

/// What a policy and the audit log know ECDSA with this hash by.
pub(super) const fn ecdsa(hash: Hash) -> Wire {
    match hash {
        Hash::Sha1 => Wire::EcdsaSha1,
        Hash::Sha224 => Wire::EcdsaSha224,
        Hash::Sha256 => Wire::EcdsaSha256,
        Hash::Sha384 => Wire::EcdsaSha384,
        Hash::Sha512 => Wire::EcdsaSha512,
        _ => Wire::Ecdsa,
    }
}

pub(super) const fn pkcs1(hash: Hash) -> Option<Wire> {
    match hash {
        Hash::Sha1 => Some(Wire::RsaPkcs1Sha1),
        Hash::Sha224 => Some(Wire::RsaPkcs1Sha224),
        Hash::Sha256 => Some(Wire::RsaPkcs1Sha256),
        Hash::Sha384 => Some(Wire::RsaPkcs1Sha384),
        Hash::Sha512 => Some(Wire::RsaPkcs1Sha512),
        _ => None,
    }
}

pub(super) const fn pss(hash: Hash) -> Option<Wire> {
    match hash {
        Hash::Sha1 => Some(Wire::RsaPssSha1),
        Hash::Sha224 => Some(Wire::RsaPssSha224),
        Hash::Sha256 => Some(Wire::RsaPssSha256),
        Hash::Sha384 => Some(Wire::RsaPssSha384),
        Hash::Sha512 => Some(Wire::RsaPssSha512),
        _ => None,
    }
}

/// The mechanism and the digest of a `DigestInfo` (RFC 8017 section 9.2), which is what OpenSSL, OpenSSH, Java and NSS have signed by `CKM_RSA_PKCS`:
/// so the record says by which hash it was.
fn digest_info(data: &[u8]) -> Option<(Wire, &[u8])> {
    [Hash::Sha256, Hash::Sha384, Hash::Sha512]
        .into_iter()
        .find_map(|hash| {
            let digest = data.strip_prefix(&*rsa::digest_info(hash))?;
            let wire = pkcs1(hash)?;
            (digest.len() == hash.length()).then_some((wire, digest))
        })
}

fn crypt(encrypts: bool, mechanism: &Mechanism, input: Input<'_>) -> TokenResult<Operation> {
    let (Input::Data(data) | Input::Digest(data) | Input::Blocks(data)) = input;
    let mut cipher = cipher(mechanism)?;
    if matches!(input, Input::Blocks(_)) && cipher.mechanism == Wire::AesCbcPad {
        cipher.mechanism = Wire::AesCbc;
    }
    let (mechanism, data) = (cipher.mechanism, data.into());
    let (iv, associated_data) = (
        cipher.iv.map(Into::into),
        cipher.associated_data.map(Into::into),
    );
    let tag_length = cipher.tag_length;
    Ok(if encrypts {
        Operation::Encrypt {
            mechanism,
            data,
            iv,
            associated_data,
            tag_length,
        }
    } else {
        Operation::Decrypt {
            mechanism,
            data,
            iv,
            associated_data,
            tag_length,
        }
    })
}

/// How something is encrypted, decrypted, wrapped or unwrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cipher {
    pub(super) mechanism: Wire,
    pub(super) iv: Option<Vec<u8>>,
    pub(super) associated_data: Option<Vec<u8>>,
    tag_length: Option<u8>,
}

impl Cipher {
    const fn plain(mechanism: Wire) -> Self {
        Self {
            mechanism,
            iv: None,
            associated_data: None,
            tag_length: None,
        }
    }

    fn with_iv(mechanism: Wire, iv: &[u8]) -> Self {
        Self {
            iv: Some(iv.to_vec()),
            ..Self::plain(mechanism)
        }
    }

    fn beside(self, associated_data: &[u8]) -> Self {
        Self {
            associated_data: (!associated_data.is_empty()).then(|| associated_data.to_vec()),
            ..self
        }
    }
}

/// What a mechanism and its parameter say of that.
fn cipher(mechanism: &Mechanism) -> TokenResult<Cipher> {
    Ok(match (mechanism.family, &mechanism.parameter) {
        (Family::AesEcb, Parameter::None) => Cipher::plain(Wire::AesEcb),
        (Family::AesCbc, Parameter::Block(iv)) => Cipher::with_iv(Wire::AesCbc, iv),
        (Family::AesCbcPad, Parameter::Block(iv)) => Cipher::with_iv(Wire::AesCbcPad, iv),
        // That a counter of fewer bits does not run over is seen to where the blocks are counted.
        (Family::AesCtr, Parameter::Counter { block, .. }) => Cipher::with_iv(Wire::AesCtr, block),
        (Family::AesGcm, Parameter::Gcm { iv, aad, tag_bits }) => {
            let bytes = u8::try_from(tag_bits / 8).unwrap_or_default();
            if iv.as_ref().len() != 12 || tag_bits % 8 != 0 || !TAG_LENGTHS.contains(&bytes) {
                return parameter();
            }
            Cipher {
                tag_length: (bytes != *TAG_LENGTHS.end()).then_some(bytes),
                ..Cipher::with_iv(Wire::AesGcm, iv.as_ref()).beside(aad)
            }
        }
        (Family::RsaPkcs(None), Parameter::None) => Cipher::plain(Wire::RsaPkcs1),
        (Family::RsaRaw, Parameter::None) => Cipher::plain(Wire::RsaRaw),
        (Family::RsaOaep, Parameter::Oaep { hash, mgf, label }) if hash == mgf => {
            let wire = match hash {
                Hash::Sha1 => Wire::RsaOaepSha1,
                Hash::Sha256 => Wire::RsaOaepSha256,
                Hash::Sha384 => Wire::RsaOaepSha384,
                Hash::Sha512 => Wire::RsaOaepSha512,
                _ => return parameter(),
            };
            Cipher::plain(wire).beside(label)
        }
        (Family::AesKw | Family::AesKwp, parameters) => {
            let wire = if mechanism.family == Family::AesKw {
                Wire::AesKw
            } else {
                Wire::AesKwp
            };
            match parameters {
                Parameter::None => Cipher::plain(wire),
                Parameter::WrapIv(iv) if wrapping::is_standard_iv(mechanism.family, iv) => {
                    Cipher::plain(wire)
                }
                _ => return parameter(),
            }
        }
        (
            Family::AesEcb
            | Family::AesCbc
            | Family::AesCbcPad
            | Family::AesCtr
            | Family::AesGcm
            | Family::RsaPkcs(None)
            | Family::RsaRaw
            | Family::RsaOaep,
            _,
        ) => return parameter(),
        _ => return not_served(),
    })
}

/// How a key is wrapped or unwrapped: with whole tags.
pub(super) fn wrapping_cipher(mechanism: &Mechanism) -> TokenResult<Cipher> {
    let cipher = cipher(mechanism)?;
    if cipher.tag_length.is_some() {
        return parameter();
    }
    Ok(cipher)
}

/// What a key is for that comes of attributes which need not say its size: what they say, or all that it may be.
pub(super) fn kinds(attributes: &Attributes) -> TokenResult<Vec<Algorithm>> {
    let length = attributes.number(CKA_VALUE_LEN);
    let curve = || {
        let curve = curves::of_attributes(attributes);
        curve.map_err(|error| TokenError::new(TokenErrorKind::AttributeValue, error.what))
    };
    Ok(
        match (
            attributes.number(CKA_CLASS),
            attributes.number(CKA_KEY_TYPE),
        ) {
            (Some(CKO_PRIVATE_KEY), Some(CKK_RSA)) => {
                vec![Algorithm::Rsa2048, Algorithm::Rsa3072, Algorithm::Rsa4096]
            }
            (Some(CKO_PRIVATE_KEY), Some(CKK_EC)) if attributes.has(CKA_EC_PARAMS) => {
                vec![match curve()? {
                    curves::Curve::P384 => Algorithm::EcP384,
                    curves::Curve::P521 => Algorithm::EcP521,
                    _ => Algorithm::EcP256,
                }]
            }
            (Some(CKO_PRIVATE_KEY), Some(CKK_EC)) => {
                vec![Algorithm::EcP256, Algorithm::EcP384, Algorithm::EcP521]
            }
            (Some(CKO_PRIVATE_KEY), Some(CKK_EC_EDWARDS)) => vec![Algorithm::Ed25519],
            (Some(CKO_PRIVATE_KEY), Some(CKK_EC_MONTGOMERY)) => vec![Algorithm::X25519],
            (Some(CKO_PRIVATE_KEY), Some(CKK_ML_DSA)) => vec![Algorithm::MlDsa65],
            (Some(CKO_PRIVATE_KEY), Some(CKK_ML_KEM)) => vec![Algorithm::MlKem768],
            (Some(CKO_SECRET_KEY), Some(CKK_AES)) => match length {
                None => vec![Algorithm::Aes256, Algorithm::Aes192, Algorithm::Aes128],
                Some(32) => vec![Algorithm::Aes256],
                Some(24) => vec![Algorithm::Aes192],
                Some(16) => vec![Algorithm::Aes128],
                Some(_) => {
                    return Err(TokenError::new(
                        TokenErrorKind::AttributeValue,
                        "an AES key has 16, 24 or 32 bytes",
                    ));
                }
            },
            (Some(CKO_SECRET_KEY), Some(_)) => vec![Algorithm::GenericSecret],
            _ => {
                return Err(TokenError::new(
                    TokenErrorKind::Template,
                    "no such key is unwrapped or derived",
                ));
            }
        },
    )
}

/// A derivation: by which mechanism, with whose public key, by which function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derivation {
    pub(super) mechanism: Wire,
    pub(super) public_key: Option<Vec<u8>>,
    pub(super) kdf: Option<Kdf>,
}

/// The derivation that a mechanism and its parameter are.
pub(super) fn derivation(mechanism: &Mechanism) -> TokenResult<Derivation> {
    let hash = |hash: Hash| match hash {
        Hash::Sha1 => Ok(WireHash::Sha1),
        Hash::Sha224 => Ok(WireHash::Sha224),
        Hash::Sha256 => Ok(WireHash::Sha256),
        Hash::Sha384 => Ok(WireHash::Sha384),
        Hash::Sha512 => Ok(WireHash::Sha512),
        _ => parameter(),
    };
    let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.into());
    match (mechanism.family, &mechanism.parameter) {
        (
            Family::Ecdh,
            Parameter::Ecdh {
                kdf,
                shared,
                public,
            },
        ) => {
            let kdf = match kdf {
                None => None,
                Some(function) => Some(Kdf::X963 {
                    hash: hash(*function)?,
                    shared_info: some(shared),
                }),
            };
            let public = crate::der::octet_string(public).unwrap_or(public);
            Ok(Derivation {
                mechanism: Wire::Ecdh,
                public_key: Some(public.to_vec()),
                kdf,
            })
        }
        (
            Family::Hkdf,
            Parameter::Hkdf {
                extract,
                expand,
                hash: function,
                salt,
                info,
            },
        ) => Ok(Derivation {
            mechanism: Wire::Hkdf,
            public_key: None,
            kdf: Some(Kdf::Hkdf {
                hash: match function {
                    Hash::Sha224 => return parameter(),
                    function => hash(*function)?,
                },
                extract: *extract,
                expand: *expand,
                salt: some(salt),
                info: some(info),
            }),
        }),
        (Family::Ecdh | Family::Hkdf, _) => parameter(),
        _ => not_served(),
    }
}

#[cfg(test)]
mod tests;
