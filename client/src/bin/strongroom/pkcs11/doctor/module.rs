//! The module itself: whether it is a library for this machine, loads, and shows the tokens; and what p11-kit has of it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_client::pkcs11::{Found, VARIABLE};

use super::report::Report;
use crate::pkcs11::p11_kit::{self, LIBRARY, Registration};

const MODULE: &str = "module";
const P11_KIT: &str = "p11-kit";
/// Where more is found.
const LOG: &str = "see the module's log: the configuration's section log says where it goes, with level = \"debug\" for most";
/// How long a program that loads the module may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an ELF file begins with.
const ELF: [u8; 4] = *b"\x7fELF";

/// Looks at the module that was named, or is registered, or is in the usual places.
pub(super) fn look_at(report: &mut Report, given: Option<&Path>, found: &Found, labels: &[&str]) {
    let registrations = p11_kit::registrations();
    let mut registered = registrations.iter().map(|one| one.module.clone());
    let registered = registered.find(|module| module.is_absolute());
    let module = given
        .map(Path::to_owned)
        .or(registered)
        .or_else(p11_kit::find_module);
    match &module {
        None => report.failed(
            MODULE,
            format!("{LIBRARY} is neither registered with p11-kit, beside this program nor in the usual folders"),
            "install it, or say where it is with --module",
        ),
        Some(module) => load(report, module, found, labels),
    }
    look_at_p11_kit(
        report,
        &registrations,
        given.and(module.as_deref()),
        found,
        labels,
    );
}

/// Whether it is a library for this machine, and shows the tokens to a program that loads it.
fn load(report: &mut Report, module: &Path, found: &Found, labels: &[&str]) {
    let shown = module.display();
    let ours = std::env::current_exe()
        .ok()
        .and_then(|own| machine(&own).ok());
    match machine(module) {
        Err(error) => {
            return report.failed(
                MODULE,
                format!("{shown} cannot be read: {error}"),
                "see that it is there and that this user may read it",
            );
        }
        Ok(None) => {
            return report.failed(
                MODULE,
                format!("{shown} is no library"),
                "install the module anew",
            );
        }
        Ok(theirs) if ours.is_some_and(|ours| ours != theirs) => {
            return report.failed(
                MODULE,
                format!("{shown} is for another kind of machine"),
                "install the module for this one",
            );
        }
        Ok(_) => {}
    }
    let mut command = Command::new("pkcs11-tool");
    command
        .arg("--module")
        .arg(module)
        .arg("--list-slots")
        .env(VARIABLE, &found.path);
    match run(command) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => report.warning(
            MODULE,
            format!("{shown} is a library for this machine; it was not loaded, as pkcs11-tool is not installed"),
            "install the package opensc to have that tried",
        ),
        Err(error) => report.failed(
            MODULE,
            format!("pkcs11-tool with {shown}: {error}"),
            LOG,
        ),
        Ok(ran) if !ran.succeeded => report.failed(
            MODULE,
            format!("{shown} does not load: {}", ran.last_line()),
            LOG,
        ),
        Ok(ran) => {
            let missing = missing(&ran.stdout, "token label", labels);
            tell_missing(report, MODULE, &format!("{shown} loads"), &missing);
        }
    }
}

fn look_at_p11_kit(
    report: &mut Report,
    registrations: &[Registration],
    given: Option<&Path>,
    found: &Found,
    labels: &[&str],
) {
    let Some(first) = registrations.first() else {
        return report.warning(
            P11_KIT,
            "the module is not registered: applications that find modules by p11-kit do not see it",
            "strongroom pkcs11 configure registers it",
        );
    };
    let (file, module) = (first.file.display(), first.module.display());
    if first.module.is_absolute() && !first.module.is_file() {
        return report.failed(
            P11_KIT,
            format!("{file} names {module}, which is not there"),
            "write it anew with strongroom pkcs11 configure --module PATH --replace",
        );
    }
    let same = |other: &Path| fs::canonicalize(other).ok() == fs::canonicalize(&first.module).ok();
    if let Some(other) = given.filter(|other| !same(other)) {
        report.warning(
            P11_KIT,
            format!("{file} names {module} and not {}", other.display()),
            "write it anew with strongroom pkcs11 configure --module PATH --replace",
        );
    }
    let reserved = first.reserved.as_deref();
    let reserved = reserved.map(|text| Path::new(text.strip_prefix("config=").unwrap_or(text)));
    if let Some(other) = reserved.filter(|other| *other != found.path) {
        return report.warning(
            P11_KIT,
            format!(
                "{file} has the module read {} and not {}",
                other.display(),
                found.path.display()
            ),
            "look at that with --config, or write it anew with strongroom pkcs11 configure --replace",
        );
    }
    if first.is_users && rustix::process::geteuid().is_root() {
        return report.warning(
            P11_KIT,
            format!("{file} is this user's, and p11-kit leaves out a user's modules in programs that run as root"),
            "register it for all with strongroom pkcs11 configure --system",
        );
    }
    let mut command = Command::new("p11-kit");
    command.arg("list-modules");
    if reserved.is_none() {
        command.env(VARIABLE, &found.path);
    }
    match run(command) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => report.warning(
            P11_KIT,
            format!("{file} registers {module}; p11-kit itself is not installed"),
            "install the package p11-kit, where applications are to find modules by it",
        ),
        Err(error) => report.failed(
            P11_KIT,
            format!("p11-kit list-modules: {error}"),
            "see what it prints",
        ),
        Ok(ran) if !ran.succeeded => report.failed(
            P11_KIT,
            format!("p11-kit list-modules fails: {}", ran.last_line()),
            "see what it prints",
        ),
        Ok(ran) => {
            let missing = missing(&ran.stdout, "token", labels);
            let what = format!("{file} registers {module} for p11-kit list-modules");
            tell_missing(report, P11_KIT, &what, &missing);
        }
    }
}

/// Tells whether every token is shown. A token that has a fault of its own may not be.
fn tell_missing(report: &mut Report, subject: &str, what: &str, missing: &[&str]) {
    let unexplained = missing.iter().find(|label| !report.is_at_fault(label));
    match (unexplained, missing.first()) {
        (Some(label), _) => report.failed(
            subject,
            format!("{what}; the token {label} is not shown"),
            LOG,
        ),
        (None, Some(label)) => report.warning(
            subject,
            format!("{what}; the token {label} is not shown"),
            "that follows from what is wrong with the token",
        ),
        (None, None) => report.ok(subject, format!("{what}; every token is shown")),
    }
}

/// How a program came out.
struct Ran {
    succeeded: bool,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// The last that it said.
    fn last_line(&self) -> &str {
        let said = [&self.stderr, &self.stdout];
        let mut lines = said
            .into_iter()
            .filter_map(|text| text.trim().lines().last());
        lines.next().unwrap_or("it said nothing")
    }
}

fn run(mut command: Command) -> std::io::Result<Ran> {
    // Files, so that a program that says much does not wait for somebody to read it.
    let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > PATIENCE {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait()?;
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(10));
    };
    Ok(Ran {
        succeeded: status.success(),
        stdout: text(stdout)?,
        stderr: text(stderr)?,
    })
}

fn text(mut file: File) -> std::io::Result<String> {
    use std::io::Seek as _;
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The labels of tokens that a list does not show in lines such as `token label : web`.
fn missing<'a>(list: &str, name: &str, labels: &[&'a str]) -> Vec<&'a str> {
    labels
        .iter()
        .copied()
        .filter(|label| {
            !list
                .lines()
                .filter_map(|line| line.split_once(':'))
                .any(|(before, shown)| before.trim() == name && shown.trim() == label.trim())
        })
        .collect()
}

/// For which machine an ELF file is: its class, byte order and machine. None where it is no such file.
fn machine(path: &Path) -> std::io::Result<Option<(u8, u8, [u8; 2])>> {
    let mut head = [0; 20];
    match File::open(path)?.read_exact(&mut head) {
        Ok(()) if head.starts_with(&ELF) => Ok(Some((head[4], head[5], [head[18], head[19]]))),
        Ok(()) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_program_of_this_machine_is_known_from_other_files() {
        let own = machine(&std::env::current_exe().unwrap()).unwrap();
        assert!(own.is_some());
        let file = tempfile::NamedTempFile::new().unwrap();
        for content in ["", "#!/bin/sh\necho no library\n"] {
            fs::write(file.path(), content).unwrap();
            assert_eq!(machine(file.path()).unwrap(), None, "{content:?}");
        }
        assert!(machine(Path::new("/nonexistent.so")).is_err());
    }

    #[test]
    fn tokens_are_found_in_what_programs_print() {
        let labels = ["web", "mail: old"];
        let list = "Slot 0 (0x1): Strongroom\n  token label        : web\n  token label        : mail: old\n";
        assert!(missing(list, "token label", &labels).is_empty());
        let list = "strongroom: /l.so\n    token: web\n";
        assert_eq!(missing(list, "token", &labels), ["mail: old"]);
    }

    #[test]
    fn what_a_program_says_is_kept_and_one_that_is_not_there_is_told_apart() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo first >&2; echo last >&2; exit 3"]);
        let ran = run(command).unwrap();
        assert!(!ran.succeeded);
        assert_eq!((ran.stdout.as_str(), ran.last_line()), ("out\n", "last"));
        let error = run(Command::new("no-such-program-anywhere")).err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}
