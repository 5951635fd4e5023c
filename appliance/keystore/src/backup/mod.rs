//! Backups: the database copied while it is in use, encrypted under a key that only the HSM unwraps, with a manifest.
//!
//! | module | what lives there |
//! |---|---|
//! | `manifest` | the header: what a backup says of itself |
//! | `write` | [`write_backup`] |
//! | `read` | [`read_backup`]: opened, authenticated and verified before anybody uses it |
//! | `restored` | what a restore leaves for the appliance that first serves the database |
//!
//! The format is specified in `appliance/server/BACKUP-FORMAT.md`.

mod manifest;
mod read;
mod restored;
mod write;

use std::io;
use std::ops::ControlFlow;

use strongroom_cobblestone::CobblestoneError;
use strongroom_hsm::HsmError;

use crate::error::Error;
use crate::store::StoreError;

pub use manifest::{Manifest, ManifestCheckpoint, ManifestDatabase};
pub use read::{read_backup, read_manifest};
pub use restored::{Accepted, RestoreApproved, Restored};
pub use write::{BackupSource, write_backup};

/// What a backup or a restore is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The database is copied; counted in pages.
    Copying,
    /// The copy is encrypted; counted in bytes.
    Encrypting,
    /// The backup is decrypted; counted in bytes.
    Decrypting,
    /// The audit tree is recomputed; counted in leaves.
    Verifying,
}

/// Is told how much of how much of a stage is done, and says whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(Stage, u64, u64) -> ControlFlow<()>;

/// Why there is no backup, or why one is not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{what}: {source}")]
    Io {
        /// Which, and what was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The file does not begin as a backup does, or ends in its header.
    #[error("the file is not a Strongroom backup, or only the beginning of one")]
    NoBackup,
    /// A newer version made it.
    #[error("the backup has format version {0}, which this version of strongroomd does not know")]
    Version(usize),
    /// The header is malformed.
    #[error("the backup's manifest is malformed: it was altered, or a newer version made it")]
    Manifest,
    /// It is a backup of another domain than the configuration's.
    #[error("the backup is of the domain {found:?}, and the configuration says {expected:?}")]
    Domain {
        /// The backup's.
        found: String,
        /// The configuration's.
        expected: String,
    },
    /// The HSM does not unwrap the backup's key: it is another HSM, or the header was altered.
    #[error(
        "this HSM does not open the backup: another HSM's master KEK made it, or its header was altered; without that HSM, custodians recover it (strongroomd ceremony recover backup) ({0})"
    )]
    WrongHsm(#[source] HsmError),
    /// The HSM failed.
    #[error(transparent)]
    Hsm(HsmError),
    /// The payload does not authenticate, or the manifest does not belong to it.
    #[error("the backup is altered or truncated: {0}")]
    Altered(#[source] CobblestoneError),
    /// The payload authenticates and is not what its manifest says.
    #[error("the backup does not hold the database that its manifest describes")]
    OtherDatabase,
    /// The audit log in the backup is not whole.
    #[error("the audit log in the backup is not whole: {0}")]
    Audit(String),
    /// The database cannot be read, or is not of this HSM.
    #[error(transparent)]
    Keystore(#[from] Error),
    /// The progress function asked to stop.
    #[error("it was stopped")]
    Stopped,
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Keystore(error.into())
    }
}

/// As an error of this kind of file.
fn io(what: &'static str) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::Io { what, source }
}

fn go_on(answer: ControlFlow<()>) -> Result<(), BackupError> {
    match answer {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(BackupError::Stopped),
    }
}
