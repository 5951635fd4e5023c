//! The way back: master KEKs into an HSM that does not have them.

use std::collections::BTreeSet;

use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId, RecoveryBlob, RecoveryKekId, WrappedKey,
};

use super::{Recovery, RecoveryKek};
use crate::error::Error;
use crate::store::{DomainRecord, Snapshot, Store, StoreError};

/// What came of a recovery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The versions of the master KEK that were brought into the HSM.
    pub recovered: Vec<u32>,
    /// Those that the HSM held already.
    pub held: Vec<u32>,
}

/// What custodians need for this database, read without the HSM: nothing of it is authentic before the recovered keys have opened the domain.
///
/// # Errors
///
/// [`Error::Domain`] when there is no such domain; [`Error::Store`].
pub fn read_recovery(store: &dyn Store, domain: &str) -> Result<Recovery, Error> {
    let snapshot = store.snapshot()?;
    let record = snapshot
        .domain(domain)?
        .ok_or_else(|| Error::Domain(format!("Domain {domain:?} is not initialised.")))?;
    let recorded = snapshot.recovery_keks(record.number)?;
    let blobs = snapshot.recovery_blobs(record.number)?;
    let blobs: Vec<(u32, RecoveryBlob)> = blobs
        .iter()
        .filter_map(|record| {
            let blob = RecoveryBlob::from_bytes(&record.blob).ok()?;
            Some((record.master_kek, blob))
        })
        .collect();
    // What wraps anything, and what is to wrap next.
    let mut versions = wrapping_versions(&*snapshot, &record)?;
    versions.extend(blobs.last().map(|(version, _)| *version));
    // And what the same custodians can recover besides: older backups need it. For what only earlier custodians can, they need not come.
    let keks: BTreeSet<u32> = blobs
        .iter()
        .filter(|(version, _)| versions.contains(version))
        .map(|(_, blob)| blob.recovery_kek_version)
        .collect();
    let besides = blobs
        .iter()
        .filter(|(_, blob)| keks.contains(&blob.recovery_kek_version));
    versions.extend(besides.map(|(version, _)| *version));
    Ok(Recovery::of(&recorded, &blobs, &versions))
}

/// The versions of the master KEK by which anything in the database is wrapped.
pub(crate) fn wrapping_versions(
    snapshot: &dyn Snapshot,
    record: &DomainRecord,
) -> Result<BTreeSet<u32>, StoreError> {
    let counts = snapshot.account_keks_by_master_kek(record.number)?;
    let mut versions: BTreeSet<u32> = counts.into_iter().map(|(version, _)| version).collect();
    let wrapped = WrappedKey::from_bytes(&record.domain_key)
        .map_err(|_| StoreError::MalformedRow("domain"))?;
    versions.insert(wrapped.master_kek_version);
    Ok(versions)
}

/// Brings every master KEK that this recovery KEK has wrapped into the HSM, and then the recovery KEK itself, so that the next rotation has it.
/// A version that the HSM holds already is left as it is: so a recovery that was killed is simply done again.
///
/// # Errors
///
/// [`Error::Invalid`] when `key` is not this recovery KEK, in which case nothing was done; [`Error::Hsm`], for a blob that was altered too.
pub fn recover_master_keks(
    hsm: &dyn Hsm,
    domain: &str,
    recovery: &Recovery,
    kek: &RecoveryKek,
    key: &Aes256Key,
) -> Result<Recovered, Error> {
    if !kek.is(key) {
        return Err(Error::Invalid(
            "The shares do not restore this recovery KEK.".to_owned(),
        ));
    }
    let mut outcome = Recovered::default();
    for master in &recovery.master_keks {
        let Some(blob) = master.blob()? else { continue };
        if blob.recovery_kek_version != kek.version {
            continue;
        }
        let id = MasterKekId {
            domain: domain.to_owned(),
            version: master.version,
        };
        match hsm.recover_master_kek(&id, key, &blob) {
            Ok(()) => outcome.recovered.push(master.version),
            Err(HsmError::KeyExists { .. }) => outcome.held.push(master.version),
            Err(error) => return Err(error.into()),
        }
    }
    let id = RecoveryKekId {
        domain: domain.to_owned(),
        version: kek.version,
    };
    match hsm.put_recovery_kek(&id, key) {
        Ok(()) | Err(HsmError::KeyExists { .. }) => Ok(outcome),
        Err(error) => Err(error.into()),
    }
}
