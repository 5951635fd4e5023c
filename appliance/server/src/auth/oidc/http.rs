//! HTTPS to a provider: verified, within a deadline, never redirected, with answers of bounded size.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse, SyncHttpClient};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// How much of an answer is read, in bytes.
const LONGEST_ANSWER: u64 = 1024 * 1024;

/// What speaks to one provider.
pub(super) struct Http(Agent);

/// The provider's authorities are of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthoritiesError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// There is no certificate in it, or one that cannot be read.
    #[error("it does not hold certificates in PEM")]
    Malformed,
}

/// The provider did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(#[from] ureq::Error);

impl Http {
    /// Trusts the authorities in this file, in PEM, and no others. One request may take so long, from looking up the name to the answer's
    /// last byte.
    pub(super) fn new(authorities: &Path, deadline: Duration) -> Result<Self, AuthoritiesError> {
        let pem = fs::read(authorities)?;
        let mut known = RootCertStore::empty();
        let mut roots = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|_| AuthoritiesError::Malformed)?;
            // A system's bundle may hold some that are of no use: those vouch for nobody.
            if known.add(certificate.clone()).is_ok() {
                roots.push(Certificate::from_der(&certificate).to_owned());
            }
        }
        if roots.is_empty() {
            return Err(AuthoritiesError::Malformed);
        }
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            // A provider that redirects the appliance could make it ask anything of anybody.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(deadline))
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self(agent.into()))
    }
}

impl SyncHttpClient for Http {
    type Error = NoAnswer;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let (head, mut body) = self.0.run(request)?.into_parts();
        let body = body.with_config().limit(LONGEST_ANSWER).read_to_vec()?;
        Ok(HttpResponse::from_parts(head, body))
    }
}
