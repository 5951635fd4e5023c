//! Closing the gate: when an operator seals the appliance, and when it stops.

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use strongroom_wire::health::State;

use super::{Gate, Name, Phase, Serving, lock};

/// How long requests that are being answered are waited for while the appliance is sealed.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// What sealing did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// What it was before.
    pub(crate) was: State,
    /// The leaf that says so; none when it did not serve, or the storage did not take it.
    pub(crate) leaf: Option<u64>,
    /// Whether the last checkpoint was signed and kept.
    pub(crate) checkpoint: bool,
    /// Requests that were still being answered. What they hold goes with them.
    pub(crate) requests_left: usize,
    /// What did not work, a sentence each. It is sealed all the same.
    pub(crate) problems: Vec<String>,
}

impl Gate {
    /// Seals the appliance: forgets the PINs, every cached KEK, every sign-in that is under way and the domain's keys, and closes the sessions with the
    /// HSM. Before that, a leaf says so and is signed. `by` is who did it. Whatever of this fails, the appliance is sealed.
    pub(crate) fn seal(&self, by: &str) -> Sealed {
        let phase = mem::replace(&mut *self.lock(), Phase::new(Name::Closing));
        self.changed.notify_all();
        let mut sealed = Sealed {
            was: phase.state(),
            leaf: None,
            checkpoint: false,
            requests_left: 0,
            problems: Vec::new(),
        };
        let why = match phase.name {
            // What was closed stays closed, and its reason with it.
            Name::Sealed { why } => why,
            Name::Closing => return sealed,
            Name::Opening { hsm, .. } => {
                hsm.close();
                format!("{by} sealed it")
            }
            Name::Serving(serving) => {
                // Requests that are under way can still fetch a few: those go at the end.
                serving.keystore.wipe();
                serving.domains.close_all(Some(by));
                match serving.keystore.record_seal(by) {
                    Ok(leaf) => sealed.leaf = Some(leaf),
                    Err(error) => {
                        let problem = format!("no leaf says that it was sealed: {error}");
                        sealed.problems.push(problem);
                    }
                }
                self.shut(serving, LAST_REQUESTS, &mut sealed);
                format!("{by} sealed it")
            }
        };
        self.estate.forget();
        let mut phase = self.lock();
        // The process may be ending.
        if matches!(phase.name, Name::Closing) {
            self.seal_because(&mut phase, why);
        }
        sealed
    }

    /// Closes the gate for good, once no request is being answered any more.
    pub(crate) fn close(&self) {
        let phase = mem::replace(&mut *self.lock(), Phase::new(Name::Closing));
        self.changed.notify_all();
        match phase.name {
            Name::Sealed { .. } | Name::Closing => tracing::info!("stopped"),
            Name::Opening { hsm, .. } => {
                hsm.close();
                tracing::info!("stopped");
            }
            Name::Serving(serving) => {
                let mut closed = Sealed {
                    was: State::Serving,
                    leaf: None,
                    checkpoint: false,
                    requests_left: 0,
                    problems: Vec::new(),
                };
                self.shut(serving, Duration::ZERO, &mut closed);
                match closed.problems.first() {
                    None => tracing::info!("stopped"),
                    Some(error) => tracing::error!(error, "stopped without a last checkpoint"),
                }
            }
        }
        self.estate.forget();
        if let Some(opener) = lock(&self.opener).take() {
            // It sees by the phase that it is over.
            let _ = opener.join();
        }
    }

    /// Signs and keeps the last checkpoint, closes the HSMs, and ends all that holds the keystore.
    fn shut(&self, serving: Serving, patience: Duration, outcome: &mut Sealed) {
        let Serving {
            keystore,
            hsm,
            background,
            domains,
            beats,
            watch,
        } = serving;
        watch.begin_to_stop();
        domains.close_all(None);
        beats.stop();
        let signed = keystore.sign_checkpoint().map_err(anyhow::Error::from);
        match signed.and_then(|_| self.kept.keep(&keystore)) {
            Ok(()) => outcome.checkpoint = true,
            Err(error) => outcome
                .problems
                .push(format!("the last checkpoint was not signed: {error:#}")),
        }
        hsm.close();
        background.stop();
        // Nobody outside is waited for before what is open is gone.
        keystore.wipe();
        watch.stop();
        drop(hsm);
        let deadline = Instant::now() + patience;
        // Only requests still have them: one that waits for its domain to open has all of them.
        while others(&keystore) + others(&domains) > 1 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        // The domains have the first one's keystore.
        outcome.requests_left = others(&keystore).saturating_sub(1) + others(&domains);
        // What requests fetched until the HSM was closed. The domain's keys go with the keystore.
        keystore.wipe();
    }
}

fn others<T>(shared: &Arc<T>) -> usize {
    Arc::strong_count(shared) - 1
}
