//! Attestation of the appliance's image: what a machine's TPM has measured and signed, what its signature is bound to, and whether it holds.
//!
//! A TPM signs what its registers hold with a key of which no copy leaves it ([`verify`]). The key is restricted: it signs what the TPM says of itself and
//! nothing else. It is made from a fixed template under the TPM's endorsement seed, so it is the same for as long as the machine has this TPM, and is
//! stored nowhere. Who [`Fingerprint`] belongs to is what the machine's console says, or whoever looked at it before.
//!
//! | file | what lives there |
//! |---|---|
//! | `structures` | the TPM's structures, of which only those are read that such a quote consists of (TPM 2.0 Library, Part 2) |
//! | `statement` | what a quote is bound to, as text |
//! | `note` | a quote as it stands in a leaf of the audit log |
//!
//! What must never happen here: anything believed of a quote before its signature was verified; a byte of it that nothing is compared with, but for
//! those by which a TPM tells its time and its firmware.

#![forbid(unsafe_code)]

pub mod note;
mod statement;
mod structures;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use strongroom_wire::attestation::{Attestation, Registers};

pub use statement::qualifying_data;

/// Why an attestation is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something of it is not of the form that it has to have.
    #[error("{0} of the attestation cannot be read")]
    Malformed(&'static str),
    /// The key is not one that signs nothing but what its TPM says.
    #[error("the key of the attestation is no attestation key of a TPM")]
    Key,
    /// It is not the key whose fingerprint stands beside it.
    #[error("the fingerprint beside the attestation is another key's")]
    Fingerprint,
    /// The signature does not hold.
    #[error("the TPM's signature does not hold")]
    Signature,
    /// The quote is bound to something else than it is said to be.
    #[error("the TPM signed another nonce, certificate, log or release than those beside it")]
    Binding,
    /// The registers beside the quote are not those that were signed.
    #[error("the TPM signed other values than those beside it")]
    Registers,
}

/// Which TPM: SHA-256 of the public area of its attestation key. This is the digest in the key's TPM name, which covers the key's attributes as well.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    /// Of 64 hexadecimal digits, in pairs with colons or without.
    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        bytes_of_hex(&text.replace(':', "").to_ascii_lowercase())
            .map(Self)
            .ok_or(NoFingerprint)
    }
}

/// It is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TPM's fingerprint has 64 hexadecimal digits")]
pub struct NoFingerprint;

/// What an attestation says that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// Of which TPM. That it is the machine's is for others to know.
    pub tpm: Fingerprint,
    /// How often the TPM was started anew: the machine, that is, since the TPM was cleared last.
    pub starts: u32,
}

/// Whether a TPM has signed this: its registers, and the statement beside them.
///
/// # Errors
/// [`Error`]: what does not hold.
pub fn verify(attestation: &Attestation) -> Result<Attested, Error> {
    let quote = &attestation.quote;
    let key = structures::Key::read(&quote.public.0)?;
    let tpm = Fingerprint(sha256(&quote.public.0));
    if attestation.tpm != tpm.to_string() {
        return Err(Error::Fingerprint);
    }
    let signature = structures::signature(&quote.signature.0)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.point())
        .verify(&quote.attest.0, &signature)
        .map_err(|_| Error::Signature)?;
    let said = structures::Said::read(&quote.attest.0)?;
    if said.signer != structures::qualified_name(&tpm.0) {
        return Err(Error::Key);
    }
    if said.qualifying != qualifying_data(&attestation.statement)? {
        return Err(Error::Binding);
    }
    if said.registers != digest_of(&attestation.registers)? {
        return Err(Error::Registers);
    }
    Ok(Attested {
        tpm,
        starts: said.resets,
    })
}

/// Which of an image's registers a machine has other values in than were expected: 7, 11, both or none.
#[must_use]
pub fn differing(measured: &Registers, expected: &Registers) -> Vec<u32> {
    [
        (7, &measured.pcr7, &expected.pcr7),
        (11, &measured.pcr11, &expected.pcr11),
    ]
    .into_iter()
    .filter(|(_, measured, expected)| !measured.eq_ignore_ascii_case(expected))
    .map(|(register, _, _)| register)
    .collect()
}

/// The digest over the registers that a quote has, in the order of their numbers (Part 3, `TPM2_Quote`).
fn digest_of(registers: &Registers) -> Result<[u8; 32], Error> {
    let value = |text: &str| bytes_of_hex(text).ok_or(Error::Malformed("a register"));
    let values = [value(&registers.pcr7)?, value(&registers.pcr11)?];
    Ok(sha256(&values.concat()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// 32 bytes in lowercase hexadecimal: in one spelling, as some of it is text that is signed.
fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (!text.bytes().any(|digit| digit.is_ascii_uppercase())).then_some(bytes)
}
