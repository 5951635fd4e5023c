//! Groups: one KEK for all members, which gets a new version with every removal.

use rusqlite::Connection;
use strongroom_keystore::Error;
use strongroom_wire::account::{AccountKind, AddMember, CreateAccount, Membership};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::AccountId;
use strongroom_wire::key::{KeyQuery, ShareKey, UsagePolicy};

use crate::house::{House, Person};
use crate::rotation::{finish, group, id_of, share_with, status};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("groups_share_one_kek", groups_share_one_kek),
    (
        "a_removal_gives_the_groups_kek_a_new_version",
        a_removal_gives_the_groups_kek_a_new_version,
    ),
];

fn groups_share_one_kek() {
    let house = House::new("groups");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let request = CreateAccount {
        name: "lawyers".to_owned(),
        kind: AccountKind::Group,
        roles: Vec::new(),
        manager: Some("alice".to_owned()),
    };
    let group = house
        .keystore
        .create_account(&house.admin.presented, request)
        .unwrap()
        .account
        .id;
    let add = |who: &Person, name: &str| {
        let request = AddMember {
            account: name.to_owned(),
            membership: Membership::Member,
        };
        house
            .keystore
            .add_member(&who.presented, group, request)
            .map_err(|refusal| refusal.error)
    };
    assert!(matches!(
        add(&house.admin, "admin@example.com"),
        Err(Error::NotPermitted(_))
    ));
    add(&alice, "bob").unwrap();
    assert!(matches!(add(&alice, "bob"), Err(Error::Conflict(_))));
    assert!(matches!(add(&bob, "carol"), Err(Error::NotPermitted(_))));

    let (key, material) = house.key(&carol, &[]);
    let request = ShareKey {
        grantee: "lawyers".to_owned(),
        rights: None,
        policy: UsagePolicy::default(),
    };
    house
        .keystore
        .share(&carol.presented, key, request)
        .unwrap();
    assert_eq!(house.release(&bob, key).unwrap(), material);
    assert_eq!(house.release(&alice, key).unwrap(), material);
    assert!(matches!(
        house.release(&house.admin, key),
        Err(Error::KeyNotFound)
    ));
    let listed = house
        .keystore
        .keys(&bob.presented, KeyQuery::default())
        .unwrap();
    assert_eq!(listed.keys.len(), 1);

    let bob_id = house.keystore.own_account(&bob.presented).unwrap().id;
    house
        .keystore
        .remove_member(&alice.presented, group, bob_id)
        .unwrap();
    assert!(matches!(house.release(&bob, key), Err(Error::KeyNotFound)));
    let alice_id = house.keystore.own_account(&alice.presented).unwrap().id;
    let refused = house
        .keystore
        .remove_member(&alice.presented, group, alice_id);
    assert!(matches!(refused.err().unwrap().error, Error::Conflict(_)));
}

fn a_removal_gives_the_groups_kek_a_new_version() {
    let house = House::new("removals");
    let [alice, bob, carol, dave] =
        ["alice", "bob", "carol", "dave"].map(|name| house.person(name));
    let team = group(&house, &alice, &[&bob, &carol, &dave]);
    let (before, _) = house.key(&alice, &[]);
    share_with(&house, &alice, before, "team");

    // Twice in a row: the second while what the first left is still sealed under older versions.
    for (member, version) in [(&bob, 2), (&carol, 3)] {
        let removed = house
            .keystore
            .remove_member(&alice.presented, team, id_of(&house, member))
            .unwrap();
        let query = RecordQuery {
            after: Some(removed.leaf),
            ..RecordQuery::default()
        };
        let records = house.keystore.records(&alice.presented, query).unwrap();
        let rotation = records
            .records
            .iter()
            .find(|record| record.index == removed.leaf + 1)
            .unwrap();
        assert_eq!(rotation.act, Act::AccountKekRotate);
        assert_eq!(rotation.subject, Some(team));
        assert_eq!(
            kek_versions(&house, team),
            (1..=version).collect::<Vec<_>>()
        );
        assert!(matches!(
            house.release(member, before),
            Err(Error::KeyNotFound)
        ));
    }
    let (after, material) = house.key(&alice, &[]);
    share_with(&house, &alice, after, "team");
    // What is sealed after the removals is sealed under the newest version, and what was sealed before waits its turn.
    assert_eq!(sealed_under(&house, team), [1, 3]);
    assert_eq!(status(&house).accounts_under_way, 1);
    for key in [before, after] {
        house.release(&dave, key).unwrap();
    }

    finish(&house, 1);
    assert_eq!(sealed_under(&house, team), [3, 3]);
    assert_eq!(kek_versions(&house, team), [3]);
    assert_eq!(house.release(&dave, after).unwrap(), material);
    assert!(matches!(
        house.release(&bob, after),
        Err(Error::KeyNotFound)
    ));

    // A removal that is refused changes nothing.
    for (who, member) in [(&dave, &alice), (&alice, &alice), (&alice, &bob)] {
        house
            .keystore
            .remove_member(&who.presented, team, id_of(&house, member))
            .unwrap_err();
    }
    assert_eq!(kek_versions(&house, team), [3]);

    // Whoever wants to may leave.
    house
        .keystore
        .remove_member(&dave.presented, team, id_of(&house, &dave))
        .unwrap();
    assert!(matches!(
        house.release(&dave, after),
        Err(Error::KeyNotFound)
    ));
    assert_eq!(kek_versions(&house, team), [3, 4]);
}

fn kek_versions(house: &House, account: AccountId) -> Vec<u32> {
    numbers(
        house,
        "SELECT version FROM account_keks WHERE account = ?1 ORDER BY version",
        account,
    )
}

/// Under which versions of a group's KEK copies of keys are sealed.
fn sealed_under(house: &House, group: AccountId) -> Vec<u32> {
    numbers(
        house,
        "SELECT c.kek_version FROM grants g JOIN grant_copies c ON c.grant_id = g.id WHERE g.grantee = ?1 ORDER BY c.kek_version",
        group,
    )
}

fn numbers(house: &House, query: &str, account: AccountId) -> Vec<u32> {
    let rows = Connection::open(house.database()).unwrap();
    let mut statement = rows.prepare(query).unwrap();
    let found = statement
        .query_map([account.as_bytes()], |row| row.get(0))
        .unwrap();
    found.map(Result::unwrap).collect()
}
