//! Exports of the audit log from a real appliance: who gets what, how it is verified elsewhere, and that a long log takes no more memory than a short one.

#![expect(clippy::print_stdout, reason = "tests, one of which tells its figures")]

mod long_log;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use strongroom_tests::{Appliance, Outcome, Person, Session};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::problem::Code;

const AUDITOR: &str = "auditor@example.com";

/// An appliance on which something happened, with an auditor and an owner at the command line.
struct Scene {
    appliance: Appliance,
    admin: Session,
    alice: Session,
    auditor: Person,
    owner: Person,
    key: String,
}

fn scene() -> Scene {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut bob = appliance.person(&mut admin, "bob@example.com");
    let created = admin
        .create_account(AUDITOR, AccountKind::Person, &[Role::Auditor], None)
        .unwrap();
    let auditor = Person::new(&appliance, AUDITOR);
    let _ = auditor.enrol(&created.enrolment_code.unwrap()).success();
    let _ = auditor.login().success();
    let owner = Person::new(&appliance, "alice@example.com");
    let _ = owner.login().success();
    let key = alice.create_key("report.pdf", &[]).unwrap().key.id;
    alice.release(key).unwrap();
    // Bob tries what he may not, and then may.
    assert!(bob.release(key).is_err());
    alice.share(key, "bob@example.com").unwrap();
    bob.release(key).unwrap();
    bob.create_key("bob's own", &[]).unwrap();
    Scene {
        appliance,
        admin,
        alice,
        auditor,
        owner,
        key: key.to_string(),
    }
}

/// Verifies a file with the verifier in Python.
fn in_python(person: &Person, arguments: &[&str]) -> (i32, Value) {
    let python = env::var_os("STRONGROOM_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier/verify_bundle.py");
    let output = Command::new(PathBuf::from(python))
        .arg("-I")
        .arg(script)
        .args(arguments)
        .arg("--json")
        .current_dir(person.device().join("files"))
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

/// Exports with these words; the bundle is whole, and the verifier in Python finds the same in it.
pub(crate) fn export(person: &Person, name: &str, words: &[&str]) -> Value {
    let report = person.json(&[&["audit", "export", name], words].concat());
    assert_eq!(report["verified"], true, "{report}");
    let key = report["verifier_key"].as_str().unwrap();
    let (status, theirs) = in_python(person, &[name, "--verifier-key", key]);
    assert_eq!(status, 0, "{theirs}");
    for member in [
        "records",
        "refused",
        "redacted",
        "hidden",
        "root",
        "size",
        "documents",
        "approvals",
        "quorums",
        "quorums_unjudged",
    ] {
        assert_eq!(
            report[member], theirs[member],
            "{member}: {report} {theirs}"
        );
    }
    report
}

fn number(report: &Value, member: &str) -> u64 {
    report[member].as_u64().unwrap()
}

#[test]
fn auditors_export_what_they_ask_for_and_anyone_verifies_it() {
    let mut scene = scene();
    let (auditor, key) = (&scene.auditor, scene.key.as_str());
    let records: Vec<Record> = {
        let page: Value = auditor.json(&["audit", "tail", "-n", "1000"]);
        serde_json::from_value(page["records"].clone()).unwrap()
    };

    let whole = export(auditor, "all.bundle", &[]);
    let size = number(&whole, "size");
    assert_eq!(number(&whole, "records"), size);
    // The export's own leaf is in it.
    assert!(size > records.len() as u64, "{whole}");
    assert_eq!(number(&whole, "redacted"), 0);

    let releases = export(auditor, "releases.bundle", &["--act", "key.release"]);
    let count = |is: &dyn Fn(&Record) -> bool| records.iter().filter(|record| is(record)).count();
    assert_eq!(
        number(&releases, "records"),
        count(&|record| record.act == Act::KeyRelease) as u64
    );
    assert_eq!(number(&releases, "refused"), 1);
    assert!(number(&releases, "redacted") > 0);

    let of_key = export(auditor, "key.bundle", &["--key", key]);
    let about = |record: &Record| record.key.is_some_and(|other| other.to_string() == key);
    assert_eq!(number(&of_key, "records"), count(&about) as u64);

    let alice = scene.alice.account.id.to_string();
    let of_alice = export(auditor, "alice.bundle", &["--account", &alice]);
    let id = scene.alice.account.id;
    let concerns =
        |record: &Record| [record.actor, record.subject, record.owner].contains(&Some(id));
    assert_eq!(number(&of_alice, "records"), count(&concerns) as u64);

    // A period, to the millisecond: its edges are shown, redacted.
    let (from, to) = (records[3].time, records[records.len() - 2].time);
    let (from_text, to_text) = (from.to_string(), to.to_string());
    let period = ["--from", &from_text, "--to", &to_text];
    let of_period = export(auditor, "period.bundle", &period);
    let within = |record: &Record| record.time >= from && record.time < to;
    assert_eq!(number(&of_period, "records"), count(&within) as u64);
    assert!(number(&of_period, "redacted") >= 2, "{of_period}");
    // Before there was anything.
    let nothing = export(auditor, "nothing.bundle", &["--to", "2001-01-01T00:00:00Z"]);
    assert_eq!(
        (number(&nothing, "records"), number(&nothing, "redacted")),
        (0, 1)
    );
    let nothing = export(auditor, "future.bundle", &["--from", "+1h"]);
    assert_eq!(
        (number(&nothing, "records"), number(&nothing, "redacted")),
        (0, 1)
    );

    // A month later: only what is new, and proof that it continues what was.
    scene
        .admin
        .create_account("carol@example.com", AccountKind::Person, &[], None)
        .unwrap();
    let words = ["--previous", "all.bundle", "--continue"];
    let next = export(auditor, "next.bundle", &words);
    assert_eq!(next["earlier"], serde_json::json!([size]));
    assert_eq!(next["first"], size);
    assert_eq!(number(&next, "records"), number(&next, "size") - size);
    let vkey = next["verifier_key"].as_str().unwrap();
    let continued = [
        "next.bundle",
        "--verifier-key",
        vkey,
        "--previous",
        "all.bundle",
    ];
    let ours = auditor.json(&[&["audit", "verify"][..], &continued].concat());
    assert_eq!(ours["verified"], true);
    assert_eq!(in_python(auditor, &continued).0, 0);
    // The other way round it is shorter than what is known.
    let back = [
        "all.bundle",
        "--verifier-key",
        vkey,
        "--previous",
        "next.bundle",
    ];
    let ours = auditor
        .run(&[&["audit", "verify"][..], &back].concat())
        .failure();
    assert_eq!(ours.status.code(), Some(1), "{ours:?}");
    assert!(ours.stdout.contains("NOT whole"), "{ours:?}");
    assert_eq!(ours.stderr, "");
    assert_eq!(in_python(auditor, &back).0, 1);

    let compared = auditor.json(&["audit", "compare", "next.bundle", "all.bundle"]);
    assert_eq!(compared["consistent"], true, "{compared}");
    assert_eq!(compared["old"], size);

    // Every export has left its leaf.
    let exports = export(auditor, "exports.bundle", &["--act", "audit.export"]);
    assert_eq!(number(&exports, "records"), 9);

    // Nothing is overwritten, and questions that make no sense are refused.
    let _ = auditor.run(&["audit", "export", "all.bundle"]).failure();
    auditor.refused(
        &["audit", "export", "x.bundle", "--case", "no case"],
        "invalid",
    );
    assert!(!auditor.files().contains(&"x.bundle".to_owned()));
    scene.appliance.stop();
}

#[test]
fn reports_are_made_of_verified_bundles() {
    let mut scene = scene();
    let auditor = &scene.auditor;
    let words = ["--csv", "all.csv", "--pdf", "all.pdf"];
    let whole = export(auditor, "all.bundle", &words);
    let csv = fs::read_to_string(auditor.file("all.csv")).unwrap();
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(rows.len() as u64, number(&whole, "records") + 1);
    assert!(rows[0].starts_with("index,time,act,outcome,"), "{csv}");
    let released = rows
        .iter()
        .find(|row| row.contains(",key.release,done,"))
        .unwrap();
    assert!(released.contains("alice@example.com"), "{released}");
    let pdf = fs::read(auditor.file("all.pdf")).unwrap();
    assert!(pdf.starts_with(b"%PDF-1.7"));
    let has = |text: &[u8]| pdf.windows(text.len()).any(|window| window == text);
    assert!(has(b"pdfaid:part"), "it is no PDF/A");

    // Offline, from the bundle alone, and byte for byte the same.
    let key = whole["verifier_key"].as_str().unwrap();
    let again = [
        "--csv",
        "again.csv",
        "--pdf",
        "again.pdf",
        "--verifier-key",
        key,
    ];
    let _ = auditor.json(&[&["audit", "report", "all.bundle"][..], &again].concat());
    assert_eq!(fs::read_to_string(auditor.file("again.csv")).unwrap(), csv);
    assert_eq!(fs::read(auditor.file("again.pdf")).unwrap(), pdf);

    // Of a bundle that was tampered with there is none.
    let mut bundle = fs::read(auditor.file("all.bundle")).unwrap();
    let at = bundle.len() / 2;
    bundle[at] ^= 1;
    fs::write(auditor.file("altered.bundle"), bundle).unwrap();
    let none = ["--csv", "none.csv", "--pdf", "none.pdf"];
    let refused = auditor.run(&[&["audit", "report", "altered.bundle"][..], &none].concat());
    assert_eq!(refused.failure().status.code(), Some(1));
    let files = auditor.files();
    assert!(!files.contains(&"none.csv".to_owned()) && !files.contains(&"none.pdf".to_owned()));
    scene.appliance.stop();
}

#[test]
fn owners_export_what_concerns_them_and_no_more() {
    let mut scene = scene();
    let owner = &scene.owner;
    let page = owner.json(&["audit", "tail", "-n", "1000"]);
    let own = page["records"].as_array().unwrap().len() as u64;
    let report = export(owner, "own.bundle", &["--csv", "own.csv"]);
    // And the leaf of the export itself.
    assert_eq!(number(&report, "records"), own + 1);
    assert!(number(&report, "hidden") > 0, "{report}");
    let bundle = fs::read_to_string(owner.file("own.bundle")).unwrap();
    let leaves = bundle
        .lines()
        .filter(|line| line.contains("\"type\":\"leaf\""));
    assert_eq!(leaves.count() as u64, own + 1);
    // Of what others did with their own keys there is nothing, not even a name.
    let csv = fs::read_to_string(owner.file("own.csv")).unwrap();
    assert!(!csv.contains("domain.initialise"), "{csv}");
    assert!(!bundle.contains(AUDITOR));
    let since = export(
        owner,
        "since.bundle",
        &["--from", "-1h", "--act", "key.share"],
    );
    assert_eq!(number(&since, "records"), 1);
    // Somebody else's is refused, and that has a leaf.
    let admin = scene.admin.account.id.to_string();
    let words = ["audit", "export", "other.bundle", "--account", &admin];
    owner.refused(&words, Code::NotPermitted.as_str());
    let refused = scene.auditor.json(&["audit", "tail", "-n", "20"]);
    let refused = refused["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["act"] == "audit.export" && record["done"] == false);
    assert_eq!(refused.count(), 2);
    scene.appliance.stop();
}

#[test]
fn a_leaf_is_proved_to_others_without_the_appliance() {
    let mut scene = scene();
    let auditor = &scene.auditor;
    let proof = auditor.json(&["audit", "proof", "3", "-o", "leaf.tlog-proof"]);
    let key = proof["checkpoint"]["verifier_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let words = [
        "audit",
        "proof",
        "3",
        "-o",
        "redacted.tlog-proof",
        "--redacted",
    ];
    let _ = auditor.run(&words).success();
    scene.appliance.stop();
    let verify = |name: &str| auditor.run(&["audit", "verify", name, "--verifier-key", &key]);
    let shown = verify("leaf.tlog-proof").success().stdout;
    assert!(
        shown.contains("leaf:") && shown.contains("Proved to be in the log"),
        "{shown}"
    );
    let redacted = verify("redacted.tlog-proof").success().stdout;
    assert!(
        redacted.contains("who and to whom is not shown"),
        "{redacted}"
    );
    let text = fs::read_to_string(auditor.file("leaf.tlog-proof")).unwrap();
    fs::write(
        auditor.file("other.tlog-proof"),
        text.replacen("index 3", "index 4", 1),
    )
    .unwrap();
    let other = verify("other.tlog-proof").failure();
    assert_eq!(other.status.code(), Some(1));
    assert!(other.stdout.contains("does NOT hold"), "{other:?}");
}

#[test]
fn a_tampered_database_exports_no_whole_bundle() {
    let mut scene = scene();
    let auditor = &scene.auditor;
    let refused = |name: &str| -> Outcome {
        let outcome = auditor.run(&["audit", "export", name]).failure();
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        outcome
    };
    let database = scene.appliance.database();
    database
        .execute("UPDATE leaves SET salt = zeroblob(32) WHERE idx = 2", [])
        .unwrap();
    let told = refused("salt.bundle").stdout;
    assert!(
        told.contains("leaf 2:") && told.contains("NOT whole"),
        "{told}"
    );
    database
        .execute("UPDATE leaves SET envelope = (SELECT envelope FROM leaves WHERE idx = 3), salt = (SELECT salt FROM leaves WHERE idx = 3), \
                  detail = (SELECT detail FROM leaves WHERE idx = 3) WHERE idx = 2", [])
        .unwrap();
    let told = refused("moved.bundle").stdout;
    assert!(told.contains("do not have the root"), "{told}");
    // A leaf that is gone breaks the export off: what came is no bundle, and is not kept.
    database
        .execute("DELETE FROM leaves WHERE idx = 2", [])
        .unwrap();
    let broken = auditor.run(&["audit", "export", "gone.bundle"]).failure();
    assert_eq!(broken.status.code(), Some(5), "{broken:?}");
    assert!(!auditor.files().contains(&"gone.bundle".to_owned()));
    assert!(scene.appliance.log().contains("an export broke off"));
    drop(database);
    scene.appliance.stop();
}
