//! Updates of the image, as root: into the slot that does not run, on trial, kept or gone back from.
//!
//! | file | what lives there |
//! |---|---|
//! | `state` | what the service is told: `outbox/state.json` |
//! | `kernels` | the kernel images in the EFI system partition, and how often each may still be tried |
//! | `slots` | the two roots, and which of them runs |
//! | `gpt` | the identifiers of partitions, by which a kernel image finds its root |
//! | `install` | an update into the other slot |
//! | `boot` | at each start: what runs, and what came of the last update |
//! | `trial` | a release on trial: kept, or gone back from |
//!
//! The service writes into `inbox` what it wants, and nothing that it writes there is believed: an update is verified here once more, while it is
//! written. What must never happen here: a kernel image that can be started before its root is whole; a release kept that has not proved itself.

mod boot;
mod gpt;
mod install;
mod kernels;
mod slots;
mod state;
mod trial;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

pub(crate) use boot::boot;
pub(crate) use install::install;
pub(crate) use state::{Fate, Outcome, State, now};
pub(crate) use trial::{bless, expire};

use crate::machine::{self, End};

/// What the service wants done.
const INBOX: &str = "/var/lib/strongroom/updates/inbox";

/// Restarts the machine, as the service asked for.
pub(crate) fn restart() -> Result<()> {
    take("restart")?;
    machine::end(End::Reboot)
}

/// Takes an order out of the inbox, with what it says, so that it is followed once.
fn take(order: &str) -> Result<Vec<u8>> {
    const LONGEST: u64 = 4096;
    let file = Path::new(INBOX).join(order);
    let read = || -> io::Result<Vec<u8>> {
        let mut said = Vec::new();
        open(&file)?.take(LONGEST).read_to_end(&mut said)?;
        Ok(said)
    };
    let said = read();
    match fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("the order to {order} cannot be removed"));
        }
        _ => {}
    }
    said.with_context(|| format!("the order to {order} cannot be read"))
}

/// Opens what the service wrote: a file, and nothing that leads elsewhere or keeps whoever opens it waiting.
fn open(file: &Path) -> io::Result<File> {
    // O_NOFOLLOW and O_NONBLOCK of Linux on x86-64.
    const FLAGS: i32 = 0o400_000 | 0o4000;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(FLAGS)
        .open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_leads_elsewhere_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "x").unwrap();
        assert!(open(&path("file")).is_ok());
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        assert!(open(&path("link")).is_err());
        assert!(open(folder.path()).is_err());
    }
}
