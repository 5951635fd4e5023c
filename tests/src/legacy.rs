//! A machine on which legacy applications run: the PKCS#11 module, its configuration, and a service account's secret.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use strongroom_session::AccountSecret;
use strongroom_wire::account::AccountKind;
use strongroom_wire::device::IssuedSecret;
use tempfile::TempDir;

use crate::device::Device;
use crate::{Appliance, Session, programs};

/// A machine with one token: what its service account sees.
pub struct Machine {
    folder: TempDir,
    /// The service account.
    pub service: Device,
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// What was run, for messages.
    pub command: String,
    /// Whether it ended well.
    pub success: bool,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard output and then standard error, as text.
    pub text: String,
}

/// Who gives the account's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignsIn {
    /// The application, as its PIN.
    ByPin,
    /// The configuration: nobody is asked for a PIN.
    ByItself,
}

impl Machine {
    /// A machine for a new service account of an appliance.
    #[must_use]
    pub fn new(appliance: &Appliance, admin: &mut Session, name: &str, signs_in: SignsIn) -> Self {
        let service = service(admin, name);
        Self::of(&[appliance.client_url()], appliance, service, signs_in)
    }

    /// A machine for a service account, which reaches its appliance at these addresses.
    #[must_use]
    pub fn of(
        addresses: &[String],
        appliance: &Appliance,
        service: Device,
        signs_in: SignsIn,
    ) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-machine-")
            .tempdir()
            .unwrap();
        fs::copy(appliance.ca(), folder.path().join("appliance.pem")).unwrap();
        let machine = Self { folder, service };
        fs::write(machine.file("pin"), &*machine.pin()).unwrap();
        // Strings of JSON are strings of TOML.
        let path = |name: &str| json!(machine.file(name)).to_string();
        let secret = match signs_in {
            SignsIn::ByPin => String::new(),
            SignsIn::ByItself => format!("secret = {}\n", path("pin")),
        };
        let configuration = format!(
            "[[token]]\nlabel = \"strongroom\"\naddresses = {}\nroots = {}\naccount = \"{}\"\n{secret}[log]\nfile = {}\nlevel = \"debug\"\n",
            json!(addresses),
            path("appliance.pem"),
            machine.service.account,
            path("pkcs11.log"),
        );
        fs::write(machine.file("pkcs11.toml"), configuration).unwrap();
        machine
    }

    /// The account's secret as text.
    #[must_use]
    pub fn pin(&self) -> String {
        self.service.secret.to_text().to_string()
    }

    /// The folder in which programs run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the machine.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the module has written into its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("pkcs11.log")).unwrap_or_default()
    }

    /// A program on this machine, to be run in its folder.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.file(".config"))
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("STRONGROOM_PKCS11_CONFIG", self.file("pkcs11.toml"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a program, which need not succeed.
    #[must_use]
    pub fn run(&self, program: &str, words: &[&str]) -> Said {
        said(self.command(program).args(words))
    }

    /// Runs a program, which must succeed.
    pub fn does(&self, program: &str, words: &[&str]) -> Said {
        let said = self.run(program, words);
        assert!(
            said.success,
            "{}\n{}\n{}",
            said.command,
            said.text,
            self.log()
        );
        said
    }

    /// Starts a program that goes on until it is dropped.
    #[must_use]
    pub fn starts(&self, command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }
}

/// A program that is asked to end when it is dropped, and killed where it does not.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The PKCS#11 module.
#[must_use]
pub fn module() -> String {
    let path = programs::library("libstrongroom_pkcs11.so");
    path.to_str().unwrap().to_owned()
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    let name = format!("{command:?}");
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Said {
        command: name,
        success: status.success(),
        text: String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr),
        out: stdout,
    }
}

/// Makes a service account with a secret.
#[must_use]
pub fn service(admin: &mut Session, name: &str) -> Device {
    let created = admin.create_account(name, AccountKind::Service, &[], None);
    let account = created.unwrap().account.id;
    let path = format!("/v1/accounts/{account}/secret");
    let issued: IssuedSecret = admin.ask("POST", &path, &json!({})).unwrap();
    let secret: AccountSecret = admin
        .transport()
        .unwrap_secret(issued.account, issued.generation, &issued.wrapped.0)
        .unwrap();
    Device { account, secret }
}
