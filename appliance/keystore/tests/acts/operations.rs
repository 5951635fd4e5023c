//! The appliance uses keys for people: rights, usage policies, states, versions, leaves, and rows that somebody altered.

use rusqlite::{Connection, params};
use strongroom_keystore::Error;
use strongroom_mechanisms::sign::{self, Signed};
use strongroom_mechanisms::{agree, material};
use strongroom_wire::audit::{Act, Record, RecordQuery};
use strongroom_wire::id::{IdempotencyKey, KeyId};
use strongroom_wire::key::{
    Algorithm, ChangeState, CreateKeys, Key, KeyState, NewKey, Origin, Protection, Releasable,
    ReleaseKey, Right, ShareKey, UsagePolicy,
};
use strongroom_wire::operation::{
    KeyOperation, Mechanism, Operate, OperateMany, Operation, OperationOutcome, OperationResult,
    Performed, SignatureEncoding,
};
use strongroom_wire::problem::Code;

use crate::house::{House, Person};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "what_the_appliance_signs_verifies_anywhere",
        what_the_appliance_signs_verifies_anywhere,
    ),
    (
        "every_operation_does_what_it_says",
        every_operation_does_what_it_says,
    ),
    (
        "what_makes_no_sense_is_refused_and_says_so",
        what_makes_no_sense_is_refused_and_says_so,
    ),
    (
        "an_operation_needs_its_right_and_no_other",
        an_operation_needs_its_right_and_no_other,
    ),
    (
        "usage_policies_bind_operations",
        usage_policies_bind_operations,
    ),
    (
        "states_say_what_a_key_still_does",
        states_say_what_a_key_still_does,
    ),
    (
        "older_versions_process_and_protect_nothing",
        older_versions_process_and_protect_nothing,
    ),
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
        "each_operation_of_many_is_decided_by_itself",
        each_operation_of_many_is_decided_by_itself,
    ),
    (
        "leaves_name_the_mechanism_and_no_data",
        leaves_name_the_mechanism_and_no_data,
    ),
    ("altered_rows_are_met", altered_rows_are_met),
    (
        "a_request_for_a_key_pair_made_again_makes_one",
        a_request_for_a_key_pair_made_again_makes_one,
    ),
];

fn make(house: &House, who: &Person, new: NewKey) -> Result<Key, Error> {
    let request = CreateKeys {
        keys: vec![new],
        release: false,
    };
    let created = house.keystore.create_keys(&who.presented, request);
    created
        .map(|mut created| created.keys.remove(0).key)
        .map_err(|refusal| refusal.error)
}

fn key_for(house: &House, who: &Person, algorithm: Algorithm) -> Key {
    make(house, who, NewKey::new(algorithm)).unwrap()
}

fn operate(
    house: &House,
    who: &Person,
    key: KeyId,
    operation: Operation,
) -> Result<OperationResult, Error> {
    operate_with(house, who, key, None, operation).map(|performed| performed.result)
}

fn operate_with(
    house: &House,
    who: &Person,
    key: KeyId,
    version: Option<u32>,
    operation: Operation,
) -> Result<Performed, Error> {
    let request = Operate { operation, version };
    let performed = house.keystore.operate(&who.presented, key, request);
    performed.map_err(|refusal| {
        assert!(refusal.leaf.is_some(), "{refusal}");
        refusal.error
    })
}

fn signing(mechanism: Mechanism) -> Operation {
    Operation::Sign {
        mechanism,
        data: b"message".as_slice().into(),
        prehashed: false,
        encoding: SignatureEncoding::Der,
    }
}

fn verifying(mechanism: Mechanism, signature: &[u8]) -> Operation {
    Operation::Verify {
        mechanism,
        data: b"message".as_slice().into(),
        signature: signature.into(),
        prehashed: false,
        encoding: SignatureEncoding::Der,
    }
}

fn macking() -> Operation {
    Operation::Mac {
        mechanism: Mechanism::HmacSha256,
        data: b"message".as_slice().into(),
    }
}

fn encrypting(mechanism: Mechanism) -> Operation {
    Operation::Encrypt {
        mechanism,
        data: b"sixteen bytes...".as_slice().into(),
        iv: None,
        associated_data: None,
    }
}

/// The decryption of what [`encrypting`] made.
fn decrypting(mechanism: Mechanism, made: &OperationResult) -> Operation {
    let OperationResult::Ciphertext { data, iv } = made else {
        panic!("{made:?}");
    };
    Operation::Decrypt {
        mechanism,
        data: data.clone(),
        iv: iv.clone(),
        associated_data: None,
    }
}

fn signature_of(result: OperationResult) -> Vec<u8> {
    match result {
        OperationResult::Signature { signature } => signature.0,
        other => panic!("{other:?}"),
    }
}

fn is_valid(result: &OperationResult) -> bool {
    match result {
        OperationResult::Verified { valid } => *valid,
        other => panic!("{other:?}"),
    }
}

fn share(house: &House, who: &Person, key: KeyId, with: &Person, rights: &[Right]) {
    let request = ShareKey {
        grantee: with.name.clone(),
        rights: Some(rights.to_vec()),
        policy: UsagePolicy::default(),
    };
    house.keystore.share(&who.presented, key, request).unwrap();
}

fn state(house: &House, who: &Person, key: KeyId, state: KeyState) {
    let request = ChangeState { state };
    let changed = house.keystore.change_state(&who.presented, key, request);
    changed.unwrap();
}

fn records(house: &House, who: &Person) -> Vec<Record> {
    let page = house
        .keystore
        .records(&who.presented, RecordQuery::default());
    page.unwrap().records
}

fn what_the_appliance_signs_verifies_anywhere() {
    let house = House::new("signs");
    let alice = house.person("alice");
    for algorithm in [
        Algorithm::EcP256,
        Algorithm::EcP384,
        Algorithm::EcP521,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
        Algorithm::MlDsa65,
    ] {
        let key = key_for(&house, &alice, algorithm);
        let public_key = key.public_key.clone().unwrap().0;
        let shown = house
            .keystore
            .public_key(&alice.presented, key.id, None)
            .unwrap();
        assert_eq!(shown.public_key.0, public_key);
        let usable = Mechanism::ALL.iter().copied().filter(|mechanism| {
            let of_signatures = *mechanism == Mechanism::Ed25519
                || *mechanism == Mechanism::MlDsa65
                || mechanism.as_str().contains("-sha-");
            of_signatures && mechanism.suits(algorithm) && !mechanism.as_str().contains("oaep")
        });
        for mechanism in usable {
            let signed = operate(&house, &alice, key.id, signing(mechanism)).unwrap();
            let signature = signature_of(signed);
            let what = Signed {
                mechanism,
                data: b"message",
                prehashed: false,
                encoding: SignatureEncoding::Der,
            };
            assert!(sign::verify(algorithm, &public_key, what, &signature).unwrap());
            let checked = operate(&house, &alice, key.id, verifying(mechanism, &signature));
            assert!(is_valid(&checked.unwrap()));
            let wrong = operate(
                &house,
                &alice,
                key.id,
                verifying(mechanism, b"no signature"),
            );
            assert!(!is_valid(&wrong.unwrap()));
        }
        // What was released is the private key of that public key.
        let released = house.release(&alice, key.id).unwrap();
        let taken = material::import(algorithm, None, &released).unwrap();
        assert_eq!(taken.public_key.unwrap(), public_key);
    }
}

fn every_operation_does_what_it_says() {
    let house = House::new("operations");
    let alice = house.person("alice");
    for algorithm in [Algorithm::Aes128, Algorithm::Aes192, Algorithm::Aes256] {
        let key = key_for(&house, &alice, algorithm).id;
        for mechanism in [
            Mechanism::AesGcm,
            Mechanism::AesCbc,
            Mechanism::AesCbcPad,
            Mechanism::AesCtr,
            Mechanism::AesEcb,
        ] {
            let made = operate(&house, &alice, key, encrypting(mechanism)).unwrap();
            let back = operate(&house, &alice, key, decrypting(mechanism, &made)).unwrap();
            let data = b"sixteen bytes...".as_slice().into();
            assert_eq!(back, OperationResult::Plaintext { data });
        }
    }
    let rsa = key_for(&house, &alice, Algorithm::Rsa2048).id;
    for mechanism in [
        Mechanism::RsaOaepSha1,
        Mechanism::RsaOaepSha256,
        Mechanism::RsaPkcs1,
    ] {
        let made = operate(&house, &alice, rsa, encrypting(mechanism)).unwrap();
        let back = operate(&house, &alice, rsa, decrypting(mechanism, &made)).unwrap();
        let data = b"sixteen bytes...".as_slice().into();
        assert_eq!(back, OperationResult::Plaintext { data });
    }
    for (algorithm, mechanism) in [
        (Algorithm::HmacSha256, Mechanism::HmacSha256),
        (Algorithm::GenericSecret, Mechanism::HmacSha384),
        (Algorithm::GenericSecret, Mechanism::HmacSha512),
        (Algorithm::Aes256, Mechanism::AesCmac),
    ] {
        let key = key_for(&house, &alice, algorithm).id;
        let data = b"message".as_slice().into();
        let made = operate(&house, &alice, key, Operation::Mac { mechanism, data });
        let OperationResult::Mac { mac } = made.unwrap() else {
            panic!("no MAC");
        };
        for (data, valid) in [(b"message".as_slice(), true), (b"massage", false)] {
            let operation = Operation::VerifyMac {
                mechanism,
                data: data.into(),
                mac: mac.clone(),
            };
            let checked = operate(&house, &alice, key, operation).unwrap();
            assert_eq!(is_valid(&checked), valid);
        }
    }
    // Diffie-Hellman with somebody outside, and ML-KEM with oneself: the secret comes under the session's transport key.
    for algorithm in [Algorithm::EcP256, Algorithm::EcP521, Algorithm::X25519] {
        let key = key_for(&house, &alice, algorithm);
        let other = material::generate(algorithm, None).unwrap();
        let operation = Operation::Derive {
            mechanism: Mechanism::Ecdh,
            public_key: other.public_key.clone().unwrap().into(),
            new: None,
        };
        let agreed = operate_with(&house, &alice, key.id, None, operation).unwrap();
        let expected = agree::agree(algorithm, &other.bytes, &key.public_key.unwrap().0);
        assert_eq!(secret_of(&alice, &agreed), *expected.unwrap());
    }
    let kem = key_for(&house, &alice, Algorithm::MlKem768).id;
    let mechanism = Mechanism::MlKem768;
    let sent = operate_with(
        &house,
        &alice,
        kem,
        None,
        Operation::Encapsulate { mechanism },
    );
    let sent = sent.unwrap();
    let OperationResult::Secret { ciphertext, .. } = &sent.result else {
        panic!("{sent:?}");
    };
    let data = ciphertext.clone().unwrap();
    let operation = Operation::Decapsulate { mechanism, data };
    let learnt = operate_with(&house, &alice, kem, None, operation).unwrap();
    assert_eq!(secret_of(&alice, &learnt), secret_of(&alice, &sent));
}

fn what_makes_no_sense_is_refused_and_says_so() {
    let house = House::new("senseless-operations");
    let alice = house.person("alice");
    let hmac = key_for(&house, &alice, Algorithm::HmacSha256).id;
    for operation in [
        signing(Mechanism::EcdsaSha256),
        encrypting(Mechanism::AesGcm),
        Operation::Mac {
            mechanism: Mechanism::HmacSha512,
            data: Vec::new().into(),
        },
    ] {
        let refused = operate(&house, &alice, hmac, operation).unwrap_err();
        assert_eq!(refused.code(), Code::Invalid);
    }
    let aes = key_for(&house, &alice, Algorithm::Aes256).id;
    let made = operate(&house, &alice, aes, encrypting(Mechanism::AesGcm)).unwrap();
    let elsewhere = key_for(&house, &alice, Algorithm::Aes256).id;
    let refused = operate(
        &house,
        &alice,
        elsewhere,
        decrypting(Mechanism::AesGcm, &made),
    );
    assert_eq!(refused.unwrap_err().code(), Code::NotAuthentic);
}

fn secret_of(who: &Person, performed: &Performed) -> Vec<u8> {
    let OperationResult::Secret { wrapped, .. } = &performed.result else {
        panic!("{performed:?}");
    };
    let (key, version) = (performed.key, performed.version);
    // It is not taken for the key's own material.
    assert!(who.transport.unwrap(key, version, &wrapped.0).is_err());
    let secret = who.transport.unwrap_agreed(key, version, &wrapped.0);
    secret.unwrap().to_vec()
}

fn an_operation_needs_its_right_and_no_other() {
    let house = House::new("rights-of-operations");
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| house.person(name));
    let ec = key_for(&house, &alice, Algorithm::EcP256);
    let aes = key_for(&house, &alice, Algorithm::Aes256);
    let signature =
        signature_of(operate(&house, &alice, ec.id, signing(Mechanism::EcdsaSha256)).unwrap());
    let made = operate(&house, &alice, aes.id, encrypting(Mechanism::AesGcm)).unwrap();
    let of_ec = [
        (Right::Sign, signing(Mechanism::EcdsaSha256)),
        (Right::Verify, verifying(Mechanism::EcdsaSha256, &signature)),
        (
            Right::Derive,
            Operation::Derive {
                mechanism: Mechanism::Ecdh,
                public_key: ec.public_key.clone().unwrap(),
                new: None,
            },
        ),
    ];
    let of_aes = [
        (Right::Encrypt, encrypting(Mechanism::AesGcm)),
        (Right::Decrypt, decrypting(Mechanism::AesGcm, &made)),
    ];
    let all = of_ec
        .iter()
        .map(|case| (ec.id, case))
        .chain(of_aes.iter().map(|case| (aes.id, case)));
    for (key, (right, operation)) in all {
        let refused = operate(&house, &eve, key, operation.clone()).unwrap_err();
        assert!(matches!(refused, Error::KeyNotFound), "{refused}");
        let others: Vec<Right> = Right::ALL
            .into_iter()
            .filter(|other| other != right)
            .collect();
        share(&house, &alice, key, &bob, &others);
        let refused = operate(&house, &bob, key, operation.clone()).unwrap_err();
        assert!(matches!(refused, Error::NotPermitted(_)), "{refused}");
        revoke(&house, &alice, key);
        let refused = operate(&house, &bob, key, operation.clone()).unwrap_err();
        assert!(matches!(refused, Error::GrantRevoked), "{refused}");
        share(&house, &alice, key, &bob, &[*right]);
        operate(&house, &bob, key, operation.clone()).unwrap();
        revoke(&house, &alice, key);
    }
}

/// Takes the key back from everybody but its owner.
fn revoke(house: &House, owner: &Person, key: KeyId) {
    let grants = house.keystore.grants(&owner.presented, key).unwrap().grants;
    let active = grants
        .iter()
        .skip(1)
        .filter(|grant| grant.state == strongroom_wire::key::GrantState::Active);
    for grant in active {
        let revoked = house.keystore.revoke(&owner.presented, key, grant.id);
        revoked.unwrap();
    }
}

fn usage_policies_bind_operations() {
    let house = House::new("policies-of-operations");
    let alice = house.person("alice");
    let soon = house.now().plus_seconds(10);
    let policy = UsagePolicy {
        not_before: Some(soon),
        not_after: Some(soon.plus_seconds(10)),
        rights: Some(vec![Right::Sign, Right::Verify]),
        ..UsagePolicy::default()
    };
    let new = NewKey {
        policy,
        ..NewKey::new(Algorithm::EcP256)
    };
    let key = make(&house, &alice, new).unwrap().id;
    let code = |operation| {
        operate(&house, &alice, key, operation)
            .map_err(|error| error.code())
            .err()
    };
    let mechanism = Mechanism::EcdsaSha256;
    assert_eq!(code(signing(mechanism)), Some(Code::PolicyNotYetValid));
    house.clock.advance(10);
    assert_eq!(code(signing(mechanism)), None);
    assert_eq!(code(verifying(mechanism, b"")), None);
    let other = material::generate(Algorithm::EcP256, None).unwrap();
    let derive = Operation::Derive {
        mechanism: Mechanism::Ecdh,
        public_key: other.public_key.unwrap().into(),
        new: None,
    };
    assert_eq!(code(derive), Some(Code::PolicyRefused));
    house.clock.advance(10);
    assert_eq!(code(signing(mechanism)), Some(Code::PolicyExpired));
}

fn states_say_what_a_key_still_does() {
    use KeyState::{Active, Compromised, Deactivated, Suspended};
    let house = House::new("states-of-operations");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let new = NewKey {
        state: KeyState::PreActive,
        ..NewKey::new(Algorithm::EcP256)
    };
    let key = make(&house, &alice, new).unwrap().id;
    share(&house, &alice, key, &bob, &[Right::Sign, Right::Verify]);
    let mechanism = Mechanism::EcdsaSha256;
    let does = |who: &Person| {
        let tried = [signing(mechanism), verifying(mechanism, b"")];
        tried.map(|operation| operate(&house, who, key, operation).is_ok())
    };
    assert_eq!(does(&alice), [false, false], "pre-active");
    state(&house, &alice, key, Active);
    assert_eq!(does(&bob), [true, true], "active");
    state(&house, &alice, key, Suspended);
    assert_eq!(does(&alice), [false, false], "suspended");
    state(&house, &alice, key, Active);
    state(&house, &alice, key, Deactivated);
    assert_eq!(does(&alice), [false, true], "deactivated");
    assert_eq!(does(&bob), [false, true]);
    state(&house, &alice, key, Compromised);
    assert_eq!(does(&alice), [false, true], "compromised, for its owner");
    assert_eq!(does(&bob), [false, false], "compromised, for others");
    house.keystore.destroy(&alice.presented, key).unwrap();
    let refused = operate(&house, &alice, key, verifying(mechanism, b"")).unwrap_err();
    assert!(matches!(refused, Error::KeyDestroyed));
}

fn older_versions_process_and_protect_nothing() {
    let house = House::new("versions-of-operations");
    let alice = house.person("alice");
    let key = key_for(&house, &alice, Algorithm::EcP384);
    let mechanism = Mechanism::EcdsaSha384;
    let first = signature_of(operate(&house, &alice, key.id, signing(mechanism)).unwrap());
    let rotated = house.keystore.rotate(&alice.presented, key.id).unwrap().key;
    assert_eq!(rotated.version, 2);
    assert_ne!(rotated.public_key, key.public_key);
    let second = signature_of(operate(&house, &alice, key.id, signing(mechanism)).unwrap());
    for (version, signature, valid) in [
        (Some(1), &first, true),
        (Some(1), &second, false),
        (Some(2), &second, true),
        (None, &second, true),
        (None, &first, false),
    ] {
        let operation = verifying(mechanism, signature);
        let checked = operate_with(&house, &alice, key.id, version, operation).unwrap();
        assert_eq!(is_valid(&checked.result), valid);
        assert_eq!(checked.version, version.unwrap_or(2));
    }
    let old = operate_with(&house, &alice, key.id, Some(1), signing(mechanism));
    assert_eq!(old.unwrap_err().code(), Code::Invalid);
    for version in [0, 3] {
        let operation = verifying(mechanism, &first);
        let refused = operate_with(&house, &alice, key.id, Some(version), operation);
        assert!(matches!(refused, Err(Error::NoSuchVersion(_))));
    }
    let old = house
        .keystore
        .public_key(&alice.presented, key.id, Some(1))
        .unwrap();
    assert_eq!(Some(old.public_key), key.public_key);
}

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
    let hsm = NewKey {
        protection: Protection::Hsm,
        ..NewKey::new(Algorithm::EcP256)
    };
    assert!(matches!(make(&house, &alice, hsm), Err(Error::Invalid(_))));
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
    };
    // Whoever may wrap with the one and not have the other gets nothing.
    share(&house, &alice, kek, &bob, &[Right::Wrap]);
    share(&house, &alice, key, &bob, &[Right::Sign]);
    let refused = operate(&house, &bob, kek, wrap(key)).unwrap_err();
    assert!(matches!(refused, Error::NotPermitted(_)));
    let OperationResult::Wrapped { wrapped } = operate(&house, &alice, kek, wrap(key)).unwrap()
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
    let (kwp, aes) = (Mechanism::AesKwp, Algorithm::Aes256);
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
    };
    let OperationResult::Wrapped { wrapped } = operate(&house, &alice, kek, operation).unwrap()
    else {
        panic!("not wrapped");
    };
    let unwrap = |wrapped: &[u8], new: NewKey| Operation::Unwrap {
        mechanism: Mechanism::AesKwp,
        wrapped: wrapped.into(),
        new: Box::new(new),
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
        public_key: other.public_key.clone().unwrap().into(),
        new: Some(Box::new(NewKey::new(algorithm))),
    };
    for (algorithm, length) in [(Algorithm::Aes128, 16), (Algorithm::GenericSecret, 32)] {
        let made = operate(&house, &alice, key.id, derive(algorithm)).unwrap();
        let OperationResult::Created { key: derived } = made else {
            panic!("{made:?}");
        };
        assert_eq!(derived.origin, Origin::Derived);
        assert_eq!(house.release(&alice, derived.id).unwrap(), secret[..length]);
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

fn each_operation_of_many_is_decided_by_itself() {
    let house = House::new("many-operations");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let ec = key_for(&house, &alice, Algorithm::EcP256).id;
    let bobs = key_for(&house, &bob, Algorithm::Ed25519).id;
    share(&house, &bob, bobs, &alice, &[Right::Verify]);
    let of = |key, operation| KeyOperation {
        key,
        operation,
        version: None,
    };
    let operations = vec![
        of(ec, signing(Mechanism::EcdsaSha256)),
        of(bobs, signing(Mechanism::Ed25519)),
        of(KeyId::generate(), macking()),
        of(bobs, verifying(Mechanism::Ed25519, b"")),
        of(ec, encrypting(Mechanism::AesGcm)),
    ];
    let request = OperateMany { operations };
    let operated = house.keystore.operate_many(&alice.presented, request);
    let operated = operated.unwrap().operations;
    let codes: Vec<Option<Code>> = operated
        .iter()
        .map(|outcome| match outcome {
            OperationOutcome::Done(_) => None,
            OperationOutcome::Refused(problem) => Some(problem.code),
        })
        .collect();
    let expected = [
        None,
        Some(Code::NotPermitted),
        Some(Code::KeyNotFound),
        None,
        Some(Code::Invalid),
    ];
    assert_eq!(codes, expected);
    let leaves: Vec<u64> = operated
        .iter()
        .map(|outcome| match outcome {
            OperationOutcome::Done(performed) => performed.leaf,
            OperationOutcome::Refused(problem) => problem.leaf.unwrap(),
        })
        .collect();
    assert!(leaves.windows(2).all(|pair| pair[1] == pair[0] + 1));
    for operations in [Vec::new(), vec![of(ec, macking()); 1001]] {
        let request = OperateMany { operations };
        let refused = house.keystore.operate_many(&alice.presented, request);
        assert!(matches!(refused.unwrap_err().error, Error::Invalid(_)));
    }
}

fn leaves_name_the_mechanism_and_no_data() {
    let house = House::new("leaves-of-operations");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let key = key_for(&house, &alice, Algorithm::Aes256);
    let made = operate(&house, &alice, key.id, encrypting(Mechanism::AesGcm)).unwrap();
    let mut altered = decrypting(Mechanism::AesGcm, &made);
    if let Operation::Decrypt { data, .. } = &mut altered {
        data.0[0] ^= 1;
    }
    operate(&house, &alice, key.id, altered).unwrap_err();
    operate(&house, &alice, key.id, decrypting(Mechanism::AesGcm, &made)).unwrap();
    operate(&house, &bob, key.id, encrypting(Mechanism::AesCbc)).unwrap_err();
    let hmac = key_for(&house, &alice, Algorithm::HmacSha256);
    let operation = Operation::VerifyMac {
        mechanism: Mechanism::HmacSha256,
        data: b"message".as_slice().into(),
        mac: vec![0; 32].into(),
    };
    operate(&house, &alice, hmac.id, operation).unwrap();
    let records = records(&house, &alice);
    let seen: Vec<_> = records
        .iter()
        .filter(|record| record.act != Act::KeyCreate)
        .take(5)
        .map(|record| (record.act, record.done, record.note.as_deref().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            (Act::KeyVerify, true, "hmac-sha-256: not valid"),
            (Act::KeyEncrypt, false, "key-not-found aes-cbc"),
            (Act::KeyDecrypt, true, "aes-gcm"),
            (Act::KeyDecrypt, false, "not-authentic aes-gcm"),
            (Act::KeyEncrypt, true, "aes-gcm"),
        ]
    );
    for record in &records {
        let text = serde_json::to_string(record).unwrap();
        assert!(!text.contains("sixteen"), "{text}");
    }
    let encrypted = records
        .iter()
        .find(|record| record.act == Act::KeyEncrypt && record.done)
        .unwrap();
    assert_eq!(
        (encrypted.key, encrypted.key_version),
        (Some(key.id), Some(1))
    );
}

fn altered_rows_are_met() {
    let house = House::new("altered-operations");
    let alice = house.person("alice");
    let never = NewKey {
        releasable: Releasable::Never,
        ..NewKey::new(Algorithm::EcP256)
    };
    let never = make(&house, &alice, never).unwrap().id;
    let other = key_for(&house, &alice, Algorithm::EcP256).id;
    let rows = Connection::open(house.database()).unwrap();
    let signs = || operate(&house, &alice, never, signing(Mechanism::EcdsaSha256));
    let verifies = || {
        operate(
            &house,
            &alice,
            never,
            verifying(Mechanism::EcdsaSha256, b""),
        )
    };
    let releases = || {
        let request = ReleaseKey::default();
        let released = house.keystore.release(&alice.presented, never, request);
        released.map(drop).map_err(|refusal| refusal.error)
    };
    for edit in [
        "UPDATE keys SET releasable = 1 WHERE id = ?1",
        "UPDATE keys SET origin = 2 WHERE id = ?1",
        "UPDATE keys SET protection = 2 WHERE id = ?1",
        "UPDATE keys SET length = 32 WHERE id = ?1",
        "UPDATE keys SET releasable = 1, restrictions = NULL WHERE id = ?1",
        "UPDATE keys SET algorithm = 21 WHERE id = ?1",
        "UPDATE keys SET releasable = 9 WHERE id = ?1",
    ] {
        let mut edited = Edit::new(&rows, "keys", "id", never);
        rows.execute(edit, [never.as_bytes()]).unwrap();
        for refused in [releases().unwrap_err(), signs().unwrap_err()] {
            assert_eq!(refused.code(), Code::IntegrityFailure, "{edit}: {refused}");
        }
        edited.undo();
    }
    for edit in [
        "UPDATE public_keys SET public_key = (SELECT public_key FROM public_keys WHERE key = ?2) WHERE key = ?1",
        "UPDATE public_keys SET public_key = (SELECT public_key FROM public_keys WHERE key = ?2),
            mac = (SELECT mac FROM public_keys WHERE key = ?2) WHERE key = ?1",
        "UPDATE public_keys SET version = 2 WHERE key = ?1 AND ?2 IS NOT NULL",
        "DELETE FROM public_keys WHERE key = ?1 AND ?2 IS NOT NULL",
    ] {
        let mut edited = Edit::new(&rows, "public_keys", "key", never);
        rows.execute(edit, params![never.as_bytes(), other.as_bytes()])
            .unwrap();
        let refused = verifies().unwrap_err();
        assert_eq!(refused.code(), Code::IntegrityFailure, "{edit}: {refused}");
        let shown = house.keystore.public_key(&alice.presented, never, None);
        assert_eq!(shown.unwrap_err().error.code(), Code::IntegrityFailure);
        edited.undo();
    }
    signs().unwrap();
    verifies().unwrap();
}

/// The rows of one key in a table, to be put back.
struct Edit<'a> {
    rows: &'a Connection,
    table: &'static str,
    column: &'static str,
    key: KeyId,
}

impl<'a> Edit<'a> {
    fn new(rows: &'a Connection, table: &'static str, column: &'static str, key: KeyId) -> Self {
        let keep = format!(
            "PRAGMA foreign_keys = OFF; DROP TABLE IF EXISTS temp.kept;
             CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE {column} = x'{}'",
            hex::encode(key.as_bytes())
        );
        rows.execute_batch(&keep).unwrap();
        Self {
            rows,
            table,
            column,
            key,
        }
    }

    fn undo(&mut self) {
        let Self { table, column, .. } = self;
        let back = format!(
            "DELETE FROM {table} WHERE {column} = x'{}'; INSERT INTO {table} SELECT * FROM temp.kept",
            hex::encode(self.key.as_bytes())
        );
        self.rows.execute_batch(&back).unwrap();
    }
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
