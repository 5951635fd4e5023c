//! Cosignatures, what the scrub holds against the log, and how far the log was fed to its receivers: records and the part of the traits.

use super::{DomainNumber, StoreError};

/// The key of a row that follows from the log, in the encoding of the lists that leaves commit to (`FORMAT.md` of the audit log, "Rows").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub Vec<u8>);

/// A row that follows from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedRow {
    /// Its key.
    pub key: RowKey,
    /// SHA-256 of what is followed of it.
    pub hash: [u8; 32],
}

/// A table whose rows follow from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowedTable {
    /// Its number in the lists.
    pub number: u8,
    /// What one of its rows is, for people.
    pub what: &'static str,
}

/// Reading what witnesses, the scrub and feeds need.
pub trait ReadWitnessing {
    /// The cosignatures of the checkpoint of this size: the witness's verifier key and its signature line.
    fn cosignatures(
        &self,
        domain: DomainNumber,
        size: u64,
    ) -> Result<Vec<(String, String)>, StoreError>;
    /// The sizes, from the largest, of checkpoints above `above` leaves that have at least so many cosignatures; at most `limit`.
    fn cosigned_sizes(
        &self,
        domain: DomainNumber,
        above: u64,
        at_least: u32,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError>;
    /// The size of the largest checkpoint that this witness has cosigned.
    fn newest_cosigned(
        &self,
        domain: DomainNumber,
        witness: &str,
    ) -> Result<Option<u64>, StoreError>;
    /// The checkpoint of this size.
    fn checkpoint_of(&self, domain: DomainNumber, size: u64) -> Result<Option<String>, StoreError>;
    /// The lists of rows of leaves from `first` up to and without `end`, by the leaf's index.
    fn leaf_rows(
        &self,
        domain: DomainNumber,
        first: u64,
        end: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
    /// Whether any leaf has a list of rows.
    fn has_leaf_rows(&self, domain: DomainNumber) -> Result<bool, StoreError>;
    /// The tables whose rows follow from the log.
    fn followed_tables(&self) -> Vec<FollowedTable>;
    /// The rows of a followed table after this key, in the order of their keys.
    fn followed_rows(
        &self,
        table: u8,
        after: Option<&RowKey>,
        limit: u32,
    ) -> Result<Vec<FollowedRow>, StoreError>;
    /// Whether a followed table has a row with this key.
    fn has_followed_row(&self, table: u8, key: &RowKey) -> Result<bool, StoreError>;
    /// Whether a row with this key may be gone although no leaf says so: its time is over.
    fn may_be_gone(&self, table: u8, key: &RowKey) -> bool;
    /// The index of the leaf that the receiver of this name gets next.
    fn fed_up_to(&self, domain: DomainNumber, name: &str) -> Result<Option<u64>, StoreError>;
}

/// Changing it.
pub trait WriteWitnessing {
    /// A witness's cosignature of a checkpoint, in place of its older one.
    fn put_cosignature(
        &mut self,
        domain: DomainNumber,
        size: u64,
        witness: &str,
        line: &str,
    ) -> Result<(), StoreError>;
    /// Rows of a followed table after this key, at most so many, count as changed by this act. Answers the last one's key; none where there are
    /// none.
    fn touch_rows(
        &mut self,
        table: u8,
        after: Option<&RowKey>,
        limit: u32,
    ) -> Result<Option<RowKey>, StoreError>;
    /// The index of the leaf that the receiver of this name gets next.
    fn set_fed_up_to(
        &mut self,
        domain: DomainNumber,
        name: &str,
        next: u64,
    ) -> Result<(), StoreError>;
}
