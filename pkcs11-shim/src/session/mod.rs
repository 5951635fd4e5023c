//! The module's state, slots, sessions, sign-in, and the operations under way.
//!
//! | module | what lives there |
//! |---|---|
//! | this | [`Module`]: everything between `C_Initialize` and `C_Finalize` |
//! | [`slots`] | slots and tokens, what is known of them, the mechanism list |
//! | [`sessions`] | opening and closing sessions, signing in and out |
//! | [`operation`] | the place of an operation under way |
//! | [`output`] | buffers that the application gives |
//! | [`purpose`] | which key may do what, and where it is done |
//! | [`sign`], [`verify`], [`crypt`], [`digest`] | the operations |
//! | [`dual`] | two operations in one call |
//! | [`keys`], [`wrapping`] | making and deriving keys; wrapping and unwrapping them |
//! | [`reaper`] | overwrites released keys at their end |

mod crypt;
mod digest;
mod dual;
mod keys;
mod operation;
mod output;
mod purpose;
mod reaper;
mod sessions;
mod sign;
mod slots;
mod verify;
mod wrapping;

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use cryptoki_sys::*;

use crate::config::{Config, Level, TokenConfig, shown};
use crate::error::{CkError, CkResult, fail};
use crate::ffi;
use crate::handles::Handles;
use crate::log::Log;
use crate::object::Object;
use crate::token::{RequestId, Token, TokenResult};
pub(crate) use output::ulong;
pub use output::{Given, Output};
pub(crate) use reaper::Reaper;
pub(crate) use sessions::Session;
pub(crate) use slots::Slot;

/// Gives the token that a configuration names.
pub type Connect = fn(&TokenConfig) -> TokenResult<Arc<dyn Token>>;

/// Everything between `C_Initialize` and `C_Finalize`.
pub struct Module {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) slots: Vec<Arc<Slot>>,
    pub(crate) sessions: Handles<Session>,
    pub(crate) objects: Arc<Handles<Object>>,
    pub(crate) reaper: Reaper,
    over: Mutex<bool>,
    ended: Condvar,
}

impl Module {
    /// Reads the configuration. Nothing is asked of an appliance.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn new(reserved: Option<&str>, connect: Connect, threads: bool) -> CkResult<Self> {
        let (config, from) = Config::load(reserved)?;
        let log = Log::open(&config.log);
        log.line(
            Level::Info,
            format_args!(
                "begins with {} and {} tokens",
                shown(from.as_deref()),
                config.tokens.len()
            ),
        );
        let slots = config.tokens.iter().enumerate();
        let slots = slots
            .map(|(id, token)| {
                let connected = connect(token);
                if let Err(error) = &connected {
                    log.line(Level::Error, format_args!("{error}"));
                }
                Arc::new(Slot::new(id, token.label.clone(), connected))
            })
            .collect();
        let objects: Arc<Handles<Object>> = Arc::new(Handles::new());
        Ok(Self {
            config,
            log,
            slots,
            sessions: Handles::new(),
            reaper: Reaper::new(Arc::clone(&objects), threads),
            objects,
            over: Mutex::new(false),
            ended: Condvar::new(),
        })
    }

    /// `C_Finalize`: leaves no session, no secret, no connection and no thread.
    pub(crate) fn end(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
        for session in self.sessions.remove_where(|_| true) {
            session.cancel_all();
        }
        for object in self.objects.remove_where(|_| true) {
            object.forget();
        }
        self.reaper.end();
        for slot in &self.slots {
            slot.close();
        }
        self.log.line(Level::Info, format_args!("ends"));
    }

    /// `C_GetInfo`.
    pub(crate) fn info() -> CK_INFO {
        let (major, minor) = version();
        CK_INFO {
            cryptokiVersion: CK_VERSION { major: 3, minor: 0 },
            manufacturerID: padded("Strongroom"),
            flags: 0,
            libraryDescription: padded("Strongroom PKCS#11 module"),
            libraryVersion: CK_VERSION { major, minor },
        }
    }

    /// `C_WaitForSlotEvent`: no slot comes or goes, so that a wait lasts until `C_Finalize`.
    pub(crate) fn wait_for_slot_event(&self, flags: CK_FLAGS) -> CkResult<()> {
        if flags & CKF_DONT_BLOCK != 0 {
            return fail(CKR_NO_EVENT, "no slot has come or gone");
        }
        let _waiting = ffi::fork::Wait::begin();
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let over = self.ended.wait_while(over, |over| !*over);
        drop(over.unwrap_or_else(PoisonError::into_inner));
        fail(CKR_CRYPTOKI_NOT_INITIALIZED, "C_Finalize was called")
    }

    pub(crate) fn slot(&self, slot: CK_SLOT_ID) -> CkResult<&Arc<Slot>> {
        usize::try_from(slot)
            .ok()
            .and_then(|slot| self.slots.get(slot))
            .ok_or(CkError::new(CKR_SLOT_ID_INVALID, "there is no such slot"))
    }

    pub(crate) fn session(&self, session: CK_SESSION_HANDLE) -> CkResult<Arc<Session>> {
        self.sessions.get(session).ok_or(CkError::new(
            CKR_SESSION_HANDLE_INVALID,
            "there is no such session",
        ))
    }
}

/// The module's version.
fn version() -> (u8, u8) {
    let part = |text: &str| text.parse().unwrap_or_default();
    (
        part(env!("CARGO_PKG_VERSION_MAJOR")),
        part(env!("CARGO_PKG_VERSION_MINOR")),
    )
}

/// Text as the standard's structures have it: filled up with spaces, without an end.
pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut padded = [b' '; N];
    let text = &text[..text.floor_char_boundary(N)];
    padded[..text.len()].copy_from_slice(text.as_bytes());
    padded
}

/// A name for a request that makes something. Not by the time: the counter that goes with that is behind a lock, which a forked child may find
/// held by a thread that it does not have.
pub(crate) fn new_request() -> CkResult<RequestId> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| CkError::new(CKR_RANDOM_NO_RNG, "the system gives no random numbers"))?;
    Ok(RequestId(
        uuid::Builder::from_random_bytes(bytes).into_uuid(),
    ))
}
