//! So it is with a witness's, which speaks TLS by itself.

use std::fs;
use std::thread;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use strongroom_tests::Witness;

use super::{PATIENCE, fingerprint, open};

fn wait_until(witness: &Witness, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "{}", witness.log());
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_witness_shows_another_certificate_without_a_restart_and_no_broken_one() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut witness = Witness::of("witness.example/tls", &[]);
    let [ca, certificate, key] = ["ca.pem", "w.pem", "w.key"].map(|name| witness.file(name));
    fs::write(&ca, authority.pem()).unwrap();
    let put = || {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let own = KeyPair::generate().unwrap();
        let pem = params.signed_by(&own, &authority).unwrap().pem();
        fs::write(&certificate, &pem).unwrap();
        fs::write(&key, own.serialize_pem()).unwrap();
    };
    put();
    witness.configure("[tls]\ncertificate = \"w.pem\"\nkey = \"w.key\"");
    witness.start();
    let shown = |witness: &Witness| fingerprint(&open(witness.address(), &ca));
    let first = shown(&witness);
    let mut before = open(witness.address(), &ca);

    put();
    witness.signal(Signal::HUP);
    wait_until(&witness, || shown(&witness) != first);
    let second = shown(&witness);
    let answer = before.send("GET", "/", None, None).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(fingerprint(&before), first, "it is the same one");

    // The key of another certificate: it is said once, however often it is looked at.
    let said = |what: &str| witness.log().matches(what).count();
    let stays = "the certificate that is shown stays as it was";
    let (refused, used_again) = (said(stays), said("can be used again"));
    let aside = witness.file("aside.key");
    let replace = |pem: &str| {
        fs::write(&aside, pem).unwrap();
        fs::rename(&aside, &key).unwrap();
    };
    let whole = fs::read_to_string(&key).unwrap();
    replace(&KeyPair::generate().unwrap().serialize_pem());
    for _ in 0..2 {
        witness.signal(Signal::HUP);
        wait_until(&witness, || said(stays) == refused + 1);
        assert_eq!(shown(&witness), second);
    }
    replace(&whole);
    witness.signal(Signal::HUP);
    wait_until(&witness, || said("can be used again") > used_again);
    assert_eq!(said(stays), refused + 1);

    // Without being told, it looks by itself.
    put();
    wait_until(&witness, || shown(&witness) != second);
}
