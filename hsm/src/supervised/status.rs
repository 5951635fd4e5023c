//! What an HSM under supervision is doing, for logs, metrics and health.

use std::time::SystemTime;

use crate::HsmError;

/// Whether an HSM can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being opened for the first time.
    Probing,
    /// Calls go to it, unless another one comes before it.
    Usable,
    /// Calls do not go to it. It is tried again by itself, unless it refused the PIN.
    Unusable {
        /// What it said.
        reason: HsmError,
    },
}

impl State {
    /// One word for metrics and health: `probing`, `usable` or `unusable`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Probing => "probing",
            Self::Usable => "usable",
            Self::Unusable { .. } => "unusable",
        }
    }
}

/// An HSM went from one state to another.
#[derive(Clone, Debug)]
pub struct Change {
    /// The HSM's name.
    pub name: String,
    /// Its state until now.
    pub from: State,
    /// Its state from now on.
    pub to: State,
    /// When.
    pub at: SystemTime,
}

/// An HSM at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// The HSM's name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// Whether calls go to it: it is the first one that is usable.
    pub serving: bool,
    /// Whether it is tried again by itself: not after it refused the PIN.
    pub retried: bool,
    /// Calls that it is carrying out.
    pub at_work: usize,
    /// Calls that were abandoned and have not come back.
    pub abandoned: usize,
    /// Calls that were not answered in time, since the start.
    pub timed_out: u64,
    /// How often it became usable, since the start.
    pub opened: u64,
}
