//! What stands on the screen: how the appliance is.

use std::fs;
use std::path::Path;

use crate::machine::{self, Obstacle};
use crate::pin::{self, Waiting};
use crate::recovery::Told;
use crate::release::Release;
use crate::restore;
use crate::seed;
use crate::updates::{Fate, Outcome, State};
use crate::witness;

/// Whether a service that says this of itself is sealed.
pub(super) fn is_sealed(report: &str) -> bool {
    report.starts_with("sealed since")
}

/// How the appliance is.
pub(super) struct Status {
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
    /// Whether the first start waits for the HSM's PIN.
    waits_for_pin: bool,
    /// Whether it waits for those who bring an appliance back.
    waits_for_restore: bool,
    /// The seed: SHA-256 of the one that this appliance is made by, or why the one that is there is refused.
    seed: Option<Result<String, String>>,
    /// The recovery key that custodians have.
    recovery: Option<Told>,
    /// The verifier key of the witness that it is.
    witness: Option<String>,
    secure_boot: bool,
    addresses: Vec<String>,
    /// Of the server's certificate and of its CA's.
    fingerprints: Option<[String; 2]>,
    /// The first administrator's code, and in the next line their account.
    enrolment_code: Option<String>,
}

impl Status {
    pub(super) fn now() -> Self {
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
            waits_for_pin: Waiting::is_at(Path::new(pin::SOCKET)),
            waits_for_restore: restore::is_awaited(),
            seed: seed::refused().map(Err).or_else(|| {
                let kept = seed::kept(Path::new(machine::HOME)).ok()?;
                kept.map(|seed| Ok(seed.sha256))
            }),
            recovery: Told::read(),
            witness: witness::verifier_key(Path::new(machine::HOME)),
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

    /// The screen.
    pub(super) fn text(&self) -> String {
        let service = match (self.report.as_deref(), self.service.as_str()) {
            (Some(report), _) => settled(report),
            (None, "active" | "activating") => vec!["starting"],
            (None, "failed") => vec!["failed: see the log"],
            _ if self.reset == "failed" => {
                vec!["stopped for a factory reset, which failed: see the log"]
            }
            _ if matches!(self.seed, Some(Err(_))) => {
                vec![
                    "not started, as the seed is refused: bring another or take it away, then type r",
                ]
            }
            _ => match self.first_start.as_deref() {
                Some("activating") if self.waits_for_pin => {
                    vec!["waiting for the HSM's PIN: type p"]
                }
                Some("activating") if self.waits_for_restore => {
                    vec!["waiting for those who bring the appliance back from a backup: type b"]
                }
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
        if self.report.as_deref().is_some_and(is_sealed) {
            line("", "whoever has the HSM's PIN types p");
        }
        match &self.seed {
            Some(Ok(sha256)) => line("Seed", &format!("SHA-256 {sha256}")),
            Some(Err(why)) => line("Seed", &format!("refused: {why}")),
            None => {}
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
        if let Some(key) = &self.witness {
            line("Witness", key);
        }
        if let Some(enrolment) = &self.enrolment_code {
            let (code, account) = enrolment.split_once('\n').unwrap_or((enrolment, ""));
            line(
                "First enrolment",
                &format!("account {}, code {code}, good once", account.trim_end()),
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
            waits_for_pin: false,
            waits_for_restore: false,
            seed: None,
            recovery: None,
            witness: None,
            secure_boot: true,
            addresses: vec!["192.0.2.7".to_owned()],
            fingerprints: Some(["AA:BB".to_owned(), "CC:DD".to_owned()]),
            enrolment_code: Some("CODE\nann@example.com\n".to_owned()),
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
            "account ann@example.com, code CODE, good once",
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
    fn a_witness_tells_its_key() {
        assert!(!status().text().contains("Witness"));
        let witness = Status {
            witness: Some("w.example+01234567+BA".to_owned()),
            ..status()
        };
        assert!(
            witness
                .text()
                .contains("  Witness          w.example+01234567+BA\n")
        );
    }

    #[test]
    fn a_seed_is_told_and_a_refused_one_with_the_reason() {
        let seeded = Status {
            seed: Some(Ok("1f2e".to_owned())),
            ..status()
        };
        assert!(seeded.text().contains("Seed             SHA-256 1f2e\n"));
        let refused = Status {
            service: "inactive".to_owned(),
            report: None,
            enrolment_code: None,
            seed: Some(Err("it is not signed".to_owned())),
            ..status()
        };
        let text = refused.text();
        for words in [
            "Service          not started, as the seed is refused",
            "Seed             refused: it is not signed\n",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn whoever_has_the_pin_is_told_where_it_is_waited_for() {
        let waiting = Status {
            service: "inactive".to_owned(),
            first_start: Some("activating".to_owned()),
            report: None,
            waits_for_pin: true,
            ..status()
        };
        let text = waiting.text();
        assert!(text.contains("waiting for the HSM's PIN: type p"), "{text}");
        let sealed = Status {
            report: Some("sealed since 2026-11-30\nbecause: nobody gave the PIN\n".to_owned()),
            ..status()
        };
        let text = sealed.text();
        assert!(text.contains("the HSM's PIN types p"), "{text}");
        assert!(!status().text().contains("types p"));
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
