//! A quote as it stands in a leaf of the audit log: all that it takes to verify it, in one line.
//!
//! ```text
//! release 0.1.0, tpm HEX, pcr7 HEX, pcr11 HEX, certificate HEX, tree SIZE HEX, quote BASE64 BASE64 BASE64
//! ```
//!
//! The quote is its public area, what was signed, and the signature. The log is the one that the leaf is in.

use strongroom_wire::attestation::{Attestation, Quote, Registers, Statement};

use crate::Error;

/// The note of a leaf.
#[must_use]
pub fn write(attestation: &Attestation) -> String {
    let Attestation {
        tpm,
        registers,
        statement,
        quote,
    } = attestation;
    format!(
        "release {}, tpm {tpm}, pcr7 {}, pcr11 {}, certificate {}, tree {} {}, quote {} {} {}",
        statement.release,
        registers.pcr7,
        registers.pcr11,
        statement.certificate,
        statement.size,
        statement.root,
        quote.public.to_text(),
        quote.attest.to_text(),
        quote.signature.to_text(),
    )
}

/// The attestation in the note of a leaf of the log with this name. It is not verified by that.
///
/// # Errors
/// [`Error::Malformed`] where it is no such note.
pub fn read(note: &str, log: &str) -> Result<Attestation, Error> {
    let read = || {
        let words: Vec<&str> = note.split(' ').collect();
        let [
            "release",
            release,
            "tpm",
            tpm,
            "pcr7",
            pcr7,
            "pcr11",
            pcr11,
            "certificate",
            certificate,
            "tree",
            size,
            root,
            "quote",
            public,
            attest,
            signature,
        ] = words.as_slice()
        else {
            return None;
        };
        let word = |text: &str| text.strip_suffix(',').map(str::to_owned);
        Some(Attestation {
            tpm: word(tpm)?,
            registers: Registers {
                pcr7: word(pcr7)?,
                pcr11: word(pcr11)?,
            },
            statement: Statement {
                release: word(release)?,
                nonce: None,
                certificate: word(certificate)?,
                log: log.to_owned(),
                size: size.parse().ok()?,
                root: word(root)?,
            },
            quote: Quote {
                public: public.parse().ok()?,
                attest: attest.parse().ok()?,
                signature: signature.parse().ok()?,
            },
        })
    };
    read().ok_or(Error::Malformed("the note"))
}
