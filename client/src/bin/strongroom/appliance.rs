//! `appliance`: the image that the appliance runs from.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use strongroom_client::{ClientError, Session};
use strongroom_wire::problem::Code;
use strongroom_wire::reset::OrderedReset;
use strongroom_wire::update::{
    ApplianceRelease, InstalledRelease, PIECE_MAX, ReceivedUpdate, ReceivingUpdate,
};

use crate::Context;
use crate::attest::Attest;
use crate::failure::{Failure, elsewhere};
use crate::output::{facts, plain};
use crate::prompt;
use crate::step_up::with_recent_sign_in;

const HINT: &str = "the appliance's image is updated at its administration address, and this home is signed in elsewhere: sign in \
                    there with strongroom login ACCOUNT --server URL, in another --home";
/// How often in a row a piece may fail to arrive.
const MOST_FAILURES: u32 = 10;
/// The pause before it goes on after that.
const PAUSE: Duration = Duration::from_secs(1);
/// How often is asked whether the update is installed.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long that may take.
const INSTALLED_WITHIN: Duration = Duration::from_mins(10);

/// `strongroom appliance`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show which release of the image runs, and what becomes of updates.
    Release,
    /// Send an update of the image. Where it was cut off, the same command goes on.
    Update(Update),
    /// Drop what has arrived of an update.
    Drop,
    /// Have the machine's TPM say what firmware settings and what kernel image it was started with, and hold that against a release.
    Attest(Attest),
    /// Restart the machine. A release that was installed is then put on trial.
    Restart,
    /// Destroy all keys and data on the machine for ever, and begin anew with a first start. Where the domain's policy demands approvals, with --proposal.
    FactoryReset(FactoryReset),
}

/// `strongroom appliance factory-reset`.
#[derive(Args, Debug)]
pub(crate) struct FactoryReset {
    /// The appliance's name, where nobody is there to type it.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// `strongroom appliance update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// The update.
    file: PathBuf,
    /// Have it installed beside the release that runs, and wait until it is.
    #[arg(long)]
    install: bool,
    /// Then restart the machine, which puts it on trial.
    #[arg(long, requires = "install")]
    restart: bool,
}

/// What was done with an update.
#[derive(Serialize)]
struct Updated {
    version: String,
    length: u64,
    staged_leaf: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<InstalledRelease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    install_leaf: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_leaf: Option<u64>,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Attest(attest) => attest.run(context),
            Self::Release => {
                let session = context.session()?;
                let release = session.release_of_image().map_err(here)?;
                context.output.answer(&release, || describe(&release))
            }
            Self::Update(update) => update.run(context, &context.session()?),
            Self::Drop => {
                let session = context.session()?;
                let done = with_recent_sign_in(context, &session, || session.drop_update());
                let done = done.map_err(away)?;
                context
                    .output
                    .answer(&done, || format!("Dropped; leaf {}.", done.leaf))
            }
            Self::FactoryReset(reset) => reset.run(context),
            Self::Restart => {
                let session = context.session()?;
                let done = with_recent_sign_in(context, &session, || session.restart_appliance());
                let done = done.map_err(away)?;
                context.output.answer(&done, || {
                    format!("The machine restarts; leaf {}.", done.leaf)
                })
            }
        }
    }
}

impl FactoryReset {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let name = match self.name {
            Some(name) => name,
            None if prompt::is_possible() => prompt::ask(
                "All keys and all data on the machine are destroyed, for ever and at once. Type the appliance's name: ",
            )?,
            None => {
                return Err(Failure::Usage(
                    "nobody is there to be asked: say --name and the appliance's name".to_owned(),
                ));
            }
        };
        let done = with_recent_sign_in(context, &session, || session.reset_appliance(&name));
        let done = done.map_err(away)?;
        context.output.answer(&done, || describe_reset(&done))
    }
}

impl Update {
    fn run(self, context: &Context, session: &Session) -> Result<(), Failure> {
        let received = send(context, session, &self.file)?;
        let mut updated = Updated {
            version: received.version,
            length: received.length,
            staged_leaf: received.leaf,
            installed: None,
            install_leaf: None,
            restart_leaf: None,
        };
        if self.install {
            let before = session.release_of_image()?;
            let ordered = with_recent_sign_in(context, session, || session.install_update())?;
            updated.install_leaf = Some(ordered.leaf);
            updated.installed = Some(wait_until_installed(session, &before, &ordered.version)?);
        }
        if self.restart {
            let done = with_recent_sign_in(context, session, || session.restart_appliance())?;
            updated.restart_leaf = Some(done.leaf);
        }
        context.output.answer(&updated, || {
            let version = plain(&updated.version);
            match (&updated.installed, updated.restart_leaf) {
                (_, Some(_)) => format!(
                    "Version {version} is installed, and the machine restarts with it on trial."
                ),
                (Some(_), None) => format!(
                    "Version {version} is installed: strongroom appliance restart puts it on trial."
                ),
                (None, None) => format!("Version {version} has arrived, whole and signed."),
            }
        })
    }
}

/// Sends what the appliance lacks of an update.
fn send(context: &Context, session: &Session, path: &Path) -> Result<ReceivedUpdate, Failure> {
    let unreadable = |error: io::Error| Failure::local(path.display().to_string(), &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length == 0 {
        return Err(Failure::Usage(format!("{} is empty", path.display())));
    }
    let release = session.release_of_image().map_err(here)?;
    let mut offset = match &release.receiving {
        Some(receiving) if begins_alike(&mut file, receiving).map_err(unreadable)? => {
            receiving.offset
        }
        _ => 0,
    };
    let bar = bar(length);
    let mut failures = 0;
    loop {
        bar.set_position(offset);
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut piece = Vec::new();
        let most = PIECE_MAX as u64;
        (&mut file)
            .take(most)
            .read_to_end(&mut piece)
            .map_err(unreadable)?;
        let is_last = offset + piece.len() as u64 == length;
        let sent = with_recent_sign_in(context, session, || {
            session.send_update(offset, piece.clone())
        });
        match sent {
            Ok(received) if received.leaf.is_some() => {
                bar.finish_and_clear();
                return Ok(received);
            }
            // It is what the appliance said of it that is longer.
            Ok(_) if is_last => {
                return Err(Failure::Failed(format!(
                    "{} is cut off: the appliance waits for more of it",
                    path.display()
                )));
            }
            Ok(received) => {
                offset = received.offset;
                failures = 0;
            }
            Err(Failure::Client(
                ClientError::Unreachable { .. } | ClientError::UnexpectedAnswer { .. },
            )) if failures < MOST_FAILURES => {
                failures += 1;
                thread::sleep(PAUSE);
                match at(session, offset, length) {
                    At::Offset(arrived) => offset = arrived,
                    At::Staged(received) => return Ok(received),
                }
            }
            // An answer may have been lost on the way.
            Err(Failure::Client(ClientError::Refused(problem)))
                if problem.code == Code::Conflict && failures < MOST_FAILURES =>
            {
                failures += 1;
                match at(session, offset, length) {
                    At::Offset(arrived) if arrived == offset => {
                        return Err(Failure::Client(ClientError::Refused(problem)));
                    }
                    At::Offset(arrived) => offset = arrived,
                    At::Staged(received) => return Ok(received),
                }
            }
            Err(failure) => return Err(away(failure)),
        }
    }
}

/// How far an update is that was sent up to this offset.
enum At {
    /// It goes on here.
    Offset(u64),
    /// It is whole: only the answer that said so was lost.
    Staged(ReceivedUpdate),
}

/// How far it is by what the appliance says, if it says anything.
fn at(session: &Session, offset: u64, length: u64) -> At {
    let Ok(release) = session.release_of_image() else {
        return At::Offset(offset);
    };
    match (release.receiving, release.staged) {
        (Some(receiving), _) => At::Offset(receiving.offset),
        (None, Some(staged)) if offset > 0 && staged.length == length => {
            At::Staged(ReceivedUpdate {
                version: staged.version,
                offset: length,
                length,
                leaf: None,
            })
        }
        _ => At::Offset(offset),
    }
}

/// Whether a file begins as what has arrived does.
fn begins_alike(file: &mut File, receiving: &ReceivingUpdate) -> io::Result<bool> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(receiving.head_length).read_to_end(&mut head)?;
    Ok(hex::encode(digest(&SHA256, &head)) == receiving.head_sha256)
}

fn wait_until_installed(
    session: &Session,
    before: &ApplianceRelease,
    version: &str,
) -> Result<InstalledRelease, Failure> {
    let started = Instant::now();
    loop {
        let now = session.release_of_image()?;
        if now.refused != before.refused
            && let Some(refused) = now.refused
        {
            return Err(Failure::Failed(format!(
                "the update was not installed: {}",
                plain(&refused.why)
            )));
        }
        if let Some(installed) = now.installed
            && installed.version == version
            && !now.installing
        {
            return Ok(installed);
        }
        if started.elapsed() > INSTALLED_WITHIN {
            return Err(Failure::Failed(
                "the update is not installed yet: strongroom appliance release says when it is"
                    .to_owned(),
            ));
        }
        thread::sleep(ASK_EVERY);
    }
}

fn describe(release: &ApplianceRelease) -> String {
    let running = &release.running;
    let mut rows = vec![
        ("runs", plain(&running.version)),
        ("slot", running.slot.as_str().to_owned()),
        ("security version", running.security_version.to_string()),
        ("serves since", release.since.to_string()),
    ];
    if release.trial {
        rows.push(("trial", "it has yet to prove itself".to_owned()));
    }
    if let Some(receiving) = &release.receiving {
        let version = plain(&receiving.version);
        let (offset, length) = (receiving.offset, receiving.length);
        rows.push(("arriving", format!("{version}, {offset} of {length} bytes")));
    }
    if let Some(staged) = &release.staged {
        let state = if release.installing {
            "is being installed"
        } else {
            "waits to be installed"
        };
        rows.push(("staged", format!("{}, {state}", plain(&staged.version))));
    }
    if let Some(installed) = &release.installed {
        let version = plain(&installed.version);
        rows.push(("installed", format!("{version}, at {}", installed.at)));
    }
    if let Some(refused) = &release.refused {
        let version = plain(&refused.version);
        rows.push((
            "refused",
            format!("{version}, at {}: {}", refused.at, plain(&refused.why)),
        ));
    }
    if let Some(last) = &release.last {
        let (version, outcome) = (plain(&last.version), last.outcome.as_str());
        let why = last.why.as_deref().map(plain);
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        rows.push((
            "last trial",
            format!("{version}, {outcome}, at {}{why}", last.at),
        ));
    }
    facts(&rows)
}

fn describe_reset(ordered: &OrderedReset) -> String {
    let mut lines = vec![format!(
        "The machine is reset to how it left the factory; leaf {}.",
        ordered.leaf
    )];
    lines.extend(ordered.receivers.iter().map(|receiver| {
        let has = if receiver.told {
            "has"
        } else {
            "does not have"
        };
        format!("{} {has} that leaf.", plain(&receiver.name))
    }));
    lines.join("\n")
}

/// On a terminal only.
fn bar(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    let style = "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

pub(crate) fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}

/// The same of what was tried with a recent sign-in.
fn away(failure: Failure) -> Failure {
    match failure {
        Failure::Client(error) => here(error),
        failure => failure,
    }
}
