//! One token: finding it by its label, opening a session with it, logging in.

use std::sync::{Arc, Mutex, OnceLock};

use cryptoki::{
    error::{Error, RvError},
    mechanism::MechanismType,
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
};

use super::{
    Pin, TokenSelector,
    module::{Module, Slots, lock, token_name},
    rv,
    wrapping::WRAPPINGS,
};
use crate::{HsmError, WrapScheme};

/// What Strongroom needs a token to do beside wrapping, with the name that PKCS#11 gives it, and what it is for.
const MECHANISMS: [(MechanismType, &str, &str); 3] = [
    (
        MechanismType::AES_KEY_GEN,
        "CKM_AES_KEY_GEN",
        "generating master KEKs",
    ),
    (
        MechanismType::ECC_EDWARDS_KEY_PAIR_GEN,
        "CKM_EC_EDWARDS_KEY_PAIR_GEN",
        "generating signing keys",
    ),
    (MechanismType::EDDSA, "CKM_EDDSA", "signatures"),
];

/// A mechanism that Strongroom needs or could use, and whether the token has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MechanismUse {
    /// The name that PKCS#11 gives it.
    pub mechanism: &'static str,
    /// What Strongroom does with it.
    pub purpose: &'static str,
    /// Whether the token offers it for that.
    pub offered: bool,
    /// Whether Strongroom uses it on this token: of those that wrap, the first that is offered.
    pub used: bool,
}

pub(super) struct Token {
    module: Arc<Module>,
    selector: TokenSelector,
    label: String,
    /// Where it was found last, for messages.
    slot: Mutex<Option<u64>>,
    pin: Pin,
    /// Once the token refused the PIN nothing offers it again: each attempt brings the token nearer to locking.
    refusal: OnceLock<HsmError>,
}

impl Token {
    pub(super) fn new(module: Arc<Module>, selector: TokenSelector, pin: Pin) -> Self {
        Self {
            module,
            label: selector.to_string(),
            selector,
            slot: Mutex::default(),
            pin,
            refusal: OnceLock::new(),
        }
    }

    pub(super) fn module(&self) -> &Module {
        &self.module
    }

    /// As the configuration names it.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Its full name in messages.
    pub(super) fn name(&self) -> String {
        token_name(&self.label, *lock(&self.slot), self.module.path())
    }

    fn find(&self, slots: &Slots<'_>) -> Result<(Slot, TokenInfo), HsmError> {
        let found = slots.find(&self.selector)?;
        *lock(&self.slot) = Some(found.0.id());
        Ok(found)
    }

    pub(super) fn info(&self) -> Result<TokenInfo, HsmError> {
        let _inside = self.module.enter();
        let (_, info) = self.find(&self.module.slots())?;
        Ok(info)
    }

    /// Checks that the token can do all that Strongroom will ask of it. Gives the schemes by which it wraps, the best first.
    pub(super) fn probe(&self) -> Result<Vec<WrapScheme>, HsmError> {
        let uses = self.mechanisms()?;
        for (_, name, _) in MECHANISMS {
            if !uses.iter().any(|row| row.mechanism == name && row.offered) {
                return Err(self.missing(name));
            }
        }
        let schemes: Vec<WrapScheme> = WRAPPINGS
            .into_iter()
            .filter(|(_, _, name)| uses.iter().any(|row| row.mechanism == *name && row.offered))
            .map(|(scheme, ..)| scheme)
            .collect();
        if schemes.is_empty() {
            let names: Vec<&str> = WRAPPINGS.iter().map(|(_, _, name)| *name).collect();
            return Err(self.missing(&format!(
                "{} for C_WrapKey and C_UnwrapKey",
                names.join(", or ")
            )));
        }
        Ok(schemes)
    }

    /// What the token offers of all that Strongroom needs or could use.
    pub(super) fn mechanisms(&self) -> Result<Vec<MechanismUse>, HsmError> {
        let (slot, info, rows) = offered(&self.module, &self.selector)?;
        *lock(&self.slot) = Some(slot.id());
        if info.user_pin_locked() {
            return Err(HsmError::PinLocked { token: self.name() });
        }
        Ok(rows)
    }

    /// Every mechanism that the token names.
    pub(super) fn mechanism_types(&self) -> Result<Vec<MechanismType>, HsmError> {
        let _inside = self.module.enter();
        let slots = self.module.slots();
        let (slot, _) = self.find(&slots)?;
        let present = slots.context().get_mechanism_list(slot);
        present.map_err(|error| self.explain(&error))
    }

    fn missing(&self, mechanism: &str) -> HsmError {
        HsmError::MechanismMissing {
            token: self.name(),
            mechanism: mechanism.to_owned(),
        }
    }

    /// Opens a session and logs it in. The token is looked up each time: a slot's number may change when a token
    /// or the module was restarted.
    pub(super) fn open_session(&self) -> Result<Session, OpenError> {
        self.check_pin_not_refused()?;
        let slots = self.module.slots();
        let (slot, _) = self.find(&slots)?;
        let session = match slots.context().open_rw_session(slot) {
            Err(Error::Pkcs11(RvError::SessionCount, _)) => return Err(OpenError::AtLimit),
            opened => opened.map_err(|error| self.explain(&error))?,
        };
        self.log_in(&session)?;
        Ok(session)
    }

    /// Logs in. The login is the application's, not the session's (PKCS#11 v2.40, section 5.6, `C_Login`), so
    /// it may have been done already.
    pub(super) fn log_in(&self, session: &Session) -> Result<(), HsmError> {
        let mut logins = self.module.logins();
        self.check_pin_not_refused()?;
        match session.login(UserType::User, Some(self.pin.secret())) {
            Ok(()) => {
                *logins += 1;
                Ok(())
            }
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => {
                let error = self.explain(&error);
                if matches!(
                    error,
                    HsmError::PinIncorrect { .. } | HsmError::PinLocked { .. }
                ) {
                    // Nobody else can have set it: the lock is held, and it was empty.
                    let _ = self.refusal.set(error.clone());
                }
                Err(error)
            }
        }
    }

    pub(super) fn explain(&self, error: &Error) -> HsmError {
        rv::explain(&self.name(), error)
    }

    fn check_pin_not_refused(&self) -> Result<(), HsmError> {
        self.refusal.get().cloned().map_or(Ok(()), Err)
    }
}

/// Where a token is, what it says of itself, and what it offers of all that Strongroom needs or could use. Needs no login.
pub(super) fn offered(
    module: &Module,
    selector: &TokenSelector,
) -> Result<(Slot, TokenInfo, Vec<MechanismUse>), HsmError> {
    let _inside = module.enter();
    let slots = module.slots();
    let (slot, info) = slots.find(selector)?;
    let name = token_name(&selector.to_string(), Some(slot.id()), module.path());
    let explain = |error: Error| rv::explain(&name, &error);
    let present = slots.context().get_mechanism_list(slot).map_err(explain)?;
    let mut rows = Vec::new();
    for (mechanism, name, purpose) in MECHANISMS {
        let offered = present.contains(&mechanism);
        rows.push(MechanismUse {
            mechanism: name,
            purpose,
            offered,
            used: offered,
        });
    }
    let mut chosen = false;
    for (_, mechanism, name) in WRAPPINGS {
        // A token may have it for other calls only.
        let offered = present.contains(&mechanism) && {
            let info = slots
                .context()
                .get_mechanism_info(slot, mechanism)
                .map_err(explain)?;
            info.wrap() && info.unwrap()
        };
        rows.push(MechanismUse {
            mechanism: name,
            purpose: "wrapping and unwrapping account KEKs",
            offered,
            used: offered && !chosen,
        });
        chosen |= offered;
    }
    Ok((slot, info, rows))
}

/// Why no session was opened.
pub(super) enum OpenError {
    /// The token has no more sessions to give (`CKR_SESSION_COUNT`).
    AtLimit,
    Failed(HsmError),
}

impl From<HsmError> for OpenError {
    fn from(error: HsmError) -> Self {
        Self::Failed(error)
    }
}
