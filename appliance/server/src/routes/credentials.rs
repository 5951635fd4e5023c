//! What an account signs in with beside its password. Each of these is about the caller's own account.

use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use strongroom_wire::account::{Done, EnrolmentStarted};
use strongroom_wire::credential::{
    ConfirmTotp, CredentialName, Credentials, FactorAdded, FinishPassword, PasskeyRegistration,
    RecoveryCodes, RegisterPasskey, StartPassword, TotpStarted,
};

use super::body::Json;
use super::{Answer, acted, ask, shown, wait_for};
use crate::auth::Caller;
use crate::auth::desk::Desk;
use crate::auth::limits::SignInLimits;
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// List one's own credentials.
#[utoipa::path(
    tag = "credentials",
    operation_id = "list_credentials",
    responses((status = 200, description = "The caller's credentials.", body = Credentials)),
)]
#[get("/v1/accounts/me/credentials")]
pub(super) async fn list(caller: Caller, keystore: OpenKeystore) -> Answer {
    let credentials = ask(keystore, move |keystore| keystore.credentials(&caller)).await?;
    Ok(shown(&credentials))
}

/// Remove one of one's own credentials.
///
/// The last with which the account can sign in stays.
#[utoipa::path(
    tag = "credentials",
    operation_id = "remove_credential",
    params(("credential" = String, Path, description = "`password`, `totp`, `recovery-codes`, or a passkey's identifier.")),
    responses((status = 200, description = "The credential is removed.", body = Done)),
)]
#[delete("/v1/accounts/me/credentials/{credential}")]
pub(super) async fn remove(
    caller: Caller,
    credential: web::Path<CredentialName>,
    keystore: OpenKeystore,
) -> Answer {
    let credential = credential.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.remove_credential(&caller, credential)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Begin to change one's own password.
///
/// Within five minutes of a sign-in in the session: sends an OPAQUE registration request.
#[utoipa::path(
    tag = "credentials",
    operation_id = "start_password_change",
    request_body = StartPassword,
    responses((status = 200, description = "The OPAQUE registration response.", body = EnrolmentStarted)),
)]
#[post("/v1/accounts/me/password/start")]
pub(super) async fn start_password(
    caller: Caller,
    desk: Desk,
    Json(request): Json<StartPassword>,
) -> Answer {
    let started = wait_for(move || desk.start_password(&caller, request)).await??;
    Ok(shown(&started))
}

/// Change one's own password.
///
/// The account's other sessions end. Second factors stay.
#[utoipa::path(
    tag = "credentials",
    operation_id = "finish_password_change",
    request_body = FinishPassword,
    responses((status = 200, description = "The password is changed.", body = Done)),
)]
#[post("/v1/accounts/me/password")]
pub(super) async fn finish_password(
    caller: Caller,
    desk: Desk,
    Json(request): Json<FinishPassword>,
) -> Answer {
    let done = wait_for(move || desk.finish_password(&caller, request)).await??;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Begin to set up an authenticator app.
///
/// Its secret is in the answer, this once. It is asked for at sign-in once its first code has been confirmed.
#[utoipa::path(
    tag = "credentials",
    operation_id = "start_totp",
    responses((status = 200, description = "The secret.", body = TotpStarted)),
)]
#[post("/v1/accounts/me/totp/start")]
pub(super) async fn start_totp(caller: Caller, keystore: OpenKeystore) -> Answer {
    let started = ask(keystore, move |keystore| keystore.start_totp(&caller)).await?;
    Ok(shown(&started))
}

/// Set up an authenticator app with its first code.
///
/// From now on the password alone opens no session.
#[utoipa::path(
    tag = "credentials",
    operation_id = "confirm_totp",
    request_body = ConfirmTotp,
    responses((status = 201, description = "The credential, and recovery codes where the account had none.", body = FactorAdded)),
)]
#[post("/v1/accounts/me/totp")]
pub(super) async fn confirm_totp(
    caller: Caller,
    limits: web::Data<SignInLimits>,
    Json(request): Json<ConfirmTotp>,
    keystore: OpenKeystore,
) -> Answer {
    let source = caller.source;
    limits.admit_source(source)?;
    let answer = ask(keystore, move |keystore| {
        keystore.confirm_totp(&caller, request)
    })
    .await;
    if answer.as_ref().err().is_none_or(Failure::is_fault) {
        limits.give_back_source(source);
    }
    let added = answer?;
    Ok(acted(StatusCode::CREATED, &added, added.leaf))
}

/// Make new recovery codes.
///
/// Those before them are void.
#[utoipa::path(
    tag = "credentials",
    operation_id = "make_recovery_codes",
    responses((status = 201, description = "The codes, shown this once.", body = RecoveryCodes)),
)]
#[post("/v1/accounts/me/recovery-codes")]
pub(super) async fn make_recovery_codes(caller: Caller, keystore: OpenKeystore) -> Answer {
    let codes = ask(keystore, move |keystore| {
        keystore.make_recovery_codes(&caller)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &codes, codes.leaf))
}

/// Begin to register a passkey.
#[utoipa::path(
    tag = "credentials",
    operation_id = "start_passkey_registration",
    responses((status = 200, description = "What to ask the authenticator for.", body = PasskeyRegistration)),
)]
#[post("/v1/accounts/me/passkeys/start")]
pub(super) async fn start_passkey(caller: Caller, keystore: OpenKeystore) -> Answer {
    let started = ask(keystore, move |keystore| {
        keystore.start_passkey_registration(&caller)
    })
    .await?;
    Ok(shown(&started))
}

/// Register a passkey.
///
/// From now on it opens sessions, and the password alone does not.
#[utoipa::path(
    tag = "credentials",
    operation_id = "register_passkey",
    request_body = RegisterPasskey,
    responses((status = 201, description = "The credential, and recovery codes where the account had none.", body = FactorAdded)),
)]
#[post("/v1/accounts/me/passkeys")]
pub(super) async fn register_passkey(
    caller: Caller,
    Json(request): Json<RegisterPasskey>,
    keystore: OpenKeystore,
) -> Answer {
    let added = ask(keystore, move |keystore| {
        keystore.register_passkey(&caller, request)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &added, added.leaf))
}
