//! A `yubihsm-connector` of our own on a free port, which can be lost: the crate's HTTP server before a `MockHsm`, and before that a
//! line that can be cut.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use strongroom_hsm::{
    Hsm, HsmError,
    pkcs11::Pin,
    yubihsm::{AuthKey, Connection, YubiHsm, YubiHsmConfig},
};
use yubihsm::{Connector, HttpConfig, connector::http::Server};

use crate::{a_key, config, conformance::faults::Rig, kek};

/// The sockets of a line; none when it is cut.
type Line = Arc<Mutex<Option<Vec<TcpStream>>>>;

/// It goes on until the process ends: the server has no way to stop.
pub(crate) struct Running {
    port: u16,
    line: Line,
}

impl Running {
    pub(crate) fn start(device: Connector) -> Self {
        let behind = HttpConfig {
            port: free_port(),
            ..HttpConfig::default()
        };
        let server = Server::new(&behind, device).unwrap();
        thread::spawn(move || {
            loop {
                // A request that goes wrong is the client's to see.
                let _ = server.handle_request();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line: Line = Arc::new(Mutex::new(Some(Vec::new())));
        let held = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming() {
                forward(client.unwrap(), behind.port, &held);
            }
        });
        Self { port, line }
    }

    pub(crate) fn config(&self) -> YubiHsmConfig {
        YubiHsmConfig {
            connection: Connection::Http {
                address: "127.0.0.1".to_owned(),
                port: self.port,
            },
            ..config()
        }
    }

    pub(crate) fn open(&self) -> YubiHsm {
        YubiHsm::open(self.config()).unwrap()
    }

    fn cut(&self) {
        for socket in self.line.lock().unwrap().take().unwrap() {
            // The other side may have closed it.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        *self.line.lock().unwrap() = Some(Vec::new());
    }
}

/// Passes on what both sides say, unless the line is cut: then the client is hung up on.
fn forward(client: TcpStream, port: u16, line: &Line) {
    let mut line = line.lock().unwrap();
    let Some(sockets) = line.as_mut() else { return };
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
        sockets.push(socket.try_clone().unwrap());
    }
    for (mut from, mut to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        thread::spawn(move || {
            // Ends when either is hung up on.
            let _ = io::copy(&mut from, &mut to);
        });
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

pub(crate) fn a_lost_connector_comes_back() {
    let running = Running::start(Connector::mockhsm());
    let hsm = running.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    running.cut();
    let started = Instant::now();
    for outcome in [
        hsm.unwrap("default", &wrapped).map(drop),
        hsm.wrap(&kek(), &a_key()).map(drop),
        hsm.token_info().map(drop),
        YubiHsm::open(running.config()).map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, HsmError::Unavailable { .. }), "{error:?}");
        let sentence = error.to_string();
        assert!(
            sentence.contains(&format!("127.0.0.1:{}", running.port))
                && sentence.contains("connector runs"),
            "{sentence}"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    running.mend();
    let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
    assert_eq!(unwrapped.as_bytes(), a_key().as_bytes());
    hsm.wrap(&kek(), &a_key()).unwrap();
}

/// Cut between any two commands of a wrapping: nothing stays in the device after the next one.
pub(crate) fn cuts_in_the_middle_leave_nothing() {
    let device = Connector::mockhsm();
    let running = Running::start(device.clone());
    let hsm = running.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    thread::scope(|scope| {
        let (done, stop) = std::sync::mpsc::channel::<()>();
        let hsm = &hsm;
        scope.spawn(move || {
            let mut served = 0;
            while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                match hsm.unwrap("default", &wrapped) {
                    Ok(key) => {
                        assert_eq!(key.as_bytes(), a_key().as_bytes());
                        served += 1;
                    }
                    Err(HsmError::Unavailable { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert!(served > 0);
        });
        // MockHsm has sixteen sessions, which it never times out: a few cuts must do.
        for pause in [7, 13, 18, 22, 29] {
            thread::sleep(Duration::from_millis(pause));
            running.cut();
            thread::sleep(Duration::from_millis(1));
            running.mend();
        }
        thread::sleep(Duration::from_millis(20));
        drop(done);
    });
    hsm.wrap(&kek(), &a_key()).unwrap();
    drop(hsm);
    assert_eq!(crate::opaque_objects(&device), 0);
}

impl Rig for Running {
    fn pin(&self) -> &'static str {
        "password"
    }

    fn opener(
        &self,
        pin: &'static str,
    ) -> Box<dyn Fn() -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync> {
        let config = YubiHsmConfig {
            auth_key: AuthKey {
                id: 1,
                password: Pin::new(pin.to_owned()).unwrap(),
            },
            ..self.config()
        };
        Box::new(move || Ok(Arc::new(YubiHsm::open(config.clone())?)))
    }

    fn name(&self) -> String {
        format!("the YubiHSM 2 at http://127.0.0.1:{}", self.port)
    }

    /// The device answers wrong passwords ever more slowly, and does not lock.
    fn lock(&self) -> bool {
        false
    }

    fn lose_sessions(&self) {
        self.cut();
        self.mend();
    }

    fn take_away(&self) {
        self.cut();
    }

    fn bring_back(&self) {
        self.mend();
    }
}
