//! Attestation: what the TPM of the appliance's machine has measured, signed by it and verified here.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::fill;
use strongroom_wire::attestation::{Attestation, AttestationRequest, NONCE_LEN, Statement};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

pub use strongroom_attestation::{Attested, Fingerprint, NoFingerprint, differing};

impl Session {
    /// Has the TPM of the appliance's machine sign what it has measured, and verifies that: it was signed for this request and for the appliance that shows its
    /// certificate to this client. Which TPM it was stands in the answer, and is to be held against what the machine's console shows; what was measured, against
    /// what the image's build has computed ([`differing`]). For administrators and auditors, at the administration address.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, known: strongroom_client::attestation::Fingerprint) -> Result<(), strongroom_client::ClientError> {
    /// let (attestation, attested) = session.attest()?;
    /// if attested.tpm == known {
    ///     println!("it has measured {:?}", attestation.registers);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::NotAttested`] when it does not hold.
    pub fn attest(&self) -> Result<(Attestation, Attested), ClientError> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce).map_err(|_| ClientError::Library)?;
        let request = AttestationRequest {
            nonce: nonce.as_slice().into(),
        };
        let call = Call::post("/v1/appliance/attestation").with(&request)?;
        let attestation: Attestation = self.call(&call)?;
        let Some(certificate) = self.client().own_certificate() else {
            return Err(ClientError::NotAttested(
                "the appliance does not show its certificate a second time".to_owned(),
            ));
        };
        let attested = verify_for(&attestation, &nonce, &certificate)?;
        Ok((attestation, attested))
    }
}

/// Whether an attestation holds, and is for whoever sent this nonce and is shown this certificate (DER).
fn verify_for(
    attestation: &Attestation,
    nonce: &[u8; NONCE_LEN],
    certificate: &[u8],
) -> Result<Attested, ClientError> {
    let attested = verify(attestation)?;
    let not_attested = |why: &str| Err(ClientError::NotAttested(why.to_owned()));
    let Statement {
        nonce: signed,
        certificate: theirs,
        ..
    } = &attestation.statement;
    if signed.as_ref().is_none_or(|signed| signed.0 != nonce) {
        return not_attested("it is an answer to somebody else, or an old one");
    }
    if *theirs != hex::encode(digest(&SHA256, certificate)) {
        return not_attested(
            "it is for an appliance with another certificate than this client is shown: something between here and there answers in its place",
        );
    }
    Ok(attested)
}

/// Whether an attestation holds that was saved, or that stands in a leaf of the audit log: whether a TPM has signed it. For whom, and when, its statement says.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::attestation::verify;
///
/// let saved = serde_json::from_str(&std::fs::read_to_string("attestation.json")?)?;
/// println!("attested by the TPM {}", verify(&saved)?.tpm);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::NotAttested`] when it does not hold.
pub fn verify(attestation: &Attestation) -> Result<Attested, ClientError> {
    strongroom_attestation::verify(attestation)
        .map_err(|error| ClientError::NotAttested(error.to_string()))
}

/// The attestation in the note of a leaf (`appliance.attest`) of the log with this name. [`verify`] says whether it holds.
///
/// ```no_run
/// # fn run(note: &str) -> Result<(), strongroom_client::ClientError> {
/// let recorded = strongroom_client::attestation::in_note(note, "strongroom.example/default")?;
/// println!("release {}", recorded.statement.release);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::NotAttested`] when there is none in it.
pub fn in_note(note: &str, log: &str) -> Result<Attestation, ClientError> {
    strongroom_attestation::note::read(note, log)
        .map_err(|error| ClientError::NotAttested(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_attestation_is_for_one_nonce_and_one_certificate() {
        let text = include_str!("../../appliance/attestation/tests/quote.json");
        let attestation: Attestation = serde_json::from_str(text).unwrap();
        let nonce: [u8; NONCE_LEN] = [7; NONCE_LEN];
        verify_for(&attestation, &nonce, b"a certificate").unwrap();
        for (nonce, certificate, why) in [
            ([8; NONCE_LEN], &b"a certificate"[..], "somebody else"),
            (nonce, b"another's certificate", "another certificate"),
        ] {
            let refused = verify_for(&attestation, &nonce, certificate).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
        // One that nobody asked for is nobody's answer.
        let mut unasked = attestation;
        unasked.statement.nonce = None;
        assert!(verify_for(&unasked, &nonce, b"a certificate").is_err());
    }
}
