//! Acts that were built on rows which somebody had put back give that away, although what is there afterwards follows from the log.

use std::ops::ControlFlow;

use strongroom_keystore::Wrong;
use strongroom_wire::account::Role;
use strongroom_wire::id::{KeyId, ObjectId};
use strongroom_wire::key::UsagePolicy;
use strongroom_wire::object::{ObjectDescription, ObjectPart};

use super::{attacker, put_back, remember, scrubbed};
use crate::house::{House, Person};
use crate::rotation::id_of;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_release_on_a_counter_that_was_put_back_is_found",
        a_release_on_a_counter_that_was_put_back_is_found,
    ),
    (
        "a_row_that_was_taken_away_and_made_anew_is_found",
        a_row_that_was_taken_away_and_made_anew_is_found,
    ),
    (
        "a_grant_that_was_put_back_and_revoked_again_is_found",
        a_grant_that_was_put_back_and_revoked_again_is_found,
    ),
];

/// What the scrub finds of acts that were built on something else than the log says: of what, and by which leaf.
fn built(house: &House) -> Vec<(&'static str, u64)> {
    let report = scrubbed(house);
    let before = report.findings.iter().filter_map(|finding| {
        let Wrong::Before(leaf) = finding.wrong else {
            return None;
        };
        Some((finding.what, leaf))
    });
    before.collect()
}

/// A key that bob may have released twice.
fn counted(house: &House, alice: &Person, bob: &Person) -> KeyId {
    let limited = UsagePolicy {
        max_releases: Some(2),
        ..UsagePolicy::default()
    };
    house.key_with(alice, &[bob], limited).0
}

fn a_release_on_a_counter_that_was_put_back_is_found() {
    let house = House::new("built-counter");
    house.person_with("auditor", &[Role::Auditor]);
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let key = counted(&house, &alice, &bob);
    let old = house.database().with_file_name("old.db");
    remember(&house, &old);
    house.release(&bob, key).unwrap();
    house.release(&bob, key).unwrap();
    assert!(house.release(&bob, key).is_err(), "twice it was");
    assert_eq!(scrubbed(&house).count, 0);

    // The counters as they were before are true, and count again: what is there at the end is what the log says.
    for table in ["keys", "grants"] {
        put_back(&house, &old, table, "true");
    }
    for _ in 0..2 {
        house.release(&bob, key).unwrap();
    }
    let found = built(&house);
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|(what, _)| ["key", "grant"].contains(what)),
        "{found:?}"
    );
    let report = scrubbed(&house);
    assert_eq!(report.count, found.len() as u64, "{:?}", report.findings);

    // Once it is recorded, it is not told each day.
    let folder = house.database().parent().unwrap().to_owned();
    let scrub = || {
        house
            .keystore
            .scrub(&folder, &mut |_| ControlFlow::Continue(()))
            .unwrap()
    };
    assert_eq!(scrub().count, found.len() as u64);
    let again = scrub();
    assert_eq!((again.count, again.recorded), (0, found.len() as u64));
    // But what comes after is.
    for table in ["keys", "grants"] {
        put_back(&house, &old, table, "true");
    }
    house.release(&bob, key).unwrap();
    let next = scrub();
    assert!(next.count > 0);
    assert_eq!(next.recorded, found.len() as u64);
}

fn a_row_that_was_taken_away_and_made_anew_is_found() {
    let house = House::new("built-anew");
    let alice = house.person("alice");
    let object = ObjectId::generate();
    let put = |label: &str| {
        let description = ObjectDescription {
            class: 0,
            kind: None,
            label: label.as_bytes().into(),
            id: Vec::new().into(),
            attributes: Vec::new().into(),
        };
        house
            .keystore
            .put_object(&alice.presented, object, ObjectPart::Object, description)
            .unwrap()
            .leaf
    };
    put("one");
    put("two");
    assert_eq!(scrubbed(&house).count, 0, "replacing is no finding");
    house
        .keystore
        .remove_object(&alice.presented, object, ObjectPart::Object)
        .unwrap();
    put("three");
    assert_eq!(scrubbed(&house).count, 0, "nor is making it anew");
    let taken = attacker(&house)
        .execute("DELETE FROM objects WHERE id = ?1", [object.as_bytes()])
        .unwrap();
    assert_eq!(taken, 1);
    let leaf = put("four");
    assert_eq!(built(&house), [("object", leaf)]);
}

fn a_grant_that_was_put_back_and_revoked_again_is_found() {
    let house = House::new("built-grant");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[&bob]);
    let old = house.database().with_file_name("old.db");
    remember(&house, &old);
    let bobs = id_of(&house, &bob);
    let grants = house.keystore.grants(&alice.presented, key).unwrap().grants;
    let grant = grants
        .iter()
        .find(|grant| grant.grantee == bobs)
        .unwrap()
        .id;
    let revoke = || house.keystore.revoke(&alice.presented, key, grant).unwrap();
    revoke();
    assert_eq!(scrubbed(&house).count, 0);
    for table in ["grants", "grant_copies"] {
        put_back(&house, &old, table, "true");
    }
    house.release(&bob, key).unwrap();
    let leaf = revoke().leaf;
    let found = built(&house);
    assert!(found.contains(&("grant", leaf)), "{found:?}");
}
