//! Updates of the appliance's image: the file `strongroom_VERSION.update`, its making and its verification.
//!
//! ```text
//! "SRUPDATE" (8) || length of the manifest (u32) || manifest (JSON)
//!                || length of the signature (u16) || signature || kernel || root || verity
//! ```
//!
//! Lengths are big-endian. The signature is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2) over everything before its own length, by
//! the key that signs the image for Secure Boot; the parts follow from the manifest, which holds size and SHA-256 of each. So whoever has read
//! the [`Head`] knows all there is to know of an update before a byte of a part is believed, and nothing in it is believed before its signature.
//!
//! | file | what lives there |
//! |---|---|
//! | `manifest` | what an update says of itself |
//! | `head` | the signed beginning of the file |
//! | `key` | whose signature counts |
//! | `parts` | the parts: verifying them while they are read |
//! | `make` | making an update |
//! | `error` | what can be wrong with one |
//!
//! What must never happen here: a part held in memory; anything believed of a file before its signature was verified; a private key.

#![forbid(unsafe_code)]

mod error;
mod head;
mod key;
mod make;
mod manifest;
mod parts;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use head::Head;
pub use key::SigningKey;
pub use make::{make, measure};
pub use manifest::{FORMAT, Flavour, Manifest, Part, Parts, Sha256Hash};
pub use parts::{PartName, verify_parts};

/// What an update begins with.
pub const MAGIC: [u8; 8] = *b"SRUPDATE";
/// The longest manifest, in bytes.
pub const MANIFEST_MAX: u32 = 64 * 1024;
/// The longest signature, in bytes: RSA with 8192 bits.
pub const SIGNATURE_MAX: u16 = 1024;
/// The longest head, in bytes: whoever has read so much of an update has read its head.
pub const HEAD_MAX: u32 = 8 + 4 + MANIFEST_MAX + 2 + SIGNATURE_MAX as u32;
