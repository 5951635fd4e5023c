//! A case's page: its order, how far it is, who decided what, what was disclosed, what was changed, what the log says.

use actix_web::{HttpResponse, web};
use strongroom_keystore::{FoundRecords, RecordSearch};
use strongroom_wire::account::Role;
use strongroom_wire::approval::GivenApproval;
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::authorisation::{Authorisation, AuthorisationState, Generation};
use strongroom_wire::disclosure::{Disclosure, DisclosureState, Hold};
use strongroom_wire::id::AuthorisationId;

use super::{at, describe, done};
use crate::form::Fields;
use crate::own::history;
use crate::pieces::{
    Card, Empty, Facts, Html, Note, Table, Tone, address, badge, button, count, link, list, mono,
    paragraph, plural, slim_button, soft, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::stop::Stop;

type Answer = Result<HttpResponse, Stop>;

/// How many records a case's page shows.
const NEWEST: usize = 50;

/// Acts whose leaves name a case.
const ACTS: [Act; 15] = [
    Act::AuthorisationEnter,
    Act::AuthorisationChange,
    Act::AuthorisationApprove,
    Act::AuthorisationReject,
    Act::AuthorisationSuspend,
    Act::AuthorisationResume,
    Act::AuthorisationCancel,
    Act::AuthorisationEnd,
    Act::AuthorisationRead,
    Act::DisclosurePreview,
    Act::DisclosureExecute,
    Act::DisclosureItem,
    Act::DisclosureRelease,
    Act::DisclosureDeliver,
    Act::NotificationSend,
];

/// All that a case's page shows.
struct Whole {
    case: Authorisation,
    generations: Vec<Generation>,
    disclosures: Vec<Disclosure>,
    hold: Hold,
    found: FoundRecords,
}

pub(super) async fn show(
    reader: Reader,
    path: web::Path<AuthorisationId>,
    query: Fields,
) -> Answer {
    let id = path.into_inner();
    let whole = reader
        .ask(move |keystore, caller| {
            let case = keystore.authorisation(caller, id)?;
            let generations = keystore.generations(caller, id)?.generations;
            let since = generations.last().map(|first| first.record.entered);
            let mut found = keystore.search_records(
                caller,
                RecordSearch {
                    acts: ACTS.to_vec(),
                    from: since,
                    limit: 1000,
                    ..RecordSearch::default()
                },
            )?;
            let about = format!("case {id}");
            found.records.retain(|record| names(record, &about));
            Ok(Whole {
                case,
                generations,
                disclosures: keystore.disclosures(caller, id)?.disclosures,
                hold: keystore.hold(caller, id)?,
                found,
            })
        })
        .await?;
    let case = &whole.case;
    let reference = case.record.order.reference.as_str();
    let mut page = Page::new(&reader.frame, reference)
        .under("/cases", "Cases")
        .acts(acts(&reader, case));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    page = page
        .block(state_note(&reader, &whole))
        .blocks(order_cards(case))
        .block(approvals_card(case))
        .block(disclosures_card(&reader, &whole))
        .block(around_card(&whole));
    if whole.generations.len() > 1 {
        page = page.block(generations_card(id, &whole.generations));
    }
    Ok(page.block(log_card(&reader, &whole)).answer())
}

/// Whether a record says that it is about this case: done or refused.
fn names(record: &Record, about: &str) -> bool {
    record
        .note
        .as_deref()
        .is_some_and(|note| note.contains(about))
}

fn acts(reader: &Reader, case: &Authorisation) -> Html {
    let has = |role| reader.frame.has(role);
    let to = |what: &str| at(case.id, what);
    let decide = |decision| address(&to("decide"), &[("decision", decision)]);
    let state = |move_to| address(&to("state"), &[("to", move_to)]);
    let mut acts = Vec::new();
    let mine = case.record.entered_by == reader.presence.account.id;
    if has(Role::LegalApprover) && !mine {
        match case.state {
            AuthorisationState::AwaitingApproval => {
                acts.push(button(&decide("approve"), "Approve", "main"));
                acts.push(button(&decide("reject"), "Reject", "danger"));
            }
            AuthorisationState::EmergencyApproval => {
                acts.push(button(&decide("approve"), "Ratify", "main"));
                acts.push(button(&decide("reject"), "Reject", "danger"));
            }
            AuthorisationState::Suspended => {
                acts.push(button(&state("resume"), "Resume", "main"));
            }
            _ => {}
        }
    }
    if (has(Role::Executor) || has(Role::Releaser)) && case.state.is_in_effect() {
        acts.push(button(&to("preview"), "Preview", "main"));
    }
    if has(Role::CaseOfficer) && case.state != AuthorisationState::Cancelled {
        acts.push(button(&to("change"), "Change the order", ""));
    }
    if has(Role::CaseOfficer) || has(Role::LegalApprover) {
        if case.state.is_in_effect() {
            acts.push(button(&state("suspend"), "Suspend", ""));
        }
        if !case.state.has_ended() {
            acts.push(button(&state("cancel"), "Cancel the case", "danger"));
        }
    }
    if has(Role::Auditor) {
        let export = address("/export", &[("case", &case.id.to_string())]);
        acts.push(button(&export, "Export this case", ""));
    }
    Html::all(acts)
}

fn state_note(reader: &Reader, whole: &Whole) -> Html {
    let case = &whole.case;
    let (tone, name) = describe::state(case.state);
    let mut body = vec![paragraph(describe::state_means(case.state))];
    let now = reader.presence.now;
    let span = case.record.order.timespan;
    if case.state.is_in_effect() && now < span.start {
        body.push(paragraph(Html::join(
            " ",
            ["Its timespan begins".into(), when(span.start)],
        )));
    }
    if let Some(by) = case.ratify_by {
        body.push(paragraph(Html::join(
            " ",
            ["It lapses unless it is ratified by".into(), when(by)],
        )));
    }
    if let Some(reason) = &case.reason {
        body.push(paragraph(format!("Reason: {reason}")));
    }
    body.push(paragraph(Html::join(
        " ",
        ["Since".into(), when(case.since)],
    )));
    // Not an alert: nothing has just gone wrong.
    Html::fixed(
        Note::new(tone, name, Html::all(body))
            .html()
            .to_string()
            .replace("role=\"alert\"", "role=\"status\""),
    )
}

/// What the order says, and what it may reach.
pub(super) fn order_cards(case: &Authorisation) -> Vec<Html> {
    let order = &case.record.order;
    let id = case.id;
    let document = |sha256: &str| at(id, &format!("documents/{sha256}"));
    let flags = describe::flags(order.flags);
    let warrant = match &order.warrant {
        Some(warrant) => with_sub(
            link(&document(&warrant.sha256), &warrant.name),
            Html::join(" ", ["SHA-256".into(), mono(&warrant.sha256)]),
        ),
        None => soft("None: an emergency may be without"),
    };
    let facts = Facts::new()
        .with("Reference", order.reference.as_str())
        .with("Issued by", order.issuing_authority.as_str())
        .with_some("Validated by", order.validating_authority.as_deref())
        .with(
            "Jurisdiction",
            format!("{}, {}", order.jurisdiction, order.country_code),
        )
        .with("Legal type", order.legal_type.as_str())
        .with("Legal basis", order.legal_basis.as_str())
        .with_some("Type of case", order.type_of_case.as_deref())
        .with("Priority", describe::priority(order.priority).1)
        .with_some(
            "Flags",
            (!flags.is_empty()).then(|| crate::pieces::tags(flags)),
        )
        .with("In effect", describe::span(order.timespan))
        .with_some("Served", order.served.map(when))
        .with("Warrant", warrant)
        .with("Owners are told", describe::notification(order))
        .with("Sealed to", describe::agency(&order.agency_key))
        .with("Items at most", count(order.max_items.into()))
        .with("Entered by", case.record.entered_by_name.as_str())
        .with("Entered", when(case.record.entered))
        .with("Generation", case.generation.to_string())
        .with(
            "Record",
            with_sub(
                link(&document(&case.record_sha256), "As it is signed"),
                Html::join(" ", ["SHA-256".into(), mono(&case.record_sha256)]),
            ),
        )
        .with("Case", mono(&case.id.to_string()));
    let why = Facts::new()
        .with("Necessity", lines(&order.necessity))
        .with("Proportionality", lines(&order.proportionality));
    let rows = order.tasks.iter().map(|task| {
        vec![
            Html::from(task.reference.as_str()),
            describe::scope(&task.scope),
        ]
    });
    let tasks = Table::new("What the order may reach", &["Task", "Reaches"]).rows(rows);
    vec![
        Card::new("The order")
            .acts(slim_button(
                &at(id, "order.json"),
                "Order as a file",
                "",
                "",
            ))
            .body(facts.two().html())
            .html(),
        Card::new("Why").body(why.html()).html(),
        Card::new("What it may reach").table(tasks).html(),
    ]
}

/// A text as its writer broke it into lines.
fn lines(text: &str) -> Html {
    Html::join("<br>", text.lines().map(Html::from))
}

fn approvals_card(case: &Authorisation) -> Html {
    let needed = case.record.approvals_needed;
    let card = Card::new("Approvals").intro(format!(
        "{} of legal approvers who did not enter it, each a signature over this generation. The evidence verifies without this appliance.",
        plural(needed.into(), "approval", "approvals")
    ));
    if case.approvals.is_empty() {
        let empty = Empty::new(
            "Nobody has decided yet",
            "Legal approvers find this case among their tasks.",
        );
        return card.body(empty.html()).html();
    }
    card.table(approvals_table(case.id, &case.approvals)).html()
}

fn approvals_table(id: AuthorisationId, approvals: &[GivenApproval]) -> Table {
    let rows = approvals.iter().map(|given| {
        let evidence = at(id, &format!("documents/{}", given.evidence_sha256));
        vec![
            Html::from(given.account_name.as_str()),
            describe::decision(given.decision),
            when(given.time),
            when(given.valid_until),
            slim_button(
                &evidence,
                "Evidence",
                &format!("of {}", given.account_name),
                "",
            ),
        ]
    });
    Table::new(
        "Decisions",
        &["Who", "Decision", "When", "Counts until", "Evidence"],
    )
    .rows(rows)
}

pub(super) fn disclosure_badge(state: DisclosureState) -> Html {
    match state {
        DisclosureState::Executed => badge(Tone::Warn, "Executed"),
        DisclosureState::Released => badge(Tone::Good, "Released"),
    }
}

fn disclosures_card(reader: &Reader, whole: &Whole) -> Html {
    let card = Card::new("Disclosures");
    if whole.disclosures.is_empty() {
        let words = if reader.frame.has(Role::Executor) && whole.case.state.is_in_effect() {
            "Preview first what the order reaches, then execute it."
        } else {
            "An executor executes what is in effect, and a releaser, another person, lets it out."
        };
        let empty = Empty::new("Nothing was disclosed", words);
        return card.body(empty.html()).html();
    }
    let rows = whole.disclosures.iter().map(|disclosure| {
        let to = at(whole.case.id, &format!("disclosures/{}", disclosure.id));
        let released = match (&disclosure.releaser, disclosure.released) {
            (Some(releaser), Some(released)) => with_sub(releaser.as_str(), when(released)),
            _ => soft("Not yet"),
        };
        let text =
            if disclosure.state == DisclosureState::Executed && reader.frame.has(Role::Releaser) {
                "Look and release"
            } else {
                "Look"
            };
        let about = format!("at the disclosure of {}", disclosure.executed);
        vec![
            with_sub(
                disclosure_badge(disclosure.state),
                format!("Generation {}", disclosure.generation),
            ),
            count(disclosure.items.into()).into(),
            with_sub(disclosure.executor.as_str(), when(disclosure.executed)),
            released,
            slim_button(&to, text, &about, ""),
        ]
    });
    let table = Table::new(
        "Disclosures",
        &["State", "#Items", "Executed by", "Released by", ""],
    )
    .rows(rows);
    card.table(table).html()
}

/// What the case does beside disclosing: keeping and telling.
fn around_card(whole: &Whole) -> Html {
    let kept = whole.hold.kept.len() as u64;
    let hold = match (whole.hold.in_force, kept) {
        (true, 0) => "In force; nothing is kept so far".to_owned(),
        (true, kept) => format!("In force; {} kept", plural(kept, "key", "keys")),
        (false, 0) => "Not in force".to_owned(),
        (false, kept) => format!("Not in force; {} still kept", plural(kept, "key", "keys")),
    };
    let delay = whole.case.record.order.notification_delay;
    let told: Vec<Html> = whole
        .disclosures
        .iter()
        .filter_map(|disclosure| {
            let released = disclosure.released?;
            let due = released.plus_seconds(delay.into());
            Some(Html::join(
                " ",
                [
                    "Of what was released".into(),
                    when(released),
                    "they are told".into(),
                    when(due),
                ],
            ))
        })
        .collect();
    let told = if told.is_empty() {
        describe::notification(&whole.case.record.order).into()
    } else {
        list(told)
    };
    let facts = Facts::new()
        .with(
            "Kept from destruction",
            with_sub(hold, link(&at(whole.case.id, "hold"), "Which")),
        )
        .with("Owners are told", told);
    Card::new("Holds and notifications")
        .body(facts.html())
        .html()
}

fn generations_card(id: AuthorisationId, generations: &[Generation]) -> Html {
    let rows = generations.iter().enumerate().map(|(place, generation)| {
        let record = &generation.record;
        let before = generations.get(place + 1);
        let changed = match before {
            None => soft("The first"),
            Some(before) => {
                let changes = describe::changes(&before.record.order, &record.order);
                if changes.is_empty() {
                    soft("Nothing in the order")
                } else {
                    list(changes.into_iter().map(|(name, before, after)| {
                        let or = |text: String| {
                            if text.is_empty() {
                                soft("nothing")
                            } else {
                                text.into()
                            }
                        };
                        with_sub(name, Html::join(" ", [or(before), "→".into(), or(after)]))
                    }))
                }
            }
        };
        let decided = if generation.approvals.is_empty() {
            soft("Nobody decided")
        } else {
            list(generation.approvals.iter().map(|given| {
                let evidence = at(id, &format!("documents/{}", given.evidence_sha256));
                Html::join(
                    " ",
                    [
                        describe::decision(given.decision),
                        link(&evidence, &format!("by {}", given.account_name)),
                    ],
                )
            }))
        };
        let document = at(id, &format!("documents/{}", generation.record_sha256));
        vec![
            with_sub(
                format!("Generation {}", record.generation),
                link(&document, "Record"),
            ),
            with_sub(record.entered_by_name.as_str(), when(record.entered)),
            changed,
            decided,
        ]
    });
    let table = Table::new(
        "Generations",
        &["Generation", "Entered by", "What changed", "Decisions"],
    )
    .rows(rows);
    Card::new("Generations")
        .intro("Each change makes one, and voids what was decided on the one before.")
        .table(table)
        .html()
}

fn log_card(reader: &Reader, whole: &Whole) -> Html {
    let audits = reader.frame.has(Role::Auditor);
    let intro = if audits {
        "What the log says of this case, the newest first. It names nobody who is concerned."
    } else {
        "What you did with this case, as the log has it. All of it is for auditors."
    };
    let card = Card::new("In the log").intro(intro);
    let records = &whole.found.records;
    if records.is_empty() {
        let empty = Empty::new(
            "Nothing of yours",
            "What you do with this case will stand here.",
        );
        return card.body(empty.html()).html();
    }
    let shown = &records[..records.len().min(NEWEST)];
    let mut foot = Vec::new();
    if records.len() > shown.len() || whole.found.next.is_some() {
        foot.push(soft("There is more."));
    }
    if audits {
        let export = address("/export", &[("case", &whole.case.id.to_string())]);
        foot.push(link(&export, "Export all of it"));
    }
    let table = history::table("/log", shown, &history::Labels::default(), true);
    let mut card = card.table(table);
    if !foot.is_empty() {
        card = card.foot(Html::join(" ", foot));
    }
    card.html()
}
