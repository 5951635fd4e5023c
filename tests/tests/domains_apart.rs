//! Nothing crosses: every operation of the OpenAPI document, with the credentials and the identifiers of another domain.
//!
//! What the document has is tried, so that a new route is tried as well. One that takes identifiers in its address and a body needs a body
//! here: the test says so.

mod requests;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_client::{Client, ClientError, Identity, Roots};
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::api::Listener;
use strongroom_tests::directory::{Directory, PATCH};
use strongroom_tests::{Appliance, Device};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::encoding::Base64;
use strongroom_wire::problem::Code;

use requests::{Lines, NUMBERS, Operation, body_of, filled, made_up, operations, outcome};
use world::World;

#[test]
fn nothing_crosses_between_domains() {
    // Many tokens that are none are presented.
    let mut appliance =
        Appliance::start_with("[limits]\naddress_failures = 100000\naccount_failures = 100000");
    let data = appliance.data();
    let first = World::new(
        &appliance,
        appliance.administrator(),
        "default",
        data.join("strongroom.db"),
    );
    let mut worlds = vec![first];
    for name in ["acme", "brand"] {
        let admin = appliance.new_domain(name, &[]);
        let database = data.join("domains").join(name).join("strongroom.db");
        worlds.push(World::new(&appliance, admin, name, database));
    }
    let operations = operations(&appliance.api());
    assert!(operations.len() > 100, "{}", operations.len());
    for world in &worlds {
        let here = world.service.own_account(world.admin.api()).unwrap();
        assert_eq!(here.id, world.service.account);
    }

    let mut tried = 0;
    for (of, at) in [(0, 1), (1, 0), (1, 2)] {
        let (of, at) = (&worlds[of], &worlds[at]);
        // Checkpoints over all that was done are signed, and nothing is under way.
        thread::sleep(Duration::from_millis(2500));
        let before = of.rows();
        tried += credentials_of_another(of, at, &operations);
        tried += identifiers_of_another(of, at, &operations);
        tried += directories_of_another(of, at);
        signatures_of_another(of, at);
        let after = of.rows();
        for (table, rows) in &before {
            assert!(rows == &after[table], "{}: {table} was changed", of.name);
        }
    }
    assert!(tried > 850, "only {tried} requests were made");

    // Each still is what it was, for its own people.
    for world in &mut worlds {
        let key = world.names["key"].parse().unwrap();
        world.alice.release(key).unwrap();
        assert_eq!(
            world.service.own_account(world.alice.api()).unwrap().id,
            world.service.account
        );
    }
    assert_eq!(appliance.verify_audit()["verified"], true);
    for name in ["acme", "brand"] {
        let mut verify = appliance.strongroomd();
        let output = verify.args(["audit", "verify", "--domain", name]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("strongroom.local/{name}")), "{text}");
    }
    appliance.stop();
}

/// The tokens of one domain at the other: answered as a token that nobody has, which is to say not at all.
fn credentials_of_another(of: &World, at: &World, operations: &[Operation]) -> usize {
    let (mut tried, mut not_signed_in) = (0, 0);
    let mut lines = Lines::to(at.admin.api());
    let nobodys = Base64(vec![7; 32]).to_text();
    for operation in operations
        .iter()
        .filter(|operation| operation.authenticated)
    {
        for session in [&of.admin, &of.alice] {
            let token = session.token.to_text();
            // Both whether what is asked for is theirs, and whether it is the other's own.
            for names in [&of.names, &at.names] {
                let met = outcome(operation, &mut lines, &token, names);
                let unknown = outcome(operation, &mut lines, &nobodys, names);
                assert_eq!(
                    met, unknown,
                    "{} with a token of {} at {}",
                    operation.id, of.name, at.name
                );
                // A few bodies that this test does not know are read before anything else is looked at.
                let (_, code, _) = met;
                assert!(
                    [Some(Code::NotSignedIn), Some(Code::Malformed)].contains(&code),
                    "{} answers {code:?}",
                    operation.id
                );
                not_signed_in += usize::from(code == Some(Code::NotSignedIn));
                tried += 1;
            }
        }
    }
    assert!(not_signed_in * 10 > tried * 8, "{not_signed_in} of {tried}");
    tried
}

/// The identifiers of one domain, asked for at the other by its own people: answered as such that nobody has.
fn identifiers_of_another(of: &World, at: &World, operations: &[Operation]) -> usize {
    let (mut tried, mut lines) = (0, Lines::to(at.admin.api()));
    let unknown = made_up(&of.names);
    for operation in operations
        .iter()
        .filter(|operation| operation.authenticated)
    {
        let in_address = operation.path.contains('{')
            && !NUMBERS.iter().any(|number| operation.path.contains(number));
        let in_body = body_of(&operation.id).is_some_and(|body| body.contains('{'));
        if !in_address && !in_body {
            continue;
        }
        assert!(
            !(in_address && operation.has_body && body_of(&operation.id).is_none()),
            "give a body for {} in this test",
            operation.id
        );
        // Whatever an address has a name for stands for something here.
        let path = filled(&operation.path, &of.names);
        assert!(
            !path.contains('{'),
            "say in this test what {path} stands for"
        );
        for session in [&at.admin, &at.alice] {
            let token = session.token.to_text();
            let mut own = of.names.clone();
            let mut other = unknown.clone();
            for names in [&mut own, &mut other] {
                names.insert("new", format!("new-{tried}@example.com"));
            }
            let met = outcome(operation, &mut lines, &token, &own);
            let made_up = outcome(operation, &mut lines, &token, &other);
            assert_eq!(
                met, made_up,
                "{} at {} tells what {} has",
                operation.id, at.name, of.name
            );
            assert_ne!(met.1, Some(Code::Malformed), "{}: {}", operation.id, met.2);
            assert_ne!(met.1, Some(Code::NotSignedIn), "{}", operation.id);
            // What there is nothing of is told as nothing, and nothing is changed.
            let nothing = [r#"{"changed":0}"#, "{}"].contains(&met.2.as_str());
            let each_refused = met.2.contains("\"refused\"") && !met.2.contains("\"released\"");
            assert!(
                met.0 >= 400 || nothing || each_refused,
                "{} succeeds: {}",
                operation.id,
                met.2
            );
            tried += 2;
        }
    }
    assert!(tried > 80, "only {tried}");
    tried
}

/// A signed request of one domain at the other: refused as that of an account which nobody has.
fn signatures_of_another(of: &World, at: &World) {
    let problem = of.service.own_account(at.admin.api()).unwrap_err();
    let unknown = Device {
        account: made_up(&of.names)["service"].parse().unwrap(),
        secret: of.service.secret.clone(),
    };
    let as_unknown = unknown.own_account(at.admin.api()).unwrap_err();
    assert_eq!(problem.code, Code::SignInRefused);
    assert_eq!(
        (problem.code, &problem.detail),
        (as_unknown.code, &as_unknown.detail)
    );
    // A request that was made here is not good there.
    let signed = of.service.sign("GET", "/v1/accounts/me", "");
    let response = signed.send(at.admin.api(), Listener::Client);
    assert_eq!(response.problem().code, Code::SignInRefused);
}

/// The token of one domain's directory at the other, and what it manages asked for by the other's: as a token and as identifiers that
/// nobody has. SCIM stands in no OpenAPI document.
fn directories_of_another(of: &World, at: &World) -> usize {
    const NOBODYS: &str = "srd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let api = at.admin.api();
    let mut own = Directory::new(api, &at.directory);
    let mut others = Directory::new(api, &of.directory);
    let mut nobodys = Directory::new(api, NOBODYS);
    let unknown = made_up(&of.names);
    let filled = |text: &str, names: &BTreeMap<&'static str, String>| {
        let kind = if text.contains("/Groups") {
            "directory_group"
        } else {
            "account"
        };
        text.replace("{id}", &names[kind])
    };
    // How it came out, with the identifier that was asked for taken out.
    let came = |directory: &mut Directory, method, path: &str, body: Option<&Value>, id: &str| {
        let response = directory.send(method, path, body);
        (response.status, response.text().replace(id, "…"))
    };
    let mut tried = 0;
    let operations = own.operations();
    for operation in &operations {
        let (method, body) = (operation.method, operation.body.as_ref());
        for names in [&of.names, &at.names] {
            let path = filled(&operation.path, names);
            let met = came(&mut others, method, &path, body, NOBODYS);
            assert_eq!(met.0, 401, "{method} {path}: {}", met.1);
            assert_eq!(
                met,
                came(&mut nobodys, method, &path, body, NOBODYS),
                "{method} {path}"
            );
            tried += 1;
        }
        if operation.path.contains("{id}") {
            let [theirs, nothing] =
                [&of.names, &unknown].map(|names| filled(&operation.path, names));
            let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
            let met = came(&mut own, method, &theirs, body, &id(&theirs));
            assert_eq!(met.0, 404, "{method} {theirs}: {}", met.1);
            let unmet = came(&mut own, method, &nothing, body, &id(&nothing));
            assert_eq!(met, unmet, "{method} {theirs}");
            tried += 1;
        }
    }
    // As members of a group.
    let group = format!("/Groups/{}", at.names["directory_group"]);
    let mut add = |member: &str| {
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": member }] }]);
        let add = json!({ "schemas": [PATCH], "Operations": add });
        came(&mut own, "PATCH", &group, Some(&add), member)
    };
    let met = add(&of.names["account"]);
    assert_eq!(met.0, 400, "{}", met.1);
    assert_eq!(met, add(&unknown["account"]));
    tried + 1
}

#[test]
fn a_client_certificate_is_known_in_its_own_domain_only() {
    let mut appliance = Appliance::new();
    appliance.configure("[tls]\nclient_ca = \"tls/ca.pem\"");
    appliance.serve();
    let mut acme = appliance.new_domain("acme", &[]);
    let _brand = appliance.new_domain("brand", &[]);
    let service = acme
        .create_account("billing", AccountKind::Service, &[], None)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("billing.pem");
    let issued = appliance
        .strongroomd()
        .args([
            "issue",
            "--name",
            "billing",
            "--uri",
            "urn:billing",
            "--out",
        ])
        .arg(folder.path().join("billing"))
        .output()
        .unwrap();
    assert!(issued.status.success(), "{issued:?}");
    let path = format!("/v1/accounts/{}/certificates", service.account.id);
    let _: Value = acme
        .ask(
            "POST",
            &path,
            &json!({ "kind": "uri", "value": "urn:billing" }),
        )
        .unwrap();
    let identity = Identity::from_pem(
        &fs::read(&out).unwrap(),
        &fs::read(out.with_extension("key")).unwrap(),
    )
    .unwrap();
    let roots = Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap();
    let sign_in = |domain: &str| {
        Client::with_identity(&appliance.client_url(), &roots, &identity)
            .unwrap()
            .in_domain(domain)
            .unwrap()
            .sign_in_by_certificate()
    };
    let session = sign_in("acme").unwrap();
    assert_eq!(session.account().name, "billing");
    for elsewhere in ["brand", "default"] {
        let refused = sign_in(elsewhere).unwrap_err();
        assert_eq!(refused.code(), Some(Code::SignInRefused), "{elsewhere}");
    }
    session.end().unwrap();
    appliance.stop();
}

#[test]
fn a_client_is_for_one_domain() {
    // Long enough for a machine that is busy to guess in.
    let mut appliance = Appliance::start_with("[limits]\naccount_failure_seconds = 600");
    let mut acme = appliance.new_domain("acme", &[]);
    let _ = appliance.person(&mut acme, "alice@example.com");
    // Of the same name in another, with another password.
    let mut first = appliance.administrator();
    let code = first
        .create_account(
            "alice@example.com",
            AccountKind::Person,
            &[Role::Auditor],
            None,
        )
        .unwrap()
        .enrolment_code
        .unwrap();
    appliance
        .api()
        .enrol("alice@example.com", &code, "another password")
        .unwrap();
    let roots = Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap();
    let client = |domain: &str| {
        Client::new(&appliance.client_url(), &roots)
            .unwrap()
            .in_domain(domain)
            .unwrap()
    };
    let password = appliance.password_of("alice@example.com");
    let session = client("acme")
        .sign_in("alice@example.com", password.as_bytes())
        .unwrap();
    assert!(session.account().roles.is_empty());
    let wrong = client("default").sign_in("alice@example.com", password.as_bytes());
    assert!(matches!(wrong, Err(ClientError::WrongPassword)));
    let session = client("default")
        .sign_in("alice@example.com", b"another password")
        .unwrap();
    assert_eq!(session.account().roles, [Role::Auditor]);
    let unknown = client("nowhere").sign_in("alice@example.com", b"x");
    assert_eq!(unknown.unwrap_err().code(), Some(Code::DomainUnavailable));

    // Whoever guesses in one domain slows nobody down in the other.
    for _ in 0..12 {
        let _ = appliance
            .api()
            .in_domain("acme")
            .sign_in(ADMINISTRATOR, "wrong");
    }
    let slowed = appliance
        .api()
        .in_domain("acme")
        .sign_in(ADMINISTRATOR, "wrong");
    assert_eq!(slowed.err().unwrap().code(), Code::TooManyAttempts);
    let _ = appliance.sign_in(ADMINISTRATOR);
    appliance.stop();
}
