//! The number of the last change, by which a client knows what it keeps to be as it was; and databases that are full.

use super::{CERTIFICATE, SECRET, find, newest, of, page, plain, put, remove, said, show};
use crate::house::{House, Person};
use strongroom_keystore::domains::{DomainCounts, Quotas};
use strongroom_wire::account::{AccountState, UpdateAccount};
use strongroom_wire::audit::Act;
use strongroom_wire::id::{AccountId, GrantId, KeyId, ObjectId};
use strongroom_wire::key::{Algorithm, ChangeState, KeyState, ShareKey, UsagePolicy};
use strongroom_wire::object::{ObjectDescription, ObjectPart, ObjectQuery};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::problem::Code;

use crate::rotation::{group, id_of, share_with};

struct World {
    house: House,
    alice: Person,
    bob: Person,
    carol: Person,
    /// Bob is a member.
    team: AccountId,
    /// Alice's, which bob has a grant to.
    key: KeyId,
    grant: GrantId,
    object: ObjectId,
}

impl World {
    fn state(&self, who: &Person) -> u64 {
        let nothing = ObjectQuery {
            limit: Some(0),
            ..ObjectQuery::default()
        };
        page(&self.house, who, nothing).change
    }
}

/// What somebody does, and who sees another state by it.
type Change = (&'static str, fn(&World), &'static [&'static str]);

const CHANGES: &[Change] = &[
    (
        "an object is put",
        |w| {
            let description = said(CERTIFICATE, Some(0), "another", b"");
            put(
                &w.house,
                &w.alice,
                w.object,
                ObjectPart::Object,
                &description,
            )
            .unwrap();
        },
        &["alice"],
    ),
    (
        "a part of a key is described",
        |w| {
            let description = said(SECRET, Some(0x1f), "bob's name for it", b"");
            put(
                &w.house,
                &w.bob,
                of(w.key),
                ObjectPart::Secret,
                &description,
            )
            .unwrap();
        },
        // That alice is told of it does no harm.
        &["alice", "bob"],
    ),
    (
        "an object is removed",
        |w| {
            remove(&w.house, &w.alice, w.object, ObjectPart::Object).unwrap();
        },
        &["alice"],
    ),
    (
        "a key is made",
        |w| {
            plain(&w.house, &w.alice, Algorithm::Aes256, "new");
        },
        &["alice"],
    ),
    (
        "a key is made for somebody",
        |w| {
            w.house.key(&w.alice, &[&w.carol]);
        },
        &["alice", "carol"],
    ),
    (
        "a key is rotated",
        |w| {
            w.house.keystore.rotate(&w.alice.presented, w.key).unwrap();
        },
        &["alice", "bob"],
    ),
    (
        "a key's policy is changed",
        |w| {
            let keystore = &w.house.keystore;
            let policy = UsagePolicy {
                keep_for: Some(60),
                ..UsagePolicy::default()
            };
            keystore
                .change_key_policy(&w.alice.presented, w.key, policy)
                .unwrap();
        },
        &["alice", "bob"],
    ),
    (
        "a grant's policy is changed",
        |w| {
            let keystore = &w.house.keystore;
            let policy = UsagePolicy {
                operations_only: true,
                ..UsagePolicy::default()
            };
            keystore
                .change_grant_policy(&w.alice.presented, w.key, w.grant, policy)
                .unwrap();
        },
        &["alice", "bob"],
    ),
    (
        "a key is shared with a group",
        |w| share_with(&w.house, &w.alice, w.key, "team"),
        &["alice", "bob"],
    ),
    (
        "a group is suspended",
        |w| set_state(w, AccountState::Suspended),
        // Whoever manages a group is a member.
        &["alice", "bob"],
    ),
    (
        "a group is active again",
        |w| set_state(w, AccountState::Active),
        &["alice", "bob"],
    ),
    (
        "a grant is revoked",
        |w| {
            let keystore = &w.house.keystore;
            keystore.revoke(&w.alice.presented, w.key, w.grant).unwrap();
        },
        &["alice", "bob"],
    ),
    (
        "somebody leaves a group",
        |w| {
            let keystore = &w.house.keystore;
            let bob = id_of(&w.house, &w.bob);
            keystore
                .remove_member(&w.alice.presented, w.team, bob)
                .unwrap();
        },
        &["alice", "bob"],
    ),
    (
        "a key is shared",
        |w| {
            let share = ShareKey {
                grantee: "carol".to_owned(),
                rights: None,
                policy: UsagePolicy::default(),
            };
            let keystore = &w.house.keystore;
            keystore.share(&w.alice.presented, w.key, share).unwrap();
        },
        // Whose grant was revoked is told of the key, too: it had it.
        &["alice", "bob", "carol"],
    ),
    (
        "the domain's policy is set",
        |w| crate::policies::allow_legacy(&w.house, &[Mechanism::RsaRaw]),
        &["alice", "bob", "carol"],
    ),
    (
        "a key's state is changed",
        |w| {
            let request = ChangeState {
                state: KeyState::Suspended,
            };
            let keystore = &w.house.keystore;
            keystore
                .change_state(&w.alice.presented, w.key, request)
                .unwrap();
        },
        &["alice", "bob", "carol"],
    ),
    (
        "a key is destroyed",
        |w| {
            w.house.keystore.destroy(&w.alice.presented, w.key).unwrap();
        },
        &["alice", "bob", "carol"],
    ),
];

fn set_state(world: &World, state: AccountState) {
    let request = UpdateAccount {
        state: Some(state),
        roles: None,
    };
    let admin = &world.house.admin.presented;
    let keystore = &world.house.keystore;
    keystore.update_account(admin, world.team, request).unwrap();
}

pub(crate) fn the_state_changes_with_all_that_is_seen() {
    let house = House::new("changes");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let team = group(&house, &alice, &[&bob]);
    let (key, _) = house.key(&alice, &[&bob]);
    let grants = house.keystore.grants(&alice.presented, key).unwrap();
    let object = ObjectId::generate();
    let description = said(CERTIFICATE, Some(0), "one", b"");
    put(&house, &alice, object, ObjectPart::Object, &description).unwrap();
    let world = World {
        grant: grants.grants[1].id,
        house,
        alice,
        bob,
        carol,
        team,
        key,
        object,
    };
    for (what, change, sees) in CHANGES {
        // What changes nothing is not taken for a change.
        let quiet = [&world.alice, &world.bob, &world.carol].map(|who| world.state(who));
        let _ = world.house.release(&world.alice, world.key);
        let _ = world.house.release(&world.carol, world.key);
        find(&world.house, &world.alice, &ObjectQuery::default());
        let refused = remove(
            &world.house,
            &world.carol,
            of(world.key),
            ObjectPart::Secret,
        );
        assert!(refused.is_err(), "{what}");
        let people = [
            ("alice", &world.alice),
            ("bob", &world.bob),
            ("carol", &world.carol),
        ];
        let before = people.map(|(_, who)| world.state(who));
        assert_eq!(before, quiet, "before {what}");
        change(&world);
        for ((name, who), before) in people.into_iter().zip(before) {
            let after = world.state(who);
            assert_eq!(after != before, sees.contains(&name), "{name}: {what}");
            assert!(after >= before, "{name}: {what}");
        }
    }
    // The answers to changes say the state after them.
    let World { house, alice, .. } = &world;
    let (id, own) = (ObjectId::generate(), ObjectPart::Object);
    let made = house
        .keystore
        .put_object(&alice.presented, id, own, description)
        .unwrap();
    assert_eq!(made.change, world.state(alice));
    let shown = house.keystore.object(&alice.presented, id, own).unwrap();
    assert_eq!(shown.change, made.change);
    let removed = house.keystore.remove_object(&alice.presented, id, own);
    let removed = removed.unwrap();
    assert!(removed.change > made.change);
    assert_eq!(removed.change, world.state(alice));
}

pub(crate) fn a_full_database_takes_no_objects() {
    let house = House::new("full");
    let alice = house.person("alice");
    let (id, own) = (ObjectId::generate(), ObjectPart::Object);
    let description = said(CERTIFICATE, Some(0), "one", b"");
    put(&house, &alice, id, own, &description).unwrap();
    let used = DomainCounts::read(&house.database(), "default", house.now());
    let used = used.unwrap().bytes;
    let limit = |bytes| {
        let quotas = Quotas {
            bytes: Some(bytes),
            ..Quotas::default()
        };
        house.keystore.set_quotas("an operator", quotas).unwrap();
    };
    limit(used + 100_000);
    let large = ObjectDescription {
        attributes: vec![1; 150_000].into(),
        ..description.clone()
    };
    let refused = put(&house, &alice, id, own, &large).unwrap_err();
    assert_eq!(refused.code(), Code::QuotaExceeded);
    let record = newest(&house, &alice);
    assert_eq!((record.0, record.1), (Act::ObjectPut, false));
    let shown = show(&house, &alice, id, own).unwrap();
    assert_eq!(shown.description, description, "it is as it was");
    put(&house, &alice, ObjectId::generate(), own, &description).unwrap();
    limit(used / 2);
    let refused = put(&house, &alice, ObjectId::generate(), own, &description);
    assert_eq!(refused.unwrap_err().code(), Code::QuotaExceeded);
    // What makes room is always possible.
    remove(&house, &alice, id, own).unwrap();
}
