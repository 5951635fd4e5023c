//! Objects of an account: put, shown, found by what is said of them, page by page, and removed.

use super::{
    CERTIFICATE, DATA, PRIVATE, PUBLIC, SECRET, find, found, newest, of, page, plain, put, remove,
    said, show, sign,
};
use crate::house::{House, Person};
use rusqlite::Connection;
use std::collections::BTreeSet;
use strongroom_wire::audit::Act;
use strongroom_wire::id::ObjectId;
use strongroom_wire::key::Algorithm;
use strongroom_wire::object::{
    LONGEST_ATTRIBUTES, LONGEST_NAME, ObjectDescription, ObjectPart, ObjectQuery,
};
use strongroom_wire::problem::Code;

pub(crate) fn objects_are_put_found_and_removed() {
    let house = House::new("objects");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (certificate, data) = (ObjectId::generate(), ObjectId::generate());
    let own = ObjectPart::Object;
    let of_certificate = said(CERTIFICATE, Some(0), "site", b"\x01");
    let made = put(&house, &alice, certificate, own, &of_certificate).unwrap();
    assert_eq!((made.id, made.part), (certificate, own));
    assert_eq!(made.description, of_certificate);
    assert!(made.key.is_none() && made.created == made.updated);
    let note = format!("{certificate} object");
    assert_eq!(newest(&house, &alice), (Act::ObjectPut, true, Some(note)));
    put(&house, &alice, data, own, &said(DATA, None, "site", b"")).unwrap();
    let public = ObjectId::generate();
    let of_public = said(PUBLIC, Some(3), "partner", b"\x02");
    put(&house, &alice, public, ObjectPart::Public, &of_public).unwrap();

    // By each filter, and by several.
    let by = |ask: fn(&mut ObjectQuery)| -> Vec<ObjectId> {
        let found = found(&house, &alice, ask);
        found.into_iter().map(|(id, _)| id).collect()
    };
    let sorted = |mut ids: Vec<ObjectId>| {
        ids.sort_unstable();
        ids
    };
    let everything = sorted(vec![certificate, data, public]);
    assert_eq!(by(|_| ()), everything);
    assert_eq!(by(|query| query.class = Some(DATA)), [data]);
    assert_eq!(by(|query| query.class = Some(CERTIFICATE)), [certificate]);
    assert_eq!(by(|query| query.kind = Some(3)), [public]);
    let label = |text: &str| Some(text.as_bytes().into());
    let site = by(|query| query.label = Some(b"site".as_slice().into()));
    assert_eq!(site, sorted(vec![certificate, data]));
    assert_eq!(
        by(|query| query.id = Some(b"\x02".as_slice().into())),
        [public]
    );
    let both = found(&house, &alice, |query| {
        query.label = label("site");
        query.class = Some(CERTIFICATE);
        query.kind = Some(0);
        query.id = Some(b"\x01".as_slice().into());
    });
    assert_eq!(both, [(certificate, own)]);
    for ask in [
        |query: &mut ObjectQuery| query.label = Some(b"sit".as_slice().into()),
        |query: &mut ObjectQuery| query.label = Some(b"SITE".as_slice().into()),
        |query: &mut ObjectQuery| query.label = Some(b"\xff\xfe".as_slice().into()),
        |query: &mut ObjectQuery| query.id = Some(b"\x01\x02".as_slice().into()),
        |query: &mut ObjectQuery| query.class = Some(7),
    ] {
        assert_eq!(by(ask), []);
    }
    // They are alice's alone.
    assert_eq!(found(&house, &bob, |_| ()), []);
    let not_found = Err(Code::ObjectNotFound);
    assert_eq!(show(&house, &bob, certificate, own).map(drop), not_found);
    assert_eq!(remove(&house, &bob, certificate, own).map(drop), not_found);

    // Said again it is as it was; said otherwise it is that.
    house.clock.advance(5);
    let again = put(&house, &alice, certificate, own, &of_certificate).unwrap();
    assert_eq!(again.description, made.description);
    assert_eq!((again.created, again.updated), (made.created, house.now()));
    let renamed = said(CERTIFICATE, Some(0), "another site", b"");
    put(&house, &alice, certificate, own, &renamed).unwrap();
    let shown = show(&house, &alice, certificate, own).unwrap();
    assert_eq!(shown.description, renamed);
    assert_eq!(
        found(&house, &alice, |query| query.label = label("site")),
        [(data, own)]
    );
    let part = show(&house, &alice, certificate, ObjectPart::Public);
    assert_eq!(part.map(drop), not_found);

    remove(&house, &alice, certificate, own).unwrap();
    let note = format!("{certificate} object");
    assert_eq!(
        newest(&house, &alice),
        (Act::ObjectRemove, true, Some(note))
    );
    for gone in [
        show(&house, &alice, certificate, own).map(drop),
        remove(&house, &alice, certificate, own).map(drop),
    ] {
        assert_eq!(gone, not_found);
    }
    let refused = newest(&house, &alice);
    let code = Some("object-not-found".to_owned());
    assert_eq!(refused, (Act::ObjectRemove, false, code));
}

pub(crate) fn an_object_is_what_the_interface_lets_it_be() {
    use ObjectPart::{Object, Private, Public, Secret};
    let house = House::new("object forms");
    let alice = house.person("alice");
    let secret = plain(&house, &alice, Algorithm::Aes256, "k");
    let pair = plain(&house, &alice, Algorithm::EcP256, "p");
    let fresh = ObjectId::generate();
    let largest = ObjectDescription {
        label: vec![7; LONGEST_NAME].into(),
        id: vec![8; LONGEST_NAME].into(),
        attributes: vec![9; LONGEST_ATTRIBUTES].into(),
        ..said(DATA, None, "", b"")
    };
    put(&house, &alice, fresh, ObjectPart::Object, &largest).unwrap();
    let of_largest = found(&house, &alice, |query| query.id = Some(largest.id.clone()));
    assert_eq!(of_largest, [(fresh, ObjectPart::Object)]);
    let with = |change: fn(&mut ObjectDescription)| {
        let mut description = said(DATA, None, "", b"");
        change(&mut description);
        description
    };
    let invalid = [
        with(|said| said.label = vec![7; LONGEST_NAME + 1].into()),
        with(|said| said.id = vec![7; LONGEST_NAME + 1].into()),
        with(|said| said.attributes = vec![7; LONGEST_ATTRIBUTES + 1].into()),
        // Keys are made as keys.
        with(|said| said.class = PUBLIC),
        with(|said| said.class = PRIVATE),
        with(|said| said.class = SECRET),
    ];
    for description in invalid {
        let refused = put(&house, &alice, fresh, ObjectPart::Object, &description);
        assert_eq!(refused.unwrap_err().code(), Code::Invalid);
    }
    for (id, part, class, code) in [
        (fresh, Secret, SECRET, Code::ObjectNotFound),
        (fresh, Private, PRIVATE, Code::ObjectNotFound),
        (fresh, Public, CERTIFICATE, Code::Invalid),
        // Parts that the keys do not have, or of another class.
        (of(secret.id), Private, PRIVATE, Code::Invalid),
        (of(secret.id), Public, PUBLIC, Code::Invalid),
        (of(secret.id), Secret, PRIVATE, Code::Invalid),
        (of(pair.id), Secret, SECRET, Code::Invalid),
        (of(pair.id), Private, PUBLIC, Code::Invalid),
    ] {
        let refused = put(&house, &alice, id, part, &said(class, None, "", b""));
        assert_eq!(refused.unwrap_err().code(), code, "{part:?} {class}");
    }
    // An object may well have a key's identifier: it is no part of the key.
    put(
        &house,
        &alice,
        of(pair.id),
        Object,
        &said(CERTIFICATE, Some(0), "", b""),
    )
    .unwrap();
    let parts = found(&house, &alice, |_| ());
    for part in [Private, Public, Object] {
        assert!(parts.contains(&(of(pair.id), part)), "{part:?}");
    }
    remove(&house, &alice, of(pair.id), Object).unwrap();
    sign(&house, &alice, pair.id).unwrap();
    for after in ["", "x", "k123", "o", "o.1", "oabc.1", "k-"] {
        let query = ObjectQuery {
            after: Some(after.to_owned()),
            ..ObjectQuery::default()
        };
        let refused = house.keystore.objects(&alice.presented, query);
        assert_eq!(refused.unwrap_err().error.code(), Code::Invalid, "{after}");
    }
}

pub(crate) fn pages_go_over_objects_and_over_keys() {
    let house = House::new("object pages");
    let alice = house.person("alice");
    let mut expected = BTreeSet::new();
    for number in 0..3 {
        let id = ObjectId::generate();
        let description = said(CERTIFICATE, Some(0), &format!("c{number}"), b"chain");
        put(&house, &alice, id, ObjectPart::Object, &description).unwrap();
        expected.insert((id, ObjectPart::Object));
    }
    for number in 0..4 {
        let key = plain(
            &house,
            &alice,
            Algorithm::Aes256,
            &format!("k{}", number % 2),
        );
        expected.insert((of(key.id), ObjectPart::Secret));
    }
    for number in 0..3 {
        let key = plain(&house, &alice, Algorithm::EcP256, "pair");
        let both = [ObjectPart::Private, ObjectPart::Public];
        expected.extend(both.map(|part| (of(key.id), part)));
        if number == 0 {
            let description = said(PRIVATE, Some(3), "said", b"chain");
            put(
                &house,
                &alice,
                of(key.id),
                ObjectPart::Private,
                &description,
            )
            .unwrap();
        }
    }
    let destroyed = plain(&house, &alice, Algorithm::Aes256, "k0");
    house
        .keystore
        .destroy(&alice.presented, destroyed.id)
        .unwrap();
    let others = house.person("bob");
    plain(&house, &others, Algorithm::Aes256, "k0");

    for limit in [1, 2, 3, 4, 7, 13, 1000, u32::MAX] {
        let query = ObjectQuery {
            limit: Some(limit),
            ..ObjectQuery::default()
        };
        let objects = find(&house, &alice, &query);
        let all: BTreeSet<_> = objects
            .iter()
            .map(|object| (object.id, object.part))
            .collect();
        assert_eq!(all, expected, "{limit}");
        assert_eq!(objects.len(), all.len(), "none twice with {limit}");
        let first = page(&house, &alice, query).objects.len();
        assert!(first <= 2 * limit.min(1000) as usize, "{limit}: {first}");
    }
    filters_hold_over_all_pages(&house, &alice);
    // A place is as good after a change.
    let query = ObjectQuery {
        limit: Some(5),
        ..ObjectQuery::default()
    };
    let first = page(&house, &alice, query.clone());
    let (last, part) = first
        .objects
        .last()
        .map(|last| (last.id, last.part))
        .unwrap();
    remove(&house, &alice, last, part).unwrap();
    let rest = ObjectQuery {
        after: first.next,
        ..query
    };
    let seen = first.objects.len() + find(&house, &alice, &rest).len();
    assert_eq!(seen, expected.len());
}

fn filters_hold_over_all_pages(house: &House, alice: &Person) {
    let nothing = ObjectQuery {
        limit: Some(0),
        ..ObjectQuery::default()
    };
    let state = page(house, alice, nothing);
    assert_eq!((state.objects.len(), state.next), (0, None));
    assert!(state.change > 0);
    for limit in [1, 2, 1000] {
        let count = |ask: fn(&mut ObjectQuery)| {
            let mut query = ObjectQuery {
                limit: Some(limit),
                ..ObjectQuery::default()
            };
            ask(&mut query);
            find(house, alice, &query).len()
        };
        assert_eq!(count(|query| query.class = Some(SECRET)), 4);
        assert_eq!(count(|query| query.class = Some(PUBLIC)), 3);
        assert_eq!(count(|query| query.kind = Some(3)), 6);
        assert_eq!(count(|query| query.kind = Some(0x1f)), 4);
        assert_eq!(
            count(|query| query.label = Some(b"k0".as_slice().into())),
            2
        );
        assert_eq!(
            count(|query| query.label = Some(b"pair".as_slice().into())),
            5,
            "the public half of what was said has the key's label"
        );
        assert_eq!(
            count(|query| query.id = Some(b"chain".as_slice().into())),
            4
        );
    }
}

pub(crate) fn an_edited_object_is_left_out() {
    let house = House::new("edited objects");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let id = ObjectId::generate();
    let own = ObjectPart::Object;
    let description = said(CERTIFICATE, Some(0), "root", b"\x01");
    let edits = [
        "UPDATE objects SET attributes = x'00'",
        "UPDATE objects SET label = x'00'",
        "UPDATE objects SET cka_id = x'00'",
        "UPDATE objects SET class = 0",
        "UPDATE objects SET kind = NULL",
        "UPDATE objects SET created = created - 1",
        "UPDATE objects SET updated = updated + 1",
        "UPDATE objects SET mac = zeroblob(32)",
    ];
    for edit in edits {
        put_over(&house, &alice, id, &description);
        let database = Connection::open(house.database()).unwrap();
        assert_eq!(database.execute(edit, []).unwrap(), 1);
        assert_eq!(found(&house, &alice, |_| ()), [], "{edit}");
        let record = newest(&house, &alice);
        let code = Some("integrity-failure".to_owned());
        assert_eq!(record, (Act::KeyRead, false, code.clone()), "{edit}");
        let shown = house.keystore.object(&alice.presented, id, own);
        let refused = shown.unwrap_err();
        assert_eq!(refused.error.code(), Code::IntegrityFailure, "{edit}");
        assert!(refused.leaf.is_some());
        // It is not written over, either.
        let over = put(&house, &alice, id, own, &description);
        assert_eq!(over.unwrap_err().code(), Code::IntegrityFailure, "{edit}");
        assert_eq!(newest(&house, &alice), (Act::ObjectPut, false, code));
    }
    put_over(&house, &alice, id, &description);
    let bob_id = house.keystore.own_account(&bob.presented).unwrap().id;
    let database = Connection::open(house.database()).unwrap();
    let moved = "UPDATE objects SET owner = ?1";
    assert_eq!(database.execute(moved, [bob_id.as_bytes()]).unwrap(), 1);
    let shown = show(&house, &bob, id, own);
    assert_eq!(shown.map(drop), Err(Code::IntegrityFailure));
    assert_eq!(found(&house, &bob, |_| ()), []);
}

/// The object anew, whatever stands in its row.
fn put_over(house: &House, who: &Person, id: ObjectId, description: &ObjectDescription) {
    let database = Connection::open(house.database()).unwrap();
    database.execute("DELETE FROM objects", []).unwrap();
    put(house, who, id, ObjectPart::Object, description).unwrap();
}
