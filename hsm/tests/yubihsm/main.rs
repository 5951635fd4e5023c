//! The YubiHSM 2 backend over the `yubihsm` crate's `MockHsm`, straight and behind an HTTP connector: the conformance suite, and what
//! only this backend does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../conformance/mod.rs"]
mod conformance;
mod connector;
mod recovery;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId, WrapScheme, WrappedKey,
    pkcs11::Pin,
    yubihsm::{AuthKey, Connection, YubiHsm, YubiHsmConfig, provision_over},
};
use yubihsm::{Capability, Client, Connector, Credentials, Domain, object, opaque, wrap};

/// What only this backend does.
const OWN: [(&str, fn()); 15] = [
    (
        "wrapped_keys_say_who_made_them",
        wrapped_keys_say_who_made_them,
    ),
    (
        "nothing_is_left_in_the_device",
        nothing_is_left_in_the_device,
    ),
    (
        "leftovers_are_found_at_the_opening",
        leftovers_are_found_at_the_opening,
    ),
    ("long_names_are_kept_apart", long_names_are_kept_apart),
    (
        "unprotected_keys_are_not_used",
        unprotected_keys_are_not_used,
    ),
    ("moved_keys_are_found_again", moved_keys_are_found_again),
    (
        "the_factorys_key_is_refused_until_the_ceremony",
        the_factorys_key_is_refused_until_the_ceremony,
    ),
    (
        "several_backends_share_a_device",
        several_backends_share_a_device,
    ),
    (
        "a_lost_connector_comes_back",
        connector::a_lost_connector_comes_back,
    ),
    ("the_devices_log_is_read", the_devices_log_is_read),
    (
        "cuts_in_the_middle_leave_nothing",
        connector::cuts_in_the_middle_leave_nothing,
    ),
    (
        "recovery::recovery_has_the_least_capabilities",
        recovery::recovery_has_the_least_capabilities,
    ),
    (
        "recovery::a_failed_recovery_leaves_nothing",
        recovery::a_failed_recovery_leaves_nothing,
    ),
    (
        "recovery::only_the_master_kek_comes_out_of_its_blob",
        recovery::only_the_master_kek_comes_out_of_its_blob,
    ),
    (
        "recovery::unprotected_recovery_keks_are_not_used",
        recovery::unprotected_recovery_keks_are_not_used,
    ),
];

fn main() -> ExitCode {
    let suite = conformance::CASES
        .iter()
        .chain(conformance::named::CASES)
        .map(|(name, case)| {
            Trial::test(format!("conformance::{name}"), move || {
                case(&open(&Connector::mockhsm()));
                Ok(())
            })
        });
    let over_http = conformance::CASES
        .iter()
        .chain(conformance::named::CASES)
        .map(|(name, case)| {
            Trial::test(format!("conformance_over_http::{name}"), move || {
                let server = connector::Running::start(Connector::mockhsm());
                case(&server.open());
                Ok(())
            })
        });
    let recovery = conformance::recovery::CASES.iter().map(|(name, case)| {
        Trial::test(format!("conformance::recovery::{name}"), move || {
            case(&open(&Connector::mockhsm()), &open(&Connector::mockhsm()));
            Ok(())
        })
    });
    let recovery_over_http = conformance::recovery::CASES.iter().map(|(name, case)| {
        Trial::test(
            format!("conformance_over_http::recovery::{name}"),
            move || {
                let servers = [(); 2].map(|()| connector::Running::start(Connector::mockhsm()));
                case(&servers[0].open(), &servers[1].open());
                Ok(())
            },
        )
    });
    let faults = conformance::faults::CASES.iter().map(|(name, case)| {
        Trial::test(format!("conformance::faults::{name}"), move || {
            case(&connector::Running::start(Connector::mockhsm()));
            Ok(())
        })
    });
    let own = OWN.into_iter().map(|(name, case)| {
        Trial::test(name, move || {
            case();
            Ok(())
        })
    });
    let trials = suite
        .chain(over_http)
        .chain(recovery)
        .chain(recovery_over_http)
        .chain(faults)
        .chain(own)
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

const PASSWORD: &str = "the appliance's own";

fn config() -> YubiHsmConfig {
    YubiHsmConfig {
        connection: Connection::Http {
            address: "mock".to_owned(),
            port: 1,
        },
        auth_key: AuthKey::factory_default().unwrap(),
        device_domain: 3,
        allow_factory_default: true,
    }
}

fn open(connector: &Connector) -> YubiHsm {
    YubiHsm::open_over(connector.clone(), config()).unwrap()
}

fn kek() -> MasterKekId {
    MasterKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

fn a_key() -> Aes256Key {
    Aes256Key::from_bytes([0x42; 32])
}

/// A session beside the backend's, to do what the backend never would.
fn raw(connector: &Connector) -> Client {
    Client::open(connector.clone(), Credentials::default(), false).unwrap()
}

fn opaque_objects(connector: &Connector) -> usize {
    let filter = object::Filter::Type(object::Type::Opaque);
    raw(connector).list_objects(&[filter]).unwrap().len()
}

fn put_leftover(connector: &Connector, id: u16) {
    raw(connector)
        .put_opaque(
            id,
            object::Label::from("strongroom/passing"),
            Domain::DOM3,
            Capability::EXPORTABLE_UNDER_WRAP,
            opaque::Algorithm::Data,
            [7_u8; 32],
        )
        .unwrap();
}

fn wrapped_keys_say_who_made_them() {
    let hsm = open(&Connector::mockhsm());
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    assert_eq!(wrapped.scheme, WrapScheme::YubiHsmCcm);
    assert_eq!(wrapped.to_bytes()[..5], [2, 0, 0, 0, 1]);
    // The nonce is fresh: the same key is never wrapped to the same bytes.
    assert_ne!(hsm.wrap(&kek(), &a_key()).unwrap(), wrapped);
    let by_another = WrappedKey {
        scheme: WrapScheme::Rfc3394,
        master_kek_version: 1,
        blob: vec![0; 40],
    };
    let error = hsm.unwrap("default", &by_another).unwrap_err();
    assert!(
        matches!(
            error,
            HsmError::SchemeUnknown {
                scheme: WrapScheme::Rfc3394,
                ..
            }
        ),
        "{error:?}"
    );
}

fn nothing_is_left_in_the_device() {
    let connector = Connector::mockhsm();
    let hsm = open(&connector);
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    hsm.unwrap("default", &wrapped).unwrap();
    let mut altered = wrapped.clone();
    altered.blob[40] ^= 1;
    hsm.unwrap("default", &altered).unwrap_err();
    let missing = MasterKekId {
        version: 2,
        ..kek()
    };
    hsm.wrap(&missing, &a_key()).unwrap_err();
    // A master KEK that is gone from the device is found out only when the account KEK is already in it.
    let client = raw(&connector);
    let filter = object::Filter::Type(object::Type::WrapKey);
    let id = client.list_objects(&[filter]).unwrap()[0].object_id;
    client.delete_object(id, object::Type::WrapKey).unwrap();
    let error = hsm.wrap(&kek(), &a_key()).unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    let error = hsm.unwrap("default", &wrapped).unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    assert_eq!(opaque_objects(&connector), 0);
}

fn leftovers_are_found_at_the_opening() {
    let connector = Connector::mockhsm();
    for id in [0x5200, 0x52ff] {
        put_leftover(&connector, id);
    }
    raw(&connector)
        .put_opaque(
            0x5210,
            object::Label::from("somebody else's"),
            Domain::DOM3,
            Capability::empty(),
            opaque::Algorithm::Data,
            [1_u8; 32],
        )
        .unwrap();
    let hsm = open(&connector);
    assert_eq!(opaque_objects(&connector), 1);
    hsm.generate_master_kek(&kek()).unwrap();
}

fn long_names_are_kept_apart() {
    let hsm = open(&Connector::mockhsm());
    let (a, b) = ("a".repeat(64), format!("{}b", "a".repeat(63)));
    for (domain, version) in [(&a, 1), (&a, u32::MAX), (&b, 2)] {
        let id = MasterKekId {
            domain: domain.clone(),
            version,
        };
        hsm.generate_master_kek(&id).unwrap();
        let wrapped = hsm.wrap(&id, &a_key()).unwrap();
        assert_eq!(
            hsm.unwrap(domain, &wrapped).unwrap().as_bytes(),
            a_key().as_bytes()
        );
    }
    assert_eq!(hsm.master_kek_versions(&a).unwrap(), [1, u32::MAX]);
    assert_eq!(hsm.master_kek_versions(&b).unwrap(), [2]);
    let (x, y) = ("x".repeat(128), "x".repeat(127));
    assert_ne!(
        hsm.generate_signing_key(&x).unwrap(),
        hsm.generate_signing_key(&y).unwrap()
    );
}

fn unprotected_keys_are_not_used() {
    let capabilities = Capability::EXPORT_WRAPPED | Capability::IMPORT_WRAPPED;
    let generated = |capabilities, delegated, algorithm| {
        let connector = Connector::mockhsm();
        let label = object::Label::from("strongroom/default/master-kek/v1");
        raw(&connector)
            .generate_wrap_key(
                0x77,
                label,
                Domain::DOM3,
                capabilities,
                delegated,
                algorithm,
            )
            .unwrap();
        open(&connector).wrap(&kek(), &a_key())
    };
    let (plain, aes256) = (
        Capability::EXPORTABLE_UNDER_WRAP,
        wrap::Algorithm::Aes256Ccm,
    );
    generated(capabilities, plain, aes256).unwrap();
    // One that can be recovered: it leaves the device under the recovery KEK.
    generated(capabilities | plain, plain, aes256).unwrap();
    for outcome in [
        generated(capabilities | Capability::UNWRAP_DATA, plain, aes256),
        generated(capabilities, plain | capabilities, aes256),
        generated(capabilities, plain | Capability::SIGN_EDDSA, aes256),
        generated(capabilities, plain, wrap::Algorithm::Aes128Ccm),
    ] {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, HsmError::KeyUnprotected { .. }),
            "{error:?}"
        );
    }
    // One whose value somebody knows.
    let connector = Connector::mockhsm();
    let label = object::Label::from("strongroom/default/master-kek/v1");
    raw(&connector)
        .put_wrap_key(
            0x77,
            label,
            Domain::DOM3,
            capabilities,
            plain,
            aes256,
            [1_u8; 32],
        )
        .unwrap();
    let error = open(&connector).wrap(&kek(), &a_key()).unwrap_err();
    assert!(
        matches!(
            error,
            HsmError::KeyUnprotected {
                reason: "it was not generated in the device",
                ..
            }
        ),
        "{error:?}"
    );
}

/// A restore with the vendor's tools may put a key under another identifier.
fn moved_keys_are_found_again() {
    let connector = Connector::mockhsm();
    let hsm = open(&connector);
    hsm.generate_signing_key("checkpoint").unwrap();
    let client = raw(&connector);
    let filter = object::Filter::Type(object::Type::AsymmetricKey);
    let id = client.list_objects(&[filter]).unwrap()[0].object_id;
    client
        .delete_object(id, object::Type::AsymmetricKey)
        .unwrap();
    let error = hsm.sign("checkpoint", b"m").unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    client
        .generate_asymmetric_key(
            id ^ 1,
            object::Label::from("checkpoint"),
            Domain::DOM3,
            Capability::SIGN_EDDSA,
            yubihsm::asymmetric::Algorithm::Ed25519,
        )
        .unwrap();
    hsm.sign("checkpoint", b"m").unwrap();
}

fn the_factorys_key_is_refused_until_the_ceremony() {
    let connector = Connector::mockhsm();
    let strict = YubiHsmConfig {
        allow_factory_default: false,
        ..config()
    };
    let error = YubiHsm::open_over(connector.clone(), strict.clone()).unwrap_err();
    assert!(
        matches!(error, HsmError::FactoryDefault { .. }),
        "{error:?}"
    );

    let auth_key = |id, password| AuthKey { id, password };
    let appliance = auth_key(0x10, Pin::new(PASSWORD.to_owned()).unwrap());
    let administrators = auth_key(0x11, Pin::random().unwrap());
    let provision = || {
        let now = AuthKey::factory_default().unwrap();
        provision_over(
            &connector,
            &config().connection,
            &now,
            3,
            &appliance,
            &administrators,
        )
    };
    provision().unwrap();
    let own = YubiHsmConfig {
        auth_key: appliance.clone(),
        ..strict
    };
    let hsm = YubiHsm::open_over(connector.clone(), own).unwrap();
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    hsm.unwrap("default", &wrapped).unwrap();

    // MockHsm enforces no capabilities, so that what a device would enforce is read back.
    let key = yubihsm::authentication::Key::derive_from_password(PASSWORD.as_bytes());
    let client = Client::open(connector.clone(), Credentials::new(0x10, key), false).unwrap();
    let info = client
        .get_object_info(0x10, object::Type::AuthenticationKey)
        .unwrap();
    assert_eq!(info.domains, Domain::DOM3);
    for never in [
        Capability::PUT_WRAP_KEY,
        Capability::PUT_AUTHENTICATION_KEY,
        Capability::DELETE_AUTHENTICATION_KEY,
        Capability::DELETE_ASYMMETRIC_KEY,
        Capability::RESET_DEVICE,
        Capability::UNWRAP_DATA,
        Capability::PUT_ASYMMETRIC_KEY,
    ] {
        assert!(!info.capabilities.intersects(never), "{never:?}");
        assert!(!info.delegated_capabilities.intersects(never), "{never:?}");
    }
    let filter = object::Filter::Type(object::Type::AuthenticationKey);
    let mut left: Vec<u16> = client
        .list_objects(&[filter])
        .unwrap()
        .iter()
        .map(|entry| entry.object_id)
        .collect();
    left.sort_unstable();
    assert_eq!(left, [0x10, 0x11]);
}

fn several_backends_share_a_device() {
    let connector = Connector::mockhsm();
    let (a, b) = (open(&connector), open(&connector));
    a.generate_master_kek(&kek()).unwrap();
    let error = b.generate_master_kek(&kek()).unwrap_err();
    assert!(matches!(error, HsmError::KeyExists { .. }), "{error:?}");
    let wrapped = a.wrap(&kek(), &a_key()).unwrap();
    assert_eq!(
        b.unwrap("default", &wrapped).unwrap().as_bytes(),
        a_key().as_bytes()
    );
}

/// `MockHsm` keeps no log: that the commands are taken is what it can show.
fn the_devices_log_is_read() {
    let hsm = open(&Connector::mockhsm());
    let log = hsm.device_log().unwrap().unwrap();
    assert_eq!((log.unlogged_boots, log.entries.len()), (0, 0));
    hsm.acknowledge_device_log(0).unwrap();
}
