//! Sign-in at the enterprise's OpenID providers, and the identities there that accounts are linked with.

use actix_web::http::StatusCode;
use actix_web::{delete, get, post, web};
use strongroom_wire::account::Done;
use strongroom_wire::oidc::{
    FinishOidc, Identities, IdentityName, OidcProviders, OidcSignedIn, OidcStarted, StartOidc,
};

use super::body::Json;
use super::{Answer, acted, ask, shown, wait_for};
use crate::auth::Caller;
use crate::auth::desk::Desk;
use crate::auth::oidc::Oidc;
use crate::gate::OpenKeystore;

/// List the OpenID providers at which one can sign in.
#[utoipa::path(
    tag = "sessions",
    operation_id = "list_oidc_providers",
    security(()),
    responses((status = 200, description = "Their names.", body = OidcProviders)),
)]
#[get("/v1/oidc")]
pub(super) async fn providers(oidc: web::Data<Oidc>, keystore: OpenKeystore) -> Answer {
    Ok(shown(&oidc.names(keystore.domain())))
}

/// Start a sign-in at an OpenID provider.
///
/// The client sends its user's browser to the address in the answer, once it has seen that the nonce in it is that of its own key.
#[utoipa::path(
    tag = "sessions",
    operation_id = "start_oidc_sign_in",
    security(()),
    request_body = StartOidc,
    responses((status = 200, description = "Where to send the browser.", body = OidcStarted)),
)]
#[post("/v1/sessions/oidc/start")]
pub(super) async fn start(desk: Desk, Json(request): Json<StartOidc>) -> Answer {
    let started = wait_for(move || desk.start_oidc(request)).await??;
    Ok(shown(&started))
}

/// Finish a sign-in at an OpenID provider and open a session.
///
/// With what the browser came back with.
#[utoipa::path(
    tag = "sessions",
    operation_id = "finish_oidc_sign_in",
    security(()),
    request_body = FinishOidc,
    responses((status = 200, description = "The session, its token and its sealed transport key.", body = OidcSignedIn)),
)]
#[post("/v1/sessions/oidc/finish")]
pub(super) async fn finish(desk: Desk, Json(request): Json<FinishOidc>) -> Answer {
    let signed_in = wait_for(move || desk.finish_oidc(request)).await??;
    Ok(acted(StatusCode::OK, &signed_in, signed_in.signed_in.leaf))
}

/// List the identities at OpenID providers that the caller's account is linked with.
#[utoipa::path(
    tag = "accounts",
    operation_id = "list_identities",
    responses((status = 200, description = "The identities.", body = Identities)),
)]
#[get("/v1/accounts/me/identities")]
pub(super) async fn identities(caller: Caller, keystore: OpenKeystore) -> Answer {
    let identities = ask(keystore, move |keystore| keystore.identities(&caller)).await?;
    Ok(shown(&identities))
}

/// Start to link the caller's account with an identity at an OpenID provider.
///
/// As starting a sign-in there.
#[utoipa::path(
    tag = "accounts",
    operation_id = "start_identity_link",
    request_body = StartOidc,
    responses((status = 200, description = "Where to send the browser.", body = OidcStarted)),
)]
#[post("/v1/accounts/me/identities/start")]
pub(super) async fn start_link(
    caller: Caller,
    desk: Desk,
    Json(request): Json<StartOidc>,
) -> Answer {
    let started = wait_for(move || desk.start_identity_link(&caller, request)).await??;
    Ok(shown(&started))
}

/// Finish to link the caller's account with an identity at an OpenID provider.
///
/// From then on, whoever signs in there with that identity signs in to the account.
#[utoipa::path(
    tag = "accounts",
    operation_id = "finish_identity_link",
    request_body = FinishOidc,
    responses((status = 200, description = "The account is linked.", body = Done)),
)]
#[post("/v1/accounts/me/identities/finish")]
pub(super) async fn finish_link(
    caller: Caller,
    desk: Desk,
    Json(request): Json<FinishOidc>,
) -> Answer {
    let done = wait_for(move || desk.finish_identity_link(&caller, request)).await??;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Remove the link of the caller's account with an identity.
#[utoipa::path(
    tag = "accounts",
    operation_id = "remove_identity",
    params(IdentityName),
    responses((status = 200, description = "The link is removed.", body = Done)),
)]
#[delete("/v1/accounts/me/identities")]
pub(super) async fn unlink(
    caller: Caller,
    name: web::Query<IdentityName>,
    keystore: OpenKeystore,
) -> Answer {
    let issuer = name.into_inner().issuer;
    let done = ask(keystore, move |keystore| {
        keystore.unlink_identity(&caller, issuer)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}
