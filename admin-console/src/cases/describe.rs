//! Orders, tasks and states in words; what a change changed.

use strongroom_disclosure::SealingKey;
use strongroom_wire::approval::Decision;
use strongroom_wire::authorisation::{
    AgencyKey, AuthorisationFlags, AuthorisationOrder, AuthorisationState, Priority, Scope,
    Timespan, WarrantDocument,
};
use strongroom_wire::encoding::Timestamp;

use crate::pieces::{Html, Tone, badge, mono, tags, utc, when, with_sub};
use crate::words;

/// How a state stands and what it is called.
pub(super) const fn state(state: AuthorisationState) -> (Tone, &'static str) {
    match state {
        AuthorisationState::AwaitingApproval => (Tone::Warn, "Awaiting approval"),
        AuthorisationState::Approved => (Tone::Good, "Approved"),
        AuthorisationState::EmergencyApproval => (Tone::Warn, "Emergency approval"),
        AuthorisationState::Suspended => (Tone::Warn, "Suspended"),
        AuthorisationState::Rejected => (Tone::Bad, "Rejected"),
        AuthorisationState::Cancelled => (Tone::Plain, "Cancelled"),
        AuthorisationState::Expired => (Tone::Plain, "Expired"),
        AuthorisationState::Invalid => (Tone::Bad, "Invalid"),
    }
}

pub(super) fn state_badge(of: AuthorisationState) -> Html {
    let (tone, name) = state(of);
    badge(tone, name)
}

/// What a state means, and what comes next.
pub(super) const fn state_means(state: AuthorisationState) -> &'static str {
    match state {
        AuthorisationState::AwaitingApproval => {
            "Nothing can be disclosed. Legal approvers who did not enter it decide on it; one rejection is enough to end it."
        }
        AuthorisationState::Approved => {
            "In effect within its timespan: an executor can execute a disclosure, and a releaser let it out."
        }
        AuthorisationState::EmergencyApproval => {
            "In effect by one person's approval. It lapses unless the others approve in time."
        }
        AuthorisationState::Suspended => {
            "Not in effect for now: nothing is executed, released or handed out until a legal approver resumes it."
        }
        AuthorisationState::Rejected => {
            "A legal approver is against it. Only a change brings it back, which has to be approved anew."
        }
        AuthorisationState::Cancelled => "Ended for good. Nothing leads out of it.",
        AuthorisationState::Expired => {
            "Its timespan is over. Only a change brings it back, which has to be approved anew."
        }
        AuthorisationState::Invalid => {
            "The emergency was not ratified in time, so it is void. Only a change brings it back, which has to be approved anew."
        }
    }
}

pub(super) const fn priority(priority: Priority) -> (&'static str, &'static str) {
    match priority {
        Priority::Routine => ("routine", "Routine"),
        Priority::High => ("high", "High"),
        Priority::Urgent => ("urgent", "Urgent"),
    }
}

pub(super) const PRIORITIES: [Priority; 3] = [Priority::Routine, Priority::High, Priority::Urgent];

/// What holds of it besides, one word each.
pub(super) fn flags(flags: AuthorisationFlags) -> Vec<&'static str> {
    [
        (flags.emergency, "Emergency"),
        (flags.consensual, "Consensual"),
        (flags.test, "Test"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

pub(super) fn decision(decision: Decision) -> Html {
    match decision {
        Decision::Approve => badge(Tone::Good, "Approved"),
        Decision::Reject => badge(Tone::Bad, "Rejected"),
    }
}

/// A span of time, in UTC.
fn span_text(span: Timespan) -> String {
    format!("from {} until {}", utc(span.start).0, utc(span.end).0)
}

pub(super) fn span(span: Timespan) -> Html {
    Html::join(
        " ",
        [
            "from".into(),
            when(span.start),
            "until".into(),
            when(span.end),
        ],
    )
}

/// What a task reaches, as a sentence without its times.
fn reach(scope: &Scope) -> String {
    match scope {
        Scope::Item { item } => format!("The item {item}"),
        Scope::Label { owner, label, .. } => {
            format!("Every item of {owner} with the label “{label}”")
        }
        Scope::Messages {
            person,
            direction,
            counterparts,
            ..
        } => {
            let direction = direction.as_str().replace('-', " ");
            let with = match counterparts {
                Some(names) => format!(", with {}", words::listed(names, "or")),
                None => ", with anybody".to_owned(),
            };
            format!("Every message {direction} {person}{with}")
        }
    }
}

const fn window(scope: &Scope) -> Option<Timespan> {
    match scope {
        Scope::Item { .. } => None,
        Scope::Label { window, .. } => *window,
        Scope::Messages { window, .. } => Some(*window),
    }
}

/// What a task reaches.
pub(super) fn scope(scope: &Scope) -> Html {
    match window(scope) {
        Some(window) => with_sub(reach(scope), Html::join(" ", ["Made".into(), span(window)])),
        None => reach(scope).into(),
    }
}

/// The same as text, for comparing.
fn scope_text(of: &Scope) -> String {
    match window(of) {
        Some(window) => format!("{}, made {}", reach(of), span_text(window)),
        None => reach(of),
    }
}

/// The agency's certificate or key: what it is, its fingerprint, and until when it is good.
struct Agency {
    what: &'static str,
    fingerprint: String,
    until: Option<Timestamp>,
}

fn agency_of(key: &AgencyKey) -> Agency {
    let (what, bytes, sealing) = match key {
        AgencyKey::Certificate(der) => ("X.509 certificate", &der.0, SealingKey::parse(&der.0)),
        AgencyKey::Hpke(bytes) => (
            "HPKE public key",
            &bytes.0,
            SealingKey::from_public_key(&bytes.0),
        ),
    };
    let (fingerprint, until) = match &sealing {
        Ok(sealing) => (
            sealing.fingerprint(),
            sealing.validity().map(|(_, until)| until),
        ),
        Err(_) => (strongroom_approval::sha256(bytes), None),
    };
    Agency {
        what,
        fingerprint: hex::encode(fingerprint),
        until,
    }
}

pub(super) fn agency(key: &AgencyKey) -> Html {
    let agency = agency_of(key);
    let mut below = vec!["SHA-256".into(), mono(&agency.fingerprint)];
    if let Some(until) = agency.until {
        below.push("good until".into());
        below.push(when(until));
    }
    with_sub(agency.what, Html::join(" ", below))
}

/// When people are told, in words.
pub(super) fn notification(order: &AuthorisationOrder) -> String {
    let delay = match order.notification_delay {
        0 => "At once".to_owned(),
        seconds => format!("{} after each release", words::span(seconds.into())),
    };
    match &order.notification_delay_basis {
        Some(basis) => format!("{delay} ({basis})"),
        None => delay,
    }
}

fn warrant(warrant: Option<&WarrantDocument>) -> String {
    warrant.map_or_else(
        || "None".to_owned(),
        |warrant| format!("{} (SHA-256 {})", warrant.name, warrant.sha256),
    )
}

/// What an order says, by name, as text: what two generations are compared by.
fn text(order: &AuthorisationOrder) -> Vec<(String, String)> {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let moment = |moment: Option<Timestamp>| moment.map(|at| utc(at).0).unwrap_or_default();
    let agency = agency_of(&order.agency_key);
    let mut facts: Vec<(String, String)> = [
        ("Reference", order.reference.clone()),
        ("Legal type", order.legal_type.clone()),
        ("Legal basis", order.legal_basis.clone()),
        ("Jurisdiction", order.jurisdiction.clone()),
        ("Type of case", optional(&order.type_of_case)),
        ("Country", order.country_code.clone()),
        ("Issued by", order.issuing_authority.clone()),
        ("Validated by", optional(&order.validating_authority)),
        ("Priority", priority(order.priority).1.to_owned()),
        ("Flags", flags(order.flags).join(", ")),
        ("Timespan", span_text(order.timespan)),
        ("Served", moment(order.served)),
        ("Warrant", warrant(order.warrant.as_ref())),
        ("Necessity", order.necessity.clone()),
        ("Proportionality", order.proportionality.clone()),
        ("Owners are told", notification(order)),
        (
            "Sealed to",
            format!("{}, SHA-256 {}", agency.what, agency.fingerprint),
        ),
        ("Items at most", order.max_items.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    facts.extend(
        order
            .tasks
            .iter()
            .map(|task| (format!("Task {}", task.reference), scope_text(&task.scope))),
    );
    facts
}

/// What differs between two generations: the member, what it was, what it is. Empty where it was or is not there.
pub(super) fn changes(
    before: &AuthorisationOrder,
    after: &AuthorisationOrder,
) -> Vec<(String, String, String)> {
    let (before, after) = (text(before), text(after));
    let of = |facts: &[(String, String)], name: &str| {
        let mut facts = facts.iter();
        facts
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    let mut names: Vec<&String> = before.iter().map(|(name, _)| name).collect();
    names.extend(
        after
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !before.iter().any(|(known, _)| known == *name)),
    );
    names
        .into_iter()
        .map(|name| (name.clone(), of(&before, name), of(&after, name)))
        .filter(|(_, before, after)| before != after)
        .collect()
}

/// The words on a list for how urgent a case is and what holds of it.
pub(super) fn marks(of: Priority, and: AuthorisationFlags) -> Html {
    let mut marks = Vec::new();
    if of != Priority::Routine {
        marks.push(priority(of).1);
    }
    marks.extend(flags(and));
    tags(marks)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn order() -> AuthorisationOrder {
        serde_json::from_str(
            r#"{"reference":"GS 17/2027","legal_type":"disclosure of stored content","legal_basis":"StPO 269","jurisdiction":"ZH","country_code":"CH",
            "issuing_authority":"Staatsanwaltschaft","timespan":{"start":"2027-01-01T00:00:00Z","end":"2027-02-01T00:00:00Z"},"necessity":"why",
            "proportionality":"why so much","notification_delay":86400,"notification_delay_basis":"StPO 279","agency_key":{"hpke":"AAAA"},"max_items":10,
            "tasks":[{"reference":"1","scope":{"messages":{"person":"eve@example.com","direction":"to-or-from","counterparts":["m@example.com","n@example.com"],
            "window":{"start":"2026-11-01T00:00:00Z","end":"2026-12-01T00:00:00Z"}}}}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_change_is_said_member_by_member() {
        let before = order();
        assert!(changes(&before, &before).is_empty());
        let mut after = before.clone();
        after.max_items = 20;
        after.validating_authority = Some("Gericht".to_owned());
        after.tasks[0].reference = "2".to_owned();
        let said = changes(&before, &after);
        let names: Vec<&str> = said.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["Validated by", "Items at most", "Task 1", "Task 2"]);
        assert_eq!((said[1].1.as_str(), said[1].2.as_str()), ("10", "20"));
        assert!(said[2].2.is_empty() && said[3].1.is_empty());
    }

    #[test]
    fn tasks_are_sentences() {
        assert_eq!(
            scope_text(&order().tasks[0].scope),
            "Every message to or from eve@example.com, with m@example.com or n@example.com, made from 1 Nov 2026, 00:00 UTC until 1 Dec 2026, 00:00 UTC"
        );
        assert_eq!(
            notification(&order()),
            "1 day after each release (StPO 279)"
        );
    }
}
