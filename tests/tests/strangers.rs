//! What a stranger, a guesser and somebody who has been shut out get to see: nothing, and the same nothing whatever they ask for.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::Appliance;
use strongroom_tests::api::Listener;
use strongroom_tests::http::Response;
use strongroom_wire::account::{AccountKind, AccountState, ChangedAccount, Done, UpdateAccount};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::KeyPage;
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};
use strongroom_wire::problem::Code;
use strongroom_wire::session::Sessions;

#[test]
fn no_route_that_needs_a_session_works_without_one() {
    let appliance = Appliance::start();
    let api = appliance.api();
    let document = |listener| -> Value {
        let mut connection = api.connect(listener).unwrap();
        connection
            .send("GET", "/v1/openapi.json", None, None)
            .unwrap()
            .json()
    };
    let mut protected = 0;
    for listener in [Listener::Client, Listener::Administration] {
        // One document may describe both listeners: what is not here answers that it is not.
        for (path, operations) in document(listener)["paths"].as_object().unwrap() {
            let path = path.replace("{index}", "0").replace(['{', '}'], "");
            for (method, operation) in operations.as_object().unwrap() {
                let open =
                    operation["security"] == json!([{}]) || operation["security"] == json!([]);
                let method = method.to_uppercase();
                let mut connection = api.connect(listener).unwrap();
                for token in [
                    None,
                    Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                    Some("short"),
                    Some(""),
                ] {
                    let body = (method != "GET" && method != "DELETE").then_some(b"{}".as_slice());
                    let response = connection.send(&method, &path, token, body).unwrap();
                    if open {
                        assert_ne!(response.status, 500, "{method} {path}");
                        continue;
                    }
                    // Identifiers in the address may be looked at before the token.
                    let code = response.problem().code;
                    let refused = [
                        Code::NotSignedIn,
                        Code::Malformed,
                        Code::NoSuchRoute,
                        Code::MethodNotAllowed,
                    ];
                    assert!(
                        refused.contains(&code),
                        "{method} {path} with {token:?}: {code}"
                    );
                    protected += u32::from(code == Code::NotSignedIn);
                    if code == Code::NotSignedIn {
                        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
                    }
                }
            }
        }
    }
    assert!(protected > 40, "only {protected} were tried");
}

/// The response without what differs between any two: dates, leaves, and these identifiers.
fn comparable(response: &Response, ids: &[String]) -> (u16, Vec<(String, String)>, String) {
    let mut text = response.text();
    for id in ids {
        text = text.replace(id, "ID");
    }
    if let Ok(mut body) = serde_json::from_str::<Value>(&text) {
        if let Some(members) = body.as_object_mut() {
            members.remove("leaf");
        }
        text = body.to_string();
    }
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| name != "date" && name != "content-length");
    headers.sort();
    (response.status, headers, text)
}

#[test]
fn a_key_of_others_looks_like_one_that_is_not() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut mallory = appliance.person(&mut admin, "mallory@example.com");
    let foreign = alice.create_key("secret plans", &[]).unwrap().key.id;
    let grant = alice.grants(foreign).unwrap().grants[0].id;
    let destroyed = alice.create_key("old plans", &[]).unwrap().key.id;
    alice.destroy(destroyed).unwrap();
    let unknown = KeyId::generate();
    let ids = [foreign, unknown, destroyed].map(|id| id.to_string());
    for (method, path, body) in [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/release", Some("{}")),
        ("POST", "/release", Some(r#"{"version":1}"#)),
        ("POST", "/rotate", None),
        ("POST", "/state", Some(r#"{"state":"suspended"}"#)),
        ("GET", "/grants", None),
        (
            "POST",
            "/grants",
            Some(r#"{"grantee":"mallory@example.com"}"#),
        ),
        (
            "POST",
            "/grants",
            Some(r#"{"grantee":"nobody@example.com"}"#),
        ),
        ("DELETE", &format!("/grants/{grant}"), None),
    ] {
        let mut ask = |key: &str| {
            let response = mallory.send(
                method,
                &format!("/v1/keys/{key}{path}"),
                body.map(str::as_bytes),
            );
            comparable(&response.unwrap(), &ids)
        };
        let answers = [ask(&ids[0]), ask(&ids[1]), ask(&ids[2])];
        assert_eq!(answers[0].0, 404, "{method} {path}");
        assert_eq!(answers[0], answers[1], "{method} {path}");
        assert_eq!(answers[0], answers[2], "{method} {path}");
    }
    assert_eq!(
        mallory.get::<KeyPage>("/v1/keys?label=plans").unwrap().keys,
        []
    );
    assert_eq!(
        mallory
            .get::<KeyPage>("/v1/keys?sender=alice@example.com")
            .unwrap()
            .keys,
        []
    );
    alice.release(foreign).unwrap();
}

#[test]
fn an_account_that_is_not_looks_like_a_wrong_password() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let _alice = appliance.person(&mut admin, "alice@example.com");
    let pending = admin.create_account("pending@example.com", AccountKind::Person, &[], None);
    let pending_code = pending.unwrap().enrolment_code.unwrap();
    admin
        .create_account(
            "a-group",
            AccountKind::Group,
            &[],
            Some("alice@example.com"),
        )
        .unwrap();
    let api = appliance.api();

    let names = [
        "alice@example.com",
        "nobody@example.com",
        "pending@example.com",
        "a-group",
    ];
    let refusals = names.map(|name| {
        api.sign_in(name, "a guess")
            .map(drop)
            .unwrap_err()
            .problem()
    });
    for problem in &refusals {
        assert_eq!(problem.code, Code::SignInRefused);
        assert_eq!(problem.detail, refusals[0].detail);
        assert_eq!(problem.leaf.is_some(), refusals[0].leaf.is_some());
    }

    // The answers to the start of a sign-in have one form.
    let ke1 = {
        use strongroom_session::opaque_ke::ClientLogin;
        let start = ClientLogin::<strongroom_session::Suite>::start(
            &mut strongroom_session::OsRng,
            b"guess",
        );
        strongroom_wire::encoding::Base64::from(start.unwrap().message.serialize().as_slice())
    };
    let shapes = names.map(|name| {
        let body = json!({"account": name, "ke1": ke1});
        let mut connection = api.connect(Listener::Client).unwrap();
        let response = connection
            .send(
                "POST",
                "/v1/sessions/start",
                None,
                Some(body.to_string().as_bytes()),
            )
            .unwrap();
        let body: Value = response.json();
        let members: Vec<(String, usize)> = body
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().len()))
            .collect();
        (response.status, members)
    });
    assert!(shapes.iter().all(|shape| shape == &shapes[0]), "{shapes:?}");
    assert_eq!(shapes[0].0, 200);

    // Enrolment: a wrong code, no such account, one that has enrolled already.
    let refusals = [
        ("pending@example.com", "0000-0000-0000-0000-0000-0000"),
        ("pending@example.com", ""),
        ("nobody@example.com", &pending_code),
        ("alice@example.com", &pending_code),
    ]
    .map(|(name, code)| api.enrol(name, code, "a password").unwrap_err().problem());
    for problem in &refusals {
        assert_eq!(problem.code, Code::EnrolmentRefused);
        assert_eq!(problem.detail, refusals[0].detail);
    }
    api.enrol("pending@example.com", &pending_code, "a password")
        .unwrap();
    // A code is good for one enrolment.
    let again = api
        .enrol("pending@example.com", &pending_code, "another")
        .unwrap_err();
    assert_eq!(again.code(), Code::EnrolmentRefused);
    api.sign_in("PENDING@example.com".to_lowercase().as_str(), "a password")
        .map(drop)
        .unwrap();
}

#[test]
fn too_many_failures_slow_an_account_down_and_nobody_else() {
    let appliance =
        Appliance::start_with("[limits]\naccount_failures = 3\naccount_failure_seconds = 5");
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let api = appliance.api();
    let mut connection = api.connect(Listener::Client).unwrap();
    let mut wait = 0;
    // Invented names and real ones alike.
    for name in ["nobody@example.com", "alice@example.com"] {
        let refused = api.sign_in(name, "a guess").map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::SignInRefused);
        // Attempts that cost no time of their own, so that the budget does not fill up again meanwhile.
        let body = json!({"account": name, "ke1": ""}).to_string();
        let mut start = || {
            let body = Some(body.as_bytes());
            connection
                .send("POST", "/v1/sessions/start", None, body)
                .unwrap()
        };
        for _ in 0..2 {
            assert_eq!(start().problem().code, Code::Invalid);
        }
        let slowed = start();
        let problem = slowed.problem();
        assert_eq!(problem.code, Code::TooManyAttempts);
        wait = slowed.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&wait), "{wait}");
        assert_eq!(problem.retry_after, Some(wait));
    }
    // The right password is not even looked at.
    let password = appliance.password_of("alice@example.com");
    let slowed = api.sign_in("alice@example.com", &password).map(drop);
    assert_eq!(slowed.unwrap_err().code(), Code::TooManyAttempts);
    // Who is signed in works on, and others sign in.
    alice.create_key("meanwhile", &[]).unwrap();
    let _ = appliance.sign_in("admin@example.com");
    // After the wait alice is let in.
    thread::sleep(Duration::from_millis(wait * 1000 + 100));
    let _ = appliance.sign_in("alice@example.com");
}

#[test]
fn sessions_end_when_they_are_told_to() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut device = appliance.sign_in("alice@example.com");
    let mut mallory = appliance.person(&mut admin, "mallory@example.com");
    assert_ne!(alice.token, device.token);

    // Nobody ends another's session.
    let _: Result<Done, _> = mallory.delete(&format!("/v1/sessions/{}", alice.id));
    let sessions: Sessions = alice.get("/v1/sessions").unwrap();
    let seen: Vec<_> = sessions
        .sessions
        .iter()
        .map(|session| (session.id, session.current))
        .collect();
    assert_eq!(seen, [(device.id, false), (alice.id, true)]);
    assert_eq!(sessions.sessions[0].source, "127.0.0.1");

    // A lost device's session is ended from another one.
    let done: Done = alice
        .delete(&format!("/v1/sessions/{}", device.id))
        .unwrap();
    assert!(done.leaf > 0);
    assert_eq!(
        device.get::<KeyPage>("/v1/keys").unwrap_err().code(),
        Code::NotSignedIn
    );
    let _: KeyPage = alice.get("/v1/keys").unwrap();
    let _: Done = alice.delete("/v1/sessions/current").unwrap();
    assert_eq!(
        alice.get::<KeyPage>("/v1/keys").unwrap_err().code(),
        Code::NotSignedIn
    );
}

#[test]
fn sessions_end_by_themselves() {
    let appliance = Appliance::start_with("[keystore]\nsession_lifetime = 3");
    let mut admin = appliance.administrator();
    let _: KeyPage = admin.get("/v1/keys").unwrap();
    thread::sleep(Duration::from_millis(3100));
    assert_eq!(
        admin.get::<KeyPage>("/v1/keys").unwrap_err().code(),
        Code::NotSignedIn
    );
}

#[test]
fn sessions_end_when_they_are_not_used() {
    let appliance = Appliance::start_with("[keystore]\nsession_idle_lifetime = 3");
    let mut admin = appliance.administrator();
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(1500));
        let _: KeyPage = admin.get("/v1/keys").unwrap();
    }
    thread::sleep(Duration::from_millis(3100));
    assert_eq!(
        admin.get::<KeyPage>("/v1/keys").unwrap_err().code(),
        Code::NotSignedIn
    );
}

#[test]
fn a_stolen_token_opens_nothing_at_another_address() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut thief = alice.at(&appliance.api().from("127.0.0.66".parse().unwrap()));
    // Unless the domain says so, people may change their address.
    let _: KeyPage = thief.get("/v1/keys").unwrap();
    let policy = DomainPolicy {
        bind_sessions_to_address: true,
        ..DomainPolicy::default()
    };
    let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    let looked = thief.get::<KeyPage>("/v1/keys").unwrap_err().problem();
    let acted = thief.create_key("theirs", &[]).unwrap_err().problem();
    let records = alice.records_after(None).unwrap();
    for problem in [looked, acted] {
        assert_eq!(problem.code, Code::SessionElsewhere);
        let record = records
            .iter()
            .find(|record| Some(record.index) == problem.leaf);
        let record = record.unwrap();
        assert_eq!(record.source.as_deref(), Some("127.0.0.66"));
        assert_eq!(record.subject, Some(alice.account.id));
    }
    let sessions: Sessions = alice.get("/v1/sessions").unwrap();
    assert_eq!(sessions.sessions[0].last_source, "127.0.0.1");
    let mut connection = appliance.api().connect(Listener::Administration).unwrap();
    let metrics = connection
        .send("GET", "/metrics", None, None)
        .unwrap()
        .text();
    let counted = r#"strongroom_refusals_total{code="session-elsewhere"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
    let _: Done = alice.delete("/v1/sessions/current").unwrap();
    assert_eq!(
        thief.get::<KeyPage>("/v1/keys").unwrap_err().code(),
        Code::NotSignedIn
    );
}

#[test]
fn a_suspended_account_is_refused_like_a_stranger() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let suspend = UpdateAccount {
        state: Some(AccountState::Suspended),
        roles: None,
    };
    let path = format!("/v1/accounts/{}", alice.account.id);
    let _: ChangedAccount = admin.ask("PATCH", &path, &suspend).unwrap();
    let with_token = comparable(&alice.send("GET", "/v1/keys", None).unwrap(), &[]);
    let api = appliance.api();
    let mut connection = api.connect(Listener::Client).unwrap();
    let made_up = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let without = comparable(
        &connection
            .send("GET", "/v1/keys", Some(made_up), None)
            .unwrap(),
        &[],
    );
    assert_eq!(with_token, without);
    let password = appliance.password_of("alice@example.com");
    let known = api
        .sign_in("alice@example.com", &password)
        .map(drop)
        .unwrap_err()
        .problem();
    let unknown = api
        .sign_in("nobody@example.com", &password)
        .map(drop)
        .unwrap_err()
        .problem();
    assert_eq!((known.code, known.detail), (unknown.code, unknown.detail));
}
