//! What a quote is bound to.

use std::fmt::Write as _;

use strongroom_wire::attestation::{NONCE_LEN, Statement};

use crate::{Error, bytes_of_hex, sha256};

/// What a TPM signs beside its registers: the SHA-256 of the statement as text, a line for each member.
///
/// ```text
/// strongroom attestation 1
/// release 0.1.0
/// nonce HEX          or, where nobody asked: nonce -
/// certificate HEX
/// log NAME
/// tree SIZE HEX
/// ```
///
/// The certificate binds a quote to the machine that holds its private key: what another machine's TPM signed for this one's certificate that machine would
/// have had to be asked for by its own service, which states its own. The tree binds it to a state of the audit log, and so to a time: a quote that states it
/// is not older than it.
///
/// # Errors
/// [`Error::Malformed`] where a member is not of its form.
pub fn qualifying_data(statement: &Statement) -> Result<[u8; 32], Error> {
    let plain = |what: &'static str, text: &str| {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then_some(()).ok_or(Error::Malformed(what))
    };
    plain("the release", &statement.release)?;
    plain("the name of the log", &statement.log)?;
    for (what, text) in [
        ("the certificate's hash", &statement.certificate),
        ("the root of the log", &statement.root),
    ] {
        bytes_of_hex(text).ok_or(Error::Malformed(what))?;
    }
    let nonce = match &statement.nonce {
        Some(nonce) if nonce.0.len() == NONCE_LEN => hex::encode(&nonce.0),
        Some(_) => return Err(Error::Malformed("the nonce")),
        None => "-".to_owned(),
    };
    let mut text = String::from("strongroom attestation 1\n");
    for (name, value) in [
        ("release", &statement.release),
        ("nonce", &nonce),
        ("certificate", &statement.certificate),
        ("log", &statement.log),
    ] {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} {value}");
    }
    let _ = writeln!(text, "tree {} {}", statement.size, statement.root);
    Ok(sha256(text.as_bytes()))
}
