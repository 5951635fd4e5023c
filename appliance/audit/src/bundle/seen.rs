//! What a bundle is held against, and what its lines say.

use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::line::{Document, Header, NameLine};
use crate::checkpoint::Checkpoint;
use crate::event::Event;
use crate::keys::LogKey;

/// What a bundle is held against.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The log's keys, obtained on a way that does not lead through the appliance.
    pub keys: Vec<LogKey>,
    /// A checkpoint of the log that is known already, such as that of the export before, once it was verified.
    pub previous: Option<Checkpoint>,
}

/// What a line said.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Seen {
    /// What the bundle is.
    Header(Header),
    /// The checkpoint, or an earlier one, that a trusted key signed.
    Checkpoint(Checkpoint),
    /// A leaf in full.
    Record {
        /// Its index.
        index: u64,
        /// What it says.
        event: Event,
    },
    /// A leaf's envelope.
    Redacted {
        /// Its index.
        index: u64,
        /// When.
        time: Timestamp,
        /// What.
        act: Act,
        /// Whether it was done.
        done: bool,
    },
    /// Leaves that are not shown.
    Hidden {
        /// The index of the first.
        index: u64,
        /// How many.
        count: u64,
    },
    /// A document that the leaf before names.
    Document(Document),
    /// What an account was called.
    Name(NameLine),
    /// A leaf that is proved by itself.
    Proven {
        /// Its index.
        index: u64,
        /// What it says.
        event: Event,
    },
    /// The bundle is at its end.
    End,
    /// Nothing that counts: the line has a problem, which the report names.
    Nothing,
}
