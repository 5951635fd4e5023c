//! Requests that devices sign: made once, in time, by nobody else, and with nothing but curl and openssl.

use std::fs;
use std::process::Command;

use serde_json::Value;
use strongroom_session::AccountSecret;
use strongroom_tests::api::Listener;
use strongroom_tests::device::{Device, SignedRequest, administrator, factory, import, now};
use strongroom_tests::{Appliance, Person};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::{Code, Problem};

const README: &str = include_str!("../../README.md");
const GUIDE: &str = include_str!("../../docs/devices.md");

#[test]
fn a_captured_request_is_of_no_use() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let api = appliance.api();
    let device = import(&admin, &["SN-1"]).remove(0);
    let material = device.create_and_release(&api);
    let target = format!("/v1/keys/{}/release", material.key);
    let code = |request: &SignedRequest| request.send(&api, Listener::Client).problem().code;

    let captured = device.sign("POST", &target, "{}");
    assert_eq!(captured.send(&api, Listener::Client).status, 200);
    assert_eq!(code(&captured), Code::Replayed);
    // Altered on the way: nothing of it reaches the keystore.
    let fresh = || device.sign("POST", &target, "{}");
    let body = SignedRequest {
        body: "{ }".to_owned(),
        ..fresh()
    };
    assert_eq!(code(&body), Code::Malformed);
    let body_and_digest = SignedRequest {
        body: body.body.clone(),
        digest: device.sign("POST", &target, "{ }").digest,
        ..fresh()
    };
    assert_eq!(code(&body_and_digest), Code::SignInRefused);
    for altered in [
        SignedRequest {
            target: format!("/v1/keys/{}/rotate", material.key),
            ..fresh()
        },
        SignedRequest {
            target: format!("{target}?version=1"),
            ..fresh()
        },
        SignedRequest {
            method: "GET".to_owned(),
            target: "/v1/keys".to_owned(),
            ..fresh()
        },
    ] {
        assert_eq!(code(&altered), Code::SignInRefused, "{altered:?}");
    }
    // The query is covered as it is sent.
    let (listed, _) = device.send(&api, "GET", "/v1/keys?limit=1&label=meas%75rements", "");
    assert_eq!(listed.status, 200, "{}", listed.text());

    // Malformed signatures, and signatures where there are none.
    for broken in [
        SignedRequest {
            signature: "strongroom=:AAAA:".to_owned(),
            ..fresh()
        },
        SignedRequest {
            input: "strongroom=(\"@method\");created=1".to_owned(),
            ..fresh()
        },
        SignedRequest {
            digest: "md5=:AAAA:".to_owned(),
            ..fresh()
        },
    ] {
        assert_eq!(code(&broken), Code::Malformed);
    }
    let elsewhere = fresh().send(&api, Listener::Administration).problem();
    assert_eq!(elsewhere.code, Code::NoSuchRoute);
    let me = device.sign("GET", "/v1/accounts/me", "");
    let elsewhere = me.send(&api, Listener::Administration).problem();
    assert_eq!(elsewhere.code, Code::NotSignedIn);
    let large = device.sign("POST", &target, &format!("{{}}{}", " ".repeat(1024 * 1024)));
    assert_eq!(code(&large), Code::TooLarge);
    for (code, refused) in [
        (Code::Replayed, 1),
        (Code::Malformed, 4),
        (Code::TooLarge, 1),
    ] {
        assert_counted(&appliance, code, refused);
    }
}

/// So many refusals with this code were counted and are in the log.
#[track_caller]
fn assert_counted(appliance: &Appliance, code: Code, refused: usize) {
    let counted = format!("strongroom_refusals_total{{code=\"{code}\"}} {refused}\n");
    let metrics = appliance.metrics();
    assert!(metrics.contains(&counted), "{code}: {metrics}");
    let said = format!("code={code}");
    let log = appliance.log();
    let lines = log.lines().filter(|line| line.contains(&said));
    assert_eq!(lines.count(), refused, "{code}");
}

#[test]
fn the_clock_may_differ_by_so_much() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let api = appliance.api();
    let device = import(&admin, &["SN-1"]).remove(0);
    let answer = |offset: i64| {
        let created = now().checked_add_signed(offset).unwrap();
        device
            .sign_at(created, "GET", "/v1/accounts/me", "")
            .send(&api, Listener::Client)
    };
    for offset in [-290, 290] {
        let response = answer(offset);
        assert_eq!(response.status, 200, "{offset}: {}", response.text());
    }
    // What a device with a wrong clock is told.
    for offset in [-310, 310] {
        let problem = answer(offset).problem();
        assert_eq!(problem.code, Code::ClockSkew);
        let time = problem.time.unwrap().as_millis() / 1000;
        assert!(time.abs_diff(now()) < 30, "{time}");
    }
    assert_counted(&appliance, Code::ClockSkew, 2);
}

#[test]
fn refusals_are_alike_and_slow_down() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let api = appliance.api();
    let devices = import(&admin, &["SN-1", "SN-2"]);
    let [device, other] = devices.as_slice() else {
        panic!("{} devices", devices.len());
    };
    device.own_account(&api).unwrap();
    // Unknown, wrong, suspended: one answer for all, but for the leaf's number.
    let answer = |device: &Device| {
        let problem = device.own_account(&api).unwrap_err();
        assert!(problem.leaf.is_some(), "{problem:?}");
        Problem {
            leaf: None,
            ..*problem
        }
    };
    let wrong = Device {
        account: other.account,
        secret: device.secret.clone(),
    };
    let unknown = Device {
        account: AccountId::generate(),
        secret: device.secret.clone(),
    };
    let refused = answer(&wrong);
    assert_eq!(refused.code, Code::SignInRefused);
    assert_eq!(answer(&unknown), refused);
    let _ = admin.run(&["devices", "suspend", "SN-2"]).success();
    assert_eq!(answer(other), refused);
    let _ = admin.run(&["devices", "resume", "SN-2"]).success();
    other.own_account(&api).unwrap();

    // Whoever goes on is slowed down, and nobody else at this address.
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(wrong.own_account(&api).unwrap_err().code);
    }
    assert!(codes.contains(&Code::TooManyAttempts), "{codes:?}");
    device.own_account(&api).unwrap();
    // All of that is in the log, and counted.
    let mut monitoring = api.connect(Listener::Administration).unwrap();
    let metrics = monitoring
        .send("GET", "/metrics", None, None)
        .unwrap()
        .text();
    for code in ["sign-in-refused", "too-many-attempts"] {
        let line = format!("strongroom_refusals_total{{code=\"{code}\"}}");
        assert!(metrics.contains(&line), "{line}");
    }
    assert_eq!(appliance.verify_audit()["verified"], true);
}

/// The script in a text: the block behind the line that names it.
fn script(text: &str) -> &str {
    let (_, rest) = text
        .split_once("<!-- device.sh -->\n\n```sh\n")
        .expect("the text holds the script");
    rest.split_once("\n```\n").unwrap().0
}

#[test]
fn curl_and_openssl_are_enough() {
    assert_eq!(script(README), script(GUIDE), "README and guide differ");
    let appliance = Appliance::start();
    let mut alice = appliance.person(&mut appliance.administrator(), "alice@example.com");
    let admin = Person::administrator(&appliance);
    factory(&admin);
    let device = import(&admin, &["SN-1"]).remove(0);
    let created = alice.create_key("recipe", &["sn-1"]).unwrap();
    let (_, expected) = alice.release(created.key.id).unwrap();

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("device.sh"), script(GUIDE)).unwrap();
    let run = |secret: &str| {
        Command::new("sh")
            .args(["device.sh", &created.key.id.to_string()])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("SERVER", appliance.client_url())
            .env("CA", appliance.ca())
            .env("ACCOUNT", device.account.to_string())
            .env("SECRET", secret)
            .output()
            .unwrap()
    };
    for _ in 0..2 {
        let output = run(&device.secret.to_text());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        assert_eq!(output.stdout, *expected);
    }
    let refused = run(&AccountSecret::from_bytes([1; 32]).to_text());
    assert!(!refused.status.success());
    assert_eq!(refused.stdout, b"");
    let problem: Value =
        serde_json::from_slice(&fs::read(folder.path().join("answer.json")).unwrap()).unwrap();
    assert_eq!(problem["code"], "sign-in-refused");
}
