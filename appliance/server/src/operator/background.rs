//! What the appliance does besides answering requests: it signs checkpoints, moves keys to rotated KEKs, makes
//! backups, forgets what has expired, and tends the metrics.

use std::io;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use strongroom_keystore::Keystore;

use crate::auth::limits::SignInLimits;
use crate::backups::Schedule;
use crate::mail::Mailer;
use crate::witness::Witness;

/// A leaf is under a signed checkpoint after about so long.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// Histograms gather what they count until somebody looks or this happens.
const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How often the schedule looks whether a backup is due.
const BACKUP_CHECK_EVERY: Duration = Duration::from_secs(10);
/// How often the outbox is looked into.
const MAIL_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// A rotation goes in steps, so many a second.
const ROTATION_STEPS: u32 = 10;
/// After a failed step a rotation waits so long: the HSM or the database is not well.
const ROTATION_PAUSE: Duration = Duration::from_secs(5);

/// The background threads.
pub(super) struct Background {
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
    stopping: Arc<AtomicBool>,
}

impl Background {
    /// Starts them.
    pub(super) fn start(
        keystore: Arc<Keystore>,
        limits: Arc<SignInLimits>,
        metrics: Arc<PrometheusHandle>,
        rotation_rate: NonZeroU32,
        witness: Arc<Witness>,
        mailer: Option<Mailer>,
        schedule: impl FnOnce(Arc<AtomicBool>) -> Option<Schedule>,
    ) -> io::Result<Self> {
        let signer = Arc::clone(&keystore);
        let rotating = Arc::clone(&keystore);
        let posting = Arc::clone(&keystore);
        let (step, records) = rotation_step(rotation_rate);
        let stopping = Arc::new(AtomicBool::new(false));
        let mut threads = vec![
            every("checkpoints", CHECKPOINT_EVERY, move || {
                if let Err(error) = signer.sign_checkpoint() {
                    tracing::error!(%error, "no checkpoint could be signed");
                }
                if let Err(error) = witness.keep(&signer) {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "the checkpoint could not be kept outside of the database"
                    );
                }
            })?,
            every("rotation", step, move || {
                if let Err(error) = rotate(&rotating, records) {
                    tracing::error!(%error, "a rotation makes no progress and is tried again");
                    thread::sleep(ROTATION_PAUSE);
                }
            })?,
            every("expiry", FORGET_EVERY, move || {
                limits.forget_idle();
                match keystore.forget_expired() {
                    Ok(0) => {}
                    Ok(count) => tracing::debug!(count, "expired things were forgotten"),
                    Err(error) => tracing::error!(%error, "expired things could not be forgotten"),
                }
            })?,
            every("metrics", METRICS_UPKEEP_EVERY, move || {
                metrics.run_upkeep();
            })?,
        ];
        if let Some(mailer) = mailer {
            threads.push(every("mail", MAIL_EVERY, move || {
                if let Err(error) = mailer.send_due(&posting) {
                    tracing::error!(%error, "the outbox cannot be worked through");
                }
            })?);
        }
        if let Some(schedule) = schedule(Arc::clone(&stopping)) {
            threads.push(every("backups", BACKUP_CHECK_EVERY, move || {
                schedule.run();
            })?);
        }
        Ok(Self { threads, stopping })
    }

    /// Stops them, each after what it is doing.
    pub(super) fn stop(self) {
        // A backup that is being made is given up.
        self.stopping.store(true, Ordering::Relaxed);
        let threads: Vec<_> = self.threads.into_iter().map(|(_, thread)| thread).collect();
        for thread in threads {
            // Its work catches its own panics.
            let _ = thread.join();
        }
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

/// A thread that does `work` again and again until the sender is dropped.
fn every(
    name: &str,
    interval: Duration,
    work: impl Fn() + Send + 'static,
) -> io::Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = channel();
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || repeat(&stopped, interval, &work))?;
    Ok((stop, thread))
}

fn repeat(stopped: &Receiver<()>, interval: Duration, work: &impl Fn()) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
        // The panic hook has logged it; the next round may do better.
        let _ = catch_unwind(AssertUnwindSafe(work));
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
        let (stop, thread) = every("test", Duration::from_millis(1), move || {
            assert!(
                counted.fetch_add(1, Ordering::SeqCst) != 1,
                "the second round"
            );
        })
        .unwrap();
        while rounds.load(Ordering::SeqCst) < 5 {
            thread::yield_now();
        }
        drop(stop);
        thread.join().unwrap();
    }
}
