//! `strongroomd`, the Strongroom appliance's server.
//!
//! ```text
//! main.rs        the command line; errors become one sentence here
//! hardening.rs   what the process denies itself and others before anything else
//! https.rs       HTTPS to whom the configuration names
//! config.rs      strongroom.toml; config/hsm.rs: its [hsm] table
//! estate.rs      the HSMs that it names and their PINs; gate.rs: whether requests reach the keystore (sealed, opening, serving)
//! control.rs     how operators' commands reach the appliance that serves
//! background.rs  what goes on besides answering requests; device_log.rs: HSMs' own logs into the audit tree
//! domains/       the domains beside the first: which there are, which are open, what operators do with them
//! backups.rs     making backups, by hand or by the schedule; kept.rs: the checkpoint kept outside of the database
//! folder.rs      the data folder: its lock, the file of addresses
//! mail.rs        mail to account holders, through the site's relay
//! logging.rs     the log; metrics.rs: what /metrics shows
//! tls.rs         TLS 1.3 for both listeners; tls/served.rs: its certificate; tls/authority.rs: the private CA that init makes
//! auth/          who is asking (the session token), how often one may fail, and that the clock tells strangers nothing
//! console.rs     what the web console needs: who visits, sign-in with failures counted, the appliance itself
//! problems.rs    the one place where anything that goes wrong becomes an RFC 9457 problem document
//! observe.rs     around every request: headers, the log line, metrics, panics
//! routes/        one file a resource: authenticate, parse, one call into the keystore, map the answer
//! updates.rs     updates of the image that the appliance runs from, and what a new release has to prove
//! attestation.rs what the machine's TPM says of the image that was started
//! syslog/        receivers outside that speak syslog over TLS; journal/: the machine's log, forwarded to them
//! operator/      one file a subcommand
//! ```
//!
//! What must never happen here:
//! - a decision about who may do what with a key: that is the keystore's;
//! - a start, a seal or an answer about health that waits for the HSM;
//! - a token, a PIN, a code, key material, a body or an account's name in a log line, a metric or an error;
//! - a keystore call on a thread that serves connections: all go through `routes::ask`;
//! - an answer of status 400 or above that `problems.rs` did not make, or the console for a person with a browser.

#![forbid(unsafe_code)]

mod attestation;
mod auth;
mod background;
mod backups;
mod config;
mod console;
mod control;
mod device_log;
mod domains;
mod estate;
mod folder;
mod gate;
mod hardening;
mod https;
mod journal;
mod kept;
mod logging;
mod mail;
mod metrics;
mod observe;
mod operator;
mod problems;
mod routes;
mod syslog;
mod tls;
mod updates;
mod watch;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Every piece of memory is zeroised when it is freed: what libraries copied on the way, too.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// The Strongroom appliance's server.
#[derive(Debug, Parser)]
#[command(name = "strongroomd", version, about)]
struct CommandLine {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        env = "STRONGROOM_CONFIG",
        default_value = "strongroom.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new appliance: its data folder, certificates, master KEK and first administrator.
    Init(operator::init::Arguments),
    /// Hold a key ceremony at a terminal: custodians' shares, recovery into another HSM, a replica.
    #[command(subcommand)]
    Ceremony(operator::ceremony::Command),
    /// Serve clients and administrators until SIGINT or SIGTERM.
    Serve(operator::serve::Arguments),
    /// How the appliance that serves is. Exit status 0 when it serves, 1 when it is sealed or waits for its HSM.
    Status(operator::status::Arguments),
    /// Seal the appliance that serves: it forgets every PIN and KEK at once, and answers nothing but its health.
    Seal(operator::seal::Arguments),
    /// Unseal it: the PINs are asked for on the terminal, or read from standard input, a line each.
    Unseal(operator::unseal::Arguments),
    /// Make a backup, beside a running appliance or without one.
    Backup(operator::backup::Arguments),
    /// Make a data folder from a backup, once all of it has been verified.
    Restore(operator::restore::Arguments),
    /// Look after the domains (tenants) of the appliance that serves.
    #[command(subcommand)]
    Domain(operator::domain::Command),
    /// Look at the certificate that the appliance which serves shows, or have it renewed.
    #[command(subcommand)]
    Certificate(operator::certificate::Command),
    /// Issue a client certificate by the private authority that `init` made.
    Issue(operator::issue::Arguments),
    /// Have the appliance that serves record that somebody at its machine's console resets it, and tell receivers of the log. For the image's console.
    RecordReset,
    /// What a packet filter has to let through: where the appliance listens, and whom it goes to.
    Connections(operator::connections::Arguments),
    /// Look into the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look into the HSM.
    #[command(subcommand)]
    Hsm(HsmCommand),
    /// Print the OpenAPI document of the HTTP interface.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Recompute the whole audit log and hold the database against it. Exit status 1 when anything does not match.
    Verify(operator::audit_verify::Arguments),
    /// Hold the whole database against what the audit log says happened. Exit status 1 when any row does not follow from it.
    Scrub(operator::audit_scrub::Arguments),
}

#[derive(Debug, Subcommand)]
enum HsmCommand {
    /// Say what an HSM offers, what the appliance would use of it, and how fast it is. Exit status 1 when it cannot be used.
    Check(operator::hsm_check::Arguments),
}

fn main() -> ExitCode {
    let outcome = hardening::harden_process().and_then(|()| run(CommandLine::parse()));
    outcome.unwrap_or_else(|error| {
        // Where even that fails there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "strongroomd: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command_line: CommandLine) -> anyhow::Result<ExitCode> {
    let config = &command_line.config;
    match command_line.command {
        Command::Init(arguments) => operator::init::run(&arguments),
        Command::Ceremony(command) => command.run(config),
        Command::Serve(arguments) => operator::serve::run(config, &arguments),
        Command::Status(arguments) => operator::status::run(config, &arguments),
        Command::Seal(arguments) => operator::seal::run(config, &arguments),
        Command::Unseal(arguments) => operator::unseal::run(config, &arguments),
        Command::Backup(arguments) => operator::backup::run(config, &arguments),
        Command::Restore(arguments) => operator::restore::run(config, &arguments),
        Command::Domain(command) => command.run(config),
        Command::Certificate(command) => command.run(config),
        Command::Issue(arguments) => operator::issue::run(config, &arguments),
        Command::RecordReset => operator::record_reset::run(config),
        Command::Connections(arguments) => operator::connections::run(config, &arguments),
        Command::Audit(AuditCommand::Verify(arguments)) => {
            operator::audit_verify::run(config, &arguments)
        }
        Command::Audit(AuditCommand::Scrub(arguments)) => {
            operator::audit_scrub::run(config, &arguments)
        }
        Command::Hsm(HsmCommand::Check(arguments)) => operator::hsm_check::run(config, &arguments),
        Command::Openapi => operator::openapi::run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        CommandLine::command().debug_assert();
    }
}
