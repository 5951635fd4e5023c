//! The HSM comes late, goes away under load and comes back: the appliance never waits for it, goes on with what it has, says so, and needs no
//! restart.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_tests::api::Listener;
use strongroom_tests::{Appliance, Failed, Session, programs, tokens};
use strongroom_wire::account::Account;
use strongroom_wire::health::{Health, State, Status};
use strongroom_wire::id::KeyId;
use strongroom_wire::problem::{Code, Problem};

/// How long the appliance may take to notice that its HSM is there again.
const BACK: Duration = Duration::from_secs(10);
/// How long it may take to notice that it is gone: a usable HSM is probed every ten seconds.
const GONE: Duration = Duration::from_secs(15);

#[test]
fn it_starts_without_its_hsm_and_opens_when_that_comes() {
    let mut appliance = Appliance::new();
    let token = tokens::pull_away(&appliance, "strongroom");
    let started = Instant::now();
    appliance.listen().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    let health = appliance.api().health().unwrap();
    assert_eq!(health.state, State::Opening);
    assert_eq!((health.hsm, health.storage), (Status::Failing, Status::Ok));
    assert_unavailable(&ask_own_account(&appliance), Code::HsmUnavailable);

    // What an operator sees, and that it stays so for more than one attempt.
    thread::sleep(Duration::from_secs(4));
    let status = appliance.status();
    assert_eq!(status["state"], "opening");
    assert!(text(&status["reason"]).contains("no token"), "{status}");
    assert_eq!(status["hsms"][0]["state"], "unusable");
    assert_eq!(status["hsms"][0]["retried"], true);
    let shown = appliance.metrics();
    for line in [
        r#"strongroom_state{state="opening"} 1"#,
        r#"strongroom_hsm_usable{hsm="primary"} 0"#,
        "strongroom_hsm_up 0",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    let log = appliance.log();
    assert_eq!(log.matches("the HSM is unusable").count(), 1, "{log}");

    token.put_back();
    appliance.wait_for(State::Serving, BACK);
    let _ = appliance.administrator();
    assert!(appliance.log().contains("the HSM is usable"));
    assert_eq!(appliance.status()["state"], "serving");
    appliance.stop();
}

#[test]
fn what_has_its_kek_goes_on_while_the_hsm_is_away() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let bob = appliance.person(&mut admin, "bob@example.com");
    let key = alice.create_key("report", &[]).unwrap().key.id;
    // Nobody's KEK is cached after a restart, and then Alice's alone is.
    appliance.restart();
    let api = appliance.api();
    let (mut alice, mut bob) = (alice.at(&api), bob.at(&api));
    alice.release(key).unwrap();

    let over = AtomicBool::new(false);
    let released = under_load(&over, [&mut alice], key, || {
        let token = tokens::pull_away(&appliance, "strongroom");
        let refused = bob.get::<Account>("/v1/accounts/me").unwrap_err();
        assert_away(refused);
        wait_for_health(&appliance, GONE, |health| health.hsm == Status::Failing);
        let health = appliance.api().health().unwrap();
        assert_eq!(health.state, State::Serving);
        assert_eq!(health.status, Status::Failing);
        // From now on nobody waits for it: requests that need it fail at once.
        let asked = Instant::now();
        assert_away(bob.get::<Account>("/v1/accounts/me").unwrap_err());
        assert!(asked.elapsed() < Duration::from_secs(2));
        let status = appliance.status();
        assert_eq!(status["state"], "serving");
        assert_eq!(status["hsms"][0]["state"], "unusable");
        assert!(status["cached_keks"].as_u64().unwrap() > 0, "{status}");
        let shown = appliance.metrics();
        assert!(shown.contains("strongroom_hsm_usable{hsm=\"primary\"} 0"));
        assert!(shown.contains("strongroom_hsm_up 0"));

        token.put_back();
        let back = Instant::now();
        while let Err(failed) = bob.get::<Account>("/v1/accounts/me") {
            assert_away(failed);
            assert!(back.elapsed() < BACK, "{}", appliance.log());
            thread::sleep(Duration::from_millis(50));
        }
        wait_for_health(&appliance, BACK, |health| health.status == Status::Ok);
    });
    assert!(released > 100, "only {released} releases meanwhile");
    let log = appliance.log();
    let (gone, back) = (
        log.rfind("the HSM is unusable").unwrap(),
        log.rfind("the HSM is usable").unwrap(),
    );
    assert!(gone < back, "{log}");
    assert_eq!(appliance.verify_audit()["verified"], true);
    appliance.stop();
}

#[test]
fn the_replica_takes_over_and_nobody_notices() {
    let mut appliance = Appliance::new();
    tokens::clone_token(&appliance, "strongroom", "replica");
    // Each HSM behind a module of its own, as two vendors' are: SoftHSM looks for tokens when it is initialised, which a module that
    // serves another token cannot be again.
    fs::copy(programs::softhsm(), appliance.data().join("replica.so")).unwrap();
    appliance.configure(
        "[hsm.replica]\nmodule = \"replica.so\"\ntoken = \"replica\"\n[keystore]\nkek_cache_ttl = 0",
    );
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("report", &["admin@example.com"]).unwrap();
    let key = key.key.id;
    let mut people: Vec<Session> = (0..4).map(|_| alice.at(&appliance.api())).collect();
    let over = AtomicBool::new(false);
    let usable = |report: &Value| {
        let hsms = report["hsms"].as_array().unwrap();
        hsms.iter().all(|hsm| hsm["state"] == "usable")
    };
    wait_for_status(&appliance, BACK, usable);
    let released = under_load(&over, &mut people, key, || {
        thread::sleep(Duration::from_millis(300));
        let primary = tokens::pull_away(&appliance, "strongroom");
        wait_for_status(&appliance, GONE, |report| {
            report["hsms"][1]["serving"] == true
        });
        let health = appliance.api().health().unwrap();
        assert_eq!(health.status, Status::Ok, "{health:?}");
        let shown = appliance.metrics();
        for line in [
            r#"strongroom_hsm_usable{hsm="primary"} 0"#,
            r#"strongroom_hsm_serving{hsm="replica"} 1"#,
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{shown}");
        }
        // Acts that wrap new keys go on, too.
        let _ = appliance.person(&mut admin, "bob@example.com");
        thread::sleep(Duration::from_millis(500));
        primary.put_back();
        wait_for_status(&appliance, BACK, |report| {
            report["hsms"][0]["serving"] == true
        });
    });
    assert!(released > 100, "only {released} releases meanwhile");
    assert_eq!(appliance.verify_audit()["verified"], true);
    appliance.stop();
}

#[test]
fn pins_come_from_where_the_configuration_says() {
    let mut appliance = Appliance::new();
    let file = appliance.data().join("hsm-pin");
    let pin = fs::read_to_string(&file).unwrap();
    let configured = |source: &str| {
        let text = fs::read_to_string(appliance.config()).unwrap();
        let start = text.find("pin = \"").unwrap() + "pin = \"".len();
        let end = start + text[start..].find('"').unwrap();
        fs::write(
            appliance.config(),
            format!("{}{source}{}", &text[..start], &text[end..]),
        )
        .unwrap();
    };
    configured("env:STRONGROOM_TEST_PIN");
    let credentials = appliance.data().join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::rename(&file, credentials.join("hsm-pin")).unwrap();
    appliance.set_environment("STRONGROOM_TEST_PIN", pin.trim());
    appliance.set_environment("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
    appliance.serve();
    appliance.stop();
    let text = fs::read_to_string(appliance.config()).unwrap();
    fs::write(
        appliance.config(),
        text.replace("env:STRONGROOM_TEST_PIN", "credential:hsm-pin"),
    )
    .unwrap();
    appliance.serve();
    appliance.stop();
}

/// Releases a key as fast as these sessions can until `act` is over. Answers how often; a failure ends the test.
fn under_load<'a>(
    over: &AtomicBool,
    sessions: impl IntoIterator<Item = &'a mut Session>,
    key: KeyId,
    act: impl FnOnce(),
) -> u64 {
    thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .into_iter()
            .map(|session| {
                scope.spawn(move || {
                    let mut released = 0;
                    while !over.load(Ordering::Relaxed) {
                        if let Err(failed) = session.release(key) {
                            panic!("release {released}: {failed}");
                        }
                        released += 1;
                    }
                    released
                })
            })
            .collect();
        let acted = catch_unwind(AssertUnwindSafe(act));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = acted {
            resume_unwind(panic);
        }
        let threads = threads.into_iter();
        threads.map(|thread| thread.join().unwrap()).sum()
    })
}

fn ask_own_account(appliance: &Appliance) -> strongroom_tests::http::Response {
    let mut connection = appliance.api().connect(Listener::Client).unwrap();
    connection
        .send("GET", "/v1/accounts/me", None, None)
        .unwrap()
}

fn assert_away(failed: Failed) {
    let problem = failed.problem();
    assert_eq!(problem.code, Code::HsmUnavailable, "{problem:?}");
    assert!(problem.retry_after.is_some());
}

fn assert_unavailable(response: &strongroom_tests::http::Response, code: Code) {
    let problem: Problem = response.problem();
    assert_eq!((response.status, problem.code), (503, code));
    let seconds = problem.retry_after.unwrap().to_string();
    assert_eq!(response.header("retry-after"), Some(seconds.as_str()));
}

fn wait_for_health(appliance: &Appliance, patience: Duration, is: impl Fn(&Health) -> bool) {
    let started = Instant::now();
    loop {
        let health = appliance.api().health().unwrap();
        if is(&health) {
            return;
        }
        assert!(started.elapsed() < patience, "{health:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn wait_for_status(appliance: &Appliance, patience: Duration, is: impl Fn(&Value) -> bool) {
    let started = Instant::now();
    loop {
        let report = appliance.status();
        if is(&report) {
            return;
        }
        assert!(started.elapsed() < patience, "{report}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
