//! A release of thousands of items, while others have keys released and change theirs.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use strongroom_disclosure::{DeliveryRecord, Package};
use strongroom_wire::key::{CreateKeys, NewKey, ReleaseKey};

use super::Case;
use crate::house::new_key;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_large_release_is_one_act_among_others",
        a_large_release_is_one_act_among_others,
    ),
    (
        "what_changes_while_a_release_is_prepared_is_released_as_it_is_then",
        what_changes_while_a_release_is_prepared_is_released_as_it_is_then,
    ),
];

/// How many items: 5,000 where `STRONGROOM_LONG` is set.
fn count() -> u32 {
    match env::var_os("STRONGROOM_LONG") {
        Some(_) => 5000,
        None => 500,
    }
}

/// The target sends bob so many messages.
fn send_many(case: &Case, count: u32) {
    let bob = case.office.house.person("bob@example.com");
    for first in (0..count).step_by(500) {
        let keys = (first..(first + 500).min(count)).map(|_| NewKey {
            recipients: vec![bob.name.clone()],
            ..new_key("report.pdf")
        });
        let request = CreateKeys {
            keys: keys.collect(),
            release: false,
        };
        let keystore = &case.office.house.keystore;
        keystore
            .create_keys(&case.office.target.presented, request)
            .unwrap();
    }
}

/// `cargo xtask bench --large-release` measures how long others wait meanwhile.
fn a_large_release_is_one_act_among_others() {
    let case = Case::new("large-release");
    let count = count();
    send_many(&case, count);
    let mut order = case.order();
    order.max_items = count;
    let approved = case.approved(order);
    let executed = case.execute(&approved);
    assert_eq!(executed.items, count);
    // Somebody else has a key released, again and again, each time with a leaf.
    let carol = case.office.house.person("carol@example.com");
    let (key, _) = case.send(&carol, &[]);
    let over = AtomicBool::new(false);
    let (released, leaves) = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut leaves = Vec::new();
            loop {
                let keystore = &case.office.house.keystore;
                let material = keystore.release(&carol.presented, key, ReleaseKey::default());
                leaves.push(material.unwrap().leaf);
                if over.load(Ordering::Relaxed) {
                    return leaves;
                }
            }
        });
        let released = case.try_release(executed.id);
        over.store(true, Ordering::Relaxed);
        (released.unwrap(), other.join().unwrap())
    });
    assert_eq!(released.items, count);
    let keystore = &case.office.house.keystore;
    let delivery = keystore
        .delivery(&case.releaser.presented, executed.id)
        .unwrap();
    let package = Package::read(&delivery.package).unwrap();
    assert_eq!(package.items.len(), count as usize);
    // An item a leaf, one after the other, and then the leaf of the whole: nothing came between.
    let last = released.release_leaf.unwrap();
    let items = last - u64::from(count)..last;
    let records = package.items.iter();
    let said = records.map(|(record, _)| DeliveryRecord::from_bytes(record).unwrap().leaf);
    assert!(said.eq(items.clone()));
    assert!(leaves.is_sorted());
    assert!(
        leaves
            .iter()
            .all(|leaf| !items.contains(leaf) && *leaf != last)
    );
}

/// While it is prepared keys get versions, and are destroyed: the record, the package and the log say the same of each in the end.
fn what_changes_while_a_release_is_prepared_is_released_as_it_is_then() {
    let case = Case::new("changing-release");
    send_many(&case, 60);
    let target = &case.office.target;
    let keystore = &case.office.house.keystore;
    let mine = keystore
        .keys(&target.presented, strongroom_wire::key::KeyQuery::default())
        .unwrap()
        .keys;
    let approved = case.approved(case.order());
    let executed = case.execute(&approved);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for key in mine.iter().cycle().take(2000) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                keystore.rotate(&target.presented, key.id).unwrap();
            }
        });
        let released = case.try_release(executed.id);
        over.store(true, Ordering::Relaxed);
        released.unwrap();
    });
    let opened = case.opened(executed.id);
    assert_eq!(opened.len(), 60);
    for (record, key) in opened {
        assert_eq!(record.item, key.key);
        assert_eq!(record.versions as usize, key.versions.len());
        // Every version that there was is in it.
        let now = keystore.key(&target.presented, key.key).unwrap().version;
        assert!(record.versions <= now, "{record:?}");
        let newest = keystore
            .release(
                &target.presented,
                key.key,
                ReleaseKey {
                    version: Some(record.versions),
                },
            )
            .unwrap();
        let material = target.unwrap(&newest);
        assert_eq!(key.material(record.versions), Some(material.as_slice()));
    }
    let report = crate::scrub::scrubbed(&case.office.house);
    assert_eq!(report.count, 0, "{:?}", report.findings);
}
