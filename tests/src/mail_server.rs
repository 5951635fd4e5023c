//! A mail server of one's own: aiosmtpd, with what a system has as sendmail in front of it.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::identity_provider::PYTHON;

/// The server, and its program that submits to it.
const PROGRAM: &str = include_str!("mail_server.py");

/// A mail server that keeps what it is handed. Dropping it stops it and removes all that it left.
pub struct MailServer {
    folder: TempDir,
    process: Child,
}

impl MailServer {
    /// A server with no mail.
    #[must_use]
    pub fn start() -> Self {
        let python = env::var(PYTHON).unwrap_or_else(|_| {
            panic!("{PYTHON} does not say which Python has aiosmtpd: run `cargo xtask test`")
        });
        let folder = tempfile::Builder::new()
            .prefix("strongroom-mail-")
            .tempdir()
            .unwrap();
        let program = folder.path().join("mail_server.py");
        fs::write(&program, PROGRAM).unwrap();
        let boxes = folder.path().join("boxes");
        fs::create_dir(&boxes).unwrap();
        let mut process = Command::new(&python)
            .arg(&program)
            .arg("serve")
            .arg(&boxes)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let port: u16 = port.trim().parse().expect("the mail server says its port");
        let script = format!(
            "#!/bin/sh\nexec '{python}' '{}' sendmail {port} \"$@\"\n",
            program.display()
        );
        make_program(&folder.path().join("sendmail"), &script);
        Self { folder, process }
    }

    /// What stands at the place of `/usr/sbin/sendmail`.
    #[must_use]
    pub fn sendmail(&self) -> PathBuf {
        self.folder.path().join("sendmail")
    }

    /// The messages to this address, in the order they came.
    #[must_use]
    pub fn messages_to(&self, address: &str) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("boxes").join(address)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().map(|name| fs::read(name).unwrap()).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A process of its own writes it: a program that this one has open for writing, as any fork of another test's thread has for a moment, cannot
/// be executed.
fn make_program(path: &Path, text: &str) {
    let write = r#"printf '%s' "$1" >"$0" && chmod 700 "$0""#;
    let status = Command::new("sh")
        .args(["-c", write])
        .arg(path)
        .arg(text)
        .status();
    assert!(status.unwrap().success());
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o700
    );
}
