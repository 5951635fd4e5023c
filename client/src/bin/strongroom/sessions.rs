//! `sessions`.

use clap::Subcommand;
use strongroom_wire::id::SessionId;

use crate::Context;
use crate::failure::Failure;
use crate::output::{plain, spelling, table};
use crate::sign_in::warn_of_recovery;

/// `strongroom sessions`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List one's sessions that have not ended, on whichever device.
    List,
    /// End a session, such as one on a lost device.
    End {
        /// The session.
        session: SessionId,
    },
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::List => {
                let sessions = session.sessions()?;
                warn_of_recovery(&session);
                context.output.answer(&sessions, || {
                    let rows: Vec<_> = sessions
                        .sessions
                        .iter()
                        .map(|session| {
                            [
                                session.id.to_string(),
                                session.created.to_string(),
                                plain(&session.source),
                                spelling(&session.strength),
                                session.last_seen.to_string(),
                                plain(&session.last_source),
                                session.idle_expires.to_string(),
                                if session.current { "this one" } else { "" }.to_owned(),
                            ]
                        })
                        .collect();
                    let heading = [
                        "SESSION",
                        "SINCE",
                        "FROM",
                        "SIGN-IN",
                        "LAST SEEN",
                        "LAST FROM",
                        "ENDS UNUSED",
                        "",
                    ];
                    table(heading, &rows)
                })
            }
            Self::End { session: id } => {
                let done = session.end_session(id)?;
                context
                    .output
                    .answer(&done, || format!("Session {id} is ended."))
            }
        }
    }
}
