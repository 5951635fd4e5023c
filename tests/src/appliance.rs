//! A real appliance of one's own: `strongroomd` as a child process, on a `SoftHSM` token in its own temporary folder.

mod asking;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;
use strongroom_wire::health::State;
use tempfile::TempDir;

use crate::accounts::ADMINISTRATOR;
use crate::folders::{copy_folder, make_folder, read_text};
use crate::programs;

/// How long an appliance may take to serve or to stop, before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// An initialised appliance, running or not. Dropping it kills it and removes all that it left.
pub struct Appliance {
    folder: TempDir,
    process: Option<Child>,
    addresses: Option<Addresses>,
    environment: Vec<(String, String)>,
    /// What `serve` takes beside its addresses.
    arguments: Vec<OsString>,
    code: String,
    /// Makes the passwords of this appliance's people different from all others.
    pub(crate) salt: String,
}

/// How an appliance ended that should have served.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to standard error since it was started.
    pub log: String,
}

/// What `addresses.json` says.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Addresses {
    client: SocketAddr,
    admin: SocketAddr,
}

impl Appliance {
    /// A new appliance that serves.
    #[must_use]
    pub fn start() -> Self {
        let mut appliance = Self::new();
        appliance.serve();
        appliance
    }

    /// A new appliance with these settings, as TOML, that serves.
    pub fn start_with(settings: &str) -> Self {
        let mut appliance = Self::new();
        appliance.configure(settings);
        appliance.serve();
        appliance
    }

    /// A new appliance: initialised, not yet serving.
    #[must_use]
    pub fn new() -> Self {
        let mut appliance = Self::blank();
        let module = programs::softhsm();
        appliance.initialise(&[
            "--module",
            module.to_str().expect("its path is text"),
            "--initialise-token",
        ]);
        appliance
    }

    /// Initialises an appliance in a blank folder, with the HSM that these arguments of `init` name.
    pub fn initialise(&mut self, hsm: &[&str]) {
        let output = self.init_with(hsm).output().expect("strongroomd starts");
        assert!(
            output.status.success(),
            "init failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let made: Value = serde_json::from_slice(&output.stdout).expect("init answers JSON");
        assert_eq!(made["administrator"], ADMINISTRATOR);
        made["enrolment_code"]
            .as_str()
            .expect("init tells the enrolment code")
            .clone_into(&mut self.code);
    }

    /// A folder with an empty `SoftHSM`, and no appliance in it yet.
    #[must_use]
    pub fn blank() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-test-")
            .tempdir()
            .expect("there is a temporary folder");
        let appliance = Self {
            folder,
            process: None,
            addresses: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            code: String::new(),
            salt: crate::new_password("of"),
        };
        make_folder(&appliance.data());
        make_folder(&appliance.data().join("tokens"));
        appliance.configure_softhsm();
        appliance
    }

    /// Tells the first administrator's code, for an appliance that another command than `init` made.
    pub fn know_code(&mut self, code: &str) {
        code.clone_into(&mut self.code);
    }

    /// Another machine with nothing on it but an empty `SoftHSM`, which is to take this appliance's place: at its addresses, for its people.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        let mut other = Self::blank();
        other.code.clone_from(&self.code);
        other.salt.clone_from(&self.salt);
        other.addresses = self.addresses;
        other
    }

    /// `strongroomd` with this appliance's configuration, ready for a subcommand.
    #[must_use]
    pub fn strongroomd(&self) -> Command {
        let mut command = self.program();
        command.arg("--config").arg(self.config());
        command
    }

    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(programs::strongroomd());
        command
            .env_remove("STRONGROOM_CONFIG")
            .env("SOFTHSM2_CONF", self.data().join("softhsm2.conf"))
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Adds settings to the configuration, as TOML.
    pub fn configure(&self, settings: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), format!("{text}\n{settings}\n")).unwrap();
    }

    /// Sets a variable in the environment of the programs to come.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Has `serve` started with these from now on.
    pub fn set_arguments(&mut self, arguments: &[OsString]) {
        self.arguments = arguments.to_vec();
    }

    /// Starts to serve and waits until it does. Once it has served, it comes back at the same addresses.
    pub fn serve(&mut self) {
        let started = Instant::now();
        loop {
            let Err(ended) = self.try_serve() else {
                return;
            };
            // Somebody's outgoing connection may have our port for a moment.
            let taken = self.addresses.is_some() && ended.log.contains("cannot listen");
            assert!(
                taken && started.elapsed() < PATIENCE,
                "the appliance does not serve ({}): {}",
                ended.status,
                ended.log
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts to serve and waits until it does, its HSM being open, or has ended.
    ///
    /// # Errors
    ///
    /// [`Ended`] when it ended.
    pub fn try_serve(&mut self) -> Result<(), Ended> {
        let said_before = self.log().len();
        self.listen()?;
        let (api, started) = (self.api(), Instant::now());
        loop {
            if let Ok(health) = api.health()
                && health.state == State::Serving
            {
                return Ok(());
            }
            let process = self.process.as_mut().expect("it was started");
            if let Some(status) = process.try_wait().unwrap() {
                self.process = None;
                let log = self.log().split_off(said_before);
                return Err(Ended { status, log });
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the appliance neither serves nor ends: {}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it and waits until it listens, sealed or not, or has ended.
    ///
    /// # Errors
    ///
    /// [`Ended`] when it ended.
    pub fn listen(&mut self) -> Result<(), Ended> {
        assert!(self.process.is_none(), "the appliance is running already");
        let published = self.data().join("addresses.json");
        fs::remove_file(&published).ok();
        let said_before = self.log().len();
        let mut serve = self.strongroomd();
        serve.arg("serve").args(&self.arguments);
        if let Some(Addresses { client, admin }) = self.addresses {
            serve.args(["--client-listen", &client.to_string()]);
            serve.args(["--admin-listen", &admin.to_string()]);
        }
        // A process group of its own: Ctrl-C at the terminal ends the test, which ends the appliance.
        serve
            .process_group(0)
            .stdout(self.output("stdout"))
            .stderr(self.output("log"));
        let mut child = serve.spawn().expect("strongroomd starts");
        let started = Instant::now();
        loop {
            // Asked first: it may serve and end between two questions.
            let ended = child.try_wait().unwrap();
            if let Ok(text) = fs::read(&published) {
                self.addresses = Some(serde_json::from_slice(&text).unwrap());
                self.process = Some(child);
                return Ok(());
            }
            if let Some(status) = ended {
                let log = self.log().split_off(said_before);
                return Err(Ended { status, log });
            }
            if started.elapsed() > PATIENCE {
                child.kill().ok();
                child.wait().ok();
                panic!("the appliance neither listens nor ends: {}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks the appliance to stop (SIGTERM) and waits until it has, well.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "stopped with {status}: {}", self.log());
    }

    /// Kills the appliance (SIGKILL), as a power failure would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Stops the appliance and starts it again at the same addresses.
    pub fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("the appliance is running");
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if started.elapsed() > PATIENCE {
                child.kill().ok();
                child.wait().ok();
                panic!("the appliance does not end: {}", self.log());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("the appliance is running"))
    }

    /// Another appliance with the same state, not running. This one must not be running either.
    #[must_use]
    pub fn copy(&self) -> Self {
        assert!(self.process.is_none(), "the appliance is running");
        let mut copy = Self::blank();
        copy.code.clone_from(&self.code);
        copy.salt.clone_from(&self.salt);
        copy.environment.clone_from(&self.environment);
        copy.arguments.clone_from(&self.arguments);
        copy_folder(&self.data(), &copy.data());
        copy.configure_softhsm();
        copy
    }

    /// The database, to look into and to edit. References between tables are not enforced on this connection: whoever edits a
    /// database for an attack would not have them enforced either.
    #[must_use]
    pub fn database(&self) -> Connection {
        let database = Connection::open(self.data().join("strongroom.db")).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        database.pragma_update(None, "foreign_keys", false).unwrap();
        database
    }

    /// The client listener's URL.
    #[must_use]
    pub fn client_url(&self) -> String {
        format!("https://{}", self.api().client)
    }

    /// The administration listener's URL.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("https://{}", self.api().admin)
    }

    /// The one-time code with which the first administrator enrols.
    #[must_use]
    pub fn administrator_code(&self) -> &str {
        &self.code
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.data().join("strongroom.toml")
    }

    /// The certificate authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.data().join("tls/ca.pem")
    }

    /// All that it has written to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        read_text(&self.folder.path().join("log"))
    }

    /// All that it has written to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        read_text(&self.folder.path().join("stdout"))
    }

    fn output(&self, name: &str) -> File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.folder.path().join(name))
            .unwrap()
    }

    fn configure_softhsm(&self) {
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            self.data().join("tokens").display()
        );
        fs::write(self.data().join("softhsm2.conf"), settings).unwrap();
    }
}

impl Default for Appliance {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().ok();
            child.wait().ok();
        }
        if thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(4000);
            let tail = String::from_utf8_lossy(&log.as_bytes()[from..]);
            // For whoever looks into why the test failed; there is nobody else to tell.
            std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("the appliance's last words:\n{tail}\n").as_bytes(),
            )
            .ok();
        }
    }
}
