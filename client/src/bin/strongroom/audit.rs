//! `audit`.

mod compare;
mod told;
mod trust;
mod verify;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use strongroom_audit::Event;
use strongroom_client::audit::{to_tlog_proof, verify_checkpoint, verify_proof};
use strongroom_client::file::NewFile;
use strongroom_client::{ClientError, Session};
use strongroom_wire::audit::{CheckpointNote, InclusionProof, Record, RecordPage, RecordQuery};
use strongroom_wire::id::KeyId;

use crate::Context;
use crate::failure::Failure;
use crate::output::{facts, plain};

/// How often a follower looks for new records.
const PERIOD: Duration = Duration::from_secs(1);

/// `strongroom audit`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show the newest records, the newest last.
    Tail(Tail),
    /// Show the newest signed checkpoint, once its signature is verified.
    Checkpoint,
    /// Trust a further key of the log: after a ceremony gave the appliance another HSM, or a second one.
    Trust {
        /// The verifier key, from the ceremony's transcript and not from the appliance.
        #[arg(value_name = "VERIFIER_KEY")]
        verifier_key: String,
    },
    /// Show what a leaf says, once it is proved to be in the log.
    Proof {
        /// The leaf's index.
        index: u64,
        /// Write the proof into a file that others verify without the appliance (C2SP tlog-proof).
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Leave out of the file who did it and to whom.
        #[arg(long, requires = "output")]
        redacted: bool,
        /// Replace a file that exists.
        #[arg(long, requires = "output")]
        force: bool,
    },
    /// Export records as a bundle that anyone can verify without the appliance, and as CSV and PDF.
    Export(verify::Export),
    /// Verify a bundle, or the proof of a single leaf, without the appliance.
    Verify(verify::Verify),
    /// Make CSV or PDF of a bundle, once it is verified.
    Report(verify::Report),
    /// Find whether a log only grew from one checkpoint to another.
    Compare(compare::Compare),
}

/// `strongroom audit tail`.
#[derive(Args, Debug)]
pub(crate) struct Tail {
    /// How many records.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only those about this key.
    #[arg(long, value_name = "KEY")]
    key: Option<KeyId>,
    /// Go on with new records as they come, until interrupted; with --json, one record a line.
    #[arg(short, long)]
    follow: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Trust { verifier_key } => trust(context, &verifier_key),
            Self::Tail(tail) => tail.run(context, &context.session()?),
            Self::Checkpoint => {
                let note = context.session()?.checkpoint()?;
                verify_checkpoint(&note, &verifier_key(context, &note)?)?;
                context.output.answer(&note, || {
                    format!("{}\nVerified with {}", note.note, note.verifier_key)
                })
            }
            Self::Proof {
                index,
                output,
                redacted,
                force,
            } => {
                let proof = context.session()?.inclusion_proof(index)?;
                let key = verifier_key(context, &proof.checkpoint)?;
                let (event, checkpoint) = verify_proof(&proof, &key)?;
                if proof.index != index {
                    return Err(ClientError::NotProved("it is of another leaf".to_owned()).into());
                }
                if let Some(path) = output {
                    write_proof(&proof, &path, redacted, force)?;
                }
                context.output.answer(&proof, || {
                    let mut text = describe_leaf(index, &event);
                    // Writing to a String does not fail.
                    let _ = writeln!(
                        text,
                        "Proved to be in the log {} of {} leaves.",
                        checkpoint.origin, checkpoint.size
                    );
                    text
                })
            }
            Self::Export(export) => export.run(context),
            Self::Verify(verify) => verify.run(context),
            Self::Report(report) => report.run(context),
            Self::Compare(compare) => compare.run(context),
        }
    }
}

/// What a leaf says, for a person.
fn describe_leaf(index: u64, event: &Event) -> String {
    let outcome = if event.done { "done" } else { "refused" };
    let detail = &event.detail;
    facts(&[
        ("leaf", index.to_string()),
        ("time", event.time.to_string()),
        ("act", format!("{}, {outcome}", event.act)),
        ("actor", shown(detail.actor)),
        ("session", shown(detail.session)),
        ("source", shown(detail.source)),
        ("subject", shown(detail.subject)),
        ("key", shown(detail.key)),
        ("key version", shown(detail.key_version)),
        ("owner", shown(detail.owner)),
        ("grant", shown(detail.grant)),
        ("note", plain(detail.note.as_deref().unwrap_or_default())),
    ])
}

/// Writes a proof for others.
fn write_proof(
    proof: &InclusionProof,
    path: &std::path::Path,
    redacted: bool,
    force: bool,
) -> Result<(), Failure> {
    let mut proof = to_tlog_proof(proof)?;
    if redacted {
        proof = proof.redacted();
    }
    let written = NewFile::private(path, force).and_then(|mut file| {
        file.write_all(proof.to_text().as_bytes())?;
        file.complete()
    });
    written
        .map(drop)
        .map_err(|error| Failure::local(format!("{} cannot be written", path.display()), &error))
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// The key that this checkpoint is verified with: one that this device knows, the first that it sees among them. An appliance that comes
/// with another one is another log, or has another HSM.
pub(crate) fn verifier_key(context: &Context, note: &CheckpointNote) -> Result<String, Failure> {
    let known = context.home.profile()?;
    let known = known.map_or_else(Vec::new, |profile| profile.verifier_keys);
    if let Some(key) = known
        .iter()
        .find(|key| verify_checkpoint(note, key).is_ok())
    {
        return Ok(key.clone());
    }
    verify_checkpoint(note, &note.verifier_key)?;
    if known.is_empty() {
        context.home.remember_verifier_key(&note.verifier_key)?;
        return Ok(note.verifier_key.clone());
    }
    Err(Failure::Failed(format!(
        "the checkpoint is signed by a key that this device does not know, {}: where a ceremony's transcript names that key, say \
         strongroom audit trust KEY",
        plain(&note.verifier_key)
    )))
}

/// Remembers a key of the log.
fn trust(context: &Context, verifier_key: &str) -> Result<(), Failure> {
    if context.home.profile()?.is_none() {
        return Err(Failure::Usage(
            "this device knows no appliance yet: sign in first".to_owned(),
        ));
    }
    strongroom_audit::checkpoint::check_verifier_key(verifier_key)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    context.home.remember_verifier_key(verifier_key)
}

impl Tail {
    fn run(self, context: &Context, session: &Session) -> Result<(), Failure> {
        let query = RecordQuery {
            key: self.key,
            limit: Some(self.limit),
            ..RecordQuery::default()
        };
        let mut page = session.records(&query)?;
        page.records.reverse();
        if !self.follow {
            return context.output.answer(&page, || describe(&page));
        }
        let mut newest = None;
        let mut records = page.records;
        loop {
            for record in &records {
                context.output.answer(record, || line(record))?;
            }
            newest = records.last().map(|record| record.index).or(newest);
            thread::sleep(PERIOD);
            records = newer(session, self.key, newest)?;
        }
    }
}

/// The records above this index, the oldest first.
fn newer(
    session: &Session,
    key: Option<KeyId>,
    index: Option<u64>,
) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    let mut before = None;
    loop {
        let RecordPage {
            records: page,
            next,
        } = session.records(&RecordQuery {
            key,
            before,
            after: index,
            limit: Some(1000),
        })?;
        records.extend(page);
        if next.is_none() || next == before {
            records.reverse();
            return Ok(records);
        }
        before = next;
    }
}

fn describe(page: &RecordPage) -> String {
    if page.records.is_empty() {
        return "No records.".to_owned();
    }
    page.records.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A record on one line: index, time, outcome, act, who, and what it was done to.
fn line(record: &Record) -> String {
    let mut line = format!(
        "{:>6}  {}  {:7}  {:17}  {}",
        record.index,
        record.time,
        if record.done { "done" } else { "refused" },
        record.act.as_str(),
        record
            .actor_name
            .as_deref()
            .map_or_else(|| "-".to_owned(), plain),
    );
    // Writing to a String does not fail.
    let subject = record.subject_name.as_deref().map(plain);
    let subject = subject.or_else(|| record.subject.map(|subject| subject.to_string()));
    if let Some(subject) = subject {
        let _ = write!(line, "  → {subject}");
    }
    if let Some(key) = record.key {
        let _ = write!(line, "  key {key}");
    }
    if let Some(version) = record.key_version {
        let _ = write!(line, " v{version}");
    }
    if let Some(note) = &record.note {
        let _ = write!(line, "  ({})", plain(note));
    }
    line
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::audit::Act;

    use super::*;

    #[test]
    fn a_record_stands_on_one_line() {
        let key = KeyId::generate();
        let record = Record {
            index: 41,
            time: "2026-11-27T18:00:00Z".parse().unwrap(),
            act: Act::KeyRelease,
            done: false,
            actor: None,
            actor_name: Some("bob@example.com".to_owned()),
            session: None,
            source: None,
            subject: None,
            subject_name: None,
            key: Some(key),
            key_version: Some(2),
            owner: None,
            grant: None,
            note: Some("grant-revoked\n".to_owned()),
        };
        assert_eq!(
            line(&record),
            format!(
                "    41  2026-11-27T18:00:00.000Z  refused  key.release        bob@example.com  key {key} v2  (grant-revoked\u{fffd})"
            )
        );
    }
}
