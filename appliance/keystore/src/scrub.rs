//! The scrub: holds the whole database against what the log says happened, and finds every row that does not follow from it.
//!
//! Seals and MACs show that a row was written by the appliance; not that it is the newest one. A row that was true once and was put back, such as
//! that of a grant before it was revoked, has the right MAC. The log knows better: each leaf commits to the rows that its act changed
//! (`appliance/audit/FORMAT.md`, "Rows"), and so the leaves say of each row what it has to be.
//!
//! It needs no HSM and no key. It reads page by page, each page in a snapshot of its own in which it has first taken in the leaves that came
//! meanwhile: so it holds nothing up, and its memory does not grow with the database.
//!
//! What it cannot find: what was put back and then changed by an act before the scrub came by (that act's leaf tells what came of it), and what was
//! put back before an appliance of an older version began to commit to rows.

use std::ops::ControlFlow;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use strongroom_audit::{Detail, verify};
use strongroom_wire::audit::Act;

use crate::checkpoint_keys;
use crate::error::Error;
use crate::keystore::{Keystore, LOCALHOST};
use crate::store::sqlite::scratch::{Scratch, Told};
use crate::store::{DomainNumber, FollowedTable, LeafRecord, RowKey, Snapshot, Store, StoreError};

/// How many leaves or rows are read at once.
const PAGE: u32 = 1024;
/// How many findings are told one by one. All are counted.
const MOST_TOLD: usize = 100;
/// How many findings a leaf names.
const MOST_NAMED: usize = 8;

/// How far a scrub has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many leaves it has taken in.
    pub leaves: u64,
    /// Of how many, as far as is known.
    pub of: u64,
    /// How many rows it has held against them.
    pub rows: u64,
}

/// A row, or a leaf, that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is, such as `grant`, or `log`.
    pub what: &'static str,
    /// Which one: the parts of its key, identifiers and numbers as they are usually written.
    pub row: String,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The leaf with this index says that it is something else.
    Differs(u64),
    /// The leaf with this index says that it is gone.
    Gone(u64),
    /// The leaf with this index says that it is there, and it is not.
    Missing(u64),
    /// No leaf says that it was ever made.
    Untold,
    /// Of the log itself: one sentence.
    Log(String),
}

/// What a scrub found.
#[derive(Debug, Clone, Default)]
pub struct ScrubReport {
    /// How many leaves there were.
    pub leaves: u64,
    /// How many rows were held against them.
    pub rows: u64,
    /// The first of what was found.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub count: u64,
    /// From which leaf on the log commits to rows; none where it does not yet.
    pub from: Option<u64>,
    /// It was asked to stop, and did not come to its end.
    pub stopped: bool,
}

impl ScrubReport {
    /// What a leaf says of the findings.
    #[must_use]
    pub fn note(&self) -> String {
        let named: Vec<String> = self
            .findings
            .iter()
            .take(MOST_NAMED)
            .map(ToString::to_string)
            .collect();
        let rows = if self.count == 1 {
            "row does"
        } else {
            "rows do"
        };
        format!(
            "{} {rows} not follow from the log: {}",
            self.count,
            named.join("; ")
        )
    }

    /// Adds what was found of the log by other means: one sentence.
    pub fn add_log_problem(&mut self, sentence: String) {
        self.found(Finding {
            what: "log",
            row: String::new(),
            wrong: Wrong::Log(sentence),
        });
    }

    fn found(&mut self, finding: Finding) {
        self.count += 1;
        if self.findings.len() < MOST_TOLD {
            self.findings.push(finding);
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, row, wrong } = self;
        match wrong {
            Wrong::Differs(leaf) => write!(f, "{what} {row} is not what leaf {leaf} says"),
            Wrong::Gone(leaf) => write!(
                f,
                "{what} {row} is there, and leaf {leaf} says that it is gone"
            ),
            Wrong::Missing(leaf) => write!(
                f,
                "{what} {row} is gone, and leaf {leaf} says that it is there"
            ),
            Wrong::Untold => write!(
                f,
                "{what} {row} is there, and no leaf says that it was made"
            ),
            Wrong::Log(sentence) => write!(f, "{sentence}"),
        }
    }
}

/// Holds a domain's database against its log. What it has to remember is in a file in the folder `scratch`, of some 100 bytes a row, which goes
/// with the process. `progress` is told how far it has come, after each page, and may wait, or stop it.
///
/// # Errors
///
/// [`Error::Domain`] when there is no such domain, [`Error::Store`] when the database cannot be read or the scratch file cannot be written.
pub fn scrub(
    store: &dyn Store,
    domain: &str,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ScrubReport, Error> {
    let (number, verifier, tables) = {
        let snapshot = store.snapshot()?;
        let record = snapshot
            .domain(domain)?
            .ok_or_else(|| Error::Domain(format!("Domain {domain:?} is not initialised.")))?;
        let keys = checkpoint_keys::log_keys(&*snapshot, &record)?;
        let mut verifier = verify::Verifier::with_keys(keys, &record.origin)
            .map_err(|error| {
                Error::Domain(format!(
                    "The domain's checkpoint key cannot be used: {error}."
                ))
            })?
            .without_nodes();
        for (_, note) in snapshot.checkpoints(record.number)? {
            verifier.checkpoint(&note);
        }
        (record.number, verifier, snapshot.followed_tables())
    };
    let mut pass = Pass {
        store,
        number,
        scratch: Scratch::new(scratch)?,
        verifier,
        next: 0,
        report: ScrubReport::default(),
        tables,
        progress,
    };
    if pass.run()?.is_break() {
        pass.report.stopped = true;
    } else {
        let log = pass.verifier.clone().finish();
        for problem in &log.problems {
            pass.report.add_log_problem(problem.to_string());
        }
    }
    pass.report.leaves = pass.next;
    Ok(pass.report)
}

struct Pass<'a> {
    store: &'a dyn Store,
    number: DomainNumber,
    scratch: Scratch,
    verifier: verify::Verifier,
    /// The index of the leaf that comes next.
    next: u64,
    report: ScrubReport,
    tables: Vec<FollowedTable>,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<ControlFlow<()>, Error> {
        // The leaves, each page in a snapshot of its own: they do not change.
        loop {
            let snapshot = self.store.snapshot()?;
            let size = snapshot.tree_size(self.number)?;
            let before = self.next;
            self.take_in(&*snapshot, size.min(before + u64::from(PAGE)))?;
            drop(snapshot);
            if self.tell(size).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.next >= size || self.next == before {
                break;
            }
        }
        if self.report.from.is_none() {
            // Nothing to hold the rows against yet.
            return Ok(ControlFlow::Continue(()));
        }
        for table in self.tables.clone() {
            if self.hold_rows(table)?.is_break() || self.look_for_missing(table)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn tell(&mut self, of: u64) -> ControlFlow<()> {
        (self.progress)(Progress {
            leaves: self.next,
            of,
            rows: self.report.rows,
        })
    }

    /// Takes in the leaves up to `end`, and the lists that they commit to.
    fn take_in(&mut self, snapshot: &dyn Snapshot, end: u64) -> Result<(), Error> {
        while self.next < end {
            let limit = u32::try_from(end - self.next).unwrap_or(PAGE).min(PAGE);
            let leaves = snapshot.leaves_from(self.number, self.next, limit)?;
            let Some(last) = leaves.last().map(|leaf| leaf.index) else {
                // Cut: the verifier says so.
                break;
            };
            let lists = snapshot.leaf_rows(self.number, self.next, last + 1)?;
            let mut lists = lists.into_iter().peekable();
            self.scratch.begin_batch()?;
            for LeafRecord { index, leaf } in &leaves {
                self.verifier.leaf(*index, leaf);
                while let Some((stray, _)) = lists.next_if(|(at, _)| at < index) {
                    self.wrong_list(stray, "belongs to no leaf");
                }
                let list = lists.next_if(|(at, _)| at == index).map(|(_, list)| list);
                // One that does not open has been reported by the verifier.
                if let Ok(event) = leaf.open() {
                    self.take_list(*index, event.detail.rows, list.as_deref())?;
                }
            }
            self.scratch.end_batch()?;
            self.next = last + 1;
        }
        Ok(())
    }

    fn take_list(
        &mut self,
        leaf: u64,
        committed: Option<[u8; 32]>,
        list: Option<&[u8]>,
    ) -> Result<(), Error> {
        let list = match (committed, list) {
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                self.wrong_list(leaf, "is one that the leaf does not commit to");
                return Ok(());
            }
            (Some(_), None) => {
                self.wrong_list(leaf, "is missing");
                return Ok(());
            }
            (Some(hash), Some(list)) if <[u8; 32]>::from(Sha256::digest(list)) == hash => list,
            (Some(_), Some(_)) => {
                self.wrong_list(leaf, "is not the one that the leaf commits to");
                return Ok(());
            }
        };
        self.report.from.get_or_insert(leaf);
        let Some(entries) = entries(list) else {
            self.wrong_list(leaf, "cannot be read");
            return Ok(());
        };
        for (table, key, hash) in entries {
            self.scratch.tell(table, &key, Told { leaf, hash })?;
        }
        Ok(())
    }

    fn wrong_list(&mut self, leaf: u64, what: &str) {
        self.report
            .add_log_problem(format!("the list of rows of leaf {leaf} {what}"));
    }

    /// Every row of a table has to be what the leaves say.
    fn hold_rows(&mut self, table: FollowedTable) -> Result<ControlFlow<()>, Error> {
        let mut after = None;
        loop {
            let store = self.store;
            let snapshot = store.snapshot()?;
            let size = snapshot.tree_size(self.number)?;
            self.take_in(&*snapshot, size)?;
            let page = snapshot.followed_rows(table.number, after.as_ref(), PAGE)?;
            drop(snapshot);
            let Some(last) = page.last().map(|row| row.key.clone()) else {
                return Ok(ControlFlow::Continue(()));
            };
            for row in page {
                self.report.rows += 1;
                let wrong = match self.scratch.told(table.number, &row.key)? {
                    None => Wrong::Untold,
                    Some(Told { leaf, hash: None }) => Wrong::Gone(leaf),
                    Some(Told {
                        hash: Some(hash), ..
                    }) if hash == row.hash => continue,
                    Some(Told { leaf, .. }) => Wrong::Differs(leaf),
                };
                self.report.found(Finding {
                    what: table.what,
                    row: show_key(&row.key),
                    wrong,
                });
            }
            after = Some(last);
            if self.tell(size).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Every row that the leaves say is there has to be.
    fn look_for_missing(&mut self, table: FollowedTable) -> Result<ControlFlow<()>, Error> {
        let mut after: Option<RowKey> = None;
        loop {
            let store = self.store;
            let snapshot = store.snapshot()?;
            let size = snapshot.tree_size(self.number)?;
            self.take_in(&*snapshot, size)?;
            let page = self.scratch.living(table.number, after.as_ref(), PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(ControlFlow::Continue(()));
            };
            after = Some(last.clone());
            for (key, told) in &page {
                if !snapshot.has_followed_row(table.number, key)?
                    && !snapshot.may_be_gone(table.number, key)
                {
                    self.report.found(Finding {
                        what: table.what,
                        row: show_key(key),
                        wrong: Wrong::Missing(told.leaf),
                    });
                }
            }
            drop(snapshot);
            if self.tell(size).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
}

type Entry = (u8, RowKey, Option<[u8; 32]>);

/// The entries of a list; none where it is not spelled as lists are.
fn entries(mut list: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while let Some((&table, rest)) = list.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (&there, rest) = rest.split_first()?;
        let (hash, rest) = match there {
            0 => (None, rest),
            1 => {
                let (hash, rest) = rest.split_first_chunk::<32>()?;
                (Some(*hash), rest)
            }
            _ => return None,
        };
        entries.push((table, RowKey(key.to_vec()), hash));
        list = rest;
    }
    Some(entries)
}

/// A key for people: numbers and texts as they are, 16 bytes as an identifier, other bytes in hexadecimal.
fn show_key(key: &RowKey) -> String {
    let Some(parts) = crate::store::sqlite::key_parts(key) else {
        return "?".to_owned();
    };
    parts.join(" ")
}

impl Keystore {
    /// Scrubs this domain: see [`scrub`]. What it finds leaves a leaf.
    ///
    /// # Errors
    ///
    /// As for [`scrub`].
    pub fn scrub(
        &self,
        scratch: &Path,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ScrubReport, Error> {
        let core = &self.core;
        let report = scrub(&*core.store, &core.domain.name, scratch, progress)?;
        if report.count > 0 {
            let note = report.note();
            tracing::error!(findings = report.count, "{note}");
            core.act(Act::AuditScrub, LOCALHOST, move |scope| {
                scope.detail = Detail {
                    note: Some(note.clone()),
                    ..Detail::default()
                };
                scope.record(Act::AuditScrub)
            })
            .map_err(|refusal| refusal.error)?;
        }
        Ok(report)
    }

    /// Has a log that an older version began commit to rows: to all as they stand now, in as many leaves as that takes, in one act. Does nothing where
    /// the log does already. Answers how many leaves it took.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn begin_rows(&self) -> Result<u32, Error> {
        let number = self.core.domain.number;
        let begun = move |snapshot: &dyn Snapshot| -> Result<bool, StoreError> {
            if snapshot.has_leaf_rows(number)? {
                return Ok(true);
            }
            let first = snapshot.leaf(number, 0)?;
            let first = first.and_then(|first| first.leaf.open().ok());
            Ok(first.is_none_or(|event| event.detail.rows.is_some()))
        };
        if begun(&*self.core.store.snapshot()?)? {
            return Ok(0);
        }
        self.core
            .act(Act::AuditRows, LOCALHOST, move |scope| {
                if begun(scope.tx.as_snapshot())? {
                    return Ok(0);
                }
                let mut leaves = 0;
                for table in scope.tx.followed_tables() {
                    let mut after = None;
                    while let Some(last) =
                        scope.tx.touch_rows(table.number, after.as_ref(), PAGE)?
                    {
                        scope.detail = Detail {
                            note: Some(table.what.to_owned()),
                            ..Detail::default()
                        };
                        scope.record(Act::AuditRows)?;
                        leaves += 1;
                        after = Some(last);
                    }
                }
                Ok(leaves)
            })
            .map_err(|refusal| refusal.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_in_no_other_spelling() {
        let list = [&[24, 0, 2, 7, 7, 1][..], &[9; 32], &[21, 0, 1, 5, 0]].concat();
        let expected = vec![
            (24, RowKey(vec![7, 7]), Some([9; 32])),
            (21, RowKey(vec![5]), None),
        ];
        assert_eq!(entries(&list), Some(expected));
        assert_eq!(entries(&[]), Some(Vec::new()));
        for cut in 1..list.len() {
            if cut != 38 {
                assert_eq!(entries(&list[..cut]), None, "cut at {cut}");
            }
        }
        assert_eq!(entries(&[24, 0, 1, 7, 2]), None);
    }
}
