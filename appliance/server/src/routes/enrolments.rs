//! Enrolment: an account's holder registers a password (OPAQUE, RFC 9807) with a one-time code.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{post, web};
use strongroom_keystore::{Answer as KeystoreAnswer, Keystore};
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::Source;
use crate::auth::limits::SignInLimits;
use crate::auth::pace::evenly;
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// Start an enrolment.
///
/// Sends an OPAQUE registration request with the one-time code that an administrator gave.
#[utoipa::path(
    tag = "enrolments",
    operation_id = "start_enrolment",
    security(()),
    request_body = StartEnrolment,
    responses((status = 200, description = "The OPAQUE registration response.", body = EnrolmentStarted)),
)]
#[post("/v1/enrolments/start", wrap = "from_fn(evenly)")]
pub(super) async fn start(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(request): Json<StartEnrolment>,
    keystore: OpenKeystore,
) -> Answer {
    let account = request.account.clone();
    let started = limited(&limits, keystore, account, source, move |keystore| {
        keystore.start_enrolment(source, request)
    })
    .await?;
    Ok(shown(&started))
}

/// Finish an enrolment.
///
/// Stores the OPAQUE registration record and uses the code up.
#[utoipa::path(
    tag = "enrolments",
    operation_id = "finish_enrolment",
    security(()),
    request_body = FinishEnrolment,
    responses((status = 200, description = "The account is enrolled and can sign in.", body = Done)),
)]
#[post("/v1/enrolments/finish", wrap = "from_fn(evenly)")]
pub(super) async fn finish(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(request): Json<FinishEnrolment>,
    keystore: OpenKeystore,
) -> Answer {
    let account = request.account.clone();
    let done = limited(&limits, keystore, account, source, move |keystore| {
        keystore.finish_enrolment(source, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Makes a call that costs `account` and `source` an attempt unless it turns out well or fails by no fault of theirs.
pub(super) async fn limited<T: Send + 'static>(
    limits: &SignInLimits,
    keystore: OpenKeystore,
    account: String,
    source: IpAddr,
    call: impl FnOnce(&Keystore) -> KeystoreAnswer<T> + Send + 'static,
) -> Result<T, Failure> {
    let account = keystore.budget(&account);
    limits.admit(&account, source)?;
    let answer = ask(keystore, call).await;
    if answer.as_ref().err().is_none_or(Failure::is_fault) {
        limits.give_back(&account, source);
    }
    answer
}
