//! The Merkle tree over the leaves (RFC 6962 section 2.1): which nodes an append stores, roots and proofs.
//!
//! Nodes are stored in the order of [`tlog_tiles::stored_hash_index`]: each leaf hash is followed by the inner nodes that it
//! completes, so that the stored nodes of a tree are a prefix of those of every later tree and no stored node ever changes.

mod edge;

use std::cell::RefCell;
use std::error::Error;
use std::ops::Range;

use tlog_tiles::{Hash, HashReader};

pub use edge::RightEdge;

/// The largest tree: its node indexes still fit into 63 bits, which is what a SQL integer holds.
pub const MAX_SIZE: u64 = 1 << 62;

/// Reads stored nodes.
pub trait NodeReader {
    /// The nodes with these indexes, in the order asked for.
    ///
    /// # Errors
    ///
    /// When a node is not there or the store cannot be read.
    fn read_nodes(&self, indexes: &[u64]) -> Result<Vec<Hash>, NodeReadError>;
}

/// Stored nodes could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the audit tree's nodes could not be read")]
pub struct NodeReadError(#[source] Box<dyn Error + Send + Sync>);

impl NodeReadError {
    /// With what the store said.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Why nothing could be computed from stored nodes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The [`NodeReader`] failed.
    #[error(transparent)]
    Read(#[from] NodeReadError),
    /// The [`NodeReader`] answered with more or fewer nodes than it was asked for.
    #[error("{asked} nodes of the audit tree were asked for and {answered} came")]
    NodeCount {
        /// How many indexes were asked for.
        asked: usize,
        /// How many nodes came.
        answered: usize,
    },
    /// The tree would be larger than [`MAX_SIZE`].
    #[error("an audit tree of {0} leaves is larger than can be stored")]
    Size(u64),
    /// The leaf is not in the tree.
    #[error("leaf {index} is not in an audit tree of {size} leaves")]
    Index {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The tree that should be the older is the larger.
    #[error("an audit tree of {old} leaves is no beginning of one of {new} leaves")]
    Order {
        /// The older tree's size.
        old: u64,
        /// The newer tree's size.
        new: u64,
    },
    /// The Merkle tree library refused for another reason. Not known to happen.
    #[error("the audit tree could not be computed")]
    Library(#[source] tlog_tiles::Error),
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The sizes and the index cannot belong to a proof, whatever its hashes are.
    #[error("the proof is for a tree that cannot be")]
    Sizes,
    /// The hashes do not lead to the root, or there are too many or too few of them.
    #[error("the proof does not lead to the tree's root")]
    Mismatch,
}

/// The nodes to store for `leaf_hashes` appended to a tree of `size` leaves, leaf hashes and inner nodes, with their indexes
/// in ascending order. Nodes of the tree before are read from `reader`, those of the batch are not.
///
/// Who appends again and again keeps a [`RightEdge`] and reads nothing.
///
/// # Errors
///
/// When nodes cannot be read or the tree would be too large.
pub fn append<R: NodeReader + ?Sized>(
    size: u64,
    leaf_hashes: &[Hash],
    reader: &R,
) -> Result<Vec<(u64, Hash)>, TreeError> {
    let grown = size.saturating_add(leaf_hashes.len() as u64);
    check_size(grown)?;
    Ok(RightEdge::load(size, reader)?.append(leaf_hashes))
}

/// The root of the tree of the first `size` leaves; of an empty tree, SHA-256 of the empty string.
///
/// # Errors
///
/// When nodes cannot be read.
pub fn root<R: NodeReader + ?Sized>(size: u64, reader: &R) -> Result<Hash, TreeError> {
    Ok(RightEdge::load(size, reader)?.root())
}

/// The proof that leaf `index` is in the tree of the first `size` leaves (RFC 9162 section 2.1.3.1).
///
/// # Errors
///
/// When the leaf is not in that tree or nodes cannot be read.
pub fn prove_inclusion<R: NodeReader + ?Sized>(
    size: u64,
    index: u64,
    reader: &R,
) -> Result<Vec<Hash>, TreeError> {
    check_size(size)?;
    if index >= size {
        return Err(TreeError::Index { index, size });
    }
    reading(reader, |nodes| tlog_tiles::prove_record(size, index, nodes))
}

/// Checks that the leaf with this hash is leaf `index` of the tree with this root (RFC 9162 section 2.1.3.2).
///
/// # Errors
///
/// When it is not proved.
pub fn verify_inclusion(
    size: u64,
    index: u64,
    leaf_hash: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if size > MAX_SIZE || index >= size {
        return Err(ProofError::Sizes);
    }
    let proof = bounded(proof)?;
    tlog_tiles::check_record(&proof, size, *root, index, *leaf_hash)
        .map_err(|_| ProofError::Mismatch)
}

/// The proof that the tree of the first `new` leaves begins with the tree of the first `old` leaves (RFC 9162 section
/// 2.1.4.1). It is empty for an `old` of 0 or equal to `new`.
///
/// # Errors
///
/// When `old` is the larger or nodes cannot be read.
pub fn prove_consistency<R: NodeReader + ?Sized>(
    old: u64,
    new: u64,
    reader: &R,
) -> Result<Vec<Hash>, TreeError> {
    check_size(new)?;
    if old > new {
        return Err(TreeError::Order { old, new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    reading(reader, |nodes| tlog_tiles::prove_tree(new, old, nodes))
}

/// Checks that the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162 section 2.1.4.2).
///
/// # Errors
///
/// When it is not proved.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if new > MAX_SIZE || old > new {
        return Err(ProofError::Sizes);
    }
    let proof = bounded(proof)?;
    if old == 0 {
        // Every tree begins with the empty one; of a tree of no leaves there is one root.
        let fits = proof.is_empty()
            && *old_root == tlog_tiles::EMPTY_HASH
            && (new > 0 || new_root == old_root);
        return if fits {
            Ok(())
        } else {
            Err(ProofError::Mismatch)
        };
    }
    tlog_tiles::check_tree(&proof, new, *new_root, old, *old_root).map_err(|_| ProofError::Mismatch)
}

/// How many nodes are stored for a tree of `size` leaves (at most [`MAX_SIZE`]): their indexes are those below this number.
#[must_use]
pub fn node_count(size: u64) -> u64 {
    tlog_tiles::stored_hash_count(size)
}

/// The indexes of the nodes that are stored with leaf `index` (below [`MAX_SIZE`]): first its leaf hash, then the inner nodes
/// that it completes.
#[must_use]
pub fn nodes_of(index: u64) -> Range<u64> {
    node_count(index)..node_count(index + 1)
}

/// A complete subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree {
    /// The index of its first leaf: a multiple of its number of leaves.
    pub index: u64,
    /// It has 2^level leaves.
    pub level: u8,
}

impl Subtree {
    /// How many leaves it has.
    #[must_use]
    pub const fn count(self) -> u64 {
        1 << self.level
    }

    /// The index of its root among the stored nodes.
    #[must_use]
    pub fn node(self) -> u64 {
        tlog_tiles::stored_hash_index(self.level, self.index >> self.level)
    }
}

/// The largest complete subtrees that cover these leaves, in order: at each place, the largest that begins there and does not reach beyond the end. Each is
/// complete in every tree that has all the leaves. They are at most 2 for each level, 124 in all.
#[must_use]
pub fn subtrees(leaves: Range<u64>) -> Vec<Subtree> {
    let mut found = Vec::new();
    let mut index = leaves.start;
    while index < leaves.end {
        let fits = (leaves.end - index).ilog2();
        // At most 63.
        let level = u8::try_from(index.trailing_zeros().min(fits)).unwrap_or_default();
        let subtree = Subtree { index, level };
        index += subtree.count();
        found.push(subtree);
    }
    found
}

fn check_size(size: u64) -> Result<(), TreeError> {
    if size > MAX_SIZE {
        return Err(TreeError::Size(size));
    }
    Ok(())
}

/// A proof as the library takes it. No proof has more hashes than a tree has levels on both sides.
fn bounded(proof: &[Hash]) -> Result<Vec<Hash>, ProofError> {
    if proof.len() > 64 {
        return Err(ProofError::Mismatch);
    }
    Ok(proof.to_vec())
}

/// Runs a computation of the library on `reader`, which fails in its own way: the library's error type cannot carry that.
fn reading<R: NodeReader + ?Sized, T>(
    reader: &R,
    compute: impl FnOnce(&LibraryReader<'_, R>) -> Result<T, tlog_tiles::Error>,
) -> Result<T, TreeError> {
    let reader = LibraryReader {
        reader,
        failure: RefCell::new(None),
    };
    compute(&reader).map_err(|error| {
        let failure = reader.failure.take();
        failure.unwrap_or(TreeError::Library(error))
    })
}

struct LibraryReader<'a, R: ?Sized> {
    reader: &'a R,
    failure: RefCell<Option<TreeError>>,
}

impl<R: NodeReader + ?Sized> HashReader for LibraryReader<'_, R> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        read_exactly(self.reader, indexes).map_err(|error| {
            self.failure.replace(Some(error));
            tlog_tiles::Error::IndexesNotInTree
        })
    }
}

/// The nodes with these indexes. The library panics when their number is wrong: here that is an error.
fn read_exactly<R: NodeReader + ?Sized>(
    reader: &R,
    indexes: &[u64],
) -> Result<Vec<Hash>, TreeError> {
    if indexes.is_empty() {
        return Ok(Vec::new());
    }
    let nodes = reader.read_nodes(indexes)?;
    if nodes.len() != indexes.len() {
        return Err(TreeError::NodeCount {
            asked: indexes.len(),
            answered: nodes.len(),
        });
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests;
