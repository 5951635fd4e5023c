//! What the HSM does with its own keys: the operation is put into the HSM's terms here, hashing and writing done in software.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512, digest};
use strongroom_hsm::{Hsm, HsmError, NamedHash, NamedWork};
use strongroom_mechanisms::Refusal;
use strongroom_mechanisms::encrypt::{GCM_NONCE, GCM_TAG};
use strongroom_wire::operation::{
    Mechanism, Operation, OperationResult, SHORTEST_MAC, SignatureEncoding, TAG_LENGTHS,
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::perform::Failure;
use crate::keys::Hardware;
use crate::seal;

/// `DigestInfo` (RFC 8017 section 9.2, note 1) before the digest: of SHA-256, SHA-384 and SHA-512.
const SHA256_INFO: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const SHA384_INFO: &[u8] =
    b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30";
const SHA512_INFO: &[u8] =
    b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// Does an operation in the HSM, whose result goes to the caller as it is.
pub(super) fn result(
    hsm: &dyn Hsm,
    key: &Hardware,
    operation: &Operation,
) -> Result<OperationResult, Failure> {
    let mechanism = operation.mechanism();
    if !mechanism.suits(key.algorithm) {
        return Err(Failure::Mechanism(Refusal::Unsuitable {
            mechanism,
            algorithm: key.algorithm,
        }));
    }
    match operation {
        Operation::Sign {
            data,
            prehashed,
            encoding,
            salt_length,
            ..
        } => {
            let work = signing(key, mechanism, &data.0, *prehashed, *salt_length)?;
            let is_ecdsa = matches!(work, NamedWork::Ecdsa { .. });
            let made = run(hsm, key, &work)?;
            let signature = match encoding {
                SignatureEncoding::Der if is_ecdsa => der(&made),
                _ => made.to_vec(),
            };
            Ok(OperationResult::Signature {
                signature: signature.into(),
            })
        }
        Operation::Mac { data, .. } => Ok(OperationResult::Mac {
            mac: mac(hsm, key, mechanism, &data.0)?.to_vec().into(),
        }),
        Operation::VerifyMac {
            data,
            mac: presented,
            length,
            ..
        } => {
            let made = mac(hsm, key, mechanism, &data.0)?;
            let length = usize::from(length.unwrap_or(32));
            let right = made
                .get(..length)
                .filter(|_| length >= SHORTEST_MAC.into())
                .ok_or(Refusal::Length(
                    "A MAC that is cut short keeps 4 bytes at least.",
                ))?;
            Ok(OperationResult::Verified {
                valid: right.ct_eq(&presented.0).into(),
            })
        }
        _ => ciphered(hsm, key, operation),
    }
}

/// A ciphertext, or the plaintext of one.
fn ciphered(
    hsm: &dyn Hsm,
    key: &Hardware,
    operation: &Operation,
) -> Result<OperationResult, Failure> {
    let mechanism = operation.mechanism();
    match operation {
        Operation::Encrypt {
            data,
            iv,
            associated_data,
            tag_length,
            ..
        } if mechanism == Mechanism::AesGcm => {
            let nonce = match iv {
                Some(iv) => nonce(Some(&iv.0))?,
                None => seal::random().map_err(|_| Refusal::Failed)?,
            };
            let work = NamedWork::GcmEncrypt {
                nonce,
                associated_data: associated_data
                    .as_ref()
                    .map(|data| data.0.clone())
                    .unwrap_or_default(),
                tag_length: tag(*tag_length)?,
                plaintext: Zeroizing::new(data.0.clone()),
            };
            Ok(OperationResult::Ciphertext {
                data: run(hsm, key, &work)?.to_vec().into(),
                iv: Some(nonce.to_vec().into()),
            })
        }
        Operation::Decrypt {
            data,
            iv,
            associated_data,
            tag_length,
            ..
        } => {
            let work = match oaep(mechanism) {
                Some(_) if iv.is_some() || associated_data.is_some() || tag_length.is_some() => {
                    return Err(Failure::Mechanism(Refusal::Length(
                        "This mechanism takes no initialisation vector, associated data or tag.",
                    )));
                }
                Some(hash) => NamedWork::RsaOaep {
                    hash,
                    ciphertext: data.0.clone(),
                },
                None if mechanism == Mechanism::AesGcm => NamedWork::GcmDecrypt {
                    nonce: nonce(iv.as_ref().map(|iv| iv.0.as_slice()))?,
                    associated_data: associated_data
                        .as_ref()
                        .map(|data| data.0.clone())
                        .unwrap_or_default(),
                    tag_length: tag(*tag_length)?,
                    ciphertext: data.0.clone(),
                },
                None => return Err(not_offered(mechanism)),
            };
            Ok(OperationResult::Plaintext {
                data: run(hsm, key, &work)?.as_slice().into(),
            })
        }
        _ => Err(not_offered(mechanism)),
    }
}

/// Agrees on a secret in the HSM. `peer` is a point (SEC 1), or `SubjectPublicKeyInfo` in DER.
pub(super) fn agree(
    hsm: &dyn Hsm,
    key: &Hardware,
    peer: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    use aws_lc_rs::agreement::{
        ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, UnparsedPublicKey,
    };
    use strongroom_wire::key::Algorithm;
    if !Mechanism::Ecdh.suits(key.algorithm) {
        return Err(Failure::Mechanism(Refusal::Unsuitable {
            mechanism: Mechanism::Ecdh,
            algorithm: key.algorithm,
        }));
    }
    let malformed = Refusal::MalformedPeer(key.algorithm);
    let (curve, length) = match key.algorithm {
        Algorithm::EcP256 => (&ECDH_P256, 65),
        Algorithm::EcP384 => (&ECDH_P384, 97),
        _ => (&ECDH_P521, 133),
    };
    // Whether it is a point of the curve is known before the HSM is asked.
    ParsedPublicKey::try_from(UnparsedPublicKey::new(curve, peer)).map_err(|_| malformed)?;
    // Both forms end with the point, where it is not compressed.
    let point = peer
        .len()
        .checked_sub(length)
        .and_then(|at| peer.get(at..))
        .filter(|point| point.first() == Some(&4))
        .ok_or(malformed)?;
    let work = NamedWork::Ecdh {
        point: point.to_vec(),
    };
    run(hsm, key, &work)
}

/// The refusal of what no HSM is asked for.
pub(super) fn not_offered(mechanism: Mechanism) -> Failure {
    Failure::Hsm(
        HsmError::NotOffered {
            token: "an HSM behind this appliance".to_owned(),
            what: mechanism.to_string(),
        },
        mechanism,
    )
}

fn run(hsm: &dyn Hsm, key: &Hardware, work: &NamedWork) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mechanism = mechanism_of(work);
    hsm.named()
        .and_then(|named| named.use_named_key(&key.id, key.key_type, work))
        .map_err(|error| Failure::Hsm(error, mechanism))
}

/// The mechanism to name where the HSM lacks it.
const fn mechanism_of(work: &NamedWork) -> Mechanism {
    match work {
        NamedWork::RsaPkcs1 { .. } => Mechanism::RsaPkcs1,
        NamedWork::RsaPss { hash, .. } => match hash {
            NamedHash::Sha384 => Mechanism::RsaPssSha384,
            NamedHash::Sha512 => Mechanism::RsaPssSha512,
            _ => Mechanism::RsaPssSha256,
        },
        NamedWork::RsaOaep { hash, .. } => match hash {
            NamedHash::Sha256 => Mechanism::RsaOaepSha256,
            NamedHash::Sha384 => Mechanism::RsaOaepSha384,
            NamedHash::Sha512 => Mechanism::RsaOaepSha512,
            _ => Mechanism::RsaOaepSha1,
        },
        NamedWork::Ecdsa { .. } => Mechanism::Ecdsa,
        NamedWork::Eddsa { .. } => Mechanism::Ed25519,
        NamedWork::Hmac { .. } => Mechanism::HmacSha256,
        NamedWork::Ecdh { .. } => Mechanism::Ecdh,
        _ => Mechanism::AesGcm,
    }
}

fn mac(
    hsm: &dyn Hsm,
    key: &Hardware,
    mechanism: Mechanism,
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if mechanism != Mechanism::HmacSha256 {
        return Err(not_offered(mechanism));
    }
    let work = NamedWork::Hmac {
        message: data.to_vec(),
    };
    run(hsm, key, &work)
}

fn signing(
    key: &Hardware,
    mechanism: Mechanism,
    data: &[u8],
    prehashed: bool,
    salt_length: Option<u16>,
) -> Result<NamedWork, Failure> {
    use Mechanism as M;
    let is_pss = matches!(
        mechanism,
        M::RsaPssSha256 | M::RsaPssSha384 | M::RsaPssSha512
    );
    if salt_length.is_some() && !is_pss {
        return Err(Failure::Mechanism(Refusal::Length(
            "Only RSASSA-PSS has a salt.",
        )));
    }
    let hashed = |hash: &'static digest::Algorithm| hashed(hash, data, prehashed);
    let pkcs1 = |info: &[u8], hash| {
        Ok::<_, Failure>(NamedWork::RsaPkcs1 {
            encoded: [info, &hashed(hash)?].concat(),
        })
    };
    let pss = |name, hash: &'static digest::Algorithm| {
        let usual = u16::try_from(hash.output_len()).unwrap_or(u16::MAX);
        Ok::<_, Failure>(NamedWork::RsaPss {
            hash: name,
            digest: hashed(hash)?,
            salt_length: salt_length.unwrap_or(usual),
        })
    };
    let ecdsa = |hash| {
        Ok::<_, Failure>(NamedWork::Ecdsa {
            digest: hashed(hash)?,
        })
    };
    match mechanism {
        M::RsaPkcs1Sha256 => pkcs1(SHA256_INFO, &SHA256),
        M::RsaPkcs1Sha384 => pkcs1(SHA384_INFO, &SHA384),
        M::RsaPkcs1Sha512 => pkcs1(SHA512_INFO, &SHA512),
        M::RsaPssSha256 => pss(NamedHash::Sha256, &SHA256),
        M::RsaPssSha384 => pss(NamedHash::Sha384, &SHA384),
        M::RsaPssSha512 => pss(NamedHash::Sha512, &SHA512),
        M::EcdsaSha256 => ecdsa(&SHA256),
        M::EcdsaSha384 => ecdsa(&SHA384),
        M::EcdsaSha512 => ecdsa(&SHA512),
        M::Ecdsa | M::RsaPkcs1 if !prehashed => Err(Failure::Mechanism(Refusal::Length(
            "This mechanism signs what the caller has hashed: say that the data is prehashed.",
        ))),
        M::Ecdsa if !(20..=64).contains(&data.len()) => Err(Failure::Mechanism(Refusal::Length(
            "A digest has 20 to 64 bytes.",
        ))),
        M::Ecdsa => Ok(NamedWork::Ecdsa {
            digest: data.to_vec(),
        }),
        M::RsaPkcs1 if data.len() + 11 > modulus(key) => Err(Failure::Mechanism(Refusal::Length(
            "What is signed so is at least 11 bytes shorter than the modulus.",
        ))),
        M::RsaPkcs1 => Ok(NamedWork::RsaPkcs1 {
            encoded: data.to_vec(),
        }),
        M::Ed25519 if prehashed => Err(Failure::Mechanism(Refusal::Length(
            "This mechanism signs the message itself, not its digest.",
        ))),
        M::Ed25519 => Ok(NamedWork::Eddsa {
            message: data.to_vec(),
        }),
        _ => Err(not_offered(mechanism)),
    }
}

/// The length of an RSA modulus in bytes.
fn modulus(key: &Hardware) -> usize {
    use strongroom_hsm::NamedKeyType as Type;
    match key.key_type {
        Type::Rsa2048 => 256,
        Type::Rsa3072 => 384,
        Type::Rsa4096 => 512,
        _ => 0,
    }
}

fn hashed(
    hash: &'static digest::Algorithm,
    data: &[u8],
    prehashed: bool,
) -> Result<Vec<u8>, Refusal> {
    if !prehashed {
        return Ok(digest(hash, data).as_ref().to_vec());
    }
    if data.len() == hash.output_len() {
        Ok(data.to_vec())
    } else {
        Err(Refusal::Length(
            "A digest has the length that its hash function gives it.",
        ))
    }
}

const fn oaep(mechanism: Mechanism) -> Option<NamedHash> {
    Some(match mechanism {
        Mechanism::RsaOaepSha1 => NamedHash::Sha1,
        Mechanism::RsaOaepSha256 => NamedHash::Sha256,
        Mechanism::RsaOaepSha384 => NamedHash::Sha384,
        Mechanism::RsaOaepSha512 => NamedHash::Sha512,
        _ => return None,
    })
}

fn nonce(iv: Option<&[u8]>) -> Result<[u8; GCM_NONCE], Refusal> {
    iv.and_then(|iv| iv.try_into().ok())
        .ok_or(Refusal::Length("A nonce of AES-GCM has 12 bytes."))
}

fn tag(length: Option<u8>) -> Result<u8, Refusal> {
    match length {
        None => Ok(u8::try_from(GCM_TAG).unwrap_or(u8::MAX)),
        Some(length) if TAG_LENGTHS.contains(&length) => Ok(length),
        Some(_) => Err(Refusal::Length("A tag of AES-GCM has 12 to 16 bytes.")),
    }
}

/// `ECDSA-Sig-Value` in DER (RFC 3279 section 2.2.3) of r and s, each as long as the order: less than 256 bytes.
fn der(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let content = [integer(r), integer(s)].concat();
    let mut signature = vec![0x30];
    if content.len() >= 0x80 {
        signature.push(0x81);
    }
    signature.push(u8::try_from(content.len()).unwrap_or(u8::MAX));
    signature.extend(content);
    signature
}

fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let mut content = number.get(zeros..).unwrap_or_default().to_vec();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [&[0x02, length], content.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_written_in_der() {
        let mut fixed = [0; 64];
        fixed[0] = 0x80;
        fixed[63] = 5;
        let written = der(&fixed);
        assert_eq!(written[..4], [0x30, 38, 0x02, 33]);
        assert_eq!(written[4..6], [0, 0x80]);
        assert_eq!(written[37..], [0x02, 1, 5]);
        let long = der(&[0x81; 132]);
        assert_eq!(long[..4], [0x30, 0x81, 138, 0x02]);
        assert_eq!(long.len(), 141);
    }
}
