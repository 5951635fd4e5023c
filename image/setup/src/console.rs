//! What stands on the screen and on the serial line, and what may be done there.
//!
//! Plain lines, so that it is read on whatever is plugged in and by whatever reads it aloud.

use std::fs;
use std::io::{self, BufRead as _, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::machine::{self, End};

/// How often the console looks whether something has changed.
const LOOK: Duration = Duration::from_secs(2);

/// Shows how the appliance is whenever that changes, and does what is typed.
pub(crate) fn run() -> Result<()> {
    let (sender, typed) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
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
                if let Some(answer) = obey(line.trim(), &typed, &mut out)? {
                    writeln!(out, "{answer}")?;
                }
                shown.clear();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
        }
    }
}

const MENU: &str = "\nType and press Enter:  l  the log    r  restart    o  turn off\n";

/// Does what was typed; a sentence where there is something to say.
fn obey(
    word: &str,
    typed: &mpsc::Receiver<String>,
    out: &mut impl Write,
) -> Result<Option<String>> {
    let end = match word {
        "" => return Ok(None),
        "l" => return machine::log(40).map(Some),
        "r" => End::Reboot,
        "o" => End::PowerOff,
        _ => return Ok(Some("There is no such choice.".to_owned())),
    };
    let what = if end == End::Reboot {
        "restart"
    } else {
        "turn off"
    };
    writeln!(out, "Type \"{what}\" to {what} the appliance:")?;
    out.flush()?;
    match typed.recv_timeout(Duration::from_secs(30)) {
        Ok(line) if line.trim() == what => {
            machine::end(end)?;
            Ok(Some("It ends what it is doing.".to_owned()))
        }
        _ => Ok(Some("Nothing was done.".to_owned())),
    }
}

/// How the appliance is.
struct Status {
    service: String,
    refused: Option<String>,
    data_is_open: bool,
    secure_boot: bool,
    addresses: Vec<String>,
    fingerprint: Option<String>,
    enrolment_code: Option<String>,
}

impl Status {
    fn now() -> Self {
        Self {
            service: machine::unit_state("strongroomd.service"),
            refused: fs::read_to_string(machine::REFUSED).ok(),
            data_is_open: machine::data_is_open(),
            secure_boot: machine::secure_boot(),
            addresses: machine::addresses(),
            fingerprint: machine::fingerprint().ok(),
            enrolment_code: fs::read_to_string(machine::ENROLMENT_CODE).ok(),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("Strongroom {}", env!("CARGO_PKG_VERSION"))];
        lines.push(format!(
            "  Service        {}",
            match self.service.as_str() {
                "active" => "serving",
                "activating" => "starting",
                "failed" => "failed: see the log",
                _ => "not started",
            }
        ));
        if let Some(why) = &self.refused {
            lines.push(format!("  Refused        {why}"));
        }
        lines.push(format!(
            "  Data           {}",
            if self.data_is_open {
                "open, by this machine's TPM"
            } else {
                "locked"
            }
        ));
        lines.push(format!(
            "  Secure Boot    {}",
            if self.secure_boot { "on" } else { "off" }
        ));
        let addresses = if self.addresses.is_empty() {
            "none yet".to_owned()
        } else {
            self.addresses.join(", ")
        };
        lines.push(format!("  Addresses      {addresses}"));
        if let Some(fingerprint) = &self.fingerprint {
            lines.push(format!("  Certificate    SHA-256 {fingerprint}"));
        }
        if let Some(code) = &self.enrolment_code {
            lines.push(format!(
                "  Enrol          account admin, one-time code {}",
                code.trim()
            ));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            service: "active".to_owned(),
            refused: None,
            data_is_open: true,
            secure_boot: true,
            addresses: vec!["192.0.2.7".to_owned()],
            fingerprint: Some("AA:BB".to_owned()),
            enrolment_code: Some("CODE\n".to_owned()),
        }
    }

    #[test]
    fn the_screen_says_what_whoever_racks_it_needs() {
        let text = status().text();
        for words in ["serving", "192.0.2.7", "SHA-256 AA:BB", "one-time code CODE", "Secure Boot    on"] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = Status {
            refused: Some("Secure Boot is off.".to_owned()),
            service: "inactive".to_owned(),
            enrolment_code: None,
            ..status()
        };
        let text = refused.text();
        assert!(text.contains("Refused        Secure Boot is off."), "{text}");
        assert!(text.contains("not started"), "{text}");
    }
}
