//! `strongroom`: the command line over the client library.
//!
//! | file | what lives there |
//! |---|---|
//! | `sign_in` | `enrol`, `login`, `logout`, `status` |
//! | `oidc` | `login --oidc`, `oidc` |
//! | `objects` | `protect` and `open` |
//! | `mail` | `mail`: a filter for mail programs |
//! | `messages` | `message seal` and `message open` |
//! | `signatures` | `sign` and `verify` |
//! | `recovery` | `recover`, `recovery` |
//! | `second_factor` | `password`, `second-factor`, `recovery-codes`, `passkeys` |
//! | `cases` | `case`: lawful access |
//! | `approval_keys`, `approving` | the keys that one approves with; signing an approval |
//! | `proposals` | what the domain's policy wants several people for |
//! | `keys`, `audit`, `sessions`, `groups`, `accounts`, `devices`, `directory`, `domain`, `rotation`, `appliance` | one command group each |
//! | `attest` | `appliance attest` |
//! | `pkcs11` | `pkcs11 configure`, `pkcs11 doctor` |
//! | `witness` | leads to the program `strongroom-witness` |
//! | `disclosures`, `disclosure` | executing and releasing disclosures, `notifications`; what an agency does with a delivery |
//! | `policy` | usage policies as options and in words |
//! | `step_up` | `step-up`, and what may need it |
//! | `agent` | the process that holds a session's secrets in memory between commands |
//! | `home` | the folder with the profile: which appliance, which account |
//! | `prompt`, `output`, `failure` | questions, answers, and what went wrong |
//! | `moment`, `interrupt` | times on the command line; what a Ctrl-C has to clean up |
//!
//! Never in this program: a secret on disk that was not asked to be kept there, or in an argument or in the environment; a prompt where nobody can answer it;
//! a file overwritten without `--force`.

#![forbid(unsafe_code)]

mod accounts;
mod agent;
mod appliance;
mod approval_keys;
mod approving;
mod attest;
mod audit;
mod cases;
mod devices;
mod directory;
mod disclosure;
mod disclosures;
mod domain;
mod failure;
mod groups;
mod home;
mod interrupt;
mod keys;
mod mail;
mod messages;
mod moment;
mod objects;
mod oidc;
mod output;
mod pkcs11;
mod policy;
mod prompt;
mod proposals;
mod recovery;
mod rotation;
mod second_factor;
mod sessions;
mod sign_in;
mod signatures;
mod step_up;
#[cfg(test)]
mod tests;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use strongroom_client::Session;
use strongroom_wire::id::ProposalId;

use failure::Failure;
use home::Home;
use output::Output;

/// Every piece of memory is zeroised when it is freed: what libraries copied on the way, too.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the appliance, 4 not signed in, 5 appliance not reached.

Times are written as in RFC 3339 (2026-11-27T18:00:00Z), by the clock of this machine's time zone (2026-11-27T18:00:00, 2026-11-27, \
today, tomorrow, friday), or from now (+90m, +12h, -7d). A day is its beginning, and after --until its end.

A key is named by its identifier, or by the path of a protected object (report.pdf.sealed).";

/// Sign in to a Strongroom appliance, protect files with keys it keeps, and look after those keys.
#[derive(Parser, Debug)]
#[command(name = "strongroom", version, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
struct Common {
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_HOME",
        value_name = "DIR",
        help = "The folder with the profile [default: $XDG_CONFIG_HOME/strongroom or ~/.config/strongroom]"
    )]
    home: Option<PathBuf>,
    /// Print one JSON document on standard output; errors as one on standard error.
    #[arg(long, global = true)]
    json: bool,
    /// Do it by the approvals of this proposal, where the domain's policy demands some.
    #[arg(long, global = true, value_name = "PROPOSAL")]
    proposal: Option<ProposalId>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Set this account's password with the one-time code of its administrator.
    Enrol(sign_in::Enrol),
    /// Set a new password, with the codes of a recovery that an administrator has started.
    Recover(recovery::Recover),
    /// Sign in. The session is held in memory by a background process until it ends.
    Login(sign_in::Login),
    /// End the session.
    Logout,
    /// Sign in again in the session, where something needs a recent sign-in.
    StepUp(step_up::StepUp),
    /// Say who is signed in where, and whether the appliance is well.
    Status,
    /// Protect a file under a key of its own, for oneself and the recipients.
    Protect(objects::Protect),
    /// Open a protected file.
    Open(objects::Open),
    /// Seal and open mail: a filter for mail programs.
    #[command(subcommand)]
    Mail(mail::Command),
    /// Seal and open messages: what fits into memory, in one envelope.
    #[command(subcommand)]
    Message(messages::Command),
    /// Have the appliance sign a file with a key, which stays there.
    Sign(signatures::Sign),
    /// Verify a signature, with the key's public key.
    Verify(signatures::Verify),
    /// Look after keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Read the audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look after one's sessions.
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Change one's password.
    #[command(subcommand)]
    Password(second_factor::Password),
    /// Look after one's authenticator app.
    #[command(subcommand)]
    SecondFactor(second_factor::Command),
    /// Look after one's recovery codes, each good in place of the second factor once.
    #[command(subcommand)]
    RecoveryCodes(second_factor::RecoveryCodes),
    /// Look after one's passkeys. They are added with a browser.
    #[command(subcommand)]
    Passkeys(second_factor::Passkeys),
    /// Look after the identities at OpenID providers that one signs in with.
    #[command(subcommand)]
    Oidc(oidc::Command),
    /// See and cancel the recovery of one's own account.
    #[command(subcommand)]
    Recovery(recovery::Command),
    /// Look after the members of a group.
    #[command(subcommand)]
    Groups(groups::Command),
    /// Manage accounts, signed in at the administration address.
    #[command(subcommand)]
    Accounts(accounts::Command),
    /// Look after the domain, signed in at the administration address.
    #[command(subcommand)]
    Domain(domain::Command),
    /// Look after devices: import, fleets, pairing.
    #[command(subcommand)]
    Devices(devices::Command),
    /// Let directories manage accounts by SCIM, signed in at the administration address.
    #[command(subcommand)]
    Directory(directory::Command),
    /// Look after the keys that one approves with.
    #[command(subcommand)]
    ApprovalKeys(approval_keys::Command),
    /// Enter, approve and look after authorisations of lawful access, signed in at the administration address.
    #[command(subcommand)]
    Case(cases::Command),
    /// Propose, approve and carry out what the domain's policy wants several people for.
    #[command(subcommand)]
    Proposals(proposals::Command),
    /// Open what was disclosed, as the agency that it was disclosed to.
    #[command(subcommand)]
    Disclosure(disclosure::Command),
    /// Show what was disclosed of one's own under orders of lawful access, as soon as one may know.
    Notifications,
    /// Rotate the master KEK and account KEKs, signed in at the administration address.
    #[command(subcommand)]
    Rotation(rotation::Command),
    /// Look after the image that the appliance runs from, signed in at the administration address.
    #[command(subcommand)]
    Appliance(appliance::Command),
    /// Set up the PKCS #11 module for applications, and look for what is wrong with it.
    #[command(subcommand)]
    Pkcs11(pkcs11::Command),
    /// Be a witness of appliances' audit logs: runs strongroom-witness.
    Witness(witness::Witness),
    /// Holds a session's secrets; started by `login`.
    #[command(hide = true)]
    Agent {
        /// Where to listen.
        socket: PathBuf,
    },
}

/// What a command works with.
struct Context {
    home: Home,
    output: Output,
    proposal: Option<ProposalId>,
}

impl Context {
    /// The session that the agent holds.
    fn session(&self) -> Result<Session, Failure> {
        self.session_with(self.proposal)
    }

    /// The same, for requests that are made by the approvals of a proposal.
    fn session_by(&self, proposal: ProposalId) -> Result<Session, Failure> {
        self.session_with(Some(proposal))
    }

    fn session_with(&self, proposal: Option<ProposalId>) -> Result<Session, Failure> {
        let profile = self.home.profile()?.ok_or_else(|| {
            Failure::NotSignedIn(
                "sign in first: strongroom login ACCOUNT --server URL --ca FILE".to_owned(),
            )
        })?;
        let held = agent::held(&self.home)?
            .filter(|held| held.server() == profile.server && held.account() == profile.account);
        let held = held.ok_or_else(|| {
            Failure::NotSignedIn(format!(
                "sign in first: strongroom login {}",
                profile.account
            ))
        })?;
        let client = self.home.client(&profile)?;
        Ok(held.into_session(match proposal {
            Some(proposal) => client.by_proposal(proposal),
            None => client,
        }))
    }
}

fn main() -> ExitCode {
    // Key material passes through this process: no core dump, and no other process of this user may read its memory.
    let hardened = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::of_usage(&error),
    };
    let output = Output::new(cli.common.json);
    let done = hardened
        .map_err(|error| Failure::Failed(format!("core dumps cannot be switched off: {error}")))
        .and_then(|()| run(cli, output));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(output),
    }
}

fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    if let Command::Agent { socket } = &cli.command {
        return agent::serve(socket);
    }
    if let Command::Witness(witness) = cli.command {
        return witness.run();
    }
    let context = Context {
        home: Home::find(cli.common.home)?,
        output,
        proposal: cli.common.proposal,
    };
    match cli.command {
        Command::Enrol(enrol) => enrol.run(&context),
        Command::Login(login) => login.run(&context),
        Command::Logout => sign_in::logout(&context),
        Command::StepUp(step_up) => step_up.run(&context),
        Command::Status => sign_in::status(&context),
        Command::Protect(protect) => protect.run(&context),
        Command::Open(open) => open.run(&context),
        Command::Mail(command) => command.run(&context),
        Command::Message(command) => command.run(&context),
        Command::Sign(sign) => sign.run(&context),
        Command::Verify(verify) => verify.run(&context),
        Command::Keys(command) => command.run(&context),
        Command::Audit(command) => command.run(&context),
        Command::Sessions(command) => command.run(&context),
        Command::Recover(recover) => recover.run(&context),
        Command::Recovery(command) => command.run(&context),
        Command::Password(command) => command.run(&context),
        Command::SecondFactor(command) => command.run(&context),
        Command::RecoveryCodes(command) => command.run(&context),
        Command::Passkeys(command) => command.run(&context),
        Command::Oidc(command) => command.run(&context),
        Command::Groups(command) => command.run(&context),
        Command::Accounts(command) => command.run(&context),
        Command::Domain(command) => command.run(&context),
        Command::Devices(command) => command.run(&context),
        Command::Directory(command) => command.run(&context),
        Command::ApprovalKeys(command) => command.run(&context),
        Command::Case(command) => command.run(&context),
        Command::Proposals(command) => command.run(&context),
        Command::Rotation(command) => command.run(&context),
        Command::Appliance(command) => command.run(&context),
        Command::Disclosure(command) => command.run(&context),
        Command::Notifications => disclosures::notifications(&context),
        Command::Pkcs11(command) => command.run(&context),
        // Answered above: they have no home.
        Command::Agent { .. } | Command::Witness(_) => Ok(()),
    }
}
