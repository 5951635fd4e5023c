//! Nothing crosses: every operation of the OpenAPI document, with the credentials and the identifiers of another domain.
//!
//! What the document has is tried, so that a new route is tried as well. One that takes identifiers in its address and a body needs a body
//! here: the test says so.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use strongroom_client::{Client, ClientError, Identity, Roots};
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::api::Listener;
use strongroom_tests::{Api, Appliance, Device, Session, http};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::authorisation::ChangedAuthorisation;
use strongroom_wire::device::{DecidedPairing, IssuedSecret, PairingStarted};
use strongroom_wire::directory::DirectoryWithToken;
use strongroom_wire::encoding::Base64;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::proposal::ChangedProposal;

/// Everybody in one domain, and what they have.
struct World {
    /// The domain's name.
    name: String,
    database: PathBuf,
    admin: Session,
    alice: Session,
    service: Device,
    /// Identifiers and names by what they stand for.
    names: BTreeMap<&'static str, String>,
}

/// An operation of the document, at one listener.
struct Operation {
    id: String,
    method: String,
    path: String,
    listener: Listener,
    /// Whether it needs a session.
    authenticated: bool,
    has_body: bool,
}

impl World {
    fn new(appliance: &Appliance, mut admin: Session, name: &str, database: PathBuf) -> Self {
        let api = admin.api().clone();
        let mut alice = appliance.person(&mut admin, &format!("alice@{name}.example"));
        let bob = appliance.person(&mut admin, &format!("bob@{name}.example"));
        let bob_name = bob.account.name.clone();
        let key = alice.create_key(&format!("{name}'s key"), &[]).unwrap().key;
        let grant = alice.share(key.id, &bob_name).unwrap().grant;
        let alice_name = alice.account.name.clone();
        let group = admin
            .create_account(
                &format!("group@{name}.example"),
                AccountKind::Group,
                &[],
                Some(&alice_name),
            )
            .unwrap();
        let service = admin
            .create_account(&format!("service-{name}"), AccountKind::Service, &[], None)
            .unwrap();
        let path = format!("/v1/accounts/{}/secret", service.account.id);
        let issued: IssuedSecret = admin.ask("POST", &path, &json!({})).unwrap();
        let secret = admin
            .transport()
            .unwrap_secret(issued.account, issued.generation, &issued.wrapped.0)
            .unwrap();
        let uri = format!("urn:service:{name}");
        let path = format!("/v1/accounts/{}/certificates", service.account.id);
        let _: Value = admin
            .ask("POST", &path, &json!({ "kind": "uri", "value": uri }))
            .unwrap();
        // One device is paired, another waits.
        let paired = start_pairing(&api);
        let path = format!("/v1/pairings/{}", paired.user_code);
        let decided: DecidedPairing = alice
            .ask("POST", &path, &json!({ "approve": true }))
            .unwrap();
        let device = decided.device.unwrap();
        let waiting = start_pairing(&api);
        let _: Value = alice
            .ask("POST", "/v1/accounts/me/recovery-codes", &json!({}))
            .unwrap();
        let path = format!("/v1/accounts/{}/recovery", bob.account.id);
        let _: Value = admin.ask("POST", &path, &json!({})).unwrap();

        let directory: DirectoryWithToken = admin
            .ask("POST", "/v1/directories", &json!({ "name": "entra" }))
            .unwrap();
        let path = format!("/v1/directories/{}/users", directory.directory.id);
        let _: Value = admin
            .ask("POST", &path, &json!({ "account": bob_name }))
            .unwrap();

        // She is a case officer as well.
        let path = format!("/v1/accounts/{}", alice.account.id);
        let roles = json!({ "roles": ["case-officer"] });
        let _: Value = admin.ask("PATCH", &path, &roles).unwrap();
        let order: Value =
            serde_json::from_str(&ORDER.replace("{account_name}", &bob_name)).unwrap();
        let entered: ChangedAuthorisation =
            alice.ask("POST", "/v1/authorisations", &order).unwrap();
        let authorisation = entered.authorisation;

        // Destroying her key takes a case officer's approval.
        let rule = json!({ "act": "key.destroy", "label": format!("{name}'s key"), "count": 1, "role": "case-officer", "valid_for": 86_400 });
        let _: Value = admin
            .ask("PUT", "/v1/domain/policy", &json!({ "quorums": [rule] }))
            .unwrap();
        let request = json!({ "request": { "key.destroy": { "key": key.id } } });
        let proposed: ChangedProposal = alice.ask("POST", "/v1/proposals", &request).unwrap();

        let names = BTreeMap::from([
            ("proposal", proposed.proposal.id.to_string()),
            ("authorisation", authorisation.id.to_string()),
            ("sha256", authorisation.record_sha256),
            ("account", bob.account.id.to_string()),
            ("account_name", bob_name),
            ("group", group.account.id.to_string()),
            ("key", key.id.to_string()),
            ("object", key.id.to_string()),
            ("grant", grant.id.to_string()),
            ("session", alice.id.to_string()),
            ("device", device.account.id.to_string()),
            ("code", waiting.user_code),
            ("uri", uri),
            ("directory", directory.directory.id.to_string()),
            ("service", service.account.id.to_string()),
            // A passkey that nobody has; a fleet's name; numbers, of which each domain has its own.
            (
                "credential",
                "01934c1e-7d5a-7cc0-8f3e-0123456789ab".to_owned(),
            ),
            // A disclosure that nobody has made.
            (
                "disclosure",
                "01934c1e-7d5a-7cc0-8f3e-0123456789ad".to_owned(),
            ),
            ("fleet", format!("fleet-{name}")),
            ("index", "0".to_owned()),
            ("version", "1".to_owned()),
        ]);
        Self {
            name: name.to_owned(),
            database,
            service: Device {
                account: service.account.id,
                secret,
            },
            admin,
            alice,
            names,
        }
    }

    /// Every row of the domain, but for what follows from the time alone.
    fn rows(&self) -> BTreeMap<String, Vec<Vec<Sql>>> {
        let database = Connection::open(&self.database).unwrap();
        let mut tables = database
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap();
        let tables: Vec<String> = tables
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let all = tables.into_iter().map(|table| {
            let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let rows = statement
                .query_map([], |row| (0..columns).map(|index| row.get(index)).collect())
                .unwrap()
                .map(Result::unwrap)
                .collect();
            (table, rows)
        });
        all.collect()
    }
}

fn start_pairing(api: &Api) -> PairingStarted {
    let fields = "client_id=Coffee+machine";
    let domain = api.domain.as_ref();
    let domain = domain.map(|name| format!("strongroom-domain: {name}\r\n"));
    let request = format!(
        "POST /v1/pairings HTTP/1.1\r\nhost: appliance\r\n{}content-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{fields}",
        domain.unwrap_or_default(),
        fields.len()
    );
    let mut connection = api.connect(Listener::Client).unwrap();
    let response = connection.raw(request.as_bytes()).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn operations(api: &Api) -> Vec<Operation> {
    let document: Value = api.ask("GET", "/v1/openapi.json", None::<&()>).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for listener in operation["x-strongroom-listeners"].as_array().unwrap() {
                all.push(Operation {
                    id: operation["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase(),
                    path: path.clone(),
                    listener: if listener == "client" {
                        Listener::Client
                    } else {
                        Listener::Administration
                    },
                    authenticated: operation.get("security").is_none(),
                    has_body: operation.get("requestBody").is_some(),
                });
            }
        }
    }
    all
}

/// An order of lawful access.
const ORDER: &str = r#"{"reference":"1","legal_type":"t","legal_basis":"b","jurisdiction":"j","country_code":"CH","issuing_authority":"a","flags":{"emergency":true},"timespan":{"start":"2020-01-01T00:00:00Z","end":"2100-01-01T00:00:00Z"},"necessity":"n","proportionality":"p","agency_key":{"certificate":"MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA"},"max_items":1,"tasks":[{"reference":"1","scope":{"label":{"owner":"{account_name}","label":"x"}}}]}"#;
const CHANGE: &str = r#"{"generation":1,"order":{"reference":"1","legal_type":"t","legal_basis":"b","jurisdiction":"j","country_code":"CH","issuing_authority":"a","flags":{"emergency":true},"timespan":{"start":"2020-01-01T00:00:00Z","end":"2100-01-01T00:00:00Z"},"necessity":"n","proportionality":"p","agency_key":{"certificate":"MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA"},"max_items":1,"tasks":[{"reference":"1","scope":{"label":{"owner":"{account_name}","label":"x"}}}]}}"#;
/// A decision that nobody has signed.
const DECISION: &str = r#"{"statement":"eyJhY3QiOiJhdXRob3Jpc2F0aW9uLmFwcHJvdmUiLCJkZWNpc2lvbiI6ImFwcHJvdmUiLCJkb21haW5fb3JpZ2luIjoibyIsImZvcm1hdCI6InN0cm9uZ3Jvb20tc3RhdGVtZW50LzEiLCJnZW5lcmF0aW9uIjoxLCJyZWNvcmRfc2hhMjU2IjoiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCIsInN1YmplY3QiOiJzIiwidmFsaWRfdW50aWwiOjkwMDcxOTkyNTQ3NDB9","signed_by":{"approval-key":{"id":"01934c1e-7d5a-7cc0-8f3e-0123456789ab","jws":"e30..AA"}}}"#;

/// The body of an operation that takes identifiers, and the query, with `{name}` for what stands for an identifier or a name.
fn body_of(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "update_account" | "change_key_state" => r#"{"state":"suspended"}"#,
        "register_certificate" => r#"{"kind":"uri","value":"urn:another"}"#,
        "update_device" | "update_fleet" => r#"{"state":"revoked"}"#,
        "add_group_member" => r#"{"account":"{account_name}","membership":"member"}"#,
        "share_key" => r#"{"grantee":"{account_name}"}"#,
        "set_grant_policy" | "set_key_policy" | "release_key" | "renew_directory_token" => "{}",
        "release_keys" => r#"{"keys":[{"key":"{key}"}]}"#,
        "adopt_account" => r#"{"account":"{account_name}"}"#,
        "operate" => r#"{"operation":{"type":"mac","mechanism":"aes-cmac","data":"AQ"}}"#,
        "operate_many" => {
            r#"{"operations":[{"key":"{key}","operation":{"type":"mac","mechanism":"aes-cmac","data":"AQ"}}]}"#
        }
        "tighten_key" => r#"{"releasable":"no-more"}"#,
        "put_object" => r#"{"class":4}"#,
        "decide_pairing" => r#"{"approve":true}"#,
        "create_keys" => {
            r#"{"keys":[{"algorithm":"aes-256","label":"x","recipients":["{account_name}"]}]}"#
        }
        "enter_authorisation" => ORDER,
        "change_authorisation" => CHANGE,
        "move_authorisation" => r#"{"to":"cancel","reason":"another's"}"#,
        "decide_authorisation" | "decide_proposal" => DECISION,
        "propose" => r#"{"request":{"key.destroy":{"key":"{key}"}}}"#,
        "create_account" => r#"{"name":"{new}","kind":"group","manager":"{account_name}"}"#,
        _ => return None,
    })
}

const QUERIES: &[(&str, &str)] = &[
    ("remove_certificate", "?kind=uri&value={uri}"),
    ("preview", "?account={account_name}"),
    ("show_object", "?part=secret"),
    ("put_object", "?part=secret"),
    ("remove_object", "?part=secret"),
];

/// Numbers and words, not identifiers: each domain has its own 1, 2, 3.
const NUMBERS: &[&str] = &["{index}", "{version}", "{credential}", "{disclosure}"];

fn filled(template: &str, names: &BTreeMap<&'static str, String>) -> String {
    let mut text = template.to_owned();
    for (name, value) in names {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

/// Identifiers and names of the same form that nothing has.
fn made_up(names: &BTreeMap<&'static str, String>) -> BTreeMap<&'static str, String> {
    let other = |name: &str, value: &str| match name {
        "account_name" => value.replace("bob", "nobody"),
        "uri" => "urn:service:nowhere".to_owned(),
        "fleet" => "fleet-nowhere".to_owned(),
        "credential" | "disclosure" | "index" | "version" => value.to_owned(),
        // The letters of such codes, others than there are.
        "code" => {
            let shift = |c: char| match c {
                'B' => 'C',
                'C' => 'D',
                'D' => 'B',
                c if c.is_ascii_alphabetic() => 'X',
                c => c,
            };
            value.chars().map(shift).collect()
        }
        _ => {
            // The last digits of a UUID are random.
            let (head, tail) = value.split_at(value.len() - 8);
            let turned: String = tail
                .chars()
                .map(|c| char::from_digit(15 - c.to_digit(16).unwrap(), 16).unwrap())
                .collect();
            format!("{head}{turned}")
        }
    };
    names
        .iter()
        .map(|(name, value)| (*name, other(name, value)))
        .collect()
}

/// Connections to both listeners that are kept, asking for one domain.
struct Lines([http::Connection; 2]);

impl Lines {
    fn to(api: &Api) -> Self {
        let open = |listener| api.connect(listener).unwrap();
        Self([open(Listener::Client), open(Listener::Administration)])
    }
}

/// Takes the leaves out of an answer: each act has one of its own.
fn without_leaves(answer: &mut Value) {
    match answer {
        Value::Object(members) => {
            members.remove("leaf");
            members.values_mut().for_each(without_leaves);
        }
        Value::Array(items) => items.iter_mut().for_each(without_leaves),
        _ => {}
    }
}

/// Makes the request; how it came out, with the identifiers taken out of the sentence.
fn outcome(
    operation: &Operation,
    lines: &mut Lines,
    token: &str,
    names: &BTreeMap<&'static str, String>,
) -> (u16, Option<Code>, String) {
    let query = QUERIES.iter().find(|(id, _)| *id == operation.id);
    let query = query.map_or("", |(_, query)| query);
    let path = filled(&format!("{}{query}", operation.path), names);
    let body = operation
        .has_body
        .then(|| filled(body_of(&operation.id).unwrap_or("{}"), names));
    let body = body.or_else(|| (operation.method == "POST").then(|| "{}".to_owned()));
    let connection = &mut lines.0[usize::from(operation.listener == Listener::Administration)];
    let response = connection
        .send(
            &operation.method,
            &path,
            Some(token),
            body.as_deref().map(str::as_bytes),
        )
        .unwrap();
    if response.status < 400 {
        let mut answer: Value = response.json();
        without_leaves(&mut answer);
        return (response.status, None, answer.to_string());
    }
    let Ok(problem) = serde_json::from_slice::<Problem>(&response.body) else {
        return (response.status, None, response.text());
    };
    let mut detail = problem.detail;
    for value in names.values() {
        detail = detail.replace(value, "…");
    }
    (response.status, Some(problem.code), detail)
}

#[test]
fn nothing_crosses_between_domains() {
    let mut appliance = Appliance::start();
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
        signatures_of_another(of, at);
        let after = of.rows();
        for (table, rows) in &before {
            assert!(rows == &after[table], "{}: {table} was changed", of.name);
        }
    }
    assert!(tried > 700, "only {tried} requests were made");

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
    let mut appliance = Appliance::start();
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
