//! Export bundles: received, and verified without the appliance (`appliance/audit/FORMAT.md`, "Bundle").

use std::io::{self, BufRead, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use strongroom_audit::bundle::{BundleReport, BundleVerifier, LONGEST_LINE, Seen, Trust};
use strongroom_wire::audit::ExportQuery;

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

/// What came of a bundle.
///
/// ```
/// use strongroom_audit::{LogKey, bundle::Trust};
/// use strongroom_client::audit::bundle::verify;
///
/// let trust = Trust { keys: vec![LogKey::only("the verifier key that one was given")], previous: None };
/// let verified = verify(&b"no bundle\n"[..], trust, |_, _| {})?;
/// assert_eq!(verified.bytes, 10);
/// assert!(verified.report.checkpoint.is_none());
/// # Ok::<(), strongroom_client::ClientError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verified {
    /// What was found in it.
    pub report: BundleReport,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub bytes: u64,
}

impl Session {
    /// Has the appliance export records of its audit log, writes the bundle to `out` as it comes, and verifies it on the way. `seen` is told what each line says, and up
    /// to which leaf the bundle has come.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, verifier_key: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_audit::{LogKey, bundle::Trust};
    /// use strongroom_client::file::NewFile;
    /// use strongroom_wire::audit::ExportQuery;
    ///
    /// let trust = Trust { keys: vec![LogKey::only(verifier_key)], previous: None };
    /// let mut file = NewFile::private("november.bundle".as_ref(), false)?;
    /// let verified = session.export(&ExportQuery::default(), trust, &mut file, |_, _| {})?;
    /// assert!(verified.report.passed());
    /// file.complete()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of a request; [`ClientError::Unreachable`] when the answer breaks off; [`ClientError::Bundle`] when it cannot be written. That the bundle is not whole
    /// is no error: the report says so.
    pub fn export(
        &self,
        query: &ExportQuery,
        trust: Trust,
        out: &mut impl Write,
        seen: impl FnMut(&Seen, u64),
    ) -> Result<Verified, ClientError> {
        let answer = self.stream(&Call::find("/v1/audit/export", query))?;
        read(io::BufReader::new(answer), trust, out, seen).map_err(|failed| match failed {
            Failed::Read(error) => self.client().broken(&error),
            Failed::Write(error) => ClientError::Bundle(error),
        })
    }
}

/// Verifies a bundle. `seen` is told what each line says, and up to which leaf the bundle has come.
///
/// ```
/// use strongroom_audit::{LogKey, bundle::Trust};
/// use strongroom_client::audit::bundle::verify;
///
/// let trust = Trust { keys: vec![LogKey::only("the verifier key that one was given")], previous: None };
/// let verified = verify(&b"no bundle\n"[..], trust, |_, _| {})?;
/// assert!(!verified.report.passed());
/// # Ok::<(), strongroom_client::ClientError>(())
/// ```
///
/// # Errors
/// [`ClientError::Bundle`] when it cannot be read. That it is not whole is no error: the report says so.
pub fn verify(
    bundle: impl Read,
    trust: Trust,
    seen: impl FnMut(&Seen, u64),
) -> Result<Verified, ClientError> {
    read(io::BufReader::new(bundle), trust, &mut io::sink(), seen).map_err(|failed| match failed {
        Failed::Read(error) | Failed::Write(error) => ClientError::Bundle(error),
    })
}

/// Which side failed.
enum Failed {
    Read(io::Error),
    Write(io::Error),
}

fn read(
    mut bundle: impl BufRead,
    trust: Trust,
    out: &mut impl Write,
    mut seen: impl FnMut(&Seen, u64),
) -> Result<Verified, Failed> {
    let mut verifier = BundleVerifier::new(trust);
    let mut hash = Context::new(&SHA256);
    let mut bytes = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        // One more than a line can have, so that a longer one is seen to be, and no more of it is held.
        let most = LONGEST_LINE as u64 + 1;
        let length = (&mut bundle)
            .take(most)
            .read_until(b'\n', &mut line)
            .map_err(Failed::Read)?;
        if length == 0 {
            break;
        }
        bytes += length as u64;
        hash.update(&line);
        out.write_all(&line).map_err(Failed::Write)?;
        let said = verifier.line(&line);
        seen(&said, verifier.position());
        if length > LONGEST_LINE {
            // It is no bundle; the rest would be cut into lines at the wrong places.
            break;
        }
    }
    out.flush().map_err(Failed::Write)?;
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok(Verified {
        report: verifier.finish(),
        sha256,
        bytes,
    })
}
