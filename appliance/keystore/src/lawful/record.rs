//! What an order may say, and the record of a generation.

use std::collections::BTreeSet;

use strongroom_approval::canonical;
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::{
    AgencyKey, AuthorisationOrder, AuthorisationRecord, LONGEST_DELAY, LONGEST_LINE, LONGEST_TEXT,
    LdTask, MOST_COUNTERPARTS, MOST_ITEMS, MOST_TASKS, NamedPerson, RECORD_FORMAT, Scope, Timespan,
};
use strongroom_wire::id::AuthorisationId;

use super::disclose::read_sealing_key;
use super::documents::digest;
use crate::accounts::normal_name;
use crate::act::{Caller, View};
use crate::error::Error;
use crate::store::AuthorisationRow;

const WHAT: &str = "authorisation's record";
/// The largest certificate of an agency, in bytes.
const LARGEST_CERTIFICATE: usize = 16 * 1024;

/// The order, if it can be one; names as accounts have them.
pub(super) fn checked(mut order: AuthorisationOrder) -> Result<AuthorisationOrder, Error> {
    for (what, line) in [
        ("reference", Some(&order.reference)),
        ("legal type", Some(&order.legal_type)),
        ("legal basis", Some(&order.legal_basis)),
        ("jurisdiction", Some(&order.jurisdiction)),
        ("type of case", order.type_of_case.as_ref()),
        ("issuing authority", Some(&order.issuing_authority)),
        ("validating authority", order.validating_authority.as_ref()),
        (
            "basis of the notification's delay",
            order.notification_delay_basis.as_ref(),
        ),
    ] {
        if let Some(line) = line {
            check_line(what, line)?;
        }
    }
    for (what, text) in [
        ("necessity", &order.necessity),
        ("proportionality", &order.proportionality),
    ] {
        if text.trim().is_empty() || text.len() > LONGEST_TEXT {
            return invalid(format!("The {what} has 1 to {LONGEST_TEXT} bytes."));
        }
    }
    let country = order.country_code.as_bytes();
    if country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase) {
        return invalid("The country code is the two capital letters of ISO 3166-1.".to_owned());
    }
    check_timespan("timespan", &order.timespan)?;
    match &order.warrant {
        Some(warrant) => {
            check_line("warrant's name", &warrant.name)?;
            check_line("warrant's media type", &warrant.media_type)?;
            digest(&warrant.sha256)?;
        }
        None if order.flags.emergency => {}
        None => return invalid("Only an emergency may be without its warrant.".to_owned()),
    }
    if order.notification_delay > LONGEST_DELAY {
        return invalid("A notification is delayed by twenty years at most.".to_owned());
    }
    if order.notification_delay > 0 && order.notification_delay_basis.is_none() {
        return invalid(
            "A delay of the notification needs the provision that it rests on.".to_owned(),
        );
    }
    check_agency_key(&order.agency_key)?;
    if !(1..=MOST_ITEMS).contains(&order.max_items) {
        return invalid(format!(
            "The cap on the number of items is 1 to {MOST_ITEMS}."
        ));
    }
    check_tasks(&mut order.tasks)?;
    Ok(order)
}

/// The record of a generation. Refuses an order that names an account which is not there, or a warrant that was not uploaded.
pub(super) fn make(
    view: &View<'_>,
    caller: &Caller,
    id: AuthorisationId,
    generation: u32,
    order: AuthorisationOrder,
) -> Result<AuthorisationRecord, Error> {
    if order.timespan.end <= view.now {
        return invalid("The timespan is over already.".to_owned());
    }
    if let Some(warrant) = &order.warrant
        && view.document(&digest(&warrant.sha256)?)?.is_none()
    {
        return Err(Error::DocumentNotFound);
    }
    let names: BTreeSet<&str> = order
        .tasks
        .iter()
        .flat_map(|task| task.scope.names())
        .collect();
    let persons = names
        .into_iter()
        .map(|name| {
            let account = view.require_account(name)?;
            Ok(NamedPerson {
                account: account.id,
                name: name.to_owned(),
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(AuthorisationRecord {
        format: RECORD_FORMAT.to_owned(),
        authorisation: id,
        generation,
        domain_origin: view.domain.origin.clone(),
        entered: view.now,
        entered_by: caller.account.id,
        entered_by_name: caller.account.name.clone(),
        approvals_needed: caller.policy.lawful.approvals,
        approvers: Role::LegalApprover,
        order,
        persons,
    })
}

/// The record's bytes, whose SHA-256 is what approvals name.
pub(super) fn to_bytes(record: &AuthorisationRecord) -> Result<Vec<u8>, Error> {
    canonical::to_vec(record).map_err(|_| Error::Internal("a record has no canonical form"))
}

/// The record of an authorisation's present generation.
pub(super) fn of(view: &View<'_>, row: &AuthorisationRow) -> Result<AuthorisationRecord, Error> {
    let record = read(view, &row.record)?;
    let says = (record.authorisation, record.generation);
    if says == (row.id, row.generation) && record.order.timespan.end == row.ends {
        Ok(record)
    } else {
        Err(Error::Integrity(WHAT))
    }
}

/// The record with this SHA-256.
pub(super) fn read(view: &View<'_>, sha256: &[u8; 32]) -> Result<AuthorisationRecord, Error> {
    let bytes = view.document(sha256)?.ok_or(Error::Integrity(WHAT))?;
    canonical::from_slice(&bytes).map_err(|_| Error::Integrity(WHAT))
}

/// Whether keys can be sealed to it. That a certificate is still valid is found where they are.
fn check_agency_key(key: &AgencyKey) -> Result<(), Error> {
    if let AgencyKey::Certificate(der) = key
        && der.0.len() > LARGEST_CERTIFICATE
    {
        return invalid("The agency's certificate is too long.".to_owned());
    }
    read_sealing_key(key).map(drop).or_else(|error| {
        invalid(format!(
            "Nothing can be sealed to the agency's certificate or key: {error}."
        ))
    })
}

fn check_tasks(tasks: &mut [LdTask]) -> Result<(), Error> {
    if tasks.is_empty() || tasks.len() > MOST_TASKS {
        return invalid(format!("An authorisation has 1 to {MOST_TASKS} tasks."));
    }
    let mut references = BTreeSet::new();
    for task in tasks {
        check_line("task's reference", &task.reference)?;
        if !references.insert(task.reference.clone()) {
            return invalid(format!(
                "Two tasks have the reference {:?}.",
                task.reference
            ));
        }
        match &mut task.scope {
            Scope::Item { .. } => {}
            Scope::Label {
                owner,
                label,
                window,
            } => {
                *owner = normal_name(owner);
                if label.is_empty() || label.len() > LONGEST_TEXT {
                    return invalid("A task by label needs the label.".to_owned());
                }
                if let Some(window) = window {
                    check_timespan("window of a task", window)?;
                }
            }
            Scope::Messages {
                person,
                counterparts,
                window,
                ..
            } => {
                *person = normal_name(person);
                check_timespan("window of a task", window)?;
                if let Some(names) = counterparts {
                    check_counterparts(names, person)?;
                }
            }
        }
    }
    Ok(())
}

fn check_counterparts(names: &mut [String], person: &str) -> Result<(), Error> {
    if names.is_empty() || names.len() > MOST_COUNTERPARTS {
        return invalid(format!(
            "A task names 1 to {MOST_COUNTERPARTS} counterparts, or none by leaving them out."
        ));
    }
    let mut known = BTreeSet::from([person.to_owned()]);
    for name in names {
        *name = normal_name(name);
        if !known.insert(name.clone()) {
            return invalid("A task names each counterpart once, and not the person.".to_owned());
        }
    }
    Ok(())
}

fn check_line(what: &str, line: &str) -> Result<(), Error> {
    if line.trim().is_empty() || line.len() > LONGEST_LINE || line.chars().any(char::is_control) {
        return invalid(format!(
            "The {what} has 1 to {LONGEST_LINE} bytes, none of them control characters."
        ));
    }
    Ok(())
}

fn check_timespan(what: &str, span: &Timespan) -> Result<(), Error> {
    if span.start < span.end {
        Ok(())
    } else {
        invalid(format!("The {what} ends before it begins."))
    }
}

const fn invalid<T>(sentence: String) -> Result<T, Error> {
    Err(Error::Invalid(sentence))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::*;

    fn order() -> Value {
        json!({
            "reference": "GS 17/2027",
            "legal_type": "disclosure of stored content",
            "legal_basis": "StPO 269",
            "jurisdiction": "ZH",
            "country_code": "CH",
            "issuing_authority": "Staatsanwaltschaft",
            "timespan": { "start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z" },
            "warrant": { "name": "w.pdf", "media_type": "application/pdf", "sha256": "ab".repeat(32) },
            "necessity": "why",
            "proportionality": "why so much",
            "notification_delay": 10,
            "notification_delay_basis": "StPO 279",
            "agency_key": { "certificate": "MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA" },
            "max_items": 10,
            "tasks": [
                { "reference": "1", "scope": { "item": { "item": "01939c2f-1a00-7a11-8111-111111111111" } } },
                { "reference": "2", "scope": { "label": { "owner": "Eve@example.com", "label": "plans" } } },
                { "reference": "3", "scope": { "messages": { "person": "eve@example.com", "direction": "to",
                    "counterparts": ["Mallory@example.com"],
                    "window": { "start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z" } } } },
            ],
        })
    }

    fn check(order: Value) -> Result<AuthorisationOrder, Error> {
        checked(serde_json::from_value(order).unwrap())
    }

    #[test]
    fn an_order_is_kept_with_names_as_accounts_have_them() {
        let kept = check(order()).unwrap();
        let names: Vec<_> = kept
            .tasks
            .iter()
            .flat_map(|task| task.scope.names())
            .collect();
        assert_eq!(
            names,
            ["eve@example.com", "eve@example.com", "mallory@example.com"]
        );
    }

    #[test]
    fn an_order_that_lacks_something_is_refused() {
        for (pointer, value) in [
            ("/reference", json!(" ")),
            ("/reference", json!("a\nb")),
            ("/reference", json!("x".repeat(257))),
            ("/country_code", json!("ch")),
            ("/country_code", json!("CHE")),
            ("/timespan/end", json!("2027-01-01T00:00:00Z")),
            ("/warrant", json!(null)),
            ("/warrant/sha256", json!("ab")),
            ("/necessity", json!("")),
            ("/proportionality", json!("")),
            ("/notification_delay_basis", json!(null)),
            ("/notification_delay", json!(4_000_000_000_u32)),
            ("/agency_key", json!({ "certificate": "" })),
            ("/agency_key", json!({ "hpke": "AAAA" })),
            ("/max_items", json!(0)),
            ("/max_items", json!(1_000_001)),
            ("/tasks", json!([])),
            ("/tasks/1/reference", json!("1")),
            ("/tasks/1/scope/label/label", json!("")),
            ("/tasks/2/scope/messages/counterparts", json!([])),
            (
                "/tasks/2/scope/messages/counterparts/0",
                json!("EVE@example.com"),
            ),
            (
                "/tasks/2/scope/messages/window/end",
                json!("2026-01-01T00:00:00Z"),
            ),
        ] {
            let mut order = order();
            *order.pointer_mut(pointer).unwrap() = value.clone();
            let refused = check(order);
            assert!(
                matches!(refused, Err(Error::Invalid(_))),
                "{pointer} {value}"
            );
        }
        let mut emergency = order();
        emergency["warrant"] = json!(null);
        emergency["flags"] = json!({ "emergency": true });
        assert!(check(emergency).is_ok());
    }
}
