//! Reports of a verified bundle for people: CSV for tables and programs, PDF for a file or a court.
//!
//! | module | what lives there |
//! |---|---|
//! | [`csv`](mod@csv) | a row for each leaf |
//! | [`pdf`] | PDF/A: what was verified and how, pictures, counts, the records |
//!
//! Both are given what the lines of a bundle say ([`Seen`](strongroom_audit::bundle::Seen)). Make them of a bundle that was found whole, and of that alone.

pub use strongroom_report::{Gathered, csv};

/// The report as PDF/A-2b.
pub mod pdf {
    pub use strongroom_report::pdf::PdfError;

    use super::Gathered;
    use crate::audit::bundle::Verified;

    /// The report of a bundle, of which `gathered` was told each line, and which was then found whole.
    ///
    /// ```
    /// use strongroom_audit::{LogKey, bundle::Trust};
    /// use strongroom_client::audit::bundle::verify;
    /// use strongroom_client::report::{Gathered, pdf};
    ///
    /// let mut gathered = Gathered::new(1000);
    /// let trust = Trust { keys: vec![LogKey::only("the verifier key that one was given")], ..Trust::default() };
    /// let verified = verify(&b"no bundle\n"[..], trust, |seen, _| gathered.take(seen))?;
    /// assert!(pdf::write(&gathered, &verified).is_err());
    /// # Ok::<(), strongroom_client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// [`PdfError::NotWhole`] when it was not; the others are not known to happen.
    pub fn write(gathered: &Gathered, verified: &Verified) -> Result<Vec<u8>, PdfError> {
        strongroom_report::pdf::write(gathered, &verified.report, &verified.sha256, verified.bytes)
    }
}
