//! `step-up`: signing in again in the session, for what the domain's policy wants a recent sign-in.

use std::path::PathBuf;

use clap::Args;
use strongroom_client::{ClientError, Session};
use strongroom_wire::problem::{Code, Problem};

use crate::failure::Failure;
use crate::output::complain;
use crate::{Context, prompt};

/// `strongroom step-up`.
#[derive(Args, Debug)]
pub(crate) struct StepUp {
    /// A file whose first line is the password, or - for standard input; asked for where it is not given.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl StepUp {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let password = prompt::password(self.password_file.as_deref())?;
        let stepped = session.step_up(password.as_bytes())?;
        context.output.answer(&stepped, || {
            format!("Signed in again as {}.", session.account().name)
        })
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
            complain("strongroom: this needs your password again");
            let password = prompt::password(None)?;
            session.step_up(password.as_bytes())?;
            Ok(act()?)
        }
        done => Ok(done?),
    }
}
