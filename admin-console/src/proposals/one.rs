//! A proposal's page.

use actix_web::{HttpResponse, web};
use strongroom_wire::approval::Decision;
use strongroom_wire::id::ProposalId;
use strongroom_wire::problem::Problem;
use strongroom_wire::proposal::{Proposal, ProposalState, ProposedRequest};

use super::{act, at, decides, is_mine, state_badge, status, subject};
use crate::form::{Fields, Sent};
use crate::own::recorded;
use crate::pieces::{
    Card, Empty, Facts, Form, Html, Table, Tone, address, badge, button, list, mono, paragraph,
    plural, soft, when,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn proposal_of(reader: &Reader, id: ProposalId) -> Result<Proposal, Stop> {
    reader
        .ask(move |keystore, caller| keystore.proposal(caller, id))
        .await
}

fn done(query: &Fields) -> Option<Html> {
    let (title, more) = match query.one("done") {
        "made" => (
            "The proposal is made",
            "Those who approve it find it among their proposals.",
        ),
        "approved" => ("Your approval is recorded", ""),
        "rejected" => ("The proposal is rejected", "It has ended."),
        "withdrawn" => ("The proposal is withdrawn", ""),
        "run" => ("It is carried out", "The proposal is used up."),
        _ => return None,
    };
    Some(recorded(title, more, query))
}

pub(super) async fn show(reader: Reader, path: web::Path<ProposalId>, query: Fields) -> Answer {
    let proposal = proposal_of(&reader, path.into_inner()).await?;
    Ok(proposal_page(&reader, &proposal, done(&query), None))
}

fn proposal_page(
    reader: &Reader,
    proposal: &Proposal,
    done: Option<Html>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let decide = |decision| address(&at(proposal.id, "decide"), &[("decision", decision)]);
    let mut acts = Vec::new();
    if decides(reader, proposal) {
        acts.push(button(&decide("approve"), "Approve", "main"));
        acts.push(button(&decide("reject"), "Reject", "danger"));
    }
    let mine = is_mine(reader, proposal) && proposal.state == ProposalState::Open;
    if mine && proposal.approved && runs_here(&proposal.request) {
        acts.push(button(&at(proposal.id, "run"), "Carry it out", "main"));
    }
    let mut page = Page::new(&reader.frame, act(proposal.request.act()))
        .under("/proposals", "Proposals")
        .acts(Html::all(acts));
    if let Some(done) = done {
        page = page.block(done);
    }
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    page = page
        .blocks(proposal_cards(proposal))
        .block(decisions(proposal));
    if mine && !runs_here(&proposal.request) {
        let words = match &proposal.request {
            ProposedRequest::KeyRelease { .. } => format!(
                "No key comes to these pages. Once it is approved, your own program has the key released, once: with --proposal {} at the command line.",
                proposal.id
            ),
            ProposedRequest::ApplianceReset {} => format!(
                "Once it is approved, at the command line: strongroom appliance factory-reset --proposal {}.",
                proposal.id
            ),
            _ => "It is carried out at the machine itself.".to_owned(),
        };
        page = page.block(Card::new("Carrying it out").body(paragraph(words)).html());
    }
    if mine {
        let to = at(proposal.id, "withdraw");
        let form =
            Form::new(&to, &reader.frame.form_token, "Withdraw the proposal").class("danger");
        let body = Html::all([
            paragraph("Nobody can approve it or carry it out any more."),
            Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
        ]);
        page = page.block(Card::new("Withdraw it").body(body).html());
    }
    page.answer_with(status(refused))
}

/// Whether these pages can carry it out.
const fn runs_here(request: &ProposedRequest) -> bool {
    !matches!(
        request,
        ProposedRequest::KeyRelease { .. }
            | ProposedRequest::DomainRestore { .. }
            | ProposedRequest::ApplianceReset {}
    )
}

/// What is proposed, and how far it is.
pub(super) fn proposal_cards(proposal: &Proposal) -> Vec<Html> {
    let facts = Facts::new()
        .with("State", state_badge(proposal))
        .with("Act", act(proposal.request.act()))
        .with("On", subject(&proposal.request, proposal.label.as_deref()))
        .with("Proposed by", proposal.proposed_by_name.as_str())
        .with("Proposed", when(proposal.created))
        .with("Stands until", when(proposal.expires))
        .with(
            "It takes",
            format!(
                "{} with the role {}, besides who proposed it",
                plural(proposal.count.into(), "person", "people"),
                words::role(proposal.role).to_lowercase()
            ),
        )
        .with(
            "The exact request",
            Html::join(" ", ["SHA-256".into(), mono(&proposal.request_sha256)]),
        )
        .with("Proposal", mono(&proposal.id.to_string()));
    let text = serde_json::to_string_pretty(&proposal.request).unwrap_or_default();
    let mut body = vec![facts.two().html()];
    if let ProposedRequest::DomainPolicy { policy } = &proposal.request {
        let usage = words::policy(&policy.usage);
        let usage = if usage.is_empty() {
            soft("No limits on the use of keys.")
        } else {
            list(usage.into_iter().map(Html::from))
        };
        body.push(Html::fixed(format!(
            "<h3 class=\"after\">The use of every key would be</h3>{usage}"
        )));
    }
    body.push(Html::fixed(format!(
        "<details class=\"more after\"><summary>The exact request</summary><pre class=\"wrapped\" tabindex=\"0\">{}</pre></details>",
        Html::from(text)
    )));
    vec![Card::new("What is proposed").body(Html::all(body)).html()]
}

fn decisions(proposal: &Proposal) -> Html {
    let card = Card::new("Decisions");
    if proposal.approvals.is_empty() {
        let empty = Empty::new(
            "Nobody has decided yet",
            "Those who approve it find it among their proposals.",
        );
        return card.body(empty.html()).html();
    }
    let rows = proposal.approvals.iter().map(|given| {
        let decision = match given.decision {
            Decision::Approve => badge(Tone::Good, "Approved"),
            Decision::Reject => badge(Tone::Bad, "Rejected"),
        };
        vec![
            Html::from(given.account_name.as_str()),
            decision,
            when(given.time),
            when(given.valid_until),
            mono(&given.evidence_sha256),
        ]
    });
    let table = Table::new(
        "Decisions",
        &[
            "Who",
            "Decision",
            "When",
            "Counts until",
            "SHA-256 of the evidence",
        ],
    )
    .rows(rows);
    card.table(table).html()
}

pub(super) async fn withdraw(reader: Reader, path: web::Path<ProposalId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    let withdrawn = reader
        .attempt(move |keystore, caller| keystore.withdraw_proposal(caller, id))
        .await?;
    match withdrawn {
        Ok(changed) => Ok(show::go(&format!(
            "{}?done=withdrawn&leaf={}",
            at(id, ""),
            changed.leaf
        ))),
        Err(problem) => {
            let proposal = proposal_of(&reader, id).await?;
            Ok(proposal_page(&reader, &proposal, None, Some(&problem)))
        }
    }
}
