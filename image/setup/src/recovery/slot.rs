//! At each start, while the TPM still opens the data: a slot for a key that is to be shared, where one is wanted.
//!
//! Once the system is up the TPM does not open the data any more, for nobody, so nobody can make a slot then either. The key waits in memory, for
//! root alone, until it is shared or the machine restarts.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Places, WANTED, told};
use crate::machine;

/// Removes slots that were not proved, makes one where that was asked for or this is the first start, and tells which recovery key there is.
///
/// # Errors
/// When the TPM or the header do not do it.
pub(crate) fn prepare() -> Result<()> {
    let wanted = Path::new(WANTED);
    let first = !Path::new(machine::PREPARED).exists();
    let make = first || wanted.exists();
    // Once, whether it succeeds or not.
    crate::files::forget(wanted)?;
    let places = Places::here();
    places.header().forget_unproved()?;
    told::tell(places.header(), &places.told)?;
    if make {
        places.make()?;
    }
    Ok(())
}

/// Before the machine ends: a key that was not shared is lost with it, so its slot is removed.
///
/// # Errors
/// When the header cannot be read or written.
pub(crate) fn end() -> Result<()> {
    let places = Places::here();
    crate::files::forget(&places.ready)?;
    places.tidy()
}

impl Places {
    /// Makes a slot, and keeps its key in memory.
    pub(super) fn make(&self) -> Result<()> {
        let key = self.header().add(&self.tpm)?;
        let kept = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.ready)
            .and_then(|mut file| {
                use std::io::Write as _;
                file.write_all(&key.passphrase())
            });
        kept.context("the key cannot be kept in memory")
    }
}
