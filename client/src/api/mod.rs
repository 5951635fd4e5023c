//! HTTPS to the appliance: where it is, whom to trust, requests and answers, and what their failures mean.
//!
//! | module | what lives there |
//! |---|---|
//! | [`tls`] | the TLS settings, the trusted authorities, and client certificates |
//! | `token` | what a session is known by |
//! | `call` | requests |
//! | `exchange` | a request sent to one address, its answer, and what it means that none came |
//! | `attempts` | several addresses, and requests that are made again |
//! | `host` | connections for the PKCS #11 module, which is a guest in its process |
//! | `reach` | whether an appliance is reached, for those who look for a fault |

mod attempts;
mod call;
mod exchange;
#[cfg(feature = "pkcs11")]
mod host;
mod reach;
pub mod tls;
mod token;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use strongroom_wire::health::Health;
use strongroom_wire::id::ProposalId;
use ureq::Agent;
use url::{Host, Url};

pub use attempts::Retries;
#[cfg(feature = "pkcs11")]
pub use host::Waits;
pub use reach::Reached;
pub use tls::{Identity, Roots};

pub(crate) use call::Call;
#[cfg(feature = "sessions")]
pub(crate) use token::TOKEN_LEN;
pub(crate) use token::Token;

use crate::ClientError;

/// How long the appliance has to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
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
    #[cfg(feature = "pkcs11")]
    waits: Option<Waits>,
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
            #[cfg(feature = "pkcs11")]
            waits: None,
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

    /// For a library that is a guest in its process: tells whoever wants to know of each wait for the network, gives up a peer that takes nothing for
    /// five seconds or answers no question within ten, and makes no thread to look up an address that is a number. Connections that there are stay as they are, with clones that were
    /// made before.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Client;
    ///
    /// let client = Client::new("https://keys.example.com:8443", roots)?
    ///     .tells_waits(|waits| if waits { /* others may go on */ });
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "pkcs11")]
    #[must_use]
    pub fn tells_waits(mut self, waits: Waits) -> Self {
        self.agent = host::agent(&self.agent, waits);
        self.waits = Some(waits);
        self
    }

    /// Waits between two attempts.
    #[cfg_attr(
        not(feature = "pkcs11"),
        expect(
            clippy::unused_self,
            reason = "only the PKCS #11 module is told of each wait"
        )
    )]
    fn pause(&self, pause: Duration) {
        #[cfg(feature = "pkcs11")]
        let _waiting = self.waits.map(host::Waiting::begin);
        std::thread::sleep(pause);
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
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
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
