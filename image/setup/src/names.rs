//! What the server's certificate is to be for: the machine's addresses, as they are now, and the names that were typed at the console.
//!
//! It is said in a file which the service reads, that renews its certificate when it is to be for others. A certificate that a site brought it leaves alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{files, machine};

/// The names that were typed, one a line.
const TYPED: &str = "/var/lib/strongroom/names";
const IN_HOME: &str = "names";
/// What the service reads: names and addresses, one a line.
const SAID: &str = "/run/strongroom/names";
/// More names than these are not kept.
const MOST: usize = 16;

/// Why what was typed cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    /// Something is neither.
    #[error("{0:?} is neither a host name nor an address")]
    NoName(String),
    /// There are too many.
    #[error("there are more than {MOST}")]
    TooMany,
}

/// Says what the certificate is to be for. While the machine has no address, nothing changes: it gets one again.
pub(crate) fn run() -> Result<()> {
    say(Path::new(TYPED), Path::new(SAID), &machine::addresses())
}

/// The names that a seed says, where none were typed yet: they can be changed at the console.
pub(crate) fn begin_with(home: &Path, names: &[String]) -> Result<()> {
    let typed = home.join(IN_HOME);
    if names.is_empty() || typed.exists() {
        return Ok(());
    }
    let names: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    files::replace(&typed, 0o600, lines(&names).as_bytes())
}

fn say(typed: &Path, said: &Path, addresses: &[IpAddr]) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut all: BTreeSet<String> = addresses.iter().map(ToString::to_string).collect();
    all.extend(kept(typed)?);
    let text = lines(&all);
    if fs::read_to_string(said).is_ok_and(|before| before == text) {
        return Ok(());
    }
    files::replace(said, 0o644, text.as_bytes())
}

/// Asks at the console for the names, keeps them, and has them said at once.
pub(crate) fn ask<T: AsRef<str>>(typed: &Receiver<T>, out: &mut impl Write) -> Result<String> {
    if !machine::data_is_open() {
        return Ok("There is no place to keep them in, as the data is not open.".to_owned());
    }
    let now = kept(Path::new(TYPED))?;
    let now = if now.is_empty() {
        "none".to_owned()
    } else {
        now.join(" ")
    };
    writeln!(
        out,
        "The certificate is for the machine's addresses and these names: {now}\nType the names that it is to be for, such as keys.example.com, with spaces between \
         them; \"none\" for none; or nothing:"
    )?;
    out.flush()?;
    let Ok(line) = typed.recv_timeout(Duration::from_mins(5)) else {
        return Ok("Nothing was done.".to_owned());
    };
    let line = line.as_ref().trim();
    if line.is_empty() {
        return Ok("Nothing was done.".to_owned());
    }
    match read(line) {
        Ok(names) => {
            files::replace(Path::new(TYPED), 0o600, lines(&names).as_bytes())?;
            machine::say_names()?;
            Ok(
                "The service makes another certificate in some seconds, where its own authority made the one that there is."
                    .to_owned(),
            )
        }
        Err(mistake) => Ok(format!("Nothing was done: {mistake}.")),
    }
}

/// The names that were typed.
fn kept(file: &Path) -> Result<Vec<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

fn lines(names: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for name in names {
        text.push_str(name);
        text.push('\n');
    }
    text
}

fn read(line: &str) -> Result<BTreeSet<String>, Mistake> {
    if line == "none" {
        return Ok(BTreeSet::new());
    }
    let mut names = BTreeSet::new();
    for word in line.split([' ', ',']).filter(|word| !word.is_empty()) {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let name = match word.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) if word.len() <= 253 && word.chars().all(good) => word.to_ascii_lowercase(),
            Err(_) => return Err(Mistake::NoName(word.to_owned())),
        };
        names.insert(name);
    }
    if names.len() > MOST {
        return Err(Mistake::TooMany);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_seeds_names_are_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let typed = folder.path().join("names");
        begin_with(folder.path(), &[]).unwrap();
        assert!(!typed.exists());
        begin_with(folder.path(), &["Vault.example.com".to_owned()]).unwrap();
        assert_eq!(kept(&typed).unwrap(), ["vault.example.com"]);
        // What was typed stays.
        fs::write(&typed, "").unwrap();
        begin_with(folder.path(), &["vault.example.com".to_owned()]).unwrap();
        assert_eq!(kept(&typed).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_was_typed_is_read() {
        let names = read("Keys.example.com,  keys2.example.com 2001:DB8::7").unwrap();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            ["2001:db8::7", "keys.example.com", "keys2.example.com"]
        );
        assert!(read("none").unwrap().is_empty());
        let mistake = read("keys.example.com https://keys").unwrap_err();
        assert_eq!(mistake, Mistake::NoName("https://keys".to_owned()));
        let many: Vec<String> = (0..=MOST).map(|number| format!("h{number}")).collect();
        assert_eq!(read(&many.join(" ")), Err(Mistake::TooMany));
    }

    #[test]
    fn the_service_is_told_addresses_and_names_while_there_is_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let (typed, said) = (folder.path().join("typed"), folder.path().join("said"));
        let first = IpAddr::from([192, 0, 2, 7]);
        say(&typed, &said, &[]).unwrap();
        assert!(!said.exists());
        say(&typed, &said, &[first]).unwrap();
        assert_eq!(fs::read_to_string(&said).unwrap(), "192.0.2.7\n");
        fs::write(&typed, "keys.example.com\n").unwrap();
        let other = IpAddr::from([192, 0, 2, 9]);
        say(&typed, &said, &[other, first]).unwrap();
        let all = "192.0.2.7\n192.0.2.9\nkeys.example.com\n";
        assert_eq!(fs::read_to_string(&said).unwrap(), all);
        say(&typed, &said, &[]).unwrap();
        assert_eq!(fs::read_to_string(&said).unwrap(), all);
    }
}
