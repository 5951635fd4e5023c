//! Known trees, two other implementations, and properties.

#![expect(clippy::unwrap_used, reason = "tests")]

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2_next::Sha256;

use super::*;

/// Stored nodes in memory, in storage order.
#[derive(Default)]
struct Nodes(Vec<Hash>);

impl Nodes {
    fn store(&mut self, nodes: &[(u64, Hash)]) {
        for (index, node) in nodes {
            assert_eq!(*index, self.0.len() as u64, "indexes without gaps");
            self.0.push(*node);
        }
    }
}

impl NodeReader for Nodes {
    fn read_nodes(&self, indexes: &[u64]) -> Result<Vec<Hash>, NodeReadError> {
        let node = |index: &u64| usize::try_from(*index).ok().and_then(|at| self.0.get(at));
        let nodes: Option<Vec<Hash>> = indexes.iter().map(|at| node(at).copied()).collect();
        nodes.ok_or_else(|| NodeReadError::new("no such node"))
    }
}

fn hash(text: &str) -> Hash {
    Hash(hex::decode(text).unwrap().try_into().unwrap())
}

fn leaf_hashes(count: usize) -> Vec<Hash> {
    (0..count)
        .map(|n| tlog_tiles::record_hash(&n.to_be_bytes()))
        .collect()
}

/// The tree of `count` leaves, made one leaf at a time by the library.
fn one_by_one(leaf_hashes: &[Hash]) -> Nodes {
    let mut nodes = Nodes::default();
    for (index, leaf_hash) in leaf_hashes.iter().enumerate() {
        let new = reading(&nodes, |reader| {
            tlog_tiles::stored_hashes_for_record_hash(index as u64, *leaf_hash, reader)
        });
        nodes.0.extend(new.unwrap());
    }
    nodes
}

/// The leaves and roots of the tests of the certificate-transparency project.
const KNOWN: [(&str, &str); 8] = [
    (
        "",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    ),
    (
        "00",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    ),
    (
        "10",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    ),
    (
        "2021",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (
        "3031",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    ),
    (
        "40414243",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    ),
    (
        "5051525354555657",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    ),
    (
        "606162636465666768696a6b6c6d6e6f",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ),
];

fn known() -> (Vec<Hash>, Nodes) {
    let leaf_hashes: Vec<Hash> = KNOWN
        .iter()
        .map(|(leaf, _)| tlog_tiles::record_hash(&hex::decode(leaf).unwrap()))
        .collect();
    let mut nodes = Nodes::default();
    nodes.store(&append(0, &leaf_hashes, &Nodes::default()).unwrap());
    (leaf_hashes, nodes)
}

#[test]
fn known_roots() {
    let (_, nodes) = known();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(root(0, &nodes).unwrap(), hash(empty));
    for (size, (_, expected)) in (1..).zip(KNOWN) {
        assert_eq!(root(size, &nodes).unwrap(), hash(expected), "size {size}");
    }
}

#[test]
fn known_proofs() {
    let (leaf_hashes, nodes) = known();
    for (size, index, path) in [
        (1, 0, &[][..]),
        (
            8,
            0,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            8,
            5,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            3,
            2,
            &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
        ),
        (
            5,
            1,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ] {
        let path: Vec<Hash> = path.iter().map(|node| hash(node)).collect();
        assert_eq!(prove_inclusion(size, index, &nodes).unwrap(), path);
        let leaf_hash = &leaf_hashes[usize::try_from(index).unwrap()];
        let root = root(size, &nodes).unwrap();
        verify_inclusion(size, index, leaf_hash, &path, &root).unwrap();
    }
    for (old, new, path) in [
        (1, 1, &[][..]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ] {
        let path: Vec<Hash> = path.iter().map(|node| hash(node)).collect();
        assert_eq!(prove_consistency(old, new, &nodes).unwrap(), path);
        let (old_root, new_root) = (root(old, &nodes).unwrap(), root(new, &nodes).unwrap());
        verify_consistency(old, new, &old_root, &new_root, &path).unwrap();
    }
}

/// Every tree up to 70 leaves, every proof in it, checked by this crate and by `ct-merkle`.
#[test]
fn all_proofs_hold_and_none_holds_for_anything_else() {
    use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};

    let count = 70_usize;
    let leaf_hashes = leaf_hashes(count);
    let nodes = one_by_one(&leaf_hashes);
    let roots: Vec<Hash> = (0..=count as u64)
        .map(|size| root(size, &nodes).unwrap())
        .collect();
    let theirs = |size: usize| RootHash::<Sha256>::new(roots[size].0.into(), size as u64);
    let joined = |proof: &[Hash]| proof.iter().flat_map(|node| node.0).collect::<Vec<u8>>();

    let mut tree = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for size in 1..=count {
        tree.push((size - 1).to_be_bytes());
        assert_eq!(tree.root().as_bytes().as_slice(), roots[size].0, "{size}");
        let long = size as u64;

        for index in 0..size {
            let at = index as u64;
            let proof = prove_inclusion(long, at, &nodes).unwrap();
            let holds = |long, at, leaf_hash, proof: &[Hash], root| {
                verify_inclusion(long, at, leaf_hash, proof, root).is_ok()
            };
            let (leaf_hash, root) = (&leaf_hashes[index], &roots[size]);
            assert!(holds(long, at, leaf_hash, &proof, root));
            let second = InclusionProof::<Sha256>::try_from_bytes(joined(&proof)).unwrap();
            theirs(size)
                .verify_inclusion(&index.to_be_bytes(), at, &second)
                .unwrap();

            let other = &leaf_hashes[(index + 1) % count];
            assert!(!holds(long, at, other, &proof, root));
            assert!(!holds(long, at, leaf_hash, &proof, &roots[size - 1]));
            assert!(size == 1 || !holds(long, (at + 1) % long, leaf_hash, &proof, root));
            let longer = [&proof[..], &[*root]].concat();
            assert!(!holds(long, at, leaf_hash, &longer, root));
            if let Some((_, shorter)) = proof.split_last() {
                assert!(!holds(long, at, leaf_hash, shorter, root));
            }
        }

        for old in 0..=size {
            let proof = prove_consistency(old as u64, long, &nodes).unwrap();
            let holds = |old_root, new_root, proof: &[Hash]| {
                verify_consistency(old as u64, long, old_root, new_root, proof).is_ok()
            };
            assert!(holds(&roots[old], &roots[size], &proof));
            if old > 0 && old < size {
                let second = ConsistencyProof::<Sha256>::try_from_bytes(joined(&proof)).unwrap();
                theirs(size)
                    .verify_consistency(&theirs(old), &second)
                    .unwrap();
            }

            let other = Hash([0; 32]);
            assert!(!holds(&other, &roots[size], &proof));
            // Every tree begins with the empty tree, whatever its root.
            assert_eq!(holds(&roots[old], &other, &proof), old == 0);
            let longer = [&proof[..], &[other]].concat();
            assert!(!holds(&roots[old], &roots[size], &longer));
        }
    }
}

#[test]
fn impossible_sizes_are_errors() {
    let (leaf_hashes, nodes) = known();
    let some = Hash([0; 32]);
    assert!(matches!(
        prove_inclusion(8, 8, &nodes),
        Err(TreeError::Index { index: 8, size: 8 })
    ));
    assert!(matches!(
        prove_consistency(8, 7, &nodes),
        Err(TreeError::Order { old: 8, new: 7 })
    ));
    for size in [MAX_SIZE + 1, u64::MAX] {
        assert!(matches!(root(size, &nodes), Err(TreeError::Size(_))));
        let too_large = append(size, &leaf_hashes, &nodes);
        assert!(matches!(too_large, Err(TreeError::Size(_))));
        let proved = verify_inclusion(size, 0, &some, &[], &some);
        assert_eq!(proved, Err(ProofError::Sizes));
        let proved = verify_consistency(1, size, &some, &some, &[]);
        assert_eq!(proved, Err(ProofError::Sizes));
    }
    let proved = verify_inclusion(8, 8, &some, &[], &some);
    assert_eq!(proved, Err(ProofError::Sizes));
    let proved = verify_inclusion(MAX_SIZE, MAX_SIZE - 1, &some, &[some; 65], &some);
    assert_eq!(proved, Err(ProofError::Mismatch));
}

#[test]
fn what_the_reader_says_is_passed_on() {
    struct Short;
    impl NodeReader for Short {
        fn read_nodes(&self, _: &[u64]) -> Result<Vec<Hash>, NodeReadError> {
            Ok(vec![Hash([0; 32])])
        }
    }

    let nowhere: &dyn NodeReader = &Nodes::default();
    assert!(matches!(root(7, nowhere), Err(TreeError::Read(_))));
    let failed = prove_inclusion(7, 3, nowhere).unwrap_err();
    let TreeError::Read(error) = &failed else {
        unreachable!("{failed}");
    };
    assert_eq!(error.source().unwrap().to_string(), "no such node");
    for failed in [
        root(7, &Short).unwrap_err(),
        prove_inclusion(8, 0, &Short).unwrap_err(),
    ] {
        let counted = matches!(
            failed,
            TreeError::NodeCount {
                asked: 3,
                answered: 1
            }
        );
        assert!(counted, "{failed}");
    }
}

#[test]
fn nodes_of_a_leaf_follow_those_of_the_leaf_before() {
    let (_, nodes) = known();
    assert_eq!(node_count(8), nodes.0.len() as u64);
    assert_eq!(nodes_of(0), 0..1);
    assert_eq!(nodes_of(1), 1..3);
    assert_eq!(nodes_of(7), 11..15);
    for index in 0..1000 {
        assert_eq!(
            nodes_of(index).start,
            tlog_tiles::stored_hash_index(0, index)
        );
        assert_eq!(nodes_of(index).end, nodes_of(index + 1).start);
    }
}

proptest! {
    #[test]
    fn batches_append_as_single_leaves_do(batches in prop::collection::vec(0_usize..40, 0..12)) {
        let leaf_hashes = leaf_hashes(batches.iter().sum());
        let expected = one_by_one(&leaf_hashes);

        let mut edge = RightEdge::empty();
        let mut nodes = Nodes::default();
        let mut size = 0;
        for batch in batches {
            let batch = &leaf_hashes[size..size + batch];
            let new = append(size as u64, batch, &nodes).unwrap();
            // A transaction that is rolled back leaves no trace in the edge.
            let mut copy = edge.clone();
            prop_assert_eq!(&copy.append(batch), &new);
            prop_assert!(batch.is_empty() || copy != edge);
            edge = copy;
            nodes.store(&new);
            size += batch.len();

            prop_assert_eq!(edge.size(), size as u64);
            prop_assert_eq!(edge.root(), root(size as u64, &nodes).unwrap());
            let library = reading(&nodes, |reader| tlog_tiles::tree_hash(size as u64, reader));
            prop_assert_eq!(edge.root(), library.unwrap());
            prop_assert_eq!(&edge, &RightEdge::load(size as u64, &nodes).unwrap());
        }
        prop_assert_eq!(nodes.0, expected.0);
    }
}

#[test]
fn a_range_is_covered_by_subtrees_whose_roots_are_stored() {
    let leaves: Vec<Hash> = (0..70_u8)
        .map(|leaf| tlog_tiles::record_hash(&[leaf]))
        .collect();
    let mut whole = RightEdge::empty();
    let nodes = whole.append(&leaves);
    for first in 0..=70_usize {
        for end in first..=70 {
            let mut edge = RightEdge::empty();
            let range = first as u64..end as u64;
            for part in [0..range.start, range.end..70] {
                if part.start == range.end {
                    let _ = edge.append(&leaves[first..end]);
                }
                let mut at = part.start;
                for subtree in subtrees(part.clone()) {
                    assert_eq!(subtree.index, at);
                    at += subtree.count();
                    let node = nodes[usize::try_from(subtree.node()).unwrap()];
                    assert_eq!(node.0, subtree.node());
                    assert!(edge.append_subtree(subtree.level.into(), node.1));
                }
                assert_eq!(at, part.end);
            }
            assert_eq!(edge.root(), whole.root(), "{range:?}");
            assert_eq!(edge, whole);
        }
    }
}

#[test]
fn a_subtree_that_does_not_fit_changes_nothing() {
    let mut edge = RightEdge::empty();
    let _ = edge.append(&[Hash([1; 32])]);
    let before = edge.clone();
    assert!(!edge.append_subtree(1, Hash([2; 32])));
    assert!(!edge.append_subtree(63, Hash([2; 32])));
    assert!(!edge.append_subtree(64, Hash([2; 32])));
    assert_eq!(edge, before);
    assert!(edge.append_subtree(0, Hash([2; 32])));
    assert!(!RightEdge::empty().append_subtree(63, Hash([2; 32])));
    assert!(RightEdge::empty().append_subtree(62, Hash([2; 32])));
}
