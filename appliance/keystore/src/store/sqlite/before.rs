//! Databases as they stood before a migration: kept while a new version is on trial, and put back where it does not stay.
//!
//! A copy stands beside its database and has the number of its schema in its name. It is complete and on the disk before the migration begins.
//! Whoever puts it back gives up what was written since; so it is put back only where nothing was acknowledged since.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::copy::{copy_database, schema_of};
use super::schema::NEWEST;
use crate::store::StoreError;

/// What follows a database's name in that of a copy, before the number of its schema.
const BEFORE: &str = ".before-schema-";
/// What follows a database's name while another one takes its place.
const DISPLACED: &str = ".displaced";
/// How much is overwritten at a time, in bytes.
const PIECE: usize = 1024 * 1024;

/// Copies the database at `path` if opening it would migrate it, and says where to.
///
/// # Errors
/// As for [`copy_database`]: where there is no room for the copy, nothing is migrated.
pub fn keep_before_migration(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let schema = number_of(path)?;
    if schema >= NEWEST {
        return Ok(None);
    }
    let kept = beside(path, &format!("{BEFORE}{schema}"));
    let made = beside(path, &format!("{BEFORE}{schema}.new"));
    // What a process that ended left: the database is still what it was before the migration, so it is copied anew.
    remove(&made)?;
    let _: ControlFlow<()> = copy_database(path, &made, &mut |_, _| ControlFlow::Continue(()))?;
    File::open(&made)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&made, &kept))
        .and_then(|()| sync_folder(path))
        .map_err(|error| cannot("kept", &kept, &error))?;
    Ok(Some(kept))
}

/// Puts back the copy with this version's schema if a newer version migrated the database at `path`. Answers whether it did.
///
/// # Errors
/// [`StoreError::Engine`] and [`StoreError::File`] where that fails; the database then is either of the two, whole, and so is the copy.
pub fn put_back(path: &Path) -> Result<bool, StoreError> {
    let kept = beside(path, &format!("{BEFORE}{NEWEST}"));
    if number_of(path)? <= NEWEST || !kept.is_file() {
        return Ok(false);
    }
    if number_of(&kept)? != NEWEST {
        return Err(StoreError::File(format!(
            "{} has another schema than its name says.",
            kept.display()
        )));
    }
    {
        // Its write-ahead log goes into the database: beside the copy it would be taken for the copy's.
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
    }
    let displaced = beside(path, DISPLACED);
    remove(&displaced)?;
    fs::hard_link(path, &displaced)
        .and_then(|()| fs::rename(&kept, path))
        .and_then(|()| sync_folder(path))
        .map_err(|error| cannot("put back", &kept, &error))?;
    remove(&displaced)?;
    Ok(true)
}

/// Removes every copy of the database at `path`, and says how many there were: none as long as a newer version's schema keeps this version from
/// opening the database.
///
/// # Errors
/// [`StoreError::File`].
pub fn forget_before_migration(path: &Path) -> Result<u32, StoreError> {
    if number_of(path)? > NEWEST {
        return Ok(0);
    }
    let folder = folder_of(path);
    let unreadable = |error| cannot("looked for", folder, &error);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (before, displaced) = (format!("{name}{BEFORE}"), format!("{name}{DISPLACED}"));
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let found = entry.map_err(unreadable)?.file_name();
        let found = found.to_string_lossy();
        if found.starts_with(&before) || *found == displaced {
            remove(&folder.join(&*found))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The number of the schema of the database at `path`.
fn number_of(path: &Path) -> Result<u32, StoreError> {
    if !path.is_file() {
        return Err(StoreError::File(format!(
            "There is no database at {}.",
            path.display()
        )));
    }
    schema_of(&Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
    )?)
}

/// Overwrites a file and removes it, as `secure_delete` does with what is deleted inside of a database: keys that are destroyed later must not
/// linger in a copy's blocks. That it is not there is no error.
fn remove(path: &Path) -> Result<(), StoreError> {
    let overwrite = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let mut left = file.metadata()?.len();
        let zeros = vec![0; PIECE];
        while left > 0 {
            let piece = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            file.write_all(&zeros[..piece])?;
            left -= piece as u64;
        }
        file.sync_all()?;
        fs::remove_file(path)?;
        sync_folder(path)
    };
    match overwrite() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(cannot("removed", path, &error))
        }
        _ => Ok(()),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::File(format!("{} cannot be {what}: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::SqliteStore;
    use super::*;

    /// A database of the schema before this version's, with a row.
    fn older(folder: &Path) -> PathBuf {
        let path = folder.join("d.db");
        drop(SqliteStore::create(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        // What the newest migration made, taken back.
        connection
            .execute_batch(
                "DROP TABLE spent_nonces;
                 CREATE TABLE spent_nonces (account BLOB NOT NULL, nonce BLOB NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (account, nonce)) STRICT, WITHOUT ROWID;
                 CREATE INDEX spent_nonces_by_expiry ON spent_nonces (expires);
                 INSERT INTO feeds (domain, name, next) VALUES (1, 'siem', 7);",
            )
            .unwrap();
        connection
            .pragma_update(None, "user_version", NEWEST - 1)
            .unwrap();
        path
    }

    fn fed(path: &Path) -> Vec<i64> {
        let connection = Connection::open(path).unwrap();
        let mut rows = connection
            .prepare("SELECT next FROM feeds ORDER BY next")
            .unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_copy_is_made_before_a_migration_and_of_what_is_there_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = older(folder.path());
        let kept = keep_before_migration(&path).unwrap().unwrap();
        let name = format!("d.db.before-schema-{}", NEWEST - 1);
        assert_eq!(kept, folder.path().join(&name));
        assert_eq!(fed(&kept), [7]);
        // Whoever kept it ended there, and an older version served meanwhile.
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("INSERT INTO feeds VALUES (1, 'other', 8)")
            .unwrap();
        drop(connection);
        keep_before_migration(&path).unwrap().unwrap();
        assert_eq!(fed(&kept), [7, 8]);

        drop(SqliteStore::open(&path).unwrap());
        assert_eq!(keep_before_migration(&path).unwrap(), None);
        assert_eq!(number_of(&kept).unwrap(), NEWEST - 1);
        // This version needs no copy of an older schema, and does not put one back.
        assert!(!put_back(&path).unwrap());
        assert_eq!(files(folder.path()), ["d.db", name.as_str()]);
        assert_eq!(forget_before_migration(&path).unwrap(), 1);
        assert_eq!(files(folder.path()), ["d.db"]);
    }

    #[test]
    fn what_a_newer_version_migrated_is_put_back_and_nothing_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.db");
        drop(SqliteStore::create(&path).unwrap());
        let kept = beside(&path, &format!("{BEFORE}{NEWEST}"));
        let _: ControlFlow<()> =
            copy_database(&path, &kept, &mut |_, _| ControlFlow::Continue(())).unwrap();
        // The newer version ended without closing: what it did stands in the write-ahead log.
        let newer = Connection::open(&path).unwrap();
        newer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        newer
            .execute_batch(
                "CREATE TABLE newer (n INTEGER); INSERT INTO feeds VALUES (1, 'newer', 9)",
            )
            .unwrap();
        newer
            .pragma_update(None, "user_version", NEWEST + 1)
            .unwrap();
        let crashed = tempfile::tempdir().unwrap();
        for name in files(folder.path()) {
            fs::copy(folder.path().join(&name), crashed.path().join(&name)).unwrap();
        }
        drop(newer);
        let path = crashed.path().join("d.db");
        assert!(fs::metadata(beside(&path, "-wal")).unwrap().len() > 0);
        assert!(matches!(
            SqliteStore::open(&path),
            Err(StoreError::NewerSchema { .. })
        ));

        assert!(put_back(&path).unwrap());
        assert!(!put_back(&path).unwrap());
        assert_eq!(number_of(&path).unwrap(), NEWEST);
        assert!(fed(&path).is_empty());
        drop(SqliteStore::open(&path).unwrap());
        assert_eq!(files(crashed.path()), ["d.db"]);
    }

    #[test]
    fn nothing_is_put_back_that_has_another_schema_than_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = older(folder.path());
        let kept = beside(&path, &format!("{BEFORE}{NEWEST}"));
        fs::copy(&path, &kept).unwrap();
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "user_version", NEWEST + 1)
            .unwrap();
        drop(connection);
        let refused = put_back(&path).unwrap_err();
        assert!(matches!(refused, StoreError::File(_)), "{refused}");
        assert_eq!(forget_before_migration(&path).unwrap(), 0);
        assert!(kept.is_file());
        assert_eq!(fed(&path), [7]);
    }
}
