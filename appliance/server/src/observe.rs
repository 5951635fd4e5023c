//! Around every request: the headers that each answer carries, one log line, the metrics, and what happens when a handler panics.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponseBuilder, web};

use crate::console::minutes;
use crate::gate::DomainNumber;
use crate::metrics;
use crate::problems::{Failure, Refused};
use crate::routes::{Leaf, Listener};

/// Headers of every answer: nothing is kept by a cache, nothing is taken for another type, and a browser that was here comes back
/// by HTTPS only.
fn headers() -> [(HeaderName, HeaderValue); 3] {
    [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        ),
    ]
}

/// Adds the headers of every answer to one that is being built.
pub(crate) fn insert_headers(response: &mut HttpResponseBuilder) {
    for header in headers() {
        response.insert_header(header);
    }
}

/// The middleware around every request.
pub(crate) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let method = method_name(request.method());
    let listener = request.app_data::<web::Data<Listener>>();
    let listener = listener.map_or("none", |listener| listener.name());

    let Ok(answer) = catch_panic(next.call(request)).await else {
        // The panic hook has logged what and where.
        metrics::panic();
        metrics::refusal(Failure::internal().code());
        metrics::request(listener, method, "(panicked)", 500, started.elapsed());
        return Err(Failure::internal().into());
    };
    let mut response = answer?;
    for (name, value) in headers() {
        // The files of pages are kept by browsers: their addresses change with their content.
        let kept = name == CACHE_CONTROL && response.headers().contains_key(CACHE_CONTROL);
        if !kept {
            response.headers_mut().insert(name, value);
        }
    }

    let took = started.elapsed();
    let status = response.status().as_u16();
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or("(none)");
    metrics::request(listener, method, route, status, took);
    minutes::count(status, took);

    let domain = response
        .request()
        .extensions()
        .get::<DomainNumber>()
        .copied();
    let domain = domain.map(|DomainNumber(number)| number);
    if let Some(number) = domain {
        metrics::domain_request(number);
    }

    let ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    let extensions = response.response().extensions();
    if let Some(Refused { code, leaf }) = refused(&extensions) {
        metrics::refusal(code);
        tracing::info!(listener, domain, method, route, status, ms, %code, leaf, "refused");
    } else {
        let leaf = extensions.get::<Leaf>().map(|leaf| leaf.0);
        tracing::debug!(
            listener, domain, method, route, status, ms, leaf, "answered"
        );
    }
    drop(extensions);
    Ok(response)
}

/// What a response says of its problem, whether it is a problem document or a page of the console.
fn refused(extensions: &Extensions) -> Option<Refused> {
    let page = |refused: &strongroom_console::Refused| Refused {
        code: refused.code,
        leaf: refused.leaf,
    };
    extensions
        .get()
        .copied()
        .or_else(|| extensions.get().map(page))
}

/// Waits for a future that may panic. What it leaves half-done is the handler's own: handlers share nothing that they change.
async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => std::task::Poll::Ready(Err(panicked)),
        },
    )
    .await
}

/// The method as a label: clients can invent methods, labels are of a fixed set.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
