//! The matrix's case of attestation: the real command line, the build's own papers, and papers of another image.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{matrix::Matrix, matrix::turn_off, measured::Predicted, papers, play};

impl Matrix<'_> {
    /// Has an administrator attest the machine against what the build computed, then against what it did not.
    pub(super) fn attestation(&self) -> Result<String> {
        let mut running = self.settled()?.start(self.network())?;
        play::until_it_serves(&mut running)?;
        running.mark()?;
        running.type_line("m")?;
        let tpm = running.wait_for("the TPM's fingerprint", play::tpm)?;
        let expected = papers::expected(self.bench);
        let signer = papers::signer(self.bench);
        let signed = ["--signer", text(&signer)?, "--tpm", &tpm];
        let said = self.attest(&expected, &signed)?;
        if !said.contains("\"compared\":true") || !said.contains("\"signed\":true") {
            bail!("the attestation was held against nothing: {said}");
        }
        let mut refusals = Vec::new();
        for register in [7, 11] {
            let mut other = papers::predicted(self.bench)?;
            change(&mut other, register);
            let file = self.folder("other.pcr.json");
            super::write(&file, serde_json::to_string(&other)?)?;
            let refused = match self.attest(&file, &["--tpm", &tpm]) {
                Ok(_) => bail!("another value of PCR {register} is accepted"),
                Err(error) => format!("{error:#}"),
            };
            fs::remove_file(&file)?;
            if !refused.contains(&format!("PCR {register} is ")) {
                bail!("another value of PCR {register} is refused for another reason: {refused}");
            }
            refusals.push(format!("PCR {register}"));
        }
        let other_tpm = "0".repeat(64);
        match self.attest(&expected, &["--tpm", &other_tpm]) {
            Ok(_) => bail!("another TPM is accepted"),
            Err(error) if format!("{error:#}").contains("another TPM attests") => {}
            Err(error) => return Err(error.context("another TPM is refused for another reason")),
        }
        turn_off(&mut running)?;
        Ok(format!(
            "the TPM that the console shows has signed what the build computed; refused for another value of {}, and for another TPM",
            refusals.join(", of ")
        ))
    }

    fn attest(&self, expected: &Path, more: &[&str]) -> Result<String> {
        let words = ["appliance", "attest", "--json", "--expect", text(expected)?];
        let words = [&words, more].concat();
        play::as_administrator(self.strongroom, &self.folder("people"), &words)
    }
}

/// Another value of this register, by one digit: as if another image, or other keys, had been computed.
fn change(predicted: &mut Predicted, register: u32) {
    let value = match register {
        7 => &mut predicted.pcr7,
        _ => &mut predicted.pcr11,
    };
    let digit = if value.starts_with('0') { "1" } else { "0" };
    value.replace_range(..1, digit);
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the path is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_register_is_changed_by_a_digit() {
        let mut predicted = Predicted {
            pcr7: "0a".to_owned(),
            pcr11: "b0".to_owned(),
        };
        change(&mut predicted, 7);
        assert_eq!((&*predicted.pcr7, &*predicted.pcr11), ("1a", "b0"));
        change(&mut predicted, 11);
        assert_eq!((&*predicted.pcr7, &*predicted.pcr11), ("1a", "00"));
    }
}
