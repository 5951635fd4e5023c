//! `message seal` and `message open`: what fits into memory, in one envelope.

use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_client::file::NewFile;
use strongroom_client::message::{MAX_PLAINTEXT_LEN, envelope};
use strongroom_client::objects::Objects as _;
use strongroom_client::{Metadata, Protect as _};
use zeroize::Zeroizing;

use crate::Context;
use crate::failure::Failure;
use crate::objects::{
    Hashed, Target, cannot_write, check_output, is_stream, open_input, shown, tell, with_ending,
    without_ending,
};
use crate::output::{output_failure, size};
use crate::policy::Policy;

/// `strongroom message`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Seal a message of at most 16 MiB into one envelope, for oneself and the recipients.
    Seal(Box<Seal>),
    /// Open the envelope of a message.
    Open(Open),
}

/// `strongroom message seal`.
#[derive(Args, Debug)]
pub(crate) struct Seal {
    /// The file with the message, or - for standard input.
    file: PathBuf,
    /// Who may open it, besides oneself; may be given several times.
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    to: Vec<String>,
    /// Where to write the envelope, or - for standard output [default: FILE.sealed].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The key's name for people, such as the message's subject.
    #[arg(long, default_value = "")]
    label: String,
    /// The media type of the content.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    policy: Policy,
    /// Tell the appliance the SHA-256 of the envelope, so that a delivery under an order can say which one a disclosed key opens.
    #[arg(long)]
    tell_hash: bool,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

/// `strongroom message open`.
#[derive(Args, Debug)]
pub(crate) struct Open {
    /// The file with the envelope, or - for standard input.
    file: PathBuf,
    /// Where to write the content, or - for standard output [default: FILE without its .sealed].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Seal(seal) => seal.run(context),
            Self::Open(open) => open.run(context),
        }
    }
}

impl Seal {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let output = match self.output {
            Some(output) => output,
            None if is_stream(&self.file) => PathBuf::from("-"),
            None => with_ending(&self.file),
        };
        check_output(context, &output)?;
        let plaintext = read(&self.file, MAX_PLAINTEXT_LEN)?;
        let mut target = Hashed::new(Target::new(&output, self.force, NewFile::shared)?);
        let metadata = Metadata {
            label: self.label,
            content_type: self.content_type,
            policy: self.policy.into_wire(),
        };
        let recipients: Vec<_> = self.to.iter().map(String::as_str).collect();
        let session = context.session()?;
        let sealed = session.seal_message(&plaintext, &recipients, &metadata)?;
        write(&mut target, &sealed.bytes, &output)?;
        let (target, sha256) = target.finish();
        target.complete(&output)?;
        if self.tell_hash {
            session.tell_ciphertext(sealed.key.id, &sha256)?;
        }

        let key = &sealed.key;
        let answer = json!({
            "key_id": key.id,
            "output": shown(&output),
            "bytes": plaintext.len(),
            "recipients": key.recipients,
            "leaf": sealed.leaf,
        });
        let text = || format!("{} is sealed under key {}.", shown(&output), key.id);
        tell(context, &output, &answer, text)
    }
}

impl Open {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let output = match self.output {
            Some(output) => output,
            None if is_stream(&self.file) => PathBuf::from("-"),
            None => without_ending(&self.file)?,
        };
        check_output(context, &output)?;
        let bytes = read(&self.file, envelope::MAX_ENVELOPE_LEN)?;
        let mut target = Target::new(&output, self.force, NewFile::private)?;
        let session = context.session()?;
        let opened = session.open_message(&bytes)?;
        write(&mut target, &opened.plaintext, &output)?;
        target.complete(&output)?;

        let header = &opened.header;
        let answer = json!({
            "key_id": header.key,
            "version": header.key_version,
            "output": shown(&output),
            "bytes": opened.plaintext.len(),
            "content_type": header.content_type,
            "sender": header.sender,
            "recipients": header.recipients,
            "time": header.time,
            "leaf": opened.leaf,
        });
        let text = || {
            let bytes = u64::try_from(opened.plaintext.len()).unwrap_or(u64::MAX);
            format!("{} is opened: {}.", shown(&output), size(bytes))
        };
        tell(context, &output, &answer, text)
    }
}

/// All of a file or of standard input; one byte more than there may be, so that what is too long is found to be.
fn read(file: &std::path::Path, longest: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (input, _) = open_input(file)?;
    let mut bytes = Zeroizing::new(Vec::new());
    input
        .take(longest as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))?;
    Ok(bytes)
}

fn write(
    target: &mut impl io::Write,
    bytes: &[u8],
    output: &std::path::Path,
) -> Result<(), Failure> {
    target.write_all(bytes).map_err(|error| {
        if is_stream(output) {
            output_failure(&error)
        } else {
            cannot_write(output, &error)
        }
    })
}
