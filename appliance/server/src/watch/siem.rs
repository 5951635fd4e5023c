//! Feeding leaves to a receiver: syslog over TLS (RFC 5425), from a cursor that is in the database.
//!
//! Syslog has no acknowledgements: what was written to a connection that breaks may have arrived or not. So the cursor moves only over what the
//! receiver has read to the end. After some messages the feed ends the connection in order (a TLS `close_notify`, and nothing more to come) and waits
//! for the receiver to do the same, which it does when it has read everything before it. If it does not, or the connection breaks, the cursor stays and
//! those messages are sent again: each leaf arrives at least once, in the log's order, and has its index, by which a receiver drops what it has.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use strongroom_keystore::{Clock as _, SystemClock};

use super::message::Style;
use super::{BackOff, OutsideReport};
use crate::config::Siem;
use crate::domains::{Domains, FIRST};

/// How often is looked whether there are new leaves.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// How long the receiver may take for each step: to connect, to take what is written, to end the connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many leaves are read at once.
const PAGE: u32 = 500;
/// After so many messages, or so long, the connection is ended and begun again: what is sent again at most.
const MOST_MESSAGES: u64 = 5000;
const LONGEST: Duration = Duration::from_secs(5);

const WHAT: &str = "a receiver of the audit log";

/// Feeds one receiver the logs of all open domains.
pub(super) struct Feed {
    name: String,
    address: String,
    server: ServerName<'static>,
    tls: Arc<ClientConfig>,
    style: Style,
    only: Vec<String>,
    domains: Arc<Domains>,
    back_off: BackOff,
    report: OutsideReport,
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

impl Feed {
    /// # Errors
    /// When the certificates that the configuration names cannot be used.
    pub(super) fn new(receiver: &Siem, host: &str, domains: &Arc<Domains>) -> anyhow::Result<Self> {
        let name = &receiver.name;
        let server =
            ServerName::try_from(receiver.certified_name().to_owned()).with_context(|| {
                format!("the SIEM {name} can have no certificate for the name of its address")
            })?;
        Ok(Self {
            name: name.clone(),
            address: receiver.address.clone(),
            server,
            tls: Arc::new(tls(receiver)?),
            style: Style {
                format: receiver.format,
                facility: receiver.facility,
                host: host.to_owned(),
            },
            only: receiver.domains.clone(),
            domains: Arc::clone(domains),
            back_off: BackOff::default(),
            report: OutsideReport {
                name: name.clone(),
                address: receiver.address.clone(),
                ..OutsideReport::default()
            },
        })
    }

    pub(super) fn report(&self) -> &OutsideReport {
        &self.report
    }

    /// Sends what is new of each domain.
    pub(super) fn round(&mut self, stopping: &AtomicBool) {
        let mut behind = 0;
        for number in self.domains.open_ones(&self.only) {
            if !self.back_off.waits() && !stopping.load(Ordering::Relaxed) {
                match self.deliver(number, stopping) {
                    Ok(false) => {}
                    Ok(true) => {
                        self.back_off.worked();
                        self.report.works(WHAT, SystemClock.now());
                    }
                    Err(error) => {
                        self.back_off.failed();
                        self.report
                            .fails(WHAT, SystemClock.now(), format!("{error:#}"));
                    }
                }
            }
            behind += self.behind(number);
        }
        self.report.behind = behind;
    }

    fn behind(&mut self, number: u32) -> u64 {
        let Some(keystore) = self.domains.open_one(number) else {
            return 0;
        };
        let (Ok(leaves), Ok(fed)) = (keystore.leaves(), keystore.fed_up_to(&self.name)) else {
            return 0;
        };
        if number == FIRST {
            self.report.leaves = fed;
        }
        leaves.saturating_sub(fed)
    }

    /// Sends new leaves of a domain on a connection of their own. Answers whether there were any.
    fn deliver(&self, number: u32, stopping: &AtomicBool) -> anyhow::Result<bool> {
        let Some((domain, mut next)) = self.open(number)? else {
            return Ok(false);
        };
        let mut leaves = self.page(number, next)?;
        if leaves.is_empty() {
            return Ok(false);
        }
        let (first, began) = (next, Instant::now());
        let mut connection = self.connect()?;
        while !leaves.is_empty() {
            let mut frames = Vec::new();
            for leaf in &leaves {
                // A gap would be one of the database: it shows to the receiver as well.
                frames.extend(self.style.frame(&domain, leaf));
                next = leaf.index + 1;
            }
            connection
                .write_all(&frames)
                .context("it does not take what is sent")?;
            let over = next - first >= MOST_MESSAGES || began.elapsed() >= LONGEST;
            if over || stopping.load(Ordering::Relaxed) {
                break;
            }
            leaves = self.page(number, next)?;
        }
        finish(connection).context("it does not confirm that it has read what was sent")?;
        if let Some(keystore) = self.domains.open_one(number) {
            keystore.set_fed_up_to(&self.name, next)?;
        }
        Ok(true)
    }

    /// The domain's name and the index of the leaf that comes next.
    fn open(&self, number: u32) -> anyhow::Result<Option<(String, u64)>> {
        let Some(keystore) = self.domains.open_one(number) else {
            return Ok(None);
        };
        let next = keystore.fed_up_to(&self.name)?;
        Ok(Some((keystore.domain().to_owned(), next)))
    }

    fn page(&self, number: u32, next: u64) -> anyhow::Result<Vec<strongroom_keystore::FedLeaf>> {
        match self.domains.open_one(number) {
            Some(keystore) => Ok(keystore.leaves_to_feed(next, PAGE)?),
            None => Ok(Vec::new()),
        }
    }

    fn connect(&self) -> anyhow::Result<Connection> {
        let addresses = self.address.to_socket_addrs();
        let addresses =
            addresses.with_context(|| format!("the name in {} is not known", self.address))?;
        let mut failure = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return self.shake_hands(stream),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) => Err(error).context("it cannot be reached"),
            None => bail!("its name has no address"),
        }
    }

    fn shake_hands(&self, mut stream: TcpStream) -> anyhow::Result<Connection> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut tls = ClientConnection::new(Arc::clone(&self.tls), self.server.clone())?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)
                .context("no TLS connection can be made with it")?;
        }
        Ok(StreamOwned::new(tls, stream))
    }
}

/// Ends the connection, and waits until the receiver does: only then has it read everything.
fn finish(mut connection: Connection) -> io::Result<()> {
    connection.flush()?;
    connection.conn.send_close_notify();
    while connection.conn.wants_write() {
        connection.conn.write_tls(&mut connection.sock)?;
    }
    connection.sock.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + PATIENCE;
    let mut ignored = [0; 1024];
    loop {
        // An end without the receiver's own close_notify is an error: whoever is between could have made it.
        match connection.read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) if Instant::now() < deadline => {}
            Ok(_) => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn tls(receiver: &Siem) -> anyhow::Result<ClientConfig> {
    let name = &receiver.name;
    let read = |path: &std::path::Path| -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let shown = path.display();
        let file = File::open(path)
            .with_context(|| format!("{shown} of the SIEM {name} cannot be read"))?;
        CertificateDer::pem_reader_iter(BufReader::new(file))
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| {
                format!("{shown} of the SIEM {name} does not hold certificates in PEM")
            })
    };
    let mut roots = RootCertStore::empty();
    // A system's bundle may hold some that are of no use: those vouch for nobody.
    roots.add_parsable_certificates(read(&receiver.ca)?);
    if roots.is_empty() {
        bail!(
            "{} of the SIEM {name} holds no authority's certificate",
            receiver.ca.display()
        );
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    if receiver.certificate.as_os_str().is_empty() {
        return Ok(config.with_no_client_auth());
    }
    let shown = receiver.key.display();
    let key = PrivateKeyDer::from_pem_file(&receiver.key).with_context(|| {
        format!("{shown} of the SIEM {name} does not hold a private key in PEM")
    })?;
    config
        .with_client_auth_cert(read(&receiver.certificate)?, key)
        .with_context(|| format!("certificate and key of the SIEM {name} cannot be used"))
}
