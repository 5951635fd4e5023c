//! A syslog server of one's own: rsyslog with TLS, on a free port, that writes each message into a file.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::folders::read_text;

const RSYSLOGD: &str = "/usr/sbin/rsyslogd";
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A syslog server, running or not. Dropping it stops it and removes all that it left.
pub struct Syslog {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Syslog {
    /// A server that is not running yet, with an authority of its own.
    ///
    /// # Panics
    ///
    /// When rsyslog is not installed.
    pub fn new() -> Self {
        assert!(
            Path::new(RSYSLOGD).exists(),
            "rsyslog is not installed: run `cargo xtask test`, or install the packages rsyslog and rsyslog-openssl"
        );
        let folder = tempfile::Builder::new()
            .prefix("strongroom-syslog-")
            .tempdir()
            .unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let syslog = Self {
            folder,
            port,
            process: None,
        };
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        fs::write(syslog.ca(), authority.pem()).unwrap();
        fs::write(syslog.file("server.pem"), certificate.pem()).unwrap();
        fs::write(syslog.file("server.key"), key.serialize_pem()).unwrap();
        let config = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="64k"
       DefaultNetstreamDriver="ossl"
       DefaultNetstreamDriverCAFile="{folder}/ca.pem"
       DefaultNetstreamDriverCertFile="{folder}/server.pem"
       DefaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="raw" type="string" string="%rawmsg%\n")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="keep")
ruleset(name="keep") {{ action(type="omfile" file="{folder}/messages" template="raw") }}
"#,
            folder = syslog.folder.path().display(),
        );
        fs::write(syslog.file("rsyslog.conf"), config).unwrap();
        syslog
    }

    /// Runs it, and waits until it listens.
    pub fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .unwrap();
        let child = Command::new(RSYSLOGD)
            .args(["-n", "-f"])
            .arg(self.file("rsyslog.conf"))
            .arg("-i")
            .arg(self.file("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "{}",
                read_text(&self.file("log"))
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Every message that it has written.
    pub fn messages(&self) -> Vec<String> {
        read_text(&self.file("messages"))
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// What it complained of.
    pub fn log(&self) -> String {
        read_text(&self.file("log"))
    }

    /// Its authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The setting by which an appliance feeds it.
    pub fn setting(&self, name: &str, format: &str) -> String {
        format!(
            "[[siem]]\nname = \"{name}\"\naddress = \"127.0.0.1:{}\"\nformat = \"{format}\"\nca = \"{}\"",
            self.port,
            self.ca().display()
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for Syslog {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        self.kill();
    }
}
