//! What operators do with domains: make, suspend, move, remove; quotas and host names; and what becomes of it when the appliance is killed
//! meanwhile.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::api::Listener;
use strongroom_tests::{Api, Appliance, Person, Session, programs};
use strongroom_wire::account::{Account, AccountKind};
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::problem::Code;

fn folder_of(appliance: &Appliance, name: &str) -> PathBuf {
    appliance.data().join("domains").join(name)
}

fn names(appliance: &Appliance) -> Vec<String> {
    let list = appliance.domain(&["list"]).unwrap();
    let domains = list.as_array().unwrap().iter();
    domains
        .map(|domain| domain["name"].as_str().unwrap().to_owned())
        .collect()
}

fn code_at(api: &Api) -> Code {
    let asked = api.ask::<Value>("GET", "/v1/openapi.json", None::<&()>);
    asked.unwrap_err().code()
}

/// Puts another token into the appliance's `SoftHSM`, and names it as slot `second`.
fn second_slot(appliance: &Appliance) {
    let folder = appliance.data().join("second");
    let module = programs::softhsm();
    let mut init = appliance.strongroomd();
    let output = init
        .args([
            "init",
            "--initialise-token",
            "--token",
            "second",
            "--module",
        ])
        .arg(&module)
        .args(["--admin-account", "nobody@example.com", "--data"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    appliance.configure(&format!(
        "[hsm.slots.second]\nmodule = \"{}\"\ntoken = \"second\"\npin = \"file:second/hsm-pin\"",
        module.display()
    ));
}

fn records(session: &mut Session) -> Vec<Record> {
    session.records_after(None).unwrap()
}

#[test]
fn operators_see_counts_and_clients_ask_by_header_or_host() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.new_domain("acme", &["--host", "keys.acme.example"]);
    let mut alice = appliance.person(&mut admin, "alice@acme.example");
    let key = alice.create_key("the label of a key", &[]).unwrap().key.id;
    alice.release(key).unwrap();

    // Operators see numbers, and no name or label of anybody.
    let shown = appliance.domain(&["show", "acme"]).unwrap();
    assert_eq!(shown["number"], 2);
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["slot"], "default");
    assert_eq!(shown["counts"]["accounts"], 2);
    assert_eq!(shown["counts"]["keys"], 1);
    assert_eq!(shown["counts"]["sessions"], 2);
    assert_eq!(shown["counts"]["releases_today"], 1);
    let list = appliance.domain(&["list"]).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    for text in [
        shown.to_string(),
        list.to_string(),
        appliance.metrics(),
        appliance.log(),
    ] {
        assert!(!text.contains("alice@"), "{text}");
        assert!(!text.contains("label of a key"), "{text}");
    }
    let metrics = appliance.metrics();
    assert!(
        metrics.contains(r#"strongroom_domain_requests_total{domain="2"}"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"strongroom_domains{state="all"} 2"#),
        "{metrics}"
    );
    assert!(!metrics.contains("acme"), "{metrics}");

    // By its host name it is asked for as well.
    let mut connection = appliance.api().connect(Listener::Client).unwrap();
    let token = alice.token.to_text();
    let request = format!(
        "GET /v1/accounts/me HTTP/1.1\r\nhost: Keys.Acme.Example:8443\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let account: Account = connection.raw(request.as_bytes()).unwrap().json();
    assert_eq!(account.name, "alice@acme.example");

    appliance.stop();
}

#[test]
fn a_suspended_domain_answers_nobody_until_it_is_resumed() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.new_domain("acme", &[]);
    let api = admin.api().clone();
    let mut alice = appliance.person(&mut admin, "alice@acme.example");
    let key = alice.create_key("k", &[]).unwrap().key.id;
    let suspended = appliance.domain(&["suspend", "acme"]).unwrap();
    assert_eq!(suspended["state"], "suspended");
    assert_eq!(suspended["counts"]["sessions"], 0);
    // As a domain that there never was.
    assert_eq!(code_at(&api), Code::DomainUnavailable);
    assert_eq!(
        code_at(&appliance.api().in_domain("never")),
        Code::DomainUnavailable
    );
    assert_eq!(
        alice.release(key).unwrap_err().code(),
        Code::DomainUnavailable
    );
    appliance.restart();
    assert_eq!(code_at(&api), Code::DomainUnavailable);
    // The registry alone does not resume it.
    appliance.stop();
    let registry = appliance.data().join("domains/registry.json");
    let text = fs::read_to_string(&registry).unwrap();
    let edited = text.replace(r#""suspended":true"#, r#""suspended":false"#);
    assert_ne!(edited, text);
    fs::write(&registry, edited).unwrap();
    appliance.serve();
    assert_eq!(code_at(&api), Code::DomainUnavailable);
    let resumed = appliance.domain(&["resume", "acme"]).unwrap();
    assert_eq!(resumed["state"], "active");
    let mut alice = api
        .sign_in(
            "alice@acme.example",
            &appliance.password_of("alice@acme.example"),
        )
        .unwrap();
    alice.release(key).unwrap();
    appliance.stop();
}

#[test]
fn a_removed_domain_is_gone_and_the_operators_log_says_so() {
    let mut appliance = Appliance::start();
    let mut first = appliance.administrator();
    let api = appliance.new_domain("acme", &[]).api().clone();
    // Removing takes suspending first, and its name.
    let refused = appliance.domain(&["remove", "acme", "--confirm", "acme"]);
    assert!(refused.unwrap_err().contains("suspend it first"));
    appliance.domain(&["suspend", "acme"]).unwrap();
    let wrong = appliance.domain(&["remove", "acme", "--confirm", "acm"]);
    assert!(wrong.unwrap_err().contains("nothing was removed"));
    let untold = appliance.domain(&["remove", "acme"]);
    assert!(untold.unwrap_err().contains("--confirm acme"));
    let gone = appliance
        .domain(&["remove", "acme", "--confirm", "acme"])
        .unwrap();
    assert_eq!(gone["checkpoint_key_destroyed"], true);
    assert_eq!(names(&appliance), ["default"]);
    assert!(!folder_of(&appliance, "acme").exists());
    assert_eq!(code_at(&api), Code::DomainUnavailable);
    // Its name stands in checkpoints, for good.
    let again = appliance.domain(&["create", "acme", "--admin-account", "x@example.com"]);
    assert!(again.unwrap_err().contains("was removed"));
    let next = appliance.domain(&["create", "next", "--admin-account", "x@example.com"]);
    assert_eq!(next.unwrap()["domain"]["number"], 3);
    for (words, said) in [
        (&["suspend", "default"][..], "first domain"),
        (
            &["remove", "default", "--confirm", "default"],
            "first domain",
        ),
        (&["show", "never"], "no domain"),
        (&["create", "Acme", "--admin-account", "x"], "lower-case"),
        (
            &["create", "default", "--admin-account", "x"],
            "first domain",
        ),
        (
            &["create", "b", "--admin-account", "x", "--slot", "none"],
            "no HSM slot",
        ),
    ] {
        let refused = appliance.domain(words).unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }

    // The first domain's log is the operators'.
    let auditor = first.create_account(
        "auditor@example.com",
        AccountKind::Person,
        &[strongroom_wire::account::Role::Auditor],
        None,
    );
    let code = auditor.unwrap().enrolment_code.unwrap();
    let password = appliance.password_of("auditor@example.com");
    appliance
        .api()
        .enrol("auditor@example.com", &code, &password)
        .unwrap();
    let mut auditor = appliance.sign_in("auditor@example.com");
    let operators: Vec<_> = records(&mut auditor)
        .into_iter()
        .filter(|record| [Act::DomainCreate, Act::DomainRemove].contains(&record.act))
        .map(|record| (record.act, record.note.unwrap()))
        .collect();
    assert_eq!(
        operators,
        [
            (Act::DomainCreate, "domain 3, slot default".to_owned()),
            (Act::DomainRemove, "domain 2".to_owned()),
            (Act::DomainCreate, "domain 2, slot default".to_owned()),
        ]
    );
    assert_eq!(appliance.verify_audit()["verified"], true);
    appliance.stop();
}

#[test]
fn people_use_a_domain_from_the_command_line() {
    let mut appliance = Appliance::start();
    let made = appliance
        .domain(&["create", "acme", "--admin-account", ADMINISTRATOR])
        .unwrap();
    // Whoever did not get to see the code asks again.
    let again = appliance
        .domain(&["create", "acme", "--admin-account", ADMINISTRATOR])
        .unwrap();
    assert_eq!(made["domain"]["number"], again["domain"]["number"]);
    assert_ne!(made["enrolment_code"], again["enrolment_code"]);
    let admin = Person::administrator(&appliance);
    let code = again["enrolment_code"].as_str().unwrap();
    let _ = admin.enrol_with(code, &["--domain", "acme"]).success();
    // The profile keeps it.
    let _ = admin.login().success();
    let status = admin.run(&["status", "--json"]).success();
    assert!(
        status.stdout.contains(r#""domain":"acme""#),
        "{}",
        status.stdout
    );
    let refused = appliance.domain(&["create", "acme", "--admin-account", ADMINISTRATOR]);
    assert!(refused.unwrap_err().contains("already"));
    appliance.stop();
}

#[test]
fn quotas_bind_where_things_are_made() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.new_domain(
        "acme",
        &["--accounts", "3", "--keys", "2", "--sessions", "4"],
    );
    let api = admin.api().clone();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("1", &[]).unwrap().key.id;
    alice.create_key("2", &[]).unwrap();
    let refused = alice.create_key("3", &[]).unwrap_err().problem();
    assert_eq!(refused.code, Code::QuotaExceeded);
    // What exactly is told to administrators only.
    assert!(!refused.detail.contains("keys"), "{}", refused.detail);
    let told = admin.create_key("4", &[]).unwrap_err().problem();
    assert!(told.detail.contains("2 keys"), "{}", told.detail);
    assert!(told.leaf.is_some());
    alice.destroy(key).unwrap();
    alice.create_key("5", &[]).unwrap();

    let service = |admin: &mut Session, name: &str| {
        admin.create_account(name, AccountKind::Service, &[], None)
    };
    service(&mut admin, "billing").unwrap();
    let refused = service(&mut admin, "payroll").err().unwrap().problem();
    assert_eq!(refused.code, Code::QuotaExceeded);
    assert!(refused.detail.contains("3 accounts"), "{}", refused.detail);

    let password = appliance.password_of("alice@example.com");
    for _ in 0..2 {
        api.sign_in("alice@example.com", &password).unwrap();
    }
    let refused = api.sign_in("alice@example.com", &password);
    assert_eq!(refused.err().unwrap().code(), Code::QuotaExceeded);

    // None of it concerns another domain.
    let mut first = appliance.administrator();
    service(&mut first, "payroll").unwrap();

    // Raised, taken away, and seen.
    let shown = appliance
        .domain(&[
            "quota",
            "acme",
            "--keys",
            "none",
            "--accounts",
            "10",
            "--requests-per-second",
            "5",
        ])
        .unwrap();
    assert_eq!(shown["quotas"]["keys"], Value::Null);
    assert_eq!(shown["quotas"]["sessions"], 4);
    service(&mut admin, "payroll").unwrap();
    let mut refused = 0;
    for _ in 0..40 {
        if let Err(failed) = alice.get::<Account>("/v1/accounts/me") {
            let problem = failed.problem();
            assert_eq!(problem.code, Code::TooManyRequests);
            assert_eq!(problem.retry_after, Some(1));
            refused += 1;
        }
    }
    assert!(refused > 10, "only {refused} of 40 requests were refused");
    appliance
        .domain(&[
            "quota",
            "acme",
            "--requests-per-second",
            "none",
            "--bytes",
            "1000",
        ])
        .unwrap();
    let full = alice.create_key("6", &[]).unwrap_err();
    assert_eq!(full.code(), Code::QuotaExceeded);
    // They survive, as they stand in the domain's own record.
    appliance.restart();
    let mut alice = alice.at(alice.api());
    let full = alice.create_key("7", &[]).unwrap_err();
    assert_eq!(full.code(), Code::QuotaExceeded);
    appliance.stop();
}

#[test]
fn a_rotation_goes_on_in_a_domain_also_when_it_is_closed() {
    let mut appliance = Appliance::new();
    appliance.configure("[domains]\nopen = 1");
    appliance.serve();
    let mut admin = appliance.new_domain("acme", &[]);
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("kept", &[]).unwrap().key.id;
    let rotated: Value = admin
        .ask("POST", "/v1/master-kek/rotate", &serde_json::json!({}))
        .unwrap();
    assert_eq!(rotated["version"], 2);
    // Another takes its place in memory.
    let _other = appliance.new_domain("brand", &[]);
    let database = folder_of(&appliance, "acme").join("strongroom.db");
    let started = Instant::now();
    loop {
        // The second to the fifth byte of what is wrapped is the version of the master KEK that wrapped it.
        let database = rusqlite::Connection::open(&database).unwrap();
        let old: u32 = database
            .query_row(
                "SELECT count(*) FROM account_keks WHERE substr(wrapped, 2, 4) < x'00000002'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        if old == 0 {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{}",
            appliance.log()
        );
        thread::sleep(Duration::from_millis(200));
    }
    alice.release(key).unwrap();
    appliance.stop();
}

#[test]
fn a_domain_moves_to_another_slot_while_it_serves() {
    let mut appliance = Appliance::new();
    second_slot(&appliance);
    appliance.serve();
    let mut admin = appliance.new_domain("acme", &[]);
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("before", &[]).unwrap().key.id;
    let material = alice.release(key).unwrap().1;
    let refused = appliance.domain(&["move", "acme", "--to-slot", "third"]);
    assert!(refused.unwrap_err().contains("no HSM slot"));

    let mut released = 0;
    let mut moving = appliance.strongroomd();
    let mut moving = moving
        .args(["domain", "move", "acme", "--to-slot", "second"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        // Requests wait for moments at most; none is refused.
        assert_eq!(alice.release(key).unwrap().1, material);
        released += 1;
        if let Some(status) = moving.try_wait().unwrap() {
            break status;
        }
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{}",
            appliance.log()
        );
    };
    assert!(status.success(), "{}", appliance.log());
    assert!(released > 10);
    let shown = appliance.domain(&["show", "acme"]).unwrap();
    assert_eq!(
        (&shown["state"], &shown["slot"]),
        (&"active".into(), &"second".into())
    );
    appliance.restart();
    let mut alice = alice.at(alice.api());
    assert_eq!(alice.release(key).unwrap().1, material);
    alice.create_key("after", &[]).unwrap();
    thread::sleep(Duration::from_millis(1500));
    let mut verify = appliance.strongroomd();
    let verified = verify.args(["audit", "verify", "--domain", "acme", "--json"]);
    let report: Value = serde_json::from_slice(&verified.output().unwrap().stdout).unwrap();
    assert_eq!(report["verified"], true, "{report}");
    // The old slot's key ended; the new one's signs.
    assert_eq!(
        report["verifier_keys"].as_array().unwrap().len(),
        2,
        "{report}"
    );
    // It can come back, as nothing of it is left there.
    appliance
        .domain(&["move", "acme", "--to-slot", "default"])
        .unwrap();
    assert_eq!(alice.release(key).unwrap().1, material);
    appliance.stop();
}

#[test]
fn what_a_kill_breaks_off_is_finished_or_taken_back() {
    let mut appliance = Appliance::new();
    second_slot(&appliance);
    appliance.serve();
    let mut admin = appliance.new_domain("kept", &[]);
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("kept", &[]).unwrap().key.id;
    let material = alice.release(key).unwrap().1;

    // While domains are made, at moments all over it.
    for (round, delay) in [1_u64, 4, 8, 12, 16, 20, 25, 30, 40]
        .into_iter()
        .enumerate()
    {
        let name = format!("made-{round}");
        let mut create = appliance.strongroomd();
        let mut create = create
            .args([
                "domain",
                "create",
                &name,
                "--admin-account",
                "x@example.com",
                "--json",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        appliance.kill();
        let told = create.wait().unwrap().success();
        appliance.serve();
        // Whole or not at all, and if it was told it is there.
        settled(&appliance);
        let there = names(&appliance).contains(&name);
        assert!(there || !told, "{name}: {}", appliance.log());
        assert_eq!(folder_of(&appliance, &name).exists(), there, "{name}");
        let made = appliance.domain(&["create", &name, "--admin-account", "x@example.com"]);
        assert!(made.is_ok(), "{name}: {made:?}");
    }

    // While a domain moves.
    let mut slots = Vec::new();
    for delay in [2_u64, 10, 30, 100, 400] {
        let shown = appliance.domain(&["show", "kept"]).unwrap();
        let to = if shown["slot"] == "default" {
            "second"
        } else {
            "default"
        };
        let mut command = appliance.strongroomd();
        let mut moving = command
            .args(["domain", "move", "kept", "--no-wait", "--to-slot", to])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        appliance.kill();
        moving.wait().unwrap();
        appliance.serve();
        settled(&appliance);
        let shown = appliance.domain(&["show", "kept"]).unwrap();
        assert_eq!(shown["state"], "active", "{}", appliance.log());
        slots.push(shown["slot"].to_string());
        let mut alice = alice.at(alice.api());
        assert_eq!(alice.release(key).unwrap().1, material);
    }
    assert!(slots.contains(&"\"second\"".to_owned()), "{slots:?}");

    // While domains are removed.
    for (round, delay) in [1_u64, 3, 6, 9, 14, 20].into_iter().enumerate() {
        let name = format!("made-{round}");
        appliance.domain(&["suspend", &name]).unwrap();
        let mut command = appliance.strongroomd();
        let mut removing = command
            .args(["domain", "remove", &name, "--confirm", &name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        appliance.kill();
        let told = removing.wait().unwrap().success();
        appliance.serve();
        settled(&appliance);
        let there = names(&appliance).contains(&name);
        assert!(!there || !told, "{name}");
        assert_eq!(folder_of(&appliance, &name).exists(), there, "{name}");
        if there {
            appliance
                .domain(&["remove", &name, "--confirm", &name])
                .unwrap();
        }
    }
    assert_eq!(alice.at(alice.api()).release(key).unwrap().1, material);
    assert_eq!(appliance.verify_audit()["verified"], true);
    appliance.stop();
}

/// Waits until nothing that was begun with a domain is left to do.
fn settled(appliance: &Appliance) {
    let started = Instant::now();
    loop {
        let list = appliance.domain(&["list"]).unwrap();
        let busy =
            |domain: &&Value| !["active", "suspended"].contains(&domain["state"].as_str().unwrap());
        let Some(domain) = list.as_array().unwrap().iter().find(busy).cloned() else {
            return;
        };
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{domain}: {}",
            appliance.log()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_domain_that_fails_concerns_itself_only() {
    let mut appliance = Appliance::start();
    let acme = appliance.new_domain("acme", &[]);
    let brand = appliance.new_domain("brand", &[]);
    appliance.stop();
    fs::write(
        folder_of(&appliance, "acme").join("strongroom.db"),
        "no database",
    )
    .unwrap();
    appliance.serve();
    let mut brand = brand.at(brand.api());
    brand.get::<Account>("/v1/accounts/me").unwrap();
    let refused = acme.at(acme.api()).get::<Account>("/v1/accounts/me");
    let problem = refused.unwrap_err().problem();
    assert_eq!(problem.code, Code::Unavailable);
    assert!(problem.retry_after.is_some());
    let health = appliance.api().health().unwrap();
    assert_eq!(health.failing_domains, 1);
    assert_eq!(health.status, strongroom_wire::health::Status::Ok);
    assert!(!appliance.log().contains("acme\""), "{}", appliance.log());
    appliance.stop();
}

#[test]
fn each_domain_is_backed_up_and_restored_by_itself() {
    let mut appliance = Appliance::start();
    let mut acme = appliance.new_domain("acme", &[]);
    let mut alice = appliance.person(&mut acme, "alice@example.com");
    let key = alice.create_key("kept", &[]).unwrap().key.id;
    let material = alice.release(key).unwrap().1;
    thread::sleep(Duration::from_millis(1500));
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("acme.backup");
    let mut command = appliance.strongroomd();
    let made = command
        .args(["backup", "--domain", "acme", "--to"])
        .arg(&backup)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    // It is no backup of the first domain.
    let mut command = appliance.strongroomd();
    let elsewhere = folder.path().join("first");
    let other = command
        .arg("restore")
        .arg(&backup)
        .arg("--data")
        .arg(&elsewhere)
        .output()
        .unwrap();
    assert!(!other.status.success(), "{other:?}");

    appliance.stop();
    let here = folder_of(&appliance, "acme");
    fs::rename(&here, folder.path().join("lost")).unwrap();
    let mut command = appliance.strongroomd();
    let restored = command
        .args(["restore", "--domain", "acme"])
        .arg(&backup)
        .arg("--data")
        .arg(&here)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{restored:?}");
    appliance.serve();
    let mut alice = alice
        .api()
        .sign_in(
            "alice@example.com",
            &appliance.password_of("alice@example.com"),
        )
        .unwrap();
    assert_eq!(alice.release(key).unwrap().1, material);
    appliance.stop();
}
