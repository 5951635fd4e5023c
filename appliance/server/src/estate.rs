//! The HSM estate: the one or two HSMs that the configuration names, and the PINs that they are opened with.
//!
//! A PIN is read from its source each time an HSM is opened, or was given by an operator and is kept until the appliance is sealed.

use std::sync::{Arc, Mutex, PoisonError};

use strongroom_hsm::pkcs11::{Pin, PinSource, Pkcs11Config, Pkcs11Hsm};
use strongroom_hsm::supervised::{Backend, OnChange, Supervised, SupervisedConfig};
use strongroom_hsm::yubihsm::{AuthKey, YubiHsm, YubiHsmConfig};
use strongroom_hsm::{Hsm, HsmError};

use crate::config::{self, Device, Member, Place};

/// The HSMs of an appliance.
pub(crate) struct Estate {
    members: Vec<Arc<Keyed>>,
    supervision: SupervisedConfig,
}

/// An HSM and its PIN.
struct Keyed {
    member: Member,
    given: Mutex<Option<Pin>>,
}

impl Estate {
    /// The estate that the `[hsm]` table describes.
    ///
    /// # Errors
    /// As [`config::Hsm::members`]; a configuration that was loaded has been checked.
    pub(crate) fn new(hsm: &config::Hsm) -> anyhow::Result<Self> {
        let members = hsm.members().map_err(anyhow::Error::msg)?;
        let members = members.into_iter().map(|member| {
            Arc::new(Keyed {
                member,
                given: Mutex::default(),
            })
        });
        Ok(Self {
            members: members.collect(),
            supervision: SupervisedConfig {
                deadline: hsm.deadline(),
                ..SupervisedConfig::default()
            },
        })
    }

    /// The HSMs, the primary first.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().map(|keyed| &keyed.member)
    }

    /// Whether a PIN is at hand for any of them, so that opening can be tried.
    ///
    /// # Errors
    /// Why there is none, of the primary.
    pub(crate) fn check_pins(&self) -> Result<(), HsmError> {
        let mut reason = None;
        for keyed in &self.members {
            match keyed.pin() {
                Ok(_) => return Ok(()),
                Err(error) => _ = reason.get_or_insert(error),
            }
        }
        reason.map_or(Ok(()), Err)
    }

    /// Takes a PIN that an operator gives. False when there is no such HSM.
    pub(crate) fn give(&self, place: Place, pin: Pin) -> bool {
        let keyed = self
            .members
            .iter()
            .find(|keyed| keyed.member.place == place);
        if let Some(keyed) = keyed {
            *lock(&keyed.given) = Some(pin);
        }
        keyed.is_some()
    }

    /// Forgets the PINs that operators gave.
    pub(crate) fn forget(&self) {
        for keyed in &self.members {
            *lock(&keyed.given) = None;
        }
    }

    /// Begins to open the HSMs and to watch over them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(&self, on_change: Arc<OnChange>) -> Result<Supervised, HsmError> {
        let backends = self.members.iter().map(|keyed| {
            let keyed = Arc::clone(keyed);
            Backend {
                name: keyed.member.name(),
                open: Arc::new(move || keyed.member.open(keyed.pin()?)),
            }
        });
        Supervised::start(backends.collect(), self.supervision.clone(), on_change)
    }

    /// Opens the first HSM that can be opened, for a command that has nothing to do without one. `ask` is asked for a PIN where the
    /// configuration says `prompt`.
    ///
    /// # Errors
    /// What the primary said, when none can be.
    pub(crate) fn open(
        &self,
        mut ask: impl FnMut(&Member) -> anyhow::Result<Pin>,
    ) -> anyhow::Result<Arc<dyn Hsm>> {
        let mut first_error = None;
        for keyed in &self.members {
            let opened = match keyed.member.pin {
                PinSource::Prompt => ask(&keyed.member),
                _ => keyed.pin().map_err(anyhow::Error::from),
            }
            .and_then(|pin| Ok(keyed.member.open(pin)?));
            match opened {
                Ok(hsm) => return Ok(hsm),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error.unwrap_or_else(|| anyhow::anyhow!("the configuration names no HSM")))
    }
}

impl Keyed {
    fn pin(&self) -> Result<Pin, HsmError> {
        if let Some(pin) = &*lock(&self.given) {
            return Ok(pin.clone());
        }
        self.member.pin.read()?.ok_or_else(|| HsmError::PinSource {
            pin_source: "operators".to_owned(),
            reason: "none has given it yet; run strongroomd unseal".to_owned(),
        })
    }
}

/// An HSM with its PIN, as its backend takes it.
pub(crate) enum Openable {
    /// A token behind a PKCS#11 module.
    Pkcs11(Pkcs11Config),
    /// A YubiHSM 2.
    YubiHsm(YubiHsmConfig),
}

impl Member {
    /// Its name in messages.
    pub(crate) fn name(&self) -> String {
        let place = self.place.name();
        match &self.device {
            Device::Pkcs11 { token, .. } => format!("the {place} HSM (token \"{token}\")"),
            Device::YubiHsm { connection, .. } => {
                format!("the {place} HSM (YubiHSM 2 at {connection})")
            }
        }
    }

    /// Opens it. It may take as long as the HSM takes.
    pub(crate) fn open(&self, pin: Pin) -> Result<Arc<dyn Hsm>, HsmError> {
        Ok(match self.with_pin(pin) {
            Openable::Pkcs11(config) => Arc::new(Pkcs11Hsm::open(config)?),
            Openable::YubiHsm(config) => Arc::new(YubiHsm::open(config)?),
        })
    }

    /// What its backend is opened with.
    pub(crate) fn with_pin(&self, pin: Pin) -> Openable {
        match &self.device {
            Device::Pkcs11 {
                module,
                token,
                sessions,
            } => Openable::Pkcs11(Pkcs11Config {
                module: module.clone(),
                token_label: token.clone(),
                pin,
                max_sessions: sessions.get(),
            }),
            Device::YubiHsm {
                connection,
                auth_key,
                device_domain,
            } => Openable::YubiHsm(YubiHsmConfig {
                connection: connection.clone(),
                auth_key: AuthKey {
                    id: *auth_key,
                    password: pin,
                },
                device_domain: *device_domain,
                allow_factory_default: false,
            }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
