//! Devices, and the secrets with which devices and services sign their requests.
//!
//! | module | what lives there |
//! |---|---|
//! | `admit` | signed requests: whose they are, and that each is made once |
//! | `certificates` | sign-in by client certificate |
//! | `import` | many devices made in one call, their secrets wrapped to the factory's key |
//! | `manage` | devices and fleets: shown, suspended, revoked, moved |
//! | `pairing` | devices without a keyboard, paired by a person (RFC 8628) |
//! | `secrets` | new secrets of devices and services |
//! | `spent` | which nonces of signed requests are spent |
//!
//! A device is an account of kind device with a secret of 32 random bytes, sealed under the account's KEK, and a record of what else there is
//! to say of it. It is pending until its first request is admitted. Until then an administrator can give it another secret, as they can make
//! another enrolment code for a person who has not enrolled; from then on only the device itself and who paired it can, for the secret
//! gives whoever has it the device's keys.

mod admit;
mod certificates;
mod import;
mod manage;
mod pairing;
mod secrets;
mod spent;

use strongroom_hsm::Aes256Key;
use strongroom_session::AccountSecret;
use strongroom_wire::device::{Device, LONGEST_FLEET, LONGEST_SERIAL};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

pub use self::admit::{Admission, Admitted, SignedRequest};
pub use self::import::DeviceImport;
pub(crate) use self::pairing::Pairings;
pub use self::pairing::{PAIRING_INTERVAL, PAIRING_LIFETIME, PairingAnswer};
pub(crate) use self::spent::SpentNonces;

use crate::accounts::{find, to_wire};
use crate::act::View;
use crate::error::Error;
use crate::seal;
use crate::store::{AccountRecord, AccountSecretRecord, DeviceRecord};

const SECRET: &str = "account secret";

/// A secret and its record, sealed under this version of the account's KEK.
fn seal_secret(
    secret: &AccountSecret,
    account: AccountId,
    generation: u32,
    kek: &Aes256Key,
    kek_version: u32,
    now: Timestamp,
) -> Result<AccountSecretRecord, Error> {
    let mut record = AccountSecretRecord {
        account,
        generation,
        created: now,
        kek_version,
        sealed: Vec::new(),
    };
    record.sealed = seal::seal(kek, &record.canonical(), secret.as_bytes())?;
    Ok(record)
}

/// The secret of a record.
fn open_secret(
    view: &View<'_>,
    account: &AccountRecord,
    record: &AccountSecretRecord,
) -> Result<AccountSecret, Error> {
    if !account.kek_counts(record.kek_version) {
        return Err(Error::Integrity(SECRET));
    }
    let kek = view.keks.get(account.id, record.kek_version)?;
    let opened = seal::open(&kek, &record.canonical(), &record.sealed, SECRET)?;
    opened
        .as_slice()
        .try_into()
        .map(AccountSecret::from_bytes)
        .map_err(|_| Error::Integrity(SECRET))
}

/// The record of a device, checked.
fn device_of(view: &View<'_>, account: AccountId) -> Result<Option<DeviceRecord>, Error> {
    let Some(record) = view.snapshot.device(account)? else {
        return Ok(None);
    };
    let record = view.domain.check_device(record)?;
    Ok((record.domain == view.domain.number).then_some(record))
}

/// A device as the API shows it.
fn shown(view: &View<'_>, record: DeviceRecord) -> Result<Device, Error> {
    let account = find(view, record.account)?;
    let secrets = view.snapshot.secrets_of(record.account)?;
    let newest = secrets.first();
    let paired_by_name = record.paired_by.map(|id| view.name_of(id)).transpose()?;
    Ok(Device {
        account: to_wire(&account),
        serial: record.serial,
        fleet: record.fleet,
        paired_by: record.paired_by,
        paired_by_name,
        first_request: record.admitted,
        generation: newest.map(|secret| secret.generation),
        secret_created: newest.map(|secret| secret.created),
        revoked: record.revoked,
    })
}

fn check_serial(serial: &str) -> Result<String, Error> {
    let serial = serial.trim();
    if serial.is_empty()
        || serial.len() > LONGEST_SERIAL
        || !serial.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Error::Invalid(format!(
            "A serial number has 1 to {LONGEST_SERIAL} printable ASCII characters and no spaces."
        )));
    }
    Ok(serial.to_owned())
}

fn check_fleet(fleet: &str) -> Result<String, Error> {
    let fleet = fleet.trim();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if fleet.is_empty() || fleet.len() > LONGEST_FLEET || !fleet.bytes().all(good) {
        return Err(Error::Invalid(format!(
            "A fleet's name has 1 to {LONGEST_FLEET} letters, digits, dots, hyphens and underscores."
        )));
    }
    Ok(fleet.to_owned())
}
