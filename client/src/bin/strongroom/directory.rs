//! `directory`.

use clap::{Args, Subcommand};
use strongroom_client::directories::SCIM_PATH;
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Session};
use strongroom_wire::directory::{
    AddDirectory, AdoptAccount, Directory, DirectoryWithToken, RenewToken,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::policy::Network;

use crate::failure::{Failure, elsewhere};
use crate::output::{facts, plain, table};
use crate::step_up::with_recent_sign_in;
use crate::{Context, accounts, moment, prompt};

const HINT: &str = "directories are registered at the appliance's administration address, and this home is signed in elsewhere: sign in \
                    there with strongroom login ACCOUNT --server URL, in another --home";

/// `strongroom directory`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Register a directory, and print the address and the token with which it manages accounts by SCIM.
    Add(Add),
    /// List all directories.
    List,
    /// Make a new token for a directory, and print it. The one before it is void at once.
    Token {
        /// The directory's name or identifier.
        directory: String,
        #[command(flatten)]
        lifetime: Lifetime,
    },
    /// Remove a directory. Its users stay, as accounts that administrators manage; nobody can add to its groups any more.
    Remove {
        /// The directory's name or identifier.
        directory: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Put a person's account, which is there already, under a directory's management.
    Adopt(Managed),
    /// Take an account from a directory's management; it stays as it is.
    Release(Managed),
}

/// `strongroom directory add`.
#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Its name, which stands in the mail that its users get.
    name: String,
    #[command(flatten)]
    lifetime: Lifetime,
    /// Its token is used from these networks only, such as 10.0.0.0/8; may be given several times.
    #[arg(long = "from", value_name = "NETWORK", value_delimiter = ',')]
    networks: Vec<Network>,
}

/// How long a token is good.
#[derive(Args, Debug)]
pub(crate) struct Lifetime {
    /// The token is good until this time; of a day, until its end [default: until there is a new one].
    #[arg(long, value_name = "TIME", value_parser = moment::parse_end, allow_hyphen_values = true)]
    until: Option<Timestamp>,
}

/// An account and the directory that manages it.
#[derive(Args, Debug)]
pub(crate) struct Managed {
    /// The directory's name or identifier.
    directory: String,
    /// The account's name or identifier.
    account: String,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let output = context.output;
        match self {
            Self::Add(add) => {
                let request = AddDirectory {
                    name: add.name,
                    expires: add.lifetime.until,
                    networks: add.networks,
                };
                let added = recent(context, &session, || session.add_directory(&request))?;
                output.answer(&added, || describe_token(&session, &added))
            }
            Self::List => {
                let found = session.directories().map_err(here)?;
                output.answer(&found, || describe(&found.directories))
            }
            Self::Token {
                directory,
                lifetime,
            } => {
                let id = find(&session, &directory)?.id;
                let request = RenewToken {
                    expires: lifetime.until,
                };
                let renewed = recent(context, &session, || {
                    session.renew_directory_token(id, &request)
                })?;
                output.answer(&renewed, || describe_token(&session, &renewed))
            }
            Self::Remove { directory, yes } => {
                let directory = find(&session, &directory)?;
                if !yes {
                    confirm(&directory)?;
                }
                let done = session.remove_directory(directory.id).map_err(here)?;
                output.answer(&done, || {
                    format!(
                        "The directory {} is removed. Its {} users are managed by administrators now.",
                        plain(&directory.name),
                        directory.users
                    )
                })
            }
            Self::Adopt(managed) => {
                let directory = find(&session, &managed.directory)?;
                let request = AdoptAccount {
                    account: accounts::find(&session, &managed.account)?.name,
                };
                let adopted = recent(context, &session, || {
                    session.adopt_account(directory.id, &request)
                })?;
                output.answer(&adopted, || {
                    format!(
                        "The directory {} manages {}.",
                        plain(&directory.name),
                        plain(&adopted.account.name)
                    )
                })
            }
            Self::Release(managed) => {
                let directory = find(&session, &managed.directory)?;
                let account = accounts::find(&session, &managed.account)?;
                let done = session
                    .release_account(directory.id, account.id)
                    .map_err(here)?;
                output.answer(&done, || {
                    format!(
                        "The directory {} manages {} no more.",
                        plain(&directory.name),
                        plain(&account.name)
                    )
                })
            }
        }
    }
}

/// The directory with this identifier or name.
fn find(session: &Session, directory: &str) -> Result<Directory, Failure> {
    // Directories are named as accounts are: in lower case.
    let name = account_name(directory);
    let found = session.directories().map_err(here)?.directories;
    found
        .into_iter()
        .find(|other| other.name == name || other.id.to_string() == directory)
        .ok_or_else(|| Failure::Failed(format!("there is no directory named {directory}")))
}

fn recent<T>(
    context: &Context,
    session: &Session,
    act: impl Fn() -> Result<T, ClientError>,
) -> Result<T, Failure> {
    with_recent_sign_in(context, session, act).map_err(|failure| match failure {
        Failure::Client(error) => here(error),
        other => other,
    })
}

fn confirm(directory: &Directory) -> Result<(), Failure> {
    if !prompt::is_possible() {
        return Err(Failure::Usage(
            "nobody is there to be asked: say --yes to remove the directory".to_owned(),
        ));
    }
    let answer = prompt::ask(&format!(
        "Remove {name}? Its {} users stay, as accounts that administrators manage; its {} groups can have no new members. Type its name: ",
        directory.users,
        directory.groups,
        name = plain(&directory.name),
    ))?;
    if account_name(&answer) == directory.name {
        return Ok(());
    }
    Err(Failure::Failed("nothing was removed".to_owned()))
}

fn describe_token(session: &Session, made: &DirectoryWithToken) -> String {
    let made = facts(&[
        ("directory", plain(&made.directory.name)),
        ("identifier", made.directory.id.to_string()),
        (
            "address",
            format!("{}{SCIM_PATH}", session.client().origin()),
        ),
        ("token", made.token.clone()),
        ("good until", lapse(&made.directory)),
        ("from", networks(&made.directory)),
        ("leaf", made.leaf.to_string()),
    ]);
    format!("{made}\nThe token is shown this once: enter it in the directory now.")
}

fn describe(directories: &[Directory]) -> String {
    let rows: Vec<_> = directories
        .iter()
        .map(|directory| {
            [
                plain(&directory.name),
                directory.users.to_string(),
                directory.groups.to_string(),
                directory.token_created.to_string(),
                lapse(directory),
                networks(directory),
                directory.id.to_string(),
            ]
        })
        .collect();
    table(
        [
            "DIRECTORY",
            "USERS",
            "GROUPS",
            "TOKEN SINCE",
            "GOOD UNTIL",
            "FROM",
            "IDENTIFIER",
        ],
        &rows,
    )
}

/// When the token lapses; empty where it does not.
fn lapse(directory: &Directory) -> String {
    let expires = directory.expires.map(|moment| moment.to_string());
    expires.unwrap_or_default()
}

fn networks(directory: &Directory) -> String {
    let networks: Vec<_> = directory.networks.iter().map(Network::to_string).collect();
    networks.join(" ")
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::id::DirectoryId;

    use super::*;

    #[test]
    fn directories_are_listed() {
        let mut directory = Directory {
            id: DirectoryId::generate(),
            name: "entra\u{1b}[2J".to_owned(),
            created: moment::now(),
            token_created: moment::now(),
            expires: None,
            networks: vec![
                "10.0.0.0/8".parse().unwrap(),
                "192.0.2.0/24".parse().unwrap(),
            ],
            users: 120,
            groups: 7,
        };
        let text = describe(std::slice::from_ref(&directory));
        for shown in ["entra", "120", "7", "10.0.0.0/8 192.0.2.0/24"] {
            assert!(text.contains(shown), "{shown} in {text}");
        }
        assert!(
            !text.contains('\u{1b}'),
            "a name cannot command the terminal"
        );
        assert_eq!(lapse(&directory), "");
        directory.expires = Some(Timestamp::from_millis(0));
        assert!(lapse(&directory).starts_with("1970-01-01T00:00:00"));
    }
}
