//! The records of a bundle as comma-separated values (RFC 4180), in UTF-8.

use std::collections::HashMap;
use std::io::{self, Write};

use strongroom_audit::bundle::Seen;
use strongroom_wire::id::AccountId;

/// The columns.
///
/// ```
/// use strongroom_client::report::csv::COLUMNS;
///
/// assert_eq!(COLUMNS[..3], ["index", "time", "act"]);
/// ```
pub const COLUMNS: [&str; 17] = [
    "index",
    "time",
    "act",
    "outcome",
    "shown",
    "actor",
    "actor_name",
    "session",
    "source",
    "subject",
    "subject_name",
    "key",
    "key_version",
    "owner",
    "owner_name",
    "grant",
    "note",
];

/// Writes a row for each leaf that a bundle shows.
///
/// ```
/// use strongroom_audit::bundle::Seen;
/// use strongroom_client::report::csv::Csv;
///
/// let mut rows = Vec::new();
/// let mut csv = Csv::new(&mut rows)?;
/// csv.take(&Seen::Nothing)?; // each line of a bundle in turn
/// csv.finish()?;
/// assert!(rows.starts_with(b"index,time,act,outcome,"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Csv<W: Write> {
    writer: ::csv::Writer<W>,
    names: HashMap<AccountId, String>,
}

impl<W: Write> Csv<W> {
    /// Writes the heading.
    ///
    /// ```
    /// use strongroom_client::report::csv::{COLUMNS, Csv};
    ///
    /// let heading = Csv::new(Vec::new())?.finish()?;
    /// assert_eq!(heading, format!("{}\r\n", COLUMNS.join(",")).as_bytes());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = ::csv::WriterBuilder::new()
            .terminator(::csv::Terminator::CRLF)
            .from_writer(out);
        writer.write_record(COLUMNS)?;
        Ok(Self {
            writer,
            names: HashMap::new(),
        })
    }

    /// Writes the row of a leaf; remembers a name; passes everything else over.
    ///
    /// ```
    /// use strongroom_audit::bundle::Seen;
    /// use strongroom_client::report::csv::Csv;
    ///
    /// let mut csv = Csv::new(Vec::new())?;
    /// csv.take(&Seen::End)?; // no leaf, so no row
    /// assert_eq!(csv.finish()?.split(|&byte| byte == b'\n').count(), 2); // the heading, and nothing after it
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn take(&mut self, seen: &Seen) -> io::Result<()> {
        let outcome = |done: bool| if done { "done" } else { "refused" }.to_owned();
        match seen {
            Seen::Name(line) => {
                self.names.insert(line.account, line.name.clone());
                Ok(())
            }
            Seen::Record { index, event } => {
                let detail = &event.detail;
                let name = |account: Option<AccountId>| {
                    let name = account.and_then(|account| self.names.get(&account));
                    name.cloned().unwrap_or_default()
                };
                let row = [
                    index.to_string(),
                    event.time.to_string(),
                    event.act.to_string(),
                    outcome(event.done),
                    "full".to_owned(),
                    shown(detail.actor),
                    name(detail.actor),
                    shown(detail.session),
                    shown(detail.source),
                    shown(detail.subject),
                    name(detail.subject),
                    shown(detail.key),
                    shown(detail.key_version),
                    shown(detail.owner),
                    name(detail.owner),
                    shown(detail.grant),
                    detail.note.clone().unwrap_or_default(),
                ];
                self.writer.write_record(row.map(|cell| harmless(&cell)))?;
                Ok(())
            }
            Seen::Redacted {
                index,
                time,
                act,
                done,
            } => {
                let mut row = [const { String::new() }; COLUMNS.len()];
                row[0] = index.to_string();
                row[1] = time.to_string();
                row[2] = act.to_string();
                row[3] = outcome(*done);
                "redacted".clone_into(&mut row[4]);
                self.writer.write_record(row)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Writes what is left, and gives back what was written to.
    ///
    /// ```
    /// use strongroom_client::report::csv::Csv;
    ///
    /// let rows = Csv::new(Vec::new())?.finish()?;
    /// assert!(rows.ends_with(b",note\r\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.writer
            .into_inner()
            .map_err(::csv::IntoInnerError::into_error)
    }
}

/// A cell that a spreadsheet would take for a formula begins with an apostrophe.
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return format!("'{cell}");
    }
    cell.to_owned()
}

pub(super) fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_audit::bundle::NameLine;
    use strongroom_audit::{Detail, Event};
    use strongroom_wire::audit::Act;

    use super::*;

    #[test]
    fn leaves_become_rows() {
        let account = AccountId::generate();
        let event = Event {
            time: "2026-11-27T18:00:00Z".parse().unwrap(),
            act: Act::KeyRelease,
            done: false,
            detail: Detail {
                actor: Some(account),
                source: Some("192.0.2.7".parse().unwrap()),
                key_version: Some(2),
                note: Some("=cmd, \"quoted\"".to_owned()),
                ..Detail::default()
            },
        };
        let mut rows = Vec::new();
        let mut csv = Csv::new(&mut rows).unwrap();
        let name = NameLine {
            account,
            name: "alice@example.com".to_owned(),
        };
        csv.take(&Seen::Name(name)).unwrap();
        csv.take(&Seen::Record {
            index: 41,
            event: event.clone(),
        })
        .unwrap();
        csv.take(&Seen::Redacted {
            index: 42,
            time: event.time,
            act: event.act,
            done: true,
        })
        .unwrap();
        csv.take(&Seen::End).unwrap();
        csv.finish().unwrap();
        let rows = String::from_utf8(rows).unwrap();
        let rows: Vec<&str> = rows.split_terminator("\r\n").collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0], COLUMNS.join(","));
        assert_eq!(
            rows[1],
            format!(
                "41,2026-11-27T18:00:00.000Z,key.release,refused,full,{account},alice@example.com,,192.0.2.7,,,,2,,,,\"'=cmd, \"\"quoted\"\"\""
            )
        );
        assert_eq!(
            rows[2],
            "42,2026-11-27T18:00:00.000Z,key.release,done,redacted,,,,,,,,,,,,"
        );
    }
}
