//! `strongroomd audit verify`: recomputes the whole audit log from its leaves and holds the database against it.
//!
//! It asks neither the HSM nor a running appliance, and works beside one.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{AuditReport, verify_audit};

use crate::config::Config;
use crate::kept::KeptCheckpoint;

/// What `audit verify` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The domain; the first one unless it is said.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The report as JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    verified: bool,
    origin: &'a str,
    /// The key that signs now; where several do, the one that began last.
    verifier_key: &'a str,
    verifier_keys: Vec<VerifierKey<'a>>,
    leaves: u64,
    checkpoints: u64,
    newest_checkpoint_size: Option<u64>,
    problems: &'a [String],
}

/// A key of the log, and the sizes that it may sign.
#[derive(Debug, Serialize)]
struct VerifierKey<'a> {
    key: &'a str,
    from: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
}

/// Verifies and reports. The exit status is 1 where anything does not match.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load_domain(config, arguments.domain.as_deref())?;
    let database = config.database();
    let store = SqliteStore::open(&database)
        .with_context(|| format!("the database {} cannot be opened", database.display()))?;

    let bar = progress_bar();
    let verified = verify_audit(&store, &config.domain, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let mut report = verified.context("the audit log cannot be verified")?;
    if report.origin != config.origin() {
        report.problems.push(format!(
            "the log's origin is {}, and the configuration says {}",
            report.origin,
            config.origin()
        ));
    }

    // The database's own checkpoints are as old as it is; the one kept outside of it is not.
    if let Err(error) = KeptCheckpoint::new(&config).check(&store, &config.domain, None) {
        report.problems.push(format!("{error:#}"));
    }

    if arguments.json {
        super::print_json(&as_json(&report))?;
    } else {
        super::print(&as_text(&report))?;
    }
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn as_json(report: &AuditReport) -> Report<'_> {
    Report {
        verified: report.problems.is_empty(),
        origin: &report.origin,
        verifier_key: report
            .verifier_keys
            .iter()
            .rfind(|key| key.to.is_none())
            .map_or("", |key| &key.verifier_key),
        verifier_keys: report
            .verifier_keys
            .iter()
            .map(|key| VerifierKey {
                key: &key.verifier_key,
                from: key.from,
                to: key.to,
            })
            .collect(),
        leaves: report.leaves,
        checkpoints: report.checkpoints,
        newest_checkpoint_size: report.newest_checkpoint_size,
        problems: &report.problems,
    }
}

fn as_text(report: &AuditReport) -> String {
    let newest = report
        .newest_checkpoint_size
        .map(|size| format!(", the newest of {size} leaves"));
    let keys: Vec<String> = report
        .verifier_keys
        .iter()
        .map(ToString::to_string)
        .collect();
    let keys = keys.join("\n              ");
    let mut text = format!(
        "log:          {}\nverifier key: {keys}\nleaves:       {}\ncheckpoints:  {}{}\n",
        report.origin,
        report.leaves,
        report.checkpoints,
        newest.unwrap_or_default()
    );
    if report.problems.is_empty() {
        text += "The audit log is whole.\n";
    } else {
        for problem in &report.problems {
            text.extend(["PROBLEM:      ", problem, "\n"]);
        }
        text += "The audit log is NOT whole.\n";
    }
    text
}

/// On a terminal only.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // The template is a literal of ours; should it ever not parse, the bar has its usual looks.
    if let Ok(style) =
        ProgressStyle::with_template("verifying {wide_bar} {human_pos}/{human_len} leaves, {eta}")
    {
        bar.set_style(style);
    }
    bar
}
