//! The HTTP interface as a careless program meets it: what is wrong is said, what is large is refused, lists have pages.

use strongroom_tests::api::Listener;
use strongroom_tests::http::Response;
use strongroom_tests::session::new_key;
use strongroom_tests::{Appliance, Session};
use strongroom_wire::health::{Health, Status};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{CreateKeys, KeyPage, MOST_KEYS_A_REQUEST};
use strongroom_wire::problem::Code;

/// A method, an address (KEY stands for a key that is not there), a body, and what is wrong.
const WRONG: &[(&str, &str, Option<&str>, Code)] = &[
    ("GET", "/nothing", None, Code::NoSuchRoute),
    ("GET", "/v1/keyss", None, Code::NoSuchRoute),
    ("GET", "/v1/keys/", None, Code::NoSuchRoute),
    ("GET", "/v1/../v1/keys", None, Code::NoSuchRoute),
    ("PUT", "/v1/keys", Some("{}"), Code::MethodNotAllowed),
    ("GET", "/v1/sessions/start", None, Code::MethodNotAllowed),
    ("PUT", "/v1/keys/KEY", Some("{}"), Code::MethodNotAllowed),
    ("POST", "/v1/keys", None, Code::Malformed),
    ("POST", "/v1/keys", Some(""), Code::Malformed),
    ("POST", "/v1/keys", Some("{"), Code::Malformed),
    ("POST", "/v1/keys", Some("[]"), Code::Malformed),
    ("POST", "/v1/keys", Some("{}"), Code::Malformed),
    ("POST", "/v1/keys", Some("\u{0}"), Code::Malformed),
    ("POST", "/v1/keys", Some(r#"{"keys":[]}"#), Code::Invalid),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"des"}]}"#),
        Code::Malformed,
    ),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"aes-256","polcy":{}}]}"#),
        Code::Malformed,
    ),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"aes-256","policy":{"max_release":1}}]}"#),
        Code::Malformed,
    ),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"aes-256","policy":{"max_releases":0}}]}"#),
        Code::Invalid,
    ),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"aes-256","policy":{"max_releases":-1}}]}"#),
        Code::Malformed,
    ),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"aes-256","state":"destroyed"}]}"#),
        Code::Invalid,
    ),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"aes-256","label":"a\u0000b"}]}"#),
        Code::Invalid,
    ),
    (
        "POST",
        "/v1/keys",
        Some(r#"{"keys":[{"algorithm":"aes-256","recipients":["nobody@example.com"]}]}"#),
        Code::AccountNotFound,
    ),
    ("GET", "/v1/keys/report.pdf", None, Code::Malformed),
    ("GET", "/v1/keys?limit=many", None, Code::Malformed),
    ("GET", "/v1/keys?owner=alice", None, Code::Malformed),
    ("GET", "/v1/keys/KEY", None, Code::KeyNotFound),
    (
        "POST",
        "/v1/keys/KEY/release",
        Some("{}"),
        Code::KeyNotFound,
    ),
    (
        "POST",
        "/v1/keys/KEY/release",
        Some(r#"{"version":"newest"}"#),
        Code::Malformed,
    ),
    ("DELETE", "/v1/keys/KEY", None, Code::KeyNotFound),
];

/// Sends and expects this problem.
#[track_caller]
fn assert_problem(response: &Response, code: Code) {
    let problem = response.problem();
    assert_eq!(problem.code, code, "{}", problem.detail);
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[test]
fn what_is_wrong_with_a_request_is_a_problem_document() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut ask = |method: &str, path: &str, body: Option<&str>| {
        alice.send(method, path, body.map(str::as_bytes)).unwrap()
    };
    let key = KeyId::generate().to_string();
    for (method, path, body, code) in WRONG {
        let path = &path.replace("KEY", &key);
        let response = ask(method, path, *body);
        let problem = response.problem();
        assert_eq!(
            problem.code, *code,
            "{method} {path} {body:?}: {}",
            problem.detail
        );
        if *code == Code::MethodNotAllowed {
            let allowed = response.header("allow").unwrap();
            assert!(
                !allowed.is_empty() && !allowed.contains(*method),
                "{allowed}"
            );
        }
    }
    let mut longest = new_key("", &[]);
    longest.label = "l".repeat(1025);
    let too_many = vec![new_key("", &[]); MOST_KEYS_A_REQUEST + 1];
    for keys in [vec![longest], too_many] {
        let refused = alice.create(&CreateKeys {
            keys,
            release: false,
        });
        assert_eq!(refused.map(drop).unwrap_err().code(), Code::Invalid);
    }
    // All are created or none.
    let mut mixed = vec![new_key("good", &[]); 3];
    mixed.push(new_key("bad", &["nobody@example.com"]));
    let refused = alice.create(&CreateKeys {
        keys: mixed,
        release: false,
    });
    assert_eq!(refused.map(drop).unwrap_err().code(), Code::AccountNotFound);
    assert_eq!(alice.get::<KeyPage>("/v1/keys").unwrap().keys, []);
    // And the most that one request may ask for are made.
    let most = CreateKeys {
        keys: vec![new_key("many", &[]); MOST_KEYS_A_REQUEST],
        release: true,
    };
    let created = alice.create(&most).unwrap().keys;
    assert_eq!(created.len(), MOST_KEYS_A_REQUEST);
    let materials: std::collections::BTreeSet<Vec<u8>> = created
        .iter()
        .map(|created| alice.unwrap(created.material.as_ref().unwrap()).to_vec())
        .collect();
    assert_eq!(
        materials.len(),
        MOST_KEYS_A_REQUEST,
        "no two keys are alike"
    );
}

#[test]
fn bodies_that_are_too_large_are_refused_unread() {
    let appliance = Appliance::start();
    let api = appliance.api();
    for (path, limit) in [
        ("/v1/sessions/start", 1024 * 1024),
        ("/v1/enrolments/start", 1024 * 1024),
    ] {
        // Announced: refused by its length alone.
        let mut connection = api.connect(Listener::Client).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            limit + 1
        );
        assert_problem(&connection.raw(head.as_bytes()).unwrap(), Code::TooLarge);
        // Unannounced: refused once there is too much of it.
        let mut connection = api.connect(Listener::Client).unwrap();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        .into_bytes();
        let block = vec![b' '; 64 * 1024];
        for _ in 0..=limit / block.len() {
            request.extend_from_slice(format!("{:x}\r\n", block.len()).as_bytes());
            request.extend_from_slice(&block);
            request.extend_from_slice(b"\r\n");
        }
        assert_problem(&connection.raw(&request).unwrap(), Code::TooLarge);
    }
    // Headers without end are not taken either, and the appliance lives on.
    let mut connection = api.connect(Listener::Client).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "y".repeat(1024 * 1024)
    );
    match connection.raw(request.as_bytes()) {
        Ok(response) => assert!((400..500).contains(&response.status), "{response:?}"),
        Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock),
    }
    let health: Health = api.ask("GET", "/v1/health", None::<&()>).unwrap();
    assert_eq!(health.status, Status::Ok);
}

#[test]
fn lists_are_paged_and_searched() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut bob = appliance.person(&mut admin, "bob@example.com");
    let keys: Vec<_> = (0..25)
        .map(|n| {
            let recipients: &[&str] = if n % 5 == 0 {
                &["bob@example.com"]
            } else {
                &[]
            };
            new_key(&format!("Report {n:02}"), recipients)
        })
        .collect();
    let created = alice
        .create(&CreateKeys {
            keys,
            release: false,
        })
        .unwrap()
        .keys;
    let all: Vec<KeyId> = created.iter().rev().map(|created| created.key.id).collect();

    let pages = |session: &mut Session, query: &str| {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page: KeyPage = session.get(&format!("/v1/keys?{query}{after}")).unwrap();
            found.extend(page.keys.iter().map(|key| key.id));
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return found,
            }
        }
    };
    assert_eq!(pages(&mut alice, "limit=7"), all);
    assert_eq!(pages(&mut alice, "limit=1000"), all);
    assert_eq!(pages(&mut alice, "label=report%2007"), [created[7].key.id]);
    let bobs: Vec<KeyId> = all
        .iter()
        .copied()
        .filter(|id| created.iter().position(|c| c.key.id == *id).unwrap() % 5 == 0)
        .collect();
    assert_eq!(pages(&mut bob, "limit=2"), bobs);
    assert_eq!(pages(&mut alice, "recipient=bob@example.com&limit=3"), bobs);
    assert_eq!(pages(&mut bob, "sender=alice@example.com"), bobs);
    assert!(pages(&mut alice, "sender=bob@example.com").is_empty());
    assert!(pages(&mut alice, "state=suspended").is_empty());
    let instant = created[0].key.created;
    assert_eq!(pages(&mut alice, &format!("from={instant}")), all);
    assert!(pages(&mut alice, &format!("until={instant}")).is_empty());
    // A wildcard of the database is none here.
    assert!(pages(&mut alice, "label=%25").is_empty());
    assert!(pages(&mut alice, "label=Report_07").is_empty());
}
