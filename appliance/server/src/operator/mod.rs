//! What an operator does at the command line: one file a subcommand.

pub(crate) mod audit_verify;
mod background;
pub(crate) mod init;
pub(crate) mod openapi;
pub(crate) mod serve;

use std::io::{self, Write as _};

use serde::Serialize;

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
