//! Keys inside the HSM, from the application's call to the token and back: `pkcs11-tool` makes, uses and destroys them through the module, `openssl`
//! says whether what they sign holds, and `SoftHSM` itself shows whether they are there.

use std::env;
use std::fs;

use strongroom_tests::legacy::{Machine, SignsIn, module, said};
use strongroom_tests::{Appliance, Person, programs};

/// A machine whose token keeps generated keys in the HSM.
fn machine(appliance: &Appliance) -> Machine {
    let mut admin = appliance.administrator();
    let machine = Machine::new(appliance, &mut admin, "web", SignsIn::ByPin);
    let file = machine.file("pkcs11.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replacen("[[token]]\n", "[[token]]\nprotection = \"hsm\"\n", 1);
    fs::write(file, text).unwrap();
    fs::write(machine.file("data"), "what is signed\n").unwrap();
    machine
}

/// Runs `pkcs11-tool` with the module, signed in.
fn run(machine: &Machine, line: &str) -> (bool, String) {
    let (module, pin) = (module(), machine.pin());
    let head = ["--module", &module, "--login", "--pin", &pin];
    let words: Vec<&str> = line.split(' ').collect();
    let said = machine.run("pkcs11-tool", &[&head[..], &words].concat());
    (said.success, said.text)
}

/// The same, which must succeed.
fn tool(machine: &Machine, line: &str) -> String {
    let (success, text) = run(machine, line);
    assert!(success, "{line}: {text}\n{}", machine.log());
    text
}

/// What the HSM itself shows of named keys of a type: each object's lines.
fn held(appliance: &Appliance, machine: &Machine, kind: &str) -> Vec<String> {
    let pin = fs::read_to_string(appliance.data().join("hsm-pin")).unwrap();
    let hsm = programs::softhsm();
    let mut command = machine.command("pkcs11-tool");
    command
        .env("SOFTHSM2_CONF", appliance.data().join("softhsm2.conf"))
        .args(["--module", hsm.to_str().unwrap()])
        .args(["--token-label", "strongroom", "--login", "--pin"])
        .arg(pin.trim())
        .args(["--list-objects", "--type", kind]);
    let said = said(&mut command);
    assert!(said.success, "{}", said.text);
    let mut objects = Vec::new();
    for line in said.text.lines() {
        if line.contains("Object;") {
            objects.push(String::new());
        }
        if let Some(object) = objects.last_mut() {
            object.push_str(line);
            object.push('\n');
        }
    }
    objects.retain(|object| object.contains("strongroom/default/key/"));
    objects
}

/// By `PyKCS11`, what the vendor's attribute of each private key says: `hsm`. It asserts by itself.
const PLACES: &str = r#"
import os
import PyKCS11 as p

lib = p.PyKCS11Lib()
lib.load(os.environ["MODULE"])
slot = lib.getSlotList(tokenPresent=True)[0]
session = lib.openSession(slot, p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION)
session.login(os.environ["PIN"])
keys = session.findObjects([(p.CKA_CLASS, p.CKO_PRIVATE_KEY)])
assert len(keys) == 2, keys
for key in keys:
    [place] = session.getAttributeValue(key, [0x80000000 | 0x53520001])
    assert bytes(place) == b"hsm", place
    for attribute, wanted in [
        (p.CKA_SENSITIVE, True),
        (p.CKA_EXTRACTABLE, False),
        (p.CKA_NEVER_EXTRACTABLE, True),
        (p.CKA_LOCAL, True),
    ]:
        assert session.getAttributeValue(key, [attribute]) == [wanted], attribute
"#;

/// Checks by `openssl` what a key of the token signed.
fn signs(machine: &Machine, id: &str, mechanism: &str, form: &str, openssl: &str) {
    tool(
        machine,
        &format!(
            "--sign --mechanism {mechanism} --id {id} --signature-format {form} -i data -o signature"
        ),
    );
    // (OpenSC 0.23 reads EC public keys out by way of memory that it has freed: GnuTLS does it instead.)
    let mut p11tool = machine.command("p11tool");
    let url = format!("pkcs11:token=strongroom;id=%{id};type=public");
    let exported = said(
        p11tool
            .args(["--login", "--provider", &module(), "--export-pubkey"])
            .args(["--outfile", "key.pem", &url])
            .env("GNUTLS_PIN", machine.pin()),
    );
    assert!(exported.success, "{exported:?}");
    let line = format!("dgst -verify key.pem -signature signature {openssl} data");
    let words: Vec<&str> = line.split(' ').collect();
    machine.does("openssl", &words);
    // It is this message's signature.
    let other = line.replace(" data", " pin");
    let words: Vec<&str> = other.split(' ').collect();
    assert!(!machine.run("openssl", &words).success);
}

#[test]
fn key_pairs_are_made_and_used_in_the_hsm_and_destroyed_there() {
    let appliance = Appliance::start();
    let machine = machine(&appliance);
    assert!(held(&appliance, &machine, "privkey").is_empty());
    for (kind, id) in [("rsa:2048", "01"), ("EC:secp256r1", "02")] {
        let made = tool(
            &machine,
            &format!("--keypairgen --key-type {kind} --id {id} --label key{id}"),
        );
        assert!(made.contains("never extractable"), "{made}");
    }
    // Both are in the token, whose own attributes say that they stay there.
    let private = held(&appliance, &machine, "privkey");
    assert_eq!(private.len(), 2, "{private:?}");
    for object in &private {
        let access = "Access:     sensitive, always sensitive, never extractable, local";
        assert!(object.contains(access), "{object}");
    }
    assert_eq!(held(&appliance, &machine, "pubkey").len(), 2);

    signs(&machine, "01", "SHA256-RSA-PKCS", "rs", "-sha256");
    signs(&machine, "01", "SHA512-RSA-PKCS", "rs", "-sha512");
    signs(
        &machine,
        "01",
        "SHA256-RSA-PKCS-PSS",
        "rs",
        "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
    );
    signs(&machine, "02", "ECDSA-SHA256", "openssl", "-sha256");
    let log = machine.log();
    assert!(log.contains("works in the hsm by mechanism"), "{log}");
    assert!(!log.contains("works in the appliance"), "{log}");

    fs::write(machine.file("places.py"), PLACES).unwrap();
    let python = env::var("STRONGROOM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = machine.command(python);
    command
        .arg("places.py")
        .env("MODULE", module())
        .env("PIN", machine.pin());
    let places = said(&mut command);
    assert!(places.success, "{}\n{}", places.text, machine.log());

    tool(&machine, "--delete-object --type privkey --id 01");
    let left = held(&appliance, &machine, "privkey");
    assert_eq!(left.len(), 1);
    assert!(left.iter().all(|object| object.contains("EC")), "{left:?}");
    tool(&machine, "--delete-object --type privkey --id 02");
    assert!(held(&appliance, &machine, "privkey").is_empty());
    assert!(held(&appliance, &machine, "pubkey").is_empty());
    let report = appliance.verify_audit();
    assert_eq!(report["verified"], true, "{report}");
}

#[test]
fn people_make_keys_in_the_hsm_and_no_backup_has_them() {
    let mut appliance = Appliance::start();
    let folder = tempfile::tempdir().unwrap();
    let admin = Person::administrator(&appliance);
    let _ = admin.enrol(appliance.administrator_code()).success();
    let _ = admin.login().success();
    let created = admin.json(&["accounts", "create", "alice@example.com"]);
    let alice = Person::new(&appliance, "alice@example.com");
    let _ = alice
        .enrol(created["enrolment_code"].as_str().unwrap())
        .success();
    let _ = alice.login().success();
    let words = [
        "keys",
        "create",
        "--algorithm",
        "rsa-2048",
        "--protection",
        "hsm",
    ];
    let made = alice.json(&words);
    let key = made["key"]["id"].as_str().unwrap();
    assert_eq!(made["key"]["protection"], "hsm");
    assert_eq!(made["key"]["releasable"], "never");
    let shown = alice.run(&["keys", "show", key]).success();
    assert!(shown.stdout.contains("inside the HSM"), "{shown:?}");
    fs::write(alice.file("report"), "The patient is well.\n").unwrap();
    let _ = alice.run(&["sign", key, "report"]).success();
    let public = alice.run(&["keys", "public", key]).success();
    fs::write(alice.file("key.pem"), &public.stdout).unwrap();
    let verified = said(
        std::process::Command::new("openssl")
            .current_dir(alice.file(""))
            .args(["dgst", "-sha256", "-verify", "key.pem"])
            .args(["-signature", "report.sig", "report"]),
    );
    assert!(verified.success, "{}", verified.text);

    let backup = folder.path().join("backup");
    let mut command = appliance.strongroomd();
    let made = said(command.arg("backup").arg("--to").arg(&backup));
    assert!(made.success, "{}", made.text);
    let restore = |appliance: &Appliance, more: &[&str]| {
        let mut command = appliance.strongroomd();
        let command = command
            .args(["restore", "--dry-run"])
            .args(more)
            .arg(&backup);
        let done = said(command.arg("--data").arg(folder.path().join("restored")));
        assert!(done.success, "{}", done.text);
        done.text
    };
    let with_it = restore(&appliance, &["--json"]);
    assert!(!with_it.contains("lost_keys"), "{with_it}");
    // Another HSM, or somebody at this one: the key is gone, and nothing brings it back.
    appliance.stop();
    let machine = tempfile::tempdir().unwrap();
    let pin = fs::read_to_string(appliance.data().join("hsm-pin")).unwrap();
    for kind in ["privkey", "pubkey"] {
        let deleted = said(
            std::process::Command::new("pkcs11-tool")
                .current_dir(machine.path())
                .env("SOFTHSM2_CONF", appliance.data().join("softhsm2.conf"))
                .args(["--module", programs::softhsm().to_str().unwrap()])
                .args(["--token-label", "strongroom", "--login", "--pin"])
                .arg(pin.trim())
                .args(["--delete-object", "--type", kind, "--label"])
                .arg(format!("strongroom/default/key/{key}/v1")),
        );
        assert!(deleted.success, "{}", deleted.text);
    }
    let without = restore(&appliance, &["--json"]);
    assert!(
        without.contains("lost_keys") && without.contains(key),
        "{without}"
    );
    let without = restore(&appliance, &[]);
    assert!(without.contains("they are lost"), "{without}");
    appliance.serve();
    let refused = alice.run(&["sign", key, "report", "--force"]).failure();
    assert!(
        refused.stderr.contains("does not hold this key any more"),
        "{refused:?}"
    );
    let _ = alice.run(&["verify", key, "report"]).success();
    let _ = alice.run(&["keys", "destroy", key, "--yes"]).success();
}

#[test]
fn what_the_hsm_does_not_keep_is_refused_and_what_may_leave_is_kept_in_software() {
    let appliance = Appliance::start();
    let machine = machine(&appliance);
    let kept = |kind| held(&appliance, &machine, kind).len();
    // The application wants these out again.
    tool(
        &machine,
        "--keygen --key-type AES:32 --id 01 --label soft --extractable",
    );
    assert_eq!(kept("secrkey"), 0);
    tool(
        &machine,
        "--keygen --key-type AES:32 --id 02 --label hard --sensitive",
    );
    assert_eq!(kept("secrkey"), 1);
    // No HSM is asked for a key of that length.
    let (success, text) = run(
        &machine,
        "--keygen --key-type AES:16 --id 03 --label short --sensitive",
    );
    assert!(!success, "{text}");
    assert_eq!(kept("secrkey"), 1);
}
