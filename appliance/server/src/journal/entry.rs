//! An entry of the machine's log, and the message of RFC 5424 that it becomes.

use strongroom_wire::encoding::Timestamp;

use crate::syslog::{frame, one_line, parameter, printable};

/// The name of the structured data, under the number that RFC 5612 keeps for examples.
const ELEMENT: &str = "journal@32473";
/// The longest names in a header (RFC 5424 section 6.2).
const LONGEST_HOST: usize = 255;
const LONGEST_PROGRAM: usize = 48;
const LONGEST_PROCESS: usize = 128;
/// The facilities of what is no program's (RFC 5424 section 6.2.1).
const KERNEL: u8 = 0;
const DAEMON: u8 = 3;
const LAST_FACILITY: u8 = 23;
/// The severities that are used here, and the last one.
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;
const LAST_SEVERITY: u8 = 7;

/// What is kept of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entry {
    /// When journald handed it over, in milliseconds since 1970.
    pub(super) time: Option<u64>,
    /// Its severity: 0 to 7.
    pub(super) priority: Option<u8>,
    pub(super) facility: Option<u8>,
    /// Whether it is the kernel's.
    pub(super) kernel: bool,
    /// The program that logged it, as it called itself, or its command's name.
    pub(super) program: String,
    pub(super) process: String,
    pub(super) unit: String,
    pub(super) message: String,
}

impl Entry {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + self.program.len()
            + self.process.len()
            + self.unit.len()
            + self.message.len()
    }
}

/// What all messages have in common.
pub(super) struct Style {
    host: String,
}

impl Style {
    pub(super) fn new(host: &str) -> Self {
        Self {
            host: printable(host, LONGEST_HOST),
        }
    }

    /// A frame with an entry's message.
    pub(super) fn frame(&self, entry: &Entry) -> Vec<u8> {
        let facility = entry
            .facility
            .filter(|facility| *facility <= LAST_FACILITY)
            .unwrap_or(if entry.kernel { KERNEL } else { DAEMON });
        let severity = entry
            .priority
            .filter(|priority| *priority <= LAST_SEVERITY)
            .unwrap_or(INFORMATIONAL);
        let time = entry.time.map_or_else(
            || "-".to_owned(),
            |time| Timestamp::from_millis(time).to_string(),
        );
        let program = printable(&entry.program, LONGEST_PROGRAM);
        let process = printable(&entry.process, LONGEST_PROCESS);
        let mut data = "-".to_owned();
        if !entry.unit.is_empty() {
            data = format!("[{ELEMENT}");
            parameter(&mut data, "unit", &entry.unit);
            data.push(']');
        }
        frame(&format!(
            "<{}>1 {time} {} {program} {process} - {data} {}",
            u32::from(facility) * 8 + u32::from(severity),
            self.host,
            one_line(&entry.message)
        ))
    }

    /// A frame that tells of entries which are not sent.
    pub(super) fn lost(&self, lost: u64, now: Timestamp) -> Vec<u8> {
        frame(&format!(
            "<{}>1 {now} {} strongroomd - - - {lost} entries of the machine's log are missing here, as there was no room for more to wait",
            u32::from(DAEMON) * 8 + u32::from(WARNING),
            self.host
        ))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn message(entry: &Entry) -> String {
        let frame = String::from_utf8(Style::new("keys.example.com").frame(entry)).unwrap();
        let (length, message) = frame.split_once(' ').unwrap();
        assert_eq!(length.parse(), Ok(message.len()));
        message.to_owned()
    }

    #[test]
    fn an_entry_becomes_a_message() {
        let entry = Entry {
            time: Some(1_790_000_000_123),
            priority: Some(3),
            facility: None,
            kernel: false,
            program: "strong roomd".to_owned(),
            process: "412".to_owned(),
            unit: "a\"]b.service".to_owned(),
            message: "one\ntwo".to_owned(),
        };
        assert_eq!(
            message(&entry),
            r#"<27>1 2026-09-21T14:13:20.123Z keys.example.com strongroomd 412 - [journal@32473 unit="a\"\]b.service"] one two"#
        );
        let kernel = Entry {
            kernel: true,
            priority: Some(9),
            facility: Some(200),
            message: "it boots".to_owned(),
            ..Entry::default()
        };
        assert_eq!(message(&kernel), "<6>1 - keys.example.com - - - - it boots");
    }

    #[test]
    fn losses_are_told() {
        let frame = Style::new("").lost(7, Timestamp::from_millis(0));
        assert_eq!(
            String::from_utf8(frame).unwrap(),
            "137 <28>1 1970-01-01T00:00:00.000Z - strongroomd - - - 7 entries of the machine's log are missing here, as there was no room for more to wait"
        );
    }
}
