//! A release of thousands of items holds nobody else up for long.

use std::env;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_disclosure::Package;
use strongroom_wire::key::{CreateKeys, NewKey};

use super::Case;
use crate::house::new_key;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_large_release_holds_nobody_up",
        a_large_release_holds_nobody_up,
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

/// How long writers have computed so far, whatever else the machine does: in hundredths of a second, as Linux counts for each thread.
fn computed() -> Duration {
    let mut ticks = 0;
    for thread in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        if let Some((name, rest)) = stat.split_once(") ")
            && name.ends_with("keystore-writer")
        {
            // `utime` and `stime`, the 14th and 15th fields of proc_pid_stat(5).
            let fields = rest.split(' ').skip(11).take(2);
            ticks += fields
                .map(|ticks| ticks.parse::<u64>().unwrap())
                .sum::<u64>();
        }
    }
    Duration::from_millis(ticks * 10)
}

#[expect(
    clippy::print_stdout,
    reason = "figures, for whoever asks for this test's output"
)]
fn a_large_release_holds_nobody_up() {
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
    let (took, longest, times) = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let (mut longest, mut times) = (Duration::ZERO, 0_u32);
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                case.office.house.release(&carol, key).unwrap();
                longest = longest.max(begun.elapsed());
                times += 1;
            }
            (longest, times)
        });
        let (begun, before) = (Instant::now(), computed());
        let released = case.try_release(executed.id);
        let took = begun.elapsed();
        println!(
            "the writer computed for {:.2?}",
            computed().saturating_sub(before)
        );
        over.store(true, Ordering::Relaxed);
        assert_eq!(released.unwrap().items, count);
        let (longest, times) = other.join().unwrap();
        (took, longest, times)
    });
    println!(
        "{count} items were released in {took:.2?}; of {times} other releases meanwhile the longest took {longest:.2?}"
    );
    // Were all of it done in the writer, somebody else would wait for all of it.
    assert!(longest < took.mul_f64(0.8), "{longest:?} of {took:?}");
    let begun = Instant::now();
    let keystore = &case.office.house.keystore;
    let delivery = keystore
        .delivery(&case.releaser.presented, executed.id)
        .unwrap();
    println!("the package was made in {:.2?}", begun.elapsed());
    let package = Package::read(&delivery.package).unwrap();
    assert_eq!(package.items.len(), count as usize);
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
                strongroom_wire::key::ReleaseKey {
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
