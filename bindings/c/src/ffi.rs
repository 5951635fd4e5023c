//! What every entry does. The functions here trust the caller to keep to the header's rules: pointers are NULL or good for what they are said to
//! point to.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use strongroom_client::ClientError;

use crate::error::{sr_error, sr_kind};

/// How an entry ends.
pub(crate) type Outcome<T = ()> = Result<T, ClientError>;

/// Runs what an entry does: no panic leaves it, and an error is handed out.
///
/// # Safety
/// `error` is NULL or can be written to.
pub(crate) unsafe fn entry(error: *mut *mut sr_error, body: impl FnOnce() -> Outcome) -> sr_kind {
    // What a panic leaves half-done is behind locks that say so, or is dropped.
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(ClientError::Library));
    let failed = outcome.err();
    let kind = failed
        .as_ref()
        .map_or(sr_kind::Ok, |failed| failed.kind().into());
    if !error.is_null() {
        let made = failed.map_or(std::ptr::null_mut(), |failed| sr_error::new(&failed));
        // SAFETY: it is not NULL, and can be written to.
        unsafe { error.write(made) };
    }
    kind
}

/// Frees what was handed out as a box: no panic leaves it.
///
/// # Safety
/// `handed_out` is NULL or came from [`Box::into_raw`] and was not freed.
pub(crate) unsafe fn free<T>(handed_out: *mut T) {
    if !handed_out.is_null() {
        // SAFETY: it is not NULL, and came from a box. A panic while it is dropped has nobody to be told to.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            drop(unsafe { Box::from_raw(handed_out) });
        }));
    }
}

/// What the caller gave cannot be.
pub(crate) fn invalid(reason: &str) -> ClientError {
    ClientError::Setup(reason.to_owned())
}

/// Text.
///
/// # Safety
/// `text` is NULL, or ends with a zero and outlives `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char, what: &str) -> Outcome<&'a str> {
    // SAFETY: as this function's.
    unsafe { optional(text, what) }?.ok_or_else(|| invalid(&format!("{what} is NULL")))
}

/// Text that may be NULL.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional<'a>(text: *const c_char, what: &str) -> Outcome<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, and ends with a zero.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some)
        .map_err(|_| invalid(&format!("{what} is not UTF-8")))
}

/// So many values, such as bytes.
///
/// # Safety
/// `values` is NULL, or that many values are there and outlive `'a`.
pub(crate) unsafe fn values<'a, T>(
    values: *const T,
    length: usize,
    what: &str,
) -> Outcome<&'a [T]> {
    if length == 0 {
        return Ok(&[]);
    }
    // No object is longer than that; a length that is negative in the caller's program is.
    let fits = length
        .checked_mul(size_of::<T>())
        .is_some_and(|bytes| isize::try_from(bytes).is_ok());
    if values.is_null() || !fits || !values.is_aligned() {
        return Err(invalid(&format!("{what} is NULL, or its length cannot be")));
    }
    // SAFETY: it is aligned, not NULL, and so many values are there.
    Ok(unsafe { slice::from_raw_parts(values, length) })
}

/// Names of accounts.
///
/// # Safety
/// As [`values`] and [`text`].
pub(crate) unsafe fn names<'a>(
    recipients: *const *const c_char,
    count: usize,
) -> Outcome<Vec<&'a str>> {
    // SAFETY: as this function's.
    let recipients = unsafe { values(recipients, count, "the list of recipients") }?;
    let name = |name: &*const c_char| {
        // SAFETY: as this function's.
        unsafe { text(*name, "a recipient") }
    };
    recipients.iter().map(name).collect()
}

/// What a handle or a pointer to a struct stands for.
///
/// # Safety
/// `pointer` is NULL, or points to a value that outlives `'a` and is not changed meanwhile.
pub(crate) unsafe fn shared<'a, T>(pointer: *const T, what: &str) -> Outcome<&'a T> {
    // SAFETY: as this function's.
    unsafe { pointer.as_ref() }.ok_or_else(|| invalid(&format!("{what} is NULL")))
}

/// The same, to change it.
///
/// # Safety
/// `pointer` is NULL, or points to a value that outlives `'a` and that nobody else uses meanwhile.
pub(crate) unsafe fn unique<'a, T>(pointer: *mut T, what: &str) -> Outcome<&'a mut T> {
    // SAFETY: as this function's.
    unsafe { pointer.as_mut() }.ok_or_else(|| invalid(&format!("{what} is NULL")))
}

/// Where a result goes.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Where the caller wants it, which holds `nothing` until there is a result.
    ///
    /// # Safety
    /// `place` is NULL or can be written to for as long as this lives.
    pub(crate) unsafe fn new(place: *mut T, nothing: T) -> Outcome<Self> {
        if place.is_null() {
            return Err(invalid("the place for the result is NULL"));
        }
        // SAFETY: it is not NULL, and can be written to.
        Ok(unsafe { Self::optional(place, nothing) })
    }

    /// The same where the caller may not want it.
    ///
    /// # Safety
    /// As [`Self::new`].
    pub(crate) unsafe fn optional(place: *mut T, nothing: T) -> Self {
        let this = Self(place);
        this.write(nothing);
        this
    }

    /// Hands the result out. Whoever is not asked for it drops it.
    pub(crate) fn set(self, result: impl FnOnce() -> T) {
        if !self.0.is_null() {
            self.write(result());
        }
    }

    fn write(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: it can be written to while this lives. What stood there before is not ours to drop.
            unsafe { self.0.write(value) };
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::ptr::{null, null_mut};

    use super::*;
    use crate::error::sr_error_free;

    #[test]
    fn a_panic_does_not_leave() {
        let mut error = null_mut();
        // SAFETY: it can be written to, and is freed once.
        unsafe {
            let kind = entry(&raw mut error, || panic!("within"));
            assert_eq!(kind, sr_kind::Failed);
            assert_eq!((*error).kind, sr_kind::Failed);
            sr_error_free(error);
            assert_eq!(entry(null_mut(), || Ok(())), sr_kind::Ok);
        }
    }

    #[test]
    fn nulls_and_lengths_are_checked() {
        // SAFETY: each is NULL or good.
        unsafe {
            assert!(text(null(), "it").is_err());
            assert_eq!(text(c"it".as_ptr(), "it").unwrap(), "it");
            assert!(text(c"\xff".as_ptr(), "it").is_err());
            assert_eq!(optional(null(), "it").unwrap(), None);
            assert!(values::<u8>(null(), 1, "it").is_err());
            assert!(values::<u8>(null(), 0, "it").unwrap().is_empty());
            assert!(values([0_u8].as_ptr(), usize::MAX, "it").is_err());
            assert!(values([0_u64].as_ptr(), usize::MAX / 8, "it").is_err());
            assert!(names([null()].as_ptr(), 1).is_err());
            assert!(shared::<u8>(null(), "it").is_err());
            assert!(Out::new(null_mut(), 1).is_err());
            Out::optional(null_mut(), 1).set(|| unreachable!("nobody wants it"));
            let mut place = 7;
            let out = Out::new(&raw mut place, 0).unwrap();
            assert_eq!(place, 0);
            out.set(|| 5);
            assert_eq!(place, 5);
        }
    }
}
