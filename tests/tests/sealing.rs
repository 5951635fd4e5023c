//! Sealing: a sealed appliance answers its health and nothing else, whatever made it so, and opens for its operators alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_tests::api::Listener;
use strongroom_tests::{Appliance, Session, tokens};
use strongroom_wire::account::{Account, AccountKind, Role};
use strongroom_wire::audit::Act;
use strongroom_wire::health::{State, Status};
use strongroom_wire::problem::Code;

/// How long the appliance may take to notice that its HSM is there again.
const BACK: Duration = Duration::from_secs(10);
const WRONG_PIN: &str = "wrong-pin-81723";

#[test]
fn seal_and_unseal() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("report", &[]).unwrap().key.id;
    let (_, material) = alice.release(key).unwrap();
    assert!(appliance.status()["cached_keks"].as_u64().unwrap() > 0);

    let started = Instant::now();
    let sealed = appliance.operate(&["seal", "--json"], "");
    assert!(sealed.status.success(), "{}", said(&sealed));
    assert!(started.elapsed() < Duration::from_secs(3));
    let report: Value = serde_json::from_slice(&sealed.stdout).unwrap();
    assert_eq!(report["state"], "sealed");
    assert_eq!(report["cached_keks"], 0);
    assert_eq!(report["sealed"]["checkpoint"], true, "{report}");
    assert_eq!(report["sealed"]["requests_left"], 0, "{report}");
    assert_eq!(report["hsms"][0]["state"], "closed");
    let leaf = report["sealed"]["leaf"].as_u64().unwrap();
    answers_health_alone(&appliance);
    // Its connection is still there, and brings nothing.
    assert_eq!(alice.release(key).unwrap_err().code(), Code::Sealed);
    // Again, it changes nothing.
    let again = appliance.operate(&["seal"], "");
    assert!(again.status.success() && said(&again).contains("is sealed"));

    // A wrong PIN is told at once, is not shown, and is not tried again.
    let refused = appliance.operate(&["unseal", "--ask"], &format!("{WRONG_PIN}\n"));
    let sentence = failed(&refused);
    assert!(sentence.contains("CKR_PIN_INCORRECT"), "{sentence}");
    assert!(!appliance.log().contains(WRONG_PIN));
    let refusals = appliance.log().matches("CKR_PIN_INCORRECT").count();
    thread::sleep(Duration::from_secs(4));
    let log = appliance.log();
    assert_eq!(log.matches("CKR_PIN_INCORRECT").count(), refusals, "{log}");
    answers_health_alone(&appliance);
    let none = appliance.operate(&["unseal", "--ask"], "\n");
    assert!(failed(&none).contains("no PIN"), "{}", said(&none));

    // Where the PIN is in a file, it is read again.
    let unsealed = appliance.operate(&["unseal"], "");
    assert!(unsealed.status.success(), "{}", said(&unsealed));
    assert_eq!(appliance.status()["state"], "serving");
    assert_eq!(alice.release(key).unwrap().1, material);
    let mut auditor = auditor(&appliance, &mut admin);
    let records = auditor.records_after(Some(leaf - 1)).unwrap();
    let record = records.iter().find(|record| record.index == leaf).unwrap();
    assert_eq!((record.act, record.done), (Act::DomainSeal, true));
    assert!(record.note.as_ref().unwrap().contains("uid"), "{record:?}");
    assert_eq!(appliance.verify_audit()["verified"], true);
    appliance.stop();
}

#[test]
fn it_is_sealed_while_the_hsm_is_away_too() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let token = tokens::pull_away(&appliance, "strongroom");
    let sealed = appliance.operate(&["seal", "--json"], "");
    assert!(sealed.status.success(), "{}", said(&sealed));
    let report: Value = serde_json::from_slice(&sealed.stdout).unwrap();
    // The leaf needs no HSM; the next checkpoint will be signed over it.
    assert!(report["sealed"]["leaf"].is_u64(), "{report}");
    assert_eq!(report["sealed"]["checkpoint"], false);
    assert_eq!(report["sealed"]["problems"].as_array().unwrap().len(), 1);
    answers_health_alone(&appliance);

    // The PIN is taken, and the HSM waited for.
    let unsealed = appliance.operate(&["unseal"], "");
    assert!(unsealed.status.success(), "{}", said(&unsealed));
    assert!(said(&unsealed).contains("waits for its HSM"));
    assert_eq!(appliance.api().health().unwrap().state, State::Opening);
    token.put_back();
    appliance.wait_for(State::Serving, BACK);
    let _: Account = admin.get("/v1/accounts/me").unwrap();

    // Sealed while it waits, it waits no more.
    let token = tokens::pull_away(&appliance, "strongroom");
    appliance.stop();
    appliance.listen().unwrap();
    assert_eq!(appliance.api().health().unwrap().state, State::Opening);
    assert!(appliance.operate(&["seal"], "").status.success());
    token.put_back();
    thread::sleep(Duration::from_secs(4));
    answers_health_alone(&appliance);
    assert!(appliance.operate(&["unseal"], "").status.success());
    appliance.wait_for(State::Serving, BACK);
    appliance.stop();
}

#[test]
fn with_a_prompt_it_starts_sealed() {
    let mut appliance = Appliance::new();
    let file = appliance.data().join("hsm-pin");
    let pin = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let text = fs::read_to_string(appliance.config()).unwrap();
    fs::write(appliance.config(), text.replace("file:hsm-pin", "prompt")).unwrap();
    for _ in 0..2 {
        appliance.listen().unwrap();
        answers_health_alone(&appliance);
        let status = appliance.status();
        assert!(
            status["reason"].as_str().unwrap().contains("unseal"),
            "{status}"
        );
        let unsealed = appliance.operate(&["unseal", "--json"], &pin);
        assert!(unsealed.status.success(), "{}", said(&unsealed));
        let report: Value = serde_json::from_slice(&unsealed.stdout).unwrap();
        assert_eq!(report["state"], "serving");
        assert_eq!(appliance.api().health().unwrap().status, Status::Ok);
        appliance.stop();
    }
    // Commands that need the HSM ask, too.
    let backup = appliance.operate(
        &[
            "backup",
            "--dry-run",
            "--to",
            appliance.data().to_str().unwrap(),
        ],
        &pin,
    );
    assert!(backup.status.success(), "{}", said(&backup));
    let none = appliance.operate(&["status"], "");
    assert!(failed(&none).contains("no appliance is running"));
}

#[test]
fn without_a_usable_pin_it_is_sealed_and_says_why() {
    let mut appliance = Appliance::new();
    let file = appliance.data().join("hsm-pin");
    let pin = fs::read_to_string(&file).unwrap();
    let away = appliance.data().join("hsm-pin-away");

    fs::rename(&file, &away).unwrap();
    appliance.listen().unwrap();
    sealed_because(&appliance, "hsm-pin");
    let unsealed = appliance.operate(&["unseal"], "");
    assert!(failed(&unsealed).contains("hsm-pin"));
    fs::rename(&away, &file).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let unsealed = appliance.operate(&["unseal"], "");
    assert!(
        failed(&unsealed).contains("chmod 600"),
        "{}",
        said(&unsealed)
    );
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let unsealed = appliance.operate(&["unseal"], "");
    assert!(unsealed.status.success(), "{}", said(&unsealed));
    appliance.stop();

    fs::write(&file, WRONG_PIN).unwrap();
    appliance.listen().unwrap();
    sealed_because(&appliance, "CKR_PIN_INCORRECT");
    fs::write(&file, pin).unwrap();
    // It stays so, as the token locks after a few wrong PINs.
    thread::sleep(Duration::from_secs(4));
    sealed_because(&appliance, "CKR_PIN_INCORRECT");
    assert!(!appliance.log().contains(WRONG_PIN));
    assert!(appliance.operate(&["unseal"], "").status.success());
    appliance.wait_for(State::Serving, BACK);
    appliance.stop();
}

fn auditor(appliance: &Appliance, admin: &mut Session) -> Session {
    const NAME: &str = "auditor@example.com";
    let created = admin.create_account(NAME, AccountKind::Person, &[Role::Auditor], None);
    let code = created.unwrap().enrolment_code.unwrap();
    let enrolled = appliance
        .api()
        .enrol(NAME, &code, &appliance.password_of(NAME));
    enrolled.unwrap();
    appliance.sign_in(NAME)
}

/// Waits until it is sealed, and checks the reason that operators are told.
fn sealed_because(appliance: &Appliance, why: &str) {
    appliance.wait_for(State::Sealed, BACK);
    let status = appliance.status();
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains(why), "{reason}");
    assert!(appliance.log().contains(why));
    answers_health_alone(appliance);
}

/// Asks for everything that there is, at both listeners.
fn answers_health_alone(appliance: &Appliance) {
    let api = appliance.api();
    let health = api.health().unwrap();
    assert_eq!(
        (health.state, health.status),
        (State::Sealed, Status::Failing)
    );
    let output = appliance.strongroomd().arg("openapi").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut asked = 0;
    let mut connections = [Listener::Client, Listener::Administration]
        .map(|listener| (listener, api.connect(listener).unwrap()));
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            for (listener, connection) in &mut connections {
                let path = path.replace(['{', '}'], "");
                let token = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U";
                let response = connection
                    .send(&method.to_uppercase(), &path, Some(token), None)
                    .unwrap();
                match (path.as_str(), listener) {
                    ("/v1/health", _) => assert_eq!(response.status, 503),
                    ("/metrics", Listener::Administration) => {
                        assert_eq!(response.status, 200);
                        assert!(
                            response
                                .text()
                                .contains("strongroom_state{state=\"sealed\"} 1")
                        );
                        assert!(response.text().contains("strongroom_cached_keks 0"));
                    }
                    ("/metrics", Listener::Client) => assert_eq!(response.status, 404),
                    _ => {
                        let problem = response.problem();
                        assert_eq!(problem.code, Code::Sealed, "{method} {path}");
                        assert_eq!(response.status, 503);
                        assert!(response.header("retry-after").is_some());
                        asked += 1;
                    }
                }
            }
        }
    }
    assert!(asked > 60, "{asked}");
}

/// The one sentence with which a command failed.
fn failed(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "one sentence: {said}");
    said
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}
