//! Answers: text for a person or JSON for a program, on standard output; everything else on standard error.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// How a command answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Answers with `value` in JSON, or else with the text.
    pub(crate) fn answer(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(value)
                .map_err(|_| Failure::Failed("the answer cannot be written as JSON".to_owned()))?;
            print(&json)
        } else {
            print(&text())
        }
    }
}

/// Prints lines on standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let printed = writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush());
    printed.map_err(|error| output_failure(&error))
}

/// What it means that standard output takes no more.
pub(crate) fn output_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::local("standard output cannot be written", error)
    }
}

/// Prints a line on standard error.
pub(crate) fn complain(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text that came from elsewhere, such as a label, without what would command a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_harmless(c) { c } else { '\u{fffd}' })
        .collect()
}

/// Neither a control character nor one that reorders or hides the text around it.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Rows in columns as wide as their widest cell, under a heading.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&heading.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            // Writing to a String does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Lines of a name and what it is; those without a value are left out.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default() + 1;
    let mut text = String::new();
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{:width$} {value}", format!("{name}:"));
    }
    text
}

/// How a value of the wire, such as a state or a right, is spelt there.
pub(crate) fn spelling(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// How several values of the wire are spelt there.
pub(crate) fn spellings<T: Serialize>(values: &[T]) -> String {
    values.iter().map(spelling).collect::<Vec<_>>().join(", ")
}

/// The value of the wire that is spelt like this.
pub(crate) fn spelt<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map_err(|_| format!("{text:?} is none of them"))
}

/// A number of bytes for a person.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use strongroom_wire::key::{KeyState, Right};

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [
            ["1".to_owned(), "report.pdf".to_owned()],
            ["20".to_owned(), "é".to_owned()],
        ];
        assert_eq!(
            table(["N", "LABEL"], &rows),
            "N   LABEL\n1   report.pdf\n20  é\n"
        );
        assert_eq!(table(["N", "LABEL"], &[]), "N  LABEL\n");
    }

    #[test]
    fn absent_facts_are_left_out() {
        let text = facts(&[
            ("key", "k".to_owned()),
            ("content type", String::new()),
            ("label", "l".to_owned()),
        ]);
        assert_eq!(text, "key:          k\nlabel:        l\n");
    }

    #[test]
    fn labels_cannot_command_the_terminal() {
        assert_eq!(
            plain("a\x1b[2Jb\nc\u{202e}d é"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d é"
        );
    }

    #[test]
    fn values_are_spelt_as_on_the_wire() {
        assert_eq!(spelling(&KeyState::PreActive), "pre-active");
        assert_eq!(spelt::<KeyState>("pre-active"), Ok(KeyState::PreActive));
        assert!(spelt::<KeyState>("asleep").is_err());
        assert_eq!(
            spellings(&[Right::Release, Right::Verify]),
            "release, verify"
        );
    }
}
