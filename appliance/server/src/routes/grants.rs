//! Grants: who has a key.

use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use strongroom_wire::account::Done;
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{Grants, ShareKey, Shared};

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Share a key.
///
/// With no more than the caller's own rights and within the caller's own policy.
#[utoipa::path(
    tag = "grants",
    operation_id = "share_key",
    params(("key" = KeyId, Path, description = "The key.")),
    request_body = ShareKey,
    responses((status = 201, description = "The grant.", body = Shared)),
)]
#[post("/v1/keys/{key}/grants")]
pub(super) async fn share(
    caller: Caller,
    key: web::Path<KeyId>,
    Json(request): Json<ShareKey>,
    keystore: OpenKeystore,
) -> Answer {
    let key = key.into_inner();
    let shared = ask(keystore, move |keystore| {
        keystore.share(&caller, key, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &shared, shared.leaf))
}

/// List a key's grants.
#[utoipa::path(
    tag = "grants",
    operation_id = "list_grants",
    params(("key" = KeyId, Path, description = "The key.")),
    responses((status = 200, description = "The grants, the oldest first.", body = Grants)),
)]
#[get("/v1/keys/{key}/grants")]
pub(super) async fn list(caller: Caller, key: web::Path<KeyId>, keystore: OpenKeystore) -> Answer {
    let key = key.into_inner();
    let grants = ask(keystore, move |keystore| keystore.grants(&caller, key)).await?;
    Ok(shown(&grants))
}

/// Revoke a grant.
///
/// The grantee's sealed copy of the key is deleted.
#[utoipa::path(
    tag = "grants",
    operation_id = "revoke_grant",
    params(
        ("key" = KeyId, Path, description = "The key."),
        ("grant" = GrantId, Path, description = "The grant."),
    ),
    responses((status = 200, description = "The grant is revoked.", body = Done)),
)]
#[delete("/v1/keys/{key}/grants/{grant}")]
pub(super) async fn revoke(
    caller: Caller,
    path: web::Path<(KeyId, GrantId)>,
    keystore: OpenKeystore,
) -> Answer {
    let (key, grant) = path.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.revoke(&caller, key, grant)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}
