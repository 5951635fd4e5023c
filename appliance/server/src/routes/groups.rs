//! Members of groups.

use actix_web::http::StatusCode;
use actix_web::{delete, get, put, web};
use strongroom_wire::account::{AddMember, Done, GroupMembers};
use strongroom_wire::id::AccountId;

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// List a group's members.
///
/// Its members only.
#[utoipa::path(
    tag = "groups",
    operation_id = "group_members",
    params(("group" = AccountId, Path, description = "The group.")),
    responses((status = 200, description = "The members.", body = GroupMembers)),
)]
#[get("/v1/groups/{group}/members")]
pub(super) async fn members(
    caller: Caller,
    group: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let group = group.into_inner();
    let members = ask(keystore, move |keystore| {
        keystore.group_members(&caller, group)
    })
    .await?;
    Ok(shown(&members))
}

/// Add a member to a group.
///
/// Its managers only.
#[utoipa::path(
    tag = "groups",
    operation_id = "add_group_member",
    params(("group" = AccountId, Path, description = "The group.")),
    request_body = AddMember,
    responses((status = 200, description = "The account is a member.", body = Done)),
)]
#[put("/v1/groups/{group}/members")]
pub(super) async fn add(
    caller: Caller,
    group: web::Path<AccountId>,
    Json(request): Json<AddMember>,
    keystore: OpenKeystore,
) -> Answer {
    let group = group.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.add_member(&caller, group, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Remove a member from a group.
///
/// Its managers, and the member itself. The group's KEK gets a new version; what older ones sealed is sealed again in the background.
#[utoipa::path(
    tag = "groups",
    operation_id = "remove_group_member",
    params(
        ("group" = AccountId, Path, description = "The group."),
        ("account" = AccountId, Path, description = "The member."),
    ),
    responses((status = 200, description = "The account is no member any more.", body = Done)),
)]
#[delete("/v1/groups/{group}/members/{account}")]
pub(super) async fn remove(
    caller: Caller,
    path: web::Path<(AccountId, AccountId)>,
    keystore: OpenKeystore,
) -> Answer {
    let (group, member) = path.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.remove_member(&caller, group, member)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}
