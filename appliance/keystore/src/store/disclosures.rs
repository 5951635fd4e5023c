//! Disclosures, keys on hold, notifications: their records and the part of the traits that they need.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, AuthorisationId, DisclosureId, KeyId};

use super::numbers::algorithm_number;
use super::{DomainNumber, KeyRecord, StoreError};
use crate::canonical::Canonical;

/// A disclosure: that an approved authorisation was run, and whether what came of it was let out.
#[derive(Debug, Clone)]
pub struct DisclosureRecord {
    /// Its identifier.
    pub id: DisclosureId,
    /// Its domain.
    pub domain: DomainNumber,
    /// The authorisation.
    pub authorisation: AuthorisationId,
    /// The generation that was approved.
    pub generation: u32,
    /// Who executed it.
    pub executor: AccountId,
    /// When, and so until when items were made that it is about.
    pub executed: Timestamp,
    /// How many items there were then.
    pub items: u32,
    /// SHA-256 of their keys' identifiers, in order.
    pub digest: [u8; 32],
    /// That it was released.
    pub release: Option<ReleasedRecord>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

/// That a disclosure was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedRecord {
    /// By whom.
    pub releaser: AccountId,
    /// When.
    pub released: Timestamp,
    /// SHA-256 of the delivery's manifest.
    pub manifest: [u8; 32],
    /// The index of the leaf that says so, the last of the delivery's.
    pub leaf: u64,
}

impl DisclosureRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let canonical = Canonical::new("disclosure", if self.release.is_some() { 12 } else { 8 })
            .bytes(self.id.as_bytes())
            .uint(self.domain.into())
            .bytes(self.authorisation.as_bytes())
            .uint(self.generation.into())
            .bytes(self.executor.as_bytes())
            .time(self.executed)
            .uint(self.items.into())
            .bytes(&self.digest);
        match &self.release {
            None => canonical.finish(),
            Some(release) => canonical
                .bytes(release.releaser.as_bytes())
                .time(release.released)
                .bytes(&release.manifest)
                .uint(release.leaf)
                .finish(),
        }
    }
}

/// An item of a delivery.
#[derive(Debug, Clone)]
pub struct DisclosureItemRecord {
    /// The disclosure.
    pub disclosure: DisclosureId,
    /// Its place in the delivery; the first is 1.
    pub sequence: u32,
    /// The authorisation.
    pub authorisation: AuthorisationId,
    /// The generation that was approved.
    pub generation: u32,
    /// The key.
    pub key: KeyId,
    /// The newest version that was disclosed.
    pub version: u32,
    /// SHA-256 of its delivery record, which is among the documents.
    pub record: [u8; 32],
    /// The key, sealed to the agency.
    pub sealed: Vec<u8>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl DisclosureItemRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("disclosure-item", 8)
            .bytes(self.disclosure.as_bytes())
            .uint(self.sequence.into())
            .bytes(self.authorisation.as_bytes())
            .uint(self.generation.into())
            .bytes(self.key.as_bytes())
            .uint(self.version.into())
            .bytes(&self.record)
            .bytes(&self.sealed)
            .finish()
    }
}

/// A copy of one version of a destroyed key, which a hold keeps.
#[derive(Debug, Clone)]
pub struct HeldKeyRecord {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: u32,
    /// Its domain.
    pub domain: DomainNumber,
    /// When the key was destroyed.
    pub held: Timestamp,
    /// The material, sealed below the domain's key.
    pub sealed: Vec<u8>,
}

impl HeldKeyRecord {
    /// The associated data of the seal.
    #[must_use]
    pub fn canonical(&self, key: &KeyRecord) -> Vec<u8> {
        Canonical::new("held-key", 6)
            .bytes(self.key.as_bytes())
            .uint(self.version.into())
            .uint(self.domain.into())
            .time(self.held)
            .uint(algorithm_number(key.algorithm).into())
            .bytes(key.owner.as_bytes())
            .finish()
    }
}

/// What somebody is told of a disclosure when the delay is over.
#[derive(Debug, Clone)]
pub struct NotificationRecord {
    /// Who.
    pub account: AccountId,
    /// The disclosure.
    pub disclosure: DisclosureId,
    /// Its domain.
    pub domain: DomainNumber,
    /// When the delay is over.
    pub due: Timestamp,
    /// When they were told: the leaf that concerns them is of then.
    pub told: Option<Timestamp>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl NotificationRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("notification", 5)
            .bytes(self.account.as_bytes())
            .bytes(self.disclosure.as_bytes())
            .uint(self.domain.into())
            .time(self.due)
            .optional_time(self.told)
            .finish()
    }
}

/// Which keys a scope may reach, as far as an index finds them. Whoever asks holds each one's records against the scope itself.
#[derive(Debug, Clone, Copy)]
pub enum ScopeFilter<'a> {
    /// Made by an account with a label.
    Label {
        /// The owner.
        owner: AccountId,
        /// The label.
        label: &'a str,
    },
    /// Given by an account to others.
    From(AccountId),
    /// Given to an account by others.
    To(AccountId),
    /// Given by one account to another.
    Between(AccountId, AccountId),
}

/// Reading disclosures, keys on hold and notifications.
pub trait ReadDisclosures {
    /// The disclosure with this identifier.
    fn disclosure(&self, id: DisclosureId) -> Result<Option<DisclosureRecord>, StoreError>;
    /// The disclosures under an authorisation, the oldest first.
    fn disclosures_of(
        &self,
        authorisation: AuthorisationId,
    ) -> Result<Vec<DisclosureRecord>, StoreError>;
    /// A delivery's items in order, after so many of them.
    fn disclosure_items(
        &self,
        disclosure: DisclosureId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<DisclosureItemRecord>, StoreError>;
    /// The last item by which a key was delivered under a generation of an authorisation.
    fn delivered(
        &self,
        authorisation: AuthorisationId,
        generation: u32,
        key: KeyId,
    ) -> Result<Option<DisclosureItemRecord>, StoreError>;
    /// How many keys were delivered under a generation of an authorisation.
    fn count_delivered(
        &self,
        authorisation: AuthorisationId,
        generation: u32,
    ) -> Result<u64, StoreError>;
    /// Keys made or given from the first moment on and before the second, the oldest first, each with that moment; after the one that is
    /// said.
    fn keys_in_scope(
        &self,
        filter: ScopeFilter<'_>,
        from: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, KeyId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, KeyId)>, StoreError>;
    /// The versions of a key that a hold keeps.
    fn held_versions(&self, key: KeyId) -> Result<Vec<HeldKeyRecord>, StoreError>;
    /// The keys that holds keep, the oldest first, and when they were destroyed.
    fn held_keys(&self, domain: DomainNumber) -> Result<Vec<(Timestamp, KeyId)>, StoreError>;
    /// What an account is told, or will be.
    fn notifications_of(&self, account: AccountId) -> Result<Vec<NotificationRecord>, StoreError>;
    /// What is due and nobody was told yet.
    fn notifications_due(
        &self,
        domain: DomainNumber,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<NotificationRecord>, StoreError>;
}

/// Changing disclosures, keys on hold and notifications.
pub trait WriteDisclosures {
    /// A disclosure, in place of the one with its identifier.
    fn put_disclosure(&mut self, disclosure: &DisclosureRecord) -> Result<(), StoreError>;
    /// An item of a delivery.
    fn add_disclosure_item(&mut self, item: &DisclosureItemRecord) -> Result<(), StoreError>;
    /// A version of a destroyed key is kept.
    fn hold_key(&mut self, held: &HeldKeyRecord) -> Result<(), StoreError>;
    /// A key is kept no more: its copies are overwritten and deleted.
    fn end_hold_of(&mut self, key: KeyId) -> Result<(), StoreError>;
    /// A notification, in place of the one for this account of this disclosure.
    fn put_notification(&mut self, notification: &NotificationRecord) -> Result<(), StoreError>;
}
