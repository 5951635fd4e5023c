//! Accounts.

use actix_web::http::StatusCode;
use actix_web::{get, patch, post, web};
use serde::Deserialize;
use strongroom_wire::account::{
    Account, AccountPage, ChangedAccount, CreateAccount, CreatedAccount, UpdateAccount,
};
use strongroom_wire::id::AccountId;
use utoipa::IntoParams;

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Which accounts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountQuery {
    /// Go on after this name: what `next` of the page before said.
    #[serde(default)]
    after: Option<String>,
    /// At most so many accounts: 1 to 1000, 100 by default.
    #[serde(default)]
    limit: Option<u32>,
}

/// Show one's own account.
#[utoipa::path(
    tag = "accounts",
    operation_id = "own_account",
    responses((status = 200, description = "The caller's account.", body = Account)),
)]
#[get("/v1/accounts/me")]
pub(super) async fn own(caller: Caller, keystore: OpenKeystore) -> Answer {
    let account = ask(keystore, move |keystore| keystore.own_account(&caller)).await?;
    Ok(shown(&account))
}

/// Create an account.
///
/// Administrators only. A person, device or service gets a one-time enrolment code, shown this once.
#[utoipa::path(
    tag = "accounts",
    operation_id = "create_account",
    request_body = CreateAccount,
    responses((status = 201, description = "The account and its enrolment code.", body = CreatedAccount)),
)]
#[post("/v1/accounts")]
pub(super) async fn create(
    caller: Caller,
    Json(request): Json<CreateAccount>,
    keystore: OpenKeystore,
) -> Answer {
    let created = ask(keystore, move |keystore| {
        keystore.create_account(&caller, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &created, created.leaf))
}

/// List accounts by name.
///
/// Administrators only.
#[utoipa::path(
    tag = "accounts",
    operation_id = "list_accounts",
    params(AccountQuery),
    responses((status = 200, description = "A page of accounts.", body = AccountPage)),
)]
#[get("/v1/accounts")]
pub(super) async fn list(
    caller: Caller,
    query: web::Query<AccountQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let AccountQuery { after, limit } = query.into_inner();
    let page = ask(keystore, move |keystore| {
        keystore.accounts(&caller, after, limit)
    })
    .await?;
    Ok(shown(&page))
}

/// Show an account.
///
/// Administrators only.
#[utoipa::path(
    tag = "accounts",
    operation_id = "show_account",
    params(("account" = AccountId, Path, description = "The account.")),
    responses((status = 200, description = "The account.", body = Account)),
)]
#[get("/v1/accounts/{account}")]
pub(super) async fn show(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let account = ask(keystore, move |keystore| keystore.account(&caller, account)).await?;
    Ok(shown(&account))
}

/// Change an account's state or roles.
///
/// Administrators only. Suspending an account ends its sessions.
#[utoipa::path(
    tag = "accounts",
    operation_id = "update_account",
    params(("account" = AccountId, Path, description = "The account.")),
    request_body = UpdateAccount,
    responses((status = 200, description = "The account as it is now.", body = ChangedAccount)),
)]
#[patch("/v1/accounts/{account}")]
pub(super) async fn update(
    caller: Caller,
    account: web::Path<AccountId>,
    Json(request): Json<UpdateAccount>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.update_account(&caller, account, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Make a new enrolment code for an account.
///
/// Administrators only. The code before it is void.
#[utoipa::path(
    tag = "accounts",
    operation_id = "invite_account",
    params(("account" = AccountId, Path, description = "The account.")),
    responses((status = 200, description = "The account and its new enrolment code.", body = CreatedAccount)),
)]
#[post("/v1/accounts/{account}/enrolment")]
pub(super) async fn invite(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let invited = ask(keystore, move |keystore| {
        keystore.invite_account(&caller, account)
    })
    .await?;
    Ok(acted(StatusCode::OK, &invited, invited.leaf))
}
