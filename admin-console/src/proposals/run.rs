//! Carrying out what was proposed and approved, by whoever proposed it.

use actix_web::{HttpResponse, web};
use strongroom_keystore::{Answer as KeystoreAnswer, Keystore, Presented};
use strongroom_wire::account::UpdateAccount;
use strongroom_wire::id::ProposalId;
use strongroom_wire::problem::Problem;
use strongroom_wire::proposal::{Proposal, ProposalState, ProposedRequest};

use super::one::proposal_of;
use super::{act, at, is_mine, status, subject};
use crate::form::Sent;
use crate::pieces::{Card, Form, Html, list};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn show(reader: Reader, path: web::Path<ProposalId>) -> Answer {
    let proposal = proposal_of(&reader, path.into_inner()).await?;
    if !is_mine(&reader, &proposal) || proposal.state != ProposalState::Open {
        // Whatever this page does not offer, the keystore refuses.
        return Ok(show::go(&at(proposal.id, "")));
    }
    reader.require_recent()?;
    Ok(run_page(&reader, &proposal, None))
}

fn run_page(reader: &Reader, proposal: &Proposal, refused: Option<&Problem>) -> HttpResponse {
    let (to, back) = (at(proposal.id, "run"), at(proposal.id, ""));
    let form = Form::new(&to, &reader.frame.form_token, "Carry it out")
        .danger()
        .back(&back);
    let what = list([
        Html::join(
            " ",
            [
                act(proposal.request.act()).into(),
                "—".into(),
                subject(&proposal.request, proposal.label.as_deref()),
            ],
        ),
        "Exactly this is done, once: the proposal is used up by it.".into(),
        means(&proposal.request).into(),
    ]);
    let mut page = Page::new(&reader.frame, "Carry it out")
        .under("/proposals", "Proposals")
        .under(back.as_str(), act(proposal.request.act()));
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    page.block(Card::new("What this changes").body(body).danger().html())
        .answer_with(status(refused))
}

const fn means(request: &ProposedRequest) -> &'static str {
    match request {
        ProposedRequest::KeyDestroy { .. } => {
            "What the key protected can never be opened again, by anyone."
        }
        ProposedRequest::DomainPolicy { .. } => {
            "It holds at once, for every key and every account."
        }
        ProposedRequest::AccountUpdate { .. } => {
            "The account has these roles from now on, and no others."
        }
        ProposedRequest::MasterKekRotate {} => {
            "The HSM makes a new version; account KEKs are moved to it in the background."
        }
        ProposedRequest::MasterKekRetire { .. } => {
            "The version is used for nothing any more. It still is in the HSM."
        }
        ProposedRequest::MasterKekDestroy { .. } => {
            "Backups from before the rotation can never be opened again."
        }
        ProposedRequest::KeyRelease { .. }
        | ProposedRequest::DomainRestore { .. }
        | ProposedRequest::ApplianceReset {} => "It is carried out elsewhere.",
    }
}

/// Does what was proposed, by the very function that does it without a quorum, in the proposal's name.
fn carry_out(
    keystore: &Keystore,
    caller: &Presented,
    proposal: &Proposal,
) -> KeystoreAnswer<Option<u64>> {
    let caller = Presented {
        proposal: Some(proposal.id),
        ..caller.clone()
    };
    let caller = &caller;
    Ok(Some(match proposal.request.clone() {
        ProposedRequest::KeyDestroy { key } => keystore.destroy(caller, key)?.leaf,
        ProposedRequest::DomainPolicy { policy } => {
            keystore.set_domain_policy(caller, *policy)?.leaf
        }
        ProposedRequest::AccountUpdate { account, roles } => {
            let request = UpdateAccount {
                state: None,
                roles: Some(roles),
            };
            keystore.update_account(caller, account, request)?.leaf
        }
        ProposedRequest::MasterKekRotate {} => keystore.rotate_master_kek(caller)?.leaf,
        ProposedRequest::MasterKekRetire { version } => {
            keystore.retire_master_kek(caller, version)?.leaf
        }
        ProposedRequest::MasterKekDestroy { version } => {
            keystore.destroy_master_kek(caller, version)?.leaf
        }
        ProposedRequest::KeyRelease { .. }
        | ProposedRequest::DomainRestore { .. }
        | ProposedRequest::ApplianceReset {} => {
            return Ok(None);
        }
    }))
}

pub(super) async fn run(reader: Reader, path: web::Path<ProposalId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&at(id, "run"))?;
    let proposal = proposal_of(&reader, id).await?;
    let wanted = proposal.clone();
    let done = reader
        .attempt(move |keystore, caller| carry_out(keystore, caller, &wanted))
        .await?;
    match done {
        Ok(Some(leaf)) => Ok(show::go(&format!("{}?done=run&leaf={leaf}", at(id, "")))),
        Ok(None) => Ok(show::go(&at(id, ""))),
        Err(problem) => Ok(run_page(&reader, &proposal, Some(&problem))),
    }
}
