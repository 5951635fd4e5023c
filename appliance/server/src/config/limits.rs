//! The settings of what requests and failures may cost.

use std::num::NonZeroU32;

use serde::Deserialize;

/// What one request or one failing client may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// The largest request body in bytes.
    pub(crate) body: usize,
    /// The largest body of requests that list many keys or bring data to work on, in bytes.
    pub(crate) keys_body: usize,
    /// Failures in a row before one account is slowed down.
    pub(crate) account_failures: NonZeroU32,
    /// Seconds after which a slowed account has one more try.
    pub(crate) account_failure_seconds: NonZeroU32,
    /// Failures in a row before one source address is slowed down.
    pub(crate) address_failures: NonZeroU32,
    /// Seconds after which a slowed address has one more try.
    pub(crate) address_failure_seconds: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            keys_body: 4 * 1024 * 1024,
            account_failures: NonZeroU32::MIN.saturating_add(9),
            account_failure_seconds: NonZeroU32::MIN.saturating_add(5),
            address_failures: NonZeroU32::MIN.saturating_add(49),
            address_failure_seconds: NonZeroU32::MIN,
        }
    }
}
