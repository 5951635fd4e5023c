//! Certificates that clients present: who vouches for them, which of them are revoked.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;

use super::{TlsError, provider, read};

/// Checks the certificates of clients, which need not present any.
///
/// The files of the authorities and of revoked certificates are read again when they have changed. What cannot be read then is said in the
/// log, and what was read before goes on to hold.
pub(crate) struct ClientCertificates {
    authorities: PathBuf,
    revoked: Option<PathBuf>,
    hints: Vec<DistinguishedName>,
    held: RwLock<Held>,
}

struct Held {
    verifier: Arc<dyn ClientCertVerifier>,
    /// When the files were last changed.
    of: [Option<SystemTime>; 2],
}

/// The certificates that a client has presented on a connection, its own first.
#[derive(Clone)]
pub(crate) struct PresentedChain {
    chain: Vec<CertificateDer<'static>>,
    checked_by: Arc<ClientCertificates>,
}

impl ClientCertificates {
    /// Those that these authorities vouch for, but those on these revocation lists (RFC 5280 section 5), if there are any; both in PEM.
    pub(crate) fn new(authorities: &Path, revoked: Option<&Path>) -> Result<Self, TlsError> {
        let verifier = load(authorities, revoked)?;
        Ok(Self {
            hints: verifier.root_hint_subjects().to_vec(),
            held: RwLock::new(Held {
                verifier,
                of: [changed(Some(authorities)), changed(revoked)],
            }),
            authorities: authorities.to_owned(),
            revoked: revoked.map(Path::to_owned),
        })
    }

    /// The verifier by the files as they are now.
    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let now = [
            changed(Some(&self.authorities)),
            changed(self.revoked.as_deref()),
        ];
        {
            // A panic while it was held leaves a whole verifier behind.
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            if held.of == now {
                return Arc::clone(&held.verifier);
            }
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.of != now {
            held.of = now;
            match load(&self.authorities, self.revoked.as_deref()) {
                Ok(verifier) => {
                    held.verifier = verifier;
                    tracing::info!(
                        "the authorities and revocation lists of client certificates were read again"
                    );
                }
                Err(error) => {
                    tracing::error!(%error, "the authorities and revocation lists of client certificates stay as they were");
                }
            }
        }
        Arc::clone(&held.verifier)
    }
}

impl PresentedChain {
    /// What a client presented; none where that is nothing.
    pub(crate) fn new(
        chain: Option<&[CertificateDer<'_>]>,
        checked_by: &Arc<ClientCertificates>,
    ) -> Option<Self> {
        let chain: Vec<_> = chain?
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        (!chain.is_empty()).then(|| Self {
            chain,
            checked_by: Arc::clone(checked_by),
        })
    }

    /// The client's own certificate, if it still counts: it may have been revoked, or have lapsed, since the connection was made.
    pub(crate) fn still_valid(&self) -> Option<&CertificateDer<'static>> {
        let (own, others) = self.chain.split_first()?;
        self.checked_by
            .verifier()
            .verify_client_cert(own, others, UnixTime::now())
            .ok()
            .map(|_| own)
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verifier().verify_client_cert(own, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().supported_verify_schemes()
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificates")
            .field("authorities", &self.authorities)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

fn load(
    authorities: &Path,
    revoked: Option<&Path>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let malformed = |what, path: &Path| TlsError::Malformed {
        what,
        path: path.to_owned(),
    };
    let mut roots = RootCertStore::empty();
    let pem = read("certificate", authorities)?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.ok().and_then(|one| roots.add(one).ok());
        added.ok_or_else(|| malformed("certificate", authorities))?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()))
            .allow_unauthenticated();
    if let Some(revoked) = revoked {
        const WHAT: &str = "revocation list";
        let pem = read(WHAT, revoked)?;
        let lists = CertificateRevocationListDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|lists| !lists.is_empty())
            .ok_or_else(|| malformed(WHAT, revoked))?;
        // A certificate of whose authority there is no list, or only one that is out of date, counts as revoked.
        builder = builder
            .with_crls(lists)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    builder.build().map_err(|error| TlsError::Clients {
        path: authorities.to_owned(),
        reason: error.to_string(),
    })
}

fn changed(file: Option<&Path>) -> Option<SystemTime> {
    fs::metadata(file?).and_then(|about| about.modified()).ok()
}
