//! Export bundles: a part of a log in a file that anyone can verify without the appliance (`FORMAT.md`, "Bundle").
//!
//! A bundle is JSON lines. [`Writer`] puts them out one by one and [`BundleVerifier`] takes them one by one, so that neither holds more than a line
//! and the right edge of a tree, however long the log is.
//!
//! | module | what lives there |
//! |---|---|
//! | `line` | [`Line`]: what a line says, and how it is read |
//! | [`filter`] | which leaves are shown in full, and what an envelope alone tells of that |
//! | `approvals` | the approvals in a bundle, and the quorums that they make |
//! | `write` | [`Writer`]: lines, their hash, and the footer |
//! | `verify` | [`BundleVerifier`] |
//! | `seen` | [`Trust`] and [`Seen`]: what it is held against, and what its lines say |
//! | `report` | [`BundleReport`] and [`BundleProblem`] |

mod approvals;
pub mod filter;
mod line;
mod report;
mod seen;
mod verify;
mod write;

pub use approvals::ApprovalProblem;
pub use filter::Filter;
pub use line::{
    Document, DocumentKind, Earlier, Footer, Header, HeaderKey, Hidden, LeafLine, Line, LineError,
    NameLine, Proven, named_documents,
};
pub use report::{BundleProblem, BundleReport};
pub use seen::{Seen, Trust};
pub use verify::BundleVerifier;
pub use write::{FooterText, Writer};

/// What the first line of a bundle says of its format.
pub const FORMAT: &str = "strongroom-bundle/1";

/// The longest line of a bundle, in bytes with its line feed. A reader refuses a longer one before it has it in memory.
pub const LONGEST_LINE: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests;
