//! Feeding leaves to a receiver: syslog over TLS (RFC 5425), from a cursor that is in the database.
//!
//! Syslog has no acknowledgements: what was written to a connection that breaks may have arrived or not. So the cursor moves only over what the
//! receiver has read to the end. After some messages the feed ends the connection in order (a TLS `close_notify`, and nothing more to come) and waits
//! for the receiver to do the same, which it does when it has read everything before it. If it does not, or the connection breaks, the cursor stays and
//! those messages are sent again: each leaf arrives at least once, in the log's order, and has its index, by which a receiver drops what it has.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::message::Style;
use super::{BackOff, OutsideReport};
use crate::config::Siem;
use crate::domains::{Domains, FIRST};
use crate::syslog::{Receiver, finish};

/// How often is looked whether there are new leaves.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// How many leaves are read at once.
const PAGE: u32 = 500;
/// After so many messages, or so long, the connection is ended and begun again: what is sent again at most.
const MOST_MESSAGES: u64 = 5000;
const LONGEST: Duration = Duration::from_secs(5);

const WHAT: &str = "a receiver of the audit log";

/// Feeds one receiver the logs of all open domains.
pub(super) struct Feed {
    name: String,
    receiver: Receiver,
    style: Style,
    only: Vec<String>,
    domains: Arc<Domains>,
    back_off: BackOff,
    report: OutsideReport,
}

impl Feed {
    /// # Errors
    /// When the certificates that the configuration names cannot be used.
    pub(super) fn new(receiver: &Siem, host: &str, domains: &Arc<Domains>) -> anyhow::Result<Self> {
        let name = &receiver.name;
        Ok(Self {
            name: name.clone(),
            receiver: Receiver::new(receiver)?,
            style: Style {
                format: receiver.format,
                facility: receiver.facility,
                host: host.to_owned(),
            },
            only: receiver.domains.clone(),
            domains: Arc::clone(domains),
            back_off: BackOff::default(),
            report: OutsideReport {
                name: name.clone(),
                address: receiver.address.clone(),
                ..OutsideReport::default()
            },
        })
    }

    pub(super) fn report(&self) -> &OutsideReport {
        &self.report
    }

    /// Sends what is new of each domain.
    pub(super) fn round(&mut self, stopping: &AtomicBool) {
        let mut behind = 0;
        for number in self.domains.open_ones(&self.only) {
            if !self.back_off.waits() && !stopping.load(Ordering::Relaxed) {
                match self.deliver(number, stopping) {
                    Ok(false) => {}
                    delivered => {
                        let ended = delivered.map(drop);
                        self.report.tell(WHAT, ended, &mut self.back_off);
                    }
                }
            }
            behind += self.behind(number);
        }
        self.report.behind = behind;
    }

    fn behind(&mut self, number: u32) -> u64 {
        let Some(keystore) = self.domains.open_one(number) else {
            return 0;
        };
        let (Ok(leaves), Ok(fed)) = (keystore.leaves(), keystore.fed_up_to(&self.name)) else {
            return 0;
        };
        if number == FIRST {
            self.report.leaves = fed;
        }
        leaves.saturating_sub(fed)
    }

    /// Sends new leaves of a domain on a connection of their own. Answers whether there were any.
    fn deliver(&self, number: u32, stopping: &AtomicBool) -> anyhow::Result<bool> {
        let Some((domain, mut next)) = self.open(number)? else {
            return Ok(false);
        };
        let mut leaves = self.page(number, next)?;
        if leaves.is_empty() {
            return Ok(false);
        }
        let (first, began) = (next, Instant::now());
        let mut connection = self.receiver.connect()?;
        while !leaves.is_empty() {
            let mut frames = Vec::new();
            for leaf in &leaves {
                // A gap would be one of the database: it shows to the receiver as well.
                frames.extend(self.style.frame(&domain, leaf));
                next = leaf.index + 1;
            }
            connection
                .write_all(&frames)
                .context("it does not take what is sent")?;
            let over = next - first >= MOST_MESSAGES || began.elapsed() >= LONGEST;
            if over || stopping.load(Ordering::Relaxed) {
                break;
            }
            leaves = self.page(number, next)?;
        }
        finish(connection).context("it does not confirm that it has read what was sent")?;
        if let Some(keystore) = self.domains.open_one(number) {
            keystore.set_fed_up_to(&self.name, next)?;
        }
        Ok(true)
    }

    /// The domain's name and the index of the leaf that comes next.
    fn open(&self, number: u32) -> anyhow::Result<Option<(String, u64)>> {
        let Some(keystore) = self.domains.open_one(number) else {
            return Ok(None);
        };
        let next = keystore.fed_up_to(&self.name)?;
        Ok(Some((keystore.domain().to_owned(), next)))
    }

    fn page(&self, number: u32, next: u64) -> anyhow::Result<Vec<strongroom_keystore::FedLeaf>> {
        match self.domains.open_one(number) {
            Some(keystore) => Ok(keystore.leaves_to_feed(next, PAGE)?),
            None => Ok(Vec::new()),
        }
    }
}
