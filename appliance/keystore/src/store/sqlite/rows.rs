//! A connection as a [`Snapshot`] or a [`Transaction`], and how columns become values.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;

use rusqlite::{Connection, Row};
use strongroom_audit::{Event, Hash};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;
use strongroom_wire::key::UsagePolicy;

use super::memo::{Memo, Query};
use crate::store::{DomainNumber, Snapshot, StoreError, Transaction, policies};

/// The savepoint around each act of a transaction.
pub(super) const SAVEPOINT: &str = "act";

/// Takes back read connections.
pub(super) trait ReaderPool: Sync {
    fn give_back(&self, connection: Connection);
}

/// The rows of the database, seen through one connection.
pub(super) struct Rows<'a> {
    connection: Held<'a>,
    /// What was read before, and as of which state.
    remembered: Option<(&'a Memo, State<'a>)>,
    /// Per domain, the tree's size before this transaction and the hashes of the leaves appended in it.
    pub(super) tails: BTreeMap<DomainNumber, Tail>,
    /// The tails as they were when the present act began.
    before_act: BTreeMap<DomainNumber, Tail>,
    /// The newest leaf of the present act, which may come to say more.
    pub(super) pending: Option<Pending>,
}

/// A leaf that has its place in the tree and is not stored yet: the rows that its act goes on to change belong to it, unless another leaf follows.
pub(super) struct Pending {
    pub(super) domain: DomainNumber,
    pub(super) index: u64,
    pub(super) event: Event,
    pub(super) salt: [u8; 32],
    /// The list of the rows that it commits to.
    pub(super) rows: Vec<u8>,
}

/// The end of a domain's tree during a transaction.
#[derive(Clone, Default)]
pub(super) struct Tail {
    pub(super) size: u64,
    pub(super) appended: Vec<Hash>,
}

/// A state of the database.
#[derive(Clone, Copy)]
enum State<'a> {
    /// That of the writer's transaction: how many rows were changed on its connection, without those that nobody remembers.
    Writing(&'a Cell<u64>),
    /// That of a glimpse.
    Reading(u64),
}

enum Held<'a> {
    /// A reader's own connection, given back to the pool at the end.
    Reading(&'a dyn ReaderPool, Option<Connection>),
    /// The writer's connection.
    Writing(&'a Connection),
}

impl Deref for Held<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            #[expect(clippy::expect_used, reason = "taken in Drop only")]
            Self::Reading(_, connection) => connection.as_ref().expect("taken in Drop only"),
            Self::Writing(connection) => connection,
        }
    }
}

impl<'a> Rows<'a> {
    pub(super) fn reading(pool: &'a dyn ReaderPool, connection: Connection) -> Self {
        Self {
            connection: Held::Reading(pool, Some(connection)),
            remembered: None,
            tails: BTreeMap::new(),
            before_act: BTreeMap::new(),
            pending: None,
        }
    }

    /// The same, of which some may have been read before, in this state of the database or in a later one.
    pub(super) fn glimpsing(
        pool: &'a dyn ReaderPool,
        connection: Connection,
        memo: &'a Memo,
        state: u64,
    ) -> Self {
        let mut rows = Self::reading(pool, connection);
        rows.remembered = Some((memo, State::Reading(state)));
        rows
    }

    /// The rows of the writer's transaction. `unremembered` counts the changes of rows that nobody remembers.
    pub(super) const fn writing(
        connection: &'a Connection,
        memo: &'a Memo,
        unremembered: &'a Cell<u64>,
    ) -> Self {
        Self {
            connection: Held::Writing(connection),
            remembered: Some((memo, State::Writing(unremembered))),
            tails: BTreeMap::new(),
            before_act: BTreeMap::new(),
            pending: None,
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What a query finds: from memory, where it was asked before and nothing has changed.
    pub(super) fn remembered<T: Clone + Send + Sync + 'static>(
        &self,
        query: Query,
        of: &[u8],
        read: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some((memo, state)) = self.remembered else {
            return read();
        };
        let state = match state {
            State::Writing(unremembered) => self.connection.total_changes() - unremembered.get(),
            State::Reading(state) => state,
        };
        memo.get(state, query, of, read)
    }

    /// Writes rows that are never remembered, such as those that the log adds to itself: what is remembered stays.
    pub(super) fn unremembered<T>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let before = self.connection.total_changes();
        let written = write(&self.connection)?;
        if let Some((_, State::Writing(count))) = self.remembered {
            count.set(count.get() + self.connection.total_changes() - before);
        }
        Ok(written)
    }

    /// Begins an act: what it does can be undone alone.
    pub(super) fn begin_act(&mut self) -> Result<(), StoreError> {
        self.before_act.clone_from(&self.tails);
        self.run(&format!("SAVEPOINT {SAVEPOINT}"))
    }

    /// The act stays, unless it changed rows of which none of its leaves can tell.
    pub(super) fn keep_act(&mut self) -> Result<(), StoreError> {
        let rows = self.take_touched()?;
        match &mut self.pending {
            Some(leaf) => leaf.rows.extend(rows),
            None if rows.is_empty() => {}
            None => {
                tracing::error!(
                    table = rows[0],
                    "an act changed rows and left no leaf; it was undone"
                );
                self.undo_act()?;
                return Err(StoreError::ActFailed);
            }
        }
        self.store_pending()?;
        self.release_act()
    }

    fn release_act(&self) -> Result<(), StoreError> {
        self.run(&format!("RELEASE {SAVEPOINT}"))
    }

    /// The act is undone.
    pub(super) fn undo_act(&mut self) -> Result<(), StoreError> {
        self.start_over()?;
        self.release_act()
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Snapshot for Rows<'_> {}

impl Transaction for Rows<'_> {
    fn start_over(&mut self) -> Result<(), StoreError> {
        self.tails.clone_from(&self.before_act);
        self.pending = None;
        if let Some((memo, _)) = self.remembered {
            memo.forget();
        }
        self.run(&format!("ROLLBACK TO {SAVEPOINT}"))
    }

    fn as_snapshot(&self) -> &dyn Snapshot {
        self
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        if let Held::Reading(pool, connection) = &mut self.connection
            && let Some(connection) = connection.take()
        {
            // A connection that cannot end its read is closed instead of being given back.
            let ended = connection
                .prepare_cached("ROLLBACK")
                .and_then(|mut rollback| rollback.execute([]));
            if ended.is_ok() {
                pool.give_back(connection);
            }
        }
    }
}

/// Reads a column whose values are bytes of a fixed length.
pub(super) fn array<const N: usize>(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<[u8; N], StoreError> {
    let value = row.get_ref(column)?;
    value
        .as_blob()
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(StoreError::MalformedRow(what))
}

/// Reads a column whose values are bytes of a fixed length and that may be absent.
pub(super) fn optional_array<const N: usize>(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<Option<[u8; N]>, StoreError> {
    if row.get_ref(column)? == rusqlite::types::ValueRef::Null {
        return Ok(None);
    }
    array(row, column, what).map(Some)
}

/// Reads a column whose values are whole numbers from 0.
pub(super) fn number<T: TryFrom<i64>>(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<T, StoreError> {
    row.get_ref(column)?
        .as_i64()
        .ok()
        .and_then(|value| T::try_from(value).ok())
        .ok_or(StoreError::MalformedRow(what))
}

/// Reads a column that holds an enumeration's number.
pub(super) fn numbered<T>(
    row: &Row<'_>,
    column: &str,
    from: impl Fn(u8) -> Option<T>,
    what: &'static str,
) -> Result<T, StoreError> {
    number(row, column, what)
        .ok()
        .and_then(from)
        .ok_or(StoreError::MalformedRow(what))
}

/// Reads a column that is 0 or 1.
pub(super) fn flag(row: &Row<'_>, column: &str, what: &'static str) -> Result<bool, StoreError> {
    match number::<u8>(row, column, what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(StoreError::MalformedRow(what)),
    }
}

/// Reads a column of milliseconds since 1970.
pub(super) fn time(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<Timestamp, StoreError> {
    number(row, column, what).map(Timestamp::from_millis)
}

/// Reads a column of milliseconds since 1970 that may be absent.
pub(super) fn optional_time(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(optional_number(row, column, what)?.map(Timestamp::from_millis))
}

/// Reads the four columns of a usage policy.
pub(super) fn policy(row: &Row<'_>, what: &'static str) -> Result<UsagePolicy, StoreError> {
    let policy = UsagePolicy {
        not_before: optional_time(row, "not_before", what)?,
        not_after: optional_time(row, "not_after", what)?,
        max_releases: optional_number(row, "max_releases", what)?,
        ..UsagePolicy::default()
    };
    let restrictions = optional_bytes(row, "restrictions", what)?;
    policies::with_restrictions(policy, restrictions).ok_or(StoreError::MalformedRow(what))
}

/// Reads a column of bytes that may be absent.
pub(super) fn optional_bytes<'a>(
    row: &'a Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<Option<&'a [u8]>, StoreError> {
    row.get_ref(column)?
        .as_blob_or_null()
        .map_err(|_| StoreError::MalformedRow(what))
}

/// A moment as it stands in a column.
pub(super) fn millis(time: Timestamp) -> i64 {
    // The last moment of the year 9999 fits.
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A count as it stands in a column. Counts above 2^63 - 1 restrict nothing and are kept as that.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads every row of a query.
pub(super) fn all<T>(
    statement: &mut rusqlite::CachedStatement<'_>,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Reads the row of a query that has one at most.
pub(super) fn one<T>(
    statement: &mut rusqlite::CachedStatement<'_>,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut rows = statement.query(parameters)?;
    rows.next()?.map(read).transpose()
}

/// Account identifiers as one blob, 16 bytes each.
pub(super) fn pack(accounts: &[AccountId]) -> Vec<u8> {
    accounts.iter().flat_map(|id| *id.as_bytes()).collect()
}

/// The account identifiers of one blob.
pub(super) fn unpack(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<Vec<AccountId>, StoreError> {
    let bytes = row
        .get_ref(column)?
        .as_blob()
        .map_err(|_| StoreError::MalformedRow(what))?;
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().map(|id| AccountId::from_bytes(*id)).collect())
    } else {
        Err(StoreError::MalformedRow(what))
    }
}

/// Reads a column of whole numbers from 0 that may be absent.
pub(super) fn optional_number(
    row: &Row<'_>,
    column: &str,
    what: &'static str,
) -> Result<Option<u64>, StoreError> {
    row.get_ref(column)?
        .as_i64_or_null()
        .map_err(|_| StoreError::MalformedRow(what))?
        .map(|value| u64::try_from(value).map_err(|_| StoreError::MalformedRow(what)))
        .transpose()
}
