//! Every operation of the OpenAPI document, and how a request of it comes out.

use std::collections::BTreeMap;

use serde_json::Value;
use strongroom_tests::api::Listener;
use strongroom_tests::{Api, http};
use strongroom_wire::problem::{Code, Problem};

/// An operation of the document, at one listener.
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) listener: Listener,
    /// Whether it needs a session.
    pub(crate) authenticated: bool,
    pub(crate) has_body: bool,
}

pub(crate) fn operations(api: &Api) -> Vec<Operation> {
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
pub(crate) const ORDER: &str = r#"{"reference":"1","legal_type":"t","legal_basis":"b","jurisdiction":"j","country_code":"CH","issuing_authority":"a","flags":{"emergency":true},"timespan":{"start":"2020-01-01T00:00:00Z","end":"2100-01-01T00:00:00Z"},"necessity":"n","proportionality":"p","agency_key":{"certificate":"MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA"},"max_items":1,"tasks":[{"reference":"1","scope":{"label":{"owner":"{account_name}","label":"x"}}}]}"#;
const CHANGE: &str = r#"{"generation":1,"order":{"reference":"1","legal_type":"t","legal_basis":"b","jurisdiction":"j","country_code":"CH","issuing_authority":"a","flags":{"emergency":true},"timespan":{"start":"2020-01-01T00:00:00Z","end":"2100-01-01T00:00:00Z"},"necessity":"n","proportionality":"p","agency_key":{"certificate":"MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA"},"max_items":1,"tasks":[{"reference":"1","scope":{"label":{"owner":"{account_name}","label":"x"}}}]}}"#;
/// A decision that nobody has signed.
const DECISION: &str = r#"{"statement":"eyJhY3QiOiJhdXRob3Jpc2F0aW9uLmFwcHJvdmUiLCJkZWNpc2lvbiI6ImFwcHJvdmUiLCJkb21haW5fb3JpZ2luIjoibyIsImZvcm1hdCI6InN0cm9uZ3Jvb20tc3RhdGVtZW50LzEiLCJnZW5lcmF0aW9uIjoxLCJyZWNvcmRfc2hhMjU2IjoiMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMCIsInN1YmplY3QiOiJzIiwidmFsaWRfdW50aWwiOjkwMDcxOTkyNTQ3NDB9","signed_by":{"approval-key":{"id":"01934c1e-7d5a-7cc0-8f3e-0123456789ab","jws":"e30..AA"}}}"#;

/// The body of an operation that takes identifiers, and the query, with `{name}` for what stands for an identifier or a name.
pub(crate) fn body_of(operation: &str) -> Option<&'static str> {
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
pub(crate) const NUMBERS: &[&str] = &["{index}", "{version}", "{credential}", "{disclosure}"];

pub(crate) fn filled(template: &str, names: &BTreeMap<&'static str, String>) -> String {
    let mut text = template.to_owned();
    for (name, value) in names {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

/// Identifiers and names of the same form that nothing has.
pub(crate) fn made_up(names: &BTreeMap<&'static str, String>) -> BTreeMap<&'static str, String> {
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
pub(crate) struct Lines([http::Connection; 2]);

impl Lines {
    pub(crate) fn to(api: &Api) -> Self {
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
pub(crate) fn outcome(
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
