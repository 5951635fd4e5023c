//! `protect` and `open`.

mod part;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use strongroom_client::disclosure;
use strongroom_client::file::NewFile;
use strongroom_client::object::ObjectError;
use strongroom_client::{ClientError, Protect as _, Protection};

use crate::disclosure::read_disclosed;
use crate::failure::Failure;
use crate::output::{complain, output_failure, size};
use crate::policy::Policy;
use crate::{Context, interrupt};

/// The ending of a protected object's name.
const ENDING: &str = ".sealed";
/// Files shorter than this, in bytes, are done before a progress bar could be read.
const LONG: u64 = 8 * 1024 * 1024;

/// `strongroom protect`.
#[derive(Args, Debug)]
pub(crate) struct Protect {
    /// The file to protect, or - for standard input.
    file: PathBuf,
    /// Who may open it, besides oneself; may be given several times.
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    to: Vec<String>,
    /// Where to write the protected object, or - for standard output [default: FILE.sealed].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The key's name for people [default: the file's name].
    #[arg(long)]
    label: Option<String>,
    /// The media type of the content [default: guessed from the file's name].
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    policy: Policy,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

impl Protect {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let output = match self.output {
            Some(output) => output,
            None if is_stream(&self.file) => PathBuf::from("-"),
            None => with_ending(&self.file),
        };
        let mut protection = if is_stream(&self.file) {
            Protection::default()
        } else {
            Protection::of_file(&self.file)
        };
        if let Some(label) = self.label {
            protection.label = label;
        }
        if self.content_type.is_some() {
            protection.content_type = self.content_type;
        }
        protection.policy = self.policy.into_wire();
        for recipient in &self.to {
            protection = protection.to(recipient);
        }

        check_output(context, &output)?;
        let (input, length) = open_input(&self.file)?;
        let mut target = Target::new(&output, self.force, NewFile::shared)?;
        let session = context.session()?;
        let bar = progress(length);
        let mut input = bar.wrap_read(input);
        let protected = session.protect(&protection, &mut input, &mut target);
        bar.finish_and_clear();
        let protected = protected.map_err(of_stream(&output))?;
        target.complete(&output)?;

        let answer = json!({
            "key_id": protected.key.id,
            "output": shown(&output),
            "bytes": protected.length,
            "recipients": protection.recipients,
        });
        let text = || {
            let recipients = match protection.recipients.as_slice() {
                [] => String::new(),
                recipients => format!(" for {}", recipients.join(", ")),
            };
            format!(
                "{} protects {}{recipients} under key {}.",
                shown(&output),
                size(protected.length),
                protected.key.id
            )
        };
        tell(context, &output, &answer, text)
    }
}

/// `strongroom open`.
#[derive(Args, Debug)]
pub(crate) struct Open {
    /// The protected file, or - for standard input; or the https or http address of one in somebody's storage.
    file: PathBuf,
    /// Where to write the content, or - for standard output [default: FILE without its .sealed; for a part, and from an address, standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    part: part::Part,
    /// Open it with a disclosed key, as `disclosure open` wrote it, in place of an account.
    #[arg(long, value_name = "FILE")]
    disclosed: Option<PathBuf>,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

impl Open {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let by_ranges = self.part.is_wanted() || part::is_address(&self.file);
        let output = match self.output {
            Some(output) => output,
            None if is_stream(&self.file) || by_ranges => PathBuf::from("-"),
            None => without_ending(&self.file)?,
        };
        check_output(context, &output)?;
        if by_ranges {
            return self.part.open(context, &self.file, &output, self.force);
        }
        let (input, length) = open_input(&self.file)?;
        let mut target = Target::new(&output, self.force, NewFile::private)?;
        if let Some(disclosed) = &self.disclosed {
            return open_disclosed(context, disclosed, input, length, target, &output);
        }
        let session = context.session()?;
        let bar = progress(length);
        let input = BufReader::with_capacity(64 * 1024, bar.wrap_read(input));
        let opened = session.open(input).and_then(|mut object| {
            let bytes = object.copy_to(&mut target)?;
            Ok((object, bytes))
        });
        bar.finish_and_clear();
        let (object, bytes) = opened.map_err(of_stream(&output))?;
        target.complete(&output)?;

        let header = object.header();
        let answer = json!({
            "key_id": header.key(),
            "version": header.key_version(),
            "output": shown(&output),
            "bytes": bytes,
            "content_type": header.content_type(),
            "leaf": object.leaf(),
        });
        let text = || format!("{} is opened: {}.", shown(&output), size(bytes));
        tell(context, &output, &answer, text)
    }
}

/// Opens a protected object with a disclosed key.
fn open_disclosed(
    context: &Context,
    disclosed: &Path,
    input: Box<dyn Read>,
    length: Option<u64>,
    mut target: Target,
    output: &Path,
) -> Result<(), Failure> {
    let key = read_disclosed(disclosed)?;
    let bar = progress(length);
    let input = BufReader::with_capacity(64 * 1024, bar.wrap_read(input));
    let opened = disclosure::open_object(&key, input).and_then(|(header, mut reader)| {
        let bytes = reader.copy_to(&mut target).map_err(ObjectError::from)?;
        Ok((header, bytes))
    });
    bar.finish_and_clear();
    let (header, bytes) = opened.map_err(of_stream(output))?;
    target.complete(output)?;
    let answer = json!({
        "key_id": header.key(),
        "version": header.key_version(),
        "output": shown(output),
        "bytes": bytes,
        "content_type": header.content_type(),
    });
    let text = || format!("{} is opened: {}.", shown(output), size(bytes));
    tell(context, output, &answer, text)
}

/// Where the bytes go.
pub(crate) enum Target {
    Stream(io::Stdout),
    File(NewFile),
}

impl Target {
    pub(crate) fn new(
        output: &Path,
        force: bool,
        make: fn(&Path, bool) -> io::Result<NewFile>,
    ) -> Result<Self, Failure> {
        if is_stream(output) {
            return Ok(Self::Stream(io::stdout()));
        }
        let file = make(output, force).map_err(|error| cannot_write(output, &error))?;
        interrupt::remove_on_signal(file.temporary_path())?;
        Ok(Self::File(file))
    }

    /// The whole is written and authentic.
    pub(crate) fn complete(self, output: &Path) -> Result<(), Failure> {
        match self {
            Self::Stream(mut stream) => stream.flush().map_err(|error| output_failure(&error)),
            Self::File(file) => file
                .complete()
                .map(drop)
                .map_err(|error| cannot_write(output, &error)),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// The file or standard input, and the length where it is known.
pub(crate) fn open_input(file: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if is_stream(file) {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let cannot_read =
        |error: &io::Error| Failure::local(format!("{} cannot be read", file.display()), error);
    let opened = File::open(file).map_err(|error| cannot_read(&error))?;
    let metadata = opened.metadata().map_err(|error| cannot_read(&error))?;
    if metadata.is_dir() {
        return Err(Failure::Usage(format!(
            "{} is a folder: pack it first, for instance with tar",
            file.display()
        )));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(opened), length))
}

/// A bar on the terminal for long work; nothing in a pipe.
fn progress(length: Option<u64>) -> ProgressBar {
    let Some(length) = length.filter(|length| *length >= LONG && io::stderr().is_terminal()) else {
        return ProgressBar::hidden();
    };
    let bar = ProgressBar::new(length);
    let style = "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

/// An answer in JSON cannot share standard output with an object.
pub(crate) fn check_output(context: &Context, output: &Path) -> Result<(), Failure> {
    if context.output.is_json() && is_stream(output) {
        return Err(Failure::Usage(
            "with --json, standard output is for the answer: name an output file with -o"
                .to_owned(),
        ));
    }
    Ok(())
}

pub(crate) fn tell(
    context: &Context,
    output: &Path,
    answer: &Value,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if is_stream(output) {
        if io::stderr().is_terminal() {
            complain(&text());
        }
        return Ok(());
    }
    context.output.answer(answer, text)
}

/// Whoever reads standard output may stop reading; that is no failure of ours.
fn of_stream(output: &Path) -> impl Fn(ClientError) -> Failure {
    use strongroom_client::object::{CobblestoneError, ObjectError};

    let is_stream = is_stream(output);
    move |error| match error {
        ClientError::Object(ObjectError::Stream(CobblestoneError::Write(error))) if is_stream => {
            output_failure(&error)
        }
        other => other.into(),
    }
}

pub(crate) fn cannot_write(output: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::Failed(format!(
            "{} exists: remove it, write elsewhere with -o, or replace it with --force",
            output.display()
        ));
    }
    Failure::local(format!("{} cannot be written", output.display()), error)
}

pub(crate) fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

pub(crate) fn with_ending(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}

pub(crate) fn without_ending(file: &Path) -> Result<PathBuf, Failure> {
    let name = file.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(ENDING))
        .filter(|name| !name.is_empty())
        .map(|name| file.with_file_name(name))
        .ok_or_else(|| {
            Failure::Usage(format!(
                "{} does not end in {ENDING}: name an output file with -o",
                file.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn outputs_stand_beside_their_inputs() {
        let open = |name: &str| without_ending(Path::new(name));
        assert_eq!(
            with_ending(Path::new("a/report.pdf")),
            Path::new("a/report.pdf.sealed")
        );
        assert_eq!(
            open("a/report.pdf.sealed").unwrap(),
            Path::new("a/report.pdf")
        );
        for name in ["report.pdf", ".sealed", "a/.sealed", "sealed", ""] {
            assert_eq!(open(name).unwrap_err().exit_code(), 2, "{name}");
        }
    }

    #[test]
    fn an_existing_output_is_named_with_the_ways_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.pdf");
        std::fs::write(&path, "mine").unwrap();
        let failure = Target::new(&path, false, NewFile::private).err().unwrap();
        assert!(failure.sentence().contains("--force"), "{failure}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_folder_is_no_input() {
        let folder = tempfile::tempdir().unwrap();
        let failure = open_input(folder.path()).err().unwrap();
        assert_eq!(failure.exit_code(), 2);
    }
}
