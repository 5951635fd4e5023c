//! Recovery of accounts whose holders have lost their password, and invitations.

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{delete, get, post, web};
use strongroom_wire::account::{Done, EnrolmentStarted};
use strongroom_wire::id::AccountId;
use strongroom_wire::invitation::{Invite, Invited};
use strongroom_wire::recovery::{FinishRecovery, PresentRecovery, RecoveryCode, StartRecovery};

use super::body::Json;
use super::{Answer, acted, ask, shown, wait_for};
use crate::auth::Caller;
use crate::auth::desk::Desk;
use crate::auth::pace::evenly;
use crate::gate::OpenKeystore;

/// Show the recovery of one's own account that is under way.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "own_recovery",
    responses((status = 200, description = "The recovery, if one is under way.", body = PresentRecovery)),
)]
#[get("/v1/accounts/me/recovery")]
pub(super) async fn own(caller: Caller, keystore: OpenKeystore) -> Answer {
    let present = ask(keystore, move |keystore| {
        keystore.present_recovery(&caller, None)
    })
    .await?;
    Ok(shown(&present))
}

/// Cancel the recovery of one's own account.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "cancel_own_recovery",
    responses((status = 200, description = "The recovery is cancelled.", body = Done)),
)]
#[delete("/v1/accounts/me/recovery")]
pub(super) async fn cancel_own(caller: Caller, keystore: OpenKeystore) -> Answer {
    let done = ask(keystore, move |keystore| {
        keystore.cancel_recovery(&caller, None)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Start the recovery of an account.
///
/// Administrators only, and not of their own. Its holder is told, and it takes effect after the domain's delay. The code is one of the two
/// that it takes.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "start_recovery",
    params(("account" = AccountId, Path, description = "The account.")),
    responses((status = 201, description = "The recovery and a code, shown this once.", body = RecoveryCode)),
)]
#[post("/v1/accounts/{account}/recovery")]
pub(super) async fn start(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let started = ask(keystore, move |keystore| {
        keystore.start_recovery(&caller, account)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &started, started.leaf))
}

/// Approve the recovery of an account.
///
/// Administrators and security officers, and not who started it. Stands in for the holder's own recovery code.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "approve_recovery",
    params(("account" = AccountId, Path, description = "The account.")),
    responses((status = 201, description = "The recovery and a code, shown this once.", body = RecoveryCode)),
)]
#[post("/v1/accounts/{account}/recovery/approval")]
pub(super) async fn approve(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let approved = ask(keystore, move |keystore| {
        keystore.approve_recovery(&caller, account)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &approved, approved.leaf))
}

/// Show the recovery of an account that is under way.
///
/// Administrators and security officers.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "show_recovery",
    params(("account" = AccountId, Path, description = "The account.")),
    responses((status = 200, description = "The recovery, if one is under way.", body = PresentRecovery)),
)]
#[get("/v1/accounts/{account}/recovery")]
pub(super) async fn show(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let present = ask(keystore, move |keystore| {
        keystore.present_recovery(&caller, Some(account))
    })
    .await?;
    Ok(shown(&present))
}

/// Cancel the recovery of an account.
///
/// Administrators only.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "cancel_recovery",
    params(("account" = AccountId, Path, description = "The account.")),
    responses((status = 200, description = "The recovery is cancelled.", body = Done)),
)]
#[delete("/v1/accounts/{account}/recovery")]
pub(super) async fn cancel(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.cancel_recovery(&caller, Some(account))
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Begin to finish a recovery.
///
/// The account's holder sends an OPAQUE registration request with the two codes.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "start_recovered_password",
    security(()),
    request_body = StartRecovery,
    responses((status = 200, description = "The OPAQUE registration response.", body = EnrolmentStarted)),
)]
#[post("/v1/recoveries/start", wrap = "from_fn(evenly)")]
pub(super) async fn start_password(desk: Desk, Json(request): Json<StartRecovery>) -> Answer {
    let started = wait_for(move || desk.start_recovered_password(request)).await??;
    Ok(shown(&started))
}

/// Finish a recovery.
///
/// The account has the new password and nothing else: no second factors, no recovery codes, no sessions.
#[utoipa::path(
    tag = "recoveries",
    operation_id = "finish_recovery",
    security(()),
    request_body = FinishRecovery,
    responses((status = 200, description = "The account is recovered and can sign in.", body = Done)),
)]
#[post("/v1/recoveries/finish", wrap = "from_fn(evenly)")]
pub(super) async fn finish_password(desk: Desk, Json(request): Json<FinishRecovery>) -> Answer {
    let done = wait_for(move || desk.finish_recovery(request)).await??;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Invite an address that has no account yet.
///
/// Who may invite whom is for the domain's policy to say. The code with which the address' holder enrols is mailed to the address alone;
/// keys can be shared with the pending account at once.
#[utoipa::path(
    tag = "accounts",
    operation_id = "invite",
    request_body = Invite,
    responses((status = 201, description = "The pending account.", body = Invited)),
)]
#[post("/v1/invitations")]
pub(super) async fn invite(
    caller: Caller,
    Json(request): Json<Invite>,
    keystore: OpenKeystore,
) -> Answer {
    let invited = ask(keystore, move |keystore| keystore.invite(&caller, request)).await?;
    Ok(acted(StatusCode::CREATED, &invited, invited.leaf))
}
