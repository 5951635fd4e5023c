//! Recovery, as only the PKCS#11 backend does it: what the keys on the token may do, and that a failure leaves nothing there.

use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
    types::Ulong,
};
use strongroom_hsm::{Aes256Key, Hsm, HsmError, RecoveryKekId};

use crate::{
    Case,
    pkcs11::{a_key, kek, only},
    support::TestToken,
};

pub(crate) const CASES: &[Case] = &[
    (
        "pkcs11::recoverable_keys_do_not_leave_the_token",
        recoverable_keys_do_not_leave_the_token,
    ),
    (
        "pkcs11::a_recovery_kek_only_wraps",
        a_recovery_kek_only_wraps,
    ),
    (
        "pkcs11::a_failed_recovery_leaves_nothing",
        a_failed_recovery_leaves_nothing,
    ),
];

fn recovery() -> RecoveryKekId {
    RecoveryKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

fn labelled(session: &Session, label: &str) -> ObjectHandle {
    only(session, &[Attribute::Label(label.as_bytes().to_vec())])
}

fn recoverable_keys_do_not_leave_the_token(token: &TestToken) {
    let hsm = token.open();
    let shares = Aes256Key::from_bytes([0x61; 32]);
    hsm.put_recovery_kek(&recovery(), &shares).unwrap();
    let blob = hsm
        .generate_recoverable_master_kek(&kek(), &recovery())
        .unwrap();
    let session = token.raw_session();
    let as_master = || {
        let key = labelled(&session, &kek().label().unwrap());
        let asked = [
            AttributeType::Token,
            AttributeType::Private,
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::Modifiable,
            AttributeType::Wrap,
            AttributeType::Unwrap,
            AttributeType::Encrypt,
            AttributeType::Decrypt,
            AttributeType::Sign,
            AttributeType::Verify,
            AttributeType::Derive,
        ];
        assert_eq!(
            session.get_attributes(key, &asked).unwrap(),
            [
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Modifiable(false),
                Attribute::Wrap(true),
                Attribute::Unwrap(true),
                Attribute::Encrypt(false),
                Attribute::Decrypt(false),
                Attribute::Sign(false),
                Attribute::Verify(false),
                Attribute::Derive(false),
            ]
        );
        let value = session.get_attributes(key, &[AttributeType::Value]);
        assert!(value.unwrap().is_empty());
        let under = labelled(&session, &recovery().label().unwrap());
        session
            .wrap_key(&Mechanism::AesKeyWrapPad, under, key)
            .unwrap_err();
        for attribute in [
            Attribute::Extractable(true),
            Attribute::Sensitive(false),
            Attribute::Decrypt(true),
        ] {
            session.update_attributes(key, &[attribute]).unwrap_err();
        }
    };
    // As it is generated, and as it is recovered.
    as_master();
    hsm.destroy_master_kek(&kek()).unwrap();
    hsm.recover_master_kek(&kek(), &shares, &blob).unwrap();
    as_master();
    let left = session.find_objects(&[Attribute::Token(false)]).unwrap();
    assert!(left.is_empty(), "{} session objects are left", left.len());
}

fn a_recovery_kek_only_wraps(token: &TestToken) {
    let hsm = token.open();
    hsm.put_recovery_kek(&recovery(), &a_key()).unwrap();
    let blob = hsm
        .generate_recoverable_master_kek(&kek(), &recovery())
        .unwrap();
    let session = token.raw_session();
    let key = labelled(&session, &recovery().label().unwrap());
    let asked = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::Wrap,
        AttributeType::Unwrap,
        AttributeType::Encrypt,
        AttributeType::Decrypt,
    ];
    assert_eq!(
        session.get_attributes(key, &asked).unwrap(),
        [
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(true),
            Attribute::Unwrap(false),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
        ]
    );
    let value = session.get_attributes(key, &[AttributeType::Value]);
    assert!(value.unwrap().is_empty());
    // Who has the PIN, and with it the recovery KEK in the HSM, opens no recovery blob.
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
        session
            .unwrap_key(&mechanism, key, &blob.blob, &template)
            .unwrap_err();
    }
    session
        .encrypt(&Mechanism::AesEcb, key, &[0; 32])
        .unwrap_err();
    session
        .decrypt(&Mechanism::AesEcb, key, &blob.blob[..32])
        .unwrap_err();
    for attribute in [Attribute::Unwrap(true), Attribute::Decrypt(true)] {
        session.update_attributes(key, &[attribute]).unwrap_err();
    }
    // Nor does a copy of it do what it does not.
    let copied = session.copy_object(key, &[Attribute::Unwrap(true)]);
    assert!(copied.is_err(), "{copied:?}");
}

fn a_failed_recovery_leaves_nothing(token: &TestToken) {
    let hsm = token.open();
    let session = token.raw_session();
    let keys = || {
        let template = [Attribute::Class(ObjectClass::SECRET_KEY)];
        session.find_objects(&template).unwrap().len()
    };
    // A recovery KEK that wraps nothing: the master KEK is generated already when the HSM refuses.
    let template = |wraps, unwraps| {
        [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::ValueLen(Ulong::new(32)),
            Attribute::Label(recovery().label().unwrap().into_bytes()),
            Attribute::Copyable(false),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(wraps),
            Attribute::Unwrap(unwraps),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
        ]
    };
    let generate = |wraps, unwraps| {
        session
            .generate_key(&Mechanism::AesKeyGen, &template(wraps, unwraps))
            .unwrap()
    };
    let key = generate(false, false);
    for _ in 0..3 {
        let error = hsm
            .generate_recoverable_master_kek(&kek(), &recovery())
            .unwrap_err();
        assert!(
            matches!(&error, HsmError::Refused { function, .. } | HsmError::Unavailable { function, .. }
                if function == "C_WrapKey"),
            "{error:?}"
        );
        assert_eq!(keys(), 1);
    }
    session.destroy_object(key).unwrap();
    // One that could open what it wraps is not used.
    let key = generate(true, true);
    let error = hsm
        .generate_recoverable_master_kek(&kek(), &recovery())
        .unwrap_err();
    assert!(
        matches!(&error, HsmError::KeyUnprotected { reason, .. } if reason.contains("CKA_UNWRAP")),
        "{error:?}"
    );
    session.destroy_object(key).unwrap();

    hsm.put_recovery_kek(&recovery(), &a_key()).unwrap();
    let blob = hsm
        .generate_recoverable_master_kek(&kek(), &recovery())
        .unwrap();
    assert_eq!(keys(), 2);
    hsm.destroy_master_kek(&kek()).unwrap();
    for _ in 0..3 {
        let other = Aes256Key::from_bytes([1; 32]);
        hsm.recover_master_kek(&kek(), &other, &blob).unwrap_err();
        assert_eq!(keys(), 1);
    }
    hsm.recover_master_kek(&kek(), &a_key(), &blob).unwrap();
    assert_eq!(keys(), 2);
}
