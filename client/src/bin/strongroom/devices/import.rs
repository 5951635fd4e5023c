//! `devices import`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use strongroom_client::Session;
use strongroom_client::devices::ManifestForm;
use strongroom_wire::device::{ImportLine, ImportQuery};
use strongroom_wire::problem::Problem;

use super::{beside, factory, here};
use crate::Context;
use crate::failure::Failure;
use crate::output::{complain, plain};

/// `strongroom devices import`.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The manifest: lines of serial,name,fleet or, where its name ends in .json, an array of objects with these members. Name and
    /// fleet may be missing.
    manifest: PathBuf,
    /// The file of the factory's public key.
    #[arg(long, value_name = "FILE.pub", default_value = "factory.key.pub")]
    factory_key: PathBuf,
    /// The file in which the wrapped secrets are kept. An import that was interrupted adds to it when it is made again
    /// [default: MANIFEST.secrets].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The fleet of devices for which the manifest names none.
    #[arg(long)]
    fleet: Option<String>,
    /// Give devices that exist and have never made a request new secrets: so where the answer to an earlier import was lost.
    #[arg(long)]
    replace_secrets: bool,
}

/// What came of an import.
#[derive(Default, Serialize)]
struct Summary {
    created: u64,
    replaced: u64,
    existing: u64,
    refused: u64,
    /// How many of those that existed have no secret in the file.
    without_secret: u64,
}

impl Import {
    pub(crate) fn run(self, context: &Context, session: &Session) -> Result<(), Failure> {
        let manifest = fs::read(&self.manifest).map_err(|error| {
            Failure::local(
                format!("{} cannot be read", self.manifest.display()),
                &error,
            )
        })?;
        let form = match self.manifest.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("json") => ManifestForm::Json,
            _ => ManifestForm::Csv,
        };
        let query = ImportQuery {
            factory_key: factory::read_public(&self.factory_key)?.to_bytes().into(),
            fleet: self.fleet,
            replace_secrets: self.replace_secrets,
        };
        let file = self
            .out
            .unwrap_or_else(|| beside(&self.manifest, ".secrets"));
        // Before any device is made: what comes must be kept.
        let mut out = open(&file).map_err(|error| unwritable(&file, &error))?;
        let kept = factory::read_imported(&file)?;
        let lines = session
            .import_devices(form, &manifest, &query)
            .map_err(here)?;
        let mut summary = Summary::default();
        let mut bar = None;
        let mut whole = false;
        for line in lines {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    sync(&file, &out)?;
                    return Err(interrupted(&here(error).sentence()));
                }
            };
            match &line {
                ImportLine::Started { devices } => bar = Some(progress(*devices)),
                ImportLine::Created(_) | ImportLine::Replaced(_) => {
                    write(&mut out, &line).map_err(|error| unwritable(&file, &error))?;
                }
                ImportLine::Existing { serial, .. } => {
                    summary.without_secret += u64::from(!kept.contains_key(serial));
                }
                ImportLine::Refused { serial, detail, .. } => {
                    complain(&format!("strongroom: {}: {}", plain(serial), plain(detail)));
                }
                ImportLine::Done {
                    created,
                    replaced,
                    existing,
                    refused,
                } => {
                    whole = true;
                    (summary.created, summary.replaced) = (*created, *replaced);
                    (summary.existing, summary.refused) = (*existing, *refused);
                }
                ImportLine::Failed(Problem { detail, .. }) => {
                    sync(&file, &out)?;
                    return Err(interrupted(&plain(detail)));
                }
            }
            if let Some(bar) = &bar {
                bar.inc(u64::from(!matches!(
                    line,
                    ImportLine::Started { .. } | ImportLine::Done { .. }
                )));
            }
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        sync(&file, &out)?;
        if !whole {
            return Err(interrupted("the answer is not whole"));
        }
        context
            .output
            .answer(&summary, || describe(&summary, &file))?;
        match summary.refused {
            0 => Ok(()),
            refused => Err(Failure::Failed(format!(
                "{refused} devices of the manifest were not made"
            ))),
        }
    }
}

fn describe(summary: &Summary, out: &Path) -> String {
    let Summary {
        created,
        replaced,
        existing,
        refused,
        without_secret,
    } = summary;
    let hint = match without_secret {
        0 => String::new(),
        count => format!(
            "\nOf those that existed, {count} have no secret in this file. Those that have never made a request get new ones with \
             --replace-secrets."
        ),
    };
    format!(
        "{created} devices were made, {existing} existed already, {replaced} got new secrets, {refused} were refused. The wrapped secrets are in \
         {}.{hint}",
        out.display()
    )
}

fn progress(devices: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(devices);
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {pos}/{len} devices, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// The file to add to, for its owner alone; a line that was cut when an earlier import was killed is ended.
fn open(file: &Path) -> io::Result<File> {
    let mut out = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    if out.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        out.seek(SeekFrom::End(-1))?;
        out.read_exact(&mut last)?;
        if last != *b"\n" {
            out.write_all(b"\n")?;
        }
    }
    Ok(out)
}

fn write(out: &mut File, line: &ImportLine) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}

fn sync(file: &Path, out: &File) -> Result<(), Failure> {
    out.sync_all().map_err(|error| unwritable(file, &error))
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("{} cannot be written", file.display()), error)
}

fn interrupted(why: &str) -> Failure {
    Failure::Failed(format!(
        "the import was interrupted ({why}): what came is kept; make the same import again to go on"
    ))
}
