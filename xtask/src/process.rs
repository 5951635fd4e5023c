//! Running a command and saying what went wrong in one sentence.

use std::{
    error::Error,
    ffi::OsStr,
    fmt,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};

/// The command's line, as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    crate::terminal::command_line(words.map(OsStr::to_string_lossy))
}

/// Runs the command on this terminal, without standard input. Any status is an answer; only a command that cannot
/// be started is an error.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.stdin(Stdio::null());
    command.status().with_context(|| cannot_start(command))
}

/// Runs the command on this terminal, without standard input, and fails unless it succeeds.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` {}", line(command), ended(status));
    }
    Ok(())
}

/// Runs the command in silence, and gives what it printed to standard output if it succeeded.
pub(crate) fn answer(command: &mut Command) -> Result<Vec<u8>> {
    command.stdin(Stdio::null());
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason
            .trim()
            .lines()
            .next_back()
            .unwrap_or("without a word");
        bail!("`{}` {}: {reason}", line(command), ended(output.status));
    }
    Ok(output.stdout)
}

/// What became of a process, to stand after its name.
pub(crate) fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end as a process should".to_owned(),
    }
}

/// Our exit status, to be that of a process.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    }
}

/// A process failed and told the person why: nothing is left to say but its exit status.
#[derive(Debug)]
pub(crate) struct ToldWhy(pub(crate) ExitStatus);

impl fmt::Display for ToldWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the appliance {}", ended(self.0))
    }
}

impl Error for ToldWhy {}

/// Where the program is, searched in the folders of `path` (the form of `$PATH`).
pub(crate) fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// What to say of a command that could not even be started.
pub(crate) fn cannot_start(command: &Command) -> String {
    format!(
        "`{}` cannot be started",
        command.get_program().to_string_lossy()
    )
}

/// Makes an executable shell script. A process of its own writes it: a script that this one has open for writing,
/// as any fork of another test's thread has for a moment, cannot be executed.
#[cfg(test)]
pub(crate) fn make_script(file: &std::path::Path, text: &str) -> Result<()> {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod 755 "$0""#;
    succeed(Command::new("sh").args(["-c", write]).arg(file).arg(text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_failure_names_the_command_its_status_and_its_last_words() {
        let failing = ["-c", "echo first >&2; echo last words >&2; exit 3"];
        let error = answer(Command::new("sh").args(failing)).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("`sh -c "), "{message}");
        assert!(
            message.ends_with("ended with exit status 3: last words"),
            "{message}"
        );
    }

    #[test]
    fn a_signal_is_named() {
        let error = succeed(Command::new("sh").args(["-c", "kill -9 $$"])).unwrap_err();
        assert!(
            error.to_string().ends_with("was ended by signal 9"),
            "{error}"
        );
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let error = answer(&mut Command::new("no-such-command-of-ours")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`no-such-command-of-ours` cannot be started"
        );
    }

    #[test]
    fn only_executable_files_are_found_on_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tool");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find("tool", folder.path().as_os_str()), None);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("tool", folder.path().as_os_str()), Some(file));
    }
}
