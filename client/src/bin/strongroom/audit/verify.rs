//! `audit export`, `audit verify`, `audit report`: bundles.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use strongroom_audit::LogKey;
use strongroom_audit::bundle::{Seen, Trust};
use strongroom_audit::proof::{TlogProof, Told};
use strongroom_client::audit::bundle::{Verified, verify};
use strongroom_client::file::NewFile;
use strongroom_client::report::csv::Csv;
use strongroom_client::report::{Gathered, pdf};
use strongroom_wire::audit::{Act, ExportQuery};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};

use super::told::tell;
use super::trust;
use crate::Context;
use crate::failure::Failure;
use crate::moment;
use crate::output::facts;

/// The largest proof of a single leaf that is read, in bytes.
const LARGEST_PROOF: u64 = 1024 * 1024;

/// `strongroom audit export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The file to write.
    bundle: PathBuf,
    /// Only records since this moment.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment::parse)]
    from: Option<Timestamp>,
    /// Only records before this moment; a day is its end.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment::parse_end)]
    to: Option<Timestamp>,
    /// Only records of this case: an authorisation's identifier.
    #[arg(long, value_name = "CASE")]
    case: Option<String>,
    /// Only records with this account, by its identifier, as actor, subject or owner.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<AccountId>,
    /// Only records about this key.
    #[arg(long, value_name = "KEY")]
    key: Option<KeyId>,
    /// Only records of this act, such as key.release.
    #[arg(long, value_name = "ACT", value_parser = act)]
    act: Option<Act>,
    /// An earlier bundle or checkpoint, of which this export is to be proved the continuation.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Only the records since the earlier bundle.
    #[arg(long = "continue", requires = "previous", conflicts_with_all = ["from", "to"])]
    goes_on: bool,
    #[command(flatten)]
    reports: Reports,
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
}

/// `strongroom audit verify`.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// A bundle, or the proof of a single leaf.
    file: PathBuf,
    #[command(flatten)]
    against: Against,
}

/// `strongroom audit report`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// The bundle.
    bundle: PathBuf,
    #[command(flatten)]
    reports: Reports,
    #[command(flatten)]
    against: Against,
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
}

/// What a bundle is held against.
#[derive(Args, Debug)]
struct Against {
    /// A key of the log, from the transcript of the HSM ceremony and not from the appliance; with KEY@FROM-TO, the sizes that it may sign. May be given several times. Without it,
    /// the keys that this device knows.
    #[arg(long, value_name = "KEY", value_parser = trust::log_key)]
    verifier_key: Vec<LogKey>,
    /// An earlier bundle or checkpoint of the log, of which this has to be the continuation.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
}

/// Reports for people.
#[derive(Args, Debug)]
struct Reports {
    /// Write the records as comma-separated values, too.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a report as PDF, too: for a file, for a court.
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
    /// The most records in the PDF.
    #[arg(long, value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    pdf_records: u32,
}

impl Export {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        // The first key that this device sees is the one that it trusts from then on.
        super::verifier_key(context, &session.checkpoint()?)?;
        let keys = trust::keys(context, Vec::new())?;
        let previous = self
            .previous
            .as_deref()
            .map(|path| trust::kept(path, &keys))
            .transpose()?;
        let query = ExportQuery {
            from: self.from,
            to: self.to,
            first: previous
                .as_ref()
                .filter(|_| self.goes_on)
                .map(|kept| kept.end),
            case: self.case,
            account: self.account,
            key: self.key,
            act: self.act,
            previous: previous.as_ref().map(|kept| kept.checkpoint.size),
        };
        let trust = Trust {
            keys,
            previous: previous.map(|kept| kept.checkpoint),
        };
        let mut making = Making::new(&self.reports, self.force)?;
        let mut file = new_file(&self.bundle, self.force)?;
        let verified = session.export(
            &query,
            trust,
            &mut BufWriter::new(&mut file),
            |seen, position| making.take(seen, position),
        )?;
        complete(file, &self.bundle)?;
        making.finish(&verified)?;
        tell(context, &self.bundle, &verified)
    }
}

impl Verify {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let file = open(&self.file)?;
        let mut file = BufReader::new(file);
        let start = file
            .fill_buf()
            .map_err(|error| unreadable(&self.file, &error))?;
        if start.starts_with(b"c2sp.org/tlog-proof") {
            return verify_proof(context, file, &self.file, self.against);
        }
        let trust = self.against.trust(context)?;
        let bar = bar();
        let verified = verify(file, trust, |seen, position| show(&bar, seen, position))?;
        bar.finish_and_clear();
        tell(context, &self.file, &verified)
    }
}

impl Report {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        if self.reports.csv.is_none() && self.reports.pdf.is_none() {
            return Err(Failure::Usage(
                "say which report: --csv FILE, --pdf FILE, or both".to_owned(),
            ));
        }
        let trust = self.against.trust(context)?;
        let mut making = Making::new(&self.reports, self.force)?;
        let bundle = open(&self.bundle)?;
        let verified = verify(bundle, trust, |seen, position| making.take(seen, position))?;
        making.finish(&verified)?;
        tell(context, &self.bundle, &verified)
    }
}

impl Against {
    fn trust(self, context: &Context) -> Result<Trust, Failure> {
        let keys = trust::keys(context, self.verifier_key)?;
        let previous = self
            .previous
            .as_deref()
            .map(|path| trust::kept(path, &keys))
            .transpose()?;
        Ok(Trust {
            previous: previous.map(|kept| kept.checkpoint),
            keys,
        })
    }
}

/// Reports that are made while a bundle is read. They appear once it was found whole.
struct Making {
    bar: ProgressBar,
    csv: Option<(PathBuf, Csv<BufWriter<NewFile>>)>,
    /// Why no more rows are written.
    failed: Option<io::Error>,
    pdf: Option<(PathBuf, NewFile, Box<Gathered>)>,
}

impl Making {
    fn new(reports: &Reports, force: bool) -> Result<Self, Failure> {
        let csv = match &reports.csv {
            None => None,
            Some(path) => {
                let file = BufWriter::new(new_file(path, force)?);
                let csv = Csv::new(file).map_err(|error| unwritable(path, &error))?;
                Some((path.clone(), csv))
            }
        };
        let pdf = match &reports.pdf {
            None => None,
            Some(path) => {
                let gathered = Gathered::new(reports.pdf_records as usize);
                Some((path.clone(), new_file(path, force)?, Box::new(gathered)))
            }
        };
        Ok(Self {
            bar: bar(),
            csv,
            failed: None,
            pdf,
        })
    }

    fn take(&mut self, seen: &Seen, position: u64) {
        show(&self.bar, seen, position);
        if let (Some((_, csv)), None) = (&mut self.csv, &self.failed) {
            self.failed = csv.take(seen).err();
        }
        if let Some((_, _, gathered)) = &mut self.pdf {
            gathered.take(seen);
        }
    }

    fn finish(self, verified: &Verified) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if !verified.report.passed() {
            return Ok(());
        }
        if let Some((path, csv)) = self.csv {
            let written = match self.failed {
                Some(error) => Err(error),
                None => csv.finish(),
            };
            let file =
                written.and_then(|file| file.into_inner().map_err(io::IntoInnerError::into_error));
            complete(file.map_err(|error| unwritable(&path, &error))?, &path)?;
        }
        if let Some((path, mut file, gathered)) = self.pdf {
            let document = pdf::write(&gathered, verified)
                .map_err(|error| Failure::Failed(error.to_string()))?;
            file.write_all(&document)
                .map_err(|error| unwritable(&path, &error))?;
            complete(file, &path)?;
        }
        Ok(())
    }
}

/// Verifies the proof of a single leaf.
fn verify_proof(
    context: &Context,
    file: impl io::Read,
    path: &Path,
    against: Against,
) -> Result<(), Failure> {
    let mut text = String::new();
    file.take(LARGEST_PROOF)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(path, &error))?;
    let keys = trust::keys(context, against.verifier_key)?;
    let proof = TlogProof::read(&text);
    let proved = proof.and_then(|proof| Ok((proof.index, proof.verify(&keys)?)));
    let (index, (told, checkpoint)) = match proved {
        Ok(proved) => proved,
        Err(error) => {
            let problem = error.to_string();
            context
                .output
                .answer(&json!({ "verified": false, "problems": [problem] }), || {
                    format!("PROBLEM: {problem}\nThe proof does NOT hold.")
                })?;
            return Err(Failure::Told);
        }
    };
    let (time, act, done) = match &told {
        Told::Full(event) => (event.time, event.act, event.done),
        Told::Redacted { time, act, done } => (*time, *act, *done),
    };
    let answer = json!({
        "verified": true,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root.0),
        "index": index,
        "time": time,
        "act": act,
        "done": done,
        "redacted": matches!(told, Told::Redacted { .. }),
        "problems": [],
    });
    context.output.answer(&answer, || {
        let mut text = match &told {
            Told::Full(event) => super::describe_leaf(index, event),
            Told::Redacted { .. } => facts(&[
                ("leaf", index.to_string()),
                ("time", time.to_string()),
                (
                    "act",
                    format!("{act}, {}", if done { "done" } else { "refused" }),
                ),
                ("redacted", "who and to whom is not shown".to_owned()),
            ]),
        };
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "Proved to be in the log {} of {} leaves.",
            checkpoint.origin, checkpoint.size
        );
        text
    })
}

fn act(text: &str) -> Result<Act, String> {
    Act::ALL
        .iter()
        .find(|act| act.as_str() == text)
        .copied()
        .ok_or_else(|| {
            format!("there is no act {text:?}; acts are such as key.release or account.create")
        })
}

/// On a terminal only.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} leaves, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, seen: &Seen, position: u64) {
    if let Seen::Header(header) = seen {
        bar.set_length(header.size);
    }
    bar.set_position(position);
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| unreadable(path, &error))
}

fn new_file(path: &Path, force: bool) -> Result<NewFile, Failure> {
    NewFile::private(path, force).map_err(|error| unwritable(path, &error))
}

fn complete(file: NewFile, path: &Path) -> Result<(), Failure> {
    file.complete()
        .map(drop)
        .map_err(|error| unwritable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("{} cannot be read", path.display()), error)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("{} cannot be written", path.display()), error)
}
