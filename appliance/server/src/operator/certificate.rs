//! `strongroomd certificate`: the certificate that the appliance shows, and its renewal by the private authority that `init` made.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::Config;
use crate::control::{CertificateRequest, ask_certificate};
use crate::tls::CertificateReport;

/// What `certificate` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the certificate that the appliance shows. Exit status 1 when its files cannot be used or it lapses within two weeks.
    Show(Show),
    /// Have the appliance renew its certificate now. It does so by itself when less than a third of its life is left.
    Renew(Renew),
}

/// What `certificate show` takes.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What `certificate renew` takes.
#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// A host name or IP address that it is to be for, in place of those that it is for; the appliance's own stay. May be repeated.
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Asks the appliance that serves.
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<ExitCode> {
        let (what, json) = match self {
            Self::Show(Show { json }) => (CertificateRequest::Show, json),
            Self::Renew(Renew { name, json }) => (CertificateRequest::Renew { names: name }, json),
        };
        let config = Config::load(config)?;
        let report = ask_certificate(&config.data, what)?;
        if json {
            super::print_json(&report)?;
        } else {
            super::print(&as_text(&report))?;
        }
        Ok(match report.trouble {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        })
    }
}

fn as_text(report: &CertificateReport) -> String {
    let names: Vec<&str> = report.names.iter().map(String::as_str).collect();
    let renewed = if report.own {
        "by the appliance itself"
    } else {
        "by whoever made it, as the appliance's own authority did not"
    };
    let mut lines = vec![
        format!("fingerprint: {}", report.fingerprint),
        format!("for:         {}", names.join(", ")),
        format!("until:       {}", report.lapses),
        format!("renewed:     {renewed}"),
    ];
    let trouble = report.trouble.iter();
    lines.extend(trouble.map(|trouble| format!("trouble:     {trouble}")));
    lines.join("\n") + "\n"
}
