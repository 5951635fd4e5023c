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
use crate::auth::limits::SignInLimits;
use crate::auth::pace::evenly;
use crate::auth::{Caller, Source};
use crate::gate::OpenKeystore;
use crate::problems::Failure;

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
pub(super) async fn start(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(request): Json<StartSignIn>,
    keystore: OpenKeystore,
) -> Answer {
    let account = keystore.budget(&request.account);
    limits.admit(&account, source)?;
    let answer = ask(keystore, move |keystore| {
        keystore.start_sign_in(source, request)
    })
    .await;
    // A start that worked stays counted until its finish: it let the client try a password.
    if answer.as_ref().is_err_and(Failure::is_fault) {
        limits.give_back(&account, source);
    }
    Ok(shown(&answer?))
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
pub(super) async fn finish(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(request): Json<FinishSignIn>,
    keystore: OpenKeystore,
) -> Answer {
    let limited = web::Data::clone(&limits);
    let (account, answer) = wait_for(move || {
        let account = keystore.account_of_sign_in(request.sign_in);
        let account = account.map(|account| keystore.budget(&account));
        if account.is_none() {
            // Its start has not been counted, as there was none.
            limited.admit_source(source)?;
        }
        let answer = keystore.finish_sign_in(source, request);
        Ok::<_, Failure>((account, answer.map_err(Failure::from)))
    })
    .await??;
    if let Some(account) = account
        && answer.as_ref().err().is_none_or(Failure::is_fault)
    {
        limits.give_back(&account, source);
    }
    let finished = answer?;
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
pub(super) async fn second_factor(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(request): Json<FinishSecondFactor>,
    keystore: OpenKeystore,
) -> Answer {
    let signed_in = wait_for(move || {
        let account = keystore.account_of_sign_in(request.sign_in);
        let account = account.map(|account| keystore.budget(&account));
        match &account {
            Some(account) => limits.admit(account, source)?,
            None => limits.admit_source(source)?,
        }
        let answer = keystore.finish_second_factor(source, request);
        let answer = answer.map_err(Failure::from);
        if let Some(account) = account
            && answer.as_ref().err().is_none_or(Failure::is_fault)
        {
            limits.give_back(&account, source);
        }
        answer
    })
    .await??;
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
pub(super) async fn start_passkey(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(request): Json<StartPasskeySignIn>,
    keystore: OpenKeystore,
) -> Answer {
    limits.admit_source(source)?;
    let answer = ask(keystore, move |keystore| {
        keystore.start_passkey_sign_in(request)
    })
    .await;
    // A start that worked stays counted until its finish, so that nobody fills the memory with starts.
    if answer.as_ref().is_err_and(Failure::is_fault) {
        limits.give_back_source(source);
    }
    Ok(shown(&answer?))
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
pub(super) async fn finish_passkey(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(request): Json<FinishPasskeySignIn>,
    keystore: OpenKeystore,
) -> Answer {
    limits.admit_source(source)?;
    let answer = ask(keystore, move |keystore| {
        keystore.finish_passkey_sign_in(source, request)
    })
    .await;
    match &answer {
        // Both its own place and its start's.
        Ok(_) => {
            limits.give_back_source(source);
            limits.give_back_source(source);
        }
        Err(failure) if failure.is_fault() => limits.give_back_source(source),
        Err(_) => {}
    }
    let answer = answer?;
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
    limits: web::Data<SignInLimits>,
    Json(request): Json<StartStepUp>,
    keystore: OpenKeystore,
) -> Answer {
    let started = wait_for(move || {
        // Whoever holds the token alone guesses the password here as they would at a sign-in.
        let account = keystore.budget(&keystore.own_account(&caller)?.name);
        limits.admit(&account, caller.source)?;
        let answer = keystore.start_step_up(&caller, request);
        let answer = answer.map_err(Failure::from);
        if answer.as_ref().is_err_and(Failure::is_fault) {
            limits.give_back(&account, caller.source);
        }
        answer
    })
    .await??;
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
    limits: web::Data<SignInLimits>,
    Json(request): Json<FinishSignIn>,
    keystore: OpenKeystore,
) -> Answer {
    let stepped = wait_for(move || {
        let account = keystore.account_of_sign_in(request.sign_in);
        let account = account.map(|account| keystore.budget(&account));
        if account.is_none() {
            // Its start has not been counted, as there was none.
            limits.admit_source(caller.source)?;
        }
        let answer = keystore.finish_step_up(&caller, request);
        let answer = answer.map_err(Failure::from);
        if let Some(account) = account
            && answer.as_ref().err().is_none_or(Failure::is_fault)
        {
            limits.give_back(&account, caller.source);
        }
        answer
    })
    .await??;
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
    limits: web::Data<SignInLimits>,
    Json(request): Json<FinishSecondFactor>,
    keystore: OpenKeystore,
) -> Answer {
    let stepped = wait_for(move || {
        let account = keystore.budget(&keystore.own_account(&caller)?.name);
        limits.admit(&account, caller.source)?;
        let answer = keystore.finish_second_factor_step_up(&caller, request);
        let answer = answer.map_err(Failure::from);
        if answer.as_ref().err().is_none_or(Failure::is_fault) {
            limits.give_back(&account, caller.source);
        }
        answer
    })
    .await??;
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
