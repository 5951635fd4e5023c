//! An account with a hundred thousand objects finds one as quickly as one with a few.

use super::{CERTIFICATE, PUBLIC, SECRET, page, put, said};
use crate::house::House;
use std::env;
use std::time::{Duration, Instant};
use strongroom_wire::id::ObjectId;
use strongroom_wire::key::{Algorithm, CreateKeys, NewKey};
use strongroom_wire::object::{KeyObject, ObjectPart, ObjectQuery};

/// How many objects: 100,000 where `STRONGROOM_LONG` is set.
fn count() -> u32 {
    match env::var_os("STRONGROOM_LONG") {
        Some(_) => 100_000,
        None => 2_000,
    }
}

/// The quickest of some tries: whatever else the machine does at the time is not what is measured.
fn quickest(mut ask: impl FnMut()) -> Duration {
    let times = (0..20).map(|_| {
        let begun = Instant::now();
        ask();
        begun.elapsed()
    });
    times.min().unwrap()
}

/// The first match alone.
fn first() -> ObjectQuery {
    ObjectQuery {
        limit: Some(1),
        ..ObjectQuery::default()
    }
}

/// What is looked for, and how many there are.
fn cases(count: u32) -> [(&'static str, ObjectQuery, usize); 9] {
    let (said_of, unsaid) = (count - 1, count - 20);
    let query = |ask: &dyn Fn(&mut ObjectQuery)| {
        let mut query = first();
        ask(&mut query);
        query
    };
    let label = |number: u32| Some(format!("key {number}").into_bytes().into());
    [
        (
            "by CKA_LABEL, of what is said",
            query(&|query| query.label = label(said_of)),
            1,
        ),
        (
            "by CKA_LABEL, of a key",
            query(&|query| query.label = label(unsaid)),
            1,
        ),
        (
            "by CKA_LABEL, that nothing has",
            query(&|query| query.label = label(count)),
            0,
        ),
        (
            "by CKA_ID",
            query(&|query| query.id = Some(said_of.to_be_bytes().as_slice().into())),
            1,
        ),
        (
            "by CKA_ID, that nothing has",
            query(&|query| query.id = Some(count.to_be_bytes().as_slice().into())),
            0,
        ),
        (
            "by CKA_CLASS and CKA_LABEL",
            query(&|query| {
                query.class = Some(SECRET);
                query.label = label(said_of);
            }),
            1,
        ),
        (
            "by CKA_CLASS, of a certificate",
            query(&|query| query.class = Some(CERTIFICATE)),
            1,
        ),
        (
            "by CKA_CLASS, of secret keys",
            query(&|query| query.class = Some(SECRET)),
            1,
        ),
        ("whichever", query(&|_| ()), 1),
    ]
}

#[expect(
    clippy::print_stdout,
    reason = "figures, for whoever asks for this test's output"
)]
pub(crate) fn the_first_match_among_very_many_is_found_at_once() {
    let house = House::new("very many");
    let alice = house.person("alice");
    let count = count();
    let begun = Instant::now();
    // A twentieth are keys of which nothing is said; of the others each part is.
    for first in (0..count).step_by(1000) {
        let keys = (first..(first + 1000).min(count)).map(|number| {
            let label = format!("key {number}");
            let description = said(SECRET, Some(0x1f), &label, &number.to_be_bytes());
            let objects = vec![KeyObject {
                part: ObjectPart::Secret,
                description,
            }];
            NewKey {
                label,
                objects: if number % 20 == 0 {
                    Vec::new()
                } else {
                    objects
                },
                ..NewKey::new(Algorithm::Aes256)
            }
        });
        let request = CreateKeys {
            keys: keys.collect(),
            release: false,
        };
        house
            .keystore
            .create_keys(&alice.presented, request)
            .unwrap();
    }
    let certificate = ObjectId::generate();
    let description = said(CERTIFICATE, Some(0), "site", b"site");
    put(
        &house,
        &alice,
        certificate,
        ObjectPart::Object,
        &description,
    )
    .unwrap();
    println!("{count} objects were made in {:.1?}", begun.elapsed());

    for (what, query, matches) in cases(count) {
        let found = page(&house, &alice, query.clone()).objects;
        assert_eq!(found.len(), matches, "{what}");
        let time = quickest(|| drop(page(&house, &alice, query.clone())));
        println!("{time:>8.1?} {what}");
        // A scan of them all takes some hundred times as long.
        assert!(time < Duration::from_millis(5), "{what}: {time:?}");
    }
    let none = ObjectQuery {
        class: Some(PUBLIC),
        ..first()
    };
    let time = quickest(|| {
        let page = page(&house, &alice, none.clone());
        assert!(page.objects.is_empty() && page.next.is_none());
    });
    println!("{time:>8.1?} by CKA_CLASS, of public keys, of which there are none");
}
