//! Keys.

use actix_web::http::StatusCode;
use actix_web::{delete, get, patch, post, web};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    ChangeState, ChangedKey, CreateKeys, CreateKeysQuery, CreatedKeys, Key, KeyPage, KeyQuery,
    Material, ReleaseKey, TightenKey,
};

use super::body::{Json, LargeJson};
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Create keys.
///
/// All are created or none. Each has a leaf of its own. With an idempotency key the request can be made again without creating others.
#[utoipa::path(
    tag = "keys",
    operation_id = "create_keys",
    params(CreateKeysQuery),
    request_body = CreateKeys,
    responses((status = 201, description = "The keys, in the order asked for.", body = CreatedKeys)),
)]
#[post("/v1/keys")]
pub(super) async fn create(
    caller: Caller,
    query: web::Query<CreateKeysQuery>,
    Json(request): LargeJson<CreateKeys>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let created = ask(keystore, move |keystore| match query.idempotency_key {
        Some(once) => keystore.create_keys_once(&caller, request, once),
        None => keystore.create_keys(&caller, request),
    })
    .await?;
    let first = created.keys.first().map_or(0, |key| key.leaf);
    Ok(acted(StatusCode::CREATED, &created, first))
}

/// List the keys that the caller has a grant to.
#[utoipa::path(
    tag = "keys",
    operation_id = "list_keys",
    params(KeyQuery),
    responses((status = 200, description = "A page of keys, the newest first.", body = KeyPage)),
)]
#[get("/v1/keys")]
pub(super) async fn list(
    caller: Caller,
    query: web::Query<KeyQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let page = ask(keystore, move |keystore| keystore.keys(&caller, query)).await?;
    Ok(shown(&page))
}

/// Show a key.
#[utoipa::path(
    tag = "keys",
    operation_id = "show_key",
    params(("key" = KeyId, Path, description = "The key.")),
    responses((status = 200, description = "The key, without its material.", body = Key)),
)]
#[get("/v1/keys/{key}")]
pub(super) async fn show(caller: Caller, key: web::Path<KeyId>, keystore: OpenKeystore) -> Answer {
    let key = key.into_inner();
    let key = ask(keystore, move |keystore| keystore.key(&caller, key)).await?;
    Ok(shown(&key))
}

/// Destroy a key.
///
/// Every copy of it is deleted. There is no way back.
#[utoipa::path(
    tag = "keys",
    operation_id = "destroy_key",
    params(("key" = KeyId, Path, description = "The key.")),
    responses((status = 200, description = "The key is destroyed.", body = ChangedKey)),
)]
#[delete("/v1/keys/{key}")]
pub(super) async fn destroy(
    caller: Caller,
    key: web::Path<KeyId>,
    keystore: OpenKeystore,
) -> Answer {
    let key = key.into_inner();
    let changed = ask(keystore, move |keystore| keystore.destroy(&caller, key)).await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Put restrictions on a key that nobody lifts.
///
/// The key's owner. To ask for less than holds is a conflict.
#[utoipa::path(
    tag = "keys",
    operation_id = "tighten_key",
    params(("key" = KeyId, Path, description = "The key.")),
    request_body = TightenKey,
    responses((status = 200, description = "The key as it is now.", body = ChangedKey)),
)]
#[patch("/v1/keys/{key}")]
pub(super) async fn tighten(
    caller: Caller,
    key: web::Path<KeyId>,
    Json(request): Json<TightenKey>,
    keystore: OpenKeystore,
) -> Answer {
    let key = key.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.tighten(&caller, key, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Release a key's material to the caller.
///
/// The material is wrapped (AES-KWP, RFC 5649) under the session's transport key, which only the two ends of the sign-in know.
#[utoipa::path(
    tag = "keys",
    operation_id = "release_key",
    params(("key" = KeyId, Path, description = "The key.")),
    request_body = ReleaseKey,
    responses((status = 200, description = "The wrapped material.", body = Material)),
)]
#[post("/v1/keys/{key}/release")]
pub(super) async fn release(
    caller: Caller,
    key: web::Path<KeyId>,
    Json(request): Json<ReleaseKey>,
    keystore: OpenKeystore,
) -> Answer {
    let key = key.into_inner();
    let material = ask(keystore, move |keystore| {
        keystore.release(&caller, key, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &material, material.leaf))
}

/// Rotate a key.
///
/// It gets a new version. Older versions stay, to open what they protect.
#[utoipa::path(
    tag = "keys",
    operation_id = "rotate_key",
    params(("key" = KeyId, Path, description = "The key.")),
    responses((status = 200, description = "The key with its new version.", body = ChangedKey)),
)]
#[post("/v1/keys/{key}/rotate")]
pub(super) async fn rotate(
    caller: Caller,
    key: web::Path<KeyId>,
    keystore: OpenKeystore,
) -> Answer {
    let key = key.into_inner();
    let changed = ask(keystore, move |keystore| keystore.rotate(&caller, key)).await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Change a key's state.
///
/// By the transitions of NIST SP 800-57 part 1, section 7.
#[utoipa::path(
    tag = "keys",
    operation_id = "change_key_state",
    params(("key" = KeyId, Path, description = "The key.")),
    request_body = ChangeState,
    responses((status = 200, description = "The key in its new state.", body = ChangedKey)),
)]
#[post("/v1/keys/{key}/state")]
pub(super) async fn change_state(
    caller: Caller,
    key: web::Path<KeyId>,
    Json(request): Json<ChangeState>,
    keystore: OpenKeystore,
) -> Answer {
    let key = key.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.change_state(&caller, key, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}
