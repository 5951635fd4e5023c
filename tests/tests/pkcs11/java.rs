//! Java: `keytool` and `jarsigner` through `SunPKCS11`.

use std::fs;

use strongroom_tests::legacy::{Machine, SignsIn, module};

use crate::pkcs11::machine;

fn java(machine: &Machine, program: &str, line: &str) -> String {
    let provider = "-keystore NONE -storetype PKCS11 -providerClass sun.security.pkcs11.SunPKCS11 -providerArg java.cfg";
    let pin = machine.pin();
    let words: Vec<&str> = provider
        .split(' ')
        .chain(["-storepass", &pin])
        .chain(line.split(' '))
        .collect();
    machine.does(program, &words).text
}

#[test]
fn java_keeps_its_keys_in_the_appliance_and_signs_archives() {
    let (appliance, machine) = machine(SignsIn::ByPin);
    let text = format!(
        "name = Strongroom\nlibrary = {}\nslotListIndex = 0\n",
        module()
    );
    fs::write(machine.file("java.cfg"), text).unwrap();
    for (alias, line) in [
        (
            "ec",
            "-genkeypair -keyalg EC -groupname secp256r1 -sigalg SHA256withECDSA -dname CN=ec -alias ec",
        ),
        (
            "rsa",
            "-genkeypair -keyalg RSA -keysize 2048 -dname CN=rsa -alias rsa",
        ),
    ] {
        java(&machine, "keytool", line);
        let request = java(&machine, "keytool", &format!("-certreq -alias {alias}"));
        fs::write(machine.file("request"), request).unwrap();
        machine.does("openssl", &["req", "-in", "request", "-verify", "-noout"]);
        fs::write(machine.file("text"), alias).unwrap();
        machine.does("jar", &["--create", "--file", "signed.jar", "text"]);
        java(&machine, "jarsigner", &format!("signed.jar {alias}"));
        let verified = machine.does("jarsigner", &["-verify", "signed.jar"]).text;
        assert!(verified.contains("jar verified."), "{verified}");
    }
    java(
        &machine,
        "keytool",
        "-genseckey -alias aes -keyalg AES -keysize 256",
    );
    let listed = java(&machine, "keytool", "-list");
    for line in [
        "ec, PrivateKeyEntry",
        "rsa, PrivateKeyEntry",
        "aes, SecretKeyEntry",
    ] {
        assert!(listed.contains(line), "{listed}");
    }
    java(&machine, "keytool", "-delete -alias rsa");
    let listed = java(&machine, "keytool", "-list");
    assert!(!listed.contains("rsa, "), "{listed}");
    assert!(machine.log().contains("works in the appliance"));
    assert_eq!(appliance.verify_audit()["verified"], true);
}
