//! Legacy mechanisms, which are there as long as the domain's policy allows them.

use std::fs;
use std::thread;
use std::time::Duration;

use strongroom_tests::legacy::{Machine, SignsIn};
use strongroom_tests::{Appliance, Session};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};

use crate::pkcs11::faults::Application;

/// Each with what openssl verifies its signatures with.
const ALL: [(&str, &str); 9] = [
    ("raw", "-sha256"),
    ("pkcs1-sha1", "-sha1"),
    ("pkcs1-sha224", "-sha224"),
    ("pss-sha1", "-sha1"),
    ("pss-sha224", "-sha224"),
    ("pss-of-sha1", "-sha1"),
    ("pss-of-sha224", "-sha224"),
    ("ecdsa-sha1", "-sha1"),
    ("ecdsa-sha224", "-sha224"),
];

/// For how long the module may go by what it heard last.
const A_SECOND: Duration = Duration::from_secs(1);

fn allow(admin: &mut Session, mechanisms: &[Mechanism]) {
    let policy = DomainPolicy {
        legacy_mechanisms: mechanisms.to_vec(),
        ..DomainPolicy::default()
    };
    let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
}

/// What the application is told of a mechanism that is not there.
fn missing(name: &str) -> &'static str {
    if name.starts_with("pss-of-") {
        // PSS is there, for other hash functions.
        "CKR_MECHANISM_PARAM_INVALID"
    } else {
        "CKR_MECHANISM_INVALID"
    }
}

fn openssl_verifies(machine: &Machine, name: &str, hash: &str) {
    let kind = if name.starts_with("ecdsa") {
        "ec"
    } else {
        "rsa"
    };
    let key = format!("{kind}.der");
    let mut words = vec![
        "dgst",
        hash,
        "-verify",
        &key,
        "-keyform",
        "DER",
        "-signature",
        "for-openssl.sig",
    ];
    if name.starts_with("pss") {
        words.extend(["-sigopt", "rsa_padding_mode:pss"]);
        words.extend(["-sigopt", "rsa_pss_saltlen:digest"]);
    }
    words.push("data");
    machine.does("openssl", &words);
}

#[test]
fn legacy_mechanisms_come_and_go_with_the_domains_policy() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let machine = Machine::new(&appliance, &mut admin, "web", SignsIn::ByPin);
    fs::write(machine.file("data"), "data").unwrap();
    let program = include_str!("legacy_mechanisms.py");
    let mut application = Application::of(&machine, "legacy_mechanisms.py", program);
    assert_eq!(application.does("listed"), "none", "nobody has signed in");
    assert_eq!(application.does("login"), "signed in");
    assert_eq!(application.does("make"), "made");
    assert_eq!(application.does("listed"), "none");
    for (name, _) in ALL {
        assert_eq!(application.does(&format!("sign {name}")), missing(name));
    }
    assert_eq!(application.does("encrypt"), "CKR_MECHANISM_INVALID");

    // One of them, and no other.
    allow(&mut admin, &[Mechanism::RsaPkcs1Sha1]);
    thread::sleep(A_SECOND);
    assert_eq!(application.does("listed"), "CKM_SHA1_RSA_PKCS");
    assert_eq!(application.does("sign pkcs1-sha1"), "signed");
    let other = application.does("sign pkcs1-sha224");
    assert_eq!(other, "CKR_MECHANISM_INVALID");

    allow(&mut admin, &Mechanism::LEGACY);
    thread::sleep(A_SECOND);
    assert_eq!(
        application.does("listed"),
        "CKM_RSA_X_509 CKM_SHA1_RSA_PKCS CKM_SHA224_RSA_PKCS CKM_SHA1_RSA_PKCS_PSS CKM_SHA224_RSA_PKCS_PSS \
         CKM_ECDSA_SHA1 CKM_ECDSA_SHA224"
    );
    for (name, hash) in ALL {
        let log = machine.log();
        assert_eq!(application.does(&format!("sign {name}")), "signed", "{log}");
        openssl_verifies(&machine, name, hash);
        assert_eq!(
            application.does(&format!("verify {name}")),
            "right",
            "{name}"
        );
    }
    // Without an encoding, too: what openssl encrypts the appliance decrypts, and what the module does.
    let number = [&[0][..], &[b'n'; 255]].concat();
    fs::write(machine.file("number"), number).unwrap();
    let words = "pkeyutl -encrypt -pubin -inkey rsa.der -keyform DER -pkeyopt rsa_padding_mode:none -in number -out by-openssl";
    machine.does("openssl", &words.split(' ').collect::<Vec<_>>());
    assert_eq!(application.does("decrypt by-openssl"), "decrypted");
    assert_eq!(application.does("encrypt"), "encrypted");
    assert_eq!(application.does("decrypt by-module"), "decrypted");

    // What is taken back is gone, for public keys in the process as for private ones in the appliance.
    allow(&mut admin, &[]);
    thread::sleep(A_SECOND);
    assert_eq!(application.does("listed"), "none");
    for (name, _) in ALL {
        assert_eq!(application.does(&format!("sign {name}")), missing(name));
        assert_eq!(application.does(&format!("verify {name}")), missing(name));
    }
    let refused = application.does("decrypt by-module");
    assert_eq!(refused, "CKR_MECHANISM_INVALID");
    assert_eq!(appliance.verify_audit()["verified"], true);
}
