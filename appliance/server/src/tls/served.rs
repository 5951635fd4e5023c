//! The certificate that the appliance shows, and its key: taken anew when their files have changed, without a restart.
//!
//! Connections that there are go on. What cannot be used is refused, which the log, the health document and the metrics say, and the pair before goes on.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::renewal::Names;
use super::{Stamp, TlsError, provider, read};

/// How long before it lapses a certificate is said to fail, in seconds: two weeks.
const WARNED_BEFORE: u64 = 14 * 24 * 3600;

/// The certificate that is shown, and its key.
pub(crate) struct ServedCertificate {
    certificate: PathBuf,
    key: PathBuf,
    held: RwLock<Held>,
}

struct Held {
    pair: Pair,
    /// How the files were when they were last read.
    of: [Option<Stamp>; 2],
    /// Why what is in the files cannot be used.
    refused: Option<String>,
}

struct Pair {
    certified: Arc<CertifiedKey>,
    fingerprint: String,
    /// The host names and addresses that it is for.
    names: Names,
    begins: Timestamp,
    lapses: Timestamp,
}

impl ServedCertificate {
    /// The pair in these PEM files: the certificate chain, the server's own certificate first, and its private key.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let of = [Stamp::of(certificate), Stamp::of(key)];
        Ok(Self {
            held: RwLock::new(Held {
                pair: Pair::read(certificate, key)?,
                of,
                refused: None,
            }),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Takes the pair in the files, if they have changed and it can be used.
    pub(crate) fn look(&self) {
        let of = [Stamp::of(&self.certificate), Stamp::of(&self.key)];
        {
            let held = self.held();
            // Two files are not replaced in one moment: what did not match is tried again.
            if held.of == of && held.refused.is_none() {
                return;
            }
        }
        let read = Pair::read(&self.certificate, &self.key)
            .and_then(|pair| pair.in_its_time(&self.certificate, SystemClock.now()));
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.of = of;
        match read {
            Ok(pair) => {
                if pair.fingerprint != held.pair.fingerprint {
                    tracing::info!(fingerprint = pair.fingerprint, until = %pair.lapses, "another certificate is shown");
                } else if held.refused.is_some() {
                    tracing::info!("the certificate's files can be used again");
                }
                held.pair = pair;
                held.refused = None;
            }
            Err(error) => {
                let reason = error.to_string();
                if held.refused.as_ref() != Some(&reason) {
                    tracing::error!(
                        error = reason,
                        "the certificate that is shown stays as it was"
                    );
                }
                held.refused = Some(reason);
            }
        }
    }

    /// SHA-256 of the certificate, in hexadecimal digits.
    pub(crate) fn fingerprint(&self) -> String {
        self.held().pair.fingerprint.clone()
    }

    /// It, in DER.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        // A pair that was read has one.
        self.held()
            .pair
            .certified
            .cert
            .first()
            .cloned()
            .unwrap_or_else(|| Vec::new().into())
    }

    /// The certificates that are sent after it, in PEM.
    pub(crate) fn rest_of_chain(&self) -> String {
        let held = self.held();
        let rest = held.pair.certified.cert.iter().skip(1);
        rest.map(|der| pem(der)).collect()
    }

    /// The host names and addresses that it is for.
    pub(crate) fn names(&self) -> Names {
        self.held().pair.names.clone()
    }

    /// Whether less than a third of its life is left.
    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        let held = self.held();
        let [begins, lapses, now] =
            [held.pair.begins, held.pair.lapses, now].map(Timestamp::as_millis);
        lapses.saturating_sub(now) < lapses.saturating_sub(begins) / 3
    }

    /// When it lapses.
    pub(crate) fn lapses(&self) -> Timestamp {
        self.held().pair.lapses
    }

    /// What an operator has to look at: its files cannot be used, or it lapses within two weeks.
    pub(crate) fn trouble(&self) -> Option<String> {
        let held = self.held();
        let soon = SystemClock.now().plus_seconds(WARNED_BEFORE);
        match &held.refused {
            Some(reason) => Some(reason.clone()),
            None if held.pair.lapses < soon => Some(format!("it lapses at {}", held.pair.lapses)),
            None => None,
        }
    }

    /// Why what stands in its files is not shown, where that is so.
    pub(crate) fn refused(&self) -> Option<String> {
        self.held().refused.clone()
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        // A panic while it was held leaves a whole pair behind.
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.held().pair.certified))
    }
}

impl fmt::Debug for ServedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedCertificate")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Pair {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let malformed = |what, path: &Path| TlsError::Malformed {
            what,
            path: path.to_owned(),
        };
        let no_certificate = || malformed("certificate", certificate);
        let chain_pem = read("certificate", certificate)?;
        let key_pem = Zeroizing::new(read("private key", key)?);
        let chain = CertificateDer::pem_slice_iter(&chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| no_certificate())?;
        let own = chain.first().ok_or_else(no_certificate)?;
        let fingerprint = hex::encode(Sha256::digest(own));
        let (names, [begins, lapses]) = {
            let (_, own) = X509Certificate::from_der(own).map_err(|_| no_certificate())?;
            let validity = own.validity();
            let validity = [validity.not_before, validity.not_after].map(|at| {
                // Whatever lies before 1970 is past.
                let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
                Timestamp::from_millis(seconds.saturating_mul(1000))
            });
            (names_in(&own), validity)
        };
        let private =
            PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| malformed("private key", key))?;
        let certified = CertifiedKey::from_der(chain, private, &provider()).map_err(|source| {
            TlsError::Mismatch {
                key: key.to_owned(),
                certificate: certificate.to_owned(),
                source,
            }
        })?;
        Ok(Self {
            certified: Arc::new(certified),
            fingerprint,
            names,
            begins,
            lapses,
        })
    }

    /// This one, unless no client would believe it: it is not to take the place of one that clients do believe.
    fn in_its_time(self, path: &Path, now: Timestamp) -> Result<Self, TlsError> {
        if now < self.begins || self.lapses < now {
            return Err(TlsError::OutOfTime {
                path: path.to_owned(),
                begins: self.begins,
                lapses: self.lapses,
            });
        }
        Ok(self)
    }
}

/// The DNS names and addresses among a certificate's subject alternative names.
fn names_in(certificate: &X509Certificate<'_>) -> Names {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map(|extension| &extension.value.general_names);
    let names = alternatives.into_iter().flatten();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                let v6 = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
                v4.or_else(|_| v6()).ok().map(|address| address.to_string())
            }
            _ => None,
        })
        .collect()
}

/// A certificate in PEM (RFC 7468 section 5.1).
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use rcgen::{CertificateParams, KeyPair};
    use time::{Duration, OffsetDateTime};

    use super::*;

    /// Puts a pair there that is valid for so many days, and was for ten.
    fn put(folder: &Path, days: i64) -> String {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = OffsetDateTime::now_utc();
        params.not_before = now - Duration::days(10);
        params.not_after = now + Duration::days(days);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.join("key"), key.serialize_pem()).unwrap();
        fs::write(folder.join("pem"), certificate.pem()).unwrap();
        hex::encode(Sha256::digest(certificate.der()))
    }

    #[test]
    fn another_pair_is_taken_and_a_broken_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = put(folder.path(), 30);
        let files = [folder.path().join("pem"), folder.path().join("key")];
        let [certificate, key] = &files;
        let served = ServedCertificate::load(certificate, key).unwrap();
        served.look();
        assert_eq!((served.fingerprint(), served.trouble()), (first, None));

        let second = put(folder.path(), 40);
        served.look();
        assert_eq!(
            (served.fingerprint(), served.trouble()),
            (second.clone(), None)
        );

        let whole = files.each_ref().map(|file| fs::read(file).unwrap());
        let other = KeyPair::generate().unwrap().serialize_pem();
        for (broken, with) in [
            (certificate, Some("no certificate")),
            (key, Some(other.as_str())),
            (key, None),
        ] {
            match with {
                Some(with) => fs::write(broken, with).unwrap(),
                None => fs::remove_file(broken).unwrap(),
            }
            served.look();
            assert_eq!(served.fingerprint(), second);
            let trouble = served.trouble().unwrap();
            assert!(trouble.contains(broken.to_str().unwrap()), "{trouble}");
            for (file, bytes) in files.iter().zip(&whole) {
                fs::write(file, bytes).unwrap();
            }
            served.look();
            assert_eq!(served.trouble(), None);
        }

        put(folder.path(), -1);
        served.look();
        assert_eq!(served.fingerprint(), second);
        let trouble = served.trouble().unwrap();
        assert!(trouble.contains("is valid from"), "{trouble}");
    }

    #[test]
    fn a_certificate_that_is_about_to_lapse_is_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        for (days, is_soon) in [(15, false), (13, true), (-1, true)] {
            put(folder.path(), days);
            let path = |name: &str| folder.path().join(name);
            let served = ServedCertificate::load(&path("pem"), &path("key")).unwrap();
            assert_eq!(served.trouble().is_some(), is_soon, "{days}");
        }
    }
}
