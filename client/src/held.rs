//! Keys that were obtained and may be used again: without asking for a while, and while the appliance is away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use strongroom_wire::id::KeyId;

use crate::keys::Released;

/// The most keys that are held; beyond that the one obtained first is forgotten.
const MOST: usize = 4096;

/// For how long obtained keys are held for further use. Usage policies come first: what a policy says ends earlier ends then, and where one says
/// how often a key is released or from where, which the appliance alone can judge, the key is not held at all.
///
/// A held key is in locked memory and overwritten when it is forgotten. Where memory cannot be locked, no key is held.
///
/// ```
/// use std::time::Duration;
/// use strongroom_client::Keeping;
///
/// // Opens what was opened in the last five minutes without asking, and for a working day while the appliance is away.
/// let keeping = Keeping {
///     fresh_for: Duration::from_mins(5),
///     at_most: Duration::from_hours(8),
/// };
/// assert!(Keeping::default().fresh_for.is_zero()); // asks each time
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// So long it is used without asking the appliance: revocation and the log come so much later. None by default.
    pub fresh_for: Duration,
    /// So long it is used when the appliance is away. One hour by default; nothing, and no key is held.
    pub at_most: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            fresh_for: Duration::ZERO,
            at_most: Duration::from_hours(1),
        }
    }
}

/// The keys that somebody holds.
#[derive(Default)]
pub(crate) struct HeldKeys {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    keeping: Keeping,
    keys: HashMap<(KeyId, u32), Held>,
}

struct Held {
    released: Released,
    since: Instant,
}

impl HeldKeys {
    /// Changes for how long keys are held, from now on.
    pub(crate) fn keep(&self, keeping: Keeping) {
        let mut inner = self.inner();
        inner.keeping = keeping;
        inner.forget_old();
    }

    /// A key that may be used without asking.
    pub(crate) fn fresh(&self, key: KeyId, version: Option<u32>) -> Option<Released> {
        let mut inner = self.inner();
        let age = inner.keeping.fresh_for;
        // Which is the newest version is what one asks for.
        inner.find(key, Some(version?), age)
    }

    /// A key that may be used while the appliance is away.
    pub(crate) fn when_away(&self, key: KeyId, version: Option<u32>) -> Option<Released> {
        let mut inner = self.inner();
        let age = inner.keeping.at_most;
        inner.find(key, version, age)
    }

    /// Holds a key that was obtained.
    pub(crate) fn hold(&self, released: &Released) {
        let mut inner = self.inner();
        inner.forget_old();
        let name = (released.key(), released.version());
        if released.must_ask_again() {
            // The policy may have been another when it was held.
            inner.keys.remove(&name);
            return;
        }
        if inner.keeping.at_most.is_zero() || !released.is_locked() {
            return;
        }
        if inner.keys.len() >= MOST && !inner.keys.contains_key(&name) {
            let oldest = inner.keys.iter().min_by_key(|(_, held)| held.since);
            if let Some(oldest) = oldest.map(|(name, _)| *name) {
                inner.keys.remove(&oldest);
            }
        }
        let held = Held {
            released: released.another(),
            since: Instant::now(),
        };
        inner.keys.insert(name, held);
    }

    /// Overwrites every version of a key.
    pub(crate) fn forget(&self, key: KeyId) {
        self.inner().keys.retain(|(other, _), held| {
            if *other == key {
                held.released.wipe();
            }
            *other != key
        });
    }

    /// Overwrites all keys.
    pub(crate) fn forget_all(&self) {
        let keys = std::mem::take(&mut self.inner().keys);
        for held in keys.values() {
            held.released.wipe();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn find(&mut self, key: KeyId, version: Option<u32>, age: Duration) -> Option<Released> {
        self.forget_old();
        let version = version.or_else(|| {
            let versions = self.keys.keys().filter(|(other, _)| *other == key);
            versions.map(|(_, version)| *version).max()
        })?;
        let held = self.keys.get(&(key, version))?;
        (held.since.elapsed() < age).then(|| held.released.another())
    }

    fn forget_old(&mut self) {
        let at_most = self.keeping.at_most;
        self.keys
            .retain(|_, held| held.since.elapsed() < at_most && held.released.may_be_used());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::keys::tests::{released, released_once};

    #[test]
    fn a_key_is_held_as_long_as_was_said() {
        let held = HeldKeys::default();
        let key = KeyId::generate();
        held.hold(&released(key, 1, None));
        held.hold(&released(key, 2, None));
        assert!(held.fresh(key, Some(1)).is_none(), "asks by default");
        assert_eq!(held.when_away(key, Some(1)).unwrap().version(), 1);
        assert_eq!(held.when_away(key, None).unwrap().version(), 2);
        assert!(held.when_away(KeyId::generate(), None).is_none());

        held.keep(Keeping {
            fresh_for: Duration::from_mins(1),
            at_most: Duration::from_mins(1),
        });
        assert!(held.fresh(key, Some(1)).is_some());
        assert!(held.fresh(key, None).is_none(), "there may be a newer one");
        held.keep(Keeping {
            fresh_for: Duration::ZERO,
            at_most: Duration::ZERO,
        });
        assert!(held.when_away(key, Some(1)).is_none());
        held.hold(&released(key, 1, None));
        assert!(held.inner().keys.is_empty());
    }

    #[test]
    fn a_policy_ends_it_earlier() {
        let held = HeldKeys::default();
        let (key, other) = (KeyId::generate(), KeyId::generate());
        held.hold(&released(key, 1, Some(0)));
        held.hold(&released(other, 1, Some(60)));
        assert!(held.when_away(key, Some(1)).is_none());
        assert!(held.when_away(other, Some(1)).is_some());
    }

    #[test]
    fn what_the_appliance_alone_can_judge_is_not_held() {
        let held = HeldKeys::default();
        held.keep(Keeping {
            fresh_for: Duration::from_mins(1),
            ..Keeping::default()
        });
        let key = KeyId::generate();
        held.hold(&released(key, 1, None));
        assert!(held.fresh(key, Some(1)).is_some());
        // Its policy has been changed since.
        held.hold(&released_once(key, 1));
        assert!(held.fresh(key, Some(1)).is_none());
        assert!(held.when_away(key, None).is_none());
    }

    #[test]
    fn what_is_forgotten_is_gone_for_everyone_who_has_it() {
        let held = HeldKeys::default();
        let (key, other) = (KeyId::generate(), KeyId::generate());
        held.hold(&released(key, 1, None));
        held.hold(&released(other, 1, None));
        let mut mine = held.when_away(key, None).unwrap();
        mine.material().unwrap();
        held.forget(key);
        assert!(held.when_away(key, None).is_none());
        assert!(mine.material().is_err());
        let mut others = held.when_away(other, None).unwrap();
        held.forget_all();
        assert!(others.material().is_err());
    }

    #[test]
    fn no_more_are_held_than_there_is_room_for() {
        let held = HeldKeys::default();
        let first = KeyId::generate();
        held.hold(&released(first, 1, None));
        for _ in 0..MOST {
            held.hold(&released(KeyId::generate(), 1, None));
        }
        assert_eq!(held.inner().keys.len(), MOST);
        assert!(held.when_away(first, None).is_none());
    }
}
