//! The logged-in sessions with a token, shared by all threads, and what happens when one fails.
//!
//! A session serves one call at a time. It is taken out of the pool for that call and put back, unless the call's error says that
//! it may be broken: then it is closed, and another opened when one is needed. A call whose error says
//! that the module did not carry it out (logged out, handle or session gone) is repeated.

use std::{
    sync::{Condvar, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use cryptoki::{
    error::Error,
    session::{Session, SessionState},
};

use super::{
    keys::Handles,
    module::lock,
    rv::{self, Reaction},
    token::{OpenError, Token},
};
use crate::HsmError;

/// How long a caller waits for a session. An HSM call takes milliseconds, so this means that the HSM hangs or drowns.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a call is repeated: once for a lost session and once for a handle that was lost with it.
const REPEATS: u32 = 2;

pub(super) struct Pool {
    token: Token,
    max_sessions: usize,
    patience: Duration,
    state: Mutex<State>,
    returned: Condvar,
    handles: Handles,
}

#[derive(Default)]
struct State {
    idle: Vec<Session>,
    /// How many sessions there are: idle, in use, or being opened.
    open: usize,
    /// Grows when all sessions are given up. One that was taken out before is closed when it comes back.
    generation: u64,
    /// The module's generation in which they were opened.
    module_generation: u64,
}

impl State {
    /// Forgets sessions from before the module was initialised again. They are not closed: their numbers may be others' now.
    fn forget_stale(&mut self, module_generation: u64) -> bool {
        if self.module_generation == module_generation {
            return false;
        }
        self.module_generation = module_generation;
        self.generation += 1;
        self.open -= self.idle.len();
        self.idle.drain(..).for_each(std::mem::forget);
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let module = self.token.module();
        let _inside = module.enter();
        let mut state = lock(&self.state);
        state.forget_stale(module.generation());
        state.idle.clear();
        module.pools().fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(token: Token, max_sessions: usize) -> Self {
        token.module().pools().fetch_add(1, Ordering::Relaxed);
        Self {
            max_sessions: max_sessions.max(1),
            patience: PATIENCE,
            state: Mutex::new(State {
                module_generation: token.module().generation(),
                ..State::default()
            }),
            token,
            returned: Condvar::new(),
            handles: Handles::default(),
        }
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    pub(super) fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Does `act` on a session, again where the module says that it did not carry it out. `act` must be safe to repeat.
    pub(super) fn run<T>(
        &self,
        act: impl Fn(&Session) -> Result<T, CallError>,
    ) -> Result<T, HsmError> {
        let mut repeats = REPEATS;
        loop {
            match self.attempt(&act) {
                Ok(done) => return Ok(done),
                Err((error, repeatable)) if !repeatable || repeats == 0 => return Err(error),
                Err((error, _)) => {
                    tracing::debug!(%error, "repeating a call to the HSM");
                    repeats -= 1;
                }
            }
        }
    }

    /// Does `act` on a session, once: for what must not be done twice.
    pub(super) fn run_once<T>(
        &self,
        act: impl Fn(&Session) -> Result<T, CallError>,
    ) -> Result<T, HsmError> {
        self.attempt(&act).map_err(|(error, _)| error)
    }

    /// Does `act` once and sees to the session. An error comes with whether to repeat the call.
    fn attempt<T>(
        &self,
        act: &impl Fn(&Session) -> Result<T, CallError>,
    ) -> Result<T, (HsmError, bool)> {
        let _inside = self.token.module().enter();
        let lease = self.check_out().map_err(|error| (error, false))?;
        let error = match act(&lease.session) {
            Ok(done) => {
                self.put_back(lease);
                return Ok(done);
            }
            Err(CallError::Known(error)) => {
                self.put_back(lease);
                return Err((error, false));
            }
            Err(CallError::Leftover(error)) => {
                // Closing the session destroys its objects.
                self.discard(lease);
                return Err((self.token.explain(&error), false));
            }
            Err(CallError::Module(error)) => error,
        };
        let explained = self.token.explain(&error);
        match reaction(&lease.session, &error) {
            Reaction::Keep => {
                self.put_back(lease);
                Err((explained, false))
            }
            Reaction::Discard => {
                tracing::warn!(error = %explained, "closing a session with the HSM after a failed call");
                self.discard(lease);
                Err((explained, false))
            }
            Reaction::FindAgain => {
                self.handles.forget();
                self.put_back(lease);
                Err((explained, true))
            }
            Reaction::LogIn => {
                tracing::warn!(
                    token = self.token.name(),
                    "logged out by the HSM; logging in again"
                );
                self.handles.forget();
                match self.token.log_in(&lease.session) {
                    Ok(()) => {
                        self.put_back(lease);
                        Err((explained, true))
                    }
                    Err(refused) => {
                        self.discard(lease);
                        Err((refused, false))
                    }
                }
            }
            Reaction::Reconnect => {
                tracing::warn!(error = %explained, "lost the sessions with the HSM; opening new ones");
                self.give_up(lease);
                Err((explained, true))
            }
        }
    }

    /// Takes an idle session, opens one, or waits for one.
    fn check_out(&self) -> Result<Lease, HsmError> {
        let deadline = Instant::now() + self.patience;
        let mut may_open = true;
        let mut state = lock(&self.state);
        if state.forget_stale(self.token.module().generation()) {
            self.handles.forget();
        }
        loop {
            let generation = state.generation;
            if let Some(session) = state.idle.pop() {
                return Ok(Lease {
                    session,
                    generation,
                });
            }
            if may_open && state.open < self.max_sessions {
                state.open += 1;
                drop(state);
                let opened = self.token.open_session();
                state = lock(&self.state);
                match opened {
                    Ok(session) => {
                        return Ok(Lease {
                            session,
                            generation,
                        });
                    }
                    Err(error) => {
                        state.open -= 1;
                        self.returned.notify_one();
                        match error {
                            OpenError::Failed(error) => return Err(error),
                            // The token allows fewer sessions than the configuration: share those that there are.
                            OpenError::AtLimit if state.open > 0 => may_open = false,
                            OpenError::AtLimit => {
                                return Err(HsmError::Unavailable {
                                    token: self.token.name(),
                                    function: "C_OpenSession".to_owned(),
                                    code: "CKR_SESSION_COUNT: other programs use all its sessions"
                                        .to_owned(),
                                });
                            }
                        }
                    }
                }
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(HsmError::Busy {
                    token: self.token.name(),
                    max_sessions: self.max_sessions,
                    waited: self.patience,
                });
            }
            state = self
                .returned
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            may_open = true;
        }
    }

    fn put_back(&self, lease: Lease) {
        let mut state = lock(&self.state);
        if lease.generation == state.generation {
            state.idle.push(lease.session);
            self.returned.notify_one();
        } else {
            drop(state);
            self.discard(lease);
        }
    }

    fn discard(&self, lease: Lease) {
        drop(lease.session);
        lock(&self.state).open -= 1;
        self.returned.notify_one();
    }

    /// Closes every session and forgets every handle. Done once for each generation, whoever notices first.
    fn give_up(&self, lease: Lease) {
        let mut state = lock(&self.state);
        if lease.generation == state.generation {
            state.generation += 1;
            // Closed while the lock is held, before anyone opens a session: a module may reuse the numbers.
            state.open -= state.idle.len();
            state.idle.clear();
            self.handles.forget();
            self.returned.notify_all();
        }
        drop(state);
        self.discard(lease);
    }
}

/// What becomes of a session and a call. A module may say of a session that it logged out no more than that the call failed: so it is
/// asked.
fn reaction(session: &Session, error: &Error) -> Reaction {
    let reaction = rv::reaction(error);
    if reaction == Reaction::Discard
        && let Ok(info) = session.get_session_info()
        && info.session_state() == SessionState::RwPublic
    {
        return Reaction::LogIn;
    }
    reaction
}

/// A session that is in use, from the generation in which it was opened.
struct Lease {
    session: Session,
    generation: u64,
}

/// How a call on a session failed.
pub(super) enum CallError {
    /// The module answered with an error.
    Module(Error),
    /// We know what is wrong; the session is sound.
    Known(HsmError),
    /// An object with a key in it could not be destroyed.
    Leftover(Error),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Module(error)
    }
}

impl From<HsmError> for CallError {
    fn from(error: HsmError) -> Self {
        Self::Known(error)
    }
}
