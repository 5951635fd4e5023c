//! Directories that manage accounts by SCIM: what administrators do with them. What directories do is in [`super::scim`].

use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use strongroom_wire::account::Done;
use strongroom_wire::directory::{
    AddDirectory, AdoptAccount, AdoptedAccount, Directories, DirectoryWithToken, RenewToken,
};
use strongroom_wire::id::{AccountId, DirectoryId};

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// List directories by name.
///
/// Administrators only.
#[utoipa::path(
    tag = "directories",
    operation_id = "list_directories",
    responses((status = 200, description = "The directories.", body = Directories)),
)]
#[get("/v1/directories")]
pub(super) async fn list(caller: Caller, keystore: OpenKeystore) -> Answer {
    let directories = ask(keystore, move |keystore| keystore.directories(&caller)).await?;
    Ok(shown(&directories))
}

/// Register a directory.
///
/// Administrators only. Its token is shown this once.
#[utoipa::path(
    tag = "directories",
    operation_id = "add_directory",
    request_body = AddDirectory,
    responses((status = 201, description = "The directory and its token.", body = DirectoryWithToken)),
)]
#[post("/v1/directories")]
pub(super) async fn add(
    caller: Caller,
    Json(request): Json<AddDirectory>,
    keystore: OpenKeystore,
) -> Answer {
    let added = ask(keystore, move |keystore| {
        keystore.add_directory(&caller, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &added, added.leaf))
}

/// Make a new token for a directory.
///
/// Administrators only. The token before it is void.
#[utoipa::path(
    tag = "directories",
    operation_id = "renew_directory_token",
    params(("directory" = DirectoryId, Path, description = "The directory.")),
    request_body = RenewToken,
    responses((status = 200, description = "The directory and its new token.", body = DirectoryWithToken)),
)]
#[post("/v1/directories/{directory}/token")]
pub(super) async fn renew(
    caller: Caller,
    directory: web::Path<DirectoryId>,
    Json(request): Json<RenewToken>,
    keystore: OpenKeystore,
) -> Answer {
    let directory = directory.into_inner();
    let renewed = ask(keystore, move |keystore| {
        keystore.renew_directory_token(&caller, directory, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &renewed, renewed.leaf))
}

/// Remove a directory.
///
/// Administrators only. Its users stay, as accounts that administrators manage, and its groups stay as they are.
#[utoipa::path(
    tag = "directories",
    operation_id = "remove_directory",
    params(("directory" = DirectoryId, Path, description = "The directory.")),
    responses((status = 200, description = "The directory is removed.", body = Done)),
)]
#[delete("/v1/directories/{directory}")]
pub(super) async fn remove(
    caller: Caller,
    directory: web::Path<DirectoryId>,
    keystore: OpenKeystore,
) -> Answer {
    let directory = directory.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.remove_directory(&caller, directory)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Put an account under a directory's management.
///
/// Administrators only. People's accounts without a role.
#[utoipa::path(
    tag = "directories",
    operation_id = "adopt_account",
    params(("directory" = DirectoryId, Path, description = "The directory.")),
    request_body = AdoptAccount,
    responses((status = 200, description = "The directory manages the account.", body = AdoptedAccount)),
)]
#[post("/v1/directories/{directory}/users")]
pub(super) async fn adopt(
    caller: Caller,
    directory: web::Path<DirectoryId>,
    Json(request): Json<AdoptAccount>,
    keystore: OpenKeystore,
) -> Answer {
    let directory = directory.into_inner();
    let adopted = ask(keystore, move |keystore| {
        keystore.adopt_account(&caller, directory, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &adopted, adopted.leaf))
}

/// Take an account from a directory's management.
///
/// Administrators only. The account stays as it is.
#[utoipa::path(
    tag = "directories",
    operation_id = "release_account",
    params(
        ("directory" = DirectoryId, Path, description = "The directory."),
        ("account" = AccountId, Path, description = "The account."),
    ),
    responses((status = 200, description = "Administrators manage the account.", body = Done)),
)]
#[delete("/v1/directories/{directory}/users/{account}")]
pub(super) async fn release(
    caller: Caller,
    path: web::Path<(DirectoryId, AccountId)>,
    keystore: OpenKeystore,
) -> Answer {
    let (directory, account) = path.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.release_account(&caller, directory, account)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}
