//! What the module makes of its token: released keys, what is known for how long, faults, pages.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unsafe_code,
    reason = "tests"
)]

mod support;

use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cryptoki_sys::*;
use support::api::{How, V, call};
use support::memory::RELEASABLE;
use support::run;

fn aes<'a>(more: &[(CK_ATTRIBUTE_TYPE, V<'a>)]) -> Vec<(CK_ATTRIBUTE_TYPE, V<'a>)> {
    [&[(CKA_VALUE_LEN, V::N(32))][..], more].concat()
}

#[test]
fn released_keys_work_here_and_are_forgotten() {
    let running = run();
    let (api, session, token) = (running.api, running.session(), &running.token);
    token.keep_for.store(150, Ordering::SeqCst);
    let template = aes(&[(CKA_TOKEN, V::Yes), (CKA_LABEL, V::B(RELEASABLE))]);
    let key = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &template)
        .unwrap();
    let vendor = api.get(
        session,
        key,
        strongroom_pkcs11::object::CKA_STRONGROOM_OPERATIONS,
    );
    assert_eq!(vendor, Ok(b"process".to_vec()));
    let how = || How::gcm(&[1; 12], b"aad", 128);
    let sealed = api.encrypt(session, how(), key, b"hello").unwrap();
    for _ in 0..10 {
        assert_eq!(api.decrypt(session, how(), key, &sealed).unwrap(), b"hello");
    }
    assert_eq!(token.releases.load(Ordering::SeqCst), 1);
    assert_eq!(token.operations.load(Ordering::SeqCst), 0, "no round trip");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(api.decrypt(session, how(), key, &sealed).unwrap(), b"hello");
    assert_eq!(
        token.releases.load(Ordering::SeqCst),
        2,
        "its time was over"
    );
    // An appliance that does not answer takes nothing away that may be kept.
    token.keep_for.store(60_000, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(api.decrypt(session, how(), key, &sealed).unwrap(), b"hello");
    token.broken.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(api.decrypt(session, how(), key, &sealed).unwrap(), b"hello");
    token.heal();
    token.relabel(b"another policy");
    // Without a release the token does it.
    std::thread::sleep(Duration::from_millis(1100));
    token.keeps_all.store(true, Ordering::SeqCst);
    assert_eq!(api.decrypt(session, how(), key, &sealed).unwrap(), b"hello");
    assert_eq!(token.operations.load(Ordering::SeqCst), 1);
    for (mechanism, parameter) in [(CKM_AES_CBC, &[3; 16][..]), (CKM_AES_ECB, &[])] {
        let how = || How::bytes(mechanism, parameter);
        let parts = api
            .encrypt_parts(session, how(), key, &[&[1; 9], &[2; 30], &[3; 9]])
            .unwrap();
        assert_eq!(
            api.decrypt(session, how(), key, &parts).unwrap(),
            [&[1; 9][..], &[2; 30], &[3; 9]].concat()
        );
    }
}

#[test]
fn what_the_appliance_judges_each_time_is_asked_for_each_time() {
    let running = run();
    let (api, session, token) = (running.api, running.session(), &running.token);
    let template = aes(&[(CKA_TOKEN, V::Yes), (CKA_LABEL, V::B(RELEASABLE))]);
    let key = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &template)
        .unwrap();
    let how = || How::gcm(&[1; 12], b"aad", 128);
    let releases = || token.releases.load(Ordering::SeqCst);
    let sealed = api.encrypt(session, how(), key, b"hello").unwrap();
    let opens = || api.decrypt(session, how(), key, &sealed);
    assert_eq!(opens().unwrap(), b"hello");
    assert_eq!(releases(), 1, "it is kept");
    // A policy says now how often it is released: within a second that is heard of, and what was kept is gone.
    token.asks_again.store(true, Ordering::SeqCst);
    token.change_policy();
    std::thread::sleep(Duration::from_millis(1050));
    for released in 2..6 {
        assert_eq!(opens().unwrap(), b"hello");
        assert_eq!(releases(), released);
    }
    assert_eq!(token.operations.load(Ordering::SeqCst), 0);
    // One operation is one use, in however many parts.
    let parts: &[&[u8]] = &[&[1; 9], &[2; 30], &[3; 9]];
    let cbc = How::bytes(CKM_AES_CBC, &[3; 16]);
    api.encrypt_parts(session, cbc, key, parts).unwrap();
    assert_eq!(releases(), 6);
    // It is not used while the appliance is away, either.
    token.broken.store(true, Ordering::SeqCst);
    assert_eq!(opens(), Err(CKR_DEVICE_ERROR));
    token.heal();
    // When no more releases are allowed, the token does it.
    token.keeps_all.store(true, Ordering::SeqCst);
    assert_eq!(opens().unwrap(), b"hello");
    assert_eq!(releases(), 6);
    assert_eq!(token.operations.load(Ordering::SeqCst), 1);
    token.keeps_all.store(false, Ordering::SeqCst);
    token.asks_again.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(opens().unwrap(), b"hello");
    }
    assert_eq!(releases(), 7, "it is kept again");
}

#[test]
fn what_another_client_changed_is_seen_within_a_second() {
    let running = run();
    let (api, session, token) = (running.api, running.session(), &running.token);
    let key = api
        .generate(
            session,
            How::plain(CKM_AES_KEY_GEN),
            &aes(&[(CKA_TOKEN, V::Yes)]),
        )
        .unwrap();
    let calls = token.calls.load(Ordering::SeqCst);
    for _ in 0..100 {
        api.get(session, key, CKA_LABEL).unwrap();
    }
    assert!(token.calls.load(Ordering::SeqCst) <= calls + 1, "known");
    token.relabel(b"theirs");
    std::thread::sleep(Duration::from_millis(1050));
    assert_eq!(api.get(session, key, CKA_LABEL).unwrap(), b"theirs");
    token.destroy_all();
    std::thread::sleep(Duration::from_millis(1050));
    assert_eq!(
        api.get(session, key, CKA_LABEL),
        Err(CKR_OBJECT_HANDLE_INVALID)
    );
}

#[test]
fn faults_of_the_token_are_told_and_pass() {
    let running = run();
    let (api, session, token) = (running.api, running.session(), &running.token);
    let key = api
        .generate(
            session,
            How::plain(CKM_AES_KEY_GEN),
            &aes(&[(CKA_TOKEN, V::Yes)]),
        )
        .unwrap();
    let how = || How::bytes(CKM_AES_CBC, &[0; 16]);
    token.broken.store(true, Ordering::SeqCst);
    assert_eq!(
        api.encrypt(session, how(), key, &[0; 16]),
        Err(CKR_DEVICE_ERROR)
    );
    assert_eq!(api.find(session, &[], 5), Err(CKR_DEVICE_ERROR));
    token.heal();
    assert!(
        api.encrypt(session, how(), key, &[0; 16]).is_ok(),
        "handles stay good"
    );
    // An answer that is lost makes no second key.
    token.lost_answers.store(1, Ordering::SeqCst);
    let before = token.count();
    api.generate(
        session,
        How::plain(CKM_AES_KEY_GEN),
        &aes(&[(CKA_TOKEN, V::Yes)]),
    )
    .unwrap();
    assert_eq!(token.count(), before + 1);
    // A panic is a fault, and nothing worse.
    token.panics.store(true, Ordering::SeqCst);
    assert_eq!(
        api.encrypt(session, how(), key, &[0; 16]),
        Err(CKR_GENERAL_ERROR)
    );
    assert!(api.encrypt(session, how(), key, &[0; 16]).is_ok());
    // A slow call of one session holds up nobody in another.
    token.delay.store(1500, Ordering::SeqCst);
    let slow = std::thread::spawn(move || {
        let session = api.open(0, 0).unwrap();
        api.find(session, &[], 5).map(|_| ())
    });
    std::thread::sleep(Duration::from_millis(50));
    let mut random = [0; 16];
    assert_eq!(
        call!(api, C_GenerateRandom(session, random.as_mut_ptr(), 16)),
        CKR_OK
    );
    let soft = api.open(0, 0).unwrap();
    assert_eq!(call!(api, C_CloseSession(soft)), CKR_OK);
    assert!(!slow.is_finished());
    slow.join().unwrap().unwrap();
}

#[test]
fn pages_bring_everything_once() {
    let running = run();
    let (api, session) = (running.api, running.session());
    for number in 0..70_u64 {
        let id = number.to_be_bytes();
        api.create(
            session,
            &[
                (CKA_CLASS, V::N(CKO_DATA)),
                (CKA_TOKEN, V::Yes),
                (CKA_LABEL, V::B(&id)),
            ],
        )
        .unwrap();
    }
    let calls = running.token.calls.load(Ordering::SeqCst);
    let one = api
        .find(session, &[(CKA_LABEL, V::B(&7_u64.to_be_bytes()))], 1)
        .unwrap();
    assert!(
        running.token.calls.load(Ordering::SeqCst) <= calls + 2,
        "two round trips at most"
    );
    assert_eq!(
        api.get(session, one[0], CKA_LABEL).unwrap(),
        7_u64.to_be_bytes()
    );
    assert!(
        running.token.calls.load(Ordering::SeqCst) <= calls + 2,
        "found objects come with their attributes"
    );

    assert_eq!(
        call!(api, C_FindObjectsInit(session, null_mut(), 0)),
        CKR_OK
    );
    assert_eq!(
        call!(api, C_FindObjectsInit(session, null_mut(), 0)),
        CKR_OPERATION_ACTIVE
    );
    let mut all = Vec::new();
    loop {
        let (mut some, mut count) = ([0; 9], 0);
        assert_eq!(
            call!(
                api,
                C_FindObjects(session, some.as_mut_ptr(), 9, &raw mut count)
            ),
            CKR_OK
        );
        if count == 0 {
            break;
        }
        all.extend_from_slice(&some[..count as usize]);
    }
    assert_eq!(call!(api, C_FindObjectsFinal(session)), CKR_OK);
    assert_eq!(
        call!(api, C_FindObjectsFinal(session)),
        CKR_OPERATION_NOT_INITIALIZED
    );
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 70);
    assert!(all.contains(&one[0]), "an object has one handle");
}
