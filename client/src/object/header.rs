//! The header of a protected object: what a reader must know before it has the key.
//!
//! ```text
//! "strongroom-object/v1\n" || length of the COSE message (4, big-endian) || COSE message || stream
//! ```
//!
//! The COSE message is a tagged `COSE_Encrypt0` (RFC 9052 section 5.2) with a detached (nil) ciphertext,
//! an empty unprotected map and these protected parameters, in the deterministic encoding of RFC 8949
//! section 4.2.1. Labels and algorithm without a registration are integers of the private-use range.
//!
//! | label | value |
//! |---|---|
//! | 1 (alg) | -70000, [`ALGORITHM`]: Cobblestone-256 with the detached stream |
//! | 3 (content type) | text `type/subtype`, may be absent |
//! | 4 (kid) | the key's identifier, 16 bytes |
//! | -70001 | the key's version, an unsigned integer of 32 bits, at least 1 |
//! | -70002 | the appliance's origin, text such as `https://keys.example.com:8443` |
//!
//! A header with anything else in it, or encoded in any other way, is refused: one header has one encoding.
//! All bytes from the magic to the end of the COSE message are bound to the stream through its context.

#[cfg(test)]
mod tests;

use std::io::{self, Read};

use aws_lc_rs::digest::{SHA512, SHA512_OUTPUT_LEN, digest};
use coset::cbor::value::Value;
use coset::{
    Algorithm, CoseEncrypt0, CoseEncrypt0Builder, CoseError, HeaderBuilder, Label,
    TaggedCborSerializable,
};
use strongroom_wire::id::KeyId;
use url::Url;

/// The first bytes of every protected object of this version.
pub const MAGIC: &[u8; 21] = b"strongroom-object/v1\n";
/// What the first bytes of all versions have in common.
const MAGIC_STEM: &[u8] = b"strongroom-object/v";
/// The COSE algorithm identifier (private use) of Cobblestone-256 with a detached stream.
pub const ALGORITHM: i64 = -70_000;
/// The COSE header parameter (private use) that holds the key's version.
pub const KEY_VERSION: i64 = -70_001;
/// The COSE header parameter (private use) that holds the appliance's origin.
pub const SERVER: i64 = -70_002;
/// The largest COSE message that is read, in bytes.
pub const MAX_COSE_LEN: usize = 4096;
/// The longest server origin, in bytes.
pub const MAX_SERVER_LEN: usize = 2048;
/// The longest content type, in bytes.
pub const MAX_CONTENT_TYPE_LEN: usize = 255;
/// Length of the stream's context: the magic and a SHA-512.
pub const CONTEXT_LEN: usize = MAGIC.len() + SHA512_OUTPUT_LEN;

const LENGTH_LEN: usize = 4;

/// What an object says of itself before it is opened.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::object::Header;
/// use strongroom_wire::id::KeyId;
///
/// let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", Some("text/plain"))?;
/// assert_eq!(header.content_type(), Some("text/plain"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    key: KeyId,
    key_version: u32,
    server: String,
    content_type: Option<String>,
}

/// Why a header cannot be written or read.
///
/// ```
/// use strongroom_client::object::{Header, HeaderError};
/// use strongroom_wire::id::KeyId;
///
/// let error = Header::new(KeyId::generate(), 1, "http://keys.example.com", None).err(); // not https
/// assert!(matches!(error, Some(HeaderError::Invalid(_))));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Reading failed.
    #[error("the object could not be read")]
    Read(#[source] io::Error),
    /// The first bytes are not those of a protected object.
    #[error("this is not a protected object")]
    NotAnObject,
    /// The first bytes are those of another version of the format.
    #[error("this object was protected by a version of Strongroom that this one cannot read")]
    UnknownVersion,
    /// The input ends inside the header.
    #[error("the object is truncated: it ends inside its header")]
    Truncated,
    /// The COSE message is longer than [`MAX_COSE_LEN`].
    #[error("the object's header is damaged: it claims a length of {length} bytes")]
    TooLong {
        /// The length it claims, in bytes.
        length: u32,
    },
    /// The bytes are not a tagged `COSE_Encrypt0`.
    #[error("the object's header is damaged: it is not a COSE message")]
    NotCose,
    /// The message is COSE, but not in the one encoding that this format allows.
    #[error("the object's header is damaged: it is not in its only permitted encoding")]
    NotDeterministic,
    /// The object was protected with another algorithm.
    #[error("the object was protected with an algorithm that this client does not know")]
    UnknownAlgorithm,
    /// A parameter is missing, of the wrong type or out of its bounds.
    #[error("the object's header has no valid {0}")]
    Invalid(Field),
    /// The header holds something this format does not have.
    #[error("the object's header holds a parameter that this client does not know")]
    UnknownParameter,
}

/// A parameter of the header, as an error names it.
///
/// ```
/// use strongroom_client::object::header::{Field, Header, HeaderError};
/// use strongroom_wire::id::KeyId;
///
/// let error = Header::new(KeyId::generate(), 0, "https://keys.example.com", None).err();
/// assert!(matches!(error, Some(HeaderError::Invalid(Field::KeyVersion))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The key's identifier.
    Key,
    /// The key's version.
    KeyVersion,
    /// The appliance's origin.
    Server,
    /// The content type.
    ContentType,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "key identifier",
            Self::KeyVersion => "key version",
            Self::Server => "server (an https origin such as https://keys.example.com:8443)",
            Self::ContentType => "content type (such as text/plain)",
        })
    }
}

impl Header {
    /// A header for an object protected with `key_version` of `key`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::object::Header;
    /// use strongroom_wire::id::KeyId;
    ///
    /// let header = Header::new(KeyId::generate(), 1, "https://keys.example.com", None)?;
    /// assert_eq!(header.key_version(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`HeaderError::Invalid`] when the version is 0, when `server` is not the text of an https origin
    /// (RFC 6454 section 6.2), or when `content_type` is not of the form `type/subtype` in visible ASCII.
    pub fn new(
        key: KeyId,
        key_version: u32,
        server: &str,
        content_type: Option<&str>,
    ) -> Result<Self, HeaderError> {
        if key_version == 0 {
            return Err(HeaderError::Invalid(Field::KeyVersion));
        }
        if !is_https_origin(server) {
            return Err(HeaderError::Invalid(Field::Server));
        }
        if !content_type.is_none_or(is_content_type) {
            return Err(HeaderError::Invalid(Field::ContentType));
        }
        Ok(Self {
            key,
            key_version,
            server: server.to_owned(),
            content_type: content_type.map(str::to_owned),
        })
    }

    /// The key that protects the object.
    ///
    /// ```no_run
    /// # fn run(header: &strongroom_client::object::Header) -> Result<(), strongroom_client::ClientError> {
    /// println!("protected under {}", header.key());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The version of the key, from 1.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, header: &strongroom_client::object::Header) -> Result<(), strongroom_client::ClientError> {
    /// let released = session.obtain(header.key(), Some(header.key_version()))?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn key_version(&self) -> u32 {
        self.key_version
    }

    /// The origin of the appliance that keeps the key.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client, header: &strongroom_client::object::Header) -> Result<(), strongroom_client::ClientError> {
    /// println!("kept at {}, which is {}", header.server(), if client.is_known(header.server()) { "known" } else { "unknown" });
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The media type of the content, if it was given.
    ///
    /// ```no_run
    /// # fn run(header: &strongroom_client::object::Header) -> Result<(), strongroom_client::ClientError> {
    /// println!("{}", header.content_type().unwrap_or("application/octet-stream"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The header as it stands in the file: magic, length and COSE message.
    pub(super) fn encode(&self) -> Result<Vec<u8>, HeaderError> {
        let cose = self
            .to_cose()
            .to_tagged_vec()
            .map_err(|_| HeaderError::NotCose)?;
        let length = u32::try_from(cose.len()).map_err(|_| HeaderError::NotCose)?;
        let mut start = Vec::with_capacity(MAGIC.len() + LENGTH_LEN + cose.len());
        start.extend_from_slice(MAGIC);
        start.extend_from_slice(&length.to_be_bytes());
        start.extend_from_slice(&cose);
        Ok(start)
    }

    /// Reads a header and the context that it gives the stream behind it.
    pub(super) fn read(reader: &mut impl Read) -> Result<(Self, [u8; CONTEXT_LEN]), HeaderError> {
        let mut start = vec![0; MAGIC.len()];
        read_exact(reader, &mut start).map_err(|error| match error {
            // Whatever else is too short for the magic was never an object.
            HeaderError::Truncated => HeaderError::NotAnObject,
            other => other,
        })?;
        if start != MAGIC {
            return Err(if start.starts_with(MAGIC_STEM) {
                HeaderError::UnknownVersion
            } else {
                HeaderError::NotAnObject
            });
        }
        let mut length_bytes = [0; LENGTH_LEN];
        read_exact(reader, &mut length_bytes)?;
        let length = u32::from_be_bytes(length_bytes);
        let cose_len = usize::try_from(length)
            .ok()
            .filter(|n| *n <= MAX_COSE_LEN)
            .ok_or(HeaderError::TooLong { length })?;
        let mut cose = vec![0; cose_len];
        read_exact(reader, &mut cose)?;
        let header = Self::from_cose(&cose)?;
        start.extend_from_slice(&length_bytes);
        start.extend_from_slice(&cose);
        Ok((header, context(&start)))
    }

    /// The parameters in the order of their deterministic encoding: coset writes 1, 3 and 4 first.
    fn to_cose(&self) -> CoseEncrypt0 {
        let mut protected = HeaderBuilder::new()
            .algorithm_label(Algorithm::PrivateUse(ALGORITHM))
            .key_id(self.key.as_bytes().to_vec())
            .value(KEY_VERSION, Value::from(self.key_version))
            .value(SERVER, Value::from(self.server.as_str()));
        if let Some(content_type) = &self.content_type {
            protected = protected.content_type(content_type.clone());
        }
        CoseEncrypt0Builder::new()
            .protected(protected.build())
            .build()
    }

    fn from_cose(bytes: &[u8]) -> Result<Self, HeaderError> {
        let message = CoseEncrypt0::from_tagged_slice(bytes).map_err(|error| match error {
            CoseError::UnregisteredIanaNonPrivateValue => HeaderError::UnknownAlgorithm,
            _ => HeaderError::NotCose,
        })?;
        let parameters = message.protected.header;
        if parameters.alg != Some(Algorithm::PrivateUse(ALGORITHM)) {
            return Err(HeaderError::UnknownAlgorithm);
        }
        let key = <[u8; 16]>::try_from(parameters.key_id.as_slice())
            .map_err(|_| HeaderError::Invalid(Field::Key))?;
        let content_type = match parameters.content_type {
            None => None,
            Some(coset::ContentType::Text(text)) => Some(text),
            Some(coset::ContentType::Assigned(_)) => {
                return Err(HeaderError::Invalid(Field::ContentType));
            }
        };
        let mut key_version = None;
        let mut server = None;
        for (label, value) in parameters.rest {
            match (label, value) {
                (Label::Int(KEY_VERSION), Value::Integer(n)) => key_version = u32::try_from(n).ok(),
                (Label::Int(SERVER), Value::Text(text)) => server = Some(text),
                (Label::Int(KEY_VERSION), _) => {
                    return Err(HeaderError::Invalid(Field::KeyVersion));
                }
                (Label::Int(SERVER), _) => return Err(HeaderError::Invalid(Field::Server)),
                _ => return Err(HeaderError::UnknownParameter),
            }
        }
        let header = Self::new(
            KeyId::from_bytes(key),
            key_version.ok_or(HeaderError::Invalid(Field::KeyVersion))?,
            &server.ok_or(HeaderError::Invalid(Field::Server))?,
            content_type.as_deref(),
        )?;
        let only_encoding = header
            .to_cose()
            .to_tagged_vec()
            .map_err(|_| HeaderError::NotCose)?;
        if only_encoding != bytes {
            return Err(HeaderError::NotDeterministic);
        }
        Ok(header)
    }
}

/// The context that binds a header to its stream: the magic, then the SHA-512 of the whole header
/// from the magic to the end of the COSE message.
pub(super) fn context(start: &[u8]) -> [u8; CONTEXT_LEN] {
    let mut context = [0; CONTEXT_LEN];
    let (magic, hash) = context.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    hash.copy_from_slice(digest(&SHA512, start).as_ref());
    context
}

pub(crate) fn is_https_origin(text: &str) -> bool {
    text.len() <= MAX_SERVER_LEN
        && Url::parse(text)
            .is_ok_and(|url| url.scheme() == "https" && url.origin().ascii_serialization() == text)
}

pub(crate) fn is_content_type(text: &str) -> bool {
    text.len() <= MAX_CONTENT_TYPE_LEN
        && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        && text.trim() == text
        && text
            .split_once('/')
            .is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty() && !sub.contains('/'))
}

fn read_exact(reader: &mut impl Read, buffer: &mut [u8]) -> Result<(), HeaderError> {
    reader.read_exact(buffer).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            HeaderError::Truncated
        } else {
            HeaderError::Read(error)
        }
    })
}
