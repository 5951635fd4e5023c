//! A request sent to one address, its answer, and what it means that none came.

use std::io::{self, BufRead as _};
use std::time::Duration;

use serde::de::DeserializeOwned;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::proposal::PROPOSAL_HEADER;
use ureq::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use ureq::{AsSendBody, Body, Timeout};
use zeroize::Zeroizing;

use super::{Call, Client, REQUEST_TIMEOUT, Token};
use crate::ClientError;

/// How long the appliance has to accept a connection, where another address can be tried.
const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(3);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;
/// The header in which a request names its domain.
const DOMAIN: &str = "strongroom-domain";

impl Client {
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
        let lines = io::BufReader::new(self.stream(call, token)?).split(b'\n');
        let client = self.clone();
        Ok(lines.map(move |line| line.map_err(|error| client.broken(&error))))
    }

    /// Sends a request whose answer comes for as long as it takes. [`broken`](Self::broken) says what it means that it breaks off.
    pub(crate) fn stream(
        &self,
        call: &Call<'_>,
        token: &Token,
    ) -> Result<impl io::Read + use<>, ClientError> {
        let response = self.attempt(|address| {
            let mut response = self.begin(address, call, &authorization(token), true)?;
            if !response.status().is_success() {
                let (status, body) = self.read(&mut response, address, call)?;
                return Err(self.refusal(status, &body));
            }
            Ok(response)
        })?;
        Ok(response.into_body().into_reader())
    }

    /// An answer broke off.
    pub(crate) fn broken(&self, error: &io::Error) -> ClientError {
        ClientError::Unreachable {
            server: self.origin().to_owned(),
            reason: io_reason(error).0,
            safe_to_retry: false,
        }
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
    pub(super) fn begin(
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
        #[cfg(feature = "pkcs11")]
        let is_question = request.method() == Method::GET;
        let mut request = self.agent.configure_request(request);
        if self.addresses.len() > 1 {
            request = request.timeout_connect(Some(CONNECT_TIMEOUT_OF_SEVERAL));
        }
        #[cfg(feature = "pkcs11")]
        if self.waits.is_some() && is_question {
            request = request.timeout_recv_response(Some(super::host::ANSWER));
        }
        if long {
            request = request
                .timeout_global(None)
                .timeout_recv_response(Some(REQUEST_TIMEOUT));
        }
        self.agent.run(request.build())
    }

    pub(super) fn read(
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
