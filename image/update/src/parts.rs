//! The parts of an update: verifying them while they are read.

use std::fmt;
use std::io::{self, ErrorKind, Read};

use sha2::{Digest as _, Sha256};

use crate::{Error, Parts, manifest::Part};

/// How much of a part is held at a time, in bytes.
const PIECE: usize = 256 * 1024;

/// A part of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartName {
    /// The unified kernel image.
    Kernel,
    /// The root file system.
    Root,
    /// The tree of hashes over the root.
    Verity,
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Root => "root",
            Self::Verity => "verity",
        })
    }
}

/// Reads the parts of an update to its end and holds each against the manifest. Every piece is also given to `sink`, **before** its part is
/// known to be the one that was signed: whoever writes them somewhere believes none before this function has returned well.
///
/// # Errors
/// [`Error::Altered`] or [`Error::CutOff`] with the first part that is not right, [`Error::Trailing`] where something follows the last,
/// [`Error::Io`] where reading fails or the sink does.
pub fn verify_parts(
    mut reader: impl Read,
    parts: &Parts,
    mut sink: impl FnMut(PartName, &[u8]) -> io::Result<()>,
) -> Result<(), Error> {
    for (name, part) in parts.iter() {
        let read = hash(&mut reader, part.size, |piece| sink(name, piece))?;
        if read.size < part.size {
            return Err(Error::CutOff(name));
        }
        if read.sha256 != part.sha256 {
            return Err(Error::Altered(name));
        }
    }
    match reader.read_exact(&mut [0]) {
        Ok(()) => Err(Error::Trailing),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(Error::Io(error)),
    }
}

/// Reads at most so many bytes, and says how many there were and their SHA-256.
pub(crate) fn hash(
    mut reader: impl Read,
    most: u64,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Part> {
    let mut sha256 = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    while size < most {
        let wanted = usize::try_from(most - size).map_or(PIECE, |left| left.min(PIECE));
        let read = match reader.read(&mut piece[..wanted]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sha256.update(&piece[..read]);
        sink(&piece[..read])?;
        size += read as u64;
    }
    Ok(Part {
        size,
        sha256: crate::Sha256Hash(sha256.finalize().into()),
    })
}
