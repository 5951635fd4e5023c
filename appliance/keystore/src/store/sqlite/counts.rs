//! How much there is in a database: for quotas, and for operators, who see counts and nothing else.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use strongroom_audit::Leaf;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::{configure, rows};
use crate::domains::{Counted, DomainCounts};
use crate::store::{DomainNumber, StoreError};

const DAY: u64 = 24 * 3600 * 1000;

pub(super) fn count(
    connection: &Connection,
    domain: DomainNumber,
    of: Counted,
) -> Result<u64, StoreError> {
    let sql = match of {
        Counted::Accounts => "SELECT COUNT(*) FROM accounts WHERE domain = ?1",
        // 6: destroyed. Written as the index has it, so that the index is used.
        Counted::Keys => "SELECT COUNT(*) FROM keys WHERE domain = ?1 AND state <> 6",
        Counted::Sessions => {
            "SELECT COUNT(*) FROM sessions s JOIN accounts a ON a.id = s.account WHERE a.domain = ?1"
        }
        // What is free and will be used again is not counted.
        Counted::Bytes => {
            "SELECT (c.page_count - f.freelist_count) * s.page_size
             FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size s WHERE ?1 = ?1"
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    rows::one(&mut statement, [domain], |row| {
        let count: i64 = row.get(0)?;
        u64::try_from(count).map_err(|_| StoreError::MalformedRow("count"))
    })?
    .ok_or(StoreError::MalformedRow("count"))
}

/// Counts what is in the database at `path` of the domain `name`, beside whoever has it open. Needs no HSM; nothing is checked, and nothing
/// but numbers leaves.
///
/// # Errors
///
/// [`StoreError::File`] when there is no such database or domain, [`StoreError::Engine`] when it cannot be read.
pub fn count_database(path: &Path, name: &str, now: Timestamp) -> Result<DomainCounts, StoreError> {
    if !path.is_file() {
        return Err(StoreError::File(format!(
            "There is no database at {}.",
            path.display()
        )));
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", "ON")?;
    let mut numbered = connection.prepare_cached("SELECT number FROM domains WHERE name = ?1")?;
    let domain: DomainNumber = rows::one(&mut numbered, [name], |row| Ok(row.get(0)?))?
        .ok_or_else(|| StoreError::File("The database holds another domain.".to_owned()))?;
    let of = |what| count(&connection, domain, what);
    Ok(DomainCounts {
        accounts: of(Counted::Accounts)?,
        keys: of(Counted::Keys)?,
        sessions: of(Counted::Sessions)?,
        bytes: of(Counted::Bytes)?,
        releases_today: releases_since(&connection, domain, now.as_millis() / DAY * DAY)?,
    })
}

/// Walks the leaves backwards until one is older.
fn releases_since(
    connection: &Connection,
    domain: DomainNumber,
    since: u64,
) -> Result<u64, StoreError> {
    let mut leaves = connection
        .prepare("SELECT envelope, salt, detail FROM leaves WHERE domain = ?1 ORDER BY idx DESC")?;
    let mut rows = leaves.query(params![domain])?;
    let mut releases = 0;
    while let Some(row) = rows.next()? {
        let leaf = Leaf {
            envelope: row.get(0)?,
            salt: rows::array(row, "salt", "leaf")?,
            detail: row.get(2)?,
        };
        // A leaf that was edited is the audit's to find.
        let Ok(event) = leaf.open() else { continue };
        if event.time.as_millis() < since {
            break;
        }
        releases += u64::from(event.done && event.act == Act::KeyRelease);
    }
    Ok(releases)
}
