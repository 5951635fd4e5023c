//! What a failure of the client library means here.

use strongroom_client::ClientError;
use strongroom_wire::problem::Code;

use crate::token::{TokenError, TokenErrorKind as Kind};

/// What is wrong with data, where that is a wrapped key.
pub(super) fn of_wrapped(error: TokenError) -> TokenError {
    told(
        told(error, Kind::EncryptedData, Kind::WrappedKey),
        Kind::Data,
        Kind::WrappedKey,
    )
}

/// An error of one kind, told as one of another.
pub(super) fn told(mut error: TokenError, from: Kind, to: Kind) -> TokenError {
    if error.kind == from {
        error.kind = to;
    }
    error
}

pub(super) fn failed(what: &'static str) -> TokenError {
    TokenError::new(Kind::Failed, what)
}

/// What a failure of the client library means here.
pub(super) fn refused(error: ClientError) -> TokenError {
    let kind = match &error {
        ClientError::Refused(problem) if problem.code == Code::NotAuthentic => Kind::EncryptedData,
        ClientError::Refused(problem) if problem.code == Code::Invalid => Kind::Data,
        // Whoever has signed in and is refused lost the account meanwhile, and gave no wrong PIN.
        ClientError::Refused(problem) if problem.code == Code::SignInRefused => Kind::NotSignedIn,
        ClientError::Refused(problem) if problem.code == Code::TooLarge => Kind::DataLength,
        ClientError::Refused(problem) => return problem.clone().into(),
        ClientError::NotSignedIn => Kind::NotSignedIn,
        ClientError::Unreachable { .. } => Kind::Unreachable,
        ClientError::NotTrusted { .. }
        | ClientError::OtherDomain { .. }
        | ClientError::Setup(_) => Kind::Configuration,
        _ => Kind::Failed,
    };
    let what = error.to_string();
    let problem = match error {
        ClientError::Refused(problem) => Some(problem),
        _ => None,
    };
    TokenError {
        kind,
        what: what.into(),
        problem,
    }
}

/// Whether another sign-in is what was missing.
pub(super) fn wants_sign_in(error: &ClientError) -> bool {
    match error {
        ClientError::NotSignedIn => true,
        ClientError::Refused(problem) => problem.code == Code::StepUpRequired,
        _ => false,
    }
}
