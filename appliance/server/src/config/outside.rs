//! The settings of who looks at the log from outside: witnesses, and a site's SIEM.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use strongroom_keystore::WitnessKey;
use url::Url;

/// The longest name of a receiver, in bytes.
const LONGEST_NAME: usize = 64;
/// The last of the facilities of RFC 5424 section 6.2.1.
const LAST_FACILITY: u8 = 23;

/// A witness, which cosigns the log's checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Witness {
    /// Where it is: the URL before `/add-checkpoint`.
    pub(crate) url: String,
    /// Its verifier key, which `strongroom-witness key` shows.
    pub(crate) verifier_key: String,
    /// The certificates of the authorities that vouch for it, in PEM.
    #[serde(default = "default_ca")]
    pub(crate) ca: PathBuf,
    /// The domains whose logs it knows; empty: all.
    #[serde(default)]
    pub(crate) domains: Vec<String>,
}

/// A receiver of the log: a syslog server that speaks TLS (RFC 5425).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Siem {
    /// What it is called; what it has received is remembered under this name.
    pub(crate) name: String,
    /// Where it is: `HOST:PORT`.
    pub(crate) address: String,
    /// What its messages are like.
    #[serde(default)]
    pub(crate) format: SiemFormat,
    /// The certificates of the authorities that vouch for it, in PEM.
    #[serde(default = "default_ca")]
    pub(crate) ca: PathBuf,
    /// The name in its certificate; empty: the host of its address.
    #[serde(default)]
    pub(crate) server_name: String,
    /// The certificate chain that the appliance presents to it, in PEM; empty: none.
    #[serde(default)]
    pub(crate) certificate: PathBuf,
    /// Its private key in PEM.
    #[serde(default)]
    pub(crate) key: PathBuf,
    /// The facility of its messages (RFC 5424 section 6.2.1).
    #[serde(default = "default_facility")]
    pub(crate) facility: u8,
    /// The domains whose logs it receives; empty: all.
    #[serde(default)]
    pub(crate) domains: Vec<String>,
    /// Whether it receives the machine's log, too.
    #[serde(default)]
    pub(crate) journal: bool,
}

/// What a message says a leaf in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SiemFormat {
    /// Structured data of RFC 5424.
    #[default]
    Rfc5424,
    /// The Common Event Format, in the message of RFC 5424.
    Cef,
}

impl Witness {
    /// Its key.
    ///
    /// # Errors
    /// One sentence, when it is none.
    pub(crate) fn key(&self) -> Result<WitnessKey, String> {
        let key = self.verifier_key.parse();
        key.map_err(|error| {
            format!(
                "the verifier key of the witness {} cannot be used: {error}",
                self.url
            )
        })
    }

    /// The files that it names.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca].into_iter()
    }
}

impl Siem {
    /// The files that it names.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.ca, &mut self.certificate, &mut self.key].into_iter()
    }

    /// The name that its certificate must have.
    pub(crate) fn certified_name(&self) -> &str {
        if self.server_name.is_empty() {
            let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
            host.trim_start_matches('[').trim_end_matches(']')
        } else {
            &self.server_name
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) {
            return Err(format!(
                "a siem.name must have 1 to {LONGEST_NAME} small letters, digits and hyphens"
            ));
        }
        let port = self.address.rsplit_once(':').and_then(|(host, port)| {
            let port: u16 = port.parse().ok()?;
            (!host.is_empty()).then_some(port)
        });
        if port.is_none_or(|port| port == 0) {
            return Err(format!(
                "the address of the SIEM {name} must be like siem.example.com:6514"
            ));
        }
        if self.facility > LAST_FACILITY {
            return Err(format!(
                "the facility of the SIEM {name} is above {LAST_FACILITY}"
            ));
        }
        if self.certificate.as_os_str().is_empty() != self.key.as_os_str().is_empty() {
            return Err(format!(
                "certificate and key of the SIEM {name} go together"
            ));
        }
        Ok(())
    }
}

/// Whether these can be used.
pub(super) fn check(witnesses: &[Witness], receivers: &[Siem]) -> Result<(), String> {
    let mut keys = BTreeSet::new();
    for witness in witnesses {
        let plain = Url::parse(&witness.url).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.host().is_some()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !plain {
            return Err(format!(
                "the URL of a witness must be like https://witness.example.com, unlike {}",
                witness.url
            ));
        }
        if !keys.insert(*witness.key()?.public_key()) {
            return Err(format!(
                "the witness {} has the key of another one",
                witness.url
            ));
        }
    }
    let mut names = BTreeSet::new();
    for receiver in receivers {
        receiver.check()?;
        if !names.insert(&receiver.name) {
            return Err(format!("the SIEM {} stands there twice", receiver.name));
        }
    }
    Ok(())
}

pub(super) fn default_ca() -> PathBuf {
    "/etc/ssl/certs/ca-certificates.crt".into()
}

fn default_facility() -> u8 {
    13
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn witness(name: &str, seed: u8) -> Witness {
        let public = if seed == 1 { [1; 32] } else { [9; 32] };
        Witness {
            url: format!("https://{name}"),
            verifier_key: WitnessKey::new(name, public).unwrap().to_string(),
            ca: default_ca(),
            domains: Vec::new(),
        }
    }

    fn siem(text: &str) -> Siem {
        toml::from_str(&format!(
            "name = \"soc\"\naddress = \"siem.example.com:6514\"\n{text}"
        ))
        .unwrap()
    }

    #[test]
    fn what_cannot_work_is_said_at_start() {
        check(&[witness("a.example", 1)], &[siem("")]).unwrap();
        let mut with_query = witness("a.example", 1);
        with_query.url.push_str("/?x");
        let mut log_key = witness("a.example", 1);
        log_key.verifier_key = log_key.verifier_key.replace('+', "-");
        for (witnesses, complaint) in [
            (vec![with_query], "must be like https://"),
            (vec![log_key], "cannot be used"),
            (
                vec![witness("a.example", 1), witness("b.example", 1)],
                "of another one",
            ),
        ] {
            let said = check(&witnesses, &[]).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
        let mut no_port = siem("");
        no_port.address = "siem.example.com".to_owned();
        let mut named = siem("");
        named.name = "Our SIEM".to_owned();
        for (receivers, complaint) in [
            (vec![no_port], "siem.example.com:6514"),
            (vec![named], "small letters"),
            (vec![siem("facility = 24")], "facility"),
            (vec![siem("certificate = \"a.pem\"")], "go together"),
            (vec![siem(""), siem("")], "twice"),
        ] {
            let said = check(&[], &receivers).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
        assert_eq!(siem("").certified_name(), "siem.example.com");
        assert_eq!(siem("server_name = \"x\"").certified_name(), "x");
    }
}
