//! What goes on in the domains besides answering requests: for each slot one thread, so that an HSM which hangs holds up its own domains only.
//!
//! Each second every open domain of the slot has its turn, and one of those that are closed, in a row: so all are looked after, however many
//! there are. A domain that fails holds up no other.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use strongroom_keystore::Keystore;

use super::registry::{Entry, Registry};
use super::{Domain, Domains, Opened, Place, lock};
use crate::background::{Threads, Trouble};
use crate::backups::{Schedule, make_folder_of};
use crate::config::Config;
use crate::device_log::Drain;
use crate::mail::Mailer;

/// How often an open domain has its turn.
const TURN_EVERY: Duration = Duration::from_secs(1);
/// How often an open domain forgets what has expired.
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// How many pieces a closed domain's rotations move on one visit.
const VISIT_RECORDS: u32 = 2000;
/// How often is looked whether backups are due.
const BACKUPS_EVERY: Duration = Duration::from_mins(1);

/// The threads.
pub(crate) struct Beats {
    threads: Threads,
    stopping: Arc<AtomicBool>,
}

impl Beats {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none, or mail cannot be sent.
    pub(crate) fn start(domains: &Arc<Domains>) -> anyhow::Result<Self> {
        let mut beats = Self {
            threads: Threads::default(),
            stopping: Arc::default(),
        };
        match beats.start_threads(domains) {
            Ok(()) => Ok(beats),
            Err(error) => {
                beats.stop();
                Err(error.into())
            }
        }
    }

    fn start_threads(&mut self, domains: &Arc<Domains>) -> io::Result<()> {
        for slot in domains.slots.names() {
            let mailer = Mailer::new(&domains.config).map_err(io::Error::other)?;
            let mut beat = Beat {
                slot: slot.clone(),
                domains: Arc::clone(domains),
                mailer,
                records: domains.config.keystore.rotation_rate,
                forgotten: HashMap::new(),
                visited: 0,
                stopping: Arc::clone(&self.stopping),
            };
            self.threads
                .every(&format!("domains-{slot}"), TURN_EVERY, move || beat.round())?;
        }
        // The operators' log is the first domain's. The default slot's HSMs are looked after with that.
        for (slot, hsm) in domains.slots.further() {
            let keystore = Arc::clone(&domains.first.keystore);
            let mut drain = Drain::new(Arc::clone(hsm), keystore);
            let mut trouble = Trouble::new(
                "the own log of a further slot's HSM cannot be recorded",
                "the own logs of further slots' HSMs are recorded again",
            );
            let name = format!("device-logs-{slot}");
            self.threads
                .every(&name, TURN_EVERY, move || trouble.tell(&drain.run()))?;
        }
        if !domains.config.backup.folder.as_os_str().is_empty() {
            let mut backups = Backups {
                domains: Arc::clone(domains),
                schedules: HashMap::new(),
                kept: None,
                stopping: Arc::clone(&self.stopping),
            };
            self.threads
                .every("domain-backups", BACKUPS_EVERY, move || backups.round())?;
        }
        Ok(())
    }

    /// Stops them, each after what it is doing.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.threads.stop();
    }
}

/// The domains of one slot.
struct Beat {
    slot: String,
    domains: Arc<Domains>,
    mailer: Option<Mailer>,
    /// How many records rotations move in a second, in each domain.
    records: NonZeroU32,
    /// When open domains last forgot what had expired.
    forgotten: HashMap<u32, Instant>,
    /// The number of the closed domain that had its turn last.
    visited: u32,
    stopping: Arc<AtomicBool>,
}

impl Beat {
    fn round(&mut self) {
        let entries: Vec<Entry> = {
            let registry = lock(&self.domains.registry);
            let here = registry
                .domains
                .iter()
                .filter(|entry| entry.slot == self.slot);
            here.cloned().collect()
        };
        let mut closed = Vec::new();
        for entry in &entries {
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            if entry.work.is_some() {
                self.caught(entry, |this, entry| this.domains.go_on(entry));
                continue;
            }
            let Some(domain) = self.domains.known(&entry.name) else {
                continue;
            };
            if domain.refused.load(Ordering::Relaxed) {
                continue;
            }
            let open = match &*lock(&domain.place) {
                Place::Open(opened) => Some(Arc::clone(opened)),
                _ => None,
            };
            match open {
                Some(opened) => {
                    self.caught(entry, |this, _| this.turn(&domain, &opened));
                }
                None => closed.push(domain),
            }
        }
        let next = closed.iter().find(|domain| domain.number > self.visited);
        if let Some(domain) = next.or(closed.first()).cloned() {
            self.visited = domain.number;
            self.visit(&domain);
        }
    }

    /// Does something for a domain; what goes wrong, a panic too, goes wrong for it alone.
    fn caught(
        &mut self,
        entry: &Entry,
        work: impl FnOnce(&mut Self, &Entry) -> anyhow::Result<()>,
    ) {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self, entry)));
        let failed = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            // The panic hook has logged it.
            Err(_) => Some("it panicked".to_owned()),
        };
        let Some(domain) = self.domains.known(&entry.name) else {
            return;
        };
        let failed_before = domain.failing.swap(failed.is_some(), Ordering::Relaxed);
        match failed {
            Some(error) if !failed_before => {
                tracing::error!(
                    domain = entry.number,
                    error,
                    "what a domain needs in the background fails"
                );
            }
            None if failed_before => {
                tracing::info!(
                    domain = entry.number,
                    "what a domain needs in the background works again"
                );
            }
            _ => {}
        }
    }

    /// A turn of an open domain.
    fn turn(&mut self, domain: &Domain, opened: &Opened) -> anyhow::Result<()> {
        let keystore = &opened.keystore;
        keystore.sign_checkpoint()?;
        opened.kept.keep(keystore)?;
        rotate_one_of_many(keystore, self.records.get())?;
        self.post(domain, opened)?;
        let due = self
            .forgotten
            .get(&domain.number)
            .is_none_or(|last| last.elapsed() >= FORGET_EVERY);
        if due {
            self.forgotten.insert(domain.number, Instant::now());
            keystore.forget_expired()?;
        }
        Ok(())
    }

    /// A turn of a closed domain, which is opened for it, and closed again unless somebody has come meanwhile.
    fn visit(&mut self, domain: &Arc<Domain>) {
        let Ok(opened) = self.domains.open(domain) else {
            // It is counted as failing, and logged.
            return;
        };
        let name = domain.name.clone();
        if let Some(entry) = self.domains.entry(&name) {
            self.caught(&entry, |this, _| {
                opened.keystore.forget_expired()?;
                rotate_one_of_many(&opened.keystore, VISIT_RECORDS)?;
                this.post(domain, &opened)
            });
        }
        self.forgotten.remove(&domain.number);
        let unused = opened.used.load(Ordering::Relaxed) == 0;
        drop(opened);
        if unused {
            domain.close_unused();
        }
    }

    fn post(&self, domain: &Domain, opened: &Opened) -> anyhow::Result<()> {
        if let Some(mailer) = &self.mailer {
            mailer.send_due(&opened.keystore, Some(&domain.name))?;
        }
        Ok(())
    }
}

/// The scheduled backups of all domains but the first, whose own schedule goes on as ever.
struct Backups {
    domains: Arc<Domains>,
    schedules: HashMap<u32, (Entry, Schedule)>,
    /// The registry that was backed up last.
    kept: Option<Registry>,
    stopping: Arc<AtomicBool>,
}

impl Backups {
    fn round(&mut self) {
        let entries = lock(&self.domains.registry).domains.clone();
        self.schedules
            .retain(|number, _| entries.iter().any(|entry| entry.number == *number));
        for entry in entries {
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            // One that moves is backed up once all of it is in one HSM again.
            if entry.suspended || entry.work.is_some() {
                continue;
            }
            let known = self.schedules.get(&entry.number);
            if known.is_none_or(|(of, _)| *of != entry) {
                match self.schedule(&entry) {
                    Ok(Some(schedule)) => {
                        self.schedules
                            .insert(entry.number, (entry.clone(), schedule));
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!(
                        domain = entry.number,
                        error = format!("{error:#}"),
                        "no backup of a domain can be made"
                    ),
                }
            }
            if let Some((_, schedule)) = self.schedules.get(&entry.number) {
                schedule.run_one_of_many();
            }
        }
        if let Err(error) = self.keep_registry() {
            tracing::error!(
                error = format!("{error:#}"),
                "the registry of domains is not backed up"
            );
        }
    }

    fn schedule(&self, entry: &Entry) -> anyhow::Result<Option<Schedule>> {
        let config: Config = self.domains.config.of_domain(entry)?;
        make_folder_of(&config)?;
        let hsm = self.domains.slots.hsm(&entry.slot)?;
        Ok(Schedule::new(&config, hsm, Arc::clone(&self.stopping)))
    }

    /// Which domains there are is backed up as well, whenever that has changed.
    fn keep_registry(&mut self) -> anyhow::Result<()> {
        let registry = lock(&self.domains.registry).clone();
        if self.kept.as_ref() != Some(&registry) {
            registry.write(&self.domains.config.backup.folder)?;
            self.kept = Some(registry);
        }
        Ok(())
    }
}

/// Moves at most so many records to rotated KEKs. An HSM with the keys of many domains takes long to tell which there are of one, so that it is asked
/// only where a rotation may be under way.
fn rotate_one_of_many(keystore: &Keystore, records: u32) -> Result<(), strongroom_keystore::Error> {
    let moved = keystore.rewrap_some_if_rotating(records)?;
    if moved < records {
        keystore.reseal_some(records - moved)?;
    }
    Ok(())
}
