//! The C table, and everything that is `unsafe`: what crosses the C boundary, and two calls of C libraries that have no safe form.
//!
//! | module | what lives there |
//! |---|---|
//! | this | one way in for every call: the process's module, panics, the log |
//! | `fork` | forks, which wait until nobody works inside |
//! | [`table`] | every function of PKCS#11 2.40, 3.0 and 3.2, in one table |
//! | `interfaces` | the interfaces of 3.0 |
//! | `pointers` | reading and writing the application's memory |
//! | `parameters` | reading mechanisms and their parameters |
//! | `rsa_raw` | the private RSA operation without an encoding |
//!
//! A pointer that the application gives is checked for null and its length for sense; that it points where it says is the application's
//! promise, as in every C library.

pub(crate) mod fork;
mod interfaces;
mod parameters;
mod pointers;
mod rsa_raw;
pub mod table;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Once, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use cryptoki_sys::*;

use crate::config::Level;
use crate::error::{CkError, CkResult, fail};
use crate::https;
use crate::session::{Connect, Module};
pub(crate) use rsa_raw::RsaKey;

/// What a process has: its module between `C_Initialize` and `C_Finalize`. A forked child has none: what it inherited is its parent's, and
/// may have been locked by a thread that the child does not have.
struct Process {
    id: u32,
    module: RwLock<Option<Arc<Module>>>,
    /// Keeps what was inherited reachable: it is never touched again.
    #[expect(dead_code, reason = "for leak checkers")]
    before: *const Process,
}

static CURRENT: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());
static CONNECT: OnceLock<Connect> = OnceLock::new();

thread_local! {
    /// Whether this thread is in a call: then a panic is not printed.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Sets where tokens come from, for a program that links this crate as a library. The module that C applications load takes those of
/// [`https::connect`]; nothing in the C interface reaches this. Says whether nobody was first.
pub fn connect_by(connect: Connect) -> bool {
    CONNECT.set(connect).is_ok()
}

fn current() -> Option<&'static Process> {
    // SAFETY: null, or a Process that was leaked.
    let process = unsafe { CURRENT.load(Ordering::Acquire).as_ref() };
    process.filter(|process| process.id == std::process::id())
}

/// The process's own, made where there is none yet.
fn own() -> &'static Process {
    loop {
        if let Some(process) = current() {
            return process;
        }
        let before = CURRENT.load(Ordering::Acquire);
        let process = Process {
            id: std::process::id(),
            module: RwLock::new(None),
            before,
        };
        let process = Box::into_raw(Box::new(process));
        let exchanged =
            CURRENT.compare_exchange(before, process, Ordering::AcqRel, Ordering::Acquire);
        if exchanged.is_err() {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(process) });
        }
    }
}

/// The module that was initialised.
fn module() -> CkResult<Arc<Module>> {
    current()
        .and_then(|process| {
            process
                .module
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        })
        .ok_or(CkError::new(
            CKR_CRYPTOKI_NOT_INITIALIZED,
            "C_Initialize comes first",
        ))
}

fn initialize(reserved: Option<&str>, threads: bool) -> CkResult<()> {
    hide_panics();
    fork::watch();
    let mut place = own().module.write().unwrap_or_else(PoisonError::into_inner);
    if place.is_some() {
        return fail(
            CKR_CRYPTOKI_ALREADY_INITIALIZED,
            "C_Initialize was called before",
        );
    }
    let connect = CONNECT.get().copied().unwrap_or(https::connect);
    *place = Some(Arc::new(Module::new(reserved, connect, threads)?));
    Ok(())
}

fn finalize() -> CkResult<()> {
    let taken = current().and_then(|process| {
        process
            .module
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    });
    match taken {
        Some(module) => {
            module.end();
            Ok(())
        }
        None => fail(CKR_CRYPTOKI_NOT_INITIALIZED, "C_Initialize comes first"),
    }
}

/// Does what a C function does: no panic gets out, and the log learns of failures.
fn call(name: &'static str, body: impl FnOnce() -> CkResult<()>) -> CK_RV {
    let _work = fork::Work::begin();
    let outer = INSIDE.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let outcome =
        outcome.unwrap_or_else(|_| fail(CKR_GENERAL_ERROR, "a fault of the module: it panicked"));
    let rv = match &outcome {
        Ok(()) => CKR_OK,
        Err(error) => {
            // Logging may not panic the application either.
            let _ = catch_unwind(AssertUnwindSafe(|| log(name, error)));
            error.rv
        }
    };
    INSIDE.set(outer);
    rv
}

fn log(name: &str, error: &CkError) {
    let grave = error.problem.is_some()
        || matches!(
            error.rv,
            CKR_GENERAL_ERROR
                | CKR_FUNCTION_FAILED
                | CKR_DEVICE_ERROR
                | CKR_DEVICE_MEMORY
                | CKR_HOST_MEMORY
                | CKR_TOKEN_NOT_PRESENT
        );
    let level = if grave { Level::Error } else { Level::Debug };
    if let Ok(module) = module() {
        module.log.line(level, format_args!("{name}: {error}"));
    }
}

/// A panic inside a call prints nothing: the host's output is the host's.
fn hide_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !INSIDE.try_with(Cell::get).unwrap_or(true) {
                others(panic);
            }
        }));
    });
}

/// A thread that takes no signals. None where the system gives no thread.
pub(crate) fn spawn_without_signals(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Option<JoinHandle<()>> {
    // SAFETY: both sets are this function's own; sigfillset and pthread_sigmask write them before they are read.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        let masked = libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) == 0;
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            INSIDE.set(true);
            body();
        });
        if masked {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        }
        thread.ok()
    }
}
