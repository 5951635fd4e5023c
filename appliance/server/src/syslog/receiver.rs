//! A receiver outside: a syslog server that speaks TLS (RFC 5425), and a connection with it that ends in order.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::config::Siem;

/// How long the receiver may take for each step: to connect, to take what is written, to end the connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where messages go.
pub(crate) struct Receiver {
    address: String,
    server: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

pub(crate) type Connection = StreamOwned<ClientConnection, TcpStream>;

impl Receiver {
    /// # Errors
    /// When the certificates that the configuration names cannot be used.
    pub(crate) fn new(receiver: &Siem) -> anyhow::Result<Self> {
        let name = &receiver.name;
        let server =
            ServerName::try_from(receiver.certified_name().to_owned()).with_context(|| {
                format!("the SIEM {name} can have no certificate for the name of its address")
            })?;
        Ok(Self {
            address: receiver.address.clone(),
            server,
            tls: Arc::new(tls(receiver)?),
        })
    }

    /// A connection, past its handshake.
    ///
    /// # Errors
    /// When it cannot be reached, or is another one than the configuration says.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
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
pub(crate) fn finish(mut connection: Connection) -> io::Result<()> {
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
