//! What an operator does at the command line: one file a subcommand.

pub(crate) mod audit_scrub;
pub(crate) mod audit_verify;
pub(crate) mod backup;
mod backup_file;
pub(crate) mod ceremony;
pub(crate) mod certificate;
pub(crate) mod connections;
pub(crate) mod domain;
mod hsm_arguments;
pub(crate) mod hsm_check;
pub(crate) mod init;
pub(crate) mod issue;
pub(crate) mod openapi;
mod pin_prompt;
mod progress;
pub(crate) mod record_reset;
pub(crate) mod restore;
pub(crate) mod seal;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod unseal;

use std::io::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;
use strongroom_hsm::Hsm;

use crate::config;
use crate::control::PinText;
use crate::estate::Estate;
use pin_prompt::Prompt;

/// The HSM that the configuration names, or its replica where that one cannot be opened. A PIN is asked for where the configuration
/// says so.
fn open_hsm(hsm: &config::Hsm) -> anyhow::Result<Arc<dyn Hsm>> {
    let mut prompt = Prompt::default();
    Estate::new(hsm)?.open(|member| Ok(PinText::new(&prompt.ask(member)?).read()?))
}

/// Writes to standard output. That its reader went away (as `head` does) is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes `value` to standard output as one line of JSON.
fn print_json(value: &impl Serialize) -> io::Result<()> {
    print(&(serde_json::to_string(value)? + "\n"))
}
