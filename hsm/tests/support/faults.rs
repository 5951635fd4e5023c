//! A `SoftHSM` token to which things happen. It needs a process of its own.

use std::{env, fs, path::PathBuf, sync::Arc};

use strongroom_hsm::{
    Hsm, HsmError,
    pkcs11::{Pkcs11Config, Pkcs11Hsm},
};

use crate::{conformance::faults::Rig, softhsm_child, support, support::TestToken};

pub(crate) struct SoftHsm {
    token: TestToken,
    /// How messages name it, from before anything happened.
    name: String,
    folder: PathBuf,
}

impl SoftHsm {
    pub(crate) fn new() -> Self {
        let token = TestToken::initialise("strongroom");
        Self {
            name: token.name(),
            folder: env::var_os(softhsm_child::TOKENS).unwrap().into(),
            token,
        }
    }
}

impl Rig for SoftHsm {
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

    /// `SoftHSM` counts wrong PINs and never locks.
    fn lock(&self) -> bool {
        false
    }

    fn lose_sessions(&self) {
        support::context().finalize().unwrap();
        support::context();
    }

    /// The folder of its tokens is its device.
    fn take_away(&self) {
        fs::rename(&self.folder, self.folder.with_extension("away")).unwrap();
    }

    fn bring_back(&self) {
        fs::rename(self.folder.with_extension("away"), &self.folder).unwrap();
    }
}
