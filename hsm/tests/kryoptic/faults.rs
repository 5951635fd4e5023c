//! A Kryoptic token to which things happen. It needs a process of its own.

use std::{env, fs, path::PathBuf, sync::Arc};

use cryptoki::{
    error::{Error, RvError},
    session::UserType,
    types::AuthPin,
};
use strongroom_hsm::{
    Hsm, HsmError,
    pkcs11::{Pkcs11Config, Pkcs11Hsm},
};

use crate::{conformance::faults::Rig, support, support::TestToken};

/// Set in the child: the folder of its databases.
pub(crate) const FOLDER: &str = "STRONGROOM_HSM_TEST_KRYOPTIC_FOLDER";

pub(crate) struct Kryoptic {
    token: TestToken,
    /// How messages name it, from before anything happened.
    name: String,
    /// The database of the token: it is the first one that was initialised.
    database: PathBuf,
}

impl Kryoptic {
    pub(crate) fn new() -> Self {
        let token = TestToken::initialise("strongroom");
        Self {
            name: token.name(),
            token,
            database: PathBuf::from(env::var_os(FOLDER).unwrap()).join("0.sql"),
        }
    }

    /// The module looks at its databases when it is initialised.
    fn restart() {
        support::context().finalize().unwrap();
        support::context();
    }
}

impl Rig for Kryoptic {
    fn pin(&self) -> &'static str {
        support::PIN
    }

    fn opener(
        &self,
        pin: &'static str,
    ) -> Box<dyn Fn() -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync> {
        let config = Pkcs11Config {
            pin: support::pin(pin),
            ..self.token.config()
        };
        Box::new(move || Ok(Arc::new(Pkcs11Hsm::open(config.clone())?)))
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn lock(&self) -> bool {
        let session = self.token.raw_session();
        session.logout().unwrap();
        let wrong = AuthPin::from("wrong-horse-1".to_owned());
        (0..30).any(|_| {
            let refused = session.login(UserType::User, Some(&wrong)).unwrap_err();
            matches!(refused, Error::Pkcs11(RvError::PinLocked, _))
        })
    }

    fn lose_sessions(&self) {
        Self::restart();
    }

    fn take_away(&self) {
        fs::rename(&self.database, self.database.with_extension("away")).unwrap();
        Self::restart();
    }

    fn bring_back(&self) {
        fs::rename(self.database.with_extension("away"), &self.database).unwrap();
    }
}
