#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::convert::Infallible;
use std::path::PathBuf;
use std::thread;

use ed25519_dalek::{Signer as _, SigningKey};
use strongroom_audit::tree::{NodeReadError, NodeReader};
use strongroom_audit::{Hash, RightEdge};
use tempfile::TempDir;

use super::*;

const ORIGIN: &str = "strongroom.example/default";

/// A log in memory.
struct Log {
    key: SigningKey,
    nodes: Vec<Hash>,
    edge: RightEdge,
}

impl NodeReader for Log {
    fn read_nodes(&self, indexes: &[u64]) -> Result<Vec<Hash>, NodeReadError> {
        let node = |index: &u64| self.nodes[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(node).collect())
    }
}

impl Log {
    fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            nodes: Vec::new(),
            edge: RightEdge::empty(),
        }
    }

    fn with(mut self, leaves: impl IntoIterator<Item = u8>) -> Self {
        self.grow(leaves);
        self
    }

    fn grow(&mut self, leaves: impl IntoIterator<Item = u8>) {
        for leaf in leaves {
            let added = self.edge.append(&[Hash([leaf; 32])]);
            self.nodes.extend(added.iter().map(|(_, hash)| *hash));
        }
    }

    fn vkey(&self) -> String {
        checkpoint::verifier_key(ORIGIN, self.key.verifying_key().as_bytes())
    }

    fn checkpoint(&self, origin: &str, size: u64) -> String {
        let root = tree::root(size, self).unwrap();
        let public = self.key.verifying_key().to_bytes();
        checkpoint::sign(origin, size, &root, &[public], |text| {
            Ok::<_, Infallible>(self.key.sign(text).to_bytes())
        })
        .unwrap()
    }

    /// The submission of the tree of `new` leaves, with the proof from `old`.
    fn submission(&self, old: u64, new: u64) -> String {
        Request {
            old,
            proof: tree::prove_consistency(old, new, self).unwrap(),
            checkpoint: &self.checkpoint(ORIGIN, new),
        }
        .to_body()
    }
}

struct Made {
    folder: TempDir,
    key: PathBuf,
    state: PathBuf,
    logs: BTreeMap<String, Vec<String>>,
}

impl Made {
    fn for_log(log: &Log) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, state) = (folder.path().join("key"), folder.path().join("state"));
        SecretKey::generate("witness.example/w1")
            .unwrap()
            .write(&key)
            .unwrap();
        State::create(&state).unwrap();
        Self {
            folder,
            key,
            state,
            logs: BTreeMap::from([(ORIGIN.to_owned(), vec![log.vkey()])]),
        }
    }

    fn start(&self) -> Witness {
        let state = State::open(&self.state).unwrap();
        Witness::new(
            SecretKey::read(&self.key).unwrap(),
            self.logs.clone(),
            state,
        )
    }

    fn evidence(&self) -> String {
        let path = self.folder.path().join("state.evidence");
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

fn cosigned(answer: Answer) -> String {
    match answer {
        Answer::Cosigned(line) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_that_grows_is_cosigned() {
    let log = Log::new(1).with(0..20);
    let made = Made::for_log(&log);
    let witness = made.start();
    let mut old = 0;
    for new in [1, 2, 2, 7, 8, 20] {
        let line = cosigned(witness.add_checkpoint(&log.submission(old, new), 1000 + new));
        let note = log.checkpoint(ORIGIN, new);
        let (text, _) = cosignature::split(&note).unwrap();
        let found = cosignature::find(text, &line, witness.public()).unwrap();
        assert_eq!((found.time, found.line), (1000 + new, line));
        old = new;
    }
    assert!(made.evidence().is_empty());
}

#[test]
fn the_empty_tree_comes_first() {
    let log = Log::new(1);
    let made = Made::for_log(&log);
    let witness = made.start();
    cosigned(witness.add_checkpoint(&log.submission(0, 0), 1));
    let grown = Log::new(1).with(0..3);
    cosigned(witness.add_checkpoint(&grown.submission(0, 3), 2));
}

#[test]
fn another_old_size_is_told_the_one_that_was_seen() {
    let log = Log::new(1).with(0..20);
    let made = Made::for_log(&log);
    let witness = made.start();
    assert_eq!(
        witness.add_checkpoint(&log.submission(4, 9), 1),
        Answer::Conflict(0)
    );
    cosigned(witness.add_checkpoint(&log.submission(0, 9), 1));
    for old in [0, 4, 10, 12] {
        assert_eq!(
            witness.add_checkpoint(&log.submission(old, 12), 1),
            Answer::Conflict(9)
        );
    }
    // A roll-back: whatever size it names.
    for (old, new) in [(0, 5), (5, 5), (4, 8)] {
        assert_eq!(
            witness.add_checkpoint(&log.submission(old, new), 1),
            Answer::Conflict(9)
        );
    }
    let above = log.submission(0, 5).replacen("old 0", "old 9", 1);
    assert_eq!(witness.add_checkpoint(&above, 1), Answer::BadRequest);
    cosigned(witness.add_checkpoint(&log.submission(9, 12), 1));
}

#[test]
fn a_fork_is_refused_and_kept_as_evidence() {
    let log = Log::new(1).with(0..9);
    let made = Made::for_log(&log);
    let witness = made.start();
    cosigned(witness.add_checkpoint(&log.submission(0, 9), 1));
    // The same log, with one leaf that is another.
    let fork = Log::new(1).with(0..8).with(100..120);
    assert_eq!(
        witness.add_checkpoint(&fork.submission(9, 9), 2),
        Answer::Conflict(9)
    );
    assert_eq!(
        witness.add_checkpoint(&fork.submission(9, 12), 2),
        Answer::Unproved
    );
    let evidence: Vec<serde_json::Value> = made
        .evidence()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(evidence.len(), 2);
    // Two checkpoints of one size with two roots, both signed by the log.
    let seen = evidence[0]["seen"].as_str().unwrap();
    let submitted = evidence[0]["submission"].as_str().unwrap();
    let submitted = Request::parse(submitted).unwrap().checkpoint;
    let [one, other] = [seen, submitted].map(|note| checkpoint::verify(note, &log.vkey()).unwrap());
    assert_eq!(one.size, other.size);
    assert_ne!(one.root, other.root);
    // The true log goes on.
    let log = log.with(9..12);
    cosigned(witness.add_checkpoint(&log.submission(9, 12), 3));
}

#[test]
fn what_proves_nothing_is_refused() {
    let log = Log::new(1).with(0..20);
    let made = Made::for_log(&log);
    let witness = made.start();
    cosigned(witness.add_checkpoint(&log.submission(0, 7), 1));
    let good = Request {
        old: 7,
        proof: tree::prove_consistency(7, 12, &log).unwrap(),
        checkpoint: &log.checkpoint(ORIGIN, 12),
    };
    let mut short = good.clone();
    short.proof.pop();
    let mut long = good.clone();
    long.proof.push(Hash([0; 32]));
    let mut altered = good.clone();
    altered.proof[0].0[0] ^= 1;
    let none = Request {
        proof: Vec::new(),
        ..good.clone()
    };
    for bad in [short, long, altered, none] {
        assert_eq!(witness.add_checkpoint(&bad.to_body(), 1), Answer::Unproved);
    }
    cosigned(witness.add_checkpoint(&good.to_body(), 1));
}

#[test]
fn strangers_get_nothing() {
    let log = Log::new(1).with(0..4);
    let made = Made::for_log(&log);
    let witness = made.start();
    // Signed by another key, under the log's name and under another's.
    let stranger = Log::new(2).with(0..4);
    assert_eq!(
        witness.add_checkpoint(&stranger.submission(0, 4), 1),
        Answer::Forbidden
    );
    let other = log.checkpoint("other.example/log", 4);
    let unknown = Request {
        old: 0,
        proof: Vec::new(),
        checkpoint: &other,
    };
    assert_eq!(
        witness.add_checkpoint(&unknown.to_body(), 1),
        Answer::UnknownLog
    );
    for body in ["", "old 0\n", "old 0\n\n", "old 0\n\nx"] {
        let answer = witness.add_checkpoint(body, 1);
        assert!(
            matches!(answer, Answer::BadRequest | Answer::UnknownLog),
            "{body:?}"
        );
    }
    // Signatures of others do not disturb.
    let line = "\u{2014} someone.example AAAAAAAA\n";
    let also = log.submission(0, 4) + line;
    cosigned(witness.add_checkpoint(&also, 1));
}

#[test]
fn a_key_that_follows_another_is_trusted_as_well() {
    let log = Log::new(1).with(0..4);
    let mut made = Made::for_log(&log);
    cosigned(made.start().add_checkpoint(&log.submission(0, 4), 1));
    // Another HSM: the same tree goes on under another key, and the first is not known any more.
    let next = Log::new(2).with(0..9);
    made.logs.insert(ORIGIN.to_owned(), vec![next.vkey()]);
    cosigned(made.start().add_checkpoint(&next.submission(4, 9), 2));
    assert_eq!(
        made.start().add_checkpoint(&log.submission(4, 4), 3),
        Answer::Forbidden
    );
}

#[test]
fn a_start_forgets_nothing() {
    let log = Log::new(1).with(0..20);
    let made = Made::for_log(&log);
    cosigned(made.start().add_checkpoint(&log.submission(0, 9), 1));
    let witness = made.start();
    assert_eq!(
        witness.add_checkpoint(&log.submission(0, 4), 2),
        Answer::Conflict(9)
    );
    cosigned(witness.add_checkpoint(&log.submission(9, 20), 2));
}

#[test]
fn a_tree_that_cannot_be_kept_is_not_cosigned() {
    let log = Log::new(1).with(0..20);
    let made = Made::for_log(&log);
    let witness = made.start();
    let blocked = made.folder.path().join("state.new");
    std::fs::create_dir(&blocked).unwrap();
    assert_eq!(
        witness.add_checkpoint(&log.submission(0, 9), 1),
        Answer::NotKept
    );
    std::fs::remove_dir(&blocked).unwrap();
    cosigned(witness.add_checkpoint(&log.submission(0, 9), 1));
}

/// Many at once: what was cosigned is a chain, whoever comes first.
#[test]
fn submissions_at_once_never_roll_back() {
    let log = Log::new(1).with(0..64);
    let made = Made::for_log(&log);
    let witness = made.start();
    let done: Vec<(u64, u64)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (mut known, mut done) = (0, Vec::new());
                    while known < 64 {
                        let next = (known + 3).min(64);
                        match witness.add_checkpoint(&log.submission(known, next), 1) {
                            Answer::Cosigned(_) => {
                                done.push((known, next));
                                known = next;
                            }
                            Answer::Conflict(size) => known = size,
                            other => panic!("{other:?}"),
                        }
                    }
                    done
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut done = done;
    done.sort_unstable();
    assert!(
        done.windows(2).all(|pair| pair[0].1 == pair[1].0),
        "{done:?}"
    );
    assert_eq!(done.last().map(|pair| pair.1), Some(64));
}
