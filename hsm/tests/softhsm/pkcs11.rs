//! What only the PKCS#11 backend does: modules, tokens, PINs, sessions, and how keys are protected on the token.

use std::{path::PathBuf, thread};

use cryptoki::{
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::{AuthPin, Ulong},
};
use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId,
    pkcs11::{Pkcs11Config, Pkcs11Hsm},
};

use crate::{
    Case,
    support::{self, TestToken},
};

pub(crate) const CASES: &[Case] = &[
    ("pkcs11::a_wrong_pin_is_named", a_wrong_pin_is_named),
    (
        "pkcs11::a_missing_module_is_named",
        a_missing_module_is_named,
    ),
    ("pkcs11::a_missing_token_is_named", a_missing_token_is_named),
    ("pkcs11::token_info_has_the_label", token_info_has_the_label),
    (
        "pkcs11::keys_do_not_leave_the_token",
        keys_do_not_leave_the_token,
    ),
    ("pkcs11::keys_have_one_purpose", keys_have_one_purpose),
    (
        "pkcs11::unprotected_keys_are_not_used",
        unprotected_keys_are_not_used,
    ),
    (
        "pkcs11::ambiguous_labels_are_refused",
        ambiguous_labels_are_refused,
    ),
    ("pkcs11::keys_survive_the_session", keys_survive_the_session),
    (
        "pkcs11::nothing_is_left_in_the_token",
        nothing_is_left_in_the_token,
    ),
    ("pkcs11::logins_are_restored", logins_are_restored),
    (
        "pkcs11::a_refused_pin_is_not_tried_again",
        a_refused_pin_is_not_tried_again,
    ),
    (
        "pkcs11::many_threads_survive_logouts",
        many_threads_survive_logouts,
    ),
    (
        "pkcs11::replaced_keys_are_found_again",
        replaced_keys_are_found_again,
    ),
    ("pkcs11::sessions_are_bounded", sessions_are_bounded),
    (
        "pkcs11::several_backends_share_a_token",
        several_backends_share_a_token,
    ),
    ("pkcs11::debug_shows_no_pin", debug_shows_no_pin),
];

pub(crate) fn kek() -> MasterKekId {
    MasterKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

pub(crate) fn a_key() -> Aes256Key {
    Aes256Key::from_bytes([0x42; 32])
}

pub(crate) fn only(session: &Session, template: &[Attribute]) -> ObjectHandle {
    let found = session.find_objects(template).unwrap();
    assert_eq!(found.len(), 1);
    found[0]
}

fn a_wrong_pin_is_named(token: &TestToken) {
    let wrong = Pkcs11Config {
        pin: support::pin("wrong-horse-1"),
        ..token.config()
    };
    let error = Pkcs11Hsm::open(wrong).unwrap_err();
    assert!(
        matches!(&error, HsmError::PinIncorrect { token: named } if *named == token.name()),
        "{error:?}"
    );
    let sentence = error.to_string();
    assert!(sentence.contains("CKR_PIN_INCORRECT") && sentence.contains(&token.label));
    assert!(!sentence.contains("horse"));
    token.open().token_info().unwrap();
}

fn a_missing_module_is_named(token: &TestToken) {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    for module in [PathBuf::from("/nonexistent/module.so"), text] {
        let config = Pkcs11Config {
            module: module.clone(),
            ..token.config()
        };
        let error = Pkcs11Hsm::open(config).unwrap_err();
        assert!(
            matches!(&error, HsmError::ModuleNotFound { module: named, .. } if *named == module),
            "{error:?}"
        );
        assert!(error.to_string().contains(module.to_str().unwrap()));
    }
}

fn a_missing_token_is_named(token: &TestToken) {
    // While somebody uses the module, it is not initialised again to look for the token.
    let _used = token.open();
    let config = Pkcs11Config {
        token_label: "no such token".to_owned(),
        ..token.config()
    };
    let error = Pkcs11Hsm::open(config).unwrap_err();
    assert!(
        matches!(&error, HsmError::TokenNotFound { token: named, found, .. }
            if named == "no such token" && found.contains(&token.label)),
        "{error:?}"
    );
}

fn token_info_has_the_label(token: &TestToken) {
    assert_eq!(token.open().token_info().unwrap().label, token.label);
}

fn keys_do_not_leave_the_token(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    hsm.generate_signing_key("checkpoint").unwrap();
    let session = token.raw_session();
    let secret = only(&session, &[Attribute::Class(ObjectClass::SECRET_KEY)]);
    let private = only(&session, &[Attribute::Class(ObjectClass::PRIVATE_KEY)]);
    // An attacker with the PIN has a key of his own to wrap others with.
    let template = [
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Wrap(true),
        Attribute::Token(false),
    ];
    let own = session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .unwrap();
    for key in [secret, private] {
        // cryptoki leaves out what the token refuses to tell.
        assert!(
            session
                .get_attributes(key, &[AttributeType::Value])
                .unwrap()
                .is_empty()
        );
        let asked = [
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Local,
            AttributeType::Private,
        ];
        assert_eq!(
            session.get_attributes(key, &asked).unwrap(),
            [
                Attribute::Sensitive(true),
                Attribute::AlwaysSensitive(true),
                Attribute::Extractable(false),
                Attribute::NeverExtractable(true),
                Attribute::Local(true),
                Attribute::Private(true),
            ]
        );
        session
            .wrap_key(&Mechanism::AesKeyWrap, own, key)
            .unwrap_err();
        session
            .update_attributes(key, &[Attribute::Extractable(true)])
            .unwrap_err();
        session
            .update_attributes(key, &[Attribute::Sensitive(false)])
            .unwrap_err();
    }
}

fn keys_have_one_purpose(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let session = token.raw_session();
    let key = only(&session, &[Attribute::Class(ObjectClass::SECRET_KEY)]);
    let asked = [
        AttributeType::Wrap,
        AttributeType::Unwrap,
        AttributeType::Encrypt,
        AttributeType::Decrypt,
        AttributeType::Sign,
        AttributeType::Verify,
        AttributeType::Derive,
        AttributeType::ValueLen,
    ];
    assert_eq!(
        session.get_attributes(key, &asked).unwrap(),
        [
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
            Attribute::Sign(false),
            Attribute::Verify(false),
            Attribute::Derive(false),
            Attribute::ValueLen(Ulong::new(32)),
        ]
    );
    // Nor can it be given another: with CKA_DECRYPT, wrapped keys could be decrypted and read.
    session
        .update_attributes(key, &[Attribute::Decrypt(true)])
        .unwrap_err();
}

/// A secret key under the label of the master KEK, with attributes that the backend would not choose.
fn generate_raw(session: &Session, attributes: &[Attribute]) {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Label(kek().label().unwrap().into_bytes()),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
    ];
    template.extend_from_slice(attributes);
    session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .unwrap();
}

fn unprotected_keys_are_not_used(token: &TestToken) {
    use Attribute as A;
    let hsm = token.open();
    let session = token.raw_session();
    let cases: [(&[Attribute], &str); 4] = [
        (
            &[
                A::Sensitive(false),
                A::Extractable(false),
                A::Encrypt(false),
                A::Decrypt(false),
            ],
            "CKA_SENSITIVE",
        ),
        (
            &[
                A::Sensitive(true),
                A::Extractable(true),
                A::Encrypt(false),
                A::Decrypt(false),
            ],
            "CKA_EXTRACTABLE",
        ),
        (
            &[
                A::Sensitive(true),
                A::Extractable(false),
                A::Encrypt(true),
                A::Decrypt(false),
            ],
            "CKA_ENCRYPT",
        ),
        (
            &[
                A::Sensitive(true),
                A::Extractable(false),
                A::Encrypt(false),
                A::Decrypt(true),
            ],
            "CKA_DECRYPT",
        ),
    ];
    for (attributes, lacking) in cases {
        generate_raw(&session, attributes);
        let error = hsm.wrap(&kek(), &a_key()).unwrap_err();
        assert!(
            matches!(&error, HsmError::KeyUnprotected { reason, .. } if reason.contains(lacking)),
            "{lacking}: {error:?}"
        );
        let key = only(&session, &[Attribute::Class(ObjectClass::SECRET_KEY)]);
        session.destroy_object(key).unwrap();
    }
}

fn ambiguous_labels_are_refused(token: &TestToken) {
    let hsm = token.open();
    let session = token.raw_session();
    for _ in 0..2 {
        generate_raw(
            &session,
            &[Attribute::Sensitive(true), Attribute::Extractable(false)],
        );
    }
    let error = hsm.wrap(&kek(), &a_key()).unwrap_err();
    assert!(matches!(error, HsmError::KeyAmbiguous { .. }), "{error:?}");
    assert!(matches!(
        hsm.generate_master_kek(&kek()),
        Err(HsmError::KeyExists { .. })
    ));
}

fn keys_survive_the_session(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let public = hsm.generate_signing_key("checkpoint").unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    drop(hsm);
    let hsm = token.open();
    assert_eq!(hsm.master_kek_versions("default").unwrap(), [1]);
    assert_eq!(hsm.signing_public_key("checkpoint").unwrap(), public);
    let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
    assert_eq!(unwrapped.as_bytes(), a_key().as_bytes());
}

fn nothing_is_left_in_the_token(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    for round in 0..20 {
        hsm.wrap(&kek(), &a_key()).unwrap();
        hsm.unwrap("default", &wrapped).unwrap();
        let mut altered = wrapped.clone();
        altered.blob[round] ^= 1;
        hsm.unwrap("default", &altered).unwrap_err();
    }
    let found = token
        .raw_session()
        .find_objects(&[Attribute::Token(false)])
        .unwrap();
    assert!(found.is_empty(), "{} session objects are left", found.len());
}

fn logins_are_restored(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    hsm.generate_signing_key("checkpoint").unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    let session = token.raw_session();
    // After each logout another kind of call is the first to notice.
    let calls: [&dyn Fn(); 6] = [
        &|| drop(hsm.wrap(&kek(), &a_key()).unwrap()),
        &|| drop(hsm.unwrap("default", &wrapped).unwrap()),
        &|| assert_eq!(hsm.sign("checkpoint", b"message").unwrap().len(), 64),
        &|| assert_eq!(hsm.master_kek_versions("default").unwrap(), [1]),
        &|| {
            let error = hsm.generate_master_kek(&kek()).unwrap_err();
            assert!(matches!(error, HsmError::KeyExists { .. }), "{error:?}");
        },
        &|| assert_ne!(hsm.generate_signing_key("another").unwrap(), [0; 32]),
    ];
    for call in calls {
        session.logout().unwrap();
        call();
    }
}

fn a_refused_pin_is_not_tried_again(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let session = token.raw_session();
    let (old, new) = (
        AuthPin::from(support::PIN.to_owned()),
        AuthPin::from("another-horse-1".to_owned()),
    );
    session.set_pin(&old, &new).unwrap();
    let context = support::context();
    let slot = session.get_session_info().unwrap().slot_id();
    let a_wrong_pin_was_offered = || context.get_token_info(slot).unwrap().user_pin_count_low();

    session.logout().unwrap();
    let error = hsm.wrap(&kek(), &a_key()).unwrap_err();
    assert!(matches!(error, HsmError::PinIncorrect { .. }), "{error:?}");
    // SoftHSM tells of the first wrong PIN, and never locks. Kryoptic tells of the last but one, and locks.
    let tells = a_wrong_pin_was_offered();
    // A good login makes the token forget that one; from then on it would notice the next.
    session.login(UserType::User, Some(&new)).unwrap();
    session.logout().unwrap();
    assert!(!a_wrong_pin_was_offered());
    for _ in 0..30 {
        let error = hsm.wrap(&kek(), &a_key()).unwrap_err();
        assert!(matches!(error, HsmError::PinIncorrect { .. }), "{error:?}");
    }
    assert!(!a_wrong_pin_was_offered());
    session.login(UserType::User, Some(&new)).unwrap();
    // Where the token tells neither, this test would prove nothing.
    session.logout().unwrap();
    let wrong = AuthPin::from("wrong-horse-1".to_owned());
    let locks = || {
        (0..30).any(|_| {
            let refused = session.login(UserType::User, Some(&wrong)).unwrap_err();
            matches!(refused, Error::Pkcs11(RvError::PinLocked, _))
        })
    };
    assert!(tells || locks());
}

fn many_threads_survive_logouts(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    let session = token.raw_session();
    for _ in 0..20 {
        session.logout().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
                    assert_eq!(unwrapped.as_bytes(), a_key().as_bytes());
                    hsm.wrap(&kek(), &a_key()).unwrap();
                });
            }
        });
    }
}

fn replaced_keys_are_found_again(token: &TestToken) {
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    let session = token.raw_session();
    let key = only(&session, &[Attribute::Class(ObjectClass::SECRET_KEY)]);
    session.destroy_object(key).unwrap();
    let error = hsm.wrap(&kek(), &a_key()).unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    hsm.generate_master_kek(&kek()).unwrap();
    hsm.wrap(&kek(), &a_key()).unwrap();
    let error = hsm.unwrap("default", &wrapped).unwrap_err();
    assert!(
        matches!(error, HsmError::WrappedKeyRejected { .. }),
        "{error:?}"
    );
}

fn sessions_are_bounded(token: &TestToken) {
    let hsm = Pkcs11Hsm::open(Pkcs11Config {
        max_sessions: 2,
        ..token.config()
    })
    .unwrap();
    hsm.generate_master_kek(&kek()).unwrap();
    let context = support::context();
    let slot = token.raw_session().get_session_info().unwrap().slot_id();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    hsm.wrap(&kek(), &a_key()).unwrap();
                }
            });
        }
        for _ in 0..50 {
            let open = context.get_token_info(slot).unwrap().session_count();
            assert!(open.is_none_or(|open| open <= 2), "{open:?}");
        }
    });
}

fn several_backends_share_a_token(token: &TestToken) {
    let (first, second) = (token.open(), token.open());
    first.generate_master_kek(&kek()).unwrap();
    let wrapped = first.wrap(&kek(), &a_key()).unwrap();
    second.unwrap("default", &wrapped).unwrap();
    // The login is shared; the end of one backend is not the end of the other.
    drop(first);
    let unwrapped = second.unwrap("default", &wrapped).unwrap();
    assert_eq!(unwrapped.as_bytes(), a_key().as_bytes());
}

fn debug_shows_no_pin(token: &TestToken) {
    let config = token.config();
    let shown = format!("{config:?} {:?}", token.open());
    assert!(!shown.contains(support::PIN), "{shown}");
    assert!(shown.contains(&token.label), "{shown}");
}
