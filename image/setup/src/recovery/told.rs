//! What the service, and the console, are told of recovery keys: a leaf follows from it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::header::Header;

/// Where it is written for them.
pub(super) const FILE: &str = "/var/lib/strongroom/updates/outbox/recovery.json";

/// How it stands with recovery keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The one that custodians have.
    pub(crate) made: Made,
    /// The last time that one was used.
    pub(crate) used: Option<Used>,
}

/// A recovery key that custodians have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// When, as RFC 3339 has it.
    #[serde(rename = "made")]
    pub(crate) at: String,
    /// Among how many it is shared.
    pub(crate) custodians: u8,
    /// How many of them restore it.
    pub(crate) threshold: u8,
    /// By which it is known.
    pub(crate) fingerprint: String,
}

/// A use of a recovery key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    /// When, as RFC 3339 has it.
    pub(crate) at: String,
    /// Of the key that was used.
    pub(crate) fingerprint: String,
    /// The how manieth use that was, of all recovery keys that this partition has had.
    pub(crate) times: u32,
}

impl Told {
    /// As it was last written; none where there is no recovery key.
    pub(crate) fn read() -> Option<Self> {
        let text = fs::read(FILE).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// Tells what the header says.
///
/// # Errors
/// When the header cannot be read, or this cannot be written.
pub(super) fn tell(header: Header<'_>, file: &Path) -> Result<()> {
    let Some(proved) = header.proved()? else {
        return crate::files::forget(file);
    };
    let told = Told {
        made: proved.shared.made,
        used: proved.shared.used,
    };
    let text = serde_json::to_vec_pretty(&told).context("the recovery key cannot be described")?;
    crate::files::replace(file, 0o644, &text)
}
