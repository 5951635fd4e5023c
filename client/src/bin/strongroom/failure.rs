//! What went wrong: the sentence, the JSON and the exit code.

use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};
use strongroom_client::ClientError;
use strongroom_wire::problem::{Code, Problem};

use crate::output::{Output, complain};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// There is no session.
    #[error("{0}")]
    NotSignedIn(String),
    /// The library could not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Something on this machine failed.
    #[error("{0}")]
    Failed(String),
    /// What was asked about does not hold, and the answer says so.
    #[error("it does not hold")]
    Told,
    /// Whoever reads standard output has stopped reading.
    #[error("nobody reads the output")]
    OutputClosed,
}

impl Failure {
    /// A failure of this machine while doing `what`.
    pub(crate) fn local(what: impl AsRef<str>, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {error}", what.as_ref()))
    }

    /// Says what went wrong, and gives the exit code.
    pub(crate) fn report(&self, output: Output) -> ExitCode {
        if matches!(self, Self::OutputClosed | Self::Told) {
            return ExitCode::from(self.exit_code());
        }
        if output.is_json() {
            complain(&self.to_json().to_string());
        } else {
            complain(&format!("strongroom: {}", self.sentence()));
        }
        ExitCode::from(self.exit_code())
    }

    /// The sentence for a person, with the causes that the outermost error leaves out.
    pub(crate) fn sentence(&self) -> String {
        if let Self::Client(ClientError::NotSignedIn) = self {
            return "the session has ended: sign in again with strongroom login".to_owned();
        }
        let mut sentence = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !sentence.contains(&text) {
                sentence = format!("{sentence}: {text}");
            }
            cause = error.source();
        }
        sentence
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Usage(_) | Self::Client(ClientError::Setup(_)) => 2,
            Self::Client(ClientError::Refused(problem))
                if problem.code == Code::SessionElsewhere =>
            {
                4
            }
            Self::Client(
                ClientError::Refused(_)
                | ClientError::WrongPassword
                | ClientError::ProviderRefused(_)
                | ClientError::SecondFactorNeeded,
            ) => 3,
            Self::NotSignedIn(_) | Self::Client(ClientError::NotSignedIn) => 4,
            Self::Client(
                ClientError::Unreachable { .. }
                | ClientError::NotTrusted { .. }
                | ClientError::UnexpectedAnswer { .. },
            ) => 5,
            Self::Client(_) | Self::Failed(_) | Self::Told => 1,
        }
    }

    /// The problem document of the appliance where it refused; else one of the same form. The member `kind` is what programs in other languages
    /// branch on, too ([`ErrorKind`](strongroom_client::ErrorKind)).
    fn to_json(&self) -> Value {
        let mut problem = self.to_problem();
        if let (Self::Client(error), Some(members)) = (self, problem.as_object_mut()) {
            members.insert("kind".to_owned(), error.kind().as_str().into());
        }
        problem
    }

    fn to_problem(&self) -> Value {
        if let Self::Client(ClientError::Refused(problem)) = self
            && let Ok(problem) = serde_json::to_value(problem)
        {
            return problem;
        }
        let (code, title) = match self.exit_code() {
            2 => ("usage", "The command asks for something that cannot be"),
            3 => (Code::SignInRefused.as_str(), Code::SignInRefused.title()),
            4 => (Code::NotSignedIn.as_str(), Code::NotSignedIn.title()),
            5 => ("unreachable", "The appliance cannot be reached"),
            _ => ("failed", "The command failed"),
        };
        json!({
            "type": format!("urn:strongroom:problem:{code}"),
            "title": title,
            "code": code,
            "detail": self.sentence(),
        })
    }
}

/// What an error means for a command that only one of the appliance's two addresses serves.
pub(crate) fn elsewhere(error: ClientError, hint: &str) -> Failure {
    match error {
        ClientError::Refused(problem)
            if matches!(problem.code, Code::NoSuchRoute | Code::MethodNotAllowed) =>
        {
            Failure::Client(ClientError::Refused(Box::new(Problem {
                detail: hint.to_owned(),
                ..*problem
            })))
        }
        other => other.into(),
    }
}

/// Reports what clap made of the command line: help and version on standard output, errors on standard error.
pub(crate) fn of_usage(error: &clap::Error) -> ExitCode {
    let is_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && is_json {
        let text = error.to_string();
        let text = text.trim_start_matches("error: ").trim_end();
        return Failure::Usage(text.to_owned()).report(Output::new(true));
    }
    // Nobody is left to tell when it cannot be printed.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_client::object::{CobblestoneError, ObjectError};

    use super::*;

    fn refused(code: Code, detail: &str) -> ClientError {
        ClientError::Refused(Box::new(Problem::new(code, detail)))
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let unreachable = ClientError::Unreachable {
            server: "https://keys.example.com".to_owned(),
            reason: "nothing listens there".to_owned(),
            safe_to_retry: true,
        };
        let codes = [
            (Failure::Failed("no".to_owned()), 1),
            (ClientError::AlteredMaterial.into(), 1),
            (Failure::Usage("no".to_owned()), 2),
            (ClientError::Setup("no".to_owned()).into(), 2),
            (refused(Code::GrantRevoked, "no").into(), 3),
            (ClientError::WrongPassword.into(), 3),
            (ClientError::NotSignedIn.into(), 4),
            (refused(Code::SessionElsewhere, "no").into(), 4),
            (Failure::NotSignedIn("no".to_owned()), 4),
            (unreachable.into(), 5),
        ];
        for (failure, code) in codes {
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
    }

    #[test]
    fn a_refusal_is_passed_on_as_the_appliance_said_it() {
        let mut problem = Problem::new(Code::GrantRevoked, "It was revoked on Friday.");
        problem.leaf = Some(17);
        let failure = Failure::from(ClientError::Refused(Box::new(problem.clone())));
        assert_eq!(failure.sentence(), "It was revoked on Friday.");
        assert_eq!(
            serde_json::from_value::<Problem>(failure.to_json()).unwrap(),
            problem
        );
    }

    #[test]
    fn local_failures_have_the_form_of_problems() {
        let json = Failure::NotSignedIn("sign in first".to_owned()).to_json();
        assert_eq!(json["code"], "not-signed-in");
        assert_eq!(json["type"], "urn:strongroom:problem:not-signed-in");
        assert_eq!(json["detail"], "sign in first");
        assert_eq!(json["kind"], Value::Null, "the library has not failed");
        let json = Failure::from(ClientError::WrongPassword).to_json();
        assert_eq!(json["code"], "sign-in-refused");
        assert_eq!(json["kind"], "sign-in-refused");
        let json = Failure::from(ClientError::AlteredMaterial).to_json();
        assert_eq!(
            (&json["code"], &json["kind"]),
            (&"failed".into(), &"altered".into())
        );
    }

    #[test]
    fn the_cause_is_told() {
        let full = io::Error::new(io::ErrorKind::StorageFull, "no space left");
        let error = ClientError::Object(ObjectError::Stream(CobblestoneError::Write(full)));
        assert_eq!(
            Failure::from(error).sentence(),
            "the output could not be written: no space left"
        );
    }

    #[test]
    fn a_route_that_is_not_there_gets_the_hint() {
        let failure = elsewhere(refused(Code::NoSuchRoute, "nothing here"), "go there");
        assert_eq!(failure.sentence(), "go there");
        assert_eq!(failure.exit_code(), 3);
        let failure = elsewhere(refused(Code::NotPermitted, "may not"), "go there");
        assert_eq!(failure.sentence(), "may not");
    }
}
