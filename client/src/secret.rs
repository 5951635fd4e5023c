//! Key material in memory that is not swapped out, and that is overwritten when its time is over.
//!
//! Material is held in pages of its own, which are locked (`mlock`) for the life of the process and hold nothing else. Whoever uses it gets a
//! zeroised copy for as long as the use takes. Where a secret has an end, it is overwritten then, whether anybody looks or not.
//!
//! Where the system does not let the process lock more memory, material still works, and [`Secret::is_locked`] says so: nothing that is not
//! locked is kept for later ([`crate::held`]).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use zeroize::{Zeroize, Zeroizing};

/// Bytes of a slot: the material of a symmetric key. Longer material takes several.
const SLOT: usize = 32;
/// Bytes of a chunk of slots.
const CHUNK: usize = 16 * 1024;
/// Pages are at least so long, and at most this long on the systems this runs on.
const LARGEST_PAGE: usize = 16 * 1024;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    chunks: Vec::new(),
    free: Vec::new(),
});
static ENDS: Ends = Ends {
    waiting: Mutex::new(Waiting {
        ends: BinaryHeap::new(),
        watched: false,
    }),
    changed: Condvar::new(),
};

/// Secret bytes in locked memory. Overwritten when dropped, and at their end.
pub(crate) struct Secret {
    slots: Mutex<Option<Slots>>,
}

struct Slots {
    slots: Vec<Slot>,
    length: usize,
}

/// A place in a chunk.
#[derive(Clone, Copy)]
struct Slot {
    chunk: usize,
    start: usize,
}

/// All chunks of the process. None is ever given back, so that nothing that another part of the program locked is unlocked with it.
struct Pool {
    chunks: Vec<Chunk>,
    free: Vec<Slot>,
}

struct Chunk {
    bytes: Vec<u8>,
    locked: bool,
}

impl Secret {
    /// Holds `material` until `end`, or for as long as this lives.
    pub(crate) fn new(material: &[u8], end: Option<Instant>) -> Arc<Self> {
        let secret = Arc::new(Self {
            slots: Mutex::new(Some(pool().put(material))),
        });
        if let Some(end) = end {
            ENDS.add(end, &secret);
        }
        secret
    }

    /// A copy; none once it has been overwritten.
    pub(crate) fn copy(&self) -> Option<Zeroizing<Vec<u8>>> {
        let slots = self.slots();
        slots.as_ref().map(|slots| pool().get(slots))
    }

    /// Whether its memory is locked.
    pub(crate) fn is_locked(&self) -> bool {
        let slots = self.slots();
        slots.as_ref().is_none_or(|slots| pool().is_locked(slots))
    }

    /// Overwrites it now.
    pub(crate) fn wipe(&self) {
        if let Some(slots) = self.slots().take() {
            pool().take_back(&slots);
        }
    }

    fn slots(&self) -> MutexGuard<'_, Option<Slots>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.wipe();
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    // A panic while the pool was held can at worst have lost a slot.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn put(&mut self, material: &[u8]) -> Slots {
        let mut slots = Vec::with_capacity(material.len().div_ceil(SLOT));
        for part in material.chunks(SLOT) {
            let slot = self.free_slot();
            let place = self.chunks[slot.chunk].bytes[slot.start..].iter_mut();
            place.zip(part).for_each(|(place, byte)| *place = *byte);
            slots.push(slot);
        }
        Slots {
            slots,
            length: material.len(),
        }
    }

    fn get(&self, slots: &Slots) -> Zeroizing<Vec<u8>> {
        let mut copy = Zeroizing::new(Vec::with_capacity(slots.slots.len() * SLOT));
        for slot in &slots.slots {
            let rest = SLOT.min(slots.length - copy.len());
            let bytes = &self.chunks[slot.chunk].bytes[slot.start..];
            copy.extend_from_slice(&bytes[..rest]);
        }
        copy
    }

    fn is_locked(&self, slots: &Slots) -> bool {
        slots
            .slots
            .iter()
            .all(|slot| self.chunks[slot.chunk].locked)
    }

    fn take_back(&mut self, slots: &Slots) {
        for slot in &slots.slots {
            self.chunks[slot.chunk].bytes[slot.start..slot.start + SLOT].zeroize();
            self.free.push(*slot);
        }
    }

    fn free_slot(&mut self) -> Slot {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        // Whole pages inside of it belong to it alone.
        let bytes = vec![0_u8; CHUNK + LARGEST_PAGE];
        let offset = bytes.as_ptr().align_offset(LARGEST_PAGE).min(LARGEST_PAGE);
        let lock = region::lock(bytes[offset..].as_ptr(), CHUNK);
        let locked = lock.is_ok();
        // Locked for the life of the process, as the chunk lives.
        if let Ok(lock) = lock {
            std::mem::forget(lock);
        }
        let chunk = self.chunks.len();
        self.chunks.push(Chunk { bytes, locked });
        let starts = (offset..offset + CHUNK).step_by(SLOT);
        let mut slots = starts.map(|start| Slot { chunk, start });
        let first = slots.next().unwrap_or(Slot {
            chunk,
            start: offset,
        });
        self.free.extend(slots);
        first
    }
}

/// Secrets that have an end, and the thread that waits for the next of these.
struct Ends {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    ends: BinaryHeap<Reverse<Ending>>,
    /// Whether the thread runs.
    watched: bool,
}

struct Ending {
    at: Instant,
    secret: Weak<Secret>,
}

impl Ends {
    fn add(&'static self, at: Instant, secret: &Arc<Secret>) {
        let secret = Arc::downgrade(secret);
        let mut waiting = self.waiting();
        waiting.ends.push(Reverse(Ending { at, secret }));
        if !waiting.watched {
            let thread = thread::Builder::new().name("strongroom-ends".to_owned());
            // Where the system gives no thread, a secret ends when it is next asked for.
            waiting.watched = thread.spawn(|| self.watch()).is_ok();
        }
        self.changed.notify_one();
    }

    /// Overwrites secrets at their ends, until there are none that have one.
    fn watch(&self) {
        let mut waiting = self.waiting();
        loop {
            let now = Instant::now();
            let Some(Reverse(next)) = waiting.ends.peek() else {
                waiting.watched = false;
                return;
            };
            if next.secret.strong_count() > 0 && next.at > now {
                let pause = next.at - now;
                waiting = self
                    .changed
                    .wait_timeout(waiting, pause)
                    .map_or_else(|error| error.into_inner().0, |(waiting, _)| waiting);
                continue;
            }
            let ended = waiting.ends.pop();
            if let Some(secret) = ended.and_then(|Reverse(ending)| ending.secret.upgrade()) {
                secret.wipe();
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Ending {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Ending {}

impl PartialOrd for Ending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    /// Whether any chunk holds these bytes.
    fn holds(bytes: &[u8]) -> bool {
        let pool = pool();
        let mut all = pool.chunks.iter();
        all.any(|chunk| {
            chunk
                .bytes
                .windows(bytes.len())
                .any(|window| window == bytes)
        })
    }

    #[test]
    fn material_is_held_in_locked_pages_and_overwritten() {
        let material: Vec<u8> = (0..100).map(|byte| byte ^ 0xa5).collect();
        let secret = Secret::new(&material, None);
        assert_eq!(*secret.copy().unwrap(), material);
        assert!(secret.is_locked(), "this machine lets 16 KiB be locked");
        assert!(holds(&material[..SLOT]));
        drop(secret);
        assert!(!holds(&material[..SLOT]));

        let secret = Secret::new(&material, None);
        secret.wipe();
        assert!(secret.copy().is_none());
        assert!(!holds(&material[64..96]));
    }

    #[test]
    fn more_than_a_chunk_of_them_do_not_get_mixed_up() {
        let secrets: Vec<_> = (0..1500_u32)
            .map(|number| Secret::new(&[number.to_le_bytes(), [7; 4]].concat(), None))
            .collect();
        for (number, secret) in (0_u32..).zip(&secrets) {
            assert_eq!(secret.copy().unwrap()[..4], number.to_le_bytes());
        }
        let copy = Secret::new(&[], None).copy().unwrap();
        assert!(copy.is_empty());
    }

    #[test]
    fn a_secret_is_gone_at_its_end() {
        let material = [0x5e; SLOT];
        let late = Instant::now() + Duration::from_hours(1);
        let (kept, ended) = (
            Secret::new(&[0x6e; SLOT], Some(late)),
            Secret::new(&material, Some(Instant::now() + Duration::from_millis(50))),
        );
        assert!(ended.copy().is_some());
        let patience = Instant::now() + Duration::from_secs(20);
        // Nobody asks for it, and it is gone all the same.
        while holds(&material) {
            assert!(Instant::now() < patience, "it is still there");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(ended.copy().is_none());
        assert!(kept.copy().is_some());
    }
}
