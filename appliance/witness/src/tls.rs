//! The witness's certificate and its key: taken anew when their files have changed, without a restart.
//!
//! Connections that there are go on. What cannot be used is refused, which the log says once, and the pair before goes on.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use actix_web::rt::signal::unix::Signal;
use actix_web::rt::time::timeout;
use actix_web::web;
use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use strongroom_witness::config::Tls;

/// How often the files are looked at without being told.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificate that is shown, and its key.
#[derive(Debug)]
pub(crate) struct Served {
    files: Tls,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    pair: Arc<CertifiedKey>,
    /// How the files were when they were last read.
    of: [Option<Stamp>; 2],
    /// Why what is in the files cannot be used.
    refused: Option<String>,
}

/// What changes when a file is replaced or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, i64, i64);

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let about = fs::metadata(file).ok()?;
        Some(Self(about.ino(), about.ctime(), about.ctime_nsec()))
    }
}

impl Served {
    /// The pair in these files.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn load(files: &Tls) -> anyhow::Result<Arc<Self>> {
        let of = stamps(files);
        Ok(Arc::new(Self {
            held: RwLock::new(Held {
                pair: Arc::new(read(files)?),
                of,
                refused: None,
            }),
            files: files.clone(),
        }))
    }

    /// TLS that shows it.
    pub(crate) fn config(self: &Arc<Self>) -> anyhow::Result<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        Ok(config)
    }

    /// Looks again and again, and at once when it is told (SIGHUP).
    pub(crate) async fn keep_looking(self: Arc<Self>, mut told: Signal) {
        loop {
            // That nothing comes any more is no reason to look without a pause.
            if let Ok(None) = timeout(LOOK_EVERY, told.recv()).await {
                return;
            }
            let served = Arc::clone(&self);
            // What goes wrong is said in the log, a panic by its hook.
            let _ = web::block(move || served.look()).await;
        }
    }

    /// Takes the pair in the files, if they have changed and it can be used.
    fn look(&self) {
        let of = stamps(&self.files);
        {
            let held = self.held();
            // Two files are not replaced in one moment: what did not match is tried again.
            if held.of == of && held.refused.is_none() {
                return;
            }
        }
        let read = read(&self.files);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.of = of;
        match read {
            Ok(pair) => {
                if pair.cert != held.pair.cert {
                    tracing::info!("another certificate is shown");
                } else if held.refused.is_some() {
                    tracing::info!("the certificate's files can be used again");
                }
                held.pair = Arc::new(pair);
                held.refused = None;
            }
            Err(error) => {
                let reason = format!("{error:#}");
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

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        // A panic while it was held leaves a whole pair behind.
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.held().pair))
    }
}

fn stamps(files: &Tls) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key].map(|file| Stamp::of(file))
}

fn read(files: &Tls) -> anyhow::Result<CertifiedKey> {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("the certificate {certificate} cannot be read"))?;
    let private = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("the private key {key} cannot be read"))?;
    CertifiedKey::from_der(chain, private, &default_provider())
        .with_context(|| format!("certificate {certificate} and private key {key} cannot be used"))
}
