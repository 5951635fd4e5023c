//! Lawful access: authorisations and what is decided on them. Each role sees its own tasks; administrators see none.

use actix_web::http::StatusCode;
use actix_web::{get, post, put, web};
use strongroom_wire::approval::Decide;
use strongroom_wire::authorisation::{
    Authorisation, AuthorisationOrder, AuthorisationPage, AuthorisationQuery, ChangeAuthorisation,
    ChangedAuthorisation, Document, DocumentPut, MoveAuthorisation, PutDocument,
};
use strongroom_wire::id::AuthorisationId;

use super::body::{Json, LargeJson};
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Enter an authorisation.
///
/// Case officers only. It then awaits approval.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "enter_authorisation",
    request_body = AuthorisationOrder,
    responses((status = 201, description = "The authorisation.", body = ChangedAuthorisation)),
)]
#[post("/v1/authorisations")]
pub(super) async fn enter(
    caller: Caller,
    Json(order): LargeJson<AuthorisationOrder>,
    keystore: OpenKeystore,
) -> Answer {
    let entered = ask(keystore, move |keystore| {
        keystore.enter_authorisation(&caller, order)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &entered, entered.leaf))
}

/// List authorisations, the newest first.
///
/// Case officers, legal approvers and auditors see all; executors and releasers those that are in effect.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "list_authorisations",
    params(AuthorisationQuery),
    responses((status = 200, description = "A page of authorisations.", body = AuthorisationPage)),
)]
#[get("/v1/authorisations")]
pub(super) async fn list(
    caller: Caller,
    query: web::Query<AuthorisationQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let page = ask(keystore, move |keystore| {
        keystore.authorisations(&caller, query)
    })
    .await?;
    Ok(shown(&page))
}

/// Upload a warrant.
///
/// Case officers only. An order names it by its SHA-256.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "put_document",
    request_body = PutDocument,
    responses((status = 201, description = "Its SHA-256.", body = DocumentPut)),
)]
#[post("/v1/authorisations/documents")]
pub(super) async fn put_document(
    caller: Caller,
    Json(request): LargeJson<PutDocument>,
    keystore: OpenKeystore,
) -> Answer {
    let put = ask(keystore, move |keystore| {
        keystore.put_warrant(&caller, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &put, put.leaf))
}

/// Show an authorisation.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "show_authorisation",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    responses((status = 200, description = "The authorisation.", body = Authorisation)),
)]
#[get("/v1/authorisations/{authorisation}")]
pub(super) async fn show(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let authorisation = ask(keystore, move |keystore| {
        keystore.authorisation(&caller, id)
    })
    .await?;
    Ok(shown(&authorisation))
}

/// Change an authorisation.
///
/// Case officers only. It gets another generation and awaits approval: approvals of the one before are void.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "change_authorisation",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    request_body = ChangeAuthorisation,
    responses((status = 200, description = "The authorisation as it is now.", body = ChangedAuthorisation)),
)]
#[put("/v1/authorisations/{authorisation}")]
pub(super) async fn change(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    Json(request): LargeJson<ChangeAuthorisation>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.change_authorisation(&caller, id, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Approve or reject an authorisation.
///
/// Legal approvers only, and nobody who entered it. The decision is a signature over the present generation; when enough people have approved it, the
/// authorisation is in effect. An emergency is with one, and lapses unless the others follow in time.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "decide_authorisation",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    request_body = Decide,
    responses((status = 201, description = "The authorisation as it is now.", body = ChangedAuthorisation)),
)]
#[post("/v1/authorisations/{authorisation}/approvals")]
pub(super) async fn decide(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    Json(request): Json<Decide>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let decided = ask(keystore, move |keystore| {
        keystore.decide_authorisation(&caller, id, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &decided, decided.leaf))
}

/// Suspend, resume or cancel an authorisation.
///
/// Case officers and legal approvers; resuming is for legal approvers who did not enter it.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "move_authorisation",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    request_body = MoveAuthorisation,
    responses((status = 200, description = "The authorisation as it is now.", body = ChangedAuthorisation)),
)]
#[post("/v1/authorisations/{authorisation}/state")]
pub(super) async fn move_to(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    Json(request): Json<MoveAuthorisation>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let moved = ask(keystore, move |keystore| {
        keystore.move_authorisation(&caller, id, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &moved, moved.leaf))
}

/// Show a document of an authorisation.
///
/// A warrant, a record of any generation, or the evidence of an approval, for those who see the authorisation.
#[utoipa::path(
    tag = "authorisations",
    operation_id = "show_document",
    params(
        ("authorisation" = AuthorisationId, Path, description = "The authorisation."),
        ("sha256" = String, Path, description = "The document's SHA-256, in 64 lower-case hexadecimal digits."),
    ),
    responses((status = 200, description = "The document.", body = Document)),
)]
#[get("/v1/authorisations/{authorisation}/documents/{sha256}")]
pub(super) async fn document(
    caller: Caller,
    path: web::Path<(AuthorisationId, String)>,
    keystore: OpenKeystore,
) -> Answer {
    let (id, sha256) = path.into_inner();
    let document = ask(keystore, move |keystore| {
        keystore.document_of_authorisation(&caller, id, &sha256)
    })
    .await?;
    Ok(shown(&document))
}
