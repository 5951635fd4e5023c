//! Making an update.

use std::io::{self, Read, Write};

use crate::head::beginning;
use crate::manifest::Part;
use crate::parts::hash;
use crate::{Error, MANIFEST_MAX, Manifest, SIGNATURE_MAX};

/// What a manifest says of a part that can be read here.
///
/// # Errors
/// When it cannot be read.
pub fn measure(part: impl Read) -> io::Result<Part> {
    hash(part, u64::MAX, |_| Ok(()))
}

/// Writes an update: the manifest, what `sign` makes of the bytes before the signature, and the kernel, the root and the verity tree, which are
/// held against the manifest on the way. The same manifest, signature and parts make the same bytes.
///
/// # Errors
/// [`Error::Altered`], [`Error::CutOff`] or [`Error::Trailing`] where a part is not the one that the manifest is about, [`Error::ManifestTooLong`],
/// [`Error::SignatureTooLong`], and [`Error::Io`] where reading, writing or signing fails. What was written by then is of no use.
pub fn make(
    mut writer: impl Write,
    manifest: &Manifest,
    parts: [&mut dyn Read; 3],
    sign: impl FnOnce(&[u8]) -> io::Result<Vec<u8>>,
) -> Result<(), Error> {
    let json = serde_json::to_vec(manifest).map_err(Error::Manifest)?;
    if json.len() > MANIFEST_MAX as usize {
        return Err(Error::ManifestTooLong);
    }
    let beginning = beginning(&json);
    let signature = sign(&beginning)?;
    let length = u16::try_from(signature.len())
        .ok()
        .filter(|length| *length <= SIGNATURE_MAX)
        .ok_or(Error::SignatureTooLong)?;
    writer.write_all(&beginning)?;
    writer.write_all(&length.to_be_bytes())?;
    writer.write_all(&signature)?;

    for ((name, part), reader) in manifest.parts.iter().zip(parts) {
        let written = hash(&mut *reader, part.size, |piece| writer.write_all(piece))?;
        if written.size < part.size {
            return Err(Error::CutOff(name));
        }
        if written.sha256 != part.sha256 || reader.read(&mut [0])? > 0 {
            return Err(Error::Altered(name));
        }
    }
    Ok(writer.flush()?)
}
