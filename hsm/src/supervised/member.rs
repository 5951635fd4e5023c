//! One HSM under supervision: its state, the thread that opens and probes it, and calls on it.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Backend, Change, MemberStatus, OnChange, State, SupervisedConfig,
    runner::{Missed, Runner, lock},
};
use crate::{Hsm, HsmError};

/// How many threads calls leave to probes: those that may be abandoned before calls fail at once are fewer than those that may be at all.
const FOR_PROBES: usize = 4;

/// After how many deadlines an opening that does not end is tried again beside it.
const GIVEN_UP_AFTER: u32 = 12;

/// The least time between two probes that calls ask for.
const BREATH: Duration = Duration::from_millis(250);

pub(super) struct Member {
    backend: Backend,
    config: SupervisedConfig,
    on_change: Arc<OnChange>,
    runner: Runner,
    health: Mutex<Health>,
    /// A call failed, an operator asks, or it is over.
    woken: Condvar,
    /// The versions of each domain's master KEK that it last said it holds.
    versions: Mutex<HashMap<String, Vec<u32>>>,
}

struct Health {
    state: State,
    since: SystemTime,
    /// Kept while it is unusable: it mends its own sessions.
    hsm: Option<Arc<dyn Hsm>>,
    opening: Opening,
    wanted: Wanted,
    /// The PIN was refused: each further attempt brings the token nearer to locking.
    refused: bool,
    closed: bool,
    timed_out: u64,
    opened: u64,
}

/// When a probe is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    InTime,
    /// A call failed.
    Soon,
    /// An operator asks, or a late opening came to its end.
    Now,
}

/// An HSM is opened once at a time, however long it takes: each attempt may offer a PIN, and a token locks itself after a few wrong ones.
enum Opening {
    None,
    /// On its thread since then, perhaps abandoned by the one who asked for it.
    Pending(Instant),
    Done(Result<Arc<dyn Hsm>, HsmError>),
}

impl Member {
    pub(super) fn new(
        backend: Backend,
        config: SupervisedConfig,
        on_change: Arc<OnChange>,
    ) -> Arc<Self> {
        Arc::new(Self {
            runner: Runner::new(
                "hsm-call".to_owned(),
                config.max_calls,
                config.max_abandoned.max(FOR_PROBES + 1),
            ),
            backend,
            config,
            on_change,
            health: Mutex::new(Health {
                state: State::Probing,
                since: SystemTime::now(),
                hsm: None,
                opening: Opening::None,
                wanted: Wanted::InTime,
                refused: false,
                closed: false,
                timed_out: 0,
                opened: 0,
            }),
            woken: Condvar::new(),
            versions: Mutex::default(),
        })
    }

    /// Starts the thread that opens it and opens it again.
    pub(super) fn supervise(member: &Arc<Self>) -> Result<(), HsmError> {
        let watched = Arc::downgrade(member);
        thread::Builder::new()
            .name("hsm-supervisor".to_owned())
            .spawn(move || watch(&watched))
            .map_err(|error| HsmError::Unavailable {
                token: member.backend.name.clone(),
                function: "the system".to_owned(),
                code: format!("no thread: {error}"),
            })?;
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.backend.name
    }

    /// The HSM, when it is usable.
    pub(super) fn usable(&self) -> Option<Arc<dyn Hsm>> {
        let health = lock(&self.health);
        match health.state {
            _ if health.closed => None,
            State::Usable => health.hsm.clone(),
            State::Probing | State::Unusable { .. } => None,
        }
    }

    /// Makes a call, and notices what it says of the HSM.
    pub(super) fn call<T: Send + 'static>(
        &self,
        function: &'static str,
        deadline: Duration,
        act: impl FnOnce() -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, HsmError> {
        let answer = self.run(function, deadline, FOR_PROBES, act);
        if let Err(error) = &answer {
            match error {
                // Every further call would take its whole deadline.
                HsmError::TimedOut { .. } | HsmError::Hanging { .. } => {
                    self.set(State::Unusable {
                        reason: error.clone(),
                    });
                }
                // One session may have broken, or all: a probe tells.
                // So may a key that is not there: a token that is gone may look empty.
                _ if is_outage(error) || matches!(error, HsmError::KeyNotFound { .. }) => {
                    let mut health = lock(&self.health);
                    if health.wanted == Wanted::InTime {
                        health.wanted = Wanted::Soon;
                    }
                    drop(health);
                    self.woken.notify_all();
                }
                _ => {}
            }
        }
        answer
    }

    pub(super) fn remember_versions(&self, domain: &str, versions: &[u32]) {
        lock(&self.versions).insert(domain.to_owned(), versions.to_vec());
    }

    /// What it last said; none when it never did.
    pub(super) fn remembered_versions(&self, domain: &str) -> Option<Vec<u32>> {
        lock(&self.versions).get(domain).cloned()
    }

    pub(super) fn status(&self) -> MemberStatus {
        let (at_work, abandoned) = self.runner.counts();
        let health = lock(&self.health);
        MemberStatus {
            name: self.backend.name.clone(),
            state: health.state.clone(),
            since: health.since,
            serving: false,
            retried: !health.refused,
            at_work,
            abandoned,
            timed_out: health.timed_out,
            opened: health.opened,
        }
    }

    /// What an operator should know when it is not usable.
    pub(super) fn complaint(&self) -> String {
        let health = lock(&self.health);
        match &health.state {
            _ if health.closed => format!("{} is closed", self.backend.name),
            State::Probing => format!("{} is being opened", self.backend.name),
            State::Usable => format!("{} is usable", self.backend.name),
            State::Unusable { reason } => format!("{}: {reason}", self.backend.name),
        }
    }

    pub(super) fn retry_now(&self) {
        let mut health = lock(&self.health);
        if health.refused {
            health.refused = false;
            // Its PIN is read anew.
            health.hsm = None;
        }
        health.wanted = Wanted::Now;
        self.woken.notify_all();
    }

    pub(super) fn close(&self, patience: Duration) {
        let (open, opened) = {
            let mut health = lock(&self.health);
            health.closed = true;
            let opened = std::mem::replace(&mut health.opening, Opening::None);
            (health.hsm.take(), opened)
        };
        self.woken.notify_all();
        // Sessions are closed in the module, which may hang there, too.
        if open.is_some() || matches!(opened, Opening::Done(_)) {
            let _ = self.runner.run(patience, 0, move || drop((open, opened)));
        }
        self.runner.close();
    }

    /// Waits until nothing of ours is in the module any more, which must not be there when the process ends: until the deadline also for
    /// calls that were abandoned.
    pub(super) fn settle(self: &Arc<Self>, deadline: Instant) {
        // The supervising thread holds the member until it ends.
        while Arc::strong_count(self) > 1 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.runner.join(deadline);
    }

    fn run<T: Send + 'static>(
        &self,
        function: &'static str,
        deadline: Duration,
        reserve: usize,
        act: impl FnOnce() -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, HsmError> {
        let missed = match self.runner.run(deadline, reserve, act) {
            Ok(answer) => return answer,
            Err(missed) => missed,
        };
        if missed == Missed::Deadline {
            lock(&self.health).timed_out += 1;
        }
        Err(missed.explain(
            &self.backend.name,
            function,
            deadline,
            self.config.max_calls,
        ))
    }

    /// Opens it, or asks it whether it is still there.
    fn probe(self: &Arc<Self>) {
        let held = lock(&self.health).hsm.clone();
        let outcome = if let Some(hsm) = held.clone() {
            self.run("the probe", self.config.deadline, 0, move || {
                hsm.token_info()?;
                // A session's own call: token information may come from the module's memory.
                hsm.fill_random(&mut [0; 8])?;
                Ok(hsm)
            })
        } else {
            self.open()
        };
        match outcome {
            Ok(hsm) => {
                let mut health = lock(&self.health);
                if health.closed {
                    return;
                }
                health.hsm = Some(hsm);
                drop(health);
                self.set(State::Usable);
            }
            Err(reason) => {
                let mut health = lock(&self.health);
                health.refused |= is_refusal(&reason);
                // Opened anew the next time: what it keeps may be what is broken.
                let gone = matches!(reason, HsmError::TokenNotFound { .. });
                if gone || matches!(health.state, State::Unusable { .. }) {
                    health.hsm = None;
                }
                drop(health);
                self.set(State::Unusable { reason });
            }
        }
    }

    fn open(self: &Arc<Self>) -> Result<Arc<dyn Hsm>, HsmError> {
        const FUNCTION: &str = "its opening";
        let deadline = self.config.deadline;
        let mut health = lock(&self.health);
        match std::mem::replace(&mut health.opening, Opening::Pending(Instant::now())) {
            Opening::Done(outcome) => {
                health.opening = Opening::None;
                return outcome;
            }
            Opening::Pending(since) if since.elapsed() < deadline * GIVEN_UP_AFTER => {
                health.opening = Opening::Pending(since);
                return Err(Missed::Deadline.explain(
                    &self.backend.name,
                    FUNCTION,
                    since.elapsed(),
                    self.config.max_calls,
                ));
            }
            Opening::Pending(_) | Opening::None => {}
        }
        drop(health);
        let member = Arc::clone(self);
        let ended = self.run(FUNCTION, deadline, 0, move || {
            let outcome = (member.backend.open)();
            let mut health = lock(&member.health);
            if health.closed {
                drop(health);
                // Its sessions with it.
                drop(outcome);
                return Ok(());
            }
            health.opening = Opening::Done(outcome);
            // Whoever asked may have gone: then the supervising thread comes back for it.
            health.wanted = Wanted::Now;
            drop(health);
            member.woken.notify_all();
            Ok(())
        });
        let mut health = lock(&self.health);
        match (ended, std::mem::replace(&mut health.opening, Opening::None)) {
            (_, Opening::Done(outcome)) => {
                health.wanted = Wanted::InTime;
                outcome
            }
            (Err(error @ HsmError::TimedOut { .. }), pending) => {
                health.opening = pending;
                Err(error)
            }
            (Err(error), _) => Err(error),
            // The call stores what it returns.
            (Ok(()), _) => Err(Missed::Panicked.explain(
                &self.backend.name,
                FUNCTION,
                deadline,
                self.config.max_calls,
            )),
        }
    }

    fn set(&self, to: State) {
        let at = SystemTime::now();
        let mut health = lock(&self.health);
        if health.closed {
            return;
        }
        if health.state.word() == to.word() {
            // The reason may be another; since when stays.
            health.state = to;
            return;
        }
        let from = std::mem::replace(&mut health.state, to.clone());
        health.since = at;
        if to == State::Usable {
            health.opened += 1;
        } else {
            // A watcher that waits for the next regular check begins to try again.
            self.woken.notify_all();
        }
        drop(health);
        let name = &self.backend.name;
        match &to {
            State::Usable => tracing::info!(hsm = name, "the HSM is usable"),
            State::Unusable { reason } => {
                tracing::error!(hsm = name, %reason, "the HSM is unusable");
            }
            State::Probing => {}
        }
        (self.on_change)(&Change {
            name: name.clone(),
            from,
            to,
            at,
        });
    }

    /// Waits for the time of the next probe. False when there is none any more.
    fn wait(&self) -> bool {
        let started = Instant::now();
        let jitter = self.config.retry.mul_f64(f64::from(random_byte()) / 512.0);
        let mut health = lock(&self.health);
        loop {
            if health.closed {
                return false;
            }
            let due = match health.state {
                _ if health.wanted == Wanted::Now => Some(Duration::ZERO),
                // Only an operator has one tried again that refused the PIN.
                _ if health.refused => None,
                State::Usable if health.wanted == Wanted::Soon => Some(BREATH),
                State::Usable => Some(self.config.check),
                State::Probing | State::Unusable { .. } => Some(self.config.retry + jitter),
            };
            let left = due.map(|due| due.saturating_sub(started.elapsed()));
            if left == Some(Duration::ZERO) {
                health.wanted = Wanted::InTime;
                return true;
            }
            health = if let Some(left) = left {
                let waited = self.woken.wait_timeout(health, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let woken = self.woken.wait(health);
                woken.unwrap_or_else(PoisonError::into_inner)
            };
        }
    }
}

/// The supervising thread. It ends when the member is closed or gone.
fn watch(member: &Weak<Member>) {
    loop {
        let Some(member) = member.upgrade() else {
            return;
        };
        member.probe();
        if !member.wait() {
            return;
        }
    }
}

/// Whether an error tells of the HSM itself, not of the call.
fn is_outage(error: &HsmError) -> bool {
    is_refusal(error)
        || matches!(
            error,
            HsmError::Unavailable { .. }
                | HsmError::TimedOut { .. }
                | HsmError::Hanging { .. }
                | HsmError::ModuleNotFound { .. }
                | HsmError::TokenNotFound { .. }
                | HsmError::TokenAmbiguous { .. }
        )
}

/// Whether the HSM refused to let us in, so that trying again does harm.
fn is_refusal(error: &HsmError) -> bool {
    matches!(
        error,
        HsmError::PinIncorrect { .. }
            | HsmError::PinLocked { .. }
            | HsmError::PinUnusable { .. }
            | HsmError::AuthKeyRefused { .. }
    )
}

/// Whether another HSM with the same keys may do what this one did not.
pub(super) fn another_may_do_it(error: &HsmError) -> bool {
    is_outage(error)
        || matches!(
            error,
            HsmError::KeyNotFound { .. } | HsmError::SchemeUnknown { .. } | HsmError::Busy { .. }
        )
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without randomness there is no jitter, which one appliance can do without.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}
