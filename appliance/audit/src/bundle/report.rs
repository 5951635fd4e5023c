//! What the verification of a bundle found.

use serde::Serialize;
use strongroom_wire::encoding::Timestamp;

use super::line::LineError;
use super::{ApprovalProblem, DocumentKind};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::leaf::LeafError;

/// So many problems are listed; further ones are counted, so that a ruined bundle cannot fill the memory.
const LISTED: usize = 1000;

/// What the verification of a bundle found.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct BundleReport {
    /// How many lines there are.
    pub lines: u64,
    /// The checkpoint, once its signature is found to be by a trusted key.
    pub checkpoint: Option<Checkpoint>,
    /// The verifier key that signed it.
    pub verifier_key: Option<String>,
    /// The index of the range's first leaf, and one more than that of its last.
    pub range: Option<(u64, u64)>,
    /// How many leaves are shown in full.
    pub full: u64,
    /// How many of these were refused.
    pub refused: u64,
    /// How many show their envelope alone.
    pub redacted: u64,
    /// How many are hidden in the range, which only a bundle for one account has.
    pub hidden: u64,
    /// How many documents have the SHA-256 that a leaf names.
    pub documents: u64,
    /// How many approvals and rejections hold.
    pub approvals: u64,
    /// How many quorums were there where leaves say so.
    pub quorums: u64,
    /// How many cannot be judged, as the bundle does not show all that they rest on.
    pub quorums_unjudged: u64,
    /// How many leaves outside of the range are proved by themselves.
    pub proven: u64,
    /// The sizes of the earlier checkpoints of which the log is proved to be a continuation.
    pub earlier: Vec<u64>,
    /// The earliest and the latest time of a leaf that is shown in full.
    pub times: Option<(Timestamp, Timestamp)>,
    /// How many leaves have an earlier time than the leaf before. That is no problem in itself: clocks are set.
    pub clock_steps_back: u64,
    /// Everything that is wrong, in the order in which it was met, the first 1000.
    pub problems: Vec<BundleProblem>,
    /// How many further problems there are.
    pub unlisted: u64,
}

impl BundleReport {
    /// Whether the bundle is what the log signed, whole.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn add(&mut self, problem: BundleProblem) {
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        } else {
            self.unlisted += 1;
        }
    }
}

/// A way in which a bundle is not what the log signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleProblem {
    /// A line cannot be read.
    #[error("line {line}: {error}")]
    Line {
        /// Its number; the first is 1.
        line: u64,
        /// Why.
        #[source]
        error: LineError,
    },
    /// A line stands where no line of its type can.
    #[error("line {line} stands where no line of its type can stand")]
    Place {
        /// Its number.
        line: u64,
    },
    /// The header is of another format, or says sizes that cannot be.
    #[error("the header is none of a bundle of this format")]
    Header,
    /// A checkpoint is not one of this log, or not signed by a key that is trusted.
    #[error("the checkpoint in line {line} does not verify: {error}")]
    Checkpoint {
        /// Its number.
        line: u64,
        /// Why.
        #[source]
        error: CheckpointError,
    },
    /// The checkpoint is not of the size, or not of the log, that the header says.
    #[error("the header and the checkpoint are not of one log and size")]
    HeaderCheckpoint,
    /// The header does not have the key that signed, or says that it may not sign such a tree.
    #[error(
        "the checkpoint of {size} leaves is signed by the key {key}, which by the bundle may not sign trees of that size"
    )]
    KeyNotInForce {
        /// The verifier key.
        key: String,
        /// The size.
        size: u64,
    },
    /// The log has not only grown since an earlier checkpoint.
    #[error("that the log only grew since its checkpoint of {size} leaves is not proved")]
    Consistency {
        /// The earlier size.
        size: u64,
    },
    /// Two checkpoints of one size, both rightly signed, have different roots: the appliance has told two histories.
    #[error("the log is forked: there are two signed histories of its first {size} leaves")]
    Forked {
        /// The size.
        size: u64,
    },
    /// The bundle does not say how it continues the earlier one that it is to be held against.
    #[error("that this log continues the one of {size} leaves that is known is not proved")]
    Unconnected {
        /// The known size.
        size: u64,
    },
    /// The bundle is of a shorter log than the one that is known.
    #[error("the log has {size} leaves and had {known}: it was cut, or the bundle is older")]
    Shorter {
        /// The bundle's size.
        size: u64,
        /// The known size.
        known: u64,
    },
    /// Leaves are missing.
    #[error("the leaves {from} to {to} are missing")]
    Missing {
        /// The first missing index.
        from: u64,
        /// The last missing index.
        to: u64,
    },
    /// A leaf comes twice or out of order.
    #[error("leaf {index} comes twice or out of order")]
    Order {
        /// Its index.
        index: u64,
    },
    /// Hidden leaves are no complete subtree at their place.
    #[error("what hides leaf {index} and those after it is no subtree of the log")]
    Subtree {
        /// The index of the first of them.
        index: u64,
    },
    /// A leaf does not open, or its envelope is none.
    #[error("leaf {index}: {error}")]
    Leaf {
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        error: LeafError,
    },
    /// The leaves are not those that were signed: one was altered, put in, taken out or moved.
    #[error("the leaves do not have the root that the checkpoint of {size} leaves is signed over")]
    Root {
        /// The checkpoint's size.
        size: u64,
    },
    /// A leaf that the bundle has to show in full is redacted.
    #[error("leaf {index} belongs to what was asked for and is not shown in full")]
    LeftOut {
        /// Its index.
        index: u64,
    },
    /// A leaf of the range is hidden in a bundle that is not for one account alone.
    #[error("the leaves {from} to {to} are in the range and hidden")]
    HiddenInRange {
        /// The index of the first hidden leaf in the range.
        from: u64,
        /// The index of the last.
        to: u64,
    },
    /// A leaf outside of the range is shown.
    #[error("leaf {index} is outside of the range")]
    OutOfRange {
        /// Its index.
        index: u64,
    },
    /// The range does not reach beyond the period that was asked for, so that leaves of the period may be outside of it.
    #[error(
        "leaf {index}, at the range's edge, is within the period: leaves of the period may have been left out"
    )]
    Edge {
        /// Its index.
        index: u64,
    },
    /// A leaf names a document that does not come after it.
    #[error("the {kind} {sha256} that leaf {index} names is missing")]
    DocumentMissing {
        /// The leaf's index.
        index: u64,
        /// The document's kind.
        kind: DocumentKind,
        /// Its SHA-256.
        sha256: String,
    },
    /// A document is not the one that the leaf before names.
    #[error("the document in line {line} is not what a leaf before it names")]
    DocumentAltered {
        /// The line's number.
        line: u64,
    },
    /// An approval counts for nothing, or a quorum was not there.
    #[error("the approval in leaf {index} does not hold: {problem}")]
    Approval {
        /// The leaf's index.
        index: u64,
        /// Why.
        problem: ApprovalProblem,
    },
    /// A leaf that is to be proved by itself is not.
    #[error("leaf {index} is not proved to be in the log")]
    NotProven {
        /// Its index.
        index: u64,
    },
    /// The bundle has no footer: it was cut.
    #[error("the bundle ends without its footer: it was cut")]
    Truncated,
    /// No trusted key has signed the footer.
    #[error("the footer is not signed by a key that is trusted")]
    FooterSignature,
    /// The footer is signed over other lines than these.
    #[error("the footer is signed over other lines than these: the bundle was altered")]
    Altered,
}

/// As a sentence, which is how reports carry it.
impl Serialize for BundleProblem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
