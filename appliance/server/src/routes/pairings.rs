//! Devices without a keyboard: the OAuth 2.0 device authorization grant (RFC 8628).

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HOST};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use strongroom_keystore::devices::PairingAnswer;
use strongroom_wire::device::{
    DecidePairing, DecidedPairing, PairedDevice, Pairing, PairingError, PairingStarted,
    PairingToken, StartPairing,
};
use strongroom_wire::problem::Code;

use super::body::Json;
use super::{Answer, Leaf, acted, ask, shown, wait_for};
use crate::auth::desk::Desk;
use crate::auth::limits::SignInLimits;
use crate::auth::{Caller, Source};
use crate::gate::OpenKeystore;
use crate::problems::Refused;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Ask for a device's two codes.
///
/// The device authorization request of RFC 8628, section 3.1.
#[utoipa::path(
    tag = "devices",
    operation_id = "start_pairing",
    security(()),
    request_body(content = StartPairing, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The codes.", body = PairingStarted)),
)]
#[post("/v1/pairings")]
pub(super) async fn start(
    request: HttpRequest,
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    form: Result<web::Form<StartPairing>, actix_web::Error>,
    keystore: OpenKeystore,
) -> Answer {
    // What waits takes up memory, so each of these counts as a failure until it is forgotten.
    limits.admit_source(source)?;
    let Ok(form) = form else {
        return Ok(oauth_error("invalid_request", Code::Malformed));
    };
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let here = format!("https://{host}/pair");
    let started = ask(keystore, move |keystore| {
        keystore.start_pairing(source, &form.client_id, here)
    })
    .await;
    match started {
        Err(failure) if failure.code() == Code::Invalid => {
            Ok(oauth_error("invalid_request", Code::Invalid))
        }
        started => Ok(shown(&started?)),
    }
}

/// Ask for a paired device's secret.
///
/// The device access token request of RFC 8628, section 3.4. Errors are those of its section 3.5 and of RFC 6749.
#[utoipa::path(
    tag = "devices",
    operation_id = "show_pairing_token",
    security(()),
    request_body(content = PairingToken, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The device's account and its secret, this once.", body = PairedDevice),
        (status = 400, description = "There is no secret, or not yet.", body = PairingError),
    ),
)]
#[post("/v1/pairings/token")]
pub(super) async fn token(
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    form: Result<web::Form<PairingToken>, actix_web::Error>,
    keystore: OpenKeystore,
) -> Answer {
    let Ok(form) = form else {
        return Ok(oauth_error("invalid_request", Code::Malformed));
    };
    if form.grant_type != GRANT_TYPE {
        return Ok(oauth_error("unsupported_grant_type", Code::Malformed));
    }
    limits.admit_source(source)?;
    let answer = ask(keystore, move |keystore| {
        keystore.pairing_token(source, &form.device_code)
    })
    .await;
    let guessed = matches!(answer, Ok(PairingAnswer::Unknown));
    if !guessed {
        limits.give_back_source(source);
    }
    Ok(match answer? {
        PairingAnswer::Paired(device) => {
            let mut response = shown(&device);
            response.extensions_mut().insert(Leaf(device.leaf));
            response
        }
        PairingAnswer::Pending => oauth_error("authorization_pending", Code::PairingNotFound),
        PairingAnswer::SlowDown => oauth_error("slow_down", Code::TooManyAttempts),
        PairingAnswer::Denied => oauth_error("access_denied", Code::NotPermitted),
        PairingAnswer::Expired => oauth_error("expired_token", Code::PairingNotFound),
        PairingAnswer::Unknown => oauth_error("invalid_grant", Code::PairingNotFound),
    })
}

/// Show a device that waits to be paired.
///
/// People only.
#[utoipa::path(
    tag = "devices",
    operation_id = "show_pairing",
    params(("code" = String, Path, description = "The code that the device shows.")),
    responses((status = 200, description = "The device.", body = Pairing)),
)]
#[get("/v1/pairings/{code}")]
pub(super) async fn show(caller: Caller, desk: Desk, code: web::Path<String>) -> Answer {
    let pairing = wait_for(move || desk.pairing(&caller, &code)).await??;
    Ok(shown(&pairing))
}

/// Approve or deny a device that waits to be paired.
///
/// People only. Whoever approves it is its owner: sees it, and can suspend and revoke it.
#[utoipa::path(
    tag = "devices",
    operation_id = "decide_pairing",
    params(("code" = String, Path, description = "The code that the device shows.")),
    request_body = DecidePairing,
    responses((status = 200, description = "The device, if it was approved.", body = DecidedPairing)),
)]
#[post("/v1/pairings/{code}")]
pub(super) async fn decide(
    caller: Caller,
    desk: Desk,
    code: web::Path<String>,
    Json(request): Json<DecidePairing>,
) -> Answer {
    let decided = wait_for(move || desk.decide_pairing(&caller, &code, request)).await??;
    Ok(acted(StatusCode::OK, &decided, decided.leaf))
}

/// An error as OAuth 2.0 has it (RFC 6749 section 5.2). `code` is what the metrics count it under.
fn oauth_error(error: &'static str, code: Code) -> HttpResponse {
    let description = match error {
        "authorization_pending" => "Nobody has approved the device yet.",
        "slow_down" => "The device asks too often: wait five seconds longer from now on.",
        "access_denied" => "The device was denied.",
        "expired_token" => "The code has lapsed: ask for another.",
        "invalid_grant" => "There is no such device code, or its secret has been handed out.",
        "unsupported_grant_type" => "This address takes device codes only.",
        _ => "The request cannot be read, or a member is missing or not acceptable.",
    };
    let mut response = HttpResponse::BadRequest()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(PairingError {
            error: error.to_owned(),
            error_description: description.to_owned(),
        });
    if error != "authorization_pending" {
        response
            .extensions_mut()
            .insert(Refused { code, leaf: None });
    }
    response
}
