//! Usage policies: the domain's, a key's, a grant's; and what they decide.

use actix_web::http::StatusCode;
use actix_web::{get, put, web};
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{ChangedKey, Shared};
use strongroom_wire::operation::AllowedMechanisms;
use strongroom_wire::policy::{
    ChangedDomainPolicy, DomainPolicy, Preview, PreviewQuery, UsagePolicy,
};

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Show the domain's policy.
///
/// Administrators, security officers and auditors.
#[utoipa::path(
    tag = "policies",
    operation_id = "show_domain_policy",
    responses((status = 200, description = "The policy.", body = DomainPolicy)),
)]
#[get("/v1/domain/policy")]
pub(super) async fn of_domain(caller: Caller, keystore: OpenKeystore) -> Answer {
    let policy = ask(keystore, move |keystore| keystore.domain_policy(&caller)).await?;
    Ok(shown(&policy))
}

/// Show by which mechanisms the appliance may use keys.
///
/// As the domain's usage policy says, for everyone of the domain. A key's and a grant's may allow fewer.
#[utoipa::path(
    tag = "policies",
    operation_id = "list_mechanisms",
    responses((status = 200, description = "The mechanisms.", body = AllowedMechanisms)),
)]
#[get("/v1/mechanisms")]
pub(super) async fn mechanisms(caller: Caller, keystore: OpenKeystore) -> Answer {
    let allowed = ask(keystore, move |keystore| {
        keystore.allowed_mechanisms(&caller)
    })
    .await?;
    Ok(shown(&allowed))
}

/// Set the domain's policy.
///
/// Administrators and security officers. The whole policy is replaced.
#[utoipa::path(
    tag = "policies",
    operation_id = "set_domain_policy",
    request_body = DomainPolicy,
    responses((status = 200, description = "The policy as it is now.", body = ChangedDomainPolicy)),
)]
#[put("/v1/domain/policy")]
pub(super) async fn set_of_domain(
    caller: Caller,
    Json(request): Json<DomainPolicy>,
    keystore: OpenKeystore,
) -> Answer {
    let changed = ask(keystore, move |keystore| {
        keystore.set_domain_policy(&caller, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Set a key's usage policy.
///
/// The key's owner only. The whole policy is replaced; releases so far stay counted.
#[utoipa::path(
    tag = "policies",
    operation_id = "set_key_policy",
    params(("key" = KeyId, Path, description = "The key.")),
    request_body = UsagePolicy,
    responses((status = 200, description = "The key with its policy.", body = ChangedKey)),
)]
#[put("/v1/keys/{key}/policy")]
pub(super) async fn set_of_key(
    caller: Caller,
    key: web::Path<KeyId>,
    Json(request): Json<UsagePolicy>,
    keystore: OpenKeystore,
) -> Answer {
    let key = key.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.change_key_policy(&caller, key, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Set a grant's usage policy.
///
/// The key's owner only. The whole policy is replaced; releases so far stay counted.
#[utoipa::path(
    tag = "policies",
    operation_id = "set_grant_policy",
    params(
        ("key" = KeyId, Path, description = "The key."),
        ("grant" = GrantId, Path, description = "The grant."),
    ),
    request_body = UsagePolicy,
    responses((status = 200, description = "The grant with its policy.", body = Shared)),
)]
#[put("/v1/keys/{key}/grants/{grant}/policy")]
pub(super) async fn set_of_grant(
    caller: Caller,
    path: web::Path<(KeyId, GrantId)>,
    Json(request): Json<UsagePolicy>,
    keystore: OpenKeystore,
) -> Answer {
    let (key, grant) = path.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.change_grant_policy(&caller, key, grant, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Say what would be decided for an account and a key, and by which rule.
///
/// For oneself, or by the key's owner for anybody; the rules are told to the owner only. Nothing is done and no leaf is left.
#[utoipa::path(
    tag = "policies",
    operation_id = "preview",
    params(("key" = KeyId, Path, description = "The key."), PreviewQuery),
    responses((status = 200, description = "What would be decided.", body = Preview)),
)]
#[get("/v1/keys/{key}/preview")]
pub(super) async fn preview(
    caller: Caller,
    key: web::Path<KeyId>,
    query: web::Query<PreviewQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let (key, query) = (key.into_inner(), query.into_inner());
    let preview = ask(keystore, move |keystore| {
        keystore.preview(&caller, key, query)
    })
    .await?;
    Ok(shown(&preview))
}
