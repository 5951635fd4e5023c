//! Rotation of master KEKs and account KEKs: while everybody works, and across kills.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use strongroom_keystore::{Error, Options};
use strongroom_wire::account::{AccountKind, AddMember, CreateAccount, Membership, Role};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{ShareKey, UsagePolicy};
use strongroom_wire::rotation::{MasterKekState, RotationStatus};

use crate::house::{House, PASSWORD, Person, sign_in};

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
];

pub(crate) fn status(house: &House) -> RotationStatus {
    house
        .keystore
        .rotation_status(&house.admin.presented)
        .unwrap()
}

pub(crate) fn id_of(house: &House, person: &Person) -> AccountId {
    house.keystore.own_account(&person.presented).unwrap().id
}

/// Steps until nothing is left, so many records each.
pub(crate) fn finish(house: &House, step: u32) {
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
pub(crate) fn group(house: &House, manager: &Person, members: &[&Person]) -> AccountId {
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

pub(crate) fn share_with(house: &House, owner: &Person, key: KeyId, grantee: &str) {
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
    let kek = house
        .keystore
        .account_kek(&alice.presented, id_of(&house, &alice));
    let kek = kek.unwrap();
    assert_eq!((kek.version, kek.rotation), (2, Some((0, 21))));
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
        let refusal = house.keystore.account_kek(&who.presented, bob_id);
        assert!(matches!(refusal.unwrap_err().error, Error::NotPermitted(_)));
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
