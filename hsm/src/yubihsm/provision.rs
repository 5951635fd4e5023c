//! Authentication keys: giving the appliance one with the least capabilities, and removing the factory's.

use ::yubihsm::{
    Capability, Client, Connector, Credentials,
    authentication::{self, DEFAULT_AUTHENTICATION_KEY_ID},
    client, object,
};

use super::{Connection, YubiHsmConfig, device::Device, objects};
use crate::{HsmError, pkcs11::Pin};

/// What the appliance does with the device, and nothing else. It can neither read nor export a key; it deletes master KEKs alone, which
/// their rotation needs.
const SERVICE: Capability = Capability::GENERATE_WRAP_KEY
    .union(Capability::DELETE_WRAP_KEY)
    .union(Capability::EXPORT_WRAPPED)
    .union(Capability::IMPORT_WRAPPED)
    .union(Capability::PUT_OPAQUE)
    .union(Capability::GET_OPAQUE)
    .union(Capability::DELETE_OPAQUE)
    .union(Capability::GENERATE_ASYMMETRIC_KEY)
    .union(Capability::SIGN_EDDSA)
    .union(Capability::GET_PSEUDO_RANDOM)
    .union(Capability::GET_LOG_ENTRIES);

/// What the objects may do that the appliance makes.
const SERVICE_DELEGATED: Capability = objects::MASTER_KEK
    .union(objects::MASTER_KEK_DELEGATED)
    .union(objects::SIGNING_KEY);

/// An authentication key of the device: its number and the password that it follows from.
#[derive(Clone, Debug)]
pub struct AuthKey {
    /// Its object identifier. The factory's has 1.
    pub id: u16,
    /// Its password, derived as Yubico's own tools derive it (PBKDF2, 10,000 rounds, a salt that is the same everywhere): take a
    /// random one, such as [`Pin::random`].
    pub password: Pin,
}

impl AuthKey {
    /// The key that every YubiHSM 2 has when it leaves the factory or was reset.
    ///
    /// # Errors
    /// Never; the signature is that of [`Pin::new`].
    pub fn factory_default() -> Result<Self, HsmError> {
        Ok(Self {
            id: DEFAULT_AUTHENTICATION_KEY_ID,
            password: Pin::new("password".to_owned())?,
        })
    }

    pub(super) fn derive(&self) -> authentication::Key {
        authentication::Key::derive_from_password(self.password.expose().as_bytes())
    }
}

/// Gives the device the authentication keys of the appliance (the least capabilities that it needs) and of its
/// administrators (all capabilities, for Yubico's own tools: backup, reset), proves that both log in, and only then removes the key
/// `now` that it logged in with, where that is the factory's.
///
/// Without the administrators' password nothing but a factory reset, which destroys all keys, gives the device new ones.
///
/// # Errors
/// [`HsmError::KeyExists`] when one of the numbers is taken; nothing is changed then.
pub fn provision(
    connection: &Connection,
    now: &AuthKey,
    device_domain: u8,
    appliance: &AuthKey,
    administrators: &AuthKey,
) -> Result<(), HsmError> {
    let connector = connection.connector()?;
    provision_over(
        &connector,
        connection,
        now,
        device_domain,
        appliance,
        administrators,
    )
}

/// The same over a connector that the caller made.
pub fn provision_over(
    connector: &Connector,
    connection: &Connection,
    now: &AuthKey,
    device_domain: u8,
    appliance: &AuthKey,
    administrators: &AuthKey,
) -> Result<(), HsmError> {
    let device = |auth_key: &AuthKey| {
        Device::new(
            connector.clone(),
            YubiHsmConfig {
                connection: connection.clone(),
                auth_key: auth_key.clone(),
                device_domain,
                allow_factory_default: true,
            },
        )
    };
    if appliance.id == administrators.id || appliance.id == now.id || administrators.id == now.id {
        return Err(HsmError::Malformed {
            what: "number of an authentication key",
            reason: "each authentication key has its own",
        });
    }
    let session = device(now)?;
    let explain = |failure| session.explain(failure);
    let keys = [
        (
            appliance,
            "strongroom",
            session.domain(),
            SERVICE,
            SERVICE_DELEGATED,
        ),
        (
            administrators,
            "strongroom administrators",
            ::yubihsm::Domain::all(),
            Capability::all(),
            Capability::all(),
        ),
    ];
    let existing = session
        .run("LIST OBJECTS", |client| {
            client.list_objects(&[object::Filter::Type(object::Type::AuthenticationKey)])
        })
        .map_err(explain)?;
    for (key, label, ..) in &keys {
        if existing.iter().any(|entry| entry.object_id == key.id) {
            return Err(HsmError::KeyExists {
                token: session.name().to_owned(),
                label: format!("{label} (authentication key {})", key.id),
            });
        }
    }
    for (key, label, domains, capabilities, delegated) in &keys {
        session
            .run_once("PUT AUTHENTICATION KEY", |client| {
                client.put_authentication_key(
                    key.id,
                    object::Label::from(*label),
                    *domains,
                    *capabilities,
                    *delegated,
                    authentication::Algorithm::YubicoAes,
                    key.derive(),
                )
            })
            .map_err(explain)?;
    }
    for key in [appliance, administrators] {
        let own = device(key)?;
        own.run("DEVICE INFO", Client::device_info)
            .map_err(|failure| own.explain(failure))?;
    }
    if now.id == DEFAULT_AUTHENTICATION_KEY_ID {
        let administrators = device(administrators)?;
        administrators
            .run("DELETE OBJECT", |client| {
                client.delete_object(now.id, object::Type::AuthenticationKey)
            })
            .map_err(|failure| administrators.explain(failure))?;
    }
    Ok(())
}

/// Refuses a device to which the factory's password logs in.
pub(super) fn refuse_factory_default(device: &Device) -> Result<(), HsmError> {
    let filters = || {
        [
            object::Filter::Type(object::Type::AuthenticationKey),
            object::Filter::Id(DEFAULT_AUTHENTICATION_KEY_ID),
        ]
    };
    let found = device
        .run("LIST OBJECTS", |client| client.list_objects(&filters()))
        .map_err(|failure| device.explain(failure))?;
    if found.is_empty() {
        return Ok(());
    }
    // A key of that number is there; only who logs in knows whether its password is still the factory's.
    match Client::open(device.connector().clone(), Credentials::default(), false) {
        Ok(_) => Err(HsmError::FactoryDefault {
            token: device.name().to_owned(),
        }),
        Err(error) if *error.kind() == client::ErrorKind::AuthenticationError => Ok(()),
        Err(error) => Err(HsmError::Unavailable {
            token: device.name().to_owned(),
            function: "CREATE SESSION".to_owned(),
            code: error.to_string(),
        }),
    }
}
