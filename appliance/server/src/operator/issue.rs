//! `strongroomd issue`: a client certificate from the private authority that `init` made.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::config::Config;
use crate::tls::authority;

/// What `issue` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The name in the certificate, for people.
    #[arg(long)]
    name: String,
    /// A URI in it, by which an account can be known, such as urn:example:payroll.
    #[arg(long)]
    uri: Option<String>,
    /// The days that it is valid.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Where to write it: FILE.pem, and its private key, FILE.key. Neither may be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Issues a certificate, and says its fingerprint.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    let folder = config.tls.certificate.parent().unwrap_or(Path::new("."));
    let fingerprint = authority::issue(
        folder,
        &arguments.name,
        arguments.uri.as_deref(),
        arguments.days,
        &arguments.out,
    )
    .context("no certificate can be issued")?;
    if arguments.json {
        super::print_json(&json!({ "fingerprint": fingerprint }))?;
    } else {
        super::print(&format!("fingerprint: {fingerprint}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
