//! Who holds a ceremony, and who gets a share.

use anyhow::bail;
use strongroom_custodians::{MOST_SHARES, Terminal, ask_number};
use strongroom_hsm::Aes256Key;
use strongroom_keystore::recovery::NewRecovery;

/// The most operators.
const MOST_OPERATORS: u8 = 8;
/// The most bytes of one name.
const LONGEST_NAME: usize = 64;

/// Who is there, as given at the command line or asked for.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct People {
    /// An operator who holds the ceremony. May be repeated; asked for when not given.
    #[arg(long = "operator", value_name = "NAME")]
    operators: Vec<String>,
    /// A custodian, who gets a share. May be repeated, in the order of the shares; asked for when not given.
    #[arg(long = "custodian", value_name = "NAME")]
    custodians: Vec<String>,
    /// How many custodians together can recover; asked for when not given.
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<u8>,
}

/// Who holds the ceremony and who gets a share.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) operators: Vec<String>,
    pub(super) custodians: Vec<String>,
    pub(super) threshold: u8,
}

impl People {
    /// Asks for whoever was not named.
    pub(super) fn ask(&self, terminal: &mut Terminal) -> anyhow::Result<Present> {
        let operators = self.ask_operators(terminal)?;
        let custodians = if self.custodians.is_empty() {
            let count = ask_number(terminal, "How many custodians get a share?", 1, MOST_SHARES)?;
            ask_names(terminal, "custodian", count)?
        } else {
            self.custodians.clone()
        };
        let count = u8::try_from(custodians.len()).unwrap_or(u8::MAX);
        let threshold = match self.threshold {
            Some(threshold) => threshold,
            None => ask_number(
                terminal,
                "How many of them together are to be able to recover?",
                1,
                count,
            )?,
        };
        let present = Present {
            operators,
            custodians,
            threshold,
        };
        present.check()?;
        Ok(present)
    }

    /// Asks for the operators' names alone.
    pub(super) fn ask_operators(&self, terminal: &mut Terminal) -> anyhow::Result<Vec<String>> {
        let operators = if self.operators.is_empty() {
            let count = ask_number(
                terminal,
                "How many operators hold the ceremony?",
                1,
                MOST_OPERATORS,
            )?;
            ask_names(terminal, "operator", count)?
        } else {
            self.operators.clone()
        };
        check_names(&operators)?;
        Ok(operators)
    }
}

impl Present {
    fn check(&self) -> anyhow::Result<()> {
        check_names(&self.custodians)?;
        // What else cannot be, the key says; this key is none.
        let key = Aes256Key::from_bytes([0; 32]);
        NewRecovery::new(key, 0, self.threshold, self.custodians.clone())?;
        Ok(())
    }
}

fn check_names(names: &[String]) -> anyhow::Result<()> {
    let good = |name: &String| {
        !name.trim().is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
    };
    if !names.iter().all(good) {
        bail!("a name has 1 to {LONGEST_NAME} bytes and no control characters");
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != names.len() {
        bail!("two people have the same name: tell them apart");
    }
    Ok(())
}

fn ask_names(terminal: &mut Terminal, what: &str, count: u8) -> anyhow::Result<Vec<String>> {
    (1..=count)
        .map(|number| Ok(terminal.ask(&format!("Name of {what} {number}: "))?))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn present(custodians: &[&str], threshold: u8) -> Present {
        Present {
            operators: vec!["Olga".to_owned()],
            custodians: custodians.iter().map(|name| (*name).to_owned()).collect(),
            threshold,
        }
    }

    #[test]
    fn only_people_who_can_be_told_apart_are_custodians() {
        present(&["Ada", "Bruno", "Chiara"], 2).check().unwrap();
        for (custodians, threshold) in [
            (&["Ada"][..], 1),
            (&["Ada", "Ada"], 2),
            (&["Ada", " "], 2),
            (&["Ada", "Bruno\u{1b}[2J"], 2),
            (&["Ada", "Bruno"], 3),
            (&["Ada", "Bruno"], 1),
        ] {
            assert!(
                present(custodians, threshold).check().is_err(),
                "{custodians:?}"
            );
        }
    }
}
