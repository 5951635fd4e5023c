//! What can be wrong with an update.

use std::io;

use crate::{FORMAT, MANIFEST_MAX, PartName, SIGNATURE_MAX};

/// Why an update is refused, or cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file does not begin as an update does.
    #[error("this is not an update of Strongroom's image")]
    NotAnUpdate,
    /// The file ends before its head does.
    #[error("the update is cut off before its parts begin")]
    HeadCutOff,
    /// The manifest says of itself that it is longer than any may be.
    #[error("the update's manifest is longer than the {MANIFEST_MAX} bytes that one may have")]
    ManifestTooLong,
    /// The signature says of itself that it is longer than any may be.
    #[error("the update's signature is longer than the {SIGNATURE_MAX} bytes that one may have")]
    SignatureTooLong,
    /// The manifest was changed after it was signed, or signed with another key.
    #[error("the update is not signed by the key that signs updates of this image")]
    Signature,
    /// The manifest is signed and of a format that this release does not know.
    #[error("the update has format {0}, and this release reads format {FORMAT}")]
    Format(u64),
    /// The manifest is signed and cannot be read.
    #[error("the update's manifest cannot be read: {0}")]
    Manifest(#[source] serde_json::Error),
    /// The manifest is signed and says something that none may say.
    #[error("the update's manifest says what none may say: {0}")]
    Unusable(&'static str),
    /// A part is not the one that was signed.
    #[error("the update's part {0} is not the one that was signed")]
    Altered(PartName),
    /// The file ends within a part.
    #[error("the update is cut off within its part {0}")]
    CutOff(PartName),
    /// Something follows the last part.
    #[error("something follows the update's last part")]
    Trailing,
    /// What should hold the key that signs updates does not.
    #[error(
        "the key that signs updates cannot be read: an RSA certificate or public key in PEM is wanted"
    )]
    Key,
    /// The update, or what is made of it, cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}
