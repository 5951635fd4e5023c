//! When the scrub runs, and what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;

use crate::config::Config;
use crate::domains::Domains;

/// How often is looked whether a scrub is due.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after it began to serve the first one is due.
const FIRST_AFTER: Duration = Duration::from_mins(5);
/// How long it pauses after each page, so that it takes no more than a part of a processor.
const PAUSE: Duration = Duration::from_millis(2);

/// The scrubs of all domains.
pub(super) struct Scrubs {
    domains: Arc<Domains>,
    /// The folder with the scratch file.
    scratch: PathBuf,
    every: Option<Duration>,
    stopping: Arc<AtomicBool>,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When each domain's began last.
    begun: BTreeMap<u32, Instant>,
    /// What each domain's found last.
    found: BTreeMap<u32, ScrubReport>,
    /// Those that were asked for.
    asked: BTreeSet<u32>,
}

/// What the newest scrubs found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub(crate) struct ScrubReport {
    /// When the newest one ended; none has yet where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Timestamp>,
    /// How many rows were held against the logs.
    pub(crate) rows: u64,
    /// How many do not follow from them.
    pub(crate) findings: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) first: Vec<String>,
    /// Why the newest one did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
}

impl Scrubs {
    pub(super) fn new(config: &Config, domains: &Arc<Domains>, stopping: &Arc<AtomicBool>) -> Self {
        let hours = config.audit.scrub_every_hours;
        Self {
            domains: Arc::clone(domains),
            scratch: config.data.clone(),
            every: (hours > 0).then(|| Duration::from_hours(hours.into())),
            stopping: Arc::clone(stopping),
            began: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// The scrub of this domain is due now.
    pub(super) fn soon(&self, domain: &str) {
        if let Some(number) = self.domains.number_of(domain) {
            self.lock().asked.insert(number);
        }
    }

    /// Of all domains together.
    pub(super) fn report(&self) -> ScrubReport {
        let state = self.lock();
        let mut all = ScrubReport::default();
        for report in state.found.values() {
            all.last = all.last.max(report.last);
            all.rows += report.rows;
            all.findings += report.findings;
            all.first.extend(report.first.iter().cloned());
            all.failed = all.failed.or_else(|| report.failed.clone());
        }
        all
    }

    /// Runs those that are due, one after another.
    pub(super) fn round(&self) {
        for number in self.domains.open_ones(&[]) {
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            if self.is_due(number) {
                self.run(number);
            }
        }
    }

    fn is_due(&self, number: u32) -> bool {
        let mut state = self.lock();
        let asked = state.asked.remove(&number);
        let due = match (self.every, state.begun.get(&number)) {
            (None, _) => false,
            (Some(_), None) => self.began.elapsed() >= FIRST_AFTER,
            (Some(every), Some(begun)) => begun.elapsed() >= every,
        };
        if asked || due {
            state.begun.insert(number, Instant::now());
        }
        asked || due
    }

    fn run(&self, number: u32) {
        let Some(keystore) = self.domains.open_one(number) else {
            return;
        };
        let scrubbed = keystore.scrub(&self.scratch, &mut |_| {
            thread::sleep(PAUSE);
            if self.stopping.load(Ordering::Relaxed) || !self.domains.is_open(number) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let mut state = self.lock();
        let before = state.found.remove(&number).unwrap_or_default();
        let report = match scrubbed {
            // It was asked to stop: what was found before stands.
            Ok(report) if report.stopped => before,
            Ok(report) => {
                tracing::info!(
                    domain = number,
                    rows = report.rows,
                    findings = report.count,
                    "scrubbed"
                );
                ScrubReport {
                    last: Some(SystemClock.now()),
                    rows: report.rows,
                    findings: report.count,
                    first: report
                        .findings
                        .iter()
                        .take(8)
                        .map(ToString::to_string)
                        .collect(),
                    failed: None,
                }
            }
            Err(error) => {
                tracing::error!(domain = number, %error, "the scrub did not come to its end");
                ScrubReport {
                    failed: Some(error.to_string()),
                    ..before
                }
            }
        };
        state.found.insert(number, report);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
