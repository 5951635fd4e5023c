//! Handles: random numbers that stand for something, in a map that many threads use at once.
//!
//! No handle is ever an address, and a stale one is not likely to be found again. A map's locks are held for a look or a change alone, never
//! over a call of the token.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::rand;
use cryptoki_sys::{CK_ULONG, CKR_RANDOM_NO_RNG};

use crate::error::{CkError, CkResult};

const SHARDS: usize = 16;

/// Things by their handles.
pub(crate) struct Handles<T> {
    shards: [RwLock<HashMap<CK_ULONG, Arc<T>>>; SHARDS],
}

impl<T> Handles<T> {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }

    /// Puts something in that is told its handle.
    pub(crate) fn insert(&self, make: impl FnOnce(CK_ULONG) -> T) -> CkResult<(CK_ULONG, Arc<T>)> {
        loop {
            let handle = random()?;
            let mut shard = self.write(handle);
            if handle != 0 && !shard.contains_key(&handle) {
                let thing = Arc::new(make(handle));
                shard.insert(handle, Arc::clone(&thing));
                return Ok((handle, thing));
            }
        }
    }

    pub(crate) fn get(&self, handle: CK_ULONG) -> Option<Arc<T>> {
        self.read(handle).get(&handle).cloned()
    }

    pub(crate) fn remove(&self, handle: CK_ULONG) -> Option<Arc<T>> {
        self.write(handle).remove(&handle)
    }

    /// Takes out what `leaves` says, and gives it back.
    pub(crate) fn remove_where(&self, leaves: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        let mut left = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            left.extend(
                shard
                    .extract_if(|_, thing| leaves(thing))
                    .map(|(_, thing)| thing),
            );
        }
        left
    }

    /// Those that `wanted` says, with their handles.
    pub(crate) fn all(&self, wanted: impl Fn(&T) -> bool) -> Vec<(CK_ULONG, Arc<T>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let found = shard.iter().filter(|(_, thing)| wanted(thing));
            all.extend(found.map(|(handle, thing)| (*handle, Arc::clone(thing))));
        }
        all
    }

    pub(crate) fn count(&self, wanted: impl Fn(&T) -> bool) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| {
                let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
                shard.values().filter(|thing| wanted(thing)).count()
            })
            .sum()
    }

    fn read(&self, handle: CK_ULONG) -> RwLockReadGuard<'_, HashMap<CK_ULONG, Arc<T>>> {
        self.shard(handle)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, handle: CK_ULONG) -> RwLockWriteGuard<'_, HashMap<CK_ULONG, Arc<T>>> {
        self.shard(handle)
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, handle: CK_ULONG) -> &RwLock<HashMap<CK_ULONG, Arc<T>>> {
        let [low, ..] = handle.to_le_bytes();
        &self.shards[usize::from(low) % SHARDS]
    }
}

/// A random number of 62 bits: positive in every language's numbers.
fn random() -> CkResult<CK_ULONG> {
    let mut bytes = [0; size_of::<CK_ULONG>()];
    rand::fill(&mut bytes)
        .map_err(|_| CkError::new(CKR_RANDOM_NO_RNG, "the system gives no random numbers"))?;
    Ok(CK_ULONG::from_ne_bytes(bytes) >> 2)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_was_taken_out_is_not_found() {
        let handles = Handles::new();
        let (first, _) = handles.insert(|handle| handle).unwrap();
        let (second, _) = handles.insert(|handle| handle).unwrap();
        assert_ne!(first, second);
        assert_eq!(*handles.get(first).unwrap(), first);
        assert_eq!(handles.count(|_| true), 2);
        assert!(handles.remove(first).is_some());
        assert!(handles.get(first).is_none());
        assert_eq!(handles.remove_where(|_| true).len(), 1);
        assert!(handles.all(|_| true).is_empty());
    }
}
