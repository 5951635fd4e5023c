//! Why something could not be done with the appliance.

use strongroom_session::UnwrapError;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::problem::{Code, Problem};

use crate::object::{CobblestoneError, HeaderError, ObjectError};

/// Why something could not be done with the appliance. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no session, or the appliance does not know it any more: it ended, or it expired. Sign in again.
    #[error("sign in first: there is no session, or it has ended")]
    NotSignedIn,
    /// The name or the password is wrong. Found by this end of the sign-in; the appliance never learns the password.
    #[error("the sign-in was refused: the account's name or the password is wrong")]
    WrongPassword,
    /// The password was right, and the account has a second factor that was not given.
    #[error("the account has a second factor: it takes that as well")]
    SecondFactorNeeded,
    /// The OpenID provider signed nobody in, or the browser came back without what it takes.
    #[error("the OpenID provider did not sign you in: {0}")]
    ProviderRefused(String),
    /// The appliance refused. [`Problem::code`] says what to branch on.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The appliance cannot be reached, or the connection broke.
    #[error("the appliance at {server} cannot be reached: {reason}")]
    Unreachable {
        /// The appliance's origin.
        server: String,
        /// What happened, for people.
        reason: String,
        /// Whether the appliance has certainly not acted on the request, or acting on it twice does no harm.
        safe_to_retry: bool,
    },
    /// What answered could not prove to be the appliance: its certificate is not from the site's authority,
    /// has lapsed, or is for another name. Nothing was sent to it.
    #[error("what answers at {server} cannot prove to be the appliance: {reason}")]
    NotTrusted {
        /// The appliance's origin.
        server: String,
        /// What is wrong with its certificate, for people.
        reason: String,
    },
    /// The answer is not one of this API: another program answers there, or an appliance this client is too old for.
    #[error("what answers at {server} does not speak as an appliance does: {what}")]
    UnexpectedAnswer {
        /// The appliance's origin.
        server: String,
        /// What was wrong with it.
        what: String,
    },
    /// The answer is of another domain of the appliance than this client is for. Nothing was proved to it.
    #[error("what answers at {server} does so for another domain than {wanted}")]
    OtherDomain {
        /// The appliance's origin.
        server: String,
        /// The domain that this client is for.
        wanted: String,
    },
    /// The key material was altered on its way here, or is not that of the key asked for.
    #[error(
        "the key material that came is not what the appliance released: something between here and there altered it"
    )]
    AlteredMaterial,
    /// The usage policy allowed to keep the material until a moment that has passed. It has been forgotten.
    #[error("the usage policy allowed the use of the key until {0} only")]
    MaterialExpired(Timestamp),
    /// The object names an appliance that this client was not set up with.
    #[error("the object's key is kept at {named}, and this client is set up with {known}")]
    OtherServer {
        /// The origin in the object's header. Not authentic: a hint for the person.
        named: String,
        /// The origin this client talks to.
        known: String,
    },
    /// Nobody with this name has a grant to the key.
    #[error("{0} has no grant to this key")]
    NoGrantTo(String),
    /// A checkpoint or a proof of the audit log does not hold: it was altered on its way here, or the log was tampered with.
    #[error("the audit log is not what it says: {0}")]
    NotProved(String),
    /// A protected object could not be written or read, or was refused.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// What was given to set the client up is of no use.
    #[error("{0}")]
    Setup(String),
    /// The cryptographic library failed where no input can make it fail (no random bytes, no memory).
    #[error("the cryptographic library failed")]
    Library,
}

impl ClientError {
    /// The problem code, if the appliance refused.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::NotSignedIn => Some(Code::NotSignedIn),
            Self::Refused(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// Whether the same request may be sent again: nothing was done, or doing it twice does no harm.
    #[must_use]
    pub fn safe_to_retry(&self) -> bool {
        match self {
            Self::Unreachable { safe_to_retry, .. } => *safe_to_retry,
            Self::Refused(problem) => matches!(
                problem.code,
                Code::HsmUnavailable
                    | Code::ProviderUnavailable
                    | Code::Sealed
                    | Code::Unavailable
                    | Code::TooManyAttempts
                    | Code::TooManyRequests
            ),
            _ => false,
        }
    }
}

impl From<HeaderError> for ClientError {
    fn from(error: HeaderError) -> Self {
        Self::Object(error.into())
    }
}

impl From<CobblestoneError> for ClientError {
    fn from(error: CobblestoneError) -> Self {
        Self::Object(error.into())
    }
}

impl From<UnwrapError> for ClientError {
    fn from(_: UnwrapError) -> Self {
        Self::AlteredMaterial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_done_may_be_tried_again() {
        let refused = |code| ClientError::Refused(Box::new(Problem::new(code, "no")));
        assert!(refused(Code::HsmUnavailable).safe_to_retry());
        assert!(refused(Code::Unavailable).safe_to_retry());
        assert!(!refused(Code::GrantRevoked).safe_to_retry());
        assert!(!refused(Code::Internal).safe_to_retry());
        assert_eq!(refused(Code::GrantRevoked).code(), Some(Code::GrantRevoked));
        assert_eq!(ClientError::AlteredMaterial.code(), None);
    }
}
