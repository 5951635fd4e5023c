//! A log whose key the test has: whatever an appliance could sign, honest or not.

use std::convert::Infallible;
use std::ops::Range;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use strongroom_audit::bundle::{
    Document, DocumentKind, Earlier, FORMAT, Filter, Header, HeaderKey, Hidden, LeafLine, Line,
    NameLine, Proven, Writer, named_documents,
};
use strongroom_audit::tree::{self, NodeReadError, NodeReader, subtrees};
use strongroom_audit::{Detail, Event, Hash, KeyChange, Leaf, RightEdge, checkpoint, note};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};

pub(crate) const ORIGIN: &str = "strongroom.example/default";
/// When leaf 0 was written, in milliseconds; each further one comes a minute later.
const START: u64 = 1_795_802_400_000;
/// The leaf that names a document, and the one with which another key of the log begins.
pub(crate) const CEREMONY: u64 = 8;
pub(crate) const KEY_BEGINS: u64 = 10;
const TRANSCRIPT: &[u8] = b"what was done at the ceremony\n";

/// A key pair of a log.
pub(crate) fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub(crate) fn public(seed: u8) -> [u8; 32] {
    key(seed).public_key().as_ref().try_into().unwrap()
}

pub(crate) fn vkey(seed: u8) -> String {
    checkpoint::verifier_key(ORIGIN, &public(seed))
}

pub(crate) fn time(index: u64) -> Timestamp {
    Timestamp::from_millis(START + 60_000 * index)
}

pub(crate) fn event(index: u64) -> Event {
    let (act, note) = match index {
        CEREMONY => {
            let document = Document::new(DocumentKind::Transcript, TRANSCRIPT.to_vec());
            let note = format!("transcript {}", document.sha256);
            (Act::DomainCeremony, note)
        }
        KEY_BEGINS => (
            Act::DomainCheckpointKey,
            KeyChange::Begins(vkey(2)).to_string(),
        ),
        _ if index.is_multiple_of(3) => (Act::KeyRelease, format!("à \"{index}\"\t\\")),
        _ => (Act::KeyCreate, String::new()),
    };
    let actor = if index.is_multiple_of(3) { 1 } else { 2 };
    Event {
        time: time(index),
        act,
        done: index % 5 != 4,
        detail: Detail {
            actor: Some(AccountId::from_bytes([actor; 16])),
            source: Some("192.0.2.7".parse().unwrap()),
            key: Some(KeyId::from_bytes([7; 16])),
            key_version: Some(u32::try_from(index).unwrap()),
            note: Some(note),
            ..Detail::default()
        },
    }
}

/// A filter for the records from one leaf's time until before another's.
pub(crate) fn period(from: u64, to: u64) -> Filter {
    Filter {
        from: Some(time(from)),
        to: Some(time(to)),
        ..Filter::default()
    }
}

struct Nodes(Vec<Hash>);

impl NodeReader for Nodes {
    fn read_nodes(&self, indexes: &[u64]) -> Result<Vec<Hash>, NodeReadError> {
        let found = indexes
            .iter()
            .map(|index| self.0[usize::try_from(*index).unwrap()]);
        Ok(found.collect())
    }
}

/// A log.
pub(crate) struct Log {
    pub(crate) leaves: Vec<Leaf>,
    nodes: Nodes,
}

impl Log {
    pub(crate) fn new(size: u64) -> Self {
        Self::of((0..size).map(|index| Leaf::seal(&event(index), [3; 32])))
    }

    pub(crate) fn of(leaves: impl Iterator<Item = Leaf>) -> Self {
        let leaves: Vec<Leaf> = leaves.collect();
        let hashes: Vec<Hash> = leaves.iter().map(Leaf::hash).collect();
        let nodes = RightEdge::empty().append(&hashes);
        Self {
            leaves,
            nodes: Nodes(nodes.into_iter().map(|(_, node)| node).collect()),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(crate) fn leaf(&self, index: u64) -> &Leaf {
        &self.leaves[usize::try_from(index).unwrap()]
    }

    pub(crate) fn checkpoint(&self, size: u64, seed: u8) -> String {
        self.checkpoint_as(ORIGIN, size, seed)
    }

    pub(crate) fn checkpoint_as(&self, origin: &str, size: u64, seed: u8) -> String {
        let root = tree::root(size, &self.nodes).unwrap();
        let key = key(seed);
        checkpoint::sign(origin, size, &root, &[public(seed)], |text| {
            Ok::<[u8; 64], Infallible>(key.sign(text).as_ref().try_into().unwrap())
        })
        .unwrap()
    }

    pub(crate) fn earlier(&self, size: u64) -> Line {
        let hashes = tree::prove_consistency(size, self.size(), &self.nodes).unwrap();
        Line::Earlier(Earlier {
            note: self.checkpoint(size, 1),
            hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
        })
    }

    pub(crate) fn proven(&self, index: u64, of: u64) -> Line {
        let leaf = self.leaf(of);
        let hashes = tree::prove_inclusion(self.size(), index, &self.nodes).unwrap();
        Line::Proven(Proven {
            index,
            envelope: leaf.envelope.as_slice().into(),
            salt: leaf.salt.as_slice().into(),
            detail: leaf.detail.as_slice().into(),
            hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
        })
    }

    pub(crate) fn hidden(&self, leaves: Range<u64>) -> impl Iterator<Item = Line> {
        subtrees(leaves).into_iter().map(|subtree| {
            let node = self.nodes.0[usize::try_from(subtree.node()).unwrap()];
            Line::Hidden(Hidden {
                index: subtree.index,
                count: subtree.count(),
                hash: node.0.as_slice().into(),
            })
        })
    }

    /// The lines of an honest bundle without its footer.
    pub(crate) fn lines(&self, range: Range<u64>, filter: &Filter) -> Vec<Line> {
        let key = |seed, from| HeaderKey {
            verifier_key: vkey(seed),
            from,
            to: None,
        };
        let mut lines = vec![
            Line::Header(Header {
                format: FORMAT.to_owned(),
                origin: ORIGIN.to_owned(),
                made: time(1000),
                first: range.start,
                end: range.end,
                size: self.size(),
                leaf: Some(self.size().saturating_sub(1)),
                filter: filter.clone(),
                keys: vec![key(1, 0), key(2, KEY_BEGINS + 1)],
            }),
            Line::Checkpoint {
                note: self.checkpoint(self.size(), 1),
            },
        ];
        lines.extend(self.hidden(0..range.start));
        lines.push(Line::Name(NameLine {
            account: AccountId::from_bytes([1; 16]),
            name: "zoë\u{7f}\u{1f}\u{2028}@example.com".to_owned(),
        }));
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

/// The lines as they stand in a file, with a footer over them by this key.
pub(crate) fn written(lines: &[Line], seed: u8) -> Vec<Vec<u8>> {
    let mut writer = Writer::new();
    let mut file: Vec<Vec<u8>> = lines.iter().map(|line| writer.line(line)).collect();
    let key = key(seed);
    let text = writer.footer(ORIGIN).to_text();
    let note = note::sign(ORIGIN, &text, &[public(seed)], |text| {
        Ok::<[u8; 64], Infallible>(key.sign(text).as_ref().try_into().unwrap())
    });
    file.push(writer.finish(note.unwrap()));
    file
}

/// Where the line about this leaf stands.
pub(crate) fn place(lines: &[Line], index: u64) -> usize {
    lines
        .iter()
        .position(|line| matches!(line, Line::Leaf(leaf) if leaf.index == index))
        .unwrap()
}
