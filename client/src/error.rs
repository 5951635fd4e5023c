//! Why something could not be done with the appliance.

use strongroom_session::UnwrapError;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::KeyId;
use strongroom_wire::problem::{Code, Problem};

use crate::message::MessageError;
use crate::object::{CobblestoneError, HeaderError, ObjectError, Refusal};

/// Why something could not be done with the appliance. No variant carries a secret.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::{ClientError, ErrorKind};
///
/// match session.obtain(key, None) {
///     Ok(released) => println!("version {}", released.version()),
///     Err(ClientError::OtherServer { named, .. }) => println!("sign in at {named}"),
///     Err(error) if error.kind() == ErrorKind::RefusedByPolicy => println!("not now: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
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
    /// What the TPM of the appliance's machine says does not hold: it was altered on its way here, or is not for this client.
    #[error("the machine is not attested: {0}")]
    NotAttested(String),
    /// A bundle could not be read or written on this machine.
    #[cfg(feature = "sessions")]
    #[error("the bundle could not be read or written: {0}")]
    Bundle(std::io::Error),
    /// A protected object could not be written or read, or was refused.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A message could not be sealed, or was refused.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// It is protected by another key than the one that was disclosed.
    #[error("it is protected by the key {wanted}, and the key that was disclosed is {disclosed}")]
    NotDisclosed {
        /// The key that it names.
        wanted: KeyId,
        /// The key that was disclosed.
        disclosed: KeyId,
    },
    /// A message of mail has a form in which it cannot be sealed or opened.
    #[cfg(feature = "mail")]
    #[error(transparent)]
    Mail(#[from] crate::mail::MailError),
    /// What was given to set the client up is of no use.
    #[error("{0}")]
    Setup(String),
    /// The cryptographic library failed where no input can make it fail (no random bytes, no memory).
    #[error("the cryptographic library failed")]
    Library,
}

impl ClientError {
    /// What kind of failure it is: what a caller branches on.
    ///
    /// ```
    /// use strongroom_client::{ClientError, ErrorKind};
    ///
    /// assert_eq!(ClientError::WrongPassword.kind(), ErrorKind::SignInRefused);
    /// assert_eq!(ClientError::AlteredMaterial.kind(), ErrorKind::Altered);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSignedIn => ErrorKind::NotSignedIn,
            Self::WrongPassword | Self::SecondFactorNeeded | Self::ProviderRefused(_) => {
                ErrorKind::SignInRefused
            }
            Self::Refused(problem) => kind_of(problem.code),
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::NotTrusted { .. } => ErrorKind::NotTrusted,
            Self::UnexpectedAnswer { .. } | Self::Library => ErrorKind::Failed,
            #[cfg(feature = "sessions")]
            Self::Bundle(_) => ErrorKind::Failed,
            Self::AlteredMaterial | Self::NotProved(_) | Self::NotAttested(_) => ErrorKind::Altered,
            Self::MaterialExpired(_) => ErrorKind::Expired,
            Self::OtherServer { .. } | Self::OtherDomain { .. } => ErrorKind::OtherAppliance,
            Self::NoGrantTo(_) | Self::NotDisclosed { .. } => ErrorKind::NotFound,
            Self::Object(error) => kind_of_object(error),
            Self::Message(error) => kind_of_message(error),
            #[cfg(feature = "mail")]
            Self::Mail(error) => kind_of_mail(error),
            Self::Setup(_) => ErrorKind::Invalid,
        }
    }

    /// The rule of a usage policy that refused, such as `policy:key:not-after`: where one did, and the appliance says which. It tells the key's
    /// owner; others learn the [problem code](Self::code).
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// if let Err(error) = session.obtain(key, None) {
    ///     println!("{error} (by {})", error.rule().unwrap_or("no rule that you may know of"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.rule.as_deref(),
            _ => None,
        }
    }

    /// Whether the appliance is away: it cannot be reached, or cannot answer now.
    pub(crate) fn is_away(&self) -> bool {
        self.kind() == ErrorKind::Unreachable
    }

    /// The same once more, for errors that come from requests for keys.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NotSignedIn => Self::NotSignedIn,
            Self::Refused(problem) => Self::Refused(problem.clone()),
            Self::Unreachable {
                server,
                reason,
                safe_to_retry,
            } => Self::Unreachable {
                server: server.clone(),
                reason: reason.clone(),
                safe_to_retry: *safe_to_retry,
            },
            Self::AlteredMaterial => Self::AlteredMaterial,
            Self::MaterialExpired(end) => Self::MaterialExpired(*end),
            _ => Self::Library,
        }
    }

    /// The problem code, if the appliance refused.
    ///
    /// ```
    /// use strongroom_client::ClientError;
    /// use strongroom_wire::problem::Code;
    ///
    /// assert_eq!(ClientError::NotSignedIn.code(), Some(Code::NotSignedIn));
    /// assert_eq!(ClientError::WrongPassword.code(), None); // found at this end
    /// ```
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::NotSignedIn => Some(Code::NotSignedIn),
            Self::Refused(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// Whether the same request may be sent again: nothing was done, or doing it twice does no harm.
    ///
    /// ```
    /// use strongroom_client::ClientError;
    ///
    /// let lost = ClientError::Unreachable {
    ///     server: "https://keys.example.com:8443".to_owned(),
    ///     reason: "the connection broke".to_owned(),
    ///     safe_to_retry: true,
    /// };
    /// assert!(lost.safe_to_retry());
    /// ```
    #[must_use]
    pub fn safe_to_retry(&self) -> bool {
        match self {
            Self::Unreachable { safe_to_retry, .. } => *safe_to_retry,
            Self::Refused(problem) => matches!(
                problem.code,
                Code::HsmUnavailable
                    | Code::ProviderUnavailable
                    | Code::Sealed
                    | Code::StorageFull
                    | Code::Unavailable
                    | Code::TooManyAttempts
                    | Code::TooManyRequests
            ),
            _ => false,
        }
    }
}

/// What kind of failure a [`ClientError`] is.
///
/// ```
/// use strongroom_client::{ClientError, ErrorKind};
///
/// fn advice(error: &ClientError) -> &'static str {
///     match error.kind() {
///         ErrorKind::NotSignedIn => "sign in again",
///         ErrorKind::Revoked | ErrorKind::Destroyed => "ask the sender",
///         ErrorKind::Altered | ErrorKind::Truncated => "fetch it again",
///         ErrorKind::Unreachable if error.safe_to_retry() => "try again later",
///         _ => "see the log",
///     }
/// }
/// assert_eq!(advice(&ClientError::NotSignedIn), "sign in again");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no session, or it has ended: sign in.
    NotSignedIn,
    /// The sign-in itself was refused.
    SignInRefused,
    /// The act needs a more recent sign-in: sign in again in the session.
    StepUpRequired,
    /// A usage policy does not allow it; [`ClientError::rule`] says by which rule, where one may know.
    RefusedByPolicy,
    /// The account may not do that.
    NotPermitted,
    /// There is no such thing that the account may know of.
    NotFound,
    /// The account's grant to the key was revoked.
    Revoked,
    /// The key is destroyed: what it protects can be opened by nobody.
    Destroyed,
    /// The present state, such as a key's, does not allow it.
    StateForbids,
    /// Key material may not be kept any more: obtain the key again.
    Expired,
    /// What came, or was stored, is not what was made: it was altered.
    Altered,
    /// What was stored ends before its end.
    Truncated,
    /// It is no object or message, or one of a version that this library cannot read.
    NotReadable,
    /// Its key is kept at an appliance that this client was not set up with.
    OtherAppliance,
    /// The appliance cannot be reached, or cannot answer now; [`ClientError::safe_to_retry`] says whether nothing was done.
    Unreachable,
    /// What answers cannot prove to be the appliance.
    NotTrusted,
    /// Too many attempts have failed, or the domain makes too many requests: wait.
    TooManyAttempts,
    /// What was asked for cannot be.
    Invalid,
    /// Reading or writing on this device failed.
    Device,
    /// A fault of the appliance or of this library.
    Failed,
}

impl ErrorKind {
    /// Its name, such as `not-signed-in`: the same in every language that this library is used from.
    ///
    /// ```
    /// use strongroom_client::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::StepUpRequired.as_str(), "step-up-required");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSignedIn => "not-signed-in",
            Self::SignInRefused => "sign-in-refused",
            Self::StepUpRequired => "step-up-required",
            Self::RefusedByPolicy => "refused-by-policy",
            Self::NotPermitted => "not-permitted",
            Self::NotFound => "not-found",
            Self::Revoked => "revoked",
            Self::Destroyed => "destroyed",
            Self::StateForbids => "state-forbids",
            Self::Expired => "expired",
            Self::Altered => "altered",
            Self::Truncated => "truncated",
            Self::NotReadable => "not-readable",
            Self::OtherAppliance => "other-appliance",
            Self::Unreachable => "unreachable",
            Self::NotTrusted => "not-trusted",
            Self::TooManyAttempts => "too-many-attempts",
            Self::Invalid => "invalid",
            Self::Device => "device",
            Self::Failed => "failed",
        }
    }
}

fn kind_of(code: Code) -> ErrorKind {
    match code {
        Code::NotSignedIn | Code::SessionElsewhere => ErrorKind::NotSignedIn,
        Code::SignInRefused
        | Code::EnrolmentRefused
        | Code::SecondFactorRefused
        | Code::RecoveryRefused
        | Code::RecoveryTooEarly
        | Code::ClockSkew
        | Code::Replayed => ErrorKind::SignInRefused,
        Code::StepUpRequired => ErrorKind::StepUpRequired,
        Code::PolicyNotYetValid
        | Code::PolicyExpired
        | Code::PolicyReleasesUsedUp
        | Code::MechanismRefused
        | Code::PolicyRefused => ErrorKind::RefusedByPolicy,
        Code::NotPermitted | Code::InvitationsUsedUp | Code::QuotaExceeded => {
            ErrorKind::NotPermitted
        }
        Code::KeyNotFound
        | Code::ObjectNotFound
        | Code::GrantNotFound
        | Code::AccountNotFound
        | Code::CredentialNotFound
        | Code::DeviceNotFound
        | Code::PairingNotFound
        | Code::CertificateNotFound
        | Code::IdentityNotFound
        | Code::ProviderNotFound
        | Code::DirectoryNotFound
        | Code::NotAnImage
        | Code::DomainUnavailable => ErrorKind::NotFound,
        Code::NotAuthentic | Code::UpdateRefused => ErrorKind::Altered,
        Code::GrantRevoked => ErrorKind::Revoked,
        Code::KeyDestroyed => ErrorKind::Destroyed,
        Code::KeyStateForbids
        | Code::Conflict
        | Code::AccountExists
        | Code::ChangedMeanwhile
        | Code::Downgrade
        | Code::IdempotencyKeyReused => ErrorKind::StateForbids,
        Code::TooManyAttempts | Code::TooManyRequests => ErrorKind::TooManyAttempts,
        Code::Invalid | Code::TooLarge => ErrorKind::Invalid,
        Code::HsmUnavailable
        | Code::NotAttested
        | Code::ProviderUnavailable
        | Code::Sealed
        | Code::StorageFull
        | Code::Unavailable => ErrorKind::Unreachable,
        _ => ErrorKind::Failed,
    }
}

fn kind_of_object(error: &ObjectError) -> ErrorKind {
    match error {
        ObjectError::Header(error) => match error {
            HeaderError::Read(_) => ErrorKind::Device,
            HeaderError::Truncated => ErrorKind::Truncated,
            HeaderError::NotAnObject
            | HeaderError::UnknownVersion
            | HeaderError::UnknownAlgorithm
            | HeaderError::UnknownParameter => ErrorKind::NotReadable,
            _ => ErrorKind::Altered,
        },
        ObjectError::Stream(error) => match error {
            CobblestoneError::Read(_) | CobblestoneError::Write(_) => ErrorKind::Device,
            CobblestoneError::Refused(Refusal::NoStart | Refusal::Truncated { .. }) => {
                ErrorKind::Truncated
            }
            CobblestoneError::Refused(_) => ErrorKind::Altered,
            CobblestoneError::InputTooLong => ErrorKind::Invalid,
            _ => ErrorKind::Failed,
        },
    }
}

fn kind_of_message(error: &MessageError) -> ErrorKind {
    match error {
        MessageError::Truncated => ErrorKind::Truncated,
        MessageError::NotAMessage
        | MessageError::UnknownAlgorithm
        | MessageError::UnknownParameter => ErrorKind::NotReadable,
        MessageError::TooLong => ErrorKind::Invalid,
        MessageError::Library => ErrorKind::Failed,
        MessageError::NotDeterministic
        | MessageError::Invalid(_)
        | MessageError::Altered
        | MessageError::WrongSender => ErrorKind::Altered,
    }
}

#[cfg(feature = "mail")]
fn kind_of_mail(error: &crate::mail::MailError) -> ErrorKind {
    use crate::mail::MailError;

    match error {
        MailError::NotMail | MailError::NotSealed | MailError::SealedOther => {
            ErrorKind::NotReadable
        }
        MailError::NoSender | MailError::Address(_) | MailError::NoAddressee => ErrorKind::Invalid,
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
