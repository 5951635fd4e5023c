//! Asking a person for a PIN: without echo on a terminal, else a line of standard input for each.

use std::io::{self, BufRead as _, IsTerminal as _, StdinLock};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use crate::config::Member;

/// The longest line that is read, in bytes.
const LONGEST: usize = 1024;

/// Whoever is asked.
#[derive(Default)]
pub(crate) struct Prompt {
    stdin: Option<StdinLock<'static>>,
}

impl Prompt {
    /// The PIN of this HSM.
    ///
    /// # Errors
    /// When nobody gives one.
    pub(crate) fn ask(&mut self, member: &Member) -> anyhow::Result<Zeroizing<String>> {
        let pin = if self.stdin.is_none() && io::stdin().is_terminal() {
            let typed = rpassword::prompt_password(format!("PIN of {}: ", member.name()));
            Zeroizing::new(typed.context("the PIN cannot be asked for")?)
        } else {
            line(self.stdin.get_or_insert_with(|| io::stdin().lock()))?
        };
        if pin.is_empty() {
            bail!("no PIN was given for {}", member.name());
        }
        Ok(pin)
    }
}

fn line(from: &mut impl io::BufRead) -> anyhow::Result<Zeroizing<String>> {
    // Room for all of it, so that it is never copied while it grows.
    let mut line = Zeroizing::new(String::with_capacity(LONGEST + 1));
    io::Read::take(from, LONGEST as u64)
        .read_line(&mut line)
        .context("the PIN cannot be read from standard input")?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_line_is_a_pin_without_its_end() {
        let mut input = "1234\r\n 5 6 \n\nlast".as_bytes();
        for expected in ["1234", " 5 6 ", "", "last", ""] {
            assert_eq!(*line(&mut input).unwrap(), expected);
        }
        let long = "x".repeat(5000);
        assert_eq!(line(&mut long.as_bytes()).unwrap().len(), LONGEST);
    }
}
