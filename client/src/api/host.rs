//! Connections for programs that are hosts of this library and not its own: the PKCS #11 module runs in other people's processes.
//!
//! They differ from the usual ones in three things. Whoever wants to is told of each wait for the network, so that nobody takes a thread that waits
//! for one that works. A peer that takes nothing more is given up after [`UNTAKEN`], not when the request's time is over: its machine is gone, or a
//! firewall has forgotten the connection; one that answers no question, after [`ANSWER`]. And an address that is a number is looked up without a thread.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    RustlsConnector, ShutdownHandle, Transport,
};
use ureq::{Agent, Error, Timeout};

/// Is told `true` when a thread begins to wait, for the network or between two attempts, and `false` when it goes on.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use strongroom_client::api::Waits;
///
/// static WAITING: AtomicUsize = AtomicUsize::new(0);
///
/// let count: Waits = |waits| {
///     if waits {
///         WAITING.fetch_add(1, Ordering::Relaxed);
///     } else {
///         WAITING.fetch_sub(1, Ordering::Relaxed);
///     }
/// };
/// count(true);
/// assert_eq!(WAITING.load(Ordering::Relaxed), 1);
/// ```
pub type Waits = fn(waits: bool);

/// How long what was sent may lie about without the peer's having taken it.
const UNTAKEN: Duration = Duration::from_secs(5);
/// How long the appliance has to begin an answer to a `GET`, none of which makes it work: the next address, or another connection, does better.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How many bytes are held back at most: the head of a request and a usual body.
const MOST_HELD_BACK: usize = 64 * 1024;
/// The least that an address has to accept a connection, where a name has several.
const LEAST: Duration = Duration::from_millis(10);

/// An agent that is set up like another one, with such connections.
pub(super) fn agent(like: &Agent, waits: Waits) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(Sockets { waits })
            .chain(RustlsConnector::default());
    let names = Names {
        waits,
        usual: DefaultResolver::default(),
    };
    Agent::with_parts(like.config().clone(), connector, names)
}

/// A wait that is over when this is dropped.
pub(super) struct Waiting(Waits);

impl Waiting {
    pub(super) fn begin(waits: Waits) -> Self {
        waits(true);
        Self(waits)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        (self.0)(false);
    }
}

/// Looks names up.
#[derive(Debug)]
struct Names {
    waits: Waits,
    usual: DefaultResolver,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        if let Some(number) = number(uri) {
            let mut found = self.empty();
            found.push(number);
            return Ok(found);
        }
        let _waiting = Waiting::begin(self.waits);
        self.usual.resolve(uri, config, timeout)
    }
}

/// The address, where it is a number.
fn number(uri: &Uri) -> Option<SocketAddr> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let host: IpAddr = host.parse().ok()?;
    let port = uri.port_u16().or_else(|| match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    })?;
    Some(SocketAddr::new(host, port))
}

/// Opens connections.
#[derive(Debug)]
struct Sockets {
    waits: Waits,
}

impl<In: Transport> Connector<In> for Sockets {
    type Out = Either<In, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(by_proxy) = chained {
            return Ok(Some(Either::A(by_proxy)));
        }
        let stream = {
            let _waiting = Waiting::begin(self.waits);
            open(&details.addrs, &details.timeout)?
        };
        stream.set_nodelay(true)?;
        let untaken = u32::try_from(UNTAKEN.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(&stream, untaken).map_err(io::Error::from)?;
        let stream = Arc::new(stream);
        let handle: Weak<TcpStream> = Arc::downgrade(&stream);
        (details.register_shutdown)(handle as Weak<dyn ShutdownHandle>)?;
        let (input, output) = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(Socket {
            stream,
            waits: self.waits,
            buffers: LazyBuffers::new(input, output),
            held_back: Vec::new(),
            reads_within: None,
            writes_within: None,
        })))
    }
}

/// Connects to the first of these that accepts. They share the time that there is.
fn open(addresses: &[SocketAddr], timeout: &NextTimeout) -> Result<TcpStream, Error> {
    let whole = timeout.not_zero().map(|whole| *whole);
    let began = Instant::now();
    let mut last = Error::ConnectionFailed;
    for (at, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let opened = match whole {
            None => TcpStream::connect(address),
            Some(whole) => {
                let left = whole.saturating_sub(began.elapsed()) / others;
                TcpStream::connect_timeout(address, left.max(LEAST))
            }
        };
        match opened {
            Ok(stream) => return Ok(stream),
            Err(error) if is_timeout(&error) => last = Error::Timeout(Timeout::Connect),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// A connection.
struct Socket {
    stream: Arc<TcpStream>,
    waits: Waits,
    buffers: LazyBuffers,
    /// What is to be sent, encrypted where the connection is.
    held_back: Vec<u8>,
    /// What the socket was told last, so that it is told changes alone.
    reads_within: Option<Duration>,
    writes_within: Option<Duration>,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Head and body of a request come one after the other; they go out together, once their answer is waited for, so that the appliance wakes once.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = self.buffers.output().get(..amount);
        let output = output.ok_or(Error::ConnectionFailed)?;
        self.held_back.extend_from_slice(output);
        if self.held_back.len() < MOST_HELD_BACK {
            return Ok(());
        }
        self.send(timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.send(timeout)?;
        let timeout = timeout.for_read();
        let whole = left(&timeout)?;
        let began = Instant::now();
        let _waiting = Waiting::begin(self.waits);
        let amount = loop {
            let within = whole.map(|whole| whole.saturating_sub(began.elapsed()));
            if within.is_some_and(|within| within.is_zero()) {
                return Err(Error::Timeout(timeout.reason));
            }
            if !is_told(self.reads_within, within) {
                self.stream.set_read_timeout(within)?;
                self.reads_within = within;
            }
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Ok(amount) => break amount,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::Timeout(timeout.reason));
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        is_quiet(&self.stream)
    }
}

impl Socket {
    /// Sends what was held back.
    fn send(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        if self.held_back.is_empty() {
            return Ok(());
        }
        let timeout = timeout.for_write();
        let within = left(&timeout)?;
        if !is_told(self.writes_within, within) {
            self.stream.set_write_timeout(within)?;
            self.writes_within = within;
        }
        let _waiting = Waiting::begin(self.waits);
        let sent = (&*self.stream).write_all(&self.held_back);
        self.held_back.clear();
        sent.map_err(|error| {
            if is_timeout(&error) {
                Error::Timeout(timeout.reason)
            } else {
                error.into()
            }
        })
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket")
            .field(&self.stream.peer_addr().ok())
            .finish()
    }
}

/// The time that is left, if it is limited.
fn left(timeout: &NextTimeout) -> Result<Option<Duration>, Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok(timeout.not_zero().map(|left| *left))
}

/// A socket says `WouldBlock` where its time is over; the kernel says `TimedOut` where the peer took nothing.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Whether a socket was told a time that is near enough: a request has one time for all that it sends and hears, and to tell the socket each
/// microsecond less would be a call more for each.
fn is_told(told: Option<Duration>, within: Option<Duration>) -> bool {
    match (told, within) {
        (Some(told), Some(within)) => told.checked_sub(within).is_some_and(|more| more < LEAST),
        (None, None) => true,
        _ => false,
    }
}

/// Whether a connection that was left alone is open, and says nothing that nobody asked for.
fn is_quiet(stream: &TcpStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(stream, &mut [0], flags).is_err_and(|error| error == Errno::WOULDBLOCK)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn numbers_are_told_from_names() {
        for (uri, expected) in [
            ("https://192.0.2.7:8443/v1", Some("192.0.2.7:8443")),
            ("https://192.0.2.7/", Some("192.0.2.7:443")),
            ("http://[2001:db8::1]/", Some("[2001:db8::1]:80")),
            ("https://[2001:db8::1]:1/", Some("[2001:db8::1]:1")),
            ("https://keys.example.com:8443/", None),
            ("https://192.0.2/", None),
        ] {
            let number = number(&uri.parse().unwrap());
            assert_eq!(number, expected.map(|text| text.parse().unwrap()), "{uri}");
        }
    }

    /// How many waits are under way, and how many there were.
    static UNDER_WAY: AtomicI32 = AtomicI32::new(0);
    static BEGUN: AtomicI32 = AtomicI32::new(0);

    fn waits(waits: bool) {
        if waits {
            BEGUN.fetch_add(1, Ordering::SeqCst);
        }
        UNDER_WAY.fetch_add(if waits { 1 } else { -1 }, Ordering::SeqCst);
    }

    /// A request with a body is one packet, so that whoever reads it has it whole.
    #[test]
    fn head_and_body_go_out_together() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let amount = stream.read(&mut request).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).unwrap();
            request[..amount].to_vec()
        });
        let agent = agent(&Agent::new_with_defaults(), |_| {});
        agent.post(&url).send("the body").unwrap();
        let request = server.join().unwrap();
        assert!(request.starts_with(b"POST / HTTP/1.1\r\n"));
        assert!(request.ends_with(b"\r\n\r\nthe body"));
        // What is longer than what is held back arrives as well.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let long = vec![7; 3 * MOST_HELD_BACK + 1];
        let length = long.len();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut sevens = 0;
            let mut part = [0; 4096];
            while sevens < length {
                let amount = stream.read(&mut part).unwrap();
                sevens += part[..amount]
                    .iter()
                    .map(|byte| usize::from(*byte == 7))
                    .sum::<usize>();
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).unwrap();
        });
        agent.post(&url).send(&long).unwrap();
        server.join().unwrap();
    }

    #[test]
    fn each_wait_is_told_and_a_connection_serves_until_it_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                if line.is_empty() {
                    // Nobody learns how long it took but by waiting.
                    thread::sleep(Duration::from_millis(50));
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    (&stream).write_all(answer).unwrap();
                }
                if line.starts_with("GET /last") {
                    break;
                }
            }
        });
        let agent = agent(&Agent::new_with_defaults(), waits);
        for _ in 0..3 {
            let mut answer = agent.get(&url).call().unwrap();
            assert_eq!(answer.body_mut().read_to_string().unwrap(), "ok");
            assert_eq!(UNDER_WAY.load(Ordering::SeqCst), 0);
        }
        let begun = BEGUN.load(Ordering::SeqCst);
        assert!(
            begun >= 7,
            "one to connect, three to ask, three to hear: {begun}"
        );
        assert!(agent.get(format!("{url}last")).call().is_err());
        server.join().unwrap();
        // Nobody listens any more.
        assert!(agent.get(&url).call().is_err());
        assert_eq!(UNDER_WAY.load(Ordering::SeqCst), 0);
    }
}
