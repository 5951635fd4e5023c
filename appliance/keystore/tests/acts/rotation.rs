//! Rotation of master KEKs and account KEKs: while everybody works, across kills, and against rows that are put back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, params};
use strongroom_hsm::{MasterKekId, WrappedKey};
use strongroom_keystore::{Error, Options};
use strongroom_wire::account::{AccountKind, AddMember, CreateAccount, Membership, Role};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{CreateKeys, ShareKey, UsagePolicy};
use strongroom_wire::rotation::{MasterKekState, RotationStatus};

use crate::house::{House, PASSWORD, Person, new_key, sign_in};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("everybody_works_during_rotation", || {
        everybody_works_during_rotation("under-load", Options::default());
    }),
    ("rotation_goes_without_a_cache", || {
        let options = Options {
            kek_cache_ttl: Duration::ZERO,
            ..Options::default()
        };
        everybody_works_during_rotation("under-load-uncached", options);
    }),
    ("a_killed_rotation_goes_on", a_killed_rotation_goes_on),
    (
        "a_master_kek_in_use_is_not_retired",
        a_master_kek_in_use_is_not_retired,
    ),
    (
        "who_may_rotate_and_what_is_recorded",
        who_may_rotate_and_what_is_recorded,
    ),
    (
        "an_old_kek_put_back_grants_nothing",
        an_old_kek_put_back_grants_nothing,
    ),
    (
        "what_a_retired_master_kek_wrapped_counts_no_more",
        what_a_retired_master_kek_wrapped_counts_no_more,
    ),
    (
        "a_removed_member_put_back_opens_nothing",
        a_removed_member_put_back_opens_nothing,
    ),
    (
        "a_damaged_record_keeps_its_rotation_from_ending",
        a_damaged_record_keeps_its_rotation_from_ending,
    ),
];

fn status(house: &House) -> RotationStatus {
    house
        .keystore
        .rotation_status(&house.admin.presented)
        .unwrap()
}

fn id_of(house: &House, person: &Person) -> AccountId {
    house.keystore.own_account(&person.presented).unwrap().id
}

/// Steps until nothing is left, so many records each.
fn finish(house: &House, step: u32) {
    while house.keystore.rewrap_some(step).unwrap() > 0
        || house.keystore.reseal_some(step).unwrap() > 0
    {}
    let status = status(house);
    assert_eq!(
        (status.left, status.accounts_under_way),
        (0, 0),
        "{status:?}"
    );
}

/// A group with `members` beside its manager.
fn group(house: &House, manager: &Person, members: &[&Person]) -> AccountId {
    let request = CreateAccount {
        name: "team".to_owned(),
        kind: AccountKind::Group,
        roles: Vec::new(),
        manager: Some(manager.name.clone()),
    };
    let created = house
        .keystore
        .create_account(&house.admin.presented, request)
        .unwrap();
    for member in members {
        let request = AddMember {
            account: member.name.clone(),
            membership: Membership::Member,
        };
        house
            .keystore
            .add_member(&manager.presented, created.account.id, request)
            .unwrap();
    }
    created.account.id
}

fn share_with(house: &House, owner: &Person, key: KeyId, grantee: &str) {
    let request = ShareKey {
        grantee: grantee.to_owned(),
        rights: None,
        policy: UsagePolicy::default(),
    };
    house
        .keystore
        .share(&owner.presented, key, request)
        .unwrap();
}

fn everybody_works_during_rotation(label: &str, options: Options) {
    let house = House::with(label, options);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let team = group(&house, &alice, &[&carol]);
    let keys: Vec<(KeyId, Vec<u8>)> = (0..24)
        .map(|_| {
            let (key, material) = house.key(&alice, &[&bob]);
            share_with(&house, &alice, key, "team");
            (key, material)
        })
        .collect();
    // One whose versions are all to be moved.
    house.keystore.rotate(&alice.presented, keys[0].0).unwrap();
    let newest = house.release(&alice, keys[0].0).unwrap();
    let keys: Vec<_> = std::iter::once((keys[0].0, newest))
        .chain(keys[1..].iter().cloned())
        .collect();

    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (house, keys, stop, rounds) = (&house, &keys, &stop, &rounds);
            let people = [&alice, &bob, &carol];
            scope.spawn(move || {
                let mut round = thread;
                while !stop.load(Ordering::Relaxed) {
                    let person = people[round % people.len()];
                    let (key, material) = &keys[round % keys.len()];
                    assert_eq!(house.release(person, *key).unwrap(), *material);
                    let (mine, made) = house.key(person, &[people[(round + 1) % 3]]);
                    assert_eq!(house.release(person, mine).unwrap(), made);
                    if round % 5 == 0 {
                        share_with(house, person, mine, "team");
                        assert_eq!(house.release(carol_or(person, people), mine).unwrap(), made);
                    }
                    if round % 16 == 0 {
                        house.invite(&format!("new-{thread}-{round}"), &[]);
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                    round += 8;
                }
            });
        }
        for turn in 1..=3 {
            let admin = &house.admin.presented;
            let before = rounds.load(Ordering::Relaxed);
            let made = house.keystore.rotate_master_kek(admin).unwrap();
            assert_eq!(made.version, turn + 1);
            for account in [id_of(&house, &alice), id_of(&house, &carol), team] {
                house.keystore.rotate_account_kek(admin, account).unwrap();
            }
            house
                .keystore
                .rotate_account_kek(&bob.presented, id_of(&house, &bob))
                .unwrap();
            // What is made from now on is sealed under the new versions, so the old ones run out.
            finish(&house, 7);
            house.keystore.retire_master_kek(admin, turn).unwrap();
            house.keystore.destroy_master_kek(admin, turn).unwrap();
            while rounds.load(Ordering::Relaxed) < before + 8 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let held = house.hsm.master_kek_versions("default").unwrap();
    assert_eq!(held, [4]);
    // Nothing of it hung on what is in memory, and signing in works as ever.
    let mut house = house;
    house.reopen();
    for name in ["alice", "bob", "carol"] {
        let person = sign_in(&house.keystore, name, PASSWORD).unwrap();
        for (key, material) in &keys {
            assert_eq!(house.release(&person, *key).unwrap(), *material);
        }
    }
    assert_eq!(house.release(&bob, keys[1].0).unwrap(), keys[1].1);
}

/// The person itself, by its own grant; through the group where it is the third.
fn carol_or<'a>(person: &'a Person, people: [&'a Person; 3]) -> &'a Person {
    if person.name == "alice" {
        people[2]
    } else {
        person
    }
}

fn a_killed_rotation_goes_on() {
    let mut house = House::new("killed");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    for number in 0..5 {
        house.invite(&format!("pending-{number}"), &[]);
    }
    let keys: Vec<_> = (0..20).map(|_| house.key(&alice, &[&bob])).collect();
    house
        .keystore
        .rotate_master_kek(&house.admin.presented)
        .unwrap();
    house
        .keystore
        .rotate_account_kek(&alice.presented, id_of(&house, &alice))
        .unwrap();
    let at_first = status(&house);
    assert_eq!(at_first.left, 9, "8 accounts and the domain key");
    // 20 copies and a session.
    assert_eq!(
        (at_first.accounts[0].done, at_first.accounts[0].left),
        (0, 21)
    );
    let mut kills = 0;
    loop {
        let before = status(&house);
        let moved = house.keystore.rewrap_some(2).unwrap() + house.keystore.reseal_some(4).unwrap();
        if moved == 0 {
            break;
        }
        let after = status(&house);
        assert!(after.left < before.left || before.left == 0);
        for (key, material) in &keys {
            assert_eq!(house.release(&alice, *key).unwrap(), *material);
        }
        house.reopen();
        kills += 1;
    }
    assert!(kills >= 6, "{kills}");
    assert_eq!(status(&house).left, 0);
    assert!(status(&house).accounts.is_empty());
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let ends = |act| {
        let all = RecordQuery {
            limit: Some(1000),
            ..RecordQuery::default()
        };
        let records = house.keystore.records(&auditor.presented, all).unwrap();
        let ends = records
            .records
            .into_iter()
            .filter(|record| record.act == act);
        ends.map(|record| (record.done, record.note.unwrap()))
            .collect::<Vec<_>>()
    };
    let once = [(true, "version 2".to_owned())];
    assert_eq!(ends(Act::MasterKekRewrapped), once);
    assert_eq!(ends(Act::AccountKekResealed), once);
}

fn a_master_kek_in_use_is_not_retired() {
    let house = House::new("in-use");
    let alice = house.person("alice");
    let (key, material) = house.key(&alice, &[]);
    let admin = &house.admin.presented;
    let (retire, destroy) = (
        |version| {
            house
                .keystore
                .retire_master_kek(admin, version)
                .map_err(|refusal| refusal.error)
        },
        |version| {
            house
                .keystore
                .destroy_master_kek(admin, version)
                .map_err(|refusal| refusal.error)
        },
    );
    assert!(matches!(retire(1), Err(Error::Conflict(_))), "the newest");
    assert!(matches!(retire(2), Err(Error::Invalid(_))), "there is none");
    house.keystore.rotate_master_kek(admin).unwrap();
    let again = house.keystore.rotate_master_kek(admin).unwrap_err();
    assert!(matches!(again.error, Error::Conflict(_)) && again.leaf.is_some());
    assert!(
        matches!(retire(1), Err(Error::Conflict(_))),
        "all is wrapped by it"
    );
    house.keystore.rewrap_some(1).unwrap();
    assert!(
        matches!(retire(1), Err(Error::Conflict(_))),
        "some is wrapped by it"
    );
    finish(&house, 100);
    assert!(
        matches!(destroy(1), Err(Error::Conflict(_))),
        "not retired yet"
    );
    retire(1).unwrap();
    assert!(
        matches!(retire(1), Err(Error::Conflict(_))),
        "retired already"
    );
    let states = status(&house).master_keks;
    let states: Vec<_> = states
        .iter()
        .map(|kek| (kek.version, kek.state, kek.wrapped))
        .collect();
    assert_eq!(
        states,
        [
            (1, MasterKekState::Retired, 0),
            (2, MasterKekState::Newest, 3)
        ]
    );
    assert!(matches!(destroy(2), Err(Error::Conflict(_))), "the newest");
    destroy(1).unwrap();
    assert!(
        matches!(destroy(1), Err(Error::Invalid(_))),
        "destroyed already"
    );
    assert_eq!(house.hsm.master_kek_versions("default").unwrap(), [2]);
    house.keystore.wipe();
    assert_eq!(house.release(&alice, key).unwrap(), material);
    // A new account's KEK is wrapped by the version that is left.
    house.person("bob");
    assert_eq!(status(&house).left, 0);
}

fn who_may_rotate_and_what_is_recorded() {
    let house = House::new("may-rotate");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let bob_id = id_of(&house, &bob);
    for who in [&alice, &auditor] {
        let refusals = [
            house
                .keystore
                .rotate_master_kek(&who.presented)
                .unwrap_err(),
            house
                .keystore
                .retire_master_kek(&who.presented, 1)
                .unwrap_err(),
            house
                .keystore
                .destroy_master_kek(&who.presented, 1)
                .unwrap_err(),
            house
                .keystore
                .rotate_account_kek(&who.presented, bob_id)
                .unwrap_err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal.error, Error::NotPermitted(_)));
            assert!(refusal.leaf.is_some());
        }
        let refusal = house.keystore.rotation_status(&who.presented).unwrap_err();
        assert!(matches!(refusal.error, Error::NotPermitted(_)));
    }
    assert_eq!(house.hsm.master_kek_versions("default").unwrap(), [1]);
    let nobody = AccountId::generate();
    let refusal = house
        .keystore
        .rotate_account_kek(&house.admin.presented, nobody)
        .unwrap_err();
    assert!(matches!(refusal.error, Error::AccountNotFound(_)));
    let begun = house
        .keystore
        .rotate_account_kek(&bob.presented, bob_id)
        .unwrap();
    assert_eq!((begun.account, begun.version), (bob_id, 2));
    let again = house
        .keystore
        .rotate_account_kek(&house.admin.presented, bob_id)
        .unwrap_err();
    assert!(matches!(again.error, Error::Conflict(_)));
    finish(&house, 100);
    let records = house
        .keystore
        .records(&bob.presented, RecordQuery::default())
        .unwrap()
        .records;
    let about: Vec<_> = records
        .iter()
        .filter(|record| record.subject == Some(bob_id))
        .map(|record| (record.act, record.done, record.actor))
        .collect();
    let admin = id_of(&house, &house.admin);
    for expected in [
        (Act::AccountKekResealed, true, None),
        (Act::AccountKekRotate, false, Some(admin)),
        (Act::AccountKekRotate, true, Some(bob_id)),
    ] {
        assert!(about.contains(&expected), "{expected:?} in {about:?}");
    }
}

fn an_old_kek_put_back_grants_nothing() {
    let house = House::new("put-back");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[&bob]);
    let bob_id = id_of(&house, &bob);
    let rows = Connection::open(house.database()).unwrap();
    let old_kek: (Vec<u8>, Vec<u8>) = rows
        .query_row(
            "SELECT wrapped, mac FROM account_keks WHERE account = ?1",
            [bob_id.as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let (grant, old_copy): (Vec<u8>, Vec<u8>) = rows
        .query_row(
            "SELECT g.id, c.sealed FROM grants g JOIN grant_copies c ON c.grant_id = g.id WHERE g.grantee = ?1",
            [bob_id.as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();

    house
        .keystore
        .rotate_account_kek(&bob.presented, bob_id)
        .unwrap();
    finish(&house, 10);
    let versions: Vec<u32> = rows
        .prepare("SELECT version FROM account_keks WHERE account = ?1")
        .unwrap()
        .query_map([bob_id.as_bytes()], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(versions, [2], "the old version is gone");
    assert_eq!(house.release(&bob, key).unwrap(), material);

    // Somebody who has an old copy of the database puts both rows back: the KEK, and what it sealed.
    let put_back_kek = || {
        rows.execute(
            "INSERT INTO account_keks (account, version, wrapped, mac) VALUES (?1, 1, ?2, ?3)",
            params![bob_id.as_bytes(), old_kek.0, old_kek.1],
        )
        .unwrap();
    };
    put_back_kek();
    let new_copy: Vec<u8> = rows
        .query_row(
            "SELECT sealed FROM grant_copies WHERE grant_id = ?1",
            [&grant],
            |row| row.get(0),
        )
        .unwrap();
    let copy = |version: u32, sealed: &[u8]| {
        rows.execute(
            "UPDATE grant_copies SET kek_version = ?2, sealed = ?3 WHERE grant_id = ?1",
            params![grant, version, sealed],
        )
        .unwrap();
    };
    copy(1, &old_copy);
    let refused = house.release(&bob, key);
    assert!(
        matches!(refused, Err(Error::Integrity("account KEK"))),
        "{refused:?}"
    );
    // Nor does a rotation launder it.
    house
        .keystore
        .rotate_account_kek(&bob.presented, bob_id)
        .unwrap();
    finish(&house, 10);
    assert!(matches!(house.release(&bob, key), Err(Error::Integrity(_))));
    copy(2, &new_copy);
    assert!(matches!(house.release(&bob, key), Err(Error::Integrity(_))));
}

fn what_a_retired_master_kek_wrapped_counts_no_more() {
    let house = House::new("retired");
    let alice = house.person("alice");
    let (key, _) = house.key(&alice, &[]);
    let alice_id = id_of(&house, &alice);
    let rows = Connection::open(house.database()).unwrap();
    house
        .keystore
        .rotate_account_kek(&alice.presented, alice_id)
        .unwrap();
    finish(&house, 10);
    // A stray version of an account's KEK is cleared away, and does not hold up the rotation.
    rows.execute(
        "INSERT INTO account_keks SELECT account, 1, wrapped, mac FROM account_keks WHERE account = ?1",
        [alice_id.as_bytes()],
    )
    .unwrap();
    let admin = &house.admin.presented;
    house.keystore.rotate_master_kek(admin).unwrap();
    finish(&house, 10);
    let strays: u32 = rows
        .query_row(
            "SELECT count(*) FROM account_keks WHERE account = ?1 AND version < 2",
            [alice_id.as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(strays, 0);
    // An old wrapping put back is refused, although the HSM could still unwrap it; and it is not destroyed under it.
    let wrapped: Vec<u8> = rows
        .query_row(
            "SELECT wrapped FROM account_keks WHERE account = ?1",
            [alice_id.as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    house.keystore.rewrap_some(1).unwrap();
    house.keystore.retire_master_kek(admin, 1).unwrap();
    let master = MasterKekId {
        domain: "default".to_owned(),
        version: 1,
    };
    let new = WrappedKey::from_bytes(&wrapped).unwrap();
    let kek = house.hsm.unwrap("default", &new).unwrap();
    let old = house.hsm.wrap(&master, &kek).unwrap();
    let put = |wrapped: &[u8]| {
        rows.execute(
            "UPDATE account_keks SET wrapped = ?2 WHERE account = ?1",
            params![alice_id.as_bytes(), wrapped],
        )
        .unwrap();
    };
    put(&old.to_bytes());
    house.keystore.wipe();
    let refused = house.release(&alice, key);
    assert!(
        matches!(refused, Err(Error::Integrity("account KEK"))),
        "{refused:?}"
    );
    let destroyed = house.keystore.destroy_master_kek(admin, 1);
    assert!(matches!(destroyed.unwrap_err().error, Error::Conflict(_)));
    put(&wrapped);
    house.release(&alice, key).unwrap();
    house.keystore.destroy_master_kek(admin, 1).unwrap();
}

fn a_removed_member_put_back_opens_nothing() {
    let house = House::new("ex-member");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let team = group(&house, &alice, &[&bob, &carol]);
    let (key, material) = house.key(&alice, &[]);
    share_with(&house, &alice, key, "team");
    assert_eq!(house.release(&carol, key).unwrap(), material);
    let carol_id = id_of(&house, &carol);
    let rows = Connection::open(house.database()).unwrap();
    rows.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM memberships")
        .unwrap();
    house
        .keystore
        .remove_member(&alice.presented, team, carol_id)
        .unwrap();
    assert!(matches!(
        house.release(&carol, key),
        Err(Error::KeyNotFound)
    ));
    house
        .keystore
        .rotate_account_kek(&house.admin.presented, team)
        .unwrap();
    // Half-way, members reach what has moved and what has not, and managers add members.
    house.keystore.reseal_some(1).unwrap();
    assert_eq!(house.release(&bob, key).unwrap(), material);
    let dave = house.person("dave");
    let request = AddMember {
        account: "dave".to_owned(),
        membership: Membership::Member,
    };
    house
        .keystore
        .add_member(&alice.presented, team, request)
        .unwrap();
    assert_eq!(house.release(&dave, key).unwrap(), material);
    finish(&house, 1);
    assert_eq!(house.release(&bob, key).unwrap(), material);
    rows.execute(
        "INSERT INTO memberships SELECT * FROM temp.kept WHERE member = ?1",
        [carol_id.as_bytes()],
    )
    .unwrap();
    let refused = house.release(&carol, key);
    assert!(
        matches!(refused, Err(Error::Integrity("membership"))),
        "{refused:?}"
    );
    assert_eq!(house.release(&dave, key).unwrap(), material);
}

fn a_damaged_record_keeps_its_rotation_from_ending() {
    let mut house = House::new("rotten");
    let alice = house.person("alice");
    let keys: Vec<_> = (0..6).map(|_| house.key(&alice, &[])).collect();
    let alice_id = id_of(&house, &alice);
    let rows = Connection::open(house.database()).unwrap();
    let flip = || {
        // One bit of one copy; twice is as if nothing had been.
        let (grant, mut sealed): (Vec<u8>, Vec<u8>) = rows
            .query_row(
                "SELECT grant_id, sealed FROM grant_copies ORDER BY grant_id LIMIT 1 OFFSET 3",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        sealed[20] ^= 1;
        rows.execute(
            "UPDATE grant_copies SET sealed = ?2 WHERE grant_id = ?1",
            params![grant, sealed],
        )
        .unwrap();
    };
    flip();
    house
        .keystore
        .rotate_account_kek(&alice.presented, alice_id)
        .unwrap();
    let until_nothing_moves = |house: &House| while house.keystore.reseal_some(2).unwrap() > 0 {};
    until_nothing_moves(&house);
    let stuck = status(&house);
    assert_eq!((stuck.accounts[0].left, stuck.accounts_under_way), (1, 1));
    assert_eq!(house.keystore.reseal_some(2).unwrap(), 0, "it waits");
    assert_eq!(status(&house).damaged, 1);
    assert_eq!(house.keystore.statistics().unwrap().rotation_damage, 1);
    let opened = keys
        .iter()
        .filter(|(key, material)| {
            house
                .release(&alice, *key)
                .is_ok_and(|found| found == *material)
        })
        .count();
    assert_eq!(opened, 5);
    let records = house
        .keystore
        .records(&alice.presented, RecordQuery::default())
        .unwrap()
        .records;
    let refused = records
        .iter()
        .filter(|record| record.act == Act::AccountKekResealed && !record.done)
        .count();
    assert_eq!(refused, 1, "logged once");
    // The row comes back from a backup; the old KEK is still there to open it.
    flip();
    house.reopen();
    finish(&house, 2);
    for (key, material) in &keys {
        assert_eq!(house.release(&alice, *key).unwrap(), *material);
    }
    let request = CreateKeys {
        keys: vec![new_key("after")],
        release: true,
    };
    house
        .keystore
        .create_keys(&alice.presented, request)
        .unwrap();
}
