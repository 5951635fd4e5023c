//! Tokens of our own for a test binary.
//!
//! Modules read their configuration's path from the environment when they are initialised, and a running program cannot set its environment
//! without `unsafe`. So a test binary runs itself again as a child whose environment is set.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use strongroom_hsm::{
    MasterKekId,
    pkcs11::{Pin, Pkcs11Config, Pkcs11Hsm, initialise_token},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    object::{Attribute, KeyType, ObjectClass},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};

/// Set in the child: which part of the binary it runs.
const ROLE: &str = "STRONGROOM_HSM_TEST_ROLE";

/// Names the module where it is not in a usual place.
pub(crate) const MODULE: &str = "STRONGROOM_TEST_PKCS11_MODULE";

/// The PIN of every test token. They live as long as their test.
pub(crate) const PIN: &str = "correct-horse-1";

pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Runs this binary again as `role` with that environment.
pub(crate) fn run_in(
    role: &str,
    arguments: &[String],
    environment: &[(&str, &Path)],
    capture: bool,
) -> (i32, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .env(ROLE, role);
    if capture {
        command.stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&text).into_owned(),
        )
    } else {
        let status = command.status().unwrap();
        (status.code().unwrap_or(-1), String::new())
    }
}

/// `SoftHSM`'s PKCS#11 module: where Debian puts it, or where `STRONGROOM_TEST_PKCS11_MODULE` says.
pub(crate) fn module() -> PathBuf {
    if let Some(path) = env::var_os(MODULE) {
        return path.into();
    }
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
    ];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found
        .expect("SoftHSM 2 is not installed: install the package softhsm2")
        .to_owned()
}

pub(crate) fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned()).unwrap()
}

/// One token of the test's own.
pub(crate) struct TestToken {
    pub(crate) label: String,
}

impl TestToken {
    pub(crate) fn initialise(label: &str) -> Self {
        initialise_token(&module(), label, &pin(PIN), &pin("so-pin-1234")).unwrap();
        Self {
            label: label.to_owned(),
        }
    }

    pub(crate) fn config(&self) -> Pkcs11Config {
        Pkcs11Config {
            module: module(),
            token_label: self.label.clone(),
            pin: pin(PIN),
            max_sessions: 4,
        }
    }

    pub(crate) fn open(&self) -> Pkcs11Hsm {
        Pkcs11Hsm::open(self.config()).unwrap()
    }

    /// Its name in messages, slot and module included.
    pub(crate) fn name(&self) -> String {
        let (slot, module) = (self.slot().id(), module());
        format!(
            "the token \"{}\" (slot {slot:#x}, module {})",
            self.label,
            module.display()
        )
    }

    fn slot(&self) -> Slot {
        let context = context();
        let slots = context.get_slots_with_initialized_token().unwrap();
        let mut slots = slots.into_iter();
        let ours = slots.find(|slot| context.get_token_info(*slot).unwrap().label() == self.label);
        ours.unwrap()
    }

    /// A logged-in session beside the backend's, to do what the backend never would. Nothing may initialise a token meanwhile.
    pub(crate) fn raw_session(&self) -> Session {
        let session = context().open_rw_session(self.slot()).unwrap();
        match session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned()))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => session,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The module as the backend has it: both share what it keeps for the process.
pub(crate) fn context() -> Pkcs11 {
    let context = Pkcs11::new(module()).unwrap();
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => context,
        Err(error) => panic!("{error}"),
    }
}

/// Puts a master KEK of known value on the token, as protected as one that the HSM generated.
pub(crate) fn put_master_kek(session: &Session, id: &MasterKekId, value: &[u8]) {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Label(id.label().unwrap().into_bytes()),
        Attribute::Value(value.to_vec()),
    ];
    session.create_object(&template).unwrap();
}
