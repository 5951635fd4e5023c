//! Memory for keys: pages of their own that are not swapped out, not dumped, empty in a forked child, and overwritten at their end.
//!
//! Unsafe code stands here because a key schedule has to lie in such pages to be used from there: set up once, 1 KiB of AES-GCM takes
//! half a microsecond; set up for each call from material that is kept elsewhere, it takes twice that, and leaves a copy on the heap each time.

#![allow(unsafe_code)]

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, compiler_fence};

use cryptoki_sys::CKR_HOST_MEMORY;

use crate::error::{CkError, CkResult};

/// A value in pages of its own.
pub(crate) struct Locked<T> {
    value: NonNull<T>,
    length: usize,
    kept: bool,
}

// SAFETY: it owns the value as a box does.
unsafe impl<T: Send> Send for Locked<T> {}
// SAFETY: as above; a shared one gives shared references alone.
unsafe impl<T: Sync> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// Moves a value there.
    ///
    /// # Errors
    /// `CKR_HOST_MEMORY` when the system gives no pages.
    pub(crate) fn new(value: T) -> CkResult<Self> {
        const {
            assert!(
                align_of::<T>() <= 4096,
                "a page is aligned to 4096 bytes at least"
            );
        }
        let length = size_of::<T>().max(1).next_multiple_of(4096);
        // SAFETY: a new anonymous mapping; no address is asked for.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let value_at = (address != libc::MAP_FAILED)
            .then(|| NonNull::new(address.cast::<T>()))
            .flatten()
            .ok_or(CkError::new(CKR_HOST_MEMORY, "the system gives no memory"))?;
        // SAFETY: the mapping is this one's own, and `length` long.
        let locked = unsafe {
            libc::madvise(address, length, libc::MADV_DONTDUMP);
            libc::madvise(address, length, libc::MADV_WIPEONFORK);
            libc::mlock(address, length) == 0
        };
        // SAFETY: the mapping is long and aligned enough for a T, and nothing is there yet.
        unsafe { value_at.write(value) };
        Ok(Self {
            value: value_at,
            length,
            kept: locked,
        })
    }

    /// Whether the system keeps it from being swapped out. It does not where the process may lock no more memory.
    #[must_use]
    pub(crate) fn is_locked(&self) -> bool {
        self.kept
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: written by `new`, dropped by `drop` alone.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Locked<T> {
    fn drop(&mut self) {
        let address = self.value.as_ptr();
        // SAFETY: the value is there and nobody has it borrowed; the mapping is `length` long and goes with this one.
        unsafe {
            address.drop_in_place();
            for at in 0..self.length / size_of::<u64>() {
                address.cast::<u64>().add(at).write_volatile(0);
            }
            compiler_fence(Ordering::SeqCst);
            if self.kept {
                libc::munlock(address.cast(), self.length);
            }
            libc::munmap(address.cast(), self.length);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_value_lives_there_and_is_dropped_once() {
        let witness = std::sync::Arc::new(());
        let locked = Locked::new((std::sync::Arc::clone(&witness), [7_u8; 9000])).unwrap();
        assert!(locked.is_locked(), "this machine lets 12 KiB be locked");
        assert_eq!(locked.1[8999], 7);
        assert_eq!(std::sync::Arc::strong_count(&witness), 2);
        drop(locked);
        assert_eq!(std::sync::Arc::strong_count(&witness), 1);
    }
}
