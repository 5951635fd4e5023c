//! Objects: their record and the part of the traits that they need.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId, ObjectId};
use strongroom_wire::key::Algorithm;
use strongroom_wire::object::{ObjectDescription, ObjectPart};

use super::numbers::object_part_number;
use super::{DomainNumber, StoreError};
use crate::canonical::Canonical;

/// An object of an account, or what the account says of a part of a key.
#[derive(Debug, Clone)]
pub struct ObjectRecord {
    /// Whose it is.
    pub owner: AccountId,
    /// Its identifier.
    pub id: ObjectId,
    /// Which part.
    pub part: ObjectPart,
    /// The owner's domain.
    pub domain: DomainNumber,
    /// The key that it is a part of.
    pub key: Option<KeyId>,
    /// What is said of it.
    pub description: ObjectDescription,
    /// Whether the account removed this part of the key from what it sees.
    pub gone: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl ObjectRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("object", 13)
            .bytes(self.owner.as_bytes())
            .bytes(self.id.as_bytes())
            .uint(object_part_number(self.part).into())
            .uint(self.domain.into())
            .optional_bytes(self.key.as_ref().map(|key| key.as_bytes().as_slice()))
            .uint(self.description.class.into())
            .optional_uint(self.description.kind.map(u64::from))
            .bytes(&self.description.label.0)
            .bytes(&self.description.id.0)
            .bytes(&self.description.attributes.0)
            .uint(self.gone.into())
            .time(self.created)
            .time(self.updated)
            .finish()
    }
}

/// Which objects to find.
#[derive(Debug, Clone, Default)]
pub struct ObjectFilter {
    /// Of this class.
    pub class: Option<u32>,
    /// Of this key type or certificate type.
    pub kind: Option<u32>,
    /// With this label.
    pub label: Option<Vec<u8>>,
    /// With this `CKA_ID`.
    pub cka_id: Option<Vec<u8>>,
    /// Beginning after this one.
    pub after: Option<(ObjectId, ObjectPart)>,
    /// At most so many.
    pub limit: u32,
}

/// Which keys of which nothing is said to find.
#[derive(Debug, Clone, Copy)]
pub struct PlainKeyFilter<'a> {
    /// For one of these.
    pub algorithms: &'a [Algorithm],
    /// With this label.
    pub label: Option<&'a str>,
    /// Beginning after this one.
    pub after: Option<KeyId>,
    /// At most so many.
    pub limit: u32,
}

/// Reading objects.
pub trait ReadObjects {
    /// One object.
    fn object(
        &self,
        owner: AccountId,
        id: ObjectId,
        part: ObjectPart,
    ) -> Result<Option<ObjectRecord>, StoreError>;
    /// An account's objects that are not gone, by identifier and part.
    fn find_objects(
        &self,
        owner: AccountId,
        filter: &ObjectFilter,
    ) -> Result<Vec<ObjectRecord>, StoreError>;
    /// The keys to which one of `holders` has a grant and of which `owner` says nothing, by identifier.
    fn find_plain_keys(
        &self,
        holders: &[AccountId],
        owner: AccountId,
        filter: &PlainKeyFilter<'_>,
    ) -> Result<Vec<KeyId>, StoreError>;
    /// The number of the last change of what one of these accounts sees; 0 where there was none.
    fn change(&self, accounts: &[AccountId]) -> Result<u64, StoreError>;
}

/// Changing objects.
pub trait WriteObjects {
    /// An object, in place of the one with its identifier and part.
    fn put_object(&mut self, object: &ObjectRecord) -> Result<(), StoreError>;
    /// An object is deleted.
    fn delete_object(
        &mut self,
        owner: AccountId,
        id: ObjectId,
        part: ObjectPart,
    ) -> Result<(), StoreError>;
    /// What these accounts see has changed.
    fn note_change(&mut self, accounts: &[AccountId], number: u64) -> Result<(), StoreError>;
}
