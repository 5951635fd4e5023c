//! `openssl` through its engine `pkcs11`: requests, a certificate authority, signed and encrypted messages.

use std::fs;
use std::path::Path;

use strongroom_tests::legacy::{Machine, SignsIn, module};

use crate::pkcs11::{machine, pair};

/// Debian's places of the engine.
const ENGINES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/engines-3/pkcs11.so",
    "/usr/lib64/engines-3/pkcs11.so",
];

/// The name of a private key on the token.
pub(crate) fn private(label: &str) -> String {
    format!("pkcs11:token=strongroom;object={label};type=private")
}

/// Writes a configuration for `openssl` with the module behind its engine.
pub(crate) fn configure(machine: &Machine) {
    let engine = ENGINES
        .iter()
        .find(|path| Path::new(path).exists())
        .unwrap();
    let (module, pin) = (module(), machine.pin());
    let text = format!(
        "openssl_conf = openssl_init\n\
         [openssl_init]\nengines = engines\n\
         [engines]\npkcs11 = pkcs11\n\
         [pkcs11]\nengine_id = pkcs11\ndynamic_path = {engine}\nMODULE_PATH = {module}\nPIN = {pin}\ninit = 0\n\
         [req]\ndistinguished_name = names\nx509_extensions = authority_extensions\n[names]\n\
         [authority_extensions]\nbasicConstraints = critical, CA:true\n\
         [ca]\ndefault_ca = authority\n\
         [authority]\ndatabase = ./index\nnew_certs_dir = .\nserial = ./serial\ndefault_md = sha256\npolicy = policy\ndefault_days = 2\n\
         [policy]\ncommonName = supplied\n"
    );
    fs::write(machine.file("openssl.cnf"), text).unwrap();
}

/// Runs `openssl` with this configuration, which must succeed.
pub(crate) fn openssl(machine: &Machine, line: &str) -> String {
    let mut command = machine.command("openssl");
    command
        .args(line.split(' '))
        .env("OPENSSL_CONF", machine.file("openssl.cnf"));
    let said = strongroom_tests::legacy::said(&mut command);
    assert!(
        said.success,
        "{}\n{}\n{}",
        said.command,
        said.text,
        machine.log()
    );
    said.text
}

const ENGINE: &str = "-engine pkcs11 -keyform engine";

/// Makes a certificate that a key of the token signs for itself.
pub(crate) fn self_signed(machine: &Machine, label: &str, name: &str, file: &str) {
    let key = private(label);
    let line = format!(
        "req -new -x509 {ENGINE} -key {key} -subj /CN={name} -addext subjectAltName=DNS:{name} -out {file} -days 2"
    );
    openssl(machine, &line);
}

#[test]
fn openssl_requests_issues_signs_and_opens_with_keys_of_the_appliance() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    configure(&machine);
    pair(&machine, "EC:secp256r1", "01", "ec");
    pair(&machine, "rsa:2048", "02", "rsa");
    fs::write(machine.file("index"), "").unwrap();
    fs::write(machine.file("serial"), "01\n").unwrap();
    fs::write(machine.file("message"), "a message\n").unwrap();
    let (ec, rsa) = (private("ec"), private("rsa"));

    openssl(
        &machine,
        &format!("req -new {ENGINE} -key {ec} -subj /CN=ec -out ec.csr"),
    );
    let checked = openssl(&machine, "req -in ec.csr -verify -noout");
    assert!(checked.contains("verify OK"), "{checked}");
    self_signed(&machine, "rsa", "authority", "ca.pem");
    openssl(
        &machine,
        &format!("ca -batch {ENGINE} -keyfile {rsa} -cert ca.pem -in ec.csr -out ec.pem"),
    );
    openssl(&machine, "verify -CAfile ca.pem ec.pem");

    openssl(
        &machine,
        &format!(
            "cms -sign -nodetach {ENGINE} -inkey {ec} -signer ec.pem -in message -out signed -outform PEM"
        ),
    );
    let opened = openssl(
        &machine,
        "cms -verify -in signed -inform PEM -CAfile ca.pem -purpose any",
    );
    assert!(opened.starts_with("a message"), "{opened}");
    openssl(
        &machine,
        "cms -encrypt -aes-256-cbc -in message -out sealed -outform PEM ca.pem",
    );
    let opened = openssl(
        &machine,
        &format!("cms -decrypt {ENGINE} -inkey {rsa} -recip ca.pem -in sealed -inform PEM"),
    );
    assert!(opened.starts_with("a message"), "{opened}");

    openssl(&machine, "x509 -in ca.pem -noout -pubkey -out rsa.pem");
    for (sign, verify) in [
        ("-sha512", "-sha512"),
        (
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
        ),
    ] {
        openssl(
            &machine,
            &format!(
                "dgst -engine pkcs11 -keyform engine -sign {rsa} {sign} -out signature message"
            ),
        );
        openssl(
            &machine,
            &format!("dgst -verify rsa.pem {verify} -signature signature message"),
        );
    }
    assert!(machine.log().contains("works in the appliance"));
}
