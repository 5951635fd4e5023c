//! Why something could not be done.

use std::io;

use strongroom_client::ClientError;
use strongroom_client::object::CobblestoneError;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What kind of failure it is: what a caller branches on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, uniffi::Enum)]
        pub enum ErrorKind {
            $($(#[doc = $doc])* $name,)*
        }

        impl From<strongroom_client::ErrorKind> for ErrorKind {
            fn from(kind: strongroom_client::ErrorKind) -> Self {
                match kind {
                    $(strongroom_client::ErrorKind::$name => Self::$name,)*
                    // One that the library has learned and this list has not.
                    _ => Self::Failed,
                }
            }
        }
    };
}

kinds! {
    /// There is no session, or it has ended: sign in.
    NotSignedIn,
    /// The sign-in itself was refused.
    SignInRefused,
    /// The act needs a more recent sign-in: sign in again in the session.
    StepUpRequired,
    /// A usage policy does not allow it; the rule is told to those who may know it.
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
    /// The appliance cannot be reached, or cannot answer now; whether trying again is safe is told.
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

/// What is known of a failure. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Failure {
    /// What to branch on.
    pub kind: ErrorKind,
    /// One sentence for people.
    pub reason: String,
    /// The rule of a usage policy that refused, such as `policy:key:not-after`, for those who may know it.
    pub rule: Option<String>,
    /// The problem code of the appliance's refusal, such as `grant-revoked`.
    pub code: Option<String>,
    /// Whether the same may be tried again: nothing was done, or doing it twice does no harm.
    pub safe_to_retry: bool,
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        Self {
            kind: error.kind().into(),
            reason: error.to_string(),
            rule: error.rule().map(str::to_owned),
            code: error.code().map(|code| code.as_str().to_owned()),
            safe_to_retry: error.safe_to_retry(),
        }
    }
}

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum StrongroomError {
    /// It could not be done.
    #[error("{}", .failure.reason)]
    Failed {
        /// What is known of it.
        failure: Failure,
    },
}

impl StrongroomError {
    /// What the caller gave cannot be.
    pub(crate) fn invalid(reason: &str) -> Self {
        ClientError::Setup(reason.to_owned()).into()
    }

    /// What failed while a stream was read or written.
    pub(crate) fn of_stream(error: io::Error) -> Self {
        if !error
            .get_ref()
            .is_some_and(|inner| inner.is::<CobblestoneError>() || inner.is::<ClientError>())
        {
            return ClientError::from(CobblestoneError::Read(error)).into();
        }
        let inner = error.into_inner().unwrap_or_else(|| "unknown".into());
        match inner.downcast::<CobblestoneError>() {
            Ok(error) => ClientError::from(*error).into(),
            Err(inner) => inner
                .downcast::<ClientError>()
                .map_or(ClientError::Library.into(), |error| (*error).into()),
        }
    }
}

impl From<ClientError> for StrongroomError {
    fn from(error: ClientError) -> Self {
        Self::Failed {
            failure: (&error).into(),
        }
    }
}

/// A stream of the caller's own failed: what the caller's functions throw.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum StreamError {
    /// It failed.
    #[error("{reason}")]
    Failed {
        /// Why, for people.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for StreamError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed {
            reason: error.reason,
        }
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_client::object::Refusal;

    use super::*;

    fn kind(error: StrongroomError) -> ErrorKind {
        let StrongroomError::Failed { failure } = error;
        failure.kind
    }

    #[test]
    fn a_stream_tells_what_failed() {
        let truncated = CobblestoneError::Refused(Refusal::NoStart);
        assert_eq!(
            kind(StrongroomError::of_stream(truncated.into())),
            ErrorKind::Truncated
        );
        let gone = io::Error::other(ClientError::NotSignedIn);
        assert_eq!(
            kind(StrongroomError::of_stream(gone)),
            ErrorKind::NotSignedIn
        );
        let full = io::Error::other(StreamError::Failed {
            reason: "no space".to_owned(),
        });
        assert_eq!(kind(StrongroomError::of_stream(full)), ErrorKind::Device);
    }

    #[test]
    fn a_kind_is_named_alike_on_both_sides() {
        let kind = ErrorKind::from(strongroom_client::ErrorKind::OtherAppliance);
        assert_eq!(kind, ErrorKind::OtherAppliance);
        let failure = Failure::from(&ClientError::NotSignedIn);
        assert_eq!(failure.code.unwrap(), "not-signed-in");
    }
}
