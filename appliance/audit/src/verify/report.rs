//! What a verification found.

use tlog_tiles::Hash;

use crate::checkpoint::CheckpointError;
use crate::leaf::LeafError;

/// So many problems are listed; further ones are counted, so that a ruined log cannot fill the memory.
const LISTED: usize = 1000;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// How many leaves there are.
    pub leaves: u64,
    /// How many stored nodes are as recomputed.
    pub nodes: u64,
    /// How many checkpoints are signed by the log and have the recomputed root.
    pub checkpoints: u64,
    /// The size of the newest of them. Leaves from this index on are held by no signature yet.
    pub newest_checkpoint: Option<u64>,
    /// The root of all leaves; `None` when a leaf is missing.
    pub root: Option<Hash>,
    /// How many leaves have an earlier time than the leaf before. That is no problem in itself: clocks are set.
    pub clock_steps_back: u64,
    /// The problems, in the order they were met, the first 1000 of them.
    pub problems: Vec<Problem>,
    /// How many further problems there are.
    pub unlisted: u64,
}

impl Report {
    /// Whether there is no problem.
    ///
    /// That no checkpoint was given is no problem; whoever requires one looks at [`checkpoints`](Self::checkpoints).
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn add(&mut self, problem: Problem) {
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        } else {
            self.unlisted += 1;
        }
    }
}

/// A way in which a log is not what the appliance wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Leaves are missing. Nodes and checkpoints behind the gap cannot be verified.
    #[error("the leaves {from} to {to} are missing")]
    Gap {
        /// The first missing index.
        from: u64,
        /// The last missing index.
        to: u64,
    },
    /// A leaf came twice or after a later one.
    #[error("leaf {index} comes twice or out of order")]
    LeafOrder {
        /// The leaf's index.
        index: u64,
    },
    /// A leaf does not open: it was altered, or written by a newer appliance.
    #[error("leaf {index} is altered: {error}")]
    Leaf {
        /// The leaf's index.
        index: u64,
        /// Why it does not open.
        #[source]
        error: LeafError,
    },
    /// A stored node is not what the leaves give: it was altered, or a leaf was. Of an altered leaf, the first such node is
    /// its own leaf hash.
    #[error("the stored node {index} does not match the leaves")]
    Node {
        /// The node's index in storage order.
        index: u64,
    },
    /// Nodes that the leaves give are not stored.
    #[error("the stored nodes {from} to {to} are missing")]
    NodesMissing {
        /// The first missing index in storage order.
        from: u64,
        /// The last missing index.
        to: u64,
    },
    /// There is a stored node too many: it belongs to no leaf that has been given, or came twice or out of order.
    #[error("the stored node {index} belongs to no leaf, or comes twice or out of order")]
    NodeUnaccounted {
        /// The node's index in storage order.
        index: u64,
    },
    /// A checkpoint is not one of this log, or not signed by it.
    #[error("checkpoint number {number} does not verify: {error}")]
    Checkpoint {
        /// How many checkpoints were given before it.
        number: u64,
        /// Why it does not verify.
        #[source]
        error: CheckpointError,
    },
    /// The log has signed another history than this: a leaf below this size was altered, put in or taken out.
    #[error("the leaves do not have the root that the checkpoint at size {size} is signed over")]
    CheckpointRoot {
        /// The checkpoint's size.
        size: u64,
    },
    /// Leaves that were signed for are gone from the log's end.
    #[error("a checkpoint is signed over {size} leaves and there are only {leaves}")]
    TooShort {
        /// The checkpoint's size.
        size: u64,
        /// The number of leaves up to the last one there is.
        leaves: u64,
    },
    /// A leaf says that a key of the log began or ended, and it is not among the keys that were given with these sizes.
    #[error(
        "leaf {index} changes the log's keys, and the keys that are known do not agree with it"
    )]
    KeyChange {
        /// The leaf's index.
        index: u64,
    },
    /// A key is said to have begun or ended later than the log, and no leaf says so.
    #[error("no leaf says that the key {key} began or ended there")]
    KeyUntold {
        /// The key and its sizes.
        key: String,
    },
    /// A checkpoint lies behind a gap, or was given after the leaves had passed its size.
    #[error("the checkpoint at size {size} could not be held against the leaves")]
    CheckpointUnchecked {
        /// The checkpoint's size.
        size: u64,
    },
}
