//! Objects: put, shown, found and removed; what is said of keys' parts; what others share; the number of the last change.

use strongroom_keystore::Error;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::{KeyId, ObjectId};
use strongroom_wire::key::{Algorithm, CreateKeys, Key, NewKey};
use strongroom_wire::object::{
    AccountObject, ObjectDescription, ObjectPage, ObjectPart, ObjectQuery,
};
use strongroom_wire::operation::{Mechanism, Operate, Operation, SignatureEncoding};
use strongroom_wire::problem::Code;

use crate::house::{House, Person};

mod changes;
mod finding;
mod many;
mod parts;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "objects_are_put_found_and_removed",
        finding::objects_are_put_found_and_removed,
    ),
    (
        "an_object_is_what_the_interface_lets_it_be",
        finding::an_object_is_what_the_interface_lets_it_be,
    ),
    (
        "pages_go_over_objects_and_over_keys",
        finding::pages_go_over_objects_and_over_keys,
    ),
    (
        "of_a_key_nothing_is_said_or_something_of_each_part",
        parts::of_a_key_nothing_is_said_or_something_of_each_part,
    ),
    (
        "a_new_key_is_described_whole",
        parts::a_new_key_is_described_whole,
    ),
    (
        "the_public_half_outlives_the_key",
        parts::the_public_half_outlives_the_key,
    ),
    (
        "to_remove_a_key_is_to_destroy_it",
        parts::to_remove_a_key_is_to_destroy_it,
    ),
    (
        "what_others_share_is_there_and_each_says_its_own_of_it",
        parts::what_others_share_is_there_and_each_says_its_own_of_it,
    ),
    (
        "an_edited_object_is_left_out",
        finding::an_edited_object_is_left_out,
    ),
    (
        "the_state_changes_with_all_that_is_seen",
        changes::the_state_changes_with_all_that_is_seen,
    ),
    (
        "a_full_database_takes_no_objects",
        changes::a_full_database_takes_no_objects,
    ),
    (
        "the_first_match_among_very_many_is_found_at_once",
        many::the_first_match_among_very_many_is_found_at_once,
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
            salt_length: None,
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
