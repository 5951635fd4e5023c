//! Looking after devices, by administrators and by whoever paired them; and the factory's side of an import.

use strongroom_session::{AccountSecret, WrappedFor};
use strongroom_wire::device::{
    ChangedDevice, ChangedFleet, DecidePairing, DecidedPairing, Device, DevicePage, DeviceQuery,
    DeviceState, ImportLine, ImportQuery, ImportedDevice, IssuedSecret, Pairing, UpdateDevice,
    UpdateFleet,
};
use strongroom_wire::id::AccountId;

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

pub use strongroom_session::factory::{PRIVATE_KEY_LEN, PUBLIC_KEY_LEN, SUITE};
pub use strongroom_session::{FactoryKey, FactoryPublicKey};

/// The form of a manifest.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, import: &strongroom_wire::device::ImportQuery) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::devices::ManifestForm;
///
/// let manifest = b"SN-1,meter-1@example.com,meters\nSN-2,meter-2@example.com,meters\n";
/// let lines = session.import_devices(ManifestForm::Csv, manifest, import)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestForm {
    /// Lines of `serial,name,fleet`.
    Csv,
    /// A JSON array of objects with the members `serial`, `name` and `fleet`.
    Json,
}

/// A device's new secret, made at the request of who may.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), Box<dyn std::error::Error>> {
/// let given = session.new_secret_of(account)?;
/// std::fs::write("secret", &*given.secret.to_text())?; // on the device
/// # Ok(())
/// # }
/// ```
pub struct GivenSecret {
    /// Its generation.
    pub generation: u32,
    /// The secret.
    pub secret: AccountSecret,
    /// The index of the audit leaf.
    pub leaf: u64,
}

impl Session {
    /// Has the appliance make the devices of a manifest; administrators only. What became of each comes line by line, while they are made.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::devices::ManifestForm;
    /// use strongroom_wire::device::{ImportLine, ImportQuery};
    ///
    /// let factory_key = std::fs::read("factory.public")?.into();
    /// let import = ImportQuery { factory_key, fleet: Some("meters".to_owned()), replace_secrets: false };
    /// for line in session.import_devices(ManifestForm::Csv, &std::fs::read("manifest.csv")?, &import)? {
    ///     if let ImportLine::Created(device) = line? {
    ///         println!("{} is {}", device.serial, device.name);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the manifest or the caller is refused. An answer that ends without [`ImportLine::Done`] is not
    /// whole: send the same again.
    pub fn import_devices(
        &self,
        form: ManifestForm,
        manifest: &[u8],
        import: &ImportQuery,
    ) -> Result<impl Iterator<Item = Result<ImportLine, ClientError>> + use<>, ClientError> {
        let path = "/v1/devices/import";
        let call = match form {
            ManifestForm::Csv => Call::find(path, import).posted("text/csv", manifest.to_vec()),
            ManifestForm::Json => {
                let devices: serde_json::Value = serde_json::from_slice(manifest)
                    .map_err(|_| ClientError::Setup("the manifest is no JSON".to_owned()))?;
                let mut body = serde_json::to_value(import).map_err(|_| ClientError::Library)?;
                if let Some(members) = body.as_object_mut() {
                    members.insert("devices".to_owned(), devices);
                }
                Call::post(path).with(&body)?
            }
        };
        let client = self.client().clone();
        Ok(self.lines(&call)?.map(move |line| {
            serde_json::from_slice(&line?)
                .map_err(|_| client.unexpected("a line of an unknown form"))
        }))
    }

    /// A page of devices: all, or those that the caller paired.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::device::DeviceQuery;
    ///
    /// let meters = DeviceQuery { fleet: Some("meters".to_owned()), ..DeviceQuery::default() };
    /// for device in session.devices(&meters)?.devices {
    ///     println!("{}: first request {:?}", device.account.name, device.first_request);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn devices(&self, query: &DeviceQuery) -> Result<DevicePage, ClientError> {
        self.call(&Call::find("/v1/devices", query))
    }

    /// A device.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// let device = session.device(account)?;
    /// println!("{:?} of the fleet {:?}", device.serial, device.fleet);
    /// # Ok(())
    /// # }
    /// ```
    pub fn device(&self, device: AccountId) -> Result<Device, ClientError> {
        self.call(&Call::get(format!("/v1/devices/{device}")))
    }

    /// Suspends, revokes or moves a device, or makes it active again.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::device::{DeviceState, UpdateDevice};
    ///
    /// let revoke = UpdateDevice { state: Some(DeviceState::Revoked), ..UpdateDevice::default() };
    /// session.update_device(account, &revoke)?; // it was stolen
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_device(
        &self,
        device: AccountId,
        update: &UpdateDevice,
    ) -> Result<ChangedDevice, ClientError> {
        self.call(&Call::patch(format!("/v1/devices/{device}")).with(update)?)
    }

    /// The same of all devices of a fleet.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::device::DeviceState;
    ///
    /// let changed = session.update_fleet("meters", DeviceState::Suspended)?;
    /// println!("{} devices", changed.changed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_fleet(
        &self,
        fleet: &str,
        state: DeviceState,
    ) -> Result<ChangedFleet, ClientError> {
        let fleet: String = url::form_urlencoded::byte_serialize(fleet.as_bytes()).collect();
        self.call(&Call::patch(format!("/v1/fleets/{fleet}")).with(&UpdateFleet { state })?)
    }

    /// Has the appliance make a new secret for a device that the caller paired or, before its first request, for any device or service.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), Box<dyn std::error::Error>> {
    /// let given = session.new_secret_of(account)?;
    /// std::fs::write("secret", &*given.secret.to_text())?; // on the device
    /// println!("generation {}", given.generation);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new_secret_of(&self, account: AccountId) -> Result<GivenSecret, ClientError> {
        let issued: IssuedSecret =
            self.call(&Call::post(format!("/v1/accounts/{account}/secret")))?;
        if issued.account != account {
            return Err(ClientError::AlteredMaterial);
        }
        let (generation, wrapped) = (issued.generation, &issued.wrapped.0);
        let transport_key = self.transport_key();
        Ok(GivenSecret {
            generation,
            secret: transport_key.unwrap_secret(account, generation, wrapped)?,
            leaf: issued.leaf,
        })
    }

    /// The device that shows this code and waits to be paired.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let pairing = session.pairing("BCDF-GHJK")?;
    /// println!("{} at {} wants to be paired", pairing.client, pairing.source);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pairing(&self, code: &str) -> Result<Pairing, ClientError> {
        self.call(&Call::get(format!("/v1/pairings/{}", letters(code))))
    }

    /// Approves or denies it.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::device::DecidePairing;
    ///
    /// let approve = DecidePairing { approve: true, name: Some("thermostat-hall@example.com".to_owned()) };
    /// session.decide_pairing("BCDF-GHJK", &approve)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn decide_pairing(
        &self,
        code: &str,
        decision: &DecidePairing,
    ) -> Result<DecidedPairing, ClientError> {
        self.call(&Call::post(format!("/v1/pairings/{}", letters(code))).with(decision)?)
    }
}

impl std::fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenSecret")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Opens the secret of an imported device with the factory's key.
///
/// ```no_run
/// # fn run(imported: &strongroom_wire::device::ImportedDevice) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::devices::{open_imported, FactoryKey};
///
/// let factory = FactoryKey::from_bytes(&std::fs::read("factory.private")?)?;
/// let secret = open_imported(&factory, imported)?;
/// println!("burn {} bytes into {}", secret.to_text().len(), imported.serial);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::AlteredMaterial`] when it was wrapped to another key, for another device or by another suite, or altered.
pub fn open_imported(
    factory: &FactoryKey,
    device: &ImportedDevice,
) -> Result<AccountSecret, ClientError> {
    if device.suite != SUITE {
        return Err(ClientError::AlteredMaterial);
    }
    let wrapped_for = WrappedFor {
        domain: &device.domain,
        account: device.account,
        generation: device.generation,
        serial: &device.serial,
    };
    factory
        .unwrap(&device.encapsulated.0, &device.sealed.0, &wrapped_for)
        .map_err(|_| ClientError::AlteredMaterial)
}

/// A code as it stands in an address: whatever a person typed between its letters is left out.
fn letters(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphabetic).collect()
}
