//! What stands between a request and the keystore: the middleware that turns requests away, and the extractor that handlers take.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpRequest, ResponseError as _, web};
use strongroom_keystore::Keystore;

use super::Gate;
use crate::problems::Failure;

/// What is answered even while the gate is closed.
const ALWAYS: [&str; 2] = ["/v1/health", "/metrics"];

/// The open keystore, for as long as one request takes.
#[derive(Clone)]
pub(crate) struct OpenKeystore(pub(super) Arc<Keystore>);

impl Deref for OpenKeystore {
    type Target = Keystore;

    fn deref(&self) -> &Keystore {
        &self.0
    }
}

impl FromRequest for OpenKeystore {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Closed since the guard let the request pass, at worst.
        let gate = request.app_data::<web::Data<Gate>>();
        ready(gate.map_or_else(|| Err(Failure::internal()), |gate| gate.keystore()))
    }
}

/// The middleware that answers for a closed gate, before anything of the request is read: whoever asks learns nothing else.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let closed = request
        .app_data::<web::Data<Gate>>()
        .filter(|_| !ALWAYS.contains(&request.path()))
        .and_then(|gate| gate.keystore().err());
    match closed {
        Some(failure) => Ok(request
            .into_response(failure.error_response())
            .map_into_right_body()),
        None => Ok(next.call(request).await?.map_into_left_body()),
    }
}
