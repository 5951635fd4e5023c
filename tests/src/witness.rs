//! A witness of one's own: `strongroom-witness` as a child process, in its own temporary folder, on a free port.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::folders::read_text;
use crate::programs;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A witness, running or not. Dropping it stops it and removes all that it left.
pub struct Witness {
    folder: TempDir,
    port: u16,
    key: String,
    process: Option<Child>,
}

impl Witness {
    /// A new witness of this name, not running, of the logs with these verifier keys.
    pub fn of(name: &str, verifier_keys: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-witness-")
            .tempdir()
            .unwrap();
        // Free now; whoever takes it meanwhile makes the witness say that it cannot listen.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut witness = Self {
            folder,
            port,
            key: String::new(),
            process: None,
        };
        let made = witness.program().args(["init", name]).output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let key = String::from_utf8(made.stdout).unwrap();
        key.trim().clone_into(&mut witness.key);
        let mut config = format!("listen = \"127.0.0.1:{port}\"\n");
        for key in verifier_keys {
            writeln!(config, "[[log]]\nverifier_keys = [\"{key}\"]").unwrap();
        }
        fs::write(witness.file("witness.toml"), config).unwrap();
        witness
    }

    /// Runs it, and waits until it listens.
    pub fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .unwrap();
        let child = self.program().arg("serve").stderr(log).spawn().unwrap();
        self.process = Some(child);
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the witness is running");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Adds to its configuration.
    pub fn configure(&self, more: &str) {
        let mut config = fs::File::options()
            .append(true)
            .open(self.file("witness.toml"))
            .unwrap();
        writeln!(config, "{more}").unwrap();
    }

    /// Kills it, as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Its verifier key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The setting by which an appliance knows it.
    pub fn setting(&self) -> String {
        format!(
            "[[witness]]\nurl = \"http://127.0.0.1:{}\"\nverifier_key = \"{}\"",
            self.port, self.key
        )
    }

    /// `strongroom-witness` with its configuration, ready for a subcommand.
    pub fn program(&self) -> Command {
        let mut command = Command::new(programs::program("strongroom-witness"));
        command
            .arg("--config")
            .arg(self.file("witness.toml"))
            .env_remove("STRONGROOM_WITNESS_CONFIG")
            .stdin(Stdio::null());
        command
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it said.
    pub fn log(&self) -> String {
        read_text(&self.file("log"))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.kill();
    }
}
