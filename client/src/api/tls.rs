//! TLS as this client speaks it, and whom it trusts.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use crate::ClientError;

/// The certificates of the authorities that may vouch for the appliance. There are no built-in ones.
///
/// ```no_run
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::{Client, Roots};
///
/// let roots = Roots::from_pem(&std::fs::read("/etc/strongroom/ca.pem")?)?;
/// let client = Client::new("https://keys.example.com:8443", &roots)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Roots(Arc<Vec<Certificate<'static>>>);

impl Roots {
    /// The certificates in a PEM text: the site's authority, or a bundle of several.
    ///
    /// ```
    /// use strongroom_client::{ErrorKind, Roots};
    ///
    /// let nothing = Roots::from_pem(b"not a certificate");
    /// assert!(nothing.is_err_and(|error| error.kind() == ErrorKind::Invalid));
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when there is no certificate in it or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ClientError> {
        let mut store = rustls::RootCertStore::empty();
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| unusable())?;
            store.add(certificate.clone()).map_err(|_| unusable())?;
            certificates.push(Certificate::from_der(&certificate).to_owned());
        }
        if certificates.is_empty() {
            return Err(ClientError::Setup(
                "the file of the certificate authority holds no certificate in PEM".to_owned(),
            ));
        }
        Ok(Self(Arc::new(certificates)))
    }
}

impl Roots {
    /// The same for rustls; none where it takes one of them no more than once it did.
    pub(super) fn store(&self) -> Option<rustls::RootCertStore> {
        let mut store = rustls::RootCertStore::empty();
        for certificate in &*self.0 {
            store.add(CertificateDer::from(certificate.der())).ok()?;
        }
        Some(store)
    }
}

fn unusable() -> ClientError {
    ClientError::Setup(
        "a certificate in the file of the certificate authority cannot be read".to_owned(),
    )
}

/// A client certificate with its chain, and its private key.
///
/// ```no_run
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::Identity;
///
/// let identity = Identity::from_pem(&std::fs::read("service.pem")?, &std::fs::read("service.key")?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Identity(ClientCert);

impl Identity {
    /// The certificate, followed by those between it and the site's authority, and its private key; both in PEM.
    ///
    /// ```
    /// use strongroom_client::{ErrorKind, Identity};
    ///
    /// let nothing = Identity::from_pem(b"no certificate", b"no key");
    /// assert!(nothing.is_err_and(|error| error.kind() == ErrorKind::Invalid));
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when one of them is not there or cannot be read.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, ClientError> {
        let unusable = |what: &str| {
            ClientError::Setup(format!(
                "the file of the client certificate holds no {what} in PEM"
            ))
        };
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| unusable("certificate"))?;
        PrivateKeyDer::from_pem_slice(key).map_err(|_| unusable("private key"))?;
        let key = PrivateKey::from_pem(key).map_err(|_| unusable("private key"))?;
        let chain: Vec<_> = chain
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect();
        Ok(Self(ClientCert::new_with_certs(&chain, key)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(hidden)")
    }
}

/// TLS 1.3 alone, with the hybrid post-quantum key exchange X25519MLKEM768 offered first, then X25519 and the
/// NIST curves.
///
/// ```
/// let provider = strongroom_client::api::tls::provider();
/// assert_eq!(provider.kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
/// ```
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

pub(crate) fn config(roots: &Roots, identity: Option<&Identity>) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(provider()))
        .root_certs(RootCerts::Specific(roots.0.clone()))
        .client_cert(identity.map(|identity| identity.0.clone()))
        .build()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_tls_1_3_and_post_quantum_first() {
        let provider = provider();
        assert!(
            provider
                .cipher_suites
                .iter()
                .all(|suite| suite.tls13().is_some())
        );
        assert_eq!(
            provider.kx_groups[0].name(),
            rustls::NamedGroup::X25519MLKEM768
        );
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for pem in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = Roots::from_pem(pem.as_bytes()).err().unwrap();
            assert!(matches!(error, ClientError::Setup(_)), "{pem:?}");
        }
    }
}
