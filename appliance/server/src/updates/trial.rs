//! A release on trial: what it proves before anybody is answered.
//!
//! It opens the domain with the keys that the HSM holds, migrates every database and recomputes every audit log, as `strongroomd audit verify`
//! does. Then it says so, and waits for those who run as root to bless it. Where any of this fails, or they do not answer in time, it ends, and the
//! machine goes back to the release before.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use strongroom_hsm::Hsm;
use strongroom_keystore::store::Store;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Keystore, SystemClock, verify_audit};
use tokio::sync::oneshot;

use super::{Updates, databases};
use crate::config::Config;
use crate::kept::KeptCheckpoint;

/// How long a release that has proved itself waits to be blessed.
const PATIENCE: Duration = Duration::from_mins(3);
/// How often it looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// What tells one start of the machine from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A trial that is under way.
pub(crate) struct Trial {
    updates: Arc<Updates>,
    passed: Mutex<Option<oneshot::Sender<()>>>,
}

impl Trial {
    /// A trial, and what tells that it was passed.
    pub(crate) fn new(updates: Arc<Updates>) -> (Self, oneshot::Receiver<()>) {
        let (passed, told) = oneshot::channel();
        let trial = Self {
            updates,
            passed: Mutex::new(Some(passed)),
        };
        (trial, told)
    }

    /// Proves that this release works with what the appliance has, and waits until it is blessed; at once where it was before.
    /// `goes_on` says whether the appliance is still being opened. Answers whether the release is blessed.
    ///
    /// # Errors
    /// What does not work. Only where it is the HSM, trying again may help.
    pub(crate) fn prove(
        &self,
        config: &Config,
        store: &Arc<dyn Store>,
        hsm: &Arc<dyn Hsm>,
        goes_on: impl Fn() -> bool,
    ) -> anyhow::Result<bool> {
        if !self.is_under_way() {
            return Ok(true);
        }
        let (clock, options) = (Arc::new(SystemClock), config.keystore_options());
        drop(Keystore::attend(
            Arc::clone(store),
            Arc::clone(hsm),
            clock,
            options,
        )?);
        for domain in databases::domains(config)? {
            if !goes_on() {
                return Ok(false);
            }
            verify(&domain).with_context(|| {
                format!(
                    "domain {:?} does not pass the release's trial",
                    domain.domain
                )
            })?;
        }
        let boot_id = fs::read_to_string(BOOT_ID).context("the machine does not tell its start")?;
        let version = self.updates.image.version.to_string();
        self.updates.mark_healthy(&version, boot_id.trim())?;
        tracing::info!(version, "the release on trial has proved itself");

        let deadline = Instant::now() + PATIENCE;
        while self.updates.state()?.trial {
            if !goes_on() {
                return Ok(false);
            }
            if Instant::now() >= deadline {
                bail!("the release on trial has proved itself and was not blessed in time");
            }
            thread::sleep(LOOK_AGAIN);
        }
        databases::forget(config)?;
        if let Some(passed) = self.lock().take() {
            // Nobody listens once the appliance is being stopped.
            let _ = passed.send(());
        }
        tracing::info!(version, "the release on trial is blessed");
        Ok(true)
    }

    /// Whether the release has yet to prove itself.
    pub(crate) fn is_under_way(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Migrates the database of a domain and recomputes its audit log.
fn verify(config: &Config) -> anyhow::Result<()> {
    let database = config.database();
    let store = SqliteStore::open(&database)
        .with_context(|| format!("the database {} cannot be opened", database.display()))?;
    let report = verify_audit(&store, &config.domain, &mut |_, _| {})
        .context("the audit log cannot be verified")?;
    if let Some(problem) = report.problems.first() {
        bail!("the audit log is not whole: {problem}");
    }
    let restored = crate::kept::restored(config, &store)?;
    KeptCheckpoint::new(config).check(&store, &config.domain, restored.as_ref())
}
