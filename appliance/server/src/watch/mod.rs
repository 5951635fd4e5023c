//! Who has something of the appliance besides those who ask: witnesses that cosign checkpoints, receivers such as a site's SIEM, the target of backups;
//! and the scrub.
//!
//! | file | what is in it |
//! |---|---|
//! | `witnesses` | submitting checkpoints to witnesses (C2SP `tlog-witness`) |
//! | `siem` | feeding leaves to receivers: the cursor |
//! | `deposits` | sending backups to their target |
//! | `message` | a leaf as a message of RFC 5424, with structured data or in CEF |
//! | `scrubs` | when the scrub runs, and what it found |
//!
//! Each witness, each receiver, the target and the scrub has a thread of its own: one that hangs holds up no other and no request. What becomes of them is in
//! the reports, which `status`, `/metrics` and `/v1/health` show.
//!
//! What must never happen here: a domain kept open while somebody outside is waited for.

mod deposits;
mod message;
mod scrubs;
mod siem;
mod witnesses;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;

use crate::background::Threads;
use crate::config::Config;
use crate::domains::Domains;

pub(crate) use scrubs::ScrubReport;

/// Everything that watches.
pub(crate) struct Watch {
    threads: Threads,
    stopping: Arc<AtomicBool>,
    board: Arc<Board>,
    scrubs: Arc<scrubs::Scrubs>,
}

/// What is reported.
#[derive(Default)]
struct Board {
    witnesses: Mutex<Vec<OutsideReport>>,
    receivers: Mutex<Vec<OutsideReport>>,
    targets: Mutex<Vec<OutsideReport>>,
}

/// How somebody outside is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub(crate) struct OutsideReport {
    /// Its name: a witness's, the receiver's in the configuration, or the host of the target of backups.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) address: String,
    /// Since when it fails, and why; absent while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failing: Option<Failing>,
    /// When it last took something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Timestamp>,
    /// How many leaves of the first domain it has: what a witness has cosigned, what a receiver has confirmed. Of the target, how many backups.
    pub(crate) leaves: u64,
    /// How many of all domains it lacks.
    pub(crate) behind: u64,
}

/// Since when somebody outside fails, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Failing {
    pub(crate) since: Timestamp,
    pub(crate) reason: String,
}

/// Everything that is reported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub(crate) struct Report {
    /// The witnesses, in the order of the configuration.
    pub(crate) witnesses: Vec<OutsideReport>,
    /// The receivers, in the order of the configuration.
    pub(crate) siem: Vec<OutsideReport>,
    /// The target of backups, if there is one.
    #[serde(default)]
    pub(crate) backup_targets: Vec<OutsideReport>,
    /// The newest scrubs of all domains together.
    pub(crate) scrub: ScrubReport,
}

impl Report {
    /// How many witnesses fail.
    pub(crate) fn failing_witnesses(&self) -> u64 {
        failing(&self.witnesses)
    }

    /// How many receivers fail.
    pub(crate) fn failing_receivers(&self) -> u64 {
        failing(&self.siem)
    }
}

fn failing(reports: &[OutsideReport]) -> u64 {
    reports
        .iter()
        .filter(|report| report.failing.is_some())
        .count() as u64
}

impl Watch {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none, or what the configuration names cannot be used.
    pub(crate) fn start(config: &Config, domains: &Arc<Domains>) -> anyhow::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let board = Arc::new(Board::default());
        let scrubs = Arc::new(scrubs::Scrubs::new(config, domains, &stopping));
        let mut watch = Self {
            threads: Threads::default(),
            stopping,
            board,
            scrubs,
        };
        match watch.start_threads(config, domains) {
            Ok(()) => Ok(watch),
            Err(error) => {
                watch.stop();
                Err(error)
            }
        }
    }

    fn start_threads(&mut self, config: &Config, domains: &Arc<Domains>) -> anyhow::Result<()> {
        for (number, witness) in config.witness.iter().enumerate() {
            let mut submitter = witnesses::Submitter::new(witness, domains)?;
            let board = Arc::clone(&self.board);
            put(&board.witnesses, number, submitter.report().clone());
            let stopping = Arc::clone(&self.stopping);
            self.threads
                .every(&format!("witness-{number}"), witnesses::EVERY, move || {
                    submitter.round(&stopping);
                    put(&board.witnesses, number, submitter.report().clone());
                })?;
        }
        for (number, receiver) in config.siem.iter().enumerate() {
            let mut feed = siem::Feed::new(receiver, &config.name, domains)?;
            let board = Arc::clone(&self.board);
            put(&board.receivers, number, feed.report().clone());
            let stopping = Arc::clone(&self.stopping);
            self.threads
                .every(&format!("siem-{number}"), siem::EVERY, move || {
                    feed.round(&stopping);
                    put(&board.receivers, number, feed.report().clone());
                })?;
        }
        if let Some(target) = &config.backup.target {
            let mut deposits = deposits::Deposits::new(config, target)?;
            let board = Arc::clone(&self.board);
            put(&board.targets, 0, deposits.report().clone());
            let stopping = Arc::clone(&self.stopping);
            self.threads
                .every("backup-target", deposits::EVERY, move || {
                    deposits.round(&stopping);
                    put(&board.targets, 0, deposits.report().clone());
                })?;
        }
        let scrubs = Arc::clone(&self.scrubs);
        self.threads
            .every("scrub", scrubs::LOOK_EVERY, move || scrubs.round())?;
        Ok(())
    }

    /// What there is to report.
    pub(crate) fn report(&self) -> Report {
        let get = |reports: &Mutex<Vec<OutsideReport>>| {
            reports
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        Report {
            witnesses: get(&self.board.witnesses),
            siem: get(&self.board.receivers),
            backup_targets: get(&self.board.targets),
            scrub: self.scrubs.report(),
        }
    }

    /// The scrub of this domain runs as soon as it can.
    pub(crate) fn scrub_soon(&self, domain: &str) {
        self.scrubs.soon(domain);
    }

    /// They begin nothing more.
    pub(crate) fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Stops them, each after what it is doing; none waits for anybody outside longer than some seconds.
    pub(crate) fn stop(self) {
        self.begin_to_stop();
        self.threads.stop();
    }
}

fn put(reports: &Mutex<Vec<OutsideReport>>, number: usize, report: OutsideReport) {
    let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
    if reports.len() <= number {
        reports.resize(number + 1, OutsideReport::default());
    }
    reports[number] = report;
}

/// When something that failed is tried again: after a second, and after twice as long each time, up to a limit.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    until: Option<std::time::Instant>,
}

impl BackOff {
    const FIRST: std::time::Duration = std::time::Duration::from_secs(1);
    const LONGEST: std::time::Duration = std::time::Duration::from_mins(1);

    pub(crate) fn waits(&self) -> bool {
        self.until
            .is_some_and(|until| std::time::Instant::now() < until)
    }

    fn worked(&mut self) {
        *self = Self::default();
    }

    fn failed(&mut self) {
        let wait = Self::FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(std::time::Instant::now() + wait);
    }
}

impl OutsideReport {
    /// How an attempt ended, and so when the next one is made.
    pub(crate) fn tell(&mut self, what: &str, ended: anyhow::Result<()>, back_off: &mut BackOff) {
        let now = SystemClock.now();
        match ended {
            Ok(()) => {
                back_off.worked();
                self.works(what, now);
            }
            Err(error) => {
                back_off.failed();
                self.fails(what, now, format!("{error:#}"));
            }
        }
    }

    /// It works; says so in the log where it did not.
    fn works(&mut self, what: &str, now: Timestamp) {
        self.last = Some(now);
        if self.failing.take().is_some() {
            tracing::info!(name = self.name, "{what} works again");
        }
    }

    /// It does not; says so in the log, once for each reason.
    fn fails(&mut self, what: &str, now: Timestamp, reason: String) {
        let before = self.failing.as_ref();
        if before.is_none_or(|failing| failing.reason != reason) {
            tracing::error!(name = self.name, reason, "{what} fails");
        }
        let since = before.map_or(now, |failing| failing.since);
        self.failing = Some(Failing { since, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_a_limit_and_ends_with_success() {
        let mut back_off = BackOff::default();
        assert!(!back_off.waits());
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let before = std::time::Instant::now();
            back_off.failed();
            let until = back_off.until.map(|until| (until - before).as_secs());
            assert!(
                until.is_some_and(|until| (expected..=expected + 1).contains(&until)),
                "{expected}"
            );
            assert!(back_off.waits());
        }
        back_off.worked();
        assert!(!back_off.waits());
    }

    #[test]
    fn it_is_told_since_when_somebody_fails() {
        let mut report = OutsideReport::default();
        let at = Timestamp::from_millis;
        report.fails("it", at(1), "away".to_owned());
        report.fails("it", at(2), "wrong".to_owned());
        let failing = Failing {
            since: at(1),
            reason: "wrong".to_owned(),
        };
        assert_eq!(report.failing, Some(failing));
        report.works("it", at(3));
        assert_eq!((report.failing, report.last), (None, Some(at(3))));
    }
}
