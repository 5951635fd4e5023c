//! `strongroomd seal`: seals the appliance that serves, at once.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use crate::config::Config;
use crate::control::{Report, Request, ask};
use crate::gate::Sealed;

/// What `seal` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

/// Seals, and says what that did.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    let report = ask(&config.data, &Request::Seal)?;
    if arguments.json {
        super::print_json(&report)?;
    } else {
        super::print(&as_text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_text(report: &Report) -> String {
    let mut lines = vec![
        "The appliance is sealed: no PIN, no KEK and no session with the HSM is left in it. \
         It stays so until somebody runs strongroomd unseal."
            .to_owned(),
    ];
    let sealed = report.sealed.iter();
    lines.extend(sealed.flat_map(told));
    lines.join("\n") + "\n"
}

fn told(sealed: &Sealed) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(leaf) = sealed.leaf {
        let signed = if sealed.checkpoint {
            "and the last checkpoint is signed over it"
        } else {
            "which no checkpoint is signed over yet"
        };
        lines.push(format!("Leaf {leaf} says so, {signed}."));
    }
    if sealed.requests_left > 0 {
        lines.push(format!(
            "{} requests are still being answered; the keys that they hold go with them.",
            sealed.requests_left
        ));
    }
    let problems = sealed.problems.iter();
    lines.extend(problems.map(|problem| format!("But {}.", problem.trim_end_matches('.'))));
    lines
}
