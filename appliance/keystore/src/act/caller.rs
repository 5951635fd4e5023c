//! Who a request comes from: what it presents, and what that turned out to be worth.

use std::fmt;
use std::net::IpAddr;

use strongroom_session::TransportKey;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{ProposalId, SessionId};
use strongroom_wire::key::AUTHENTICATED_FOR;
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::session::SignInStrength;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::devices::Admitted;
use crate::error::Error;
use crate::roles::{self, May};
use crate::seal;
use crate::store::AccountRecord;

/// A session's token: 32 random bytes that the client presents with each request.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionToken([u8; 32]);

impl SessionToken {
    /// The token with these bytes; none unless there are 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn generate() -> Result<Self, Error> {
        seal::random().map(Self)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        seal::sha256(&self.0)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(hidden)")
    }
}

/// What a request presents: what shows who makes it, and the network address that it came from.
#[derive(Debug, Clone)]
pub struct Presented {
    /// What shows who makes it.
    pub proof: Proof,
    /// The address.
    pub source: IpAddr,
    /// The proposal by whose approvals it is made, where it names one.
    pub proposal: Option<ProposalId>,
}

impl Presented {
    /// A request in a session.
    #[must_use]
    pub const fn in_session(token: SessionToken, source: IpAddr) -> Self {
        Self {
            proof: Proof::Session(token),
            source,
            proposal: None,
        }
    }
}

/// What shows who makes a request.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The token of a session.
    Session(SessionToken),
    /// A signature that was admitted: [`Keystore::admit`](crate::Keystore::admit).
    Signature(Admitted),
}

/// Who a request turned out to come from.
pub(crate) struct Caller {
    pub(crate) account: AccountRecord,
    /// The session in which the request is made; none where the request is signed.
    pub(crate) session: Option<SessionId>,
    pub(crate) transport: TransportKey,
    /// The key under which the caller brings what it brings.
    pub(crate) import: TransportKey,
    /// Where the request came from.
    pub(crate) source: IpAddr,
    /// How strongly the session was signed in, or the request signed.
    pub(crate) strength: SignInStrength,
    /// When its holder last signed in in it; now, where the request is signed.
    pub(crate) confirmed: Timestamp,
    /// The domain's policy.
    pub(crate) policy: DomainPolicy,
    /// The proposal that the request names.
    pub(crate) proposal: Option<ProposalId>,
}

impl Caller {
    /// Refuses whose roles do not allow this.
    pub(crate) fn require(&self, may: May) -> Result<(), Error> {
        if self.may(may) {
            return Ok(());
        }
        Err(Error::NotPermitted(may.needs()))
    }

    /// Whether the caller's roles allow this.
    pub(crate) fn may(&self, may: May) -> bool {
        roles::allow(&self.account.roles, may)
    }

    /// Whether this very request is signed, or its session's holder has just signed in in it.
    pub(crate) fn is_just_confirmed(&self, now: Timestamp) -> bool {
        now < self.confirmed.plus_seconds(AUTHENTICATED_FOR.into())
    }

    /// Refuses who has not signed in in the session as recently as the domain's policy wants it for sharing, destroying and policies.
    pub(crate) fn require_recent(&self, now: Timestamp) -> Result<(), Error> {
        let within = self.policy.step_up_within;
        if within == 0 || now < self.confirmed.plus_seconds(within.into()) {
            return Ok(());
        }
        Err(Error::StepUpRequired(within))
    }
}
