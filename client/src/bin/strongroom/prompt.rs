//! Questions to the person at the terminal.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;

/// The fewest characters of a new password.
const SHORTEST_PASSWORD: usize = 8;
/// The longest password file that is read, in bytes.
const LONGEST_PASSWORD: u64 = 4096;

/// A password: the first line of the file, of standard input for `-`, or else what the person types.
pub(crate) fn password(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(file) => from_file(file),
        None => ask_hidden("Password: "),
    }
}

/// A PIN: the first line of the file, or of standard input for `-`, or else what the person types.
pub(crate) fn pin(question: &str, file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(file) => from_file(file),
        None => ask_hidden(question),
    }
}

/// A new password, typed twice where it is typed.
pub(crate) fn new_password(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let password = password(file)?;
    if file.is_none() && *ask_hidden("The same again: ")? != *password {
        return Err(Failure::Usage("the two passwords differ".to_owned()));
    }
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(Failure::Usage(format!(
            "a password has at least {SHORTEST_PASSWORD} characters"
        )));
    }
    Ok(password)
}

/// A line that may be seen as it is typed.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    let mut stderr = io::stderr().lock();
    let asked = write!(stderr, "{question}").and_then(|()| stderr.flush());
    asked.map_err(|error| Failure::local("the question cannot be asked", &error))?;
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::local("the answer cannot be read", &error))?;
    Ok(line.trim().to_owned())
}

/// Whether somebody is there to answer.
pub(crate) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn ask_hidden(question: &str) -> Result<Zeroizing<String>, Failure> {
    if !is_possible() {
        return Err(Failure::Usage(
            "nobody is there to type a password: give it with --password-file".to_owned(),
        ));
    }
    rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|error| Failure::local("the password cannot be read", &error))
}

fn from_file(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let read = if file == Path::new("-") {
        io::stdin()
            .lock()
            .take(LONGEST_PASSWORD)
            .read_to_end(&mut bytes)
    } else {
        fs::File::open(file).and_then(|file| file.take(LONGEST_PASSWORD).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        Failure::local(
            format!("the password file {} cannot be read", file.display()),
            &error,
        )
    })?;
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line)
        .map_err(|_| Failure::Usage("the password file is not UTF-8 text".to_owned()))?;
    if text.is_empty() {
        return Err(Failure::Usage("the password file is empty".to_owned()));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn of(content: &[u8]) -> Result<Zeroizing<String>, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        new_password(Some(file.path()))
    }

    #[test]
    fn the_first_line_of_the_file_is_the_password() {
        assert_eq!(*of(b"correct horse").unwrap(), "correct horse");
        assert_eq!(
            *of(b" correct horse \r\nmore\n").unwrap(),
            " correct horse "
        );
    }

    #[test]
    fn short_absent_and_unreadable_passwords_are_refused() {
        for content in [
            &b""[..],
            b"\n",
            b"1234567",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let failure = of(content).unwrap_err();
            assert_eq!(failure.exit_code(), 2, "{content:?}");
            assert!(!failure.sentence().contains("1234567"));
        }
        assert!(of("12345äöü".as_bytes()).is_ok());
        assert!(password(Some(Path::new("/nonexistent/password"))).is_err());
    }
}
