//! What went wrong.

use std::ffi::{CStr, c_char};
use std::ptr;

use strongroom_client::{ClientError, ErrorKind};

use crate::ffi;
use crate::values::{hand_out, take_back};

/// Every kind with its number and its name.
macro_rules! kinds {
    ($($name:ident = $text:literal,)*) => {
        impl From<ErrorKind> for sr_kind {
            fn from(kind: ErrorKind) -> Self {
                match kind {
                    $(ErrorKind::$name => Self::$name,)*
                    // One that the library has learned and this list has not.
                    _ => Self::Failed,
                }
            }
        }

        /// The names of the kinds, in the order of their numbers from 1.
        static NAMES: &[&CStr] = &[$($text),*];

        #[cfg(test)]
        const ALL: &[(ErrorKind, sr_kind)] = &[$((ErrorKind::$name, sr_kind::$name)),*];
    };
}

/// What kind of failure it is: what a caller branches on.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum sr_kind {
    /// It has not failed.
    Ok = 0,
    /// There is no session, or it has ended: sign in.
    NotSignedIn = 1,
    /// The sign-in itself was refused.
    SignInRefused = 2,
    /// The act needs a more recent sign-in: sr_session_step_up.
    StepUpRequired = 3,
    /// A usage policy does not allow it; sr_error says by which rule, where one may know.
    RefusedByPolicy = 4,
    /// The account may not do that.
    NotPermitted = 5,
    /// There is no such thing that the account may know of.
    NotFound = 6,
    /// The account's grant to the key was revoked.
    Revoked = 7,
    /// The key is destroyed: what it protects can be opened by nobody.
    Destroyed = 8,
    /// The present state, such as a key's, does not allow it.
    StateForbids = 9,
    /// Key material may not be kept any more: obtain the key again.
    Expired = 10,
    /// What came, or was stored, is not what was made: it was altered.
    Altered = 11,
    /// What was stored ends before its end.
    Truncated = 12,
    /// It is no object or message, or one of a version that this library cannot read.
    NotReadable = 13,
    /// Its key is kept at an appliance that this client was not set up with.
    OtherAppliance = 14,
    /// The appliance cannot be reached, or cannot answer now; sr_error says whether trying again is safe.
    Unreachable = 15,
    /// What answers cannot prove to be the appliance.
    NotTrusted = 16,
    /// Too many attempts have failed, or the domain makes too many requests: wait.
    TooManyAttempts = 17,
    /// What was asked for cannot be.
    Invalid = 18,
    /// Reading or writing on this device failed.
    Device = 19,
    /// A fault of the appliance or of this library.
    Failed = 20,
}

/// What is known of a failure. Holds no secret. Freed with sr_error_free.
#[repr(C)]
pub struct sr_error {
    /// What to branch on.
    pub kind: sr_kind,
    /// Whether the same may be tried again: nothing was done, or doing it twice does no harm.
    pub safe_to_retry: bool,
    /// One sentence for people.
    pub message: *mut c_char,
    /// The rule of a usage policy that refused, such as `policy:key:not-after`; NULL where there is none to be told.
    pub rule: *mut c_char,
    /// The problem code of the appliance's refusal, such as `grant-revoked`; NULL where it did not refuse.
    pub code: *mut c_char,
}

impl sr_error {
    pub(crate) fn new(error: &ClientError) -> *mut Self {
        let optional = |text: Option<&str>| text.map_or(ptr::null_mut(), hand_out);
        Box::into_raw(Box::new(Self {
            kind: error.kind().into(),
            safe_to_retry: error.safe_to_retry(),
            message: hand_out(&error.to_string()),
            rule: optional(error.rule()),
            code: optional(error.code().map(strongroom_wire::problem::Code::as_str)),
        }))
    }
}

impl Drop for sr_error {
    fn drop(&mut self) {
        for text in [self.message, self.rule, self.code] {
            // SAFETY: they were handed out by `new`, and are taken back here alone.
            unsafe { take_back(text) };
        }
    }
}

/// Frees an error, which may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_error_free(error: *mut sr_error) {
    // SAFETY: it is NULL or was handed out by `sr_error::new`.
    unsafe { ffi::free(error) };
}

/// How a kind of failure is called, such as `not-signed-in`; `ok` where there is none. Lives as long as the program: it is not freed.
#[unsafe(no_mangle)]
pub extern "C" fn sr_kind_name(kind: i32) -> *const c_char {
    // A number, for C may give one that is no kind.
    let index = usize::try_from(kind).ok();
    let name = match index {
        Some(0) => Some(&c"ok"),
        index => index.and_then(|index| NAMES.get(index - 1)),
    };
    name.unwrap_or(&c"unknown").as_ptr()
}

kinds! {
    NotSignedIn = c"not-signed-in",
    SignInRefused = c"sign-in-refused",
    StepUpRequired = c"step-up-required",
    RefusedByPolicy = c"refused-by-policy",
    NotPermitted = c"not-permitted",
    NotFound = c"not-found",
    Revoked = c"revoked",
    Destroyed = c"destroyed",
    StateForbids = c"state-forbids",
    Expired = c"expired",
    Altered = c"altered",
    Truncated = c"truncated",
    NotReadable = c"not-readable",
    OtherAppliance = c"other-appliance",
    Unreachable = c"unreachable",
    NotTrusted = c"not-trusted",
    TooManyAttempts = c"too-many-attempts",
    Invalid = c"invalid",
    Device = c"device",
    Failed = c"failed",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_numbers_and_names() {
        for (number, (theirs, ours)) in (1..).zip(ALL) {
            assert_eq!(sr_kind::from(*theirs), *ours);
            assert_eq!(*ours as i32, number);
            // SAFETY: names live for ever.
            let name = unsafe { CStr::from_ptr(sr_kind_name(number)) };
            assert_eq!(name.to_str(), Ok(theirs.as_str()));
        }
        for number in [-1, i32::MIN, 21, i32::MAX] {
            // SAFETY: names live for ever.
            let name = unsafe { CStr::from_ptr(sr_kind_name(number)) };
            assert_eq!(name, c"unknown");
        }
    }
}
