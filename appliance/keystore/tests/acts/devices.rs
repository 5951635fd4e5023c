//! Devices: import and fleets.

use strongroom_keystore::Error;
use strongroom_session::{FactoryKey, TransportKey};
use strongroom_wire::account::{AccountState, UpdateAccount};
use strongroom_wire::audit::Act;
use strongroom_wire::device::{DeviceQuery, DeviceState, ImportDevices, ImportLine, UpdateDevice};
use strongroom_wire::key::{CreateKeys, ReleaseKey};

use crate::house::{House, SOURCE, new_key};
use crate::signers::{
    Signer, device, devices, import, issue, manifest, nonce, now, records, set, state, unwrapped,
};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_device_is_made_signs_and_has_its_keys",
        a_device_is_made_signs_and_has_its_keys,
    ),
    (
        "an_import_is_whole_or_goes_on",
        an_import_is_whole_or_goes_on,
    ),
    (
        "manifests_that_cannot_be_are_refused",
        manifests_that_cannot_be_are_refused,
    ),
    (
        "fleets_are_suspended_and_revoked_whole",
        fleets_are_suspended_and_revoked_whole,
    ),
    ("edited_devices_are_refused", edited_devices_are_refused),
];

fn a_device_is_made_signs_and_has_its_keys() {
    let house = House::new("device");
    let signer = device(&house, "SN-1");
    assert_eq!(state(&house, signer.account), AccountState::Pending);
    // Keys can be shared with it before its first request.
    let alice = house.person("alice@example.com");
    let request = CreateKeys {
        keys: vec![strongroom_wire::key::NewKey {
            recipients: vec!["sn-1".to_owned()],
            ..new_key("recipe")
        }],
        release: true,
    };
    let mut created = house
        .keystore
        .create_keys(&alice.presented, request)
        .unwrap();
    let shared = created.keys.remove(0);
    let material = alice.unwrap(&shared.material.unwrap());

    let request = signer.admitted(&house).unwrap();
    assert_eq!(house.release(&request, shared.key.id).unwrap(), material);
    assert_eq!(state(&house, signer.account), AccountState::Active);

    let request = signer.admitted(&house).unwrap();
    let own = CreateKeys {
        keys: vec![new_key("measurements")],
        release: true,
    };
    let mut created = house.keystore.create_keys(&request.presented, own).unwrap();
    let created = created.keys.remove(0);
    let material = request.unwrap(&created.material.unwrap());
    // Each request has a transport key of its own.
    let request = signer.admitted(&house).unwrap();
    let again = house
        .keystore
        .release(&request.presented, created.key.id, ReleaseKey::default())
        .unwrap();
    assert_eq!(request.unwrap(&again), material);
    let other = TransportKey::from_bytes([1; 32]);
    let wrapped = &again.wrapped.0;
    assert!(other.unwrap(again.key, again.version, wrapped).is_err());

    // Its first request is in the log, and what it asked for; requests are made in no session.
    let log = records(&request, &house);
    let enrolled: Vec<_> = log
        .iter()
        .filter(|record| record.act == Act::AccountEnrol)
        .collect();
    assert_eq!(enrolled.len(), 1);
    assert_eq!(enrolled[0].actor, Some(signer.account));
    let releases = log.iter().filter(|record| record.act == Act::KeyRelease);
    assert!(releases.clone().count() >= 2);
    assert!(releases.clone().all(|record| record.session.is_none()));
    let ended = house.keystore.end_session(&request.presented, None);
    assert!(matches!(ended.err().unwrap().error, Error::Invalid(_)));
}

fn an_import_is_whole_or_goes_on() {
    let house = House::new("import");
    let factory = FactoryKey::generate();
    let first = import(&house, manifest(&factory, &["SN-1", "SN-2"]));
    assert!(
        first
            .iter()
            .all(|line| matches!(line, ImportLine::Created(_)))
    );
    // Sent again with more: what exists keeps its secret.
    let mut request = manifest(&factory, &["SN-1", "SN-2", "SN-3"]);
    request.devices[2].name = Some("Oven".to_owned());
    request.devices[2].fleet = Some("bakery".to_owned());
    let second = import(&house, request.clone());
    assert!(
        matches!(&second[0], ImportLine::Existing { serial, .. } if serial == "SN-1"),
        "{second:?}"
    );
    let ImportLine::Created(oven) = &second[2] else {
        panic!("{second:?}");
    };
    assert_eq!(oven.name, "oven");
    let page = house
        .keystore
        .devices(
            &house.admin.presented,
            DeviceQuery {
                fleet: Some("bakery".to_owned()),
                ..DeviceQuery::default()
            },
        )
        .unwrap();
    assert_eq!(page.devices.len(), 1);
    assert_eq!(page.devices[0].serial.as_deref(), Some("SN-3"));

    // SN-1 has made a request, the others have not: they alone get new secrets.
    let ImportLine::Created(one) = &first[0] else {
        panic!("{first:?}");
    };
    let used = unwrapped(&factory, one);
    used.admitted(&house).unwrap();
    request.replace_secrets = true;
    let third = import(&house, request);
    assert!(
        matches!(&third[0], ImportLine::Existing { .. }),
        "{third:?}"
    );
    used.admitted(&house).unwrap();
    let (ImportLine::Created(before), ImportLine::Replaced(after)) = (&first[1], &third[1]) else {
        panic!("{third:?}");
    };
    assert_eq!(
        (before.account, after.generation, after.serial.as_str()),
        (after.account, 2, "SN-2")
    );
    let refused = unwrapped(&factory, before).admitted(&house);
    assert!(matches!(refused.err(), Some(Error::SignatureRefused)));
    unwrapped(&factory, after).admitted(&house).unwrap();

    // A name that is taken by somebody else is refused alone.
    house.person("sn-4");
    let fourth = import(&house, manifest(&factory, &["SN-4", "SN-5"]));
    assert!(matches!(&fourth[0], ImportLine::Refused { .. }));
    assert!(matches!(&fourth[1], ImportLine::Created(_)));
    // A page at a time.
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let query = DeviceQuery {
            after,
            limit: Some(2),
            ..DeviceQuery::default()
        };
        let page = house
            .keystore
            .devices(&house.admin.presented, query)
            .unwrap();
        seen.extend(page.devices.into_iter().filter_map(|device| device.serial));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["SN-1", "SN-2", "SN-3", "SN-5"]);
}

fn manifests_that_cannot_be_are_refused() {
    let house = House::new("manifests");
    let factory = FactoryKey::generate();
    let refused = |request: ImportDevices| {
        let refused = house
            .keystore
            .import_devices(&house.admin.presented, request);
        refused.err().unwrap().error
    };
    let long = "x".repeat(129);
    for serials in [
        &[][..],
        &["SN-1", "SN-1"],
        &["SN-1", "sn-1"],
        &[""],
        &["SN 1"],
        &["SN\n1"],
        &[long.as_str()],
    ] {
        let error = refused(manifest(&factory, serials));
        assert!(matches!(error, Error::Invalid(_)), "{serials:?}: {error}");
    }
    let mut fleet = manifest(&factory, &["SN-1"]);
    fleet.fleet = Some("a/b".to_owned());
    assert!(matches!(refused(fleet), Error::Invalid(_)));
    let mut key = manifest(&factory, &["SN-1"]);
    key.factory_key.0.truncate(32);
    assert!(matches!(refused(key), Error::Invalid(_)));
    let alice = house.person("alice@example.com");
    let refused = house
        .keystore
        .import_devices(&alice.presented, manifest(&factory, &["SN-1"]));
    assert!(matches!(
        refused.err().unwrap().error,
        Error::NotPermitted(_)
    ));
}

fn fleets_are_suspended_and_revoked_whole() {
    let house = House::new("fleets");
    let signers = devices(&house, &["SN-1", "SN-2", "SN-3"]);
    signers[0].admitted(&house).unwrap();
    let admin = &house.admin.presented;
    let moved = UpdateDevice {
        state: None,
        fleet: Some("garden".to_owned()),
    };
    house
        .keystore
        .update_device(admin, signers[2].account, moved)
        .unwrap();
    let fleet = |state| {
        house
            .keystore
            .update_fleet(admin, "kitchen".to_owned(), state)
            .unwrap()
            .changed
    };
    assert_eq!(fleet(DeviceState::Suspended), 2);
    assert_eq!(fleet(DeviceState::Suspended), 0);
    assert!(signers[0].admitted(&house).is_err());
    assert!(signers[1].admitted(&house).is_err());
    signers[2].admitted(&house).unwrap();
    assert_eq!(fleet(DeviceState::Active), 2);
    assert_eq!(state(&house, signers[0].account), AccountState::Active);
    assert_eq!(state(&house, signers[1].account), AccountState::Pending);
    signers[0].admitted(&house).unwrap();

    assert_eq!(fleet(DeviceState::Revoked), 2);
    assert_eq!(fleet(DeviceState::Revoked), 0);
    assert_eq!(fleet(DeviceState::Active), 0);
    // For good: not by the device, not by the account, not by a new secret.
    let refused = set(
        &house,
        &house.admin,
        signers[0].account,
        DeviceState::Active,
    );
    assert!(matches!(refused, Err(Error::Conflict(_))));
    let activate = UpdateAccount {
        state: Some(AccountState::Active),
        roles: None,
    };
    house
        .keystore
        .update_account(admin, signers[0].account, activate)
        .unwrap();
    assert!(matches!(
        signers[0].admitted(&house).err(),
        Some(Error::SignatureRefused)
    ));
    assert!(matches!(
        issue(&house, &house.admin, signers[0].account),
        Err(Error::Conflict(_))
    ));
    let shown = house.keystore.device(admin, signers[0].account).unwrap();
    assert!(shown.revoked.is_some() && shown.generation.is_none());
    signers[2].admitted(&house).unwrap();

    let unknown = house
        .keystore
        .update_fleet(admin, "cellar".to_owned(), DeviceState::Revoked);
    assert!(matches!(
        unknown.err().unwrap().error,
        Error::DeviceNotFound
    ));
    let alice = house.person("alice@example.com");
    let refused =
        house
            .keystore
            .update_fleet(&alice.presented, "garden".to_owned(), DeviceState::Revoked);
    assert!(matches!(
        refused.err().unwrap().error,
        Error::NotPermitted(_)
    ));
    assert!(matches!(
        set(&house, &alice, signers[2].account, DeviceState::Revoked),
        Err(Error::DeviceNotFound)
    ));
}

fn edited_devices_are_refused() {
    let house = House::new("edited-devices");
    let signers = devices(&house, &["SN-1", "SN-2"]);
    signers[0].admitted(&house).unwrap();
    let database = rusqlite::Connection::open(house.database()).unwrap();
    let id = |signer: &Signer| *signer.account.as_bytes();
    // A device that has made requests is said not to have, so that an administrator could replace its secret.
    database
        .execute(
            "UPDATE devices SET admitted = NULL WHERE account = ?1",
            [id(&signers[0])],
        )
        .unwrap();
    assert!(matches!(
        signers[0].admitted(&house).err(),
        Some(Error::Integrity("device"))
    ));
    assert!(matches!(
        issue(&house, &house.admin, signers[0].account),
        Err(Error::Integrity("device"))
    ));
    // One device's secret in another's place.
    database
        .execute(
            "UPDATE account_secrets SET sealed = (SELECT sealed FROM account_secrets WHERE account = ?1) WHERE account = ?2",
            [id(&signers[0]), id(&signers[1])],
        )
        .unwrap();
    let swapped = Signer {
        account: signers[1].account,
        secret: signers[0].secret.clone(),
    };
    let refused = house
        .keystore
        .admit(SOURCE, swapped.sign(now(&house), &nonce()))
        .err()
        .unwrap();
    assert!(matches!(refused.error, Error::Integrity("account secret")));
    assert!(refused.leaf.is_some());
}
