//! Who may have an operation done, with which key, and what is left of it in the log.

use rusqlite::{Connection, params};
use strongroom_keystore::Error;
use strongroom_mechanisms::material;
use strongroom_wire::audit::Act;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    Algorithm, KeyState, NewKey, Releasable, ReleaseKey, Right, UsagePolicy,
};
use strongroom_wire::operation::{
    KeyOperation, Mechanism, Operate, OperateMany, Operation, OperationOutcome,
};
use strongroom_wire::problem::Code;

use super::{
    decrypting, encrypting, is_valid, key_for, macking, make, operate, operate_with, records,
    share, signature_of, signing, state, verifying,
};
use crate::house::{House, Person};

pub(crate) const TRIALS: &[(&str, fn())] = &[
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
        "each_operation_of_many_is_decided_by_itself",
        each_operation_of_many_is_decided_by_itself,
    ),
    (
        "leaves_name_the_mechanism_and_no_data",
        leaves_name_the_mechanism_and_no_data,
    ),
    ("altered_rows_are_met", altered_rows_are_met),
    (
        "what_was_so_a_moment_ago_counts_no_more",
        what_was_so_a_moment_ago_counts_no_more,
    ),
];

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
                public_key: Some(ec.public_key.clone().unwrap()),
                kdf: None,
                length: None,
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

/// Rows that many operations look at are kept in memory between them, until something changes.
fn what_was_so_a_moment_ago_counts_no_more() {
    let house = House::new("a-moment-ago");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let key = key_for(&house, &alice, Algorithm::EcP256).id;
    let signs = || operate_with(&house, &bob, key, None, signing(Mechanism::EcdsaSha256));
    let version = || (0..3).map(|_| signs().unwrap().version).max();
    assert!(matches!(signs().unwrap_err(), Error::KeyNotFound));
    share(&house, &alice, key, &bob, &[Right::Sign]);
    assert_eq!(version(), Some(1));
    house.keystore.rotate(&alice.presented, key).unwrap();
    assert_eq!(version(), Some(2));
    revoke(&house, &alice, key);
    assert!(matches!(signs().unwrap_err(), Error::GrantRevoked));
    share(&house, &alice, key, &bob, &[Right::Sign]);
    assert_eq!(version(), Some(2));
    state(&house, &alice, key, KeyState::Deactivated);
    assert!(matches!(signs().unwrap_err(), Error::KeyStateForbids(_)));
    house.keystore.end_session(&bob.presented, None).unwrap();
    let request = Operate {
        operation: signing(Mechanism::EcdsaSha256),
        version: None,
    };
    let refused = house.keystore.operate(&bob.presented, key, request);
    assert!(matches!(refused.unwrap_err().error, Error::NotSignedIn));
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
        public_key: Some(other.public_key.unwrap().into()),
        kdf: None,
        length: None,
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
        length: None,
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
