//! Authorisations in words.

use strongroom_wire::approval::GivenApproval;
use strongroom_wire::authorisation::{
    AgencyKey, Authorisation, AuthorisationOrder, AuthorisationRecord, Generation,
    ListedAuthorisation, Scope, Timespan,
};
use strongroom_wire::encoding::Timestamp;

use crate::output::{facts, plain, spelling, table};

/// An authorisation whole: what somebody reads before they sign it.
pub(super) fn one(authorisation: &Authorisation) -> String {
    let record = &authorisation.record;
    let mut lines = vec![
        ("authorisation", authorisation.id.to_string()),
        ("generation", authorisation.generation.to_string()),
        (
            "state",
            format!("{} since {}", authorisation.state, authorisation.since),
        ),
        ("reason", optional(authorisation.reason.as_ref())),
        ("to be ratified by", moment(authorisation.ratify_by)),
        ("ended", moment(authorisation.terminated)),
    ];
    lines.extend(ordered(&record.order));
    lines.extend(entered(record, &authorisation.record_sha256));
    let mut text = facts(&lines);
    text.push('\n');
    text += &table(["TASK", "REACHES"], &tasks(&record.order));
    text.push('\n');
    text + &decisions(&authorisation.approvals)
}

/// Every generation of an authorisation, the newest first: what each changed of the one before it, and what was decided on it.
pub(super) fn generations(generations: &[Generation]) -> String {
    let mut text = String::new();
    for (place, generation) in generations.iter().enumerate() {
        if place > 0 {
            text.push('\n');
        }
        let record = &generation.record;
        let mut lines = vec![("generation", record.generation.to_string())];
        lines.extend(entered(record, &generation.record_sha256));
        text += &facts(&lines);
        text.push('\n');
        if let Some(before) = generations.get(place + 1) {
            let changed = changes(&before.record.order, &record.order);
            text += &table(["CHANGED", "FROM", "TO"], &changed);
            text.push('\n');
        }
        text += &decisions(&generation.approvals);
    }
    text
}

/// What became of an authorisation.
pub(super) fn decided(authorisation: &Authorisation) -> String {
    let mut text = facts(&[
        ("authorisation", authorisation.id.to_string()),
        ("reference", plain(&authorisation.record.order.reference)),
        ("state", authorisation.state.to_string()),
        ("to be ratified by", moment(authorisation.ratify_by)),
    ]);
    text.push('\n');
    text + &decisions(&authorisation.approvals)
}

/// Several authorisations.
pub(super) fn many(listed: &[ListedAuthorisation]) -> String {
    let rows: Vec<_> = listed
        .iter()
        .map(|one| {
            [
                plain(&one.reference),
                one.state.to_string(),
                format!("{}/{}", one.approved_by, one.approvals_needed),
                spelling(&one.priority),
                one.timespan.end.to_string(),
                one.id.to_string(),
            ]
        })
        .collect();
    table(
        [
            "REFERENCE",
            "STATE",
            "APPROVED",
            "PRIORITY",
            "ENDS",
            "IDENTIFIER",
        ],
        &rows,
    )
}

/// What an order says, by name.
fn ordered(order: &AuthorisationOrder) -> Vec<(&'static str, String)> {
    let warrant = order
        .warrant
        .as_ref()
        .map(|warrant| format!("{} (SHA-256 {})", plain(&warrant.name), warrant.sha256));
    vec![
        ("reference", plain(&order.reference)),
        ("legal type", plain(&order.legal_type)),
        ("legal basis", plain(&order.legal_basis)),
        (
            "jurisdiction",
            format!("{}, {}", plain(&order.jurisdiction), order.country_code),
        ),
        ("type of case", optional(order.type_of_case.as_ref())),
        ("issued by", plain(&order.issuing_authority)),
        (
            "validated by",
            optional(order.validating_authority.as_ref()),
        ),
        ("priority", spelling(&order.priority)),
        ("flags", flags(order)),
        ("in effect", span(&order.timespan)),
        ("served", moment(order.served)),
        ("warrant", warrant.unwrap_or_default()),
        ("necessity", plain(&order.necessity)),
        ("proportionality", plain(&order.proportionality)),
        ("notified after", notification(order)),
        ("sealed to", agency(&order.agency_key)),
        ("items at most", order.max_items.to_string()),
    ]
}

/// How a generation came to be, and what it takes.
fn entered(record: &AuthorisationRecord, sha256: &str) -> [(&'static str, String); 3] {
    let who = plain(&record.entered_by_name);
    let approvers = record.approvers.as_str();
    [
        ("entered", format!("{} by {who}", record.entered)),
        ("record", format!("SHA-256 {sha256}")),
        (
            "approvals needed",
            format!("{} by {approvers}s", record.approvals_needed),
        ),
    ]
}

/// Each task's reference, and what it reaches.
fn tasks(order: &AuthorisationOrder) -> Vec<[String; 2]> {
    let tasks = order.tasks.iter();
    tasks
        .map(|task| [plain(&task.reference), scope(&task.scope)])
        .collect()
}

/// What differs between two orders: the member, what it was, what it is. What was not there, or is not any more, is `-`.
fn changes(before: &AuthorisationOrder, after: &AuthorisationOrder) -> Vec<[String; 3]> {
    let said = |order: &AuthorisationOrder| -> Vec<(String, String)> {
        let facts = ordered(order).into_iter();
        let facts = facts.map(|(name, value)| (name.to_owned(), value));
        let tasks = tasks(order).into_iter();
        facts
            .chain(tasks.map(|[reference, reaches]| (format!("task {reference}"), reaches)))
            .collect()
    };
    let (before, after) = (said(before), said(after));
    let of = |said: &[(String, String)], name: &str| {
        let found = said.iter().find(|(known, _)| known == name);
        let value = found.map(|(_, value)| value.clone());
        value.filter(|value| !value.is_empty())
    };
    let gone = before
        .iter()
        .filter(|(name, _)| !after.iter().any(|(known, _)| known == name));
    after
        .iter()
        .chain(gone)
        .map(|(name, _)| (name, of(&before, name), of(&after, name)))
        .filter(|(_, was, is)| was != is)
        .map(|(name, was, is)| {
            let [was, is] = [was, is].map(|value| value.unwrap_or_else(|| "-".to_owned()));
            [name.clone(), was, is]
        })
        .collect()
}

fn optional(text: Option<&String>) -> String {
    text.map(|text| plain(text)).unwrap_or_default()
}

fn moment(moment: Option<Timestamp>) -> String {
    moment.map(|moment| moment.to_string()).unwrap_or_default()
}

fn decisions(approvals: &[GivenApproval]) -> String {
    let rows: Vec<_> = approvals
        .iter()
        .map(|given| {
            [
                spelling(&given.decision),
                plain(&given.account_name),
                given.time.to_string(),
                given.valid_until.to_string(),
                given.evidence_sha256.clone(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "Nobody has decided on this generation.\n".to_owned();
    }
    table(
        ["DECISION", "BY", "AT", "COUNTS UNTIL", "EVIDENCE (SHA-256)"],
        &rows,
    )
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Item { item } => format!("the item {item}"),
        Scope::Label {
            owner,
            label,
            window,
        } => {
            let made = window.map(|window| format!(", made {}", span(&window)));
            format!(
                "every item of {} with the label {:?}{}",
                plain(owner),
                plain(label),
                made.unwrap_or_default()
            )
        }
        Scope::Messages {
            person,
            direction,
            counterparts,
            window,
        } => {
            let with = counterparts.as_ref().map(|names| {
                let names: Vec<_> = names.iter().map(|name| plain(name)).collect();
                format!(", with {}", names.join(" or "))
            });
            format!(
                "every message {} {}{}, made {}",
                direction.as_str().replace('-', " "),
                plain(person),
                with.unwrap_or_default(),
                span(window)
            )
        }
    }
}

fn span(span: &Timespan) -> String {
    format!("from {} until {}", span.start, span.end)
}

fn flags(order: &AuthorisationOrder) -> String {
    let flags = [
        (order.flags.emergency, "emergency"),
        (order.flags.consensual, "consensual"),
        (order.flags.test, "test"),
    ];
    let set: Vec<_> = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    set.join(", ")
}

fn notification(order: &AuthorisationOrder) -> String {
    let basis = order.notification_delay_basis.as_deref().map(plain);
    let basis = basis.map(|basis| format!(" ({basis})")).unwrap_or_default();
    let days = f64::from(order.notification_delay) / 86_400.0;
    format!("{days:.1} days{basis}")
}

fn agency(key: &AgencyKey) -> String {
    let (what, bytes) = match key {
        AgencyKey::Certificate(der) => ("a certificate", &der.0),
        AgencyKey::Hpke(key) => ("an HPKE key", &key.0),
    };
    format!(
        "{what}, SHA-256 {}",
        hex::encode(strongroom_approval::sha256(bytes))
    )
}
