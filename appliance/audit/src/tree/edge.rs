//! The tree's right edge: all that an append needs of the tree before it.

use tlog_tiles::Hash;

use super::{NodeReader, TreeError, check_size, node_count, read_exactly};

/// The roots of the complete subtrees that a tree consists of, at most 63 hashes.
///
/// A writer loads it once and appends to it from then on, without reading a node again. It appends on a clone and keeps
/// the clone only when its transaction has committed.
#[derive(Debug, Clone, PartialEq)]
pub struct RightEdge {
    size: u64,
    /// One for each 1 in `size`, the largest (leftmost) subtree first.
    subtrees: Vec<Hash>,
}

impl RightEdge {
    /// The edge of the empty tree.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            size: 0,
            subtrees: Vec::new(),
        }
    }

    /// The edge of the tree of the first `size` leaves.
    ///
    /// # Errors
    ///
    /// When nodes cannot be read.
    pub fn load<R: NodeReader + ?Sized>(size: u64, reader: &R) -> Result<Self, TreeError> {
        check_size(size)?;
        let indexes = tlog_tiles::sub_tree_index(0, size, Vec::new());
        let subtrees = read_exactly(reader, &indexes)?;
        Ok(Self { size, subtrees })
    }

    /// Appends leaves; answers with the nodes to store for them and their indexes, in ascending order without gaps.
    #[must_use = "the nodes are to be stored"]
    pub fn append(&mut self, leaf_hashes: &[Hash]) -> Vec<(u64, Hash)> {
        let mut nodes = Vec::with_capacity(2 * leaf_hashes.len() + 64);
        let mut index = node_count(self.size);
        for leaf_hash in leaf_hashes {
            let mut node = *leaf_hash;
            nodes.push((index, node));
            index += 1;
            // The leaf completes a subtree for each 1 at the end of the size, as a carry does in addition: so many
            // subtrees there are at least.
            let whole = self.size.trailing_ones() as usize;
            for left in self.subtrees.drain(self.subtrees.len() - whole..).rev() {
                node = tlog_tiles::node_hash(left, node);
                nodes.push((index, node));
                index += 1;
            }
            self.subtrees.push(node);
            self.size += 1;
        }
        nodes
    }

    /// Appends a complete subtree of 2^`level` leaves of which only the root is known. Answers whether it fits: the tree's size has to be a multiple of
    /// its leaves, and the tree no larger than [`MAX_SIZE`](super::MAX_SIZE) with it; else nothing changes.
    #[must_use = "a subtree that does not fit was not appended"]
    pub fn append_subtree(&mut self, level: u32, root: Hash) -> bool {
        let Some(leaves) = 1_u64.checked_shl(level) else {
            return false;
        };
        let grown = self.size.checked_add(leaves);
        let fits = grown.is_some_and(|grown| grown <= super::MAX_SIZE);
        if !self.size.is_multiple_of(leaves) || !fits {
            return false;
        }
        let mut node = root;
        // As in `append`, the carry begins at this level: the subtrees of the ones above it in the size are as many.
        let whole = (self.size >> level).trailing_ones() as usize;
        for left in self.subtrees.drain(self.subtrees.len() - whole..).rev() {
            node = tlog_tiles::node_hash(left, node);
        }
        self.subtrees.push(node);
        self.size += leaves;
        true
    }

    /// The tree's root; of the empty tree, SHA-256 of the empty string.
    #[must_use]
    pub fn root(&self) -> Hash {
        let subtrees = self.subtrees.iter().rev().copied();
        subtrees
            .reduce(|right, left| tlog_tiles::node_hash(left, right))
            .unwrap_or(tlog_tiles::EMPTY_HASH)
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}
