//! A wire between client and appliance that breaks when it is told to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The wire. What goes over it is not looked at.
pub struct WireCutter {
    address: SocketAddr,
    cuts: Arc<AtomicUsize>,
    /// How many connections were made, and how many of the first of them a firewall has forgotten.
    connections: Arc<AtomicUsize>,
    forgotten: Arc<AtomicUsize>,
}

impl WireCutter {
    /// A wire to the listener at `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self {
            address: listener.local_addr().unwrap(),
            cuts: Arc::default(),
            connections: Arc::default(),
            forgotten: Arc::default(),
        };
        let cuts = Arc::clone(&this.cuts);
        let (connections, forgotten) = (Arc::clone(&this.connections), Arc::clone(&this.forgotten));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else {
                    continue;
                };
                let (to_server, from_client) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                let cuts = Arc::clone(&cuts);
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let there = [(); 2].map(|()| Passage {
                    number,
                    forgotten: Arc::clone(&forgotten),
                });
                let [out, back] = there;
                thread::spawn(move || pass_on(from_client, to_server, None, &out));
                thread::spawn(move || pass_on(server, client, Some(&cuts), &back));
            }
        });
        this
    }

    /// The client's end, as a URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The next so many times that the appliance answers something, the answer is lost and the connection breaks.
    pub fn lose_answers(&self, count: usize) {
        self.cuts.store(count, Ordering::SeqCst);
    }

    /// What there is of connections stays open and passes nothing on any more, as where a firewall has forgotten them.
    pub fn forget(&self) {
        self.forgotten.store(self.connections(), Ordering::SeqCst);
    }

    /// No connection passes anything on any more, those that are still to be made included.
    pub fn fall_silent(&self) {
        self.forgotten.store(usize::MAX, Ordering::SeqCst);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many answers are still to be lost.
    pub fn left(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// One direction of a connection.
struct Passage {
    number: usize,
    forgotten: Arc<AtomicUsize>,
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, cuts: Option<&AtomicUsize>, passage: &Passage) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if passage.number < passage.forgotten.load(Ordering::SeqCst) {
            continue;
        }
        let fewer = |left: usize| left.checked_sub(1);
        let lost = cuts.is_some_and(|cuts| {
            cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
                .is_ok()
        });
        if lost || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other direction ends with this one, if it has not ended yet.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
