//! Objects as streams and by ranges. What is read and written stands behind traits that the other language implements.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_client::object::{CobblestoneError, Header};
use strongroom_client::{ClientError, object};

use crate::keys::Key;
use crate::{StreamError, StrongroomError, UsagePolicy};

/// Bytes that go from one language to the other at once.
const PIECE: usize = 256 * 1024;

/// Who may open an object and when, and what people know it by.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct Protection {
    /// The key's name for people; a file's own name where it is absent and a file is protected.
    #[uniffi(default = None)]
    pub label: Option<String>,
    /// The media type of the content. Guessed from a file's name where it is absent and a file is protected. Stands unencrypted in the object's
    /// header.
    #[uniffi(default = None)]
    pub content_type: Option<String>,
    /// The names of the accounts that may open it, besides the one that protects it.
    #[uniffi(default = [])]
    pub recipients: Vec<String>,
    /// When and how often its key may be released.
    #[uniffi(default = None)]
    pub policy: Option<UsagePolicy>,
}

impl Protection {
    /// What it comes to: that of this file, where one is protected, but for what was said.
    pub(crate) fn resolve(
        self,
        file: Option<&Path>,
    ) -> Result<strongroom_client::Protection, StrongroomError> {
        let mut protection = file
            .map(strongroom_client::Protection::of_file)
            .unwrap_or_default();
        if let Some(label) = self.label {
            protection.label = label;
        }
        if self.content_type.is_some() {
            protection.content_type = self.content_type;
        }
        protection.policy = self.policy.unwrap_or_default().try_into()?;
        for recipient in &self.recipients {
            protection = protection.to(recipient);
        }
        Ok(protection)
    }
}

/// What was protected.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Protected {
    /// The object's key.
    pub key: Key,
    /// The length of what was protected, in bytes.
    pub length: u64,
}

/// What an object says of itself. Authentic.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ObjectHeader {
    /// The identifier of the key that protects it.
    pub key: String,
    /// The version of the key, from 1.
    pub key_version: u32,
    /// The origin of the appliance that keeps the key.
    pub server: String,
    /// The media type of the content, if it was given.
    pub content_type: Option<String>,
}

/// Where bytes come from.
#[uniffi::export(with_foreign)]
pub trait ByteSource: Send + Sync {
    /// The next bytes, at most so many; none at the end.
    fn read(&self, most: u64) -> Result<Vec<u8>, StreamError>;
}

/// Where bytes go.
#[uniffi::export(with_foreign)]
pub trait ByteSink: Send + Sync {
    /// Takes all of these bytes.
    fn write(&self, bytes: Vec<u8>) -> Result<(), StreamError>;
}

/// Anything that can give byte ranges. It is trusted with nothing: whatever it gives is authenticated before it is used.
#[uniffi::export(with_foreign)]
pub trait RangeSource: Send + Sync {
    /// How many bytes there are.
    fn length(&self) -> Result<u64, StreamError>;
    /// Exactly so many bytes from `offset` on.
    fn read_range(&self, offset: u64, length: u64) -> Result<Vec<u8>, StreamError>;
}

/// Reads from a source of the other language.
pub(crate) struct FromSource(pub(crate) Arc<dyn ByteSource>);

impl FromSource {
    /// In pieces of a good size.
    pub(crate) fn buffered(source: Arc<dyn ByteSource>) -> BufReader<Self> {
        BufReader::with_capacity(PIECE, Self(source))
    }
}

impl Read for FromSource {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.read(out.len() as u64)?;
        let place = out
            .get_mut(..piece.len())
            .ok_or_else(|| io::Error::other("the source gave more than it was asked for"))?;
        place.copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// Writes to a sink of the other language.
pub(crate) struct ToSink(pub(crate) Arc<dyn ByteSink>);

impl ToSink {
    /// In pieces of a good size.
    pub(crate) fn buffered(sink: Arc<dyn ByteSink>) -> BufWriter<Self> {
        BufWriter::with_capacity(PIECE, Self(sink))
    }
}

impl Write for ToSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes.to_vec())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads ranges from a source of the other language.
pub(crate) struct FromRanges(pub(crate) Arc<dyn RangeSource>);

impl object::RangeSource for FromRanges {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.0.length()?)
    }

    fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let range = self.0.read_range(offset, out.len() as u64)?;
        if range.len() != out.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.copy_from_slice(&range);
        Ok(())
    }
}

/// An object that is being written: what is written to it is encrypted, in chunks. `finish` must be called: without its last chunk it is
/// truncated, and readers say so.
#[derive(uniffi::Object)]
pub struct ObjectWriter {
    key: Key,
    /// None once it is finished, or writing has failed.
    inner: Mutex<Option<strongroom_client::ObjectWriter<BufWriter<ToSink>>>>,
}

impl ObjectWriter {
    pub(crate) fn new(writer: strongroom_client::ObjectWriter<BufWriter<ToSink>>) -> Arc<Self> {
        Arc::new(Self {
            key: writer.key().clone().into(),
            inner: Mutex::new(Some(writer)),
        })
    }
}

#[uniffi::export]
impl ObjectWriter {
    /// The object's key, as the appliance has it.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    /// Encrypts these bytes.
    pub fn write(&self, bytes: Vec<u8>) -> Result<(), StrongroomError> {
        let mut inner = lock(&self.inner);
        let writer = inner.as_mut().ok_or_else(finished)?;
        writer.write_all(&bytes).map_err(|error| {
            *inner = None;
            StrongroomError::of_stream(error)
        })
    }

    /// Writes the last chunk. Nothing can be written after it.
    pub fn finish(&self) -> Result<(), StrongroomError> {
        let writer = lock(&self.inner).take().ok_or_else(finished)?;
        let mut sink = writer.finish()?;
        sink.flush().map_err(StrongroomError::of_stream)
    }
}

fn finished() -> StrongroomError {
    StrongroomError::invalid("the object is finished, or writing it has failed")
}

/// An object whose key was obtained, to be read from its beginning to its end. Only authenticated content is handed out; whoever stores it must
/// discard it when a later read fails.
#[derive(uniffi::Object)]
pub struct ObjectReader {
    header: ObjectHeader,
    inner: Mutex<strongroom_client::OpenObject<BufReader<FromSource>>>,
}

impl ObjectReader {
    pub(crate) fn new(object: strongroom_client::OpenObject<BufReader<FromSource>>) -> Arc<Self> {
        Arc::new(Self {
            header: object.header().into(),
            inner: Mutex::new(object),
        })
    }
}

#[uniffi::export]
impl ObjectReader {
    /// What the object says of itself.
    #[must_use]
    pub fn header(&self) -> ObjectHeader {
        self.header.clone()
    }

    /// The next bytes of the content, at most so many; none at the end.
    pub fn read(&self, most: u64) -> Result<Vec<u8>, StrongroomError> {
        let mut object = lock(&self.inner);
        let mut piece = vec![0; usize::try_from(most).unwrap_or(PIECE).min(PIECE)];
        let mut filled = 0;
        while filled < piece.len() {
            match object
                .read(&mut piece[filled..])
                .map_err(StrongroomError::of_stream)?
            {
                0 => break,
                length => filled += length,
            }
        }
        piece.truncate(filled);
        Ok(piece)
    }
}

/// An object of which any part can be read. Only authenticated content is handed out, and its length is authentic.
#[derive(uniffi::Object)]
pub struct ObjectAt {
    header: ObjectHeader,
    inner: Mutex<strongroom_client::ObjectAt<Box<dyn object::RangeSource + Send>>>,
}

impl ObjectAt {
    pub(crate) fn new(
        object: strongroom_client::ObjectAt<Box<dyn object::RangeSource + Send>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            header: object.header().into(),
            inner: Mutex::new(object),
        })
    }
}

#[uniffi::export]
impl ObjectAt {
    /// What the object says of itself.
    #[must_use]
    pub fn header(&self) -> ObjectHeader {
        self.header.clone()
    }

    /// The length of the content in bytes.
    pub fn length(&self) -> Result<u64, StrongroomError> {
        Ok(lock(&self.inner).length()?)
    }

    /// The content from `offset` on: so many bytes, or fewer where it ends.
    pub fn read_at(&self, offset: u64, length: u64) -> Result<Vec<u8>, StrongroomError> {
        let mut object = lock(&self.inner);
        let left = object.length()?.saturating_sub(offset);
        let length = usize::try_from(length.min(left))
            .map_err(|_| StrongroomError::invalid("so much does not fit into memory"))?;
        let mut part = vec![0; length];
        let filled = object.read_at(offset, &mut part)?;
        part.truncate(filled);
        Ok(part)
    }
}

impl From<&Header> for ObjectHeader {
    fn from(header: &Header) -> Self {
        Self {
            key: header.key().to_string(),
            key_version: header.key_version(),
            server: header.server().to_owned(),
            content_type: header.content_type().map(str::to_owned),
        }
    }
}

impl From<strongroom_client::Protected> for Protected {
    fn from(protected: strongroom_client::Protected) -> Self {
        Self {
            key: protected.key.into(),
            length: protected.length,
        }
    }
}

/// A file whose ranges are read.
pub(crate) fn file(path: &str) -> Result<Box<dyn object::RangeSource + Send>, StrongroomError> {
    let file = std::fs::File::open(path).map_err(CobblestoneError::Read);
    Ok(Box::new(file.map_err(ClientError::from)?))
}

/// An error of one call poisons nothing: what is locked here is whole between two of its own calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    struct Greedy;

    impl ByteSource for Greedy {
        fn read(&self, most: u64) -> Result<Vec<u8>, StreamError> {
            Ok(vec![1; usize::try_from(most).unwrap() + 1])
        }
    }

    #[test]
    fn a_source_that_gives_too_much_is_refused() {
        let error = FromSource(Arc::new(Greedy)).read(&mut [0; 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the source gave more than it was asked for"
        );
    }

    #[test]
    fn a_file_is_labelled_by_its_name_unless_something_is_said() {
        let file = Some(Path::new("a/report.pdf"));
        let protection = Protection::default().resolve(file).unwrap();
        assert_eq!(protection.label, "report.pdf");
        assert_eq!(protection.content_type.as_deref(), Some("application/pdf"));
        let said = Protection {
            label: Some("offer".to_owned()),
            recipients: vec![" Bob@example.com".to_owned()],
            ..Protection::default()
        };
        let protection = said.resolve(file).unwrap();
        assert_eq!(protection.label, "offer");
        assert_eq!(protection.recipients, ["bob@example.com"]);
    }
}
