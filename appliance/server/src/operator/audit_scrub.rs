//! `strongroomd audit scrub`: holds the whole database against what the audit log says happened.
//!
//! It asks neither the HSM nor a running appliance, and works beside one; if it finds something, it tells the appliance that serves, which then
//! scrubs by itself at once and records what it finds in the log.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{ScrubReport, scrub};

use crate::config::Config;
use crate::control::{self, Request};
use crate::kept::KeptCheckpoint;

/// What `audit scrub` takes.
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
    clean: bool,
    leaves: u64,
    rows: u64,
    /// From which leaf on the log commits to rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    /// How many rows, or leaves, are not as they have to be.
    count: u64,
    /// The first of them.
    findings: Vec<Found<'a>>,
    /// Whether an appliance that serves was told.
    told: bool,
}

/// A row that is not as it has to be.
#[derive(Debug, Serialize)]
struct Found<'a> {
    what: &'a str,
    row: &'a str,
    sentence: String,
}

/// Scrubs and reports. The exit status is 1 where anything does not follow from the log.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let first = Config::load(config)?;
    let config = Config::load_domain(config, arguments.domain.as_deref())?;
    let database = config.database();
    let store = SqliteStore::open(&database)
        .with_context(|| format!("the database {} cannot be opened", database.display()))?;

    let bar = progress_bar();
    let scrubbed = scrub(&store, &config.domain, &config.data, &mut |progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.leaves);
        bar.set_message(format!("{} rows", progress.rows));
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let mut report = scrubbed.context("the database cannot be scrubbed")?;
    // A log that was cut, with the rows that go with what is left of it, is in order by itself.
    if let Err(error) = KeptCheckpoint::new(&config).check(&store, &config.domain, None) {
        report.add_log_problem(format!("{error:#}"));
    }
    drop(store);
    let scrub = Request::Scrub {
        domain: arguments.domain.clone(),
    };
    let told = report.count > 0 && control::ask(&first.data, &scrub).is_ok();
    if arguments.json {
        super::print_json(&as_json(&report, told))?;
    } else {
        super::print(&as_text(&report, told))?;
    }
    Ok(if report.count == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn as_json(report: &ScrubReport, told: bool) -> Report<'_> {
    let findings = report.findings.iter().map(|finding| Found {
        what: finding.what,
        row: &finding.row,
        sentence: finding.to_string(),
    });
    Report {
        clean: report.count == 0,
        leaves: report.leaves,
        rows: report.rows,
        from: report.from,
        count: report.count,
        findings: findings.collect(),
        told,
    }
}

fn as_text(report: &ScrubReport, told: bool) -> String {
    let mut text = format!("leaves:  {}\nrows:    {}\n", report.leaves, report.rows);
    match report.from {
        Some(0) => {}
        Some(leaf) => {
            let _ = writeln!(
                text,
                "from:    leaf {leaf}; what was changed before is believed as it stood then"
            );
        }
        None => text += "The log does not commit to rows yet: serve it once with this version.\n",
    }
    for finding in &report.findings {
        let _ = writeln!(text, "FOUND:   {finding}");
    }
    let untold = report.count.saturating_sub(report.findings.len() as u64);
    if untold > 0 {
        let _ = writeln!(text, "FOUND:   {untold} more");
    }
    text += match (report.count, told) {
        (0, _) => "Every row follows from the log.\n",
        (_, true) => {
            "The database does NOT follow from the log. The appliance was told, scrubs by itself and records it.\n"
        }
        (_, false) => {
            "The database does NOT follow from the log. No appliance serves that could record it.\n"
        }
    };
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
        ProgressStyle::with_template("scrubbing {wide_bar} {human_pos}/{human_len} leaves, {msg}")
    {
        bar.set_style(style);
    }
    bar
}
