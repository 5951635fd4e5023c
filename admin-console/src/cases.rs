//! Lawful access: cases from the order to the delivery, on the administration listener; and, for everybody, what was disclosed of theirs.
//!
//! | module | what lives there |
//! |---|---|
//! | `list` | cases: search, and first what waits for the reader |
//! | `show` | a case's page |
//! | `describe` | orders, tasks and states in words; what a change changed |
//! | `enter` | entering an order and changing it |
//! | `draft` | an order as the fields of a form, and back |
//! | `decide` | approving and rejecting |
//! | `moves` | suspending, resuming, cancelling |
//! | `disclose` | previewing, executing, releasing, handing out |
//! | `kept` | documents of a case, and what it keeps from destruction |
//! | `notified` | what was disclosed of the reader's, once its delay is over |
//!
//! Who may see and do what is the keystore's to say: pages only leave out the buttons of what the reader's roles do not have.

mod decide;
mod describe;
mod disclose;
mod draft;
mod enter;
mod kept;
mod list;
mod moves;
mod notified;
mod show;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_keystore::CaseAct;
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::Authorisation;
use strongroom_wire::id::AuthorisationId;
use strongroom_wire::problem::Problem;

use crate::form::Fields;
use crate::own::recorded;
use crate::page;
use crate::pieces::{Card, Html, Note, Tone};
use crate::reader::{Frame, Page, Reader};
use crate::stop::{Stop, problem_note};

/// The roles for which there are cases.
pub(crate) const ROLES: [Role; 5] = [
    Role::CaseOfficer,
    Role::LegalApprover,
    Role::Executor,
    Role::Releaser,
    Role::Auditor,
];

/// The pages of cases.
pub(crate) fn routes(services: &mut ServiceConfig) {
    page(services, "/cases", vec![web::get().to(list::list)]);
    page(
        services,
        "/cases/new",
        vec![web::get().to(enter::show_new), web::post().to(enter::enter)],
    );
    page(
        services,
        "/cases/new/file",
        vec![
            web::get().to(enter::show_file),
            web::post().to(enter::enter_file),
        ],
    );
    page(services, "/cases/{case}", vec![web::get().to(show::show)]);
    page(
        services,
        "/cases/{case}/change",
        vec![
            web::get().to(enter::show_change),
            web::post().to(enter::change),
        ],
    );
    page(
        services,
        "/cases/{case}/order.json",
        vec![web::get().to(enter::order)],
    );
    page(
        services,
        "/cases/{case}/decide",
        vec![
            web::get().to(decide::show),
            web::post().to(decide::by_passkey),
        ],
    );
    page(
        services,
        "/cases/{case}/decide/signature",
        vec![web::post().to(decide::by_key)],
    );
    page(
        services,
        "/cases/{case}/state",
        vec![web::get().to(moves::show), web::post().to(moves::make)],
    );
    page(
        services,
        "/cases/{case}/documents/{sha256}",
        vec![web::get().to(kept::document)],
    );
    page(
        services,
        "/cases/{case}/hold",
        vec![web::get().to(kept::hold)],
    );
    disclosure_routes(services);
}

fn disclosure_routes(services: &mut ServiceConfig) {
    page(
        services,
        "/cases/{case}/preview",
        vec![
            web::get().to(disclose::show_preview),
            web::post().to(disclose::preview),
        ],
    );
    page(
        services,
        "/cases/{case}/execute",
        vec![
            web::get().to(disclose::show_execute),
            web::post().to(disclose::execute),
        ],
    );
    page(
        services,
        "/cases/{case}/disclosures/{disclosure}",
        vec![web::get().to(disclose::show)],
    );
    page(
        services,
        "/cases/{case}/disclosures/{disclosure}/release",
        vec![
            web::get().to(disclose::show_release),
            web::post().to(disclose::release),
        ],
    );
    page(
        services,
        "/cases/{case}/disclosures/{disclosure}/delivery",
        vec![web::post().to(disclose::deliver)],
    );
}

/// The page that everybody has: what was disclosed of theirs.
pub(crate) fn own_routes(services: &mut ServiceConfig) {
    page(
        services,
        "/disclosures",
        vec![web::get().to(notified::list)],
    );
}

/// Whether there are cases for a reader's roles, so that they find them in the rail.
pub(crate) fn are_for(frame: &Frame) -> bool {
    ROLES.into_iter().any(|role| frame.has(role))
}

/// The case, for the pages about it.
async fn case_of(reader: &Reader, id: AuthorisationId) -> Result<Authorisation, Stop> {
    reader
        .ask(move |keystore, caller| keystore.authorisation(caller, id))
        .await
}

/// Refuses, by the keystore's own word, whose roles do not allow what the page is for, before a form for it is shown.
async fn require(reader: &Reader, id: Option<AuthorisationId>, act: CaseAct) -> Result<(), Stop> {
    reader
        .ask(move |keystore, caller| keystore.may_act_on_case(caller, id, act))
        .await
}

fn at(id: AuthorisationId, what: &str) -> String {
    if what.is_empty() {
        format!("/cases/{id}")
    } else {
        format!("/cases/{id}/{what}")
    }
}

/// The status of a page that may tell a refusal.
fn status(refused: Option<&Problem>) -> StatusCode {
    refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    })
}

/// A page below a case's.
fn below<'a>(reader: &Reader, case: &Authorisation, title: &'a str) -> Page<'a> {
    Page::new(&reader.frame, title)
        .under("/cases", "Cases")
        .under(at(case.id, ""), case.record.order.reference.as_str())
}

/// A page below a case's that shows what an act changes before it is done.
fn confirm(
    reader: &Reader,
    case: &Authorisation,
    title: &str,
    what: Html,
    form: &Html,
    danger: bool,
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut page = below(reader, case, title);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    let mut card = Card::new("What this changes").body(Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{form}</div>")),
    ]));
    if danger {
        page = page.block(Note::new(Tone::Warn, "This cannot be undone", "").html());
        card = card.danger();
    }
    page.block(card.html()).answer_with(status(refused))
}

/// What has just been done, as the case's page says it: its words stand here, the address holds their name and the leaf alone.
fn done(query: &Fields) -> Option<Html> {
    let (title, more) = match query.one("done") {
        "entered" => ("The case is entered", "It waits for its approvals now."),
        "changed" => (
            "The case has a new generation",
            "What was approved before is void: it has to be approved anew.",
        ),
        "approved" => ("Your approval is recorded", ""),
        "rejected" => (
            "The case is rejected",
            "Only a change brings it back, which has to be approved anew.",
        ),
        "suspended" => (
            "The case is suspended",
            "Nothing is disclosed until a legal approver resumes it.",
        ),
        "resumed" => ("The case is resumed", ""),
        "cancelled" => ("The case is cancelled", "It has ended for good."),
        "executed" => (
            "The disclosure is executed",
            "Nothing has gone out: another person releases it.",
        ),
        "released" => (
            "The disclosure is released",
            "The package for the agency can be fetched now.",
        ),
        _ => return None,
    };
    Some(recorded(title, more, query))
}
