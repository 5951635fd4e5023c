//! A case at the command line: entered, approved by a file, by openssl, by a token and by a passkey, and everything that is none of somebody's business.

use std::fs;

use serde_json::{Value, json};
use strongroom_approval::Evidence;
use strongroom_tests::passkey::Passkey;
use strongroom_tests::{Appliance, Person, Session};
use strongroom_wire::account::Role;
use strongroom_wire::credential::{FactorAdded, PasskeyRegistration, PasskeyRequest};
use strongroom_wire::encoding::Base64;

const ORIGIN: &str = "https://strongroom.local";
const TARGET: &str = "eve@example.com";
/// Where Debian's package has SoftHSM.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

struct Office {
    appliance: Appliance,
    admin: Session,
}

impl Office {
    fn new() -> Self {
        let appliance = Appliance::start();
        let mut admin = appliance.administrator();
        drop(appliance.person(&mut admin, TARGET));
        Self { appliance, admin }
    }

    /// Somebody with this role, at the administration address.
    fn person(&mut self, name: &str, role: Role) -> Person {
        let session = self.appliance.person(&mut self.admin, name);
        let path = format!("/v1/accounts/{}", session.account.id);
        let roles = json!({ "roles": [role.as_str()] });
        let _: Value = self.admin.ask("PATCH", &path, &roles).unwrap();
        let person = Person::at_administration(&self.appliance, name);
        let _ = person.login().success();
        person
    }
}

fn order() -> Value {
    json!({
        "reference": "GS 17/2027",
        "legal_type": "disclosure of stored content",
        "legal_basis": "StPO 269",
        "jurisdiction": "ZH",
        "country_code": "CH",
        "issuing_authority": "Staatsanwaltschaft",
        "timespan": { "start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z" },
        "necessity": "Nothing milder leads there.",
        "proportionality": "A month of mail with one person.",
        "agency_key": { "certificate": "MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA" },
        "max_items": 10,
        "tasks": [ { "reference": "1", "scope": { "messages": { "person": TARGET, "direction": "from",
            "window": { "start": "2026-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z" } } } } ],
    })
}

/// The case officer enters the order; the case's identifier.
fn enter(officer: &Person, order: &Value) -> String {
    fs::write(officer.file("order.json"), order.to_string()).unwrap();
    fs::write(officer.file("warrant.txt"), "In the name of the law").unwrap();
    let entered = officer.json(&["case", "enter", "order.json", "--warrant", "warrant.txt"]);
    let authorisation = &entered["authorisation"];
    assert_eq!(authorisation["state"], "awaiting-approval");
    authorisation["id"].as_str().unwrap().to_owned()
}

fn openssl(person: &Person, line: &str) {
    let _ = person
        .shell(&format!("openssl {line} 2>/dev/null"))
        .success();
}

/// Runs what shows first what is to be signed, and must then be refused with this problem code. Answers the sentence for people.
fn refused(person: &Person, words: &[&str], code: &str) -> String {
    let outcome = person.run(&[words, &["--json"]].concat()).failure();
    let problem = outcome.problem();
    assert_eq!(problem["code"], code, "{outcome:?}");
    problem["detail"].as_str().unwrap().to_owned()
}

fn state(person: &Person, case: &str) -> String {
    let shown = person.json(&["case", "show", case]);
    shown["state"].as_str().unwrap().to_owned()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_case_is_approved_with_keys_of_every_kind() {
    let mut office = Office::new();
    let carl = office.person("carl@example.com", Role::CaseOfficer);
    let ruth = office.person("ruth@example.com", Role::LegalApprover);
    let ruben = office.person("ruben@example.com", Role::LegalApprover);

    // Ruth's key lies in a file, Ed25519; Ruben's is P-256, and openssl signs with it.
    openssl(&ruth, "genpkey -algorithm ed25519 -out key.pem");
    openssl(
        &ruben,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
    );
    let added = ruth.json(&["approval-keys", "add", "a file", "--key", "key.pem"]);
    assert_eq!(added["key"]["name"], "a file");
    let _ = ruben.json(&["approval-keys", "add", "mine", "--key", "key.pem"]);
    let listed = ruben.run(&["approval-keys", "list"]).success();
    assert!(listed.stdout.contains("ES256"), "{listed:?}");

    let case = enter(&carl, &order());
    let waiting = ruth.json(&["case", "list", "--state", "awaiting-approval"]);
    assert_eq!(waiting["authorisations"][0]["id"], *case);
    assert_eq!(waiting["authorisations"][0]["approved_by"], 0);
    let shown = ruth.run(&["case", "show", &case]).success().stdout;
    assert!(
        shown.contains("every message from eve@example.com"),
        "{shown}"
    );
    assert!(shown.contains("warrant.txt"), "{shown}");

    let approved = ruth
        .run(&["case", "approve", &case, "--key", "key.pem"])
        .success();
    assert!(
        approved.stdout.contains("awaiting-approval"),
        "{approved:?}"
    );
    assert!(
        approved.stderr.contains("Nothing milder"),
        "what is signed is shown: {approved:?}"
    );
    let again = refused(
        &ruth,
        &["case", "approve", &case, "--key", "key.pem"],
        "conflict",
    );
    assert!(again.contains("approve already"), "{again}");

    let _ = ruben
        .run(&["case", "approve", &case, "--to-sign", "act"])
        .success();
    openssl(&ruben, "dgst -sha256 -sign key.pem -out act.sig act");
    let signed = [
        "case",
        "approve",
        &case,
        "--signed",
        "act",
        "--signature",
        "act.sig",
    ];
    // Not what was signed.
    let reject = [
        "case",
        "reject",
        &case,
        "--signed",
        "act",
        "--signature",
        "act.sig",
    ];
    assert_eq!(ruben.run(&reject).status.code(), Some(2));
    let decided = ruben.json(&signed);
    assert_eq!(decided["authorisation"]["state"], "approved");

    // The evidence verifies without the appliance.
    for approval in decided["authorisation"]["approvals"].as_array().unwrap() {
        let sha256 = approval["evidence_sha256"].as_str().unwrap();
        let get = ["case", "document", "get", &case, sha256, "--output", sha256];
        let _ = carl.run(&get).success();
        let bytes = fs::read(carl.file(sha256)).unwrap();
        let approval = Evidence::from_bytes(&bytes).unwrap().verify().unwrap();
        assert_eq!(approval.statement.subject, case);
    }
    let warrant = decided["authorisation"]["record"]["order"]["warrant"]["sha256"]
        .as_str()
        .unwrap();
    let read = carl
        .run(&["case", "document", "get", &case, warrant])
        .success();
    assert_eq!(read.stdout, "In the name of the law");

    // A change voids it all; the order that is printed can be changed.
    let printed = carl
        .run(&["case", "show", &case, "--order"])
        .success()
        .stdout;
    let mut changed: Value = serde_json::from_str(&printed).unwrap();
    changed["max_items"] = json!(11);
    fs::write(carl.file("changed.json"), changed.to_string()).unwrap();
    let changed = carl.json(&["case", "change", &case, "changed.json"]);
    assert_eq!(changed["authorisation"]["generation"], 2);
    assert_eq!(changed["authorisation"]["state"], "awaiting-approval");
    let stale = ruben.refused(&signed, "approval-refused");
    assert!(stale.contains("another generation"), "{stale}");

    let _ = ruben.json(&["case", "reject", &case, "--key", "key.pem"]);
    assert_eq!(state(&carl, &case), "rejected");

    // What was changed, and what was decided on what.
    let all = ruth.json(&["case", "generations", &case]);
    let decided: Vec<(u64, Vec<&str>)> = all["generations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|generation| {
            let approvals = generation["approvals"].as_array().unwrap();
            let decisions = approvals.iter().map(|given| given["decision"].as_str());
            let number = generation["record"]["generation"].as_u64().unwrap();
            (number, decisions.map(Option::unwrap).collect())
        })
        .collect();
    assert_eq!(
        decided,
        [(2, vec!["reject"]), (1, vec!["approve", "approve"])]
    );
    let text = ruth.run(&["case", "generations", &case]).success().stdout;
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let changed = lines
        .iter()
        .position(|line| line.first() == Some(&"CHANGED"));
    let changed = changed.unwrap();
    assert_eq!(lines[changed], ["CHANGED", "FROM", "TO"]);
    assert_eq!(lines[changed + 1], ["items", "at", "most", "10", "11"]);
    assert!(lines[changed + 2].is_empty(), "nothing else: {text}");
    assert_eq!(text.matches("generation:").count(), 2, "{text}");
    assert!(text.contains("ruben@example.com") && text.contains("ruth@example.com"));
    office.appliance.stop();
}

#[test]
fn a_token_and_a_passkey_approve_and_an_emergency_is_ratified() {
    let mut office = Office::new();
    let carl = office.person("carl@example.com", Role::CaseOfficer);
    let tina = office.person("tina@example.com", Role::LegalApprover);
    let paul = office.person("paul@example.com", Role::LegalApprover);

    // Tina's key is in a token of its own.
    let tokens = tina.file("tokens");
    fs::create_dir(&tokens).unwrap();
    fs::write(
        tina.file("softhsm2.conf"),
        format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        ),
    )
    .unwrap();
    fs::write(tina.file("pin"), "1234\n").unwrap();
    openssl(
        &tina,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
    );
    let with_token = |line: &str| format!("SOFTHSM2_CONF=softhsm2.conf {line}");
    for line in [
        "softhsm2-util --init-token --free --label card --so-pin 5678 --pin 1234",
        "softhsm2-util --import key.pem --token card --label SIGN --id 01 --pin 1234",
    ] {
        let _ = tina.shell(&with_token(line)).success();
    }
    fs::remove_file(tina.file("key.pem")).unwrap();
    let key = format!("--pkcs11 {SOFTHSM} --token card --label SIGN --pin-file pin");
    let add = format!("strongroom approval-keys add card {key}");
    let _ = tina.shell(&with_token(&add)).success();

    // Paul has a passkey, and a browser that asks for it.
    let mut session = office.appliance.sign_in("paul@example.com");
    let mut passkey = add_passkey(&mut session);

    let mut emergency = order();
    emergency["flags"] = json!({ "emergency": true });
    let case = enter(&carl, &emergency);
    let ratify = format!("strongroom case ratify {case} {key}");
    let early = tina.shell(&with_token(&ratify)).failure();
    assert!(early.stderr.contains("awaiting-approval"), "{early:?}");
    let approve = format!("strongroom case approve {case} {key} --json");
    let first = tina.shell(&with_token(&approve)).success().json();
    assert_eq!(first["authorisation"]["state"], "emergency-approval");
    assert!(first["authorisation"]["ratify_by"].is_string());

    let _ = paul
        .run(&["case", "ratify", &case, "--to-sign", "act", "--passkey"])
        .success();
    let asked: Value = serde_json::from_slice(&fs::read(paul.file("act.json")).unwrap()).unwrap();
    let challenge: Base64 = serde_json::from_value(asked["challenge"].clone()).unwrap();
    assert_eq!(fs::read(paul.file("act")).unwrap(), challenge.0);
    let request = PasskeyRequest {
        random: Base64(Vec::new()),
        rp_id: asked["rp_id"].as_str().unwrap().to_owned(),
        allow: serde_json::from_value(asked["allow"].clone()).unwrap(),
    };
    let ratify = [
        "case",
        "ratify",
        &case,
        "--signed",
        "act",
        "--assertion",
        "assertion.json",
    ];
    let hand_in = |assertion: &_| {
        fs::write(
            paul.file("assertion.json"),
            serde_json::to_vec(assertion).unwrap(),
        )
        .unwrap();
    };
    // An authenticator that has not verified its user, and one that signed something else.
    passkey.verifies = false;
    hand_in(&passkey.sign(&request, &challenge.0));
    let _ = paul.refused(&ratify, "approval-refused");
    passkey.verifies = true;
    hand_in(&passkey.sign(&request, &[7; 32]));
    let _ = paul.refused(&ratify, "approval-refused");
    hand_in(&passkey.sign(&request, &challenge.0));
    let ratified = paul.json(&ratify);
    assert_eq!(ratified["authorisation"]["state"], "approved");

    for (command, by, expected) in [
        ("suspend", &carl, "suspended"),
        ("resume", &tina, "approved"),
        ("cancel", &paul, "cancelled"),
    ] {
        let _ = by.json(&["case", command, &case, "--reason", "the court asks for it"]);
        assert_eq!(state(&carl, &case), expected);
    }
    office.appliance.stop();
}

#[test]
fn nobody_else_sees_a_case_and_the_log_says_who_tried() {
    let mut office = Office::new();
    let carl = office.person("carl@example.com", Role::CaseOfficer);
    let executor = office.person("ex@example.com", Role::Executor);
    let auditor = office.person("otto@example.com", Role::Auditor);
    let case = enter(&carl, &order());
    assert_eq!(state(&auditor, &case), "awaiting-approval");

    let administrator = Person::administrator(&office.appliance);
    let _ = administrator.login().success();
    for words in [vec!["case", "list"], vec!["case", "show", &case]] {
        let sentence = administrator.refused(&words, "not-permitted");
        assert!(sentence.contains("case-officer"), "{sentence}");
    }
    let _ = executor.refused(&["case", "show", &case], "authorisation-not-found");
    let _ = executor.refused(&["case", "generations", &case], "authorisation-not-found");
    let cancel = ["case", "cancel", &case, "--reason", "x"];
    let _ = executor.refused(&cancel, "not-permitted");
    let _ = auditor.refused(&cancel, "not-permitted");
    openssl(&carl, "genpkey -algorithm ed25519 -out key.pem");
    let _ = carl.json(&["approval-keys", "add", "mine", "--key", "key.pem"]);
    let _ = refused(
        &carl,
        &["case", "approve", &case, "--key", "key.pem"],
        "not-permitted",
    );

    let tail = auditor.json(&["audit", "tail", "--limit", "100"]);
    let records = tail["records"].as_array().unwrap();
    let leaves = |act: &str, note: &str| {
        let said = |record: &&Value| {
            record["act"] == act
                && record["done"] == false
                && record["note"]
                    .as_str()
                    .is_some_and(|found| found.starts_with(note))
        };
        records.iter().filter(said).count()
    };
    // Each but the approval was tried twice: in JSON and in words.
    assert_eq!(leaves("authorisation.read", "not-permitted"), 4);
    assert_eq!(
        leaves(
            "authorisation.read",
            &format!("authorisation-not-found case {case}")
        ),
        4
    );
    assert_eq!(
        leaves(
            "authorisation.cancel",
            &format!("not-permitted case {case}")
        ),
        4
    );
    assert_eq!(
        leaves(
            "authorisation.approve",
            &format!("not-permitted case {case}")
        ),
        1
    );
    office.appliance.stop();
}

fn add_passkey(session: &mut Session) -> Passkey {
    let request: PasskeyRegistration = session
        .ask("POST", "/v1/accounts/me/passkeys/start", &())
        .unwrap();
    let (passkey, register) = Passkey::make(&request, ORIGIN);
    let added: FactorAdded = session
        .ask("POST", "/v1/accounts/me/passkeys", &register)
        .unwrap();
    assert!(added.credential.passkey.is_some());
    passkey
}
