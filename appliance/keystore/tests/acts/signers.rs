//! Devices and services that sign: how the tests make them.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_keystore::Error;
use strongroom_keystore::devices::{Admission, SignedRequest};
use strongroom_session::signature::{Covered, content_digest};
use strongroom_session::{AccountSecret, FactoryKey, RequestSignature, WrappedFor};
use strongroom_wire::account::AccountState;
use strongroom_wire::audit::{Record, RecordQuery};
use strongroom_wire::device::{
    DeviceState, ImportDevices, ImportLine, ImportedDevice, NewDevice, UpdateDevice,
};
use strongroom_wire::id::AccountId;

use crate::house::{House, Person, SOURCE};

/// A device, or a service, that signs.
pub(crate) struct Signer {
    pub(crate) account: AccountId,
    pub(crate) secret: AccountSecret,
}

/// Begins with a number that no test of this process has had.
pub(crate) fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{:05}-0123456789abcdef",
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

pub(crate) fn now(house: &House) -> u64 {
    use strongroom_keystore::Clock as _;
    house.clock.now().as_millis() / 1000
}

impl Signer {
    pub(crate) fn sign(&self, created: u64, nonce: &str) -> SignedRequest {
        let (method, path, digest) = ("POST", "/v1/keys", content_digest(b"{}"));
        let covered = Covered {
            method,
            path,
            query: "",
            content_digest: &digest,
        };
        let (input, signature) =
            RequestSignature::sign(&self.secret, self.account, created, nonce, &covered).unwrap();
        SignedRequest {
            signature: RequestSignature::parse(&input, &signature).unwrap(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            content_digest: digest,
        }
    }

    /// Signs a request and has it admitted: what it presents, and the transport key.
    pub(crate) fn admitted(&self, house: &House) -> Result<Person, Error> {
        let nonce = nonce();
        let request = self.sign(now(house), &nonce);
        let Admission {
            presented,
            response_nonce,
        } = admit(house, request)?;
        Ok(Person {
            name: self.account.to_string(),
            presented,
            transport: self.secret.transport_key(&nonce, &response_nonce),
        })
    }
}

pub(crate) fn admit(house: &House, request: SignedRequest) -> Result<Admission, Error> {
    house
        .keystore
        .admit(SOURCE, request)
        .map_err(|refusal| refusal.error)
}

pub(crate) fn manifest(factory: &FactoryKey, serials: &[&str]) -> ImportDevices {
    ImportDevices {
        factory_key: factory.public_key().to_bytes().into(),
        fleet: Some("kitchen".to_owned()),
        replace_secrets: false,
        devices: serials
            .iter()
            .map(|serial| NewDevice {
                serial: (*serial).to_owned(),
                name: None,
                fleet: None,
            })
            .collect(),
    }
}

pub(crate) fn import(house: &House, request: ImportDevices) -> Vec<ImportLine> {
    let mut import = house
        .keystore
        .import_devices(&house.admin.presented, request)
        .unwrap();
    let mut lines = Vec::new();
    while !import.is_empty() {
        lines.extend(import.next(&house.keystore).unwrap());
    }
    assert!(import.next(&house.keystore).unwrap().is_empty());
    lines
}

pub(crate) fn unwrapped(factory: &FactoryKey, device: &ImportedDevice) -> Signer {
    let wrapped_for = WrappedFor {
        domain: &device.domain,
        account: device.account,
        generation: device.generation,
        serial: &device.serial,
    };
    let secret = factory
        .unwrap(&device.encapsulated.0, &device.sealed.0, &wrapped_for)
        .unwrap();
    Signer {
        account: device.account,
        secret,
    }
}

/// Imported devices with these serial numbers, in the fleet `kitchen`.
pub(crate) fn devices(house: &House, serials: &[&str]) -> Vec<Signer> {
    let factory = FactoryKey::generate();
    import(house, manifest(&factory, serials))
        .iter()
        .map(|line| match line {
            ImportLine::Created(device) => unwrapped(&factory, device),
            other => panic!("not made: {other:?}"),
        })
        .collect()
}

pub(crate) fn device(house: &House, serial: &str) -> Signer {
    devices(house, &[serial]).remove(0)
}

pub(crate) fn issue(house: &House, by: &Person, account: AccountId) -> Result<Signer, Error> {
    let issued = house
        .keystore
        .issue_secret(&by.presented, account)
        .map_err(|refusal| refusal.error)?;
    let secret = by
        .transport
        .unwrap_secret(account, issued.generation, &issued.wrapped.0)
        .unwrap();
    Ok(Signer { account, secret })
}

pub(crate) fn set(
    house: &House,
    by: &Person,
    device: AccountId,
    state: DeviceState,
) -> Result<(), Error> {
    let request = UpdateDevice {
        state: Some(state),
        fleet: None,
    };
    house
        .keystore
        .update_device(&by.presented, device, request)
        .map(drop)
        .map_err(|refusal| refusal.error)
}

pub(crate) fn records(person: &Person, house: &House) -> Vec<Record> {
    let query = RecordQuery::default();
    house
        .keystore
        .records(&person.presented, query)
        .unwrap()
        .records
}

pub(crate) fn state(house: &House, account: AccountId) -> AccountState {
    house
        .keystore
        .account(&house.admin.presented, account)
        .unwrap()
        .state
}
