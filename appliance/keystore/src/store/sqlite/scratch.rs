//! What the scrub remembers while it runs: of each row, what the leaves say it has to be. It is in a file, so that memory is bounded, and the file has
//! no name: it goes with the process.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, params};

use super::rows::{all, count, number, one, optional_array};
use crate::store::{RowKey, StoreError};

/// The most memory that it uses, in KiB.
const CACHE: i64 = 16 * 1024;

/// The scrub's memory.
pub struct Scratch(Connection);

/// What the leaves say of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The leaf that said it last.
    pub leaf: u64,
    /// The row's hash; none where it is gone.
    pub hash: Option<[u8; 32]>,
}

impl Scratch {
    /// An empty one, in this folder.
    ///
    /// # Errors
    ///
    /// When no file can be made there.
    pub fn new(folder: &Path) -> Result<Self, StoreError> {
        let file = tempfile_in(folder)?;
        let connection = Connection::open(&file)?;
        // What is lost when the machine stops is of no use then.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        connection.execute_batch(
            "CREATE TABLE told (t INTEGER NOT NULL, k BLOB NOT NULL, leaf INTEGER NOT NULL, hash BLOB,
                PRIMARY KEY (t, k)) STRICT, WITHOUT ROWID",
        )?;
        connection.set_prepared_statement_cache_capacity(16);
        fs::remove_file(&file).map_err(|error| StoreError::File(error.to_string()))?;
        Ok(Self(connection))
    }

    /// Everything until [`end_batch`](Self::end_batch) is written together.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn begin_batch(&self) -> Result<(), StoreError> {
        Ok(self.0.execute_batch("BEGIN")?)
    }

    /// See [`begin_batch`](Self::begin_batch).
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn end_batch(&self) -> Result<(), StoreError> {
        Ok(self.0.execute_batch("COMMIT")?)
    }

    /// A leaf says this of a row.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn tell(&self, table: u8, key: &RowKey, told: Told) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT OR REPLACE INTO told (t, k, leaf, hash) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![table, key.0, count(told.leaf), told.hash])?;
        Ok(())
    }

    /// What the leaves say of a row.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn told(&self, table: u8, key: &RowKey) -> Result<Option<Told>, StoreError> {
        one(
            &mut self
                .0
                .prepare_cached("SELECT leaf, hash FROM told WHERE t = ?1 AND k = ?2")?,
            params![table, key.0],
            told,
        )
    }

    /// The rows of a table after this key that have to be there, in the order of their keys.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn living(
        &self,
        table: u8,
        after: Option<&RowKey>,
        limit: u32,
    ) -> Result<Vec<(RowKey, Told)>, StoreError> {
        let after = after.map_or(&[][..], |key| &key.0);
        all(
            &mut self.0.prepare_cached(
                "SELECT k, leaf, hash FROM told WHERE t = ?1 AND k > ?2 AND hash IS NOT NULL ORDER BY k LIMIT ?3",
            )?,
            params![table, after, limit],
            |row| Ok((RowKey(row.get("k")?), told(row)?)),
        )
    }
}

fn told(row: &rusqlite::Row<'_>) -> Result<Told, StoreError> {
    Ok(Told {
        leaf: number(row, "leaf", "scratch")?,
        hash: optional_array(row, "hash", "scratch")?,
    })
}

/// The name of a file that nobody has made, made in this folder for this process alone.
fn tempfile_in(folder: &Path) -> Result<std::path::PathBuf, StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| StoreError::File(error.to_string()))?;
    let path = folder.join(format!("scrub-{:016x}.tmp", u64::from_be_bytes(random)));
    let mut options = fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(&path);
    made.map_err(|error| {
        StoreError::File(format!(
            "No file can be made in {}: {error}.",
            folder.display()
        ))
    })?;
    Ok(path)
}
