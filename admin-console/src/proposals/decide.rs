//! Approving a proposal or rejecting it, each a signature over the exact request.

use actix_web::{HttpResponse, web};
use strongroom_approval::{Of, Statement, canonical, sha256};
use strongroom_keystore::Keystore;
use strongroom_wire::approval::Decision;
use strongroom_wire::id::ProposalId;
use strongroom_wire::problem::{Code, Problem};

use super::one::{proposal_cards, proposal_of};
use super::{act, at, decides, status, subject};
use crate::form::{Fields, Sent, Uploaded};
use crate::pieces::{Card, Empty, Html};
use crate::reader::{Page, Reader};
use crate::show;
use crate::signing::{self, LARGEST, Signed, ToSign};
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

const DAY: u64 = 86_400;

pub(super) async fn show(reader: Reader, path: web::Path<ProposalId>, query: Fields) -> Answer {
    let decision = match query.one("decision") {
        "reject" => Decision::Reject,
        _ => Decision::Approve,
    };
    let days = signing::days(&query);
    decide_page(&reader, path.into_inner(), decision, days, None).await
}

async fn decide_page(
    reader: &Reader,
    id: ProposalId,
    decision: Decision,
    days: u64,
    refused: Option<&Problem>,
) -> Answer {
    let proposal = proposal_of(reader, id).await?;
    let credentials = reader.ask(Keystore::approval_credentials).await?;
    let request = canonical::to_vec(&proposal.request).unwrap_or_default();
    let digest = sha256(&request);
    if hex::encode(digest) != proposal.request_sha256 {
        return Err(Stop::new(
            &reader.frame,
            Code::IntegrityFailure,
            "The proposed request is not the one that its SHA-256 names.",
        ));
    }
    let statement = Statement {
        domain_origin: credentials.domain_origin.clone(),
        subject: id.to_string(),
        of: Of::Request {
            act: proposal.request.act().as_str().to_owned(),
            request_sha256: digest,
        },
        decision,
        valid_until: reader.presence.now.plus_seconds(days * DAY),
    };
    let (title, submit) = match decision {
        Decision::Approve => ("Approve", "Approve the proposal"),
        Decision::Reject => ("Reject", "Reject the proposal"),
    };
    let heading = format!("{title}: {}", act(proposal.request.act()));
    let (to, back) = (at(id, "decide"), at(id, ""));
    let mut page = Page::new(&reader.frame, &heading)
        .under("/proposals", "Proposals")
        .under(back.as_str(), act(proposal.request.act()))
        .scripts(signing::SCRIPTS);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    page = page.blocks(proposal_cards(&proposal));
    if !decides(reader, &proposal) {
        let empty = Empty::new(
            "There is nothing for you to decide",
            "People of the role that it names decide on it while it is open, and not whoever made it.",
        );
        return Ok(page
            .block(Card::new("").body(empty.html()).html())
            .answer_with(status(refused)));
    }
    let to_sign = ToSign {
        statement: &statement,
        about: Html::join(
            " ",
            [
                act(proposal.request.act()).into(),
                subject(&proposal.request, proposal.label.as_deref()),
            ],
        ),
        document: ("request", &request),
        to: &to,
        submit,
        back: &back,
        token: &reader.frame.form_token,
    };
    Ok(page
        .blocks(to_sign.cards(&credentials, days))
        .answer_with(status(refused)))
}

async fn hand_in(reader: &Reader, id: ProposalId, signed: Signed) -> Answer {
    let decision = signed.decision;
    let leaf = signed
        .hand_in(reader, move |keystore, caller, request| {
            Ok(keystore.decide_proposal(caller, id, request)?.leaf)
        })
        .await?;
    match leaf {
        Ok(leaf) => Ok(show::go(&format!(
            "{}?done={}&leaf={leaf}",
            at(id, ""),
            signing::done(decision)
        ))),
        Err(problem) => {
            let days = signing::days(&Fields::default());
            decide_page(reader, id, decision, days, Some(&problem)).await
        }
    }
}

pub(super) async fn by_passkey(reader: Reader, path: web::Path<ProposalId>, sent: Sent) -> Answer {
    hand_in(&reader, path.into_inner(), Signed::by_passkey(&sent)).await
}

pub(super) async fn by_key(
    reader: Reader,
    path: web::Path<ProposalId>,
    sent: Uploaded<LARGEST>,
) -> Answer {
    let keys = reader.ask(Keystore::approval_credentials).await?.keys;
    hand_in(&reader, path.into_inner(), Signed::by_key(&sent, &keys)).await
}
