//! Searches take no longer the more there is: keys and records are looked through a bounded number at a time.

use std::env;
use std::time::{Duration, Instant};

use strongroom_keystore::RecordSearch;
use strongroom_wire::audit::Act;
use strongroom_wire::key::{Key, KeyQuery};

use crate::house::House;

/// How many keys: a million where `STRONGROOM_LONG` is set.
fn count() -> u32 {
    match env::var_os("STRONGROOM_LONG") {
        Some(_) => 1_000_000,
        None => 25_000,
    }
}

/// No search may take longer: what a page of the console waits for.
const LIMIT: Duration = Duration::from_millis(200);

fn quickest<T>(mut ask: impl FnMut() -> T) -> (Duration, T) {
    let mut best = None;
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = ask();
        let took = begun.elapsed();
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, answer));
        }
    }
    best.unwrap()
}

pub(crate) const TRIALS: &[(&str, fn())] = &[(
    "searches_end_however_much_there_is",
    searches_end_however_much_there_is,
)];

#[expect(
    clippy::print_stdout,
    reason = "figures, for whoever asks for this test's output"
)]
fn searches_end_however_much_there_is() {
    let house = House::new("searches");
    let alice = house.person("alice@example.com");
    let count = count();
    house.many_keys(&alice, count);
    // All of a rare match's pages together: it is found, however far back it is.
    let all = |query: &KeyQuery| {
        let (mut keys, mut pages, mut longest) = (Vec::<Key>::new(), 0, Duration::ZERO);
        let mut query = query.clone();
        loop {
            let (took, page) = quickest(|| {
                house
                    .keystore
                    .keys(&alice.presented, query.clone())
                    .unwrap()
            });
            longest = longest.max(took);
            pages += 1;
            keys.extend(page.keys);
            query.after = page.next;
            if page.next.is_none() {
                return (keys, pages, longest);
            }
        }
    };
    let labelled = |label: &str| KeyQuery {
        label: Some(label.to_owned()),
        ..KeyQuery::default()
    };
    let (found, pages, longest) = all(&labelled("report 17 of"));
    assert_eq!(found.len(), 1, "{pages} pages");
    assert_eq!(found[0].label, "Report 17 of the series");
    assert!(pages > 1 && pages <= count / 10_000 + 2, "{pages} pages");
    let (took_none, none) = {
        let (none, _, longest) = all(&labelled("nothing like it"));
        (longest, none)
    };
    assert!(none.is_empty());
    // Two pages together are one without a hole and without a key twice.
    let mut query = labelled("series");
    query.limit = Some(30);
    let first = house
        .keystore
        .keys(&alice.presented, query.clone())
        .unwrap();
    query.after = first.next;
    let second = house.keystore.keys(&alice.presented, query).unwrap();
    let labels: Vec<&str> = first
        .keys
        .iter()
        .chain(&second.keys)
        .map(|key| key.label.as_str())
        .collect();
    let expected: Vec<String> = (0..60)
        .map(|back| format!("Report {} of the series", count - 1 - back))
        .collect();
    assert_eq!(labels, expected);

    let search = |acts: &[Act]| RecordSearch {
        acts: acts.to_vec(),
        limit: 50,
        ..RecordSearch::default()
    };
    let (took_records, found) = quickest(|| {
        house
            .keystore
            .search_records(&alice.presented, search(&[Act::KeyDestroy]))
            .unwrap()
    });
    assert!(found.records.is_empty());
    assert_eq!(found.looked_at, 10_000);
    let (took_some, some) = quickest(|| {
        house
            .keystore
            .search_records(&alice.presented, search(&[Act::KeyCreate]))
            .unwrap()
    });
    assert_eq!(some.records.len(), 50);
    println!(
        "{count} keys: a rare label {longest:?} a page, none {took_none:?}, records {took_records:?}, records that are there {took_some:?}"
    );
    // What an unoptimised build takes on a busy machine says nothing.
    if env::var_os("STRONGROOM_LONG").is_some() {
        for took in [longest, took_none, took_records, took_some] {
            assert!(took < LIMIT, "{took:?}");
        }
    }
}
