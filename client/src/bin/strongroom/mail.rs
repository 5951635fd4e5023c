//! `mail`: messages sealed for their addressees, and opened; a filter for mail programs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::disclosure;
use strongroom_client::file::NewFile;
use strongroom_client::mail::{self, Mail, MailError, OpenedMail, SealedMail, Sealing};
use strongroom_client::message::MAX_PLAINTEXT_LEN;
use strongroom_client::objects::Objects as _;
use strongroom_client::{ClientError, Session};
use strongroom_wire::problem::Code;
use zeroize::Zeroizing;

use crate::Context;
use crate::disclosure::read_disclosed;
use crate::failure::Failure;
use crate::objects::{Target, check_output, is_stream, open_input, shown};
use crate::output::{complain, plain};
use crate::policy::Policy;

/// The longest message that is read, in bytes: a sealed one of the longest, in base64.
const LONGEST: u64 = 2 * MAX_PLAINTEXT_LEN as u64;

/// `strongroom mail`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Seal a message for exactly its addressees; those in Bcc get a message of their own each.
    Protect(Protect),
    /// Open a sealed message, and say who sealed it.
    Open(Open),
    /// Seal a message and hand it to the mail system, in place of sendmail.
    Send(Send),
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Protect(protect) => protect.run(context),
            Self::Open(open) => open.run(context),
            Self::Send(send) => send.run(context),
        }
    }
}

/// How a message is sealed.
#[derive(Args, Debug)]
struct How {
    /// The account of an address that is not called as its account is; may be given several times.
    #[arg(long = "account", value_name = "ADDRESS=NAME", value_parser = account)]
    accounts: Vec<(String, String)>,
    /// Invite addressees who have no account: they get a code by mail, with which they can enrol and open the message.
    #[arg(long)]
    invite: bool,
    #[command(flatten)]
    policy: Policy,
    /// Tell the appliance the SHA-256 of what is sealed in each message, so that a delivery under an order can say which one a disclosed key opens.
    #[arg(long)]
    tell_hash: bool,
}

/// `strongroom mail protect`.
#[derive(Args, Debug)]
pub(crate) struct Protect {
    /// The message.
    #[arg(default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// Where to write the sealed message for those in To and Cc [default: standard output].
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    output: PathBuf,
    /// The folder for the sealed messages of those in Bcc, one file each, named after the address. It is made if it is not there.
    #[arg(long, value_name = "DIR")]
    bcc_to: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

/// `strongroom mail open`.
#[derive(Args, Debug)]
pub(crate) struct Open {
    /// The sealed message, or its sealed part alone.
    #[arg(default_value = "-", hide_default_value = true)]
    file: PathBuf,
    /// Where to write the message [default: standard output].
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    output: PathBuf,
    /// Open it with a disclosed key, as `disclosure open` wrote it, in place of an account.
    #[arg(long, value_name = "FILE", conflicts_with = "pass")]
    disclosed: Option<PathBuf>,
    /// Let a message in which nothing is sealed through as it is, and say so.
    #[arg(long)]
    pass: bool,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

/// `strongroom mail send`: the message comes on standard input, and the options are those of sendmail.
#[derive(Args, Debug)]
pub(crate) struct Send {
    /// Whom it is for. Whoever does not stand in To or Cc is treated as one in Bcc.
    recipients: Vec<String>,
    /// Send it to those in its To, Cc and Bcc, too.
    #[arg(short = 't')]
    to_all: bool,
    /// The sender of the SMTP envelope [default: the address in From].
    #[arg(short = 'f', value_name = "ADDRESS")]
    from: Option<String>,
    /// The mail system's program, called with the options -i and -f and the addresses for each sealed message.
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/sbin/sendmail")]
    sendmail: PathBuf,
    /// Taken, and of no effect: a dot ends no message.
    #[arg(short = 'i', hide = true)]
    dots: bool,
    /// Taken, and of no effect.
    #[arg(short = 'o', hide = true)]
    options: Vec<String>,
    #[command(flatten)]
    how: How,
}

impl Protect {
    fn run(self, context: &Context) -> Result<(), Failure> {
        check_output(context, &self.output)?;
        let mail = Mail::parse(&read(&self.file)?).map_err(ClientError::from)?;
        if !mail.hidden().is_empty() && self.bcc_to.is_none() {
            return Err(Failure::Usage(
                "those in Bcc get messages of their own: name a folder for them with --bcc-to, or use strongroom mail send"
                    .to_owned(),
            ));
        }
        // What cannot be written is found before anything is sealed.
        let mut targets = self.targets(&mail)?.into_iter();
        let session = context.session()?;
        let sealed = self.how.seal(&session, &mail)?;
        let mut outputs = Vec::new();
        for (sealed, (output, mut target)) in sealed.iter().zip(&mut targets) {
            target.write_all(&sealed.bytes).map_err(|error| {
                Failure::local(format!("{} cannot be written", output.display()), &error)
            })?;
            target.complete(&output)?;
            outputs.push(
                json!({ "to": sealed.to, "key_id": sealed.key.id, "output": shown(&output) }),
            );
        }
        if is_stream(&self.output) {
            return Ok(());
        }
        context
            .output
            .answer(&json!({ "messages": outputs }), || summary(&sealed))
    }

    /// Where the messages go, in their order: one for those in To and Cc, if there are any, and one for each in Bcc.
    fn targets(&self, mail: &Mail) -> Result<Vec<(PathBuf, Target)>, Failure> {
        let mut outputs = Vec::new();
        if !mail.visible().is_empty() {
            outputs.push(self.output.clone());
        }
        if let Some(folder) = self.bcc_to.as_ref().filter(|_| !mail.hidden().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| {
                Failure::local(
                    format!("the folder {} cannot be made", folder.display()),
                    &error,
                )
            })?;
            let names = mail.hidden().iter();
            outputs.extend(names.map(|address| folder.join(file_name(address))));
        }
        let targets = outputs.into_iter().map(|output| {
            let target = Target::new(&output, self.force, NewFile::shared)?;
            Ok((output, target))
        });
        targets.collect()
    }
}

impl Open {
    fn run(self, context: &Context) -> Result<(), Failure> {
        check_output(context, &self.output)?;
        let message = read(&self.file)?;
        if let Some(disclosed) = &self.disclosed {
            return self.run_disclosed(context, disclosed, &message);
        }
        // What cannot be written is found before the key is released, which policies may count.
        let target = Target::new(&self.output, self.force, NewFile::private)?;
        let opened = match context
            .session()
            .and_then(|session| Ok(mail::open(&session, &message)?))
        {
            Err(Failure::Client(ClientError::Mail(MailError::NotSealed))) if self.pass => {
                complain("strongroom: this message was not sealed");
                return self.write(target, &message);
            }
            opened => opened?,
        };
        self.write(target, &opened.bytes)?;
        let sentence = sealer(&opened);
        if is_stream(&self.output) {
            complain(&format!("strongroom: {sentence}"));
            return Ok(());
        }
        let header = &opened.header;
        let answer = json!({
            "output": shown(&self.output),
            "key_id": header.key,
            "sealed_by": opened.sealer,
            "sealed_at": header.time,
            "recipients": header.recipients,
            "from": opened.from(),
            "from_its_sealer": opened.is_from_its_sealer(),
            "leaf": opened.leaf,
        });
        context.output.answer(&answer, || sentence)
    }

    fn run_disclosed(
        &self,
        context: &Context,
        disclosed: &Path,
        message: &[u8],
    ) -> Result<(), Failure> {
        let target = Target::new(&self.output, self.force, NewFile::private)?;
        let key = read_disclosed(disclosed)?;
        let opened = disclosure::open_mail(&key, message)?;
        self.write(target, &opened.plaintext)?;
        let header = &opened.header;
        if is_stream(&self.output) {
            complain(&format!("strongroom: sealed at {}", header.time));
            return Ok(());
        }
        let answer = json!({
            "output": shown(&self.output),
            "key_id": header.key,
            "sealed_at": header.time,
            "recipients": header.recipients,
        });
        context
            .output
            .answer(&answer, || format!("sealed at {}", header.time))
    }

    fn write(&self, mut target: Target, bytes: &[u8]) -> Result<(), Failure> {
        target.write_all(bytes).map_err(|error| {
            Failure::local(
                format!("{} cannot be written", self.output.display()),
                &error,
            )
        })?;
        target.complete(&self.output)
    }
}

impl Send {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let mail = Mail::parse(&read(Path::new("-"))?).map_err(ClientError::from)?;
        let mail = if self.to_all {
            mail.and_for(&self.recipients)
        } else {
            mail.only_for(&self.recipients)
        };
        let mail = mail.map_err(ClientError::from)?;
        let session = context.session()?;
        let sealed = self.how.seal(&session, &mail)?;
        let from = self.from.as_deref().unwrap_or(mail.from());
        for (index, message) in sealed.iter().enumerate() {
            hand_over(&self.sendmail, from, message).map_err(|reason| {
                let missing: Vec<_> = sealed[index..]
                    .iter()
                    .flat_map(|sealed| sealed.to.clone())
                    .collect();
                Failure::Failed(format!(
                    "{reason}: nothing was sent to {}",
                    missing.join(", ")
                ))
            })?;
        }
        if context.output.is_json() {
            let messages: Vec<Value> = sealed
                .iter()
                .map(|sealed| json!({ "to": sealed.to, "key_id": sealed.key.id }))
                .collect();
            return context
                .output
                .answer(&json!({ "messages": messages }), String::new);
        }
        // Mail programs take what sendmail says for a complaint.
        Ok(())
    }
}

impl How {
    /// Seals it for each party, and tells the appliance what came of it if that is wanted: before anything goes out.
    fn seal(self, session: &Session, mail: &Mail) -> Result<Vec<SealedMail>, Failure> {
        let tell_hash = self.tell_hash;
        let sealed = self.seal_for_known(session, mail)?;
        for message in sealed.iter().filter(|_| tell_hash) {
            // What is around the envelope may change on its way.
            let envelope = mail::sealed_part(&message.bytes).map_err(ClientError::from)?;
            session.tell_ciphertext(message.key.id, &strongroom_approval::sha256(&envelope))?;
        }
        Ok(sealed)
    }

    fn seal_for_known(self, session: &Session, mail: &Mail) -> Result<Vec<SealedMail>, Failure> {
        let accounts: BTreeMap<_, _> = self.accounts.into_iter().collect();
        let mut sealing = Sealing {
            policy: self.policy.into_wire(),
            ..Sealing::default()
        };
        for (address, account) in &accounts {
            sealing = sealing.with_account(address, account);
        }
        let mut names: Vec<_> = mail.visible().iter().chain(mail.hidden()).collect();
        loop {
            let problem = match mail.seal(session, &sealing) {
                Err(ClientError::Refused(problem))
                    if self.invite && problem.code == Code::AccountNotFound =>
                {
                    problem
                }
                sealed => return Ok(sealed?),
            };
            // The appliance says whom it does not know. Each is invited once.
            let unknown = names.iter().position(|address| {
                let account = sealing.account(address);
                let mut words = problem.detail.split_whitespace();
                words.any(|word| word.trim_matches(['"', '.']) == account)
            });
            let Some(unknown) = unknown else {
                return Err(ClientError::Refused(problem).into());
            };
            let address = names.swap_remove(unknown);
            let invited = session.invite(&sealing.account(address))?;
            complain(&format!(
                "strongroom: {} is invited by mail; the code is good until {}",
                plain(&invited.name),
                invited.expires
            ));
        }
    }
}

/// Hands one message to the mail system, for its addressees alone.
fn hand_over(sendmail: &Path, from: &str, message: &SealedMail) -> Result<(), String> {
    let failed = |error: io::Error| format!("{} cannot be run: {error}", sendmail.display());
    let mut program = Process::new(sendmail)
        .args(["-i", "-f", from, "--"])
        .args(&message.to)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    // Where it stops reading, its status says why.
    let written = program
        .stdin
        .take()
        .map(|mut input| input.write_all(&message.bytes));
    let status = program.wait().map_err(failed)?;
    match written {
        _ if !status.success() => Err(format!("{} failed ({status})", sendmail.display())),
        Some(Err(error)) => Err(format!(
            "{} did not take the message: {error}",
            sendmail.display()
        )),
        _ => Ok(()),
    }
}

/// The message, whole.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (input, _) = open_input(file)?;
    let mut message = Zeroizing::new(Vec::new());
    input
        .take(LONGEST + 1)
        .read_to_end(&mut message)
        .map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))?;
    if message.len() as u64 > LONGEST {
        return Err(ClientError::from(strongroom_client::message::MessageError::TooLong).into());
    }
    Ok(message)
}

fn sealer(opened: &OpenedMail) -> String {
    let sealed = format!(
        "sealed by {} at {}",
        plain(&opened.sealer),
        opened.header.time
    );
    match opened.from() {
        _ if opened.is_from_its_sealer() => sealed,
        Some(from) => format!("{sealed}; NOT by {}, from whom it says it is", plain(from)),
        None => format!("{sealed}; it does not say from whom it is"),
    }
}

fn summary(sealed: &[SealedMail]) -> String {
    let lines = sealed.iter().map(|sealed| {
        format!(
            "Sealed for {} under key {}.\n",
            plain(&sealed.to.join(", ")),
            sealed.key.id
        )
    });
    lines.collect()
}

/// An address as a file's name.
fn file_name(address: &str) -> String {
    let mut name = String::new();
    for byte in address.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'@' | b'.' | b'-' | b'_' | b'+' => {
                name.push(char::from(byte));
            }
            other => {
                name.push('%');
                name.push_str(&hex::encode_upper([other]));
            }
        }
    }
    name + ".eml"
}

fn account(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((address, name)) if address.contains('@') && !name.is_empty() => {
            Ok((address.to_owned(), name.to_owned()))
        }
        _ => Err("an account is given as ADDRESS=NAME".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_address_names_one_file_in_its_folder() {
        assert_eq!(file_name("Bob.B+x@example.com"), "Bob.B+x@example.com.eml");
        assert_eq!(
            file_name("a/../b@example.com"),
            "a%2F..%2Fb@example.com.eml"
        );
        assert_eq!(file_name("a%2Fb@example.com"), "a%252Fb@example.com.eml");
    }

    #[test]
    fn accounts_are_given_by_address() {
        assert_eq!(
            account("bob@example.com=bob").unwrap(),
            ("bob@example.com".to_owned(), "bob".to_owned())
        );
        for text in ["bob", "bob=bob", "bob@example.com", "bob@example.com="] {
            assert!(account(text).is_err(), "{text}");
        }
    }
}
