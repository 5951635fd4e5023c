//! Updates of the image that the appliance runs from: taking them in, having them installed, and proving that a new release works.
//!
//! | module | what lives there |
//! |---|---|
//! | `state` | what the image says of itself: the release that runs, trials and what came of them |
//! | `inbox` | an update on its way in, and what is ordered |
//! | `orders` | what people do with updates, with its leaves and refusals |
//! | `trial` | a release on trial: what it proves before anybody is answered |
//! | `databases` | the databases as they stood before a trial's migrations |
//! | `outcomes` | the leaves of what became of updates, and of the data partition's recovery key |
//! | `recovery` | what the image says of that key |
//! | `reset` | the factory reset, for which the image's units run as root |
//!
//! The service may write in its inbox and nowhere else. What stands there orders nothing by itself: those who run as root verify it again, by
//! the certificate in the image, and write in the outbox what they did.
//!
//! What must never happen here: a byte of an update kept before its signature, its flavour and its security version were looked at; a listener, or
//! anything acknowledged, before a release on trial is blessed.

mod databases;
mod inbox;
mod orders;
mod outcomes;
mod recovery;
mod reset;
mod state;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};
use semver::Version;
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_update::SigningKey;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::update::ApplianceRelease;

pub(crate) use trial::Trial;

use crate::config::Config;
use state::{ImageRelease, State};

/// In the folder of updates: what the service writes.
const INBOX: &str = "inbox";
/// In the folder of updates: what the image's own units write.
const OUTBOX: &str = "outbox";

/// Updates of this appliance's image.
pub(crate) struct Updates {
    inbox: PathBuf,
    outbox: PathBuf,
    image: ImageRelease,
    key: SigningKey,
    since: Timestamp,
    /// One request at a time does something with the inbox.
    working: Mutex<()>,
    /// An install that was ordered, as long as nobody has said what came of it.
    ordered: Mutex<Option<inbox::Before>>,
    /// How many databases were put back at this start.
    put_back: u32,
}

impl Updates {
    /// The updates in this folder, for the image that has its release's description and the certificate for its updates in that one.
    ///
    /// # Errors
    /// When one of these cannot be read.
    pub(crate) fn open(folder: &Path, release: &Path) -> anyhow::Result<Self> {
        let certificate = release.join("updates.pem");
        let pem = fs::read(&certificate)
            .with_context(|| format!("{} cannot be read", certificate.display()))?;
        let key = SigningKey::from_pem(&pem)
            .with_context(|| format!("{} cannot be used", certificate.display()))?;
        let inbox = folder.join(INBOX);
        if !inbox.is_dir() {
            bail!("there is no folder {}", inbox.display());
        }
        let updates = Self {
            inbox,
            outbox: folder.join(OUTBOX),
            image: ImageRelease::read(release)?,
            key,
            since: SystemClock.now(),
            working: Mutex::default(),
            ordered: Mutex::default(),
            put_back: 0,
        };
        // Said now, and not to the first who asks.
        updates.state()?;
        Ok(updates)
    }

    /// The version of the release that runs.
    pub(crate) fn version(&self) -> &Version {
        &self.image.version
    }

    /// Looks after the databases before one of them is opened: keeps each as it is where a release on trial will migrate it, puts back what a
    /// release that did not stay has migrated, and forgets copies that are of no use any more. Answers whether this release is on trial.
    ///
    /// # Errors
    /// When a copy cannot be made or put back.
    pub(crate) fn prepare(&mut self, config: &Config) -> anyhow::Result<bool> {
        let state = self.state()?;
        self.tidy()?;
        if state.trial {
            databases::keep(config)?;
        } else {
            self.put_back = databases::put_back(config, state.last.as_ref())?;
            databases::forget(config)?;
        }
        Ok(state.trial)
    }

    /// Which release runs, and what becomes of another.
    ///
    /// # Errors
    /// When the image's state or the inbox cannot be read.
    fn release(&self) -> anyhow::Result<ApplianceRelease> {
        let state = self.state()?;
        let inbox = self.look()?;
        Ok(ApplianceRelease {
            running: state.running,
            trial: state.trial,
            since: self.since,
            receiving: inbox.receiving,
            staged: inbox.staged,
            installing: inbox.installing,
            restarting: inbox.restarting,
            installed: state.installed,
            refused: state.refused,
            last: state.last,
        })
    }

    fn state(&self) -> anyhow::Result<State> {
        State::read(&self.outbox)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
