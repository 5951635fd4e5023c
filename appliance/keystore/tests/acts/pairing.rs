//! Pairing by RFC 8628.

use strongroom_keystore::Error;
use strongroom_keystore::devices::{PAIRING_INTERVAL, PAIRING_LIFETIME, PairingAnswer};
use strongroom_session::AccountSecret;
use strongroom_wire::audit::Act;
use strongroom_wire::device::{DecidePairing, DeviceQuery, DeviceState};

use crate::house::{House, Person, SOURCE};
use crate::signers::{Signer, issue, records, set};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_person_pairs_a_device_and_owns_it",
        a_person_pairs_a_device_and_owns_it,
    ),
    ("pairings_lapse_and_slow_down", pairings_lapse_and_slow_down),
];

pub(crate) fn pair(house: &House, person: &Person, client: &str) -> Signer {
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
