//! The matrix's case of the data partition's recovery key: shared at the console, and typed at that of another machine.

use anyhow::{Context, Result, bail};

use super::{
    machine::Running,
    matrix::{Matrix, STARTED, order, turn_off},
    play,
};

/// How many words a share has.
const WORDS: usize = 29;
/// What the service says of the leaf of a use.
const USED: &str = "the data partition was opened for this machine by its recovery key";

impl Matrix<'_> {
    pub(super) fn recovered(&self) -> Result<String> {
        let machine = self.settled()?.copy(self.folder("shared"))?;
        let mut running = machine.start(self.network())?;
        play::until_it_serves(&mut running)?;
        // The TPM opens the data while the machine starts, and not later.
        running.mark()?;
        order(&mut running, "k", "restart")?;
        running.wait_for_words(STARTED)?;
        running.mark()?;
        play::until_it_serves(&mut running)?;
        running.mark()?;
        running.type_line("k")?;
        answer(&mut running, "How many custodians get a share?", "3")?;
        answer(&mut running, "are to be able to recover?", "2")?;
        answer(&mut running, "Begin? (yes/no)", "yes")?;
        let mut papers = Vec::new();
        for custodian in 1..=3 {
            papers.push(write_down(&mut running, custodian)?);
        }
        let [first, second, third] = papers.as_slice() else {
            bail!("there are three custodians");
        };
        give_back(&mut running, third)?;
        give_back(&mut running, first)?;
        running.wait_for_words("The recovery key is made")?;
        running.wait_for_words("Recovery key     shared among 3, 2 needed\n")?;
        turn_off(&mut running)?;
        drop(running);

        let machine = machine.copy(self.folder("recovered"))?;
        machine.replace_tpm()?;
        let mut running = machine.start(self.network())?;
        running.wait_for_words("The data is locked, as this is another machine")?;
        if play::answers(self.listeners) {
            bail!("something answers on the client port of a machine whose data is locked");
        }
        running.mark()?;
        running.type_line("k")?;
        running.wait_for_words("Any 2 of them open the data for this machine")?;
        give_back(&mut running, second)?;
        give_back(&mut running, first)?;
        let since = running.time();
        answer(&mut running, "Type \"open here\"", "open here")?;
        running.wait_for_words(STARTED)?;
        running.mark()?;
        play::until_it_serves(&mut running)?;
        let took = running.time().saturating_sub(since);
        self.data_is_kept()?;
        running.wait_for_words("shared among 3, 2 needed; used ")?;
        running.mark()?;
        running.type_line("l")?;
        running.wait_for_words(USED)?;
        // Its TPM counts from now on, and opens the data again.
        order(&mut running, "r", "restart")?;
        running.wait_for_words(STARTED)?;
        running.mark()?;
        play::until_it_serves(&mut running)?;
        turn_off(&mut running)?;
        Ok(format!(
            "2 of 3 custodians typed their shares at a machine with another TPM; it serves after {}, with all data and a leaf of it, and again after a restart",
            crate::terminal::duration(took)
        ))
    }
}

/// Answers a question; from there on only what is said later counts.
pub(super) fn answer(running: &mut Running, question: &str, line: &str) -> Result<()> {
    running.wait_for_words(question)?;
    running.mark()?;
    running.type_line(line)
}

/// A custodian's share, off the screen.
pub(super) fn write_down(running: &mut Running, custodian: u8) -> Result<Vec<String>> {
    answer(
        running,
        &format!("Custodian {custodian}: press Enter to see your share. "),
        "",
    )?;
    let words = running.wait_for("a share", share)?;
    answer(running, "Press Enter when that is done: ", "")?;
    Ok(words)
}

/// The words of a share that is whole on the screen, in their order.
fn share(said: &str) -> Option<Vec<String>> {
    let (_, table) = said.split_once(" shares recover")?;
    let (table, _) = table.split_once("Write down")?;
    let parts: Vec<&str> = table.split_whitespace().collect();
    let mut words = Vec::new();
    for pair in parts.chunks(2) {
        let [number, word] = pair else { return None };
        words.push((number.parse::<usize>().ok()?, (*word).to_owned()));
    }
    words.sort_unstable();
    (words.len() == WORDS).then(|| words.into_iter().map(|(_, word)| word).collect())
}

pub(super) fn give_back(running: &mut Running, words: &[String]) -> Result<()> {
    answer(
        running,
        "comes to the terminal alone and presses Enter. ",
        "",
    )?;
    for (at, word) in words.iter().enumerate() {
        answer(running, &format!("word {:2} of {WORDS}: ", at + 1), word)?;
    }
    running
        .wait_for_words("is right.\n")
        .context("the share was not taken")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_share_is_read_off_the_screen() {
        let mut screen = "\x1b[2J   set 1f2e, any 2 shares recover\n\n".to_owned();
        for row in 1..=10 {
            for number in (row..=WORDS).step_by(10) {
                // Writing to a String does not fail.
                let _ = write!(screen, "   {number:2} word{number:<12}");
            }
            screen.push('\n');
        }
        assert_eq!(share(&screen), None, "it is not whole yet");
        screen += "\nWrite down each word";
        let words = share(&screen);
        let expected = (1..=WORDS).map(|number| format!("word{number}")).collect();
        assert_eq!(words, Some(expected));
    }
}
