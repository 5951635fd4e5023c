//! How the module answers: the standard's conventions, who may see and do what, and faults of the token.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    unsafe_code,
    reason = "tests"
)]

mod support;

use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cryptoki_sys::*;
use support::api::{How, V, call};
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
    let sign = |out: *mut u8, length: &mut CK_ULONG| {
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
        call!(api, C_GetInfo(std::ptr::null_mut::<CK_INFO>())),
        CKR_ARGUMENTS_BAD
    );
    assert_eq!(api.open(0, 0), Err(CKR_CRYPTOKI_NOT_INITIALIZED));
}
