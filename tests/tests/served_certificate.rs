//! The certificate that the appliance shows is replaced while it serves, by a site or by the appliance itself.

mod renewal;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use strongroom_tests::Appliance;
use strongroom_tests::http::{self, Connection};
use strongroom_wire::health::Status;

/// How long the appliance may take to see what changed, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The certificate's file, and its key's.
fn files(appliance: &Appliance) -> [PathBuf; 2] {
    ["server.pem", "server.key"].map(|name| appliance.data().join("tls").join(name))
}

fn put(files: &[PathBuf; 2], pair: &[String; 2]) {
    for (file, pem) in files.iter().zip(pair) {
        fs::write(file, pem).unwrap();
    }
}

/// A pair by the appliance's own authority, which has nothing to renew about it.
fn new_pair(appliance: &Appliance) -> [String; 2] {
    let names = ["localhost", "127.0.0.1", "::1", "strongroom.local"].map(str::to_owned);
    issue(appliance, CertificateParams::new(names).unwrap())
}

fn issue(appliance: &Appliance, params: CertificateParams) -> [String; 2] {
    let read = |name: &str| fs::read_to_string(appliance.data().join("tls").join(name)).unwrap();
    let ca_key = KeyPair::from_pem(&read("ca.key")).unwrap();
    let authority = Issuer::from_ca_cert_pem(&read("ca.pem"), ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    [certificate.pem(), key.serialize_pem()]
}

fn fingerprint(connection: &Connection) -> [u8; 32] {
    Sha256::digest(&connection.tls().peer_certificates().unwrap()[0]).into()
}

/// What both listeners show to whoever comes for the first time.
fn shown(appliance: &Appliance) -> [[u8; 32]; 2] {
    let api = appliance.api();
    [api.client, api.admin].map(|address| fingerprint(&open(address, &appliance.ca())))
}

fn open(address: std::net::SocketAddr, ca: &Path) -> Connection {
    Connection::open(address, &http::tls(ca, &[&rustls::version::TLS13])).unwrap()
}

fn certificate_is(appliance: &Appliance) -> Status {
    let health = appliance.api().health().unwrap();
    assert_eq!(health.status, Status::Ok, "it serves throughout");
    health.certificate
}

fn wait_until(appliance: &Appliance, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "{}", appliance.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn another_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let appliance = Appliance::start();
    let files = files(&appliance);
    let first = shown(&appliance);
    assert_eq!(first[0], first[1]);
    let api = appliance.api();
    let mut before = [api.client, api.admin].map(|address| open(address, &appliance.ca()));
    let lapses = appliance
        .api()
        .health()
        .unwrap()
        .certificate_lapses
        .unwrap();

    put(&files, &new_pair(&appliance));
    appliance.signal(Signal::HUP);
    wait_until(&appliance, || shown(&appliance) != first);
    let second = shown(&appliance);
    wait_until(&appliance, || shown(&appliance) == [second[0]; 2]);
    assert_eq!(certificate_is(&appliance), Status::Ok);
    let health = appliance.api().health().unwrap();
    assert_ne!(health.certificate_lapses.unwrap(), lapses);
    for connection in &mut before {
        let answer = connection.send("GET", "/v1/health", None, None).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(fingerprint(connection), first[0], "it is the same one");
    }

    // The key of another certificate: nothing changes but what operators are told.
    let whole = files
        .each_ref()
        .map(|file| fs::read_to_string(file).unwrap());
    let [_, other] = new_pair(&appliance);
    fs::write(&files[1], other).unwrap();
    appliance.signal(Signal::HUP);
    wait_until(&appliance, || certificate_is(&appliance) == Status::Failing);
    assert_eq!(shown(&appliance), second);
    let log = appliance.log();
    assert!(
        log.contains("the certificate that is shown stays as it was"),
        "{log}"
    );
    let metrics = appliance.metrics();
    assert!(
        metrics.contains("\nstrongroom_certificate_up 0\n"),
        "{metrics}"
    );
    let status = appliance.operate(&["status"], "");
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(
        status.contains("\ncertificate: the private key "),
        "{status}"
    );

    // Without being told, it looks by itself.
    put(&files, &whole);
    wait_until(&appliance, || certificate_is(&appliance) == Status::Ok);
    put(&files, &new_pair(&appliance));
    wait_until(&appliance, || shown(&appliance)[0] != second[0]);
    let metrics = appliance.metrics();
    assert!(
        metrics.contains("\nstrongroom_certificate_up 1\n"),
        "{metrics}"
    );
}
