//! What operators do with domains: make, suspend, remove; quotas and host names.

use std::fs;

use serde_json::Value;
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::api::Listener;
use strongroom_tests::{Api, Appliance, Person, Session};
use strongroom_wire::account::{Account, AccountKind};
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::problem::Code;

use crate::tenants::{folder_of, names};

fn code_at(api: &Api) -> Code {
    let asked = api.ask::<Value>("GET", "/v1/openapi.json", None::<&()>);
    asked.unwrap_err().code()
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
