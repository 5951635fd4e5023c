//! The audit log of a domain: what a leaf says, the tree over the leaves, the signed checkpoints, and their verification.
//!
//! | module | what lives there |
//! |---|---|
//! | [`event`] | [`Event`] and [`Detail`]: what a leaf says |
//! | [`leaf`] | [`Leaf`]: an event sealed into an envelope, a salt and a detail; its leaf hash |
//! | `codec` | the deterministic CBOR of envelope and detail |
//! | [`tree`] | RFC 6962: the nodes of an append, roots, inclusion and consistency proofs; [`tree::RightEdge`] for the writer |
//! | [`checkpoint`] | C2SP `tlog-checkpoint` notes and verifier keys |
//! | [`cosignature`] | C2SP `tlog-cosignature`: what witnesses say of checkpoints |
//! | [`note`] | C2SP signed notes: checkpoints, and transcripts of ceremonies |
//! | [`keys`] | the keys that may sign a log's checkpoints, and from which size to which |
//! | [`verify`] | the whole log recomputed from what is stored |
//! | [`bundle`] | exports: a part of the log in a file that is verified without the appliance |
//! | [`proof`] | C2SP `tlog-proof` files: one leaf |
//!
//! The format is specified in `FORMAT.md` beside this crate; its example and its table of acts are tests.
//!
//! How a writer and a verifier use it:
//!
//! ```
//! use strongroom_audit::{Detail, Event, Leaf, RightEdge, Verifier, checkpoint};
//! use strongroom_wire::{audit::Act, encoding::Timestamp};
//! # use ed25519_dalek::Signer;
//! # let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
//! # let public_key = key.verifying_key().to_bytes();
//! # let hsm_sign = |text: &[u8]| Ok::<_, std::convert::Infallible>(key.sign(text).to_bytes());
//! # let origin = "strongroom.example/default";
//!
//! // The writer: on a clone of the edge, which it keeps when its transaction has committed.
//! let edge = RightEdge::empty();
//! let event = Event {
//!     time: Timestamp::from_millis(1_795_802_400_123),
//!     act: Act::DomainInitialise,
//!     done: true,
//!     detail: Detail::default(),
//! };
//! let leaf = Leaf::seal(&event, [0x5a; 32]); // 32 random bytes in earnest
//! let mut grown = edge.clone();
//! let nodes = grown.append(&[leaf.hash()]);
//! let note = checkpoint::sign(origin, grown.size(), &grown.root(), &[public_key], hsm_sign)?;
//!
//! // The verifier: checkpoints first, then each leaf and the nodes stored with it.
//! let mut verifier = Verifier::new(&checkpoint::verifier_key(origin, &public_key), origin)?;
//! verifier.checkpoint(&note);
//! verifier.leaf(0, &leaf);
//! for (index, node) in &nodes {
//!     verifier.node(*index, node);
//! }
//! let report = verifier.finish();
//! assert!(report.passed());
//! assert_eq!(report.newest_checkpoint, Some(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Never in this crate: input or output, a private key, a clock, a source of randomness. The keystore stores what is
//! computed here, draws the salts and has the HSM sign. Never in a leaf: a secret.

#![forbid(unsafe_code)]

pub mod bundle;
pub mod checkpoint;
mod codec;
pub mod cosignature;
pub mod event;
pub mod keys;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod tree;
pub mod verify;

pub use checkpoint::Checkpoint;
pub use event::{Detail, Event};
pub use keys::{KeyChange, LogKey};
pub use leaf::{Leaf, LeafError};
pub use tlog_tiles::Hash;
pub use tree::RightEdge;
pub use verify::{Problem, Report, Verifier};
