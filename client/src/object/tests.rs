#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{Cursor, Read};
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;
use strongroom_wire::id::KeyId;

use super::cobblestone::{CHUNK_LEN, KEY_LEN, START_LEN, TAG_LEN, stream_len};
use super::header::MAGIC;
use super::*;

const WIRE_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;

fn key() -> ObjectKey {
    ObjectKey::from_slice(&[0x6f; KEY_LEN]).unwrap()
}

fn header() -> Header {
    let id = KeyId::from_bytes([0x5a; 16]);
    Header::new(
        id,
        3,
        "https://keys.example.com:8443",
        Some("application/pdf"),
    )
    .unwrap()
}

/// Bytes of which no two chunks are alike.
fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| u8::try_from((i ^ (i >> 8) ^ ((i >> 14) * 31)) & 0xff).unwrap())
        .collect()
}

fn protected(header: &Header, len: usize) -> Vec<u8> {
    let mut sealed = Vec::new();
    let written = protect(&key(), header, &mut content(len).as_slice(), &mut sealed).unwrap();
    assert_eq!(written, len as u64);
    sealed
}

/// What a reader with the right key hands out, and why it stopped.
fn open_all(object: &[u8]) -> (Vec<u8>, Result<u64, ObjectError>) {
    let mut out = Vec::new();
    let result = open(object)
        .and_then(|object| object.with_key(&key()))
        .and_then(|mut reader| Ok(reader.copy_to(&mut out)?));
    (out, result)
}

/// The same by random access.
fn open_all_at(object: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let complete = open(Cursor::new(object))
        .and_then(|object| object.with_key_at(&key()))
        .is_ok_and(|mut reader| reader.read_to_end(&mut out).is_ok());
    (out, complete)
}

#[test]
fn round_trip() {
    for len in [0, 1, CHUNK_LEN, 5 * CHUNK_LEN, (1 << 20) + 7] {
        let sealed = protected(&header(), len);
        assert_eq!(open(sealed.as_slice()).unwrap().header(), &header());
        let (out, result) = open_all(&sealed);
        assert_eq!(result.unwrap(), len as u64);
        assert!(out == content(len));
        assert_eq!(open_all_at(&sealed), (content(len), true));
    }
}

#[test]
fn another_key_is_refused() {
    let sealed = protected(&header(), 100);
    let other = ObjectKey::from_slice(&[0x70; KEY_LEN]).unwrap();
    assert_eq!(
        refusal(
            open(sealed.as_slice())
                .unwrap()
                .with_key(&other)
                .err()
                .as_ref()
        ),
        Some(Refusal::Commitment)
    );
}

/// The header of one object in front of the stream of another, both under one key.
#[test]
fn a_stream_belongs_to_its_header() {
    let other = Header::new(header().key(), 4, header().server(), None).unwrap();
    let (ours, theirs) = (protected(&header(), 100), protected(&other, 100));
    let stream = usize::try_from(stream_len(100).unwrap()).unwrap();
    let spliced = [
        &theirs[..theirs.len() - stream],
        &ours[ours.len() - stream..],
    ]
    .concat();
    let object = open(spliced.as_slice()).unwrap();
    assert_eq!(object.header(), &other);
    assert_eq!(
        refusal(object.with_key(&key()).err().as_ref()),
        Some(Refusal::Commitment)
    );
}

/// The worked example of the format's specification, byte for byte.
#[test]
fn example_of_the_specification() {
    let text = include_str!("../../FORMAT.md");
    let (_, example) = text.split_once("<!-- example -->").unwrap();
    let block = example.split("```").nth(1).unwrap();
    let hex_text: String = block
        .lines()
        .skip(1)
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .collect();
    let expected = hex::decode(hex_text).unwrap();

    let id: KeyId = "01934c1e-7d5a-7cc0-8f3e-0123456789ab".parse().unwrap();
    let header = Header::new(id, 1, "https://keys.example.com:8443", Some("text/plain")).unwrap();
    let key = ObjectKey::from_slice(&(0..32).collect::<Vec<u8>>()).unwrap();
    let salt: [u8; 24] = std::array::from_fn(|i| 0xa0 + u8::try_from(i).unwrap());
    let mut object = header.encode().unwrap();
    let context = header::context(&object);
    let mut writer = EncryptWriter::with_salt(&key, &context, salt, &mut object).unwrap();
    writer.copy_from(&mut b"Strongroom".as_slice()).unwrap();
    writer.finish().unwrap();
    assert_eq!(hex::encode(&object), hex::encode(&expected));

    let mut plaintext = Vec::new();
    let opened = open(expected.as_slice()).unwrap();
    assert_eq!(opened.header(), &header);
    opened
        .with_key(&key)
        .unwrap()
        .copy_to(&mut plaintext)
        .unwrap();
    assert_eq!(plaintext, b"Strongroom");
}

/// One way of damaging an object.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    FlipInHeader(Index, u8),
    Truncate(Index),
    TruncateAtChunk(Index),
    Append(Vec<u8>),
    Swap(Index, Index),
    Repeat(Index),
    Remove(Index),
    Insert(Index, Vec<u8>),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let bit = || (0u8..8).prop_map(|b| 1 << b);
    prop_oneof![
        4 => (index(), bit()).prop_map(|(i, b)| Mutation::Flip(i, b)),
        3 => (index(), bit()).prop_map(|(i, b)| Mutation::FlipInHeader(i, b)),
        2 => index().prop_map(Mutation::Truncate),
        1 => index().prop_map(Mutation::TruncateAtChunk),
        1 => prop::collection::vec(any::<u8>(), 1..2 * TAG_LEN).prop_map(Mutation::Append),
        2 => (index(), index()).prop_map(|(i, j)| Mutation::Swap(i, j)),
        1 => index().prop_map(Mutation::Repeat),
        1 => index().prop_map(Mutation::Remove),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(i, b)| Mutation::Insert(i, b)),
    ]
}

/// An object with the places of its parts.
struct Sample {
    bytes: Vec<u8>,
    plaintext: Vec<u8>,
    /// Where the stream begins.
    stream: usize,
    chunks: Vec<Range<usize>>,
}

impl Sample {
    fn new(len: usize) -> Self {
        let bytes = protected(&header(), len);
        let stream = header().encode().unwrap().len();
        let mut chunks = Vec::new();
        let mut at = stream + START_LEN;
        while at < bytes.len() {
            let end = bytes.len().min(at + WIRE_CHUNK_LEN);
            chunks.push(at..end);
            at = end;
        }
        assert_eq!(chunks.len(), len / CHUNK_LEN + 1);
        Self {
            bytes,
            plaintext: content(len),
            stream,
            chunks,
        }
    }

    /// The object after the mutation.
    fn mutated(&self, mutation: &Mutation) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        match mutation {
            Mutation::Flip(at, bit) => bytes[at.index(self.bytes.len())] ^= bit,
            Mutation::FlipInHeader(at, bit) => bytes[at.index(self.stream + START_LEN)] ^= bit,
            Mutation::Truncate(to) => bytes.truncate(to.index(self.bytes.len())),
            Mutation::TruncateAtChunk(i) => bytes.truncate(self.chunk(*i).start),
            Mutation::Append(tail) => bytes.extend(tail),
            Mutation::Insert(at, piece) => {
                let at = at.index(self.bytes.len());
                bytes.splice(at..at, piece.iter().copied());
            }
            Mutation::Swap(i, j) => {
                let count = self.chunks.len();
                let mut order: Vec<_> = (0..count).collect();
                order.swap(i.index(count), j.index(count));
                bytes.truncate(self.chunks[0].start);
                for i in order {
                    bytes.extend_from_slice(&self.bytes[self.chunks[i].clone()]);
                }
            }
            Mutation::Repeat(i) => {
                let chunk = self.chunk(*i);
                bytes.splice(
                    chunk.end..chunk.end,
                    self.bytes[chunk.clone()].iter().copied(),
                );
            }
            Mutation::Remove(i) => {
                bytes.drain(self.chunk(*i));
            }
        }
        bytes
    }

    fn chunk(&self, index: Index) -> Range<usize> {
        self.chunks[index.index(self.chunks.len())].clone()
    }

    /// What must be handed out and found wrong, from where `mutated` first differs.
    fn check(&self, mutated: &[u8], out: &[u8], error: Option<ObjectError>) {
        let same = self
            .bytes
            .iter()
            .zip(mutated)
            .take_while(|(a, b)| a == b)
            .count();
        let Some(chunk) = self.chunks.iter().rposition(|chunk| chunk.start <= same) else {
            assert!(out.is_empty());
            self.check_start(mutated, same, error);
            return;
        };
        // Bytes past the end belong to what the reader takes for the last chunk.
        assert!(
            out == &self.plaintext[..chunk * CHUNK_LEN],
            "chunk {chunk}: {} bytes handed out",
            out.len()
        );
        let rest = mutated.len() - self.chunks[chunk].start;
        let number = chunk as u64;
        let expected = if rest < TAG_LEN {
            Refusal::Truncated { chunk: number }
        } else if rest < WIRE_CHUNK_LEN {
            Refusal::AlteredEnd { chunk: number }
        } else {
            Refusal::Altered { chunk: number }
        };
        assert_eq!(refusal(error.as_ref()), Some(expected));
    }

    /// The same for what stands before the first chunk.
    fn check_start(&self, mutated: &[u8], same: usize, error: Option<ObjectError>) {
        let truncated = mutated.len() == same;
        let Some(error) = error else {
            panic!("opened although it differs at byte {same}");
        };
        match error {
            ObjectError::Header(error) => {
                assert!(same < self.stream, "{error:?} for a good header");
                let expected = if same < MAGIC.len() {
                    matches!(
                        error,
                        HeaderError::NotAnObject | HeaderError::UnknownVersion
                    )
                } else if truncated {
                    matches!(error, HeaderError::Truncated)
                } else if same < MAGIC.len() + 4 {
                    matches!(
                        error,
                        HeaderError::TooLong { .. } | HeaderError::NotCose | HeaderError::Truncated
                    )
                } else {
                    !matches!(
                        error,
                        HeaderError::NotAnObject
                            | HeaderError::UnknownVersion
                            | HeaderError::Truncated
                            | HeaderError::TooLong { .. }
                            | HeaderError::Read(_)
                    )
                };
                assert!(expected, "{error:?} at byte {same}");
            }
            ObjectError::Stream(error) => {
                assert!(same >= MAGIC.len() + 4, "{error:?} at byte {same}");
                let expected = if truncated && same >= self.stream {
                    Refusal::NoStart
                } else {
                    Refusal::Commitment
                };
                assert!(
                    matches!(error, CobblestoneError::Refused(found) if found == expected),
                    "{error:?} at byte {same}"
                );
            }
        }
    }
}

fn refusal(error: Option<&ObjectError>) -> Option<Refusal> {
    match error {
        Some(ObjectError::Stream(CobblestoneError::Refused(refusal))) => Some(*refusal),
        _ => None,
    }
}

/// Ten thousand damaged objects: each is refused for the right reason, and nothing but the authentic
/// beginning is handed out.
#[test]
fn damaged_objects_are_refused() {
    let samples: Vec<_> = [
        0,
        1,
        CHUNK_LEN,
        CHUNK_LEN + 30,
        3 * CHUNK_LEN - 1,
        3 * CHUNK_LEN,
    ]
    .into_iter()
    .map(Sample::new)
    .collect();
    let config = ProptestConfig {
        max_global_rejects: 10_000,
        ..ProptestConfig::with_cases(10_000)
    };
    proptest!(config, |(sample in any::<Index>(), mutation in mutation())| {
        let sample = sample.get(&samples);
        let mutated = sample.mutated(&mutation);
        // A chunk swapped with itself, or bytes inserted where the same stood, damage nothing.
        prop_assume!(mutated != sample.bytes);
        let (out, result) = open_all(&mutated);
        sample.check(&mutated, &out, result.err());
        let (out, complete) = open_all_at(&mutated);
        prop_assert!(!complete);
        prop_assert!(sample.plaintext.starts_with(&out));
    });
}
