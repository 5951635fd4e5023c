//! What a restore leaves beside the database for the appliance that first serves it: signed in the HSM, so that only whoever can use
//! the HSM can have an older database accepted.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use strongroom_hsm::Hsm;
use strongroom_wire::account::Role;
use strongroom_wire::encoding::{Base64, Timestamp};

use super::BackupError;
use crate::checkpoint_keys;
use crate::error::Error;
use crate::hierarchy::checkpoint_key_label;
use crate::seal;
use crate::store::Store;

/// What is signed begins with this, which no checkpoint does: a checkpoint begins with its log's origin and a line feed.
const CONTEXT: &[u8] = b"strongroom/v1/restored\0";

/// That a database was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// When.
    pub restored: Timestamp,
    /// When the backup was made.
    pub created: Timestamp,
    /// How many leaves the backup has.
    pub leaves: u64,
    /// That the backup was accepted although a checkpoint was known that it does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// Who approved it, where the backup's policy demands that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<RestoreApproved>,
}

/// That a restore has the quorum which the policy in the backup demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreApproved {
    /// The exact request: canonical JSON.
    pub request: Base64,
    /// How many people it takes.
    pub count: u32,
    /// Of which role.
    pub role: Role,
    /// The evidence of each approval that counts: one document.
    pub evidence: Base64,
}

/// That an older backup was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Why, in the operator's words.
    pub reason: String,
    /// The checkpoint's note; no other is accepted to be missing.
    pub checkpoint: String,
    /// The number of leaves it is signed over.
    pub known: u64,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    record: String,
    signature: Base64,
}

impl Restored {
    /// The record as a file, signed with the checkpoint key of `domain`.
    ///
    /// # Errors
    ///
    /// [`BackupError::Hsm`] when the HSM does not sign.
    pub fn to_file(&self, hsm: &dyn Hsm, domain: &str) -> Result<Vec<u8>, BackupError> {
        let record = serde_json::to_string(self).map_err(|_| BackupError::Manifest)?;
        let signature = hsm.sign(&checkpoint_key_label(domain), &signed(&record))?;
        let signature = signature.to_vec().into();
        serde_json::to_vec(&Signed { record, signature }).map_err(|_| BackupError::Manifest)
    }

    /// The record in a file that the checkpoint key of `domain` has signed.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when it is another's or altered; [`Error::Domain`], [`Error::Store`].
    pub fn from_file(file: &[u8], store: &dyn Store, domain: &str) -> Result<Self, Error> {
        const WHAT: &str = "record of the restore";
        let snapshot = store.snapshot()?;
        let record = snapshot
            .domain(domain)?
            .ok_or_else(|| Error::Domain(format!("Domain {domain:?} is not initialised.")))?;
        let file: Signed = serde_json::from_slice(file).map_err(|_| Error::Integrity(WHAT))?;
        let keys = checkpoint_keys::read(&*snapshot, &record)?;
        let mut in_force = keys.iter().filter(|key| key.to.is_none());
        let genuine = in_force.any(|key| {
            UnparsedPublicKey::new(&ED25519, key.key)
                .verify(&signed(&file.record), &file.signature.0)
                .is_ok()
        });
        if !genuine {
            return Err(Error::Integrity(WHAT));
        }
        serde_json::from_str(&file.record).map_err(|_| Error::Integrity(WHAT))
    }

    /// What the leaf of the restore says. [`Keystore::record_restore`](crate::Keystore::record_restore) takes it.
    #[must_use]
    pub fn note(&self) -> String {
        let accepted = self.accepted.as_ref().map_or_else(String::new, |accepted| {
            format!(
                " accepted in spite of a checkpoint of {} leaves: {}",
                accepted.known, accepted.reason
            )
        });
        let Self {
            created, leaves, ..
        } = self;
        let approved = self
            .approved
            .as_ref()
            .map_or_else(String::new, RestoreApproved::note);
        format!("backup of {created} with {leaves} leaves{approved}{accepted}")
    }
}

impl RestoreApproved {
    /// What the leaf of the restore says of it, after a space: `appliance/audit/FORMAT.md`, "Approvals".
    fn note(&self) -> String {
        let digest = |document: &Base64| seal::hex(&seal::sha256(&document.0));
        format!(
            " request {} quorum {} of {} evidence {}",
            digest(&self.request),
            self.count,
            self.role.as_str(),
            digest(&self.evidence)
        )
    }
}

fn signed(record: &str) -> Vec<u8> {
    [CONTEXT, record.as_bytes()].concat()
}
