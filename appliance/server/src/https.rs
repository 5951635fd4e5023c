//! HTTPS to whom the configuration names: verified by the authorities that it names and no others, never redirected, within a time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// A file that the configuration names for such a connection is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read.
    #[error("{} cannot be read: {error}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate in it that could be used, or one that cannot be read.
    #[error("{} does not hold certificates in PEM", .0.display())]
    NoCertificates(PathBuf),
    /// There is no key in it.
    #[error("{} does not hold a private key in PEM", .0.display())]
    NoKey(PathBuf),
}

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// From looking up the name to the answer's last byte.
    Whole(Duration),
    /// For each step towards the answer and each piece of a body: for bodies of any length.
    Each(Duration),
}

/// What the appliance shows of itself, where the other side wants to see it: files with a certificate chain and its private key, in PEM.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// The chain.
    pub(crate) certificate: &'a Path,
    /// The key.
    pub(crate) key: &'a Path,
}

/// What trusts the authorities in this file and no others.
///
/// # Errors
/// When a file is of no use.
pub(crate) fn trusting(
    authorities: &Path,
    shown: Option<Shown<'_>>,
) -> Result<TlsConfig, FileError> {
    let mut known = RootCertStore::empty();
    // A system's bundle may hold some that are of no use: those vouch for nobody.
    let roots: Vec<_> = certificates(authorities)?
        .into_iter()
        .filter(|certificate| known.add(certificate.clone()).is_ok())
        .map(|certificate| Certificate::from_der(&certificate).to_owned())
        .collect();
    if roots.is_empty() {
        return Err(FileError::NoCertificates(authorities.to_owned()));
    }
    let shown = shown.map(|shown| {
        let chain: Vec<_> = certificates(shown.certificate)?
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect();
        let key = PrivateKey::from_pem(&read(shown.key)?)
            .map_err(|_| FileError::NoKey(shown.key.to_owned()))?;
        Ok(ClientCert::new_with_certs(&chain, key))
    });
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(shown.transpose()?)
        .build())
}

/// What speaks to somebody: by HTTPS alone where there is somebody to be trusted. Every status is an answer.
pub(crate) fn agent(tls: Option<TlsConfig>, patience: Patience) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // Who redirects the appliance could make it ask anything of anybody.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")));
    let config = match patience {
        Patience::Whole(time) => config.timeout_global(Some(time)),
        Patience::Each(time) => config
            .timeout_resolve(Some(time))
            .timeout_connect(Some(time))
            .timeout_send_request(Some(time))
            .timeout_recv_response(Some(time))
            .timeout_per_read(Some(time))
            .timeout_per_write(Some(time)),
    };
    match tls {
        Some(tls) => config.tls_config(tls).https_only(true),
        None => config,
    }
    .build()
    .into()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(FileError::NoCertificates(file.to_owned())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(file).map_err(|error| FileError::Unreadable {
        file: file.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn files_of_no_use_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let said = |shown| trusting(&file, shown).unwrap_err().to_string();
        assert!(said(None).contains("ca.pem cannot be read"));
        fs::write(&file, "no certificate").unwrap();
        assert!(said(None).ends_with("ca.pem does not hold certificates in PEM"));

        let authority = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
        fs::write(&file, authority.cert.pem()).unwrap();
        assert!(trusting(&file, None).unwrap().client_cert().is_none());
        let key = folder.path().join("own.key");
        fs::write(&key, "no key").unwrap();
        let shown = Shown {
            certificate: &file,
            key: &key,
        };
        assert!(said(Some(shown)).ends_with("own.key does not hold a private key in PEM"));
        fs::write(&key, authority.signing_key.serialize_pem()).unwrap();
        assert!(
            trusting(&file, Some(shown))
                .unwrap()
                .client_cert()
                .is_some()
        );
    }
}
