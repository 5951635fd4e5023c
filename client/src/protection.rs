//! Protecting and opening with the appliance's keys: one key for each object, made and kept by the appliance.
//!
//! | module | what lives there |
//! |---|---|
//! | `how` | [`Protection`]: who may open an object and when |
//! | `handles` | objects that are being written and read |

mod handles;
mod how;

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, ChangedKey, Key, KeyVersion, NewKey};

use crate::ClientError;
use crate::api::Call;
use crate::device::Device;
use crate::file::NewFile;
use crate::held::Keeping;
use crate::keys::{self, Released};
use crate::message::{self, Metadata, Opened, Outgoing, Sealed};
use crate::object::{self, CobblestoneError, Header, RangeReader, RangeSource};
use crate::requester::{Requester, account_name};
#[cfg(feature = "sessions")]
use crate::session::Session;

pub use handles::{ObjectAt, ObjectWriter, OpenObject};
pub use how::Protection;

/// What was protected.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
/// use std::path::Path;
/// use strongroom_client::{Protect, Protection};
///
/// let report = Path::new("report.pdf");
/// let protected = session.protect_file(report, Path::new("report.pdf.sealed"), &Protection::of_file(report))?;
/// println!("{} bytes under {}", protected.length, protected.key.id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// The object's key.
    pub key: Key,
    /// The length of what was protected, in bytes.
    pub length: u64,
}

/// Protecting and opening, by a signed-in [`Session`] or by a [`Device`] that signs its requests.
///
/// Messages fit into memory and into one envelope ([`crate::message`]); objects are streams of any length ([`crate::object`]). Each has a key
/// of its own, made and kept by the appliance.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::{ClientError, Metadata, Protect};
///
/// /// Works in a session and on a device alike.
/// fn tell(sealer: &impl Protect, text: &str) -> Result<Vec<u8>, ClientError> {
///     Ok(sealer.seal_message(text.as_bytes(), &["bob@example.com"], &Metadata::new("note"))?.bytes)
/// }
/// tell(session, "at noon")?;
/// # Ok(())
/// # }
/// ```
#[expect(
    private_bounds,
    reason = "sealed: how requests are made is this crate's own affair"
)]
pub trait Protect: Requester + Sized {
    /// Seals a message for the accounts with these names, and for oneself.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::{Metadata, Protect};
    ///
    /// let sealed = session.seal_message(b"at noon", &["bob@example.com"], &Metadata::new("meeting"))?;
    /// let opened = session.open_message(&sealed.bytes)?; // as bob does, in his session
    /// assert_eq!(*opened.plaintext, b"at noon");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Message`] when it is too long; [`ClientError::Setup`] when its content type is none; [`ClientError::Refused`] when the appliance makes no key
    /// for it, such as for a recipient that it does not know.
    fn seal_message(
        &self,
        plaintext: &[u8],
        recipients: &[&str],
        metadata: &Metadata,
    ) -> Result<Sealed, ClientError> {
        let message = Outgoing {
            plaintext,
            recipients,
            metadata,
        };
        let sealed = message::seal(self, &[message])?.pop();
        sealed.ok_or(ClientError::Library)
    }

    /// Seals many messages, each under a key of its own, in few requests: a thousand take one.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::message::Outgoing;
    /// use strongroom_client::{Metadata, Protect};
    ///
    /// let readings: Vec<String> = (0..1000).map(|number| format!("{number} W")).collect();
    /// let metadata = Metadata::new("meter reading");
    /// let outgoing: Vec<_> = readings
    ///     .iter()
    ///     .map(|reading| Outgoing {
    ///         plaintext: reading.as_bytes(),
    ///         recipients: &["meters@example.com"],
    ///         metadata: &metadata,
    ///     })
    ///     .collect();
    /// assert_eq!(session.seal_messages(&outgoing)?.len(), 1000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::seal_message`], for all of them together. Where they took more than one request and a later one failed, the keys of the
    /// earlier ones stay, and protect nothing.
    fn seal_messages(&self, messages: &[Outgoing<'_>]) -> Result<Vec<Sealed>, ClientError> {
        message::seal(self, messages)
    }

    /// Opens a message: reads its envelope, obtains its key, and authenticates it.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, received: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Protect;
    ///
    /// let opened = session.open_message(received)?;
    /// println!("{} bytes, sealed at {}", opened.plaintext.len(), opened.header.time);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Message`] when it is no message, or not what was sealed; [`ClientError::OtherServer`] when its key is elsewhere;
    /// [`ClientError::Refused`] when the appliance does not release its key, with the reason.
    fn open_message(&self, bytes: &[u8]) -> Result<Opened, ClientError> {
        message::open_one(self, bytes)
    }

    /// Opens many messages in few requests: a thousand take one. That one of them is refused stops no other.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, inbox: &[Vec<u8>]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Protect;
    ///
    /// for opened in session.open_messages(inbox)? {
    ///     match opened {
    ///         Ok(message) => println!("{} bytes from {}", message.plaintext.len(), message.header.sender),
    ///         Err(error) => println!("not opened: {error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the appliance refuses a request as a whole. What is wrong with one message stands in its place.
    fn open_messages<B: AsRef<[u8]>>(
        &self,
        messages: &[B],
    ) -> Result<Vec<Result<Opened, ClientError>>, ClientError> {
        message::open(self, messages)
    }

    /// Protects all that `reader` yields under a new key, and writes the object to `writer`.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::{Protect, Protection};
    ///
    /// let mut sealed = Vec::new();
    /// let protection = Protection::default().to("bob@example.com");
    /// session.protect(&protection, &mut "the report".as_bytes(), &mut sealed)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::writer`], and when reading or writing fails. What was written is then no object and is to be discarded; the key, if it was
    /// made, is destroyed again.
    fn protect(
        &self,
        protection: &Protection,
        reader: &mut impl Read,
        writer: &mut impl Write,
    ) -> Result<Protected, ClientError> {
        let mut object = self.writer(protection, writer)?;
        let key = object.key().clone();
        let written = object.copy_from(reader).and_then(|length| {
            object.finish()?;
            Ok(length)
        });
        match written {
            Ok(length) => Ok(Protected { key, length }),
            Err(error) => {
                // It protects nothing. That it cannot be destroyed changes nothing about what went wrong.
                let destroy = Call::delete(format!("/v1/keys/{}", key.id));
                let _ = self.request::<ChangedKey>(&destroy);
                Err(error)
            }
        }
    }

    /// Makes a key and writes the header of an object under it: what is written to the answer is encrypted into `writer`.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    /// use strongroom_client::{Protect, Protection};
    ///
    /// let file = std::fs::File::create("log.sealed")?;
    /// let mut object = session.writer(&Protection::default().to("auditor@example.com"), file)?;
    /// writeln!(object, "started")?;
    /// object.finish()?; // without this it is truncated
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the content type is none; [`ClientError::Object`] when writing fails; [`ClientError::Refused`] when the appliance makes no key.
    fn writer<W: Write>(
        &self,
        protection: &Protection,
        writer: W,
    ) -> Result<ObjectWriter<W>, ClientError> {
        let header = |key, version| {
            let content_type = protection.content_type.as_deref();
            Header::new(key, version, self.client().origin(), content_type)
                .map_err(|error| ClientError::Setup(error.to_string()))
        };
        // Before a key is made for it.
        header(KeyId::from_bytes([0; 16]), 1)?;
        let recipients = protection.recipients.iter();
        let new = NewKey {
            label: protection.label.clone(),
            content_type: protection.content_type.clone(),
            recipients: recipients.map(|name| account_name(name)).collect(),
            policy: protection.policy.clone(),
            ..NewKey::new(Algorithm::Aes256)
        };
        let (created, mut released) = keys::create_and_obtain_one(self, new)?;
        let header = header(created.key.id, released.version())?;
        let stream = object::encrypt(&released.object_key()?, &header, writer)?;
        Ok(ObjectWriter {
            key: created.key,
            stream,
        })
    }

    /// Protects a file. The object appears under the name `to` when it is complete, and replaces no file.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use std::path::Path;
    /// use strongroom_client::{Protect, Protection};
    ///
    /// let report = Path::new("report.pdf");
    /// let protection = Protection::of_file(report).to("bob@example.com");
    /// session.protect_file(report, Path::new("report.pdf.sealed"), &protection)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::protect`].
    fn protect_file(
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
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::Protect;
    ///
    /// let mut object = session.open(std::fs::File::open("report.pdf.sealed")?)?;
    /// println!("{:?}", object.header().content_type());
    /// object.copy_to(&mut std::io::sink())?; // an error: discard what was written
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Object`] when it is no object or its header was altered; else as [`Self::obtain_for`].
    fn open<R: Read>(&self, reader: R) -> Result<OpenObject<R>, ClientError> {
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

    /// Opens an object whose bytes come in ranges: a file, or somebody's cloud storage. Any part of its content is read without what stands
    /// before it.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, roots: &strongroom_client::Roots) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::{Read, Seek, SeekFrom};
    /// use strongroom_client::object::HttpRange;
    /// use strongroom_client::Protect;
    ///
    /// let stored = HttpRange::new("https://storage.example/film.mp4.sealed", roots)?;
    /// let mut film = session.open_at(stored)?;
    /// film.seek(SeekFrom::Start(1_000_000_000))?;
    /// let mut scene = vec![0; 65536];
    /// film.read_exact(&mut scene)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::open`], and when the object's length is not authentic.
    fn open_at<S: RangeSource>(&self, source: S) -> Result<ObjectAt<S>, ClientError> {
        let reader = RangeReader::new(source).map_err(CobblestoneError::Read)?;
        let object = object::open(reader)?;
        let header = object.header().clone();
        let mut released = self.obtain_for(&header)?;
        Ok(ObjectAt {
            reader: Some(object.with_key_at(&released.object_key()?)?),
            keep: released.keep(),
            leaf: released.leaf(),
            header,
        })
    }

    /// Opens an object into a file, which only its owner may read. It appears under the name `to` when the whole
    /// object has been authenticated, and replaces no file.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use std::path::Path;
    /// use strongroom_client::Protect;
    ///
    /// let length = session.open_file(Path::new("report.pdf.sealed"), Path::new("report.pdf"))?;
    /// println!("{length} bytes");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::open`], and when a part of the object was refused.
    fn open_file(&self, from: &Path, to: &Path) -> Result<u64, ClientError> {
        let reader = File::open(from).map_err(CobblestoneError::Read)?;
        let mut object = self.open(BufReader::new(reader))?;
        let mut writer = NewFile::private(to, false).map_err(CobblestoneError::Write)?;
        let length = object.copy_to(&mut writer)?;
        writer.complete().map_err(CobblestoneError::Write)?;
        Ok(length)
    }

    /// Obtains the key version that an object's header names: for [`object::ProtectedObject::with_key_at`], for instance.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::{object, Protect};
    ///
    /// let object = object::open(std::fs::File::open("film.mp4.sealed")?)?;
    /// let mut released = session.obtain_for(object.header())?;
    /// let mut film = object.with_key_at(&released.object_key()?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::OtherServer`] when the header names an appliance this client was not set up with: it is not
    /// authentic yet, and no request is made because of it. [`ClientError::Refused`] when the appliance does not release the key.
    fn obtain_for(&self, header: &Header) -> Result<Released, ClientError> {
        self.client().require_known(header.server())?;
        let wanted = KeyVersion {
            key: header.key(),
            version: Some(header.key_version()),
        };
        keys::obtain_one(self, wanted)
    }

    /// Changes for how long obtained keys are held for further use, from now on.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) {
    /// use std::time::Duration;
    /// use strongroom_client::{Keeping, Protect};
    ///
    /// session.keep_keys(Keeping {
    ///     fresh_for: Duration::from_mins(5),
    ///     at_most: Duration::from_hours(8),
    /// });
    /// # }
    /// ```
    fn keep_keys(&self, keeping: Keeping) {
        self.held().keep(keeping);
    }

    /// Overwrites every key that is held, and the material of every [`Released`] that came from here. What is being read or written right now
    /// goes on.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Protect;
    ///
    /// session.forget(); // as when the screen is locked
    /// # Ok(())
    /// # }
    /// ```
    fn forget(&self) {
        self.held().forget_all();
    }

    /// The same for one key.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Protect;
    ///
    /// session.forget_key(key);
    /// assert!(session.obtain(key, None).is_ok()); // asks the appliance again
    /// # Ok(())
    /// # }
    /// ```
    fn forget_key(&self, key: KeyId) {
        self.held().forget(key);
    }
}

#[cfg(feature = "sessions")]
impl Protect for Session {}

impl Protect for Device {}
