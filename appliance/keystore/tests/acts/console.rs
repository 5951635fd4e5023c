//! What the web console asks for beside what the interface has: who reads, accounts and records found, figures, checkpoints compared.

use std::time::Duration;

use strongroom_keystore::{
    AccountSearch, Error, Options, RecordSearch, role_conflicts, role_powers,
};
use strongroom_wire::account::{
    AccountKind, AccountState, AddMember, CreateAccount, Membership, Role,
};
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::policy::DomainPolicy;

use crate::house::{ADMIN, House, Person};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("a_session_says_whose_it_is", a_session_says_whose_it_is),
    ("accounts_are_found", accounts_are_found),
    ("ones_own_groups_are_listed", ones_own_groups_are_listed),
    ("records_are_searched", records_are_searched),
    ("hours_are_counted", hours_are_counted),
    ("checkpoints_are_compared", checkpoints_are_compared),
    ("roles_are_told", roles_are_told),
];

/// A house whose sessions last while the clock is moved on by hours.
fn all_day(label: &str) -> House {
    let options = Options {
        session_idle_lifetime: Duration::from_hours(8),
        ..Options::default()
    };
    House::with(label, options)
}

fn a_session_says_whose_it_is() {
    let house = House::new("presence");
    let alice = house.person_with("alice", &[Role::Auditor]);
    let before = house.keystore.presence(&alice.presented).unwrap();
    assert_eq!(
        (
            before.account.name.as_str(),
            before.account.roles.as_slice()
        ),
        ("alice", &[Role::Auditor][..])
    );
    assert_eq!((before.step_up_within, before.confirmed), (0, before.now));
    house.clock.advance(60);
    let policy = DomainPolicy {
        step_up_within: 30,
        ..DomainPolicy::default()
    };
    // The administrator's own sign-in is not older than what they ask for.
    house
        .keystore
        .set_domain_policy(&house.admin.presented, policy)
        .unwrap();
    let after = house.keystore.presence(&alice.presented).unwrap();
    assert_eq!(
        (after.step_up_within, after.confirmed),
        (30, before.confirmed)
    );
    assert_eq!(after.now, before.now.plus_seconds(60));
    house.keystore.end_session(&alice.presented, None).unwrap();
    let ended = house
        .keystore
        .presence(&alice.presented)
        .map_err(|refusal| refusal.error);
    assert!(matches!(ended, Err(Error::NotSignedIn)), "{ended:?}");
}

fn accounts_are_found() {
    let house = House::new("finding accounts");
    let alice = house.person("alice@example.com");
    drop(house.person_with("audit@example.com", &[Role::Auditor]));
    let _code = house.invite("alina@example.org", &[]);
    let find = |person: &Person, search: AccountSearch| {
        let search = AccountSearch {
            limit: 10,
            ..search
        };
        house
            .keystore
            .find_accounts(&person.presented, search)
            .map(|page| {
                page.accounts
                    .into_iter()
                    .map(|account| account.name)
                    .collect::<Vec<_>>()
            })
    };
    let admin = &house.admin;
    let contains = |part: &str| AccountSearch {
        contains: Some(part.to_owned()),
        ..AccountSearch::default()
    };
    assert_eq!(
        find(admin, contains("ALI")).unwrap(),
        ["alice@example.com", "alina@example.org"]
    );
    assert_eq!(find(admin, contains("%")).unwrap(), [""; 0]);
    let pending = AccountSearch {
        state: Some(AccountState::Pending),
        ..contains("ali")
    };
    assert_eq!(find(admin, pending).unwrap(), ["alina@example.org"]);
    let auditors = AccountSearch {
        role: Some(Role::Auditor),
        kind: Some(AccountKind::Person),
        ..AccountSearch::default()
    };
    assert_eq!(find(admin, auditors).unwrap(), ["audit@example.com"]);
    // Page after page, nobody twice.
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let search = AccountSearch {
            after,
            limit: 1,
            ..AccountSearch::default()
        };
        let page = house
            .keystore
            .find_accounts(&admin.presented, search)
            .unwrap();
        all.extend(page.accounts.into_iter().map(|account| account.name));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(
        all,
        [
            ADMIN,
            "alice@example.com",
            "alina@example.org",
            "audit@example.com"
        ]
    );
    let refused = find(&alice, AccountSearch::default()).map_err(|refusal| refusal.error);
    assert!(
        matches!(refused, Err(Error::NotPermitted(_))),
        "{refused:?}"
    );
}

fn ones_own_groups_are_listed() {
    let house = House::new("own groups");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let request = CreateAccount {
        name: "team".to_owned(),
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
    assert!(
        house
            .keystore
            .own_groups(&bob.presented)
            .unwrap()
            .is_empty()
    );
    let member = AddMember {
        account: "bob".to_owned(),
        membership: Membership::Member,
    };
    house
        .keystore
        .add_member(&alice.presented, group, member)
        .unwrap();
    let own = |person: &Person| {
        let groups = house.keystore.own_groups(&person.presented).unwrap();
        groups
            .into_iter()
            .map(|own| (own.group, own.name, own.membership, own.members))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        own(&alice),
        [(group, "team".to_owned(), Membership::Manager, 2)]
    );
    assert_eq!(
        own(&bob),
        [(group, "team".to_owned(), Membership::Member, 2)]
    );
    assert!(own(&house.admin).is_empty());
}

fn records_are_searched() {
    let house = all_day("searching");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let (key, _) = house.key(&alice, &[&bob]);
    house.clock.advance(3600);
    let later = house.now();
    house.release(&bob, key).unwrap();
    let (other, _) = house.key(&bob, &[]);
    house.release(&alice, other).unwrap_err();
    let search = |person: &Person, search: RecordSearch| -> Vec<Record> {
        let search = RecordSearch {
            limit: 100,
            ..search
        };
        house
            .keystore
            .search_records(&person.presented, search)
            .unwrap()
            .records
    };
    let releases = RecordSearch {
        acts: vec![Act::KeyRelease],
        ..RecordSearch::default()
    };
    // Her key's releases; the attempt at his.
    let hers: Vec<_> = search(&alice, releases.clone())
        .iter()
        .map(|record| (record.done, record.key))
        .collect();
    assert_eq!(
        hers,
        [(false, Some(other)), (true, Some(key)), (true, Some(key))]
    );
    assert_eq!(search(&auditor, releases.clone()).len(), 4);
    let since = RecordSearch {
        from: Some(later),
        ..releases.clone()
    };
    assert!(
        search(&alice, since)
            .iter()
            .all(|record| record.time >= later)
    );
    let until = RecordSearch {
        until: Some(later),
        ..releases.clone()
    };
    assert_eq!(search(&alice, until).len(), 1);
    let refused = RecordSearch {
        done: Some(false),
        key: Some(other),
        ..RecordSearch::default()
    };
    assert_eq!(search(&bob, refused).len(), 1);
    let by_bob = RecordSearch {
        account: Some("BOB".to_owned()),
        ..releases.clone()
    };
    assert_eq!(search(&auditor, by_bob.clone()).len(), 3);
    // She finds only what concerns both.
    assert!(
        search(&alice, by_bob)
            .iter()
            .all(|record| record.actor_name.as_deref() == Some("bob") || record.key == Some(other))
    );
    let nobody = RecordSearch {
        account: Some("nobody".to_owned()),
        ..RecordSearch::default()
    };
    assert!(search(&auditor, nobody).is_empty());
    // Page after page there is no hole, and nothing twice.
    let whole: Vec<u64> = search(&auditor, RecordSearch::default())
        .iter()
        .map(|record| record.index)
        .collect();
    let (mut pieces, mut before) = (Vec::new(), None);
    loop {
        let piece = RecordSearch {
            before,
            limit: 3,
            ..RecordSearch::default()
        };
        let found = house
            .keystore
            .search_records(&auditor.presented, piece)
            .unwrap();
        pieces.extend(found.records.iter().map(|record| record.index));
        before = found.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pieces, whole);
}

fn hours_are_counted() {
    let house = all_day("counting");
    let alice = house.person("alice");
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let (key, _) = house.key(&alice, &[]);
    house.clock.advance(7200);
    house.release(&alice, key).unwrap();
    house.release(&auditor, key).unwrap_err();
    let figures = house.keystore.figures(&auditor.presented, 4).unwrap();
    assert_eq!(figures.hours.len(), 4);
    let (_, now) = figures.hours[3];
    let (_, then) = figures.hours[1];
    assert_eq!((now.released, now.refused, now.created), (1, 1, 0));
    // The key was released to its maker at once.
    assert_eq!((then.created, then.released), (1, 1));
    assert!(then.sign_ins >= 3, "{then:?}");
    assert_eq!(
        figures.hours[2].1,
        strongroom_keystore::HourCounts::default()
    );
    let refused = house
        .keystore
        .figures(&alice.presented, 4)
        .map_err(|refusal| refusal.error);
    assert!(
        matches!(refused, Err(Error::NotPermitted(_))),
        "{refused:?}"
    );
    house
        .keystore
        .may_see_machine(&house.admin.presented)
        .unwrap();
    assert!(house.keystore.may_see_machine(&auditor.presented).is_err());
}

fn checkpoints_are_compared() {
    let house = House::new("comparing");
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let alice = house.person("alice");
    house.keystore.sign_checkpoint().unwrap();
    drop(house.key(&alice, &[]));
    house.keystore.sign_checkpoint().unwrap();
    let notes = house
        .keystore
        .recent_checkpoints(&auditor.presented, 10)
        .unwrap();
    let [(newer_size, newer), (older_size, older)] = &notes[..2] else {
        panic!("{notes:?}");
    };
    let compared = house
        .keystore
        .compare_checkpoints(&auditor.presented, older, newer)
        .unwrap();
    assert!(compared.consistent);
    assert_eq!(
        (compared.old_size, compared.new_size),
        (*older_size, *newer_size)
    );
    for (old, new) in [
        (newer.as_str(), older.as_str()),
        ("no checkpoint\n", newer.as_str()),
        (
            older.as_str(),
            &newer.replace("strongroom.test", "elsewhere.test"),
        ),
    ] {
        let refused = house
            .keystore
            .compare_checkpoints(&auditor.presented, old, new)
            .map_err(|refusal| refusal.error);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert!(
        house
            .keystore
            .compare_checkpoints(&alice.presented, older, newer)
            .is_err()
    );
    assert!(
        house
            .keystore
            .recent_checkpoints(&alice.presented, 1)
            .is_err()
    );
}

fn roles_are_told() {
    let powers = role_powers();
    assert_eq!(powers.len(), Role::ALL.len());
    assert!(powers.iter().all(|(_, may)| !may.is_empty()));
    let audits = |one: Role, other: Role| [one, other].contains(&Role::Auditor);
    assert_eq!(
        role_conflicts()
            .iter()
            .filter(|(one, other, _)| audits(*one, *other))
            .count(),
        6
    );
}
