//! `strongroomd status`: how the appliance that serves is.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use strongroom_wire::health::State;

use crate::config::Config;
use crate::control::{HsmReport, Report, Request, ask};
use crate::watch;

/// What `status` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Says how the appliance is. The exit status is 0 when it serves.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    let report = ask(&config.data, &Request::Status)?;
    if arguments.json {
        super::print_json(&report)?;
    } else {
        super::print(&as_text(&report))?;
    }
    Ok(match report.state {
        State::Serving => ExitCode::SUCCESS,
        State::Opening | State::Sealed => ExitCode::FAILURE,
    })
}

fn as_text(report: &Report) -> String {
    let state = match report.state {
        State::Serving => "serving",
        State::Opening => "opening",
        State::Sealed => "sealed",
    };
    let mut lines = vec![format!("{state} since {}", report.since)];
    let reason = report.reason.iter();
    lines.extend(reason.map(|reason| format!("because:     {reason}")));
    let certificate = report.certificate.iter();
    lines.extend(certificate.map(|trouble| format!("certificate: {trouble}")));
    lines.push(format!("cached KEKs: {}", report.cached_keks));
    if let Some(tally) = report.domains {
        lines.push(format!(
            "domains:     {}, of which {} are open, {} are suspended and {} fail",
            tally.domains, tally.open, tally.suspended, tally.failing
        ));
    }
    lines.extend(report.hsms.iter().flat_map(hsm_lines));
    if let Some(watch) = &report.watch {
        lines.extend(watch_lines(watch));
    }
    lines.join("\n") + "\n"
}

fn watch_lines(watch: &watch::Report) -> Vec<String> {
    let mut lines = Vec::new();
    let outside = [
        ("witness", "leaves", &watch.witnesses),
        ("SIEM", "leaves", &watch.siem),
        ("backup target", "backups", &watch.backup_targets),
    ];
    let outside = outside
        .iter()
        .flat_map(|(what, unit, reports)| reports.iter().map(move |report| (what, unit, report)));
    for (what, unit, report) in outside {
        lines.push(format!("{what} {} at {}", report.name, report.address));
        lines.push(match &report.failing {
            Some(failing) => format!("  FAILS since {}: {}", failing.since, failing.reason),
            None => "  works".to_owned(),
        });
        let last = report.last.map(|last| format!(", the last at {last}"));
        lines.push(format!(
            "  has {} {unit}{}; lacks {}",
            report.leaves,
            last.unwrap_or_default(),
            report.behind
        ));
    }
    let scrub = &watch.scrub;
    lines.push(match scrub.last {
        Some(last) => format!(
            "scrub:       {} rows at {last}, of which {} do not follow from the log",
            scrub.rows, scrub.findings
        ),
        None => "scrub:       none has run yet".to_owned(),
    });
    lines.extend(scrub.first.iter().map(|found| format!("  FOUND: {found}")));
    let failed = scrub.failed.iter();
    lines.extend(failed.map(|reason| format!("  the newest did not come to its end: {reason}")));
    lines
}

fn hsm_lines(hsm: &HsmReport) -> Vec<String> {
    let since = hsm.since.map(|since| format!(" since {since}"));
    let serving = if hsm.serving { ", calls go to it" } else { "" };
    let left_alone = if hsm.since.is_some() && !hsm.retried {
        ", not tried again before strongroomd unseal"
    } else {
        ""
    };
    let slot = hsm.slot.iter().map(|slot| format!("slot {slot}: "));
    let mut lines = vec![
        slot.chain([hsm.name.clone()]).collect(),
        format!(
            "  {}{}{serving}{left_alone}",
            hsm.state,
            since.unwrap_or_default()
        ),
    ];
    let reason = hsm.reason.iter();
    lines.extend(reason.map(|reason| format!("  because: {reason}")));
    lines.push(format!("  PIN from {}", hsm.pin));
    if hsm.abandoned_calls + hsm.timed_out_calls > 0 {
        lines.push(format!(
            "  calls not answered in time: {}; not back yet: {}",
            hsm.timed_out_calls, hsm.abandoned_calls
        ));
    }
    lines
}
