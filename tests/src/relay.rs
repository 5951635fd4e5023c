//! A site's mail relay: SMTP (RFC 5321) on a free port, as much of it as a client needs, with TLS from the first byte or without.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long a message may take to come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A relay that keeps what it is handed. It runs until the test's process ends.
pub struct Relay {
    /// The port, on 127.0.0.1.
    pub port: u16,
    messages: Arc<Mutex<Vec<Message>>>,
}

/// A message that was handed over.
#[derive(Debug, Clone)]
pub struct Message {
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Header and text.
    pub text: String,
}

impl Relay {
    /// A relay without TLS.
    #[must_use]
    pub fn plain() -> Self {
        Self::start(None)
    }

    /// A relay that speaks TLS with this certificate and key, in PEM.
    #[must_use]
    pub fn with_tls(certificate: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(&fs::read(key).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::start(Some(Arc::new(config)))
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Self {
            port: listener.local_addr().unwrap().port(),
            messages: Arc::default(),
        };
        let messages = Arc::clone(&relay.messages);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (messages, tls) = (Arc::clone(&messages), tls.clone());
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                // A client that goes away in the middle has handed nothing over.
                thread::spawn(move || match tls {
                    None => converse(Plain(stream), &messages),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        converse(StreamOwned::new(connection, stream), &messages)
                    }
                });
            }
        });
        relay
    }

    /// Waits until there are so many messages to this address, and answers the last.
    #[must_use]
    pub fn wait_for(&self, address: &str, count: usize) -> Message {
        let started = Instant::now();
        loop {
            let messages = self.messages_to(address);
            if messages.len() >= count {
                return messages[count - 1].clone();
            }
            assert!(started.elapsed() < PATIENCE, "no mail came to {address}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The messages to this address so far.
    #[must_use]
    pub fn messages_to(&self, address: &str) -> Vec<Message> {
        let mut messages = self.messages.lock().unwrap().clone();
        messages.retain(|message| message.to.iter().any(|to| to == address));
        messages
    }
}

impl Message {
    /// The one-time code in it: six groups of four digits. There must be one.
    #[must_use]
    pub fn code(&self) -> String {
        let is_code = |word: &&str| {
            let mut groups = word.split('-');
            let groups = groups.by_ref().filter(|group| group.len() == 4).count();
            groups == 6 && word.len() == 29
        };
        let mut codes = self.text.split_whitespace().filter(is_code);
        let code = codes.next().expect("there is a code").to_owned();
        assert_eq!(codes.next(), None, "{}", self.text);
        code
    }
}

/// A stream that is read and written.
struct Plain(TcpStream);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn converse(stream: impl Read + Write, messages: &Mutex<Vec<Message>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut to = Vec::new();
    let mut answer = "220 relay.example ESMTP".to_owned();
    loop {
        stream
            .get_mut()
            .write_all(format!("{answer}\r\n").as_bytes())?;
        stream.get_mut().flush()?;
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_ascii_uppercase();
        answer = if command.starts_with("EHLO") {
            "250 relay.example".to_owned()
        } else if command.starts_with("RCPT TO:") {
            let address = line.split(['<', '>']).nth(1).unwrap_or_default();
            to.push(address.to_owned());
            "250 well".to_owned()
        } else if command == "DATA" {
            stream.get_mut().write_all(b"354 go on\r\n")?;
            stream.get_mut().flush()?;
            let text = read_message(&mut stream)?;
            let message = Message {
                to: std::mem::take(&mut to),
                text,
            };
            messages.lock().unwrap().push(message);
            "250 kept".to_owned()
        } else if command == "QUIT" {
            return stream.get_mut().write_all(b"221 bye\r\n");
        } else {
            "250 well".to_owned()
        };
    }
}

/// Up to the line with a dot alone.
fn read_message(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
