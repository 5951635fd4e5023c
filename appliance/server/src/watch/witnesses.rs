//! Submitting checkpoints to a witness: `POST /add-checkpoint` of C2SP `tlog-witness`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use strongroom_keystore::{Clock as _, Keystore, SystemClock, WitnessKey};
use ureq::Agent;

use super::{BackOff, OutsideReport};
use crate::config::Witness;
use crate::domains::Domains;
use crate::https::{self, Patience};

/// How often is looked whether there is a new checkpoint.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// How long a submission may take, from looking up the name to the answer's last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;
/// How often one checkpoint is submitted again at once because the witness has seen another tree than was thought.
const CORRECTIONS: usize = 2;

const WHAT: &str = "a witness";

/// Submits the checkpoints of all open domains to one witness.
pub(super) struct Submitter {
    key: WitnessKey,
    url: String,
    only: Vec<String>,
    agent: Agent,
    domains: Arc<Domains>,
    logs: HashMap<u32, Log>,
    report: OutsideReport,
}

/// How a domain's log stands with the witness.
#[derive(Default)]
struct Log {
    /// The size of the tree that the witness has seen, as far as is known.
    known: Option<u64>,
    back_off: BackOff,
    /// Why the newest checkpoint is not cosigned.
    failing: Option<String>,
    behind: u64,
}

impl Submitter {
    /// # Errors
    /// When its authorities' certificates cannot be read.
    pub(super) fn new(witness: &Witness, domains: &Arc<Domains>) -> anyhow::Result<Self> {
        let key = witness.key().map_err(anyhow::Error::msg)?;
        Ok(Self {
            report: OutsideReport {
                name: key.name().to_owned(),
                address: witness.url.clone(),
                ..OutsideReport::default()
            },
            url: format!("{}/add-checkpoint", witness.url.trim_end_matches('/')),
            only: witness.domains.clone(),
            agent: agent(witness)?,
            domains: Arc::clone(domains),
            logs: HashMap::new(),
            key,
        })
    }

    pub(super) fn report(&self) -> &OutsideReport {
        &self.report
    }

    /// Submits what is new of each domain.
    pub(super) fn round(&mut self, stopping: &AtomicBool) {
        let open = self.domains.open_ones(&self.only);
        self.logs.retain(|number, _| open.contains(number));
        for number in open {
            if stopping.load(Ordering::Relaxed) {
                return;
            }
            let mut log = self.logs.remove(&number).unwrap_or_default();
            if !log.back_off.waits() {
                self.submit_new(number, &mut log);
            }
            self.logs.insert(number, log);
        }
        self.report.behind = self.logs.values().map(|log| log.behind).sum();
        let now = SystemClock.now();
        let mut failing: Vec<_> = self
            .logs
            .iter()
            .filter_map(|(number, log)| Some((*number, log.failing.clone()?)))
            .collect();
        failing.sort_unstable();
        match failing.into_iter().next() {
            Some((_, reason)) => self.report.fails(WHAT, now, reason),
            None if self.report.failing.is_some() => {
                let last = self.report.last.unwrap_or(now);
                self.report.works(WHAT, last);
            }
            None => {}
        }
    }

    fn submit_new(&mut self, number: u32, log: &mut Log) {
        match self.submit(number, log) {
            Ok(false) => {}
            Ok(true) => {
                log.back_off.worked();
                log.failing = None;
                self.report.last = Some(SystemClock.now());
            }
            Err(error) => {
                log.back_off.failed();
                log.failing = Some(format!("{error:#}"));
            }
        }
        if number == crate::domains::FIRST {
            self.report.leaves = log.known.unwrap_or(0);
        }
    }

    /// Submits the newest checkpoint of a domain, if the witness has not cosigned it yet. Answers whether it did.
    fn submit(&self, number: u32, log: &mut Log) -> anyhow::Result<bool> {
        for _ in 0..=CORRECTIONS {
            // Nobody is waited for while the domain is held.
            let Some(keystore) = self.domains.open_one(number) else {
                return Ok(false);
            };
            let known = match log.known {
                Some(known) => known,
                None => keystore.cosigned_size(&self.key)?,
            };
            log.known = Some(known);
            let newest = keystore.newest_checkpoint()?.map_or(0, |(size, _)| size);
            log.behind = newest.saturating_sub(known);
            if newest == known {
                return Ok(false);
            }
            if newest < known {
                bail!(
                    "it has cosigned {known} leaves of this log, and the log has {newest}: the log was rolled back"
                );
            }
            let Some(submission) = keystore.submission(known)? else {
                return Ok(false);
            };
            drop(keystore);
            match self.post(&submission.to_body())? {
                Answered::Cosigned(lines) => {
                    let Some(keystore) = self.domains.open_one(number) else {
                        return Ok(false);
                    };
                    self.keep(&keystore, submission.size, &lines)?;
                    log.known = Some(submission.size);
                    log.behind = 0;
                    return Ok(true);
                }
                Answered::Has(size) if size == known => {
                    bail!("it has seen another tree of {size} leaves: the log has two histories")
                }
                Answered::Has(size) => log.known = Some(size),
            }
        }
        bail!("it says each time that it has seen another tree")
    }

    fn keep(&self, keystore: &Keystore, size: u64, lines: &str) -> anyhow::Result<()> {
        keystore.record_cosignature(&self.key, size, lines)?;
        Ok(())
    }

    fn post(&self, body: &str) -> anyhow::Result<Answered> {
        let response = self
            .agent
            .post(&self.url)
            .content_type("text/plain; charset=utf-8")
            .send(body)?;
        let (head, mut body) = response.into_parts();
        let text = body
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_string()
            .context("its answer cannot be read")?;
        match head.status.as_u16() {
            200 => Ok(Answered::Cosigned(text)),
            409 => {
                let size = text.trim_end().parse();
                size.map(Answered::Has)
                    .context("it says that it has seen another tree, and not of which size")
            }
            403 => bail!("it does not trust the key that the log signs with"),
            404 => bail!("it does not know this log"),
            422 => bail!(
                "it says that the tree does not continue the one that it has seen: the log has two histories"
            ),
            status => bail!("it answers with the status {status}"),
        }
    }
}

/// What a witness answered.
enum Answered {
    /// These signature lines.
    Cosigned(String),
    /// It has seen a tree of this size.
    Has(u64),
}

fn agent(witness: &Witness) -> anyhow::Result<Agent> {
    let tls = witness
        .url
        .starts_with("https:")
        .then(|| https::trusting(&witness.ca, None))
        .transpose()
        .context("the authorities of a witness are of no use")?;
    Ok(https::agent(tls, Patience::Whole(DEADLINE)))
}
