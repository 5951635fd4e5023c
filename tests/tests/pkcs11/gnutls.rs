//! `p11tool` and `certtool` of `GnuTLS`.

use std::fs;

use strongroom_tests::legacy::{Machine, Said, SignsIn, module, said};

use crate::pkcs11::machine;

fn gnutls(machine: &Machine, program: &str, words: &[&str]) -> Said {
    let mut command = machine.command(program);
    command.args(["--provider", &module()]).args(words);
    let said = said(command.env("GNUTLS_PIN", machine.pin()));
    assert!(
        said.success,
        "{}\n{}\n{}",
        said.command,
        said.text,
        machine.log()
    );
    said
}

#[test]
fn gnutls_makes_keys_signs_with_them_and_issues_certificates() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    let token = "pkcs11:token=strongroom";
    let tokens = gnutls(&machine, "p11tool", &["--list-tokens"]).text;
    assert!(tokens.contains("Model: appliance"), "{tokens}");
    for (kind, size, id) in [
        ("ecdsa", "--curve=secp384r1", "20"),
        ("rsa", "--bits=3072", "21"),
    ] {
        let make = format!("--generate-privkey={kind}");
        let id = format!("--id={id}");
        let words = [
            "--login",
            &make,
            size,
            "--label",
            kind,
            &id,
            "--outfile",
            kind,
            token,
        ];
        gnutls(&machine, "p11tool", &words);
        let url = format!("{token};object={kind};type=private");
        let tested = gnutls(&machine, "p11tool", &["--login", "--test-sign", &url]).text;
        assert!(
            tested.contains("Verifying against public key in the token... ok"),
            "{tested}"
        );
    }
    let listed = gnutls(&machine, "p11tool", &["--login", "--list-all", token]).text;
    assert!(
        listed.contains("Private key (EC/ECDSA-SECP384R1)"),
        "{listed}"
    );
    assert!(
        listed.contains("CKA_NEVER_EXTRACTABLE; CKA_SENSITIVE"),
        "{listed}"
    );

    fs::write(
        machine.file("template"),
        "cn = \"GnuTLS\"\nca\nexpiration_days = 2\n",
    )
    .unwrap();
    let url = format!("{token};object=ecdsa;type=private");
    let words = [
        "--generate-self-signed",
        "--load-privkey",
        &url,
        "--load-pubkey",
        "ecdsa",
        "--template",
        "template",
    ];
    gnutls(
        &machine,
        "certtool",
        &[&words[..], &["--outfile", "cert.pem"]].concat(),
    );
    machine.does("openssl", &["verify", "-CAfile", "cert.pem", "cert.pem"]);

    let words = [
        "--login",
        "--write",
        "--load-certificate",
        "cert.pem",
        "--label",
        "certificate",
        "--id=20",
        token,
    ];
    gnutls(&machine, "p11tool", &words);
    let url = format!("{token};object=certificate;type=cert");
    let exported = gnutls(&machine, "p11tool", &["--login", "--export", &url]).text;
    let written = fs::read_to_string(machine.file("cert.pem")).unwrap();
    let body = written.split("-----BEGIN").nth(1).unwrap().trim();
    assert!(exported.contains(body), "{exported}");
    gnutls(
        &machine,
        "p11tool",
        &["--login", "--batch", "--delete", &url],
    );
    let listed = gnutls(&machine, "p11tool", &["--login", "--list-all", token]).text;
    assert!(!listed.contains("certificate"), "{listed}");
}
