//! Verifying a bundle, line by line.

mod documents;
mod hold;

use std::collections::{BTreeMap, VecDeque};

use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use tlog_tiles::Hash;

use super::approvals::{Approvals, Shown};
use super::cosigned::Tally;
use super::line::{
    DocumentKind, Earlier, Header, Hidden, LeafLine, Line, LineError, bytes32, hashes,
    named_documents,
};
use super::report::{BundleProblem, BundleReport};
use super::write::Writer;
use super::{Seen, Trust};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::event::Event;
use crate::keys::{KeyChange, verify_by};
use crate::tree::{RightEdge, verify_consistency};

/// The most earlier checkpoints of a bundle.
const MOST_EARLIER: usize = 1000;

/// Verifies a bundle that is given to it line by line, in the order of the file.
///
/// It goes on after a problem, to find them all. What [`Seen`] says before [`finish`](Self::finish) has found no problem is not proved yet.
#[derive(Debug, Clone)]
pub struct BundleVerifier {
    trust: Trust,
    /// Counts and hashes what came before the footer.
    read: Writer,
    stage: Stage,
    header: Option<Header>,
    /// The checkpoint that all is held against.
    checkpoint: Option<Checkpoint>,
    /// The index of the leaf that comes next.
    next: u64,
    /// `None` where leaves are missing: no root can be computed there.
    edge: Option<RightEdge>,
    /// Roots by the size at which they must be met, where the lines pass that size.
    awaited: BTreeMap<u64, Vec<Hash>>,
    /// Earlier checkpoints that are proved.
    proved: Vec<Checkpoint>,
    /// What witnesses say of the checkpoints.
    cosigned: Tally,
    /// The documents that have to come next, and the leaf that names them.
    documents: VecDeque<(u64, DocumentKind, String)>,
    approvals: Approvals,
    /// Which key signed trees of which size.
    signed: Vec<(String, u64)>,
    /// What leaves say of keys.
    changes: Vec<(u64, KeyChange)>,
    latest: Timestamp,
    report: BundleReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Checkpoint,
    Earlier,
    Leaves,
    Ended,
    /// Nothing more can be made of it.
    Lost,
}

impl BundleVerifier {
    /// Before the first line.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        let mut awaited = BTreeMap::<u64, Vec<Hash>>::new();
        if let Some(previous) = &trust.previous {
            awaited.insert(previous.size, vec![previous.root]);
        }
        Self {
            trust,
            read: Writer::new(),
            stage: Stage::Header,
            header: None,
            checkpoint: None,
            next: 0,
            edge: Some(RightEdge::empty()),
            awaited,
            proved: Vec::new(),
            cosigned: Tally::default(),
            documents: VecDeque::new(),
            approvals: Approvals::default(),
            signed: Vec::new(),
            changes: Vec::new(),
            latest: Timestamp::from_millis(0),
            report: BundleReport::default(),
        }
    }

    /// Takes the next line, with its line feed.
    pub fn line(&mut self, bytes: &[u8]) -> Seen {
        self.report.lines += 1;
        if self.stage == Stage::Lost {
            return Seen::Nothing;
        }
        let line = match Line::read(bytes) {
            Ok(line) => line,
            Err(error) => {
                self.read.take(bytes);
                self.bad_line(error);
                return Seen::Nothing;
            }
        };
        if let Line::Footer(footer) = &line {
            return self.footer(&footer.note);
        }
        self.read.take(bytes);
        self.taken(line)
    }

    /// How far the leaves have been read.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Ends the bundle: what is still awaited is missing.
    #[must_use]
    pub fn finish(mut self) -> BundleReport {
        self.documents_missing();
        self.report.approvals = self.approvals.verified;
        self.report.quorums = self.approvals.quorums;
        self.report.quorums_unjudged = self.approvals.unjudged;
        self.report.cosigned = self.cosigned.cosigned(&self.trust.witnesses);
        if self.stage == Stage::Lost {
            return self.report;
        }
        if self.stage != Stage::Ended {
            self.problem(BundleProblem::Truncated);
        }
        if let (Some(checkpoint), Some(header)) = (self.checkpoint.take(), self.header.take()) {
            self.hold_root(&checkpoint);
            self.hold_previous(&checkpoint);
            self.hold_witnesses(&header);
            self.hold_keys(&header);
        }
        self.report
    }

    fn taken(&mut self, line: Line) -> Seen {
        if !matches!(line, Line::Document(_)) {
            self.documents_missing();
        }
        match (self.stage, line) {
            (Stage::Header, Line::Header(header)) => self.take_header(header),
            (Stage::Checkpoint, Line::Checkpoint { note }) => self.take_checkpoint(&note),
            (Stage::Earlier, Line::Earlier(earlier)) => self.take_earlier(&earlier),
            (Stage::Earlier | Stage::Leaves, Line::Leaf(leaf)) => self.take_leaf(&leaf),
            (Stage::Earlier | Stage::Leaves, Line::Hidden(hidden)) => self.take_hidden(&hidden),
            (Stage::Leaves, Line::Document(document)) => self.take_document(document),
            (Stage::Earlier | Stage::Leaves, Line::Proven(proven)) => {
                self.stage = Stage::Leaves;
                self.take_proven(&proven)
            }
            (Stage::Earlier | Stage::Leaves, Line::Name(name)) => {
                self.stage = Stage::Leaves;
                Seen::Name(name)
            }
            (stage, _) => {
                let line = self.report.lines;
                self.problem(BundleProblem::Place { line });
                if matches!(stage, Stage::Header | Stage::Checkpoint) {
                    self.stage = Stage::Lost;
                }
                Seen::Nothing
            }
        }
    }

    fn take_header(&mut self, header: Header) -> Seen {
        let sound = header.format == super::FORMAT
            && header.first <= header.end
            && header.end <= header.size
            && header.size <= crate::tree::MAX_SIZE;
        if !sound {
            self.problem(BundleProblem::Header);
            self.stage = Stage::Lost;
            return Seen::Nothing;
        }
        self.report.range = Some((header.first, header.end));
        self.stage = Stage::Checkpoint;
        self.header = Some(header.clone());
        Seen::Header(header)
    }

    fn take_checkpoint(&mut self, note: &str) -> Seen {
        self.stage = Stage::Earlier;
        let Some((checkpoint, key)) = self.signed_checkpoint(note) else {
            return Seen::Nothing;
        };
        let agrees = self.header.as_ref().is_some_and(|header| {
            header.origin == checkpoint.origin && header.size == checkpoint.size
        });
        if !agrees {
            self.problem(BundleProblem::HeaderCheckpoint);
        }
        self.take_cosignatures(checkpoint.size, note);
        self.report.verifier_key = Some(key);
        self.report.checkpoint = Some(checkpoint.clone());
        self.checkpoint = Some(checkpoint.clone());
        Seen::Checkpoint(checkpoint)
    }

    fn take_earlier(&mut self, earlier: &Earlier) -> Seen {
        let Some((checkpoint, _)) = self.signed_checkpoint(&earlier.note) else {
            return Seen::Nothing;
        };
        let Some(newest) = &self.checkpoint else {
            return Seen::Nothing;
        };
        let size = checkpoint.size;
        let proof = match hashes(&earlier.hashes) {
            Ok(proof) => proof,
            Err(error) => {
                self.bad_line(error);
                return Seen::Nothing;
            }
        };
        let holds = verify_consistency(size, newest.size, &checkpoint.root, &newest.root, &proof);
        if holds.is_err() || self.proved.len() >= MOST_EARLIER {
            self.problem(BundleProblem::Consistency { size });
            return Seen::Nothing;
        }
        self.take_cosignatures(size, &earlier.note);
        let roots = self.awaited.entry(size).or_default();
        roots.push(checkpoint.root);
        self.report.earlier.push(size);
        self.proved.push(checkpoint.clone());
        Seen::Checkpoint(checkpoint)
    }

    /// A checkpoint that a trusted key signed and may have, and that key.
    fn signed_checkpoint(&mut self, note: &str) -> Option<(Checkpoint, String)> {
        let verified = verify_by(note, &self.trust.keys).and_then(|(checkpoint, key)| {
            if key.may_sign(checkpoint.size) {
                return Ok((checkpoint, key.verifier_key.clone()));
            }
            Err(CheckpointError::KeyNotInForce {
                size: checkpoint.size,
                key: key.verifier_key.clone(),
            })
        });
        match verified {
            Ok((checkpoint, key)) => {
                self.signed.push((key.clone(), checkpoint.size));
                Some((checkpoint, key))
            }
            Err(error) => {
                let line = self.report.lines;
                self.problem(BundleProblem::Checkpoint { line, error });
                None
            }
        }
    }

    fn take_leaf(&mut self, line: &LeafLine) -> Seen {
        self.stage = Stage::Leaves;
        let index = line.index;
        if !self.arrive(index) {
            return Seen::Nothing;
        }
        let (first, end) = self.report.range.unwrap_or_default();
        if index < first || index >= end {
            self.problem(BundleProblem::OutOfRange { index });
        }
        self.next = index.saturating_add(1);
        if let Some(edge) = &mut self.edge {
            let _ = edge.append(&[line.hash()]);
        }
        self.meet();
        let (time, act, done) = match line.outside() {
            Ok(outside) => outside,
            Err(error) => {
                self.problem(BundleProblem::Leaf { index, error });
                return Seen::Nothing;
            }
        };
        if time < self.latest {
            self.report.clock_steps_back += 1;
        }
        self.latest = time;
        self.hold_edge(index, time);
        match line.leaf() {
            Err(error) => {
                self.bad_line(error);
                Seen::Nothing
            }
            Ok(None) => {
                self.report.redacted += 1;
                let left_out = self.header.as_ref().is_some_and(|header| {
                    header.filter.is_outside_only() && header.filter.takes_outside(time, act)
                });
                if left_out {
                    self.problem(BundleProblem::LeftOut { index });
                }
                Seen::Redacted {
                    index,
                    time,
                    act,
                    done,
                }
            }
            Ok(Some(leaf)) => match leaf.open() {
                Err(error) => {
                    self.problem(BundleProblem::Leaf { index, error });
                    Seen::Nothing
                }
                Ok(event) => self.record(index, event),
            },
        }
    }

    fn record(&mut self, index: u64, event: Event) -> Seen {
        self.report.full += 1;
        self.report.refused += u64::from(!event.done);
        let (earliest, latest) = self.report.times.unwrap_or((event.time, event.time));
        self.report.times = Some((earliest.min(event.time), latest.max(event.time)));
        self.note_keys(index, &event);
        let for_auditors = self
            .header
            .as_ref()
            .is_some_and(|header| header.filter.concerning.is_none());
        if for_auditors {
            let named = named_documents(&event).into_iter();
            self.documents
                .extend(named.map(|(kind, sha256)| (index, kind, sha256)));
        }
        self.note_approvals(index, &event);
        Seen::Record { index, event }
    }

    /// What a leaf says of approvals and of those who give them.
    fn note_approvals(&mut self, index: u64, event: &Event) {
        let Some(header) = &self.header else { return };
        let shown = Shown {
            first: header.first,
            filter: &header.filter,
        };
        if header.filter.concerning.is_none()
            && let Some(problem) = self.approvals.leaf(index, event, shown)
        {
            self.problem(BundleProblem::Approval { index, problem });
        }
    }

    /// What a leaf says of the log's keys.
    fn note_keys(&mut self, index: u64, event: &Event) {
        if event.act == Act::DomainCheckpointKey
            && event.done
            && let Some(note) = &event.detail.note
            && let Ok(change) = note.parse()
        {
            self.changes.push((index, change));
        }
    }

    fn take_hidden(&mut self, line: &Hidden) -> Seen {
        self.stage = Stage::Leaves;
        let Hidden { index, count, .. } = *line;
        if !self.arrive(index) {
            return Seen::Nothing;
        }
        let size = self.header.as_ref().map_or(0, |header| header.size);
        let end = index.saturating_add(count);
        let root = match bytes32(&line.hash) {
            Ok(root) => Hash(root),
            Err(error) => {
                self.bad_line(error);
                self.edge = None;
                self.next = end;
                return Seen::Nothing;
            }
        };
        let fits = count.is_power_of_two()
            && end <= size
            && self
                .edge
                .as_mut()
                .is_none_or(|edge| edge.append_subtree(count.trailing_zeros(), root));
        self.next = end;
        if !fits {
            self.problem(BundleProblem::Subtree { index });
            self.edge = None;
        }
        let (first, last) = self.report.range.unwrap_or_default();
        let (from, to) = (index.max(first), end.min(last));
        if from < to {
            self.report.hidden += to - from;
            let whose = self
                .header
                .as_ref()
                .and_then(|header| header.filter.concerning);
            if whose.is_none() {
                self.problem(BundleProblem::HiddenInRange { from, to: to - 1 });
            }
        }
        self.meet();
        Seen::Hidden { index, count }
    }

    /// Whether a line about this leaf may come now. A gap is told, and no root counts behind it.
    fn arrive(&mut self, index: u64) -> bool {
        if index < self.next {
            self.problem(BundleProblem::Order { index });
            return false;
        }
        if index > self.next {
            let (from, to) = (self.next, index - 1);
            self.problem(BundleProblem::Missing { from, to });
            self.edge = None;
        }
        true
    }

    fn bad_line(&mut self, error: LineError) {
        let line = self.report.lines;
        self.problem(BundleProblem::Line { line, error });
        if matches!(self.stage, Stage::Header | Stage::Checkpoint) {
            self.stage = Stage::Lost;
        }
    }

    fn problem(&mut self, problem: BundleProblem) {
        self.report.add(problem);
    }
}
