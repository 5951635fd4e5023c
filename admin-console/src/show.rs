//! Answers and their headers.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, ContentType, HeaderName, LOCATION, REFERRER_POLICY,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;
use strongroom_wire::problem::Code;

/// What pages may load and do: their own files. No script can be put in, no page can be framed, no form leads elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What a page's answer says of the problem that it tells, for the log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The problem's code.
    pub code: Code,
    /// The leaf that records the refusal.
    pub leaf: Option<u64>,
}

/// A page.
pub(crate) fn page(template: &impl Template) -> HttpResponse {
    page_with(StatusCode::OK, template)
}

/// A page with another status.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    headers(&mut response);
    match template.render() {
        Ok(text) => response.content_type(ContentType::html()).body(text),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            response
                .status(StatusCode::INTERNAL_SERVER_ERROR)
                .content_type(ContentType::plaintext())
                .body("The appliance failed; its log says more about it.\n")
        }
    }
}

/// Sends the reader on, by GET.
pub(crate) fn go(to: &str) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    headers(&mut response);
    response.insert_header((LOCATION, to)).finish()
}

/// A file for the reader to keep.
pub(crate) fn download(name: &str, content_type: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    headers(&mut response);
    response.content_type(content_type).insert_header((
        "content-disposition",
        format!("attachment; filename=\"{name}\""),
    ));
    response
}

/// The headers of every answer of the console.
pub(crate) fn headers(response: &mut HttpResponseBuilder) {
    response
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "same-origin"));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), microphone=(), geolocation=(), usb=(), payment=(), publickey-credentials-get=(self), publickey-credentials-create=(self)",
        ),
        ("x-frame-options", "DENY"),
    ] {
        response.insert_header((HeaderName::from_static(name), value));
    }
}
