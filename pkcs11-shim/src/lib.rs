//! The PKCS#11 module `libstrongroom_pkcs11.so`: a token is what one service account of the appliance sees.
//!
//! | module | what lives there |
//! |---|---|
//! | `ffi` | the C table, generated from one table of functions; reading and writing the application's memory; all that is `unsafe` |
//! | [`session`] | the module's state, slots, sessions, sign-in, and the operations under way |
//! | [`object`] | attributes, templates, the objects of sessions and of the token, find |
//! | [`mechanism`] | mechanisms, their parameters, and the cryptography that is done in this process |
//! | [`token`] | [`token::Token`]: what the appliance offers to one account |
//! | [`https`] | the token over HTTPS |
//! | [`config`] | the configuration file |
//! | `secret_memory` | pages for keys |
//! | `handles`, `log`, `der` | handles, the log, a little DER |
//!
//! `ffi` knows `session`; `session` and `object` know [`token::Token`]; nobody knows more.
//!
//! Never in this crate: a panic that reaches the application; a lock held over a call of the token; anything done before `C_Initialize`; output,
//! a signal handler or a changed environment in the host process; an async runtime; a thread or a secret left behind by `C_Finalize`; a lock that a
//! forked child inherits; private
//! material that the appliance did not release; a decision about rights that the appliance does not take itself too.

#![deny(unsafe_code)]
// The standard's names are used by the dozen.
#![allow(clippy::wildcard_imports)]

pub mod config;
pub(crate) mod der;
pub mod error;
#[allow(unsafe_code)]
pub mod ffi;
mod handles;
pub mod https;
mod log;
pub mod mechanism;
pub mod object;
mod secret_memory;
pub mod session;
pub mod token;

pub use error::{CkError, CkResult};
