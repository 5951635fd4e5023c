//! What devices, and the secrets of devices and services, need of a store.

use strongroom_wire::certificate::CertificateName;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

use super::StoreError;
use super::numbers::certificate_name_number;
use super::records::{AccountRecord, DomainNumber};
use crate::canonical::Canonical;

/// What there is to say of a device beyond its account.
#[derive(Debug, Clone)]
pub struct DeviceRecord {
    /// Its account.
    pub account: AccountId,
    /// Its domain.
    pub domain: DomainNumber,
    /// Its serial number, if it was imported.
    pub serial: Option<String>,
    /// The fleet it belongs to.
    pub fleet: Option<String>,
    /// Who paired it.
    pub paired_by: Option<AccountId>,
    /// When its first request was admitted. From then on nobody but itself and who paired it gets it a new secret.
    pub admitted: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl DeviceRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("device", 7)
            .bytes(self.account.as_bytes())
            .uint(self.domain.into())
            .optional_text(self.serial.as_deref())
            .optional_text(self.fleet.as_deref())
            .optional_bytes(self.paired_by.as_ref().map(|id| id.as_bytes().as_slice()))
            .optional_time(self.admitted)
            .optional_time(self.revoked)
            .finish()
    }
}

/// The nonce of a signed request that was admitted.
#[derive(Debug, Clone)]
pub struct SpentNonce {
    /// Whose request it was.
    pub account: AccountId,
    /// The SHA-256 of the nonce's text.
    pub sha256: [u8; 32],
    /// Until when the request would be in time.
    pub expires: Timestamp,
}

/// A secret with which a device or service signs its requests.
#[derive(Debug, Clone)]
pub struct AccountSecretRecord {
    /// Whose it is.
    pub account: AccountId,
    /// The first is 1.
    pub generation: u32,
    /// When it was made.
    pub created: Timestamp,
    /// The version of the account's KEK that seals it.
    pub kek_version: u32,
    /// The secret's 32 bytes, sealed.
    pub sealed: Vec<u8>,
}

impl AccountSecretRecord {
    /// The associated data of the seal.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("account-secret", 4)
            .bytes(self.account.as_bytes())
            .uint(self.generation.into())
            .time(self.created)
            .uint(self.kek_version.into())
            .finish()
    }
}

/// A name in client certificates by which an account is known.
#[derive(Debug, Clone)]
pub struct CertificateNameRecord {
    /// The domain.
    pub domain: DomainNumber,
    /// The name; of each there is one in a domain.
    pub name: CertificateName,
    /// The account.
    pub account: AccountId,
    /// Since when.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl CertificateNameRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("certificate-name", 5)
            .uint(self.domain.into())
            .uint(certificate_name_number(self.name.kind).into())
            .text(&self.name.value)
            .bytes(self.account.as_bytes())
            .time(self.created)
            .finish()
    }
}

/// Which devices to find.
#[derive(Debug, Clone, Default)]
pub struct DeviceFilter {
    /// Of this fleet.
    pub fleet: Option<String>,
    /// Paired by this account.
    pub paired_by: Option<AccountId>,
    /// Only those after this one.
    pub after: Option<AccountId>,
    /// At most so many.
    pub limit: u32,
}

/// Reading devices and account secrets.
pub trait ReadDevices {
    /// The nonces that are spent and whose time is not over before `now`, in the order of their time.
    fn spent_nonces(&self, now: Timestamp) -> Result<Vec<SpentNonce>, StoreError>;
    /// What there is to say of a device.
    fn device(&self, account: AccountId) -> Result<Option<DeviceRecord>, StoreError>;
    /// The device with this serial number.
    fn device_by_serial(
        &self,
        domain: DomainNumber,
        serial: &str,
    ) -> Result<Option<DeviceRecord>, StoreError>;
    /// Devices by account.
    fn devices(
        &self,
        domain: DomainNumber,
        filter: &DeviceFilter,
    ) -> Result<Vec<DeviceRecord>, StoreError>;
    /// An account's secrets, the newest first.
    fn secrets_of(&self, account: AccountId) -> Result<Vec<AccountSecretRecord>, StoreError>;
    /// What a name in certificates stands for.
    fn certificate_name(
        &self,
        domain: DomainNumber,
        name: &CertificateName,
    ) -> Result<Option<CertificateNameRecord>, StoreError>;
    /// The names in certificates by which an account is known, by kind and value.
    fn certificate_names_of(
        &self,
        account: AccountId,
    ) -> Result<Vec<CertificateNameRecord>, StoreError>;
    /// Secrets sealed under older versions of the account's KEK, by generation, after this one.
    fn older_secrets(
        &self,
        account: &AccountRecord,
        after: u32,
        limit: u32,
    ) -> Result<Vec<AccountSecretRecord>, StoreError>;
}

/// Changing devices and account secrets.
pub trait WriteDevices {
    /// What there is to say of a device, in place of what was said before.
    fn put_device(&mut self, device: &DeviceRecord) -> Result<(), StoreError>;
    /// A new secret.
    fn add_secret(&mut self, secret: &AccountSecretRecord) -> Result<(), StoreError>;
    /// An account's secrets but the one of this generation are deleted; all where it is absent.
    fn forget_secrets_but(
        &mut self,
        account: AccountId,
        generation: Option<u32>,
    ) -> Result<(), StoreError>;
    /// A secret, sealed again; `false` where it is not sealed as `before` any more.
    fn reseal_secret(
        &mut self,
        before: &[u8],
        secret: &AccountSecretRecord,
    ) -> Result<bool, StoreError>;
    /// A new name in certificates.
    fn add_certificate_name(&mut self, name: &CertificateNameRecord) -> Result<(), StoreError>;
    /// A name in certificates stands for nobody any more.
    fn remove_certificate_name(
        &mut self,
        domain: DomainNumber,
        name: &CertificateName,
    ) -> Result<(), StoreError>;
    /// No name in certificates stands for the account any more.
    fn forget_certificate_names(&mut self, account: AccountId) -> Result<(), StoreError>;
    /// A nonce is spent. Does nothing where this is known already.
    fn keep_nonce(&mut self, nonce: &SpentNonce) -> Result<(), StoreError>;
    /// Nonces whose time was over before `now` are forgotten.
    fn forget_nonces(&mut self, now: Timestamp) -> Result<(), StoreError>;
}
