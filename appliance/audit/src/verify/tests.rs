//! A sound log passes; each kind of tampering is found and named.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;

use ed25519_dalek::{Signer, SigningKey};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use super::*;
use crate::event::{Detail, Event};
use crate::leaf::LeafError;
use crate::tree::{node_count, nodes_of};

const ORIGIN: &str = "strongroom.example/default";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn sealed(index: u64, salt: u8) -> Leaf {
    let event = Event {
        time: Timestamp::from_millis(1_795_802_400_000 + index),
        act: Act::KeyCreate,
        done: !index.is_multiple_of(3),
        detail: Detail {
            actor: Some(AccountId::from_bytes([7; 16])),
            note: Some(format!("leaf {index}")),
            ..Detail::default()
        },
    };
    Leaf::seal(&event, [salt; 32])
}

fn signed(key: &SigningKey, size: u64, root: &Hash) -> String {
    let public = key.verifying_key().to_bytes();
    checkpoint::sign(ORIGIN, size, root, &[public], |text| {
        Ok::<_, Infallible>(key.sign(text).to_bytes())
    })
    .unwrap()
}

/// A log as it is stored.
#[derive(Clone)]
struct Log {
    leaves: Vec<(u64, Leaf)>,
    nodes: Vec<(u64, Hash)>,
    checkpoints: Vec<String>,
}

impl Log {
    /// So many leaves, and checkpoints at each of the sizes.
    fn new(size: u64, checkpoints: &[u64]) -> Self {
        let mut log = Self {
            leaves: (0..size).map(|at| (at, sealed(at, 1))).collect(),
            nodes: Vec::new(),
            checkpoints: Vec::new(),
        };
        let mut edge = RightEdge::empty();
        for at in 0..=size {
            if checkpoints.contains(&at) {
                log.checkpoints.push(signed(&key(), at, &edge.root()));
            }
            if let Some((_, leaf)) = log.leaves.get(usize::try_from(at).unwrap()) {
                log.nodes.extend(edge.append(&[leaf.hash()]));
            }
        }
        log
    }

    /// The checkpoints first, then each leaf followed by the nodes up to those that it completes.
    fn verify(&self) -> Report {
        let mut verifier = verifier();
        for note in &self.checkpoints {
            verifier.checkpoint(note);
        }
        let mut nodes = self.nodes.iter().peekable();
        for (index, leaf) in &self.leaves {
            verifier.leaf(*index, leaf);
            while let Some((index, node)) = nodes.next_if(|node| node.0 < nodes_of(*index).end) {
                verifier.node(*index, node);
            }
        }
        for (index, node) in nodes {
            verifier.node(*index, node);
        }
        verifier.finish()
    }

    fn problems(&self) -> Vec<Problem> {
        self.verify().problems
    }
}

fn verifier() -> Verifier {
    let verifier_key = checkpoint::verifier_key(ORIGIN, key().verifying_key().as_bytes());
    Verifier::new(&verifier_key, ORIGIN).unwrap()
}

#[test]
fn a_sound_log_passes() {
    let log = Log::new(100, &[0, 1, 7, 64, 99]);
    let report = log.verify();
    assert_eq!(report.problems, []);
    assert!(report.passed());
    assert_eq!(report.leaves, 100);
    assert_eq!(report.nodes, node_count(100));
    assert_eq!(report.checkpoints, 5);
    assert_eq!(report.newest_checkpoint, Some(99));
    assert_eq!(report.clock_steps_back, 0);
    let mut edge = RightEdge::empty();
    let _ = edge.append(
        &log.leaves
            .iter()
            .map(|leaf| leaf.1.hash())
            .collect::<Vec<_>>(),
    );
    assert_eq!(report.root, Some(edge.root()));
}

#[test]
fn an_empty_log_passes() {
    let report = Log::new(0, &[0]).verify();
    assert_eq!(report.problems, []);
    assert_eq!((report.leaves, report.checkpoints), (0, 1));
    assert_eq!(report.root, Some(tlog_tiles::EMPTY_HASH));
}

#[test]
fn leaves_may_run_ahead_and_checkpoints_come_between() {
    let log = Log::new(50, &[10, 30, 50]);
    let mut verifier = verifier();
    let mut nodes = log.nodes.iter();
    for page in log.leaves.chunks(20) {
        for (index, leaf) in page {
            verifier.leaf(*index, leaf);
            let size = index + 1;
            if let Some(at) = [10, 30, 50].iter().position(|known| *known == size) {
                verifier.checkpoint(&log.checkpoints[at]);
            }
        }
        let (last, _) = page.last().unwrap();
        for (index, node) in nodes
            .by_ref()
            .take_while(|node| node.0 + 1 < nodes_of(*last).end)
        {
            verifier.node(*index, node);
        }
        // The node that ended the take.
        let end = nodes_of(*last).end - 1;
        verifier.node(end, &log.nodes[usize::try_from(end).unwrap()].1);
    }
    let report = verifier.finish();
    assert_eq!(report.problems, []);
    assert_eq!((report.nodes, report.checkpoints), (node_count(50), 3));
}

#[test]
fn an_export_has_no_nodes() {
    let log = Log::new(20, &[20]);
    let mut verifier = verifier().without_nodes();
    verifier.checkpoint(&log.checkpoints[0]);
    for (index, leaf) in &log.leaves {
        verifier.leaf(*index, leaf);
    }
    let report = verifier.finish();
    assert_eq!(report.problems, []);
    assert_eq!((report.nodes, report.checkpoints), (0, 1));
}

#[test]
fn each_altered_part_of_a_leaf_is_found() {
    let log = Log::new(20, &[10, 15]);

    let mut detail = log.clone();
    detail.leaves[5].1.detail[3] ^= 1;
    let commitment = [Problem::Leaf {
        index: 5,
        error: LeafError::Commitment,
    }];
    assert_eq!(detail.problems(), commitment);

    let mut salt = log.clone();
    salt.leaves[5].1.salt[31] ^= 1;
    assert_eq!(salt.problems(), commitment);

    // A refused act made one that was done: `false` is 0xf4, `true` 0xf5.
    let mut envelope = log.clone();
    let at = envelope.leaves[6].1.envelope.len() - 35;
    assert_eq!(envelope.leaves[6].1.envelope[at], 0xf4);
    envelope.leaves[6].1.envelope[at] = 0xf5;
    let problems = envelope.problems();
    assert_eq!(
        problems[0],
        Problem::Node {
            index: nodes_of(6).start
        }
    );
    assert!(problems.contains(&Problem::CheckpointRoot { size: 10 }));
    assert!(problems.contains(&Problem::CheckpointRoot { size: 15 }));

    let mut encoding = log;
    let leaf = &mut encoding.leaves[7].1;
    // The version in two bytes.
    leaf.envelope.splice(1..2, [0x18, 0x01]);
    let spelling = Problem::Leaf {
        index: 7,
        error: LeafError::Encoding,
    };
    assert_eq!(encoding.problems()[0], spelling);
}

/// Whoever replaces a leaf and all nodes above it meets the checkpoints.
#[test]
fn a_rewritten_history_is_found_by_the_checkpoints() {
    let log = Log::new(20, &[4, 10, 20]);
    let mut rewritten = log.clone();
    rewritten.leaves[6].1 = sealed(6, 99);
    let mut edge = RightEdge::empty();
    let hashes: Vec<Hash> = rewritten.leaves.iter().map(|leaf| leaf.1.hash()).collect();
    rewritten.nodes = edge.append(&hashes);
    let report = rewritten.verify();
    let expected = [10, 20].map(|size| Problem::CheckpointRoot { size });
    assert_eq!(report.problems, expected);
    assert_eq!((report.checkpoints, report.newest_checkpoint), (1, Some(4)));

    // Swapped leaves are altered ones.
    let mut swapped = log;
    let (one, other) = (swapped.leaves[2].1.clone(), swapped.leaves[3].1.clone());
    (swapped.leaves[2].1, swapped.leaves[3].1) = (other, one);
    let problems = swapped.problems();
    assert!(problems.contains(&Problem::Node {
        index: nodes_of(2).start
    }));
    assert!(problems.contains(&Problem::CheckpointRoot { size: 4 }));
}

#[test]
fn missing_and_repeated_leaves_are_found() {
    let log = Log::new(20, &[5, 10, 20]);

    let mut gap = log.clone();
    gap.leaves.drain(7..9);
    let report = gap.verify();
    assert_eq!(
        report.problems,
        [
            Problem::Gap { from: 7, to: 8 },
            Problem::CheckpointUnchecked { size: 10 },
            Problem::CheckpointUnchecked { size: 20 },
        ]
    );
    assert_eq!((report.leaves, report.checkpoints), (18, 1));
    assert_eq!(report.root, None);

    // Behind the gap leaves are still opened.
    gap.leaves[12].1.salt[0] ^= 1;
    let (index, error) = (gap.leaves[12].0, LeafError::Commitment);
    assert!(gap.problems().contains(&Problem::Leaf { index, error }));

    let mut repeated = log.clone();
    repeated.leaves.insert(8, repeated.leaves[3].clone());
    assert_eq!(repeated.problems(), [Problem::LeafOrder { index: 3 }]);

    let mut first = log;
    first.leaves.remove(0);
    assert_eq!(first.problems()[0], Problem::Gap { from: 0, to: 0 });
}

#[test]
fn a_shortened_log_is_found() {
    let mut log = Log::new(20, &[10, 20]);
    log.leaves.truncate(15);
    log.nodes.truncate(usize::try_from(node_count(15)).unwrap());
    let short = Problem::TooShort {
        size: 20,
        leaves: 15,
    };
    assert_eq!(log.problems(), [short]);

    // With its nodes left behind.
    let mut log = Log::new(3, &[3]);
    log.leaves.truncate(2);
    assert_eq!(
        log.problems(),
        [
            Problem::NodeUnaccounted { index: 3 },
            Problem::TooShort { size: 3, leaves: 2 },
        ]
    );
}

#[test]
fn each_altered_node_is_found() {
    let log = Log::new(20, &[20]);
    for at in 0..log.nodes.len() {
        let index = at as u64;
        let mut altered = log.clone();
        altered.nodes[at].1.0[0] ^= 1;
        assert_eq!(altered.problems(), [Problem::Node { index }]);

        let mut missing = log.clone();
        missing.nodes.remove(at);
        let (from, to) = (index, index);
        assert_eq!(missing.problems(), [Problem::NodesMissing { from, to }]);

        let mut twice = log.clone();
        twice.nodes.insert(at + 1, twice.nodes[at]);
        assert_eq!(twice.problems(), [Problem::NodeUnaccounted { index }]);
    }
    let mut none = log;
    none.nodes.clear();
    let (from, to) = (0, node_count(20) - 1);
    assert_eq!(none.problems(), [Problem::NodesMissing { from, to }]);
}

#[test]
fn bad_checkpoints_are_found() {
    let log = Log::new(20, &[10]);
    let root = log.verify().root.unwrap();

    let mut forged = log.clone();
    let note = signed(&SigningKey::from_bytes(&[4; 32]), 20, &root);
    forged.checkpoints.push(note);
    let report = forged.verify();
    assert!(matches!(
        report.problems[..],
        [Problem::Checkpoint {
            number: 1,
            error: CheckpointError::Signature(_)
        }]
    ));
    assert_eq!(report.checkpoints, 1);

    // Signed rightly, over another root: the appliance has told somebody another history.
    let mut split = log.clone();
    split.checkpoints.push(signed(&key(), 10, &root));
    let report = split.verify();
    assert_eq!(report.problems, [Problem::CheckpointRoot { size: 10 }]);
    assert_eq!(report.checkpoints, 1);

    let mut verifier = verifier().without_nodes();
    for (index, leaf) in &log.leaves {
        verifier.leaf(*index, leaf);
    }
    verifier.checkpoint(&log.checkpoints[0]);
    let late = Problem::CheckpointUnchecked { size: 10 };
    assert_eq!(verifier.finish().problems, [late]);
}

#[test]
fn a_clock_that_was_set_back_is_counted_only() {
    let mut log = Log::new(0, &[]);
    let mut edge = RightEdge::empty();
    for (index, time) in [5, 9, 7, 8, 2].into_iter().enumerate() {
        let leaf = sealed(time, 1);
        log.nodes.extend(edge.append(&[leaf.hash()]));
        log.leaves.push((index as u64, leaf));
    }
    let report = log.verify();
    assert_eq!((report.problems.len(), report.clock_steps_back), (0, 2));
}

#[test]
fn a_ruined_log_does_not_fill_the_memory() {
    let mut log = Log::new(1500, &[]);
    for (_, leaf) in &mut log.leaves {
        leaf.salt[0] ^= 1;
    }
    let report = log.verify();
    assert_eq!((report.problems.len(), report.unlisted), (1000, 500));
    assert!(!report.passed());
}

#[test]
fn a_key_of_another_log_is_refused() {
    let verifier_key = checkpoint::verifier_key("other", key().verifying_key().as_bytes());
    let refused = Verifier::new(&verifier_key, ORIGIN).unwrap_err();
    assert_eq!(refused, CheckpointError::Origin("other".to_owned()));
    let refused = Verifier::new("nonsense", ORIGIN).unwrap_err();
    assert_eq!(refused, CheckpointError::VerifierKey);
}
