//! A forward proxy (RFC 9110 section 9.3.6): leads names that stand in documents to what runs in the test.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The proxy. It serves until the test ends.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy that leads one authority, such as `keys.example.com:8443`, to `target`, and nobody anywhere else.
    pub fn leading(authority: &str, target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let (authority, asked) = (authority.to_owned(), Arc::clone(&this.asked));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (authority, asked) = (authority.clone(), Arc::clone(&asked));
                // A client may hang up whenever it likes.
                thread::spawn(move || lead(client, &authority, target, &asked));
            }
        });
        this
    }

    /// The proxy, as the environment names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its clients wanted to go.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn lead(
    mut client: TcpStream,
    authority: &str,
    target: SocketAddr,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    // A client waits for the answer before it goes on, so nothing but the head is read here.
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let wanted = head.strip_prefix("CONNECT ").unwrap_or_default();
    let wanted = wanted.split(' ').next().unwrap_or_default();
    asked.lock().unwrap().push(wanted.to_owned());
    if wanted != authority {
        return client.write_all(b"HTTP/1.1 502 Nobody there\r\nContent-Length: 0\r\n\r\n");
    }
    let server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    let out = thread::spawn(move || pass_on(from_client, to_server));
    pass_on(server, client)?;
    out.join().unwrap_or(Ok(()))
}

/// One direction, which ends the other with it.
fn pass_on(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let passed = io::copy(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    passed.map(drop)
}
