//! The two web interfaces: owners' self-service on the client listener, and the console of administrators and auditors on the
//! administration listener.
//!
//! | module | what lives there |
//! |---|---|
//! | [`host`] | what the console needs of whoever serves it: the keystore of a request, sign-in with failures counted, the appliance |
//! | `reader` | who reads a page: the session cookie, the frame of pages, calls into the keystore |
//! | `form` | forms: where they may come from, their tokens, their fields |
//! | `cookie` | the cookies that a browser sends and keeps |
//! | `stop` | what a page answers in place of itself: a problem, sign-in, step-up |
//! | `show` | answers and their headers; `assets` the files; `pieces` what pages are made of |
//! | `words` | states, rights, policies and acts in plain words |
//! | `door/` | sign-in, second factor, passkeys, enrolment, recovery, step-up, sign-out |
//! | `own/` | what everybody has: keys, sharing, policies, groups, devices, sessions, credentials, history |
//! | `office/` | what administrators, security officers and auditors have |
//! | `cases/` | lawful access: cases, and for everybody what was disclosed of theirs |
//! | `proposals`, `approval_keys`, `signing` | acts that several people approve, what they approve with, and signing on a page |
//! | `export` | bundles of the audit log, and reports of them |
//! | [`exporting`] | what the interface's exports and the pages' share |
//! | `chart` | charts as SVG, with a table behind each |
//!
//! Pages are server-rendered and work without JavaScript, but for passkeys. They call the keystore's own functions as the session's holder:
//! whatever the API refuses, a page refuses.
//!
//! What must never happen here:
//!
//! - a decision about who may do what: a page that is not linked is still refused by the keystore alone;
//! - key material: the console forgets each session's transport key at once, so that nobody could unwrap what is released in it;
//! - inline script or style, `|safe` on anything that a person wrote, a request to another host;
//! - a state changed by GET, or by a form without its token.

#![forbid(unsafe_code)]
#![allow(
    clippy::result_large_err,
    reason = "whoever is refused is shown the problem document whole; each is made once a page"
)]

mod approval_keys;
mod assets;
mod cases;
mod chart;
mod cookie;
mod door;
mod export;
pub mod exporting;
mod form;
pub mod host;
mod office;
mod own;
mod pieces;
mod proposals;
mod reader;
mod show;
mod signing;
mod stop;
mod words;

use std::cell::RefCell;

use actix_web::http::header::ACCEPT;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, Route};
use strongroom_wire::problem::{Code, Problem};

pub use host::{Appliance, Host, Side, SignIns, Visit};
pub use show::Refused;

/// The page that browsers come back to from OpenID providers, below each origin of the appliance.
pub const PROVIDER_PAGE: &str = "/sign-in/provider/back";

/// Adds the pages of a listener. The application holds a [`Side`], an `Arc<dyn Host>` and a [`FormKey`] as data.
pub fn routes(side: Side, services: &mut ServiceConfig) {
    assets::routes(services);
    door::routes(services);
    own::routes(side, services);
    approval_keys::routes(services);
    proposals::routes(services);
    export::routes(services);
    match side {
        Side::Owners => cases::own_routes(services),
        Side::Administration => {
            office::routes(services);
            cases::routes(services);
        }
    }
}

thread_local! {
    /// The addresses of pages as they are added, while somebody asks for them.
    static ADDED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The addresses of a listener's pages as they are routed, with `{name}` for what differs: for tests that leave none out.
#[must_use]
pub fn addresses(side: Side) -> Vec<String> {
    ADDED.set(Some(Vec::new()));
    let _app = App::new().configure(|services| routes(side, services));
    ADDED.take().unwrap_or_default()
}

pub use form::FormKey;

/// Whether whoever asks is a person with a browser that wants a page, and so gets one also where something is wrong.
#[must_use]
pub fn wants_page(method: &Method, path: &str, accept: Option<&str>) -> bool {
    let of_programs = ["/v1/", "/scim/", "/metrics"];
    (method == Method::GET || method == Method::POST)
        && !of_programs.iter().any(|start| path.starts_with(start))
        && accept.is_some_and(|accept| accept.contains("text/html"))
}

/// [`wants_page`] of a request.
#[must_use]
pub fn request_wants_page(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    wants_page(request.method(), request.path(), accept)
}

/// The page that tells a person of a problem for which no page of the console was reached.
#[must_use]
pub fn problem_page(side: Side, problem: &Problem) -> HttpResponse {
    stop::problem_page(&reader::Frame::outside(side), problem)
}

/// A page's routes, where other methods are told so.
pub(crate) fn page(services: &mut ServiceConfig, path: &str, routes: Vec<Route>) {
    ADDED.with_borrow_mut(|added| {
        if let Some(added) = added {
            added.push(path.to_owned());
        }
    });
    let mut resource = web::resource(path);
    for route in routes {
        resource = resource.route(route);
    }
    services.service(resource.default_service(web::to(wrong_method)));
}

async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let side = Side::of(&request);
    let problem = Problem::new(
        Code::MethodNotAllowed,
        "This page does not take requests of that kind.",
    );
    let mut response = problem_page(side, &problem);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
