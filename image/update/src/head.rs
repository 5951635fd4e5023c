//! The signed beginning of an update.

use std::io::{ErrorKind, Read};

use sha2::{Digest as _, Sha256};

use crate::{Error, MAGIC, MANIFEST_MAX, Manifest, SIGNATURE_MAX, SigningKey};

/// The beginning of an update whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    manifest: Manifest,
    length: u64,
}

impl Head {
    /// Reads the beginning of an update, and not a byte more. What is in it is looked at once its signature is verified.
    ///
    /// # Errors
    /// [`Error::NotAnUpdate`], [`Error::HeadCutOff`], [`Error::ManifestTooLong`] or [`Error::SignatureTooLong`] where there is no head;
    /// [`Error::Signature`] where another key signed it; [`Error::Format`], [`Error::Manifest`] or [`Error::Unusable`] where it was signed and is
    /// of no use; [`Error::Io`] where it cannot be read.
    pub fn read(mut reader: impl Read, key: &SigningKey) -> Result<Self, Error> {
        let mut magic = [0; MAGIC.len()];
        fill(&mut reader, &mut magic)?;
        if magic != MAGIC {
            return Err(Error::NotAnUpdate);
        }
        let mut length = [0; 4];
        fill(&mut reader, &mut length)?;
        if u32::from_be_bytes(length) > MANIFEST_MAX {
            return Err(Error::ManifestTooLong);
        }
        let json = take(&mut reader, u64::from(u32::from_be_bytes(length)))?;

        let mut signature_length = [0; 2];
        fill(&mut reader, &mut signature_length)?;
        let signature_length = u16::from_be_bytes(signature_length);
        if signature_length > SIGNATURE_MAX {
            return Err(Error::SignatureTooLong);
        }
        let signature = take(&mut reader, u64::from(signature_length))?;

        key.verify(&signed(&json), &signature)?;
        let manifest = Manifest::read(&json)?;
        let length = (MAGIC.len() + 4 + json.len() + 2 + signature.len()) as u64;
        Ok(Self { manifest, length })
    }

    /// What the update says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many bytes stand before the first part.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How long the whole update is, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        // A manifest is refused whose parts are longer than any file.
        let parts = self.manifest.parts.length().unwrap_or(u64::MAX);
        parts.saturating_add(self.length)
    }
}

/// What is signed: everything before the signature's length.
pub(crate) fn beginning(json: &[u8]) -> Vec<u8> {
    // No manifest is so long that its length did not fit: `make` and `Head::read` look before.
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
    [&MAGIC, length.to_be_bytes().as_slice(), json].concat()
}

/// The SHA-256 of what is signed.
fn signed(json: &[u8]) -> [u8; 32] {
    Sha256::digest(beginning(json)).into()
}

fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), Error> {
    reader.read_exact(bytes).map_err(cut_off)
}

/// So many bytes. It takes no more memory than there are bytes, whatever was promised.
fn take(reader: &mut impl Read, length: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(Error::HeadCutOff);
    }
    Ok(bytes)
}

fn cut_off(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::HeadCutOff,
        _ => Error::Io(error),
    }
}
