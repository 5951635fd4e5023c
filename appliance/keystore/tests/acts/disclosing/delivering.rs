//! What is disclosed: exactly what the order names, to the agency alone, with a record and a leaf an item, and its owner told when the delay is over.

use std::collections::BTreeSet;

use strongroom_disclosure::Package;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::authorisation::{Direction, Scope, Timespan};
use strongroom_wire::disclosure::DisclosureState;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, NewKey, Protection, Releasable, Right};
use strongroom_wire::key::{ShareKey, UsagePolicy};

use super::{Case, task};
use crate::house::Person;
use crate::lawful::{DAY, TARGET};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_case_from_order_to_notification",
        a_case_from_order_to_notification,
    ),
    (
        "scopes_reach_what_they_say_and_nothing_else",
        scopes_reach_what_they_say_and_nothing_else,
    ),
    (
        "what_was_delivered_is_not_delivered_again",
        what_was_delivered_is_not_delivered_again,
    ),
    (
        "all_versions_of_a_key_go_out_and_keys_that_sign_do_not",
        all_versions_of_a_key_go_out_and_keys_that_sign_do_not,
    ),
];

#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_case_from_order_to_notification() {
    let mut case = Case::new("disclosing");
    let bob = case.office.house.person("bob@example.com");
    let stranger = case.office.house.person("frank@example.com");
    let (before, _) = case.send(&case.office.target, &[&bob]);
    case.later(2 * 3600);
    let (sent, sent_material) = case.send(&case.office.target, &[&bob]);
    let (received, _) = case.send(&bob, &[&case.office.target]);
    let (others, _) = case.send(&bob, &[&stranger]);
    let kept_to_oneself = case.labelled(&case.office.target, "diary");
    let seen_by_target = audit_of(&case, &case.office.target);

    let order = case.order();
    let approved = case.approved(order);
    let preview = case.preview(&approved);
    assert_eq!((preview.items, preview.more, preview.left), (2, false, 100));
    let shown: Vec<KeyId> = preview.shown.iter().map(|item| item.key).collect();
    assert_eq!(shown, [sent, received]);
    assert_eq!(preview.shown[0].matched, format!("from {TARGET}"));
    assert_eq!(preview.shown[1].owner, "bob@example.com");
    assert_eq!(case.office.newest().act, Act::DisclosurePreview);

    let executed = case.execute(&approved);
    assert_eq!(
        (executed.state, executed.items),
        (DisclosureState::Executed, 2)
    );
    assert!(case.try_package(executed.id).is_err(), "nothing is out yet");
    // What is made after the execution is not in it.
    case.office.house.clock.advance(1);
    let (after, _) = case.send(&case.office.target, &[&bob]);
    let released = case.try_release(executed.id).unwrap();
    assert_eq!(
        (released.state, released.items),
        (DisclosureState::Released, 2)
    );

    let opened = case.opened(released.id);
    let keys: Vec<KeyId> = opened.iter().map(|(_, key)| key.key).collect();
    assert_eq!(keys, [sent, received]);
    let (record, key) = &opened[0];
    assert_eq!(key.material(1), Some(sent_material.as_slice()));
    assert_eq!(key.reference, "GS 17/2027");
    assert_eq!(
        (record.sequence, record.last_sequence, record.versions),
        (1, 2, 1)
    );
    assert_eq!(record.owner.name, TARGET);
    assert_eq!(record.recipients[0].name, "bob@example.com");
    assert_eq!(record.matched.person.as_ref().unwrap().name, TARGET);
    assert_eq!(record.executor.name, "erin@example.com");
    assert_eq!(record.releaser.name, "rick@example.com");
    assert_eq!(record.authorisation_sha256, approved.record_sha256);
    for key in [before, others, kept_to_oneself, after] {
        assert!(!keys.contains(&key));
    }

    // The log has each record's hash where the record says, and the manifest's.
    let package = case.try_package(released.id).unwrap();
    let records = case.office.records();
    let at = |index: u64| records.iter().find(|record| record.index == index).unwrap();
    for ((record, _), (bytes, _)) in opened.iter().zip(&package.items) {
        let leaf = at(record.leaf);
        assert_eq!((leaf.act, leaf.done), (Act::DisclosureItem, true));
        let note = leaf.note.as_deref().unwrap();
        let hash = hex::encode(strongroom_approval::sha256(bytes));
        assert!(note.starts_with(&format!("case {}", approved.id)), "{note}");
        assert!(note.ends_with(&hash), "{note}");
        assert_eq!((leaf.key, leaf.owner, leaf.subject), (None, None, None));
    }
    let release = at(released.release_leaf.unwrap());
    let manifest = released.manifest_sha256.unwrap();
    assert_eq!(release.act, Act::DisclosureRelease);
    assert!(release.note.as_deref().unwrap().ends_with(&manifest));
    let bytes = package.manifest.to_bytes().unwrap();
    assert_eq!(manifest, hex::encode(strongroom_approval::sha256(&bytes)));
    assert_eq!(case.office.newest().act, Act::DisclosureDeliver);
    no_kek_is_in(&case, &package);

    // Those whom it concerns see nothing of it before the delay is over.
    let mut seen = seen_by_target;
    seen.splice(..0, [Act::KeyRelease, Act::KeyCreate]);
    for person in [&case.office.target, &bob] {
        assert!(case.notified(person).is_empty());
    }
    case.office.house.keystore.forget_expired().unwrap();
    assert_eq!(audit_of(&case, &case.office.target), seen);
    let key = case
        .office
        .house
        .keystore
        .key(&case.office.target.presented, sent);
    assert_eq!(key.unwrap().releases, None);

    case.later(91 * DAY);
    let told = case.office.house.keystore.send_notifications().unwrap();
    assert_eq!(
        told, 2,
        "the target and the owner of what the target received"
    );
    let newest = case.office.newest();
    assert_eq!(newest.act, Act::NotificationSend);
    let notified = case.notified(&case.office.target);
    let [notification] = notified.as_slice() else {
        panic!("{notified:?}");
    };
    assert_eq!(notification.reference, "GS 17/2027");
    assert_eq!(notification.delay_basis.as_deref(), Some("StPO 279"));
    let items: Vec<KeyId> = notification.items.iter().map(|item| item.key).collect();
    assert_eq!(items, [sent, received]);
    assert_eq!(notification.items[0].leaf, opened[0].0.leaf);
    assert!(audit_of(&case, &case.office.target).contains(&Act::NotificationSend));
    let bob = crate::house::sign_in(
        &case.office.house.keystore,
        "bob@example.com",
        crate::house::PASSWORD,
    )
    .unwrap();
    let of_bob = case.notified(&bob);
    let items: Vec<KeyId> = of_bob[0].items.iter().map(|item| item.key).collect();
    assert_eq!(
        items,
        [received],
        "bob is told of what is his, and of nothing else"
    );
    assert_eq!(case.office.house.keystore.send_notifications().unwrap(), 0);
}

/// The acts that somebody's own view of the log has, the newest first.
fn audit_of(case: &Case, person: &Person) -> Vec<Act> {
    let keystore = &case.office.house.keystore;
    let page = keystore.records(&person.presented, RecordQuery::default());
    page.unwrap()
        .records
        .iter()
        .map(|record| record.act)
        .filter(|act| !matches!(act, Act::SessionOpen))
        .collect()
}

/// No account KEK stands in any form in what goes out: all keys of it are rows of the table of keys.
fn no_kek_is_in(case: &Case, package: &Package) {
    let accounts: BTreeSet<[u8; 16]> = {
        let rows = rusqlite::Connection::open(case.office.house.database()).unwrap();
        let mut statement = rows.prepare("SELECT id FROM keys").unwrap();
        let found = statement.query_map([], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    };
    for (record, _) in &package.items {
        let record = strongroom_disclosure::DeliveryRecord::from_bytes(record).unwrap();
        assert!(accounts.contains(record.item.as_bytes()));
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one scope after the other, in one case"
)]
fn scopes_reach_what_they_say_and_nothing_else() {
    let case = Case::new("scopes");
    let house = &case.office.house;
    let [bob, carol] = ["bob@example.com", "carol@example.com"].map(|name| house.person(name));
    let target = &case.office.target;
    let (to_bob, _) = case.send(target, &[&bob]);
    let (to_both, _) = case.send(target, &[&bob, &carol]);
    let (from_bob, _) = case.send(&bob, &[target]);
    let (from_carol, _) = case.send(&carol, &[target]);
    let (between_others, _) = case.send(&bob, &[&carol]);
    let diary = case.labelled(target, "diary");
    let another = case.labelled(target, "diary");
    let of_bob = case.labelled(&bob, "diary");
    house.clock.advance(10);
    // Shared only later: the message is of then.
    let shared = case.labelled(target, "shared");
    house.clock.advance(10_000);
    let request = ShareKey {
        grantee: "carol@example.com".to_owned(),
        rights: Some(vec![Right::Release, Right::Decrypt]),
        policy: UsagePolicy::default(),
    };
    house
        .keystore
        .share(&target.presented, shared, request)
        .unwrap();
    let now = case.now();
    let all = Timespan {
        start: now.minus_seconds(20_000),
        end: now.plus_seconds(1),
    };
    let early = Timespan {
        start: now.minus_seconds(20_000),
        end: now.minus_seconds(5_000),
    };
    let messages = |direction, counterparts: Option<&str>, window| Scope::Messages {
        person: TARGET.to_owned(),
        direction,
        counterparts: counterparts.map(|name| vec![name.to_owned()]),
        window,
    };
    let label = |owner: &str, window| Scope::Label {
        owner: owner.to_owned(),
        label: "diary".to_owned(),
        window,
    };
    let carols = Some("carol@example.com");
    let cases: Vec<(Scope, Vec<KeyId>)> = vec![
        (
            messages(Direction::From, None, all),
            vec![to_bob, to_both, shared],
        ),
        (
            messages(Direction::From, None, early),
            vec![to_bob, to_both],
        ),
        (
            messages(Direction::To, None, all),
            vec![from_bob, from_carol],
        ),
        (
            messages(Direction::ToOrFrom, None, early),
            vec![to_bob, to_both, from_bob, from_carol],
        ),
        (
            messages(Direction::From, carols, all),
            vec![to_both, shared],
        ),
        (messages(Direction::To, carols, all), vec![from_carol]),
        (
            messages(Direction::ToOrFrom, carols, early),
            vec![to_both, from_carol],
        ),
        (label(TARGET, None), vec![diary, another]),
        (label(TARGET, Some(early)), vec![diary, another]),
        (label("bob@example.com", None), vec![of_bob]),
        (
            Scope::Item {
                item: between_others,
            },
            vec![between_others],
        ),
    ];
    for (scope, expected) in cases {
        let mut order = case.order();
        order.tasks = vec![task(scope.clone())];
        let approved = case.approved(order);
        let mut found = case.disclosed(&approved);
        let mut expected = expected;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{scope:?}");
    }
    // A window that nothing is in, and an item that is not there.
    let none = Timespan {
        start: now.minus_seconds(40_000),
        end: now.minus_seconds(30_000),
    };
    for scope in [
        messages(Direction::ToOrFrom, None, none),
        label(TARGET, Some(none)),
        Scope::Item {
            item: KeyId::generate(),
        },
    ] {
        let mut order = case.order();
        order.tasks = vec![task(scope.clone())];
        let approved = case.approved(order);
        assert_eq!(case.preview(&approved).items, 0, "{scope:?}");
        assert!(case.try_execute(&approved).is_err(), "{scope:?}");
    }
    // Two entries that both reach it deliver it once.
    let mut order = case.order();
    order.tasks = vec![
        task(messages(Direction::From, None, all)),
        task(Scope::Item { item: to_bob }),
    ];
    "LD2".clone_into(&mut order.tasks[1].reference);
    let found = case.disclosed(&case.approved(order));
    assert_eq!(found.iter().filter(|key| **key == to_bob).count(), 1);
}

fn what_was_delivered_is_not_delivered_again() {
    let case = Case::new("again");
    let bob = case.office.house.person("bob@example.com");
    let (first, _) = case.send(&case.office.target, &[&bob]);
    let approved = case.approved(case.order());
    assert_eq!(case.disclosed(&approved), [first]);
    assert!(case.try_execute(&approved).is_err(), "there is nothing new");
    case.office.house.clock.advance(5);
    let (second, _) = case.send(&bob, &[&case.office.target]);
    let preview = case.preview(&approved);
    assert_eq!(
        (preview.items, preview.withheld.delivered, preview.left),
        (1, 1, 99)
    );
    assert_eq!(case.disclosed(&approved), [second]);
    let keystore = &case.office.house.keystore;
    let all = keystore.disclosures(&case.office.auditor.presented, approved.id);
    assert_eq!(all.unwrap().disclosures.len(), 2);
    // The same package comes each time.
    let disclosures = keystore
        .disclosures(&case.releaser.presented, approved.id)
        .unwrap()
        .disclosures;
    let again = case.try_package(disclosures[0].id).unwrap();
    assert_eq!(again, case.try_package(disclosures[0].id).unwrap());
}

fn all_versions_of_a_key_go_out_and_keys_that_sign_do_not() {
    let case = Case::new("versions");
    let house = &case.office.house;
    let target = &case.office.target;
    let label = |algorithm| NewKey {
        label: "ring".to_owned(),
        ..NewKey::new(algorithm)
    };
    let aes = case.own(target, label(Algorithm::Aes256));
    house.keystore.rotate(&target.presented, aes).unwrap();
    let rsa = case.own(target, label(Algorithm::EcP256));
    case.own(target, label(Algorithm::Ed25519));
    case.own(target, label(Algorithm::HmacSha256));
    let in_hsm = NewKey {
        protection: Protection::Hsm,
        releasable: Releasable::Never,
        ..label(Algorithm::Aes256)
    };
    case.own(target, in_hsm);
    let mut order = case.order();
    order.tasks = vec![task(Scope::Label {
        owner: TARGET.to_owned(),
        label: "ring".to_owned(),
        window: None,
    })];
    let approved = case.approved(order);
    let withheld = case.preview(&approved).withheld;
    assert_eq!((withheld.signing, withheld.in_hsm), (2, 1));
    let executed = case.execute(&approved);
    case.try_release(executed.id).unwrap();
    let opened = case.opened(executed.id);
    let of = |key: KeyId| opened.iter().find(|(_, opened)| opened.key == key).unwrap();
    assert_eq!(opened.len(), 2);
    assert_eq!((of(aes).0.versions, of(rsa).0.versions), (2, 1));
    let second = house
        .keystore
        .release(
            &target.presented,
            aes,
            strongroom_wire::key::ReleaseKey { version: Some(2) },
        )
        .unwrap();
    assert_eq!(
        of(aes).1.material(2),
        Some(target.unwrap(&second).as_slice())
    );
    assert_ne!(of(aes).1.material(1), of(aes).1.material(2));
}
