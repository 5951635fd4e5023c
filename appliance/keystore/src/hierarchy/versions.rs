//! The versions of a domain's master KEK: which wraps, and which can be recovered.

use std::collections::BTreeSet;

use strongroom_hsm::RecoveryBlob;

use super::Domain;
use crate::error::Error;
use crate::store::{RecoveryBlobRecord, RecoveryKekRecord, Snapshot};

/// The versions of a domain's master KEK.
#[derive(Debug, Clone)]
pub(crate) struct MasterKeks {
    /// Those that every HSM of the appliance holds, in ascending order.
    pub(crate) held: Vec<u32>,
    /// The one that wraps.
    pub(crate) newest: u32,
    /// Those that custodians can recover.
    pub(crate) recoverable: BTreeSet<u32>,
}

impl MasterKeks {
    /// A version that was made and that an HSM of the appliance does not have yet: nothing is wrapped by it before.
    pub(crate) fn waiting(&self) -> Option<u32> {
        let newest = self.recoverable.last().copied();
        newest.filter(|version| *version > self.newest && !self.held.contains(version))
    }

    /// The smallest number that no version has had.
    pub(crate) fn next(&self) -> Option<u32> {
        let newest = self.held.last().max(self.recoverable.last());
        newest.copied().unwrap_or_default().checked_add(1)
    }
}

impl Domain {
    /// The versions of the master KEK as they are now. It asks the HSM.
    ///
    /// Once anything can be recovered, nothing else wraps: a version whose recovery blob was lost, because the act that made it did not end, is
    /// held and not used.
    pub(crate) fn master_keks(&self, snapshot: &dyn Snapshot) -> Result<MasterKeks, Error> {
        let held = self.hsm.master_kek_versions(&self.name)?;
        let recoverable: BTreeSet<u32> = self
            .recovery_blobs(snapshot)?
            .iter()
            .map(|(version, _)| *version)
            .collect();
        let mut usable = Vec::new();
        for version in &held {
            if !self.is_retired(snapshot, *version)? {
                usable.push(*version);
            }
        }
        let newest = usable
            .iter()
            .rev()
            .find(|version| recoverable.contains(version));
        let newest = newest.or(usable.last()).copied().ok_or_else(|| {
            Error::Domain(format!(
                "The HSM holds no master KEK of domain {:?}.",
                self.name
            ))
        })?;
        Ok(MasterKeks {
            held,
            newest,
            recoverable,
        })
    }

    /// The recovery blobs by the version of the master KEK, their records checked.
    pub(crate) fn recovery_blobs(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<Vec<(u32, RecoveryBlob)>, Error> {
        const WHAT: &str = "recovery blob";
        let keks = self.recovery_keks(snapshot)?;
        let records = snapshot.recovery_blobs(self.number)?.into_iter();
        records
            .map(|record: RecoveryBlobRecord| {
                self.check_mac(&record.canonical(), &record.mac, WHAT)?;
                let blob =
                    RecoveryBlob::from_bytes(&record.blob).map_err(|_| Error::Integrity(WHAT))?;
                let known = keks
                    .iter()
                    .any(|kek| kek.version == blob.recovery_kek_version);
                known
                    .then_some((record.master_kek, blob))
                    .ok_or(Error::Integrity(WHAT))
            })
            .collect()
    }

    /// The versions of the recovery KEK, in ascending order, their records checked.
    pub(crate) fn recovery_keks(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<Vec<RecoveryKekRecord>, Error> {
        let keks = snapshot.recovery_keks(self.number)?;
        for kek in &keks {
            self.check_mac(&kek.canonical(), &kek.mac, "recovery KEK")?;
        }
        Ok(keks)
    }
}
