//! What stands on the screen and on the serial line, and what may be done there.
//!
//! Plain lines, so that it is read on whatever is plugged in and by whatever reads it aloud.

use std::fs;
use std::io::{self, BufRead as _, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::machine::{self, End, Obstacle};
use crate::names;
use crate::network::{self, Network};
use crate::recovery::{self, Possible, Told};
use crate::release::Release;
use crate::updates::{Fate, Outcome, State};

/// How often the console looks whether something has changed.
const LOOK: Duration = Duration::from_secs(4);

/// Shows how the appliance is whenever that changes, and does what is typed.
pub(crate) fn run(terminal: &str) -> Result<()> {
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

const MENU: &str = "\nType and press Enter:  l  the log    m  what the TPM has measured    n  the network    d  the names in the certificate    f  forget the enrolment code, once it was used    k  the recovery key    r  restart    o  turn off    x  erase all\n";

/// Does what was typed; a sentence where there is something to say.
fn obey(
    word: &str,
    terminal: &str,
    typed: &mpsc::Receiver<String>,
    out: &mut impl Write,
) -> Result<Option<String>> {
    let choice = word;
    let (end, word, consequence) = match choice {
        "" => return Ok(None),
        "l" => return machine::log(40).map(Some),
        "m" => {
            let said = machine::measured();
            return Ok(Some(said.unwrap_or_else(|error| format!("{error:#}."))));
        }
        "n" => return ask_network(typed, out).map(Some),
        "d" => return names::ask(typed, out).map(Some),
        "f" => return machine::forget_enrolment_code().map(|()| None),
        "k" => match recovery::possible(machine::obstacle(), recovery::is_ready()) {
            Possible::Make | Possible::Take => {
                machine::give_to_custodians(terminal)?;
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
    writeln!(out, "Type \"{word}\" to {consequence}:")?;
    out.flush()?;
    match typed.recv_timeout(Duration::from_secs(30)) {
        Ok(line) if line.trim() == word => {
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
        _ => Ok(Some("Nothing was done.".to_owned())),
    }
}

/// Asks how the machine is to be on its network, and keeps it for the next start.
fn ask_network(typed: &mpsc::Receiver<String>, out: &mut impl Write) -> Result<String> {
    if !machine::data_is_open() {
        return Ok("There is no place to keep it in, as the data is not open.".to_owned());
    }
    writeln!(
        out,
        "The network is: {}\nType what it is to be, such as one of these, or nothing:\n  {}",
        Network::kept()?,
        network::EXAMPLES
    )?;
    out.flush()?;
    let Ok(line) = typed.recv_timeout(Duration::from_mins(5)) else {
        return Ok("Nothing was done.".to_owned());
    };
    if line.trim().is_empty() {
        return Ok("Nothing was done.".to_owned());
    }
    match line.parse::<Network>() {
        Ok(network) => {
            network.keep()?;
            Ok(format!("From the next start the network is: {network}"))
        }
        Err(mistake) => Ok(format!("Nothing was done: {mistake}.")),
    }
}

/// How the appliance is.
struct Status {
    version: String,
    /// Of releases, where the data is open.
    state: Option<State>,
    service: String,
    /// How the first start is, in systemd's words, while its units are not what they should be.
    first_start: Option<String>,
    /// How the factory reset is, in systemd's words.
    reset: String,
    /// What it says of itself while it runs.
    report: Option<String>,
    obstacle: Option<Obstacle>,
    /// The recovery key that custodians have.
    recovery: Option<Told>,
    secure_boot: bool,
    addresses: Vec<String>,
    /// Of the server's certificate and of its CA's.
    fingerprints: Option<[String; 2]>,
    enrolment_code: Option<String>,
}

impl Status {
    fn now() -> Self {
        Self {
            version: Release::running().map_or_else(
                |_| env!("CARGO_PKG_VERSION").to_owned(),
                |release| release.version.to_string(),
            ),
            state: State::read().ok().flatten(),
            report: machine::status(),
            service: machine::unit_state("strongroomd.service"),
            reset: machine::unit_state("strongroom-reset.service"),
            first_start: [
                "strongroom-init.service",
                "strongroom-seal.service",
                "strongroom-filter.service",
                "strongroom-release.service",
            ]
            .map(machine::unit_state)
            .into_iter()
            .find(|state| state == "activating" || state == "failed"),
            obstacle: machine::obstacle(),
            recovery: Told::read(),
            secure_boot: machine::secure_boot(),
            addresses: machine::addresses()
                .iter()
                .map(ToString::to_string)
                .collect(),
            fingerprints: match (
                machine::fingerprint("server.pem"),
                machine::fingerprint("ca.pem"),
            ) {
                (Ok(server), Ok(authority)) => Some([server, authority]),
                _ => None,
            },
            enrolment_code: fs::read_to_string(machine::ENROLMENT_CODE).ok(),
        }
    }

    fn text(&self) -> String {
        let service = match (self.report.as_deref(), self.service.as_str()) {
            (Some(report), _) => settled(report),
            (None, "active" | "activating") => vec!["starting"],
            (None, "failed") => vec!["failed: see the log"],
            _ if self.reset == "failed" => {
                vec!["stopped for a factory reset, which failed: see the log"]
            }
            _ => match self.first_start.as_deref() {
                Some("activating") if self.addresses.is_empty() => {
                    vec!["waiting for an address: where there is no DHCP, type n, then r"]
                }
                Some("activating") => vec!["being made: token, keys and certificates"],
                Some(_) => vec!["not started, as it could not be made: see the log"],
                None => vec!["not started"],
            },
        };
        let mut lines = vec![format!("Strongroom {}", self.version)];
        let mut line = |name: &str, what: &str| lines.push(format!("  {name:<15}  {what}"));
        for (index, what) in service.iter().enumerate() {
            line(if index == 0 { "Service" } else { "" }, what);
        }
        if let Some(state) = &self.state {
            line("Release", &release(state));
        }
        if let Some(obstacle) = self.obstacle {
            line("Not serving", &obstacle.to_string());
        } else {
            line("Data", "open, by this machine's TPM");
            line("Recovery key", &recovery_key(self.recovery.as_ref()));
        }
        line("Secure Boot", if self.secure_boot { "on" } else { "off" });
        let addresses = self.addresses.join(", ");
        line(
            "Addresses",
            if addresses.is_empty() {
                "none yet"
            } else {
                &addresses
            },
        );
        if let (Some([server, authority]), None) = (&self.fingerprints, self.obstacle) {
            line("Certificate", &format!("SHA-256 {server}"));
            line("Authority", &format!("SHA-256 {authority}"));
        }
        if let Some(code) = &self.enrolment_code {
            line(
                "First enrolment",
                &format!("account admin, code {}, good once", code.trim()),
            );
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// Among whom the recovery key of the data partition is shared, and whether it was used.
fn recovery_key(told: Option<&Told>) -> String {
    let Some(Told { made, used }) = told else {
        return "none, so that the data is lost with this machine: type k".to_owned();
    };
    let shared = format!(
        "shared among {}, {} needed",
        made.custodians, made.threshold
    );
    match used {
        Some(used) if used.fingerprint == made.fingerprint => {
            format!("{shared}; used {}: type k and share another", used.at)
        }
        _ => shared,
    }
}

/// What runs, what waits, and what came of the last update.
fn release(state: &State) -> String {
    let mut said = vec![format!("in slot {}", state.running.slot.letter())];
    if state.trial {
        said.push("on trial".to_owned());
    } else if let Some(installed) = &state.installed {
        said.push(format!("{} at the next start", installed.version));
    }
    if let Some(Outcome {
        version,
        fate: Fate::RolledBack,
        why,
        ..
    }) = &state.last
    {
        let why = why.as_deref().unwrap_or("it was not kept");
        said.push(format!("gone back from {version}: {why}"));
    }
    said.join("; ")
}

/// Of what the service says, what changes only when something happens, so that the screen stands still meanwhile.
fn settled(report: &str) -> Vec<&str> {
    const PASSING: [&str; 2] = ["cached KEKs:", "scrub:"];
    report
        .lines()
        .filter(|line| !PASSING.iter().any(|passing| line.starts_with(passing)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn status() -> Status {
        Status {
            version: "0.2.0".to_owned(),
            state: None,
            service: "active".to_owned(),
            first_start: None,
            reset: "inactive".to_owned(),
            report: Some(
                "serving since 2026-11-30\ncached KEKs: 3\nHSM primary\n  open\n".to_owned(),
            ),
            obstacle: None,
            recovery: None,
            secure_boot: true,
            addresses: vec!["192.0.2.7".to_owned()],
            fingerprints: Some(["AA:BB".to_owned(), "CC:DD".to_owned()]),
            enrolment_code: Some("CODE\n".to_owned()),
        }
    }

    #[test]
    fn the_screen_says_what_whoever_racks_it_needs() {
        let text = status().text();
        for words in [
            "serving since",
            "192.0.2.7",
            "SHA-256 AA:BB",
            "SHA-256 CC:DD",
            "code CODE,",
            "Secure Boot      on",
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert!(
            !text.contains("cached"),
            "what changes all the time would redraw the screen: {text}"
        );
    }

    #[test]
    fn a_factory_reset_that_failed_is_not_passed_over() {
        let failed = Status {
            service: "inactive".to_owned(),
            reset: "failed".to_owned(),
            report: None,
            ..status()
        };
        let text = failed.text();
        assert!(
            text.contains("a factory reset, which failed: see the log"),
            "{text}"
        );
    }

    #[test]
    fn a_first_start_without_dhcp_says_what_to_do() {
        let waiting = Status {
            service: "inactive".to_owned(),
            first_start: Some("activating".to_owned()),
            report: None,
            addresses: Vec::new(),
            fingerprints: None,
            enrolment_code: None,
            ..status()
        };
        let text = waiting.text();
        assert!(text.contains("where there is no DHCP, type n"), "{text}");
    }

    #[test]
    fn what_came_of_an_update_is_said() {
        let mut state: State = serde_json::from_value(serde_json::json!({
            "running": {"version": "0.2.0", "security_version": 1, "slot": "b"}, "trial": true,
            "installed": {"version": "0.2.0", "security_version": 1, "at": "2026-11-30T12:00:00Z"}, "refused": null, "last": null,
        }))
        .unwrap();
        assert_eq!(release(&state), "in slot b; on trial");
        state.trial = false;
        assert_eq!(release(&state), "in slot b; 0.2.0 at the next start");
        state.installed = None;
        state.last = Some(Outcome {
            version: "0.3.0".parse().unwrap(),
            fate: Fate::RolledBack,
            why: Some("it did not come up in 3 tries".to_owned()),
            at: "2026-11-30T12:00:00Z".to_owned(),
        });
        let said = release(&state);
        assert_eq!(
            said,
            "in slot b; gone back from 0.3.0: it did not come up in 3 tries"
        );
        let shown = Status {
            state: Some(state),
            ..status()
        };
        assert!(shown.text().contains(&format!("Release          {said}\n")));
    }

    #[test]
    fn the_recovery_key_is_told() {
        let text = status().text();
        assert!(text.contains("Recovery key     none, so that"), "{text}");
        let mut told: Told = serde_json::from_value(serde_json::json!({
            "made": {"made": "2026-11-30T12:00:00Z", "custodians": 3, "threshold": 2, "fingerprint": "f25b81471881babd"}, "used": null,
        }))
        .unwrap();
        assert_eq!(recovery_key(Some(&told)), "shared among 3, 2 needed");
        // One before it was used, and then this one.
        for (fingerprint, says) in [
            ("0000000000000000", "shared among 3, 2 needed"),
            (
                "f25b81471881babd",
                "shared among 3, 2 needed; used 2026-12-01T12:00:00Z: type k and share another",
            ),
        ] {
            told.used = serde_json::from_value(serde_json::json!(
                {"at": "2026-12-01T12:00:00Z", "fingerprint": fingerprint, "times": 1}
            ))
            .unwrap();
            assert_eq!(recovery_key(Some(&told)), says);
        }
    }

    #[test]
    fn an_obstacle_says_why() {
        let refused = Status {
            service: "inactive".to_owned(),
            report: None,
            obstacle: Some(Obstacle::SecureBootOff),
            secure_boot: false,
            enrolment_code: None,
            ..status()
        };
        let text = refused.text();
        assert!(
            text.contains("Not serving      Secure Boot is off, so nobody"),
            "{text}"
        );
        assert!(text.contains("not started"), "{text}");
        assert!(!text.contains("SHA-256"), "{text}");
    }
}
