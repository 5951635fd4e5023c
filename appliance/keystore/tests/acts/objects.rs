//! Objects: put, shown, found and removed; what is said of keys' parts; what others share; the number of the last change.

use std::collections::BTreeSet;

use rusqlite::Connection;
use strongroom_keystore::Error;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::{KeyId, ObjectId};
use strongroom_wire::key::{Algorithm, CreateKeys, Key, KeyState, NewKey, Right};
use strongroom_wire::object::{
    AccountObject, KeyObject, LONGEST_ATTRIBUTES, LONGEST_NAME, ObjectDescription, ObjectPage,
    ObjectPart, ObjectQuery,
};
use strongroom_wire::operation::{Mechanism, Operate, Operation, SignatureEncoding};
use strongroom_wire::problem::Code;

use crate::house::{House, Person};

mod changes;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "objects_are_put_found_and_removed",
        objects_are_put_found_and_removed,
    ),
    (
        "an_object_is_what_the_interface_lets_it_be",
        an_object_is_what_the_interface_lets_it_be,
    ),
    (
        "pages_go_over_objects_and_over_keys",
        pages_go_over_objects_and_over_keys,
    ),
    (
        "of_a_key_nothing_is_said_or_something_of_each_part",
        of_a_key_nothing_is_said_or_something_of_each_part,
    ),
    ("a_new_key_is_described_whole", a_new_key_is_described_whole),
    (
        "the_public_half_outlives_the_key",
        the_public_half_outlives_the_key,
    ),
    (
        "to_remove_a_key_is_to_destroy_it",
        to_remove_a_key_is_to_destroy_it,
    ),
    (
        "what_others_share_is_there_and_each_says_its_own_of_it",
        what_others_share_is_there_and_each_says_its_own_of_it,
    ),
    ("an_edited_object_is_left_out", an_edited_object_is_left_out),
    (
        "the_state_changes_with_all_that_is_seen",
        changes::the_state_changes_with_all_that_is_seen,
    ),
    (
        "a_full_database_takes_no_objects",
        changes::a_full_database_takes_no_objects,
    ),
];

const CERTIFICATE: u32 = 1;
const DATA: u32 = 0;
const PUBLIC: u32 = 2;
const PRIVATE: u32 = 3;
const SECRET: u32 = 4;

fn said(class: u32, kind: Option<u32>, label: &str, id: &[u8]) -> ObjectDescription {
    ObjectDescription {
        class,
        kind,
        label: label.as_bytes().into(),
        id: id.into(),
        attributes: b"what the application keeps".as_slice().into(),
    }
}

fn put(
    house: &House,
    who: &Person,
    id: ObjectId,
    part: ObjectPart,
    description: &ObjectDescription,
) -> Result<AccountObject, Error> {
    let put = house
        .keystore
        .put_object(&who.presented, id, part, description.clone());
    put.map(|changed| changed.object)
        .map_err(|refusal| refusal.error)
}

fn show(
    house: &House,
    who: &Person,
    id: ObjectId,
    part: ObjectPart,
) -> Result<AccountObject, Code> {
    let shown = house.keystore.object(&who.presented, id, part);
    shown
        .map(|shown| shown.object)
        .map_err(|refusal| refusal.error.code())
}

fn remove(house: &House, who: &Person, id: ObjectId, part: ObjectPart) -> Result<u64, Code> {
    let removed = house.keystore.remove_object(&who.presented, id, part);
    removed
        .map(|removed| removed.leaf)
        .map_err(|refusal| refusal.error.code())
}

fn page(house: &House, who: &Person, query: ObjectQuery) -> ObjectPage {
    house.keystore.objects(&who.presented, query).unwrap()
}

/// All that is found, page by page.
fn find(house: &House, who: &Person, query: &ObjectQuery) -> Vec<AccountObject> {
    let mut found = Vec::new();
    let mut query = query.clone();
    loop {
        let page = page(house, who, query.clone());
        found.extend(page.objects);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return found,
        }
    }
}

/// The identifiers and parts of what is found.
fn found(
    house: &House,
    who: &Person,
    ask: impl FnOnce(&mut ObjectQuery),
) -> Vec<(ObjectId, ObjectPart)> {
    let mut query = ObjectQuery::default();
    ask(&mut query);
    let mut found: Vec<_> = find(house, who, &query)
        .iter()
        .map(|object| (object.id, object.part))
        .collect();
    found.sort_unstable();
    found
}

fn key(house: &House, who: &Person, new: NewKey) -> Result<Key, Error> {
    let request = CreateKeys {
        keys: vec![new],
        release: false,
    };
    let created = house.keystore.create_keys(&who.presented, request);
    created
        .map(|mut created| created.keys.remove(0).key)
        .map_err(|refusal| refusal.error)
}

fn plain(house: &House, who: &Person, algorithm: Algorithm, label: &str) -> Key {
    let new = NewKey {
        label: label.to_owned(),
        ..NewKey::new(algorithm)
    };
    key(house, who, new).unwrap()
}

fn of(key: KeyId) -> ObjectId {
    ObjectId::from_bytes(*key.as_bytes())
}

fn sign(house: &House, who: &Person, key: KeyId) -> Result<(), Error> {
    let request = Operate {
        operation: Operation::Sign {
            mechanism: Mechanism::EcdsaSha256,
            data: b"message".as_slice().into(),
            prehashed: false,
            encoding: SignatureEncoding::Der,
        },
        version: None,
    };
    let signed = house.keystore.operate(&who.presented, key, request);
    signed.map(drop).map_err(|refusal| refusal.error)
}

/// The newest record that this account may see: the act, whether it was done, and its note.
fn newest(house: &House, who: &Person) -> (Act, bool, Option<String>) {
    let records = house
        .keystore
        .records(&who.presented, RecordQuery::default());
    let newest = records.unwrap().records.remove(0);
    (newest.act, newest.done, newest.note)
}

fn objects_are_put_found_and_removed() {
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

fn an_object_is_what_the_interface_lets_it_be() {
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
    use ObjectPart::{Object, Private, Public, Secret};
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

fn pages_go_over_objects_and_over_keys() {
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
    let nothing = ObjectQuery {
        limit: Some(0),
        ..ObjectQuery::default()
    };
    let state = page(&house, &alice, nothing);
    assert_eq!((state.objects.len(), state.next), (0, None));
    assert!(state.change > 0);
    for limit in [1, 2, 1000] {
        let count = |ask: fn(&mut ObjectQuery)| {
            let mut query = ObjectQuery {
                limit: Some(limit),
                ..ObjectQuery::default()
            };
            ask(&mut query);
            find(&house, &alice, &query).len()
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

fn of_a_key_nothing_is_said_or_something_of_each_part() {
    let house = House::new("parts");
    let alice = house.person("alice");
    let pair = plain(&house, &alice, Algorithm::EcP256, "signing");
    let id = of(pair.id);
    let both = [ObjectPart::Private, ObjectPart::Public];
    for (part, class) in both.into_iter().zip([PRIVATE, PUBLIC]) {
        let object = show(&house, &alice, id, part).unwrap();
        assert_eq!(object.description.class, class);
        assert_eq!(object.description.kind, Some(3));
        assert_eq!(object.description.label.0, b"signing");
        assert_eq!(object.description.id.0, pair.id.as_bytes());
        assert_eq!(object.description.attributes.0, b"");
        let of_key = object.key.unwrap();
        assert_eq!((of_key.id, &of_key.public_key), (pair.id, &pair.public_key));
        assert!(of_key.rights.contains(&Right::Sign));
    }
    let by_id = |bytes: &[u8]| found(&house, &alice, |query| query.id = Some(bytes.into()));
    let by_label = |text: &str| {
        found(&house, &alice, |query| {
            query.label = Some(text.as_bytes().into())
        })
    };
    let (private, public) = ((id, ObjectPart::Private), (id, ObjectPart::Public));
    assert_eq!(by_id(pair.id.as_bytes()), [private, public]);
    assert_eq!(by_label("signing"), [private, public]);

    // The label and the identifier are independent of each other and of the other part's.
    let own = said(PRIVATE, Some(3), "web", b"\x0a");
    put(&house, &alice, id, ObjectPart::Private, &own).unwrap();
    assert_eq!(by_label("web"), [private]);
    assert_eq!(by_label("signing"), [public]);
    assert_eq!(by_id(b"\x0a"), [private]);
    assert_eq!(by_id(pair.id.as_bytes()), [public]);
    let other = said(PUBLIC, Some(3), "web", b"\x0b");
    put(&house, &alice, id, ObjectPart::Public, &other).unwrap();
    assert_eq!(by_label("web"), [private, public]);
    assert_eq!(by_label("signing"), []);
    assert_eq!(by_id(pair.id.as_bytes()), []);
    assert_eq!(by_id(b"\x0b"), [public]);
    // The key's record says what it said.
    let seen = house.keystore.key(&alice.presented, pair.id).unwrap();
    assert_eq!(seen.label, "signing");
    sign(&house, &alice, pair.id).unwrap();
    let leaf = newest(&house, &alice);
    assert_eq!((leaf.0, leaf.1), (Act::KeySign, true));
}

fn a_new_key_is_described_whole() {
    let house = House::new("described");
    let alice = house.person("alice");
    let one = |part, class, label: &str| KeyObject {
        part,
        description: said(class, Some(3), label, label.as_bytes()),
    };
    let private = one(ObjectPart::Private, PRIVATE, "a");
    let public = one(ObjectPart::Public, PUBLIC, "b");
    let with = |objects: Vec<KeyObject>| {
        let new = NewKey {
            label: "in the record".to_owned(),
            objects,
            ..NewKey::new(Algorithm::EcP256)
        };
        key(&house, &alice, new)
    };
    let made = with(vec![public.clone(), private.clone()]).unwrap();
    for object in [&private, &public] {
        let shown = show(&house, &alice, of(made.id), object.part).unwrap();
        assert_eq!(shown.description, object.description);
        assert_eq!(shown.key.unwrap().id, made.id);
        let label = object.description.label.clone();
        let by_label = found(&house, &alice, |query| query.label = Some(label));
        assert_eq!(by_label, [(of(made.id), object.part)]);
    }
    let in_record = b"in the record".as_slice();
    let by_record = found(&house, &alice, |query| query.label = Some(in_record.into()));
    assert_eq!(by_record, []);
    let before = find(&house, &alice, &ObjectQuery::default()).len();
    for wrong in [
        vec![private.clone()],
        vec![public.clone()],
        vec![private.clone(), private.clone()],
        vec![private.clone(), public.clone(), public.clone()],
        vec![private.clone(), one(ObjectPart::Public, PRIVATE, "b")],
        vec![private.clone(), one(ObjectPart::Secret, SECRET, "b")],
        vec![private, one(ObjectPart::Public, PUBLIC, &"x".repeat(1025))],
    ] {
        assert_eq!(with(wrong).unwrap_err().code(), Code::Invalid);
    }
    let after = find(&house, &alice, &ObjectQuery::default()).len();
    assert_eq!(before, after, "no key was made");
}

fn the_public_half_outlives_the_key() {
    let house = House::new("halves");
    let alice = house.person("alice");
    let not_found = Err(Code::ObjectNotFound);
    let (private, public) = (ObjectPart::Private, ObjectPart::Public);
    // To remove the public half is to see it no more; it can be put back.
    let pair = plain(&house, &alice, Algorithm::EcP256, "pair");
    let id = of(pair.id);
    remove(&house, &alice, id, public).unwrap();
    let note = format!("{id} public");
    assert_eq!(
        newest(&house, &alice),
        (Act::ObjectRemove, true, Some(note))
    );
    assert_eq!(show(&house, &alice, id, public).map(drop), not_found);
    assert_eq!(remove(&house, &alice, id, public).map(drop), not_found);
    assert_eq!(found(&house, &alice, |_| ()), [(id, private)]);
    sign(&house, &alice, pair.id).unwrap();
    put(
        &house,
        &alice,
        id,
        public,
        &said(PUBLIC, Some(3), "back", b""),
    )
    .unwrap();
    assert_eq!(found(&house, &alice, |_| ()), [(id, private), (id, public)]);

    // To remove the private half is to destroy the key.
    let leaf = remove(&house, &alice, id, private).unwrap();
    let query = RecordQuery {
        key: Some(pair.id),
        ..RecordQuery::default()
    };
    let records = house.keystore.records(&alice.presented, query).unwrap();
    let destroyed = &records.records[0];
    assert_eq!((destroyed.index, destroyed.act), (leaf, Act::KeyDestroy));
    assert!(destroyed.grant.is_some() && destroyed.done);
    assert!(matches!(
        sign(&house, &alice, pair.id),
        Err(Error::KeyDestroyed)
    ));
    assert_eq!(show(&house, &alice, id, private).map(drop), not_found);
    assert_eq!(remove(&house, &alice, id, private).map(drop), not_found);
    let back = put(
        &house,
        &alice,
        id,
        private,
        &said(PRIVATE, Some(3), "", b""),
    );
    assert_eq!(back.unwrap_err().code(), Code::ObjectNotFound);
    let left = show(&house, &alice, id, public).unwrap();
    assert_eq!(left.description.label.0, b"back");
    let of_key = left.key.unwrap();
    assert_eq!(
        (of_key.state, of_key.public_key),
        (KeyState::Destroyed, pair.public_key)
    );
    assert!(of_key.rights.is_empty());
    remove(&house, &alice, id, public).unwrap();
    assert_eq!(found(&house, &alice, |_| ()), []);

    // So where nothing was said before; and where the public half was removed first, nothing is left at all.
    let unsaid = plain(&house, &alice, Algorithm::EcP256, "unsaid");
    remove(&house, &alice, of(unsaid.id), private).unwrap();
    assert_eq!(found(&house, &alice, |_| ()), [(of(unsaid.id), public)]);
    let bare = plain(&house, &alice, Algorithm::EcP256, "bare");
    remove(&house, &alice, of(bare.id), public).unwrap();
    remove(&house, &alice, of(bare.id), private).unwrap();
    let rows = |key: KeyId| -> i64 {
        let database = Connection::open(house.database()).unwrap();
        let count = "SELECT count(*) FROM objects WHERE key = ?1";
        database
            .query_row(count, [key.as_bytes()], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((rows(unsaid.id), rows(bare.id)), (1, 0));
}

fn to_remove_a_key_is_to_destroy_it() {
    let house = House::new("removals");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[&bob]);
    // Who has the key by a grant without the right to destroy does not.
    let refused = house
        .keystore
        .remove_object(&bob.presented, of(key), ObjectPart::Secret)
        .unwrap_err();
    assert_eq!(refused.error.code(), Code::NotPermitted);
    assert!(refused.leaf.is_some());
    let code = Some("not-permitted".to_owned());
    assert_eq!(newest(&house, &bob), (Act::KeyDestroy, false, code));
    // Nor does the owner without a recent sign-in, where the domain wants one.
    let policy = strongroom_wire::policy::DomainPolicy {
        step_up_within: 60,
        ..strongroom_wire::policy::DomainPolicy::default()
    };
    let admin = &house.admin.presented;
    house.keystore.set_domain_policy(admin, policy).unwrap();
    house.clock.advance(61);
    let refused = remove(&house, &alice, of(key), ObjectPart::Secret);
    assert_eq!(refused, Err(Code::StepUpRequired));
    house.release(&alice, key).unwrap();
    let password = crate::house::PASSWORD;
    crate::house::step_up(&house.keystore, &alice, password)
        .unwrap()
        .unwrap();
    remove(&house, &alice, of(key), ObjectPart::Secret).unwrap();
    for who in [&alice, &bob] {
        assert!(matches!(house.release(who, key), Err(Error::KeyDestroyed)));
        assert_eq!(found(&house, who, |_| ()), []);
    }
    // Another way to destroy a key leaves as little of what was said of it.
    let (key, _) = house.key(&bob, &[]);
    let description = said(SECRET, Some(0x1f), "mine", b"");
    put(&house, &bob, of(key), ObjectPart::Secret, &description).unwrap();
    let bob = crate::house::sign_in(&house.keystore, "bob", password).unwrap();
    house.keystore.destroy(&bob.presented, key).unwrap();
    assert_eq!(found(&house, &bob, |_| ()), []);
    let shown = show(&house, &bob, of(key), ObjectPart::Secret);
    assert_eq!(shown.map(drop), Err(Code::ObjectNotFound));
}

fn what_others_share_is_there_and_each_says_its_own_of_it() {
    let house = House::new("object shares");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let new = NewKey {
        label: "common".to_owned(),
        recipients: vec!["bob".to_owned()],
        ..NewKey::new(Algorithm::EcP256)
    };
    let pair = key(&house, &alice, new).unwrap();
    let id = of(pair.id);
    let (private, public) = ((id, ObjectPart::Private), (id, ObjectPart::Public));
    for who in [&alice, &bob] {
        assert_eq!(found(&house, who, |_| ()), [private, public]);
    }
    let seen = show(&house, &bob, id, ObjectPart::Private).unwrap();
    let of_key = seen.key.unwrap();
    assert!(of_key.policy.is_none() && !of_key.rights.contains(&Right::Sign));
    let own = said(PRIVATE, Some(3), "alice's", b"\x01");
    put(&house, &bob, id, ObjectPart::Private, &own).unwrap();
    let by = |who, text: &str| {
        found(&house, who, |query| {
            query.label = Some(text.as_bytes().into())
        })
    };
    assert_eq!(by(&bob, "alice's"), [private]);
    assert_eq!(by(&bob, "common"), [public]);
    assert_eq!(by(&alice, "common"), [private, public]);
    assert_eq!(by(&alice, "alice's"), []);
    // To take the public half from one's own sight takes it from nobody else's.
    remove(&house, &bob, id, ObjectPart::Public).unwrap();
    assert_eq!(found(&house, &bob, |_| ()), [private]);
    assert_eq!(found(&house, &alice, |_| ()), [private, public]);

    // What is revoked is there no more, whatever was said of it; given again, it is as it was.
    let grants = house.keystore.grants(&alice.presented, pair.id).unwrap();
    let grant = grants.grants[1].id;
    house
        .keystore
        .revoke(&alice.presented, pair.id, grant)
        .unwrap();
    assert_eq!(found(&house, &bob, |_| ()), []);
    let lost = show(&house, &bob, id, ObjectPart::Private);
    assert_eq!(lost.map(drop), Err(Code::ObjectNotFound));
    let removed = remove(&house, &bob, id, ObjectPart::Private);
    assert_eq!(removed, Err(Code::ObjectNotFound));
    let share = strongroom_wire::key::ShareKey {
        grantee: "bob".to_owned(),
        rights: None,
        policy: strongroom_wire::key::UsagePolicy::default(),
    };
    house
        .keystore
        .share(&alice.presented, pair.id, share)
        .unwrap();
    assert_eq!(by(&bob, "alice's"), [private]);

    // What a group has, its members see.
    let carol = house.person("carol");
    let group = crate::rotation::group(&house, &alice, &[&carol]);
    let key = plain(&house, &alice, Algorithm::Aes256, "the team's");
    crate::rotation::share_with(&house, &alice, key.id, "team");
    let of_team = [(of(key.id), ObjectPart::Secret)];
    assert_eq!(by(&carol, "the team's"), of_team);
    assert_eq!(found(&house, &carol, |_| ()), of_team);
    let carol_id = crate::rotation::id_of(&house, &carol);
    house
        .keystore
        .remove_member(&alice.presented, group, carol_id)
        .unwrap();
    assert_eq!(found(&house, &carol, |_| ()), []);
}

fn an_edited_object_is_left_out() {
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
