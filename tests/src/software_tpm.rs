//! The TPM of an appliance's machine, in software, and the image's unit that has it attest.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::programs;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A blank TPM. Dropping it takes it away.
pub struct SoftwareTpm {
    folder: TempDir,
    process: Child,
}

impl SoftwareTpm {
    /// A new one, of which there is no other.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-tpm-")
            .tempdir()
            .unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", path(""))])
            .args(["--server", &format!("type=unixio,path={}", path("tpm"))])
            .args(["--ctrl", &format!("type=unixio,path={}", path("control"))])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm is not installed: install the package swtpm");
        let tpm = Self { folder, process };
        drop(tpm.connect());
        tpm
    }

    /// As systemd does for the image's unit: answers whoever connects to this socket by `strongroom-setup quote`, for as long as the test runs.
    pub fn attest_at(&self, socket: &Path) {
        let listener = UnixListener::bind(socket).unwrap();
        let tpm = self.socket();
        thread::spawn(move || {
            for asked in listener.incoming() {
                let asked = OwnedFd::from(asked.unwrap());
                let answer = asked.try_clone().unwrap();
                // It says in its answer what is wrong.
                let _ = Command::new(programs::program("strongroom-setup"))
                    .arg("quote")
                    .arg(&tpm)
                    .stdin(asked)
                    .stdout(answer)
                    .stderr(Stdio::null())
                    .status()
                    .unwrap();
            }
        });
    }

    /// Measures a SHA-256 hash into a register (`TPM2_PCR_Extend`; TCG TPM 2.0 Library, Part 3).
    pub fn measure(&self, register: u8, sha256: [u8; 32]) {
        let mut command = vec![0x80, 0x02, 0, 0, 0, 65, 0, 0, 0x01, 0x82, 0, 0, 0, register];
        // An empty password, then one hash, by SHA-256.
        command.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0]);
        command.extend([0, 0, 0, 1, 0, 0x0b]);
        command.extend(sha256);
        let mut tpm = self.connect();
        tpm.write_all(&command).unwrap();
        let mut head = [0; 10];
        tpm.read_exact(&mut head).unwrap();
        assert_eq!(head[6..], [0; 4], "a response code");
        let mut rest = vec![0; usize::from(head[5]) - 10];
        tpm.read_exact(&mut rest).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("tpm")
    }

    /// It takes one connection at a time.
    fn connect(&self) -> UnixStream {
        let began = Instant::now();
        loop {
            if let Ok(stream) = UnixStream::connect(self.socket()) {
                return stream;
            }
            assert!(began.elapsed() < PATIENCE, "swtpm does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
