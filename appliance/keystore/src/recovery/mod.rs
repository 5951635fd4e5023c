//! Recovery: custodians, of whom some together bring the domain's master KEK into another HSM.
//!
//! ```text
//! custodians   shares ─ any M of N restore ─┐
//! HSM          recovery KEK ────────────────┘ may only wrap
//!               └─ wraps, inside the HSM
//! database and  recovery blob: a version of the master KEK. It is no secret.
//! backups
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | `describe` | what is said of recovery KEKs and blobs, in the database and in backups' headers |
//! | `establish` | the acts: a recovery KEK is made, its ceremony recorded |
//! | `recover` | the way back: master KEKs into an HSM that does not have them |
//!
//! How a key is split, and a share is words: `strongroom-custodians`.
//!
//! What must never happen here: a recovery KEK or a share in a record, a leaf, a log line or a `Debug` output; a recovery KEK that outlives
//! the ceremony in this process.

mod describe;
mod establish;
mod recover;

pub use describe::{CheckValue, MasterKekBackup, Recovery, RecoveryKek, check_value};
pub(crate) use establish::transcript_note;
pub(crate) use recover::wrapping_versions;

pub use establish::{Established, NewRecovery, Transcript, new_recovery_kek};
pub use recover::{Recovered, read_recovery, recover_master_keks};
