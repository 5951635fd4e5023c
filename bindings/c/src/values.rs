//! Bytes and text that are handed out, and taken back to be freed.

use std::ffi::{CString, c_char};
use std::ptr;

use crate::ffi;

/// Bytes that were handed out. Overwritten and freed with sr_bytes_free.
#[repr(C)]
pub struct sr_bytes {
    /// The bytes; NULL where there are none.
    pub data: *mut u8,
    /// How many there are.
    pub length: usize,
}

impl sr_bytes {
    pub(crate) const NONE: Self = Self {
        data: ptr::null_mut(),
        length: 0,
    };

    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            return Self::NONE;
        }
        let bytes = Box::leak(bytes.into_boxed_slice());
        Self {
            data: bytes.as_mut_ptr(),
            length: bytes.len(),
        }
    }

    /// Frees the bytes; what remains has none.
    ///
    /// # Safety
    /// It came from [`Self::new`], and was not changed but by this.
    pub(crate) unsafe fn take_back(&mut self) {
        let Self { data, length } = std::mem::replace(self, Self::NONE);
        if !data.is_null() {
            let slice = ptr::slice_from_raw_parts_mut(data, length);
            // SAFETY: it is what `new` leaked.
            drop(unsafe { Box::from_raw(slice) });
        }
    }
}

/// Overwrites and frees bytes that were handed out; the struct itself, which may be NULL, stays the caller's and is empty then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_bytes_free(bytes: *mut sr_bytes) {
    // SAFETY: it is NULL or points to what was handed out.
    if let Some(bytes) = unsafe { bytes.as_mut() } {
        // SAFETY: as above.
        unsafe { bytes.take_back() };
    }
}

/// Frees text that was handed out; it may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_text_free(text: *mut c_char) {
    // SAFETY: it is NULL or was handed out.
    unsafe { take_back(text) };
}

/// Text for C. What stands behind a zero in it, which C could not see, is left out.
pub(crate) fn hand_out(text: &str) -> *mut c_char {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default().into_raw()
}

/// Frees what [`hand_out`] gave.
///
/// # Safety
/// It is NULL, or came from there and was not freed.
pub(crate) unsafe fn take_back(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: as this function's.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Bytes that the caller gives.
#[repr(C)]
pub struct sr_slice {
    /// The bytes; may be NULL where there are none.
    pub data: *const u8,
    /// How many there are.
    pub length: usize,
}

impl sr_slice {
    /// # Safety
    /// As [`ffi::values`].
    pub(crate) unsafe fn get<'a>(&self, what: &str) -> ffi::Outcome<&'a [u8]> {
        // SAFETY: as this function's.
        unsafe { ffi::values(self.data, self.length, what) }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn what_is_handed_out_is_taken_back() {
        let mut bytes = sr_bytes::new(vec![1, 2, 3]);
        assert_eq!(bytes.length, 3);
        // SAFETY: it was handed out, and freeing it twice by the same struct does nothing the second time.
        unsafe {
            sr_bytes_free(&raw mut bytes);
            sr_bytes_free(&raw mut bytes);
            sr_bytes_free(ptr::null_mut());
        }
        assert!(bytes.data.is_null() && bytes.length == 0);
        assert!(sr_bytes::new(Vec::new()).data.is_null());

        let text = hand_out("before\0behind");
        // SAFETY: it was handed out, and is freed once.
        unsafe {
            assert_eq!(CStr::from_ptr(text), c"before");
            sr_text_free(text);
            sr_text_free(ptr::null_mut());
        }
    }
}
