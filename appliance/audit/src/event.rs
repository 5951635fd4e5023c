//! What a leaf says.

use std::net::IpAddr;

use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, GrantId, KeyId, SessionId};

/// An act that was done or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, by the appliance's clock.
    pub time: Timestamp,
    /// What.
    pub act: Act,
    /// Whether it was done (`true`) or refused.
    pub done: bool,
    /// Who, from where, to what.
    pub detail: Detail,
}

/// The private part of an event: it stands in the tree only as a salted commitment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// Who did or tried it.
    pub actor: Option<AccountId>,
    /// In which session.
    pub session: Option<SessionId>,
    /// From which network address.
    pub source: Option<IpAddr>,
    /// The account acted on, such as a grantee.
    pub subject: Option<AccountId>,
    /// The key acted on.
    pub key: Option<KeyId>,
    /// The key's version.
    pub key_version: Option<u32>,
    /// The key's owner.
    pub owner: Option<AccountId>,
    /// The grant acted on or acted under.
    pub grant: Option<GrantId>,
    /// Of a refusal, the problem code; of an act, what more there is to say. At most [`Detail::NOTE_MAX`] bytes
    /// go into a leaf.
    pub note: Option<String>,
    /// SHA-256 of the list of rows that the act changed in the appliance's database: what its scrub holds the database against.
    pub rows: Option<[u8; 32]>,
}

impl Detail {
    /// The most bytes of a note that go into a leaf; what is longer is cut off at a character boundary.
    pub const NOTE_MAX: usize = 1024;
}
