//! The scrub: holds the whole database against what the log says happened, and finds every row that does not follow from it.
//!
//! Seals and MACs show that a row was written by the appliance; not that it is the newest one. A row that was true once and was put back, such as
//! that of a grant before it was revoked, has the right MAC. The log knows better: each leaf commits to the rows that its act changed
//! (`appliance/audit/FORMAT.md`, "Rows"), and so the leaves say of each row what it has to be.
//!
//! It needs no HSM and no key. It reads page by page, each page in a snapshot of its own in which it has first taken in the leaves that came
//! meanwhile: so it holds nothing up, and its memory does not grow with the database.
//!
//! An act may have built on a row that was put back before the scrub came by. Each leaf says of the rows that its act changed what they were before as well:
//! where that is not what the leaves before it say, the scrub says so.
//!
//! What it cannot find: what was put back before an appliance of an older version began to commit to rows; and what was put back, used without being changed, and
//! taken away again.

mod lists;
mod report;

use std::ops::ControlFlow;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use strongroom_audit::{Detail, verify};
use strongroom_wire::audit::Act;

pub use self::report::{Finding, Progress, ScrubReport, Wrong};

use self::lists::{Entry, entries, recorded_up_to};
use crate::checkpoint_keys;
use crate::error::Error;
use crate::keystore::{Keystore, LOCALHOST};
use crate::store::sqlite::scratch::{Scratch, Told};
use crate::store::{DomainNumber, FollowedTable, LeafRecord, RowKey, Snapshot, Store, StoreError};

/// How many leaves or rows are read at once.
const PAGE: u32 = 1024;
/// How many acts that were built on what somebody had put back are kept to be told.
const MOST_BEFORE: usize = 10_000;

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
        before: Vec::new(),
        progress,
    };
    if pass.run()?.is_break() {
        pass.report.stopped = true;
    } else {
        let log = pass.verifier.clone().finish();
        for problem in &log.problems {
            pass.report.add_log_problem(problem.to_string());
        }
        for (_, finding) in std::mem::take(&mut pass.before) {
            pass.report.found(finding);
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
    /// Acts that were built on what somebody had put back, and of which no scrub's leaf tells yet: by their leaves.
    before: Vec<(u64, Finding)>,
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
                    if event.act == Act::AuditScrub && event.done {
                        self.take_scrub(event.detail.note.as_deref());
                    }
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
        for Entry {
            table,
            key,
            hash,
            was,
        } in entries
        {
            if let Some(was) = was {
                self.hold_before(table, &key, was, leaf)?;
            }
            self.scratch.tell(table, &key, Told { leaf, hash })?;
        }
        Ok(())
    }

    /// What a row was before an act changed it has to be what the leaves before say.
    fn hold_before(
        &mut self,
        table: u8,
        key: &RowKey,
        was: Option<[u8; 32]>,
        leaf: u64,
    ) -> Result<(), Error> {
        let told = self.scratch.told(table, key)?.and_then(|told| told.hash);
        if told == was {
            return Ok(());
        }
        let lapsed = was.is_none() && self.store.snapshot()?.may_be_gone(table, key);
        let followed = self.tables.iter().find(|other| other.number == table);
        if let Some(followed) = followed.filter(|_| !lapsed) {
            let finding = Finding {
                what: followed.what,
                row: show_key(key),
                wrong: Wrong::Before(leaf),
            };
            // No more are told; whether there are more than can be kept is told by those that are.
            if self.before.len() < MOST_BEFORE {
                self.before.push((leaf, finding));
            }
        }
        Ok(())
    }

    /// The leaf of an earlier scrub: what was built on before it came by is told there.
    fn take_scrub(&mut self, note: Option<&str>) {
        let Some(leaves) = note.and_then(recorded_up_to) else {
            return;
        };
        let count = self.before.len();
        self.before.retain(|(leaf, _)| *leaf >= leaves);
        self.report.recorded += (count - self.before.len()) as u64;
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
