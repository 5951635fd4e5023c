//! Keys of the protection level `hsm`: made, used, shared, rotated and destroyed, and what is refused of them.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use strongroom_hsm::supervised::{Backend, Supervised, SupervisedConfig};
use strongroom_hsm::{NamedKeyId, NamedKeyType};
use strongroom_keystore::{Error, HardwareReview, Options};
use strongroom_mechanisms::{agree, material};
use strongroom_wire::audit::Act;
use strongroom_wire::id::{IdempotencyKey, KeyId};
use strongroom_wire::key::{
    Algorithm, CreateKeys, Key, KeyState, NewKey, Protection, Releasable, Right,
};
use strongroom_wire::operation::{Mechanism, Operation, OperationResult, SignatureEncoding};
use strongroom_wire::problem::Code;

use super::{
    decrypting, encrypting, is_valid, macking, make, operate, operate_with, records, secret_of,
    share, signature_of, signing, verifying,
};
use crate::house::{House, Person, token};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("keys_in_the_hsm_sign", keys_in_the_hsm_sign),
    (
        "keys_in_the_hsm_open_and_agree",
        keys_in_the_hsm_open_and_agree,
    ),
    (
        "a_key_in_the_hsm_is_shared_rotated_and_destroyed",
        a_key_in_the_hsm_is_shared_rotated_and_destroyed,
    ),
    (
        "what_cannot_be_in_the_hsm_is_refused",
        what_cannot_be_in_the_hsm_is_refused,
    ),
    (
        "what_is_not_made_stays_not_in_the_hsm",
        what_is_not_made_stays_not_in_the_hsm,
    ),
    (
        "what_is_left_over_in_the_hsm_is_found",
        what_is_left_over_in_the_hsm_is_found,
    ),
    (
        "no_key_in_the_hsm_stands_in_for_another",
        no_key_in_the_hsm_stands_in_for_another,
    ),
    (
        "while_the_hsm_is_away_its_keys_do_nothing",
        while_the_hsm_is_away_its_keys_do_nothing,
    ),
    (
        "no_key_is_made_in_an_hsm_that_has_a_replica",
        no_key_is_made_in_an_hsm_that_has_a_replica,
    ),
];

fn in_hsm(algorithm: Algorithm) -> NewKey {
    NewKey {
        protection: Protection::Hsm,
        releasable: Releasable::Never,
        ..NewKey::new(algorithm)
    }
}

fn made(house: &House, who: &Person, algorithm: Algorithm) -> Key {
    make(house, who, in_hsm(algorithm)).unwrap()
}

/// The versions that the HSM holds of a key.
fn held(house: &House, key: KeyId) -> Vec<u32> {
    let all = house.hsm.named().unwrap().named_keys("default").unwrap();
    all.into_iter()
        .filter(|id| id.key == key.to_string())
        .map(|id| id.version)
        .collect()
}

fn keys_in_the_hsm_sign() {
    let house = House::new("in-hsm");
    let alice = house.person("alice");
    for (algorithm, mechanisms) in [
        (
            Algorithm::Rsa2048,
            &[
                Mechanism::RsaPkcs1Sha256,
                Mechanism::RsaPkcs1Sha512,
                Mechanism::RsaPssSha256,
                Mechanism::RsaPssSha384,
            ][..],
        ),
        (
            Algorithm::EcP256,
            &[Mechanism::EcdsaSha256, Mechanism::EcdsaSha512][..],
        ),
        (Algorithm::EcP384, &[Mechanism::EcdsaSha384][..]),
        (Algorithm::EcP521, &[Mechanism::EcdsaSha512][..]),
        (Algorithm::Ed25519, &[Mechanism::Ed25519][..]),
    ] {
        let key = made(&house, &alice, algorithm);
        assert_eq!(key.protection, Protection::Hsm);
        assert!(key.public_key.is_some());
        assert_eq!(held(&house, key.id), [1]);
        for mechanism in mechanisms {
            let signature = operate(&house, &alice, key.id, signing(*mechanism)).unwrap();
            let note = format!("{mechanism} in the HSM");
            let newest = &records(&house, &alice)[0];
            assert_eq!(newest.note.as_deref(), Some(note.as_str()));
            let signature = signature_of(signature);
            let verify = |signature: &[u8]| {
                let operation = verifying(*mechanism, signature);
                is_valid(&operate(&house, &alice, key.id, operation).unwrap())
            };
            assert!(verify(&signature), "{mechanism}");
            let mut other = signature.clone();
            *other.last_mut().unwrap() ^= 1;
            assert!(!verify(&other), "{mechanism}");
        }
        assert_eq!(
            house.release(&alice, key.id).unwrap_err().code(),
            Code::PolicyRefused
        );
    }
    // A signature of fixed length, and one of what the caller has hashed.
    let key = made(&house, &alice, Algorithm::EcP256).id;
    let fixed = Operation::Sign {
        mechanism: Mechanism::Ecdsa,
        data: [7; 32].as_slice().into(),
        prehashed: true,
        encoding: SignatureEncoding::Fixed,
        salt_length: None,
    };
    assert_eq!(
        signature_of(operate(&house, &alice, key, fixed).unwrap()).len(),
        64
    );
}

fn keys_in_the_hsm_open_and_agree() {
    let house = House::new("in-hsm-open");
    let alice = house.person("alice");
    let aes = made(&house, &alice, Algorithm::Aes256).id;
    let sealed = operate(&house, &alice, aes, encrypting(Mechanism::AesGcm)).unwrap();
    let open = decrypting(Mechanism::AesGcm, &sealed);
    let opened = operate(&house, &alice, aes, open.clone()).unwrap();
    let OperationResult::Plaintext { data } = opened else {
        panic!("{opened:?}");
    };
    assert_eq!(data.0, b"sixteen bytes...");
    let Operation::Decrypt { data, iv, .. } = open else {
        panic!("no decryption");
    };
    let mut altered = data.clone();
    altered.0[0] ^= 1;
    let altered = Operation::Decrypt {
        mechanism: Mechanism::AesGcm,
        data: altered,
        iv,
        associated_data: None,
        tag_length: None,
    };
    let refused = operate(&house, &alice, aes, altered).unwrap_err();
    assert_eq!(refused.code(), Code::NotAuthentic, "{refused}");

    let hmac = made(&house, &alice, Algorithm::HmacSha256).id;
    let OperationResult::Mac { mac } = operate(&house, &alice, hmac, macking()).unwrap() else {
        panic!("no MAC");
    };
    for (length, right) in [(32, true), (16, true), (32, false)] {
        let mut presented = mac.0[..length].to_vec();
        presented[0] ^= u8::from(!right);
        let operation = Operation::VerifyMac {
            mechanism: Mechanism::HmacSha256,
            data: b"message".as_slice().into(),
            mac: presented.into(),
            length: Some(u8::try_from(length).unwrap()),
        };
        let verified = operate(&house, &alice, hmac, operation).unwrap();
        assert_eq!(is_valid(&verified), right);
    }

    // RSA-OAEP, encrypted with the public key by the appliance.
    let rsa = made(&house, &alice, Algorithm::Rsa2048).id;
    let sealed = operate(&house, &alice, rsa, encrypting(Mechanism::RsaOaepSha1)).unwrap();
    let open = decrypting(Mechanism::RsaOaepSha1, &sealed);
    let opened = operate(&house, &alice, rsa, open).unwrap();
    let OperationResult::Plaintext { data } = opened else {
        panic!("{opened:?}");
    };
    assert_eq!(data.0, b"sixteen bytes...");

    // The agreed secret is the other side's.
    for algorithm in [Algorithm::EcP256, Algorithm::EcP521] {
        let key = made(&house, &alice, algorithm);
        let other = material::generate(algorithm, None).unwrap();
        let derive = Operation::Derive {
            mechanism: Mechanism::Ecdh,
            public_key: Some(other.public_key.clone().unwrap().into()),
            kdf: None,
            length: None,
            new: None,
        };
        let derived = operate_with(&house, &alice, key.id, None, derive).unwrap();
        let theirs = agree::agree(algorithm, &other.bytes, &key.public_key.unwrap().0).unwrap();
        assert_eq!(secret_of(&alice, &derived), *theirs);
    }
}

fn a_key_in_the_hsm_is_shared_rotated_and_destroyed() {
    let mut house = House::new("in-hsm-life");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let mechanism = Mechanism::EcdsaSha256;
    let key = made(&house, &alice, Algorithm::EcP256);
    let created = &records(&house, &alice)[0];
    assert_eq!(created.act, Act::KeyCreate);
    assert_eq!(created.note.as_deref(), Some("in the HSM"));
    let first = key.public_key.unwrap();
    let key = key.id;
    share(&house, &alice, key, &bob, &[Right::Sign, Right::Verify]);
    let signature = signature_of(operate(&house, &bob, key, signing(mechanism)).unwrap());

    let rotated = house.keystore.rotate(&alice.presented, key).unwrap().key;
    assert_eq!((rotated.version, rotated.protection), (2, Protection::Hsm));
    assert_ne!(rotated.public_key.unwrap(), first);
    assert_eq!(held(&house, key), [1, 2]);
    let verify = |version, signature: &[u8]| {
        let operation = verifying(mechanism, signature);
        let done = operate_with(&house, &bob, key, Some(version), operation).unwrap();
        is_valid(&done.result)
    };
    assert!(verify(1, &signature) && !verify(2, &signature));
    let newer = signature_of(operate(&house, &bob, key, signing(mechanism)).unwrap());
    assert!(verify(2, &newer) && !verify(1, &newer));

    // The keystore finds them again.
    house.reopen();
    operate(&house, &bob, key, signing(mechanism)).unwrap();

    house.keystore.destroy(&alice.presented, key).unwrap();
    assert!(held(&house, key).is_empty());
    let refused = operate(&house, &alice, key, signing(mechanism)).unwrap_err();
    assert_eq!(refused.code(), Code::KeyDestroyed);
    let seen = house.keystore.key(&alice.presented, key);
    assert!(seen.is_err() || seen.unwrap().state == KeyState::Destroyed);
}

fn what_cannot_be_in_the_hsm_is_refused() {
    let house = House::new("not-in-hsm");
    let alice = house.person("alice");
    let wrapped = alice.transport.wrap_import(&[7; 32]).unwrap();
    let flawed = [
        NewKey {
            releasable: Releasable::ByPolicy,
            ..in_hsm(Algorithm::EcP256)
        },
        NewKey {
            material: Some(wrapped.into()),
            ..in_hsm(Algorithm::Aes256)
        },
        in_hsm(Algorithm::X25519),
        in_hsm(Algorithm::MlKem768),
        in_hsm(Algorithm::Aes128),
        in_hsm(Algorithm::GenericSecret),
    ];
    for new in flawed {
        let refused = make(&house, &alice, new).unwrap_err();
        assert_eq!(refused.code(), Code::Invalid, "{refused}");
        assert!(
            refused.to_string().contains("protection level"),
            "{refused}"
        );
    }
    // A key that comes of an operation is none that the HSM generated.
    let key = made(&house, &alice, Algorithm::EcP256);
    let derive = Operation::Derive {
        mechanism: Mechanism::Ecdh,
        public_key: Some(key.public_key.unwrap()),
        kdf: None,
        length: None,
        new: Some(Box::new(in_hsm(Algorithm::Aes256))),
    };
    let request = strongroom_wire::operation::Operate {
        operation: derive,
        version: None,
    };
    let refused = house.keystore.operate(&alice.presented, key.id, request);
    assert!(matches!(refused.unwrap_err().error, Error::Invalid(_)));
    // What the HSM does not do is said, and what it is not asked for.
    let aes = made(&house, &alice, Algorithm::Aes256).id;
    for mechanism in [Mechanism::AesCbcPad, Mechanism::AesEcb] {
        let refused = operate(&house, &alice, aes, encrypting(mechanism)).unwrap_err();
        assert_eq!(refused.code(), Code::Invalid, "{refused}");
        let sentence = refused.to_string();
        assert!(sentence.contains(mechanism.as_str()), "{sentence}");
        // Where the HSM is and what it is called is for operators.
        assert!(!sentence.contains("softhsm"), "{sentence}");
    }
    let mixed = operate(&house, &alice, aes, signing(Mechanism::EcdsaSha256)).unwrap_err();
    assert_eq!(mixed.code(), Code::Invalid, "{mixed}");
}

fn what_is_not_made_stays_not_in_the_hsm() {
    let house = House::new("not-made");
    let alice = house.person("alice");
    let count = || house.keystore.keys_in_hsm().unwrap();
    let unknown = NewKey {
        recipients: vec!["nobody".to_owned()],
        ..in_hsm(Algorithm::EcP256)
    };
    let refused = make(&house, &alice, unknown).unwrap_err();
    assert_eq!(refused.code(), Code::AccountNotFound);
    // The second of two is flawed.
    let request = CreateKeys {
        keys: vec![in_hsm(Algorithm::EcP256), in_hsm(Algorithm::X25519)],
        release: false,
    };
    let refused = house.keystore.create_keys(&alice.presented, request);
    assert_eq!(refused.unwrap_err().error.code(), Code::Invalid);
    assert_eq!(count(), 0);
    // The same request made again.
    let request = CreateKeys {
        keys: vec![in_hsm(Algorithm::EcP256)],
        release: false,
    };
    let once = IdempotencyKey::generate();
    let [first, again] = [(); 2].map(|()| {
        let request = request.clone();
        let made = house
            .keystore
            .create_keys_once(&alice.presented, request, once);
        made.unwrap().keys.remove(0).key.id
    });
    assert_eq!(first, again);
    assert_eq!(count(), 1);
    operate(&house, &alice, first, signing(Mechanism::EcdsaSha256)).unwrap();
    // Whoever may not rotate it leaves nothing of an attempt.
    let bob = house.person("bob");
    share(&house, &alice, first, &bob, &[Right::Sign]);
    house.keystore.rotate(&bob.presented, first).unwrap_err();
    assert_eq!(count(), 1);
}

fn what_is_left_over_in_the_hsm_is_found() {
    let house = House::new("left-over");
    let alice = house.person("alice");
    let named = house.hsm.named().unwrap();
    let [kept, gone] = [(); 2].map(|()| made(&house, &alice, Algorithm::EcP256).id);
    house.keystore.destroy(&alice.presented, gone).unwrap();
    let again = NamedKeyId {
        domain: "default".to_owned(),
        key: gone.to_string(),
        version: 1,
    };
    let stray = NamedKeyId {
        key: KeyId::generate().to_string(),
        ..again.clone()
    };
    let next = NamedKeyId {
        key: kept.to_string(),
        version: 2,
        ..again.clone()
    };
    for id in [&again, &stray, &next] {
        named.generate_named_key(id, NamedKeyType::EcP256).unwrap();
    }
    let review = house.keystore.review_hardware().unwrap();
    let expected = HardwareReview {
        destroyed: 1,
        unknown: vec![format!("{} v1", stray.key)],
        lost: Vec::new(),
    };
    assert_eq!(review, expected);
    assert!(held(&house, gone).is_empty());
    // A name that is taken stands in no rotation's way.
    let rotated = house.keystore.rotate(&alice.presented, kept).unwrap().key;
    assert_eq!(rotated.version, 2);
    assert_eq!(held(&house, kept), [1, 2, 3]);
    operate(&house, &alice, kept, signing(Mechanism::EcdsaSha256)).unwrap();
    house.keystore.destroy(&alice.presented, kept).unwrap();
    assert!(held(&house, kept).is_empty());
    // A removed domain leaves nothing.
    made(&house, &alice, Algorithm::Aes256);
    strongroom_keystore::domains::destroy_keys(&*house.hsm, "default").unwrap();
    assert!(named.named_keys("default").unwrap().is_empty());
}

fn no_key_in_the_hsm_stands_in_for_another() {
    let house = House::new("stand-in");
    let alice = house.person("alice");
    let [one, other] = [(); 2].map(|()| made(&house, &alice, Algorithm::Ed25519).id);
    let sign = || operate(&house, &alice, one, signing(Mechanism::Ed25519));
    sign().unwrap();
    let rows = Connection::open(house.database()).unwrap();
    let edited = rows
        .execute(
            "UPDATE grant_copies SET sealed = (SELECT c.sealed FROM grant_copies c JOIN grants g ON g.id = c.grant_id WHERE g.key = ?2)
             WHERE grant_id IN (SELECT id FROM grants WHERE key = ?1)",
            [one.as_bytes(), other.as_bytes()],
        )
        .unwrap();
    assert_eq!(edited, 1);
    assert_eq!(sign().unwrap_err().code(), Code::IntegrityFailure);
    // A key that the HSM lost is said to be lost.
    let lost = made(&house, &alice, Algorithm::Ed25519).id;
    let id = NamedKeyId {
        domain: "default".to_owned(),
        key: lost.to_string(),
        version: 1,
    };
    house.hsm.named().unwrap().destroy_named_key(&id).unwrap();
    let refused = operate(&house, &alice, lost, signing(Mechanism::Ed25519)).unwrap_err();
    assert_eq!(refused.code(), Code::Conflict, "{refused}");
    let review = house.keystore.review_hardware().unwrap();
    assert_eq!(review.lost, [lost]);
    assert_eq!(house.keystore.keys_lost_with_hsm().unwrap(), [lost]);
}

/// HSMs of this house's own under supervision, the first of which is the primary.
fn supervised(labels: &[&str]) -> Arc<Supervised> {
    let backends = labels
        .iter()
        .map(|label| {
            let hsm = token(label);
            Backend {
                name: (*label).to_owned(),
                open: Arc::new(move || Ok(Arc::clone(&hsm))),
            }
        })
        .collect();
    let hsm = Supervised::start(backends, SupervisedConfig::default(), Arc::new(|_| {})).unwrap();
    assert!(hsm.wait_until_usable(Duration::from_secs(10)));
    Arc::new(hsm)
}

fn while_the_hsm_is_away_its_keys_do_nothing() {
    let hsm = supervised(&["away"]);
    let house = House::on(Arc::clone(&hsm) as _, "away", Options::default(), None);
    let alice = house.person("alice");
    let key = made(&house, &alice, Algorithm::EcP256).id;
    let mechanism = Mechanism::EcdsaSha256;
    let signature = signature_of(operate(&house, &alice, key, signing(mechanism)).unwrap());
    hsm.close();
    let request = strongroom_wire::operation::Operate {
        operation: signing(mechanism),
        version: None,
    };
    let refused = house.keystore.operate(&alice.presented, key, request);
    assert_eq!(refused.unwrap_err().error.code(), Code::HsmUnavailable);
    let refused = make(&house, &alice, in_hsm(Algorithm::EcP256)).unwrap_err();
    assert_eq!(refused.code(), Code::HsmUnavailable);
    // The public key is enough for this.
    let verified = operate(&house, &alice, key, verifying(mechanism, &signature)).unwrap();
    assert!(is_valid(&verified));
}

fn no_key_is_made_in_an_hsm_that_has_a_replica() {
    let hsm = supervised(&["one of two", "two of two"]);
    let house = House::on(Arc::clone(&hsm) as _, "pair", Options::default(), None);
    let alice = house.person("alice");
    let refused = make(&house, &alice, in_hsm(Algorithm::EcP256)).unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);
    let sentence = refused.to_string();
    assert!(sentence.contains("replica"), "{sentence}");
    // What it is called is for operators.
    assert!(!sentence.contains("of two"), "{sentence}");
}
