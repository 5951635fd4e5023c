//! A consistent copy of a database that is in use, made with SQLite's online backup interface.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::configure;
use crate::store::StoreError;

/// Pages copied between two calls of the progress function: 1 MiB of the usual pages of 4 KiB.
const STEP: i32 = 256;

/// Copies the database at `from`, as it stands at this moment, to a new file at `to`. Answers whether the copy was finished: not where
/// `progress`, which is told how many pages of how many are done, asked to stop.
///
/// It may run in another process than the appliance, and neither makes the appliance wait nor waits for it. A read transaction is held
/// meanwhile: without one, SQLite would begin again whenever the other process commits, and under load never end.
///
/// # Errors
///
/// [`StoreError::File`] when there is no database at `from`, a file at `to` already, or the copy is damaged, as then its original is;
/// [`StoreError::Engine`] when the database cannot be read or the copy not be written.
pub fn copy_database(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, StoreError> {
    if !from.is_file() {
        return Err(StoreError::File(format!(
            "There is no database at {}.",
            from.display()
        )));
    }
    if to.exists() {
        return Err(StoreError::File(format!(
            "There is a file at {} already.",
            to.display()
        )));
    }
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    configure(&source)?;
    source.pragma_update(None, "query_only", "ON")?;
    // The transaction begins with the first statement that reads.
    source.execute_batch("BEGIN DEFERRED")?;
    schema_of(&source)?;

    let mut copy = Connection::open(to)?;
    {
        let backup = Backup::new(&source, &mut copy)?;
        loop {
            let step = backup.step(STEP)?;
            let state = backup.progress();
            let pages = |count: i32| u64::try_from(count).unwrap_or(0);
            let of = pages(state.pagecount);
            if progress(of - pages(state.remaining).min(of), of).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            match step {
                StepResult::Done => break,
                // Somebody holds the file for a moment, such as a checkpoint of the write-ahead log.
                StepResult::Busy | StepResult::Locked => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => {}
            }
        }
    }
    check(&copy)?;
    Ok(ControlFlow::Continue(()))
}

/// Whether the database at `path` is whole as far as SQLite can tell: pages, trees and indexes; and the number of its schema.
///
/// # Errors
///
/// [`StoreError::File`] when it is not.
pub fn check_database(path: &Path) -> Result<u32, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check(&connection)?;
    schema_of(&connection)
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::File(format!(
        "The database is damaged: {found}."
    )))
}

pub(super) fn schema_of(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    /// A database of some pages, in which each transaction writes one number twice.
    fn database(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("d.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection
            .execute_batch(
                "CREATE TABLE a (n INTEGER, filler BLOB); CREATE TABLE b (n INTEGER);
                 INSERT INTO a WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)
                   SELECT n, randomblob(2000) FROM c;
                 INSERT INTO b SELECT n FROM a;",
            )
            .unwrap();
        path
    }

    #[test]
    fn a_copy_is_consistent_and_ends_however_much_is_written_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path());
        let stop = Arc::new(AtomicBool::new(false));
        let committed = Arc::new(AtomicU32::new(3000));
        let writer = {
            let (path, stop, committed) = (path.clone(), Arc::clone(&stop), Arc::clone(&committed));
            std::thread::spawn(move || {
                let mut connection = Connection::open(path).unwrap();
                connection
                    .busy_timeout(std::time::Duration::from_secs(10))
                    .unwrap();
                let mut n = 3001;
                while !stop.load(Ordering::Relaxed) {
                    let tx = connection.transaction().unwrap();
                    tx.execute("INSERT INTO a VALUES (?1, randomblob(2000))", [n])
                        .unwrap();
                    tx.execute("INSERT INTO b VALUES (?1)", [n]).unwrap();
                    tx.commit().unwrap();
                    committed.store(n, Ordering::SeqCst);
                    n += 1;
                }
            })
        };
        while committed.load(Ordering::SeqCst) < 3020 {
            std::thread::yield_now();
        }
        let before = committed.load(Ordering::SeqCst);
        let mut reports = Vec::new();
        let to = folder.path().join("copy.db");
        let done = copy_database(&path, &to, &mut |done, of| {
            // The writer gets on between any two steps.
            let seen = committed.load(Ordering::SeqCst);
            while committed.load(Ordering::SeqCst) == seen {
                std::thread::yield_now();
            }
            reports.push((done, of));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(done.is_continue());
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();

        assert!(reports.len() > 3, "{reports:?}");
        assert!(reports.is_sorted(), "it began again: {reports:?}");
        let (last, of) = *reports.last().unwrap();
        assert_eq!(last, of);
        let copy = Connection::open(to).unwrap();
        let counts: (u32, u32, u32) = copy
            .query_row(
                "SELECT (SELECT max(n) FROM a), (SELECT max(n) FROM b), (SELECT count(*) FROM b)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert!(counts.0 >= before);
        assert_eq!((counts.0, counts.0), (counts.1, counts.2));
    }

    #[test]
    fn it_stops_when_told_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path());
        let to = folder.path().join("copy.db");
        let stopped = copy_database(&path, &to, &mut |_, _| ControlFlow::Break(())).unwrap();
        assert!(stopped.is_break());
        let on = &mut |_, _| ControlFlow::Continue(());
        assert!(matches!(
            copy_database(&path, &path, on),
            Err(StoreError::File(_))
        ));
        assert!(matches!(
            copy_database(&folder.path().join("none"), &to, on),
            Err(StoreError::File(_))
        ));
    }
}
