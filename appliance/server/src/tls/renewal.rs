//! The renewal of the server's certificate, where the appliance's own authority made it: when it grows old, or when it is to be for other names.
//!
//! A certificate that a site brought is never touched. The key stays, so that one file changes, in one moment.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use strongroom_keystore::{Clock as _, Keystore, SystemClock};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::{ServedCertificate, TlsError, authority};
use crate::config::{Config, check_name};
use crate::folder::write_whole;

/// Names and addresses, each as it stands in a certificate.
pub(crate) type Names = BTreeSet<String>;

/// So many bytes of names stand in a leaf: with the rest they are below the longest note.
const NOTED: usize = 800;

/// Renews the certificate.
pub(crate) struct Renewal {
    served: Arc<ServedCertificate>,
    /// The appliance's name, which stands in the certificate for people.
    name: String,
    certificate: PathBuf,
    key: PathBuf,
    /// What it is for in any case.
    always: Names,
    /// What the configuration wants beside that.
    configured: Vec<String>,
    /// The file which says what somebody else wants beside that, such as the image that the appliance runs from.
    file: Option<PathBuf>,
    making: Mutex<()>,
}

/// The certificate that is shown, for operators.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct CertificateReport {
    /// SHA-256 of it, in hexadecimal digits.
    pub(crate) fingerprint: String,
    /// The names and addresses that it is for.
    pub(crate) names: Names,
    /// When it lapses.
    pub(crate) lapses: Timestamp,
    /// Whether the appliance's own authority made it, so that it is renewed.
    pub(crate) own: bool,
    /// What is wrong with it or its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// Why a certificate is not renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewalError {
    /// A site brought it, or took the authority's key away.
    #[error(
        "{} was not made by an authority whose certificate and key, ca.pem and ca.key, lie beside it: it is whoever made it who renews it",
        .0.display()
    )]
    Brought(PathBuf),
    /// What stands in its files is not what is shown: somebody may be putting another one there.
    #[error("what stands in its files is not shown: {0}")]
    Unused(String),
    /// Names were given, and they are said elsewhere.
    #[error("the names are said by {0}: change them there")]
    SaidElsewhere(String),
    /// What is wanted is neither a host name nor an address.
    #[error("{0:?} is neither a host name nor an address")]
    NoName(String),
    /// The file of names cannot be read.
    #[error("the names in {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be made, or not written.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It cannot be recorded, and so is not made.
    #[error("the renewal cannot be recorded: {0}")]
    Unrecorded(#[from] strongroom_keystore::Error),
}

impl Renewal {
    /// The renewal of the certificate that is shown, for the names that the configuration says, and those that stand in this file, one a line.
    pub(crate) fn new(
        config: &Config,
        served: Arc<ServedCertificate>,
        file: Option<PathBuf>,
    ) -> Self {
        Self {
            served,
            name: config.name.clone(),
            certificate: config.tls.certificate.clone(),
            key: config.tls.key.clone(),
            always: always(&config.name, &[config.listen.client, config.listen.admin]),
            configured: config.tls.names.clone(),
            file,
            making: Mutex::default(),
        }
    }

    /// The certificate that is shown.
    pub(crate) fn served(&self) -> &Arc<ServedCertificate> {
        &self.served
    }

    /// What there is to tell of it.
    pub(crate) fn report(&self) -> CertificateReport {
        CertificateReport {
            fingerprint: self.served.fingerprint(),
            names: self.served.names(),
            lapses: self.served.lapses(),
            own: self.is_own(),
            trouble: self.served.trouble(),
        }
    }

    /// Renews the certificate if less than a third of its life is left, or if it is to be for other names. Answers whether it did.
    ///
    /// # Errors
    /// As [`RenewalError`] says, but where it is not the appliance's to renew.
    pub(crate) fn if_due(&self, keystore: &Keystore) -> Result<bool, RenewalError> {
        self.served.look();
        if !self.is_own() || self.served.refused().is_some() {
            return Ok(false);
        }
        let names = self.wanted()?;
        let is_due = self.served.is_old(SystemClock.now()) || names != self.served.names();
        if is_due {
            self.make(&names, keystore)?;
        }
        Ok(is_due)
    }

    /// Renews it now, for these names and those that it is for in any case; for those that are wanted, or that it has, where none are given.
    ///
    /// # Errors
    /// As [`RenewalError`] says.
    pub(crate) fn now(&self, names: &[String], keystore: &Keystore) -> Result<(), RenewalError> {
        self.served.look();
        if let Some(reason) = self.served.refused() {
            return Err(RenewalError::Unused(reason));
        }
        if !self.is_own() {
            return Err(RenewalError::Brought(self.certificate.clone()));
        }
        let names = if names.is_empty() {
            self.wanted()?
        } else {
            if !self.configured.is_empty() {
                let where_to = "[tls] names of the configuration".to_owned();
                return Err(RenewalError::SaidElsewhere(where_to));
            }
            if let Some(file) = &self.file {
                return Err(RenewalError::SaidElsewhere(file.display().to_string()));
            }
            self.with_always(names)?
        };
        self.make(&names, keystore)
    }

    fn is_own(&self) -> bool {
        authority::has_made(self.folder(), &self.served.certificate())
    }

    fn folder(&self) -> &Path {
        self.certificate.parent().unwrap_or(Path::new("."))
    }

    /// What the certificate is to be for: what is said, or else what it is for.
    fn wanted(&self) -> Result<Names, RenewalError> {
        let mut said = self.configured.clone();
        if let Some(path) = &self.file {
            match fs::read_to_string(path) {
                Ok(text) => said.extend(text.split_whitespace().map(str::to_owned)),
                // Nobody has said anything yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(RenewalError::Unreadable {
                        path: path.clone(),
                        source,
                    });
                }
            }
        }
        if said.is_empty() {
            return Ok(&self.always | &self.served.names());
        }
        self.with_always(&said)
    }

    fn with_always(&self, names: &[String]) -> Result<Names, RenewalError> {
        let mut all = self.always.clone();
        for name in names {
            all.insert(canonical(name).ok_or_else(|| RenewalError::NoName(name.clone()))?);
        }
        Ok(all)
    }

    /// Makes a certificate for these names, records it, and shows it.
    fn make(&self, names: &Names, keystore: &Keystore) -> Result<(), RenewalError> {
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let made = authority::renew(self.folder(), &self.key, &self.name, names)?;
        keystore.record_operation(Act::CertificateRenew, note(&made, names))?;
        let chain = made.pem + &self.served.rest_of_chain();
        write_whole(&self.certificate, chain.as_bytes()).map_err(|source| {
            TlsError::Unwritable {
                path: self.certificate.clone(),
                source,
            }
        })?;
        self.served.look();
        Ok(())
    }
}

/// What the certificate of an appliance of this name is for in any case: itself, this machine, and the addresses at which it listens.
pub(crate) fn always(name: &str, listened: &[SocketAddr]) -> Names {
    let listened = listened.iter().map(SocketAddr::ip);
    let listened = listened.filter(|address| !address.is_unspecified());
    ["localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .into_iter()
        .chain([name.to_ascii_lowercase()])
        .chain(listened.map(|address| address.to_string()))
        .collect()
}

/// A host name or an address as it stands in a certificate.
pub(crate) fn canonical(name: &str) -> Option<String> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(address.to_string()),
        Err(_) => check_name(name).ok().map(|()| name.to_ascii_lowercase()),
    }
}

/// `fingerprint F, until T, for A, B, C`.
fn note(made: &authority::Made, names: &Names) -> String {
    let mut list = String::new();
    for name in names {
        if list.len() + name.len() > NOTED {
            list.push_str(", and others");
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(name);
    }
    format!(
        "fingerprint {}, until {}, for {list}",
        made.fingerprint, made.lapses
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_audit::Detail;

    use super::*;

    #[test]
    fn names_are_one_however_they_are_written() {
        for (written, stands) in [
            ("Keys.Example.COM", Some("keys.example.com")),
            ("2001:DB8:0::1", Some("2001:db8::1")),
            ("10.0.5.10", Some("10.0.5.10")),
            ("keys example", None),
            ("keys/example", None),
            ("", None),
        ] {
            assert_eq!(canonical(written).as_deref(), stands, "{written}");
        }
    }

    #[test]
    fn it_is_always_for_itself_and_where_it_listens() {
        let listened = ["[::]:8443", "10.0.5.10:9443"].map(|address| address.parse().unwrap());
        let names = always("Vault.example", &listened);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "10.0.5.10",
                "127.0.0.1",
                "::1",
                "localhost",
                "vault.example"
            ]
        );
    }

    #[test]
    fn a_note_names_what_fits() {
        let made = authority::Made {
            pem: String::new(),
            fingerprint: "ab".repeat(32),
            lapses: Timestamp::from_millis(0),
        };
        let names = Names::from(["a.example", "b.example"].map(str::to_owned));
        let text = note(&made, &names);
        assert!(text.ends_with("Z, for a.example, b.example"), "{text}");
        let many: Names = (0..200).map(|n| format!("host{n}.example.com")).collect();
        let text = note(&made, &many);
        assert!(
            text.ends_with(", and others") && text.len() <= Detail::NOTE_MAX,
            "{text}"
        );
    }
}
