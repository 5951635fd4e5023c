//! Certificates that clients present: who vouches for them, which of them are revoked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;

use super::{Stamp, TlsError, provider, read};

/// Checks the certificates of clients, which need not present any.
///
/// The files of the authorities and of revoked certificates are read again when they have changed. What cannot be read then is said in the
/// log, and what was read before goes on to hold.
pub(crate) struct ClientCertificates {
    authorities: PathBuf,
    revoked: Option<PathBuf>,
    hints: Hints,
    held: RwLock<Held>,
}

/// The authorities' names, as clients are told them: some present only what one of these vouches for. What rustls borrows stays, so that each change of
/// the authorities adds a link.
struct Hints {
    names: Vec<DistinguishedName>,
    newer: OnceLock<Box<Self>>,
}

struct Held {
    verifier: Arc<dyn ClientCertVerifier>,
    /// How the files were when they were last read.
    of: [Option<Stamp>; 2],
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
        let of = stamps(authorities, revoked);
        let verifier = load(authorities, revoked)?;
        Ok(Self {
            hints: Hints::new(verifier.as_ref()),
            held: RwLock::new(Held { verifier, of }),
            authorities: authorities.to_owned(),
            revoked: revoked.map(Path::to_owned),
        })
    }

    /// Takes what is in the files, if they have changed and it can be used.
    pub(crate) fn look(&self) {
        self.verifier();
    }

    /// The verifier by the files as they are now.
    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let now = stamps(&self.authorities, self.revoked.as_deref());
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
                    self.hints.follow(verifier.as_ref());
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

impl Hints {
    fn new(verifier: &dyn ClientCertVerifier) -> Self {
        Self {
            names: verifier.root_hint_subjects().to_vec(),
            newer: OnceLock::new(),
        }
    }

    fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(newer) = newest.newer.get() {
            newest = newer;
        }
        newest
    }

    /// Tells clients from now on what this verifier believes. Only one thread at a time may.
    fn follow(&self, verifier: &dyn ClientCertVerifier) {
        let newest = self.newest();
        let now = verifier.root_hint_subjects();
        let (told, names) = (newest.names.iter(), now.iter());
        if !told.map(AsRef::as_ref).eq(names.map(AsRef::<[u8]>::as_ref)) {
            // Nobody else adds one meanwhile.
            let _ = newest.newer.set(Box::new(Self::new(verifier)));
        }
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
        &self.hints.newest().names
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

fn stamps(authorities: &Path, revoked: Option<&Path>) -> [Option<Stamp>; 2] {
    [Stamp::of(authorities), revoked.and_then(Stamp::of)]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;

    fn authority(name: &str) -> String {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    /// Clients that choose among certificates by what they are told would not present those of a new authority.
    #[test]
    fn clients_are_told_of_the_authorities_that_there_are_now() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clients.pem");
        fs::write(&file, authority("the first")).unwrap();
        let clients = ClientCertificates::new(&file, None).unwrap();
        let told = || {
            let hints = clients.root_hint_subjects().iter();
            let of = |name: &str| {
                let has = |hint: &DistinguishedName| {
                    hint.as_ref()
                        .windows(name.len())
                        .any(|part| part == name.as_bytes())
                };
                hints.clone().filter(|hint| has(hint)).count()
            };
            ["the first", "the second", "the third"].map(of)
        };
        assert_eq!(told(), [1, 0, 0]);
        fs::write(&file, authority("the second")).unwrap();
        clients.look();
        assert_eq!(told(), [0, 1, 0]);
        fs::write(&file, "no certificate").unwrap();
        clients.look();
        assert_eq!(told(), [0, 1, 0]);
        let both = authority("the third") + &authority("the second");
        fs::write(&file, both).unwrap();
        clients.look();
        assert_eq!(told(), [0, 1, 1]);
    }
}
