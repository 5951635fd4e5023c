//! NSS: `modutil`, `certutil`, and a signed message.

use std::fs;

use strongroom_tests::legacy::{SignsIn, module};

use crate::pkcs11::machine;

#[test]
fn nss_makes_keys_and_certificates_and_signs() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    fs::create_dir(machine.file("nss")).unwrap();
    let does = |program: &str, line: &str| {
        machine
            .does(program, &line.split(' ').collect::<Vec<_>>())
            .text
    };
    does("certutil", "-N -d sql:nss --empty-password");
    does(
        "modutil",
        &format!(
            "-dbdir sql:nss -force -add strongroom -libfile {}",
            module()
        ),
    );
    let listed = does("modutil", "-dbdir sql:nss -list strongroom");
    assert!(listed.contains("Strongroom"), "{listed}");

    fs::write(machine.file("noise"), [0x5a; 64]).unwrap();
    does(
        "certutil",
        "-S -d sql:nss -n authority -s CN=authority -x -t CT,C,C -k ec -q nistp256 -z noise -m 1",
    );
    for (name, kind, number) in [("ec", "-k ec -q nistp256", 2), ("rsa", "-k rsa -g 2048", 3)] {
        let line = format!(
            "-S -d sql:nss -h strongroom -f pin -n {name} -s CN={name} -c authority -t ,, {kind} -z noise -m {number}"
        );
        does("certutil", &line);
        fs::write(machine.file("text"), "what is signed").unwrap();
        does(
            "cmsutil",
            &format!("-S -d sql:nss -f pin -N strongroom:{name} -i text -o signed"),
        );
        let opened = does("cmsutil", "-D -d sql:nss -f pin -i signed");
        assert!(opened.contains("what is signed"), "{opened}");
        let altered = fs::read(machine.file("signed")).unwrap();
        let at = altered
            .windows(14)
            .position(|window| window == b"what is signed")
            .unwrap();
        let altered: Vec<u8> = altered
            .iter()
            .enumerate()
            .map(|(index, byte)| byte ^ u8::from(index == at))
            .collect();
        fs::write(machine.file("altered"), altered).unwrap();
        let refused = machine.run(
            "cmsutil",
            &["-D", "-d", "sql:nss", "-f", "pin", "-i", "altered"],
        );
        assert!(!refused.success, "{refused:?}");
    }
    let keys = does("certutil", "-K -d sql:nss -h strongroom -f pin");
    assert!(
        keys.contains("strongroom:ec") && keys.contains("strongroom:rsa"),
        "{keys}"
    );
    let certificates = does("certutil", "-L -d sql:nss -h strongroom -f pin");
    assert!(certificates.contains("u,u,u"), "{certificates}");
    assert!(machine.log().contains("works in the appliance"));
}
