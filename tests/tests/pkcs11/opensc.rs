//! `pkcs11-tool` of `OpenSC`.

use std::fs;

use strongroom_tests::legacy::{Machine, SignsIn, module};

use crate::pkcs11::{machine, pair, tool};

#[test]
fn opensc_finds_nothing_wrong() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    pair(&machine, "EC:secp256r1", "01", "ec");
    pair(&machine, "rsa:2048", "02", "rsa");
    let said = tool(&machine, &["--test"]);
    assert!(said.contains("No errors"), "{said}");
    // Not only looked at and skipped.
    for word in ["RSA-PKCS: OK", "RSA-PKCS-OAEP: ", "SHA256: OK"] {
        assert!(said.contains(word), "{said}");
    }
    for words in [&["--test-fork"][..], &["--test-threads", "ILGISLT0"]] {
        tool(&machine, words);
    }
    let listed = machine.does("pkcs11-tool", &["--module", &module(), "--list-mechanisms"]);
    assert!(
        listed
            .text
            .contains("ECDSA-SHA256, keySize={256,521}, hw, sign"),
        "{}",
        listed.text
    );
}

#[test]
fn what_pkcs11_tool_signs_openssl_verifies() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    fs::write(machine.file("data"), "what is signed\n").unwrap();
    for (kind, id) in [
        ("EC:secp384r1", "01"),
        ("rsa:3072", "02"),
        ("EC:edwards25519", "03"),
    ] {
        pair(&machine, kind, id, kind);
    }
    // (OpenSC 0.23 reads EC public keys out by way of memory that it has freed: GnuTLS does it instead.)
    let provider = module();
    for (mechanism, id, form, openssl) in [
        ("ECDSA-SHA384", "01", "openssl", &["-sha384"][..]),
        ("SHA256-RSA-PKCS", "02", "rs", &["-sha256"]),
        ("SHA512-RSA-PKCS", "02", "rs", &["-sha512"]),
        (
            "SHA256-RSA-PKCS-PSS",
            "02",
            "rs",
            &[
                "-sha256",
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:32",
            ],
        ),
    ] {
        let sign = [
            "--sign",
            "--mechanism",
            mechanism,
            "--id",
            id,
            "--signature-format",
            form,
        ];
        tool(
            &machine,
            &[&sign[..], &["-i", "data", "-o", "signature"]].concat(),
        );
        let url = format!("pkcs11:token=strongroom;id=%{id};type=public");
        let export = [
            "--provider",
            &provider,
            "--export-pubkey",
            "--outfile",
            "key.pem",
            &url,
        ];
        let mut p11tool = machine.command("p11tool");
        let exported = p11tool
            .args(["--login"])
            .args(export)
            .env("GNUTLS_PIN", machine.pin());
        let exported = strongroom_tests::legacy::said(exported);
        assert!(exported.success, "{exported:?}");
        let verify = ["dgst", "-verify", "key.pem", "-signature", "signature"];
        machine.does("openssl", &[&verify[..], openssl, &["data"]].concat());
    }
    let sign = [
        "--sign",
        "--mechanism",
        "EDDSA",
        "--id",
        "03",
        "-i",
        "data",
        "-o",
        "signature",
    ];
    tool(&machine, &sign);
    assert_eq!(fs::read(machine.file("signature")).unwrap().len(), 64);
}

#[test]
fn what_an_old_application_cannot_live_with_is_hidden() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    pair(&machine, "EC:secp256r1", "01", "usual");
    pair(&machine, "EC:edwards25519", "02", "modern");
    let listed = || {
        let mechanisms = machine.does("pkcs11-tool", &["--module", &module(), "--list-mechanisms"]);
        tool(&machine, &["--list-objects"]) + &mechanisms.text
    };
    let all = listed();
    assert!(all.contains("modern") && all.contains("EDDSA"), "{all}");
    let configuration = fs::read_to_string(machine.file("pkcs11.toml")).unwrap();
    let hides = configuration + "[compatibility]\nhide = [\"edwards\"]\n";
    fs::write(machine.file("pkcs11.toml"), hides).unwrap();
    let all = listed();
    assert!(all.contains("usual") && all.contains("ECDSA"), "{all}");
    assert!(!all.contains("modern") && !all.contains("EDDSA"), "{all}");
}

#[test]
fn keys_certificates_and_data_are_brought_found_changed_and_removed() {
    let (appliance, machine) = machine(SignsIn::ByPin);
    machine.does(
        "openssl",
        &words("req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=x"),
    );
    machine.does(
        "openssl",
        &words("x509 -in cert.pem -outform DER -out cert.der"),
    );
    machine.does(
        "openssl",
        &words("rsa -in key.pem -outform DER -out key.der"),
    );
    fs::write(machine.file("note"), "a note\n").unwrap();
    fs::write(machine.file("secret"), [7; 32]).unwrap();
    tool(
        &machine,
        &words("--write-object cert.der --type cert --id 07 --label brought"),
    );
    tool(
        &machine,
        &words("--write-object key.der --type privkey --id 07 --label brought"),
    );
    tool(
        &machine,
        &words("--write-object note --type data --label note --application-label app"),
    );
    tool(
        &machine,
        &words(
            "--write-object secret --type secrkey --key-type AES:32 --id 08 --label secret --extractable",
        ),
    );
    tool(
        &machine,
        &words("--keygen --key-type AES:32 --id 09 --label kept --sensitive"),
    );

    let listed = tool(&machine, &words("--list-objects"));
    for line in [
        "Certificate Object",
        "subject:    DN: CN=x",
        "Private Key Object; RSA",
        "application:    'app'",
    ] {
        assert!(listed.contains(line), "{line}: {listed}");
    }
    tool(
        &machine,
        &words("--read-object --type cert --id 07 -o read.der"),
    );
    assert_eq!(
        fs::read(machine.file("read.der")).unwrap(),
        fs::read(machine.file("cert.der")).unwrap()
    );
    tool(
        &machine,
        &words("--read-object --type data --label note -o read"),
    );
    assert_eq!(fs::read(machine.file("read")).unwrap(), b"a note\n");

    // The key that was brought works in the appliance; the one that may be released, here.
    tool(
        &machine,
        &words("--sign --mechanism SHA256-RSA-PKCS --id 07 -i note -o signature"),
    );
    machine.does(
        "openssl",
        &words("x509 -in cert.pem -noout -pubkey -out public.pem"),
    );
    machine.does(
        "openssl",
        &words("dgst -sha256 -verify public.pem -signature signature note"),
    );
    assert!(
        machine
            .log()
            .contains("works in the appliance by mechanism 0x40")
    );
    let brought = "07".repeat(32);
    for (id, key) in [("08", Some(&*brought)), ("09", None)] {
        seal_and_open(&machine, id, key);
    }
    assert!(machine.log().contains("works in the process"));

    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn objects_get_another_identifier_and_are_removed() {
    let (appliance, machine) = machine(SignsIn::ByPin);
    fs::write(machine.file("note"), "a note\n").unwrap();
    pair(&machine, "EC:secp256r1", "07", "pair");
    tool(
        &machine,
        &words("--write-object note --type data --label note"),
    );
    tool(
        &machine,
        &words("--keygen --key-type AES:32 --id 09 --label kept --sensitive"),
    );
    tool(&machine, &words("--type privkey --id 07 --set-id 70"));
    let listed = tool(&machine, &words("--list-objects --type privkey"));
    assert!(listed.contains("ID:         70"), "{listed}");
    for what in [
        "--type data --label note",
        "--type privkey --id 70",
        "--type secrkey --id 09",
    ] {
        tool(
            &machine,
            &[&words("--delete-object")[..], &words(what)].concat(),
        );
    }
    let listed = tool(&machine, &words("--list-objects"));
    for gone in ["Private Key", "Certificate", "Data object", "kept"] {
        assert!(!listed.contains(gone), "{gone}: {listed}");
    }
    assert_eq!(appliance.verify_audit()["verified"], true);
}

/// Encrypts and decrypts a file with a key; `openssl` opens it, too, where the key is known.
fn seal_and_open(machine: &Machine, id: &str, key: Option<&str>) {
    let iv = "00000000000000000000000000000000";
    let crypt = ["--mechanism", "AES-CBC-PAD", "--iv", iv, "--id", id];
    for line in [
        "--encrypt -i note -o sealed",
        "--decrypt -i sealed -o opened",
    ] {
        tool(machine, &[&words(line)[..], &crypt].concat());
    }
    assert_eq!(fs::read(machine.file("opened")).unwrap(), b"a note\n");
    if let Some(key) = key {
        let open = [
            "enc",
            "-d",
            "-aes-256-cbc",
            "-K",
            key,
            "-iv",
            iv,
            "-in",
            "sealed",
        ];
        assert_eq!(machine.does("openssl", &open).out, b"a note\n");
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}
