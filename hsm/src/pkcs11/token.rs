//! One token: finding it by its label, opening a session with it, logging in.

use std::sync::{Arc, OnceLock};

use cryptoki::{
    error::{Error, RvError},
    mechanism::MechanismType,
    session::{Session, UserType},
    slot::TokenInfo,
};

use super::{Pin, module::Module, rv};
use crate::HsmError;

/// What Strongroom needs a token to do, with the name that PKCS#11 gives it.
const MECHANISMS: [(MechanismType, &str); 4] = [
    (MechanismType::AES_KEY_GEN, "CKM_AES_KEY_GEN"),
    (MechanismType::AES_KEY_WRAP, "CKM_AES_KEY_WRAP"),
    (
        MechanismType::ECC_EDWARDS_KEY_PAIR_GEN,
        "CKM_EC_EDWARDS_KEY_PAIR_GEN",
    ),
    (MechanismType::EDDSA, "CKM_EDDSA"),
];

pub(super) struct Token {
    module: Arc<Module>,
    label: String,
    pin: Pin,
    /// Once the token refused the PIN nothing offers it again: each attempt brings the token nearer to locking.
    refusal: OnceLock<HsmError>,
}

impl Token {
    pub(super) fn new(module: Arc<Module>, label: String, pin: Pin) -> Self {
        Self {
            module,
            label,
            pin,
            refusal: OnceLock::new(),
        }
    }

    pub(super) fn module(&self) -> &Module {
        &self.module
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn info(&self) -> Result<TokenInfo, HsmError> {
        let (_, info) = self.module.slots().find(&self.label)?;
        Ok(info)
    }

    /// Checks that the token can do all that Strongroom will ask of it.
    pub(super) fn probe(&self) -> Result<(), HsmError> {
        let slots = self.module.slots();
        let (slot, info) = slots.find(&self.label)?;
        if info.user_pin_locked() {
            return Err(HsmError::PinLocked {
                token: self.label.clone(),
            });
        }
        let missing = |mechanism: &str| HsmError::MechanismMissing {
            token: self.label.clone(),
            mechanism: mechanism.to_owned(),
        };
        let present = slots
            .context()
            .get_mechanism_list(slot)
            .map_err(|error| self.explain(&error))?;
        for (mechanism, name) in MECHANISMS {
            if !present.contains(&mechanism) {
                return Err(missing(name));
            }
        }
        let wrapping = slots
            .context()
            .get_mechanism_info(slot, MechanismType::AES_KEY_WRAP)
            .map_err(|error| self.explain(&error))?;
        if !wrapping.wrap() || !wrapping.unwrap() {
            return Err(missing(
                "CKM_AES_KEY_WRAP for C_WrapKey and C_UnwrapKey (it has it for other calls only)",
            ));
        }
        Ok(())
    }

    /// Opens a session and logs it in. The token is looked up each time: a slot's number may change when a token
    /// or the module was restarted.
    pub(super) fn open_session(&self) -> Result<Session, OpenError> {
        self.check_pin_not_refused()?;
        let slots = self.module.slots();
        let (slot, _) = slots.find(&self.label)?;
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
        rv::explain(&self.label, error)
    }

    fn check_pin_not_refused(&self) -> Result<(), HsmError> {
        self.refusal.get().cloned().map_or(Ok(()), Err)
    }
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
