//! The transcript of a ceremony: what is signed in the HSM, kept in the database, and written to a file. It says no share.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use strongroom_hsm::TokenInfo;
use strongroom_keystore::recovery::Transcript;
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;

use super::custodians::Handled;
use crate::folder::write_whole;

/// The most bytes that every HSM signs.
const LONGEST: usize = 1900;

/// A transcript that is being written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    title: &'static str,
    begun: Timestamp,
    lines: Vec<(&'static str, String)>,
}

impl Draft {
    pub(super) fn begin(title: &'static str, operators: &[String]) -> Self {
        let mut draft = Self {
            title,
            begun: SystemClock.now(),
            lines: Vec::new(),
        };
        draft.fact("operators", operators.join(", "));
        draft
    }

    pub(super) fn fact(&mut self, what: &'static str, fact: impl Into<String>) {
        self.lines.push((what, fact.into()));
    }

    pub(super) fn hsm(&mut self, what: &'static str, token: &TokenInfo) {
        let TokenInfo {
            label,
            manufacturer,
            model,
            serial,
            firmware,
        } = token;
        self.fact(
            what,
            format!("{label}, serial {serial}, {manufacturer} {model} {firmware}"),
        );
    }

    /// The custodians, and what happened to each share.
    pub(super) fn shares(&mut self, shares: &[Handled]) {
        for (at, share) in shares.iter().enumerate() {
            let mut line = format!("{} {}", at + 1, share.custodian);
            for (what, when) in [("shown", share.shown), ("typed", share.given_back)] {
                if let Some(when) = when {
                    // Writing to a String does not fail.
                    let _ = write!(line, ", {what} {}", clock_time(when));
                }
            }
            self.fact("share", line);
        }
    }

    /// Refuses names that make the transcript longer than every HSM signs, before anything is done.
    pub(super) fn check_length(&self, custodians: &[String]) -> anyhow::Result<()> {
        // What is still to come: a line for each share, and the facts about keys.
        let shares: usize = custodians.iter().map(|name| name.len() + 48).sum();
        if self.text().len() + shares + 420 > LONGEST {
            bail!(
                "the names are too long together for a transcript that the HSM signs: shorten those of operators and custodians"
            );
        }
        Ok(())
    }

    /// The text as it is to be signed.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "Strongroom {}\nbegun: {}\nended: {}\nprogram: strongroomd {}\n",
            self.title,
            self.begun,
            SystemClock.now(),
            env!("CARGO_PKG_VERSION")
        );
        for (what, fact) in &self.lines {
            // Control characters from a token's label have no place in a note.
            let fact: String = fact.chars().filter(|c| !c.is_control()).collect();
            let _ = writeln!(text, "{what}: {fact}");
        }
        text
    }
}

/// `14:55:03`, of a moment's RFC 3339 form.
pub(super) fn clock_time(moment: Timestamp) -> String {
    moment.to_string().chars().skip(11).take(8).collect()
}

/// Writes the signed transcript beside the database, and answers where.
pub(super) fn keep(data: &Path, transcript: &Transcript) -> anyhow::Result<PathBuf> {
    let path = data.join(format!("ceremony-leaf-{}.txt", transcript.leaf));
    write_whole(&path, transcript.note.as_bytes())
        .with_context(|| format!("the transcript cannot be written to {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_transcript_fits_into_one_signature() {
        // 16 custodians and 2 operators, whose names have 512 bytes together.
        let operators = vec!["x".repeat(28); 2];
        let mut draft = Draft::begin("ceremony of the domain default", &operators);
        draft.fact("log", format!("{}/default", "h".repeat(64)));
        draft.hsm(
            "HSM",
            &TokenInfo {
                label: "l".repeat(32),
                manufacturer: "m".repeat(32),
                model: "m".repeat(16),
                serial: "s".repeat(16),
                firmware: "2.10".to_owned(),
            },
        );
        let moment = Some(SystemClock.now());
        let shares: Vec<Handled> = (0..16)
            .map(|_| Handled {
                custodian: "c".repeat(28),
                shown: moment,
                given_back: moment,
            })
            .collect();
        draft.shares(&shares);
        for fact in ["set", "check value", "recovery KEK", "master KEK"] {
            draft.fact(fact, "0123456789abcdef");
        }
        draft.fact("key that signs", "k".repeat(64 + 9 + 54));
        let text = draft.text();
        assert!(text.len() <= LONGEST, "{} bytes", text.len());
        assert!(text.contains(", shown ") && text.ends_with('\n'));
    }
}
