//! Devices: import, signed requests, secrets, fleets, pairing.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_keystore::Error;
use strongroom_keystore::devices::{
    Admission, PAIRING_INTERVAL, PAIRING_LIFETIME, PairingAnswer, SignedRequest,
};
use strongroom_session::signature::{Covered, content_digest};
use strongroom_session::{AccountSecret, FactoryKey, RequestSignature, TransportKey, WrappedFor};
use strongroom_wire::account::{AccountKind, AccountState, CreateAccount, UpdateAccount};
use strongroom_wire::audit::{Act, Record, RecordQuery};
use strongroom_wire::device::{
    DecidePairing, DeviceQuery, DeviceState, ImportDevices, ImportLine, ImportedDevice, NewDevice,
    UpdateDevice,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::key::{CreateKeys, ReleaseKey};

use crate::house::{House, Person, SOURCE, new_key};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_device_is_made_signs_and_has_its_keys",
        a_device_is_made_signs_and_has_its_keys,
    ),
    (
        "a_request_is_admitted_once_and_in_time",
        a_request_is_admitted_once_and_in_time,
    ),
    (
        "what_is_not_the_devices_request_is_refused_alike",
        what_is_not_the_devices_request_is_refused_alike,
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
        "nobody_else_gets_a_used_device_a_secret",
        nobody_else_gets_a_used_device_a_secret,
    ),
    (
        "fleets_are_suspended_and_revoked_whole",
        fleets_are_suspended_and_revoked_whole,
    ),
    (
        "a_person_pairs_a_device_and_owns_it",
        a_person_pairs_a_device_and_owns_it,
    ),
    ("pairings_lapse_and_slow_down", pairings_lapse_and_slow_down),
    (
        "secrets_move_with_their_accounts_kek",
        secrets_move_with_their_accounts_kek,
    ),
    ("a_service_has_a_secret", a_service_has_a_secret),
    ("edited_devices_are_refused", edited_devices_are_refused),
];

/// A device, or a service, that signs.
pub(crate) struct Signer {
    pub(crate) account: AccountId,
    pub(crate) secret: AccountSecret,
}

/// Begins with a number that no test of this process has had.
fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{:05}-0123456789abcdef",
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

fn now(house: &House) -> u64 {
    use strongroom_keystore::Clock as _;
    house.clock.now().as_millis() / 1000
}

impl Signer {
    fn sign(&self, created: u64, nonce: &str) -> SignedRequest {
        let (method, path, digest) = ("POST", "/v1/keys", content_digest(b"{}"));
        let covered = Covered {
            method,
            path,
            query: "",
            content_digest: &digest,
        };
        let (input, signature) =
            RequestSignature::sign(&self.secret, self.account, created, nonce, &covered).unwrap();
        SignedRequest {
            signature: RequestSignature::parse(&input, &signature).unwrap(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            content_digest: digest,
        }
    }

    /// Signs a request and has it admitted: what it presents, and the transport key.
    pub(crate) fn admitted(&self, house: &House) -> Result<Person, Error> {
        let nonce = nonce();
        let request = self.sign(now(house), &nonce);
        let Admission {
            presented,
            response_nonce,
        } = admit(house, request)?;
        Ok(Person {
            name: self.account.to_string(),
            presented,
            transport: self.secret.transport_key(&nonce, &response_nonce),
        })
    }
}

fn admit(house: &House, request: SignedRequest) -> Result<Admission, Error> {
    house
        .keystore
        .admit(SOURCE, request)
        .map_err(|refusal| refusal.error)
}

fn manifest(factory: &FactoryKey, serials: &[&str]) -> ImportDevices {
    ImportDevices {
        factory_key: factory.public_key().to_bytes().into(),
        fleet: Some("kitchen".to_owned()),
        replace_secrets: false,
        devices: serials
            .iter()
            .map(|serial| NewDevice {
                serial: (*serial).to_owned(),
                name: None,
                fleet: None,
            })
            .collect(),
    }
}

fn import(house: &House, request: ImportDevices) -> Vec<ImportLine> {
    let mut import = house
        .keystore
        .import_devices(&house.admin.presented, request)
        .unwrap();
    let mut lines = Vec::new();
    while !import.is_empty() {
        lines.extend(import.next(&house.keystore).unwrap());
    }
    assert!(import.next(&house.keystore).unwrap().is_empty());
    lines
}

fn unwrapped(factory: &FactoryKey, device: &ImportedDevice) -> Signer {
    let wrapped_for = WrappedFor {
        domain: &device.domain,
        account: device.account,
        generation: device.generation,
        serial: &device.serial,
    };
    let secret = factory
        .unwrap(&device.encapsulated.0, &device.sealed.0, &wrapped_for)
        .unwrap();
    Signer {
        account: device.account,
        secret,
    }
}

/// Imported devices with these serial numbers, in the fleet `kitchen`.
pub(crate) fn devices(house: &House, serials: &[&str]) -> Vec<Signer> {
    let factory = FactoryKey::generate();
    import(house, manifest(&factory, serials))
        .iter()
        .map(|line| match line {
            ImportLine::Created(device) => unwrapped(&factory, device),
            other => panic!("not made: {other:?}"),
        })
        .collect()
}

fn device(house: &House, serial: &str) -> Signer {
    devices(house, &[serial]).remove(0)
}

fn issue(house: &House, by: &Person, account: AccountId) -> Result<Signer, Error> {
    let issued = house
        .keystore
        .issue_secret(&by.presented, account)
        .map_err(|refusal| refusal.error)?;
    let secret = by
        .transport
        .unwrap_secret(account, issued.generation, &issued.wrapped.0)
        .unwrap();
    Ok(Signer { account, secret })
}

fn set(house: &House, by: &Person, device: AccountId, state: DeviceState) -> Result<(), Error> {
    let request = UpdateDevice {
        state: Some(state),
        fleet: None,
    };
    house
        .keystore
        .update_device(&by.presented, device, request)
        .map(drop)
        .map_err(|refusal| refusal.error)
}

fn records(person: &Person, house: &House) -> Vec<Record> {
    let query = RecordQuery::default();
    house
        .keystore
        .records(&person.presented, query)
        .unwrap()
        .records
}

fn state(house: &House, account: AccountId) -> AccountState {
    house
        .keystore
        .account(&house.admin.presented, account)
        .unwrap()
        .state
}

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

fn a_request_is_admitted_once_and_in_time() {
    let mut house = House::new("once");
    let signer = device(&house, "SN-1");
    let first = signer.sign(now(&house), &nonce());
    admit(&house, first.clone()).unwrap();
    let refused = house.keystore.admit(SOURCE, first.clone()).err().unwrap();
    assert!(matches!(refused.error, Error::Replayed));
    assert!(refused.leaf.is_some(), "a refused attempt leaves a leaf");
    // Nor after the appliance was killed.
    house.reopen();
    assert!(matches!(
        admit(&house, first.clone()).err(),
        Some(Error::Replayed)
    ));

    // The bound is five minutes, on both sides.
    for (offset, good) in [(-300, true), (300, true), (-301, false), (301, false)] {
        let created = now(&house).checked_add_signed(offset).unwrap();
        match admit(&house, signer.sign(created, &nonce())) {
            Ok(_) => assert!(good, "{offset}"),
            Err(Error::ClockSkew(time)) => {
                assert!(!good, "{offset}");
                assert_eq!(time.as_millis() / 1000, now(&house));
            }
            Err(error) => panic!("{error}"),
        }
    }
    // A request of the far future, or of no time that there is.
    for created in [0, 9_000_000_000, 999_999_999_999_999] {
        let refused = admit(&house, signer.sign(created, &nonce()));
        assert!(matches!(refused.err(), Some(Error::ClockSkew(_))));
    }
    // At the last moment at which the captured request would be in time, its nonce is still known; then it is forgotten.
    house.clock.advance(300);
    house.keystore.forget_expired().unwrap();
    assert!(matches!(
        admit(&house, first.clone()).err(),
        Some(Error::Replayed)
    ));
    house.clock.advance(1);
    house.keystore.forget_expired().unwrap();
    assert!(matches!(
        admit(&house, first).err(),
        Some(Error::ClockSkew(_))
    ));
}

fn what_is_not_the_devices_request_is_refused_alike() {
    let house = House::new("alike");
    let signers = devices(&house, &["SN-1", "SN-2"]);
    let alice = house.person("alice@example.com");
    let alice_id = house.keystore.own_account(&alice.presented).unwrap().id;
    let refused = |request: SignedRequest| {
        let refusal = house.keystore.admit(SOURCE, request).err().unwrap();
        assert!(matches!(refusal.error, Error::SignatureRefused));
        let problem = refusal.problem();
        (problem.code, problem.detail)
    };
    let time = now(&house);
    let secret = |byte| AccountSecret::from_bytes([byte; 32]);
    let good = signers[0].sign(time, &nonce());
    let mut answers = Vec::new();
    for account in [signers[0].account, AccountId::generate(), alice_id] {
        let stranger = Signer {
            account,
            secret: secret(7),
        };
        answers.push(refused(stranger.sign(time, &nonce())));
        // Not even the time of the appliance.
        answers.push(refused(stranger.sign(0, &nonce())));
    }
    // Another device's secret, and the all-zero one that strangers are held against.
    for secret in [signers[1].secret.clone(), secret(0)] {
        for account in [signers[0].account, AccountId::generate()] {
            let other = Signer {
                account,
                secret: secret.clone(),
            };
            answers.push(refused(other.sign(time, &nonce())));
        }
    }
    for altered in [
        SignedRequest {
            path: "/v1/keys/1".to_owned(),
            ..good.clone()
        },
        SignedRequest {
            method: "GET".to_owned(),
            ..good.clone()
        },
        SignedRequest {
            query: "limit=1".to_owned(),
            ..good.clone()
        },
        SignedRequest {
            content_digest: content_digest(b"{ }"),
            ..good.clone()
        },
    ] {
        answers.push(refused(altered));
    }
    set(
        &house,
        &house.admin,
        signers[1].account,
        DeviceState::Suspended,
    )
    .unwrap();
    answers.push(refused(signers[1].sign(time, &nonce())));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // What was refused spends no nonce.
    admit(&house, good).unwrap();

    // Whoever is suspended or revoked after the admission is out before the act.
    let admitted = signers[0].admitted(&house).unwrap();
    for state in [DeviceState::Suspended, DeviceState::Revoked] {
        set(&house, &house.admin, signers[0].account, state).unwrap();
        let refused = house.keystore.own_account(&admitted.presented).unwrap_err();
        assert!(matches!(refused.error, Error::NotSignedIn));
    }
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

fn nobody_else_gets_a_used_device_a_secret() {
    let house = House::new("secrets");
    let signer = device(&house, "SN-1");
    let id = signer.account;
    let alice = house.person("alice@example.com");
    assert!(matches!(
        issue(&house, &alice, id),
        Err(Error::NotPermitted(_))
    ));
    // Before its first request an administrator can, and what was handed out before is void.
    let second = issue(&house, &house.admin, id).unwrap();
    assert!(matches!(
        signer.admitted(&house).err(),
        Some(Error::SignatureRefused)
    ));
    let request = second.admitted(&house).unwrap();
    assert!(matches!(
        issue(&house, &house.admin, id),
        Err(Error::Conflict(_))
    ));
    // Nor by way of a suspension.
    set(&house, &house.admin, id, DeviceState::Suspended).unwrap();
    assert!(matches!(
        issue(&house, &house.admin, id),
        Err(Error::Conflict(_))
    ));
    set(&house, &house.admin, id, DeviceState::Active).unwrap();
    assert_eq!(state(&house, id), AccountState::Active);

    // It gets one itself. Until the new one is used, the old one counts: the answer may have been lost.
    let lost = issue(&house, &request, id).unwrap();
    let request = second.admitted(&house).unwrap();
    let third = issue(&house, &request, id).unwrap();
    assert!(lost.admitted(&house).is_err(), "void since the next one");
    second.admitted(&house).unwrap();
    third.admitted(&house).unwrap();
    assert!(second.admitted(&house).is_err(), "the new one was used");
    // A person has no secret, and nobody learns whom there is.
    let alice_id = house.keystore.own_account(&alice.presented).unwrap().id;
    assert!(matches!(
        issue(&house, &alice, alice_id),
        Err(Error::Invalid(_))
    ));
    assert!(matches!(
        issue(&house, &alice, AccountId::generate()),
        Err(Error::NotPermitted(_))
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

fn pair(house: &House, person: &Person, client: &str) -> Signer {
    let started = house
        .keystore
        .start_pairing(SOURCE, client, "https://keys.example.com/pair".to_owned())
        .unwrap();
    let approve = DecidePairing {
        approve: true,
        name: None,
    };
    let decided = house
        .keystore
        .decide_pairing(&person.presented, &started.user_code, approve)
        .unwrap();
    let PairingAnswer::Paired(paired) = token(house, &started.device_code) else {
        panic!("not paired");
    };
    assert_eq!(decided.device.unwrap().account.id, paired.account);
    Signer {
        account: paired.account,
        secret: AccountSecret::from_text(&paired.access_token).unwrap(),
    }
}

fn token(house: &House, device_code: &str) -> PairingAnswer {
    house.keystore.pairing_token(SOURCE, device_code).unwrap()
}

fn a_person_pairs_a_device_and_owns_it() {
    let house = House::new("pairing");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let started = house
        .keystore
        .start_pairing(SOURCE, "Coffee machine", String::new())
        .unwrap();
    assert_eq!(started.user_code.len(), 9);
    assert!(token(&house, &started.device_code) == PairingAnswer::Pending);
    let waiting = house
        .keystore
        .pairing(&alice.presented, &started.user_code.to_lowercase())
        .unwrap();
    assert_eq!(waiting.client, "Coffee machine");
    let decide = |who: &Person, code: &str, approve, name: Option<&str>| {
        let request = DecidePairing {
            approve,
            name: name.map(str::to_owned),
        };
        house
            .keystore
            .decide_pairing(&who.presented, code, request)
            .map_err(|refusal| {
                assert!(refusal.leaf.is_some() || matches!(refusal.error, Error::Invalid(_)));
                refusal.error
            })
    };
    // What cannot be done leaves it waiting.
    let code = started.user_code.as_str();
    assert!(matches!(
        decide(&alice, code, true, Some("bob")),
        Err(Error::AccountExists(_))
    ));
    assert!(matches!(
        decide(&alice, "BBBB-BBBB", true, None),
        Err(Error::PairingNotFound)
    ));
    let decided = decide(&alice, code, true, None).unwrap();
    let device = decided.device.unwrap();
    assert_eq!(device.account.name, "coffee-machine");
    assert_eq!(device.paired_by_name.as_deref(), Some("alice"));
    // Decided once, handed out once.
    assert!(matches!(
        decide(&bob, code, true, Some("mine")),
        Err(Error::PairingNotFound)
    ));
    house.clock.advance(PAIRING_INTERVAL);
    let PairingAnswer::Paired(paired) = token(&house, &started.device_code) else {
        panic!("not paired");
    };
    assert!(token(&house, &started.device_code) == PairingAnswer::Unknown);
    let signer = Signer {
        account: paired.account,
        secret: AccountSecret::from_text(&paired.access_token).unwrap(),
    };
    let request = signer.admitted(&house).unwrap();

    // Devices pair no devices.
    let another = house
        .keystore
        .start_pairing(SOURCE, "another", String::new())
        .unwrap();
    assert!(matches!(
        house
            .keystore
            .pairing(&request.presented, &another.user_code)
            .err()
            .unwrap()
            .error,
        Error::NotPermitted(_)
    ));
    // Denied is denied.
    let denied = decide(&bob, &another.user_code, false, None).unwrap();
    assert_eq!(denied.device, None);
    assert!(token(&house, &another.device_code) == PairingAnswer::Denied);

    // Its owner sees it, changes its secret when it is lost, and revokes it; others do not know of it.
    let list = |who: &Person| {
        let query = DeviceQuery::default();
        let page = house.keystore.devices(&who.presented, query).unwrap();
        page.devices.len()
    };
    assert_eq!((list(&alice), list(&bob), list(&house.admin)), (1, 0, 1));
    assert!(matches!(
        set(&house, &bob, signer.account, DeviceState::Revoked),
        Err(Error::DeviceNotFound)
    ));
    let renewed = issue(&house, &alice, signer.account).unwrap();
    assert!(signer.admitted(&house).is_err());
    renewed.admitted(&house).unwrap();
    set(&house, &alice, signer.account, DeviceState::Revoked).unwrap();
    assert!(renewed.admitted(&house).is_err());
    let record = records(&alice, &house)
        .into_iter()
        .find(|record| record.act == Act::DevicePair && record.done)
        .unwrap();
    assert_eq!(record.subject, Some(signer.account));
}

fn pairings_lapse_and_slow_down() {
    let house = House::new("lapsing");
    let alice = house.person("alice");
    let start = || {
        house
            .keystore
            .start_pairing(SOURCE, "toaster", String::new())
            .unwrap()
    };
    let started = start();
    let code = started.device_code.as_str();
    assert!(token(&house, code) == PairingAnswer::Pending);
    // Each request that comes too soon adds five seconds.
    assert!(token(&house, code) == PairingAnswer::SlowDown);
    house.clock.advance(2 * PAIRING_INTERVAL - 1);
    assert!(token(&house, code) == PairingAnswer::SlowDown);
    house.clock.advance(3 * PAIRING_INTERVAL);
    assert!(token(&house, code) == PairingAnswer::Pending);
    house.clock.advance(PAIRING_LIFETIME);
    assert!(token(&house, code) == PairingAnswer::Expired);
    let refused = house
        .keystore
        .pairing(&alice.presented, &started.user_code)
        .err()
        .unwrap();
    assert!(matches!(refused.error, Error::PairingNotFound));
    house.clock.advance(PAIRING_LIFETIME);
    house.keystore.forget_expired().unwrap();
    assert!(token(&house, code) == PairingAnswer::Unknown);
    assert!(token(&house, "") == PairingAnswer::Unknown);
    for client in ["", "a\nb", "é", &"x".repeat(129)] {
        let refused = house.keystore.start_pairing(SOURCE, client, String::new());
        assert!(matches!(refused.err().unwrap().error, Error::Invalid(_)));
    }
    // An approved device that is revoked before it fetched its secret gets none.
    let started = start();
    let approve = DecidePairing {
        approve: true,
        name: None,
    };
    let decided = house
        .keystore
        .decide_pairing(&alice.presented, &started.user_code, approve)
        .unwrap();
    let device = decided.device.unwrap().account.id;
    set(&house, &alice, device, DeviceState::Revoked).unwrap();
    let refused = house.keystore.pairing_token(SOURCE, &started.device_code);
    assert!(matches!(
        refused.err().unwrap().error,
        Error::DeviceNotFound
    ));
}

fn secrets_move_with_their_accounts_kek() {
    let house = House::new("device-kek");
    let signer = device(&house, "SN-1");
    let request = signer.admitted(&house).unwrap();
    let next = issue(&house, &request, signer.account).unwrap();
    house
        .keystore
        .rotate_account_kek(&house.admin.presented, signer.account)
        .unwrap();
    let status = house
        .keystore
        .rotation_status(&house.admin.presented)
        .unwrap();
    assert_eq!(status.accounts[0].left, 2, "both secrets are counted");
    signer.admitted(&house).unwrap();
    // One record a step.
    while house.keystore.reseal_some(1).unwrap() > 0 {}
    let status = house
        .keystore
        .rotation_status(&house.admin.presented)
        .unwrap();
    assert_eq!(status.accounts_under_way, 0);
    signer.admitted(&house).unwrap();
    next.admitted(&house).unwrap();
    assert!(signer.admitted(&house).is_err());
    let owner = house.person("alice");
    let paired = pair(&house, &owner, "lamp");
    house
        .keystore
        .rotate_account_kek(&owner.presented, paired.account)
        .err()
        .unwrap();
}

fn a_service_has_a_secret() {
    let house = House::new("service");
    let request = CreateAccount {
        name: "payroll".to_owned(),
        kind: AccountKind::Service,
        roles: Vec::new(),
        manager: None,
    };
    let service = house
        .keystore
        .create_account(&house.admin.presented, request)
        .unwrap()
        .account
        .id;
    let signer = issue(&house, &house.admin, service).unwrap();
    let request = signer.admitted(&house).unwrap();
    let own = house.keystore.own_account(&request.presented).unwrap();
    assert_eq!((own.id, own.state), (service, AccountState::Active));
    let next = issue(&house, &request, service).unwrap();
    next.admitted(&house).unwrap();
    assert!(signer.admitted(&house).is_err());
    assert!(matches!(
        issue(&house, &house.admin, service),
        Err(Error::Conflict(_))
    ));
    let suspend = UpdateAccount {
        state: Some(AccountState::Suspended),
        roles: None,
    };
    house
        .keystore
        .update_account(&house.admin.presented, service, suspend)
        .unwrap();
    assert!(next.admitted(&house).is_err());
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
