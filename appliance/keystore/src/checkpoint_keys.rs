//! The keys that sign the domain's checkpoints: one for each HSM, as no private key leaves its own.
//!
//! The key with which the domain began stands in its record. Each change is an act whose leaf names the key
//! (`appliance/audit/FORMAT.md`, "Several keys"). A key that ended signs nothing that counts.

use std::sync::Arc;

use strongroom_audit::checkpoint::verifier_key;
use strongroom_audit::{Detail, KeyChange, LogKey, note};
use strongroom_hsm::{Ed25519PublicKey, HsmError};
use strongroom_wire::audit::Act;

use crate::error::Error;
use crate::hierarchy::{Domain, checkpoint_key_label};
use crate::keystore::{Core, Keystore, LOCALHOST};
use crate::store::{CheckpointKeyRecord, DomainRecord, Snapshot, StoreError};

const WHAT: &str = "checkpoint key";

/// Every key of the domain, the first one included, in the order in which they began. Nothing is checked: whoever has the HSM uses
/// [`Domain::checkpoint_keys`].
pub(crate) fn read(
    snapshot: &dyn Snapshot,
    record: &DomainRecord,
) -> Result<Vec<CheckpointKeyRecord>, StoreError> {
    let mut keys = snapshot.checkpoint_keys(record.number)?;
    if !keys.iter().any(|key| key.key == record.checkpoint_key) {
        keys.insert(0, first(record));
    }
    Ok(keys)
}

/// As [`read`], as verifiers take them.
pub(crate) fn log_keys(
    snapshot: &dyn Snapshot,
    record: &DomainRecord,
) -> Result<Vec<LogKey>, StoreError> {
    let keys = read(snapshot, record)?.into_iter().map(|key| LogKey {
        verifier_key: verifier_key(&record.origin, &key.key),
        from: key.from,
        to: key.to,
    });
    Ok(keys.collect())
}

/// The key with which the domain began, while it is in force.
const fn first(record: &DomainRecord) -> CheckpointKeyRecord {
    CheckpointKeyRecord {
        domain: record.number,
        key: record.checkpoint_key,
        from: 0,
        to: None,
        mac: [0; 32],
    }
}

impl Domain {
    /// The keys that may sign now.
    pub(crate) fn checkpoint_keys(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<Vec<CheckpointKeyRecord>, Error> {
        let record = self.domain_key(snapshot)?.0;
        let mut keys = snapshot.checkpoint_keys(self.number)?;
        for key in &keys {
            self.check_mac(&key.canonical(), &key.mac, WHAT)?;
        }
        if !keys.iter().any(|key| key.key == record.checkpoint_key) {
            keys.insert(0, first(&record));
        }
        keys.retain(|key| key.to.is_none());
        Ok(keys)
    }

    /// Has the HSM sign a text that is no checkpoint, as a C2SP signed note.
    pub(crate) fn sign_note(&self, snapshot: &dyn Snapshot, text: &str) -> Result<String, Error> {
        let keys: Vec<_> = self
            .checkpoint_keys(snapshot)?
            .iter()
            .map(|key| key.key)
            .collect();
        let label = checkpoint_key_label(&self.name);
        note::sign(&self.origin, text, &keys, |message| {
            self.hsm().sign(&label, message)
        })
        .map_err(|error| match error {
            note::SignError::Signer(error) => Error::Hsm(error),
            error => {
                tracing::error!(%error, "a note was not signed");
                Error::Internal("the note was not signed by a key of the log")
            }
        })
    }
}

impl Keystore {
    /// The keys that sign or signed the domain's checkpoints, in the order in which they began.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when a record was edited; [`Error::Store`].
    pub fn verifier_keys(&self) -> Result<Vec<LogKey>, Error> {
        let core = &self.core;
        let snapshot = core.store.snapshot()?;
        core.domain.checkpoint_keys(&*snapshot)?;
        let record = core.domain.domain_key(&*snapshot)?.0;
        Ok(log_keys(&*snapshot, &record)?)
    }

    /// Lets the HSM in use sign the domain's checkpoints with its own key, which is made where it has none, and ends every other key except
    /// those in `keep`: the keys of the other HSMs that the appliance still has. Where no other is known for sure, `keep` is none, and none ends.
    /// Answers what changed.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] when the HSM's key has ended: it was taken out of use, and never signs again. Those of the HSM and the store.
    pub fn adopt_checkpoint_key(
        &self,
        keep: Option<&[Ed25519PublicKey]>,
    ) -> Result<Vec<KeyChange>, Error> {
        let core = &self.core;
        let label = checkpoint_key_label(&core.domain.name);
        let own = match core.domain.hsm().generate_signing_key(&label) {
            Err(HsmError::KeyExists { .. }) => core.domain.hsm().signing_public_key(&label)?,
            made => made?,
        };
        core.change_checkpoint_keys(own, keep.map(<[_]>::to_vec))
    }
}

impl Core {
    fn change_checkpoint_keys(
        self: &Arc<Self>,
        own: Ed25519PublicKey,
        keep: Option<Vec<Ed25519PublicKey>>,
    ) -> Result<Vec<KeyChange>, Error> {
        let done = self.act(Act::DomainCheckpointKey, LOCALHOST, move |scope| {
            scope.detail = Detail::default();
            let in_force = scope.domain.checkpoint_keys(scope.tx.as_snapshot())?;
            let known = scope.tx.checkpoint_keys(scope.domain.number)?;
            let mut changes = Vec::new();
            if !in_force.iter().any(|key| key.key == own) {
                if known.iter().any(|key| key.key == own) {
                    return Err(Error::Domain(
                        "The checkpoint key of this HSM has ended and never signs again: use another token.".to_owned(),
                    ));
                }
                let change = KeyChange::Begins(verifier_key(&scope.domain.origin, &own));
                scope.detail.note = Some(change.to_string());
                let leaf = scope.record(Act::DomainCheckpointKey)?;
                let mut record = CheckpointKeyRecord {
                    domain: scope.domain.number,
                    key: own,
                    from: leaf + 1,
                    to: None,
                    mac: [0; 32],
                };
                record.mac = scope.domain.mac(&record.canonical());
                scope.tx.put_checkpoint_key(&record)?;
                changes.push(change);
            }
            let Some(keep) = &keep else {
                return Ok(changes);
            };
            for mut record in in_force {
                if record.key == own || keep.contains(&record.key) {
                    continue;
                }
                let change = KeyChange::Ends(verifier_key(&scope.domain.origin, &record.key));
                scope.detail.note = Some(change.to_string());
                record.to = Some(scope.record(Act::DomainCheckpointKey)?);
                record.mac = scope.domain.mac(&record.canonical());
                scope.tx.put_checkpoint_key(&record)?;
                changes.push(change);
            }
            Ok(changes)
        });
        done.map_err(|refusal| refusal.error)
    }
}
