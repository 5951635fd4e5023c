//! Operations: the appliance uses keys for its clients.

use actix_web::http::StatusCode;
use actix_web::{get, post, web};
use strongroom_wire::id::KeyId;
use strongroom_wire::operation::{
    Operate, OperateMany, OperateQuery, Operated, OperationOutcome, Performed, PublicKey,
    PublicKeyQuery,
};

use super::body::{Json, LargeJson};
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Use a key.
///
/// The appliance signs, verifies, encrypts, decrypts, wraps, unwraps or derives with it; its material stays where it is. Each operation needs
/// its right, passes the usage policies, and leaves a leaf that names the key, its version and the mechanism.
#[utoipa::path(
    tag = "operations",
    operation_id = "operate",
    params(("key" = KeyId, Path, description = "The key."), OperateQuery),
    request_body = Operate,
    responses((status = 200, description = "What came of it.", body = Performed)),
)]
#[post("/v1/keys/{key}/operations")]
pub(super) async fn operate(
    caller: Caller,
    key: web::Path<KeyId>,
    query: web::Query<OperateQuery>,
    Json(request): LargeJson<Operate>,
    keystore: OpenKeystore,
) -> Answer {
    let (key, once) = (key.into_inner(), query.into_inner().idempotency_key);
    let performed = ask(keystore, move |keystore| match once {
        Some(once) => keystore.operate_once(&caller, key, request, once),
        None => keystore.operate(&caller, key, request),
    })
    .await?;
    Ok(acted(StatusCode::OK, &performed, performed.leaf))
}

/// Use keys many times.
///
/// Each operation is decided by itself and has a leaf of its own, and that one is refused stops no other. All leaves are durable before the
/// answer.
#[utoipa::path(
    tag = "operations",
    operation_id = "operate_many",
    request_body = OperateMany,
    responses((status = 200, description = "What came of each, or why nothing, in the order asked for.", body = Operated)),
)]
#[post("/v1/keys/operations")]
pub(super) async fn operate_many(
    caller: Caller,
    Json(request): LargeJson<OperateMany>,
    keystore: OpenKeystore,
) -> Answer {
    let operated = ask(keystore, move |keystore| {
        keystore.operate_many(&caller, request)
    })
    .await?;
    let first = operated
        .operations
        .iter()
        .find_map(|operation| match operation {
            OperationOutcome::Done(performed) => Some(performed.leaf),
            OperationOutcome::Refused(problem) => problem.leaf,
        });
    Ok(acted(StatusCode::OK, &operated, first.unwrap_or_default()))
}

/// Show a key pair's public key.
#[utoipa::path(
    tag = "operations",
    operation_id = "public_key",
    params(("key" = KeyId, Path, description = "The key."), PublicKeyQuery),
    responses((status = 200, description = "The public key of the version asked for, or of the newest.", body = PublicKey)),
)]
#[get("/v1/keys/{key}/public")]
pub(super) async fn public_key(
    caller: Caller,
    key: web::Path<KeyId>,
    query: web::Query<PublicKeyQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let (key, version) = (key.into_inner(), query.into_inner().version);
    let public_key = ask(keystore, move |keystore| {
        keystore.public_key(&caller, key, version)
    })
    .await?;
    Ok(shown(&public_key))
}
