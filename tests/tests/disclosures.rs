//! A whole case by the command line: an order is entered, approved by two, executed and released by two others, opened with `openssl cms -decrypt`, and one
//! protected mail and one object are read with what came out, while another mail of the same person stays shut.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_tests::{Appliance, Person, Session};
use strongroom_wire::encoding::{Base64, Timestamp};

const LETTER: &str =
    "From: eve@example.com\r\nTo: bob@example.com\r\nSubject: the plan\r\n\r\nWe meet at noon.\r\n";

struct Office {
    appliance: Appliance,
    admin: Session,
}

impl Office {
    fn start() -> Self {
        let appliance = Appliance::start();
        let admin = appliance.administrator();
        Self { appliance, admin }
    }

    /// Somebody who uses keys.
    fn user(&mut self, name: &str) -> Person {
        drop(self.appliance.person(&mut self.admin, name));
        let person = Person::new(&self.appliance, name);
        let _ = person.login().success();
        person
    }

    /// Somebody with a role in cases.
    fn officer(&mut self, name: &str, role: &str) -> Person {
        let session = self.appliance.person(&mut self.admin, name);
        let path = format!("/v1/accounts/{}", session.account.id);
        let _: Value = self
            .admin
            .ask("PATCH", &path, &json!({ "roles": [role] }))
            .unwrap();
        let person = Person::at_administration(&self.appliance, name);
        let _ = person.login().success();
        person
    }

    /// A legal approver with a key to approve with.
    fn approver(&mut self, name: &str) -> Person {
        let person = self.officer(name, "legal-approver");
        let key = person.file("approval.pem");
        openssl(
            &person,
            &[
                "genpkey",
                "-algorithm",
                "ed25519",
                "-out",
                key.to_str().unwrap(),
            ],
        );
        let _ = person
            .run(&["approval-keys", "add", "mine", "--key", "approval.pem"])
            .success();
        person
    }
}

fn openssl(person: &Person, arguments: &[&str]) -> Output {
    let done = Command::new("openssl")
        .args(arguments)
        .current_dir(person.file("."))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    done
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(elapsed.as_millis()).unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// An order about what eve sends and gets from then on, to be sealed to this certificate.
fn order(certificate: &[u8], from: Timestamp) -> Value {
    json!({
        "reference": "GS 17/2026",
        "legal_type": "disclosure of stored content",
        "legal_basis": "StPO 269",
        "jurisdiction": "ZH",
        "country_code": "CH",
        "issuing_authority": "Staatsanwaltschaft",
        "timespan": { "start": now().minus_seconds(60), "end": now().plus_seconds(3600) },
        "necessity": "Nothing milder leads there.",
        "proportionality": "A day of mail.",
        "notification_delay": 86400,
        "notification_delay_basis": "StPO 279",
        "agency_key": { "certificate": Base64(certificate.to_vec()) },
        "max_items": 10,
        "tasks": [{ "reference": "LD1", "scope": { "messages": {
            "person": "eve@example.com", "direction": "to-or-from",
            "window": { "start": from, "end": now().plus_seconds(3600) } } } }],
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_case_from_the_order_to_one_mail_that_opens_and_one_that_stays_shut() {
    let mut office = Office::start();
    let eve = office.user("eve@example.com");
    let bob = office.user("bob@example.com");
    let carl = office.officer("carl@example.com", "case-officer");
    let ruth = office.approver("ruth@example.com");
    let ruben = office.approver("ruben@example.com");
    let erin = office.officer("erin@example.com", "executor");
    let rick = office.officer("rick@example.com", "releaser");
    // The agency has no account.
    let agency = Person::new(&office.appliance, "eve@example.com");

    let seal = |letter: &str, file: &str| {
        let protect = ["mail", "protect", "--tell-hash"];
        let sealed = eve.pipe(&protect, letter.as_bytes()).success();
        fs::write(agency.file(file), sealed.stdout).unwrap();
    };
    seal(&LETTER.replace("noon", "dawn"), "early.eml");
    thread::sleep(Duration::from_millis(20));
    let from = now();
    thread::sleep(Duration::from_millis(20));
    seal(LETTER, "late.eml");
    fs::write(eve.file("plan.txt"), "a map").unwrap();
    let _ = eve
        .run(&[
            "protect",
            "plan.txt",
            "--to",
            "bob@example.com",
            "--tell-hash",
        ])
        .success();
    fs::copy(eve.file("plan.txt.sealed"), agency.file("plan.txt.sealed")).unwrap();
    fs::write(eve.file("diary.txt"), "dear diary").unwrap();
    let _ = eve.run(&["protect", "diary.txt"]).success();

    openssl(
        &agency,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "agency.key",
            "-out",
            "agency.pem",
            "-subj",
            "/CN=Agency",
            "-days",
            "2",
        ],
    );
    let der = openssl(&agency, &["x509", "-in", "agency.pem", "-outform", "DER"]).stdout;
    let order = serde_json::to_vec(&order(&der, from)).unwrap();
    fs::write(carl.file("order.json"), order).unwrap();
    fs::write(carl.file("warrant.pdf"), "%PDF-1.7 In the name of the law").unwrap();
    let entered = carl.json(&["case", "enter", "order.json", "--warrant", "warrant.pdf"]);
    let case = text(&entered["authorisation"]["id"]).to_owned();
    let case = case.as_str();

    // Nothing before it is approved by two.
    erin.refused(&["case", "execute", case], "authorisation-not-in-effect");
    let _ = ruth
        .run(&["case", "approve", case, "--key", "approval.pem"])
        .success();
    erin.refused(&["case", "preview", case], "authorisation-not-in-effect");
    let _ = ruben
        .run(&["case", "approve", case, "--key", "approval.pem"])
        .success();
    for person in [&carl, &ruth, &rick] {
        person.refused(&["case", "execute", case], "not-permitted");
    }

    let preview = erin.json(&["case", "preview", case]);
    assert_eq!(preview["items"], 2, "{preview}");
    assert_eq!(
        preview["owners"],
        json!([{ "owner": "eve@example.com", "items": 2 }])
    );
    let executed = erin.json(&["case", "execute", case]);
    let disclosure = text(&executed["disclosure"]["id"]).to_owned();
    let disclosure = disclosure.as_str();
    for person in [&carl, &ruth, &erin] {
        person.refused(&["case", "release", disclosure], "not-permitted");
    }
    let fetch = ["case", "delivery", disclosure, "-o", "delivery.tar"];
    rick.refused(&fetch, "conflict");
    let _ = carl
        .run(&["case", "suspend", case, "--reason", "an appeal"])
        .success();
    rick.refused(
        &["case", "release", disclosure],
        "authorisation-not-in-effect",
    );
    let _ = ruth
        .run(&["case", "resume", case, "--reason", "dismissed"])
        .success();
    let released = rick.json(&["case", "release", disclosure]);
    assert_eq!(released["disclosure"]["state"], "released");
    let _ = rick.run(&fetch).success();
    fs::copy(rick.file("delivery.tar"), agency.file("delivery.tar")).unwrap();

    // With tar and openssl alone.
    let folder = agency.file("unpacked");
    fs::create_dir(&folder).unwrap();
    let unpacked = Command::new("tar")
        .args(["-xf", "../delivery.tar"])
        .current_dir(&folder)
        .status()
        .unwrap();
    assert!(unpacked.success());
    let cms = [
        "cms",
        "-decrypt",
        "-binary",
        "-inform",
        "DER",
        "-recip",
        "agency.pem",
        "-inkey",
        "agency.key",
        "-in",
    ];
    let opened = openssl(&agency, &[&cms[..], &["unpacked/00001.p7m"]].concat()).stdout;
    let opened: Value = serde_json::from_slice(&opened).unwrap();
    let record = read_json(&folder.join("00001.record.json"));
    assert_eq!(opened["key"], record["item"]);
    assert_eq!(opened["algorithm"], "aes-256");
    assert_eq!(record["reference"], "GS 17/2026");
    assert_eq!(record["executor"]["name"], "erin@example.com");
    assert_eq!(record["releaser"]["name"], "rick@example.com");
    // Which ciphertext it opens is said where its owner has told it: of a mail, what is sealed in it.
    let mail = fs::read(agency.file("late.eml")).unwrap();
    let envelope = strongroom_client::mail::sealed_part(&mail).unwrap();
    assert_eq!(
        record["ciphertext_sha256"],
        hex::encode(Sha256::digest(envelope))
    );
    let told = read_json(&folder.join("00002.record.json"));
    let sealed = fs::read(agency.file("plan.txt.sealed")).unwrap();
    assert_eq!(
        told["ciphertext_sha256"],
        hex::encode(Sha256::digest(sealed))
    );

    // With our command line.
    let shown = agency.json(&["disclosure", "show", "delivery.tar"]);
    assert_eq!(shown["records"][0], record);
    let open = [
        "disclosure",
        "open",
        "delivery.tar",
        "--key",
        "agency.key",
        "--cert",
        "agency.pem",
        "-o",
        "keys",
    ];
    let keys = agency.json(&open);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    assert_eq!(
        fs::read(agency.file("keys/00001.key")).unwrap().len(),
        opened.to_string().len()
    );
    let read = |mail: &str, key: &str| agency.run(&["mail", "open", mail, "--disclosed", key]);
    assert_eq!(read("late.eml", "keys/00001.key").success().stdout, LETTER);
    for key in ["keys/00001.key", "keys/00002.key"] {
        let shut = read("early.eml", key).failure();
        assert!(shut.stderr.contains("is protected by the key"), "{shut:?}");
        assert_eq!(shut.stdout, "");
    }
    let object = ["open", "plan.txt.sealed", "--disclosed", "keys/00002.key"];
    let _ = agency.run(&object).success();
    assert_eq!(fs::read(agency.file("plan.txt")).unwrap(), b"a map");
    // A part, or what is at an address, it does not open, and does not try it with an account in its place.
    for more in [
        &["plan.txt.sealed", "--offset", "1"][..],
        &["plan.txt.sealed", "--length", "1"],
        &["https://storage.example.com/plan.txt.sealed"],
        &["http://storage.example.com/plan.txt.sealed"],
    ] {
        let words = [
            &["open", "--disclosed", "keys/00002.key", "-o", "part"],
            more,
        ]
        .concat();
        let refused = agency.run(&words).failure();
        let said = "a disclosed key opens a whole file";
        assert!(refused.stderr.contains(said), "{more:?}: {refused:?}");
        assert!(!agency.file("part").exists());
    }

    // The person sees what they saw before, and reads what they could read.
    let told = eve.json(&["notifications"]);
    assert_eq!(told, json!({ "notifications": [] }));
    let log = eve.run(&["audit", "tail", "--json"]).success().stdout;
    assert!(!log.contains("disclosure"), "{log}");
    assert!(!log.contains(case), "{log}");
    let letter = fs::read(agency.file("late.eml")).unwrap();
    assert_eq!(
        bob.pipe(&["mail", "open"], &letter).success().stdout,
        LETTER
    );

    // What was destroyed meanwhile is still there for the order, and for nobody else.
    let key = text(&record["item"]).to_owned();
    let _ = eve.run(&["keys", "destroy", &key, "--yes"]).success();
    let shut = bob.pipe(&["mail", "open"], &letter).failure();
    assert!(shut.stderr.contains("destroyed"), "{shut:?}");
    let hold = carl.json(&["case", "hold", case]);
    assert_eq!(hold["in_force"], true);
    assert_eq!(hold["kept"][0]["key"], json!(key));

    // Cancelled: nothing more goes out.
    let _ = carl
        .run(&["case", "cancel", case, "--reason", "closed"])
        .success();
    rick.refused(
        &["case", "delivery", disclosure, "-o", "again.tar"],
        "authorisation-not-in-effect",
    );
    erin.refused(&["case", "execute", case], "authorisation-not-in-effect");
    let report = office.appliance.verify_audit();
    assert_eq!(report["problems"], json!([]), "{report}");
}

#[test]
fn an_agency_without_a_certificate_makes_a_key_pair() {
    let office = Office::start();
    let agency = Person::new(&office.appliance, "agency@example.com");
    let made = agency.json(&["disclosure", "agency-key", "--out", "agency.key"]);
    let public = fs::read_to_string(agency.file("agency.key.pub")).unwrap();
    assert!(public.starts_with("strongroom-agency-public-key-1:"));
    assert_eq!(text(&made["sealing_key_sha256"]).len(), 64);
    let again = agency.run(&["disclosure", "agency-key", "--out", "agency.key"]);
    assert!(again.failure().stderr.contains("exists"));
    fs::write(agency.file("nothing.tar"), "nothing").unwrap();
    let nothing = [
        "disclosure",
        "open",
        "nothing.tar",
        "--key",
        "agency.key",
        "-o",
        "keys",
    ];
    let refused = agency.run(&nothing).failure();
    assert_eq!(refused.stderr.trim().lines().count(), 1, "{refused:?}");
    let shown = agency.run(&["disclosure", "show", "nothing.tar"]).failure();
    assert!(shown.stderr.contains("no delivery package"), "{shown:?}");
}

fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}
