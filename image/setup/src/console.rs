//! What stands on the screen and on the serial line, and what may be done there.
//!
//! Plain lines, so that it is read on whatever is plugged in and by whatever reads it aloud.

use std::io::{self, BufRead as _, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use zeroize::Zeroizing;

use crate::machine::{self, End};
use crate::names;
use crate::recovery::{self, Possible};
use crate::restore;

mod asked;
mod status;
mod unseen;

use status::Status;

/// What is typed, line by line.
type Typed = mpsc::Receiver<Zeroizing<String>>;

/// How often the console looks whether something has changed.
const LOOK: Duration = Duration::from_secs(4);

/// Shows how the appliance is whenever that changes, and does what is typed.
pub(crate) fn run(terminal: &str) -> Result<()> {
    let (sender, typed) = mpsc::channel();
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            // With room for the longest line of a terminal, so that what is secret in one is never copied.
            let mut line = Zeroizing::new(String::with_capacity(4096));
            match stdin.read_line(&mut line) {
                Ok(1..) if sender.send(line).is_ok() => {}
                _ => break,
            }
        }
    });
    let mut out = io::stdout();
    let mut shown = String::new();
    loop {
        let now = Status::now().text();
        if now != shown {
            writeln!(out, "\n{now}{MENU}")?;
            out.flush()?;
            shown = now;
        }
        match typed.recv_timeout(LOOK) {
            Ok(line) => {
                if let Some(answer) = obey(line.trim(), terminal, &typed, &mut out)? {
                    writeln!(out, "{answer}")?;
                }
                shown.clear();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
        }
    }
}

const MENU: &str = "\nType and press Enter:  l  the log    m  what the TPM has measured    n  the network    d  the names in the certificate    f  forget the enrolment code, once it was used    k  the recovery key of the disk    c  custodians for backups    b  bring an appliance back, where that is waited for    p  the HSM's PIN, where it is waited for    r  restart    o  turn off    x  erase all\n";

/// Does what was typed; a sentence where there is something to say.
fn obey(word: &str, terminal: &str, typed: &Typed, out: &mut impl Write) -> Result<Option<String>> {
    let choice = word;
    let (end, word, consequence) = match choice {
        "" => return Ok(None),
        "l" => return machine::log(40).map(Some),
        "m" => {
            let said = machine::measured();
            return Ok(Some(said.unwrap_or_else(|error| format!("{error:#}."))));
        }
        "n" => return asked::network(typed, out).map(Some),
        "d" => return names::ask(typed, out).map(Some),
        "p" => return asked::pin(typed, out).map(Some),
        "f" => return machine::forget_enrolment_code().map(|()| None),
        "b" if restore::is_awaited() => {
            return machine::give_to("restore", terminal).map(|()| None);
        }
        "b" => {
            return Ok(Some(
                "No first start waits for it: a seed says from which backup.".to_owned(),
            ));
        }
        "c" if !machine::is_made() => {
            return Ok(Some(
                "There is no appliance yet whose backups they could open.".to_owned(),
            ));
        }
        "c" => {
            let consequence = "stop serving, and hold the ceremony in which custodians get shares by which they open backups without this machine";
            if !agreed("ceremony", consequence, typed, out)? {
                return Ok(Some(NOTHING.to_owned()));
            }
            return machine::give_to("ceremony", terminal).map(|()| None);
        }
        "k" => match recovery::possible(machine::obstacle(), recovery::is_ready()) {
            Possible::Make | Possible::Take => {
                machine::give_to("recovery", terminal)?;
                return Ok(None);
            }
            Possible::Nothing(obstacle) => {
                return Ok(Some(format!("Custodians cannot help here. {obstacle}")));
            }
            Possible::MakeAfterRestart => (
                End::Reboot,
                "restart",
                "restart the appliance, as the TPM opens the data while it starts and not later, and then type k again",
            ),
        },
        "r" => (End::Reboot, "restart", "restart the appliance"),
        "o" => (End::PowerOff, "turn off", "turn off the appliance"),
        "x" => (
            End::Reset,
            "erase everything",
            "destroy all keys and data for ever, and begin anew with a first start",
        ),
        _ => return Ok(Some("There is no such choice.".to_owned())),
    };
    if !agreed(word, consequence, typed, out)? {
        return Ok(Some(NOTHING.to_owned()));
    }
    if choice == "k" {
        recovery::want()?;
    }
    if end == End::Reset {
        writeln!(out, "The receivers of the audit log are told first.")?;
        out.flush()?;
        writeln!(out, "{}", machine::record_reset())?;
    }
    machine::end(end)?;
    Ok(Some("It ends what it is doing.".to_owned()))
}

const NOTHING: &str = "Nothing was done.";

/// Whether somebody types this word, knowing what follows.
fn agreed(word: &str, consequence: &str, typed: &Typed, out: &mut impl Write) -> Result<bool> {
    writeln!(out, "Type \"{word}\" to {consequence}:")?;
    out.flush()?;
    let line = typed.recv_timeout(Duration::from_secs(30));
    Ok(line.is_ok_and(|line| line.trim() == word))
}
