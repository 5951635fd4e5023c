//! How the module answers: the standard's conventions, who may see and do what, and faults of the token.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unsafe_code,
    reason = "tests"
)]

mod support;

use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cryptoki_sys::*;
use support::api::{How, V, call};
use support::memory::RELEASABLE;
use support::{PIN, run};

const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

fn aes<'a>(more: &[(CK_ATTRIBUTE_TYPE, V<'a>)]) -> Vec<(CK_ATTRIBUTE_TYPE, V<'a>)> {
    [&[(CKA_VALUE_LEN, V::N(32))][..], more].concat()
}

#[test]
fn interfaces_and_lists() {
    let running = run();
    let api = running.api;
    let mut count = 0;
    assert_eq!(
        call!(api, C_GetInterfaceList(null_mut(), &raw mut count)),
        CKR_OK
    );
    assert_eq!(count, 3);
    for (version, found) in [
        ((2, 40), true),
        ((3, 0), true),
        ((3, 2), true),
        ((3, 1), false),
    ] {
        let version = CK_VERSION {
            major: version.0,
            minor: version.1,
        };
        assert_eq!(api.interface(Some(version)).is_ok(), found);
    }
    let interface = api.interface(None).unwrap();
    // SAFETY: the interface that was given, and its list's version.
    let version = unsafe { (*interface).pFunctionList.cast::<CK_VERSION>().read() };
    assert_eq!((version.major, version.minor), (3, 0));
    assert_eq!(call!(api, C_GetInfo(null_mut())), CKR_ARGUMENTS_BAD);
    let mut info = CK_INFO::default();
    assert_eq!(call!(api, C_GetInfo(&raw mut info)), CKR_OK);
    assert_eq!(
        api.initialize(support::configuration()),
        CKR_CRYPTOKI_ALREADY_INITIALIZED
    );

    let mut count = 0;
    assert_eq!(
        call!(api, C_GetMechanismList(0, null_mut(), &raw mut count)),
        CKR_OK
    );
    let mut list = vec![0; count as usize];
    count -= 1;
    assert_eq!(
        call!(
            api,
            C_GetMechanismList(0, list.as_mut_ptr(), &raw mut count)
        ),
        CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(count, list.len() as CK_ULONG);
    assert_eq!(
        call!(
            api,
            C_GetMechanismList(0, list.as_mut_ptr(), &raw mut count)
        ),
        CKR_OK
    );
    assert!(list.contains(&CKM_AES_GCM) && list.contains(&CKM_ML_KEM));
    assert!(
        !list.contains(&CKM_SHA1_RSA_PKCS),
        "the domain's policies forbid it"
    );
    let mut info = CK_MECHANISM_INFO::default();
    assert_eq!(
        call!(api, C_GetMechanismInfo(0, CKM_SHA1_RSA_PKCS, &raw mut info)),
        CKR_MECHANISM_INVALID
    );
    assert_eq!(
        call!(api, C_GetMechanismInfo(0, CKM_RSA_PKCS, &raw mut info)),
        CKR_OK
    );
    assert_eq!(info.ulMinKeySize, 2048);
    let mut token = CK_TOKEN_INFO::default();
    assert_eq!(
        call!(api, C_GetTokenInfo(7, &raw mut token)),
        CKR_SLOT_ID_INVALID
    );
}

#[test]
fn lengths_are_told_without_the_operation() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let token = (CKA_TOKEN, V::Yes);
    let (_, private) = api
        .generate_pair(
            session,
            How::plain(CKM_EC_KEY_PAIR_GEN),
            &[(CKA_EC_PARAMS, V::B(P256)), token.clone()],
            &[token],
        )
        .unwrap();
    api.sign_init(session, How::plain(CKM_ECDSA), private)
        .unwrap();
    let digest = [7_u8; 32];
    let before = running.token.calls.load(Ordering::SeqCst);
    let mut length = 0;
    let mut sign = |out: *mut u8, length: &mut CK_ULONG| {
        call!(
            api,
            C_Sign(session, digest.as_ptr().cast_mut(), 32, out, length)
        )
    };
    assert_eq!(sign(null_mut(), &mut length), CKR_OK);
    assert_eq!(length, 64);
    let mut out = [0; 64];
    length = 63;
    assert_eq!(sign(out.as_mut_ptr(), &mut length), CKR_BUFFER_TOO_SMALL);
    assert_eq!(length, 64);
    assert_eq!(
        running.token.calls.load(Ordering::SeqCst),
        before,
        "the token was not asked"
    );
    assert_eq!(sign(out.as_mut_ptr(), &mut length), CKR_OK);
    assert_eq!(running.token.operations.load(Ordering::SeqCst), 1);
    assert_eq!(
        sign(out.as_mut_ptr(), &mut length),
        CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(
        call!(
            api,
            C_Sign(session, null_mut(), 32, out.as_mut_ptr(), &raw mut length)
        ),
        CKR_ARGUMENTS_BAD
    );
    assert_eq!(
        call!(
            api,
            C_Sign(
                session,
                out.as_mut_ptr(),
                CK_ULONG::MAX,
                out.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_ARGUMENTS_BAD
    );
    assert_eq!(
        call!(
            api,
            C_Sign(session, out.as_mut_ptr(), 1, out.as_mut_ptr(), null_mut())
        ),
        CKR_ARGUMENTS_BAD
    );
}

#[test]
fn attributes_are_given_as_far_as_they_can_be() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let key = api
        .generate(
            session,
            How::plain(CKM_AES_KEY_GEN),
            &aes(&[(CKA_LABEL, V::B(b"k")), (CKA_TOKEN, V::Yes)]),
        )
        .unwrap();
    let (mut value, mut label, mut length) = ([0_u8; 32], [0_u8; 9], [0_u8; 4]);
    let mut wanted = [
        CK_ATTRIBUTE {
            type_: CKA_VALUE,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: 32,
        },
        CK_ATTRIBUTE {
            type_: CKA_LABEL,
            pValue: label.as_mut_ptr().cast(),
            ulValueLen: 9,
        },
        CK_ATTRIBUTE {
            type_: CKA_VALUE_LEN,
            pValue: length.as_mut_ptr().cast(),
            ulValueLen: 4,
        },
        CK_ATTRIBUTE {
            type_: CKA_MODULUS,
            pValue: null_mut(),
            ulValueLen: 0,
        },
    ];
    let rv = call!(
        api,
        C_GetAttributeValue(session, key, wanted.as_mut_ptr(), 4)
    );
    assert_eq!(rv, CKR_ATTRIBUTE_SENSITIVE);
    assert_eq!(
        wanted.map(|line| line.ulValueLen),
        [
            CK_UNAVAILABLE_INFORMATION,
            1,
            CK_UNAVAILABLE_INFORMATION,
            CK_UNAVAILABLE_INFORMATION
        ]
    );
    assert_eq!(label[0], b'k');
    assert_eq!(value, [0; 32]);
    wanted[2].ulValueLen = 4;
    let rv = call!(
        api,
        C_GetAttributeValue(session, key, &raw mut wanted[2], 1)
    );
    assert_eq!(rv, CKR_BUFFER_TOO_SMALL);

    // One that may be shown is.
    let open = api
        .create(
            session,
            &[
                (CKA_CLASS, V::N(CKO_SECRET_KEY)),
                (CKA_KEY_TYPE, V::N(CKK_AES)),
                (CKA_VALUE, V::B(&[5; 16])),
                (CKA_SENSITIVE, V::No),
                (CKA_EXTRACTABLE, V::Yes),
                (CKA_TOKEN, V::Yes),
                (CKA_VENDOR_DEFINED | 7, V::B(b"mine")),
            ],
        )
        .unwrap();
    assert_eq!(api.get(session, open, CKA_VALUE), Ok(vec![5; 16]));
    assert_eq!(
        api.get(session, open, CKA_VENDOR_DEFINED | 7),
        Ok(b"mine".to_vec())
    );
    assert_eq!(
        api.get(session, open, CKA_ALWAYS_SENSITIVE),
        Ok(vec![CK_FALSE])
    );
    api.set(session, open, &[(CKA_SENSITIVE, V::Yes)]).unwrap();
    assert_eq!(
        api.get(session, open, CKA_VALUE),
        Err(CKR_ATTRIBUTE_SENSITIVE)
    );
    assert_eq!(
        api.set(session, open, &[(CKA_SENSITIVE, V::No)]),
        Err(CKR_ATTRIBUTE_READ_ONLY)
    );
    // A template within the template is kept, and comes back.
    let mut inner = support::api::Template::new(&[(CKA_EXTRACTABLE, V::Yes)]);
    // SAFETY: the bytes of an array of attributes, which lives until the call is over.
    let bytes = unsafe {
        std::slice::from_raw_parts(
            inner.attributes.as_mut_ptr().cast::<u8>(),
            size_of::<CK_ATTRIBUTE>(),
        )
    };
    let wrapping = api
        .generate(
            session,
            How::plain(CKM_AES_KEY_GEN),
            &aes(&[(CKA_WRAP_TEMPLATE, V::B(bytes))]),
        )
        .unwrap();
    let kept = api.get(session, wrapping, CKA_WRAP_TEMPLATE);
    assert_eq!(kept.map(|kept| kept.len()), Ok(size_of::<CK_ATTRIBUTE>()));
    assert_eq!(
        api.wrap(session, How::plain(CKM_AES_KEY_WRAP), wrapping, key),
        Err(CKR_KEY_UNEXTRACTABLE)
    );
    assert_eq!(
        api.wrap(session, How::plain(CKM_AES_KEY_WRAP), wrapping, open)
            .map(|wrapped| wrapped.len()),
        Ok(24)
    );
}

#[test]
fn private_objects_are_for_those_who_signed_in() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let reading = api.open(0, 0).unwrap();
    let template = aes(&[(CKA_TOKEN, V::Yes), (CKA_LABEL, V::B(b"p"))]);
    assert_eq!(
        api.generate(reading, How::plain(CKM_AES_KEY_GEN), &template),
        Err(CKR_SESSION_READ_ONLY)
    );
    let key = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &template)
        .unwrap();
    let mine = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &aes(&[]))
        .unwrap();
    let open = api
        .create(
            session,
            &[
                (CKA_CLASS, V::N(CKO_DATA)),
                (CKA_VALUE, V::B(b"x")),
                (CKA_TOKEN, V::Yes),
            ],
        )
        .unwrap();
    assert_eq!(
        api.find(session, &[(CKA_LABEL, V::B(b"p"))], 9),
        Ok(vec![key])
    );
    assert_eq!(call!(api, C_Logout(session)), CKR_OK);
    assert_eq!(call!(api, C_Logout(session)), CKR_USER_NOT_LOGGED_IN);
    for gone in [key, mine] {
        assert_eq!(
            api.get(session, gone, CKA_LABEL),
            Err(CKR_OBJECT_HANDLE_INVALID)
        );
    }
    assert_eq!(api.find(session, &[], 9), Ok(vec![open]));
    assert_eq!(
        api.generate(session, How::plain(CKM_AES_KEY_GEN), &template),
        Err(CKR_USER_NOT_LOGGED_IN)
    );
    assert_eq!(api.login(session, CKU_USER, b"wrong"), CKR_PIN_INCORRECT);
    assert_eq!(api.login(session, CKU_SO, PIN), CKR_USER_TYPE_INVALID);
    assert_eq!(api.login(session, CKU_USER, PIN), CKR_OK);
    assert_eq!(
        api.login(reading, CKU_USER, PIN),
        CKR_USER_ALREADY_LOGGED_IN
    );
    assert_eq!(
        api.find(session, &[(CKA_LABEL, V::B(b"p"))], 9)
            .unwrap()
            .len(),
        1
    );
    // With its session an object goes, and with the last session the sign-in.
    let other = api.open(0, CKF_RW_SESSION).unwrap();
    let theirs = api
        .generate(other, How::plain(CKM_AES_KEY_GEN), &aes(&[]))
        .unwrap();
    assert!(api.get(session, theirs, CKA_CLASS).is_ok());
    assert_eq!(call!(api, C_CloseSession(other)), CKR_OK);
    assert_eq!(
        api.get(session, theirs, CKA_CLASS),
        Err(CKR_OBJECT_HANDLE_INVALID)
    );
    assert_eq!(call!(api, C_CloseAllSessions(0)), CKR_OK);
    assert_eq!(
        api.get(session, key, CKA_CLASS),
        Err(CKR_SESSION_HANDLE_INVALID)
    );
    let session = api.open(0, 0).unwrap();
    let mut info = CK_SESSION_INFO::default();
    assert_eq!(call!(api, C_GetSessionInfo(session, &raw mut info)), CKR_OK);
    assert_eq!(info.state, CKS_RO_PUBLIC_SESSION);
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
    // Without a release the token does it.
    std::thread::sleep(Duration::from_millis(300));
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
    let begin = Instant::now();
    while api.get(session, key, CKA_LABEL).unwrap() != b"theirs" {
        assert!(begin.elapsed() < Duration::from_millis(1200));
        std::thread::sleep(Duration::from_millis(20));
    }
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
    token.delay.store(400, Ordering::SeqCst);
    let slow = std::thread::spawn(move || {
        let session = api.open(0, 0).unwrap();
        api.find(session, &[], 5).map(|_| ())
    });
    std::thread::sleep(Duration::from_millis(50));
    let begin = Instant::now();
    let mut random = [0; 16];
    assert_eq!(
        call!(api, C_GenerateRandom(session, random.as_mut_ptr(), 16)),
        CKR_OK
    );
    let soft = api.open(0, 0).unwrap();
    assert_eq!(call!(api, C_CloseSession(soft)), CKR_OK);
    assert!(begin.elapsed() < Duration::from_millis(200));
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

#[test]
fn state_of_a_digest_moves_to_another_session() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let other = api.open(0, 0).unwrap();
    let mut how = CK_MECHANISM {
        mechanism: CKM_SHA3_256,
        pParameter: null_mut(),
        ulParameterLen: 0,
    };
    assert_eq!(call!(api, C_DigestInit(session, &raw mut how)), CKR_OK);
    assert_eq!(
        call!(api, C_DigestUpdate(session, b"ab".as_ptr().cast_mut(), 2)),
        CKR_OK
    );
    let mut state = [0; 600];
    let mut length = 600;
    assert_eq!(
        call!(
            api,
            C_GetOperationState(session, state.as_mut_ptr(), &raw mut length)
        ),
        CKR_OK
    );
    assert_eq!(
        call!(
            api,
            C_SetOperationState(other, state.as_mut_ptr(), length - 1, 0, 0)
        ),
        CKR_SAVED_STATE_INVALID
    );
    assert_eq!(
        call!(
            api,
            C_SetOperationState(other, state.as_mut_ptr(), length, 0, 0)
        ),
        CKR_OK
    );
    assert_eq!(
        call!(api, C_DigestUpdate(other, b"c".as_ptr().cast_mut(), 1)),
        CKR_OK
    );
    let (mut digest, mut length) = ([0; 32], 32);
    assert_eq!(
        call!(
            api,
            C_DigestFinal(other, digest.as_mut_ptr(), &raw mut length)
        ),
        CKR_OK
    );
    assert_eq!(
        hex::encode(digest),
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
    );
    assert_eq!(call!(api, C_SessionCancel(session, CKF_DIGEST)), CKR_OK);
    assert_eq!(
        call!(
            api,
            C_DigestFinal(session, digest.as_mut_ptr(), &raw mut length)
        ),
        CKR_OPERATION_NOT_INITIALIZED
    );
}

#[test]
fn a_key_that_asks_each_time_is_asked_for_each_time() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let (public, private) = api
        .generate_pair(
            session,
            How::plain(CKM_EC_KEY_PAIR_GEN),
            &[(CKA_EC_PARAMS, V::B(P256)), (CKA_TOKEN, V::Yes)],
            &[(CKA_TOKEN, V::Yes), (CKA_ALWAYS_AUTHENTICATE, V::Yes)],
        )
        .unwrap();
    assert_eq!(
        api.login(session, CKU_CONTEXT_SPECIFIC, PIN),
        CKR_OPERATION_NOT_INITIALIZED
    );
    api.sign_init(session, How::plain(CKM_ECDSA_SHA256), private)
        .unwrap();
    assert_eq!(api.login(session, CKU_CONTEXT_SPECIFIC, PIN), CKR_OK);
    let (mut out, mut length) = ([0; 64], 64);
    let data = b"data";
    assert_eq!(
        call!(
            api,
            C_Sign(
                session,
                data.as_ptr().cast_mut(),
                4,
                out.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_OK
    );
    assert_eq!(
        api.verify(session, How::plain(CKM_ECDSA_SHA256), public, data, &out),
        Ok(())
    );
    assert_eq!(
        api.verify(session, How::plain(CKM_ECDSA_SHA256), public, b"date", &out),
        Err(CKR_SIGNATURE_INVALID)
    );
    assert_eq!(
        api.sign(session, How::plain(CKM_ECDSA_SHA256), private, data),
        Err(CKR_USER_NOT_LOGGED_IN)
    );
}

#[test]
fn session_key_pairs_and_copies() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let rsa = [
        (CKA_MODULUS_BITS, V::N(2048)),
        (CKA_PUBLIC_EXPONENT, V::B(&[1, 0, 1])),
    ];
    let (public, private) = api
        .generate_pair(
            session,
            How::plain(CKM_RSA_PKCS_KEY_PAIR_GEN),
            &rsa,
            &[(CKA_EXTRACTABLE, V::Yes)],
        )
        .unwrap();
    // What Java's keytool does: a session key pair becomes the token's by a copy.
    let kept = api
        .copy(
            session,
            private,
            &[(CKA_TOKEN, V::Yes), (CKA_LABEL, V::B(b"kept"))],
        )
        .unwrap();
    let pss = CK_RSA_PKCS_PSS_PARAMS {
        hashAlg: CKM_SHA256,
        mgf: CKG_MGF1_SHA256,
        sLen: 20,
    };
    for key in [private, kept] {
        for how in [
            |_: &CK_RSA_PKCS_PSS_PARAMS| How::plain(CKM_SHA256_RSA_PKCS),
            |pss: &CK_RSA_PKCS_PSS_PARAMS| How::of(CKM_SHA256_RSA_PKCS_PSS, pss),
        ] {
            let signature = api
                .sign_parts(session, how(&pss), key, &[b"da", b"ta"])
                .unwrap();
            assert_eq!(
                api.verify(session, how(&pss), public, b"data", &signature),
                Ok(())
            );
        }
        let raw = api
            .sign(session, How::plain(CKM_RSA_PKCS), key, b"no digest at all")
            .unwrap();
        assert_eq!(
            api.verify(
                session,
                How::plain(CKM_RSA_PKCS),
                public,
                b"no digest at all",
                &raw
            ),
            Ok(())
        );
        for mechanism in [CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP] {
            let oaep = CK_RSA_PKCS_OAEP_PARAMS {
                hashAlg: CKM_SHA256,
                mgf: CKG_MGF1_SHA256,
                source: CKZ_DATA_SPECIFIED,
                pSourceData: null_mut(),
                ulSourceDataLen: 0,
            };
            let how = || {
                if mechanism == CKM_RSA_PKCS {
                    How::plain(mechanism)
                } else {
                    How::of(mechanism, &oaep)
                }
            };
            let sealed = api.encrypt(session, how(), public, b"secret").unwrap();
            assert_eq!(
                api.decrypt(session, how(), key, &sealed).unwrap(),
                b"secret"
            );
        }
    }
    // A private key goes out wrapped and comes back the same.
    let wrapping = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &aes(&[]))
        .unwrap();
    let wrapped = api
        .wrap(session, How::plain(CKM_AES_KEY_WRAP_KWP), wrapping, private)
        .unwrap();
    let template = [
        (CKA_CLASS, V::N(CKO_PRIVATE_KEY)),
        (CKA_KEY_TYPE, V::N(CKK_RSA)),
    ];
    let back = api
        .unwrap(
            session,
            How::plain(CKM_AES_KEY_WRAP_PAD),
            wrapping,
            &wrapped,
            &template,
        )
        .unwrap();
    let signature = api
        .sign(session, How::plain(CKM_SHA512_RSA_PKCS), back, b"data")
        .unwrap();
    assert_eq!(
        api.verify(
            session,
            How::plain(CKM_SHA512_RSA_PKCS),
            public,
            b"data",
            &signature
        ),
        Ok(())
    );
    assert_eq!(
        api.unwrap(
            session,
            How::plain(CKM_AES_KEY_WRAP_PAD),
            wrapping,
            &[9; 32],
            &template
        ),
        Err(CKR_WRAPPED_KEY_INVALID)
    );
}

#[test]
fn two_sides_agree() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let curves: [(&[u8], _, _); 3] = [
        (P256, CKM_EC_KEY_PAIR_GEN, false),
        (P256, CKM_EC_KEY_PAIR_GEN, true),
        (b"\x13\x0acurve25519", CKM_EC_MONTGOMERY_KEY_PAIR_GEN, false),
    ];
    for (parameters, mechanism, in_token) in curves {
        let place = (CKA_TOKEN, if in_token { V::Yes } else { V::No });
        let pair = || {
            api.generate_pair(
                session,
                How::plain(mechanism),
                &[(CKA_EC_PARAMS, V::B(parameters)), place.clone()],
                &[(CKA_DERIVE, V::Yes), place.clone()],
            )
            .unwrap()
        };
        let ((a_public, a), (b_public, b)) = (pair(), pair());
        let secret = |private, public| {
            let point = api.get(session, public, CKA_EC_POINT).unwrap();
            let parameter = CK_ECDH1_DERIVE_PARAMS {
                kdf: CKD_SHA256_KDF,
                ulSharedDataLen: 0,
                pSharedData: null_mut(),
                ulPublicDataLen: point.len() as CK_ULONG,
                pPublicData: point.as_ptr().cast_mut(),
            };
            let template = [
                (CKA_CLASS, V::N(CKO_SECRET_KEY)),
                (CKA_KEY_TYPE, V::N(CKK_AES)),
                (CKA_VALUE_LEN, V::N(32)),
                (CKA_SENSITIVE, V::No),
                (CKA_EXTRACTABLE, V::Yes),
            ];
            let key = api
                .derive(
                    session,
                    How::of(CKM_ECDH1_DERIVE, &parameter),
                    private,
                    &template,
                )
                .unwrap();
            api.get(session, key, CKA_VALUE).unwrap()
        };
        assert_eq!(secret(a, b_public), secret(b, a_public));
    }
    let set = [(CKA_PARAMETER_SET, V::N(CKP_ML_KEM_768))];
    let (public, private) = api
        .generate_pair(session, How::plain(CKM_ML_KEM_KEY_PAIR_GEN), &set, &[])
        .unwrap();
    let mut how = CK_MECHANISM {
        mechanism: CKM_ML_KEM,
        pParameter: null_mut(),
        ulParameterLen: 0,
    };
    let mut template = support::api::Template::new(&[
        (CKA_SENSITIVE, V::No),
        (CKA_EXTRACTABLE, V::Yes),
        (CKA_KEY_TYPE, V::N(CKK_GENERIC_SECRET)),
    ]);
    let (attributes, count) = template.parts();
    let (mut length, mut ours, mut theirs) = (0, 0, 0);
    assert_eq!(
        call!(
            api,
            C_EncapsulateKey(
                session,
                &raw mut how,
                public,
                attributes,
                count,
                null_mut(),
                &raw mut length,
                null_mut()
            )
        ),
        CKR_OK
    );
    let mut ciphertext = vec![0; length as usize];
    assert_eq!(
        call!(
            api,
            C_EncapsulateKey(
                session,
                &raw mut how,
                public,
                attributes,
                count,
                ciphertext.as_mut_ptr(),
                &raw mut length,
                &raw mut ours
            )
        ),
        CKR_OK
    );
    assert_eq!(
        call!(
            api,
            C_DecapsulateKey(
                session,
                &raw mut how,
                private,
                attributes,
                count,
                ciphertext.as_mut_ptr(),
                length,
                &raw mut theirs
            )
        ),
        CKR_OK
    );
    assert_eq!(
        api.get(session, ours, CKA_VALUE).unwrap(),
        api.get(session, theirs, CKA_VALUE).unwrap()
    );

    let set = [(CKA_PARAMETER_SET, V::N(CKP_ML_DSA_65))];
    let (public, private) = api
        .generate_pair(session, How::plain(CKM_ML_DSA_KEY_PAIR_GEN), &set, &[])
        .unwrap();
    let signature = api
        .sign(session, How::plain(CKM_ML_DSA), private, b"data")
        .unwrap();
    assert_eq!(
        api.verify(session, How::plain(CKM_ML_DSA), public, b"data", &signature),
        Ok(())
    );
}

#[test]
fn in_place_and_in_pieces() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let key = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &aes(&[]))
        .unwrap();
    let text: Vec<u8> = (0..100).collect();
    let counter = CK_AES_CTR_PARAMS {
        ulCounterBits: 128,
        cb: [0xff; 16],
    };
    let whole = api
        .encrypt(session, How::of(CKM_AES_CTR, &counter), key, &text)
        .unwrap();
    let (a, b) = text.split_at(37);
    let pieces: Vec<&[u8]> = a.chunks(5).chain(b.chunks(21)).collect();
    assert_eq!(
        api.encrypt_parts(session, How::of(CKM_AES_CTR, &counter), key, &pieces)
            .unwrap(),
        whole
    );
    let counter = CK_AES_CTR_PARAMS {
        ulCounterBits: 8,
        cb: [0xfe; 16],
    };
    assert_eq!(
        api.encrypt(session, How::of(CKM_AES_CTR, &counter), key, &text),
        Err(CKR_DATA_LEN_RANGE)
    );
    // The application's buffer for data and outcome may be one and the same.
    let how = || How::bytes(CKM_AES_CBC_PAD, &[9; 16]);
    let sealed = api.encrypt(session, how(), key, &text).unwrap();
    let mut buffer = [&text[..], &[0; 12]].concat();
    let mut iv = [9_u8; 16];
    let mut mechanism = CK_MECHANISM {
        mechanism: CKM_AES_CBC_PAD,
        pParameter: iv.as_mut_ptr().cast(),
        ulParameterLen: 16,
    };
    assert_eq!(
        call!(api, C_EncryptInit(session, &raw mut mechanism, key)),
        CKR_OK
    );
    let mut length = 112;
    assert_eq!(
        call!(
            api,
            C_Encrypt(
                session,
                buffer.as_mut_ptr(),
                100,
                buffer.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_OK
    );
    assert_eq!(buffer, sealed);
    // A buffer that the decrypted data fits into is long enough, whatever the padding was.
    let mut exact = vec![0; 100];
    assert_eq!(
        call!(api, C_DecryptInit(session, &raw mut mechanism, key)),
        CKR_OK
    );
    length = 99;
    assert_eq!(
        call!(
            api,
            C_Decrypt(
                session,
                buffer.as_mut_ptr(),
                112,
                exact.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_BUFFER_TOO_SMALL
    );
    length = 100;
    assert_eq!(
        call!(
            api,
            C_Decrypt(
                session,
                buffer.as_mut_ptr(),
                112,
                exact.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_OK
    );
    assert_eq!(exact, text);
    assert_eq!(
        api.encrypt(session, How::bytes(CKM_AES_CBC, &[9; 16]), key, &text),
        Err(CKR_DATA_LEN_RANGE)
    );
    assert_eq!(
        api.decrypt(session, how(), key, &sealed[..40]),
        Err(CKR_ENCRYPTED_DATA_LEN_RANGE)
    );
    assert_eq!(
        api.encrypt(session, How::bytes(CKM_AES_CBC, &[9; 15]), key, &text),
        Err(CKR_MECHANISM_PARAM_INVALID)
    );
}

#[test]
fn a_wait_for_slots_ends_with_the_module() {
    let running = run();
    let api = running.api;
    let mut slot = 0;
    assert_eq!(
        call!(
            api,
            C_WaitForSlotEvent(CKF_DONT_BLOCK, &raw mut slot, null_mut())
        ),
        CKR_NO_EVENT
    );
    let waiting = std::thread::spawn(move || {
        let mut slot = 0;
        call!(api, C_WaitForSlotEvent(0, &raw mut slot, null_mut()))
    });
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(api.finalize(), CKR_OK);
    assert_eq!(waiting.join().unwrap(), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_eq!(api.finalize(), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_eq!(
        call!(api, C_GetInfo(null::<CK_INFO>().cast_mut())),
        CKR_ARGUMENTS_BAD
    );
    assert_eq!(api.open(0, 0), Err(CKR_CRYPTOKI_NOT_INITIALIZED));
}
