//! Mutated messages and objects: bits flipped, cut short, reordered, extended, their headers edited, another key named. Each is refused with
//! an error that says what is wrong with it, nothing panics, and no byte is handed out that was not authenticated.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::ops::Range;
use std::sync::LazyLock;

use coset::cbor::value::Value;
use coset::{CoseEncrypt0, Label, TaggedCborSerializable as _};
use proptest::prelude::*;
use proptest::sample::Index;
use strongroom_client::message::{Envelope, MessageHeader};
use strongroom_client::object::{self, Header, ObjectKey, RangeReader, RangeSource};
use strongroom_client::{ClientError, ErrorKind};
use strongroom_wire::id::{AccountId, KeyId};

/// So many of each kind: the project wants 10,000.
const CASES: u32 = 10_000;

/// The keys that the appliance has released, by their identifiers.
const KEYS: [([u8; 16], [u8; 32]); 2] = [([1; 16], [7; 32]), ([2; 16], [8; 32])];

const SERVER: &str = "https://keys.example.com:8443";

/// A chunk of the stream, with its tag.
const CHUNK: usize = 16 * 1024 + 16;

static MESSAGE_TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| b"meet at noon; ".repeat(20));
static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..40_000_u32)
        .map(|place| (place / 5).to_le_bytes()[0])
        .collect()
});

fn message_header() -> MessageHeader {
    MessageHeader {
        key: KeyId::from_bytes(KEYS[0].0),
        key_version: 1,
        server: SERVER.to_owned(),
        content_type: Some("text/plain".to_owned()),
        sender: AccountId::from_bytes([3; 16]),
        recipients: vec!["bob@example.com".to_owned(), "carol@example.com".to_owned()],
        time: "2026-11-27T18:00:00Z".parse().unwrap(),
    }
}

static MESSAGE: LazyLock<Vec<u8>> =
    LazyLock::new(|| Envelope::seal(&message_header(), &KEYS[0].1, &MESSAGE_TEXT).unwrap());

static OBJECT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = KeyId::from_bytes(KEYS[0].0);
    let header = Header::new(key, 1, SERVER, Some("text/plain")).unwrap();
    let mut sealed = Vec::new();
    let key = ObjectKey::from_slice(&KEYS[0].1).unwrap();
    object::protect(&key, &header, &mut CONTENT.as_slice(), &mut sealed).unwrap();
    sealed
});

/// What happens to bytes on their way.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Vec<(Index, u8)>),
    Truncate(Index),
    Extend(Vec<u8>),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    /// Two pieces of this length change places.
    Swap(Index, Index, usize),
    /// A piece of this length stands twice.
    Repeat(Index, usize),
    /// A piece is overwritten with one from elsewhere.
    Overwrite(Index, Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let bytes = || proptest::collection::vec(any::<u8>(), 1..40);
    let flips = proptest::collection::vec((any::<Index>(), 0_u8..8), 1..5);
    // Pieces of all sizes, those of chunks among them.
    let length = || prop_oneof![1_usize..64, 64_usize..20_000, Just(CHUNK)];
    let index = any::<Index>;
    prop_oneof![
        4 => flips.prop_map(Mutation::Flip),
        3 => index().prop_map(Mutation::Truncate),
        1 => bytes().prop_map(Mutation::Extend),
        1 => (index(), length()).prop_map(|(at, length)| Mutation::Remove(at, length)),
        1 => (index(), bytes()).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (index(), index(), length()).prop_map(|(a, b, length)| Mutation::Swap(a, b, length)),
        1 => (index(), length()).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        1 => (index(), index(), length()).prop_map(|(a, b, length)| Mutation::Overwrite(a, b, length)),
    ]
}

impl Mutation {
    fn apply(&self, original: &[u8]) -> Vec<u8> {
        let mut bytes = original.to_vec();
        let piece = |at: &Index, length: usize| -> Range<usize> {
            let start = at.index(original.len());
            start..(start + length).min(original.len())
        };
        match self {
            Self::Flip(flips) => {
                for (at, bit) in flips {
                    bytes[at.index(original.len())] ^= 1 << bit;
                }
            }
            Self::Truncate(at) => bytes.truncate(at.index(original.len())),
            Self::Extend(more) => bytes.extend_from_slice(more),
            Self::Remove(at, length) => drop(bytes.drain(piece(at, *length))),
            Self::Insert(at, more) => {
                let at = at.index(original.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Swap(first, second, length) => {
                let length = (*length).min(original.len() / 2);
                let room = original.len() - 2 * length + 1;
                let mut places = [first.index(room), second.index(room)];
                places.sort_unstable();
                let [first, second] = [places[0], places[1] + length];
                for offset in 0..length {
                    bytes.swap(first + offset, second + offset);
                }
            }
            Self::Repeat(at, length) => {
                let piece = piece(at, *length);
                let again = original[piece.clone()].to_vec();
                bytes.splice(piece.end..piece.end, again);
            }
            Self::Overwrite(from, to, length) => {
                let (from, to) = (piece(from, *length), to.index(original.len()));
                let length = from.len().min(original.len() - to);
                bytes[to..to + length].copy_from_slice(&original[from.start..from.start + length]);
            }
        }
        bytes
    }
}

/// Opens a message as the library does: obtains the key that it names, if there is one with this identifier.
fn open_message(bytes: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let envelope = Envelope::parse(bytes).map_err(kind)?;
    let header = envelope.header();
    if header.server != SERVER {
        return Err(ErrorKind::OtherAppliance);
    }
    let material = released(header.key, header.key_version)?;
    let plaintext = envelope.open(&material).map_err(kind)?;
    Ok(plaintext.to_vec())
}

fn released(key: KeyId, version: u32) -> Result<[u8; 32], ErrorKind> {
    let known = KEYS.iter().find(|(id, _)| id == key.as_bytes());
    let material = known
        .filter(|_| version == 1)
        .map(|(_, material)| *material);
    material.ok_or(ErrorKind::NotFound)
}

fn kind(error: impl Into<ClientError>) -> ErrorKind {
    let error: ClientError = error.into();
    // A sentence for a person, without the bytes.
    assert!(error.to_string().len() < 300, "{error}");
    error.kind()
}

/// Opens an object from its beginning to its end: what was handed out, and how it ended.
fn open_object(bytes: &[u8]) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut out = Vec::new();
    let outcome = object::open(bytes).map_err(kind).and_then(|object| {
        let header = object.header();
        if header.server() != SERVER {
            return Err(ErrorKind::OtherAppliance);
        }
        let material = released(header.key(), header.key_version())?;
        let key = ObjectKey::from_slice(&material).unwrap();
        let mut reader = object.with_key(&key).map_err(kind)?;
        reader.copy_to(&mut out).map(drop).map_err(kind)
    });
    (out, outcome)
}

struct InMemory(Vec<u8>);

impl RangeSource for InMemory {
    fn length(&mut self) -> std::io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_range(&mut self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0[start..start + out.len()]);
        Ok(())
    }
}

/// Reads a part of an object; none where it is refused.
fn read_part(bytes: Vec<u8>, offset: u64, length: usize) -> Option<Vec<u8>> {
    let object = object::open(RangeReader::new(InMemory(bytes)).unwrap()).ok()?;
    let material = released(object.header().key(), object.header().key_version()).ok()?;
    let mut reader = object
        .with_key_at(&ObjectKey::from_slice(&material).unwrap())
        .ok()?;
    let mut out = vec![0; length];
    let read = reader.read_at(offset, &mut out).ok()?;
    out.truncate(read);
    Some(out)
}

/// The kinds of errors with which what was damaged may be refused.
fn says_that_it_is_damaged(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Altered
            | ErrorKind::Truncated
            | ErrorKind::NotReadable
            // What names the key or the appliance was hit: there is no such key, or it is kept elsewhere.
            | ErrorKind::NotFound
            | ErrorKind::OtherAppliance
    )
}

/// An edit of one parameter of a message that is otherwise as it should be.
fn header_edit() -> impl Strategy<Value = (&'static str, CoseEncrypt0)> {
    let original = || CoseEncrypt0::from_tagged_slice(&MESSAGE).unwrap();
    let set = move |label: i64, value: Value| {
        let mut cose = original();
        let rest = &mut cose.protected.header.rest;
        let place = rest
            .iter_mut()
            .find(|(other, _)| *other == Label::Int(label));
        place.unwrap().1 = value;
        cose
    };
    let name = "[a-z]{1,12}@example\\.(com|net)";
    prop_oneof![
        Just(()).prop_map(move |()| {
            let mut cose = original();
            cose.protected.header.key_id = KEYS[1].0.to_vec();
            ("another key", cose)
        }),
        any::<[u8; 12]>().prop_map(move |iv| {
            let mut cose = original();
            cose.protected.header.iv = iv.to_vec();
            ("IV", cose)
        }),
        "[a-z]{1,9}/[a-z]{1,9}".prop_map(move |text| {
            let mut cose = original();
            cose.protected.header.content_type = Some(coset::ContentType::Text(text));
            ("content type", cose)
        }),
        any::<[u8; 16]>().prop_map(move |id| ("sender", set(-70_003, Value::from(&id[..])))),
        proptest::collection::btree_set(name, 0..4).prop_map(move |names| {
            let names = names.into_iter().map(Value::from).collect();
            ("recipients", set(-70_004, Value::Array(names)))
        }),
        (0..4_102_444_800_000_u64).prop_map(move |time| ("time", set(-70_005, Value::from(time)))),
    ]
}

#[test]
fn what_was_not_touched_opens() {
    assert_eq!(open_message(&MESSAGE).unwrap(), *MESSAGE_TEXT);
    let (content, outcome) = open_object(&OBJECT);
    assert_eq!((content, outcome), (CONTENT.clone(), Ok(())));
    assert_eq!(
        read_part(OBJECT.clone(), 30_000, 100).unwrap(),
        CONTENT[30_000..30_100]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_messages_are_refused(mutation in mutation()) {
        let mutated = mutation.apply(&MESSAGE);
        prop_assume!(mutated != *MESSAGE);
        let refused = open_message(&mutated);
        prop_assert!(refused.clone().is_err_and(says_that_it_is_damaged), "{refused:?}");
        if let (Mutation::Truncate(_), 1..) = (&mutation, mutated.len()) {
            prop_assert_eq!(refused, Err(ErrorKind::Truncated));
        }
    }

    #[test]
    fn messages_with_edited_headers_are_refused((what, mut edited) in header_edit()) {
        // Encoded as it should be: only the tag tells.
        edited.protected.original_data = None;
        let edited = edited.to_tagged_vec().unwrap();
        prop_assume!(edited != *MESSAGE);
        prop_assert!(Envelope::parse(&edited).is_ok(), "{}", what);
        prop_assert_eq!(open_message(&edited), Err(ErrorKind::Altered), "{}", what);
    }

    #[test]
    fn mutated_objects_give_only_what_is_authentic(mutation in mutation()) {
        let mutated = mutation.apply(&OBJECT);
        prop_assume!(mutated != *OBJECT);
        let (out, outcome) = open_object(&mutated);
        prop_assert!(outcome.is_err_and(says_that_it_is_damaged), "{outcome:?}");
        prop_assert!(CONTENT.starts_with(&out), "something that is not authentic was handed out");
        if let Mutation::Truncate(_) = mutation {
            let cut = matches!(outcome, Err(ErrorKind::Truncated | ErrorKind::Altered | ErrorKind::NotReadable));
            prop_assert!(cut, "{outcome:?}");
        }
    }

    #[test]
    fn parts_of_mutated_objects_are_authentic_or_refused(
        mutation in mutation(), offset in 0_u64..50_000, length in 0_usize..20_000,
    ) {
        let mutated = mutation.apply(&OBJECT);
        prop_assume!(mutated != *OBJECT);
        if let Some(part) = read_part(mutated, offset, length) {
            let start = usize::try_from(offset).unwrap().min(CONTENT.len());
            prop_assert!(CONTENT[start..].starts_with(&part));
        }
    }

    #[test]
    fn noise_is_neither_message_nor_object(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open_message(&bytes).is_err());
        let (out, outcome) = open_object(&bytes);
        prop_assert_eq!((out, outcome), (Vec::new(), Err(ErrorKind::NotReadable)));
    }
}

#[test]
fn chunks_in_another_order_are_refused() {
    let stream = OBJECT.len() - (56 + 40_000 + 3 * 16);
    let chunks = stream + 56;
    let mut swapped = OBJECT.clone();
    let (first, second) = swapped[chunks..chunks + 2 * CHUNK].split_at_mut(CHUNK);
    first.swap_with_slice(second);
    let (out, outcome) = open_object(&swapped);
    assert_eq!((out, outcome), (Vec::new(), Err(ErrorKind::Altered)));
    // The first chunk taken away: everything after it stands one place too early.
    let mut shifted = OBJECT.clone();
    shifted.drain(chunks..chunks + CHUNK);
    assert_eq!(open_object(&shifted), (Vec::new(), Err(ErrorKind::Altered)));
    // Cut between chunks.
    let cut = &OBJECT[..chunks + CHUNK];
    let (out, outcome) = open_object(cut);
    assert_eq!((out.len(), outcome), (16 * 1024, Err(ErrorKind::Truncated)));
}
