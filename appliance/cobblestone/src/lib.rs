//! Cobblestone-256: the C2SP [chunked-encryption] format with AES-256-GCM and HKDF-SHA-512.
//!
//! ```text
//! salt (24) || commitment (32) || chunk 0 || chunk 1 || … || last chunk
//! ```
//!
//! Each chunk is AES-256-GCM over 16 KiB of plaintext followed by its 16-byte tag; the last chunk
//! holds less than 16 KiB, and is empty when the plaintext is a multiple of 16 KiB. That shortness is
//! the end-of-message mark, so a stream cut at a chunk boundary is seen as truncated.
//!
//! - [`EncryptWriter`] encrypts a stream as it is written.
//! - [`DecryptReader`] decrypts a stream as it is read.
//! - [`DecryptReaderAt`] reads any part of a seekable stream without reading what stands before it.
//!
//! None of them holds more than one chunk, and the two readers hand out no byte of a chunk that has
//! not been authenticated.
//!
//! What must never happen here: a key or plaintext in an error or a `Debug` output; knowledge of what is encrypted, which is the
//! business of the client's protected objects and of the keystore's backups.
//!
//! [chunked-encryption]: https://c2sp.org/chunked-encryption

#![forbid(unsafe_code)]

mod decrypt;
mod encrypt;
mod seek;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk};
use zeroize::Zeroizing;

pub use decrypt::DecryptReader;
pub use encrypt::EncryptWriter;
pub use seek::DecryptReaderAt;

/// Size of an [`ObjectKey`], in bytes.
pub const KEY_LEN: usize = 32;
/// Plaintext bytes in every chunk but the last.
pub const CHUNK_LEN: usize = 16 * 1024;
/// Bytes that authentication adds to each chunk.
pub const TAG_LEN: usize = 16;
/// Bytes that stand before the first chunk: salt and commitment.
pub const START_LEN: usize = SALT_LEN + COMMITMENT_LEN;
/// Chunks that a stream may have (the specification's limit; 4 PiB of plaintext).
pub const MAX_CHUNKS: u64 = 1 << 38;

/// Bytes of the random salt that a stream begins with.
pub const SALT_LEN: usize = 24;
const COMMITMENT_LEN: usize = 32;
/// A full chunk as it stands in the stream.
const WIRE_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// What HKDF-Expand yields: key, base nonce, commitment.
const DERIVED_LEN: usize = KEY_LEN + NONCE_LEN + COMMITMENT_LEN;
const INFO_PREFIX: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";

/// The key of one protected object: 32 uniformly random bytes, zeroised when dropped.
pub struct ObjectKey(Zeroizing<[u8; KEY_LEN]>);

impl ObjectKey {
    /// Takes over key material that the appliance released.
    #[must_use]
    pub fn new(material: Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self(material)
    }

    /// Copies key material from a slice.
    ///
    /// # Errors
    /// [`CobblestoneError::KeyLength`] when it is not exactly 32 bytes.
    pub fn from_slice(material: &[u8]) -> Result<Self, CobblestoneError> {
        if material.len() != KEY_LEN {
            return Err(CobblestoneError::KeyLength {
                got: material.len(),
            });
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        key.copy_from_slice(material);
        Ok(Self(key))
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectKey").finish_non_exhaustive()
    }
}

/// Why encrypting or decrypting a stream stopped.
#[derive(Debug, thiserror::Error)]
pub enum CobblestoneError {
    /// The source of the bytes failed.
    #[error("the input could not be read")]
    Read(#[source] io::Error),
    /// The destination of the bytes failed.
    #[error("the output could not be written")]
    Write(#[source] io::Error),
    /// What was read is not what was written under this key and context.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The plaintext given to an [`EncryptWriter`] exceeds [`MAX_CHUNKS`].
    #[error("the input is longer than the 4 PiB that one object can hold")]
    InputTooLong,
    /// An [`EncryptWriter`] was used again after it had failed.
    #[error("the output was abandoned after an earlier failure")]
    Abandoned,
    /// Key material was not [`KEY_LEN`] bytes.
    #[error("an object key is 32 bytes long, not {got}")]
    KeyLength {
        /// The length that was given, in bytes.
        got: usize,
    },
    /// The cryptographic library failed where no input can make it fail (no random bytes, no memory).
    #[error("the cryptographic library failed")]
    Library,
}

impl CobblestoneError {
    /// The refusal inside an error that came through [`io::Read`], if that is what it was.
    #[must_use]
    pub fn refusal(error: &io::Error) -> Option<Refusal> {
        match error.get_ref()?.downcast_ref::<Self>()? {
            Self::Refused(refusal) => Some(*refusal),
            _ => None,
        }
    }
}

impl From<Unspecified> for CobblestoneError {
    fn from(_: Unspecified) -> Self {
        Self::Library
    }
}

impl From<CobblestoneError> for io::Error {
    fn from(error: CobblestoneError) -> Self {
        match error {
            CobblestoneError::Read(inner) | CobblestoneError::Write(inner) => inner,
            CobblestoneError::Refused(_) => io::Error::new(io::ErrorKind::InvalidData, error),
            other => io::Error::other(other),
        }
    }
}

/// What a reader found wrong with a stream. Nothing of the chunk in question was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stream ends before its first chunk begins.
    #[error("the object is truncated: it ends before its first chunk")]
    NoStart,
    /// The commitment does not match: another key, another context, or an altered salt or commitment.
    #[error("the object was not protected with this key, or its header was altered")]
    Commitment,
    /// A full chunk does not authenticate: altered, moved, repeated or taken from elsewhere.
    #[error("the object was altered: chunk {chunk} is not authentic")]
    Altered {
        /// The chunk's number, from 0.
        chunk: u64,
    },
    /// The stream ends with a short chunk that does not authenticate: cut inside a chunk, extended or altered.
    #[error(
        "the object was truncated, extended or altered: its last chunk, {chunk}, is not authentic"
    )]
    AlteredEnd {
        /// The chunk's number, from 0.
        chunk: u64,
    },
    /// The stream ends where more must follow: at a chunk boundary or inside a tag.
    #[error("the object is truncated: chunk {chunk} is missing")]
    Truncated {
        /// The missing chunk's number, from 0.
        chunk: u64,
    },
    /// The stream has more than [`MAX_CHUNKS`] chunks.
    #[error("the object is longer than the 4 PiB that one object can hold")]
    TooLong,
}

/// Size of the stream that [`EncryptWriter`] makes of `plaintext_len` bytes; `None` past the format's limit.
#[must_use]
pub fn stream_len(plaintext_len: u64) -> Option<u64> {
    let chunks = plaintext_len / CHUNK_LEN as u64 + 1;
    (chunks <= MAX_CHUNKS).then(|| START_LEN as u64 + plaintext_len + chunks * TAG_LEN as u64)
}

/// The single-use key and base nonce of one stream.
struct StreamKeys {
    aead: LessSafeKey,
    base_nonce: [u8; NONCE_LEN],
}

impl StreamKeys {
    /// Derives the keys and the commitment of a stream (section "Key derivation").
    fn derive(
        key: &ObjectKey,
        salt: &[u8; SALT_LEN],
        context: &[u8],
    ) -> Result<(Self, [u8; COMMITMENT_LEN]), CobblestoneError> {
        let mut derived = Zeroizing::new([0u8; DERIVED_LEN]);
        Prk::new_less_safe(HKDF_SHA512, key.0.as_slice())
            .expand(&[INFO_PREFIX, salt, context], DerivedLen)?
            .fill(derived.as_mut_slice())?;
        let (aead_key, rest) = derived.split_at(KEY_LEN);
        let (nonce, commitment) = rest.split_at(NONCE_LEN);
        let mut keys = Self {
            aead: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, aead_key)?),
            base_nonce: [0; NONCE_LEN],
        };
        keys.base_nonce.copy_from_slice(nonce);
        let mut expected = [0; COMMITMENT_LEN];
        expected.copy_from_slice(commitment);
        Ok((keys, expected))
    }

    /// Reads a stream's start and derives its keys, refusing a commitment that does not match.
    fn from_start(
        key: &ObjectKey,
        context: &[u8],
        reader: &mut impl io::Read,
    ) -> Result<Self, CobblestoneError> {
        let mut salt = [0; SALT_LEN];
        let mut commitment = [0; COMMITMENT_LEN];
        for part in [salt.as_mut_slice(), commitment.as_mut_slice()] {
            if read_up_to(reader, part)? < part.len() {
                return Err(Refusal::NoStart.into());
            }
        }
        let (keys, expected) = Self::derive(key, &salt, context)?;
        verify_slices_are_equal(&commitment, &expected).map_err(|_| Refusal::Commitment)?;
        Ok(keys)
    }

    /// The base nonce XOR the chunk's number as a big-endian integer.
    fn nonce(&self, chunk: u64) -> Nonce {
        let mut nonce = self.base_nonce;
        for (byte, count) in nonce[NONCE_LEN - 8..].iter_mut().zip(chunk.to_be_bytes()) {
            *byte ^= count;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts a chunk in place.
    fn seal(&self, chunk: u64, plaintext: &mut [u8]) -> Result<Tag, Unspecified> {
        self.aead
            .seal_in_place_separate_tag(self.nonce(chunk), Aad::empty(), plaintext)
    }

    /// Authenticates and decrypts a chunk in place; returns its plaintext's length.
    /// When it is refused, `wire` is overwritten with zeros.
    fn open(&self, chunk: u64, wire: &mut [u8]) -> Result<usize, Refusal> {
        if wire.len() < TAG_LEN {
            return Err(Refusal::Truncated { chunk });
        }
        let full = wire.len() == WIRE_CHUNK_LEN;
        let opened = self
            .aead
            .open_in_place(self.nonce(chunk), Aad::empty(), wire);
        if let Ok(plaintext) = opened {
            return Ok(plaintext.len());
        }
        wire.fill(0);
        Err(if full {
            Refusal::Altered { chunk }
        } else {
            Refusal::AlteredEnd { chunk }
        })
    }
}

/// [`DERIVED_LEN`] as HKDF wants to be told it.
struct DerivedLen;

impl KeyType for DerivedLen {
    fn len(&self) -> usize {
        DERIVED_LEN
    }
}

/// Fills `buffer` as far as the reader goes; less than its length means the end was reached.
fn read_up_to(reader: &mut impl io::Read, buffer: &mut [u8]) -> Result<usize, CobblestoneError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(CobblestoneError::Read(e)),
        }
    }
    Ok(filled)
}
