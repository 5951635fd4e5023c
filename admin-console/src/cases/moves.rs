//! Suspending a case, resuming it, cancelling it.

use actix_web::{HttpResponse, web};
use strongroom_keystore::CaseAct;
use strongroom_wire::authorisation::{Authorisation, LONGEST_LINE, Move, MoveAuthorisation};
use strongroom_wire::id::AuthorisationId;
use strongroom_wire::problem::Problem;

use super::{at, case_of, confirm, require};
use crate::form::{Fields, Sent};
use crate::pieces::{Field, Form, Html, address, list};
use crate::reader::Reader;
use crate::show;
use crate::stop::Stop;

type Answer = Result<HttpResponse, Stop>;

fn read(fields: &Fields) -> Option<Move> {
    match fields.one("to") {
        "suspend" => Some(Move::Suspend),
        "resume" => Some(Move::Resume),
        "cancel" => Some(Move::Cancel),
        _ => None,
    }
}

const fn name(to: Move) -> &'static str {
    match to {
        Move::Suspend => "suspend",
        Move::Resume => "resume",
        Move::Cancel => "cancel",
    }
}

fn here(id: AuthorisationId, to: Move) -> String {
    address(&at(id, "state"), &[("to", name(to))])
}

/// A cancellation cannot be undone, so the reader signs in again for it.
fn require_recent(reader: &Reader, id: AuthorisationId, to: Move) -> Result<(), Stop> {
    match to {
        Move::Cancel => reader.require_recent_then(&here(id, to)),
        Move::Suspend | Move::Resume => Ok(()),
    }
}

pub(super) async fn show(
    reader: Reader,
    path: web::Path<AuthorisationId>,
    query: Fields,
) -> Answer {
    let id = path.into_inner();
    let Some(to) = read(&query) else {
        return Err(Stop::not_found(&reader.frame));
    };
    let act = match to {
        Move::Suspend | Move::Cancel => CaseAct::Suspend,
        Move::Resume => CaseAct::Approve,
    };
    require(&reader, Some(id), act).await?;
    let case = case_of(&reader, id).await?;
    require_recent(&reader, case.id, to)?;
    Ok(move_page(&reader, &case, to, "", None))
}

fn move_page(
    reader: &Reader,
    case: &Authorisation,
    to: Move,
    reason: &str,
    refused: Option<&Problem>,
) -> HttpResponse {
    let (title, submit, what): (_, _, Vec<Html>) = match to {
        Move::Suspend => (
            "Suspend",
            "Suspend the case",
            vec![
                "It is not in effect from now on: nothing is executed, released or handed out under it.".into(),
                "What it keeps from destruction stays kept.".into(),
                "A legal approver who did not enter it can resume it.".into(),
            ],
        ),
        Move::Resume => (
            "Resume",
            "Resume the case",
            vec![
                "It is in effect again, within its timespan, by the approvals that it had.".into(),
            ],
        ),
        Move::Cancel => (
            "Cancel the case",
            "Cancel the case for good",
            vec![
                "It ends for good: nothing is executed, released or handed out under it any more, and no change brings it back.".into(),
                "What was handed out stays with the agency.".into(),
                "Copies of destroyed keys that only it keeps are deleted.".into(),
            ],
        ),
    };
    let (action, back) = (at(case.id, "state"), at(case.id, ""));
    let mut form = Form::new(&action, &reader.frame.form_token, submit)
        .field(Field::hidden("to", name(to)))
        .field(
            Field::text("reason", "Reason")
                .hint(format!(
                    "It stands in the log, so name nobody who is concerned. At most {LONGEST_LINE} bytes."
                ))
                .value(reason)
                .required()
                .focus(),
        )
        .back(&back);
    let danger = to == Move::Cancel;
    if danger {
        form = form.danger();
    }
    confirm(
        reader,
        case,
        title,
        list(what),
        &form.html(),
        danger,
        refused,
    )
}

pub(super) async fn make(reader: Reader, path: web::Path<AuthorisationId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let Some(to) = read(&sent) else {
        return Err(Stop::not_found(&reader.frame));
    };
    require_recent(&reader, id, to)?;
    let reason = sent.one("reason").to_owned();
    let request = MoveAuthorisation {
        to,
        reason: reason.clone(),
    };
    let moved = reader
        .attempt(move |keystore, caller| keystore.move_authorisation(caller, id, request))
        .await?;
    match moved {
        Ok(changed) => {
            let done = match to {
                Move::Suspend => "suspended",
                Move::Resume => "resumed",
                Move::Cancel => "cancelled",
            };
            Ok(show::go(&format!(
                "/cases/{id}?done={done}&leaf={}",
                changed.leaf
            )))
        }
        Err(problem) => {
            let case = case_of(&reader, id).await?;
            Ok(move_page(&reader, &case, to, &reason, Some(&problem)))
        }
    }
}
