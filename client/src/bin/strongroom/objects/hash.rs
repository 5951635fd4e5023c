//! The SHA-256 of what is written, which `protect` and `message seal` tell the appliance where that is wanted.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

/// Writes, and hashes what was written.
pub(crate) struct Hashed<W> {
    inner: W,
    hash: Context,
}

impl<W: Write> Hashed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Context::new(&SHA256),
        }
    }

    /// What was written to, and the SHA-256 of what was written.
    pub(crate) fn finish(self) -> (W, [u8; 32]) {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.hash.finish().as_ref());
        (self.inner, sha256)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Takes three bytes at a time.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_written_is_hashed_once() {
        let mut hashed = Hashed::new(Slow(Vec::new()));
        hashed.write_all(b"abcdefgh").unwrap();
        hashed.flush().unwrap();
        let (written, sha256) = hashed.finish();
        assert_eq!(written.0, b"abcdefgh");
        let expected = aws_lc_rs::digest::digest(&SHA256, b"abcdefgh");
        assert_eq!(sha256, expected.as_ref());
    }
}
