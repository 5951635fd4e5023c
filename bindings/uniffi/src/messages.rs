//! What goes into sealing and comes out of opening a message.

use std::time::SystemTime;

use strongroom_client::message;

use crate::keys::{Key, moment};
use crate::{Failure, StrongroomError, UsagePolicy};

/// What people know a message by, and when it may be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct Metadata {
    /// The key's name for people, such as the message's subject. Kept by the appliance; not in the envelope.
    #[uniffi(default = "")]
    pub label: String,
    /// The media type of the content, such as `text/plain`. Stands unencrypted in the envelope.
    #[uniffi(default = None)]
    pub content_type: Option<String>,
    /// When and how often its key may be released.
    #[uniffi(default = None)]
    pub policy: Option<UsagePolicy>,
}

/// One of many messages to be sealed.
#[derive(Clone, uniffi::Record)]
pub struct Outgoing {
    /// What is sealed.
    pub plaintext: Vec<u8>,
    /// The names of the accounts that may open it, besides the one that seals it.
    pub recipients: Vec<String>,
    /// What people know it by.
    pub metadata: Metadata,
}

/// A sealed message.
#[derive(Debug, Clone, uniffi::Record)]
pub struct Sealed {
    /// Its key, as the appliance has it.
    pub key: Key,
    /// The envelope: keep it or send it wherever you like.
    pub bytes: Vec<u8>,
    /// The index of the audit leaf of the key's creation.
    pub leaf: u64,
}

/// What a message says of itself. Authentic.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct MessageHeader {
    /// The identifier of the key that seals it.
    pub key: String,
    /// The version of the key, from 1.
    pub key_version: u32,
    /// The origin of the appliance that keeps the key.
    pub server: String,
    /// The media type of the content, if it was given.
    pub content_type: Option<String>,
    /// The identifier of the account that sent it.
    pub sender: String,
    /// The names of the accounts it was sent to.
    pub recipients: Vec<String>,
    /// When it was sealed, by the appliance's clock.
    pub time: SystemTime,
}

/// A message that was opened. What it says of itself is authentic.
#[derive(Clone, uniffi::Record)]
pub struct Opened {
    /// What it says of itself.
    pub header: MessageHeader,
    /// The content.
    pub plaintext: Vec<u8>,
    /// The index of the audit leaf of the key's release.
    pub leaf: u64,
}

/// What became of one of several messages.
#[derive(uniffi::Enum)]
pub enum OpenOutcome {
    /// It was opened.
    Opened {
        /// The message.
        message: Opened,
    },
    /// It was refused.
    Refused {
        /// Why.
        failure: Failure,
    },
}

impl TryFrom<Metadata> for strongroom_client::Metadata {
    type Error = StrongroomError;

    fn try_from(metadata: Metadata) -> Result<Self, Self::Error> {
        Ok(Self {
            label: metadata.label,
            content_type: metadata.content_type,
            policy: metadata.policy.unwrap_or_default().try_into()?,
        })
    }
}

impl From<message::Sealed> for Sealed {
    fn from(sealed: message::Sealed) -> Self {
        Self {
            key: sealed.key.into(),
            bytes: sealed.bytes,
            leaf: sealed.leaf,
        }
    }
}

impl From<message::Opened> for Opened {
    fn from(mut opened: message::Opened) -> Self {
        let header = opened.header;
        Self {
            header: MessageHeader {
                key: header.key.to_string(),
                key_version: header.key_version,
                server: header.server,
                content_type: header.content_type,
                sender: header.sender.to_string(),
                recipients: header.recipients,
                time: moment(header.time),
            },
            plaintext: std::mem::take(&mut *opened.plaintext),
            leaf: opened.leaf,
        }
    }
}
