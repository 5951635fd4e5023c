//! What disclosed keys are sealed to, as text that can be pasted, and back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use strongroom_disclosure::{SealedForm, SealingKey};
use strongroom_wire::authorisation::AgencyKey;
use strongroom_wire::problem::Problem;

use super::{Draft, invalid};

impl Draft {
    /// Puts the agency's certificate or key, which came as a file, where it can be seen.
    pub(in crate::cases) fn set_agency(&mut self, bytes: &[u8]) {
        let text = SealingKey::parse(bytes).map_or_else(
            |_| String::from_utf8_lossy(bytes).into_owned(),
            |sealing| agency_text(&to_wire(&sealing)),
        );
        self.say("agency", text);
    }

    /// The agency's certificate or key, however it was pasted.
    pub(super) fn agency(&self) -> Result<AgencyKey, Problem> {
        let text = self.line("agency");
        let unreadable = |error: &dyn std::fmt::Display| {
            invalid(format!(
                "Nothing can be sealed to the agency's certificate or key: {error}."
            ))
        };
        if text.is_empty() {
            return Err(unreadable(&"there is none"));
        }
        let parsed = SealingKey::parse(text.as_bytes());
        let parsed = parsed.or_else(|error| {
            // DER in base64, of either alphabet and with or without padding.
            let compact: String = text
                .chars()
                .filter(|letter| !letter.is_whitespace() && *letter != '=')
                .map(|letter| match letter {
                    '+' => '-',
                    '/' => '_',
                    letter => letter,
                })
                .collect();
            match URL_SAFE_NO_PAD.decode(compact) {
                Ok(bytes) => SealingKey::parse(&bytes)
                    .or_else(|error| SealingKey::from_public_key(&bytes).map_err(|_| error)),
                Err(_) => Err(error),
            }
        });
        parsed
            .map(|sealing| to_wire(&sealing))
            .map_err(|error| unreadable(&error))
    }
}

fn to_wire(sealing: &SealingKey) -> AgencyKey {
    match sealing {
        SealingKey::Certificate(certificate) => AgencyKey::Certificate(certificate.as_der().into()),
        SealingKey::Hpke(key) => AgencyKey::Hpke(key.to_bytes().into()),
    }
}

/// The agency's certificate in PEM, or the line of its public key: what can be pasted.
pub(super) fn agency_text(key: &AgencyKey) -> String {
    let sealing = match key {
        AgencyKey::Certificate(der) => SealingKey::parse(&der.0),
        AgencyKey::Hpke(bytes) => SealingKey::from_public_key(&bytes.0),
    };
    let Ok(sealing) = sealing else {
        return String::new();
    };
    let bytes = sealing.to_bytes();
    match sealing.form() {
        SealedForm::Hpke => String::from_utf8(bytes).unwrap_or_default(),
        SealedForm::Cms => {
            let encoded = STANDARD.encode(bytes);
            let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
            for line in encoded.as_bytes().chunks(64) {
                pem.push_str(&String::from_utf8_lossy(line));
                pem.push('\n');
            }
            pem.push_str("-----END CERTIFICATE-----\n");
            pem
        }
    }
}
