//! Account KEKs that have been unwrapped, in locked, zeroised, size- and time-bounded memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use strongroom_hsm::Aes256Key;
use strongroom_wire::id::AccountId;
use zeroize::Zeroize;

use super::KekName;

/// The cache. Its keys lie in one allocation that is locked into memory, so that none reaches a swap device.
pub(super) struct KekCache {
    ttl: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    slots: Box<[[u8; 32]]>,
    /// Dropped, and so unlocked, only after `slots` have been zeroised by [`Inner`]'s own `Drop`.
    _lock: Option<region::LockGuard>,
    free: Vec<usize>,
    entries: HashMap<KekName, Entry>,
    /// How often KEKs were forgotten because they count no more.
    epoch: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    slot: usize,
    expires: Instant,
}

impl KekCache {
    /// A cache of at most `size` KEKs, each for `ttl`. With a `ttl` or `size` of 0 it holds nothing.
    pub(super) fn new(size: usize, ttl: Duration) -> Self {
        let slots = vec![[0; 32]; size].into_boxed_slice();
        let lock = lock(&slots);
        Self {
            ttl,
            inner: Mutex::new(Inner {
                free: (0..size).rev().collect(),
                slots,
                _lock: lock,
                entries: HashMap::new(),
                epoch: 0,
            }),
        }
    }

    pub(super) fn get(&self, account: AccountId, version: u32) -> Option<Aes256Key> {
        let mut inner = self.inner();
        let entry = *inner.entries.get(&(account, version))?;
        if entry.expires <= Instant::now() {
            inner.forget(&(account, version));
            return None;
        }
        inner
            .slots
            .get(entry.slot)
            .map(|slot| Aes256Key::from_bytes(*slot))
    }

    /// What [`put`](Self::put) wants to know: taken before the KEK's record is read.
    pub(super) fn epoch(&self) -> u64 {
        self.inner().epoch
    }

    /// Keeps a KEK whose record was read since `epoch`, unless one has been retired meanwhile: it may have been this one.
    pub(super) fn put(&self, epoch: u64, account: AccountId, version: u32, kek: &Aes256Key) {
        if self.ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut inner = self.inner();
        if inner.epoch != epoch {
            return;
        }
        inner.forget(&(account, version));
        if inner.free.is_empty() {
            inner.make_room(now);
        }
        let Some(slot) = inner.free.pop() else {
            return;
        };
        if let Some(bytes) = inner.slots.get_mut(slot) {
            bytes.copy_from_slice(kek.as_bytes());
        }
        let expires = now + self.ttl;
        inner
            .entries
            .insert((account, version), Entry { slot, expires });
    }

    /// How many KEKs are held.
    pub(super) fn len(&self) -> usize {
        self.inner().entries.len()
    }

    /// Forgets what has expired.
    pub(super) fn forget_expired(&self) {
        let now = Instant::now();
        let mut inner = self.inner();
        let expired: Vec<KekName> = inner
            .entries
            .iter()
            .filter(|(_, entry)| entry.expires <= now)
            .map(|(name, _)| *name)
            .collect();
        for name in expired {
            inner.forget(&name);
        }
    }

    /// Forgets the versions of an account's KEK before this one, which count no more.
    pub(super) fn retire_before(&self, account: AccountId, version: u32) {
        let mut inner = self.inner();
        inner.epoch += 1;
        let retired: Vec<KekName> = inner
            .entries
            .keys()
            .filter(|(other, older)| *other == account && *older < version)
            .copied()
            .collect();
        for name in retired {
            inner.forget(&name);
        }
    }

    /// Forgets everything.
    pub(super) fn wipe(&self) {
        let mut inner = self.inner();
        inner.slots.iter_mut().for_each(Zeroize::zeroize);
        inner.entries.clear();
        inner.free = (0..inner.slots.len()).rev().collect();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic while the cache was held can at worst have lost a slot; no key is mixed up by that.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, name: &KekName) {
        if let Some(entry) = self.entries.remove(name)
            && let Some(bytes) = self.slots.get_mut(entry.slot)
        {
            bytes.zeroize();
            self.free.push(entry.slot);
        }
    }

    /// Forgets what has expired, or else the eighth that would expire first, so that room is made for many at once.
    fn make_room(&mut self, now: Instant) {
        let mut by_expiry: Vec<(Instant, KekName)> = self
            .entries
            .iter()
            .map(|(name, entry)| (entry.expires, *name))
            .collect();
        by_expiry.sort_unstable_by_key(|(expires, _)| *expires);
        let expired = by_expiry
            .iter()
            .filter(|(expires, _)| *expires <= now)
            .count();
        let forgotten = expired.max(self.slots.len().div_ceil(8));
        for (_, name) in by_expiry.iter().take(forgotten) {
            self.forget(name);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.slots.iter_mut().for_each(Zeroize::zeroize);
    }
}

fn lock(slots: &[[u8; 32]]) -> Option<region::LockGuard> {
    if slots.is_empty() {
        return None;
    }
    match region::lock(slots.as_ptr(), size_of_val(slots)) {
        Ok(lock) => Some(lock),
        Err(error) => {
            tracing::warn!(
                %error,
                "the memory for account KEKs cannot be locked: raise RLIMIT_MEMLOCK or turn swap off"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn kek(byte: u8) -> Aes256Key {
        Aes256Key::from_bytes([byte; 32])
    }

    #[test]
    fn what_is_put_is_got_until_it_is_wiped() {
        let cache = KekCache::new(4, Duration::from_mins(1));
        let alice = AccountId::generate();
        cache.put(0, alice, 1, &kek(1));
        cache.put(0, alice, 2, &kek(2));
        assert_eq!(cache.get(alice, 1).unwrap().as_bytes(), &[1; 32]);
        assert_eq!(cache.get(alice, 2).unwrap().as_bytes(), &[2; 32]);
        assert!(cache.get(AccountId::generate(), 1).is_none());
        cache.wipe();
        assert!(cache.get(alice, 1).is_none());
        assert_eq!(cache.len(), 0);
        assert!(cache.inner().slots.iter().all(|slot| slot == &[0; 32]));
    }

    #[test]
    fn what_counts_no_more_does_not_come_back() {
        let cache = KekCache::new(4, Duration::from_mins(1));
        let [alice, bob] = [AccountId::generate(), AccountId::generate()];
        let before = cache.epoch();
        for account in [alice, bob] {
            cache.put(before, account, 1, &kek(1));
            cache.put(before, account, 2, &kek(2));
        }
        cache.retire_before(alice, 2);
        assert!(cache.get(alice, 1).is_none());
        assert!(cache.get(alice, 2).is_some() && cache.get(bob, 1).is_some());
        // Whoever read the record before that comes too late.
        cache.put(before, alice, 1, &kek(1));
        assert!(cache.get(alice, 1).is_none());
        cache.put(cache.epoch(), alice, 3, &kek(3));
        assert!(cache.get(alice, 3).is_some());
    }

    #[test]
    fn it_never_holds_more_than_its_size() {
        let cache = KekCache::new(16, Duration::from_mins(1));
        for byte in 0..200 {
            cache.put(0, AccountId::generate(), 1, &kek(byte));
            assert!(cache.len() <= 16);
        }
        let newest = AccountId::generate();
        cache.put(0, newest, 1, &kek(9));
        assert_eq!(cache.get(newest, 1).unwrap().as_bytes(), &[9; 32]);
    }

    #[test]
    fn nothing_is_held_past_its_time() {
        let cache = KekCache::new(4, Duration::from_millis(1));
        let alice = AccountId::generate();
        cache.put(0, alice, 1, &kek(1));
        while cache.get(alice, 1).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(cache.len(), 0);
        let off = KekCache::new(4, Duration::ZERO);
        off.put(0, alice, 1, &kek(1));
        assert!(off.get(alice, 1).is_none());
    }
}
