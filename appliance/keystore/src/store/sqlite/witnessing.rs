//! Cosignatures, lists of rows, and how far the log was fed to its receivers.

use rusqlite::params;

use super::followed::{FOLLOWED, by_number};
use super::rows::{Rows, all, count, number, one};
use crate::store::{
    DomainNumber, FollowedRow, FollowedTable, ReadWitnessing, RowKey, StoreError, WriteWitnessing,
};

impl ReadWitnessing for Rows<'_> {
    fn cosignatures(
        &self,
        domain: DomainNumber,
        size: u64,
    ) -> Result<Vec<(String, String)>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT witness, line FROM cosignatures WHERE domain = ?1 AND size = ?2 ORDER BY witness",
            )?,
            params![domain, count(size)],
            |row| Ok((row.get("witness")?, row.get("line")?)),
        )
    }

    fn cosigned_sizes(
        &self,
        domain: DomainNumber,
        above: u64,
        at_least: u32,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT size FROM cosignatures WHERE domain = ?1 AND size > ?2
                 GROUP BY size HAVING count(*) >= ?3 ORDER BY size DESC LIMIT ?4",
            )?,
            params![domain, count(above), at_least, limit],
            |row| number(row, "size", "cosignature"),
        )
    }

    fn newest_cosigned(
        &self,
        domain: DomainNumber,
        witness: &str,
    ) -> Result<Option<u64>, StoreError> {
        one(
            &mut self.connection().prepare_cached(
                "SELECT size FROM cosignatures WHERE domain = ?1 AND witness = ?2 ORDER BY size DESC LIMIT 1",
            )?,
            params![domain, witness],
            |row| number(row, "size", "cosignature"),
        )
    }

    fn checkpoint_of(&self, domain: DomainNumber, size: u64) -> Result<Option<String>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached("SELECT note FROM checkpoints WHERE domain = ?1 AND size = ?2")?,
            params![domain, count(size)],
            |row| Ok(row.get("note")?),
        )
    }

    fn leaf_rows(
        &self,
        domain: DomainNumber,
        first: u64,
        end: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT idx, rows FROM leaf_rows WHERE domain = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx",
            )?,
            params![domain, count(first), count(end)],
            |row| Ok((number(row, "idx", "row list")?, row.get("rows")?)),
        )
    }

    fn has_leaf_rows(&self, domain: DomainNumber) -> Result<bool, StoreError> {
        Ok(self
            .connection()
            .prepare_cached("SELECT 1 FROM leaf_rows WHERE domain = ?1 LIMIT 1")?
            .exists([domain])?)
    }

    fn followed_tables(&self) -> Vec<FollowedTable> {
        let table = |followed: &super::followed::Followed| FollowedTable {
            number: followed.number,
            what: followed.what,
        };
        FOLLOWED.iter().map(table).collect()
    }

    fn followed_rows(
        &self,
        table: u8,
        after: Option<&RowKey>,
        limit: u32,
    ) -> Result<Vec<FollowedRow>, StoreError> {
        self.followed_page(by_number(table)?, after, limit)
    }

    fn has_followed_row(&self, table: u8, key: &RowKey) -> Result<bool, StoreError> {
        self.followed_exists(by_number(table)?, key)
    }

    fn may_be_gone(&self, table: u8, key: &RowKey) -> bool {
        by_number(table).is_ok_and(|followed| followed.may_be_gone(key))
    }

    fn fed_up_to(&self, domain: DomainNumber, name: &str) -> Result<Option<u64>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached("SELECT next FROM feeds WHERE domain = ?1 AND name = ?2")?,
            params![domain, name],
            |row| number(row, "next", "feed"),
        )
    }
}

impl WriteWitnessing for Rows<'_> {
    fn put_cosignature(
        &mut self,
        domain: DomainNumber,
        size: u64,
        witness: &str,
        line: &str,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO cosignatures (domain, size, witness, line) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![domain, count(size), witness, line])?;
        Ok(())
    }

    fn touch_rows(
        &mut self,
        table: u8,
        after: Option<&RowKey>,
        limit: u32,
    ) -> Result<Option<RowKey>, StoreError> {
        self.touch_page(by_number(table)?, after, limit)
    }

    fn set_fed_up_to(
        &mut self,
        domain: DomainNumber,
        name: &str,
        next: u64,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO feeds (domain, name, next) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![domain, name, count(next)])?;
        Ok(())
    }
}

impl Rows<'_> {
    /// The list of rows that a leaf commits to.
    pub(super) fn put_leaf_rows(
        &self,
        domain: DomainNumber,
        index: u64,
        rows: &[u8],
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("INSERT INTO leaf_rows (domain, idx, rows) VALUES (?1, ?2, ?3)")?
            .execute(params![domain, count(index), rows])?;
        Ok(())
    }
}
