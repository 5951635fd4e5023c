//! The backend for the YubiHSM 2.
//!
//! It has no AES-KW. The master KEK is an AES-256-CCM wrap key, and an account KEK passes through the device as an opaque
//! object: put, exported under the master KEK, deleted; unwrapped the other way round (`passing.rs`).

mod device;
mod log;
mod objects;
mod passing;
mod provision;
mod recovery;

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::yubihsm::{Connector, asymmetric, device::ErrorKind, object, wrap};
use zeroize::Zeroizing;

pub use self::{
    device::Connection,
    provision::{AuthKey, provision, provision_over},
};
use self::{
    device::{Device, Failure},
    objects::Kind,
};
use crate::{
    Aes256Key, DeviceLog, Ed25519PublicKey, Hsm, HsmError, MasterKekId, NamedKeys, RecoveryBlob,
    RecoveryKekId, TokenInfo, WrappedKey, types::check_signing_label,
};

/// How many random bytes one command asks for. The device gives up to 2021, but the `yubihsm` crate's HTTP client garbles an answer
/// that comes in two pieces, as long ones do.
const RANDOM_CHUNK: usize = 256;

/// The longest message that the device signs: a command takes 2048 bytes, less what frames and pads it.
const MAX_MESSAGE_LEN: usize = 1900;

/// Where the device is and how to log in to it.
#[derive(Clone, Debug)]
pub struct YubiHsmConfig {
    /// How to reach it.
    pub connection: Connection,
    /// The authentication key of the appliance and its password: what [`provision`] made.
    pub auth_key: AuthKey,
    /// The device's own domain that holds Strongroom's objects: 1 to 16.
    pub device_domain: u8,
    /// Whether to serve although the device still has the factory's authentication key, whose password everybody knows.
    pub allow_factory_default: bool,
}

/// A YubiHSM 2.
pub struct YubiHsm {
    device: Device,
    /// Where keys are that were found and checked.
    ids: Mutex<HashMap<(Kind, String), object::Id>>,
    /// Held while a key is generated.
    generating: Mutex<()>,
    passing: Mutex<passing::State>,
}

impl YubiHsm {
    /// Connects and logs in, refuses a device with the factory's authentication key, and removes what an interrupted wrapping
    /// left in the device.
    ///
    /// # Errors
    /// [`HsmError::FactoryDefault`], [`HsmError::AuthKeyRefused`], [`HsmError::Unavailable`] when the connector or the device
    /// is out of reach.
    pub fn open(config: YubiHsmConfig) -> Result<Self, HsmError> {
        let connector = config.connection.connector()?;
        Self::open_over(connector, config)
    }

    /// The same over a connector that the caller made. The configured connection is then but a name in messages.
    pub fn open_over(connector: Connector, config: YubiHsmConfig) -> Result<Self, HsmError> {
        let allow_factory_default = config.allow_factory_default;
        let hsm = Self {
            device: Device::new(connector, config)?,
            ids: Mutex::default(),
            generating: Mutex::default(),
            passing: Mutex::default(),
        };
        if !allow_factory_default {
            provision::refuse_factory_default(&hsm.device)?;
        }
        hsm.sweep(&mut lock(&hsm.passing))?;
        Ok(hsm)
    }

    /// Calls `act` with the identifier of the key. Where the device does not have it (any more) under that identifier, the key is
    /// looked for once more.
    fn with_key<T>(
        &self,
        kind: Kind,
        label: &str,
        act: impl Fn(object::Id) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let key = (kind, label.to_owned());
        let known = lock(&self.ids).get(&key).copied();
        if let Some(id) = known {
            let failure = match act(id) {
                Err(failure @ Failure::Device(..)) if !self.is_at(kind, label, id)? => failure,
                done => return done,
            };
            tracing::debug!(?failure, label, "a key is no longer where it was");
            lock(&self.ids).remove(&key);
        }
        let id = objects::find(&self.device, kind, label)?
            .ok_or_else(|| self.device.key_not_found(label))?;
        lock(&self.ids).insert(key, id);
        act(id)
    }

    fn is_at(&self, kind: Kind, label: &str, id: object::Id) -> Result<bool, Failure> {
        match self.device.run("GET OBJECT INFO", |client| {
            client.get_object_info(id, kind.object_type())
        }) {
            Ok(info) => Ok(info.label == objects::label(kind, label)),
            Err(Failure::Device(_, ErrorKind::ObjectNotFound)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Generates a key under an identifier that follows from its label, so that of two processes only one can.
    fn generate(
        &self,
        kind: Kind,
        label: &str,
        generate: impl Fn(
            &::yubihsm::Client,
            object::Id,
        ) -> Result<object::Id, ::yubihsm::client::Error>,
    ) -> Result<object::Id, HsmError> {
        let _alone = lock(&self.generating);
        loop {
            if objects::find(&self.device, kind, label)
                .map_err(|failure| self.device.explain(failure))?
                .is_some()
            {
                return Err(HsmError::KeyExists {
                    token: self.device.name().to_owned(),
                    label: label.to_owned(),
                });
            }
            let id = objects::free_id(&self.device, kind, label)
                .map_err(|failure| self.device.explain(failure))?;
            match self
                .device
                .run_once(kind.generation(), |client| generate(client, id))
            {
                // Somebody else was faster: see under which label.
                Err(Failure::Device(_, ErrorKind::ObjectExists)) => {}
                Err(failure) => return Err(self.device.explain(failure)),
                Ok(id) => {
                    // Reads back what the device made of it.
                    objects::find(&self.device, kind, label)
                        .map_err(|failure| self.device.explain(failure))?;
                    return Ok(id);
                }
            }
        }
    }

    fn destroy(&self, kind: Kind, label: &str) -> Result<(), HsmError> {
        let destroyed = self.with_key(kind, label, |object| {
            self.device.run_once("DELETE OBJECT", |client| {
                client.delete_object(object, kind.object_type())
            })
        });
        // The device may give the identifier to another object.
        lock(&self.ids).remove(&(kind, label.to_owned()));
        destroyed.map_err(|failure| self.device.explain(failure))
    }

    fn public_key(&self, id: object::Id) -> Result<Ed25519PublicKey, Failure> {
        let key = self
            .device
            .run("GET PUBLIC KEY", |client| client.get_public_key(id))?;
        key.bytes.try_into().map_err(|_: Vec<u8>| {
            Failure::Known(HsmError::WrongAnswer {
                token: self.device.name().to_owned(),
                function: "GET PUBLIC KEY",
                reason: "the key does not have the 32 bytes of an Ed25519 key",
            })
        })
    }
}

impl Hsm for YubiHsm {
    fn token_info(&self) -> Result<TokenInfo, HsmError> {
        let info = self
            .device
            .run("DEVICE INFO", ::yubihsm::Client::device_info)
            .map_err(|failure| self.device.explain(failure))?;
        Ok(TokenInfo {
            label: format!("YubiHSM 2 {}", info.serial_number),
            manufacturer: "Yubico".to_owned(),
            model: "YubiHSM 2".to_owned(),
            serial: info.serial_number.to_string(),
            firmware: format!("{}.{}", info.major_version, info.minor_version),
        })
    }

    fn generate_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        let label = id.label()?;
        self.generate(Kind::MasterKek, &label, |client, id| {
            client.generate_wrap_key(
                id,
                objects::label(Kind::MasterKek, &label),
                self.device.domain(),
                objects::MASTER_KEK,
                objects::MASTER_KEK_DELEGATED,
                wrap::Algorithm::Aes256Ccm,
            )
        })?;
        Ok(())
    }

    fn master_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        objects::versions(&self.device, Kind::MasterKek, domain)
            .map_err(|failure| self.device.explain(failure))
    }

    fn destroy_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.destroy(Kind::MasterKek, &id.label()?)
    }

    fn wrap(&self, kek: &MasterKekId, key: &Aes256Key) -> Result<WrappedKey, HsmError> {
        passing::wrap(self, kek, key)
    }

    fn unwrap(&self, domain: &str, wrapped: &WrappedKey) -> Result<Aes256Key, HsmError> {
        passing::unwrap(self, domain, wrapped)
    }

    fn put_recovery_kek(&self, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
        recovery::put(self, id, key)
    }

    fn recovery_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        objects::versions(&self.device, Kind::RecoveryKek, domain)
            .map_err(|failure| self.device.explain(failure))
    }

    fn destroy_recovery_kek(&self, id: &RecoveryKekId) -> Result<(), HsmError> {
        self.destroy(Kind::RecoveryKek, &id.label()?)
    }

    fn generate_recoverable_master_kek(
        &self,
        id: &MasterKekId,
        recovery: &RecoveryKekId,
    ) -> Result<RecoveryBlob, HsmError> {
        recovery::generate(self, id, recovery)
    }

    fn recover_master_kek(
        &self,
        id: &MasterKekId,
        recovery_kek: &Aes256Key,
        blob: &RecoveryBlob,
    ) -> Result<(), HsmError> {
        recovery::recover(self, id, recovery_kek, blob)
    }

    fn generate_signing_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        check_signing_label(label)?;
        let id = self.generate(Kind::SigningKey, label, |client, id| {
            client.generate_asymmetric_key(
                id,
                objects::label(Kind::SigningKey, label),
                self.device.domain(),
                objects::SIGNING_KEY,
                asymmetric::Algorithm::Ed25519,
            )
        })?;
        self.public_key(id)
            .map_err(|failure| self.device.explain(failure))
    }

    fn destroy_signing_key(&self, label: &str) -> Result<(), HsmError> {
        check_signing_label(label)?;
        self.destroy(Kind::SigningKey, label)
    }

    fn signing_public_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        check_signing_label(label)?;
        self.with_key(Kind::SigningKey, label, |id| self.public_key(id))
            .map_err(|failure| self.device.explain(failure))
    }

    fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], HsmError> {
        check_signing_label(label)?;
        if message.len() > MAX_MESSAGE_LEN {
            return Err(HsmError::MessageTooLong {
                token: self.device.name().to_owned(),
                len: message.len(),
                max: MAX_MESSAGE_LEN,
            });
        }
        let signature = self
            .with_key(Kind::SigningKey, label, |id| {
                self.device
                    .run("SIGN EDDSA", |client| client.sign_ed25519(id, message))
            })
            .map_err(|failure| self.device.explain(failure))?;
        Ok(signature.to_bytes())
    }

    /// None yet: its objects have 16-bit identifiers and no AES-GCM.
    fn named(&self) -> Result<&dyn NamedKeys, HsmError> {
        Err(HsmError::NotOffered {
            token: self.device.name().to_owned(),
            what: "keys of the protection level hsm".to_owned(),
        })
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        for chunk in out.chunks_mut(RANDOM_CHUNK) {
            let random = self
                .device
                .run("GET PSEUDO RANDOM", |client| {
                    client.get_pseudo_random(chunk.len()).map(Zeroizing::new)
                })
                .map_err(|failure| self.device.explain(failure))?;
            if random.len() != chunk.len() {
                return Err(HsmError::WrongAnswer {
                    token: self.device.name().to_owned(),
                    function: "GET PSEUDO RANDOM",
                    reason: "the random bytes are not as many as were asked for",
                });
            }
            chunk.copy_from_slice(&random);
        }
        Ok(())
    }

    fn device_log(&self) -> Result<Option<DeviceLog>, HsmError> {
        log::read(&self.device).map(Some)
    }

    fn acknowledge_device_log(&self, number: u16) -> Result<(), HsmError> {
        log::acknowledge(&self.device, number)
    }
}

impl fmt::Debug for YubiHsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YubiHsm")
            .field("device", &self.device.name())
            .finish_non_exhaustive()
    }
}

/// Takes a lock whose data no panic can leave half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// How long the connector may take to connect and to answer: what the `yubihsm` crate gives it, whatever is configured.
    pub const TIMEOUT: Duration = Duration::from_secs(20);
}
