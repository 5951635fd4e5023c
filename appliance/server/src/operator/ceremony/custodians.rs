//! Custodians at the terminal: each gets a share, and some give theirs back.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use strongroom_hsm::{Aes256Key, Hsm};
use strongroom_keystore::recovery::{
    NewRecovery, RecoveryKek, SHARE_WORDS, Share, Shares, check_value, is_word, new_recovery_kek,
    split,
};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;
use zeroize::Zeroizing;

use super::people::Present;
use super::terminal::Terminal;

/// How many wrong shares end it.
const MOST_FAILURES: u32 = 3;
/// Columns of words on the screen.
const COLUMNS: usize = 3;

/// What happened to a share, and when.
#[derive(Debug)]
pub(super) struct Handled {
    pub(super) custodian: String,
    pub(super) shown: Option<Timestamp>,
    pub(super) given_back: Option<Timestamp>,
}

/// What the custodians settled.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) set: u16,
    pub(super) check_value: String,
    pub(super) shares: Vec<Handled>,
    pub(super) restored: Timestamp,
}

/// Makes a recovery KEK, gives each custodian a share, and has as many as are needed type theirs again. The key that is answered is the one that
/// was restored from what they typed; nothing has gone into the HSM.
pub(super) fn settle(
    terminal: &mut Terminal,
    present: &Present,
    hsm: &dyn Hsm,
) -> anyhow::Result<(NewRecovery, Settled)> {
    let count = u8::try_from(present.custodians.len())?;
    let (set, expected, shares) = {
        let (key, set) = new_recovery_kek(hsm)?;
        (
            set,
            check_value(&key),
            split(&key, set, present.threshold, count)?,
        )
        // The key is forgotten: what is put into the HSM is what the custodians give back.
    };
    let mut handled: Vec<Handled> = Vec::new();
    for (share, name) in shares.into_iter().zip(&present.custodians) {
        terminal.say(&format!(
            "\nShare {} of {count} is for {name}. {name} comes to the terminal alone; everybody else turns away.\n",
            share.index()
        ))?;
        terminal.wait(&format!("{name}: press Enter to see your share. "))?;
        terminal.show_secret(
            &on_screen(&share, name, count),
            "\nWrite down each word with its number and compare them. They are shown this once.\nPress Enter when that is done: ",
        )?;
        handled.push(Handled {
            custodian: name.clone(),
            shown: Some(SystemClock.now()),
            given_back: None,
        });
    }
    terminal.say(&format!(
        "\nThe rehearsal: any {} custodians type their shares from their papers, one after another.\n",
        present.threshold
    ))?;
    let kek = RecoveryKek {
        version: 0,
        set,
        threshold: present.threshold,
        custodians: present.custodians.clone(),
        check_value: expected.to_vec().into(),
        created: SystemClock.now(),
    };
    let (key, given) = gather(terminal, &kek)?;
    for (index, when) in given {
        if let Some(share) = handled.get_mut(usize::from(index) - 1) {
            share.given_back = Some(when);
        }
    }
    let settled = Settled {
        set,
        check_value: hex(&expected),
        shares: handled,
        restored: SystemClock.now(),
    };
    let custodians = present.custodians.clone();
    let new = NewRecovery::new(key, set, present.threshold, custodians)?;
    Ok((new, settled))
}

/// Has custodians type their shares until the key is restored, and answers whose shares were given when.
pub(super) fn gather(
    terminal: &mut Terminal,
    kek: &RecoveryKek,
) -> anyhow::Result<(Aes256Key, Vec<(u8, Timestamp)>)> {
    let mut shares = Shares::default();
    let mut given = Vec::new();
    let mut failures = 0;
    loop {
        let have = shares.indexes().len();
        if have == usize::from(kek.threshold) {
            let key = shares.restore()?;
            if kek.is(&key) {
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
                kek.threshold,
                kek.set
            ))?;
            match take(terminal, kek, &mut shares)? {
                Ok(index) => {
                    let name = kek.custodian(index).unwrap_or("an unknown custodian");
                    terminal.say(&format!("Share {index}, {name}'s, is right.\n"))?;
                    given.push((index, SystemClock.now()));
                }
                Err(reason) => {
                    failures += 1;
                    terminal.say(&format!("{reason}.\n"))?;
                }
            }
        }
        if failures == MOST_FAILURES {
            bail!("{MOST_FAILURES} shares were wrong: it ends here, and nothing has been changed");
        }
    }
}

/// Takes one share; says what is wrong with it, or which it is.
fn take(
    terminal: &mut Terminal,
    kek: &RecoveryKek,
    shares: &mut Shares,
) -> anyhow::Result<Result<u8, String>> {
    terminal
        .wait("The custodian whose turn it is comes to the terminal alone and presses Enter. ")?;
    terminal.say(
        "One word after another, each with Enter; four letters are enough. \"<\" goes back one word.\n",
    )?;
    let words = type_words(terminal)?;
    let share = match Share::from_words(&words) {
        Ok(share) => share,
        Err(error) => return Ok(Err(sentence(&error.to_string()))),
    };
    if share.set() != kek.set {
        return Ok(Err(format!(
            "This share is of the set {:04x}, and the set {:04x} is needed",
            share.set(),
            kek.set
        )));
    }
    let index = share.index();
    if share.threshold() != kek.threshold || kek.custodian(index).is_none() {
        return Ok(Err(
            "This share is of another set with the same number".to_owned()
        ));
    }
    Ok(shares
        .add(share)
        .map(|()| index)
        .map_err(|error| sentence(&error.to_string())))
}

/// The words of a share as somebody types them, one line at a time on the screen.
fn type_words(terminal: &mut Terminal) -> anyhow::Result<Zeroizing<String>> {
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
fn on_screen(share: &Share, name: &str, count: u8) -> Zeroizing<String> {
    let words = share.to_words();
    let words: Vec<&str> = words.iter().collect();
    let rows = words.len().div_ceil(COLUMNS);
    let mut text = Zeroizing::new(String::with_capacity(2048));
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "\n   Strongroom recovery share {} of {count}: {name}\n   set {:04x}, any {} shares recover\n",
        share.index(),
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

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// The recovery KEK of this version.
pub(super) fn kek_of(keks: &[RecoveryKek], version: u32) -> anyhow::Result<&RecoveryKek> {
    keks.iter()
        .find(|kek| kek.version == version)
        .with_context(|| format!("nothing is said of version {version} of the recovery KEK"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_share_is_shown_with_each_word_and_its_number() {
        let key = Aes256Key::from_bytes([7; 32]);
        let share = split(&key, 0x1f2e, 2, 3).unwrap().remove(1);
        let shown = on_screen(&share, "Bruno", 3);
        assert!(shown.contains("share 2 of 3: Bruno") && shown.contains("set 1f2e"));
        for (at, word) in share.to_words().iter().enumerate() {
            assert!(shown.contains(&format!("{:2} {word} ", at + 1)), "{word}");
        }
        assert!(shown.lines().all(|line| line.len() < 80));
    }
}
