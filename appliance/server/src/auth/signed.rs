//! Requests that devices and services sign with their accounts' secrets (RFC 9421): a middleware of the client listener.
//!
//! The signature covers the body by its digest, so the body is read here, within the limit of its address, and handed on. Whoever is
//! admitted stands in the request for [`Caller`](super::Caller) to find. A request in a session is that session's, whatever signatures it
//! carries.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, ResponseError as _, web};
use strongroom_keystore::Presented;
use strongroom_keystore::devices::SignedRequest;
use strongroom_session::signature::{
    CONTENT_DIGEST, RESPONSE_NONCE, SIGNATURE, SIGNATURE_INPUT, check_content_digest,
};
use strongroom_session::{RequestSignature, SignatureError};
use strongroom_wire::problem::Code;

use super::limits::SignInLimits;
use super::source_address;
use crate::gate::OpenKeystore;
use crate::problems::Failure;
use crate::routes::{BodyLimits, Listener, ask};

/// What an admitted request presents, in its extensions.
pub(super) struct Signer(pub(super) Presented);

/// The middleware.
pub(crate) async fn admit(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !is_signed(&request) {
        let response = next.call(request).await?;
        return Ok(response.map_into_boxed_body());
    }
    match admitted(&mut request).await {
        Ok(nonce) => {
            let mut response = next.call(request).await?.map_into_boxed_body();
            // Base64url is what a header may hold.
            if let Ok(nonce) = HeaderValue::from_str(&nonce) {
                let name = HeaderName::from_static(RESPONSE_NONCE);
                response.headers_mut().insert(name, nonce);
            }
            Ok(response)
        }
        Err(failure) => Ok(request.into_response(failure.error_response())),
    }
}

fn is_signed(request: &ServiceRequest) -> bool {
    let listener = request.app_data::<web::Data<Listener>>();
    listener.is_some_and(|listener| ***listener == Listener::Client)
        && request.headers().contains_key(SIGNATURE_INPUT)
        && !request.headers().contains_key(AUTHORIZATION)
}

/// Reads, checks and hands on; answers the nonce for the answer.
async fn admitted(request: &mut ServiceRequest) -> Result<String, Failure> {
    let source = source_address(request.request());
    let header = |name: &str| {
        let mut values = request.headers().get_all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().map(str::to_owned),
            _ => None,
        }
        .ok_or_else(|| {
            Failure::new(
                Code::Malformed,
                format!("A signed request has the header {name} once."),
            )
        })
    };
    let digest = header(CONTENT_DIGEST)?;
    let signature = RequestSignature::parse(&header(SIGNATURE_INPUT)?, &header(SIGNATURE)?)?;
    let limits = data::<SignInLimits>(request)?;
    let account = signature.account.to_string();
    limits.check(&account, source)?;

    let body = read_body(request).await?;
    check_content_digest(&digest, &body)?;
    request.set_payload(Payload::from(body));
    let signed = SignedRequest {
        signature,
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        content_digest: digest,
    };
    let keystore = request.extract::<OpenKeystore>().await?;
    let admission = match keystore.admit_at_once(source, &signed) {
        Some(admission) => Ok(admission),
        None => ask(keystore, move |keystore| keystore.admit(source, signed)).await,
    };
    let admission = admission.inspect_err(|failure| match failure.code() {
        Code::SignInRefused => limits.count(&account, Some(source), source),
        // Made by somebody who knows the secret, or has seen a request of somebody who does: no reason to slow others down.
        Code::ClockSkew | Code::Replayed => limits.count(&account, None, source),
        _ => {}
    })?;
    request.extensions_mut().insert(Signer(admission.presented));
    Ok(admission.response_nonce)
}

async fn read_body(request: &mut ServiceRequest) -> Result<web::Bytes, Failure> {
    let limits = data::<BodyLimits>(request)?;
    let path = request.path();
    let large = *request.method() == Method::POST
        && (matches!(path, "/v1/keys" | "/v1/keys/release")
            || (path.starts_with("/v1/keys/") && path.ends_with("/operations")));
    let limit = limits.of(large);
    let payload = request
        .extract::<web::Payload>()
        .await
        .map_err(|_| Failure::internal())?;
    match payload.to_bytes_limited(limit).await {
        Ok(body) => {
            body.map_err(|_| Failure::new(Code::Malformed, "The body did not arrive whole."))
        }
        Err(_) => Err(Failure::new(
            Code::TooLarge,
            format!("The body is larger than the {limit} bytes that this address takes."),
        )),
    }
}

fn data<T: 'static>(request: &ServiceRequest) -> Result<web::Data<T>, Failure> {
    request
        .app_data::<web::Data<T>>()
        .cloned()
        .ok_or_else(Failure::internal)
}

impl From<SignatureError> for Failure {
    fn from(error: SignatureError) -> Self {
        // Our own sentences: nothing of what the client sent.
        let text = error.to_string();
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let sentence: String = first.into_iter().chain(letters).collect();
        Self::new(Code::Malformed, format!("{sentence}."))
    }
}
