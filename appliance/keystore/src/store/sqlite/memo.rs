//! Rows that almost every act looks at, kept as they were read for as long as nothing changes.
//!
//! Who asks, by which session, for which key, under which grant: an appliance that signs for an application reads the same few rows a thousand times a second. They are
//! kept in memory until *any* row is changed by anything but what the log adds to itself, and spent nonces; then all of them are read anew. The seals and MACs over
//! them are checked by whoever reads them, each time, as ever.
//!
//! ```text
//! writer    its own, which is exact: what it has is what a query would find in the transaction
//! glimpses  shared by readers: each row as of the newest commit that was answered, or later; two rows may be as of different commits
//! ```
//!
//! So a glimpse is for what an act decides again.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many rows are kept: those of some hundred busy applications. When there are more, all are forgotten.
const MOST: usize = 4096;

/// What a row, or a list of rows, was looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Query {
    /// A domain, by its name.
    Domain,
    /// An account, by its identifier.
    Account,
    /// The memberships of an account, by its identifier.
    Memberships,
    /// A session, by its token's hash.
    Session,
    /// A key, by its identifier.
    Key,
    /// The grants of a key to holders, by its identifier and theirs.
    Grants,
    /// A grant's sealed copy, by the grant's identifier and the version.
    Copy,
    /// What there is to say of a device, by its account.
    Device,
    /// The secrets of an account, by its identifier.
    Secrets,
}

/// What was read.
#[derive(Default)]
pub(super) struct Memo(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// As of which state of the database.
    state: u64,
    read: HashMap<(Query, Vec<u8>), Arc<dyn Any + Send + Sync>>,
}

impl Memo {
    /// What this query found in this state of the database, or `read` finds now.
    ///
    /// # Errors
    /// Those of `read`, of which nothing is kept.
    pub(super) fn get<T: Clone + Send + Sync + 'static, E>(
        &self,
        state: u64,
        query: Query,
        of: &[u8],
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let name = (query, of.to_vec());
        let known = self
            .at(state)
            .and_then(|kept| kept.read.get(&name).cloned());
        if let Some(known) = known
            .as_deref()
            .and_then(<dyn Any + Send + Sync>::downcast_ref::<T>)
        {
            return Ok(known.clone());
        }
        let found = read()?;
        if let Some(mut kept) = self.at(state) {
            if kept.read.len() >= MOST {
                kept.read.clear();
            }
            kept.read.insert(name, Arc::new(found.clone()));
        }
        Ok(found)
    }

    /// Forgets everything: what was read may have been undone.
    pub(super) fn forget(&self) {
        self.lock().read.clear();
    }

    /// What is kept of this state. None where a newer one is known already.
    fn at(&self, state: u64) -> Option<MutexGuard<'_, Kept>> {
        let mut kept = self.lock();
        if kept.state < state {
            kept.state = state;
            kept.read.clear();
        }
        (kept.state == state).then_some(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic while it was held leaves a map of whole entries behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn ask(memo: &Memo, state: u64, of: &[u8], now: u32) -> u32 {
        let Ok(found) = memo.get(state, Query::Key, of, || Ok::<_, Infallible>(now));
        found
    }

    #[test]
    fn what_was_read_is_kept_until_the_state_changes() {
        let memo = Memo::default();
        assert_eq!(ask(&memo, 1, b"a", 1), 1);
        assert_eq!(ask(&memo, 1, b"a", 2), 1);
        assert_eq!(ask(&memo, 1, b"b", 3), 3);
        assert_eq!(ask(&memo, 2, b"a", 4), 4);
        // Of an older state nothing is known, and it displaces nothing.
        assert_eq!(ask(&memo, 1, b"a", 5), 5);
        assert_eq!(ask(&memo, 2, b"a", 6), 4);
    }

    #[test]
    fn what_was_undone_is_forgotten() {
        let memo = Memo::default();
        assert_eq!(ask(&memo, 1, b"a", 1), 1);
        memo.forget();
        assert_eq!(ask(&memo, 1, b"a", 2), 2);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let memo = Memo::default();
        for number in 0..2 * MOST {
            ask(&memo, 1, &number.to_be_bytes(), 1);
        }
        assert!(memo.lock().read.len() <= MOST);
    }

    #[test]
    fn an_error_is_not_kept() {
        let memo = Memo::default();
        assert_eq!(
            memo.get(1, Query::Key, b"a", || Err::<u32, _>("no")),
            Err("no")
        );
        assert_eq!(ask(&memo, 1, b"a", 2), 2);
    }
}
