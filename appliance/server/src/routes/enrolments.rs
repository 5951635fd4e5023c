//! Enrolment: an account's holder registers a password (OPAQUE, RFC 9807) with a one-time code.

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::post;
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};

use super::body::Json;
use super::{Answer, acted, shown, wait_for};
use crate::auth::desk::Desk;
use crate::auth::pace::evenly;

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
pub(super) async fn start(desk: Desk, Json(request): Json<StartEnrolment>) -> Answer {
    let started = wait_for(move || desk.start_enrolment(request)).await??;
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
pub(super) async fn finish(desk: Desk, Json(request): Json<FinishEnrolment>) -> Answer {
    let done = wait_for(move || desk.finish_enrolment(request)).await??;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}
