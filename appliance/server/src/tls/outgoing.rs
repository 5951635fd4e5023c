//! The certificate that the appliance shows to others: of its own authority, made when it is first wanted and made anew when it grows old.
//!
//! It is for clients alone, as the one that listeners show is for servers alone.

use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::{TlsError, authority};
use crate::folder::write_whole;

/// How long it is valid, and how long before its end another one is made.
const LIFETIME: Duration = Duration::days(90);
const EARLY: Duration = Duration::days(30);

const CERTIFICATE: &str = "outgoing.pem";
const KEY: &str = "outgoing.key";

/// Where it and its key are.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// It, in PEM.
    pub(crate) certificate: PathBuf,
    /// Its private key (P-256), in PEM.
    pub(crate) key: PathBuf,
}

/// The certificate of the appliance with this name, by the authority in this folder.
///
/// # Errors
/// When the authority or its key is not there, or nothing can be written.
pub(crate) fn certificate(folder: &Path, name: &str) -> Result<Outgoing, TlsError> {
    let found = Outgoing {
        certificate: folder.join(CERTIFICATE),
        key: folder.join(KEY),
    };
    if is_good(folder, &found.certificate) == Some(true) {
        return Ok(found);
    }
    let put = |path: &Path, pem: &str| {
        write_whole(path, pem.as_bytes()).map_err(|source| TlsError::Unwritable {
            path: path.to_owned(),
            source,
        })
    };
    let key = if found.key.exists() {
        authority::read_key(&found.key)?
    } else {
        let key = authority::new_key()?;
        put(&found.key, &Zeroizing::new(key.serialize_pem()))?;
        key
    };
    put(&found.certificate, &made(folder, name, &key)?)?;
    Ok(found)
}

fn made(folder: &Path, name: &str, key: &KeyPair) -> Result<String, TlsError> {
    let (authority, _) = authority::read_authority(folder)?;
    let now = OffsetDateTime::now_utc();
    let client = authority::client_certificate(name, None, now, now + LIFETIME)?;
    Ok(client.signed_by(key, &authority)?.pem())
}

/// Whether there is one that its authority has made, and that is good for a while.
fn is_good(folder: &Path, certificate: &Path) -> Option<bool> {
    let der = CertificateDer::from_pem_file(certificate).ok()?;
    let (_, read) = X509Certificate::from_der(&der).ok()?;
    let until = read.validity().not_after.to_datetime();
    Some(authority::has_made(folder, &der) && OffsetDateTime::now_utc() + EARLY < until)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use super::*;

    #[test]
    fn it_is_made_once_and_again_for_another_authority() {
        let folder = tempfile::tempdir().unwrap();
        assert!(certificate(folder.path(), "keys.example.com").is_err());
        let names = ["localhost".to_owned()].into();
        authority::create(folder.path(), "keys.example.com", &names).unwrap();
        let read = || {
            let made = certificate(folder.path(), "keys.example.com").unwrap();
            [made.certificate, made.key].map(|file| fs::read_to_string(file).unwrap())
        };
        let first = read();
        assert_eq!(first, read());
        let der = CertificateDer::from_pem_slice(first[0].as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let usages = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usages.client_auth && !usages.server_auth);
        assert_eq!(certificate.subject().to_string(), "CN=keys.example.com");

        for file in ["ca.pem", "ca.key", "server.pem", "server.key"] {
            fs::remove_file(folder.path().join(file)).unwrap();
        }
        authority::create(folder.path(), "keys.example.com", &names).unwrap();
        let second = read();
        assert!(second[0] != first[0] && second[1] == first[1]);
    }
}
