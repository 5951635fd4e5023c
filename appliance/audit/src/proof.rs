//! Proofs of single leaves in files (C2SP `tlog-proof`): the leaf's index, its inclusion proof, and the checkpoint with its cosignatures.
//!
//! The leaf itself is the extra data: the CBOR array of its envelope, salt and detail, or of its envelope alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use tlog_tiles::Hash;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::codec::{decode_extra, encode_extra};
use crate::event::Event;
use crate::keys::{LogKey, verify_by};
use crate::leaf::{Leaf, LeafError, outside};
use crate::tree::{ProofError, verify_inclusion};

/// The first line.
const FIRST: &str = "c2sp.org/tlog-proof@v1";

/// The proof of a leaf.
#[derive(Debug, Clone, PartialEq)]
pub struct TlogProof {
    /// The leaf's index.
    pub index: u64,
    /// Its envelope.
    pub envelope: Vec<u8>,
    /// Its salt and its detail, unless it is redacted.
    pub inside: Option<([u8; 32], Vec<u8>)>,
    /// The inclusion proof (RFC 9162 section 2.1.3).
    pub hashes: Vec<Hash>,
    /// The checkpoint, a signed note.
    pub checkpoint: String,
}

/// What a leaf says that was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// All of it.
    Full(Event),
    /// What stands in its envelope.
    Redacted {
        /// When.
        time: Timestamp,
        /// What.
        act: Act,
        /// Whether it was done.
        done: bool,
    },
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// The text is no proof of this form.
    #[error("the text is not a tlog-proof of a leaf")]
    Form,
    /// The checkpoint is not one of this log, or not signed by a key that is trusted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The leaf does not open.
    #[error(transparent)]
    Leaf(#[from] LeafError),
}

impl TlogProof {
    /// The proof of `leaf`, in full.
    #[must_use]
    pub fn of(index: u64, leaf: &Leaf, hashes: Vec<Hash>, checkpoint: String) -> Self {
        Self {
            index,
            envelope: leaf.envelope.clone(),
            inside: Some((leaf.salt, leaf.detail.clone())),
            hashes,
            checkpoint,
        }
    }

    /// The same without what is private of the leaf.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.inside = None;
        self
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let inside = self
            .inside
            .as_ref()
            .map(|(salt, detail)| (salt, detail.as_slice()));
        let extra = encode_extra(&self.envelope, inside);
        let mut text = format!(
            "{FIRST}\nextra {}\nindex {}\n",
            STANDARD.encode(extra),
            self.index
        );
        for hash in &self.hashes {
            text.push_str(&STANDARD.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`TlogProofError::Form`].
    pub fn read(text: &str) -> Result<Self, TlogProofError> {
        let form = || TlogProofError::Form;
        let (proof, checkpoint) = text.split_once("\n\n").ok_or_else(form)?;
        let mut lines = proof.split('\n');
        let mut expect = |start: &str| {
            let line = lines.next().ok_or_else(form)?;
            line.strip_prefix(start).ok_or_else(form)
        };
        if !expect(FIRST)?.is_empty() {
            return Err(form());
        }
        let extra = STANDARD.decode(expect("extra ")?).map_err(|_| form())?;
        let (envelope, inside) = decode_extra(&extra).map_err(|_| form())?;
        let index = expect("index ")?;
        let hashes = lines.map(|line| {
            let bytes = STANDARD.decode(line).map_err(|_| form())?;
            Ok(Hash(bytes.try_into().map_err(|_| form())?))
        });
        let read = Self {
            index: index.parse().map_err(|_| form())?,
            envelope,
            inside,
            hashes: hashes.collect::<Result<_, TlogProofError>>()?,
            checkpoint: checkpoint.to_owned(),
        };
        // One spelling of the index, of the extra data and of everything else.
        if read.to_text() != text {
            return Err(form());
        }
        Ok(read)
    }

    /// What the leaf says and the checkpoint that proves it, if a key among `keys` has signed that.
    ///
    /// # Errors
    ///
    /// When it is not proved.
    pub fn verify(&self, keys: &[LogKey]) -> Result<(Told, Checkpoint), TlogProofError> {
        let (checkpoint, key) = verify_by(&self.checkpoint, keys)?;
        if !key.may_sign(checkpoint.size) {
            return Err(CheckpointError::KeyNotInForce {
                size: checkpoint.size,
                key: key.verifier_key.clone(),
            }
            .into());
        }
        let hash = tlog_tiles::record_hash(&self.envelope);
        verify_inclusion(
            checkpoint.size,
            self.index,
            &hash,
            &self.hashes,
            &checkpoint.root,
        )?;
        let told = if let Some((salt, detail)) = &self.inside {
            let leaf = Leaf {
                envelope: self.envelope.clone(),
                salt: *salt,
                detail: detail.clone(),
            };
            Told::Full(leaf.open()?)
        } else {
            let (time, act, done) = outside(&self.envelope)?;
            Told::Redacted { time, act, done }
        };
        Ok((told, checkpoint))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;

    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::checkpoint;
    use crate::event::Detail;
    use crate::tree::RightEdge;

    const ORIGIN: &str = "strongroom.example/default";

    fn proof() -> (TlogProof, Vec<LogKey>, Event) {
        let event = |note: &str| Event {
            time: Timestamp::from_millis(1_795_802_400_123),
            act: Act::KeyRelease,
            done: true,
            detail: Detail {
                note: Some(note.to_owned()),
                ..Detail::default()
            },
        };
        let leaves = ["one", "two", "three"].map(|note| Leaf::seal(&event(note), [9; 32]));
        let mut edge = RightEdge::empty();
        let nodes = edge.append(&leaves.each_ref().map(Leaf::hash));
        let key = SigningKey::from_bytes(&[1; 32]);
        let public = key.verifying_key().to_bytes();
        let note = checkpoint::sign(ORIGIN, 3, &edge.root(), &[public], |text| {
            Ok::<_, Infallible>(key.sign(text).to_bytes())
        })
        .unwrap();
        let hashes = vec![leaves[0].hash(), leaves[2].hash()];
        assert_eq!(nodes.len(), 4);
        let proof = TlogProof::of(1, &leaves[1], hashes, note);
        let keys = vec![LogKey::only(&checkpoint::verifier_key(ORIGIN, &public))];
        (proof, keys, event("two"))
    }

    #[test]
    fn a_file_reads_back_and_proves_its_leaf() {
        let (proof, keys, event) = proof();
        let text = proof.to_text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra "));
        assert!(text.contains("\nindex 1\n"));
        let read = TlogProof::read(&text).unwrap();
        assert_eq!(read, proof);
        let (told, checkpoint) = read.verify(&keys).unwrap();
        assert_eq!((told, checkpoint.size), (Told::Full(event.clone()), 3));
        let redacted = TlogProof::read(&proof.redacted().to_text()).unwrap();
        let (told, _) = redacted.verify(&keys).unwrap();
        let Event {
            time, act, done, ..
        } = event;
        assert_eq!(told, Told::Redacted { time, act, done });
    }

    #[test]
    fn what_was_altered_proves_nothing() {
        let (proof, keys, _) = proof();
        let text = proof.to_text();
        for at in 0..text.len() {
            if !text.is_char_boundary(at) || !text.is_char_boundary(at + 1) {
                continue;
            }
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let altered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            let verified = TlogProof::read(&altered).map(|proof| proof.verify(&keys));
            assert!(!matches!(verified, Ok(Ok(_))), "{altered}");
        }
        let other = LogKey::only(&checkpoint::verifier_key(ORIGIN, &[8; 32]));
        assert!(proof.verify(&[other]).is_err());
    }
}
