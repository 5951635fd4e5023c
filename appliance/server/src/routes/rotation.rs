//! Rotation of the master KEK and of account KEKs.

use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use strongroom_wire::id::AccountId;
use strongroom_wire::rotation::{ChangedMasterKek, RotatedAccountKek, RotationStatus};

use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Show how far rotations are.
///
/// Administrators and security officers.
#[utoipa::path(
    tag = "rotation",
    operation_id = "show_rotation",
    responses((status = 200, description = "How far they are.", body = RotationStatus)),
)]
#[get("/v1/rotation")]
pub(super) async fn show(caller: Caller, keystore: OpenKeystore) -> Answer {
    let status = ask(keystore, move |keystore| keystore.rotation_status(&caller)).await?;
    Ok(shown(&status))
}

/// Give the master KEK a new version.
///
/// Administrators and security officers. Account KEKs are wrapped by it from now on, and in the background those that older versions wrapped.
#[utoipa::path(
    tag = "rotation",
    operation_id = "rotate_master_kek",
    responses((status = 200, description = "The new version.", body = ChangedMasterKek)),
)]
#[post("/v1/master-kek/rotate")]
pub(super) async fn rotate_master_kek(caller: Caller, keystore: OpenKeystore) -> Answer {
    let made = ask(keystore, move |keystore| {
        keystore.rotate_master_kek(&caller)
    })
    .await?;
    Ok(acted(StatusCode::OK, &made, made.leaf))
}

/// Take an older version of the master KEK out of use.
///
/// Administrators and security officers. Refused while anything is wrapped by it.
#[utoipa::path(
    tag = "rotation",
    operation_id = "retire_master_kek",
    params(("version" = u32, Path, description = "The version.")),
    responses((status = 200, description = "It is retired.", body = ChangedMasterKek)),
)]
#[post("/v1/master-kek/{version}/retire")]
pub(super) async fn retire_master_kek(
    caller: Caller,
    version: web::Path<u32>,
    keystore: OpenKeystore,
) -> Answer {
    let version = version.into_inner();
    let retired = ask(keystore, move |keystore| {
        keystore.retire_master_kek(&caller, version)
    })
    .await?;
    Ok(acted(StatusCode::OK, &retired, retired.leaf))
}

/// Destroy a retired version of the master KEK in the HSM.
///
/// Administrators and security officers. Backups from before its rotation open never again, unless custodians bring it back with their shares.
#[utoipa::path(
    tag = "rotation",
    operation_id = "destroy_master_kek",
    params(("version" = u32, Path, description = "The version.")),
    responses((status = 200, description = "It is destroyed.", body = ChangedMasterKek)),
)]
#[delete("/v1/master-kek/{version}")]
pub(super) async fn destroy_master_kek(
    caller: Caller,
    version: web::Path<u32>,
    keystore: OpenKeystore,
) -> Answer {
    let version = version.into_inner();
    let destroyed = ask(keystore, move |keystore| {
        keystore.destroy_master_kek(&caller, version)
    })
    .await?;
    Ok(acted(StatusCode::OK, &destroyed, destroyed.leaf))
}

/// Give an account's KEK a new version.
///
/// The account itself, administrators and security officers. What older versions sealed is sealed again in the background.
#[utoipa::path(
    tag = "rotation",
    operation_id = "rotate_account_kek",
    params(("account" = AccountId, Path, description = "The account.")),
    responses((status = 200, description = "The new version.", body = RotatedAccountKek)),
)]
#[post("/v1/accounts/{account}/kek/rotate")]
pub(super) async fn rotate_account_kek(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let rotated = ask(keystore, move |keystore| {
        keystore.rotate_account_kek(&caller, account)
    })
    .await?;
    Ok(acted(StatusCode::OK, &rotated, rotated.leaf))
}
