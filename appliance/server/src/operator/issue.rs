//! `strongroomd issue`: a certificate from the private authority that `init` made, for a client or for a server beside the appliance.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::config::Config;
use crate::tls::ServedCertificate;
use crate::tls::authority::{self, Purpose};

/// What `issue` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The name in the certificate, for people.
    #[arg(long)]
    name: String,
    /// A URI in it, by which an account can be known, such as urn:example:payroll.
    #[arg(long)]
    uri: Option<String>,
    /// Not a client's but a server's, for the host names and addresses that the appliance's own certificate is for: that of a witness on the same machine.
    #[arg(long, conflicts_with = "uri")]
    server: bool,
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
    let names = if arguments.server {
        Some(ServedCertificate::load(&config.tls.certificate, &config.tls.key)?.names())
    } else {
        None
    };
    let purpose = names
        .as_ref()
        .map_or(Purpose::Client(arguments.uri.as_deref()), Purpose::Server);
    let (name, days) = (&arguments.name, arguments.days);
    let fingerprint = authority::issue(folder, name, purpose, days, &arguments.out)
        .context("no certificate can be issued")?;
    if arguments.json {
        super::print_json(&json!({ "fingerprint": fingerprint }))?;
    } else {
        super::print(&format!("fingerprint: {fingerprint}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
