//! Attestation of the appliance's machine, with a TPM in software: by the command line, as an auditor does it, against the values of a release; and by the
//! appliance itself, each time that it was opened.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::image::{Image, RUNNING};
use strongroom_tests::person::Person;
use strongroom_tests::software_tpm::SoftwareTpm;
use strongroom_tests::{Appliance, Session};
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::problem::Code;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);
const PATH: &str = "/v1/appliance/attestation";

/// An appliance that serves on a machine with this TPM, on which the release's kernel image was measured.
fn attested(tpm: &SoftwareTpm) -> (Appliance, Image) {
    let mut appliance = Appliance::new();
    let image = Image::of(&mut appliance);
    tpm.attest_at(&image.attests(&mut appliance));
    tpm.measure(7, [7; 32]);
    tpm.measure(11, [11; 32]);
    appliance.serve();
    (appliance, image)
}

fn auditor(appliance: &Appliance) -> Person {
    let mut admin = appliance.administrator();
    Person::officer(appliance, &mut admin, "otto@example.com", Role::Auditor)
}

/// What a register holds in which this alone was measured.
fn measured(hash: [u8; 32]) -> String {
    let both = [[0; 32], hash].concat();
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &both))
}

/// The values of the release, as its build writes them, in a file of this person.
fn expectation(person: &Person, name: &str, pcr7: &str, pcr11: &str) {
    let values = json!({ "pcr7": pcr7, "pcr11": pcr11 });
    fs::write(person.file(name), values.to_string()).unwrap();
}

/// The leaves about attestations, the oldest first, once there are so many.
fn leaves(auditor: &mut Session, count: usize) -> Vec<Record> {
    let began = Instant::now();
    loop {
        let mut records = auditor.records_after(None).unwrap();
        records.retain(|record| record.act == Act::ApplianceAttest);
        records.sort_by_key(|record| record.index);
        if records.len() >= count {
            assert_eq!(records.len(), count);
            return records;
        }
        assert!(began.elapsed() < PATIENCE, "{} leaves", records.len());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_auditor_sees_which_release_the_machine_runs() {
    let tpm = SoftwareTpm::start();
    let (appliance, _image) = attested(&tpm);
    let otto = auditor(&appliance);
    let (pcr7, pcr11) = (measured([7; 32]), measured([11; 32]));

    let first = otto.run(&["appliance", "attest"]).success();
    for words in [
        "seen for the first time",
        "held against nothing",
        &pcr7,
        &pcr11,
    ] {
        assert!(first.stdout.contains(words), "{words}: {first:?}");
    }
    expectation(&otto, "release.pcr.json", &pcr7, &pcr11.to_uppercase());
    let expect = ["appliance", "attest", "--expect", "release.pcr.json"];
    let report = otto.json(&expect);
    assert_eq!(report["tpm_known"], "remembered");
    assert_eq!(report["compared"], true);
    assert_eq!(report["attestation"]["statement"]["release"], RUNNING);
    let fingerprint = report["attestation"]["tpm"].as_str().unwrap().to_owned();

    // Another kernel image's value, and that of other keys.
    let other = |value: &str| {
        format!(
            "{}{}",
            if value.starts_with('0') { '1' } else { '0' },
            &value[1..]
        )
    };
    for (register, a, b, meaning) in [
        (
            "PCR 11 is",
            pcr7.clone(),
            other(&pcr11),
            "another kernel image was started",
        ),
        (
            "PCR 7 is",
            other(&pcr7),
            pcr11.clone(),
            "Secure Boot is off, or the firmware checks with other keys",
        ),
    ] {
        expectation(&otto, "other.pcr.json", &a, &b);
        let line = ["appliance", "attest", "--expect", "other.pcr.json"];
        let why = otto.refused(&line, "failed");
        assert!(why.contains(register) && why.contains(meaning), "{why}");
        assert!(!why.contains("; PCR"), "one of them is right: {why}");
    }
    // What was measured since is no part of the release.
    let saved = [&expect[..], &["--save", "good.json"]].concat();
    let _ = otto.run(&saved).success();
    tpm.measure(11, [12; 32]);
    let why = otto.refused(&expect, "failed");
    assert!(why.contains("another kernel image"), "{why}");

    // What was kept is verified by whoever asks nobody, on another device.
    let alone = [
        "--home",
        "elsewhere",
        "appliance",
        "attest",
        "--check",
        "good.json",
    ];
    let unknown = otto.json(&[&alone[..], &["--expect", "release.pcr.json"]].concat());
    assert_eq!(
        (&unknown["tpm_known"], &unknown["compared"]),
        (&json!("unknown"), &json!(true))
    );
    let known = otto.json(&[&alone[..], &["--tpm", &fingerprint.to_uppercase()]].concat());
    assert_eq!(known["tpm_known"], "given");
    let another = other(&fingerprint);
    let elses = [&alone[..], &["--tpm", &another]].concat();
    let why = otto.refused(&elses, "failed");
    assert!(why.contains("another TPM attests"), "{why}");
    let text = fs::read_to_string(otto.file("good.json")).unwrap();
    let mut forged: Value = serde_json::from_str(&text).unwrap();
    forged["registers"]["pcr11"] = json!(measured([13; 32]));
    fs::write(otto.file("good.json"), forged.to_string()).unwrap();
    let why = otto.refused(&alone, "failed");
    assert!(why.contains("other values than those beside it"), "{why}");
}

#[test]
fn another_tpm_is_refused_until_it_is_named() {
    let tpm = SoftwareTpm::start();
    let (mut appliance, image) = attested(&tpm);
    let otto = auditor(&appliance);
    let first = otto.json(&["appliance", "attest"]);
    assert_eq!(first["tpm_known"], "first");
    let first = first["attestation"]["tpm"].as_str().unwrap();

    // The same disk and the same image, in another machine.
    let other = SoftwareTpm::start();
    let socket = image.attests(&mut appliance);
    fs::remove_file(&socket).unwrap();
    other.attest_at(&socket);
    let why = otto.refused(&["appliance", "attest"], "failed");
    assert!(
        why.contains("another TPM attests") && why.contains(first),
        "{why}"
    );
    let named = why.rsplit("--tpm ").next().unwrap();
    let report = otto.json(&["appliance", "attest", "--tpm", named]);
    assert_eq!(report["tpm_known"], "given");
    // From now on it is the one that this device knows.
    assert_eq!(
        otto.json(&["appliance", "attest"])["tpm_known"],
        "remembered"
    );
}

#[test]
fn the_expected_values_are_held_against_the_releases_signature() {
    let tpm = SoftwareTpm::start();
    let (appliance, _image) = attested(&tpm);
    let otto = auditor(&appliance);
    expectation(
        &otto,
        "release.pcr.json",
        &measured([7; 32]),
        &measured([11; 32]),
    );
    let make = "for key in signer other; do openssl req -x509 -newkey rsa:2048 -nodes -keyout $key.key -out $key.pem -subj /CN=$key 2>/dev/null; done; \
                sha256sum release.pcr.json > SHA256SUMS; openssl dgst -sha256 -sign signer.key -out SHA256SUMS.sig SHA256SUMS";
    let _ = otto.shell(make).success();
    let signed = [
        "appliance",
        "attest",
        "--expect",
        "release.pcr.json",
        "--signer",
    ];
    let by = |signer: &'static str| [&signed[..], &[signer]].concat();
    let report = otto.json(&by("signer.pem"));
    assert_eq!(
        (&report["compared"], &report["signed"]),
        (&json!(true), &json!(true))
    );
    let why = otto.refused(&by("other.pem"), "failed");
    assert!(why.contains("is not signed by the key in"), "{why}");
    // The same values, in a file that is not the one that was signed.
    let text = fs::read_to_string(otto.file("release.pcr.json")).unwrap();
    fs::write(otto.file("release.pcr.json"), format!("{text}\n")).unwrap();
    let why = otto.refused(&by("signer.pem"), "failed");
    assert!(why.contains("is not the file of its name"), "{why}");
}

#[test]
fn each_start_leaves_a_quote_that_an_auditor_verifies() {
    let tpm = SoftwareTpm::start();
    let (mut appliance, _image) = attested(&tpm);
    let otto = auditor(&appliance);
    let mut session = appliance.sign_in("otto@example.com");
    let first = leaves(&mut session, 1);
    assert!(first[0].done && first[0].actor.is_none());
    expectation(
        &otto,
        "release.pcr.json",
        &measured([7; 32]),
        &measured([11; 32]),
    );
    let index = first[0].index.to_string();
    let line = [
        "appliance",
        "attest",
        "--leaf",
        &index,
        "--expect",
        "release.pcr.json",
    ];
    let report = otto.json(&line);
    let statement = &report["attestation"]["statement"];
    assert_eq!(statement["nonce"], Value::Null);
    assert_eq!(report["compared"], true);
    // It is bound to a tree that it is the next leaf of, or nearly.
    assert!(statement["size"].as_u64().unwrap() <= first[0].index);

    // The leaf of something else is none.
    let why = otto.refused(&["appliance", "attest", "--leaf", "0"], "failed");
    assert!(why.contains("leaf 0 is of domain.initialise"), "{why}");

    // Whoever asks leaves none; the next start does, and says what was measured by then.
    let _ = otto.run(&["appliance", "attest"]).success();
    tpm.measure(11, [12; 32]);
    appliance.restart();
    let mut session = session.at(&appliance.api());
    let both = leaves(&mut session, 2);
    let index = both[1].index.to_string();
    let why = otto.refused(
        &[
            "appliance",
            "attest",
            "--leaf",
            &index,
            "--expect",
            "release.pcr.json",
        ],
        "failed",
    );
    assert!(why.contains("another kernel image"), "{why}");
}

#[test]
fn a_tpm_that_does_not_answer_is_said_and_recorded() {
    let mut appliance = Appliance::new();
    let image = Image::of(&mut appliance);
    let socket = image.attests(&mut appliance);
    appliance.serve();
    let otto = auditor(&appliance);
    let mut session = appliance.sign_in("otto@example.com");
    let failed = leaves(&mut session, 1);
    assert!(!failed[0].done);
    let note = failed[0].note.as_deref().unwrap();
    assert!(
        note.starts_with("not-attested Nobody answers for the TPM"),
        "{note}"
    );
    let why = otto.refused(&["appliance", "attest"], "not-attested");
    assert!(why.contains("Nobody answers for the TPM"), "{why}");
    // A unit whose TPM is gone says so.
    let tpm = SoftwareTpm::start();
    tpm.attest_at(&socket);
    let _ = otto.run(&["appliance", "attest"]).success();
    drop(tpm);
    let why = otto.refused(&["appliance", "attest"], "not-attested");
    assert!(why.contains("The TPM does not answer"), "{why}");
}

#[test]
fn attestation_is_for_auditors_and_who_looks_after_the_machine() {
    let tpm = SoftwareTpm::start();
    let (appliance, _image) = attested(&tpm);
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let nonce =
        |length: usize| json!({ "nonce": strongroom_wire::encoding::Base64(vec![7; length]) });
    let ask = |session: &mut Session, body: &Value| session.ask::<Value>("POST", PATH, body);
    let answer = ask(&mut admin, &nonce(32)).unwrap();
    assert_eq!(answer["statement"]["nonce"], nonce(32)["nonce"]);
    for wrong in [0, 31, 33] {
        let problem = ask(&mut admin, &nonce(wrong)).unwrap_err();
        assert_eq!(problem.code(), Code::Invalid, "{wrong}");
    }
    assert_eq!(
        ask(&mut alice, &nonce(32)).unwrap_err().code(),
        Code::NotPermitted
    );
    // The machine is not the business of another domain.
    let mut other = appliance.new_domain("acme", &[]);
    assert_eq!(
        ask(&mut other, &nonce(32)).unwrap_err().code(),
        Code::NotPermitted
    );

    let plain = Appliance::start();
    let mut admin = plain.administrator();
    assert_eq!(
        ask(&mut admin, &nonce(32)).unwrap_err().code(),
        Code::NotAnImage
    );
    let shown = Person::administrator(&plain);
    let _ = shown.login().success();
    let why = shown.refused(&["appliance", "attest"], "not-an-image");
    assert!(
        why.contains("only the image's machine is attested"),
        "{why}"
    );
}
