//! The acts of a ceremony: a recovery KEK is made, and what happened is recorded.

use std::sync::Arc;

use strongroom_audit::Detail;
use strongroom_custodians::{FEWEST_SHARES, MOST_SHARES};
use strongroom_hsm::{Aes256Key, Hsm, HsmError, RecoveryKekId};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::{CheckValue, RecoveryKek, check_value};
use crate::act::Scope;
use crate::error::Error;
use crate::hierarchy::{Domain, hsm_random_key};
use crate::keystore::{Core, Keystore, LOCALHOST};
use crate::rotation::version_note;
use crate::seal;
use crate::store::{DomainNumber, RecoveryBlobRecord, RecoveryKekRecord};

/// The most bytes of a custodian's name.
const LONGEST_NAME: usize = 64;

/// A recovery KEK that custodians have shown to be restored by their shares, not yet in the HSM.
#[derive(Debug)]
pub struct NewRecovery {
    set: u16,
    threshold: u8,
    custodians: Vec<String>,
    key: Aes256Key,
}

impl NewRecovery {
    /// Takes what a ceremony has settled: the key, and its shares' set, threshold and holders in the order of the shares.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the numbers or a name cannot be.
    pub fn new(
        key: Aes256Key,
        set: u16,
        threshold: u8,
        custodians: Vec<String>,
    ) -> Result<Self, Error> {
        let shares = u8::try_from(custodians.len()).unwrap_or(u8::MAX);
        if !(FEWEST_SHARES..=MOST_SHARES).contains(&shares)
            || !(FEWEST_SHARES..=shares).contains(&threshold)
        {
            return Err(Error::Invalid(format!(
                "There are {FEWEST_SHARES} to {MOST_SHARES} custodians, of whom at least {FEWEST_SHARES} and at most all are needed."
            )));
        }
        let good = |name: &String| {
            !name.trim().is_empty()
                && name.len() <= LONGEST_NAME
                && !name.chars().any(char::is_control)
        };
        if !custodians.iter().all(good) {
            return Err(Error::Invalid(format!(
                "A custodian's name has 1 to {LONGEST_NAME} bytes and no control characters."
            )));
        }
        Ok(Self {
            set,
            threshold,
            custodians,
            key,
        })
    }

    /// By which the key is known.
    #[must_use]
    pub fn check_value(&self) -> CheckValue {
        check_value(&self.key)
    }

    pub(crate) fn key(&self) -> &Aes256Key {
        &self.key
    }

    /// The record of the key as this version; its MAC is still to be made.
    pub(crate) fn record(
        &self,
        domain: DomainNumber,
        version: u32,
        created: Timestamp,
    ) -> RecoveryKekRecord {
        RecoveryKekRecord {
            domain,
            version,
            set: self.set,
            threshold: self.threshold,
            custodians: self.custodians.clone(),
            check_value: self.check_value(),
            created,
            mac: [0; 32],
        }
    }
}

/// A new recovery KEK, from the HSM's generator and the operating system's together, and a random number for its shares' set.
///
/// # Errors
///
/// [`Error::Hsm`] when the HSM gives no random numbers.
pub fn new_recovery_kek(hsm: &dyn Hsm) -> Result<(Aes256Key, u16), Error> {
    Ok((hsm_random_key(hsm)?, u16::from_be_bytes(seal::random()?)))
}

/// Which versions a ceremony made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Established {
    /// Of the recovery KEK.
    pub recovery_kek: u32,
    /// Of the master KEK.
    pub master_kek: u32,
}

/// A ceremony's transcript as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The C2SP signed note.
    pub note: String,
    /// The index of the leaf that has its SHA-256.
    pub leaf: u64,
}

impl Keystore {
    /// The versions of the recovery KEK, in ascending order.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when a record was edited; [`Error::Store`].
    pub fn recovery_keks(&self) -> Result<Vec<RecoveryKek>, Error> {
        let core = &self.core;
        let keks = core.domain.recovery_keks(&*core.store.snapshot()?)?;
        Ok(keks.iter().map(RecoveryKek::from).collect())
    }

    /// The version of the master KEK that wraps.
    ///
    /// # Errors
    ///
    /// Those of the HSM and the store.
    pub fn newest_master_kek(&self) -> Result<u32, Error> {
        let core = &self.core;
        let snapshot = core.store.snapshot()?;
        Ok(core.domain.master_keks(&*snapshot)?.newest)
    }

    /// Gives the domain a new recovery KEK, and with it a version of the master KEK that custodians can recover, from which on that
    /// wraps. `transcript` makes the text that is signed and recorded in the same act. What older versions wrapped is wrapped again by
    /// [`rewrap_some`](Self::rewrap_some).
    ///
    /// For the appliance that nobody serves meanwhile. Where it is killed before the act, the HSM holds a recovery KEK and a master KEK of which
    /// no record knows; they are used for nothing, and a ceremony that is held again makes others.
    ///
    /// # Errors
    ///
    /// Those of the HSM and the store.
    pub fn establish_recovery(
        &self,
        new: &NewRecovery,
        transcript: &mut dyn FnMut(Established) -> String,
    ) -> Result<(Established, Transcript), Error> {
        let core = &self.core;
        let domain = &core.domain;
        let _alone = core.rotation.versions_change();
        let (recorded, keks) = {
            let snapshot = core.store.snapshot()?;
            let recorded = domain.recovery_keks(&*snapshot)?;
            (recorded, domain.master_keks(&*snapshot)?)
        };
        let held = domain.hsm().recovery_kek_versions(&domain.name)?;
        let newest = held
            .last()
            .copied()
            .max(recorded.last().map(|kek| kek.version));
        let id = RecoveryKekId {
            domain: domain.name.clone(),
            version: newest.unwrap_or_default().saturating_add(1),
        };
        domain.hsm().put_recovery_kek(&id, new.key())?;
        let mut kek = new.record(domain.number, id.version, core.clock.now());
        kek.mac = domain.mac(&kek.canonical());
        let blob = domain.new_recoverable_master_kek(
            &id,
            keks.next().ok_or(Error::Internal(
                "the master KEK has as many versions as there can be",
            ))?,
        )?;
        let made = Established {
            recovery_kek: id.version,
            master_kek: blob.master_kek,
        };
        let note = domain.sign_note(&*core.store.snapshot()?, &transcript(made))?;
        let (kek, signed) = (kek.clone(), note.clone());
        let leaf = core
            .act(Act::DomainCeremony, LOCALHOST, move |scope| {
                scope.detail = Detail::default();
                scope.tx.create_recovery_kek(&kek)?;
                scope.tx.put_recovery_blob(&blob)?;
                scope.detail.note = Some(version_note(blob.master_kek));
                scope.record(Act::MasterKekRotate)?;
                record_transcript(scope, Act::DomainCeremony, &signed)
            })
            .map_err(|refusal| refusal.error)?;
        core.rotation.forget_newest();
        core.forget_recovery_keks_before(made.recovery_kek, &held);
        Ok((made, Transcript { note, leaf }))
    }

    /// Has a ceremony's transcript signed in the HSM, and records it under `act`.
    ///
    /// # Errors
    ///
    /// Those of the HSM and the store.
    pub fn record_ceremony(&self, act: Act, text: &str) -> Result<Transcript, Error> {
        let core = &self.core;
        let note = core.domain.sign_note(&*core.store.snapshot()?, text)?;
        let signed = note.clone();
        let leaf = core
            .act(act, LOCALHOST, move |scope| {
                scope.detail = Detail::default();
                record_transcript(scope, act, &signed)
            })
            .map_err(|refusal| refusal.error)?;
        Ok(Transcript { note, leaf })
    }
}

fn record_transcript(scope: &mut Scope<'_>, act: Act, note: &str) -> Result<u64, Error> {
    scope.detail.note = Some(transcript_note(note));
    let leaf = scope.record(act)?;
    scope
        .tx
        .record_transcript(scope.domain.number, leaf, note)?;
    Ok(leaf)
}

/// What the leaf of a transcript says.
pub(crate) fn transcript_note(note: &str) -> String {
    format!("transcript {}", seal::hex(&seal::sha256(note.as_bytes())))
}

impl Domain {
    /// Generates a version of the master KEK that custodians can recover: this one, or the next that the HSM does not hold. A version of
    /// which there is no record was made by an act that did not end.
    pub(crate) fn new_recoverable_master_kek(
        &self,
        recovery: &RecoveryKekId,
        first: u32,
    ) -> Result<RecoveryBlobRecord, Error> {
        /// How many versions of acts that did not end are passed over.
        const MOST: u32 = 16;
        let mut version = first;
        loop {
            let made = self
                .hsm()
                .generate_recoverable_master_kek(&self.master_kek(version), recovery);
            match made {
                Err(HsmError::KeyExists { .. }) if version - first < MOST => version += 1,
                made => {
                    let mut record = RecoveryBlobRecord {
                        domain: self.number,
                        master_kek: version,
                        blob: made?.to_bytes(),
                        mac: [0; 32],
                    };
                    record.mac = self.mac(&record.canonical());
                    return Ok(record);
                }
            }
        }
    }
}

impl Core {
    /// Destroys older recovery KEKs in the HSM: it wraps with the newest only, and what the older ones wrapped, their custodians' shares open.
    fn forget_recovery_keks_before(self: &Arc<Self>, newest: u32, held: &[u32]) {
        let domain = &self.domain;
        for version in held.iter().filter(|version| **version < newest) {
            let id = RecoveryKekId {
                domain: domain.name.clone(),
                version: *version,
            };
            if let Err(error) = domain.hsm().destroy_recovery_kek(&id) {
                tracing::warn!(version, %error, "an older recovery KEK stays in the HSM, which does no harm");
            }
        }
    }
}
