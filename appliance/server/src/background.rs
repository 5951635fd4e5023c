//! What the appliance does besides answering requests. While it serves: it signs checkpoints, moves keys to rotated KEKs, makes
//! backups, sends mail, has its machine attested, renews its certificate and forgets what has expired. Always: it tends the metrics and the limits,
//! and looks whether certificates have changed.

use std::fmt::Display;
use std::io;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use strongroom_hsm::supervised::Supervised;
use strongroom_keystore::Keystore;
use strongroom_wire::audit::Act;

use crate::attestation::Attestor;
use crate::auth::limits::SignInLimits;
use crate::backups::Schedule;
use crate::config::Config;
use crate::console::minutes;
use crate::device_log::Drain;
use crate::gate::Gate;
use crate::kept::KeptCheckpoint;
use crate::mail::Mailer;
use crate::tls::{Credentials, Renewal};
use crate::updates::Updates;

/// A leaf is under a signed checkpoint after about so long.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// Histograms gather what they count until somebody looks or this happens.
const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How often the schedule looks whether a backup is due.
const BACKUP_CHECK_EVERY: Duration = Duration::from_secs(10);
/// How often the HSMs' own logs are looked at: they have little room.
const DEVICE_LOGS_EVERY: Duration = Duration::from_secs(1);
/// How often the outbox is looked into.
const MAIL_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// How often is looked what became of updates.
const UPDATES_EVERY: Duration = Duration::from_secs(2);
/// How often is looked whether the machine is to be attested.
const ATTESTATION_CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often the machine is attested, whoever asks besides.
const ATTESTED_EVERY: Duration = Duration::from_hours(24);
/// How soon it is tried again where that came to nothing.
const ATTESTED_AGAIN: Duration = Duration::from_hours(1);
/// How often is looked whether the certificate that is shown is to be renewed, for its age or its names.
const RENEWAL_EVERY: Duration = Duration::from_secs(5);
/// How soon that is tried again where it failed, as each try leaves a leaf.
const RENEWED_AGAIN: Duration = Duration::from_mins(10);
/// How often is looked whether the certificate that is shown, or what is believed of clients', has changed.
const CREDENTIALS_EVERY: Duration = Duration::from_secs(10);
/// What the console draws is counted by the minute.
const MINUTE: Duration = Duration::from_mins(1);
/// A rotation goes in steps, so many a second.
const ROTATION_STEPS: u32 = 10;
/// After a failed step a rotation waits so long: the HSM or the database is not well.
const ROTATION_PAUSE: Duration = Duration::from_secs(5);

/// Threads that do something again and again.
#[derive(Default)]
pub(crate) struct Threads(Vec<(Sender<()>, JoinHandle<()>)>);

/// What goes on while the appliance serves.
pub(crate) struct Background {
    threads: Threads,
    stopping: Arc<AtomicBool>,
}

impl Background {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(
        config: &Config,
        keystore: Arc<Keystore>,
        hsm: Arc<Supervised>,
        kept: Arc<KeptCheckpoint>,
        updates: Option<Arc<Updates>>,
        attestor: Option<Arc<Attestor>>,
        renewal: Arc<Renewal>,
    ) -> anyhow::Result<Self> {
        let mut background = Self {
            threads: Threads::default(),
            stopping: Arc::default(),
        };
        let started = background
            .start_threads(config, Arc::clone(&keystore), hsm, kept)
            .and_then(|()| background.follow_updates(Arc::clone(&keystore), updates))
            .and_then(|()| background.attest(Arc::clone(&keystore), attestor))
            .and_then(|()| background.renew(keystore, renewal));
        if let Err(error) = started {
            background.stop();
            return Err(error).context("a background thread cannot be started");
        }
        Ok(background)
    }

    fn start_threads(
        &mut self,
        config: &Config,
        keystore: Arc<Keystore>,
        hsm: Arc<Supervised>,
        kept: Arc<KeptCheckpoint>,
    ) -> io::Result<()> {
        let threads = &mut self.threads;
        let signer = Arc::clone(&keystore);
        let mut signing = Trouble::new(
            "no checkpoint can be signed",
            "checkpoints are signed again",
        );
        let mut keeping = Trouble::new(
            "checkpoints cannot be kept outside of the database",
            "checkpoints are kept outside of the database again",
        );
        threads.every("checkpoints", CHECKPOINT_EVERY, move || {
            signing.tell(&signer.sign_checkpoint());
            let done = kept.keep(&signer);
            keeping.tell(&done.map_err(|error| format!("{error:#}")));
        })?;
        let rotating = Arc::clone(&keystore);
        let posting = Arc::clone(&keystore);
        let backed_up = Arc::clone(&keystore);
        let (step, records) = rotation_step(config.keystore.rotation_rate);
        let mut pause = None;
        let mut trouble = Trouble::new(
            "a rotation makes no progress and is tried again",
            "rotations make progress again",
        );
        threads.every("rotation", step, move || {
            if pause.is_some_and(|until| Instant::now() < until) {
                return;
            }
            let moved = rotate(&rotating, records);
            pause = moved.is_err().then(|| Instant::now() + ROTATION_PAUSE);
            trouble.tell(&moved);
        })?;
        let mut drain = Drain::new(Arc::clone(&hsm), Arc::clone(&keystore));
        let mut trouble = Trouble::new(
            "an HSM's own log cannot be recorded",
            "the HSMs' own logs are recorded again",
        );
        threads.every("device-logs", DEVICE_LOGS_EVERY, move || {
            trouble.tell(&drain.run());
        })?;
        let mut trouble = Trouble::new(
            "expired things cannot be forgotten",
            "expired things are forgotten again",
        );
        threads.every("expiry", FORGET_EVERY, move || {
            let forgotten = keystore.forget_expired();
            trouble.tell(&forgotten);
            if let Ok(count @ 1..) = forgotten {
                tracing::debug!(count, "expired things were forgotten");
            }
        })?;
        if let Some(mailer) = Mailer::new(config).map_err(io::Error::other)? {
            let mut trouble = Trouble::new(
                "the outbox cannot be worked through",
                "the outbox is worked through again",
            );
            threads.every("mail", MAIL_EVERY, move || {
                trouble.tell(&mailer.send_due(&posting, None));
            })?;
        }
        if let Some(schedule) = Schedule::new(config, hsm, Arc::clone(&self.stopping)) {
            threads.every("backups", BACKUP_CHECK_EVERY, move || {
                schedule.run(&|note| {
                    backed_up.record_operation(Act::DomainBackup, note)?;
                    Ok(())
                });
            })?;
        }
        Ok(())
    }

    /// Records what becomes of updates: what did by now, at once.
    fn follow_updates(
        &mut self,
        keystore: Arc<Keystore>,
        updates: Option<Arc<Updates>>,
    ) -> io::Result<()> {
        let Some(updates) = updates else {
            return Ok(());
        };
        let mut trouble = Trouble::new(
            "what became of updates cannot be recorded",
            "what becomes of updates is recorded again",
        );
        let mut record = move || {
            let recorded = updates.record_outcomes(&keystore);
            trouble.tell(&recorded.map_err(|error| format!("{error:#}")));
        };
        record();
        self.threads.every("updates", UPDATES_EVERY, record)
    }

    /// Has the machine attested now, and from then on each day.
    fn attest(
        &mut self,
        keystore: Arc<Keystore>,
        attestor: Option<Arc<Attestor>>,
    ) -> io::Result<()> {
        let Some(attestor) = attestor else {
            return Ok(());
        };
        let mut trouble = Trouble::new(
            "attestations cannot be recorded",
            "attestations are recorded again",
        );
        let mut due = Instant::now();
        self.threads
            .every("attestation", ATTESTATION_CHECK_EVERY, move || {
                if Instant::now() < due {
                    return;
                }
                let recorded = attestor.record(&keystore);
                due = Instant::now() + next_attestation(matches!(recorded, Ok(true)));
                trouble.tell(&recorded.map_err(|error| format!("{error:#}")));
            })
    }

    /// Renews the certificate that is shown whenever it is due.
    fn renew(&mut self, keystore: Arc<Keystore>, renewal: Arc<Renewal>) -> io::Result<()> {
        let mut trouble = Trouble::new(
            "the certificate cannot be renewed",
            "the certificate is renewed again",
        );
        let mut due = Instant::now();
        self.threads.every("renewal", RENEWAL_EVERY, move || {
            if Instant::now() < due {
                return;
            }
            let renewed = renewal.if_due(&keystore);
            trouble.tell(&renewed);
            if renewed.is_err() {
                due = Instant::now() + RENEWED_AGAIN;
            }
        })
    }

    /// Stops them, each after what it is doing.
    pub(crate) fn stop(self) {
        // A backup that is being made is given up.
        self.stopping.store(true, Ordering::Relaxed);
        self.threads.stop();
    }
}

/// What goes on whether the appliance serves or not.
pub(crate) struct Housekeeping(Threads);

impl Housekeeping {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(
        limits: Arc<SignInLimits>,
        metrics: Arc<PrometheusHandle>,
        gate: Arc<Gate>,
        credentials: Credentials,
    ) -> io::Result<Self> {
        let mut threads = Threads::default();
        threads.every("limits", FORGET_EVERY, move || limits.forget_idle())?;
        threads.every("metrics", METRICS_UPKEEP_EVERY, move || {
            metrics.run_upkeep();
        })?;
        threads.every("certificates", CREDENTIALS_EVERY, move || {
            credentials.look();
        })?;
        threads.every("minutes", MINUTE, move || {
            let statistics = gate.statistics();
            minutes::end_minute(statistics.map_or(0, |statistics| statistics.queued_acts));
        })?;
        Ok(Self(threads))
    }

    /// Stops them.
    pub(crate) fn stop(self) {
        self.0.stop();
    }
}

/// What goes wrong again and again, told once, and once more when it is over.
pub(crate) struct Trouble {
    /// What does not work.
    failing: &'static str,
    /// That it does again.
    working: &'static str,
    told: Option<String>,
}

impl Trouble {
    pub(crate) fn new(failing: &'static str, working: &'static str) -> Self {
        Self {
            failing,
            working,
            told: None,
        }
    }

    /// Takes how it went this time.
    pub(crate) fn tell<T, E: Display>(&mut self, outcome: &Result<T, E>) {
        let now = outcome.as_ref().err().map(ToString::to_string);
        match (&now, &self.told) {
            (Some(error), before) if before.as_ref() != Some(error) => {
                tracing::error!(error, "{}", self.failing);
            }
            (None, Some(_)) => tracing::info!("{}", self.working),
            _ => {}
        }
        self.told = now;
    }
}

/// When the machine is attested again.
const fn next_attestation(is_attested: bool) -> Duration {
    if is_attested {
        ATTESTED_EVERY
    } else {
        ATTESTED_AGAIN
    }
}

/// How often a rotation's step is made, and how many records it moves, so that it moves this many in a second.
fn rotation_step(rate: NonZeroU32) -> (Duration, u32) {
    let steps = rate.get().min(ROTATION_STEPS);
    (Duration::from_secs(1) / steps, rate.get() / steps)
}

/// Moves at most so many records to rotated KEKs.
fn rotate(keystore: &Keystore, records: u32) -> Result<(), strongroom_keystore::Error> {
    let moved = keystore.rewrap_some(records)?;
    if moved < records {
        keystore.reseal_some(records - moved)?;
    }
    Ok(())
}

impl Threads {
    /// A thread that does `work` again and again until they are stopped.
    pub(crate) fn every(
        &mut self,
        name: &str,
        interval: Duration,
        mut work: impl FnMut() + Send + 'static,
    ) -> io::Result<()> {
        let (stop, stopped) = channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || repeat(&stopped, interval, &mut work))?;
        self.0.push((stop, thread));
        Ok(())
    }

    /// Stops them, each after what it is doing.
    pub(crate) fn stop(self) {
        let threads: Vec<_> = self.0.into_iter().map(|(_, thread)| thread).collect();
        for thread in threads {
            // Its work catches its own panics.
            let _ = thread.join();
        }
    }
}

fn repeat(stopped: &Receiver<()>, interval: Duration, work: &mut impl FnMut()) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
        // The panic hook has logged it; the next round may do better.
        let _ = catch_unwind(AssertUnwindSafe(&mut *work));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_rotation_goes_at_its_rate() {
        for rate in [1, 3, 9, 10, 500, 100_000] {
            let (step, records) = rotation_step(NonZeroU32::new(rate).unwrap());
            let in_a_second = f64::from(records) / step.as_secs_f64();
            assert!((in_a_second / f64::from(rate) - 1.0).abs() < 0.01, "{rate}");
        }
    }

    #[test]
    fn work_goes_on_after_a_panic_until_it_is_stopped() {
        let rounds = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&rounds);
        let mut threads = Threads::default();
        let work = move || {
            assert!(
                counted.fetch_add(1, Ordering::SeqCst) != 1,
                "the second round"
            );
        };
        threads
            .every("test", Duration::from_millis(1), work)
            .unwrap();
        while rounds.load(Ordering::SeqCst) < 5 {
            thread::yield_now();
        }
        threads.stop();
        let stopped = rounds.load(Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(rounds.load(Ordering::SeqCst), stopped);
    }
}
