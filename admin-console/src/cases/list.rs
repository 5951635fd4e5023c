//! Cases: search, and first what waits for the reader.

use actix_web::HttpResponse;
use strongroom_keystore::{Answer as KeystoreAnswer, CaseTask, Keystore, Presented, WaitingCase};
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::{AuthorisationQuery, AuthorisationState, ListedAuthorisation};
use strongroom_wire::id::AuthorisationId;

use super::describe;
use crate::form::Fields;
use crate::own::search_form;
use crate::pieces::{
    Card, Choice, Empty, Field, Html, Table, address, button, link, plural, soft, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::stop::Stop;

type Answer = Result<HttpResponse, Stop>;

/// How many cases a page shows.
const A_PAGE: u32 = 50;
/// How many a search looks at before it says how far it came: each is opened, and its reference read.
const LOOKED_THROUGH: usize = 500;
/// How many tasks are shown.
const TASKS: usize = 20;

/// What a search found.
#[derive(Default)]
struct Found {
    cases: Vec<ListedAuthorisation>,
    /// Where it goes on.
    next: Option<AuthorisationId>,
    looked_at: usize,
}

pub(super) async fn list(reader: Reader, query: Fields) -> Answer {
    let words = query.one("words").to_lowercase();
    let state = AuthorisationState::ALL
        .into_iter()
        .find(|state| state.as_str() == query.one("state"));
    let before = query.some("before").and_then(|before| before.parse().ok());
    let searched = !words.is_empty() || state.is_some();
    let first = !searched && before.is_none();
    let (found, tasks) = reader
        .ask(move |keystore, caller| {
            let found = search(keystore, caller, &words, state, before)?;
            let tasks = if first {
                keystore.waiting_cases(caller, TASKS)?
            } else {
                Vec::new()
            };
            Ok((found, tasks))
        })
        .await?;
    let enters = reader.frame.has(Role::CaseOfficer);
    let mut page = Page::new(&reader.frame, "Cases").intro(intro(&reader));
    if enters {
        page = page.acts(button("/cases/new", "Enter an order", "main"));
    }
    if first && !found.cases.is_empty() && !reader.frame.has(Role::Auditor) {
        page = page.block(tasks_card(&tasks, reader.presence.now.as_millis()));
    }
    page = page.block(form(&query, &reader));
    Ok(page
        .block(cases_card(&query, &found, searched, enters))
        .answer())
}

fn intro(reader: &Reader) -> &'static str {
    let frame = &reader.frame;
    if frame.has(Role::Auditor) {
        "Every case of this domain. You see all of it and change nothing."
    } else if frame.has(Role::Executor) || frame.has(Role::Releaser) {
        "Cases that are in effect: there is something to be carried out."
    } else {
        "Orders of lawful access. Nobody puts one into effect alone."
    }
}

/// Looks through cases for those that say this.
fn search(
    keystore: &Keystore,
    caller: &Presented,
    words: &str,
    state: Option<AuthorisationState>,
    mut before: Option<AuthorisationId>,
) -> KeystoreAnswer<Found> {
    let mut found = Found::default();
    loop {
        let query = AuthorisationQuery {
            state,
            before,
            limit: Some(A_PAGE),
        };
        let page = keystore.authorisations(caller, query)?;
        for case in page.authorisations {
            if found.cases.len() == A_PAGE as usize {
                found.next = before;
                return Ok(found);
            }
            before = Some(case.id);
            found.looked_at += 1;
            let says = [&case.reference, &case.entered_by_name, &case.id.to_string()]
                .iter()
                .any(|text| text.to_lowercase().contains(words));
            if says {
                found.cases.push(case);
            }
        }
        before = page.next;
        if before.is_none() || found.looked_at >= LOOKED_THROUGH {
            found.next = before;
            return Ok(found);
        }
    }
}

/// What is to be done, in words.
const fn task(task: CaseTask) -> &'static str {
    match task {
        CaseTask::Ratify => "Ratify it, or reject it",
        CaseTask::Decide => "Approve or reject it",
        CaseTask::ChangeRejected => "Change it: a legal approver was against it",
        CaseTask::ChangeInvalid => "Change it: the emergency was not ratified",
        CaseTask::Execute => "Preview and execute it",
        CaseTask::Release => "Release what was executed",
    }
}

fn tasks_card(tasks: &[WaitingCase], now: u64) -> Html {
    let card = Card::new("Your tasks");
    if tasks.is_empty() {
        let empty = Empty::new("Nothing waits for you", "What does will stand here.");
        return card.body(empty.html()).html();
    }
    let rows = tasks.iter().map(|waiting| {
        let case = &waiting.case;
        let due = match case.ratify_by {
            Some(by) => with_sub(when(by), "Lapses unless it is ratified"),
            None if case.timespan.end.as_millis() > now => {
                with_sub(when(case.timespan.end), "Its timespan ends")
            }
            None => soft("—"),
        };
        vec![
            reference(case),
            task(waiting.task).into(),
            describe::state_badge(case.state),
            due,
        ]
    });
    card.intro("What waits for you, the most pressing first.")
        .table(Table::new("Your tasks", &["Case", "To be done", "State", "By when"]).rows(rows))
        .html()
}

fn reference(case: &ListedAuthorisation) -> Html {
    Html::all([
        link(&format!("/cases/{}", case.id), &case.reference),
        describe::marks(case.priority, case.flags),
    ])
}

fn form(query: &Fields, reader: &Reader) -> Html {
    let chosen = query.one("state");
    let in_effect_alone = !reader.frame.has(Role::CaseOfficer)
        && !reader.frame.has(Role::LegalApprover)
        && !reader.frame.has(Role::Auditor);
    let mut states = vec![Choice::new("", "Every state", chosen.is_empty())];
    states.extend(
        AuthorisationState::ALL
            .into_iter()
            .filter(|state| !in_effect_alone || state.is_in_effect())
            .map(|state| {
                Choice::new(
                    state.as_str(),
                    describe::state(state).1,
                    chosen == state.as_str(),
                )
            }),
    );
    let fields = [
        Field::search("words", "Reference or who entered it").value(query.one("words")),
        Field::select("state", "State", states),
    ]
    .map(|field| field.html());
    search_form("/cases", &fields)
}

fn cases_card(query: &Fields, found: &Found, searched: bool, enters: bool) -> Html {
    let with = |before: &str| {
        address(
            "/cases",
            &[
                ("words", query.one("words")),
                ("state", query.one("state")),
                ("before", before),
            ],
        )
    };
    if found.cases.is_empty() && found.next.is_none() {
        let empty = if searched {
            Empty::new(
                "No case matches",
                "References are looked for as they are written, or a part of them.",
            )
            .acts(button("/cases", "Show all cases", ""))
        } else if query.some("before").is_some() {
            Empty::new("No older cases", "These were all.").acts(button("/cases", "Newest", ""))
        } else if enters {
            Empty::new(
                "No cases yet",
                "When an authority's order comes, enter it here: who is concerned, what, from when until when, and why. Legal approvers then decide on it.",
            )
            .acts(button("/cases/new", "Enter an order", "main"))
        } else {
            Empty::new(
                "No cases yet",
                "A case officer enters an order first. It stands here as soon as it is for you.",
            )
        };
        return Card::new("").body(empty.html()).html();
    }
    let rows = found.cases.iter().map(|case| {
        vec![
            reference(case),
            with_sub(describe::state_badge(case.state), since(case)),
            format!("{} of {}", case.approved_by, case.approvals_needed).into(),
            when(case.timespan.end),
            with_sub(
                case.entered_by_name.as_str(),
                format!("Generation {}", case.generation),
            ),
        ]
    });
    let table = Table::new(
        "Cases",
        &[
            "Case",
            "State",
            "Approved by",
            "In effect until",
            "Entered by",
        ],
    )
    .rows(rows);
    let mut card = Card::new("");
    card = if table.is_empty() {
        let empty = Empty::new(
            "Nothing so far",
            "No case matched among those that were looked at; older ones have not been.",
        );
        card.body(empty.html())
    } else {
        card.table(table)
    };
    let looked = plural(found.looked_at as u64, "case was", "cases were");
    let mut ways = Vec::new();
    if query.some("before").is_some() {
        ways.push(button(&with(""), "Newest", "slim"));
    }
    if let Some(next) = found.next {
        let text = if found.cases.len() < A_PAGE as usize {
            "Search further back"
        } else {
            "Older cases"
        };
        ways.push(button(&with(&next.to_string()), text, "slim"));
    }
    if !ways.is_empty() {
        card = card.foot(Html::all([
            soft(&format!("{looked} looked at.")),
            Html::fixed(format!("<span class=\"acts\">{}</span>", Html::all(ways))),
        ]));
    }
    card.html()
}

fn since(case: &ListedAuthorisation) -> Html {
    Html::join(" ", ["since".into(), when(case.since)])
}
