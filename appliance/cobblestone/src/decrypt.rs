//! Decrypting a stream as it is read.

use std::io::{self, BufRead, Read, Write};
use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use super::{
    CHUNK_LEN, CobblestoneError, MAX_CHUNKS, ObjectKey, Refusal, StreamKeys, WIRE_CHUNK_LEN,
};

/// Decrypts another reader's stream, one chunk at a time.
///
/// Only authenticated plaintext is handed out, and the end is reported only after the last chunk has
/// been authenticated. Once a stream has been refused, every further read is refused alike.
/// What was handed out before is authentic, but is only the beginning: whoever stores it must
/// discard it when a later chunk is refused.
///
/// The errors of [`Read`] and [`BufRead`] carry a [`CobblestoneError`]; see [`CobblestoneError::refusal`].
pub struct DecryptReader<R: Read> {
    inner: R,
    keys: StreamKeys,
    buffer: Zeroizing<Vec<u8>>,
    /// Bytes of the next chunk that are in the buffer, still encrypted.
    filled: usize,
    /// The part of the buffer that is authenticated plaintext and was not yet taken.
    ready: Range<usize>,
    /// The number of the next chunk.
    chunk: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Reading,
    Ended,
    Refused(Refusal),
}

impl<R: Read> DecryptReader<R> {
    /// Reads the start of a stream and checks its commitment.
    pub fn new(key: &ObjectKey, context: &[u8], mut inner: R) -> Result<Self, CobblestoneError> {
        let keys = StreamKeys::from_start(key, context, &mut inner)?;
        Ok(Self {
            inner,
            keys,
            buffer: Zeroizing::new(vec![0; WIRE_CHUNK_LEN]),
            filled: 0,
            ready: 0..0,
            chunk: 0,
            state: State::Reading,
        })
    }

    /// The plaintext that is ready, after decrypting the next chunk if none is. Empty only at the end.
    /// Call [`consume`](BufRead::consume) for what was used of it.
    pub fn next_plaintext(&mut self) -> Result<&[u8], CobblestoneError> {
        if self.ready.is_empty() {
            match self.state {
                State::Reading => self.read_chunk()?,
                State::Ended => {}
                State::Refused(refusal) => return Err(refusal.into()),
            }
        }
        Ok(&self.buffer[self.ready.clone()])
    }

    /// Decrypts all that remains into `writer`; returns the number of bytes. A chunk is written only
    /// after it was authenticated.
    pub fn copy_to(&mut self, writer: &mut impl Write) -> Result<u64, CobblestoneError> {
        let mut total = 0;
        loop {
            let plaintext = self.next_plaintext()?;
            if plaintext.is_empty() {
                return Ok(total);
            }
            writer
                .write_all(plaintext)
                .map_err(CobblestoneError::Write)?;
            let len = plaintext.len();
            self.consume(len);
            total += len as u64;
        }
    }

    /// Reads and authenticates one chunk. A failing read leaves what was read in place, so that the
    /// call can be repeated.
    fn read_chunk(&mut self) -> Result<(), CobblestoneError> {
        while self.filled < WIRE_CHUNK_LEN {
            match self.inner.read(&mut self.buffer[self.filled..]) {
                Ok(0) => break,
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(CobblestoneError::Read(e)),
            }
        }
        match self.open_chunk() {
            Ok(len) => {
                self.ready = 0..len;
                self.filled = 0;
                self.chunk += 1;
                if len < CHUNK_LEN {
                    self.state = State::Ended;
                }
                Ok(())
            }
            Err(refusal) => {
                self.buffer.zeroize();
                self.state = State::Refused(refusal);
                Err(refusal.into())
            }
        }
    }

    fn open_chunk(&mut self) -> Result<usize, Refusal> {
        if self.chunk >= MAX_CHUNKS {
            return Err(Refusal::TooLong);
        }
        self.keys.open(self.chunk, &mut self.buffer[..self.filled])
    }
}

impl<R: Read> Read for DecryptReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let plaintext = self.next_plaintext()?;
        let len = plaintext.len().min(out.len());
        out[..len].copy_from_slice(&plaintext[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl<R: Read> BufRead for DecryptReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.next_plaintext()?)
    }

    fn consume(&mut self, amount: usize) {
        self.ready.start = self.ready.end.min(self.ready.start.saturating_add(amount));
    }
}
