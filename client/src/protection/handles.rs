//! Objects that are being written and read: their keys were made or obtained, and are forgotten when usage policies say so.

use std::io::{self, Read, Seek, SeekFrom, Write};

use strongroom_wire::key::Key;

use crate::ClientError;
use crate::keys::Keep;
use crate::object::{
    CobblestoneError, DecryptReader, DecryptReaderAt, EncryptWriter, Header, ObjectError,
    RangeReader, RangeSource,
};

/// An object that is being written: what is written to it is encrypted, in chunks. [`finish`](Self::finish) must be called. Made by
/// [`Protect::writer`](super::Protect::writer), where there is an example.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write;
/// use strongroom_client::{Protect, Protection};
///
/// let mut object = session.writer(&Protection::default(), std::fs::File::create("log.sealed")?)?;
/// writeln!(object, "started")?;
/// object.finish()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an object without its last chunk is refused: call finish()"]
pub struct ObjectWriter<W: Write> {
    pub(super) key: Key,
    pub(super) stream: EncryptWriter<W>,
}

impl<W: Write> ObjectWriter<W> {
    /// The object's key, as the appliance has it.
    ///
    /// ```no_run
    /// # fn run(object: &strongroom_client::ObjectWriter<std::fs::File>) -> Result<(), strongroom_client::ClientError> {
    /// println!("protected under {}", object.key().id);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Encrypts all that `reader` yields; answers the number of bytes.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::{Protect, Protection};
    ///
    /// let mut object = session.writer(&Protection::default(), std::fs::File::create("film.sealed")?)?;
    /// let length = object.copy_from(&mut std::fs::File::open("film.mp4")?)?;
    /// object.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Object`] when reading or writing fails.
    pub fn copy_from(&mut self, reader: &mut impl Read) -> Result<u64, ClientError> {
        Ok(self.stream.copy_from(reader)?)
    }

    /// Writes the last chunk and gives the inner writer back.
    ///
    /// ```no_run
    /// # fn run(object: strongroom_client::ObjectWriter<std::fs::File>) -> Result<(), Box<dyn std::error::Error>> {
    /// object.finish()?.sync_all()?; // the object is whole, and on the disk
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Object`] when writing fails, or has failed before.
    pub fn finish(self) -> Result<W, ClientError> {
        Ok(self.stream.finish()?)
    }
}

impl<W: Write> Write for ObjectWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// An object whose key was obtained. Read it, or copy it at once with [`Self::copy_to`].
///
/// Only authenticated plaintext is handed out; whoever stores it must discard it when a later read fails.
/// Where the usage policy sets a moment, the key is forgotten then and reading fails.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Read;
/// use strongroom_client::Protect;
///
/// let mut object = session.open(std::fs::File::open("report.txt.sealed")?)?;
/// let mut text = String::new();
/// object.read_to_string(&mut text)?;
/// # Ok(())
/// # }
/// ```
pub struct OpenObject<R: Read> {
    pub(super) header: Header,
    pub(super) leaf: u64,
    pub(super) keep: Keep,
    /// None once the key had to be forgotten.
    pub(super) reader: Option<DecryptReader<R>>,
}

impl<R: Read> OpenObject<R> {
    /// The object's header, authentic.
    ///
    /// ```no_run
    /// # fn run(object: strongroom_client::OpenObject<std::fs::File>) -> Result<(), strongroom_client::ClientError> {
    /// println!("{:?}", object.header().content_type());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The index of the release's leaf in the audit log.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, object: strongroom_client::OpenObject<std::fs::File>) -> Result<(), strongroom_client::ClientError> {
    /// let proof = session.inclusion_proof(object.leaf())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// Decrypts all that remains into `writer`; returns the number of bytes.
    ///
    /// ```no_run
    /// # fn run(mut object: strongroom_client::OpenObject<std::fs::File>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut plaintext = Vec::new();
    /// let length = object.copy_to(&mut plaintext)?;
    /// assert_eq!(length, plaintext.len() as u64);
    /// # Ok(())
    /// # }
    /// ```
    pub fn copy_to(&mut self, writer: &mut impl Write) -> Result<u64, ClientError> {
        let mut total = 0;
        loop {
            let reader = self.reader()?;
            let plaintext = reader.next_plaintext()?;
            if plaintext.is_empty() {
                return Ok(total);
            }
            writer
                .write_all(plaintext)
                .map_err(CobblestoneError::Write)?;
            let length = plaintext.len();
            io::BufRead::consume(reader, length);
            total += length as u64;
        }
    }

    fn reader(&mut self) -> Result<&mut DecryptReader<R>, ClientError> {
        self.keep.check().inspect_err(|_| self.reader = None)?;
        self.reader.as_mut().ok_or(ClientError::Library)
    }
}

impl<R: Read> Read for OpenObject<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let reader = self.reader().map_err(io_error)?;
        reader.read(out)
    }
}

/// An object of which any part can be read. Only authenticated plaintext is handed out, and its length is authentic. Where the usage policy
/// sets a moment, the key is forgotten then and reading fails. Made by [`Protect::open_at`](super::Protect::open_at), where there is an example.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::Protect;
///
/// let mut film = session.open_at(std::fs::File::open("film.mp4.sealed")?)?;
/// let mut end = vec![0; 4096];
/// let from = film.length()?.saturating_sub(4096);
/// let length = film.read_at(from, &mut end)?;
/// # Ok(())
/// # }
/// ```
pub struct ObjectAt<S: RangeSource> {
    pub(super) header: Header,
    pub(super) leaf: u64,
    pub(super) keep: Keep,
    /// None once the key had to be forgotten.
    pub(super) reader: Option<DecryptReaderAt<RangeReader<S>>>,
}

impl<S: RangeSource> ObjectAt<S> {
    /// The object's header, authentic.
    ///
    /// ```no_run
    /// # fn run(film: strongroom_client::ObjectAt<std::fs::File>) -> Result<(), strongroom_client::ClientError> {
    /// println!("{:?}", film.header().content_type());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The index of the release's leaf in the audit log.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, film: strongroom_client::ObjectAt<std::fs::File>) -> Result<(), strongroom_client::ClientError> {
    /// let proof = session.inclusion_proof(film.leaf())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// The length of the content in bytes.
    ///
    /// ```no_run
    /// # fn run(mut film: strongroom_client::ObjectAt<std::fs::File>) -> Result<(), strongroom_client::ClientError> {
    /// println!("{} bytes of content", film.length()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::MaterialExpired`] when the key may not be kept any more.
    pub fn length(&mut self) -> Result<u64, ClientError> {
        Ok(self.reader()?.len())
    }

    /// Reads content from `offset` on until `out` is full or the content ends; answers the number of bytes.
    ///
    /// ```no_run
    /// # fn run(mut film: strongroom_client::ObjectAt<std::fs::File>) -> Result<(), strongroom_client::ClientError> {
    /// let mut scene = vec![0; 65536];
    /// let length = film.read_at(1_000_000_000, &mut scene)?;
    /// scene.truncate(length); // less only at the film's end
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Object`] when the source fails or a chunk is refused; [`ClientError::MaterialExpired`] when the key may not be kept any
    /// more.
    pub fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<usize, ClientError> {
        let reader = self.reader()?;
        let mut filled = 0;
        while filled < out.len() {
            match reader.read_at(offset + filled as u64, &mut out[filled..])? {
                0 => break,
                length => filled += length,
            }
        }
        Ok(filled)
    }

    fn reader(&mut self) -> Result<&mut DecryptReaderAt<RangeReader<S>>, ClientError> {
        self.keep.check().inspect_err(|_| self.reader = None)?;
        self.reader.as_mut().ok_or(ClientError::Library)
    }
}

impl<S: RangeSource> Read for ObjectAt<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reader().map_err(io_error)?.read(out)
    }
}

impl<S: RangeSource> Seek for ObjectAt<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader().map_err(io_error)?.seek(to)
    }
}

fn io_error(error: ClientError) -> io::Error {
    match error {
        ClientError::Object(ObjectError::Stream(error)) => error.into(),
        other => io::Error::new(io::ErrorKind::PermissionDenied, other),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::encoding::Timestamp;
    use strongroom_wire::id::KeyId;

    use super::*;
    use crate::keys::now;
    use crate::object::{self, ObjectKey};

    /// An open object with three chunks of content, whose key is to be forgotten at this moment.
    fn open_until(keep: Keep) -> OpenObject<io::Cursor<Vec<u8>>> {
        let key = ObjectKey::from_slice(&[7; 32]).unwrap();
        let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None).unwrap();
        let mut sealed = Vec::new();
        object::protect(&key, &header, &mut vec![5; 40_000].as_slice(), &mut sealed).unwrap();
        let object = object::open(io::Cursor::new(sealed)).unwrap();
        OpenObject {
            header,
            leaf: 41,
            keep,
            reader: Some(object.with_key(&key).unwrap()),
        }
    }

    fn until(not_after: Timestamp) -> Keep {
        Keep::new(Some(not_after), None)
    }

    #[test]
    fn a_key_is_forgotten_when_the_policy_says_so() {
        let mut object = open_until(until(Timestamp::from_millis(now().as_millis() - 1)));
        let error = object.copy_to(&mut Vec::new()).unwrap_err();
        assert!(
            matches!(error, ClientError::MaterialExpired(_)),
            "{error:?}"
        );
        assert!(object.reader.is_none());
        let error = object.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);

        let mut object = open_until(until(now().plus_seconds(3600)));
        let mut beginning = [0; 10];
        object.read_exact(&mut beginning).unwrap();
        object.keep = until(now());
        assert!(object.read(&mut beginning).is_err());
    }

    #[test]
    fn reading_and_copying_give_the_content() {
        let mut copied = Vec::new();
        assert_eq!(
            open_until(Keep::default()).copy_to(&mut copied).unwrap(),
            40_000
        );
        assert_eq!(copied, vec![5; 40_000]);
        let mut read = Vec::new();
        let mut object = open_until(until(now().plus_seconds(3600)));
        assert_eq!(object.read_to_end(&mut read).unwrap(), 40_000);
        assert_eq!(read, copied);
    }
}
