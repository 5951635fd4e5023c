//! What the caller approves with. Each of these is about the caller's own account.

use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use strongroom_wire::account::Done;
use strongroom_wire::approval::{AddApprovalKey, ApprovalCredentials, ApprovalKeyAdded};
use strongroom_wire::id::ApprovalKeyId;

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// List what one can approve with.
///
/// One's approval keys and passkeys, and what a statement has to say of the domain.
#[utoipa::path(
    tag = "credentials",
    operation_id = "list_approval_keys",
    responses((status = 200, description = "The caller's approval keys and passkeys.", body = ApprovalCredentials)),
)]
#[get("/v1/accounts/me/approval-keys")]
pub(super) async fn list(caller: Caller, keystore: OpenKeystore) -> Answer {
    let credentials = ask(keystore, move |keystore| {
        keystore.approval_credentials(&caller)
    })
    .await?;
    Ok(shown(&credentials))
}

/// Add an approval key.
///
/// A public key whose private half one approves with. The signature shows that one has it.
#[utoipa::path(
    tag = "credentials",
    operation_id = "add_approval_key",
    request_body = AddApprovalKey,
    responses((status = 201, description = "The key.", body = ApprovalKeyAdded)),
)]
#[post("/v1/accounts/me/approval-keys")]
pub(super) async fn add(
    caller: Caller,
    Json(request): Json<AddApprovalKey>,
    keystore: OpenKeystore,
) -> Answer {
    let added = ask(keystore, move |keystore| {
        keystore.add_approval_key(&caller, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &added, added.leaf))
}

/// Remove an approval key.
///
/// What was approved with it stays approved.
#[utoipa::path(
    tag = "credentials",
    operation_id = "remove_approval_key",
    params(("credential" = ApprovalKeyId, Path, description = "The approval key.")),
    responses((status = 200, description = "The key is removed.", body = Done)),
)]
#[delete("/v1/accounts/me/approval-keys/{credential}")]
pub(super) async fn remove(
    caller: Caller,
    credential: web::Path<ApprovalKeyId>,
    keystore: OpenKeystore,
) -> Answer {
    let key = credential.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.remove_approval_key(&caller, key)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}
