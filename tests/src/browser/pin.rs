//! By what Chromium is told to believe a certificate.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// SHA-256 of its `SubjectPublicKeyInfo`.
pub(super) fn spki_pin(certificate: &Path) -> String {
    let der = CertificateDer::from_pem_file(certificate).expect("the appliance has a certificate");
    STANDARD.encode(Sha256::digest(spki(&der)))
}

/// The `SubjectPublicKeyInfo` in a certificate (RFC 5280 section 4.1): the seventh part of what is signed.
fn spki(der: &[u8]) -> &[u8] {
    let (certificate, _) = part(der);
    let (signed, _) = part(content(certificate));
    let mut rest = content(signed);
    // Version (explicitly tagged), serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..6 {
        rest = part(rest).1;
    }
    part(rest).0
}

/// The first element in DER, with its header, and what follows it.
fn part(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = header(der);
    der.split_at(header + length)
}

fn content(element: &[u8]) -> &[u8] {
    &element[header(element).0..]
}

fn header(der: &[u8]) -> (usize, usize) {
    let first = usize::from(der[1]);
    if first < 0x80 {
        return (2, first);
    }
    let bytes = first & 0x7f;
    let length = der[2..2 + bytes]
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    (2 + bytes, length)
}
