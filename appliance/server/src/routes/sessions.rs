//! Sign-in by OPAQUE (RFC 9807), and sessions.

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{delete, get, post, web};
use strongroom_wire::account::Done;
use strongroom_wire::id::SessionId;
use strongroom_wire::session::{
    FinishPasskeySignIn, FinishSecondFactor, FinishSignIn, PasskeySignInStarted, PasskeySignedIn,
    SecondFactorNeeded, Sessions, SignInFinished, SignInStarted, SignedIn, StartPasskeySignIn,
    StartSignIn, StartStepUp, SteppedUp,
};

use super::body::Json;
use super::{Answer, acted, ask, shown, wait_for};
use crate::auth::Caller;
use crate::auth::desk::Desk;
use crate::auth::pace::evenly;
use crate::gate::OpenKeystore;

/// Start a sign-in.
///
/// The answer has the same form whether the account exists or not.
#[utoipa::path(
    tag = "sessions",
    operation_id = "start_sign_in",
    security(()),
    request_body = StartSignIn,
    responses((status = 200, description = "The OPAQUE message KE2.", body = SignInStarted)),
)]
#[post("/v1/sessions/start", wrap = "from_fn(evenly)")]
pub(super) async fn start(desk: Desk, Json(request): Json<StartSignIn>) -> Answer {
    let started = wait_for(move || desk.start_sign_in(request)).await??;
    Ok(shown(&started))
}

/// Finish a sign-in: open a session, or learn which second factor it takes.
#[utoipa::path(
    tag = "sessions",
    operation_id = "finish_sign_in",
    security(()),
    request_body = FinishSignIn,
    responses((status = 200, description = "The session and its token, or what else it takes.", body = SignInFinished)),
)]
#[post("/v1/sessions/finish", wrap = "from_fn(evenly)")]
pub(super) async fn finish(desk: Desk, Json(request): Json<FinishSignIn>) -> Answer {
    let finished = wait_for(move || desk.finish_sign_in(request)).await??;
    Ok(match &finished {
        SignInFinished::SignedIn(signed_in) => acted(StatusCode::OK, &finished, signed_in.leaf),
        SignInFinished::SecondFactor { .. } => shown(&finished),
    })
}

/// Finish a sign-in with a second factor and open a session.
///
/// A wrong one may be tried again, a few times.
#[utoipa::path(
    tag = "sessions",
    operation_id = "finish_second_factor",
    security(()),
    request_body = FinishSecondFactor,
    responses((status = 200, description = "The session and its token.", body = SignedIn)),
)]
#[post("/v1/sessions/second-factor", wrap = "from_fn(evenly)")]
pub(super) async fn second_factor(desk: Desk, Json(request): Json<FinishSecondFactor>) -> Answer {
    let signed_in = wait_for(move || desk.finish_second_factor(request)).await??;
    Ok(acted(StatusCode::OK, &signed_in, signed_in.leaf))
}

/// Start a sign-in with a passkey alone.
///
/// Nobody is named: the answer is the same for everyone.
#[utoipa::path(
    tag = "sessions",
    operation_id = "start_passkey_sign_in",
    security(()),
    request_body = StartPasskeySignIn,
    responses((status = 200, description = "What to ask the authenticator for.", body = PasskeySignInStarted)),
)]
#[post("/v1/sessions/passkey/start", wrap = "from_fn(evenly)")]
pub(super) async fn start_passkey(desk: Desk, Json(request): Json<StartPasskeySignIn>) -> Answer {
    let started = wait_for(move || desk.start_passkey_sign_in(request)).await??;
    Ok(shown(&started))
}

/// Finish a sign-in with a passkey alone and open a session.
#[utoipa::path(
    tag = "sessions",
    operation_id = "finish_passkey_sign_in",
    security(()),
    request_body = FinishPasskeySignIn,
    responses((status = 200, description = "The session, its token and its sealed transport key.", body = PasskeySignedIn)),
)]
#[post("/v1/sessions/passkey/finish", wrap = "from_fn(evenly)")]
pub(super) async fn finish_passkey(desk: Desk, Json(request): Json<FinishPasskeySignIn>) -> Answer {
    let answer = wait_for(move || desk.finish_passkey_sign_in(request)).await??;
    Ok(acted(StatusCode::OK, &answer, answer.signed_in.leaf))
}

/// Start to sign in again in the session.
///
/// Where the domain's policy wants a recent sign-in for sharing, destroying and changing policies. As the session's account.
#[utoipa::path(
    tag = "sessions",
    operation_id = "start_step_up",
    request_body = StartStepUp,
    responses((status = 200, description = "The OPAQUE message KE2.", body = SignInStarted)),
)]
#[post("/v1/sessions/current/step-up/start")]
pub(super) async fn start_step_up(
    caller: Caller,
    desk: Desk,
    Json(request): Json<StartStepUp>,
) -> Answer {
    let started = wait_for(move || desk.start_step_up(&caller, request)).await??;
    Ok(shown(&started))
}

/// Finish to sign in again in the session.
///
/// The session keeps its token and its transport key.
#[utoipa::path(
    tag = "sessions",
    operation_id = "finish_step_up",
    request_body = FinishSignIn,
    responses((status = 200, description = "When the holder last signed in in it.", body = SteppedUp)),
)]
#[post("/v1/sessions/current/step-up/finish")]
pub(super) async fn finish_step_up(
    caller: Caller,
    desk: Desk,
    Json(request): Json<FinishSignIn>,
) -> Answer {
    let stepped = wait_for(move || desk.finish_step_up(&caller, request)).await??;
    Ok(acted(StatusCode::OK, &stepped, stepped.leaf))
}

/// Start to sign in again in the session with a second factor.
///
/// What accounts with a second factor do in place of giving their password again.
#[utoipa::path(
    tag = "sessions",
    operation_id = "start_second_factor_step_up",
    responses((status = 200, description = "What is asked for.", body = SecondFactorNeeded)),
)]
#[post("/v1/sessions/current/step-up/second-factor/start")]
pub(super) async fn start_second_factor_step_up(caller: Caller, keystore: OpenKeystore) -> Answer {
    let needed = ask(keystore, move |keystore| {
        keystore.start_second_factor_step_up(&caller)
    })
    .await?;
    Ok(shown(&needed))
}

/// Finish to sign in again in the session with a second factor.
///
/// A wrong one may be tried again, a few times.
#[utoipa::path(
    tag = "sessions",
    operation_id = "finish_second_factor_step_up",
    request_body = FinishSecondFactor,
    responses((status = 200, description = "When the holder last signed in in it.", body = SteppedUp)),
)]
#[post("/v1/sessions/current/step-up/second-factor/finish")]
pub(super) async fn finish_second_factor_step_up(
    caller: Caller,
    desk: Desk,
    Json(request): Json<FinishSecondFactor>,
) -> Answer {
    let stepped = wait_for(move || desk.finish_second_factor_step_up(&caller, request)).await??;
    Ok(acted(StatusCode::OK, &stepped, stepped.leaf))
}

/// List one's own sessions.
#[utoipa::path(
    tag = "sessions",
    operation_id = "list_sessions",
    responses((status = 200, description = "The caller's sessions.", body = Sessions)),
)]
#[get("/v1/sessions")]
pub(super) async fn list(caller: Caller, keystore: OpenKeystore) -> Answer {
    let sessions = ask(keystore, move |keystore| keystore.sessions(&caller)).await?;
    Ok(shown(&sessions))
}

/// End the session that the request is made in.
#[utoipa::path(
    tag = "sessions",
    operation_id = "end_current_session",
    responses((status = 200, description = "The session is ended.", body = Done)),
)]
#[delete("/v1/sessions/current")]
pub(super) async fn end_current(caller: Caller, keystore: OpenKeystore) -> Answer {
    let done = ask(keystore, move |keystore| {
        keystore.end_session(&caller, None)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// End one of one's own sessions.
#[utoipa::path(
    tag = "sessions",
    operation_id = "end_session",
    params(("session" = SessionId, Path, description = "The session.")),
    responses((status = 200, description = "The session is ended.", body = Done)),
)]
#[delete("/v1/sessions/{session}")]
pub(super) async fn end(
    caller: Caller,
    session: web::Path<SessionId>,
    keystore: OpenKeystore,
) -> Answer {
    let session = session.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.end_session(&caller, Some(session))
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}
