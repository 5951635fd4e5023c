//! A witness of transparency logs: what another organisation runs to keep a Strongroom appliance honest.
//!
//! It speaks C2SP `tlog-witness`: a log submits each new checkpoint together with the proof that its tree grew from the tree that the witness saw
//! last, and gets a cosignature (C2SP `tlog-cosignature`) for it. A log that was rolled back, or that shows two histories, gets none. It knows
//! nothing of what the leaves say.
//!
//! | module | what lives there |
//! |---|---|
//! | [`witness`] | [`Witness`]: decides over one submission |
//! | [`protocol`] | the request as text, the answers and their statuses |
//! | [`state`] | the file with the last tree of each log, and the file with evidence |
//! | [`key`] | the witness's own key and its file |
//! | [`config`] | the configuration: which logs it knows, by which keys |
//!
//! What must never happen here: a cosignature before the tree it is over is on the disk; two cosignatures of one log over trees of which the
//! smaller is not the beginning of the larger; a start without the state of before.

#![forbid(unsafe_code)]

pub mod config;
pub mod key;
pub mod protocol;
pub mod state;
pub mod witness;

pub use config::Config;
pub use key::SecretKey;
pub use protocol::{Answer, Request};
pub use state::State;
pub use witness::Witness;
