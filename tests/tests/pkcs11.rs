//! Legacy applications use the appliance through the PKCS#11 module and notice nothing: each test runs the real program.
//!
//! The recipes of `pkcs11-shim/README.md` are what these tests do.

mod faults;
mod gnutls;
mod host;
mod java;
mod legacy_mechanisms;
mod nss;
mod opensc;
mod openssh;
mod openssl;
mod p11_kit;
mod python;
mod tls;

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use strongroom_tests::Appliance;
use strongroom_tests::legacy::{Machine, SignsIn, module};

/// An appliance, and a machine with a token of it.
fn machine(signs_in: SignsIn) -> (Appliance, Machine) {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let machine = Machine::new(&appliance, &mut admin, "web", signs_in);
    (appliance, machine)
}

/// Runs `pkcs11-tool` signed in, which must succeed, and gives what it said.
fn tool(machine: &Machine, words: &[&str]) -> String {
    let (module, pin) = (module(), machine.pin());
    let head = ["--module", &module, "--login", "--pin", &pin];
    let said = machine.does("pkcs11-tool", &[&head[..], words].concat());
    said.text
}

/// Makes a key pair that stays in the appliance.
fn pair(machine: &Machine, kind: &str, id: &str, label: &str) {
    let words = [
        "--keypairgen",
        "--key-type",
        kind,
        "--id",
        id,
        "--label",
        label,
    ];
    let said = tool(machine, &words);
    assert!(said.contains("never extractable"), "{said}");
}

/// A port on which nobody listens.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until something is so.
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
