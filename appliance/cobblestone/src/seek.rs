//! Decrypting any part of a seekable stream.

use std::io::{self, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use super::{
    CHUNK_LEN, CobblestoneError, MAX_CHUNKS, ObjectKey, Refusal, StreamKeys, TAG_LEN,
    WIRE_CHUNK_LEN, read_up_to,
};

/// Decrypts parts of a seekable stream without reading what stands before them.
///
/// The plaintext's length is authenticated when the stream is opened, by decrypting its last chunk.
/// A chunk is authenticated each time it is loaded; a refused chunk is refused at every attempt,
/// while the others stay readable.
///
/// The errors of [`Read`] and [`Seek`] carry a [`CobblestoneError`]; see [`CobblestoneError::refusal`].
pub struct DecryptReaderAt<R: Read + Seek> {
    inner: R,
    keys: StreamKeys,
    /// Where chunk 0 begins in the inner reader.
    base: u64,
    last_chunk: u64,
    /// Plaintext bytes in the last chunk.
    last_len: usize,
    /// Where the next [`Read::read`] begins in the plaintext.
    position: u64,
    buffer: Zeroizing<Vec<u8>>,
    /// The chunk whose plaintext is in the buffer.
    loaded: Option<u64>,
}

impl<R: Read + Seek> DecryptReaderAt<R> {
    /// Opens the stream that begins at the inner reader's present position and ends where that ends:
    /// checks the commitment and authenticates the length.
    pub fn new(key: &ObjectKey, context: &[u8], mut inner: R) -> Result<Self, CobblestoneError> {
        let keys = StreamKeys::from_start(key, context, &mut inner)?;
        let base = inner.stream_position().map_err(CobblestoneError::Read)?;
        let end = inner
            .seek(SeekFrom::End(0))
            .map_err(CobblestoneError::Read)?;
        let wire_len = end.saturating_sub(base);
        let last_chunk = wire_len / WIRE_CHUNK_LEN as u64;
        if last_chunk >= MAX_CHUNKS {
            return Err(Refusal::TooLong.into());
        }
        let last_len = remainder(wire_len, WIRE_CHUNK_LEN)
            .checked_sub(TAG_LEN)
            .ok_or(Refusal::Truncated { chunk: last_chunk })?;
        let mut reader = Self {
            inner,
            keys,
            base,
            last_chunk,
            last_len,
            position: 0,
            buffer: Zeroizing::new(vec![0; WIRE_CHUNK_LEN]),
            loaded: None,
        };
        reader.load(last_chunk)?;
        Ok(reader)
    }

    /// Length of the plaintext in bytes, authenticated.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.last_chunk * CHUNK_LEN as u64 + self.last_len as u64
    }

    /// Whether the plaintext is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads plaintext from `offset` on, at most to the end of the chunk that holds it; returns the
    /// number of bytes, 0 only at or past the end or for an empty `out`.
    pub fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<usize, CobblestoneError> {
        if offset >= self.len() || out.is_empty() {
            return Ok(0);
        }
        let plaintext = self.load(offset / CHUNK_LEN as u64)?;
        let rest = &plaintext[remainder(offset, CHUNK_LEN)..];
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    /// The plaintext of a chunk, which must be one of the stream's.
    fn load(&mut self, chunk: u64) -> Result<&[u8], CobblestoneError> {
        let len = if chunk == self.last_chunk {
            self.last_len
        } else {
            CHUNK_LEN
        };
        if self.loaded != Some(chunk) {
            self.loaded = None;
            // Within the inner reader's length, which is a u64, so it does not overflow.
            let offset = self.base + chunk * WIRE_CHUNK_LEN as u64;
            self.inner
                .seek(SeekFrom::Start(offset))
                .map_err(CobblestoneError::Read)?;
            let wire = &mut self.buffer[..len + TAG_LEN];
            if read_up_to(&mut self.inner, wire)? < wire.len() {
                return Err(Refusal::Truncated { chunk }.into());
            }
            self.keys.open(chunk, wire)?;
            self.loaded = Some(chunk);
        }
        Ok(&self.buffer[..len])
    }
}

impl<R: Read + Seek> Read for DecryptReaderAt<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.read_at(self.position, out)?;
        self.position += len as u64;
        Ok(len)
    }
}

impl<R: Read + Seek> Seek for DecryptReaderAt<R> {
    /// Moves within the plaintext. A position past the end is allowed, and reads nothing there.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.len().checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = target.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a position before the beginning of the object",
            )
        })?;
        Ok(self.position)
    }
}

/// `length` modulo `unit`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is less than unit, which is a usize"
)]
fn remainder(length: u64, unit: usize) -> usize {
    (length % unit as u64) as usize
}
