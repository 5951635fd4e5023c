//! [`CkError`]: why a call failed, with the `CK_RV` that says so to the application.

use std::borrow::Cow;
use std::fmt;

use cryptoki_sys::*;
use strongroom_wire::problem::Problem;

use crate::token::TokenError;

/// Why a call failed. Carries nothing secret: it goes into the log as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct CkError {
    /// What the application is told.
    pub rv: CK_RV,
    /// What failed, for the log.
    pub what: Cow<'static, str>,
    /// How many bytes were needed, with `CKR_BUFFER_TOO_SMALL`.
    pub needed: Option<usize>,
    /// What the appliance said, where it was the appliance that refused.
    pub problem: Option<Box<Problem>>,
}

/// What a call gives, or why not.
pub type CkResult<T> = Result<T, CkError>;

impl CkError {
    /// A failure that is known at compile time.
    #[must_use]
    pub const fn new(rv: CK_RV, what: &'static str) -> Self {
        Self {
            rv,
            what: Cow::Borrowed(what),
            needed: None,
            problem: None,
        }
    }

    /// `CKR_BUFFER_TOO_SMALL`: this many bytes are needed.
    #[must_use]
    pub const fn too_small(needed: usize) -> Self {
        Self {
            rv: CKR_BUFFER_TOO_SMALL,
            what: Cow::Borrowed("the buffer is too small"),
            needed: Some(needed),
            problem: None,
        }
    }

    /// The same failure, told otherwise where it is told so: a key's size is out of range, say, but of the wrapping key.
    #[must_use]
    pub fn told_as(mut self, from: CK_RV, to: CK_RV) -> Self {
        if self.rv == from {
            self.rv = to;
        }
        self
    }
}

impl fmt::Display for CkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name(self.rv), self.what)?;
        if let Some(needed) = self.needed {
            write!(f, " ({needed} bytes needed)")?;
        }
        if let Some(problem) = &self.problem {
            write!(
                f,
                "; the appliance says {} ({}): {}",
                problem.code, problem.status, problem.detail
            )?;
            if let Some(rule) = &problem.rule {
                write!(f, "; by the rule {rule}")?;
            }
            if let Some(leaf) = problem.leaf {
                write!(f, "; leaf {leaf}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for CkError {}

impl From<TokenError> for CkError {
    fn from(error: TokenError) -> Self {
        Self {
            rv: error.kind.rv(),
            what: error.what,
            needed: None,
            problem: error.problem,
        }
    }
}

/// A failure as a value: `return fail(CKR_ARGUMENTS_BAD, "...")`.
pub(crate) fn fail<T>(rv: CK_RV, what: &'static str) -> CkResult<T> {
    Err(CkError::new(rv, what))
}

macro_rules! names {
    ($($name:ident),* $(,)?) => {
        /// The standard's name of a return value.
        #[must_use]
        pub fn name(rv: CK_RV) -> Cow<'static, str> {
            match rv {
                $($name => Cow::Borrowed(stringify!($name)),)*
                other => Cow::Owned(format!("CKR {other:#x}")),
            }
        }
    };
}

names! {
    CKR_OK, CKR_HOST_MEMORY, CKR_SLOT_ID_INVALID, CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, CKR_ARGUMENTS_BAD,
    CKR_NO_EVENT, CKR_NEED_TO_CREATE_THREADS, CKR_CANT_LOCK, CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_SENSITIVE,
    CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID, CKR_ACTION_PROHIBITED, CKR_DATA_INVALID,
    CKR_DATA_LEN_RANGE, CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY, CKR_DEVICE_REMOVED, CKR_ENCRYPTED_DATA_INVALID,
    CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_AEAD_DECRYPT_FAILED, CKR_FUNCTION_NOT_SUPPORTED, CKR_KEY_HANDLE_INVALID,
    CKR_KEY_SIZE_RANGE, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_NEEDED, CKR_KEY_NOT_NEEDED, CKR_KEY_CHANGED,
    CKR_KEY_INDIGESTIBLE, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_NOT_WRAPPABLE, CKR_KEY_UNEXTRACTABLE,
    CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_OBJECT_HANDLE_INVALID, CKR_OPERATION_ACTIVE,
    CKR_OPERATION_NOT_INITIALIZED, CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_PIN_EXPIRED,
    CKR_PIN_LOCKED, CKR_SESSION_CLOSED, CKR_SESSION_COUNT, CKR_SESSION_HANDLE_INVALID,
    CKR_SESSION_PARALLEL_NOT_SUPPORTED, CKR_SESSION_READ_ONLY, CKR_SESSION_READ_ONLY_EXISTS,
    CKR_SESSION_READ_WRITE_SO_EXISTS, CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE, CKR_TEMPLATE_INCOMPLETE,
    CKR_TEMPLATE_INCONSISTENT, CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED, CKR_TOKEN_WRITE_PROTECTED,
    CKR_UNWRAPPING_KEY_HANDLE_INVALID, CKR_UNWRAPPING_KEY_SIZE_RANGE, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
    CKR_USER_ALREADY_LOGGED_IN, CKR_USER_NOT_LOGGED_IN, CKR_USER_PIN_NOT_INITIALIZED, CKR_USER_TYPE_INVALID,
    CKR_USER_ANOTHER_ALREADY_LOGGED_IN, CKR_WRAPPED_KEY_INVALID, CKR_WRAPPED_KEY_LEN_RANGE,
    CKR_WRAPPING_KEY_HANDLE_INVALID, CKR_WRAPPING_KEY_SIZE_RANGE, CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
    CKR_RANDOM_SEED_NOT_SUPPORTED, CKR_RANDOM_NO_RNG, CKR_DOMAIN_PARAMS_INVALID, CKR_CURVE_NOT_SUPPORTED,
    CKR_BUFFER_TOO_SMALL, CKR_SAVED_STATE_INVALID, CKR_STATE_UNSAVEABLE, CKR_CRYPTOKI_NOT_INITIALIZED,
    CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_FUNCTION_REJECTED, CKR_TOKEN_RESOURCE_EXCEEDED,
    CKR_OPERATION_CANCEL_FAILED, CKR_PUBLIC_KEY_INVALID, CKR_PARAMETER_SET_NOT_SUPPORTED,
    CKR_SESSION_ASYNC_NOT_SUPPORTED, CKR_FUNCTION_NOT_PARALLEL,
}
