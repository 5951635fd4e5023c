//! A machine with an application on it: the programs, a user's home, and what the commands say there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use strongroom_tests::{Appliance, programs};
use tempfile::TempDir;

pub(crate) const LIBRARY: &str = "libstrongroom_pkcs11.so";
/// Nobody in particular: p11-kit leaves out a user's modules where it runs as root, as tests may.
const SOMEBODY: u32 = 65534;

/// A machine with an application on it, and the programs beside each other.
pub(crate) struct Machine {
    folder: TempDir,
}

/// How a program came out.
pub(crate) struct Ran {
    pub(crate) succeeded: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    pub(crate) fn new(appliance: &Appliance) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-machine-")
            .tempdir()
            .unwrap();
        let this = Self { folder };
        for inner in ["bin", "tmp", "etc"] {
            fs::create_dir(this.path(inner)).unwrap();
        }
        fs::copy(programs::strongroom(), this.path("bin/strongroom")).unwrap();
        fs::copy(programs::library(LIBRARY), this.module()).unwrap();
        fs::copy(appliance.ca(), this.path("ca.pem")).unwrap();
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn module(&self) -> PathBuf {
        self.path("bin").join(LIBRARY)
    }

    /// The configuration where the module finds it by itself.
    pub(crate) fn config(&self) -> PathBuf {
        self.path(".config/strongroom/pkcs11.toml")
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        text(&self.path(name))
    }

    /// Changes the configuration's text.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let before = fs::read_to_string(self.config()).unwrap();
        assert!(before.contains(from), "{before}");
        fs::write(self.config(), before.replace(from, to)).unwrap();
    }

    /// Runs a program as a user who is not root.
    pub(crate) fn run(&self, program: &str, words: &[&str], input: &str) -> Ran {
        let stdin = self.path("tmp/stdin");
        fs::write(&stdin, input).unwrap();
        let mut command;
        if rustix::process::geteuid().is_root() {
            own(self.folder.path());
            let user = SOMEBODY.to_string();
            command = Command::new("/usr/bin/setpriv");
            command
                .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
                .arg(program);
        } else {
            command = Command::new(program);
        }
        let output: Output = command
            .args(words)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", text(&self.path("bin"))))
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.folder.path())
            .stdin(Stdio::from(fs::File::open(stdin).unwrap()))
            .output()
            .unwrap();
        Ran {
            succeeded: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs `strongroom` with the words of a line.
    pub(crate) fn strongroom(&self, line: &str, input: &str) -> Ran {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.run(&text(&self.path("bin/strongroom")), &words, input)
    }

    /// Runs `strongroom pkcs11 configure`, which must succeed.
    pub(crate) fn configure(&self, line: &str, input: &str) -> Ran {
        let ran = self.strongroom(&format!("pkcs11 configure {line}"), input);
        assert!(ran.succeeded, "{}", ran.stderr);
        ran
    }

    /// The same with `--json`: what it answered.
    pub(crate) fn configured(&self, line: &str, input: &str) -> Value {
        let ran = self.configure(&format!("{line} --json"), input);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// `strongroom pkcs11 configure` refuses, with a sentence that has these parts, and nothing is written.
    #[track_caller]
    pub(crate) fn refuses(&self, line: &str, input: &str, parts: &[&str]) {
        let before = fs::read(self.config()).ok();
        let ran = self.strongroom(&format!("pkcs11 configure {line}"), input);
        assert!(!ran.succeeded, "{}", ran.stdout);
        assert_eq!(fs::read(self.config()).ok(), before);
        assert_says(&ran.stderr, parts);
    }

    /// The checks of `strongroom pkcs11 doctor`, whose exit status must agree with them.
    pub(crate) fn doctor(&self, line: &str) -> Vec<Value> {
        let ran = self.strongroom(&format!("pkcs11 doctor --json {line}"), "");
        checks(&ran.stdout, ran.succeeded, &ran.stderr)
    }

    /// The doctor finds nothing to say.
    #[track_caller]
    pub(crate) fn is_well(&self, line: &str) {
        assert_all_well(&self.doctor(line));
    }

    /// One check fails and no other, with a sentence that has these parts.
    #[track_caller]
    pub(crate) fn has_fault(&self, line: &str, parts: &[&str]) {
        let checks = self.doctor(line);
        let failed: Vec<_> = checks
            .iter()
            .filter(|one| one["status"] == "failed")
            .collect();
        assert_eq!(failed.len(), 1, "{checks:#?}");
        assert_says(&said(failed[0]), parts);
    }
}

pub(crate) fn checks(stdout: &str, succeeded: bool, stderr: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    let checks = report["checks"].as_array().unwrap().clone();
    let well = checks.iter().all(|check| check["status"] != "failed");
    assert_eq!((well, report["ok"].as_bool()), (succeeded, Some(succeeded)));
    for check in &checks {
        let told = check["status"] == "ok" || check["remedy"].is_string();
        assert!(told, "nothing is said of what to do: {check}");
    }
    checks
}

pub(crate) fn said(check: &Value) -> String {
    format!(
        "{}: {}; {}",
        check["subject"].as_str().unwrap(),
        check["found"].as_str().unwrap(),
        check["remedy"].as_str().unwrap_or_default()
    )
}

pub(crate) fn all_said(checks: &[Value]) -> String {
    let lines: Vec<String> = checks.iter().map(said).collect();
    lines.join("\n")
}

/// The account of what `accounts secret` printed.
pub(crate) fn account_of(credentials: &str) -> String {
    let printed: Value = serde_json::from_str(credentials).unwrap();
    printed["account"].as_str().unwrap().to_owned()
}

#[track_caller]
pub(crate) fn assert_says(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
    }
}

#[track_caller]
pub(crate) fn assert_all_well(checks: &[Value]) {
    for check in checks {
        assert_eq!(check["status"], "ok", "{checks:#?}");
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Gives all below a folder to somebody.
fn own(path: &Path) {
    lchown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path());
        }
    }
}
