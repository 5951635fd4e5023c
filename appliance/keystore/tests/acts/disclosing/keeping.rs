//! Holds: what is destroyed while an authorisation is in effect is kept for it, and its owner notices nothing.

use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::authorisation::{Move, Scope};
use strongroom_wire::id::{KeyId, ObjectId};
use strongroom_wire::key::KeyState;
use strongroom_wire::object::ObjectPart;

use super::{Case, task};
use crate::lawful::{DAY, TARGET};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "what_is_destroyed_under_a_hold_is_disclosed",
        what_is_destroyed_under_a_hold_is_disclosed,
    ),
    (
        "what_is_left_of_a_damaged_key_is_kept_under_its_version",
        what_is_left_of_a_damaged_key_is_kept_under_its_version,
    ),
    (
        "a_hold_ends_with_its_authorisation",
        a_hold_ends_with_its_authorisation,
    ),
    (
        "a_destruction_looks_the_same_with_a_hold_and_without",
        a_destruction_looks_the_same_with_a_hold_and_without,
    ),
];

fn kept(case: &Case, of: &strongroom_wire::authorisation::Authorisation) -> Vec<KeyId> {
    let keystore = &case.office.house.keystore;
    let hold = keystore
        .hold(&case.office.officer.presented, of.id)
        .unwrap();
    hold.kept.iter().map(|kept| kept.key).collect()
}

fn what_is_destroyed_under_a_hold_is_disclosed() {
    let case = Case::new("hold");
    let house = &case.office.house;
    let bob = house.person("bob@example.com");
    let target = &case.office.target;
    let (early, _) = case.send(target, &[&bob]);
    let (sent, material) = case.send(target, &[&bob]);
    house.keystore.rotate(&target.presented, sent).unwrap();
    let (received, of_bob) = case.send(&bob, &[target]);
    let diary = case.labelled(target, "diary");
    house.keystore.destroy(&target.presented, early).unwrap();
    let approved = case.approved(case.order());
    for key in [sent, diary] {
        house.keystore.destroy(&target.presented, key).unwrap();
    }
    // As an application of PKCS #11 does it.
    let object = ObjectId::from_bytes(*received.as_bytes());
    house
        .keystore
        .remove_object(&bob.presented, object, ObjectPart::Secret)
        .unwrap();
    assert_eq!(kept(&case, &approved), [sent, received]);
    for key in [early, sent, received] {
        assert!(house.release(target, key).is_err());
        assert!(house.release(&bob, key).is_err());
    }
    let preview = case.preview(&approved);
    assert_eq!((preview.items, preview.withheld.destroyed), (2, 1));
    assert!(
        preview
            .shown
            .iter()
            .all(|item| item.state == KeyState::Destroyed)
    );
    let executed = case.execute(&approved);
    case.try_release(executed.id).unwrap();
    let opened = case.opened(executed.id);
    let keys: Vec<KeyId> = opened.iter().map(|(_, key)| key.key).collect();
    assert_eq!(keys, [sent, received]);
    assert_eq!(opened[0].1.material(1), Some(material.as_slice()));
    assert_eq!(opened[0].0.versions, 2);
    assert_eq!(opened[1].1.material(1), Some(of_bob.as_slice()));
}

/// What was damaged cannot be kept; what comes after it stays what it was.
fn what_is_left_of_a_damaged_key_is_kept_under_its_version() {
    let case = Case::new("hold-damaged");
    let house = &case.office.house;
    let bob = house.person("bob@example.com");
    let target = &case.office.target;
    let (sent, _) = case.send(target, &[&bob]);
    house.keystore.rotate(&target.presented, sent).unwrap();
    let second = house.release(target, sent).unwrap();
    let approved = case.approved(case.order());
    let database = rusqlite::Connection::open(house.database()).unwrap();
    let damage = "UPDATE grant_copies SET sealed = zeroblob(length(sealed)) WHERE version = 1
                  AND grant_id IN (SELECT id FROM grants WHERE key = ?1)";
    let key = sent.as_bytes();
    assert_eq!(database.execute(damage, [key]).unwrap(), 2);
    house.keystore.destroy(&target.presented, sent).unwrap();
    let executed = case.execute(&approved);
    case.try_release(executed.id).unwrap();
    let opened = case.opened(executed.id);
    let [(record, key)] = opened.as_slice() else {
        panic!("{opened:?}");
    };
    assert_eq!(record.versions, 1);
    assert_eq!(key.material(1), None);
    assert_eq!(key.material(2), Some(second.as_slice()));
}

fn a_hold_ends_with_its_authorisation() {
    let mut case = Case::new("hold ends");
    let bob = case.office.house.person("bob@example.com");
    let (sent, _) = case.send(&case.office.target, &[&bob]);
    let (other, _) = case.send(&case.office.target, &[&bob]);
    let first = case.approved(case.order());
    let mut order = case.order();
    order.tasks = vec![task(Scope::Item { item: sent })];
    let second = case.approved(order);
    let presented = case.office.target.presented.clone();
    let keystore = case.office.house.keystore.clone();
    for key in [sent, other] {
        keystore.destroy(&presented, key).unwrap();
    }
    // A leaf says what is kept, at the same intervals whatever is destroyed.
    keystore.review_holds().unwrap();
    let newest = case.office.newest();
    assert_eq!(newest.act, Act::HoldReview);
    assert!(
        newest
            .note
            .as_deref()
            .unwrap()
            .starts_with("keys 2 review ")
    );
    keystore.review_holds().unwrap();
    assert_eq!(case.office.newest().index, newest.index);

    case.move_to(&first, Move::Suspend);
    keystore.review_holds().unwrap();
    assert_eq!(kept(&case, &first).len(), 2, "what is suspended keeps");
    case.move_to(&first, Move::Cancel);
    keystore.review_holds().unwrap();
    assert_eq!(case.office.newest().act, Act::HoldEnd);
    assert_eq!(kept(&case, &first), []);
    assert_eq!(
        kept(&case, &second),
        [sent],
        "the other order keeps what it names"
    );
    let rows = rusqlite::Connection::open(case.office.house.database()).unwrap();
    let left: u32 = rows
        .query_row("SELECT COUNT(*) FROM held_keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
    case.later(31 * DAY);
    keystore.review_holds().unwrap();
    let left: u32 = rows
        .query_row("SELECT COUNT(*) FROM held_keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    let index = case.office.newest().index;
    case.office.house.clock.advance(2 * 3600);
    keystore.review_holds().unwrap();
    case.later(0);
    assert!(
        case.office
            .records()
            .iter()
            .take_while(|record| record.index > index)
            .all(|record| record.act != Act::HoldReview),
        "nothing is in force, so nothing is said"
    );
}

fn a_destruction_looks_the_same_with_a_hold_and_without() {
    let case = Case::new("hidden");
    let house = &case.office.house;
    let bob = house.person("bob@example.com");
    let target = &case.office.target;
    let (free, _) = case.send(target, &[&bob]);
    let (held, _) = case.send(target, &[&bob]);
    let mut order = case.order();
    order.tasks = vec![task(Scope::Item { item: held })];
    case.approved(order);
    let mut seen = Vec::new();
    for key in [free, held] {
        let before = house
            .keystore
            .records(&target.presented, RecordQuery::default());
        let before = before.unwrap().records[0].index;
        let mut changed = house.keystore.destroy(&target.presented, key).unwrap();
        let leaf = changed.leaf;
        let again = house.keystore.destroy(&target.presented, key).unwrap_err();
        let key_now = house.keystore.key(&target.presented, key).unwrap();
        let of_bob = house.keystore.key(&bob.presented, key).unwrap();
        let after = RecordQuery {
            after: Some(before),
            ..RecordQuery::default()
        };
        let records = house
            .keystore
            .records(&target.presented, after)
            .unwrap()
            .records;
        let shape: Vec<_> = records
            .iter()
            .map(|record| {
                (
                    record.act,
                    record.done,
                    record.index - leaf,
                    record.note.clone(),
                )
            })
            .collect();
        changed.key.id = free;
        seen.push((
            serde_json::to_string(&changed.key).unwrap(),
            again.error.to_string(),
            (key_now.state, of_bob.state, key_now.rights),
            shape,
        ));
    }
    let [free, held] = seen.as_slice() else {
        unreachable!("two were destroyed");
    };
    assert_eq!(free, held);
    assert_eq!(
        free.3.len(),
        2,
        "the destruction, and the attempt at another"
    );
    assert!(free.0.contains(TARGET));
}
