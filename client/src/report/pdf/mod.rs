//! The report as PDF/A-2b: for a file, for a court.
//!
//! | module | what lives there |
//! |---|---|
//! | `paper` | pages as lists of marks, and how marks become PDF |
//! | `pictures` | counts by week, and the timeline |
//!
//! All text is text and all pictures are drawings; nothing in the file runs, and nothing is fetched. The same bundle gives the same file.

mod paper;
mod pictures;

use strongroom_audit::Event;
use strongroom_audit::bundle::BundleReport;

use self::paper::{BODY, CODE, FAINT, INSIDE, MARGIN, Paper, REFUSED, SMALL, STRONG, Style, WIDTH};
use super::csv::shown;
use super::gather::{Count, Gathered};
use crate::audit::bundle::Verified;

/// So many accounts are listed.
const ACTORS: usize = 40;

/// Why there is no report.
///
/// ```
/// use strongroom_client::report::pdf::PdfError;
///
/// assert_eq!(PdfError::NotWhole.to_string(), "the bundle is not whole: there is no report of it");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PdfError {
    /// The bundle was not found whole: nothing is reported of it.
    #[error("the bundle is not whole: there is no report of it")]
    NotWhole,
    /// A font of this program cannot be read. Not known to happen.
    #[error("a font of the report cannot be read")]
    Font,
    /// A page cannot be drawn. Not known to happen.
    #[error("a page of the report cannot be drawn")]
    Page,
    /// The document breaks a rule of PDF/A. Not known to happen.
    #[error("the report cannot be written as PDF/A: {0}")]
    Document(String),
}

/// The report of a bundle, of which `gathered` was told each line, and which was then found whole.
///
/// ```
/// use strongroom_audit::{LogKey, bundle::Trust};
/// use strongroom_client::audit::bundle::verify;
/// use strongroom_client::report::{Gathered, pdf};
///
/// let mut gathered = Gathered::new(1000);
/// let trust = Trust { keys: vec![LogKey::only("the verifier key that one was given")], previous: None };
/// let verified = verify(&b"no bundle\n"[..], trust, |seen, _| gathered.take(seen))?;
/// assert!(pdf::write(&gathered, &verified).is_err());
/// # Ok::<(), strongroom_client::ClientError>(())
/// ```
///
/// # Errors
/// [`PdfError::NotWhole`] when it was not; the others are not known to happen.
pub fn write(gathered: &Gathered, verified: &Verified) -> Result<Vec<u8>, PdfError> {
    let report = &verified.report;
    let Some(header) = gathered.header.as_ref().filter(|_| report.passed()) else {
        return Err(PdfError::NotWhole);
    };
    let mut paper = Paper::new()?;
    let title = Style {
        size: 20.0,
        ..STRONG
    };
    paper.line(title, "Audit report");
    paper.skip(2.0);
    paper.line(FAINT, &format!("Strongroom \u{b7} log {}", header.origin));
    paper.skip(8.0);
    paper.rule();
    asked(&mut paper, gathered, report);
    proved(&mut paper, gathered, verified);
    paper.turn();
    pictures::counts(&mut paper, gathered);
    pictures::timeline(&mut paper, gathered);
    tables(&mut paper, gathered);
    records(&mut paper, gathered);
    documents(&mut paper, gathered);
    let foot = format!("bundle SHA-256 {}", hex::encode(verified.sha256));
    paper.finish("Audit report", &foot, header.made)
}

/// What was asked for, and what came.
fn asked(paper: &mut Paper, gathered: &Gathered, report: &BundleReport) {
    let Some(header) = &gathered.header else {
        return;
    };
    let filter = &header.filter;
    paper.heading("What this report covers");
    let period = match (filter.from, filter.to) {
        (None, None) => "the whole log".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(to)) => format!("before {to}"),
        (Some(from), Some(to)) => format!("from {from} until before {to}"),
    };
    paper.fact("Period (UTC)", BODY, &period);
    let account = |account| format!("{} ({account})", gathered.name(account));
    for (name, value) in [
        ("Case", filter.case.clone()),
        ("Account", filter.account.map(account)),
        ("Key", filter.key.map(|key| key.to_string())),
        ("Act", filter.act.map(|act| act.to_string())),
        ("For the account", filter.concerning.map(account)),
    ] {
        if let Some(value) = value {
            paper.fact(name, BODY, &value);
        }
    }
    let range = if header.first == header.end {
        format!("none, of {}", header.size)
    } else {
        format!("{} to {}, of {}", header.first, header.end - 1, header.size)
    };
    paper.fact("Leaves", BODY, &range);
    paper.fact("Exported", BODY, &header.made.to_string());
    if let Some(leaf) = header.leaf {
        paper.fact(
            "Recorded",
            BODY,
            &format!("the export itself is leaf {leaf} of the log"),
        );
    }
    let Count { done, refused } = gathered.total;
    paper.fact(
        "Records",
        STRONG,
        &format!("{}: {done} done, {refused} refused", gathered.total.all()),
    );
    if let Some((earliest, latest)) = report.times {
        paper.fact(
            "Earliest and latest",
            BODY,
            &format!("{earliest}, {latest}"),
        );
    }
    if report.redacted > 0 {
        paper.fact(
            "Redacted",
            BODY,
            &format!(
                "{} leaves of the range are not part of what was asked for: when and what is shown, who and to whom is not",
                report.redacted
            ),
        );
    }
    if report.hidden > 0 {
        paper.fact(
            "Hidden",
            BODY,
            &format!("{} leaves of the log concern others", report.hidden),
        );
    }
}

/// What was verified, and how to do it again.
fn proved(paper: &mut Paper, gathered: &Gathered, verified: &Verified) {
    let report = &verified.report;
    let Some(checkpoint) = &gathered.checkpoint else {
        return;
    };
    paper.heading("What was verified");
    paper.paragraph(
        BODY,
        "This report was made from an export bundle that was verified as a whole before anything of it was printed. The log's key has signed the state of the log, \
         and every record below was proved to stand in it, unaltered, in its place; no leaf of the range is missing, put in, moved or cut off. Names of accounts are those \
         of the time of the export and are not part of the log.",
    );
    paper.fact("Log", BODY, &checkpoint.origin);
    paper.fact("Checkpoint", BODY, &format!("{} leaves", checkpoint.size));
    paper.fact("Root (SHA-256)", CODE, &hex::encode(checkpoint.root.0));
    let long = Style { size: 7.0, ..CODE };
    paper.fact(
        "Signed by",
        long,
        report.verifier_key.as_deref().unwrap_or_default(),
    );
    for earlier in &gathered.earlier {
        paper.fact(
            "Continues",
            BODY,
            &format!(
                "the log of {} leaves of an earlier export: nothing of it was changed since",
                earlier.size
            ),
        );
    }
    if report.approvals > 0 {
        let quorums = match (report.quorums, report.quorums_unjudged) {
            (0, 0) => String::new(),
            (met, 0) => format!("; enough people had approved in {met} decisions"),
            (met, unjudged) => format!(
                "; enough people had approved in {met} decisions, and of {unjudged} the bundle does not show all that they rest on"
            ),
        };
        paper.fact(
            "Approvals",
            BODY,
            &format!(
                "{} signatures of people hold, each by its own key and in the role that the log gives them{quorums}",
                report.approvals
            ),
        );
    }
    paper.fact("Bundle", BODY, &format!("{} bytes", verified.bytes));
    paper.fact("Bundle (SHA-256)", CODE, &hex::encode(verified.sha256));
    paper.heading("How to verify it yourself");
    paper.paragraph(
        BODY,
        "Obtain the bundle, whose SHA-256 stands above, and the log's verifier key on a way that does not lead through the appliance, such as the transcript of its HSM \
         ceremony; it must be the one above. Then either of these says whether the bundle is whole, without any access to the appliance:",
    );
    let key = report.verifier_key.as_deref().unwrap_or_default();
    paper.paragraph(
        CODE,
        &format!("strongroom audit verify BUNDLE --verifier-key {key}"),
    );
    paper.paragraph(
        CODE,
        &format!("python3 verify_bundle.py BUNDLE --verifier-key {key}"),
    );
    paper.paragraph(
        BODY,
        "The second is a separate implementation. The format is specified in FORMAT.md, so that a third can be written by whoever trusts neither.",
    );
}

/// Counts by act and by account.
fn tables(paper: &mut Paper, gathered: &Gathered) {
    paper.heading("Records by act");
    let acts = gathered.acts();
    let rows = acts.iter().map(|(act, count)| (act.to_string(), *count));
    table(paper, "act", rows);
    paper.heading("Records by account");
    let actors = gathered.actors();
    let rows = actors.iter().take(ACTORS).map(|(account, count)| {
        let name = account.map_or_else(
            || "(nobody, or not known)".to_owned(),
            |account| gathered.name(account),
        );
        (name, *count)
    });
    table(paper, "who did or tried it", rows);
    if actors.len() > ACTORS {
        paper.line(
            FAINT,
            &format!("The {ACTORS} most active of {} accounts.", actors.len()),
        );
    }
}

fn table(paper: &mut Paper, what: &str, rows: impl Iterator<Item = (String, Count)>) {
    let columns = [MARGIN + 330.0, MARGIN + 400.0, WIDTH - MARGIN];
    let line = |paper: &mut Paper, style: Style, name: &str, cells: [String; 3]| {
        paper.need(14.0);
        let y = paper.y() + style.size;
        let name = paper.clip(style, name, 260.0);
        paper.text(MARGIN, y, style, &name);
        for (x, cell) in columns.into_iter().zip(cells) {
            paper.text_to(x, y, style, &cell);
        }
        paper.skip(style.size * 1.5);
    };
    line(
        paper,
        FAINT,
        what,
        ["done", "refused", "together"].map(str::to_owned),
    );
    paper.rule();
    for (name, count) in rows {
        let cells = [count.done, count.refused, count.all()].map(|number| number.to_string());
        line(paper, SMALL, &name, cells);
    }
    paper.skip(4.0);
}

/// The records, one after another.
fn records(paper: &mut Paper, gathered: &Gathered) {
    if gathered.records.is_empty() {
        return;
    }
    paper.turn();
    paper.heading("Records");
    let (all, kept) = (gathered.total.all(), gathered.records.len());
    if all > kept as u64 {
        paper.paragraph(
            BODY,
            &format!("The first {kept} of {all}. All of them stand in the bundle, and in its CSV."),
        );
    }
    for (index, event) in &gathered.records {
        record(paper, gathered, *index, event);
    }
}

fn record(paper: &mut Paper, gathered: &Gathered, index: u64, event: &Event) {
    let detail = &event.detail;
    let account = |account| {
        let name = gathered.name(account);
        let id: String = account.to_string();
        if name == id {
            id
        } else {
            format!("{name}\u{a0}({id})")
        }
    };
    let facts = [
        ("by", detail.actor.map(account)),
        ("from", detail.source.map(|source| source.to_string())),
        ("to", detail.subject.map(account)),
        ("key", detail.key.map(|key| key.to_string())),
        (
            "version",
            detail.key_version.map(|version| version.to_string()),
        ),
        ("owner", detail.owner.map(account)),
        ("grant", detail.grant.map(|grant| grant.to_string())),
        ("session", detail.session.map(|session| session.to_string())),
    ];
    let facts: Vec<String> = facts
        .into_iter()
        // A name and what it is stay on one line.
        .filter_map(|(name, value)| Some(format!("{name}\u{a0}{}", value?)))
        .collect();
    let facts = paper.wrap(FAINT, &facts.join(" \u{b7} "), INSIDE - 55.0);
    let note = shown(detail.note.as_ref());
    let notes = if note.is_empty() {
        Vec::new()
    } else {
        paper.wrap(SMALL, &note, INSIDE - 55.0)
    };
    // Never apart, unless a note fills a page.
    let lines = u16::try_from(facts.len() + notes.len()).unwrap_or(u16::MAX);
    paper.need((20.0 + 11.0 * f32::from(lines)).min(600.0));
    let y = paper.y() + BODY.size;
    paper.text(MARGIN, y, FAINT, &index.to_string());
    paper.text(MARGIN + 55.0, y, SMALL, &event.time.to_string());
    paper.text(MARGIN + 180.0, y, STRONG, event.act.as_str());
    let (outcome, style) = if event.done {
        ("done", SMALL)
    } else {
        let refused = Style {
            colour: REFUSED,
            ..STRONG
        };
        ("refused", refused)
    };
    paper.text_to(WIDTH - MARGIN, y, style, outcome);
    paper.skip(BODY.size * 1.5);
    for (style, lines) in [(SMALL, notes), (FAINT, facts)] {
        for line in lines {
            paper.need(11.0);
            let y = paper.y() + style.size;
            paper.text(MARGIN + 55.0, y, style, &line);
            paper.skip(style.size * 1.4);
        }
    }
    paper.rule();
}

/// The documents that records name.
fn documents(paper: &mut Paper, gathered: &Gathered) {
    if gathered.documents.is_empty() {
        return;
    }
    paper.heading("Documents in the bundle");
    paper.paragraph(
        BODY,
        "Each is named by its SHA-256 in the note of the record of the leaf before it.",
    );
    for document in &gathered.documents {
        paper.fact(
            &format!("leaf {}: {}", document.leaf, document.kind),
            CODE,
            &format!("{} ({} bytes)", document.sha256, document.bytes),
        );
    }
    if gathered.documents_left > 0 {
        paper.line(
            FAINT,
            &format!("{} more stand in the bundle.", gathered.documents_left),
        );
    }
}
