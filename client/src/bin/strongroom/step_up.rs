//! `step-up`: signing in again in the session, for what the domain's policy wants a recent sign-in.

use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_client::{ClientError, Session};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::SteppedUp;

use crate::failure::Failure;
use crate::output::complain;
use crate::second_factor::{self, Given};
use crate::{Context, prompt};

/// `strongroom step-up`.
#[derive(Args, Debug)]
pub(crate) struct StepUp {
    /// A file whose first line is the password, or - for standard input; asked for where it is not given.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The code that the authenticator app shows, if the account has one; asked for where it is not given.
    #[arg(long, value_name = "CODE", conflicts_with = "recovery_code")]
    totp: Option<String>,
    /// A recovery code in place of the second factor.
    #[arg(long, value_name = "CODE")]
    recovery_code: Option<String>,
}

impl StepUp {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let given = Given {
            totp: self.totp,
            recovery_code: self.recovery_code,
        };
        let stepped = step_up(&session, given, self.password_file.as_deref())?;
        context.output.answer(&stepped, || {
            format!("Signed in again as {}.", session.account().name)
        })
    }
}

/// Signs in again: with the second factor where the account has one, or else with the password.
fn step_up(
    session: &Session,
    given: Given,
    password_file: Option<&Path>,
) -> Result<SteppedUp, Failure> {
    match session.begin_step_up() {
        Ok(waiting) => second_factor::prove(waiting.needed(), given, |proof| waiting.prove(proof)),
        Err(ClientError::Refused(problem)) if problem.code == Code::Conflict => {
            let password = prompt::password(password_file)?;
            Ok(session.step_up(password.as_bytes())?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Does what may need a recent sign-in: where it does and somebody is there, asks for the password and does it again.
pub(crate) fn with_recent_sign_in<T>(
    context: &Context,
    session: &Session,
    act: impl Fn() -> Result<T, ClientError>,
) -> Result<T, Failure> {
    match act() {
        Err(ClientError::Refused(problem)) if problem.code == Code::StepUpRequired => {
            if context.output.is_json() || !prompt::is_possible() {
                let detail = format!("{} Sign in again with: strongroom step-up", problem.detail);
                let problem = Problem { detail, ..*problem };
                return Err(ClientError::Refused(Box::new(problem)).into());
            }
            complain("strongroom: this needs you to sign in again");
            step_up(session, Given::default(), None)?;
            Ok(act()?)
        }
        done => Ok(done?),
    }
}
