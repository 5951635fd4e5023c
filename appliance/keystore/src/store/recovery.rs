//! What custodians need to recover master KEKs, and the keys that sign checkpoints: records, and the part of the traits for them.

use strongroom_wire::encoding::Timestamp;

use super::{DomainNumber, StoreError};
use crate::canonical::Canonical;

/// A version of a domain's recovery KEK: all but the key.
#[derive(Debug, Clone)]
pub struct RecoveryKekRecord {
    /// The domain.
    pub domain: DomainNumber,
    /// The version; the first is 1.
    pub version: u32,
    /// The number of the set that the custodians' shares belong to.
    pub set: u16,
    /// How many of them restore the key.
    pub threshold: u8,
    /// The custodians' names, in the order of their shares.
    pub custodians: Vec<String>,
    /// By which the restored key is known.
    pub check_value: [u8; 8],
    /// When it was made.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl RecoveryKekRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("recovery-kek", 7)
            .uint(self.domain.into())
            .uint(self.version.into())
            .uint(self.set.into())
            .uint(self.threshold.into())
            // No name has a line feed.
            .text(&self.custodians.join("\n"))
            .bytes(&self.check_value)
            .time(self.created)
            .finish()
    }
}

/// A version of the master KEK, wrapped under a recovery KEK.
#[derive(Debug, Clone)]
pub struct RecoveryBlobRecord {
    /// The domain.
    pub domain: DomainNumber,
    /// The version of the master KEK.
    pub master_kek: u32,
    /// The wrapped key ([`strongroom_hsm::RecoveryBlob`]).
    pub blob: Vec<u8>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl RecoveryBlobRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("recovery-blob", 3)
            .uint(self.domain.into())
            .uint(self.master_kek.into())
            .bytes(&self.blob)
            .finish()
    }
}

/// A key that signs or signed checkpoints. The key with which the domain began stands in the domain's record, and here only once it has ended.
#[derive(Debug, Clone)]
pub struct CheckpointKeyRecord {
    /// The domain.
    pub domain: DomainNumber,
    /// The public key: Ed25519, 32 bytes.
    pub key: [u8; 32],
    /// The size of the smallest tree that it may sign.
    pub from: u64,
    /// The size of the largest; none while the key is in force.
    pub to: Option<u64>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl CheckpointKeyRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("checkpoint-key", 4)
            .uint(self.domain.into())
            .bytes(&self.key)
            .uint(self.from)
            .optional_uint(self.to)
            .finish()
    }
}

/// Reading what recovery needs.
pub trait ReadRecovery {
    /// The versions of the recovery KEK, in ascending order.
    fn recovery_keks(&self, domain: DomainNumber) -> Result<Vec<RecoveryKekRecord>, StoreError>;
    /// The recoverable versions of the master KEK, in ascending order.
    fn recovery_blobs(&self, domain: DomainNumber) -> Result<Vec<RecoveryBlobRecord>, StoreError>;
    /// The checkpoint keys that have a record of their own, in the order in which they began.
    fn checkpoint_keys(&self, domain: DomainNumber)
    -> Result<Vec<CheckpointKeyRecord>, StoreError>;
    /// The signed transcripts of ceremonies, with the index of the leaf of each.
    fn transcripts(&self, domain: DomainNumber) -> Result<Vec<(u64, String)>, StoreError>;
}

/// Changing what recovery needs.
pub trait WriteRecovery {
    /// A new version of the recovery KEK.
    fn create_recovery_kek(&mut self, kek: &RecoveryKekRecord) -> Result<(), StoreError>;
    /// A version of the master KEK can be recovered.
    fn put_recovery_blob(&mut self, blob: &RecoveryBlobRecord) -> Result<(), StoreError>;
    /// A version of the master KEK is not to be recovered any more.
    fn forget_recovery_blob(
        &mut self,
        domain: DomainNumber,
        master_kek: u32,
    ) -> Result<(), StoreError>;
    /// A checkpoint key that begins, or one that ended in place of itself.
    fn put_checkpoint_key(&mut self, key: &CheckpointKeyRecord) -> Result<(), StoreError>;
    /// A ceremony's signed transcript.
    fn record_transcript(
        &mut self,
        domain: DomainNumber,
        leaf: u64,
        note: &str,
    ) -> Result<(), StoreError>;
}
