//! What was found in a bundle, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use strongroom_client::audit::bundle::Verified;

use crate::Context;
use crate::failure::Failure;
use crate::output::{facts, plain, size};

/// Says what was found, and fails where the bundle is not whole.
pub(super) fn tell(context: &Context, path: &Path, verified: &Verified) -> Result<(), Failure> {
    let report = &verified.report;
    context
        .output
        .answer(&to_json(verified), || to_text(path, verified))?;
    if report.passed() {
        return Ok(());
    }
    Err(Failure::Told)
}

fn to_json(verified: &Verified) -> Value {
    let report = &verified.report;
    let checkpoint = report.checkpoint.as_ref();
    json!({
        "verified": report.passed(),
        "origin": checkpoint.map(|checkpoint| &checkpoint.origin),
        "size": checkpoint.map(|checkpoint| checkpoint.size),
        "root": checkpoint.map(|checkpoint| hex::encode(checkpoint.root.0)),
        "verifier_key": report.verifier_key,
        "first": report.range.map(|(first, _)| first),
        "end": report.range.map(|(_, end)| end),
        "records": report.full,
        "refused": report.refused,
        "redacted": report.redacted,
        "hidden": report.hidden,
        "documents": report.documents,
        "approvals": report.approvals,
        "quorums": report.quorums,
        "quorums_unjudged": report.quorums_unjudged,
        "proven": report.proven,
        "earlier": report.earlier,
        "earliest": report.times.map(|(earliest, _)| earliest),
        "latest": report.times.map(|(_, latest)| latest),
        "clock_steps_back": report.clock_steps_back,
        "lines": report.lines,
        "bytes": verified.bytes,
        "sha256": hex::encode(verified.sha256),
        "problems": report.problems,
        "unlisted_problems": report.unlisted,
    })
}

fn to_text(path: &Path, verified: &Verified) -> String {
    let report = &verified.report;
    let some = |number: u64| {
        if number == 0 {
            String::new()
        } else {
            number.to_string()
        }
    };
    let checkpoint = report.checkpoint.as_ref();
    let mut text = facts(&[
        (
            "bundle",
            format!(
                "{}, {}",
                plain(&path.display().to_string()),
                size(verified.bytes)
            ),
        ),
        ("sha256", hex::encode(verified.sha256)),
        (
            "log",
            checkpoint.map_or_else(String::new, |checkpoint| checkpoint.origin.clone()),
        ),
        (
            "checkpoint",
            checkpoint.map_or_else(String::new, |checkpoint| {
                format!(
                    "{} leaves, root {}",
                    checkpoint.size,
                    hex::encode(checkpoint.root.0)
                )
            }),
        ),
        ("signed by", report.verifier_key.clone().unwrap_or_default()),
        (
            "leaves",
            report.range.map_or_else(String::new, |(first, end)| {
                if first == end {
                    "none".to_owned()
                } else {
                    format!("{first} to {}", end - 1)
                }
            }),
        ),
        (
            "records",
            format!(
                "{} in full, {} of them refused",
                report.full, report.refused
            ),
        ),
        ("redacted", some(report.redacted)),
        ("hidden", some(report.hidden)),
        ("documents", some(report.documents)),
        ("approvals", some(report.approvals)),
        (
            "quorums",
            match (report.quorums, report.quorums_unjudged) {
                (0, 0) => String::new(),
                (met, 0) => met.to_string(),
                (met, unjudged) => format!(
                    "{met}; {unjudged} more cannot be judged, as the bundle does not show all that they rest on"
                ),
            },
        ),
        (
            "continues",
            report
                .earlier
                .iter()
                .map(|size| format!("the log of {size} leaves"))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    ]);
    for problem in &report.problems {
        text.extend(["PROBLEM: ", &plain(&problem.to_string()), "\n"]);
    }
    if report.unlisted > 0 {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} more problems are not listed.", report.unlisted);
    }
    text.push_str(if report.passed() {
        "The bundle is whole."
    } else {
        "The bundle is NOT whole."
    });
    text
}
