//! A bundle on its way as a report: its lines are verified as they are made, and become rows or a document.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use strongroom_audit::LogKey;
use strongroom_audit::bundle::{BundleVerifier, Line, Trust};
use strongroom_report::csv::Csv;
use strongroom_report::{Gathered, pdf};

use crate::exporting::Broken;

/// The most records that a PDF has.
const RECORDS: usize = 2000;

/// In which form an export is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Bundle,
    /// A row for each leaf.
    Csv,
    /// A report that a court can read.
    Pdf,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Bundle, Self::Csv, Self::Pdf];

    pub(super) const fn value(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Csv => "csv",
            Self::Pdf => "pdf",
        }
    }

    /// Name and media type of the file.
    pub(super) const fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Bundle => ("strongroom-audit.bundle", "application/x-ndjson"),
            Self::Csv => ("strongroom-audit.csv", "text/csv; charset=utf-8"),
            Self::Pdf => ("strongroom-audit.pdf", "application/pdf"),
        }
    }
}

/// What rows are written to, and taken from piece by piece.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<Vec<u8>>>);

impl Rows {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Rows {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Kind {
    Csv(Box<Csv<Rows>>, Rows),
    Pdf(Box<Gathered>),
}

/// A report that is being made.
pub(super) struct Report {
    kind: Kind,
    /// There once the first line has come, which says the log's keys.
    verifier: Option<Box<BundleVerifier>>,
    hash: Sha256,
    bytes: u64,
    /// The line that has not ended yet.
    rest: Vec<u8>,
}

impl Report {
    /// Nothing yet; none where the bundle itself is wanted.
    pub(super) fn new(form: Form) -> Result<Option<Self>, Broken> {
        let kind = match form {
            Form::Bundle => return Ok(None),
            Form::Csv => {
                let rows = Rows::default();
                let csv = Csv::new(rows.clone()).map_err(|_| Broken::Failed)?;
                Kind::Csv(Box::new(csv), rows)
            }
            Form::Pdf => Kind::Pdf(Box::new(Gathered::new(RECORDS))),
        };
        Ok(Some(Self {
            kind,
            verifier: None,
            hash: Sha256::new(),
            bytes: 0,
            rest: Vec::new(),
        }))
    }

    /// Takes a piece of the bundle, and gives what there is of the report.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Vec<u8>, Broken> {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        self.rest.extend_from_slice(piece);
        let whole = std::mem::take(&mut self.rest);
        let mut lines = whole.split_inclusive(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if lines.peek().is_none() && !line.ends_with(b"\n") {
                self.rest = line.to_vec();
                break;
            }
            self.line(line)?;
        }
        Ok(match &self.kind {
            Kind::Csv(_, rows) => rows.take(),
            Kind::Pdf(_) => Vec::new(),
        })
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        if self.verifier.is_none() {
            let Ok(Line::Header(header)) = serde_json::from_slice(line) else {
                return Err(Broken::NotWhole);
            };
            // The appliance's own keys: it reports to its own auditors of itself. Who doubts it verifies the bundle, against keys from elsewhere.
            let keys = header.keys.into_iter().map(|key| LogKey {
                verifier_key: key.verifier_key,
                from: key.from,
                to: key.to,
            });
            let trust = Trust {
                keys: keys.collect(),
                ..Trust::default()
            };
            self.verifier = Some(Box::new(BundleVerifier::new(trust)));
        }
        let Some(verifier) = &mut self.verifier else {
            return Err(Broken::NotWhole);
        };
        let seen = verifier.line(line);
        match &mut self.kind {
            Kind::Csv(csv, _) => csv.take(&seen).map_err(|_| Broken::Failed),
            Kind::Pdf(gathered) => {
                gathered.take(&seen);
                Ok(())
            }
        }
    }

    /// What is left of the report, of a bundle that was found whole.
    pub(super) fn finish(self) -> Result<Vec<u8>, Broken> {
        let report = self.verifier.ok_or(Broken::NotWhole)?.finish();
        if !report.passed() || !self.rest.is_empty() {
            return Err(Broken::NotWhole);
        }
        match self.kind {
            Kind::Csv(csv, rows) => {
                csv.finish().map_err(|_| Broken::Failed)?;
                Ok(rows.take())
            }
            Kind::Pdf(gathered) => {
                let sha256 = self.hash.finalize().into();
                pdf::write(&gathered, &report, &sha256, self.bytes).map_err(|_| Broken::Failed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_bundle_makes_no_report() {
        for form in [Form::Csv, Form::Pdf] {
            let report = || Report::new(form).ok().flatten();
            let ended = report().map(Report::finish);
            assert!(matches!(ended, Some(Err(Broken::NotWhole))), "{form:?}");
            let taken = report().map(|mut report| report.take(b"no bundle\n"));
            assert!(matches!(taken, Some(Err(Broken::NotWhole))), "{form:?}");
        }
        assert!(matches!(Report::new(Form::Bundle), Ok(None)));
    }
}
