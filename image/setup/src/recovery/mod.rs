//! The recovery key of the data partition: a key slot of its own, whose key is shared among custodians and kept nowhere else.
//!
//! | file | what lives there |
//! |---|---|
//! | `key` | the key, as systemd makes it, and as custodians share it |
//! | `header` | what the partition's LUKS header says of it, and what is done to the header |
//! | `slot` | at each start, while the TPM still opens the data: a slot for a key that is to be shared |
//! | `make` | at the console of an appliance that is open: the key goes to custodians, and is kept once they have shown that they have it |
//! | `take` | at the console of one that is locked: custodians bring the key, and this machine's TPM opens the data from then on |
//! | `told` | what the service and the console are told |
//!
//! The key of a slot whose sharing did not come to its end is known to nobody, or to some who may have seen a share: such a slot is removed.
//!
//! What must never happen here: the key in a file on a disk, in an argument, in the environment, or on the screen but as shares; a slot kept that
//! nobody has shown to open the data; the data opened without a mark in the header, which becomes a leaf.

mod header;
mod key;
mod make;
mod slot;
mod take;
mod told;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use strongroom_custodians::Terminal;

pub(crate) use slot::{end, prepare};
pub(crate) use told::Told;

use crate::machine::{self, End, Obstacle};
use header::Header;

/// Asks the next start for a slot.
const WANTED: &str = "/var/lib/strongroom/recovery-wanted";
/// In memory, for root alone: the key of a slot that waits to be shared.
const READY: &str = "/run/strongroom-recovery/key";

/// The public key that comes with the kernel image that runs (systemd-stub(7)).
const SIGNER: &str = "/run/systemd/tpm2-pcr-public-key.pem";

/// Where things are.
struct Places {
    partition: PathBuf,
    ready: PathBuf,
    told: PathBuf,
    /// Which TPM, in systemd's words.
    tpm: String,
    /// Whose signature says which kernel images are ours.
    signer: PathBuf,
}

impl Places {
    fn here() -> Self {
        Self {
            partition: machine::PARTITION.into(),
            ready: READY.into(),
            told: told::FILE.into(),
            tpm: "auto".to_owned(),
            signer: SIGNER.into(),
        }
    }

    fn header(&self) -> Header<'_> {
        Header(&self.partition)
    }

    /// Held by whoever speaks with custodians; none where somebody does at another console.
    fn lock(&self) -> Result<Option<File>> {
        let file = self.ready.with_extension("lock");
        let lock =
            File::create(&file).with_context(|| format!("{} cannot be made", file.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", file.display()))
            }
        }
    }
}

/// What can be done at the console just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Possible {
    /// A key can be shared.
    Make,
    /// A key can be shared after a restart, in which its slot is made.
    MakeAfterRestart,
    /// Custodians can open the data for this machine.
    Take,
    /// Nothing, and why.
    Nothing(Obstacle),
}

/// What can be done where this is in the way of serving, and where a key waits to be shared or not.
pub(crate) fn possible(obstacle: Option<Obstacle>, is_ready: bool) -> Possible {
    match obstacle {
        None if is_ready => Possible::Make,
        None => Possible::MakeAfterRestart,
        Some(Obstacle::Locked) => Possible::Take,
        Some(other) => Possible::Nothing(other),
    }
}

/// Whether a key waits to be shared.
pub(crate) fn is_ready() -> bool {
    Path::new(READY).exists()
}

/// Has the next start make a slot.
///
/// # Errors
/// When that cannot be written down.
pub(crate) fn want() -> Result<()> {
    crate::files::replace(Path::new(WANTED), 0o600, b"")
}

/// With custodians at this terminal: shares a key, or takes it back and opens the data for this machine, which then restarts.
///
/// # Errors
/// When it is broken off or refused; they are told why.
pub(crate) fn hold() -> Result<()> {
    let places = Places::here();
    let mut terminal = Terminal::open()?;
    let held = match possible(machine::obstacle(), is_ready()) {
        Possible::Make => make::share(&mut terminal, &places),
        Possible::Take => {
            take::open(&mut terminal, &places).and_then(|()| machine::end(End::Reboot))
        }
        Possible::MakeAfterRestart => Err(anyhow::anyhow!("no key waits to be shared any more")),
        Possible::Nothing(obstacle) => Err(anyhow::anyhow!("{obstacle}")),
    };
    if let Err(error) = &held {
        let text = format!("{error:#}");
        terminal.say(&format!(
            "\nNothing was done: {}.\n",
            text.trim_end_matches('.')
        ))?;
    }
    held
}

/// After that, however it ended: a slot that is not proved is removed, unless its key still waits to be shared.
///
/// # Errors
/// When the header cannot be read or written.
pub(crate) fn tidy() -> Result<()> {
    let places = Places::here();
    if machine::data_is_open() {
        places.tidy()?;
    }
    Ok(())
}

impl Places {
    fn tidy(&self) -> Result<()> {
        if self.ready.exists() {
            return Ok(());
        }
        match self.lock()? {
            Some(_alone) => self.header().forget_unproved(),
            None => Ok(()),
        }
    }
}

/// A number by which a set of shares is told from others.
fn random_set() -> Result<u16> {
    use std::io::Read as _;
    let mut bytes = [0; 2];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("the kernel gives no random bytes")?;
    Ok(u16::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
