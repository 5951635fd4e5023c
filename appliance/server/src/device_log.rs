//! The logs that HSMs keep themselves, drained into the audit tree: a YubiHSM 2 has room for 62 entries, and may be told to refuse commands
//! when it is full.
//!
//! To record a log makes entries in it: freeing it is a command, and so is signing the checkpoint over the leaves. So it is drained when it is half
//! full, and once an hour whatever there is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_hsm::supervised::Supervised;
use strongroom_hsm::{DeviceLog, DeviceLogEntry};
use strongroom_keystore::Keystore;

/// So many entries make a log due.
const HALF_FULL: usize = 31;
/// A log with anything in it is due after so long.
const AT_LEAST_EVERY: Duration = Duration::from_hours(1);
/// The longest note that a leaf takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Drains the logs of all HSMs of an appliance.
pub(crate) struct Drain {
    hsm: Arc<Supervised>,
    keystore: Arc<Keystore>,
    /// Of each HSM, when it was drained last; those that keep no log are not asked again.
    places: Vec<Option<Instant>>,
}

impl Drain {
    pub(crate) fn new(hsm: Arc<Supervised>, keystore: Arc<Keystore>) -> Self {
        let places = vec![Some(Instant::now()); hsm.status().len()];
        Self {
            hsm,
            keystore,
            places,
        }
    }

    /// Records what is due, and only then has the HSM forget it.
    pub(crate) fn run(&mut self) -> anyhow::Result<()> {
        for (place, drained) in self.places.iter_mut().enumerate() {
            let Some(last) = *drained else { continue };
            let (token, log) = match self.hsm.device_log_of(place) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    *drained = None;
                    continue;
                }
                // Its supervision tells of that.
                Err(error) if error.is_transient() => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(newest) = log.entries.last() else {
                continue;
            };
            if !is_due(&log, last.elapsed()) {
                continue;
            }
            if log.unlogged_boots > 0 || log.unlogged_logins > 0 {
                tracing::warn!(
                    device = token.serial,
                    starts = log.unlogged_boots,
                    logins = log.unlogged_logins,
                    "the HSM's own log was full: entries are missing"
                );
            }
            self.keystore
                .record_device_log(notes(&token.serial, &log))?;
            // Where this fails the same entries are recorded again.
            self.hsm.acknowledge_device_log_of(place, newest.number)?;
            *drained = Some(Instant::now());
        }
        Ok(())
    }
}

fn is_due(log: &DeviceLog, since: Duration) -> bool {
    log.entries.len() >= HALF_FULL || (!log.entries.is_empty() && since >= AT_LEAST_EVERY)
}

/// What the leaves say: as many entries in each as its note has room for.
fn notes(serial: &str, log: &DeviceLog) -> Vec<String> {
    let head = format!(
        "device {serial}, unlogged starts {}, unlogged logins {}",
        log.unlogged_boots, log.unlogged_logins
    );
    let mut notes = Vec::new();
    let mut note = head.clone();
    for entry in &log.entries {
        let text = text_of(entry);
        if note.len() + text.len() > LONGEST_NOTE {
            notes.push(std::mem::replace(&mut note, head.clone()));
        }
        note += &text;
    }
    notes.push(note);
    notes
}

/// All that the entry's digest is made over, and the digest: whoever has them in a row can check that none is missing.
fn text_of(entry: &DeviceLogEntry) -> String {
    let DeviceLogEntry {
        number,
        command,
        length,
        auth_key,
        target,
        second_target,
        result,
        tick,
        digest,
    } = entry;
    let digest = u128::from_be_bytes(*digest);
    format!(
        "; {number} {command} length {length} key {auth_key} target {target},{second_target} {result} tick {tick} digest {digest:032x}"
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn entry(number: u16) -> DeviceLogEntry {
        DeviceLogEntry {
            number,
            command: "SignAttestationCertificate".to_owned(),
            length: u16::MAX,
            auth_key: u16::MAX,
            target: u16::MAX,
            second_target: u16::MAX,
            result: "InsufficientPermissions".to_owned(),
            tick: u32::MAX,
            digest: [0xab; 16],
        }
    }

    fn log(entries: u16) -> DeviceLog {
        DeviceLog {
            unlogged_boots: 1,
            unlogged_logins: 2,
            entries: (0..entries).map(|n| entry(65_500 + n % 36)).collect(),
        }
    }

    #[test]
    fn a_full_log_fits_into_leaves_and_misses_nothing() {
        let full = log(62);
        let notes = notes("0012345678", &full);
        assert!((2..=14).contains(&notes.len()), "{}", notes.len());
        for note in &notes {
            assert!(note.len() <= LONGEST_NOTE);
            assert!(
                note.starts_with("device 0012345678, unlogged starts 1, unlogged logins 2; "),
                "{note}"
            );
        }
        let written: Vec<&str> = notes
            .iter()
            .flat_map(|note| note.split("; ").skip(1))
            .collect();
        assert_eq!(written.len(), 62);
        for (text, entry) in written.iter().zip(&full.entries) {
            let number = text.split(' ').next().unwrap();
            assert_eq!(number.parse(), Ok(entry.number));
            assert!(text.ends_with(&"ab".repeat(16)));
        }
    }

    #[test]
    fn a_log_is_due_when_it_is_half_full_or_old() {
        let (fresh, old) = (Duration::ZERO, AT_LEAST_EVERY);
        assert!(!is_due(&log(0), old));
        assert!(!is_due(&log(1), fresh));
        assert!(is_due(&log(1), old));
        assert!(is_due(&log(31), fresh));
    }
}
