//! The embedded engine: SQLite in WAL mode with `synchronous=FULL`.
//!
//! | module | what lives there |
//! |---|---|
//! | [`schema`] | numbered migrations, forward only |
//! | [`writer`] | the one writer: takes what has queued, runs it in one transaction, syncs once and answers all |
//! | `accounts`, `credentials`, `people`, `identities`, `lawful`, `directories`, `disclosures`, `keys`, `objects`, `grants`, `rotation`, `audit` | the SQL of each family of acts |
//! | `finding`, [`descending`] | finding keys among very many: by what several indexes have in common |
//! | `followed` | which rows have to follow from the log, and the lists that leaves commit to |
//! | `witnessing` | cosignatures, lists of rows, and how far the log was fed to its receivers |
//! | [`scratch`] | what the scrub remembers while it runs |
//! | `copy` | a consistent copy of a database that is in use |
//! | `memo` | rows that almost every act looks at, kept for as long as nothing changes |
//! | `before` | databases as they stood before a migration, while a new version is on trial |
//! | `counts` | how much there is in a database: for quotas, and for operators |
//! | `coverage` | (tests) that each column is covered by a seal or MAC, or listed with the reason why not |

mod accounts;
mod audit;
mod before;
mod copy;
mod counts;
#[cfg(test)]
mod coverage;
mod credentials;
mod descending;
mod devices;
mod directories;
mod disclosures;
mod finding;
mod followed;
mod grants;
mod idempotency;
mod identities;
mod keys;
mod lawful;
mod memo;
mod objects;
mod people;
#[cfg(test)]
mod plans;
mod recovery;
mod rotation;
mod rows;
mod schema;
pub mod scratch;
mod witnessing;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

pub use self::before::{forget_before_migration, keep_before_migration, put_back};
pub use self::copy::{check_database, copy_database};
pub use self::counts::count_database;
pub(crate) use self::followed::{IS_THERE, WAS_THERE, WAS_TOLD, key_parts};
use self::memo::Memo;
use self::rows::Rows;
use self::writer::Writer;
use super::{Abort, Act, Snapshot, Store, StoreError};

/// The most read connections that are kept open when nobody reads.
const IDLE_READERS: usize = 16;

/// A keystore's records in one SQLite database.
pub struct SqliteStore {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    /// What glimpses have read.
    glimpsed: Memo,
    writer: Writer,
}

impl SqliteStore {
    /// Makes a new database at `path`.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] when there is a file already, [`StoreError::Engine`] when it cannot be made.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::File(format!(
                "There is a database at {} already.",
                path.display()
            )));
        }
        Self::start(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
    }

    /// Opens the database at `path` and brings it to this version's schema.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] when there is none, [`StoreError::NewerSchema`] when a newer version wrote it, [`StoreError::Engine`] when
    /// it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::File(format!(
                "There is no database at {}.",
                path.display()
            )));
        }
        Self::start(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn start(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let mut connection = Connection::open_with_flags(path, flags)?;
        // secure_delete overwrites what is deleted, so that destroyed copies do not linger in free pages.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        configure(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        // Nothing is written before the commit, so that a full disk shows there and nowhere else.
        connection.pragma_update(None, "cache_spill", "OFF")?;
        schema::migrate(&mut connection)?;
        followed::watch(&connection)?;
        Ok(Self {
            path: path.to_owned(),
            readers: Mutex::default(),
            glimpsed: Memo::default(),
            writer: Writer::start(connection)?,
        })
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let idle = self.idle_readers().pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let connection =
            Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        configure(&connection)?;
        connection.pragma_update(None, "query_only", "ON")?;
        Ok(connection)
    }

    fn idle_readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic while the list was held leaves a list of whole connections behind.
        self.readers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        let connection = self.reader()?;
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        Ok(Box::new(Rows::reading(self, connection)))
    }

    fn glimpse(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        // Before the reading begins: so what is read is as of this state or of a later one.
        let state = self.writer.state();
        let connection = self.reader()?;
        connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
        Ok(Box::new(Rows::glimpsing(
            self,
            connection,
            &self.glimpsed,
            state,
        )))
    }

    fn write(&self, act: Box<dyn Act>) -> Result<(), StoreError> {
        self.writer.write(act)
    }

    fn queued(&self) -> u64 {
        self.writer.queued()
    }

    fn is_full(&self) -> bool {
        self.writer.is_full() && matches!(self.probe(), Err(StoreError::Full))
    }
}

impl SqliteStore {
    /// Writes a row, for its own sake. Another value each time: what is replaced by the same is not written.
    fn probe(&self) -> Result<(), StoreError> {
        const NAME: &str = "probe";
        self.write(Box::new(|tx| {
            tx.fed_up_to(0, NAME)
                .and_then(|before| tx.set_fed_up_to(0, NAME, (before.unwrap_or(0) + 1) % 2))
                .map_err(|_| Abort)
        }))
    }
}

impl rows::ReaderPool for SqliteStore {
    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle_readers();
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
    }
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    // Else the planner looks at what is bound, and compiles some statements anew when something else is: an eighth of the writer's time in a large release.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;
    use std::sync::{Arc, Mutex};

    use rusqlite::StatementStatus;
    use strongroom_wire::id::AccountId;

    use super::*;

    /// Changes a row behind the store's back.
    fn behind(path: &Path, sql: &str) {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}"))
            .unwrap();
    }

    /// Whether there is room is only seen by what is really written.
    #[test]
    fn each_probe_writes() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::create(&folder.path().join("d.db")).unwrap();
        let log = || fs::metadata(folder.path().join("d.db-wal")).unwrap().len();
        for _ in 0..4 {
            let before = log();
            store.probe().unwrap();
            assert!(log() > before);
        }
    }

    /// What glimpses and acts have read stays in memory, until somebody changes something: the log by itself does not.
    #[test]
    fn rows_are_remembered_until_something_changes() {
        const ADD: &str = "INSERT INTO memberships VALUES (x'00112233445566778899aabbccddee01', x'00112233445566778899aabbccddeeff', 1, 1, 1, x'00')";
        let member = AccountId::from_bytes([
            0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.db");
        let store = SqliteStore::create(&path).unwrap();
        let glimpsed = || {
            store
                .glimpse()
                .unwrap()
                .memberships_of(member)
                .unwrap()
                .len()
        };
        let acted = || {
            let found = Arc::new(Mutex::new(0));
            let seen = Arc::clone(&found);
            let act = move |tx: &mut dyn crate::store::Transaction| {
                *seen.lock().unwrap() = tx.memberships_of(member).unwrap().len();
                tx.count_leaf(1, 0, 1, true).map_err(|_| Abort)
            };
            store.write(Box::new(act)).unwrap();
            *found.lock().unwrap()
        };
        let strictly = || {
            store
                .snapshot()
                .unwrap()
                .memberships_of(member)
                .unwrap()
                .len()
        };
        assert_eq!((glimpsed(), acted(), glimpsed()), (0, 0, 0));
        behind(&path, ADD);
        assert_eq!(strictly(), 1);
        assert_eq!(glimpsed(), 0, "of the newest act that was answered");
        // The writer sees that somebody else has written, and tells the glimpses.
        assert_eq!((acted(), glimpsed()), (1, 1));
        behind(&path, "DELETE FROM memberships");
        assert_eq!((glimpsed(), acted(), glimpsed()), (1, 0, 0));
    }

    /// The planner would ask whether a number is small, as of a generation, and for another one compile the statement anew.
    #[test]
    fn a_statement_is_compiled_once_whatever_is_bound_to_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        configure(&connection).unwrap();
        schema::migrate(&mut connection).unwrap();
        let sql = "SELECT * FROM disclosure_items WHERE authorisation = ?1 AND generation = ?2 AND key = ?3
                   ORDER BY version DESC LIMIT 1";
        let mut statement = connection.prepare(sql).unwrap();
        for key in 0..10_u8 {
            let found = statement.exists(rusqlite::params![[1_u8; 16], 1, [key; 16]]);
            assert!(!found.unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
