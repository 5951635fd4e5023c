//! The Journal Export Format, as journald's `ForwardToSocket=` writes it (<https://systemd.io/JOURNAL_EXPORT_FORMATS/>).
//!
//! An entry is its fields and an empty line. A field is `NAME=VALUE` in a line; one whose value has control characters is its name in a line, the
//! length of the value in 8 bytes, little-endian, the value, and the end of the line.

use std::io::{self, BufRead, Read as _};

use super::entry::Entry;

/// The longest line that is read. What has no end by then is no entry of a journal.
const LONGEST_LINE: u64 = 64 * 1024;
/// How much is kept of a value; the rest is read and forgotten.
const LONGEST_VALUE: usize = 8 * 1024;
/// The longest value that is read: what journald itself takes.
const MOST: u64 = 768 * 1024 * 1024;
/// How many fields an entry may have: what journald itself takes.
const MOST_FIELDS: usize = 1024;

/// The next entry; none at the end of what there is to read.
///
/// # Errors
/// When it cannot be read, or is of another form.
pub(super) fn next(from: &mut impl BufRead) -> io::Result<Option<Entry>> {
    let mut entry = Entry::default();
    let mut fields = 0;
    loop {
        let Some(line) = line(from)? else {
            return if fields == 0 {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        };
        if line.is_empty() {
            if fields > 0 {
                return Ok(Some(entry));
            }
            continue;
        }
        fields += 1;
        if fields > MOST_FIELDS {
            return Err(malformed("an entry has too many fields"));
        }
        if let Some(at) = line.iter().position(|byte| *byte == b'=') {
            let value = &line[at + 1..];
            let kept = value.len().min(LONGEST_VALUE);
            keep(&mut entry, &line[..at], &value[..kept]);
        } else {
            let value = value(from)?;
            keep(&mut entry, &line, &value);
        }
    }
}

/// A line without its end; none where there is nothing more.
fn line(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() as u64 + 1 < LONGEST_LINE => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(_) => Err(malformed("a line has no end")),
    }
}

/// A value that has its length before it, as much of it as is kept.
fn value(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MOST {
        return Err(malformed("a value is too long"));
    }
    let kept = length.min(LONGEST_VALUE as u64);
    let mut value = Vec::new();
    from.take(kept).read_to_end(&mut value)?;
    let rest = io::copy(&mut from.take(length - kept), &mut io::sink())?;
    let mut end = [0];
    from.read_exact(&mut end)?;
    if value.len() as u64 != kept || rest != length - kept || end != *b"\n" {
        return Err(malformed("a value has another length"));
    }
    Ok(value)
}

fn keep(entry: &mut Entry, name: &[u8], value: &[u8]) {
    let text = || String::from_utf8_lossy(value).into_owned();
    match name {
        b"MESSAGE" => entry.message = text(),
        b"PRIORITY" => entry.priority = text().parse().ok(),
        b"SYSLOG_FACILITY" => entry.facility = text().parse().ok(),
        b"SYSLOG_IDENTIFIER" => entry.program = text(),
        b"_COMM" if entry.program.is_empty() => entry.program = text(),
        b"_TRANSPORT" => {
            entry.kernel = value == b"kernel";
            if entry.kernel && entry.program.is_empty() {
                "kernel".clone_into(&mut entry.program);
            }
        }
        b"_PID" => entry.process = text(),
        b"_SYSTEMD_UNIT" => entry.unit = text(),
        // In microseconds.
        b"__REALTIME_TIMESTAMP" => {
            entry.time = text().parse().ok().map(|time: u64| time / 1000);
        }
        _ => {}
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// As journald writes it.
    const ENTRY: &[u8] = b"_TRANSPORT=syslog\nPRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=strongroomd\n_PID=412\n_COMM=main\nMESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\n_SYSTEMD_UNIT=strongroomd.service\n__REALTIME_TIMESTAMP=1790000000123456\n\n";

    fn all(mut bytes: &[u8]) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        while let Some(entry) = next(&mut bytes)? {
            entries.push(entry);
        }
        Ok(entries)
    }

    #[test]
    fn entries_come_as_they_were_written() {
        let expected = Entry {
            time: Some(1_790_000_000_123),
            priority: Some(4),
            facility: Some(3),
            kernel: false,
            program: "strongroomd".to_owned(),
            process: "412".to_owned(),
            unit: "strongroomd.service".to_owned(),
            message: "one\ntwo".to_owned(),
        };
        let kernel = b"_TRANSPORT=kernel\nMESSAGE=it boots = well\n\n";
        let entries = all(&[ENTRY, kernel, ENTRY].concat()).unwrap();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0], expected);
        assert_eq!(entries[2], expected);
        let kernel = &entries[1];
        assert_eq!(
            (
                kernel.kernel,
                kernel.program.as_str(),
                kernel.message.as_str()
            ),
            (true, "kernel", "it boots = well")
        );
    }

    #[test]
    fn a_long_value_is_cut_and_what_follows_is_read() {
        for length in [8 * 1024, 8 * 1024 + 1, 3_000_000_u64] {
            let mut bytes = b"MESSAGE\n".to_vec();
            bytes.extend(length.to_le_bytes());
            bytes.extend(vec![b'x'; usize::try_from(length).unwrap()]);
            bytes.extend(b"\nPRIORITY=2\n\n");
            bytes.extend(ENTRY);
            let entries = all(&bytes).unwrap();
            assert_eq!(entries.len(), 2);
            assert_eq!(entries[0].message.len(), LONGEST_VALUE);
            assert_eq!(entries[0].priority, Some(2));
        }
    }

    #[test]
    fn another_form_is_refused() {
        let endless = [b"MESSAGE=".to_vec(), vec![b'x'; 70_000]].concat();
        let fields = b"A=1\n".repeat(1025);
        let too_long = [b"MESSAGE\n".as_slice(), &u64::MAX.to_le_bytes()].concat();
        let wrong = b"MESSAGE\n\x02\0\0\0\0\0\0\0abc\n\n";
        for bytes in [&endless[..], &fields, &too_long, wrong, &ENTRY[..60]] {
            assert!(
                all(bytes).is_err(),
                "{:?}",
                String::from_utf8_lossy(&bytes[..20])
            );
        }
        // It may end between entries.
        assert_eq!(all(b"\n\n").unwrap(), []);
    }

    #[test]
    fn whatever_comes_it_ends() {
        for at in 0..ENTRY.len() {
            let _ = all(&ENTRY[..at]);
            for bit in 0..8 {
                let mut altered = ENTRY.to_vec();
                altered[at] ^= 1 << bit;
                let _ = all(&altered);
            }
        }
    }
}
