//! Every act leaves a leaf; the tree, its checkpoints and proofs hold; what was edited grants nothing.

use strongroom_audit::{Detail, Event, Hash, checkpoint, tree};
use strongroom_keystore::{Error, verify_audit};
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::{GrantState, KeyQuery, ReleaseKey, Right};

use crate::house::House;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "owners_see_theirs_and_auditors_all",
        owners_see_theirs_and_auditors_all,
    ),
    ("the_tree_verifies_and_proves", the_tree_verifies_and_proves),
    (
        "an_edited_grant_grants_nothing",
        an_edited_grant_grants_nothing,
    ),
    (
        "sealing_and_the_hsms_own_log_are_recorded",
        sealing_and_the_hsms_own_log_are_recorded,
    ),
];

fn sealing_and_the_hsms_own_log_are_recorded() {
    let house = House::new("of its own");
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let leaf = house.keystore.record_seal("an operator (uid 0)").unwrap();
    let notes = ["device 1; 1 SignEddsa", "device 1; 2 SignEddsa"].map(str::to_owned);
    house.keystore.record_device_log(notes.to_vec()).unwrap();
    let too_long = house.keystore.record_device_log(vec!["x".repeat(1025)]);
    assert!(matches!(too_long, Err(Error::Invalid(_))), "{too_long:?}");
    let query = RecordQuery {
        after: Some(leaf - 1),
        ..RecordQuery::default()
    };
    let page = house.keystore.records(&auditor.presented, query).unwrap();
    let recorded: Vec<(Act, bool, Option<&str>)> = page
        .records
        .iter()
        .rev()
        .map(|record| (record.act, record.done, record.note.as_deref()))
        .collect();
    assert_eq!(
        recorded,
        [
            (Act::DomainSeal, true, Some("an operator (uid 0)")),
            (Act::HsmDeviceLog, true, Some(notes[0].as_str())),
            (Act::HsmDeviceLog, true, Some(notes[1].as_str())),
        ]
    );
}

fn owners_see_theirs_and_auditors_all() {
    let house = House::new("records");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let (key, _) = house.key(&alice, &[&bob]);
    house.release(&bob, key).unwrap();
    let refused = house.keystore.destroy(&bob.presented, key).unwrap_err();

    let about_key = |who: &crate::house::Person| {
        let query = RecordQuery {
            key: Some(key),
            ..RecordQuery::default()
        };
        house
            .keystore
            .records(&who.presented, query)
            .unwrap()
            .records
    };
    let records = about_key(&alice);
    let acts: Vec<(Act, bool)> = records
        .iter()
        .map(|record| (record.act, record.done))
        .collect();
    assert_eq!(
        acts,
        [
            (Act::KeyDestroy, false),
            (Act::KeyRelease, true),
            (Act::KeyRelease, true),
            (Act::KeyCreate, true)
        ]
    );
    assert_eq!(Some(records[0].index), refused.leaf);
    assert_eq!(records[0].note.as_deref(), Some("not-permitted"));
    assert_eq!(records[1].actor_name.as_deref(), Some("bob"));
    assert_eq!(about_key(&auditor).len(), 4);
    assert_eq!(about_key(&bob).len(), 2, "what he did himself");
    assert!(about_key(&house.admin).is_empty());
    let all = house
        .keystore
        .records(&auditor.presented, RecordQuery::default())
        .unwrap();
    let first = all
        .records
        .iter()
        .find(|record| record.act == Act::DomainInitialise);
    let seed = format!("seed {}", "ab".repeat(32));
    assert_eq!(first.unwrap().note, Some(seed));
}

fn the_tree_verifies_and_proves() {
    let house = House::new("tree");
    let alice = house.person("alice");
    let (key, _) = house.key(&alice, &[]);
    let leaf = house
        .keystore
        .release(&alice.presented, key, ReleaseKey::default())
        .unwrap()
        .leaf;
    let size = house.keystore.sign_checkpoint().unwrap().unwrap();
    assert_eq!(house.keystore.sign_checkpoint().unwrap(), None);
    let report = verify_audit(&*house.store, "default", &mut |_, _| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(
        (report.leaves, report.newest_checkpoint_size),
        (size, Some(size))
    );

    let proof = house
        .keystore
        .inclusion_proof(&alice.presented, leaf)
        .unwrap();
    let note = &proof.checkpoint;
    let checkpoint = checkpoint::verify(&note.note, &note.verifier_key).unwrap();
    let hashes: Vec<Hash> = proof
        .hashes
        .iter()
        .map(|hash| Hash(hash.0.as_slice().try_into().unwrap()))
        .collect();
    let proved = strongroom_audit::Leaf {
        envelope: proof.envelope.0,
        salt: proof.salt.0.try_into().unwrap(),
        detail: proof.detail.0,
    };
    assert_eq!(proved.open().unwrap().detail.key, Some(key));
    tree::verify_inclusion(
        checkpoint.size,
        leaf,
        &proved.hash(),
        &hashes,
        &checkpoint.root,
    )
    .unwrap();
    let refused = house
        .keystore
        .inclusion_proof(&alice.presented, 0)
        .unwrap_err();
    assert!(matches!(refused.error, Error::NotPermitted(_)));
}

fn an_edited_grant_grants_nothing() {
    let house = House::new("edited");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[&bob]);
    let bob_id = house.keystore.own_account(&bob.presented).unwrap().id;
    let mut grant = house
        .store
        .snapshot()
        .unwrap()
        .grants_to(key, &[bob_id])
        .unwrap()
        .remove(0);
    assert_eq!(house.release(&bob, key).unwrap(), material);
    // Through the store's own methods, as somebody who can write to the database would: a MAC made for other content.
    grant.rights = Right::ALL.to_vec();
    grant.state = GrantState::Revoked;
    house
        .store
        .write(Box::new(move |tx| {
            tx.revoke_grant(&grant)
                .map_err(|_| strongroom_keystore::store::Abort)?;
            // What changes rows leaves a leaf, or is undone.
            let event = Event {
                time: Timestamp::from_millis(1_800_000_000_000),
                act: Act::KeyRevoke,
                done: true,
                detail: Detail::default(),
            };
            tx.append_leaf(1, event, [7; 32])
                .map(drop)
                .map_err(|_| strongroom_keystore::store::Abort)
        }))
        .unwrap();
    let refused = house
        .keystore
        .release(&bob.presented, key, ReleaseKey::default())
        .unwrap_err();
    assert!(matches!(refused.error, Error::Integrity("grant")));
    assert!(refused.leaf.is_some());
    let listed = house
        .keystore
        .keys(&bob.presented, KeyQuery::default())
        .unwrap();
    assert!(listed.keys.is_empty(), "left out, and logged");
    let records = house
        .keystore
        .records(&bob.presented, RecordQuery::default())
        .unwrap()
        .records;
    assert_eq!(records[0].act, Act::KeyRead);
    assert!(!records[0].done);
    assert_eq!(house.release(&alice, key).unwrap(), material);
}
