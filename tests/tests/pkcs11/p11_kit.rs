//! `p11-kit`: its server passes the token on, and its client module reaches it from where no configuration is.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use strongroom_tests::legacy::{Machine, SignsIn, module, said};

use crate::pkcs11::{machine, pair, tool, wait_until};

const CLIENTS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib64/pkcs11/p11-kit-client.so",
];

fn remote(machine: &Machine, words: &[&str]) -> String {
    let client = CLIENTS
        .iter()
        .find(|path| Path::new(path).exists())
        .unwrap();
    let address = format!("unix:path={}", machine.file("socket").display());
    let mut command = machine.command("pkcs11-tool");
    command
        .args(["--module", client, "--login", "--pin", &machine.pin()])
        .args(words)
        .env_remove("STRONGROOM_PKCS11_CONFIG")
        .env("P11_KIT_SERVER_ADDRESS", address);
    let said = said(&mut command);
    assert!(
        said.success,
        "{}\n{}\n{}",
        said.command,
        said.text,
        machine.log()
    );
    said.text
}

#[test]
fn p11_kit_passes_the_token_on() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    pair(&machine, "EC:secp256r1", "01", "ec");
    pair(&machine, "rsa:2048", "02", "rsa");
    let socket = machine.file("socket");
    let mut server = machine.command("p11-kit");
    server
        .args(["server", "--foreground", "--provider", &module(), "--name"])
        .arg(&socket)
        .arg("pkcs11:token=strongroom")
        .stdout(Stdio::null());
    let _server = machine.starts(&mut server);
    wait_until("the server listens", || socket.exists());
    let listed = remote(&machine, &["--list-objects", "--type", "privkey"]);
    assert!(listed.contains("never extractable"), "{listed}");
    fs::write(machine.file("data"), [7; 32]).unwrap();
    // p11-kit 0.24 passes no other mechanism of ECDSA on.
    for (mechanism, id) in [("ECDSA", "01"), ("SHA256-RSA-PKCS", "02")] {
        let sign = [
            "--sign",
            "--mechanism",
            mechanism,
            "--id",
            id,
            "-i",
            "data",
            "-o",
            "signature",
        ];
        remote(&machine, &sign);
        let verify = [
            "--verify",
            "--mechanism",
            mechanism,
            "--id",
            id,
            "-i",
            "data",
            "--signature-file",
            "signature",
        ];
        let verified = tool(&machine, &verify);
        assert!(verified.contains("Signature is valid"), "{verified}");
    }
}
