//! What is said between a command and the agent.
//!
//! A command says one byte, a [`Request`]. The answer to [`Request::Held`], and what the agent reads when it starts, is
//! `"strongroom-agent/1\n" || length (4, big-endian) || description (JSON) || secrets (64)`. The secrets stand outside
//! the JSON so that no parser leaves copies of them behind.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use strongroom_client::{Client, Secrets, Session};
use strongroom_wire::account::Account;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::SessionId;
use zeroize::Zeroizing;

const MAGIC: &[u8; 19] = b"strongroom-agent/1\n";
/// The longest description, in bytes.
const LONGEST: usize = 64 * 1024;

/// What the agent says to the command that starts it when it listens.
pub(super) const READY: &[u8] = b"ready";

/// What a command asks of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Request {
    /// Answer with what is held.
    Held = b'H',
    /// Forget it and end.
    Stop = b'S',
}

impl Request {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Held, Self::Stop]
            .into_iter()
            .find(|request| *request as u8 == byte)
    }
}

/// A session as the agent holds it.
pub(crate) struct Held {
    description: Description,
    secrets: Box<Zeroizing<[u8; Secrets::LEN]>>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Description {
    server: String,
    session: SessionId,
    account: Account,
    expires: Timestamp,
}

impl Held {
    pub(super) fn of(session: &Session) -> Self {
        let mut secrets = Box::new(Zeroizing::new([0; Secrets::LEN]));
        secrets.copy_from_slice(session.secrets().to_bytes().as_slice());
        Self {
            description: Description {
                server: session.client().origin().to_owned(),
                session: session.id(),
                account: session.account().clone(),
                expires: session.expires(),
            },
            secrets,
        }
    }

    /// The origin of the appliance whose session it is.
    pub(crate) fn server(&self) -> &str {
        &self.description.server
    }

    /// The name of the account whose session it is.
    pub(crate) fn account(&self) -> &str {
        &self.description.account.name
    }

    /// When the session ends by itself.
    pub(crate) fn expires(&self) -> Timestamp {
        self.description.expires
    }

    /// The session, at its appliance.
    pub(crate) fn into_session(self, client: Client) -> Session {
        let Description {
            session,
            account,
            expires,
            ..
        } = self.description;
        Session::resume(
            client,
            session,
            account,
            expires,
            Secrets::from_bytes(&self.secrets),
        )
    }

    /// Where the secrets stand in memory, for locking.
    pub(super) fn secrets(&self) -> &[u8] {
        self.secrets.as_slice()
    }

    pub(super) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let description = serde_json::to_vec(&self.description)?;
        let length = u32::try_from(description.len()).map_err(io::Error::other)?;
        stream.write_all(MAGIC)?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&description)?;
        stream.write_all(self.secrets.as_slice())?;
        stream.flush()
    }

    pub(super) fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        stream.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(io::Error::other("the agent is of another version"));
        }
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > LONGEST {
            return Err(io::Error::other("the message is too long"));
        }
        let mut description = vec![0; length];
        stream.read_exact(&mut description)?;
        let description = serde_json::from_slice(&description)?;
        let mut secrets = Box::new(Zeroizing::new([0; Secrets::LEN]));
        stream.read_exact(secrets.as_mut_slice())?;
        Ok(Self {
            description,
            secrets,
        })
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}
