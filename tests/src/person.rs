//! Somebody with a device: the `strongroom` command line with a home folder of its own.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_wire::account::Role;
use tempfile::TempDir;

use crate::accounts::ADMINISTRATOR;
use crate::appliance::Appliance;
use crate::session::Session;
use crate::{programs, scan};

/// How long a command may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// A person with a device. Dropping it signs out and removes the device.
pub struct Person {
    /// The account's name.
    pub name: String,
    folder: TempDir,
    server: String,
    ca: PathBuf,
}

/// How a command came out.
#[derive(Debug)]
pub struct Outcome {
    /// What was typed, for messages.
    pub command: String,
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The most memory it had in use, in KiB, as far as could be seen.
    pub peak_kib: u64,
}

impl Person {
    /// The account's holder on a new device, who reaches the appliance at its client listener.
    #[must_use]
    pub fn new(appliance: &Appliance, name: &str) -> Self {
        Self::at(appliance, name, appliance.client_url())
    }

    /// The first administrator on a new device, who reaches the appliance at its administration listener.
    #[must_use]
    pub fn administrator(appliance: &Appliance) -> Self {
        Self::at(appliance, ADMINISTRATOR, appliance.admin_url())
    }

    /// The account's holder on a new device, who reaches the appliance at its administration listener.
    #[must_use]
    pub fn at_administration(appliance: &Appliance, name: &str) -> Self {
        Self::at(appliance, name, appliance.admin_url())
    }

    /// Somebody with this role and an approval key in `key.pem`, signed in on a new device at the administration listener.
    #[must_use]
    pub fn officer(appliance: &Appliance, admin: &mut Session, name: &str, role: Role) -> Self {
        let session = appliance.person(admin, name);
        let path = format!("/v1/accounts/{}", session.account.id);
        let roles = json!({ "roles": [role.as_str()] });
        let _: Value = admin.ask("PATCH", &path, &roles).unwrap();
        let person = Self::at_administration(appliance, name);
        let _ = person.login().success();
        let _ = person
            .shell("openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null")
            .success();
        let _ = person
            .run(&["approval-keys", "add", "mine", "--key", "key.pem"])
            .success();
        person
    }

    fn at(appliance: &Appliance, name: &str, server: String) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-device-")
            .tempdir()
            .unwrap();
        for inner in ["device", "device/files", "device/tmp", "secret"] {
            fs::create_dir(folder.path().join(inner)).unwrap();
        }
        let person = Self {
            name: name.to_owned(),
            folder,
            server,
            ca: appliance.ca(),
        };
        fs::write(person.password_file(), appliance.password_of(name)).unwrap();
        person
    }

    /// Everything on the device: the home folder, temporary files, the person's own files.
    #[must_use]
    pub fn device(&self) -> PathBuf {
        self.folder.path().join("device")
    }

    /// A file among the person's own, which are in the folder where commands run.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.device().join("files").join(name)
    }

    /// The names of the files among the person's own.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let files = scan::files_below(&self.device().join("files"));
        files
            .iter()
            .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    /// The file with the password; not on the device.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("secret/password")
    }

    /// Runs `strongroom enrol` with this code.
    #[must_use]
    pub fn enrol(&self, code: &str) -> Outcome {
        self.enrol_with(code, &[])
    }

    /// Runs `strongroom enrol` with this code, and these words besides the usual ones.
    #[must_use]
    pub fn enrol_with(&self, code: &str, more: &[&str]) -> Outcome {
        let mut words = vec![
            "enrol",
            &self.name,
            "--server",
            &self.server,
            "--code",
            code,
        ];
        let (ca, password) = (path(&self.ca), path(&self.password_file()));
        words.extend(["--ca", &ca, "--password-file", &password]);
        words.extend(more);
        self.run(&words)
    }

    /// Runs `strongroom login`.
    #[must_use]
    pub fn login(&self) -> Outcome {
        self.login_with(&[])
    }

    /// Runs `strongroom login` with these words besides the usual ones.
    #[must_use]
    pub fn login_with(&self, words: &[&str]) -> Outcome {
        let (ca, password) = (path(&self.ca), path(&self.password_file()));
        let usual = [
            "login",
            &self.name,
            "--server",
            &self.server,
            "--ca",
            &ca,
            "--password-file",
            &password,
        ];
        self.run(&[&usual[..], words].concat())
    }

    /// Runs `strongroom` with these words.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Outcome {
        self.run_while(words, |_| {})
    }

    /// Runs `strongroom` with these words and this on standard input.
    #[must_use]
    pub fn pipe(&self, words: &[&str], input: &[u8]) -> Outcome {
        // A file, so that no command waits for us to read what it writes.
        let file = self.folder.path().join("stdin");
        fs::write(&file, input).unwrap();
        let mut command = self.command(words);
        command.stdin(fs::File::open(file).unwrap());
        self.run_command(command, words, |_| {})
    }

    /// Runs this line in a shell on the person's device, where `strongroom` is on the path.
    #[must_use]
    pub fn shell(&self, line: &str) -> Outcome {
        let mut command = self.shell_command(line);
        command.stdin(Stdio::null());
        self.run_command(command, &[line], |_| {})
    }

    /// That shell, ready to be run, such as at a terminal.
    #[must_use]
    pub fn shell_command(&self, line: &str) -> Command {
        let mut command = self.command(&[]);
        let folder = programs::strongroom();
        let path = format!("{}:/usr/bin:/bin", folder.parent().unwrap().display());
        let environment: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .current_dir(self.device().join("files"))
            .env_clear()
            .envs(environment)
            .env("PATH", path);
        command
    }

    /// Runs `strongroom login` at an OpenID provider with these words besides the usual ones, while `look` is shown again and again where the
    /// standard error goes.
    #[must_use]
    pub fn login_at_provider(&self, words: &[&str], look: impl FnMut(&Path)) -> Outcome {
        let ca = path(&self.ca);
        let usual = ["login", "--server", &self.server, "--ca", &ca];
        self.run_while(&[&usual[..], words].concat(), look)
    }

    /// Runs `strongroom` with these words, while `look` is shown again and again where the standard error goes.
    #[must_use]
    pub fn run_while(&self, words: &[&str], look: impl FnMut(&Path)) -> Outcome {
        self.run_command(self.command(words), words, look)
    }

    fn run_command(
        &self,
        mut command: Command,
        words: &[&str],
        mut look: impl FnMut(&Path),
    ) -> Outcome {
        command
            // Files, not pipes: what the command leaves running in the background must not keep us waiting.
            .stdout(fs::File::create(self.folder.path().join("stdout")).unwrap())
            .stderr(fs::File::create(self.folder.path().join("stderr")).unwrap());
        let mut child = command.spawn().expect("strongroom starts");
        let status_file = format!("/proc/{}/status", child.id());
        let started = Instant::now();
        let mut peak_kib = 0;
        let status = loop {
            peak_kib = peak_memory(&status_file).unwrap_or_default().max(peak_kib);
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            look(&self.folder.path().join("stderr"));
            if started.elapsed() > PATIENCE * if crate::long() { 10 } else { 1 } {
                child.kill().ok();
                child.wait().ok();
                panic!("strongroom {} does not end", words.join(" "));
            }
            thread::sleep(Duration::from_millis(2));
        };
        let read = |name| {
            let bytes = fs::read(self.folder.path().join(name)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Outcome {
            command: words.join(" "),
            status,
            stdout: read("stdout"),
            stderr: read("stderr"),
            peak_kib,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(programs::strongroom());
        command
            .args(words)
            .current_dir(self.device().join("files"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.device())
            .env("TMPDIR", self.device().join("tmp"))
            .env("STRONGROOM_HOME", self.device().join("home"))
            .stdin(Stdio::null());
        command
    }

    /// Runs `strongroom` with these words and `--json`, which must succeed, and reads what it printed.
    #[must_use]
    pub fn json(&self, words: &[&str]) -> Value {
        self.run(&[words, &["--json"]].concat()).success().json()
    }

    /// Runs `strongroom` with these words, and again with `--json`; both must be refused with this problem code. Answers the
    /// sentence for people.
    pub fn refused(&self, words: &[&str], code: &str) -> String {
        let with_json = self.run(&[words, &["--json"]].concat()).failure();
        let problem = with_json.problem();
        assert_eq!(problem["code"], code, "{with_json:?}");
        let plain = self.run(words).failure();
        assert_eq!(plain.stdout, "", "{plain:?}");
        let sentence = plain.stderr.trim().to_owned();
        assert_eq!(sentence.lines().count(), 1, "one sentence: {plain:?}");
        sentence
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // What stays signed in keeps a process with the session's secrets; the appliance may be gone already.
        let mut logout = self.command(&["logout"]);
        logout.stdout(Stdio::null()).stderr(Stdio::null());
        logout.status().ok();
    }
}

impl Outcome {
    /// Itself, which must be a success.
    #[must_use]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// Itself, which must be a failure that the program meant: no crash, no panic.
    #[must_use]
    pub fn failure(self) -> Self {
        assert!(!self.status.success(), "{self:#?}");
        assert_eq!(self.status.signal(), None, "{self:#?}");
        assert_ne!(self.status.code(), Some(101), "{self:#?}");
        self
    }

    /// Standard output as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The lines of standard output as JSON, one value each.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What a command with `--json` wrote to standard error when it was refused.
    #[must_use]
    pub fn problem(&self) -> Value {
        serde_json::from_str(&self.stderr).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The peak of a process's resident memory in KiB, while it runs.
fn peak_memory(status_file: &str) -> Option<u64> {
    let text = fs::read_to_string(status_file).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
