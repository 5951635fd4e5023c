//! A backup's header: magic, version, the wrapped backup key and the manifest, in the clear; all of it is bound to the payload.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_hsm::WrappedKey;
use strongroom_wire::encoding::{Base64, Timestamp};

use super::BackupError;
use crate::recovery::Recovery;

/// How every backup begins.
const MAGIC: &[u8; 8] = b"SRBACKUP";
/// The version of the format.
const VERSION: u16 = 1;
/// The longest wrapped key and the longest manifest that are read, in bytes.
const LONGEST_KEY: usize = 4096;
const LONGEST_MANIFEST: usize = 64 * 1024;
/// What the payload is bound to begins with this.
const CONTEXT: &[u8] = b"strongroom/v1/backup\0";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The domain.
    pub domain: String,
    /// The origin of the domain's checkpoints.
    pub origin: String,
    /// The version of Strongroom that made the backup.
    pub strongroom: String,
    /// The number of the database's schema.
    pub schema: u32,
    /// When the backup was begun.
    pub created: Timestamp,
    /// How many leaves the audit tree has.
    pub leaves: u64,
    /// The newest signed checkpoint in the database; absent when none was ever signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<ManifestCheckpoint>,
    /// What custodians need to open the backup with another HSM; absent when the domain has no recovery KEK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The database copy.
    pub database: ManifestDatabase,
}

/// The checkpoint that a backup stands at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestCheckpoint {
    /// The number of leaves it is signed over.
    pub size: u64,
    /// The tree's root, 32 bytes.
    pub root: Base64,
    /// The signed note.
    pub note: String,
}

/// The database copy in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDatabase {
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: Base64,
}

/// A header that was read or is to be written.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) key: WrappedKey,
    pub(super) manifest: Manifest,
    /// The bytes as they stand in the file.
    pub(super) bytes: Vec<u8>,
}

impl Header {
    pub(super) fn new(key: WrappedKey, manifest: Manifest) -> Result<Self, BackupError> {
        let wrapped = key.to_bytes();
        let json = serde_json::to_vec(&manifest).map_err(|_| BackupError::Manifest)?;
        let key_length = u16::try_from(wrapped.len()).map_err(|_| BackupError::Manifest)?;
        let length = u32::try_from(json.len()).map_err(|_| BackupError::Manifest)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(key_length.to_be_bytes());
        bytes.extend(wrapped);
        bytes.extend(length.to_be_bytes());
        bytes.extend(json);
        Ok(Self {
            key,
            manifest,
            bytes,
        })
    }

    /// Reads a header and nothing behind it. What it says is authentic only once the payload has been opened.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, BackupError> {
        let mut input = Input {
            reader,
            taken: Vec::new(),
        };
        if input.take(MAGIC.len())? != MAGIC {
            return Err(BackupError::NoBackup);
        }
        let version = input.number(2)?;
        if version != usize::from(VERSION) {
            return Err(BackupError::Version(version));
        }
        let length = input.number(2)?;
        if length > LONGEST_KEY {
            return Err(BackupError::Manifest);
        }
        let key = WrappedKey::from_bytes(input.take(length)?).map_err(|_| BackupError::Manifest)?;
        let length = input.number(4)?;
        if length > LONGEST_MANIFEST {
            return Err(BackupError::Manifest);
        }
        let manifest =
            serde_json::from_slice(input.take(length)?).map_err(|_| BackupError::Manifest)?;
        Ok(Self {
            key,
            manifest,
            bytes: input.taken,
        })
    }

    /// What the payload is bound to.
    pub(super) fn context(&self) -> Vec<u8> {
        [CONTEXT, &Sha256::digest(&self.bytes)].concat()
    }
}

/// A reader that remembers what was taken.
struct Input<'a, R> {
    reader: &'a mut R,
    taken: Vec<u8>,
}

impl<R: Read> Input<'_, R> {
    fn take(&mut self, length: usize) -> Result<&[u8], BackupError> {
        let from = self.taken.len();
        self.taken.resize(from + length, 0);
        let part = self.taken.get_mut(from..).unwrap_or_default();
        self.reader.read_exact(part).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                BackupError::NoBackup
            } else {
                BackupError::Io {
                    what: "the backup cannot be read",
                    source: error,
                }
            }
        })?;
        Ok(part)
    }

    /// A big-endian number of so many bytes, 4 at most.
    fn number(&mut self, length: usize) -> Result<usize, BackupError> {
        let bytes = self.take(length)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use strongroom_hsm::WrapScheme;

    use super::*;

    fn header() -> Header {
        let key = WrappedKey {
            scheme: WrapScheme::Rfc3394,
            master_kek_version: 3,
            blob: vec![7; 40],
        };
        let manifest = Manifest {
            domain: "default".to_owned(),
            origin: "vault.example/default".to_owned(),
            strongroom: "0.1.0".to_owned(),
            schema: 1,
            created: Timestamp::from_millis(1_800_000_000_000),
            leaves: 12,
            checkpoint: Some(ManifestCheckpoint {
                size: 11,
                root: vec![9; 32].into(),
                note: "vault.example/default\n11\n…\n".to_owned(),
            }),
            recovery: None,
            database: ManifestDatabase {
                length: 4096,
                sha256: vec![8; 32].into(),
            },
        };
        Header::new(key, manifest).unwrap()
    }

    #[test]
    fn what_is_written_reads_back_and_nothing_behind_it_is_touched() {
        let written = header();
        let file = [&written.bytes[..], b"payload"].concat();
        let mut reader = file.as_slice();
        let read = Header::read(&mut reader).unwrap();
        assert_eq!(read.manifest, written.manifest);
        assert_eq!(read.key, written.key);
        assert_eq!(read.context(), written.context());
        assert_eq!(reader, b"payload");
    }

    #[test]
    fn each_byte_counts() {
        let written = header();
        for at in 0..written.bytes.len() {
            let mut altered = written.bytes.clone();
            altered[at] ^= 1;
            if let Ok(read) = Header::read(&mut altered.as_slice()) {
                assert_ne!(read.context(), written.context(), "byte {at}");
            }
            assert!(
                Header::read(&mut &written.bytes[..at]).is_err(),
                "cut at {at}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_can_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200), begun: bool) {
            let start = if begun { &header().bytes[..10] } else { &[][..] };
            let _ = Header::read(&mut [start, &bytes].concat().as_slice());
        }
    }
}
