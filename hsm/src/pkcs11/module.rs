//! The loaded PKCS#11 module: one for each process and path, its slots, and initialising a token.
//!
//! Traps that this file keeps from the rest:
//! - `C_Initialize` belongs to the process, and concurrent calls crash `SoftHSM`: a registry makes them one after another. A module is
//!   never unloaded. It is finalised and initialised again, where a token does not come back otherwise, only while no backend uses it
//!   and no thread is in it: every call holds [`Module::enter`]. A session from before must not even be closed: its number may be
//!   another's by then. So sessions are kept with the module's generation.
//! - Calls that list slots change a module's table of slots while other calls read it (in `SoftHSM` without a lock):
//!   whatever takes a slot goes through [`Module::slots`].

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    session::UserType,
    slot::{Slot, TokenInfo},
};

use super::{Pin, TokenSelector, rv};
use crate::HsmError;

/// Initialises the first uninitialised token behind `module`: gives it `token_label`, sets the security officer's PIN
/// (`C_InitToken`) and the user's (`C_InitPIN`).
///
/// Where an earlier call was interrupted between the two steps, it goes on with the second.
///
/// # Errors
/// [`HsmError::TokenExists`] when a token has that label; it is never initialised again, which would destroy its keys.
pub fn initialise_token(
    module: &Path,
    token_label: &str,
    pin: &Pin,
    so_pin: &Pin,
) -> Result<(), HsmError> {
    check_token_label(token_label)?;
    let module = Module::load(module)?;
    let _inside = module.enter();
    let slots = module.slots();
    let tokens = slots.tokens()?;

    let failed = |slot: Slot| {
        let name = token_name(token_label, Some(slot.id()), &module.path);
        move |error: Error| rv::explain(&name, &error)
    };
    let labelled = tokens.iter().find(|(_, info)| is(info, token_label));
    let slot = match labelled {
        Some((_, info)) if info.user_pin_initialized() => {
            return Err(HsmError::TokenExists {
                module: module.path.clone(),
                token: token_label.to_owned(),
            });
        }
        Some((slot, _)) => *slot,
        None => {
            let empty = tokens.iter().find(|(_, info)| !info.token_initialized());
            let Some((slot, _)) = empty else {
                return Err(HsmError::NoUninitialisedToken {
                    module: module.path.clone(),
                });
            };
            let context = slots.context();
            context
                .init_token(*slot, so_pin.secret(), token_label)
                .map_err(failed(*slot))?;
            *slot
        }
    };
    let session = slots
        .context()
        .open_rw_session(slot)
        .map_err(failed(slot))?;
    session
        .login(UserType::So, Some(so_pin.secret()))
        .map_err(failed(slot))?;
    session.init_pin(pin.secret()).map_err(failed(slot))?;
    session.logout().map_err(failed(slot))
}

/// How long to wait for threads to leave a module that is to be initialised again.
const PATIENCE: Duration = Duration::from_millis(500);

/// A loaded and initialised PKCS#11 module.
pub(super) struct Module {
    path: PathBuf,
    context: Pkcs11,
    slots: Mutex<()>,
    generating: Mutex<()>,
    logins: Mutex<u64>,
    inside: RwLock<()>,
    generation: AtomicU64,
    /// How many pools of sessions there are.
    pools: AtomicUsize,
}

impl Module {
    /// Loads and initialises the module at `path`, or gives the one that this process has already.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, HsmError> {
        static MODULES: OnceLock<Mutex<HashMap<PathBuf, Arc<Module>>>> = OnceLock::new();
        let not_found = |reason: String| HsmError::ModuleNotFound {
            module: path.to_owned(),
            reason,
        };
        // Of several names of one file, each gives the same module.
        let real = path
            .canonicalize()
            .map_err(|error| not_found(error.to_string()))?;
        let mut modules = lock(MODULES.get_or_init(Mutex::default));
        if let Some(module) = modules.get(&real) {
            return Ok(Arc::clone(module));
        }
        let context = Pkcs11::new(&real).map_err(|error| not_found(error.to_string()))?;
        let module = Arc::new(Self {
            path: path.to_owned(),
            context,
            slots: Mutex::new(()),
            generating: Mutex::new(()),
            logins: Mutex::new(0),
            inside: RwLock::new(()),
            generation: AtomicU64::new(0),
            pools: AtomicUsize::new(0),
        });
        module.initialise()?;
        modules.insert(real, Arc::clone(&module));
        Ok(module)
    }

    /// Its name in messages where no token is known.
    fn name(&self) -> String {
        format!("the PKCS#11 module {}", self.path.display())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The right to use the module's slots. One thread has it at a time.
    pub(super) fn slots(&self) -> Slots<'_> {
        Slots {
            module: self,
            _held: lock(&self.slots),
        }
    }

    /// Held while a key is generated, so that two threads do not generate one under the same label.
    pub(super) fn generating(&self) -> MutexGuard<'_, ()> {
        lock(&self.generating)
    }

    /// Held during a login: how many there were. One after another, so that threads that are logged out together do not
    /// offer a wrong PIN together.
    pub(super) fn logins(&self) -> MutexGuard<'_, u64> {
        lock(&self.logins)
    }

    /// Held by every call into the module, from the first use of a session or slot to the last.
    pub(super) fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.inside.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the module was initialised again. It stays while [`Self::enter`] is held.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// How many pools of sessions there are.
    pub(super) fn pools(&self) -> &AtomicUsize {
        &self.pools
    }

    /// Finalises the module and initialises it again, which is how some (`SoftHSM` among them) notice that a token came or came
    /// back. False when somebody uses it.
    pub(super) fn reinitialise(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let _alone = loop {
            if self.pools.load(Ordering::Relaxed) > 0 {
                return false;
            }
            if let Ok(alone) = self.inside.try_write() {
                break alone;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.generation.fetch_add(1, Ordering::Relaxed);
        let finalised = self.context.clone().finalize();
        let initialised = self.initialise();
        tracing::debug!(module = %self.path.display(), ?finalised, ?initialised, "initialised the module again");
        initialised.is_ok()
    }

    fn initialise(&self) -> Result<(), HsmError> {
        match self
            .context
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            Err(error) => Err(rv::explain(&self.name(), &error)),
        }
    }
}

/// The module's slots, held by one thread.
pub(super) struct Slots<'a> {
    module: &'a Module,
    _held: MutexGuard<'a, ()>,
}

impl Slots<'_> {
    pub(super) fn context(&self) -> &Pkcs11 {
        &self.module.context
    }

    /// The slot of the token that is meant, and what the token says of itself.
    pub(super) fn find(&self, selector: &TokenSelector) -> Result<(Slot, TokenInfo), HsmError> {
        let mut tokens = self.tokens()?;
        tokens.retain(|(_, info)| info.token_initialized());
        let shown = listed(&tokens);
        tokens.retain(|(_, info)| selector.fits(info));
        let (module, token) = (self.module.path.clone(), selector.to_string());
        let fitting = listed(&tokens);
        match (tokens.pop(), tokens.is_empty()) {
            (Some(found), true) => Ok(found),
            (Some(_), false) => Err(HsmError::TokenAmbiguous {
                module,
                token,
                found: fitting,
            }),
            (None, _) => Err(HsmError::TokenNotFound {
                module,
                token,
                found: shown,
            }),
        }
    }

    fn tokens(&self) -> Result<Vec<(Slot, TokenInfo)>, HsmError> {
        let slots = self
            .context()
            .get_slots_with_token()
            .map_err(|error| rv::explain(&self.module.name(), &error))?;
        let tokens = slots.into_iter().filter_map(|slot| {
            match self.context().get_token_info(slot) {
                Ok(info) => Some((slot, info)),
                // Another slot's token may be out of order: no reason not to use ours.
                Err(error) => {
                    tracing::debug!(slot = slot.id(), %error, "a slot's token says nothing of itself");
                    None
                }
            }
        });
        Ok(tokens.collect())
    }
}

/// A token's name in messages.
pub(super) fn token_name(label: &str, slot: Option<u64>, module: &Path) -> String {
    let module = module.display();
    match slot {
        Some(slot) => format!("the token \"{label}\" (slot {slot:#x}, module {module})"),
        None => format!("the token \"{label}\" (module {module})"),
    }
}

/// Tokens for an operator to compare.
fn listed(tokens: &[(Slot, TokenInfo)]) -> String {
    if tokens.is_empty() {
        return "none".to_owned();
    }
    let tokens: Vec<String> = tokens
        .iter()
        .map(|(slot, info)| {
            let (label, serial) = (info.label(), info.serial_number());
            format!("\"{label}\" with serial {serial} in slot {:#x}", slot.id())
        })
        .collect();
    tokens.join(", ")
}

/// Takes a lock whose data no panic can leave half-changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is(info: &TokenInfo, label: &str) -> bool {
    info.token_initialized() && info.label() == label
}

/// A token's label has 32 bytes, padded with spaces (PKCS#11 v2.40, section 3.2).
fn check_token_label(label: &str) -> Result<(), HsmError> {
    let flawed = label.is_empty()
        || label.len() > 32
        || label.trim() != label
        || label.chars().any(char::is_control);
    if flawed {
        return Err(HsmError::Malformed {
            what: "token label",
            reason: "it must have 1 to 32 bytes, no control characters, and no space at either end",
        });
    }
    Ok(())
}
