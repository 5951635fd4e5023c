//! The lines of a bundle.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::AccountId;
use tlog_tiles::Hash;

use super::Filter;
use crate::event::Event;
use crate::keys::LogKey;
use crate::leaf::{Leaf, LeafError, outside};

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Line {
    /// The first.
    Header(Header),
    /// The second: the checkpoint that all is held against, a signed note with its cosignatures.
    Checkpoint {
        /// The note.
        note: String,
    },
    /// A checkpoint of an earlier export, or one that witnesses have cosigned.
    Earlier(Earlier),
    /// A leaf of the range.
    Leaf(LeafLine),
    /// Leaves that are not shown.
    Hidden(Hidden),
    /// What the leaf before names by its SHA-256.
    Document(Document),
    /// What an account was called when the bundle was made.
    Name(NameLine),
    /// A leaf outside of what the range shows, with its inclusion proof.
    Proven(Proven),
    /// The last.
    Footer(Footer),
}

/// What a bundle is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`](super::FORMAT).
    pub format: String,
    /// The log's origin.
    pub origin: String,
    /// When it was made, by the appliance's clock.
    pub made: Timestamp,
    /// The index of the range's first leaf.
    pub first: u64,
    /// One more than the index of its last.
    pub end: u64,
    /// The size of the checkpoint's tree.
    pub size: u64,
    /// The index of the leaf that records the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// Which leaves of the range are shown in full.
    pub filter: Filter,
    /// The log's keys, as the appliance knows them.
    pub keys: Vec<HeaderKey>,
}

/// A key of the log, as the appliance says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderKey {
    /// The verifier key (C2SP `signed-note`, `vkey`).
    pub verifier_key: String,
    /// The least size that it may sign.
    pub from: u64,
    /// The greatest; none while it may sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// An earlier checkpoint and the proof that the log has only grown since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// The checkpoint.
    pub note: String,
    /// The consistency proof (RFC 9162 section 2.1.4) from its size to the bundle's.
    pub hashes: Vec<Base64>,
}

/// A leaf: its envelope, and salt and detail where it is shown in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafLine {
    /// Its index.
    pub index: u64,
    /// The public envelope.
    pub envelope: Base64,
    /// The salt, 32 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Base64>,
    /// The private detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Base64>,
}

/// A complete subtree of leaves that are not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    /// The index of its first leaf, a multiple of `count`.
    pub index: u64,
    /// How many leaves: a power of two.
    pub count: u64,
    /// The subtree's root.
    pub hash: Base64,
}

/// The bytes that a leaf names by their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// As what the leaf names it.
    pub kind: DocumentKind,
    /// Its SHA-256 in lowercase hexadecimal.
    pub sha256: String,
    /// The bytes.
    pub content: Base64,
}

/// As what a leaf's note names a document: the word before its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DocumentKind {
    /// The evidence of an approval.
    Evidence,
    /// A generation of an authorisation, or the record of an item that was disclosed.
    Record,
    /// What was proposed to be done.
    Request,
    /// A warrant.
    Document,
    /// The transcript of a ceremony: a signed note.
    Transcript,
}

impl DocumentKind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Record => "record",
            Self::Request => "request",
            Self::Document => "document",
            Self::Transcript => "transcript",
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an account was called when the bundle was made: for people to read, proved by nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameLine {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
}

/// A leaf that stands nowhere else in the bundle in full, proved by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    /// Its index.
    pub index: u64,
    /// The public envelope.
    pub envelope: Base64,
    /// The salt, 32 bytes.
    pub salt: Base64,
    /// The private detail.
    pub detail: Base64,
    /// The inclusion proof (RFC 9162 section 2.1.3) in the checkpoint's tree.
    pub hashes: Vec<Base64>,
}

/// The end of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footer {
    /// The signed note over all before.
    pub note: String,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no JSON object of one of the types, has a member that its type does not have, lacks one, or has one twice.
    #[error("it is no line of a bundle")]
    Form,
    /// It is longer than a line can be.
    #[error("it is longer than a line can be")]
    Length,
    /// It does not end with a line feed: the file was cut.
    #[error("it does not end with a line feed")]
    Cut,
    /// It says something sensible in another than the one permitted spelling.
    #[error("it is not in its one spelling")]
    Spelling,
    /// A hash or a salt does not have 32 bytes.
    #[error("a hash or a salt does not have 32 bytes")]
    Hash,
}

impl Line {
    /// Reads a line, which ends with its one line feed.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn read(line: &[u8]) -> Result<Self, LineError> {
        if line.len() > super::LONGEST_LINE {
            return Err(LineError::Length);
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(LineError::Cut);
        };
        let read: Self = serde_json::from_slice(text).map_err(|_| LineError::Form)?;
        // What two readers could take differently is in no line: white space, an order of members, an escape that need not be.
        if read.to_bytes() != line {
            return Err(LineError::Spelling);
        }
        Ok(read)
    }

    /// The line as it is written, with its line feed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to become JSON: no map with keys that are not text, no number that is none.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl Header {
    /// The keys as verifiers take them.
    pub fn log_keys(&self) -> impl Iterator<Item = LogKey> {
        self.keys.iter().map(|key| LogKey {
            verifier_key: key.verifier_key.clone(),
            from: key.from,
            to: key.to,
        })
    }
}

impl From<&LogKey> for HeaderKey {
    fn from(key: &LogKey) -> Self {
        Self {
            verifier_key: key.verifier_key.clone(),
            from: key.from,
            to: key.to,
        }
    }
}

impl LeafLine {
    /// A leaf in full.
    #[must_use]
    pub fn full(index: u64, leaf: &Leaf) -> Self {
        Self {
            index,
            envelope: leaf.envelope.as_slice().into(),
            salt: Some(leaf.salt.as_slice().into()),
            detail: Some(leaf.detail.as_slice().into()),
        }
    }

    /// A leaf's envelope alone.
    #[must_use]
    pub fn redacted(index: u64, leaf: &Leaf) -> Self {
        Self {
            index,
            envelope: leaf.envelope.as_slice().into(),
            salt: None,
            detail: None,
        }
    }

    /// The hash of the leaf in the tree.
    #[must_use]
    pub fn hash(&self) -> Hash {
        tlog_tiles::record_hash(&self.envelope.0)
    }

    /// The leaf, where it is shown in full.
    ///
    /// # Errors
    ///
    /// [`LineError::Form`] where only one of salt and detail is there.
    pub fn leaf(&self) -> Result<Option<Leaf>, LineError> {
        match (&self.salt, &self.detail) {
            (None, None) => Ok(None),
            (Some(salt), Some(detail)) => Ok(Some(Leaf {
                envelope: self.envelope.0.clone(),
                salt: bytes32(salt)?,
                detail: detail.0.clone(),
            })),
            _ => Err(LineError::Form),
        }
    }

    /// What the envelope tells by itself: when, what, and whether it was done.
    ///
    /// # Errors
    ///
    /// When it is no envelope.
    pub fn outside(&self) -> Result<(Timestamp, Act, bool), LeafError> {
        outside(&self.envelope.0)
    }
}

impl Proven {
    /// The leaf.
    ///
    /// # Errors
    ///
    /// [`LineError::Hash`] when the salt does not have 32 bytes.
    pub fn leaf(&self) -> Result<Leaf, LineError> {
        Ok(Leaf {
            envelope: self.envelope.0.clone(),
            salt: bytes32(&self.salt)?,
            detail: self.detail.0.clone(),
        })
    }
}

impl Document {
    /// The line of these bytes.
    #[must_use]
    pub fn new(kind: DocumentKind, content: Vec<u8>) -> Self {
        Self {
            kind,
            sha256: hex(&Sha256::digest(&content)),
            content: content.into(),
        }
    }

    /// Whether its bytes have the SHA-256 that it says.
    #[must_use]
    pub fn is_itself(&self) -> bool {
        hex(&Sha256::digest(&self.content.0)) == self.sha256
    }
}

/// The documents that an event names, with their SHA-256 in hexadecimal, in the order in which they stand in its note: each kind's word followed by
/// 64 lowercase hexadecimal digits. Only acts that were done name documents, and only those whose notes no account writes; what an operator has written in
/// that of a restore stands behind the word `accepted`, and names none.
#[must_use]
pub fn named_documents(event: &Event) -> Vec<(DocumentKind, String)> {
    /// `domain.restore`.
    const RESTORE: u16 = 50;
    let kinds: &[DocumentKind] = match event.act.number() {
        53 | 54 | 56 => &[DocumentKind::Transcript],
        130 | 131 | 145..=159 => &[DocumentKind::Record],
        132 | 133 => &[DocumentKind::Evidence],
        138 => &[DocumentKind::Document],
        RESTORE | 140..=144 => &[DocumentKind::Request, DocumentKind::Evidence],
        _ => &[],
    };
    if !event.done || kinds.is_empty() {
        return Vec::new();
    }
    let words: Vec<&str> = event
        .detail
        .note
        .as_deref()
        .unwrap_or_default()
        .split(' ')
        .take_while(|word| event.act.number() != RESTORE || *word != "accepted")
        .collect();
    words
        .windows(2)
        .filter_map(|pair| {
            let kind = kinds.iter().find(|kind| kind.as_str() == pair[0])?;
            is_hex(pair[1]).then(|| (*kind, pair[1].to_owned()))
        })
        .collect()
}

/// Hashes as they stand in lines.
pub(super) fn hashes(texts: &[Base64]) -> Result<Vec<Hash>, LineError> {
    texts.iter().map(|text| Ok(Hash(bytes32(text)?))).collect()
}

pub(super) fn bytes32(text: &Base64) -> Result<[u8; 32], LineError> {
    text.0.as_slice().try_into().map_err(|_| LineError::Hash)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn is_hex(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}
