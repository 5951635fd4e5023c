//! Templates and mechanisms of any bytes, through the C functions: each is served or refused; nothing panics, and nothing is written where there is no
//! room. `STRONGROOM_PARSING_CASES` tries more of them; `fuzz` has the same for a fuzzer.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unsafe_code,
    reason = "tests"
)]

mod support;

use std::ptr::null_mut;

use cryptoki_sys::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::anything::{AnyMechanism, AnyTemplate, Bytes};
use support::api::{How, V, call};
use support::{Api, Running, run};

fn cases() -> Config {
    let asked = std::env::var("STRONGROOM_PARSING_CASES");
    Config {
        cases: asked.map_or(3000, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..Config::default()
    }
}

/// What the module never answers: it panicked, or gave up.
fn is_sound(rv: CK_RV) -> bool {
    rv != CKR_GENERAL_ERROR && rv != CKR_FUNCTION_FAILED && rv != CKR_HOST_MEMORY
}

fn keys(running: &Running, session: CK_SESSION_HANDLE) -> [CK_OBJECT_HANDLE; 4] {
    let api = running.api;
    let extractable = [
        (CKA_VALUE_LEN, V::N(32)),
        (CKA_EXTRACTABLE, V::Yes),
        (CKA_SENSITIVE, V::No),
        (CKA_DERIVE, V::Yes),
    ];
    let aes = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &extractable)
        .unwrap();
    let secret = api
        .generate(
            session,
            How::plain(CKM_GENERIC_SECRET_KEY_GEN),
            &extractable,
        )
        .unwrap();
    let p256 = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7][..];
    let (public, private) = api
        .generate_pair(
            session,
            How::plain(CKM_EC_KEY_PAIR_GEN),
            &[(CKA_EC_PARAMS, V::B(p256))],
            &[(CKA_DERIVE, V::Yes)],
        )
        .unwrap();
    [aes, secret, public, private]
}

#[test]
fn any_template_is_served_or_refused() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let keys = keys(&running, session);
    let any = proptest::collection::vec(any::<u8>(), 0..600);
    TestRunner::new(cases())
        .run(&any, |bytes| {
            let mut bytes = Bytes(&bytes);
            let mut template = AnyTemplate::of(&mut bytes);
            let (at, count) = template.parts();
            let key = keys[usize::from(bytes.byte() % 4)];
            let mut made = [0; 5];
            let [created, copied, generated, public, private] = &mut made;
            let mut aes = How::plain(CKM_AES_KEY_GEN);
            let mut pair = How::plain(CKM_EC_KEY_PAIR_GEN);
            let (mut aes, mut pair) = (aes.c(), pair.c());
            let answers = [
                call!(api, C_CreateObject(session, at, count, created)),
                call!(api, C_CopyObject(session, key, at, count, copied)),
                call!(api, C_SetAttributeValue(session, key, at, count)),
                call!(
                    api,
                    C_GenerateKey(session, &raw mut aes, at, count, generated)
                ),
                call!(
                    api,
                    C_GenerateKeyPair(
                        session,
                        &raw mut pair,
                        at,
                        count,
                        at,
                        count,
                        public,
                        private
                    )
                ),
                call!(api, C_FindObjectsInit(session, at, count)),
            ];
            let _ = call!(api, C_FindObjectsFinal(session));
            // Some may be indestructible.
            for object in made {
                let _ = call!(api, C_DestroyObject(session, object));
            }
            for rv in answers {
                prop_assert!(is_sound(rv), "{rv:#x}");
            }
            let (mut places, kept) = AnyTemplate::to_fill(&mut bytes);
            let (at, count) = places.parts();
            let rv = call!(api, C_GetAttributeValue(session, key, at, count));
            prop_assert!(is_sound(rv), "{rv:#x}");
            prop_assert!(kept(&places), "it was written beyond the room");
            Ok(())
        })
        .unwrap();
    for key in keys {
        assert!(api.get(session, key, CKA_CLASS).is_ok(), "they are there");
    }
}

#[test]
fn any_mechanism_is_served_or_refused() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let keys = keys(&running, session);
    let known = mechanisms(&api);
    let any = proptest::collection::vec(any::<u8>(), 0..300);
    TestRunner::new(cases())
        .run(&any, |bytes| {
            let mut bytes = Bytes(&bytes);
            let mut how = AnyMechanism::of(&mut bytes, &known);
            let how = &raw mut how.mechanism;
            let key = keys[usize::from(bytes.byte() % 4)];
            let mut made = 0;
            let mut wrapped = [0xa5; 96];
            let mut length = 80;
            let answers = [
                call!(api, C_EncryptInit(session, how, key)),
                call!(api, C_DecryptInit(session, how, key)),
                call!(api, C_SignInit(session, how, key)),
                call!(api, C_VerifyInit(session, how, key)),
                call!(api, C_DigestInit(session, how)),
                call!(
                    api,
                    C_DeriveKey(session, how, key, null_mut(), 0, &raw mut made)
                ),
                call!(
                    api,
                    C_WrapKey(
                        session,
                        how,
                        key,
                        keys[0],
                        wrapped.as_mut_ptr(),
                        &raw mut length
                    )
                ),
            ];
            for rv in answers {
                prop_assert!(is_sound(rv), "{rv:#x}");
            }
            prop_assert!(wrapped[80..].iter().all(|byte| *byte == 0xa5));
            // What began goes on, or is refused now.
            let (mut data, mut out, mut room) = ([7; 48], [0xa5; 96], 80);
            let (data, place) = (data.as_mut_ptr(), out.as_mut_ptr());
            let ends = [
                call!(api, C_Encrypt(session, data, 48, place, &raw mut room)),
                call!(api, C_Decrypt(session, data, 48, place, &raw mut room)),
                call!(api, C_Sign(session, data, 48, place, &raw mut room)),
                call!(api, C_Digest(session, data, 48, place, &raw mut room)),
                call!(api, C_Verify(session, data, 48, place, 64)),
            ];
            for rv in ends {
                prop_assert!(is_sound(rv), "{rv:#x}");
            }
            prop_assert!(out[80..].iter().all(|byte| *byte == 0xa5));
            let _ = call!(api, C_SessionCancel(session, CK_FLAGS::MAX));
            Ok(())
        })
        .unwrap();
}

fn mechanisms(api: &Api) -> Vec<CK_MECHANISM_TYPE> {
    let mut count = 0;
    let rv = call!(api, C_GetMechanismList(0, null_mut(), &raw mut count));
    assert_eq!(rv, CKR_OK);
    let mut list = vec![0; count as usize];
    let rv = call!(
        api,
        C_GetMechanismList(0, list.as_mut_ptr(), &raw mut count)
    );
    assert_eq!(rv, CKR_OK);
    list
}
