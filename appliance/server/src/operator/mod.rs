//! What an operator does at the command line: one file a subcommand.

pub(crate) mod audit_verify;
mod background;
pub(crate) mod backup;
pub(crate) mod init;
pub(crate) mod issue;
pub(crate) mod openapi;
mod progress;
pub(crate) mod restore;
pub(crate) mod serve;

use std::io::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;
use strongroom_hsm::Hsm;
use strongroom_hsm::pkcs11::{Pin, Pkcs11Config, Pkcs11Hsm};

use crate::config::{self, Config};

/// The HSM that the configuration names.
fn open_hsm(config: &Config) -> anyhow::Result<Arc<dyn Hsm>> {
    let config::Hsm {
        module,
        token_label,
        pin_file,
        sessions,
    } = &config.hsm;
    Ok(Arc::new(Pkcs11Hsm::open(Pkcs11Config {
        module: module.clone(),
        token_label: token_label.clone(),
        pin: Pin::from_file(pin_file)?,
        max_sessions: sessions.get(),
    })?))
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
