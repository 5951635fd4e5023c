//! Ranges over HTTP (RFC 9110 section 14): objects in somebody's cloud storage.
//!
//! Nothing goes to the storage but the address and the range: no credential of the appliance, no key. What comes is authenticated like
//! anything else, so that plain `http` costs nobody the content, and only tells others what is read.

use std::fmt;
use std::io::{self, Read as _};
use std::thread;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, HeaderName, StatusCode, header};

use super::range::RangeSource;
use crate::ClientError;
use crate::api::{Roots, tls};

/// How long the storage has to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one range may take.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a range is asked for.
const ATTEMPTS: u32 = 3;
/// The pause before it is asked for once more; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// An object behind an address that gives ranges, such as an S3 or Azure presigned address.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::Roots;
/// use strongroom_client::object::{HttpRange, RangeSource};
///
/// let authorities = Roots::from_pem(&std::fs::read("/etc/ssl/certs/ca-certificates.crt")?)?;
/// let mut object = HttpRange::new("https://storage.example/film.mp4.sealed?signature=…", &authorities)?;
/// println!("{} bytes", object.length()?);
/// # Ok(())
/// # }
/// ```
pub struct HttpRange {
    agent: Agent,
    url: String,
    length: u64,
    /// What the storage names this state of the object by: another state is no continuation of this one.
    etag: Option<String>,
}

impl HttpRange {
    /// The object at `url`, an `https` or `http` address. Its storage is vouched for by one of `roots`. Asks for its first byte, to learn how
    /// many there are.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::object::HttpRange;
    ///
    /// let stored = HttpRange::new("https://storage.example/film.mp4.sealed", roots)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the storage cannot be reached, has no such object or gives no ranges.
    pub fn new(url: &str, roots: &Roots) -> Result<Self, ClientError> {
        let config = Agent::config_builder()
            .tls_config(tls::config(roots, None))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT));
        let mut this = Self {
            agent: config.build().into(),
            url: url.to_owned(),
            length: 0,
            etag: None,
        };
        let (headers, _) = this
            .get(0, 1)
            .map_err(|error| ClientError::Setup(format!("the object's storage: {error}")))?;
        let total = content_range(&headers).and_then(|range| range.total);
        this.length = total.ok_or_else(|| {
            ClientError::Setup("the object's storage does not say how long it is".to_owned())
        })?;
        // A weak one may stand for several sequences of bytes (RFC 9110 section 8.8.1).
        this.etag = text(&headers, &header::ETAG)
            .filter(|etag| etag.starts_with('"'))
            .map(str::to_owned);
        Ok(this)
    }

    /// Asks for a range as often as it takes; reading twice does no harm.
    fn get(&self, offset: u64, count: usize) -> io::Result<(HeaderMap, Vec<u8>)> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            match self.get_once(offset, count) {
                Err(error) if attempt < ATTEMPTS && error.kind() != io::ErrorKind::InvalidData => {
                    thread::sleep(pause);
                    pause *= 2;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    fn get_once(&self, offset: u64, count: usize) -> io::Result<(HeaderMap, Vec<u8>)> {
        let last = offset + count as u64 - 1;
        let mut request = self
            .agent
            .get(&self.url)
            .header(header::RANGE, format!("bytes={offset}-{last}"))
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(etag) = &self.etag {
            request = request.header(header::IF_MATCH, etag);
        }
        let mut response = request.call().map_err(reason)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::PRECONDITION_FAILED => {
                return Err(invalid("the stored object was replaced meanwhile"));
            }
            StatusCode::OK => return Err(invalid("the storage gives no ranges")),
            status if status.is_server_error() => {
                return Err(io::Error::other(format!(
                    "the storage answered with status {}",
                    status.as_u16()
                )));
            }
            status => {
                return Err(invalid(&format!(
                    "the storage answered with status {}",
                    status.as_u16()
                )));
            }
        }
        let headers = response.headers().clone();
        if content_range(&headers).is_none_or(|range| range.first != offset || range.last != last) {
            return Err(invalid("the storage gave another range than was asked for"));
        }
        let mut bytes = vec![0; count];
        response.body_mut().as_reader().read_exact(&mut bytes)?;
        Ok((headers, bytes))
    }
}

impl RangeSource for HttpRange {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (_, bytes) = self.get(offset, out.len())?;
        out.copy_from_slice(&bytes);
        Ok(())
    }
}

impl fmt::Debug for HttpRange {
    /// Without the address: presigned ones let in whoever knows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRange")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// The header Content-Range (RFC 9110 section 14.4).
struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = text(headers, &header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
    let (range, total) = value.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some(ContentRange {
        first: first.parse().ok()?,
        last: last.parse().ok()?,
        total: total.parse().ok(),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// What went wrong, without the address.
fn reason(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Io(error) => error,
        ureq::Error::Timeout(_) => io::ErrorKind::TimedOut.into(),
        ureq::Error::BadUri(_) => invalid("the address is none"),
        ureq::Error::Rustls(error) => invalid(&error.to_string()),
        _ => io::Error::other("the storage cannot be reached"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A storage with one object of this content, which gives ranges and says what it was asked.
    struct Storage {
        url: String,
        content: Arc<Mutex<Vec<u8>>>,
        requests: Arc<Mutex<Vec<String>>>,
        /// So many requests are answered with status 500.
        failures: Arc<AtomicUsize>,
    }

    impl Storage {
        fn new(content: &[u8], gives_ranges: bool) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!(
                "http://{}/object?key=TOPSECRET",
                listener.local_addr().unwrap()
            );
            let content = Arc::new(Mutex::new(content.to_vec()));
            let requests = Arc::new(Mutex::new(Vec::new()));
            let failures = Arc::new(AtomicUsize::new(0));
            let this = Self {
                url,
                content: Arc::clone(&content),
                requests: Arc::clone(&requests),
                failures: Arc::clone(&failures),
            };
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let head: Vec<String> = lines
                        .by_ref()
                        .map(Result::unwrap)
                        .take_while(|line| !line.is_empty())
                        .collect();
                    let head = head.join("\n").to_ascii_lowercase();
                    requests.lock().unwrap().push(head.clone());
                    let content = content.lock().unwrap().clone();
                    let answer = if failures.load(Ordering::Relaxed) > 0 {
                        failures.fetch_sub(1, Ordering::Relaxed);
                        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                            .to_vec()
                    } else {
                        answer(&head, &content, gives_ranges)
                    };
                    stream.write_all(&answer).unwrap();
                }
            });
            this
        }

        fn open(&self) -> Result<HttpRange, ClientError> {
            let certificate = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
            let roots = Roots::from_pem(certificate.cert.pem().as_bytes()).unwrap();
            HttpRange::new(&self.url, &roots)
        }
    }

    fn answer(head: &str, content: &[u8], gives_ranges: bool) -> Vec<u8> {
        let etag = format!("\"{}\"", content.len());
        let wanted = head
            .lines()
            .find_map(|line| line.strip_prefix("if-match: "));
        if wanted.is_some_and(|wanted| wanted != etag) {
            return b"HTTP/1.1 412 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
        }
        let range = head
            .lines()
            .find_map(|line| line.strip_prefix("range: bytes="));
        let (status, first, last) = match range.filter(|_| gives_ranges) {
            None => ("200 OK", 0, content.len() - 1),
            Some(range) => {
                let (first, last) = range.split_once('-').unwrap();
                ("206 Partial", first.parse().unwrap(), last.parse().unwrap())
            }
        };
        let body = &content[first..=last];
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: {etag}\r\nContent-Range: bytes {first}-{last}/{}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            content.len(),
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn ranges_come_and_nothing_of_ours_goes_there() {
        let content: Vec<u8> = (0..100_000_u32)
            .map(|place| (place / 3).to_le_bytes()[0])
            .collect();
        let storage = Storage::new(&content, true);
        let mut object = storage.open().unwrap();
        assert_eq!(object.length().unwrap(), 100_000);
        let mut out = vec![0; 1000];
        object.read_range(50_000, &mut out).unwrap();
        assert_eq!(out, content[50_000..51_000]);
        object.read_range(0, &mut []).unwrap();
        let error = object.read_range(99_001, &mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let requests = storage.requests.lock().unwrap();
        assert_eq!(requests.len(), 2);
        assert!(requests[1].contains("range: bytes=50000-50999"));
        assert!(requests[1].contains("if-match: \"100000\""));
        assert!(!requests.iter().any(|head| head.contains("authorization")));
        assert!(!format!("{object:?}").contains("TOPSECRET"));
    }

    #[test]
    fn a_stumbling_storage_is_asked_again() {
        let storage = Storage::new(&[7; 1000], true);
        let mut object = storage.open().unwrap();
        storage.failures.store(2, Ordering::Relaxed);
        let mut out = [0; 10];
        object.read_range(5, &mut out).unwrap();
        assert_eq!(out, [7; 10]);
        storage.failures.store(3, Ordering::Relaxed);
        assert!(object.read_range(5, &mut out).is_err());
    }

    #[test]
    fn what_is_no_storage_of_ranges_is_refused() {
        let error = Storage::new(&[7; 1000], false).open().unwrap_err();
        assert!(error.to_string().contains("no ranges"), "{error}");
        let replaced = Storage::new(&[7; 1000], true);
        let mut object = replaced.open().unwrap();
        replaced.content.lock().unwrap().push(8);
        let error = object.read_range(0, &mut [0; 10]).unwrap_err();
        assert!(error.to_string().contains("replaced"), "{error}");
        assert!(!error.to_string().contains("TOPSECRET"));
    }
}
