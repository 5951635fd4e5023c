//! Approving and rejecting a case, each a signature over the present generation; ratifying an emergency is the same.

use actix_web::{HttpResponse, web};
use strongroom_approval::{Of, Statement, canonical, sha256};
use strongroom_keystore::CaseAct;
use strongroom_wire::approval::{ApprovalCredentials, Decision};
use strongroom_wire::authorisation::{Authorisation, AuthorisationState};
use strongroom_wire::id::AuthorisationId;
use strongroom_wire::problem::{Code, Problem};

use super::show::order_cards;
use super::{at, below, case_of, require, status};
use crate::form::{Fields, Sent, Uploaded};
use crate::pieces::{Card, Empty, Html, Note, Tone, button};
use crate::reader::Reader;
use crate::show;
use crate::signing::{self, LARGEST, Signed, ToSign};
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

const DAY: u64 = 86_400;

fn decision_of(query: &Fields) -> Decision {
    if query.one("decision") == "reject" {
        Decision::Reject
    } else {
        Decision::Approve
    }
}

pub(super) async fn show(
    reader: Reader,
    path: web::Path<AuthorisationId>,
    query: Fields,
) -> Answer {
    let decision = decision_of(&query);
    let days = signing::days(&query);
    decide_page(&reader, path.into_inner(), decision, days, None).await
}

async fn credentials_of(reader: &Reader) -> Result<ApprovalCredentials, Stop> {
    reader
        .ask(strongroom_keystore::Keystore::approval_credentials)
        .await
}

async fn decide_page(
    reader: &Reader,
    id: AuthorisationId,
    decision: Decision,
    days: u64,
    refused: Option<&Problem>,
) -> Answer {
    require(reader, Some(id), CaseAct::Approve).await?;
    let case = case_of(reader, id).await?;
    let credentials = credentials_of(reader).await?;
    let record = canonical::to_vec(&case.record).unwrap_or_default();
    let digest = sha256(&record);
    if hex::encode(digest) != case.record_sha256 {
        return Err(Stop::new(
            &reader.frame,
            Code::IntegrityFailure,
            "The case's record is not the one that its SHA-256 names.",
        ));
    }
    let statement = Statement {
        domain_origin: credentials.domain_origin.clone(),
        subject: case.id.to_string(),
        of: Of::Authorisation {
            generation: case.generation,
            record_sha256: digest,
        },
        decision,
        valid_until: reader.presence.now.plus_seconds(days * DAY),
    };
    let (title, submit) = match (decision, case.state) {
        (Decision::Reject, _) => ("Reject", "Reject the case"),
        (_, AuthorisationState::EmergencyApproval) => ("Ratify", "Ratify the case"),
        (Decision::Approve, _) => ("Approve", "Approve the case"),
    };
    let mut page = below(reader, &case, title)
        .scripts(signing::SCRIPTS)
        .intro("Read the order first. Your signature is kept with the case and verifies without this appliance, years later.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    if !matches!(
        case.state,
        AuthorisationState::AwaitingApproval | AuthorisationState::EmergencyApproval
    ) {
        let empty = Empty::new(
            "There is nothing to decide",
            "This case does not await a decision now.",
        )
        .acts(button(&at(id, ""), "Back to the case", ""));
        return Ok(page
            .block(Card::new("").body(empty.html()).html())
            .answer_with(status(refused)));
    }
    page = page.block(consequence(&case, decision));
    page = page.blocks(order_cards(&case));
    let (to, back) = (at(id, "decide"), at(id, ""));
    let to_sign = ToSign {
        statement: &statement,
        about: Html::from(format!(
            "{} (case {}), generation {}",
            case.record.order.reference, case.id, case.generation
        )),
        document: ("record", &record),
        to: &to,
        submit,
        back: &back,
        token: &reader.frame.form_token,
    };
    Ok(page
        .blocks(to_sign.cards(&credentials, days))
        .answer_with(status(refused)))
}

/// What the decision leads to.
fn consequence(case: &Authorisation, decision: Decision) -> Html {
    let needed = case.record.approvals_needed as usize;
    let approved = case
        .approvals
        .iter()
        .filter(|given| given.decision == Decision::Approve)
        .count();
    let emergency = case.record.order.flags.emergency;
    let (tone, title, body) = match decision {
        Decision::Reject => (
            Tone::Warn,
            "One rejection ends it",
            "The case is rejected at once, whoever else has approved it. Only a change brings it back, which has to be approved anew.".to_owned(),
        ),
        Decision::Approve if case.state == AuthorisationState::AwaitingApproval && emergency => (
            Tone::Warn,
            "An emergency is in effect with your approval alone",
            "It lapses unless the others ratify it in time.".to_owned(),
        ),
        Decision::Approve if approved + 1 >= needed => (
            Tone::Warn,
            "Yours is the last approval that it takes",
            "The case is in effect at once, within its timespan.".to_owned(),
        ),
        Decision::Approve => (
            Tone::Plain,
            "It takes more than your approval",
            format!("{needed} people have to approve; {approved} have so far."),
        ),
    };
    Note::new(tone, title, body).html()
}

async fn hand_in(reader: &Reader, id: AuthorisationId, signed: Signed) -> Answer {
    let decision = signed.decision;
    let leaf = signed
        .hand_in(reader, move |keystore, caller, request| {
            Ok(keystore.decide_authorisation(caller, id, request)?.leaf)
        })
        .await?;
    match leaf {
        Ok(leaf) => Ok(show::go(&format!(
            "/cases/{id}?done={}&leaf={leaf}",
            signing::done(decision)
        ))),
        Err(problem) => {
            let days = signing::days(&Fields::default());
            decide_page(reader, id, decision, days, Some(&problem)).await
        }
    }
}

pub(super) async fn by_passkey(
    reader: Reader,
    path: web::Path<AuthorisationId>,
    sent: Sent,
) -> Answer {
    hand_in(&reader, path.into_inner(), Signed::by_passkey(&sent)).await
}

pub(super) async fn by_key(
    reader: Reader,
    path: web::Path<AuthorisationId>,
    sent: Uploaded<LARGEST>,
) -> Answer {
    let keys = credentials_of(&reader).await?.keys;
    hand_in(&reader, path.into_inner(), Signed::by_key(&sent, &keys)).await
}
