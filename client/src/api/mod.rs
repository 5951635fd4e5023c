//! HTTPS to the appliance: where it is, whom to trust, requests and answers, and what their failures mean.
//!
//! | module | what lives there |
//! |---|---|
//! | [`tls`] | the TLS settings, the trusted authorities, and client certificates |
//! | `token` | what a session is known by |
//! | `call` | requests |
//! | `attempts` | several addresses, and requests that are made again |
//! | `reach` | whether an appliance is reached, for those who look for a fault |

mod attempts;
mod call;
mod reach;
pub mod tls;
mod token;

use std::fmt;
use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use serde::de::DeserializeOwned;
use strongroom_wire::health::Health;
use strongroom_wire::id::ProposalId;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::proposal::PROPOSAL_HEADER;
use ureq::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use ureq::{Agent, AsSendBody, Body, Timeout};
use url::{Host, Url};
use zeroize::Zeroizing;

pub use attempts::Retries;
pub use reach::Reached;
pub use tls::{Identity, Roots};

pub(crate) use call::Call;
#[cfg(feature = "sessions")]
pub(crate) use token::TOKEN_LEN;
pub(crate) use token::Token;

use crate::ClientError;

/// How long the appliance has to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same, where another address can be tried.
const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(3);
/// How long a request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;
/// The header in which a request names its domain.
const DOMAIN: &str = "strongroom-domain";
/// Shorter than the appliance keeps an idle connection, so that no request goes into one that is being closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(3);

/// An appliance this client is set up with. Cheap to clone; clones share their connections.
///
/// ```no_run
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::{Client, Roots};
///
/// let roots = Roots::from_pem(&std::fs::read("ca.pem")?)?;
/// let client = Client::new("https://keys.example.com:8443", &roots)?;
/// let session = client.sign_in("alice@example.com", b"correct horse battery staple")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    /// Where it is reached. The first is the appliance's origin.
    addresses: Vec<String>,
    also_known_as: Vec<String>,
    domain: Option<String>,
    /// The proposal by whose approvals requests are made.
    proposal: Option<ProposalId>,
    agent: Agent,
    retries: Retries,
    /// Which address answered last.
    preferred: Arc<AtomicUsize>,
}

impl Client {
    /// The appliance at `server`, an address such as `https://keys.example.com:8443`, vouched for by one of `roots`.
    /// Connects to nothing yet.
    ///
    /// A proxy is taken from the environment (`HTTPS_PROXY`, `NO_PROXY`) unless the address is of this machine.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Client;
    ///
    /// let client = Client::new("https://keys.example.com:8443", roots)?;
    /// assert_eq!(client.origin(), "https://keys.example.com:8443");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the address is not that of an HTTPS server, or has a path in it.
    pub fn new(server: &str, roots: &Roots) -> Result<Self, ClientError> {
        Self::set_up(server, roots, None)
    }

    /// The same, with a certificate that it presents wherever it is asked for one.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::{Client, Identity};
    ///
    /// let identity = Identity::from_pem(&std::fs::read("service.pem")?, &std::fs::read("service.key")?)?;
    /// let client = Client::with_identity("https://keys.example.com:8443", roots, &identity)?;
    /// let session = client.sign_in_by_certificate()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_identity(
        server: &str,
        roots: &Roots,
        identity: &Identity,
    ) -> Result<Self, ClientError> {
        Self::set_up(server, roots, Some(identity))
    }

    fn set_up(
        server: &str,
        roots: &Roots,
        identity: Option<&Identity>,
    ) -> Result<Self, ClientError> {
        let url = origin(server)?;
        let mut config = Agent::config_builder()
            .tls_config(tls::config(roots, identity))
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .max_idle_age(IDLE_CONNECTION);
        if is_this_machine(&url) {
            config = config.proxy(None);
        }
        Ok(Self {
            addresses: vec![url.origin().ascii_serialization()],
            also_known_as: Vec::new(),
            domain: None,
            proposal: None,
            agent: config.build().into(),
            retries: Retries::default(),
            preferred: Arc::default(),
        })
    }

    /// Another address under which others know the same appliance: objects that name it are opened here too.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Client;
    ///
    /// let client = Client::new("https://keys.example.com:8443", roots)?
    ///     .also_known_as("https://keys.old.example.com")?; // objects from before the move name this one
    /// assert!(client.is_known("https://keys.old.example.com"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn also_known_as(mut self, server: &str) -> Result<Self, ClientError> {
        self.also_known_as
            .push(origin(server)?.origin().ascii_serialization());
        Ok(self)
    }

    /// For this domain of the appliance, whose requests name it; without it, they are for the domain that the address stands for.
    /// Whoever enrols or signs in does so in this domain and no other.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Client;
    ///
    /// let client = Client::new("https://keys.example.com:8443", roots)?.in_domain("payroll")?;
    /// assert_eq!(client.domain(), Some("payroll"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when it cannot be a domain's name.
    pub fn in_domain(mut self, domain: &str) -> Result<Self, ClientError> {
        if domain.is_empty() || !domain.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Setup(format!(
                "{domain:?} is no name of a domain"
            )));
        }
        self.domain = Some(domain.to_owned());
        Ok(self)
    }

    /// The same client, whose requests are made by the approvals of this proposal where the domain's policy demands some.
    ///
    /// ```no_run
    /// # fn run(client: strongroom_client::Client, id: strongroom_wire::id::ProposalId) {
    /// let client = client.by_proposal(id);
    /// # }
    /// ```
    #[must_use]
    pub fn by_proposal(mut self, proposal: ProposalId) -> Self {
        self.proposal = Some(proposal);
        self
    }

    /// The domain that this client is for, if it names one.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// match client.domain() {
    ///     Some(domain) => println!("in the domain {domain}"),
    ///     None => println!("in the domain of {}", client.origin()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Refuses an answer of another domain than this client is for.
    pub(crate) fn check_domain(&self, answered: &str) -> Result<(), ClientError> {
        match &self.domain {
            Some(wanted) if wanted != answered => Err(ClientError::OtherDomain {
                server: self.origin().to_owned(),
                wanted: wanted.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// A further address at which the same appliance, or another that serves the same domain, is reached: they are tried in turn, and the one
    /// that answered last comes first. Objects that name it are opened here too.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::{Client, Retries};
    ///
    /// let client = Client::new("https://keys.example.com:8443", roots)?
    ///     .or_at("https://keys-2.example.com:8443")?
    ///     .retries(Retries::default());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn or_at(mut self, server: &str) -> Result<Self, ClientError> {
        let url = origin(server)?;
        self.addresses.push(url.origin().ascii_serialization());
        Ok(self)
    }

    /// How often, and for how long, a request is made again that came to nothing.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::{Client, Retries};
    ///
    /// let impatient = Client::new("https://keys.example.com:8443", roots)?.retries(Retries::none());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// The appliance's origin (RFC 6454 section 6.2), such as `https://keys.example.com:8443`.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// println!("Keys are kept at {}.", client.origin());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn origin(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// Whether this is the origin of the appliance, or one it is also known as.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client, sealed: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    /// let object = strongroom_client::object::open(sealed)?;
    /// if !client.is_known(object.header().server()) {
    ///     println!("Its key is kept elsewhere: at {}.", object.header().server());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_known(&self, origin: &str) -> bool {
        let mut known = self.addresses.iter().chain(&self.also_known_as);
        known.any(|other| other == origin)
    }

    /// Refuses an appliance that this client was not set up with: what names it is not authentic yet, and no request is made because of it.
    pub(crate) fn require_known(&self, origin: &str) -> Result<(), ClientError> {
        if self.is_known(origin) {
            return Ok(());
        }
        Err(ClientError::OtherServer {
            named: origin.to_owned(),
            known: self.origin().to_owned(),
        })
    }

    /// How the appliance does. Needs no session.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// let health = client.health()?;
    /// println!("{health:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn health(&self) -> Result<Health, ClientError> {
        self.reach().map(|reached| reached.health)
    }

    /// Sends a request and reads the answer.
    pub(crate) fn call<A: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        token: Option<&Token>,
    ) -> Result<A, ClientError> {
        self.attempt(|address| {
            let (status, body) = self.send(address, call, token)?;
            if !status.is_success() {
                return Err(self.refusal(status, &body));
            }
            // The error of serde_json can quote the answer, which can hold a token.
            serde_json::from_slice(&body)
                .map_err(|_| self.unexpected("an answer of an unknown form"))
        })
    }

    /// Sends a request to one address with these headers, which may be secrets, and reads the answer and the value of one of its headers.
    pub(crate) fn call_with<A: DeserializeOwned>(
        &self,
        address: &str,
        call: &Call<'_>,
        headers: &[(&'static str, String)],
        wanted: &str,
    ) -> Result<(A, Option<String>), ClientError> {
        let mut response = self.begin(address, call, headers, false)?;
        let value = response.headers().get(wanted);
        let value = value.and_then(|value| value.to_str().ok().map(str::to_owned));
        let (status, body) = self.read(&mut response, address, call)?;
        if !status.is_success() {
            return Err(self.refusal(status, &body));
        }
        let answer = serde_json::from_slice(&body)
            .map_err(|_| self.unexpected("an answer of an unknown form"))?;
        Ok((answer, value))
    }

    /// Sends a request whose answer is no JSON, and reads that.
    #[cfg(feature = "disclosure")]
    pub(crate) fn bytes(&self, call: &Call<'_>, token: &Token) -> Result<Vec<u8>, ClientError> {
        self.attempt(|address| {
            let (status, mut body) = self.send(address, call, Some(token))?;
            if status.is_success() {
                Ok(std::mem::take(&mut *body))
            } else {
                Err(self.refusal(status, &body))
            }
        })
    }

    /// Sends a request whose answer comes in lines, for as long as it takes.
    pub(crate) fn lines(
        &self,
        call: &Call<'_>,
        token: &Token,
    ) -> Result<impl Iterator<Item = Result<Vec<u8>, ClientError>> + use<>, ClientError> {
        let response = self.attempt(|address| {
            let mut response = self.begin(address, call, &authorization(token), true)?;
            if !response.status().is_success() {
                let (status, body) = self.read(&mut response, address, call)?;
                return Err(self.refusal(status, &body));
            }
            Ok(response)
        })?;
        let lines = io::BufReader::new(response.into_body().into_reader()).split(b'\n');
        let client = self.clone();
        Ok(lines.map(move |line| {
            line.map_err(|error| ClientError::Unreachable {
                server: client.origin().to_owned(),
                reason: io_reason(&error).0,
                safe_to_retry: false,
            })
        }))
    }

    /// Sends a request to one address and reads the answer, whatever its status.
    pub(crate) fn send(
        &self,
        address: &str,
        call: &Call<'_>,
        token: Option<&Token>,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), ClientError> {
        let headers = token.map(authorization);
        let headers = headers.as_ref().map_or(&[][..], |one| one);
        let mut response = self.begin(address, call, headers, false)?;
        self.read(&mut response, address, call)
    }

    /// Sends a request and waits for the head of the answer.
    fn begin(
        &self,
        address: &str,
        call: &Call<'_>,
        headers: &[(&'static str, String)],
        long: bool,
    ) -> Result<Response<Body>, ClientError> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{address}{}", call.path))
            .header(header::ACCEPT, "application/json");
        if let Some(domain) = &self.domain {
            request = request.header(DOMAIN, domain);
        }
        if let Some(proposal) = self.proposal {
            request = request.header(PROPOSAL_HEADER, proposal.to_string());
        }
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| ClientError::Library)?;
            value.set_sensitive(true);
            request = request.header(*name, value);
        }
        let sent = match &call.body {
            Some(body) => request
                .header(header::CONTENT_TYPE, call.content_type)
                .body(body.as_slice())
                .map(|request| self.run(request, long)),
            // Without a length of its own, an empty body would go out in chunks.
            None if call.method == Method::POST => {
                request.body(&[][..]).map(|request| self.run(request, long))
            }
            None => request.body(()).map(|request| self.run(request, long)),
        };
        sent.map_err(|_| ClientError::Setup("the request's address is of no use".to_owned()))?
            .map_err(|error| self.failure(error, address, call))
    }

    fn run(
        &self,
        request: Request<impl AsSendBody>,
        long: bool,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.configure_request(request);
        if self.addresses.len() > 1 {
            request = request.timeout_connect(Some(CONNECT_TIMEOUT_OF_SEVERAL));
        }
        if long {
            request = request
                .timeout_global(None)
                .timeout_recv_response(Some(REQUEST_TIMEOUT));
        }
        self.agent.run(request.build())
    }

    fn read(
        &self,
        response: &mut Response<Body>,
        address: &str,
        call: &Call<'_>,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), ClientError> {
        let status = response.status();
        let body = response
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_vec()
            .map_err(|error| self.failure(error, address, call))?;
        Ok((status, Zeroizing::new(body)))
    }

    /// What an answer with a status that is no success means.
    pub(crate) fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if problem.code == Code::NotSignedIn => ClientError::NotSignedIn,
            Ok(problem) => ClientError::Refused(Box::new(problem)),
            Err(_) => self.unexpected(&format!("status {}", status.as_u16())),
        }
    }

    /// What it means that no answer came.
    fn failure(&self, error: ureq::Error, address: &str, call: &Call<'_>) -> ClientError {
        let server = address.to_owned();
        let (reason, nothing_sent) = match error {
            ureq::Error::Rustls(error) => return tls_failure(address, &error),
            ureq::Error::Io(error) => {
                if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    return tls_failure(address, error);
                }
                io_reason(&error)
            }
            ureq::Error::Timeout(timeout) => (
                "it does not answer in time".to_owned(),
                matches!(timeout, Timeout::Resolve | Timeout::Connect),
            ),
            ureq::Error::HostNotFound => ("there is no host with this name".to_owned(), true),
            ureq::Error::ConnectionFailed => ("no connection can be made".to_owned(), true),
            ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => (
                "the proxy that the environment names does not let through".to_owned(),
                true,
            ),
            ureq::Error::BodyExceedsLimit(_) => return self.unexpected("an answer too long"),
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                return self.unexpected("something that is not HTTP");
            }
            other => (other.to_string(), false),
        };
        ClientError::Unreachable {
            server,
            reason,
            safe_to_retry: nothing_sent || call.is_repeatable(),
        }
    }

    pub(crate) fn unexpected(&self, what: &str) -> ClientError {
        ClientError::UnexpectedAnswer {
            server: self.origin().to_owned(),
            what: what.to_owned(),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

fn authorization(token: &Token) -> [(&'static str, String); 1] {
    [("authorization", token.header().to_string())]
}

fn tls_failure(address: &str, error: &rustls::Error) -> ClientError {
    let server = address.to_owned();
    match error {
        rustls::Error::InvalidCertificate(_) => ClientError::NotTrusted {
            server,
            reason: error.to_string(),
        },
        _ => ClientError::Unreachable {
            server,
            reason: format!("no TLS connection can be made ({error})"),
            safe_to_retry: true,
        },
    }
}

/// The reason in words, and whether nothing can have been sent.
fn io_reason(error: &io::Error) -> (String, bool) {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ("nothing listens there".to_owned(), true),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ("there is no way to it in the network".to_owned(), true)
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            ("it does not answer in time".to_owned(), false)
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => ("the connection broke".to_owned(), false),
        _ => (error.to_string(), false),
    }
}

/// The address, if it is one of an HTTPS server and nothing more.
fn origin(server: &str) -> Result<Url, ClientError> {
    let url = Url::parse(server).ok().filter(|url| {
        url.scheme() == "https"
            && url.host().is_some()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    url.ok_or_else(|| {
        ClientError::Setup(format!(
            "an appliance's address is one such as https://keys.example.com:8443, not {server:?}"
        ))
    })
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
