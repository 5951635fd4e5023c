//! Authorisations in words.

use strongroom_wire::authorisation::{
    AgencyKey, Authorisation, AuthorisationOrder, ListedAuthorisation, Scope, Timespan,
};

use crate::output::{facts, plain, spelling, table};

/// An authorisation whole: what somebody reads before they sign it.
pub(super) fn one(authorisation: &Authorisation) -> String {
    let record = &authorisation.record;
    let order = &record.order;
    let optional = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
    let moment = |moment: Option<strongroom_wire::encoding::Timestamp>| {
        moment.map(|moment| moment.to_string()).unwrap_or_default()
    };
    let warrant = order
        .warrant
        .as_ref()
        .map(|warrant| format!("{} (SHA-256 {})", plain(&warrant.name), warrant.sha256));
    let mut text = facts(&[
        ("authorisation", authorisation.id.to_string()),
        ("generation", authorisation.generation.to_string()),
        (
            "state",
            format!("{} since {}", authorisation.state, authorisation.since),
        ),
        ("reason", optional(&authorisation.reason)),
        ("to be ratified by", moment(authorisation.ratify_by)),
        ("ended", moment(authorisation.terminated)),
        ("reference", plain(&order.reference)),
        ("legal type", plain(&order.legal_type)),
        ("legal basis", plain(&order.legal_basis)),
        (
            "jurisdiction",
            format!("{}, {}", plain(&order.jurisdiction), order.country_code),
        ),
        ("type of case", optional(&order.type_of_case)),
        ("issued by", plain(&order.issuing_authority)),
        ("validated by", optional(&order.validating_authority)),
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
        (
            "entered",
            format!("{} by {}", record.entered, plain(&record.entered_by_name)),
        ),
        ("record", format!("SHA-256 {}", authorisation.record_sha256)),
        (
            "approvals needed",
            format!(
                "{} by {}s",
                record.approvals_needed,
                record.approvers.as_str()
            ),
        ),
    ]);
    text.push('\n');
    let tasks: Vec<_> = order
        .tasks
        .iter()
        .map(|task| [plain(&task.reference), scope(&task.scope)])
        .collect();
    text += &table(["TASK", "REACHES"], &tasks);
    text.push('\n');
    text + &decisions(authorisation)
}

/// What became of an authorisation.
pub(super) fn decided(authorisation: &Authorisation) -> String {
    let mut text = facts(&[
        ("authorisation", authorisation.id.to_string()),
        ("reference", plain(&authorisation.record.order.reference)),
        ("state", authorisation.state.to_string()),
        (
            "to be ratified by",
            authorisation
                .ratify_by
                .map(|by| by.to_string())
                .unwrap_or_default(),
        ),
    ]);
    text.push('\n');
    text + &decisions(authorisation)
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

fn decisions(authorisation: &Authorisation) -> String {
    let rows: Vec<_> = authorisation
        .approvals
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
        return "Nobody has decided on this generation yet.\n".to_owned();
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
