//! Mechanisms of PKCS #11 as operations of the appliance.

use strongroom_wire::operation::{Mechanism as Wire, Operation, SignatureEncoding};

use crate::mechanism::{Family, Hash, Mechanism, Parameter};
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

/// How a MAC is made.
pub(super) fn mac(mechanism: &Mechanism) -> TokenResult<Wire> {
    match mechanism.family {
        Family::Hmac { hash, .. } => match hash {
            Hash::Sha256 => Ok(Wire::HmacSha256),
            Hash::Sha384 => Ok(Wire::HmacSha384),
            Hash::Sha512 => Ok(Wire::HmacSha512),
            _ => not_served(),
        },
        Family::Cmac { .. } => Ok(Wire::AesCmac),
        _ => not_served(),
    }
}

fn sign(mechanism: &Mechanism, input: Input<'_>) -> TokenResult<Operation> {
    let (Input::Data(data) | Input::Digest(data) | Input::Blocks(data)) = input;
    let digest = |hash: Hash| match input {
        Input::Digest(digest) => digest.to_vec(),
        _ => hash.digest(&[data]).to_vec(),
    };
    let (wire, data, prehashed) = match (mechanism.family, &mechanism.parameter) {
        (Family::Hmac { .. } | Family::Cmac { .. }, _) => {
            return Ok(Operation::Mac {
                mechanism: mac(mechanism)?,
                data: data.into(),
            });
        }
        (Family::Ecdsa(None), _) => (Wire::Ecdsa, data.to_vec(), true),
        (Family::Ecdsa(Some(hash)), _) => (Wire::Ecdsa, digest(hash), true),
        (Family::RsaPkcs(None), _) => {
            let (hash, digest) = digest_info(data).map_or_else(not_served, Ok)?;
            (pkcs1(hash)?, digest.to_vec(), true)
        }
        (Family::RsaPkcs(Some(hash)), _) => (pkcs1(hash)?, digest(hash), true),
        (Family::RsaPss(hashed), Parameter::Pss { hash, mgf, salt }) => {
            if hash != mgf || *salt != hash.length() {
                return parameter();
            }
            let wire = match hash {
                Hash::Sha256 => Wire::RsaPssSha256,
                Hash::Sha384 => Wire::RsaPssSha384,
                Hash::Sha512 => Wire::RsaPssSha512,
                _ => return parameter(),
            };
            let data = hashed.map_or_else(|| data.to_vec(), digest);
            (wire, data, true)
        }
        (Family::Eddsa, _) => (Wire::Ed25519, data.to_vec(), false),
        (Family::MlDsa, _) => (Wire::MlDsa65, data.to_vec(), false),
        _ => return not_served(),
    };
    Ok(Operation::Sign {
        mechanism: wire,
        data: data.into(),
        prehashed,
        encoding: SignatureEncoding::Fixed,
    })
}

fn pkcs1(hash: Hash) -> TokenResult<Wire> {
    match hash {
        Hash::Sha256 => Ok(Wire::RsaPkcs1Sha256),
        Hash::Sha384 => Ok(Wire::RsaPkcs1Sha384),
        Hash::Sha512 => Ok(Wire::RsaPkcs1Sha512),
        _ => not_served(),
    }
}

/// The hash and the digest of a `DigestInfo` (RFC 8017 section 9.2).
fn digest_info(data: &[u8]) -> Option<(Hash, &[u8])> {
    [Hash::Sha256, Hash::Sha384, Hash::Sha512]
        .into_iter()
        .find_map(|hash| {
            let number = match hash {
                Hash::Sha256 => 1,
                Hash::Sha384 => 2,
                _ => 3,
            };
            let length = u8::try_from(hash.length()).ok()?;
            let head = [
                0x30,
                17 + length,
                0x30,
                13,
                6,
                9,
                0x60,
                0x86,
                0x48,
                1,
                0x65,
                3,
                4,
                2,
                number,
                5,
                0,
                4,
                length,
            ];
            let digest = data.strip_prefix(&head)?;
            (digest.len() == hash.length()).then_some((hash, digest))
        })
}

fn crypt(encrypts: bool, mechanism: &Mechanism, input: Input<'_>) -> TokenResult<Operation> {
    let (Input::Data(data) | Input::Digest(data) | Input::Blocks(data)) = input;
    let (mut wire, iv, associated) = cipher(mechanism)?;
    if matches!(input, Input::Blocks(_)) && wire == Wire::AesCbcPad {
        wire = Wire::AesCbc;
    }
    let (data, iv) = (data.into(), iv.map(Into::into));
    let associated_data = associated.map(Into::into);
    Ok(if encrypts {
        Operation::Encrypt {
            mechanism: wire,
            data,
            iv,
            associated_data,
        }
    } else {
        Operation::Decrypt {
            mechanism: wire,
            data,
            iv,
            associated_data,
        }
    })
}

type Cipher = (Wire, Option<Vec<u8>>, Option<Vec<u8>>);

/// How something is encrypted, decrypted or wrapped: the mechanism, the initialisation vector, and what is authenticated beside it.
pub(super) fn cipher(mechanism: &Mechanism) -> TokenResult<Cipher> {
    Ok(match (mechanism.family, &mechanism.parameter) {
        (Family::AesEcb, _) => (Wire::AesEcb, None, None),
        (Family::AesCbc, Parameter::Block(iv)) => (Wire::AesCbc, Some(iv.to_vec()), None),
        (Family::AesCbcPad, Parameter::Block(iv)) => (Wire::AesCbcPad, Some(iv.to_vec()), None),
        (Family::AesCtr, Parameter::Counter { block, .. }) => {
            (Wire::AesCtr, Some(block.to_vec()), None)
        }
        (Family::AesGcm, Parameter::Gcm { iv, aad, tag_bits }) => {
            if iv.as_ref().len() != 12 || *tag_bits != 128 {
                return parameter();
            }
            let aad = Some(aad.clone()).filter(|aad| !aad.is_empty());
            (Wire::AesGcm, Some(iv.as_ref().to_vec()), aad)
        }
        (Family::RsaPkcs(None), _) => (Wire::RsaPkcs1, None, None),
        (Family::RsaOaep, Parameter::Oaep { hash, mgf, label }) if hash == mgf => {
            let wire = match hash {
                Hash::Sha1 => Wire::RsaOaepSha1,
                Hash::Sha256 => Wire::RsaOaepSha256,
                Hash::Sha384 => Wire::RsaOaepSha384,
                Hash::Sha512 => Wire::RsaOaepSha512,
                _ => return parameter(),
            };
            let label = Some(label.clone()).filter(|label| !label.is_empty());
            (wire, None, label)
        }
        (Family::RsaOaep, _) => return parameter(),
        (Family::AesKw, Parameter::None) => (Wire::AesKw, None, None),
        (Family::AesKwp, Parameter::None) => (Wire::AesKwp, None, None),
        _ => return not_served(),
    })
}
