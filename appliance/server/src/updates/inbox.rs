//! The inbox: an update on its way in, and what is ordered.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use strongroom_update::{Error, Flavour, Head, Manifest, verify_parts};
use strongroom_wire::update::{
    InstalledRelease, ReceivedUpdate, ReceivingUpdate, RefusedUpdate, StagedUpdate,
};

use super::Updates;
use crate::folder::{sync_folder, write_whole};

/// The bytes so far.
const INCOMING: &str = "incoming";
/// An update that is whole and verified.
const STAGED: &str = "staged.update";
/// Orders those who run as root to write what is staged into the other slot.
const INSTALL: &str = "install";
/// Orders them to restart the machine.
const RESTART: &str = "restart";
/// Tells them that a release on trial has proved itself.
const HEALTHY: &str = "healthy";
/// What stays free on the disk beside an update, in bytes: the databases are written there, too.
const ROOM_LEFT: u64 = 64 * 1024 * 1024;

/// Why something is not done with an update.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    /// It is no update that this image's key has signed, or not any more.
    #[error("{0}")]
    Update(#[from] Error),
    /// It is for another kind of machine.
    #[error("the update is for the flavour {found}, and this image is of the flavour {own}")]
    Flavour {
        /// Which.
        found: Flavour,
        /// And which this is.
        own: Flavour,
    },
    /// Its security version is lower than the running release's.
    #[error(
        "the update has security version {found}, and this machine starts nothing below {least}"
    )]
    Security {
        /// Which.
        found: u32,
        /// The least.
        least: u32,
    },
    /// It is not newer than the running release: the machine starts the newest that it has.
    #[error(
        "the update is version {found}, and version {running} runs: only a newer one is started"
    )]
    Older {
        /// Which.
        found: String,
        /// What runs.
        running: String,
    },
    /// The first bytes that were sent do not hold the head of the update.
    #[error(
        "the first piece has to hold the whole head of the update: send {} bytes at once, or all of it",
        strongroom_update::HEAD_MAX
    )]
    HeadInPieces,
    /// The bytes belong somewhere else.
    #[error("the update goes on at offset {0}")]
    Offset(u64),
    /// There is no room for it.
    #[error(
        "the update needs {needed} bytes, and there are {free} free beside what has to stay free"
    )]
    NoRoom {
        /// How many it needs.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// What is staged is being installed.
    #[error("an update is being installed: wait until that is done")]
    Installing,
    /// No update is staged.
    #[error("no update is staged: send one first")]
    NothingStaged,
    /// Nothing has arrived.
    #[error("there is no update to drop")]
    Nothing,
    /// The disk fails.
    #[error("the inbox for updates cannot be used: {0}")]
    Disk(#[source] io::Error),
    /// The image's state cannot be read.
    #[error("{0:#}")]
    State(anyhow::Error),
}

/// An update that is whole and verified.
#[derive(Debug)]
pub(super) struct Whole {
    /// What it says of itself.
    pub(super) manifest: Manifest,
    /// SHA-256 of the file, in hexadecimal.
    pub(super) sha256: String,
}

/// What the image had installed and refused when an install was ordered.
pub(super) type Before = (Option<InstalledRelease>, Option<RefusedUpdate>);

/// What there is in the inbox.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) receiving: Option<ReceivingUpdate>,
    pub(super) staged: Option<StagedUpdate>,
    pub(super) installing: bool,
    pub(super) restarting: bool,
}

impl Updates {
    /// Takes bytes of an update. Those at offset 0 begin anew; they have to hold its head, and nothing is written before that was looked at. Where
    /// the update is whole then and its parts are those that were signed, `record` makes the leaf that says so before it counts as staged.
    ///
    /// # Errors
    /// [`Wrong`], or what `record` answers.
    pub(super) fn receive<E: From<Wrong>>(
        &self,
        offset: u64,
        piece: &[u8],
        record: impl FnOnce(&Whole) -> Result<u64, E>,
    ) -> Result<ReceivedUpdate, E> {
        let _alone = self.lock();
        let head = if offset == 0 {
            self.begin(piece)?
        } else {
            self.go_on(offset, piece)?
        };
        let arrived = offset + piece.len() as u64;
        let mut received = ReceivedUpdate {
            version: head.manifest().version.to_string(),
            offset: arrived,
            length: head.total(),
            leaf: None,
        };
        if arrived == head.total() {
            let whole = self.verify().inspect_err(|wrong| {
                if matches!(wrong, Wrong::Update(_)) {
                    // It will not become right by more of it.
                    let _ = remove(&self.path(INCOMING));
                }
            })?;
            received.leaf = Some(record(&whole)?);
            fs::rename(self.path(INCOMING), self.path(STAGED))
                .and_then(|()| sync_folder(&self.path(STAGED)))
                .map_err(Wrong::Disk)?;
            tracing::info!(version = received.version, "an update is staged");
        }
        Ok(received)
    }

    /// Drops what has arrived, once `record` has made the leaf that says so, and gives that.
    ///
    /// # Errors
    /// [`Wrong`], or what `record` answers.
    pub(super) fn drop_update<T, E: From<Wrong>>(
        &self,
        record: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, E> {
        let _alone = self.lock();
        let inbox = self.look_here()?;
        if inbox.installing {
            return Err(Wrong::Installing.into());
        }
        let staged = inbox.staged.map(|staged| staged.version);
        let version = staged
            .or(inbox.receiving.map(|receiving| receiving.version))
            .ok_or(Wrong::Nothing)?;
        let answer = record(&version)?;
        remove(&self.path(INCOMING))?;
        remove(&self.path(STAGED))?;
        Ok(answer)
    }

    /// Orders that what is staged be installed, once `record` has made the leaf that says so.
    ///
    /// # Errors
    /// [`Wrong`], or what `record` answers.
    pub(super) fn install<T, E: From<Wrong>>(
        &self,
        record: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<(String, T), E> {
        let _alone = self.lock();
        let inbox = self.look_here()?;
        let staged = inbox.staged.ok_or(Wrong::NothingStaged)?;
        if inbox.installing {
            return Err(Wrong::Installing.into());
        }
        let answer = record(&staged.version)?;
        let state = self.state().map_err(Wrong::State)?;
        *self.ordered() = Some((state.installed, state.refused));
        self.mark(INSTALL, &Ordered::of(&staged.version))?;
        Ok((staged.version, answer))
    }

    /// Orders that the machine be restarted, once `record` has made the leaf that says so; not while an update is being installed.
    ///
    /// # Errors
    /// [`Wrong`], or what `record` answers.
    pub(super) fn restart<T, E: From<Wrong>>(
        &self,
        record: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, E> {
        let _alone = self.lock();
        let state = self.state().map_err(Wrong::State)?;
        if self.look_here()?.installing {
            return Err(Wrong::Installing.into());
        }
        let next = state.installed.map_or_else(
            || state.running.version.clone(),
            |installed| installed.version,
        );
        let answer = record(&next)?;
        self.mark(RESTART, &Ordered::of(&next))?;
        Ok(answer)
    }

    /// Takes back what was ordered before this start, and forgets what was staged and runs by now.
    pub(super) fn tidy(&self) -> Result<(), Wrong> {
        remove(&self.path(RESTART))?;
        remove(&self.path(HEALTHY))?;
        let outdated = |(head, _): (Head, u64)| head.manifest().version <= self.image.version;
        if self.head_of(STAGED)?.is_some_and(outdated) {
            remove(&self.path(INSTALL))?;
            remove(&self.path(STAGED))?;
        }
        Ok(())
    }

    /// Tells those who run as root that the release has proved itself, at this start of the machine.
    pub(super) fn mark_healthy(&self, version: &str, boot_id: &str) -> Result<(), Wrong> {
        let marker = Healthy { version, boot_id };
        self.mark(HEALTHY, &marker)
    }

    /// What there is in the inbox.
    pub(super) fn look(&self) -> anyhow::Result<Inbox> {
        let _alone = self.lock();
        Ok(self.look_here()?)
    }

    pub(super) fn look_here(&self) -> Result<Inbox, Wrong> {
        let receiving = self.head_of(INCOMING)?.map(|(head, length)| {
            let mut beginning = Vec::new();
            let read = File::open(self.path(INCOMING))
                .and_then(|file| file.take(head.length()).read_to_end(&mut beginning));
            read.map(|_| ReceivingUpdate {
                version: head.manifest().version.to_string(),
                offset: length,
                length: head.total(),
                head_length: head.length(),
                head_sha256: hex::encode(Sha256::digest(&beginning)),
            })
        });
        let staged = self.head_of(STAGED)?.map(|(head, length)| StagedUpdate {
            version: head.manifest().version.to_string(),
            security_version: head.manifest().security_version,
            length,
        });
        Ok(Inbox {
            receiving: receiving.transpose().map_err(Wrong::Disk)?,
            installing: staged.is_some() && self.is_installing()?,
            restarting: self.path(RESTART).exists(),
            staged,
        })
    }

    /// Whether an install was ordered and nobody has said yet what came of it. The order itself is taken away when it is begun with.
    fn is_installing(&self) -> Result<bool, Wrong> {
        if self.path(INSTALL).exists() {
            return Ok(true);
        }
        let state = self.state().map_err(Wrong::State)?;
        let mut ordered = self.ordered();
        let is_told = |(installed, refused): &Before| {
            // What stood in the other slot is forgotten as soon as something is written there.
            let is_new = state.installed.is_some() && state.installed != *installed;
            is_new || state.refused != *refused
        };
        if ordered.as_ref().is_some_and(|before| !is_told(before)) {
            return Ok(true);
        }
        *ordered = None;
        Ok(false)
    }

    /// Forgets what was staged once it is installed.
    pub(super) fn forget_installed(&self, version: &str) -> Result<(), Wrong> {
        let _alone = self.lock();
        let is_it = |(head, _): (Head, u64)| head.manifest().version.to_string() == version;
        if !self.is_installing()? && self.head_of(STAGED)?.is_some_and(is_it) {
            remove(&self.path(STAGED))?;
        }
        Ok(())
    }

    fn ordered(&self) -> MutexGuard<'_, Option<Before>> {
        self.ordered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head of what stands there, and how many bytes do; none where there is none, or none that is signed by this image's key.
    fn head_of(&self, name: &str) -> Result<Option<(Head, u64)>, Wrong> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Wrong::Disk(error)),
        };
        let length = file.metadata().map_err(Wrong::Disk)?.len();
        match Head::read(BufReader::new(file), &self.key) {
            Ok(head) => Ok(Some((head, length))),
            Err(Error::Io(error)) => Err(Wrong::Disk(error)),
            Err(_) => Ok(None),
        }
    }

    /// The first bytes of an update, which take the place of all that arrived before.
    fn begin(&self, piece: &[u8]) -> Result<Head, Wrong> {
        let head = match Head::read(piece, &self.key) {
            Err(Error::HeadCutOff) => return Err(Wrong::HeadInPieces),
            head => head?,
        };
        self.check(head.manifest())?;
        if piece.len() as u64 > head.total() {
            return Err(Error::Trailing.into());
        }
        if self.look_here()?.installing {
            return Err(Wrong::Installing);
        }
        remove(&self.path(INCOMING))?;
        let free = self.free()?.saturating_sub(ROOM_LEFT);
        if free < head.total() {
            return Err(Wrong::NoRoom {
                needed: head.total(),
                free,
            });
        }
        self.append(piece)?;
        Ok(head)
    }

    fn go_on(&self, offset: u64, piece: &[u8]) -> Result<Head, Wrong> {
        let (head, arrived) = self.head_of(INCOMING)?.ok_or(Wrong::Offset(0))?;
        if arrived != offset {
            return Err(Wrong::Offset(arrived));
        }
        if piece.len() as u64 > head.total().saturating_sub(arrived) {
            return Err(Error::Trailing.into());
        }
        // A newer release may run since the first of it came.
        self.check(head.manifest())?;
        self.append(piece)?;
        Ok(head)
    }

    /// Whether this machine takes an update.
    fn check(&self, manifest: &Manifest) -> Result<(), Wrong> {
        let own = &self.image;
        if manifest.flavour != own.flavour {
            return Err(Wrong::Flavour {
                found: manifest.flavour,
                own: own.flavour,
            });
        }
        let state = self.state().map_err(Wrong::State)?;
        let least = own
            .security_version
            .max(state.running.security_version)
            .max(state.least_security_version);
        if manifest.security_version < least {
            return Err(Wrong::Security {
                found: manifest.security_version,
                least,
            });
        }
        if manifest.version <= own.version {
            return Err(Wrong::Older {
                found: manifest.version.to_string(),
                running: own.version.to_string(),
            });
        }
        Ok(())
    }

    fn append(&self, piece: &[u8]) -> Result<(), Wrong> {
        let append = || {
            let path = self.path(INCOMING);
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&path)?;
            let before = file.metadata()?.len();
            let written = file.write_all(piece).and_then(|()| file.sync_data());
            if written.is_err() {
                // What did not arrive whole did not arrive.
                file.set_len(before)?;
            }
            written
        };
        append().map_err(Wrong::Disk)
    }

    /// Holds the parts of what has arrived against its head.
    fn verify(&self) -> Result<Whole, Wrong> {
        let file = File::open(self.path(INCOMING)).map_err(Wrong::Disk)?;
        let mut reader = Hashing {
            reader: BufReader::new(file),
            sha256: Sha256::new(),
        };
        let head = Head::read(&mut reader, &self.key)?;
        verify_parts(&mut reader, &head.manifest().parts, |_, _| Ok(())).map_err(|error| {
            match error {
                Error::Io(error) => Wrong::Disk(error),
                error => Wrong::Update(error),
            }
        })?;
        Ok(Whole {
            manifest: head.manifest().clone(),
            sha256: hex::encode(reader.sha256.finalize()),
        })
    }

    fn free(&self) -> Result<u64, Wrong> {
        let found = rustix::fs::statvfs(&self.inbox)
            .map_err(|error| Wrong::Disk(io::Error::from(error)))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    pub(super) fn mark(&self, name: &str, content: &impl Serialize) -> Result<(), Wrong> {
        serde_json::to_vec(content)
            .map_err(io::Error::from)
            .and_then(|json| write_whole(&self.path(name), &json))
            .map_err(Wrong::Disk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inbox.join(name)
    }
}

/// What an order says beside being there.
#[derive(Serialize)]
struct Ordered<'a> {
    version: &'a str,
}

impl<'a> Ordered<'a> {
    const fn of(version: &'a str) -> Self {
        Self { version }
    }
}

#[derive(Serialize)]
struct Healthy<'a> {
    version: &'a str,
    boot_id: &'a str,
}

/// Hashes what is read.
struct Hashing<R> {
    reader: R,
    sha256: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(bytes)?;
        self.sha256.update(&bytes[..read]);
        Ok(read)
    }
}

/// Removes a file; that it is not there is no error.
fn remove(path: &Path) -> Result<(), Wrong> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Wrong::Disk(error)),
        _ => Ok(()),
    }
}
