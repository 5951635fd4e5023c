//! An appliance whose HSM is a YubiHSM 2: the `yubihsm` crate's `MockHsm` behind its own connector, as `strongroomd` reaches a real one.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use strongroom_hsm::pkcs11::Pin;
use strongroom_hsm::yubihsm::{AuthKey, Connection, provision};
use strongroom_tests::Appliance;
use strongroom_wire::health::{State, Status};
use yubihsm::connector::http::Server;
use yubihsm::{Connector, HttpConfig};

const BACK: Duration = Duration::from_secs(10);
/// The password of the keys that [`auth_key`] gives.
pub(crate) const PASSWORD: &str = "a-long-random-password";

/// A connector with a device, on a port of its own; it can be unplugged.
pub(crate) struct Device {
    port: u16,
    plugged: Arc<AtomicBool>,
}

impl Device {
    /// It goes on until the process ends: the server has no way to stop.
    pub(crate) fn start() -> Self {
        let behind = HttpConfig {
            port: {
                let free = TcpListener::bind("127.0.0.1:0").unwrap();
                free.local_addr().unwrap().port()
            },
            ..HttpConfig::default()
        };
        let server = Server::new(&behind, Connector::mockhsm()).unwrap();
        thread::spawn(move || {
            loop {
                // A request that goes wrong is the client's to see.
                let _ = server.handle_request();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plugged = Arc::new(AtomicBool::new(true));
        let still = Arc::clone(&plugged);
        thread::spawn(move || {
            for client in listener.incoming() {
                if still.load(Ordering::Relaxed) {
                    forward(client.unwrap(), behind.port, &still);
                }
            }
        });
        Self { port, plugged }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Gives a device that comes from the factory the appliance's authentication key, 2, and an auditor's, 3.
    pub(crate) fn provision(&self) {
        let connection = Connection::Http {
            address: "127.0.0.1".to_owned(),
            port: self.port,
        };
        let now = AuthKey::factory_default().unwrap();
        provision(&connection, &now, 1, &auth_key(2), &auth_key(3)).unwrap();
    }

    fn plug(&self, plugged: bool) {
        self.plugged.store(plugged, Ordering::Relaxed);
    }
}

/// Passes on what both sides say, for as long as the device is plugged in.
fn forward(client: TcpStream, port: u16, plugged: &Arc<AtomicBool>) {
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for (mut from, mut to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        to.set_nodelay(true).unwrap();
        let plugged = Arc::clone(plugged);
        thread::spawn(move || {
            let mut space = [0; 4096];
            while let Ok(read @ 1..) = io::Read::read(&mut from, &mut space) {
                let gone = !plugged.load(Ordering::Relaxed);
                if gone || io::Write::write_all(&mut to, &space[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both);
            let _ = from.shutdown(std::net::Shutdown::Both);
        });
    }
}

pub(crate) fn auth_key(id: u16) -> AuthKey {
    AuthKey {
        id,
        password: Pin::new(PASSWORD.to_owned()).unwrap(),
    }
}

/// What `hsm check` finds of the one HSM.
fn check(appliance: &Appliance, more: &[&str]) -> Value {
    let start = ["hsm", "check", "--seconds", "0.05", "--json"];
    let all: Vec<&str> = start.iter().chain(more).copied().collect();
    let output = appliance.operate(&all, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        output.status.success(),
        report["hsms"][0]["problem"].is_null(),
        "{report}"
    );
    report["hsms"][0].clone()
}

#[test]
fn a_yubihsm_is_checked_initialised_served_and_lost() {
    let device = Device::start();
    let mut appliance = Appliance::blank();
    let pin = appliance.data().join("hsm-password");
    Pin::new(PASSWORD.to_owned())
        .unwrap()
        .write_new_file(&pin)
        .unwrap();
    let (url, pin) = (device.url(), format!("file:{}", pin.display()));
    let named = ["--connector", &url, "--auth-key", "2", "--pin", &pin];

    // As it comes from the factory, everybody's password logs in.
    let factory_pin = appliance.data().join("factory-password");
    Pin::new("password".to_owned())
        .unwrap()
        .write_new_file(&factory_pin)
        .unwrap();
    let factory = format!("file:{}", factory_pin.display());
    let found = check(
        &appliance,
        &["--connector", &url, "--auth-key", "1", "--pin", &factory],
    );
    assert_eq!(found["factory_key"], true, "{found}");
    assert!(found["problem"].as_str().unwrap().contains("factory"));

    device.provision();
    let found = check(&appliance, &named);
    assert_eq!(found["factory_key"], false, "{found}");
    assert_eq!(found["notes"].as_array().unwrap().len(), 2, "{found}");

    appliance.initialise(&named);
    let found = check(&appliance, &[]);
    for figure in ["wraps", "unwraps", "signatures"] {
        assert!(found[figure].as_f64().unwrap() > 1.0, "{found}");
    }

    appliance.serve();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("report", &[]).unwrap().key.id;
    let (_, material) = alice.release(key).unwrap();

    device.plug(false);
    while appliance.api().health().unwrap().hsm == Status::Ok {
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(alice.release(key).unwrap().1, material, "her KEK is cached");
    let status = appliance.status();
    let reason = status["hsms"][0]["reason"].as_str().unwrap();
    assert!(reason.contains(&url), "{reason}");
    device.plug(true);
    let back = std::time::Instant::now();
    while appliance.api().health().unwrap().hsm == Status::Failing {
        assert!(back.elapsed() < BACK, "{}", appliance.log());
        thread::sleep(Duration::from_millis(100));
    }

    assert!(appliance.operate(&["seal"], "").status.success());
    assert_eq!(appliance.api().health().unwrap().state, State::Sealed);
    let wrong = appliance.operate(&["unseal", "--ask"], "not-the-password\n");
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success() && said.contains("authentication key 2"),
        "{said}"
    );
    assert!(appliance.operate(&["unseal"], "").status.success());
    assert_eq!(alice.release(key).unwrap().1, material);
    assert_eq!(appliance.verify_audit()["verified"], true);
    appliance.stop();
    let text = fs::read_to_string(appliance.config()).unwrap();
    assert!(
        text.contains("connector") && !text.contains("module"),
        "{text}"
    );
}
