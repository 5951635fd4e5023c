//! The whole log recomputed: every leaf opened, every node hashed again, every checkpoint held against its root.
//!
//! The [`Verifier`] is fed in one pass and holds the right edge of the tree, the checkpoints whose size is still to come, and
//! the nodes recomputed but not yet given to it: memory grows with none of the leaves.

mod report;

use std::collections::{BTreeMap, VecDeque};

use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use tlog_tiles::Hash;

use crate::checkpoint::{self, CheckpointError};
use crate::keys::{KeyTrail, LogKey, verify_by};
use crate::leaf::Leaf;
use crate::tree::RightEdge;

pub use report::{Problem, Report};

/// Verifies a log from its first leaf to its last.
///
/// Give it, in this order as far as there is an order:
/// - [`leaf`](Self::leaf): every leaf from index 0, in ascending order;
/// - [`node`](Self::node): every stored node, in ascending order, each after the leaf that completes it
///   ([`nodes_of`](crate::tree::nodes_of)). Leaves may run ahead (by a page, say): the nodes between are held in memory;
/// - [`checkpoint`](Self::checkpoint): any number, in any order, each before the leaf whose index is the checkpoint's size:
///   all before the first leaf, or in ascending order between the leaves.
///
/// It goes on after a problem, to find them all.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: KeyTrail,
    origin: String,
    /// The index of the leaf that comes next.
    next: u64,
    /// `None` behind a gap: nothing above the leaves can be computed there.
    edge: Option<RightEdge>,
    /// Recomputed nodes that have not been given yet; `None` when none will be.
    nodes: Option<VecDeque<(u64, Hash)>>,
    /// Roots by the size at which they must be met.
    awaited: BTreeMap<u64, Vec<Hash>>,
    latest: Timestamp,
    /// How many checkpoints have been given.
    given: u64,
    report: Report,
}

impl Verifier {
    /// A verifier for the log with this verifier key and origin, which will be given the stored nodes too.
    ///
    /// # Errors
    ///
    /// When the verifier key cannot be used or is of another log.
    pub fn new(verifier_key: &str, origin: &str) -> Result<Self, CheckpointError> {
        Self::with_keys(vec![LogKey::only(verifier_key)], origin)
    }

    /// A verifier for a log that has had several keys.
    ///
    /// # Errors
    ///
    /// When a verifier key cannot be used or is of another log, or there is none.
    pub fn with_keys(keys: Vec<LogKey>, origin: &str) -> Result<Self, CheckpointError> {
        if keys.is_empty() {
            return Err(CheckpointError::VerifierKey);
        }
        for key in &keys {
            let name = checkpoint::name(&key.verifier_key)?;
            if name != origin {
                return Err(CheckpointError::Origin(name));
            }
        }
        Ok(Self {
            keys: KeyTrail::new(keys),
            origin: origin.to_owned(),
            next: 0,
            edge: Some(RightEdge::empty()),
            nodes: Some(VecDeque::new()),
            awaited: BTreeMap::new(),
            latest: Timestamp::from_millis(0),
            given: 0,
            report: Report::default(),
        })
    }

    /// The same verifier for a log without stored nodes, such as an export.
    #[must_use]
    pub fn without_nodes(mut self) -> Self {
        self.nodes = None;
        self
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Takes the next leaf.
    pub fn leaf(&mut self, index: u64, leaf: &Leaf) {
        if index < self.next {
            self.problem(Problem::LeafOrder { index });
            return;
        }
        if index > self.next {
            let (from, to) = (self.next, index - 1);
            self.problem(Problem::Gap { from, to });
            self.edge = None;
        }
        self.next = index.saturating_add(1);
        self.report.leaves += 1;

        match leaf.open() {
            Ok(event) => {
                if event.time < self.latest {
                    self.report.clock_steps_back += 1;
                }
                self.latest = event.time;
                if event.act == Act::DomainCheckpointKey && event.done {
                    let note = event.detail.note.unwrap_or_default();
                    if !self.keys.change(index, &note) {
                        self.problem(Problem::KeyChange { index });
                    }
                }
            }
            Err(error) => self.problem(Problem::Leaf { index, error }),
        }
        if let Some(edge) = &mut self.edge {
            let nodes = edge.append(&[leaf.hash()]);
            if let Some(held) = &mut self.nodes {
                held.extend(nodes);
            }
        }
        self.meet_checkpoints();
    }

    /// Takes the next stored node.
    pub fn node(&mut self, index: u64, stored: &Hash) {
        let held = self.nodes.as_mut();
        let missing = held.map_or(Vec::new(), |held| {
            let before = held.partition_point(|(computed, _)| *computed < index);
            held.drain(..before).map(|(index, _)| index).collect()
        });
        self.missing_nodes(&missing);

        let held = self.nodes.as_mut().and_then(|held| {
            let is_next = held.front().is_some_and(|(computed, _)| *computed == index);
            if is_next { held.pop_front() } else { None }
        });
        match held {
            Some((_, computed)) if computed == *stored => self.report.nodes += 1,
            Some(_) => self.problem(Problem::Node { index }),
            // Behind a gap no node can be recomputed: the gap has been reported.
            None if self.edge.is_none() => {}
            None => self.problem(Problem::NodeUnaccounted { index }),
        }
    }

    /// Takes a checkpoint.
    pub fn checkpoint(&mut self, note: &str) {
        let number = self.given;
        self.given += 1;
        let verified = verify_by(note, self.keys.keys()).and_then(|(checkpoint, key)| {
            let size = checkpoint.size;
            let in_force = CheckpointError::KeyNotInForce {
                size,
                key: key.verifier_key.clone(),
            };
            key.may_sign(size).then_some(checkpoint).ok_or(in_force)
        });
        match verified {
            Err(error) => self.problem(Problem::Checkpoint { number, error }),
            Ok(checkpoint) if checkpoint.size < self.next => {
                let size = checkpoint.size;
                self.problem(Problem::CheckpointUnchecked { size });
            }
            Ok(checkpoint) => {
                let awaited = self.awaited.entry(checkpoint.size).or_default();
                awaited.push(checkpoint.root);
                self.meet_checkpoints();
            }
        }
    }

    /// Ends the log: what is still awaited is missing.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let held: Vec<u64> = self
            .nodes
            .take()
            .map_or(Vec::new(), |held| held.iter().map(|held| held.0).collect());
        self.missing_nodes(&held);
        for (size, roots) in std::mem::take(&mut self.awaited) {
            for _ in roots {
                if size > self.next {
                    let leaves = self.next;
                    self.problem(Problem::TooShort { size, leaves });
                } else {
                    self.problem(Problem::CheckpointUnchecked { size });
                }
            }
        }
        for key in self.keys.untold() {
            let key = key.to_string();
            self.report.add(Problem::KeyUntold { key });
        }
        self.report.root = self.edge.map(|edge| edge.root());
        self.report
    }

    /// Holds the checkpoints of the present size against the present root.
    fn meet_checkpoints(&mut self) {
        let size = self.next;
        let Some(edge) = &self.edge else { return };
        let Some(roots) = self.awaited.remove(&size) else {
            return;
        };
        let root = edge.root();
        for awaited in roots {
            if awaited == root {
                self.report.checkpoints += 1;
                self.report.newest_checkpoint = Some(size);
            } else {
                self.problem(Problem::CheckpointRoot { size });
            }
        }
    }

    /// Reports nodes that should have been given, each run of them once.
    fn missing_nodes(&mut self, indexes: &[u64]) {
        for run in indexes.chunk_by(|one, next| one + 1 == *next) {
            if let (Some(from), Some(to)) = (run.first(), run.last()) {
                let (from, to) = (*from, *to);
                self.problem(Problem::NodesMissing { from, to });
            }
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.report.add(problem);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod succession;
#[cfg(test)]
mod tests;
