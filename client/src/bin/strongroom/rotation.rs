//! `rotation`.

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Session};
use strongroom_wire::rotation::{ChangedMasterKek, RotatedAccountKek, RotationStatus};

use crate::failure::{Failure, elsewhere};
use crate::output::{facts, plain, spelling, table};
use crate::{Context, accounts, prompt};

const HINT: &str = "rotations are started and watched at the appliance's administration address, and this home is signed in elsewhere: \
                    sign in there with strongroom login ACCOUNT --server URL, in another --home";
/// How often `--follow` asks.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// `strongroom rotation`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a new version of the master KEK. The appliance then moves all account KEKs to it, in the background.
    StartMaster,
    /// Show how far rotations are.
    Status(Status),
    /// Take an older version of the master KEK, which wraps nothing any more, out of use.
    Retire {
        /// The version.
        version: u32,
    },
    /// Destroy a retired version of the master KEK in the HSM: backups from before its rotation open no more, unless custodians recover it.
    Destroy(Destroy),
    /// Make a new version of an account's KEK. The appliance then moves all that it sealed to it, in the background.
    Account {
        /// The account's name or identifier: one's own or, for administrators, another's.
        account: String,
    },
}

/// `strongroom rotation status`.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Go on until nothing is left.
    #[arg(long, short)]
    follow: bool,
}

/// `strongroom rotation destroy`.
#[derive(Args, Debug)]
pub(crate) struct Destroy {
    /// The version.
    version: u32,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let output = context.output;
        match self {
            Self::StartMaster => {
                let made = session.rotate_master_kek().map_err(here)?;
                output.answer(&made, || describe_master("made", &made))
            }
            Self::Status(Status { follow: false }) => {
                let status = session.rotation().map_err(here)?;
                output.answer(&status, || describe(&status))
            }
            Self::Status(Status { follow: true }) => follow(context, &session),
            Self::Retire { version } => {
                let retired = session.retire_master_kek(version).map_err(here)?;
                output.answer(&retired, || describe_master("retired", &retired))
            }
            Self::Destroy(destroy) => {
                if !destroy.yes {
                    confirm(destroy.version)?;
                }
                let destroyed = session.destroy_master_kek(destroy.version).map_err(here)?;
                output.answer(&destroyed, || describe_master("destroyed", &destroyed))
            }
            Self::Account { account } => {
                let rotated = rotate_account(&session, &account)?;
                output.answer(&rotated, || {
                    facts(&[
                        ("account KEK", format!("version {}", rotated.version)),
                        ("leaf", rotated.leaf.to_string()),
                    ])
                })
            }
        }
    }
}

/// Whoever is no administrator may not look for accounts, and knows its own.
fn rotate_account(session: &Session, account: &str) -> Result<RotatedAccountKek, Failure> {
    let own = session.own_account()?;
    let id = if own.name == account_name(account) || own.id.to_string() == account {
        own.id
    } else {
        accounts::find(session, account)?.id
    };
    session.rotate_account_kek(id).map_err(here)
}

/// Asks again and again until nothing is left: with a bar on a terminal, else with a line or a document for each change.
fn follow(context: &Context, session: &Session) -> Result<(), Failure> {
    let bar = (!context.output.is_json() && io::stderr().is_terminal()).then(bar);
    let mut shown = None;
    loop {
        let status = session.rotation().map_err(here)?;
        let left = left(&status);
        if let Some(bar) = &bar {
            // What is made meanwhile under the new version is nobody's work: the bar counts what was left when it was most.
            let length = bar.length().unwrap_or_default().max(left);
            bar.set_length(length);
            bar.set_position(length - left);
            bar.set_message(what_moves(&status));
        } else if shown.as_ref() != Some(&status) {
            context.output.answer(&status, || describe(&status))?;
        }
        if left == 0 && status.accounts_under_way == 0 {
            if let Some(bar) = bar {
                bar.finish_and_clear();
                context.output.answer(&status, || describe(&status))?;
            }
            return Ok(());
        }
        if status.damaged > 0 && left <= status.damaged {
            return Err(Failure::Failed(format!(
                "{} records do not match their seals and keep the rotation from ending: find them with strongroom audit tail, restore \
                 them from a backup or revoke what they belong to",
                status.damaged
            )));
        }
        shown = Some(status);
        thread::sleep(FOLLOW_EVERY);
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = "{bar:40} {pos}/{len} moved, {per_sec}, {eta} left {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

fn left(status: &RotationStatus) -> u64 {
    let accounts: u64 = status.accounts.iter().map(|account| account.left).sum();
    status.left + accounts
}

fn what_moves(status: &RotationStatus) -> String {
    match (status.left, status.accounts.as_slice()) {
        (0, []) => String::new(),
        (0, [account]) => format!("(account KEK of {})", plain(&account.name)),
        (0, _) => format!("(KEKs of {} accounts)", status.accounts_under_way),
        (_, []) => "(master KEK)".to_owned(),
        _ => format!(
            "(master KEK, KEKs of {} accounts)",
            status.accounts_under_way
        ),
    }
}

fn describe(status: &RotationStatus) -> String {
    let versions: Vec<_> = status
        .master_keks
        .iter()
        .map(|kek| {
            [
                kek.version.to_string(),
                spelling(&kek.state),
                kek.wrapped.to_string(),
                if kek.recoverable { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect();
    let mut text = table(["MASTER KEK", "STATE", "WRAPS", "RECOVERABLE"], &versions);
    if !status.accounts.is_empty() {
        let accounts: Vec<_> = status
            .accounts
            .iter()
            .map(|account| {
                [
                    plain(&account.name),
                    account.version.to_string(),
                    account.done.to_string(),
                    account.left.to_string(),
                ]
            })
            .collect();
        text = format!(
            "{}\n\n{}",
            text.trim_end(),
            table(["ACCOUNT KEK", "VERSION", "SEALED", "LEFT"], &accounts)
        );
    }
    if status.damaged > 0 {
        text = format!(
            "{}\n\n{} records do not match their seals and keep their rotation from ending.",
            text.trim_end(),
            status.damaged
        );
    }
    text
}

fn describe_master(done: &str, changed: &ChangedMasterKek) -> String {
    facts(&[
        ("master KEK", format!("version {} {done}", changed.version)),
        ("leaf", changed.leaf.to_string()),
    ])
}

fn confirm(version: u32) -> Result<(), Failure> {
    if !prompt::is_possible() {
        return Err(Failure::Usage(
            "nobody is there to be asked: say --yes to destroy the master KEK".to_owned(),
        ));
    }
    let answer = prompt::ask(&format!(
        "Destroy version {version} of the master KEK? Backups from before its rotation open never again, unless custodians who held its \
         recovery shares bring it back. Type the version: "
    ))?;
    if answer == version.to_string() {
        return Ok(());
    }
    Err(Failure::Failed("nothing was destroyed".to_owned()))
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}

#[cfg(test)]
mod tests {
    use strongroom_wire::id::AccountId;
    use strongroom_wire::rotation::{AccountKekRotation, MasterKek, MasterKekState};

    use super::*;

    #[test]
    fn what_is_left_is_shown() {
        let mut status = RotationStatus {
            master_keks: vec![
                MasterKek {
                    version: 1,
                    state: MasterKekState::Older,
                    wrapped: 3,
                    recoverable: false,
                },
                MasterKek {
                    version: 2,
                    state: MasterKekState::Newest,
                    wrapped: 4,
                    recoverable: true,
                },
            ],
            left: 3,
            accounts: vec![AccountKekRotation {
                account: AccountId::generate(),
                name: "alice\u{1b}[2J".to_owned(),
                version: 5,
                done: 10,
                left: 7,
            }],
            accounts_under_way: 1,
            damaged: 2,
        };
        assert_eq!(left(&status), 10);
        let text = describe(&status);
        for shown in ["older", "newest", "alice", "10", "7", "2 records"] {
            assert!(text.contains(shown), "{shown} in {text}");
        }
        assert!(
            !text.contains('\u{1b}'),
            "a name cannot command the terminal"
        );
        assert_eq!(what_moves(&status), "(master KEK, KEKs of 1 accounts)");
        status.left = 0;
        assert!(what_moves(&status).starts_with("(account KEK of alice"));
        status.accounts.clear();
        assert_eq!((left(&status), what_moves(&status)), (0, String::new()));
    }
}
