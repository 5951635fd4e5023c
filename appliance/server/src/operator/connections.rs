//! `strongroomd connections`: what a packet filter has to let through.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::config::{Config, Connections};

/// What `connections` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

/// Says where the appliance listens and whom it goes to, by its configuration alone.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    print(&Config::load(config)?.connections(), arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints them.
pub(super) fn print(connections: &Connections, json: bool) -> io::Result<()> {
    if json {
        super::print_json(connections)
    } else {
        super::print(&as_text(connections))
    }
}

fn as_text(connections: &Connections) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    // Writing to a string cannot fail.
    for listener in &connections.listen {
        let _ = writeln!(text, "in   {}  {}", listener.address, listener.what);
    }
    for peer in &connections.outgoing {
        let _ = writeln!(text, "out  {} port {}  {}", peer.host, peer.port, peer.what);
    }
    text
}
