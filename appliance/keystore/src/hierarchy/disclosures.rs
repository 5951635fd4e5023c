//! The MACs of disclosures and notifications, and the seals of the copies that a hold keeps.

use strongroom_hsm::Aes256Key;
use zeroize::Zeroizing;

use super::Domain;
use crate::error::Error;
use crate::seal;
use crate::store::{
    DisclosureItemRecord, DisclosureRecord, HeldKeyRecord, KeyRecord, NotificationRecord,
};

/// What stands in errors for a copy that a hold keeps.
const HELD: &str = "held key";

/// The key that seals the copies of destroyed keys.
pub(super) fn hold_key(domain_key: &Aes256Key) -> Aes256Key {
    Aes256Key::from_bytes(seal::derive(domain_key, "strongroom/v1/hold"))
}

impl Domain {
    pub(crate) fn check_disclosure(
        &self,
        disclosure: DisclosureRecord,
    ) -> Result<DisclosureRecord, Error> {
        self.integrity
            .check(&disclosure.canonical(), &disclosure.mac, "disclosure")?;
        Ok(disclosure)
    }

    pub(crate) fn authenticate_disclosure(&self, disclosure: &mut DisclosureRecord) {
        disclosure.mac = self.integrity.mac(&disclosure.canonical());
    }

    pub(crate) fn check_disclosure_item(
        &self,
        item: DisclosureItemRecord,
    ) -> Result<DisclosureItemRecord, Error> {
        self.integrity
            .check(&item.canonical(), &item.mac, "disclosed item")?;
        Ok(item)
    }

    pub(crate) fn authenticate_disclosure_item(&self, item: &mut DisclosureItemRecord) {
        item.mac = self.integrity.mac(&item.canonical());
    }

    pub(crate) fn check_notification(
        &self,
        notification: NotificationRecord,
    ) -> Result<NotificationRecord, Error> {
        self.integrity
            .check(&notification.canonical(), &notification.mac, "notification")?;
        Ok(notification)
    }

    pub(crate) fn authenticate_notification(&self, notification: &mut NotificationRecord) {
        notification.mac = self.integrity.mac(&notification.canonical());
    }

    /// Seals a version's material into the record of its copy.
    pub(crate) fn seal_held(
        &self,
        held: &mut HeldKeyRecord,
        key: &KeyRecord,
        material: &[u8],
    ) -> Result<(), Error> {
        held.sealed = seal::seal(&self.hold, &held.canonical(key), material)?;
        Ok(())
    }

    /// The material of a copy.
    pub(crate) fn open_held(
        &self,
        held: &HeldKeyRecord,
        key: &KeyRecord,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        seal::open(&self.hold, &held.canonical(key), &held.sealed, HELD)
    }
}
