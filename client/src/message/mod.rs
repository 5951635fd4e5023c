//! Messages: what fits into memory is sealed into one envelope, under a key of its own that the appliance makes.
//!
//! | module | what lives there |
//! |---|---|
//! | [`envelope`] | the format: a COSE_Encrypt0 with A256GCM |
//!
//! The appliance records, with the key, who owns it, who receives it, its label, content type and time: that is what sharing, revocation and
//! lawful access work on. The envelope repeats what a recipient must be able to trust, authenticated with the content.

#![expect(clippy::doc_markdown, reason = "COSE_Encrypt0 is a name")]

pub mod envelope;

use std::collections::HashMap;

use strongroom_wire::id::AccountId;
use strongroom_wire::key::{Algorithm, Key, KeyVersion, NewKey, UsagePolicy};
use zeroize::Zeroizing;

pub use envelope::{Envelope, MAX_PLAINTEXT_LEN, MessageError, MessageHeader};

use crate::ClientError;
use crate::keys::{self, Released};
use crate::requester::{Requester, account_name};

/// What people know a message by, and when it may be opened.
///
/// ```
/// use strongroom_client::Metadata;
///
/// let metadata = Metadata::new("offer 4711").of_type("text/plain");
/// assert_eq!(metadata.content_type.as_deref(), Some("text/plain"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The key's name for people, such as the message's subject. Kept by the appliance; not in the envelope.
    pub label: String,
    /// The media type of the content, such as `text/plain`. Stands unencrypted in the envelope.
    pub content_type: Option<String>,
    /// When and how often its key may be released.
    pub policy: UsagePolicy,
}

impl Metadata {
    /// With this label, and nothing else.
    ///
    /// ```
    /// use strongroom_client::Metadata;
    ///
    /// assert_eq!(Metadata::new("offer 4711").label, "offer 4711");
    /// ```
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..Self::default()
        }
    }

    /// The same, of this media type.
    ///
    /// ```
    /// use strongroom_client::Metadata;
    ///
    /// let metadata = Metadata::new("offer 4711").of_type("application/pdf");
    /// assert_eq!(metadata.content_type.as_deref(), Some("application/pdf"));
    /// ```
    #[must_use]
    pub fn of_type(mut self, content_type: &str) -> Self {
        self.content_type = Some(content_type.to_owned());
        self
    }

    /// The same, under this usage policy.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::Metadata;
    /// use strongroom_wire::key::UsagePolicy;
    ///
    /// let until_new_year = UsagePolicy { not_after: Some("2026-12-31T23:59:59Z".parse()?), ..UsagePolicy::default() };
    /// let metadata = Metadata::new("offer 4711").under(until_new_year);
    /// assert!(metadata.policy.not_after.is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn under(mut self, policy: UsagePolicy) -> Self {
        self.policy = policy;
        self
    }
}

/// One of many messages to be sealed.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::{message::Outgoing, Metadata, Protect};
///
/// let metadata = Metadata::new("salary");
/// let alice = Outgoing { plaintext: b"5000", recipients: &["alice@example.com"], metadata: &metadata };
/// let bob = Outgoing { plaintext: b"5001", recipients: &["bob@example.com"], metadata: &metadata };
/// let sealed = session.seal_messages(&[alice, bob])?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// What is sealed.
    pub plaintext: &'a [u8],
    /// The names of the accounts that may open it, besides the one that seals it.
    pub recipients: &'a [&'a str],
    /// What people know it by.
    pub metadata: &'a Metadata,
}

/// A sealed message.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::{Metadata, Protect};
///
/// let sealed = session.seal_message(b"at noon", &["bob@example.com"], &Metadata::new("meeting"))?;
/// std::fs::write("meeting.sealed", &sealed.bytes)?;
/// session.revoke_from(sealed.key.id, "bob@example.com")?; // on second thoughts
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its key, as the appliance has it.
    pub key: Key,
    /// The envelope: keep it or send it wherever you like.
    pub bytes: Vec<u8>,
    /// The index of the audit leaf of the key's creation.
    pub leaf: u64,
}

/// A message that was opened. What it says of itself is authentic.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::Protect;
///
/// let opened = session.open_message(&std::fs::read("meeting.sealed")?)?;
/// let sender = session.key(opened.header.key)?.sender;
/// println!("{} bytes from {sender}", opened.plaintext.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Opened {
    /// What it says of itself.
    pub header: MessageHeader,
    /// The content, zeroised when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The index of the audit leaf of the key's release.
    pub leaf: u64,
}

/// Seals messages, each under a key of its own. Whatever can be found wrong is found before a key is made.
pub(crate) fn seal(
    requester: &impl Requester,
    messages: &[Outgoing<'_>],
) -> Result<Vec<Sealed>, ClientError> {
    let mut new = Vec::with_capacity(messages.len());
    for message in messages {
        let mut recipients: Vec<_> = message
            .recipients
            .iter()
            .map(|name| account_name(name))
            .collect();
        recipients.sort_unstable();
        recipients.dedup();
        // What the caller gave is of no use; nothing that came from elsewhere was altered.
        let unusable = |error: MessageError| ClientError::Setup(error.to_string());
        header(requester, message, recipients.clone())
            .check()
            .map_err(unusable)?;
        if message.plaintext.len() > MAX_PLAINTEXT_LEN {
            return Err(MessageError::TooLong.into());
        }
        new.push(NewKey {
            label: message.metadata.label.clone(),
            content_type: message.metadata.content_type.clone(),
            recipients,
            policy: message.metadata.policy.clone(),
            ..NewKey::new(Algorithm::Aes256)
        });
    }
    let made = keys::create_and_obtain(requester, &new)?;
    let made = made.into_iter().zip(new).zip(messages);
    made.map(|(((created, mut released), asked), message)| {
        let key = created.key;
        let mut recorded = key.recipients.clone();
        recorded.sort_unstable();
        if recorded != asked.recipients || key.owner != requester.account_id() {
            return Err(requester.client().unexpected("a key for other recipients"));
        }
        let header = MessageHeader {
            key: key.id,
            key_version: released.version(),
            time: key.created,
            ..header(requester, message, asked.recipients)
        };
        let bytes = Envelope::seal(&header, &material(&mut released)?, message.plaintext)?;
        Ok(Sealed {
            key,
            bytes,
            leaf: created.leaf,
        })
    })
    .collect()
}

/// A message's header, but for what the appliance will say.
fn header(
    requester: &impl Requester,
    message: &Outgoing<'_>,
    recipients: Vec<String>,
) -> MessageHeader {
    MessageHeader {
        key: strongroom_wire::id::KeyId::from_bytes([0; 16]),
        key_version: 1,
        server: requester.client().origin().to_owned(),
        content_type: message.metadata.content_type.clone(),
        sender: requester.account_id(),
        recipients,
        time: strongroom_wire::encoding::Timestamp::from_millis(0),
    }
}

/// Opens one message.
pub(crate) fn open_one(requester: &impl Requester, bytes: &[u8]) -> Result<Opened, ClientError> {
    let envelope = parse(requester, bytes)?;
    let mut released = keys::obtain_one(requester, named(&envelope))?;
    finish(&envelope, &mut released)
}

/// Opens messages, each by itself: that one is refused stops no other.
pub(crate) fn open<B: AsRef<[u8]>>(
    requester: &impl Requester,
    messages: &[B],
) -> Result<Vec<Result<Opened, ClientError>>, ClientError> {
    let envelopes: Vec<_> = messages
        .iter()
        .map(|bytes| parse(requester, bytes.as_ref()))
        .collect();
    let wanted: Vec<KeyVersion> = envelopes.iter().flatten().map(named).collect();
    let released = keys::obtain(requester, &wanted)?;
    let mut released: HashMap<_, _> = wanted.into_iter().zip(released).collect();
    Ok(envelopes
        .into_iter()
        .map(|envelope| {
            let envelope = envelope?;
            match released.get_mut(&named(&envelope)) {
                Some(Ok(released)) => finish(&envelope, released),
                Some(Err(error)) => Err(error.again()),
                None => Err(ClientError::Library),
            }
        })
        .collect())
}

fn parse(requester: &impl Requester, bytes: &[u8]) -> Result<Envelope, ClientError> {
    let envelope = Envelope::parse(bytes)?;
    requester
        .client()
        .require_known(&envelope.header().server)?;
    Ok(envelope)
}

fn named(envelope: &Envelope) -> KeyVersion {
    let header = envelope.header();
    KeyVersion {
        key: header.key,
        version: Some(header.key_version),
    }
}

fn finish(envelope: &Envelope, released: &mut Released) -> Result<Opened, ClientError> {
    let plaintext = envelope.open(&material(released)?)?;
    let header = envelope.header().clone();
    // Whoever has the key can seal another message under it, but not in the name of somebody who did not create it.
    let creator: AccountId = released.sender();
    if creator != header.sender {
        return Err(MessageError::WrongSender.into());
    }
    Ok(Opened {
        header,
        plaintext,
        leaf: released.leaf(),
    })
}

/// The material, if it is that of a key which seals messages.
fn material(released: &mut Released) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    if released.algorithm() != Algorithm::Aes256 {
        return Err(ClientError::AlteredMaterial);
    }
    released.material()
}
