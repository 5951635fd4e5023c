//! Noting which rows an act touches, and the lists that its leaves commit to.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::rows::Rows;
use super::{FOLLOWED, Followed, by_number, hash_at, key_bytes};
use crate::store::StoreError;

/// The hash of a row; none where it is not there.
type RowHash = Option<[u8; 32]>;

/// A row that an act touched.
struct Touched {
    number: u8,
    key: Vec<Value>,
    /// What it was before, where that was noted.
    was: Option<RowHash>,
}

/// What the byte after a row's key says in a list: whether the row is there, whether it is told what it was before, and whether it was there then. The hashes of what it is and of what it
/// was follow, as far as there are any.
pub(crate) const IS_THERE: u8 = 1;
pub(crate) const WAS_TOLD: u8 = 2;
pub(crate) const WAS_THERE: u8 = 4;

/// Where the columns of what a row was before begin in the table of what was touched.
const FIRST_BEFORE: usize = 5;

/// The most columns that a followed table has besides its key.
fn most_columns() -> usize {
    let columns = FOLLOWED.iter().map(|followed| followed.columns.len());
    columns.max().unwrap_or(0)
}

/// Prepares the writer's connection: from now on it notes which rows are touched.
pub(in crate::store::sqlite) fn watch(connection: &Connection) -> Result<(), StoreError> {
    // Rows that an INSERT OR REPLACE replaces are deleted: the triggers see that as well.
    connection.pragma_update(None, "recursive_triggers", true)?;
    let most = most_columns();
    let columns: Vec<String> = (1..=most).map(|at| format!(", w{at}")).collect();
    connection.execute_batch(&format!(
        "CREATE TEMP TABLE touched (t INTEGER NOT NULL, k1, k2, k3, was INTEGER{})",
        columns.concat()
    ))?;
    for followed in FOLLOWED {
        let Followed { number, table, .. } = followed;
        let values = |row: &str| {
            let keys = (0..3).map(|at| match followed.key.get(at) {
                Some(column) => format!("{row}.{column}"),
                None => "NULL".to_owned(),
            });
            keys.collect::<Vec<_>>().join(", ")
        };
        let before = |there: bool| {
            let columns = (0..most).map(|at| match followed.columns.get(at) {
                Some(column) if there => format!(", old.{column}"),
                _ => ", NULL".to_owned(),
            });
            format!("{}{}", u8::from(there), columns.collect::<String>())
        };
        let mut triggers = vec![("INSERT".to_owned(), "new"), ("DELETE".to_owned(), "old")];
        if !followed.columns.is_empty() {
            triggers.push((format!("UPDATE OF {}", followed.columns.join(", ")), "new"));
        }
        for (on, row) in triggers {
            let name = format!("followed_{table}_{row}_{}", &on[..6]);
            let when = followed
                .but
                .map(|(column, value)| format!("WHEN {row}.{column} <> {value}"))
                .unwrap_or_default();
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER {name} AFTER {on} ON main.{table} {when}
                 BEGIN INSERT INTO touched VALUES ({number}, {}, {}); END",
                values(row),
                before(on != "INSERT")
            ))?;
        }
    }
    Ok(())
}

impl Rows<'_> {
    /// The list of the rows that were touched since it was last asked: empty where there are none.
    pub(in crate::store::sqlite) fn take_touched(&mut self) -> Result<Vec<u8>, StoreError> {
        let touched = self.touched()?;
        if touched.is_empty() {
            return Ok(Vec::new());
        }
        self.untouch()?;
        let mut list = Vec::with_capacity(touched.len() * 96);
        for Touched { number, key, was } in touched {
            let bytes = key_bytes(&key);
            let is = self.hash_of(by_number(number)?, &key)?;
            list.push(number);
            let length = u16::try_from(bytes.len()).map_err(|_| StoreError::ActFailed)?;
            list.extend(length.to_be_bytes());
            list.extend(&bytes);
            let told = match was {
                None => 0,
                Some(None) => WAS_TOLD,
                Some(Some(_)) => WAS_TOLD | WAS_THERE,
            };
            list.push(told | if is.is_some() { IS_THERE } else { 0 });
            for hash in [is, was.flatten()].into_iter().flatten() {
                list.extend(hash);
            }
        }
        Ok(list)
    }

    /// The rows that were touched since it was last asked, in the order in which they first were.
    fn touched(&self) -> Result<Vec<Touched>, StoreError> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT * FROM temp.touched ORDER BY rowid")?;
        let mut rows = statement.query([])?;
        let mut listed = BTreeSet::new();
        let mut touched = Vec::new();
        while let Some(row) = rows.next()? {
            let number: u8 = row.get(0)?;
            let followed = by_number(number)?;
            let parts = followed.key.len();
            let key = (1..=parts).map(|at| row.get(at));
            let key = key.collect::<Result<Vec<Value>, _>>()?;
            // What it was at first is what it was before.
            if !listed.insert((number, key_bytes(&key))) {
                continue;
            }
            let was = match row.get::<_, Option<u8>>(FIRST_BEFORE - 1)? {
                None => None,
                Some(0) => Some(None),
                Some(_) => {
                    let places =
                        (1..=parts).chain(FIRST_BEFORE..FIRST_BEFORE + followed.columns.len());
                    Some(Some(hash_at(followed, row, places)?))
                }
            };
            touched.push(Touched { number, key, was });
        }
        Ok(touched)
    }

    /// What was touched since it was last asked is no change that the log tells of.
    pub(in crate::store::sqlite) fn untouch(&mut self) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM temp.touched")?
            .execute([])?;
        Ok(())
    }
}
