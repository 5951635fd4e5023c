//! The envelope of a sealed message: one tagged `COSE_Encrypt0` (RFC 9052 section 5.2), and nothing around it.
//!
//! A256GCM (RFC 9053 section 4.1) under the message's own key. The associated data is the `Enc_structure` of RFC 9052 section 5.3, whose
//! `external_aad` is the 21 bytes of [`DOMAIN`], so that an envelope can be taken for nothing else that the same key might have sealed.
//! The unprotected map is empty; the protected parameters are these, in the deterministic encoding of RFC 8949 section 4.2.1:
//!
//! | label | value |
//! |---|---|
//! | 1 (alg) | 3, A256GCM |
//! | 3 (content type) | text `type/subtype`, may be absent |
//! | 4 (kid) | the key's identifier, 16 bytes |
//! | 5 (IV) | 12 random bytes |
//! | -70001 | the key's version, an unsigned integer of 32 bits, at least 1 |
//! | -70002 | the appliance's origin, text such as `https://keys.example.com:8443` |
//! | -70003 | the sender's account, 16 bytes |
//! | -70004 | the recipients' names, an array of text in ascending order, without doubles |
//! | -70005 | when the key was made, in milliseconds since 1970, unsigned |
//!
//! Anything else, or another encoding of the same, is refused: one message has one envelope.

#[cfg(test)]
mod tests;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use coset::cbor::value::Value;
use coset::{
    Algorithm, CoseEncrypt0, CoseEncrypt0Builder, CoseError, HeaderBuilder, Label,
    TaggedCborSerializable, cbor, iana,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::MOST_RECIPIENTS;
use zeroize::Zeroizing;

use crate::object::header::{KEY_VERSION, MAX_COSE_LEN, SERVER, is_content_type, is_https_origin};

/// What binds the encryption to this format: the `external_aad`.
pub const DOMAIN: &[u8; 21] = b"strongroom-message/v1";
/// The COSE header parameter (private use) that holds the sender's account.
pub const SENDER: i64 = -70_003;
/// The COSE header parameter (private use) that holds the recipients' names.
pub const RECIPIENTS: i64 = -70_004;
/// The COSE header parameter (private use) that holds the time.
pub const TIME: i64 = -70_005;
/// The longest plaintext of a message, in bytes: 16 MiB. What is longer is an object.
///
/// ```
/// use strongroom_client::message::MAX_PLAINTEXT_LEN;
///
/// let film = 1_000_000_000;
/// assert!(film > MAX_PLAINTEXT_LEN); // to be protected as an object
/// ```
pub const MAX_PLAINTEXT_LEN: usize = 16 * 1024 * 1024;
/// The longest envelope that is read, in bytes.
pub const MAX_ENVELOPE_LEN: usize = MAX_PLAINTEXT_LEN + MAX_HEADERS_LEN;
/// The longest name of an account, in bytes.
pub const MAX_NAME_LEN: usize = 320;
/// Bytes for the headers: those of an object, and as many recipients as a key can have.
const MAX_HEADERS_LEN: usize = MAX_COSE_LEN + MOST_RECIPIENTS * (MAX_NAME_LEN + 3);
/// Bytes of an AES-256-GCM tag.
const TAG_LEN: usize = 16;

/// What a message says of itself. Authentic once the message was opened.
///
/// ```no_run
/// # fn run(received: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::message::Envelope;
///
/// let header = Envelope::parse(received)?.header().clone(); // not authentic before the message is opened
/// println!("for {}, kept at {}", header.recipients.join(", "), header.server);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHeader {
    /// The key that seals it.
    pub key: KeyId,
    /// The version of the key, from 1.
    pub key_version: u32,
    /// The origin of the appliance that keeps the key.
    pub server: String,
    /// The media type of the content, if it was given.
    pub content_type: Option<String>,
    /// The account that sent it.
    pub sender: AccountId,
    /// The names of the accounts it was sent to, in ascending order.
    pub recipients: Vec<String>,
    /// When it was sealed, by the appliance's clock.
    pub time: Timestamp,
}

/// Why a message cannot be sealed or opened.
///
/// ```
/// use strongroom_client::message::{Envelope, MessageError};
///
/// let error = Envelope::parse(b"").err(); // an empty file
/// assert_eq!(error, Some(MessageError::NotAMessage));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The bytes are not those of a sealed message.
    #[error("this is not a sealed message")]
    NotAMessage,
    /// The bytes end before the message does.
    #[error("the message is truncated")]
    Truncated,
    /// The message, or what is to be sealed, is longer than a message can be.
    #[error("a message has at most 16 MiB: protect what is longer as an object")]
    TooLong,
    /// The message is COSE, but not in the one encoding that this format allows, or has more in it.
    #[error("the message was altered: it is not in its only permitted encoding")]
    NotDeterministic,
    /// It was sealed with another algorithm.
    #[error("the message was sealed with an algorithm that this client does not know")]
    UnknownAlgorithm,
    /// It holds something this format does not have.
    #[error("the message holds a parameter that this client does not know")]
    UnknownParameter,
    /// A parameter is missing, of the wrong type or out of its bounds.
    #[error("the message has no valid {0}")]
    Invalid(&'static str),
    /// It does not authenticate under its key: it was altered, or another key was given.
    #[error("the message was altered, or sealed under another key")]
    Altered,
    /// The sender that it names did not create its key.
    #[error("the message names a sender who did not create its key")]
    WrongSender,
    /// The cryptographic library failed where no input can make it fail.
    #[error("the cryptographic library failed")]
    Library,
}

/// A sealed message that has been read and not opened: what it says of itself is not authentic yet.
///
/// ```
/// use strongroom_client::message::{Envelope, MessageHeader};
/// use strongroom_client::object::ObjectKey;
/// # use strongroom_wire::id::{AccountId, KeyId};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let header = MessageHeader {
///     key: KeyId::generate(),
///     key_version: 1,
///     server: "https://keys.example.com:8443".to_owned(),
///     content_type: Some("text/plain".to_owned()),
///     sender: AccountId::generate(),
///     recipients: vec!["bob@example.com".to_owned()],
///     time: "2026-11-27T18:00:00Z".parse()?,
/// };
/// let material = [7; 32]; // from the appliance, in earnest
/// let sealed = Envelope::seal(&header, &material, b"hello")?;
///
/// let envelope = Envelope::parse(&sealed)?;
/// assert_eq!(envelope.header().key, header.key); // names the key to obtain
/// assert_eq!(*envelope.open(&material)?, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Envelope {
    header: MessageHeader,
    iv: [u8; NONCE_LEN],
    cose: CoseEncrypt0,
}

impl Envelope {
    /// Seals a message under `material`, 32 bytes of a key of its own, with a random IV.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::message::{Envelope, MessageHeader};
    /// # use strongroom_wire::id::{AccountId, KeyId};
    /// # let (key, sender) = (KeyId::generate(), AccountId::generate());
    ///
    /// let header = MessageHeader {
    ///     key,
    ///     key_version: 1,
    ///     server: "https://keys.example.com:8443".to_owned(),
    ///     content_type: None,
    ///     sender,
    ///     recipients: vec!["bob@example.com".to_owned()],
    ///     time: "2026-11-27T18:00:00Z".parse()?,
    /// };
    /// let sealed = Envelope::seal(&header, &[7; 32], b"at noon")?;
    /// assert!(Envelope::parse(&sealed)?.open(&[8; 32]).is_err()); // another key
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`MessageError::Invalid`] when the header cannot be written, [`MessageError::TooLong`] when the plaintext is too long.
    pub fn seal(
        header: &MessageHeader,
        material: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, MessageError> {
        let mut iv = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut iv).map_err(|_| MessageError::Library)?;
        Self::seal_with_iv(header, material, plaintext, iv)
    }

    fn seal_with_iv(
        header: &MessageHeader,
        material: &[u8],
        plaintext: &[u8],
        iv: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, MessageError> {
        header.check()?;
        if plaintext.len() > MAX_PLAINTEXT_LEN {
            return Err(MessageError::TooLong);
        }
        let key = aead(material)?;
        header
            .to_cose(iv)
            .try_create_ciphertext(plaintext, DOMAIN, |plaintext, associated| {
                // Encrypted in place: the plaintext is overwritten.
                let mut sealed = Vec::with_capacity(plaintext.len() + TAG_LEN);
                sealed.extend_from_slice(plaintext);
                let nonce = Nonce::assume_unique_for_key(iv);
                key.seal_in_place_append_tag(nonce, Aad::from(associated), &mut sealed)
                    .map_err(|_| MessageError::Library)?;
                Ok(sealed)
            })?
            .build()
            .to_tagged_vec()
            .map_err(|_| MessageError::Library)
    }

    /// Reads an envelope.
    ///
    /// ```
    /// use strongroom_client::message::Envelope;
    ///
    /// assert!(Envelope::parse(b"Dear Bob,").is_err());
    /// ```
    ///
    /// # Errors
    /// Why it is none, or not one this version can read.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > MAX_ENVELOPE_LEN {
            return Err(MessageError::TooLong);
        }
        let cose = CoseEncrypt0::from_tagged_slice(bytes).map_err(|error| match error {
            CoseError::DecodeFailed(cbor::de::Error::Io(_)) if !bytes.is_empty() => {
                MessageError::Truncated
            }
            CoseError::UnregisteredIanaValue | CoseError::UnregisteredIanaNonPrivateValue => {
                MessageError::UnknownAlgorithm
            }
            CoseError::ExtraneousData | CoseError::DuplicateMapKey => {
                MessageError::NotDeterministic
            }
            _ => MessageError::NotAMessage,
        })?;
        let (header, iv) = MessageHeader::from_cose(&cose)?;
        let ciphertext = cose.ciphertext.as_ref();
        let length = ciphertext.map_or(0, Vec::len);
        if !(TAG_LEN..=MAX_PLAINTEXT_LEN + TAG_LEN).contains(&length) {
            return Err(MessageError::Invalid("ciphertext"));
        }
        let only_encoding = CoseEncrypt0 {
            ciphertext: cose.ciphertext.clone(),
            ..header.to_cose(iv).build()
        };
        let only_encoding = only_encoding
            .to_tagged_vec()
            .map_err(|_| MessageError::Library)?;
        if only_encoding != bytes {
            return Err(MessageError::NotDeterministic);
        }
        Ok(Self { header, iv, cose })
    }

    /// What the message says of itself.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client, received: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::message::Envelope;
    ///
    /// let envelope = Envelope::parse(received)?;
    /// if !client.is_known(&envelope.header().server) {
    ///     println!("Its key is kept elsewhere.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// Opens the message. Once this has succeeded, its header is authentic.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, received: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::message::Envelope;
    ///
    /// let envelope = Envelope::parse(received)?;
    /// let mut released = session.obtain(envelope.header().key, Some(envelope.header().key_version))?;
    /// let plaintext = envelope.open(&released.material()?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`MessageError::Altered`] when it does not authenticate under this material: no byte of it is handed out.
    pub fn open(&self, material: &[u8]) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        let key = aead(material)?;
        let opened = self.cose.decrypt_ciphertext(
            DOMAIN,
            || MessageError::NotAMessage,
            |ciphertext, associated| {
                let mut buffer = Zeroizing::new(ciphertext.to_vec());
                let nonce = Nonce::assume_unique_for_key(self.iv);
                let length = key
                    .open_in_place(nonce, Aad::from(associated), &mut buffer)
                    .map_err(|_| MessageError::Altered)?
                    .len();
                buffer.truncate(length);
                Ok(std::mem::take(&mut *buffer))
            },
        );
        opened.map(Zeroizing::new)
    }
}

impl MessageHeader {
    /// Whether it can stand in an envelope.
    pub(crate) fn check(&self) -> Result<(), MessageError> {
        let invalid = |what| Err(MessageError::Invalid(what));
        if self.key_version == 0 {
            return invalid("key version");
        }
        if !is_https_origin(&self.server) {
            return invalid("server");
        }
        if !self.content_type.as_deref().is_none_or(is_content_type) {
            return invalid("content type");
        }
        let names_are_sound = self.recipients.len() <= MOST_RECIPIENTS
            && self.recipients.iter().all(|name| {
                (1..=MAX_NAME_LEN).contains(&name.len()) && !name.chars().any(char::is_control)
            })
            && self.recipients.is_sorted_by(|first, second| first < second);
        if !names_are_sound {
            return invalid("recipients");
        }
        Ok(())
    }

    /// The parameters in the order of their deterministic encoding: coset writes 1, 3, 4 and 5 first.
    fn to_cose(&self, iv: [u8; NONCE_LEN]) -> CoseEncrypt0Builder {
        let recipients = self
            .recipients
            .iter()
            .map(|name| Value::from(name.as_str()));
        let mut protected = HeaderBuilder::new()
            .algorithm(iana::Algorithm::A256GCM)
            .key_id(self.key.as_bytes().to_vec())
            .iv(iv.to_vec())
            .value(KEY_VERSION, Value::from(self.key_version))
            .value(SERVER, Value::from(self.server.as_str()))
            .value(SENDER, Value::from(self.sender.as_bytes().as_slice()))
            .value(RECIPIENTS, Value::Array(recipients.collect()))
            .value(TIME, Value::from(self.time.as_millis()));
        if let Some(content_type) = &self.content_type {
            protected = protected.content_type(content_type.clone());
        }
        CoseEncrypt0Builder::new().protected(protected.build())
    }

    fn from_cose(cose: &CoseEncrypt0) -> Result<(Self, [u8; NONCE_LEN]), MessageError> {
        let invalid = MessageError::Invalid;
        let parameters = &cose.protected.header;
        match &parameters.alg {
            Some(Algorithm::Assigned(iana::Algorithm::A256GCM)) => {}
            Some(_) => return Err(MessageError::UnknownAlgorithm),
            None => return Err(MessageError::NotAMessage),
        }
        let content_type = match &parameters.content_type {
            None => None,
            Some(coset::ContentType::Text(text)) => Some(text.clone()),
            Some(coset::ContentType::Assigned(_)) => return Err(invalid("content type")),
        };
        let (mut key_version, mut server, mut sender) = (None, None, None);
        let (mut recipients, mut time) = (None, None);
        for (label, value) in &parameters.rest {
            match (label, value) {
                (Label::Int(KEY_VERSION), Value::Integer(n)) => {
                    key_version = u32::try_from(*n).ok();
                }
                (Label::Int(SERVER), Value::Text(text)) => server = Some(text.clone()),
                (Label::Int(SENDER), Value::Bytes(bytes)) => sender = sixteen(bytes),
                (Label::Int(RECIPIENTS), Value::Array(names)) => {
                    recipients = names
                        .iter()
                        .map(|name| name.as_text().map(str::to_owned))
                        .collect();
                }
                (Label::Int(TIME), Value::Integer(n)) => {
                    // Past the last moment that there is a text for, it would be another.
                    let millis = u64::try_from(*n).ok();
                    time = millis
                        .map(Timestamp::from_millis)
                        .filter(|time| Some(time.as_millis()) == millis);
                }
                (Label::Int(KEY_VERSION | SERVER | SENDER | RECIPIENTS | TIME), _) => {}
                _ => return Err(MessageError::UnknownParameter),
            }
        }
        let header = Self {
            key: sixteen(&parameters.key_id)
                .map(KeyId::from_bytes)
                .ok_or(invalid("key identifier"))?,
            key_version: key_version.ok_or(invalid("key version"))?,
            server: server.ok_or(invalid("server"))?,
            content_type,
            sender: sender.map(AccountId::from_bytes).ok_or(invalid("sender"))?,
            recipients: recipients.ok_or(invalid("recipients"))?,
            time: time.ok_or(invalid("time"))?,
        };
        header.check()?;
        let iv = parameters.iv.as_slice().try_into();
        Ok((header, iv.map_err(|_| invalid("IV"))?))
    }
}

fn aead(material: &[u8]) -> Result<LessSafeKey, MessageError> {
    let key = UnboundKey::new(&AES_256_GCM, material);
    key.map(LessSafeKey::new).map_err(|_| MessageError::Altered)
}

fn sixteen(bytes: &[u8]) -> Option<[u8; 16]> {
    bytes.try_into().ok()
}
