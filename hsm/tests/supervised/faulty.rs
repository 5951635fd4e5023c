//! An HSM that fails or hangs when it is told to, before a real one.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use strongroom_hsm::{
    Aes256Key, DeviceLog, Ed25519PublicKey, Hsm, HsmError, MasterKekId, NamedKeys, RecoveryBlob,
    RecoveryKekId, TokenInfo, WrappedKey, supervised::Backend,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Works,
    Fails,
    Hangs,
}

pub(crate) struct Faulty {
    real: Arc<dyn Hsm>,
    mode: Mutex<Mode>,
    changed: Condvar,
}

impl Faulty {
    pub(crate) fn new(real: Arc<dyn Hsm>, mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            real,
            mode: Mutex::new(mode),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
        self.changed.notify_all();
    }

    /// As the supervisor opens it.
    pub(crate) fn backend(self: &Arc<Self>, name: &str) -> Backend {
        let this = Arc::clone(self);
        Backend {
            name: name.to_owned(),
            open: Arc::new(move || {
                this.pass()?;
                Ok(Arc::clone(&this) as Arc<dyn Hsm>)
            }),
        }
    }

    fn pass(&self) -> Result<(), HsmError> {
        let mut mode = self.mode.lock().unwrap();
        while *mode == Mode::Hangs {
            let waited = self.changed.wait_timeout(mode, Duration::from_mins(1));
            mode = waited.unwrap().0;
        }
        if *mode == Mode::Works {
            return Ok(());
        }
        Err(HsmError::Unavailable {
            token: "pulled".to_owned(),
            function: "C_WrapKey".to_owned(),
            code: "CKR_DEVICE_REMOVED".to_owned(),
        })
    }
}

impl Hsm for Faulty {
    fn token_info(&self) -> Result<TokenInfo, HsmError> {
        self.pass()?;
        self.real.token_info()
    }

    fn generate_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.pass()?;
        self.real.generate_master_kek(id)
    }

    fn master_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        self.pass()?;
        self.real.master_kek_versions(domain)
    }

    fn destroy_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.pass()?;
        self.real.destroy_master_kek(id)
    }

    fn wrap(&self, kek: &MasterKekId, key: &Aes256Key) -> Result<WrappedKey, HsmError> {
        self.pass()?;
        self.real.wrap(kek, key)
    }

    fn unwrap(&self, domain: &str, wrapped: &WrappedKey) -> Result<Aes256Key, HsmError> {
        self.pass()?;
        self.real.unwrap(domain, wrapped)
    }

    fn put_recovery_kek(&self, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
        self.pass()?;
        self.real.put_recovery_kek(id, key)
    }

    fn recovery_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        self.pass()?;
        self.real.recovery_kek_versions(domain)
    }

    fn destroy_recovery_kek(&self, id: &RecoveryKekId) -> Result<(), HsmError> {
        self.pass()?;
        self.real.destroy_recovery_kek(id)
    }

    fn generate_recoverable_master_kek(
        &self,
        id: &MasterKekId,
        recovery: &RecoveryKekId,
    ) -> Result<RecoveryBlob, HsmError> {
        self.pass()?;
        self.real.generate_recoverable_master_kek(id, recovery)
    }

    fn recover_master_kek(
        &self,
        id: &MasterKekId,
        recovery_kek: &Aes256Key,
        blob: &RecoveryBlob,
    ) -> Result<(), HsmError> {
        self.pass()?;
        self.real.recover_master_kek(id, recovery_kek, blob)
    }

    fn generate_signing_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        self.pass()?;
        self.real.generate_signing_key(label)
    }

    fn destroy_signing_key(&self, label: &str) -> Result<(), HsmError> {
        self.pass()?;
        self.real.destroy_signing_key(label)
    }

    fn signing_public_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        self.pass()?;
        self.real.signing_public_key(label)
    }

    fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], HsmError> {
        self.pass()?;
        self.real.sign(label, message)
    }

    fn named(&self) -> Result<&dyn NamedKeys, HsmError> {
        self.pass()?;
        self.real.named()
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.pass()?;
        self.real.fill_random(out)
    }

    fn device_log(&self) -> Result<Option<DeviceLog>, HsmError> {
        self.pass()?;
        self.real.device_log()
    }

    fn acknowledge_device_log(&self, number: u16) -> Result<(), HsmError> {
        self.pass()?;
        self.real.acknowledge_device_log(number)
    }
}
