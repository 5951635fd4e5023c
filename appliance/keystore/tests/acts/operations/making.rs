//! Keys that are made for operations: never released, brought, unwrapped, derived.

use strongroom_keystore::Error;
use strongroom_mechanisms::wrap::Wrapping;
use strongroom_mechanisms::{agree, material};
use strongroom_wire::audit::Act;
use strongroom_wire::id::IdempotencyKey;
use strongroom_wire::key::{Algorithm, CreateKeys, NewKey, Origin, Releasable, Right, UsagePolicy};
use strongroom_wire::operation::{Mechanism, Operate, Operation, OperationResult};
use strongroom_wire::problem::Code;

use super::{encrypting, key_for, make, operate, records, share, signing};
use crate::house::{House, Person};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_key_that_is_never_released_stays_so",
        a_key_that_is_never_released_stays_so,
    ),
    (
        "brought_keys_are_checked_and_recorded_as_brought",
        brought_keys_are_checked_and_recorded_as_brought,
    ),
    ("wrapping_a_key_releases_it", wrapping_a_key_releases_it),
    (
        "unwrapped_and_derived_keys_say_where_they_come_from",
        unwrapped_and_derived_keys_say_where_they_come_from,
    ),
    (
        "a_request_for_a_key_pair_made_again_makes_one",
        a_request_for_a_key_pair_made_again_makes_one,
    ),
];

fn a_key_that_is_never_released_stays_so() {
    let house = House::new("never-released");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let new = NewKey {
        releasable: Releasable::Never,
        recipients: vec!["bob".to_owned()],
        ..NewKey::new(Algorithm::EcP256)
    };
    let key = make(&house, &alice, new.clone()).unwrap();
    assert_eq!(key.releasable, Releasable::Never);
    assert!(key.policy.as_ref().unwrap().operations_only);
    let key = key.id;
    let refused = |who: &Person| {
        let error = house.release(who, key).unwrap_err();
        error.code()
    };
    assert_eq!(refused(&alice), Code::PolicyRefused);
    assert_eq!(refused(&bob), Code::NotPermitted);
    let loose = UsagePolicy::default();
    let changed = house
        .keystore
        .change_key_policy(&alice.presented, key, loose.clone());
    assert!(matches!(changed.unwrap_err().error, Error::Conflict(_)));
    // Another policy may come and go, as long as it keeps to that.
    let strict = UsagePolicy {
        operations_only: true,
        not_before: Some(house.now()),
        ..loose
    };
    let changed = house
        .keystore
        .change_key_policy(&alice.presented, key, strict);
    changed.unwrap();
    assert_eq!(refused(&alice), Code::PolicyRefused);
    // Neither wrapped, nor with the answer that creates it, nor in another version.
    let kek = key_for(&house, &alice, Algorithm::Aes256).id;
    let operation = Operation::Wrap {
        mechanism: Mechanism::AesKwp,
        key,
        version: None,
        iv: None,
        associated_data: None,
    };
    let wrapped = operate(&house, &alice, kek, operation).unwrap_err();
    assert_eq!(wrapped.code(), Code::PolicyRefused);
    let request = CreateKeys {
        keys: vec![new],
        release: true,
    };
    let made = house.keystore.create_keys(&alice.presented, request);
    assert!(matches!(made.unwrap_err().error, Error::Invalid(_)));
    let rotated = house.keystore.rotate(&alice.presented, key).unwrap().key;
    assert_eq!(rotated.releasable, Releasable::Never);
    assert_eq!(refused(&alice), Code::PolicyRefused);
    operate(&house, &alice, key, signing(Mechanism::EcdsaSha256)).unwrap();
    // A grant that says otherwise changes nothing.
    let carol = house.person("carol");
    share(&house, &alice, key, &carol, &[Right::Release, Right::Sign]);
    assert_eq!(refused(&carol), Code::PolicyRefused);
}

fn brought_keys_are_checked_and_recorded_as_brought() {
    let house = House::new("brought");
    let alice = house.person("alice");
    let bring = |algorithm, bytes: &[u8]| NewKey {
        material: Some(alice.transport.wrap_import(bytes).unwrap().into()),
        ..NewKey::new(algorithm)
    };
    for algorithm in [
        Algorithm::Aes128,
        Algorithm::GenericSecret,
        Algorithm::EcP256,
        Algorithm::Rsa2048,
        Algorithm::MlKem768,
    ] {
        let own = material::generate(algorithm, None).unwrap();
        let key = make(&house, &alice, bring(algorithm, &own.bytes)).unwrap();
        assert_eq!(key.origin, Origin::Imported);
        assert_eq!(key.public_key.map(|key| key.0), own.public_key);
        assert_eq!(house.release(&alice, key.id).unwrap(), *own.bytes);
        let newest = &records(&house, &alice)[1];
        assert_eq!((newest.act, newest.done), (Act::KeyImport, true));
    }
    let own = material::generate(Algorithm::EcP256, None).unwrap();
    let mut foreign = bring(Algorithm::EcP256, &own.bytes);
    let other = strongroom_session::TransportKey::from_bytes([7; 32]);
    foreign.material = Some(other.wrap_import(&own.bytes).unwrap().into());
    for (new, code) in [
        (bring(Algorithm::EcP384, &own.bytes), Code::Invalid),
        (bring(Algorithm::Ed25519, &own.bytes), Code::Invalid),
        (bring(Algorithm::EcP256, &own.bytes[1..]), Code::Invalid),
        (bring(Algorithm::Aes256, &[1; 31]), Code::Invalid),
        (foreign, Code::NotAuthentic),
    ] {
        let refused = make(&house, &alice, new).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        let newest = &records(&house, &alice)[0];
        assert_eq!((newest.act, newest.done), (Act::KeyCreate, false));
    }
}

fn wrapping_a_key_releases_it() {
    let house = House::new("wraps");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let kek = key_for(&house, &alice, Algorithm::Aes256).id;
    let policy = UsagePolicy {
        max_releases: Some(1),
        ..UsagePolicy::default()
    };
    let new = NewKey {
        policy,
        ..NewKey::new(Algorithm::EcP256)
    };
    let key = make(&house, &alice, new).unwrap().id;
    let wrap = |key| Operation::Wrap {
        mechanism: Mechanism::AesKwp,
        key,
        version: None,
        iv: None,
        associated_data: None,
    };
    // Whoever may wrap with the one and not have the other gets nothing.
    share(&house, &alice, kek, &bob, &[Right::Wrap]);
    share(&house, &alice, key, &bob, &[Right::Sign]);
    let refused = operate(&house, &bob, kek, wrap(key)).unwrap_err();
    assert!(matches!(refused, Error::NotPermitted(_)));
    let OperationResult::Wrapped { wrapped, .. } = operate(&house, &alice, kek, wrap(key)).unwrap()
    else {
        panic!("not wrapped");
    };
    let acts: Vec<Act> = records(&house, &alice)
        .iter()
        .map(|record| record.act)
        .collect();
    assert_eq!(acts[..2], [Act::KeyWrap, Act::KeyRelease]);
    let again = operate(&house, &alice, kek, wrap(key)).unwrap_err();
    assert_eq!(again.code(), Code::PolicyReleasesUsedUp);
    let released = house.release(&alice, kek).unwrap();
    let (kwp, aes) = (Wrapping::by(Mechanism::AesKwp), Algorithm::Aes256);
    let inside = strongroom_mechanisms::wrap::unwrap(aes, &released, kwp, &wrapped.0).unwrap();
    assert!(
        material::public_key(Algorithm::EcP256, &inside)
            .unwrap()
            .is_some()
    );
}

fn unwrapped_and_derived_keys_say_where_they_come_from() {
    let house = House::new("unwraps");
    let alice = house.person("alice");
    let kek = key_for(&house, &alice, Algorithm::Aes256).id;
    let key = key_for(&house, &alice, Algorithm::EcP256);
    let operation = Operation::Wrap {
        mechanism: Mechanism::AesKwp,
        key: key.id,
        version: None,
        iv: None,
        associated_data: None,
    };
    let OperationResult::Wrapped { wrapped, .. } = operate(&house, &alice, kek, operation).unwrap()
    else {
        panic!("not wrapped");
    };
    let unwrap = |wrapped: &[u8], new: NewKey| Operation::Unwrap {
        mechanism: Mechanism::AesKwp,
        wrapped: wrapped.into(),
        iv: None,
        associated_data: None,
        new: Some(Box::new(new)),
        alternatives: Vec::new(),
    };
    let new = NewKey {
        releasable: Releasable::Never,
        ..NewKey::new(Algorithm::EcP256)
    };
    let made = operate(&house, &alice, kek, unwrap(&wrapped.0, new.clone())).unwrap();
    let OperationResult::Created { key: again } = made else {
        panic!("{made:?}");
    };
    assert_eq!(again.public_key, key.public_key);
    assert_eq!(
        (again.origin, again.releasable),
        (Origin::Unwrapped, Releasable::Never)
    );
    let acts: Vec<Act> = records(&house, &alice)
        .iter()
        .map(|record| record.act)
        .collect();
    assert_eq!(acts[..2], [Act::KeyUnwrap, Act::KeyImport]);
    operate(&house, &alice, again.id, signing(Mechanism::EcdsaSha256)).unwrap();
    let mut altered = wrapped.0.clone();
    altered[9] ^= 1;
    for (operation, code) in [
        (unwrap(&altered, new.clone()), Code::NotAuthentic),
        (
            unwrap(&wrapped.0, NewKey::new(Algorithm::Ed25519)),
            Code::Invalid,
        ),
    ] {
        let refused = operate(&house, &alice, kek, operation).unwrap_err();
        assert_eq!(refused.code(), code);
    }
    let other = material::generate(Algorithm::EcP256, None).unwrap();
    let secret = agree::agree(Algorithm::EcP256, &other.bytes, &key.public_key.unwrap().0).unwrap();
    let derive = |algorithm| Operation::Derive {
        mechanism: Mechanism::Ecdh,
        public_key: Some(other.public_key.clone().unwrap().into()),
        kdf: None,
        length: None,
        new: Some(Box::new(NewKey::new(algorithm))),
    };
    for (algorithm, length) in [(Algorithm::Aes128, 16), (Algorithm::GenericSecret, 32)] {
        let made = operate(&house, &alice, key.id, derive(algorithm)).unwrap();
        let OperationResult::Created { key: derived } = made else {
            panic!("{made:?}");
        };
        assert_eq!(derived.origin, Origin::Derived);
        // The last bytes, as PKCS #11 has it.
        let own = house.release(&alice, derived.id).unwrap();
        assert_eq!(own, secret[secret.len() - length..]);
    }
    // Made again under its name, a request makes no other key; nor does it answer for another.
    let once = IdempotencyKey::generate();
    let repeat = |operation| {
        let request = Operate {
            operation,
            version: None,
        };
        let performed = house
            .keystore
            .operate_once(&alice.presented, kek, request, once);
        performed.map_err(|refusal| refusal.error)
    };
    let first = repeat(unwrap(&wrapped.0, new.clone())).unwrap();
    assert_eq!(repeat(unwrap(&wrapped.0, new.clone())).unwrap(), first);
    let other_request = repeat(unwrap(&wrapped.0, NewKey::new(Algorithm::EcP256)));
    assert!(matches!(other_request, Err(Error::IdempotencyKeyReused)));
    assert!(matches!(
        repeat(encrypting(Mechanism::AesGcm)),
        Err(Error::Invalid(_))
    ));
    let pair = operate(&house, &alice, key.id, derive(Algorithm::EcP256)).unwrap_err();
    assert_eq!(pair.code(), Code::Invalid);
}

fn a_request_for_a_key_pair_made_again_makes_one() {
    let house = House::new("pairs-once");
    let alice = house.person("alice");
    let once = IdempotencyKey::generate();
    let request = CreateKeys {
        keys: vec![NewKey::new(Algorithm::Ed25519)],
        release: false,
    };
    let mut made = (0..2).map(|_| {
        let created = house
            .keystore
            .create_keys_once(&alice.presented, request.clone(), once);
        created.unwrap().keys.remove(0).key
    });
    assert_eq!(made.next(), made.next());
    let many = CreateKeys {
        keys: vec![NewKey::new(Algorithm::Rsa2048); 9],
        release: false,
    };
    let refused = house.keystore.create_keys(&alice.presented, many);
    assert!(matches!(refused.unwrap_err().error, Error::Invalid(_)));
}
