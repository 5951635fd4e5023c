//! A log whose key the tests have, and bundles of it.

use std::convert::Infallible;
use std::ops::Range;

use ed25519_dalek::{Signer, SigningKey};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};
use tlog_tiles::Hash;

use crate::bundle::*;
use crate::event::{Detail, Event};
use crate::keys::{KeyChange, LogKey};
use crate::leaf::Leaf;
use crate::tree::{NodeReadError, NodeReader, RightEdge, prove_consistency, subtrees};
use crate::{checkpoint, note};

pub(super) const ORIGIN: &str = "strongroom.example/default";
/// When leaf 0 was written, in milliseconds; each further one comes a second later.
pub(super) const START: u64 = 1_795_802_400_000;
pub(super) const TRANSCRIPT: &[u8] = b"a transcript";

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn vkey(seed: u8) -> String {
    checkpoint::verifier_key(ORIGIN, key(seed).verifying_key().as_bytes())
}

pub(super) fn sign(seed: u8, text: &str) -> String {
    let key = key(seed);
    let public = key.verifying_key().to_bytes();
    note::sign(ORIGIN, text, &[public], |text| {
        Ok::<_, Infallible>(key.sign(text).to_bytes())
    })
    .unwrap()
}

pub(super) fn time(index: u64) -> Timestamp {
    Timestamp::from_millis(START + 1000 * index)
}

/// Every third is a release by the account 1, the others are by the account 2; 8 names a document; at 10 a key of the log begins.
pub(super) fn event(index: u64) -> Event {
    let (act, note) = match index {
        8 => {
            let document = Document::new(DocumentKind::Transcript, TRANSCRIPT.to_vec());
            (
                Act::DomainCeremony,
                format!("transcript {}", document.sha256),
            )
        }
        10 => (
            Act::DomainCheckpointKey,
            KeyChange::Begins(vkey(2)).to_string(),
        ),
        _ if index.is_multiple_of(3) => (Act::KeyRelease, format!("case {} n{index}", index % 2)),
        _ => (Act::KeyCreate, format!("leaf {index}")),
    };
    let actor = if index.is_multiple_of(3) { 1 } else { 2 };
    Event {
        time: time(index),
        act,
        done: index % 5 != 4,
        detail: Detail {
            actor: Some(AccountId::from_bytes([actor; 16])),
            key: (act == Act::KeyRelease).then(|| KeyId::from_bytes([7; 16])),
            note: Some(note),
            ..Detail::default()
        },
    }
}

pub(super) struct Nodes(Vec<Hash>);

impl NodeReader for Nodes {
    fn read_nodes(&self, indexes: &[u64]) -> Result<Vec<Hash>, NodeReadError> {
        let found = indexes
            .iter()
            .map(|index| self.0[usize::try_from(*index).unwrap()]);
        Ok(found.collect())
    }
}

pub(super) struct Log {
    leaves: Vec<Leaf>,
    pub(super) nodes: Nodes,
}

impl Log {
    pub(super) fn new(size: u64) -> Self {
        Self::of((0..size).map(event))
    }

    pub(super) fn of(events: impl Iterator<Item = Event>) -> Self {
        let leaves: Vec<Leaf> = events.map(|event| Leaf::seal(&event, [3; 32])).collect();
        let hashes: Vec<Hash> = leaves.iter().map(Leaf::hash).collect();
        let nodes = RightEdge::empty().append(&hashes);
        Self {
            leaves,
            nodes: Nodes(nodes.into_iter().map(|(_, node)| node).collect()),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(super) fn leaf(&self, index: u64) -> &Leaf {
        &self.leaves[usize::try_from(index).unwrap()]
    }

    pub(super) fn checkpoint(&self, size: u64, seed: u8) -> String {
        let root = crate::tree::root(size, &self.nodes).unwrap();
        let signer = key(seed);
        let public = signer.verifying_key().to_bytes();
        checkpoint::sign(ORIGIN, size, &root, &[public], |text| {
            Ok::<_, Infallible>(signer.sign(text).to_bytes())
        })
        .unwrap()
    }

    pub(super) fn earlier(&self, size: u64) -> Line {
        let hashes = prove_consistency(size, self.size(), &self.nodes).unwrap();
        Line::Earlier(Earlier {
            note: self.checkpoint(size, 1),
            hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
        })
    }

    pub(super) fn hidden(&self, leaves: Range<u64>) -> impl Iterator<Item = Line> {
        subtrees(leaves).into_iter().map(|subtree| {
            let node = self.nodes.0[usize::try_from(subtree.node()).unwrap()];
            Line::Hidden(Hidden {
                index: subtree.index,
                count: subtree.count(),
                hash: node.0.as_slice().into(),
            })
        })
    }

    /// The lines of a bundle without its footer.
    pub(super) fn lines(&self, range: Range<u64>, filter: &Filter) -> Vec<Line> {
        let mut lines = vec![
            Line::Header(Header {
                format: FORMAT.to_owned(),
                origin: ORIGIN.to_owned(),
                made: time(1000),
                first: range.start,
                end: range.end,
                size: self.size(),
                leaf: None,
                filter: filter.clone(),
                keys: vec![
                    HeaderKey {
                        verifier_key: vkey(1),
                        from: 0,
                        to: None,
                    },
                    HeaderKey {
                        verifier_key: vkey(2),
                        from: 11,
                        to: None,
                    },
                ],
            }),
            Line::Checkpoint {
                note: self.checkpoint(self.size(), 1),
            },
        ];
        lines.extend(self.hidden(0..range.start));
        let mut hidden = range.start;
        for index in range.clone() {
            let leaf = self.leaf(index);
            let event = leaf.open().unwrap();
            let full = filter.takes(&event);
            if filter.concerning.is_some() && !full {
                continue;
            }
            lines.extend(self.hidden(hidden..index));
            hidden = index + 1;
            if full || event.act == Act::DomainCheckpointKey {
                lines.push(Line::Leaf(LeafLine::full(index, leaf)));
                for (kind, _) in named_documents(&event) {
                    lines.push(Line::Document(Document::new(kind, TRANSCRIPT.to_vec())));
                }
            } else {
                lines.push(Line::Leaf(LeafLine::redacted(index, leaf)));
            }
        }
        if filter.concerning.is_none() {
            hidden = range.end;
        }
        lines.extend(self.hidden(hidden..self.size()));
        lines
    }
}

/// The lines as they stand in a file, with a footer by this key over them.
pub(super) fn written(lines: &[Line], seed: u8) -> Vec<Vec<u8>> {
    let mut writer = Writer::new();
    let mut file: Vec<Vec<u8>> = lines.iter().map(|line| writer.line(line)).collect();
    let note = sign(seed, &writer.footer(ORIGIN).to_text());
    file.push(writer.finish(note));
    file
}

pub(super) fn trust() -> Trust {
    Trust {
        keys: vec![LogKey::only(&vkey(1))],
        previous: None,
    }
}

pub(super) fn verify(file: &[Vec<u8>], trust: Trust) -> BundleReport {
    let mut verifier = BundleVerifier::new(trust);
    for line in file {
        let _ = verifier.line(line);
    }
    verifier.finish()
}

/// The problems of a bundle whose lines are these, rightly signed.
pub(super) fn problems(lines: &[Line]) -> Vec<BundleProblem> {
    verify(&written(lines, 1), trust()).problems
}

pub(super) fn period(from: u64, to: u64) -> Filter {
    Filter {
        from: Some(time(from)),
        to: Some(time(to)),
        ..Filter::default()
    }
}

/// Where the line about this leaf stands.
pub(super) fn at(lines: &[Line], index: u64) -> usize {
    lines
        .iter()
        .position(|line| matches!(line, Line::Leaf(leaf) if leaf.index == index))
        .unwrap()
}
