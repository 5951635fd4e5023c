//! Attestation: the TPM's quote for whoever connects to the socket of it, which are the service and the console.
//!
//! 32 bytes come in, which the TPM signs besides; one JSON object goes out: the quote in hexadecimal, or the sentence that says why there is none. What the
//! bytes mean, and whether the quote holds, those know who asked.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::tpm::{Quote, Tpm};

/// Where systemd listens for whoever wants a quote.
const SOCKET: &str = "/run/strongroom/attest.sock";
/// How long the TPM may take: some make such a key in a second, and an emulated one beside others takes longer.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest answer, in bytes.
const ANSWER_MAX: u64 = 16 * 1024;

/// What goes out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Answer {
    Quoted {
        public: String,
        attest: String,
        signature: String,
        pcr7: String,
        pcr11: String,
    },
    Failed {
        error: String,
    },
}

/// Answers the one request that comes by standard input: with a quote of this machine's TPM, or of the software TPM that has this socket.
///
/// # Errors
/// When the request is cut off, or there is no quote; then the answer says why.
pub(crate) fn run(software: Option<&str>) -> Result<()> {
    let mut qualifying = [0; 32];
    io::stdin()
        .lock()
        .read_exact(&mut qualifying)
        .context("what is to be signed besides does not have 32 bytes")?;
    let quoted = quote(software.map(Path::new), &qualifying);
    let answer = match &quoted {
        Ok(quote) => Answer::from(quote),
        Err(error) => Answer::Failed {
            error: format!("{error:#}"),
        },
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &answer)?;
    out.flush()?;
    quoted.map(drop)
}

/// Which TPM this is, as whoever asks for an attestation holds it against the console.
///
/// # Errors
/// When nobody answers, or there is no quote.
pub(crate) fn fingerprint() -> Result<String> {
    let mut stream = UnixStream::connect(SOCKET).context("nobody asks the TPM")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[0; 32])?;
    let mut said = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut said)?;
    fingerprint_in(&said)
}

/// SHA-256 of the attestation key's public area, in hexadecimal.
pub(crate) fn fingerprint_of(public: &[u8]) -> String {
    hex::encode(Sha256::digest(public))
}

fn fingerprint_in(answer: &[u8]) -> Result<String> {
    match serde_json::from_slice(answer).context("the answer cannot be read")? {
        Answer::Quoted { public, .. } => {
            let public = hex::decode(public).context("the answer cannot be read")?;
            Ok(fingerprint_of(&public))
        }
        Answer::Failed { error } => bail!("{error}"),
    }
}

fn quote(tpm: Option<&Path>, qualifying: &[u8; 32]) -> Result<Quote> {
    Ok(match tpm {
        None => Tpm::open()?.quote(qualifying)?,
        Some(socket) => Tpm::at(socket)?.quote(qualifying)?,
    })
}

impl From<&Quote> for Answer {
    fn from(quote: &Quote) -> Self {
        let [pcr7, pcr11] = quote.registers.map(hex::encode);
        Self::Quoted {
            public: hex::encode(&quote.public),
            attest: hex::encode(&quote.attest),
            signature: hex::encode(&quote.signature),
            pcr7,
            pcr11,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::tpm::software::Software;

    #[test]
    fn the_console_reads_whose_quote_it_is() {
        let software = Software::start();
        drop(software.open());
        let quote = quote(Some(&software.socket()), &[7; 32]).unwrap();
        let answer = serde_json::to_vec(&Answer::from(&quote)).unwrap();
        assert_eq!(
            fingerprint_in(&answer).unwrap(),
            fingerprint_of(&quote.public)
        );
        let failed = fingerprint_in(br#"{"error":"the TPM is busy"}"#).unwrap_err();
        assert_eq!(failed.to_string(), "the TPM is busy");
        assert!(fingerprint_in(b"{}").is_err());
        assert!(fingerprint_in(&answer[..9]).is_err());
    }

    #[test]
    fn where_there_is_no_tpm_that_is_said() {
        let why = quote(Some(Path::new("/nonexistent/tpm")), &[7; 32]).unwrap_err();
        assert!(why.to_string().contains("the TPM does not answer"), "{why}");
    }
}
