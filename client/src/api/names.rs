//! Whether the appliance goes by another name, too: what others know it by, and this client was not told.
//!
//! An object names the appliance that keeps its key by the address at which whoever sealed it knew that; nothing else of an appliance stands there.
//! What says that two names are of one appliance is its certificate: the authorities that vouch for the appliance under the name that this client
//! was set up with vouch for it under the other one, and the appliance shows that it has the certificate's key. Whoever is not set up with an
//! appliance is never asked for that: the certificate is the one that the appliance which is set up shows. The port counts for nothing, as in
//! certificates.

use std::net::TcpStream;
#[cfg(feature = "sessions")]
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use url::{Host, Url};

use super::{CONNECT_TIMEOUT, Client, origin, tls};

/// The most names that are remembered.
const MOST: usize = 64;

impl Client {
    /// Whether the appliance's certificate is one for the host of this origin, too. Asks for the certificate, and makes no request.
    pub(super) fn goes_by(&self, named: &str) -> bool {
        let Some(name) = origin(named).ok().as_ref().and_then(name_of) else {
            return false;
        };
        let known = || self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&name) {
            return true;
        }
        let mut addresses = self.addresses.iter();
        let shown = addresses.find_map(|address| self.certificate_at(address));
        let is_for = shown.is_some_and(|chain| self.is_for(&chain, &name));
        if is_for {
            let mut names = known();
            if names.len() < MOST {
                names.push(name);
            }
        }
        is_for
    }

    /// The certificate that the appliance shows at the address that answered last, in DER. Vouched for, for that address; none otherwise. Makes a connection of
    /// its own for it.
    #[cfg(feature = "sessions")]
    pub(crate) fn own_certificate(&self) -> Option<CertificateDer<'static>> {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let address = self.addresses.get(preferred).or(self.addresses.first())?;
        self.certificate_at(address)?.into_iter().next()
    }

    /// The certificate that the appliance shows at one of its addresses, with its chain. Vouched for, for that address; none otherwise.
    fn certificate_at(&self, address: &str) -> Option<Vec<CertificateDer<'static>>> {
        let url = origin(address).ok()?;
        let config = ClientConfig::builder_with_provider(Arc::new(tls::provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .ok()?
            .with_root_certificates(self.roots.store()?)
            .with_no_client_auth();
        let mut connection = ClientConnection::new(Arc::new(config), name_of(&url)?).ok()?;
        let places = url.socket_addrs(|| None).ok()?;
        let mut stream = places
            .iter()
            .find_map(|place| TcpStream::connect_timeout(place, CONNECT_TIMEOUT).ok())?;
        stream.set_read_timeout(Some(CONNECT_TIMEOUT)).ok()?;
        stream.set_write_timeout(Some(CONNECT_TIMEOUT)).ok()?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).ok()?;
        }
        let chain = connection.peer_certificates()?;
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        connection.send_close_notify();
        // It has shown what it had to; how it takes the end is its own affair.
        let _ = connection.complete_io(&mut stream);
        Some(chain)
    }

    fn is_for(&self, chain: &[CertificateDer<'static>], name: &ServerName<'_>) -> bool {
        let (Some((certificate, others)), Some(roots)) = (chain.split_first(), self.roots.store())
        else {
            return false;
        };
        let provider = Arc::new(tls::provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        verifier.build().is_ok_and(|verifier| {
            verifier
                .verify_server_cert(certificate, others, name, &[], UnixTime::now())
                .is_ok()
        })
    }
}

/// The host of an origin, as certificates name it.
fn name_of(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).ok(),
        Host::Ipv4(address) => Some(std::net::IpAddr::from(address).into()),
        Host::Ipv6(address) => Some(std::net::IpAddr::from(address).into()),
    }
}
