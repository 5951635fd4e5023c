//! Whether a seed is for this machine, now.

use std::fs;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Document, Refusal};
use crate::attest;
use crate::tpm::{self, Tpm};

/// The system's serial number (SMBIOS, "System Information").
const SERIAL: &str = "/sys/class/dmi/id/product_serial";

/// Whether it is for this machine, by its clock, its serial number and its TPM.
///
/// # Errors
/// [`Refusal::Expired`], [`Refusal::OtherMachine`]; [`Refusal::Unreadable`] where that cannot be told.
pub(super) fn fits(document: &Document) -> Result<(), Refusal> {
    expires(document, OffsetDateTime::now_utc())?;
    is_among("serial number", &document.only.serial, || {
        let serial = fs::read_to_string(SERIAL)
            .map_err(|error| format!("this machine says no serial number: {error}"))?;
        Ok(serial.trim().to_owned())
    })?;
    is_among("TPM", &document.only.tpm, || {
        fingerprint().map_err(|error| error.to_string())
    })
}

fn fingerprint() -> Result<String, tpm::Error> {
    let quote = Tpm::open()?.quote(&[0; 32])?;
    Ok(attest::fingerprint_of(&quote.public))
}

fn expires(document: &Document, now: OffsetDateTime) -> Result<(), Refusal> {
    match document.expires {
        Some(expires) if expires <= now => Err(Refusal::Expired(
            expires.format(&Rfc3339).unwrap_or_default(),
        )),
        _ => Ok(()),
    }
}

/// Whether what tells this machine apart is one of these; where there are none, that is not asked.
fn is_among(
    what: &'static str,
    these: &[String],
    is: impl FnOnce() -> Result<String, String>,
) -> Result<(), Refusal> {
    if these.is_empty() {
        return Ok(());
    }
    let is = is().map_err(Refusal::Unreadable)?;
    if these.iter().any(|one| one.eq_ignore_ascii_case(&is)) {
        return Ok(());
    }
    Err(Refusal::OtherMachine { what, is })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_seed_ends_at_its_moment() {
        let document = Document::read("expires = 2027-01-31T12:00:00+01:00").unwrap();
        let at = |text: &str| OffsetDateTime::parse(text, &Rfc3339).unwrap();
        assert!(expires(&document, at("2027-01-31T10:59:59Z")).is_ok());
        let refusal = expires(&document, at("2027-01-31T11:00:00Z")).unwrap_err();
        assert!(
            refusal.to_string().starts_with("it expired 2027-01-31"),
            "{refusal}"
        );
        assert!(expires(&Document::default(), at("2999-01-01T00:00:00Z")).is_ok());
    }

    #[test]
    fn another_machine_is_told_what_it_is() {
        let these = ["AB12".to_owned(), "cd34".to_owned()];
        assert!(is_among("serial number", &these, || Ok("CD34".to_owned())).is_ok());
        let refusal = is_among("serial number", &these, || Ok("X".to_owned())).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "it is for other machines: this one's serial number is X"
        );
        let unknown = is_among("TPM", &these, || Err("there is none".to_owned()));
        assert!(matches!(unknown, Err(Refusal::Unreadable(_))));
        // Nobody asks a TPM that no seed names.
        assert!(is_among("TPM", &[], || Err("there is none".to_owned())).is_ok());
    }
}
