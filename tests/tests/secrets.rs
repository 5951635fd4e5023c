//! No secret in logs, errors, the process's environment, the data folder or a core dump.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::json;
use strongroom_tests::api::Listener;
use strongroom_tests::scan::{Secrets, files_below};
use strongroom_tests::session::new_key;
use strongroom_tests::{Api, Appliance, Session};
use strongroom_wire::account::AccountKind;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::CreateKeys;

/// What was said to clients: every answer that was an error.
type Errors = Vec<String>;

/// An appliance that logs all it can.
fn talkative(format: &str) -> Appliance {
    let mut appliance = Appliance::new();
    appliance.configure(&format!("[log]\nlevel = \"debug\"\nformat = \"{format}\""));
    // Nor may somebody's debugging variables make it say more.
    appliance.set_environment("RUST_LOG", "trace");
    appliance.set_environment("RUST_BACKTRACE", "full");
    appliance.serve();
    appliance
}

/// Adds the secrets that are in a session and in its keys.
fn add_session(secrets: &mut Secrets, session: &Session) {
    secrets.add_bytes("a session token", &session.token.0);
    secrets.add_bytes("a transport key", session.transport().as_bytes());
}

fn add_pins(secrets: &mut Secrets, appliance: &Appliance) {
    for file in ["hsm-pin", "hsm-so-pin"] {
        let pin = fs::read_to_string(appliance.data().join(file)).unwrap();
        secrets.add_text(file, pin.trim());
    }
}

/// Everything that people do, and everything that goes wrong.
fn live(appliance: &Appliance, secrets: &mut Secrets) -> Errors {
    let api = appliance.api();
    let mut admin = appliance.administrator();
    secrets.add_text("the administrator's code", appliance.administrator_code());
    let created = admin.create_account("bob@example.com", AccountKind::Person, &[], None);
    let code = created.unwrap().enrolment_code.unwrap();
    secrets.add_text("bob's code", &code);
    secrets.add_text("bob's code without hyphens", &code.replace('-', ""));
    let password = appliance.password_of("bob@example.com");
    secrets.add_text("bob's password", &password);
    secrets.add_text(
        "the administrator's password",
        &appliance.password_of("admin@example.com"),
    );
    let mut errors = Errors::new();
    // A wrong code first, in the right one's form.
    let wrong_code = code.chars().rev().collect::<String>();
    secrets.add_text("a wrong code", &wrong_code);
    errors.push(
        api.enrol("bob@example.com", &wrong_code, &password)
            .unwrap_err()
            .to_string(),
    );
    api.enrol("bob@example.com", &code, &password).unwrap();
    let mut bob = appliance.sign_in("bob@example.com");
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    secrets.add_text(
        "alice's password",
        &appliance.password_of("alice@example.com"),
    );
    secrets.add_text("a wrong password", "wrong-password-9182736455");
    errors.push(
        api.sign_in("alice@example.com", "wrong-password-9182736455")
            .map(drop)
            .unwrap_err()
            .to_string(),
    );

    let keys = vec![new_key("a", &["bob@example.com"]), new_key("b", &[])];
    let created = alice
        .create(&CreateKeys {
            keys,
            release: true,
        })
        .unwrap()
        .keys;
    for created in &created {
        secrets.add_bytes("a key", &alice.unwrap(created.material.as_ref().unwrap()));
    }
    let key = created[0].key.id;
    alice.rotate(key).unwrap();
    let (_, second) = bob.release(key).unwrap();
    secrets.add_bytes("a rotated key", &second);
    let grant = alice.grants(key).unwrap().grants[1].id;
    alice.revoke(key, grant).unwrap();
    errors.push(bob.release(key).unwrap_err().to_string());
    errors.push(bob.release(KeyId::generate()).unwrap_err().to_string());
    alice.destroy(created[1].key.id).unwrap();
    for session in [&admin, &alice, &bob] {
        add_session(secrets, session);
    }
    errors.extend(careless(&api, &mut bob));
    errors
}

/// Requests that carry secrets where none belong.
fn careless(api: &Api, session: &mut Session) -> Errors {
    let token = session.token.to_text();
    let mut errors = Errors::new();
    let mut connection = api.connect(Listener::Client).unwrap();
    for path in [
        format!("/v1/{token}"),
        format!("/v1/keys/{token}"),
        format!("/v1/keys?{token}={token}"),
        format!("/v1/keys?token={token}"),
        format!("/v1/keys?limit={token}"),
    ] {
        let response = connection.send("GET", &path, Some(&token), None).unwrap();
        assert!(response.status >= 400, "{path}");
        errors.push(response.text());
    }
    for body in [
        json!({ token.as_str(): 1 }),
        json!({"account": token, "code": {token.as_str(): token}}),
        json!({"account": {"code": token}, "code": token, "request": token}),
        json!({"account": "a", "code": "b", "request": format!("{token}!")}),
        json!([token]),
        json!(token),
    ] {
        for path in [
            "/v1/enrolments/start",
            "/v1/sessions/start",
            "/v1/sessions/finish",
            "/v1/keys",
        ] {
            let response = connection
                .send(
                    "POST",
                    path,
                    Some(&token),
                    Some(body.to_string().as_bytes()),
                )
                .unwrap();
            assert!(response.status >= 400, "{path} {body}");
            errors.push(response.text());
        }
    }
    // Tokens in a shape that is no token, and a method that is one.
    let method = format!("GET{}", token.replace(['-', '_'], "x"));
    let request = format!(
        "{method} /v1/keys HTTP/1.1\r\nhost: a\r\nauthorization: Basic {token}\r\ncookie: token={token}\r\n\r\n"
    );
    if let Ok(response) = connection.raw(request.as_bytes()) {
        errors.push(response.text());
    }
    errors
}

/// The files of the data folder, without those that are there to hold a secret.
fn data_files(appliance: &Appliance) -> Vec<PathBuf> {
    let mut files = files_below(&appliance.data());
    let secret = ["hsm-pin", "hsm-so-pin", "tls/ca.key", "tls/server.key"]
        .map(|name| appliance.data().join(name));
    let tokens = appliance.data().join("tokens");
    let all = files.len();
    files.retain(|file| !secret.contains(file) && !file.starts_with(&tokens));
    assert!(all > files.len() + 3, "there are PINs, keys and a token");
    assert!(files.contains(&appliance.data().join("strongroom.db")));
    files
}

#[test]
fn a_life_in_full_view_shows_no_secret() {
    for format in ["text", "json"] {
        let mut appliance = talkative(format);
        let mut secrets = Secrets::new();
        add_pins(&mut secrets, &appliance);
        let errors = live(&appliance, &mut secrets);
        // The CA's and the server's private keys: their Base64 lines.
        for key in ["tls/ca.key", "tls/server.key"] {
            let pem = fs::read_to_string(appliance.data().join(key)).unwrap();
            for line in pem
                .lines()
                .filter(|line| line.len() > 40 && !line.starts_with('-'))
            {
                secrets.add_text(key, line);
            }
        }
        for error in &errors {
            secrets.assert_absent("an answer", error.as_bytes());
        }
        // While it runs, with the write-ahead log.
        secrets.assert_absent_from_files(&data_files(&appliance));
        let process = PathBuf::from(format!("/proc/{}", appliance.pid().as_raw_nonzero()));
        for file in ["environ", "cmdline"] {
            // Not to be read at all is as good.
            if let Ok(content) = fs::read(process.join(file)) {
                secrets.assert_absent(file, &content);
            }
        }
        appliance.stop();
        secrets.assert_absent_from_files(&data_files(&appliance));
        let log = appliance.log();
        assert!(
            log.contains("answered") && log.contains("refused"),
            "it did log: {log}"
        );
        secrets.assert_absent("the log", log.as_bytes());
        secrets.assert_absent("standard output", appliance.stdout().as_bytes());
        // What identifies people is not in the log either: leaves name them, where only those who may can read it.
        assert!(
            !log.contains("bob@example.com") && !log.contains("alice@example.com"),
            "{log}"
        );
    }
}

#[test]
fn what_the_search_finds_would_be_there() {
    // The search itself works: the PIN is found in its own file, and the token in the test's hands.
    let appliance = Appliance::start();
    let mut secrets = Secrets::new();
    add_pins(&mut secrets, &appliance);
    let pin = fs::read(appliance.data().join("hsm-pin")).unwrap();
    assert_eq!(secrets.found_in(&pin), ["hsm-pin"]);
    let admin = appliance.administrator();
    add_session(&mut secrets, &admin);
    let answer = json!({ "token": admin.token }).to_string();
    assert_eq!(secrets.found_in(answer.as_bytes()), ["a session token"]);
}

#[test]
fn a_crash_leaves_no_core() {
    // As much as an operator could allow.
    let allowed = getrlimit(Resource::Core);
    let generous = Rlimit {
        current: allowed.maximum,
        maximum: allowed.maximum,
    };
    setrlimit(Resource::Core, generous).unwrap();
    // Two that whoever starts the tests in the background does not have ignored.
    for signal in [Signal::ABORT, Signal::FPE] {
        let mut appliance = Appliance::start();
        let process = PathBuf::from(format!("/proc/{}", appliance.pid().as_raw_nonzero()));
        let limits = fs::read_to_string(process.join("limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        let values: Vec<&str> = line.split_whitespace().skip(4).take(2).collect();
        assert_eq!(values, ["0", "0"], "{line}");
        if !rustix::process::geteuid().is_root() {
            // A process that cannot be dumped belongs to root in /proc, and its memory is not to be read by its own user.
            assert!(fs::File::open(process.join("mem")).is_err());
        }
        appliance.signal(signal);
        let status = appliance.wait();
        assert_eq!(status.signal(), Some(signal.as_raw()));
        assert!(!status.core_dumped(), "{status}");
        // And after the crash all is well.
        appliance.serve();
        assert_eq!(appliance.verify_audit()["verified"], true);
    }
}
