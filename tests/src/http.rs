//! HTTP/1.1 over TLS as bytes.
//!
//! Small on purpose: tests send with it what no proper client would, see what TLS negotiated, and the benchmark's clients cost little.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketType};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use serde::de::DeserializeOwned;
use strongroom_wire::problem::{MEDIA_TYPE, Problem};

/// How long a response may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// TLS in these versions, the hybrid key exchange first, believing the certificate authority in this PEM file.
#[must_use]
pub fn tls(ca: &Path, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(ca).expect("the appliance has a CA certificate");
    roots.add(ca).expect("the CA certificate is one");
    let provider = CryptoProvider {
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
        ],
        ..default_provider()
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("the provider has these versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header with this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON of this type.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The problem document that this response is; a panic when it is none or contradicts itself.
    #[must_use]
    pub fn problem(&self) -> Problem {
        assert!(self.status >= 400, "{} is no problem", self.status);
        assert_eq!(self.header("content-type"), Some(MEDIA_TYPE));
        let problem: Problem = self.json();
        assert_eq!(problem.status, self.status);
        assert_eq!(problem.status, problem.code.status());
        assert_eq!(
            problem.problem_type,
            format!("urn:strongroom:problem:{}", problem.code)
        );
        assert!(
            problem.detail.ends_with('.'),
            "no sentence: {}",
            problem.detail
        );
        problem
    }
}

/// A connection that is kept alive; where the other end announced that it would close it, it is made anew.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    source: Option<IpAddr>,
    address: SocketAddr,
    config: Arc<ClientConfig>,
    unread: Vec<u8>,
    closing: bool,
    /// The domain that requests name, if they do.
    pub(crate) domain: Option<String>,
}

impl Connection {
    /// Connects and shakes hands.
    ///
    /// # Errors
    ///
    /// Those of the network, and of TLS as [`io::ErrorKind::InvalidData`].
    pub fn open(address: SocketAddr, tls: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::open_from(None, address, tls)
    }

    /// The same from this address, which must be one of the machine's: all of 127.0.0.0/8 are.
    ///
    /// # Errors
    ///
    /// As those of [`Connection::open`].
    pub fn open_from(
        source: Option<IpAddr>,
        address: SocketAddr,
        tls: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let socket = match source {
            None => TcpStream::connect(address)?,
            Some(source) => connect_from(source, address)?,
        };
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::from(address.ip());
        let client = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(client, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self {
            stream,
            source,
            address,
            config: Arc::clone(tls),
            unread: Vec::new(),
            closing: false,
            domain: None,
        })
    }

    /// What TLS negotiated.
    #[must_use]
    pub fn tls(&self) -> &ClientConnection {
        &self.stream.conn
    }

    /// Sends a request, with a JSON body where there is one, and reads the response.
    ///
    /// # Errors
    ///
    /// Those of the network; [`io::ErrorKind::UnexpectedEof`] when the other end hung up.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let domain = self.domain.as_ref();
        let domain = domain.map(|name| format!("strongroom-domain: {name}\r\n"));
        let length = body.map(|body| {
            format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            )
        });
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{}{}{}\r\n",
            self.address,
            domain.unwrap_or_default(),
            token.unwrap_or_default(),
            length.unwrap_or_default()
        );
        let mut request = request.into_bytes();
        request.extend_from_slice(body.unwrap_or_default());
        self.raw(&request)
    }

    /// Sends these bytes and reads the response.
    ///
    /// # Errors
    ///
    /// As those of [`Connection::send`].
    pub fn raw(&mut self, request: &[u8]) -> io::Result<Response> {
        if self.closing {
            let domain = self.domain.take();
            *self = Self::open_from(self.source, self.address, &self.config)?;
            self.domain = domain;
        }
        self.stream.write_all(request)?;
        self.stream.flush()?;
        let response = self.read_response()?;
        self.closing = response.header("connection") == Some("close");
        Ok(response)
    }

    fn read_response(&mut self) -> io::Result<Response> {
        let end = loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                break end;
            }
            self.read_more()?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| malformed("no status line"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        let length = match response.header("content-length") {
            Some(length) => length.parse().map_err(|_| malformed("no length"))?,
            None if status == 204 => 0,
            None if response.header("transfer-encoding") == Some("chunked") => {
                response.body = self.read_chunks()?;
                return Ok(response);
            }
            None => return Err(malformed("a response without content-length")),
        };
        response.body = self.read_bytes(length)?;
        Ok(response)
    }

    /// A body in chunks (RFC 9112 section 7.1).
    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.unread, b"\r\n") {
                    break end;
                }
                self.read_more()?;
            };
            let size = self.read_bytes(end + 2)?;
            let size = std::str::from_utf8(&size)
                .ok()
                .and_then(|size| usize::from_str_radix(size.trim(), 16).ok())
                .ok_or_else(|| malformed("no size of a chunk"))?;
            let mut chunk = self.read_bytes(size + 2)?;
            chunk.truncate(size);
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    fn read_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.read_more()?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.unread.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        }
    }
}

/// The standard library does not let the near end be chosen.
fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = net::socket(family, SocketType::STREAM, None)?;
    net::bind(&socket, &SocketAddr::new(source, 0))?;
    net::connect(&socket, &address)?;
    Ok(TcpStream::from(socket))
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
