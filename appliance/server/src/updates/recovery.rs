//! What the image says of the recovery key of its data partition: `recovery.json`, which its own units write once custodians have one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use strongroom_wire::encoding::Timestamp;

/// How it stands with recovery keys.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct RecoveryKey {
    /// The one that custodians have.
    pub(super) made: Made,
    /// The last time that one of this partition was used.
    pub(super) used: Option<Used>,
}

/// A recovery key that custodians have.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Made {
    /// When.
    #[serde(rename = "made")]
    pub(super) at: Timestamp,
    pub(super) custodians: u8,
    /// How many of them restore it.
    pub(super) threshold: u8,
    pub(super) fingerprint: String,
}

/// A use of one.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Used {
    pub(super) at: Timestamp,
    /// Of the key that was used.
    pub(super) fingerprint: String,
    /// The how manieth use of the partition's recovery keys that was.
    pub(super) times: u32,
}

impl RecoveryKey {
    /// None where custodians have none.
    pub(super) fn read(outbox: &Path) -> anyhow::Result<Option<Self>> {
        let path = outbox.join("recovery.json");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} cannot be understood", path.display()))
    }
}
