//! Protected objects: files whose content only a holder of their key can read.
//!
//! | module | what lives there |
//! |---|---|
//! | [`header`] | the COSE header: which key, which version, which appliance, which content type |
//! | [`range`] | objects whose bytes come in ranges: the trait, files, the reader over them |
//! | [`http`] | ranges over HTTP |
//! | [`cobblestone`] | the encrypted stream behind it: C2SP chunked-encryption, Cobblestone-256 |
//!
//! The file format is specified in `client/FORMAT.md`.
//!
//! Opening goes in two steps, because the header says which key to ask for:
//!
//! ```
//! # use strongroom_client::object::{self, Header, ObjectKey};
//! # use strongroom_wire::id::KeyId;
//! # use zeroize::Zeroizing;
//! # fn main() -> Result<(), object::ObjectError> {
//! # let key = ObjectKey::new(Zeroizing::new([7; 32]));
//! let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", Some("text/plain"))?;
//! let mut sealed = Vec::new();
//! object::protect(&key, &header, &mut "the report".as_bytes(), &mut sealed)?;
//!
//! let object = object::open(sealed.as_slice())?;
//! assert_eq!(object.header(), &header); // names the key to obtain
//! let mut plaintext = Vec::new();
//! object.with_key(&key)?.copy_to(&mut plaintext)?;
//! assert_eq!(plaintext, b"the report");
//! # Ok(())
//! # }
//! ```
//!
//! The header is authentic only once [`ProtectedObject::with_key`] has succeeded. Until then it is a
//! hint: in particular, its server may be used to choose among the appliances this client already
//! knows, never to learn of a new one.

pub mod header;
pub mod http;
pub mod range;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek, Write};

pub use strongroom_cobblestone as cobblestone;

pub use cobblestone::{
    CobblestoneError, DecryptReader, DecryptReaderAt, EncryptWriter, ObjectKey, Refusal,
};
pub use header::{Header, HeaderError};
pub use http::HttpRange;
pub use range::{RangeReader, RangeSource};

/// Why an object could not be protected or opened.
///
/// ```
/// use strongroom_client::object::{self, HeaderError, ObjectError};
///
/// let error = object::open(b"%PDF-1.7 ...".as_slice()).err();
/// assert!(matches!(error, Some(ObjectError::Header(HeaderError::NotAnObject))));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The header is not one of a protected object, or not one this version can read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The stream behind the header failed or was refused.
    #[error(transparent)]
    Stream(#[from] CobblestoneError),
}

/// Protects all that `reader` yields, and writes header and stream to `writer`; returns the number of
/// plaintext bytes. On an error what was written is no object and is to be discarded.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::object::{self, Header, ObjectKey};
/// # use strongroom_wire::id::KeyId;
/// # let key = ObjectKey::new(zeroize::Zeroizing::new([7; 32])); // from the appliance, in earnest
/// # let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None)?;
///
/// let mut sealed = Vec::new();
/// let length = object::protect(&key, &header, &mut "the report".as_bytes(), &mut sealed)?;
/// assert_eq!(length, 10);
/// # Ok(())
/// # }
/// ```
pub fn protect(
    key: &ObjectKey,
    header: &Header,
    reader: &mut impl Read,
    writer: &mut impl Write,
) -> Result<u64, ObjectError> {
    let mut stream = encrypt(key, header, writer)?;
    let length = stream.copy_from(reader)?;
    stream.finish()?;
    Ok(length)
}

/// Writes the header, and returns the writer that encrypts the object's content behind it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::object::{self, Header, ObjectKey};
/// # use strongroom_wire::id::KeyId;
/// # let key = ObjectKey::new(zeroize::Zeroizing::new([7; 32])); // from the appliance, in earnest
/// # let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None)?;
/// use std::io::Write;
///
/// let mut stream = object::encrypt(&key, &header, Vec::new())?;
/// writeln!(stream, "the report")?;
/// let sealed = stream.finish()?; // without this it is truncated
/// # Ok(())
/// # }
/// ```
pub fn encrypt<W: Write>(
    key: &ObjectKey,
    header: &Header,
    mut writer: W,
) -> Result<EncryptWriter<W>, ObjectError> {
    let start = header.encode()?;
    writer.write_all(&start).map_err(CobblestoneError::Write)?;
    Ok(EncryptWriter::new(key, &header::context(&start), writer)?)
}

/// Reads the header of a protected object, and nothing behind it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::object::{self, Header, ObjectKey};
/// # use strongroom_wire::id::KeyId;
/// # let key = ObjectKey::new(zeroize::Zeroizing::new([7; 32])); // from the appliance, in earnest
/// # let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None)?;
///
/// # let mut sealed = Vec::new();
/// # object::protect(&key, &header, &mut "the report".as_bytes(), &mut sealed)?;
/// let object = object::open(sealed.as_slice())?;
/// assert_eq!(object.header().server(), "https://keys.example.com");
/// # Ok(())
/// # }
/// ```
pub fn open<R: Read>(mut reader: R) -> Result<ProtectedObject<R>, ObjectError> {
    let (header, context) = Header::read(&mut reader)?;
    Ok(ProtectedObject {
        header,
        context,
        reader,
    })
}

/// A protected object whose header has been read and whose key is still to be obtained.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::object::{self, Header, ObjectKey};
/// # use strongroom_wire::id::KeyId;
/// # let key = ObjectKey::new(zeroize::Zeroizing::new([7; 32])); // from the appliance, in earnest
/// # let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None)?;
///
/// # let mut sealed = Vec::new();
/// # object::protect(&key, &header, &mut "the report".as_bytes(), &mut sealed)?;
/// let object = object::open(sealed.as_slice())?;
/// println!("obtain version {} of {}", object.header().key_version(), object.header().key());
/// let mut reader = object.with_key(&key)?;
/// # Ok(())
/// # }
/// ```
pub struct ProtectedObject<R> {
    header: Header,
    context: [u8; header::CONTEXT_LEN],
    reader: R,
}

impl<R: Read> ProtectedObject<R> {
    /// The header, not authentic yet.
    ///
    /// ```no_run
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::object;
    ///
    /// let object = object::open(std::fs::File::open("report.pdf.sealed")?)?;
    /// println!("{:?}", object.header().content_type());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// A reader of the content from beginning to end.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::object::{self, Header, ObjectKey};
    /// # use strongroom_wire::id::KeyId;
    /// # let key = ObjectKey::new(zeroize::Zeroizing::new([7; 32])); // from the appliance, in earnest
    /// # let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None)?;
    /// use std::io::Read;
    ///
    /// # let mut sealed = Vec::new();
    /// # object::protect(&key, &header, &mut "the report".as_bytes(), &mut sealed)?;
    /// let mut text = String::new();
    /// object::open(sealed.as_slice())?.with_key(&key)?.read_to_string(&mut text)?;
    /// assert_eq!(text, "the report");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Refusal::Commitment`] when this is not the object's key or the header was altered.
    pub fn with_key(self, key: &ObjectKey) -> Result<DecryptReader<R>, ObjectError> {
        Ok(DecryptReader::new(key, &self.context, self.reader)?)
    }

    /// A reader of any part of the content; the reader given to [`open`] must end where the object ends.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::object::{self, Header, ObjectKey};
    /// # use strongroom_wire::id::KeyId;
    /// # let key = ObjectKey::new(zeroize::Zeroizing::new([7; 32])); // from the appliance, in earnest
    /// # let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None)?;
    /// use std::io::{Cursor, Read, Seek, SeekFrom};
    ///
    /// # let mut sealed = Vec::new();
    /// # object::protect(&key, &header, &mut "the report".as_bytes(), &mut sealed)?;
    /// let mut reader = object::open(Cursor::new(sealed))?.with_key_at(&key)?;
    /// reader.seek(SeekFrom::Start(4))?;
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "report");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::with_key`], and a [`Refusal`] when the object's length is not authentic.
    pub fn with_key_at(self, key: &ObjectKey) -> Result<DecryptReaderAt<R>, ObjectError>
    where
        R: Seek,
    {
        Ok(DecryptReaderAt::new(key, &self.context, self.reader)?)
    }
}
