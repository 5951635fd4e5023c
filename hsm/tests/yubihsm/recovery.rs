//! Recovery, as only this backend does it: what the objects in the device may do, and that nothing else comes out of a recovery blob.

use strongroom_hsm::{Aes256Key, Hsm, HsmError, RecoveryBlob, RecoveryKekId, WrapScheme};
use yubihsm::{Capability, Connector, Domain, asymmetric, object, wrap};

use crate::{a_key, config, kek, open, raw};

fn recovery() -> RecoveryKekId {
    RecoveryKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

fn shares() -> Aes256Key {
    Aes256Key::from_bytes([0x61; 32])
}

fn wrap_keys(connector: &Connector) -> Vec<object::Info> {
    let client = raw(connector);
    let filter = object::Filter::Type(object::Type::WrapKey);
    let entries = client.list_objects(&[filter]).unwrap();
    entries
        .iter()
        .map(|entry| {
            client
                .get_object_info(entry.object_id, entry.object_type)
                .unwrap()
        })
        .collect()
}

fn labelled(connector: &Connector, label: &str) -> object::Info {
    let keys = wrap_keys(connector);
    let mut keys = keys
        .into_iter()
        .filter(|info| info.label == object::Label::from(label));
    keys.next().unwrap()
}

/// A device with a recovery KEK, and the blob of a master KEK that it made.
fn a_device() -> (Connector, RecoveryBlob) {
    let connector = Connector::mockhsm();
    let hsm = open(&connector);
    hsm.put_recovery_kek(&recovery(), &shares()).unwrap();
    let blob = hsm
        .generate_recoverable_master_kek(&kek(), &recovery())
        .unwrap();
    (connector, blob)
}

/// `MockHsm` enforces no capabilities: what a device would enforce is read back.
pub(crate) fn recovery_has_the_least_capabilities() {
    let passing = Capability::EXPORTABLE_UNDER_WRAP;
    let both_ways = Capability::EXPORT_WRAPPED | Capability::IMPORT_WRAPPED;
    let (first, blob) = a_device();
    let info = labelled(&first, "strongroom/default/recovery-kek/v1");
    assert_eq!(info.capabilities, Capability::EXPORT_WRAPPED);
    assert_eq!(info.delegated_capabilities, both_ways | passing);
    assert_eq!(info.domains, Domain::DOM3);

    let second = Connector::mockhsm();
    open(&second)
        .recover_master_kek(&kek(), &shares(), &blob)
        .unwrap();
    for (device, origin) in [
        (&first, object::Origin::Generated),
        (&second, object::Origin::WrappedGenerated),
    ] {
        let info = labelled(device, "strongroom/default/master-kek/v1");
        assert_eq!(info.capabilities, both_ways | passing);
        // It does not cover what a master KEK may do: no master KEK leaves the device under another.
        assert_eq!(info.delegated_capabilities, passing);
        assert_eq!(info.origin, origin);
        assert_eq!(info.algorithm, wrap::Algorithm::Aes256Ccm.into());
    }
    // The recovery KEK is not kept.
    assert_eq!(wrap_keys(&second).len(), 1);
    // Without a recovery KEK none is made that could leave the device.
    let third = Connector::mockhsm();
    open(&third).generate_master_kek(&kek()).unwrap();
    let info = labelled(&third, "strongroom/default/master-kek/v1");
    assert_eq!(info.capabilities, both_ways);
}

pub(crate) fn a_failed_recovery_leaves_nothing() {
    let (_, blob) = a_device();
    let second = Connector::mockhsm();
    let hsm = open(&second);
    let other = Aes256Key::from_bytes([1; 32]);
    for _ in 0..3 {
        let error = hsm.recover_master_kek(&kek(), &other, &blob).unwrap_err();
        assert!(
            matches!(error, HsmError::RecoveryBlobRejected { .. }),
            "{error:?}"
        );
        assert!(wrap_keys(&second).is_empty());
    }
    // What a power failure left is deleted by the next recovery.
    raw(&second)
        .put_wrap_key(
            0x77,
            object::Label::from("strongroom/recovering"),
            Domain::DOM3,
            Capability::IMPORT_WRAPPED,
            Capability::EXPORT_WRAPPED,
            wrap::Algorithm::Aes256Ccm,
            [1_u8; 32],
        )
        .unwrap();
    hsm.recover_master_kek(&kek(), &shares(), &blob).unwrap();
    assert_eq!(wrap_keys(&second).len(), 1);
    let by_another = RecoveryBlob {
        scheme: WrapScheme::Rfc3394,
        recovery_kek_version: 1,
        blob: vec![0; 40],
    };
    let error = hsm
        .recover_master_kek(&kek(), &shares(), &by_another)
        .unwrap_err();
    assert!(matches!(error, HsmError::SchemeUnknown { .. }), "{error:?}");
}

/// Who holds the device's administration could export other objects under the recovery KEK.
pub(crate) fn only_the_master_kek_comes_out_of_its_blob() {
    let (first, blob) = a_device();
    let client = raw(&first);
    client
        .generate_asymmetric_key(
            0x99,
            object::Label::from("strongroom/default/master-kek/v1"),
            Domain::DOM3,
            Capability::EXPORTABLE_UNDER_WRAP,
            asymmetric::Algorithm::Ed25519,
        )
        .unwrap();
    let under = labelled(&first, "strongroom/default/recovery-kek/v1").object_id;
    let exported = |kind, id| RecoveryBlob {
        blob: client.export_wrapped(under, kind, id).unwrap().into_vec(),
        ..blob.clone()
    };
    let signing = exported(object::Type::AsymmetricKey, 0x99);
    let strong = Capability::all();
    let label = object::Label::from("strongroom/default/master-kek/v2");
    let aes256 = wrap::Algorithm::Aes256Ccm;
    client
        .generate_wrap_key(0x98, label, Domain::DOM3, strong, strong, aes256)
        .unwrap();
    let all_powerful = exported(object::Type::WrapKey, 0x98);

    let second = Connector::mockhsm();
    let hsm = open(&second);
    let mut third = kek();
    third.version = 3;
    // Another kind of object, and another version than the one that is named.
    for (id, blob) in [(kek(), &signing), (third, &blob)] {
        let error = hsm.recover_master_kek(&id, &shares(), blob).unwrap_err();
        assert!(
            matches!(error, HsmError::RecoveryBlobRejected { .. }),
            "{error:?}"
        );
    }
    let mut id = kek();
    id.version = 2;
    let error = hsm.recover_master_kek(&id, &shares(), &all_powerful);
    assert!(
        matches!(error, Err(HsmError::KeyUnprotected { .. })),
        "{error:?}"
    );
    // One of another of the device's domains, which the service would not see.
    let elsewhere = strongroom_hsm::yubihsm::YubiHsmConfig {
        device_domain: 4,
        ..config()
    };
    let elsewhere = strongroom_hsm::yubihsm::YubiHsm::open_over(second.clone(), elsewhere).unwrap();
    let error = elsewhere
        .recover_master_kek(&kek(), &shares(), &blob)
        .unwrap_err();
    assert!(
        matches!(&error, HsmError::Refused { code, .. } if code.contains("domain")),
        "{error:?}"
    );
    let filter = object::Filter::Domains(Domain::all());
    let left = raw(&second).list_objects(&[filter]).unwrap();
    assert_eq!(left.len(), 1, "more than the authentication key is left");
    hsm.recover_master_kek(&kek(), &shares(), &blob).unwrap();
}

pub(crate) fn unprotected_recovery_keks_are_not_used() {
    let export = Capability::EXPORT_WRAPPED;
    let passing = Capability::EXPORTABLE_UNDER_WRAP;
    let put = |capabilities, delegated, algorithm: wrap::Algorithm| {
        let connector = Connector::mockhsm();
        let label = object::Label::from("strongroom/default/recovery-kek/v1");
        let key = vec![1_u8; algorithm.key_len()];
        raw(&connector)
            .put_wrap_key(
                0x77,
                label,
                Domain::DOM3,
                capabilities,
                delegated,
                algorithm,
                key,
            )
            .unwrap();
        let hsm = open(&connector);
        let made = hsm.generate_recoverable_master_kek(&kek(), &recovery());
        assert_eq!(
            hsm.master_kek_versions("default").unwrap().len(),
            usize::from(made.is_ok())
        );
        made
    };
    let aes256 = wrap::Algorithm::Aes256Ccm;
    put(export, export | passing, aes256).unwrap();
    for outcome in [
        // Whoever reaches the device could open what it wraps.
        put(
            export | Capability::IMPORT_WRAPPED,
            export | passing,
            aes256,
        ),
        put(export | passing, export | passing, aes256),
        put(export, export | passing | Capability::SIGN_EDDSA, aes256),
        put(export, export | passing, wrap::Algorithm::Aes128Ccm),
    ] {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, HsmError::KeyUnprotected { .. }),
            "{error:?}"
        );
    }
    // One that the device made has no shares.
    let connector = Connector::mockhsm();
    let label = object::Label::from("strongroom/default/recovery-kek/v1");
    raw(&connector)
        .generate_wrap_key(0x77, label, Domain::DOM3, export, passing, aes256)
        .unwrap();
    let hsm = open(&connector);
    let error = hsm
        .generate_recoverable_master_kek(&kek(), &recovery())
        .unwrap_err();
    assert!(
        matches!(error, HsmError::KeyUnprotected { .. }),
        "{error:?}"
    );
    // The service's keys go on.
    hsm.generate_master_kek(&kek()).unwrap();
    hsm.wrap(&kek(), &a_key()).unwrap();
}
