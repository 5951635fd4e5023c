//! Sign-in by client certificate: which account a certificate stands for, and who may say so.

use strongroom_keystore::{Error, Presented, SessionToken};
use strongroom_session::certificate;
use strongroom_session::passkey::{EphemeralKey, SealedTransportKey};
use strongroom_wire::account::{AccountKind, AccountState, CreateAccount, UpdateAccount};
use strongroom_wire::audit::Act;
use strongroom_wire::certificate::{CertificateName, CertificateNameKind, OpenByCertificate};
use strongroom_wire::device::{DeviceState, UpdateDevice};
use strongroom_wire::id::AccountId;

use crate::house::{House, Person, SOURCE};
use crate::signers::devices;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_certificate_opens_a_session_for_whom_it_stands",
        a_certificate_opens_a_session_for_whom_it_stands,
    ),
    (
        "names_are_registered_by_who_may",
        names_are_registered_by_who_may,
    ),
    (
        "edited_certificate_names_are_refused",
        edited_certificate_names_are_refused,
    ),
];

fn service(house: &House, name: &str) -> AccountId {
    let request = CreateAccount {
        name: name.to_owned(),
        kind: AccountKind::Service,
        roles: Vec::new(),
        manager: None,
    };
    house
        .keystore
        .create_account(&house.admin.presented, request)
        .unwrap()
        .account
        .id
}

fn uri(name: &str) -> CertificateName {
    CertificateName {
        kind: CertificateNameKind::Uri,
        value: format!("urn:example:{name}"),
    }
}

fn fingerprint(digit: char) -> CertificateName {
    CertificateName {
        kind: CertificateNameKind::Fingerprint,
        value: digit.to_string().repeat(64),
    }
}

fn register(
    house: &House,
    by: &Person,
    account: AccountId,
    name: CertificateName,
) -> Result<(), Error> {
    house
        .keystore
        .register_certificate(&by.presented, account, name)
        .map(drop)
        .map_err(|refusal| refusal.error)
}

fn remove(
    house: &House,
    by: &Person,
    account: AccountId,
    name: CertificateName,
) -> Result<(), Error> {
    house
        .keystore
        .remove_certificate(&by.presented, account, name)
        .map(drop)
        .map_err(|refusal| refusal.error)
}

/// Signs in with a certificate of these names, as a client does.
fn sign_in(house: &House, names: &[CertificateName]) -> Result<Person, Error> {
    let key = EphemeralKey::generate();
    let request = OpenByCertificate {
        wrapping_key: key.public().into(),
    };
    let answer = house
        .keystore
        .open_by_certificate(SOURCE, names.to_vec(), request)
        .map_err(|refusal| {
            assert!(refusal.leaf.is_some(), "a refused attempt leaves a leaf");
            refusal.error
        })?;
    let signed_in = answer.signed_in;
    assert_eq!(signed_in.account.state, AccountState::Active);
    let sealed = SealedTransportKey {
        encapsulated: answer.encapsulated.0,
        ciphertext: answer.sealed.0,
    };
    let transport =
        certificate::open(&key, signed_in.account.id, signed_in.session, &sealed).unwrap();
    Ok(Person {
        name: signed_in.account.name,
        presented: Presented::in_session(
            SessionToken::from_slice(&signed_in.token.0).unwrap(),
            SOURCE,
        ),
        transport,
    })
}

fn a_certificate_opens_a_session_for_whom_it_stands() {
    let house = House::new("certificates");
    let payroll = service(&house, "payroll");
    let refused = |names: &[CertificateName]| {
        let error = sign_in(&house, names).err().unwrap();
        assert!(matches!(error, Error::CertificateRefused), "{error}");
    };
    refused(&[]);
    refused(&[fingerprint('a'), uri("payroll")]);
    register(&house, &house.admin, payroll, uri("payroll")).unwrap();
    register(&house, &house.admin, payroll, fingerprint('a')).unwrap();
    for names in [
        &[uri("payroll")][..],
        &[fingerprint('a'), uri("other"), uri("payroll")],
    ] {
        let session = sign_in(&house, names).unwrap();
        assert_eq!(session.name, "payroll");
        let (key, material) = house.key(&session, &[]);
        assert_eq!(house.release(&session, key).unwrap(), material);
    }
    refused(&[fingerprint('b'), uri("other")]);
    // One that stands for two accounts stands for none.
    let billing = service(&house, "billing");
    register(&house, &house.admin, billing, uri("billing")).unwrap();
    refused(&[uri("payroll"), uri("billing")]);
    sign_in(&house, &[uri("billing")]).unwrap();

    // Not while suspended, and its sessions end with the name.
    let session = sign_in(&house, &[uri("payroll")]).unwrap();
    let set = |state| {
        let request = UpdateAccount {
            state: Some(state),
            roles: None,
        };
        let admin = &house.admin.presented;
        house
            .keystore
            .update_account(admin, payroll, request)
            .unwrap();
    };
    set(AccountState::Suspended);
    refused(&[uri("payroll")]);
    set(AccountState::Active);
    assert!(house.keystore.own_account(&session.presented).is_err());
    let session = sign_in(&house, &[uri("payroll")]).unwrap();
    remove(&house, &house.admin, payroll, uri("payroll")).unwrap();
    refused(&[uri("payroll")]);
    assert!(house.keystore.own_account(&session.presented).is_err());
    sign_in(&house, &[fingerprint('a')]).unwrap();

    // A device that is revoked is not brought back by its certificate.
    let device = devices(&house, &["SN-1"]).remove(0).account;
    register(&house, &house.admin, device, uri("SN-1")).unwrap();
    sign_in(&house, &[uri("SN-1")]).unwrap();
    let revoke = UpdateDevice {
        state: Some(DeviceState::Revoked),
        fleet: None,
    };
    let admin = &house.admin.presented;
    house.keystore.update_device(admin, device, revoke).unwrap();
    let activate = UpdateAccount {
        state: Some(AccountState::Active),
        roles: None,
    };
    house
        .keystore
        .update_account(admin, device, activate)
        .unwrap();
    refused(&[uri("SN-1")]);

    // A client whose key is none gets no session.
    let nonsense = OpenByCertificate {
        wrapping_key: vec![1; 32].into(),
    };
    let names = vec![fingerprint('a')];
    let refusal = house
        .keystore
        .open_by_certificate(SOURCE, names, nonsense)
        .err()
        .unwrap();
    assert!(matches!(refusal.error, Error::Invalid(_)));
}

fn names_are_registered_by_who_may() {
    let house = House::new("names");
    let payroll = service(&house, "payroll");
    let alice = house.person("alice");
    let alice_id = house.keystore.own_account(&alice.presented).unwrap().id;
    for account in [payroll, AccountId::generate()] {
        let refused = register(&house, &alice, account, uri("payroll"));
        assert!(matches!(refused, Err(Error::NotPermitted(_))));
    }
    let refused = register(&house, &house.admin, alice_id, uri("alice"));
    assert!(matches!(refused, Err(Error::Invalid(_))));
    for value in ["", "payroll", "urn:", ":x", "urn:a b", &"x:".repeat(600)] {
        let name = CertificateName {
            kind: CertificateNameKind::Uri,
            value: value.to_owned(),
        };
        let refused = register(&house, &house.admin, payroll, name);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{value:?}");
    }
    let upper = CertificateName {
        kind: CertificateNameKind::Fingerprint,
        value: "A".repeat(64),
    };
    let refused = register(&house, &house.admin, payroll, upper);
    assert!(matches!(refused, Err(Error::Invalid(_))));

    register(&house, &house.admin, payroll, uri("payroll")).unwrap();
    let billing = service(&house, "billing");
    let refused = register(&house, &house.admin, billing, uri("payroll"));
    assert!(matches!(refused, Err(Error::Conflict(_))));
    let session = sign_in(&house, &[uri("payroll")]).unwrap();
    // It has signed in: from now on administrators would take it over by another name. It adds one itself.
    let refused = register(&house, &house.admin, payroll, fingerprint('c'));
    assert!(matches!(refused, Err(Error::Conflict(_))));
    let refused = house
        .keystore
        .issue_secret(&house.admin.presented, payroll)
        .err()
        .unwrap();
    assert!(matches!(refused.error, Error::Conflict(_)));
    register(&house, &session, payroll, fingerprint('c')).unwrap();
    let names = |who: &Person| {
        house
            .keystore
            .certificate_names(&who.presented, payroll)
            .map(|names| names.names.len())
            .map_err(|refusal| refusal.error)
    };
    assert_eq!(names(&session).unwrap(), 2);
    assert_eq!(names(&house.admin).unwrap(), 2);
    assert!(matches!(names(&alice), Err(Error::NotPermitted(_))));
    let refused = remove(&house, &house.admin, billing, fingerprint('c'));
    assert!(matches!(refused, Err(Error::CertificateNotFound)));
    remove(&house, &house.admin, payroll, fingerprint('c')).unwrap();
    let log = house
        .keystore
        .records(
            &sign_in(&house, &[uri("payroll")]).unwrap().presented,
            strongroom_wire::audit::RecordQuery::default(),
        )
        .unwrap();
    for act in [Act::CertificateRegister, Act::CertificateRemove] {
        assert!(log.records.iter().any(|record| record.act == act), "{act}");
    }
}

fn edited_certificate_names_are_refused() {
    let house = House::new("edited-names");
    let [payroll, mallory] = ["payroll", "mallory"].map(|name| service(&house, name));
    register(&house, &house.admin, payroll, uri("payroll")).unwrap();
    register(&house, &house.admin, mallory, uri("mallory")).unwrap();
    let database = rusqlite::Connection::open(house.database()).unwrap();
    for edit in [
        "UPDATE certificate_names SET account = (SELECT id FROM accounts WHERE name = 'payroll') WHERE value = 'urn:example:mallory'",
        "UPDATE certificate_names SET value = 'urn:example:moved', account = (SELECT id FROM accounts WHERE name = 'mallory') WHERE value = 'urn:example:payroll'",
    ] {
        assert_eq!(database.execute(edit, []).unwrap(), 1);
    }
    for name in ["mallory", "moved"] {
        let refused = sign_in(&house, &[uri(name)]).err().unwrap();
        assert!(matches!(refused, Error::Integrity("certificate name")));
    }
    assert!(matches!(
        sign_in(&house, &[uri("payroll")]).err().unwrap(),
        Error::CertificateRefused
    ));
}
