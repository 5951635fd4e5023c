//! Encrypting a stream as it is written.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::{
    CHUNK_LEN, CobblestoneError, MAX_CHUNKS, ObjectKey, SALT_LEN, StreamKeys, WIRE_CHUNK_LEN,
    read_up_to,
};

/// Encrypts what is written to it, one chunk at a time, into another writer.
///
/// [`finish`](Self::finish) must be called: it writes the last chunk, without which every reader
/// refuses the stream as truncated. Dropping the writer does not write it.
#[must_use = "an object without its last chunk is refused: call finish()"]
pub struct EncryptWriter<W: Write> {
    inner: W,
    keys: StreamKeys,
    /// The plaintext of the chunk being filled, always shorter than a chunk between calls.
    buffer: Zeroizing<Vec<u8>>,
    /// The number of the chunk being filled.
    chunk: u64,
    /// Set while a chunk is being read or written, and for ever once that failed: a chunk number is
    /// used for one plaintext only.
    broken: bool,
}

impl<W: Write> EncryptWriter<W> {
    /// Starts a stream under a fresh random salt, and writes its first [`START_LEN`](super::START_LEN) bytes.
    ///
    /// `context` is bound to the stream and must be given again to decrypt it; it is not stored.
    pub fn new(key: &ObjectKey, context: &[u8], inner: W) -> Result<Self, CobblestoneError> {
        let mut salt = [0; SALT_LEN];
        aws_lc_rs::rand::fill(&mut salt)?;
        Self::with_salt(key, context, salt, inner)
    }

    /// Starts a stream under a given salt, which must never repeat under one key.
    #[doc(hidden)]
    pub fn with_salt(
        key: &ObjectKey,
        context: &[u8],
        salt: [u8; SALT_LEN],
        mut inner: W,
    ) -> Result<Self, CobblestoneError> {
        let (keys, commitment) = StreamKeys::derive(key, &salt, context)?;
        inner.write_all(&salt).map_err(CobblestoneError::Write)?;
        inner
            .write_all(&commitment)
            .map_err(CobblestoneError::Write)?;
        Ok(Self {
            inner,
            keys,
            buffer: Zeroizing::new(Vec::with_capacity(WIRE_CHUNK_LEN)),
            chunk: 0,
            broken: false,
        })
    }

    /// Encrypts all that `reader` yields; returns the number of bytes.
    pub fn copy_from(&mut self, reader: &mut impl Read) -> Result<u64, CobblestoneError> {
        let mut total = 0;
        loop {
            self.check_usable()?;
            let start = self.buffer.len();
            self.buffer.resize(CHUNK_LEN, 0);
            // What was read before a failure is lost to the caller, so the stream ends here too.
            self.broken = true;
            let read = read_up_to(reader, &mut self.buffer[start..])?;
            self.broken = false;
            self.buffer.truncate(start + read);
            total += read as u64;
            if self.buffer.len() < CHUNK_LEN {
                return Ok(total);
            }
            self.write_chunk()?;
        }
    }

    /// Writes the last chunk, flushes, and gives the inner writer back.
    pub fn finish(mut self) -> Result<W, CobblestoneError> {
        self.check_usable()?;
        self.write_chunk()?;
        self.inner.flush().map_err(CobblestoneError::Write)?;
        Ok(self.inner)
    }

    fn check_usable(&self) -> Result<(), CobblestoneError> {
        if self.broken {
            return Err(CobblestoneError::Abandoned);
        }
        Ok(())
    }

    /// Encrypts the buffer under the next chunk number and writes it out.
    fn write_chunk(&mut self) -> Result<(), CobblestoneError> {
        self.broken = true;
        if self.chunk >= MAX_CHUNKS {
            return Err(CobblestoneError::InputTooLong);
        }
        let tag = self.keys.seal(self.chunk, &mut self.buffer)?;
        self.buffer.extend_from_slice(tag.as_ref());
        self.inner
            .write_all(&self.buffer)
            .map_err(CobblestoneError::Write)?;
        self.buffer.clear();
        self.chunk += 1;
        self.broken = false;
        Ok(())
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check_usable()?;
        let taken = bytes.len().min(CHUNK_LEN - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK_LEN {
            self.write_chunk()?;
        }
        Ok(taken)
    }

    /// Flushes the inner writer. The chunk being filled stays in memory: its length is what marks the end.
    fn flush(&mut self) -> io::Result<()> {
        self.check_usable()?;
        self.inner.flush()
    }
}
