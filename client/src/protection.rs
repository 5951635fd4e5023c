//! Protecting and opening with the appliance's keys: one key for each object, made and kept by the appliance.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, Key, KeyState, NewKey, UsagePolicy};

use crate::ClientError;
use crate::file::NewFile;
use crate::keys::{Keep, Released};
use crate::object::{self, CobblestoneError, DecryptReader, Header, ObjectError};
use crate::session::Session;
use crate::sign_in::account_name;

/// Who may open an object and when, and what people know it by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// The key's name for people, usually the file's name.
    pub label: String,
    /// The media type of the content, such as `application/pdf`. Stands unencrypted in the object's header.
    pub content_type: Option<String>,
    /// The names of the accounts that may open it, besides the one that protects it.
    pub recipients: Vec<String>,
    /// When and how often its key may be released.
    pub policy: UsagePolicy,
}

impl Protection {
    /// The protection of a file: labelled with its name, its content type guessed from the name's ending.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_default();
        Self {
            label: name.chars().filter(|c| !c.is_control()).collect(),
            content_type: content_type(&name).map(str::to_owned),
            ..Self::default()
        }
    }

    /// The same, with one more recipient.
    #[must_use]
    pub fn to(mut self, recipient: &str) -> Self {
        self.recipients.push(account_name(recipient));
        self
    }
}

/// What was protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// The object's key.
    pub key: Key,
    /// The length of what was protected, in bytes.
    pub length: u64,
}

impl Session {
    /// Protects all that `reader` yields under a new key, and writes the object to `writer`.
    ///
    /// On an error, what was written is no object and is to be discarded; the key, if it was made, is destroyed again.
    pub fn protect(
        &self,
        protection: &Protection,
        reader: &mut impl Read,
        writer: &mut impl Write,
    ) -> Result<Protected, ClientError> {
        let header = |key, version| {
            let content_type = protection.content_type.as_deref();
            Header::new(key, version, self.client().origin(), content_type)
        };
        // Before a key is made for it.
        header(KeyId::from_bytes([0; 16]), 1)?;
        let recipients = protection.recipients.iter();
        let (created, mut released) = self.create_and_obtain(NewKey {
            algorithm: Algorithm::Aes256,
            label: protection.label.clone(),
            content_type: protection.content_type.clone(),
            recipients: recipients.map(|name| account_name(name)).collect(),
            policy: protection.policy.clone(),
            state: KeyState::Active,
        })?;
        let written = released.object_key().and_then(|key| {
            let header = header(created.key.id, released.version())?;
            Ok(object::protect(&key, &header, reader, writer)?)
        });
        match written {
            Ok(length) => Ok(Protected {
                key: created.key,
                length,
            }),
            Err(error) => {
                // It protects nothing. That it cannot be destroyed changes nothing about what went wrong.
                let _ = self.destroy(created.key.id);
                Err(error)
            }
        }
    }

    /// Protects a file. The object appears under the name `to` when it is complete, and replaces no file.
    pub fn protect_file(
        &self,
        from: &Path,
        to: &Path,
        protection: &Protection,
    ) -> Result<Protected, ClientError> {
        let mut reader = File::open(from).map_err(CobblestoneError::Read)?;
        let mut writer = NewFile::shared(to, false).map_err(CobblestoneError::Write)?;
        let protected = self.protect(protection, &mut reader, &mut writer)?;
        writer.complete().map_err(CobblestoneError::Write)?;
        Ok(protected)
    }

    /// Opens an object: reads its header, obtains its key, and gives the reader of its content.
    pub fn open<R: Read>(&self, reader: R) -> Result<OpenObject<R>, ClientError> {
        let object = object::open(reader)?;
        let header = object.header().clone();
        let mut released = self.obtain_for(&header)?;
        Ok(OpenObject {
            reader: Some(object.with_key(&released.object_key()?)?),
            keep: released.keep(),
            leaf: released.leaf(),
            header,
        })
    }

    /// Opens an object into a file, which only its owner may read. It appears under the name `to` when the whole
    /// object has been authenticated, and replaces no file.
    pub fn open_file(&self, from: &Path, to: &Path) -> Result<u64, ClientError> {
        let reader = File::open(from).map_err(CobblestoneError::Read)?;
        let mut object = self.open(BufReader::new(reader))?;
        let mut writer = NewFile::private(to, false).map_err(CobblestoneError::Write)?;
        let length = object.copy_to(&mut writer)?;
        writer.complete().map_err(CobblestoneError::Write)?;
        Ok(length)
    }

    /// Obtains the key version that an object's header names: for [`object::ProtectedObject::with_key_at`], for instance.
    ///
    /// # Errors
    /// [`ClientError::OtherServer`] when the header names an appliance this client was not set up with: it is not
    /// authentic yet, and no request is made because of it.
    pub fn obtain_for(&self, header: &Header) -> Result<Released, ClientError> {
        if !self.client().is_known(header.server()) {
            return Err(ClientError::OtherServer {
                named: header.server().to_owned(),
                known: self.client().origin().to_owned(),
            });
        }
        self.obtain(header.key(), Some(header.key_version()))
    }
}

/// An object whose key was obtained. Read it, or copy it at once with [`Self::copy_to`].
///
/// Only authenticated plaintext is handed out; whoever stores it must discard it when a later read fails.
/// Where the usage policy sets a moment, the key is forgotten then and reading fails.
pub struct OpenObject<R: Read> {
    header: Header,
    leaf: u64,
    keep: Keep,
    /// None once the key had to be forgotten.
    reader: Option<DecryptReader<R>>,
}

impl<R: Read> OpenObject<R> {
    /// The object's header, authentic.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The index of the release's leaf in the audit log.
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// Decrypts all that remains into `writer`; returns the number of bytes.
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

fn io_error(error: ClientError) -> io::Error {
    match error {
        ClientError::Object(ObjectError::Stream(error)) => error.into(),
        other => io::Error::new(io::ErrorKind::PermissionDenied, other),
    }
}

/// The media type that goes with the ending of a file's name, of those that people protect most.
fn content_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "eml" => "message/rfc822",
        "gif" => "image/gif",
        "gz" => "application/gzip",
        "htm" | "html" => "text/html",
        "jpeg" | "jpg" => "image/jpeg",
        "json" => "application/json",
        "md" => "text/markdown",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "odt" => "application/vnd.oasis.opendocument.text",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "svg" => "image/svg+xml",
        "tar" => "application/x-tar",
        "txt" => "text/plain",
        "wav" => "audio/wav",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::encoding::Timestamp;

    use super::*;
    use crate::keys::now;
    use crate::object::ObjectKey;

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

    #[test]
    fn a_file_is_labelled_and_typed_by_its_name() {
        let protection = Protection::of_file(Path::new("a/Report\n.PDF")).to(" Bob@Example.com");
        assert_eq!(protection.label, "Report.PDF");
        assert_eq!(protection.content_type.as_deref(), Some("application/pdf"));
        assert_eq!(protection.recipients, ["bob@example.com"]);
        for name in ["README", "a.unknown", ".pdf/x", ""] {
            assert_eq!(
                Protection::of_file(Path::new(name)).content_type,
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn every_guessed_type_can_stand_in_a_header() {
        for ending in [
            "csv", "docx", "eml", "json", "md", "pptx", "svg", "txt", "xlsx", "zip",
        ] {
            let guessed = content_type(&format!("a.{ending}"));
            assert!(guessed.is_some(), "{ending}");
            Header::new(KeyId::generate(), 1, "https://a.example", guessed).unwrap();
        }
    }
}
