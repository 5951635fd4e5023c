//! How operators' commands reach the appliance that serves: a Unix socket in the data folder, for the service's own user and root.
//!
//! One request a connection, one JSON object in one line each way.

mod server;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use strongroom_hsm::HsmError;
use strongroom_hsm::pkcs11::Pin;
use strongroom_keystore::domains::Quotas;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::State;
use strongroom_wire::reset::OrderedReset;
use zeroize::{ZeroizeOnDrop, Zeroizing};

pub(crate) use server::Control;

use crate::config::Place;
use crate::domains::{DomainReport, NewDomain, Tally};
use crate::gate::Sealed;
use crate::tls::CertificateReport;

/// The socket's name in the data folder.
const SOCKET: &str = "control";
/// The longest request in bytes.
const LONGEST_REQUEST: usize = 16 * 1024;
/// The longest answer in bytes.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;
/// How long a command waits for its answer: longer than the appliance waits for the HSM.
const ANSWER_PATIENCE: Duration = Duration::from_mins(1);

/// What a command asks of the appliance.
#[derive(Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// How it is.
    Status,
    /// Seal it.
    Seal,
    /// Unseal it with these PINs, and with what the configuration names where none is given.
    Unseal {
        /// The PINs.
        pins: Vec<GivenPin>,
    },
    /// Hold the database of a domain against its log as soon as it can.
    Scrub {
        /// The domain; the first one unless it is said.
        #[serde(default)]
        domain: Option<String>,
    },
    /// Record that an operator makes a backup of a domain.
    Backup {
        /// The domain; the first one unless it is said.
        #[serde(default)]
        domain: Option<String>,
        /// What the leaf says.
        note: String,
    },
    /// Something with its domains.
    Domain {
        /// What.
        what: DomainRequest,
    },
    /// Record that somebody at the machine's console resets it, and tell receivers of the log.
    RecordReset,
    /// Something with the certificate that it shows.
    Certificate {
        /// What.
        what: CertificateRequest,
    },
}

/// What a command asks of the appliance's domains.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum DomainRequest {
    /// Make one.
    Create(NewDomain),
    /// Tell of all.
    List,
    /// Tell of this one.
    Show(String),
    /// Suspend this one.
    Suspend(String),
    /// Resume this one.
    Resume(String),
    /// Begin to move one to another HSM slot.
    Move {
        /// The domain.
        name: String,
        /// The slot.
        to: String,
    },
    /// Remove this one, which is suspended.
    Remove(String),
    /// Set what one may have.
    Quota {
        /// The domain.
        name: String,
        /// All its quotas.
        quotas: Quotas,
    },
    /// Set the host names by which clients ask for one.
    Hosts {
        /// The domain.
        name: String,
        /// All its host names.
        hosts: Vec<String>,
    },
}

/// What a command asks of the certificate that is shown.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum CertificateRequest {
    /// Tell of it.
    Show,
    /// Renew it.
    Renew {
        /// The names that it is to be for; empty: those that are wanted, or that it has.
        names: Vec<String>,
    },
}

/// What the appliance answers about its domains.
#[derive(Deserialize, Serialize)]
pub(crate) struct DomainAnswer {
    /// The domains that were asked for; none after a removal.
    pub(crate) domains: Vec<DomainReport>,
    /// The first administrator of a domain that was made, and the one-time code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) administrator: Option<FirstAdministrator>,
    /// After a removal: whether the checkpoint key in the HSM went as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) all_keys: Option<bool>,
}

/// Who a new domain's first administrator is.
#[derive(Deserialize, Serialize)]
pub(crate) struct FirstAdministrator {
    /// The account's name.
    pub(crate) account: String,
    /// The one-time code with which its holder enrols.
    pub(crate) enrolment_code: PinText,
}

/// A PIN for one of the HSMs.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenPin {
    /// Which HSM.
    pub(crate) hsm: Place,
    /// Its PIN.
    pub(crate) pin: PinText,
}

/// A PIN as it was typed. It is zeroised when dropped and has no `Debug`.
#[derive(Deserialize, Serialize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(crate) struct PinText(String);

impl PinText {
    pub(crate) fn new(pin: &str) -> Self {
        Self(pin.to_owned())
    }

    /// As it was typed.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The PIN, if it can be one.
    pub(crate) fn read(&self) -> Result<Pin, HsmError> {
        Pin::new(self.0.clone())
    }
}

/// What the appliance answers.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// It did that, and is so now.
    Done(Box<Report>),
    /// It did that with its domains.
    Domains(Box<DomainAnswer>),
    /// It is recorded that the machine is reset.
    Reset(OrderedReset),
    /// The certificate is so now.
    Certificate(Box<CertificateReport>),
    /// It did not: one sentence.
    Refused(String),
}

/// How the appliance is.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    /// Whether it takes requests.
    pub(crate) state: State,
    /// Since when.
    pub(crate) since: Timestamp,
    /// Why it does not.
    pub(crate) reason: Option<String>,
    /// Its HSMs, the primary first.
    pub(crate) hsms: Vec<HsmReport>,
    /// How many domains there are, the first one counted; unknown while it does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) domains: Option<Tally>,
    /// How witnesses, receivers and the scrub are; unknown while it does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watch: Option<crate::watch::Report>,
    /// What is wrong with the certificate that is shown, or its files, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<String>,
    /// Account KEKs in memory, of the first domain.
    pub(crate) cached_keks: u64,
    /// Its version.
    pub(crate) version: String,
    /// What sealing did, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<Sealed>,
}

/// How an HSM is.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct HsmReport {
    /// Its slot; absent for the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<String>,
    /// Which one.
    pub(crate) hsm: Place,
    /// What and where it is.
    pub(crate) name: String,
    /// Where its PIN comes from.
    pub(crate) pin: String,
    /// `closed` while the appliance is sealed; else `probing`, `usable` or `unusable`.
    pub(crate) state: String,
    /// Since when.
    pub(crate) since: Option<Timestamp>,
    /// Why it is not usable.
    pub(crate) reason: Option<String>,
    /// Whether calls go to it.
    pub(crate) serving: bool,
    /// Whether it is tried again by itself: not after it refused the PIN.
    pub(crate) retried: bool,
    /// Calls that it is carrying out.
    pub(crate) calls: u64,
    /// Calls that were given up and have not come back.
    pub(crate) abandoned_calls: u64,
    /// Calls that were not answered in time.
    pub(crate) timed_out_calls: u64,
}

/// Asks the appliance that serves from this data folder.
///
/// # Errors
/// When there is none, and with what it answers when it refuses.
pub(crate) fn ask(data: &Path, request: &Request) -> anyhow::Result<Report> {
    match send(data, request)? {
        Answer::Done(report) => Ok(*report),
        Answer::Refused(sentence) => bail!(sentence),
        _ => bail!("the appliance answered something else"),
    }
}

/// Asks the appliance that serves from this data folder about its domains.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_domains(data: &Path, what: DomainRequest) -> anyhow::Result<DomainAnswer> {
    match send(data, &Request::Domain { what })? {
        Answer::Domains(answer) => Ok(*answer),
        Answer::Refused(sentence) => bail!(sentence),
        _ => bail!("the appliance answered something else"),
    }
}

/// Asks the appliance that serves from this data folder about the certificate that it shows.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_certificate(
    data: &Path,
    what: CertificateRequest,
) -> anyhow::Result<CertificateReport> {
    match send(data, &Request::Certificate { what })? {
        Answer::Certificate(report) => Ok(*report),
        Answer::Refused(sentence) => bail!(sentence),
        _ => bail!("the appliance answered something else"),
    }
}

/// Has the appliance that serves from this data folder record that the machine is reset, and tell receivers of the log.
///
/// # Errors
/// As [`ask`].
pub(crate) fn record_reset(data: &Path) -> anyhow::Result<OrderedReset> {
    match send(data, &Request::RecordReset)? {
        Answer::Reset(ordered) => Ok(ordered),
        Answer::Refused(sentence) => bail!(sentence),
        _ => bail!("the appliance answered something else"),
    }
}

fn send(data: &Path, request: &Request) -> anyhow::Result<Answer> {
    let shown = data.display();
    let mut stream = match connect(data) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            bail!("no appliance is running with the data folder {shown}")
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            bail!(
                "the appliance with the data folder {shown} listens to its own user and to root only"
            )
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("the appliance in {shown} cannot be reached"));
        }
    };
    exchange(&mut stream, request)
        .with_context(|| format!("the appliance in {shown} did not answer"))
}

fn exchange(stream: &mut UnixStream, request: &Request) -> anyhow::Result<Answer> {
    stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
    stream.set_write_timeout(Some(ANSWER_PATIENCE))?;
    let line = Zeroizing::new(serde_json::to_vec(request)?);
    stream.write_all(&line)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}

fn connect(data: &Path) -> io::Result<UnixStream> {
    let (path, _folder) = reachable(data)?;
    UnixStream::connect(path)
}

/// The socket's path. The system takes one of some 100 bytes only, so it goes by way of the open folder, which must stay open meanwhile.
fn reachable(data: &Path) -> io::Result<(PathBuf, File)> {
    let folder = File::open(data)?;
    let mut path = OsString::from(format!("/proc/self/fd/{}/", folder.as_raw_fd()));
    path.push(SOCKET);
    Ok((path.into(), folder))
}
