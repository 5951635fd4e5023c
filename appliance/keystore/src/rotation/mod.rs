//! Rotation: new versions of the master KEK and of account KEKs, while everything goes on.
//!
//! | module | what lives there |
//! |---|---|
//! | `master` | the master KEK: a new version, wrapping again what older ones wrapped, retiring and destroying them |
//! | `account` | an account's KEK: a new version, and sealing again what older ones sealed |
//! | `status` | how far it is |
//!
//! A rotation begins with an act that makes the new version, which is used from then on. What the old one holds is moved in small steps by
//! whoever calls [`Keystore::rewrap_some`] and [`Keystore::reseal_some`] again and again: each reads a few records, does the cryptography
//! outside of any transaction, and replaces in one act those that are still as they were read. What is left follows from the records
//! alone, so a step that was killed is simply done again. The last step records the end.
//!
//! A record that does not match its seal is left as it is, and keeps its rotation from ending: so it can be restored
//! from a backup while the KEK that opens it is still there.

mod account;
mod master;
mod status;

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use strongroom_wire::audit::Act;
use strongroom_wire::id::{AccountId, KeyId};

use crate::act::Scope;
use crate::error::Error;

pub(crate) use account::begin_kek_rotation;
pub(crate) use status::left;

/// How long damaged records are left alone before they are tried again.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// How often the HSM is asked which master KEK is the newest: a second HSM may have got it meanwhile.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The HSM has not been asked for its newest master KEK since that may have changed. Versions begin with 1.
const NOT_ASKED: u32 = 0;

/// What this process knows of rotations. It all follows from the records; none of it needs to survive.
#[derive(Default)]
pub(crate) struct Rotation {
    /// Shared by whoever wraps a new account KEK until its record is written; exclusive for whoever makes or retires a version of the
    /// master KEK. So no record wrapped by an older version appears behind the back of what looks for such.
    wrapping: RwLock<()>,
    /// The newest version of the master KEK, or [`NOT_ASKED`].
    newest: AtomicU32,
    /// This process has begun a rotation of the master KEK, or has just begun to serve and does not know whether one is under way.
    may_rotate: AtomicBool,
    master: Mutex<master::Pass>,
    account: Mutex<account::Passes>,
    /// How many account KEKs, and how many sealed values, did not match their seals when they were last tried.
    damaged_keks: AtomicU64,
    damaged_seals: AtomicU64,
}

impl Rotation {
    /// Held from wrapping a new account KEK until its record is written.
    pub(crate) fn wrapping(&self) -> RwLockReadGuard<'_, ()> {
        self.wrapping.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn versions_change(&self) -> RwLockWriteGuard<'_, ()> {
        self.wrapping
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest master KEK may be another now.
    pub(crate) fn forget_newest(&self) {
        self.may_rotate.store(true, Ordering::Relaxed);
        self.newest.store(NOT_ASKED, Ordering::Relaxed);
    }

    fn master(&self) -> MutexGuard<'_, master::Pass> {
        // A panic during a step leaves a place in the records behind from which the next goes on.
        self.master.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> MutexGuard<'_, account::Passes> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records of one pass that do not match their seals.
struct Damaged<P> {
    /// In this pass.
    count: u64,
    /// In the last whole pass.
    last: u64,
    /// Those that have been logged: once in the life of the process.
    logged: HashSet<P>,
    /// When to try them again.
    again: Option<Instant>,
}

impl<P> Default for Damaged<P> {
    fn default() -> Self {
        Self {
            count: 0,
            last: 0,
            logged: HashSet::new(),
            again: None,
        }
    }
}

impl<P: Eq + Hash> Damaged<P> {
    /// Whether to let some time pass before the next pass.
    fn waits(&self) -> bool {
        self.again.is_some_and(|again| Instant::now() < again)
    }

    /// Counts one; says whether it is to be logged.
    fn note(&mut self, place: P) -> bool {
        self.count += 1;
        self.logged.insert(place)
    }

    fn end_pass(&mut self) {
        self.last = std::mem::take(&mut self.count);
        self.again = (self.last > 0).then(|| Instant::now() + RETRY_AFTER);
    }
}

/// What the leaf of a damaged record names.
#[derive(Clone, Copy)]
struct Found {
    account: Option<AccountId>,
    key: Option<KeyId>,
    what: &'static str,
}

/// Records damaged records in the leaves of the step that met them.
fn record_damage(scope: &mut Scope<'_>, act: Act, found: &[Found]) -> Result<(), Error> {
    let detail = scope.detail.clone();
    for found in found {
        let error = Error::Integrity(found.what);
        scope.detail.subject = found.account;
        scope.detail.key = found.key;
        scope.detail.note = Some(error.code().as_str().to_owned());
        scope.record_refused(act)?;
        tracing::error!(account = ?found.account, key = ?found.key, "rotation: {error}");
    }
    scope.detail = detail;
    Ok(())
}

/// How a leaf names a version of a KEK.
pub(crate) fn version_note(version: u32) -> String {
    format!("version {version}")
}
