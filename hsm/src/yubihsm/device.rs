//! The session with one device: opened when first needed, replaced when it broke, and what its errors mean.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use ::yubihsm::{
    Client, Connector, Credentials, Domain, HttpConfig, authentication, client, device::ErrorKind,
};

use super::{AuthKey, YubiHsmConfig};
use crate::HsmError;

/// How a YubiHSM 2 is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// Over Yubico's `yubihsm-connector`, which is on this machine or on a network of its own: between the two, commands are
    /// encrypted and authenticated by the device's own session.
    Http {
        /// Its host name or IP address.
        address: String,
        /// Its port; the connector's default is 12345.
        port: u16,
    },
    /// Over USB, without a connector.
    #[cfg(feature = "usb")]
    Usb {
        /// The serial number of the device, ten digits; without it the first one that is found.
        serial: Option<String>,
    },
}

impl Connection {
    #[cfg_attr(
        not(feature = "usb"),
        expect(
            clippy::unnecessary_wraps,
            reason = "a USB serial number may be malformed"
        )
    )]
    pub(super) fn connector(&self) -> Result<Connector, HsmError> {
        match self {
            Self::Http { address, port } => Ok(Connector::http(&HttpConfig {
                addr: address.clone(),
                port: *port,
                ..HttpConfig::default()
            })),
            #[cfg(feature = "usb")]
            Self::Usb { serial } => {
                let serial = serial.as_deref().map(str::parse).transpose();
                let serial = serial.map_err(|_| HsmError::Malformed {
                    what: "serial number of the YubiHSM 2",
                    reason: "it must have ten digits",
                })?;
                Ok(Connector::usb(&::yubihsm::UsbConfig {
                    serial,
                    ..::yubihsm::UsbConfig::default()
                }))
            }
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { address, port } => write!(f, "http://{address}:{port}"),
            #[cfg(feature = "usb")]
            Self::Usb { serial } => write!(f, "USB {}", serial.as_deref().unwrap_or("(any)")),
        }
    }
}

/// How a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The device answered with an error; the session is sound. The command comes with it.
    Device(&'static str, ErrorKind),
    /// The session or the connection broke: whether the device did it is not known.
    Lost(HsmError),
    /// We know what is wrong.
    Known(HsmError),
}

impl From<HsmError> for Failure {
    fn from(error: HsmError) -> Self {
        Self::Known(error)
    }
}

pub(super) struct Device {
    connector: Connector,
    auth_key: AuthKey,
    /// Derived from the password once: 10,000 rounds of PBKDF2.
    key: authentication::Key,
    name: String,
    domain: Domain,
    client: Mutex<Option<Client>>,
}

impl Device {
    /// Nothing is connected yet.
    pub(super) fn new(connector: Connector, config: YubiHsmConfig) -> Result<Self, HsmError> {
        let domain =
            Domain::at(usize::from(config.device_domain)).map_err(|_| HsmError::Malformed {
                what: "domain of the YubiHSM 2",
                reason: "it must be 1 to 16",
            })?;
        Ok(Self {
            key: config.auth_key.derive(),
            connector,
            auth_key: config.auth_key,
            name: format!("the YubiHSM 2 at {}", config.connection),
            domain,
            client: Mutex::default(),
        })
    }

    /// The device's full name in messages: its place, which is known before it answers.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn domain(&self) -> Domain {
        self.domain
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Sends a command, again where a session broke that was opened for an earlier one. It must be safe to repeat.
    pub(super) fn run<T>(
        &self,
        command: &'static str,
        send: impl Fn(&Client) -> Result<T, client::Error>,
    ) -> Result<T, Failure> {
        let had_session = self.has_session();
        match self.run_once(command, &send) {
            Err(Failure::Lost(error)) if had_session => {
                tracing::warn!(%error, "lost the session with the YubiHSM 2; opening a new one");
                self.run_once(command, send)
            }
            done => done,
        }
    }

    /// Sends a command, once.
    pub(super) fn run_once<T>(
        &self,
        command: &'static str,
        send: impl Fn(&Client) -> Result<T, client::Error>,
    ) -> Result<T, Failure> {
        let client = self
            .client()
            .map_err(|error| self.failure("CREATE SESSION", &error))?;
        send(&client).map_err(|error| self.failure(command, &error))
    }

    pub(super) fn has_session(&self) -> bool {
        self.lock().is_some()
    }

    pub(super) fn key_not_found(&self, label: &str) -> Failure {
        Failure::Known(HsmError::KeyNotFound {
            token: self.name.clone(),
            label: label.to_owned(),
        })
    }

    /// The error that an operator sees.
    pub(super) fn explain(&self, failure: Failure) -> HsmError {
        let (command, kind) = match failure {
            Failure::Lost(error) | Failure::Known(error) => return error,
            Failure::Device(command, kind) => (command, kind),
        };
        let (token, function) = (self.name.clone(), command.to_owned());
        let code = match kind {
            ErrorKind::LogFull => {
                "audit log full: read and acknowledge the device's log".to_owned()
            }
            ErrorKind::StorageFailed => {
                "storage failed: the device may be full of objects".to_owned()
            }
            ErrorKind::InsufficientPermissions if command == "PUT WRAP KEY" => format!(
                "insufficient permissions: log in with the administrators' authentication key, since {} may not put recovery KEKs",
                self.auth_key.id
            ),
            ErrorKind::InsufficientPermissions => format!(
                "insufficient permissions: provision authentication key {} with the capabilities in README.md",
                self.auth_key.id
            ),
            kind => kind.to_string(),
        };
        match kind {
            ErrorKind::InvalidSession
            | ErrorKind::SessionFailed
            | ErrorKind::SessionsFull
            | ErrorKind::LogFull
            | ErrorKind::StorageFailed
            | ErrorKind::CommandUnexecuted
            | ErrorKind::GenericError => HsmError::Unavailable {
                token,
                function,
                code,
            },
            _ => HsmError::Refused {
                token,
                function,
                code,
            },
        }
    }

    fn client(&self) -> Result<Client, client::Error> {
        let mut held = self.lock();
        if let Some(client) = held.as_ref() {
            return Ok(client.clone());
        }
        let credentials = Credentials::new(self.auth_key.id, self.key.clone());
        let client = Client::open(self.connector.clone(), credentials, true)?;
        *held = Some(client.clone());
        Ok(client)
    }

    fn failure(&self, command: &'static str, error: &client::Error) -> Failure {
        match error.device_error() {
            Some(kind)
                if !matches!(kind, ErrorKind::InvalidSession | ErrorKind::SessionFailed)
                    && command != "CREATE SESSION" =>
            {
                return Failure::Device(command, kind);
            }
            _ => {}
        }
        // The client goes on with a session that the device may not know any more: never use it again.
        *self.lock() = None;
        if *error.kind() == client::ErrorKind::AuthenticationError {
            return Failure::Known(HsmError::AuthKeyRefused {
                token: self.name.clone(),
                auth_key: self.auth_key.id,
            });
        }
        Failure::Lost(HsmError::Unavailable {
            token: self.name.clone(),
            function: command.to_owned(),
            code: causes(error),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last cause, which says most: "Connection refused", where the error itself says "protocol error".
fn causes(error: &client::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let (kind, last) = (error.kind().to_string(), last.to_string());
    let remedy = "check that the device is plugged in and its connector runs";
    if last.contains(&kind) {
        format!("\"{last}\": {remedy}")
    } else {
        format!("\"{kind}, {last}\": {remedy}")
    }
}
