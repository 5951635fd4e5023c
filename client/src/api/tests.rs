#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use strongroom_session::TransportKey;
use strongroom_wire::health::Status;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{KeyQuery, KeyState};
use strongroom_wire::problem::{Code, Problem};

use super::*;
use crate::device::{AccountSecret, Device};
use crate::protection::Protect as _;
use crate::session::Secrets;

/// A server on this machine that answers one connection's requests, one after the other, with these texts, and gives back
/// what it was sent.
struct Server {
    address: String,
    ca: String,
    thread: JoinHandle<Vec<String>>,
}

/// An answer of HTTP/1.1 with this status line and body.
fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn problem(problem: &Problem) -> String {
    answer(
        &format!("{} No", problem.status),
        &serde_json::to_string(problem).unwrap(),
    )
}

impl Server {
    fn start(name: &str, answers: &[String], provider: CryptoProvider) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &ca)
            .unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let answers = answers.to_vec();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut requests = Vec::new();
            for answer in answers {
                let Some(request) = read_request(&mut stream) else {
                    break;
                };
                requests.push(request);
                stream.write_all(answer.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
            stream.conn.send_close_notify();
            // The client may have closed its end already.
            let _ = stream.flush();
            requests
        });
        Self {
            address,
            ca: ca.pem(),
            thread,
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.address, &Roots::from_pem(self.ca.as_bytes()).unwrap()).unwrap()
    }
}

/// Head and body of a request; none when the connection ends or no TLS connection comes about.
fn read_request(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}

/// A server that answers in good TLS, and a client that trusts it.
fn serve(answers: &[String]) -> (Server, Client) {
    let server = Server::start("127.0.0.1", answers, tls::provider());
    let client = server.client();
    (server, client)
}

fn token() -> Secrets {
    Secrets::new(&[1; 32], TransportKey::from_bytes([2; 32])).unwrap()
}

#[test]
fn a_request_says_what_it_has_to() {
    let page = answer("200 OK", "{\"keys\": []}");
    let (server, client) = serve(&[page.clone(), page]);
    let query = KeyQuery {
        label: Some("a&b ü".to_owned()),
        state: Some(KeyState::PreActive),
        limit: Some(7),
        ..KeyQuery::default()
    };
    let secrets = token();
    let _: serde_json::Value = client
        .call(&Call::find("/v1/keys", &query), Some(secrets.token()))
        .unwrap();
    let _: serde_json::Value = client
        .call(&Call::post("/v1/keys/x/rotate"), Some(secrets.token()))
        .unwrap();
    drop(client);
    let requests = server.thread.join().unwrap();
    let [found, rotated] = requests.as_slice() else {
        unreachable!("two requests on one connection: {requests:?}");
    };
    assert!(
        found.starts_with("GET /v1/keys?label=a%26b+%C3%BC&limit=7&state=pre-active HTTP/1.1\r\n"),
        "{found}"
    );
    let authorization = "authorization: Bearer AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\r\n";
    assert!(
        found
            .to_ascii_lowercase()
            .contains(&authorization.to_ascii_lowercase()),
        "{found}"
    );
    assert!(
        rotated.starts_with("POST /v1/keys/x/rotate HTTP/1.1\r\n"),
        "{rotated}"
    );
    assert!(
        rotated
            .to_ascii_lowercase()
            .contains("content-length: 0\r\n"),
        "{rotated}"
    );
}

#[test]
fn a_problem_document_arrives_as_it_was_sent() {
    let mut revoked = Problem::new(Code::GrantRevoked, "Revoked on Friday.");
    revoked.leaf = Some(7);
    let ended = Problem::new(Code::NotSignedIn, "It has ended.");
    let (_server, client) = serve(&[problem(&revoked), problem(&ended)]);
    let call = || client.call::<serde_json::Value>(&Call::get("/v1/keys"), None);
    match call().unwrap_err() {
        ClientError::Refused(problem) => assert_eq!(*problem, revoked),
        other => unreachable!("{other:?}"),
    }
    assert!(matches!(call().unwrap_err(), ClientError::NotSignedIn));
}

#[test]
fn what_is_no_answer_of_an_appliance_is_said_to_be_none() {
    let answers = [
        answer("502 Bad Gateway", "<html>no</html>"),
        answer("200 OK", "{\"token\": \"secret\"}"),
        "HTTP/1.1 301 Moved\r\nLocation: https://evil.example\r\nContent-Length: 0\r\n\r\n"
            .to_owned(),
    ];
    let (_server, client) = serve(&answers);
    for _ in &answers {
        let error = client
            .call::<strongroom_wire::session::SignedIn>(&Call::get("/v1/keys"), None)
            .unwrap_err();
        assert!(
            matches!(error, ClientError::UnexpectedAnswer { .. }),
            "{error:?}"
        );
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}

#[test]
fn a_failing_appliance_reports_its_health() {
    let body = "{\"status\": \"failing\", \"state\": \"serving\", \"hsm\": \"failing\", \"storage\": \"ok\", \"version\": \"1\"}";
    let (_server, client) = serve(&[answer("503 Service Unavailable", body)]);
    assert_eq!(client.health().unwrap().hsm, Status::Failing);
}

#[test]
fn where_nothing_listens_nothing_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let (server, _) = serve(&[]);
    let client = Client::new(&address, &Roots::from_pem(server.ca.as_bytes()).unwrap()).unwrap();
    let error = client
        .call::<serde_json::Value>(&Call::post("/v1/keys"), None)
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Unreachable {
                safe_to_retry: true,
                ..
            }
        ),
        "{error:?}"
    );
    drop(TcpStream::connect(server.address.trim_start_matches("https://")).unwrap());
}

#[test]
fn a_broken_connection_may_have_done_what_was_asked() {
    let one = answer("200 OK", "{}");
    let (_server, client) = serve(std::slice::from_ref(&one));
    let _: serde_json::Value = client.call(&Call::get("/v1/keys"), None).unwrap();
    // A server that reads the request and goes away.
    let (_other, client) = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned()]);
    let error = client
        .call::<serde_json::Value>(&Call::post("/v1/keys"), None)
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Unreachable {
                safe_to_retry: false,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!error.safe_to_retry());
}

#[test]
fn an_appliance_that_the_authority_does_not_vouch_for_is_not_trusted() {
    let (server, _) = serve(&[answer("200 OK", "{}")]);
    let (other, _) = serve(&[]);
    let client = Client::new(
        &server.address,
        &Roots::from_pem(other.ca.as_bytes()).unwrap(),
    )
    .unwrap();
    let error = client.health().unwrap_err();
    assert!(matches!(error, ClientError::NotTrusted { .. }), "{error:?}");
    assert!(server.thread.join().unwrap().is_empty());
    drop(TcpStream::connect(other.address.trim_start_matches("https://")).unwrap());

    let server = Server::start("other.example", &[answer("200 OK", "{}")], tls::provider());
    let error = server.client().health().unwrap_err();
    assert!(matches!(error, ClientError::NotTrusted { .. }), "{error:?}");
    assert!(server.thread.join().unwrap().is_empty());
}

#[test]
fn tls_1_2_is_not_spoken() {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let old = CryptoProvider {
        cipher_suites: provider
            .cipher_suites
            .into_iter()
            .filter(|suite| suite.tls13().is_none())
            .collect(),
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    assert!(!old.cipher_suites.is_empty());
    let server = Server::start("127.0.0.1", &[answer("200 OK", "{}")], old);
    let error = server.client().health().unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(server.thread.join().unwrap().is_empty());
}

#[test]
fn only_the_origin_of_an_https_server_is_an_address() {
    let (server, _) = serve(&[]);
    let roots = Roots::from_pem(server.ca.as_bytes()).unwrap();
    for (address, seen) in [
        ("https://keys.example.com", "https://keys.example.com"),
        ("https://Keys.Example.com:443/", "https://keys.example.com"),
        ("https://10.0.0.5:8443", "https://10.0.0.5:8443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ] {
        assert_eq!(Client::new(address, &roots).unwrap().origin(), seen);
    }
    for address in [
        "",
        "keys.example.com:8443",
        "http://keys.example.com",
        "https://keys.example.com/v1",
        "https://keys.example.com?a",
        "https://alice:secret@keys.example.com",
        "file:///etc/passwd",
    ] {
        let error = Client::new(address, &roots).unwrap_err();
        assert!(matches!(error, ClientError::Setup(_)), "{address}");
    }
    let client = Client::new("https://a.example", &roots)
        .unwrap()
        .also_known_as("https://B.example:443/")
        .unwrap();
    assert!(client.is_known("https://a.example"));
    assert!(client.is_known("https://b.example"));
    assert!(!client.is_known("https://c.example"));
    drop(TcpStream::connect(server.address.trim_start_matches("https://")).unwrap());
}

#[test]
fn an_object_does_not_choose_the_server() {
    let (server, client) = serve(&[]);
    let session = crate::session::tests::session_at(client);
    let header =
        crate::object::Header::new(KeyId::generate(), 1, "https://evil.example", None).unwrap();
    let error = session.obtain_for(&header).unwrap_err();
    assert!(
        matches!(error, ClientError::OtherServer { .. }),
        "{error:?}"
    );
    drop(TcpStream::connect(server.address.trim_start_matches("https://")).unwrap());
    assert!(server.thread.join().unwrap().is_empty());
}

#[test]
fn a_wrong_clock_is_set_by_the_appliances() {
    const TIME: &str = "2031-01-01T00:00:00.000Z";
    let mut skew = Problem::new(Code::ClockSkew, "No.");
    skew.time = Some(TIME.parse().unwrap());
    let account = "{\"id\":\"01934c1e-7d5a-7cc0-8f3e-0123456789ab\",\"name\":\"sn-1\",\"kind\":\"device\",\"state\":\"active\",\
                   \"roles\":[],\"created\":\"2026-11-27T18:00:00Z\"}";
    let nonce = "200 OK\r\nStrongroom-Nonce: 0123456789abcdef";
    let answers = [
        problem(&skew),
        answer(nonce, account),
        answer(nonce, account),
    ];
    let (server, client) = serve(&answers);
    let account = "01934c1e-7d5a-7cc0-8f3e-0123456789ab".parse().unwrap();
    let secret = AccountSecret::from_bytes([7; 32]);
    let device = Device::new(client, account, secret);
    assert_eq!(device.own_account().unwrap().name, "sn-1");
    // From then on it is known.
    device.own_account().unwrap();
    drop(device);
    let requests = server.thread.join().unwrap();
    let created = |request: &String| -> u64 {
        let (_, rest) = request.split_once(";created=").unwrap();
        rest.split(';').next().unwrap().parse().unwrap()
    };
    let time = skew.time.unwrap().as_millis() / 1000;
    assert!(created(&requests[0]).abs_diff(time) > 3600);
    for request in &requests[1..] {
        assert!(created(request).abs_diff(time) < 60, "{request}");
        assert!(
            request
                .contains("content-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
        );
    }
    let nonce = |request: &String| {
        let (_, rest) = request.split_once(";nonce=").unwrap();
        rest.split(';').next().unwrap().to_owned()
    };
    assert_ne!(nonce(&requests[1]), nonce(&requests[2]));
}
