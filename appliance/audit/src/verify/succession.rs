//! Logs that have had several keys.

use std::convert::Infallible;

use ed25519_dalek::{Signer, SigningKey};

use super::*;
use crate::event::{Detail, Event};
use crate::keys::KeyChange;

const ORIGIN: &str = "strongroom.example/default";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn vkey(seed: u8) -> String {
    checkpoint::verifier_key(ORIGIN, key(seed).verifying_key().as_bytes())
}

fn leaf(act: Act, note: &str) -> Leaf {
    let event = Event {
        time: Timestamp::from_millis(1_795_802_400_000),
        act,
        done: true,
        detail: Detail {
            note: Some(note.to_owned()),
            ..Detail::default()
        },
    };
    Leaf::seal(&event, [3; 32])
}

/// Ten leaves: at 6 the second key begins, at 7 the first ends. A checkpoint of each size in the list, by the key in the list.
fn verify(keys: Vec<LogKey>, checkpoints: &[(u64, u8)]) -> Report {
    let mut verifier = Verifier::with_keys(keys, ORIGIN).unwrap().without_nodes();
    let leaves: Vec<Leaf> = (0..10)
        .map(|at| match at {
            6 => leaf(
                Act::DomainCheckpointKey,
                &KeyChange::Begins(vkey(2)).to_string(),
            ),
            7 => leaf(
                Act::DomainCheckpointKey,
                &KeyChange::Ends(vkey(1)).to_string(),
            ),
            _ => leaf(Act::KeyCreate, ""),
        })
        .collect();
    let mut edge = RightEdge::empty();
    let mut roots = vec![edge.root()];
    for leaf in &leaves {
        let _ = edge.append(&[leaf.hash()]);
        roots.push(edge.root());
    }
    for (size, by) in checkpoints {
        let signer = key(*by);
        let public = signer.verifying_key().to_bytes();
        let root = &roots[usize::try_from(*size).unwrap()];
        let note = checkpoint::sign(ORIGIN, *size, root, &[public], |text| {
            Ok::<_, Infallible>(signer.sign(text).to_bytes())
        });
        verifier.checkpoint(&note.unwrap());
    }
    for (at, leaf) in leaves.iter().enumerate() {
        verifier.leaf(at as u64, leaf);
    }
    verifier.finish()
}

fn known(seed: u8, from: u64, to: Option<u64>) -> LogKey {
    LogKey {
        verifier_key: vkey(seed),
        from,
        to,
    }
}

fn both() -> Vec<LogKey> {
    vec![known(1, 0, Some(7)), known(2, 7, None)]
}

#[test]
fn each_key_signs_its_own_sizes() {
    let report = verify(both(), &[(3, 1), (7, 1), (7, 2), (10, 2)]);
    assert_eq!(report.problems, []);
    assert_eq!(report.checkpoints, 4);
}

#[test]
fn a_key_whose_time_is_over_or_has_not_come_signs_nothing() {
    for (size, by) in [(8, 1), (10, 1), (3, 2), (6, 2)] {
        let report = verify(both(), &[(size, by)]);
        assert!(
            matches!(
                report.problems.as_slice(),
                [Problem::Checkpoint {
                    error: CheckpointError::KeyNotInForce { .. },
                    ..
                }]
            ),
            "{size} by {by}: {:?}",
            report.problems
        );
        assert_eq!(report.checkpoints, 0);
    }
}

#[test]
fn keys_that_the_leaves_do_not_bear_out_are_found() {
    // The first key alone: the leaves say more.
    let report = verify(vec![known(1, 0, None)], &[(3, 1)]);
    assert_eq!(
        report.problems,
        [
            Problem::KeyChange { index: 6 },
            Problem::KeyChange { index: 7 }
        ]
    );
    // Somebody lets the first key live longer, and puts in a third.
    let keys = vec![known(1, 0, Some(9)), known(2, 7, None), known(3, 2, None)];
    let problems = verify(keys, &[(9, 1), (9, 3)]).problems;
    assert!(problems.contains(&Problem::KeyChange { index: 7 }));
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(Verifier::with_keys(Vec::new(), ORIGIN).is_err());
}
