//! How long a scrub takes, and that nobody waits for it.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{attacker, scrubbed};
use crate::house::House;

pub(crate) const TRIALS: &[(&str, fn())] = &[(
    "a_large_database_is_scrubbed_while_people_work",
    a_large_database_is_scrubbed_while_people_work,
)];

/// How many keys: 100,000 where `STRONGROOM_LONG` is set.
fn count() -> u32 {
    match env::var_os("STRONGROOM_LONG") {
        Some(_) => 100_000,
        None => 5000,
    }
}

#[expect(
    clippy::print_stdout,
    reason = "figures, for whoever asks for this test's output"
)]
fn a_large_database_is_scrubbed_while_people_work() {
    let house = House::new("scrub-large");
    let alice = house.person("alice");
    let count = count();
    house.many_keys(&alice, count);
    let (key, _) = house.key(&alice, &[]);
    let over = AtomicBool::new(false);
    let (report, took, longest) = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                house.release(&alice, key).unwrap();
                longest = longest.max(begun.elapsed());
                // A few hundred a second, so that they do not outrun the scrub.
                thread::sleep(Duration::from_millis(3));
            }
            longest
        });
        let begun = Instant::now();
        let report = scrubbed(&house);
        let took = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        (report, took, other.join().unwrap())
    });
    println!(
        "{} leaves and {} rows were scrubbed in {took:.2?}; the longest release meanwhile took {longest:.2?}",
        report.leaves, report.rows
    );
    assert_eq!(report.count, 0, "{:?}", report.findings);
    assert!(report.rows >= 3 * u64::from(count), "{}", report.rows);
    assert!(
        longest < took || took < Duration::from_secs(1),
        "{longest:?}"
    );
    // One row among them.
    let edited = attacker(&house)
        .execute(
            "UPDATE keys SET label = 'harmless' WHERE label = 'Report 4321 of the series'",
            [],
        )
        .unwrap();
    assert_eq!(edited, 1);
    let found = scrubbed(&house).findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].what, "key");
}
