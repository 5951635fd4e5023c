//! `strongroom-witness`: makes a witness and runs it.

#![forbid(unsafe_code)]

mod serve;
mod tls;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use strongroom_witness::{Config, SecretKey, State, config};

/// Cosign the checkpoints of Strongroom's audit logs, for another organisation than the one that runs the appliance.
#[derive(Parser, Debug)]
#[command(name = "strongroom-witness", version, arg_required_else_help = true)]
struct Cli {
    /// The configuration.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "strongroom-witness.toml",
        env = "STRONGROOM_WITNESS_CONFIG"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a witness: its key, its empty state and a configuration that knows no log yet.
    Init {
        /// Its name, for people and programs to tell it from others: a URL without its scheme.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show the verifier key, which appliances that are to be witnessed are configured with.
    Key,
    /// Show as JSON where it listens, as `strongroomd connections --json` does: for a packet filter.
    Connections,
    /// Show the last tree of each log that was cosigned.
    Status,
    /// Cosign, until it is asked to stop (SIGINT or SIGTERM). SIGHUP has it look at its certificate.
    Serve,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "strongroom-witness: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Init { name } => init(&cli.config, name),
        Command::Key => {
            let config = Config::load(&cli.config)?;
            print(&format!("{}\n", SecretKey::read(&config.key)?.public()))
        }
        Command::Connections => print(&connections(&Config::load(&cli.config)?)),
        Command::Status => status(&cli.config),
        Command::Serve => serve::serve(&cli.config),
    }
}

fn init(path: &Path, name: &str) -> anyhow::Result<()> {
    let key = SecretKey::generate(name)?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o644).open(path);
    file.and_then(|mut file| file.write_all(config::EXAMPLE.as_bytes()))
        .with_context(|| format!("{} cannot be made", path.display()))?;
    let config = Config::load(path)?;
    key.write(&config.key)?;
    State::create(&config.state)?;
    print(&format!("{}\n", key.public()))
}

/// It goes to nobody: logs come to it.
fn connections(config: &Config) -> String {
    let said = serde_json::json!({
        "listen": [{"what": "witness", "address": config.listen}],
        "outgoing": [],
    });
    format!("{said}\n")
}

fn status(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let logs = State::read(&config.state)?;
    let lines = logs
        .iter()
        .map(|(origin, tree)| format!("{} {} {origin}\n", tree.size, tree.root));
    print(&lines.collect::<String>())
}

/// Writes to standard output. That its reader went away is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn where_it_listens_is_what_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        std::fs::write(&file, "listen = '[::]:7443'").unwrap();
        let said: serde_json::Value =
            serde_json::from_str(&connections(&Config::load(&file).unwrap())).unwrap();
        let listening = serde_json::json!([{"what": "witness", "address": "[::]:7443"}]);
        assert_eq!(said["listen"], listening);
        assert_eq!(said["outgoing"], serde_json::json!([]));
    }
}
