//! The appliance's addresses: name, connection, TLS, the answer, the clock. Each step says what the next would only fail of.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use strongroom_client::api::tls;
use strongroom_client::pkcs11::TokenConfig;
use strongroom_client::{ClientError, Retries};
use strongroom_wire::health::{Health, State, Status};
use url::{Host, Url};

use super::files::{days, lasts_until, now};
use super::report::Report;

/// How long an address has to accept a connection, and to answer on it.
const PATIENCE: Duration = Duration::from_secs(5);
/// An appliance's certificate that lapses within so many seconds is warned of: 7 days.
const SOON: i64 = 7 * 24 * 60 * 60;
/// A clock that is further off is warned of, in seconds. A request signed by one off by 300 is made twice.
const SKEW: i64 = 60;

/// What TLS found.
struct Connected {
    /// When the appliance's certificate lapses, in seconds from now.
    lasts: Option<i64>,
    /// The key exchange.
    group: Option<rustls::NamedGroup>,
}

/// Whether the appliance answers at this address.
pub(super) fn reach(report: &mut Report, token: &TokenConfig, address: &str) -> bool {
    let subject = format!("address {address}");
    let client = match token.client_at(&[address]) {
        Ok(client) => client.retries(Retries::none()),
        Err(ClientError::Setup(why)) => {
            // The token's files have been told of.
            if why.contains("address") {
                report.failed(subject, why, "correct it in the member addresses");
            }
            return false;
        }
        Err(error) => {
            report.failed(subject, error.to_string(), "see the token's files");
            return false;
        }
    };
    let proxy = proxy_for(address);
    let connected = match &proxy {
        // What the proxy resolves and connects to cannot be seen from here.
        Some(_) => None,
        None => match connect(token, address) {
            Ok(connected) => Some(connected),
            Err((found, remedy)) => {
                report.failed(subject, found, remedy);
                return false;
            }
        },
    };
    let reached = match client.reach() {
        Ok(reached) => reached,
        Err(error) => {
            let remedy = unreached(&error, proxy.as_deref(), token);
            report.failed(subject, error.to_string(), remedy);
            return false;
        }
    };
    if !serves(report, &subject, &reached.health) {
        return false;
    }
    let mut found = format!("version {} answers", reached.health.version);
    if let Some(proxy) = proxy {
        found = format!("{found} by the proxy {proxy}");
    }
    if let Some(connected) = connected {
        tell_certificate(report, &subject, &connected, &mut found);
    }
    if let Some(offset) = reached.date.as_deref().and_then(clock_offset)
        && offset.abs() > SKEW
    {
        let which = if offset > 0 { "behind" } else { "ahead of" };
        report.warning(
            &*subject,
            format!("this machine's clock is {} seconds {which} the appliance's", offset.abs()),
            "set it by a time server: requests that a secret signs are otherwise made twice, and certificates are judged by it",
        );
    }
    report.ok(subject, found);
    true
}

/// Name, connection and TLS. What is wrong, and what to do, where that fails.
fn connect(token: &TokenConfig, address: &str) -> Result<Connected, (String, String)> {
    let url = Url::parse(address).map_err(|error| (error.to_string(), "correct it".to_owned()))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let resolved = url.socket_addrs(|| Some(443)).map_err(|error| {
        (
            format!("the name {host} is not known: {error}"),
            "correct the address, or see to this machine's name service".to_owned(),
        )
    })?;
    let stream = open(&resolved).map_err(|error| {
        let tried: Vec<String> = resolved.iter().map(SocketAddr::to_string).collect();
        (
            format!("no connection to {}: {}", tried.join(" or "), in_words(&error)),
            "see that the appliance runs, that the port is that of its client listener, and what firewalls are between".to_owned(),
        )
    })?;
    handshake(token, &url, stream)
}

fn open(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn handshake(
    token: &TokenConfig,
    url: &Url,
    mut stream: TcpStream,
) -> Result<Connected, (String, String)> {
    let files = |error: &dyn std::fmt::Display| {
        (
            format!("TLS cannot be set up: {error}"),
            "see the token's roots and certificate".to_owned(),
        )
    };
    let name = match url.host() {
        Some(Host::Ipv4(address)) => ServerName::IpAddress(address.into()),
        Some(Host::Ipv6(address)) => ServerName::IpAddress(address.into()),
        _ => ServerName::try_from(url.host_str().unwrap_or_default().to_owned())
            .map_err(|error| files(&error))?,
    };
    let config = settings(token).map_err(|error| files(&error))?;
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| files(&error))?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            return Err(match inner {
                Some(rustls::Error::InvalidCertificate(why)) => distrusted(token, url, why),
                Some(inner) => (
                    format!("no TLS connection can be made: {inner}"),
                    "see that the port is the appliance's, and that nothing between opens the TLS"
                        .to_owned(),
                ),
                None => (
                    format!(
                        "it accepts connections and speaks no TLS: {}",
                        in_words(&error)
                    ),
                    "see that the port is the appliance's".to_owned(),
                ),
            });
        }
    }
    let group = connection.negotiated_key_exchange_group();
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    Ok(Connected {
        lasts: certificate
            .and_then(|certificate| lasts_until(certificate))
            .map(|end| end - now()),
        group: group.map(rustls::crypto::SupportedKxGroup::name),
    })
}

/// TLS as the module speaks it.
fn settings(token: &TokenConfig) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&token.roots)? {
        roots.add(certificate?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let Some(path) = &token.certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(token.key.as_ref().unwrap_or(path))?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

/// What is wrong with the appliance's certificate.
fn distrusted(token: &TokenConfig, url: &Url, why: &CertificateError) -> (String, String) {
    let host = url.host_str().unwrap_or_default();
    let roots = token.roots.display();
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            format!("the certificate of what answers is not from an authority in {roots}"),
            "put the authority of this appliance there; if that is the right one, something else answers".to_owned(),
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "the appliance's certificate has lapsed".to_owned(),
            "have a new one made for the appliance, and see that this machine's clock is right".to_owned(),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "the appliance's certificate is not valid yet".to_owned(),
            "see that this machine's clock is right".to_owned(),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the appliance's certificate is not for the name {host}"),
            "use a name that is in it, or have one made with this name".to_owned(),
        ),
        other => (
            format!("the appliance's certificate is not accepted: {other}"),
            format!("see the appliance's certificate, and {roots}"),
        ),
    }
}

/// What to do where connection and TLS are well, and there is no answer all the same.
fn unreached(error: &ClientError, proxy: Option<&str>, token: &TokenConfig) -> String {
    if let Some(proxy) = proxy {
        return format!(
            "the environment has requests go by the proxy {proxy}: see there, or name the appliance in NO_PROXY"
        );
    }
    match error {
        ClientError::Unreachable { .. } if token.certificate.is_some() => {
            "the appliance ended the connection: its authority for clients does not vouch for the token's certificate, or has revoked it"
                .to_owned()
        }
        ClientError::UnexpectedAnswer { .. } => {
            "see that the port is the appliance's: another program answers".to_owned()
        }
        ClientError::Refused(_) => {
            "see the token's domain, and that the appliance serves it".to_owned()
        }
        _ => "see the appliance's log".to_owned(),
    }
}

/// Whether it takes requests; what does not work is told.
fn serves(report: &mut Report, subject: &str, health: &Health) -> bool {
    match health.state {
        State::Sealed => {
            report.failed(
                subject,
                "the appliance is sealed",
                "its operators unseal it: strongroomd unseal",
            );
            return false;
        }
        State::Opening => {
            report.failed(
                subject,
                "the appliance waits for its HSM",
                "its operators see strongroomd status",
            );
            return false;
        }
        State::Serving => {}
    }
    let parts = [("its HSM", health.hsm), ("its storage", health.storage)];
    for (part, _) in parts.iter().filter(|(_, status)| *status != Status::Ok) {
        report.warning(
            subject,
            format!("the appliance serves, and {part} fails"),
            "its operators see strongroomd status",
        );
    }
    true
}

fn tell_certificate(report: &mut Report, subject: &str, connected: &Connected, found: &mut String) {
    if let Some(lasts) = connected.lasts {
        if lasts < SOON {
            report.warning(
                subject,
                format!("the appliance's certificate lapses {}", days(lasts)),
                "its operators see to the next one",
            );
        } else {
            // Writing to a String does not fail.
            let _ = write!(found, "; its certificate lapses {}", days(lasts));
        }
    }
    match connected.group {
        Some(rustls::NamedGroup::X25519MLKEM768) => {
            found.push_str("; post-quantum key exchange");
        }
        group => report.warning(
            subject,
            format!(
                "the key exchange is {}, without a post-quantum part",
                group
                    .and_then(|group| group.as_str().map(str::to_owned))
                    .unwrap_or_else(|| "unknown".to_owned())
            ),
            "something between here and the appliance opens the TLS, or its version is old",
        ),
    }
}

/// By how many seconds the appliance's clock is ahead of this one.
fn clock_offset(date: &str) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(date.timestamp().as_second() - now())
}

/// The proxy that the environment has requests to this address go by. As the client library chooses: none for this machine.
fn proxy_for(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    if is_here {
        return None;
    }
    let proxy = ureq::Proxy::try_from_env()?;
    let uri = address.parse().ok()?;
    // Its URI may have a password in it.
    (!proxy.is_no_proxy(&uri)).then(|| format!("{}:{}", proxy.host(), proxy.port()))
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "it does not answer in time".to_owned()
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "the connection broke".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_appliances_clock_is_read_as_http_writes_it() {
        let offset = clock_offset("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(offset + now(), 784_111_777);
        assert_eq!(clock_offset("yesterday"), None);
    }

    #[test]
    fn requests_to_this_machine_go_by_no_proxy() {
        for address in [
            "https://localhost:8443",
            "https://127.0.0.1",
            "https://[::1]:1",
        ] {
            assert_eq!(proxy_for(address), None);
        }
    }
}
