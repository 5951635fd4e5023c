//! TLS 1.3, and nothing older, for both listeners; certificates of clients on the one for them.

pub(crate) mod authority;
pub(crate) mod clients;
pub(crate) mod outgoing;
mod renewal;
mod served;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ServerConfig, SupportedCipherSuite};
use strongroom_wire::encoding::Timestamp;

pub(crate) use renewal::{CertificateReport, Names, Renewal, always, canonical};
pub(crate) use served::ServedCertificate;

use self::clients::ClientCertificates;
use crate::config;

/// Key exchanges, the preferred first: the hybrid post-quantum one (draft-ietf-tls-ecdhe-mlkem), then those of RFC 8446.
const KEY_EXCHANGES: [&dyn SupportedKxGroup; 4] = [
    kx_group::X25519MLKEM768,
    kx_group::X25519,
    kx_group::SECP384R1,
    kx_group::SECP256R1,
];

/// Cipher suites with 256-bit keys, the preferred first.
const CIPHER_SUITES: [SupportedCipherSuite; 2] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The certificate or key file cannot be read.
    #[error("the {what} {path} cannot be read: {source}")]
    Unreadable {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is there and does not hold what it should.
    #[error("{path} does not hold a {what} in PEM")]
    Malformed {
        /// `certificate` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The key does not belong to the certificate, or is of a kind that TLS 1.3 does not use.
    #[error("the private key {key} and the certificate {certificate} cannot be used: {source}")]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// A certificate that no client would believe now.
    #[error("the certificate {path} is valid from {begins} to {lapses} only")]
    OutOfTime {
        /// The file.
        path: PathBuf,
        /// From when it is valid.
        begins: Timestamp,
        /// Until when.
        lapses: Timestamp,
    },
    /// The authorities of client certificates are of no use.
    #[error("the authorities of client certificates in {path} cannot be used: {reason}")]
    Clients {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        reason: String,
    },
    /// The cryptographic library has none of what we ask for.
    #[error("TLS 1.3 cannot be set up: {0}")]
    Unavailable(rustls::Error),
    /// A certificate needs a number of its own.
    #[error("there are no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// A certificate could not be made.
    #[error("the certificates cannot be made: {0}")]
    Generation(#[from] rcgen::Error),
    /// A certificate or key could not be written.
    #[error("{path} cannot be written: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What the appliance proves itself with, and by what it believes clients' certificates. All of it is taken anew when its files change.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    /// The certificate that both listeners show.
    pub(crate) served: Arc<ServedCertificate>,
    /// What checks the certificates of clients, where the configuration names authorities for them.
    pub(crate) clients: Option<Arc<ClientCertificates>>,
}

impl Credentials {
    /// Those in the files that the configuration names.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(crate) fn load(files: &config::Tls) -> Result<Self, TlsError> {
        let given = |path: &'_ PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
        let revoked = given(&files.client_crl);
        let clients = given(&files.client_ca)
            .map(|authorities| ClientCertificates::new(&authorities, revoked.as_deref()))
            .transpose()?;
        Ok(Self {
            served: Arc::new(ServedCertificate::load(&files.certificate, &files.key)?),
            clients: clients.map(Arc::new),
        })
    }

    /// Takes what has changed in the files, if it can be used; the log says what cannot.
    pub(crate) fn look(&self) {
        self.served.look();
        if let Some(clients) = &self.clients {
            clients.look();
        }
    }

    /// The set-up of the listener for clients, who may present certificates where they are checked.
    ///
    /// # Errors
    /// When the cryptographic library has none of what we ask for.
    pub(crate) fn for_clients(&self) -> Result<ServerConfig, TlsError> {
        server_config(&self.served, self.clients.clone())
    }

    /// The set-up of the listener for administrators.
    ///
    /// # Errors
    /// As [`Self::for_clients`].
    pub(crate) fn for_administrators(&self) -> Result<ServerConfig, TlsError> {
        server_config(&self.served, None)
    }
}

fn server_config(
    served: &Arc<ServedCertificate>,
    clients: Option<Arc<ClientCertificates>>,
) -> Result<ServerConfig, TlsError> {
    let resumable = clients.is_none();
    let clients: Arc<dyn ClientCertVerifier> = match clients {
        Some(clients) => clients,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Unavailable)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::<ServedCertificate>::clone(served));
    config.ignore_client_order = true;
    if !resumable {
        // A session that is resumed is not asked for its certificate again, which may have been revoked.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// What tells that a file is another one, was written to, or may be read by others now: its number, and when it was last changed (seconds, nanoseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, i64, i64);

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let about = fs::metadata(file).ok()?;
        Some(Self(about.ino(), about.ctime(), about.ctime_nsec()))
    }
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: CIPHER_SUITES.to_vec(),
        kx_groups: KEY_EXCHANGES.to_vec(),
        ..default_provider()
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt as _;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{
        ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, RootCertStore,
        ServerConnection, SupportedProtocolVersion,
    };

    use super::*;

    /// A folder with certificates as `init` makes them.
    fn certificates() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let names = always("strongroom.local", &[]);
        authority::create(folder.path(), "strongroom.local", &names).unwrap();
        folder
    }

    fn client(
        folder: &Path,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
        name: &str,
    ) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap();
        roots.add(ca).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        ClientConnection::new(Arc::new(config), name).unwrap()
    }

    fn server(folder: &Path) -> ServerConnection {
        let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
        let served = ServedCertificate::load(&certificate, &key).unwrap();
        let config = server_config(&Arc::new(served), None).unwrap();
        ServerConnection::new(Arc::new(config)).unwrap()
    }

    /// Passes messages between the two until neither has any to send.
    fn handshake(
        client: &mut ClientConnection,
        server: &mut ServerConnection,
    ) -> Result<(), rustls::Error> {
        while client.wants_write() || server.wants_write() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                server.read_tls(&mut unread).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                client.read_tls(&mut unread).unwrap();
                client.process_new_packets()?;
            }
        }
        Ok(())
    }

    #[test]
    fn tls_1_3_with_the_hybrid_key_exchange_is_negotiated_under_every_name() {
        let folder = certificates();
        for name in ["localhost", "127.0.0.1", "::1", "strongroom.local"] {
            let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
            let mut client = client(folder.path(), provider(), versions, name);
            let mut server = server(folder.path());
            handshake(&mut client, &mut server).unwrap();
            assert!(!client.is_handshaking() && !server.is_handshaking());
            assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            assert_eq!(
                client.negotiated_key_exchange_group().unwrap().name(),
                NamedGroup::X25519MLKEM768
            );
            assert_eq!(
                client.negotiated_cipher_suite().unwrap().suite(),
                rustls::CipherSuite::TLS13_AES_256_GCM_SHA384
            );
        }
    }

    #[test]
    fn a_client_without_the_hybrid_key_exchange_gets_x25519() {
        let folder = certificates();
        let classical = CryptoProvider {
            kx_groups: vec![kx_group::SECP256R1, kx_group::X25519],
            ..default_provider()
        };
        let versions = &[&rustls::version::TLS13];
        let mut client = client(folder.path(), classical, versions, "localhost");
        let mut server = server(folder.path());
        handshake(&mut client, &mut server).unwrap();
        assert!(!client.is_handshaking());
    }

    #[test]
    fn tls_1_2_is_refused() {
        let folder = certificates();
        let versions = &[&rustls::version::TLS12];
        let mut client = client(folder.path(), default_provider(), versions, "localhost");
        let mut server = server(folder.path());
        let error = handshake(&mut client, &mut server).unwrap_err();
        assert!(
            matches!(error, rustls::Error::PeerIncompatible(_)),
            "{error}"
        );
    }

    #[test]
    fn another_name_is_not_believed() {
        let folder = certificates();
        let versions = &[&rustls::version::TLS13];
        let mut client = client(folder.path(), provider(), versions, "elsewhere.example");
        let mut server = server(folder.path());
        let error = handshake(&mut client, &mut server).unwrap_err();
        assert!(
            matches!(error, rustls::Error::InvalidCertificate(_)),
            "{error}"
        );
    }

    #[test]
    fn keys_are_private_and_unusable_files_are_named() {
        let folder = certificates();
        for key in ["ca.key", "server.key"] {
            let mode = fs::metadata(folder.path().join(key))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        let (certificate, key) = (
            folder.path().join("server.pem"),
            folder.path().join("server.key"),
        );
        for (certificate, key, expected) in [
            (&key, &key, "certificate"),
            (&certificate, &certificate, "private key"),
            (&folder.path().join("no.pem"), &key, "no.pem"),
            (&certificate, &folder.path().join("ca.key"), "ca.key"),
        ] {
            let error = ServedCertificate::load(certificate, key)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
