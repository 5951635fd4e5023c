//! The parts of keys: what is said of them, by whom, and what it is to remove one.

use super::{
    PRIVATE, PUBLIC, SECRET, find, found, key, newest, of, plain, put, remove, said, show, sign,
};
use crate::house::House;
use rusqlite::Connection;
use strongroom_keystore::Error;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, KeyState, NewKey, Right};
use strongroom_wire::object::{KeyObject, ObjectPart, ObjectQuery};
use strongroom_wire::problem::Code;

pub(crate) fn of_a_key_nothing_is_said_or_something_of_each_part() {
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
            query.label = Some(text.as_bytes().into());
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

pub(crate) fn a_new_key_is_described_whole() {
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

pub(crate) fn the_public_half_outlives_the_key() {
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

pub(crate) fn to_remove_a_key_is_to_destroy_it() {
    let house = House::new("object removals");
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

pub(crate) fn what_others_share_is_there_and_each_says_its_own_of_it() {
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
            query.label = Some(text.as_bytes().into());
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
