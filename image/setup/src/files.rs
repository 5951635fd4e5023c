//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Puts a file in the place of the one of its name, durably: whoever looks meanwhile, or after a loss of power, sees the old one or the new one.
pub(crate) fn replace(file: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let new = file.with_extension("new");
    let write = || -> io::Result<()> {
        let mut to = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&new)?;
        to.write_all(bytes)?;
        to.sync_all()?;
        fs::rename(&new, file)?;
        sync_folder_of(file)
    };
    write().with_context(|| format!("{} cannot be written", file.display()))
}

/// Makes durable which files are where this one is.
pub(crate) fn sync_folder_of(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}
