//! Writing a bundle.

use sha2::{Digest, Sha256};

use super::line::{Footer, Line, hex};

/// Puts out the lines of a bundle and keeps their hash, in memory that does not grow.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    hash: Sha256,
    lines: u64,
}

/// What the footer's note is signed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FooterText {
    /// The log's origin.
    pub origin: String,
    /// How many lines stand before the footer.
    pub lines: u64,
    /// The SHA-256 of their bytes, line feeds and all, in lowercase hexadecimal.
    pub sha256: String,
}

impl Writer {
    /// Before the first line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of the next line. The footer is [`finish`](Self::finish)'s.
    #[must_use = "the bytes are to be written"]
    pub fn line(&mut self, line: &Line) -> Vec<u8> {
        let bytes = line.to_bytes();
        self.take(&bytes);
        bytes
    }

    /// What is to be signed at the end.
    #[must_use]
    pub fn footer(&self, origin: &str) -> FooterText {
        FooterText {
            origin: origin.to_owned(),
            lines: self.lines,
            sha256: hex(&self.hash.clone().finalize()),
        }
    }

    /// The bytes of the last line.
    #[must_use = "the bytes are to be written"]
    pub fn finish(self, note: String) -> Vec<u8> {
        Line::Footer(Footer { note }).to_bytes()
    }

    /// Counts a line in that was written, or read.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.lines += 1;
    }
}

impl FooterText {
    /// The text of the note.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self {
            origin,
            lines,
            sha256,
        } = self;
        format!(
            "{}\norigin {origin}\nlines {lines}\nsha256 {sha256}\n",
            super::FORMAT
        )
    }
}
