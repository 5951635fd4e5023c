//! `strongroomd`, the Strongroom appliance's server.
//!
//! ```text
//! main.rs        the command line; errors become one sentence here
//! hardening.rs   what the process denies itself and others before anything else
//! config.rs      strongroom.toml
//! backups.rs     making backups, by hand or by the schedule; witness.rs: the checkpoint kept outside of the database
//! folder.rs      the data folder: its lock, the file of addresses
//! logging.rs     the log; metrics.rs: what /metrics shows
//! tls.rs         TLS 1.3 for both listeners; tls/authority.rs: the private CA that init makes
//! auth/          who is asking (the session token), and how often one may fail
//! problems.rs    the one place where anything that goes wrong becomes an RFC 9457 problem document
//! observe.rs     around every request: headers, the log line, metrics, panics
//! routes/        one file a resource: authenticate, parse, one call into the keystore, map the answer
//! operator/      one file a subcommand
//! ```
//!
//! What must never happen here:
//! - a decision about who may do what with a key: that is the keystore's;
//! - a token, a code, key material, a body or an account's name in a log line, a metric or an error;
//! - a keystore call on a thread that serves connections: all go through `routes::ask`;
//! - an answer of status 400 or above that `problems.rs` did not make.

#![forbid(unsafe_code)]

mod auth;
mod backups;
mod config;
mod folder;
mod hardening;
mod logging;
mod metrics;
mod observe;
mod operator;
mod problems;
mod routes;
mod tls;
mod witness;

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
    /// Serve clients and administrators until SIGINT or SIGTERM.
    Serve(operator::serve::Arguments),
    /// Make a backup, beside a running appliance or without one.
    Backup(operator::backup::Arguments),
    /// Make a data folder from a backup, once all of it has been verified.
    Restore(operator::restore::Arguments),
    /// Issue a client certificate by the private authority that `init` made.
    Issue(operator::issue::Arguments),
    /// Look into the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the OpenAPI document of the HTTP interface.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Recompute the whole audit log and hold the database against it. Exit status 1 when anything does not match.
    Verify(operator::audit_verify::Arguments),
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
        Command::Serve(arguments) => operator::serve::run(config, &arguments),
        Command::Backup(arguments) => operator::backup::run(config, &arguments),
        Command::Restore(arguments) => operator::restore::run(config, &arguments),
        Command::Issue(arguments) => operator::issue::run(config, &arguments),
        Command::Audit(AuditCommand::Verify(arguments)) => {
            operator::audit_verify::run(config, &arguments)
        }
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
