//! Exporting the audit log: a bundle, written piece by piece (`appliance/audit/FORMAT.md`, "Bundle").
//!
//! Each piece is read from a snapshot of its own. Leaves and nodes below a checkpoint's size never change, so that the pieces fit together as if they
//! were of one, and whoever reads slowly holds up nothing: neither a thread, nor the keystore, nor what the database may overwrite.
//!
//! | module | what lives there |
//! |---|---|
//! | `range` | which leaves an export shows, and the earlier checkpoint that it continues |
//! | `context` | the documents that leaves name, and what approvals rest on |

mod context;
mod range;

use std::collections::HashSet;
use std::ops::Range;

use strongroom_audit::bundle::{
    Earlier, FORMAT, Filter, Header, HeaderKey, Hidden, LeafLine, Line, NameLine, Writer,
};
use strongroom_audit::keys::verify_by;
use strongroom_audit::{Event, tree};
use strongroom_wire::audit::{Act, ConsistencyProof, ConsistencyQuery, ExportQuery};
use strongroom_wire::id::AccountId;

use self::context::documents;
use self::range::{continued, earlier, period};
use crate::act::{Presented, View};
use crate::audit::{WHAT, hides_rule, is_auditor, newest};
use crate::checkpoint_keys;
use crate::cosigning;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::store::LeafRecord;

/// How many leaves a piece has at most: half a megabyte, in round figures.
const PIECE: u32 = 1000;
/// How many accounts' names are remembered as told. When there are more, some are told again.
const NAMES: usize = 10_000;

/// An export that is under way.
pub struct Export {
    /// The leaf that records it.
    leaf: u64,
    header: Header,
    /// The checkpoint, as the log's key has signed it.
    note: String,
    earlier: Option<(u64, Earlier)>,
    writer: Writer,
    /// The account that it is for, unless that is an auditor.
    own: Option<AccountId>,
    /// Where the leaves that are shown end.
    end: u64,
    named: HashSet<AccountId>,
    /// Leaves outside of what the range shows that were proved already.
    proven: HashSet<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Beginning,
    /// The leaf that comes next.
    Leaves(u64),
    Ended,
}

impl Keystore {
    /// Begins an export: all that is asked for goes to auditors, everyone else gets what concerns them. A leaf records it, and the log as it stands with that leaf
    /// is signed.
    pub fn export_audit(&self, caller: &Presented, query: ExportQuery) -> Answer<Export> {
        let (presented, asked) = (caller.clone(), query.clone());
        let leaf = self
            .core
            .act(Act::AuditExport, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                check(&asked)?;
                let others = asked
                    .account
                    .is_some_and(|asked| asked != caller.account.id);
                if others && !is_auditor(&caller) {
                    return Err(Error::NotPermitted(May::ReadAudit.needs()));
                }
                // What was asked for has a form in JSON.
                scope.detail.note = serde_json::to_string(&asked).ok();
                scope.record(Act::AuditExport)
            })?;
        self.sign_checkpoint()?;
        self.core.look(caller, |view, caller, _| {
            let own = (!is_auditor(caller)).then_some(caller.account.id);
            begin(view, own, &query, leaf)
        })
    }

    /// The proof that a tree of the log begins with an earlier one; for everyone who is signed in.
    pub fn consistency_proof(
        &self,
        caller: &Presented,
        query: ConsistencyQuery,
    ) -> Answer<ConsistencyProof> {
        self.core.look(caller, |view, _, _| {
            let (size, checkpoint) = newest(view)?;
            let new = query.new.unwrap_or(size);
            if query.old > new || new > size {
                return Err(Error::Invalid(format!(
                    "The newest checkpoint is of {size} leaves: a proof leads from fewer leaves to at most so many."
                )));
            }
            let nodes = view.snapshot.nodes(view.domain.number);
            let hashes = tree::prove_consistency(query.old, new, &*nodes)
                .map_err(|_| Error::Integrity(WHAT))?;
            Ok(ConsistencyProof {
                old: query.old,
                new,
                hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
                checkpoint: (new == size).then_some(checkpoint),
            })
        })
    }
}

impl Export {
    /// The leaf that records the export.
    #[must_use]
    pub const fn leaf(&self) -> u64 {
        self.leaf
    }

    /// Whether some of the configured witnesses have not cosigned the bundle's checkpoint yet. Whoever sends it gives them a moment.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the storage fails, [`Error::Integrity`] when the tree is damaged.
    pub fn awaits_witnesses(&self, keystore: &Keystore) -> Result<bool, Error> {
        let size = self.header.size;
        keystore
            .core
            .glance(|view| Ok(cosigning::awaited(view, size)? > 0))
    }

    /// The next lines of the bundle; none at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the storage fails, [`Error::Hsm`] when the HSM does not sign the footer, [`Error::Integrity`] when the tree is damaged. What was
    /// written so far is no bundle then.
    pub fn next(&mut self, keystore: &Keystore) -> Result<Option<Vec<u8>>, Error> {
        if self.state == State::Ended {
            return Ok(None);
        }
        keystore.core.glance(|view| {
            let mut piece = Vec::new();
            match self.state {
                State::Beginning => self.write_beginning(view, &mut piece)?,
                State::Leaves(next) if next < self.end => {
                    self.write_leaves(view, next, &mut piece)?;
                }
                State::Leaves(next) => {
                    self.write_hidden(view, next..self.header.size, &mut piece)?;
                    let text = self.writer.footer(&view.domain.origin).to_text();
                    let note = view.domain.sign_note(view.snapshot, &text)?;
                    piece.extend(std::mem::take(&mut self.writer).finish(note));
                    self.state = State::Ended;
                }
                State::Ended => return Ok(None),
            }
            Ok(Some(piece))
        })
    }

    fn write(&mut self, line: &Line, piece: &mut Vec<u8>) {
        piece.extend(self.writer.line(line));
    }

    fn write_beginning(&mut self, view: &View<'_>, piece: &mut Vec<u8>) -> Result<(), Error> {
        self.write(&Line::Header(self.header.clone()), piece);
        let size = self.header.size;
        let (lines, mut cosigned) = cosigning::for_export(view, size)?;
        let note = std::mem::take(&mut self.note) + &lines;
        self.write(&Line::Checkpoint { note }, piece);
        if let Some((old, mut earlier)) = self.earlier.take() {
            if let Some(place) = cosigned.iter().position(|(size, _)| *size == old) {
                earlier.note = cosigned.remove(place).1;
            }
            self.write(&Line::Earlier(earlier), piece);
        }
        for (old, note) in cosigned {
            let earlier = continued(view, old, note, size)?;
            self.write(&Line::Earlier(earlier), piece);
        }
        let first = self.header.first;
        self.write_hidden(view, 0..first, piece)?;
        self.state = State::Leaves(first);
        Ok(())
    }

    /// The lines of some leaves of the range, from this one on.
    fn write_leaves(
        &mut self,
        view: &View<'_>,
        first: u64,
        piece: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let number = view.domain.number;
        let end = self.end;
        let found = match self.own {
            None => {
                let most = u32::try_from(end - first).unwrap_or(PIECE).min(PIECE);
                view.snapshot.leaves_from(number, first, most)?
            }
            Some(account) => {
                let leaves = first..end;
                view.snapshot
                    .leaves_concerning(number, account, leaves, PIECE)?
            }
        };
        let mut next = first;
        for LeafRecord { index, leaf } in &found {
            let index = *index;
            let event = leaf.open().ok();
            if self.own.is_some() {
                // What the leaf itself says decides, not the row by which it was found.
                if !event.as_ref().is_some_and(|event| self.is_own(event)) {
                    continue;
                }
                self.write_hidden(view, next..index, piece)?;
            } else if index != next {
                return Err(Error::Integrity(WHAT));
            }
            next = index + 1;
            let shown = match &event {
                // Whatever is wrong with it, auditors see it.
                None => true,
                Some(event) => {
                    (self.header.filter.takes(event) || event.act == Act::DomainCheckpointKey)
                        && !(self.own.is_some() && hides_rule(event, self.own))
                }
            };
            if !shown {
                self.write(&Line::Leaf(LeafLine::redacted(index, leaf)), piece);
                continue;
            }
            let line = Line::Leaf(LeafLine::full(index, leaf));
            let Some(event) = &event else {
                self.write(&line, piece);
                continue;
            };
            self.write_names(view, event, piece)?;
            let documents = match self.own {
                None => documents(view, index, event)?,
                Some(_) => Vec::new(),
            };
            self.write_context(view, index, &documents, piece)?;
            self.write(&line, piece);
            for document in documents {
                self.write(&Line::Document(document), piece);
            }
        }
        let is_last = match self.own {
            None => next >= end,
            Some(_) => (found.len() as u64) < u64::from(PIECE),
        };
        if self.own.is_none() && found.is_empty() {
            return Err(Error::Integrity(WHAT));
        }
        if is_last {
            // What is not shown up to the range's end goes with what is beyond it.
            self.end = next.min(end);
        } else if let (Some(_), Some(last)) = (self.own, found.last()) {
            // Rows that lead to leaves of others are passed over.
            self.write_hidden(view, next..last.index + 1, piece)?;
            next = next.max(last.index + 1);
        }
        self.state = State::Leaves(next);
        Ok(())
    }

    fn is_own(&self, event: &Event) -> bool {
        let detail = &event.detail;
        [detail.actor, detail.subject, detail.owner].contains(&self.own)
    }

    /// The roots of the subtrees that these leaves are.
    fn write_hidden(
        &mut self,
        view: &View<'_>,
        leaves: Range<u64>,
        piece: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let subtrees = tree::subtrees(leaves);
        let indexes: Vec<u64> = subtrees.iter().map(|subtree| subtree.node()).collect();
        if indexes.is_empty() {
            return Ok(());
        }
        let nodes = view.snapshot.nodes(view.domain.number);
        let nodes = nodes
            .read_nodes(&indexes)
            .map_err(|_| Error::Integrity(WHAT))?;
        for (subtree, node) in subtrees.iter().zip(nodes) {
            let hidden = Hidden {
                index: subtree.index,
                count: subtree.count(),
                hash: node.0.as_slice().into(),
            };
            self.write(&Line::Hidden(hidden), piece);
        }
        Ok(())
    }

    /// What the accounts in a leaf are called, unless it was told.
    fn write_names(
        &mut self,
        view: &View<'_>,
        event: &Event,
        piece: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let detail = &event.detail;
        let accounts = [detail.actor, detail.subject, detail.owner];
        for account in accounts.into_iter().flatten() {
            if self.named.contains(&account) {
                continue;
            }
            if self.named.len() >= NAMES {
                self.named.clear();
            }
            self.named.insert(account);
            let name = match view.name_of(account) {
                Ok(name) => name,
                // A record that does not match its seal names nobody; that it does not is recorded elsewhere.
                Err(error) if error.is_tampering() => continue,
                Err(error) => return Err(error),
            };
            if name != account.to_string() {
                self.write(&Line::Name(NameLine { account, name }), piece);
            }
        }
        Ok(())
    }
}

/// Refuses a question that makes no sense.
fn check(query: &ExportQuery) -> Result<(), Error> {
    let invalid = |what: &str| Err(Error::Invalid(what.to_owned()));
    if query.act == Some(Act::Unknown) {
        return invalid("There is no act of this name.");
    }
    let is_identifier = |text: &String| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if query.case.as_ref().is_some_and(|case| !is_identifier(case)) {
        return invalid("A case is named by its identifier.");
    }
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from >= to
    {
        return invalid("The period ends before it begins.");
    }
    if query.first.is_some() && (query.from.is_some() || query.to.is_some()) {
        return invalid("The records are those of a period or those from an index on, not both.");
    }
    Ok(())
}

fn begin(
    view: &View<'_>,
    own: Option<AccountId>,
    query: &ExportQuery,
    leaf: u64,
) -> Result<Export, Error> {
    let number = view.domain.number;
    let (size, checkpoint) = view
        .snapshot
        .newest_checkpoint(number)?
        .ok_or(Error::Internal("no checkpoint has been signed yet"))?;
    let keys = checkpoint_keys::log_keys(view.snapshot, &view.domain.domain_key(view.snapshot)?.0)?;
    verify_by(&checkpoint, &keys).map_err(|_| Error::Integrity(WHAT))?;
    let earlier = query
        .previous
        .map(|previous| Ok::<_, Error>((previous, earlier(view, previous, size, &keys)?)))
        .transpose()?;
    let range = match (query.first, own) {
        (Some(first), _) => first.min(size)..size,
        (None, Some(_)) => 0..size,
        (None, None) => period(view, query, size)?,
    };
    let header = Header {
        format: FORMAT.to_owned(),
        origin: view.domain.origin.clone(),
        made: view.now,
        first: range.start,
        end: range.end,
        size,
        leaf: Some(leaf),
        filter: Filter {
            from: query.from,
            to: query.to,
            act: query.act,
            case: query.case.clone(),
            account: query.account,
            key: query.key,
            concerning: own,
        },
        keys: keys.iter().map(HeaderKey::from).collect(),
    };
    tracing::debug!(
        domain = number,
        first = range.start,
        end = range.end,
        "an export begins"
    );
    Ok(Export {
        leaf,
        header,
        note: checkpoint,
        earlier,
        writer: Writer::new(),
        own,
        end: range.end,
        named: HashSet::new(),
        proven: HashSet::new(),
        state: State::Beginning,
    })
}
