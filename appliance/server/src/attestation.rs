//! Attestation of the machine: the quotes of its TPM, for whoever asks, and by itself each day and each time that the keystore was opened.
//!
//! The service has no TPM. A unit of the image that runs as root has it sign, for whoever connects to its socket, 32 bytes and what two of its registers hold.
//! What those bytes stand for is said here: the release, the certificate that the appliance shows, the state of the audit log, and the nonce of whoever asks.
//! Each quote is verified before it goes anywhere.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use semver::Version;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use strongroom_attestation::{Fingerprint, note, qualifying_data, verify};
use strongroom_keystore::{Keystore, Presented};
use strongroom_wire::attestation::{Attestation, NONCE_LEN, Quote, Registers, Statement};
use strongroom_wire::encoding::Base64;
use strongroom_wire::problem::Code;

use crate::problems::{Failure, sentence};
use crate::tls::ServedCertificate;

/// How long the TPM may take: some make a key in a second, and on a machine that has just started it waits until the start was measured.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest answer of the image's unit, in bytes.
const ANSWER_MAX: u64 = 16 * 1024;
/// How many may wait for the TPM at once, as it does one thing after another.
const MOST_WAITING: usize = 4;

/// Has the machine's TPM attest.
pub(crate) struct Attestor {
    /// Where the image's unit listens.
    socket: PathBuf,
    release: String,
    /// The certificate that clients are shown.
    certificate: Arc<ServedCertificate>,
    asking: Mutex<()>,
    waiting: AtomicUsize,
}

/// Why there is no quote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// The image's unit does not answer.
    #[error("nobody answers for the TPM: {0}")]
    Unreachable(#[from] io::Error),
    /// It says why there is none.
    #[error("{0}")]
    Refused(String),
    /// What it says cannot be read.
    #[error("what was said for the TPM cannot be read")]
    Unreadable,
    /// The quote does not hold.
    #[error("the TPM's quote does not hold: {0}")]
    Quote(#[from] strongroom_attestation::Error),
    /// Others wait already.
    #[error("the TPM attests for others: ask again")]
    Busy,
    /// What the quote is to be bound to cannot be read.
    #[error("the audit log cannot be read: {0}")]
    Log(#[from] strongroom_keystore::Error),
}

/// What the image's unit says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Quoted {
        public: String,
        attest: String,
        signature: String,
        pcr7: String,
        pcr11: String,
    },
    Failed {
        error: String,
    },
}

impl Attestor {
    /// Has the TPM attest by whoever listens at this socket, for this release and for the appliance that shows this certificate.
    pub(crate) fn new(
        socket: &Path,
        release: &Version,
        certificate: Arc<ServedCertificate>,
    ) -> Self {
        Self {
            socket: socket.to_owned(),
            release: release.to_string(),
            certificate,
            asking: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Attests for somebody who may have that done.
    ///
    /// # Errors
    /// The problem that says why not.
    pub(crate) fn attest_for(
        &self,
        keystore: &Keystore,
        caller: &Presented,
        nonce: Base64,
    ) -> Result<Attestation, Failure> {
        keystore.may_attest(caller)?;
        if nonce.0.len() != NONCE_LEN {
            let why = format!("The nonce has to have {NONCE_LEN} bytes.");
            return Err(Failure::new(Code::Invalid, why));
        }
        self.attest(keystore, Some(nonce)).map_err(|wrong| {
            let code = match &wrong {
                Wrong::Busy => Code::TooManyRequests,
                Wrong::Log(error) => error.code(),
                _ => Code::NotAttested,
            };
            tracing::warn!(error = %wrong, "the machine is not attested");
            Failure::new(code, sentence(&wrong))
        })
    }

    /// Attests by itself and records that, or why it could not. Answers whether there was a quote.
    ///
    /// # Errors
    /// When the store does not take the leaf.
    pub(crate) fn record(&self, keystore: &Keystore) -> anyhow::Result<bool> {
        let quoted = self.attest(keystore, None);
        let is_quoted = quoted.is_ok();
        let noted = match &quoted {
            Ok(attestation) => Ok(note::write(attestation)),
            Err(wrong) => {
                tracing::error!(error = %wrong, "the machine is not attested");
                Err(sentence(wrong))
            }
        };
        let leaf = keystore
            .record_attestation(noted)
            .context("the attestation cannot be recorded")?;
        if is_quoted {
            tracing::info!(leaf, "the machine is attested");
        }
        Ok(is_quoted)
    }

    fn attest(&self, keystore: &Keystore, nonce: Option<Base64>) -> Result<Attestation, Wrong> {
        let head = keystore.log_head()?;
        let statement = Statement {
            release: self.release.clone(),
            nonce,
            certificate: self.certificate.fingerprint(),
            log: head.origin,
            size: head.size,
            root: hex::encode(head.root),
        };
        let (public, registers, attest, signature) = match self.ask(qualifying_data(&statement)?)? {
            Said::Failed { error } => return Err(Wrong::Refused(error)),
            Said::Quoted {
                public,
                attest,
                signature,
                pcr7,
                pcr11,
            } => (public, Registers { pcr7, pcr11 }, attest, signature),
        };
        let bytes = |text: String| hex::decode(text).map_err(|_| Wrong::Unreadable);
        let public = bytes(public)?;
        let attestation = Attestation {
            tpm: Fingerprint(Sha256::digest(&public).into()).to_string(),
            registers,
            statement,
            quote: Quote {
                public: public.into(),
                attest: bytes(attest)?.into(),
                signature: bytes(signature)?.into(),
            },
        };
        verify(&attestation)?;
        Ok(attestation)
    }

    fn ask(&self, qualifying: [u8; 32]) -> Result<Said, Wrong> {
        let _waiting = Waiting::begin(&self.waiting)?;
        let _alone = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&qualifying)?;
        let mut said = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut said)?;
        serde_json::from_slice(&said).map_err(|_| Wrong::Unreadable)
    }
}

/// One of those who wait for the TPM.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, Wrong> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            return Err(Wrong::Busy);
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::tls::{always, authority};

    fn attestor(folder: &Path) -> Attestor {
        let names = always("strongroom.local", &[]);
        authority::create(folder, "strongroom.local", &names).unwrap();
        let [certificate, key] = ["server.pem", "server.key"].map(|name| folder.join(name));
        let served = ServedCertificate::load(&certificate, &key).unwrap();
        let socket = folder.join("attest.sock");
        Attestor::new(&socket, &Version::new(0, 1, 0), Arc::new(served))
    }

    #[test]
    fn what_is_said_for_the_tpm_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let attestor = attestor(folder.path());
        let socket = folder.path().join("attest.sock");
        assert!(matches!(attestor.ask([7; 32]), Err(Wrong::Unreachable(_))));
        let listener = UnixListener::bind(&socket).unwrap();
        let answers = [
            br#"{"error":"the TPM does not answer"}"#.to_vec(),
            Vec::new(),
            br#"{"public":"00"}"#.to_vec(),
            vec![b' '; 20_000],
        ];
        let count = answers.len();
        let unit = thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 32];
                stream.read_exact(&mut asked).unwrap();
                assert_eq!(asked, [7; 32]);
                // Whoever has heard enough hangs up.
                let _ = stream.write_all(&answer);
            }
        });
        let failed = attestor.ask([7; 32]).unwrap();
        assert!(matches!(failed, Said::Failed { error } if error == "the TPM does not answer"));
        for _ in 1..count {
            assert!(matches!(attestor.ask([7; 32]), Err(Wrong::Unreadable)));
        }
        unit.join().unwrap();
    }

    #[test]
    fn no_more_than_a_few_wait() {
        let count = AtomicUsize::new(0);
        let all: Vec<_> = (0..MOST_WAITING)
            .map(|_| Waiting::begin(&count).unwrap())
            .collect();
        assert!(matches!(Waiting::begin(&count), Err(Wrong::Busy)));
        drop(all);
        assert_eq!(count.load(Ordering::Relaxed), 0);
        Waiting::begin(&count).unwrap();
    }
}
