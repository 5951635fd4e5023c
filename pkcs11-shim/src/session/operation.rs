//! Operations under way: one of each kind in a session.
//!
//! While a call works on one it is taken out, and no lock is held. Another thread that calls for the same operation meanwhile is refused.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptoki_sys::{CKR_BUFFER_TOO_SMALL, CKR_OPERATION_ACTIVE, CKR_OPERATION_NOT_INITIALIZED};

use super::output::Given;
use crate::error::{CkResult, fail};

/// The place of an operation.
pub(crate) struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Idle,
    Active(T),
    /// A call works on it. It does not come back where it was cancelled meanwhile.
    Busy,
}

impl<T> Slot<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State::Idle))
    }

    /// Refuses where there is an operation.
    pub(crate) fn check_idle(&self) -> CkResult<()> {
        match *self.state() {
            State::Idle => Ok(()),
            _ => fail(
                CKR_OPERATION_ACTIVE,
                "an operation of this kind is under way",
            ),
        }
    }

    /// Begins an operation.
    pub(crate) fn begin(&self, operation: T) -> CkResult<()> {
        let mut state = self.state();
        match *state {
            State::Idle => {
                *state = State::Active(operation);
                Ok(())
            }
            _ => fail(
                CKR_OPERATION_ACTIVE,
                "an operation of this kind is under way",
            ),
        }
    }

    /// Works on the operation by a call that does not end it. A failure does, but for a buffer that is too small.
    pub(crate) fn go_on<R>(&self, work: impl FnOnce(&mut T) -> CkResult<R>) -> CkResult<R> {
        let (mut taken, mut operation) = self.take()?;
        let outcome = work(&mut operation);
        if !matches!(&outcome, Err(error) if error.rv != CKR_BUFFER_TOO_SMALL) {
            taken.give_back(operation);
        }
        outcome
    }

    /// Works on the operation by a call that ends it, unless it asked for a length or had a buffer that is too small.
    pub(crate) fn finish(&self, work: impl FnOnce(&mut T) -> CkResult<Given>) -> CkResult<()> {
        let (mut taken, mut operation) = self.take()?;
        let outcome = work(&mut operation);
        let goes_on = match &outcome {
            Ok(given) => *given == Given::Length,
            Err(error) => error.rv == CKR_BUFFER_TOO_SMALL,
        };
        if goes_on {
            taken.give_back(operation);
        }
        outcome.map(|_| ())
    }

    /// Ends it, whatever it was doing. Says whether there was one.
    pub(crate) fn cancel(&self) -> bool {
        !matches!(
            std::mem::replace(&mut *self.state(), State::Idle),
            State::Idle
        )
    }

    /// Looks at it.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        match &mut *self.state() {
            State::Active(operation) => Some(look(operation)),
            _ => None,
        }
    }

    fn take(&self) -> CkResult<(Taken<'_, T>, T)> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Busy) {
            State::Active(operation) => Ok((Taken { slot: self }, operation)),
            State::Idle => {
                *state = State::Idle;
                fail(
                    CKR_OPERATION_NOT_INITIALIZED,
                    "no operation of this kind is under way",
                )
            }
            State::Busy => fail(
                CKR_OPERATION_ACTIVE,
                "another thread works on this operation",
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of an operation that was taken out. It is free again where nobody gives it back: after a failure, or a panic.
struct Taken<'a, T> {
    slot: &'a Slot<T>,
}

impl<T> Taken<'_, T> {
    fn give_back(&mut self, operation: T) {
        let mut state = self.slot.state();
        // It may have been cancelled meanwhile.
        if matches!(*state, State::Busy) {
            *state = State::Active(operation);
        }
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        if matches!(*state, State::Busy) {
            *state = State::Idle;
        }
    }
}
