//! Acts that several people have to approve: proposals, and what is decided on them.

use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use strongroom_wire::approval::Decide;
use strongroom_wire::id::ProposalId;
use strongroom_wire::proposal::{ChangedProposal, Proposal, ProposalPage, ProposalQuery, Propose};

use super::body::{Json, LargeJson};
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Propose an act that several people have to approve.
///
/// Whoever may do it proposes the exact request, and makes it with the header `Strongroom-Proposal` once enough people have approved it.
#[utoipa::path(
    tag = "proposals",
    operation_id = "propose",
    request_body = Propose,
    responses((status = 201, description = "The proposal.", body = ChangedProposal)),
)]
#[post("/v1/proposals")]
pub(super) async fn make(
    caller: Caller,
    Json(request): LargeJson<Propose>,
    keystore: OpenKeystore,
) -> Answer {
    let made = ask(keystore, move |keystore| keystore.propose(&caller, request)).await?;
    Ok(acted(StatusCode::CREATED, &made, made.leaf))
}

/// List proposals, the newest first.
///
/// Those that the caller made, and those that people of the caller's roles approve; auditors see all.
#[utoipa::path(
    tag = "proposals",
    operation_id = "list_proposals",
    params(ProposalQuery),
    responses((status = 200, description = "A page of proposals.", body = ProposalPage)),
)]
#[get("/v1/proposals")]
pub(super) async fn list(
    caller: Caller,
    query: web::Query<ProposalQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let page = ask(keystore, move |keystore| keystore.proposals(&caller, query)).await?;
    Ok(shown(&page))
}

/// Show a proposal.
#[utoipa::path(
    tag = "proposals",
    operation_id = "show_proposal",
    params(("proposal" = ProposalId, Path, description = "The proposal.")),
    responses((status = 200, description = "The proposal.", body = Proposal)),
)]
#[get("/v1/proposals/{proposal}")]
pub(super) async fn show(
    caller: Caller,
    proposal: web::Path<ProposalId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = proposal.into_inner();
    let proposal = ask(keystore, move |keystore| keystore.proposal(&caller, id)).await?;
    Ok(shown(&proposal))
}

/// Approve or reject a proposal.
///
/// People of the role that the proposal names, and not whoever made it. The decision is a signature over the exact request.
#[utoipa::path(
    tag = "proposals",
    operation_id = "decide_proposal",
    params(("proposal" = ProposalId, Path, description = "The proposal.")),
    request_body = Decide,
    responses((status = 201, description = "The proposal as it is now.", body = ChangedProposal)),
)]
#[post("/v1/proposals/{proposal}/approvals")]
pub(super) async fn decide(
    caller: Caller,
    proposal: web::Path<ProposalId>,
    Json(request): Json<Decide>,
    keystore: OpenKeystore,
) -> Answer {
    let id = proposal.into_inner();
    let decided = ask(keystore, move |keystore| {
        keystore.decide_proposal(&caller, id, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &decided, decided.leaf))
}

/// Withdraw a proposal.
///
/// By whoever made it.
#[utoipa::path(
    tag = "proposals",
    operation_id = "withdraw_proposal",
    params(("proposal" = ProposalId, Path, description = "The proposal.")),
    responses((status = 200, description = "The proposal is withdrawn.", body = ChangedProposal)),
)]
#[delete("/v1/proposals/{proposal}")]
pub(super) async fn withdraw(
    caller: Caller,
    proposal: web::Path<ProposalId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = proposal.into_inner();
    let withdrawn = ask(keystore, move |keystore| {
        keystore.withdraw_proposal(&caller, id)
    })
    .await?;
    Ok(acted(StatusCode::OK, &withdrawn, withdrawn.leaf))
}
