//! Custodians at the terminal: each gets a share, and some give theirs back.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::key::SharedKey;
use crate::shares::{Share, ShareError, Shares};
use crate::terminal::{Terminal, TerminalError};
use crate::words::{Kind, SHARE_WORDS, is_word};

/// How many wrong shares end it.
const MOST_FAILURES: u32 = 3;
/// Columns of words on the screen.
const COLUMNS: usize = 3;

/// Why custodians did not come to an end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialogueError {
    /// The terminal is of no use, or somebody broke it off.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Shares were wrong too often.
    #[error("{MOST_FAILURES} shares were wrong: it ends here, and nothing has been changed")]
    Failures,
    /// A key was not restored from as many shares as it takes.
    #[error(transparent)]
    Shares(#[from] ShareError),
}

/// Which shares are waited for, and what they have to restore.
pub struct Awaited<'a> {
    /// What the key is for.
    pub kind: Kind,
    /// The number of the shares' set.
    pub set: u16,
    /// How many are needed.
    pub threshold: u8,
    /// Who has one, in the order of the shares.
    pub custodians: &'a [String],
    /// Whether a key is the one that was shared.
    pub is: &'a dyn Fn(&SharedKey) -> bool,
}

/// Shows each custodian a share, one after another, and says so as soon as it is off the screen: with the share's index, from 1.
///
/// # Errors
///
/// [`DialogueError::Terminal`]. Who has seen a share until then has seen it.
pub fn hand_out(
    terminal: &mut Terminal,
    kind: Kind,
    shares: Vec<Share>,
    custodians: &[String],
    shown: &mut dyn FnMut(u8),
) -> Result<(), DialogueError> {
    let count = shares.len();
    for (share, name) in shares.into_iter().zip(custodians) {
        terminal.say(&format!(
            "\nShare {} of {count} is for {name}. {name} comes to the terminal alone; everybody else turns away.\n",
            share.index()
        ))?;
        terminal.wait(&format!("{name}: press Enter to see your share. "))?;
        terminal.show_secret(
            &on_screen(kind, &share, name, count),
            "\nWrite down each word with its number and compare them. They are shown this once.\nPress Enter when that is done: ",
        )?;
        shown(share.index());
    }
    Ok(())
}

/// Has custodians type their shares until the key is restored; whose shares were given, and what `now` answered then.
///
/// # Errors
///
/// [`DialogueError`].
pub fn gather<T>(
    terminal: &mut Terminal,
    awaited: &Awaited<'_>,
    now: &dyn Fn() -> T,
) -> Result<(SharedKey, Vec<(u8, T)>), DialogueError> {
    let mut shares = Shares::default();
    let mut given = Vec::new();
    let mut failures = 0;
    loop {
        let have = shares.indexes().len();
        if have == usize::from(awaited.threshold) {
            let key = shares.restore()?;
            if (awaited.is)(&key) {
                terminal.say("The shares restore the key: its check value is right.\n")?;
                return Ok((key, given));
            }
            failures += 1;
            terminal.say("These shares do not restore the key: at least one is of another set with the same number. All are needed again.\n")?;
            (shares, given) = (Shares::default(), Vec::new());
        } else {
            terminal.say(&format!(
                "\nShare {} of {} of the set {:04x}.\n",
                have + 1,
                awaited.threshold,
                awaited.set
            ))?;
            match take(terminal, awaited, &mut shares)? {
                Ok(index) => {
                    let name = custodian(awaited, index).unwrap_or("an unknown custodian");
                    terminal.say(&format!("Share {index}, {name}'s, is right.\n"))?;
                    given.push((index, now()));
                }
                Err(reason) => {
                    failures += 1;
                    terminal.say(&format!("{reason}.\n"))?;
                }
            }
        }
        if failures == MOST_FAILURES {
            return Err(DialogueError::Failures);
        }
    }
}

/// Asks until the answer is a number from `least` to `most`.
///
/// # Errors
///
/// [`TerminalError`].
pub fn ask_number(
    terminal: &mut Terminal,
    question: &str,
    least: u8,
    most: u8,
) -> Result<u8, TerminalError> {
    loop {
        let answer = terminal.ask(&format!("{question} "))?;
        match answer.parse() {
            Ok(number) if (least..=most).contains(&number) => return Ok(number),
            _ => terminal.say(&format!("A number from {least} to {most}, please.\n"))?,
        }
    }
}

/// Takes one share; says what is wrong with it, or which it is.
fn take(
    terminal: &mut Terminal,
    awaited: &Awaited<'_>,
    shares: &mut Shares,
) -> Result<Result<u8, String>, TerminalError> {
    terminal
        .wait("The custodian whose turn it is comes to the terminal alone and presses Enter. ")?;
    terminal.say(
        "One word after another, each with Enter; four letters are enough. \"<\" goes back one word.\n",
    )?;
    let words = type_words(terminal)?;
    let share = match Share::from_words(awaited.kind, &words) {
        Ok(share) => share,
        Err(error) => return Ok(Err(sentence(&error.to_string()))),
    };
    if share.set() != awaited.set {
        return Ok(Err(format!(
            "This share is of the set {:04x}, and the set {:04x} is needed",
            share.set(),
            awaited.set
        )));
    }
    let index = share.index();
    if share.threshold() != awaited.threshold || custodian(awaited, index).is_none() {
        return Ok(Err(
            "This share is of another set with the same number".to_owned()
        ));
    }
    Ok(shares
        .add(share)
        .map(|()| index)
        .map_err(|error| sentence(&error.to_string())))
}

/// The name of the custodian who has the share of this index.
fn custodian<'a>(awaited: &Awaited<'a>, index: u8) -> Option<&'a str> {
    let at = usize::from(index).checked_sub(1)?;
    awaited.custodians.get(at).map(String::as_str)
}

/// The words of a share as somebody types them, one line at a time on the screen.
fn type_words(terminal: &mut Terminal) -> Result<Zeroizing<String>, TerminalError> {
    let mut words: Vec<Zeroizing<String>> = Vec::with_capacity(SHARE_WORDS);
    let mut remark = "";
    while words.len() < SHARE_WORDS {
        let prompt = format!("{remark}word {:2} of {SHARE_WORDS}: ", words.len() + 1);
        let line = terminal.ask_secret(&prompt)?;
        remark = "";
        for typed in line.split_whitespace() {
            if typed == "<" {
                words.pop();
            } else if !is_word(typed) {
                remark = "not a word of the list, again: ";
                break;
            } else if words.len() < SHARE_WORDS {
                words.push(Zeroizing::new(typed.to_owned()));
            }
        }
    }
    let mut text = Zeroizing::new(String::with_capacity(SHARE_WORDS * 10));
    for word in &words {
        text.push_str(word);
        text.push(' ');
    }
    Ok(text)
}

/// A share as it is shown.
fn on_screen(kind: Kind, share: &Share, name: &str, count: usize) -> Zeroizing<String> {
    let words = share.to_words(kind);
    let words: Vec<&str> = words.iter().collect();
    let rows = words.len().div_ceil(COLUMNS);
    let mut text = Zeroizing::new(String::with_capacity(2048));
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "\n   Strongroom recovery share {} of {count}: {name}\n   of {}\n   set {:04x}, any {} shares recover\n",
        share.index(),
        kind.name(),
        share.set(),
        share.threshold()
    );
    for row in 0..rows {
        for at in (row..words.len()).step_by(rows) {
            let word = words.get(at).copied().unwrap_or_default();
            let _ = write!(text, "   {:2} {word:<12}", at + 1);
        }
        text.push('\n');
    }
    text
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::shares::split;

    #[test]
    fn a_share_is_shown_with_each_word_and_its_number() {
        let key = SharedKey::from_bytes(&[7; 32]);
        let share = split(&key, 0x1f2e, 2, 3).unwrap().remove(1);
        let shown = on_screen(Kind::DataPartition, &share, "Bruno", 3);
        assert!(shown.contains("share 2 of 3: Bruno") && shown.contains("set 1f2e"));
        assert!(shown.contains("of a data partition's recovery key\n"));
        for (at, word) in share.to_words(Kind::DataPartition).iter().enumerate() {
            assert!(shown.contains(&format!("{:2} {word} ", at + 1)), "{word}");
        }
        assert!(shown.lines().all(|line| line.len() < 80));
    }
}
