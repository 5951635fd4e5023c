//! The HTTP interface: one file a resource.
//!
//! A handler authenticates (`Caller`), parses (`Json`, `Path`, `Query`), makes one call into the keystore ([`ask`]) and maps the
//! answer ([`shown`], [`acted`]).

mod accounts;
mod approval_keys;
pub(crate) mod attestation;
mod audit;
mod authorisations;
mod batch;
mod body;
mod certificates;
mod credentials;
pub(crate) mod devices;
mod directories;
mod disclosures;
pub(crate) mod document;
mod enrolments;
mod grants;
mod groups;
pub(crate) mod health;
mod keys;
mod metrics;
mod objects;
mod oidc;
mod openapi;
mod operations;
mod pairings;
mod policies;
mod proposals;
mod recoveries;
mod rotation;
mod scim;
mod sessions;
pub(crate) mod updates;

use actix_web::dev::ResourceDef;
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::web;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use strongroom_console::Side;
use strongroom_keystore::{Answer as KeystoreAnswer, Keystore};
use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) use body::BodyLimits;

use crate::gate::OpenKeystore;
use crate::metrics as counters;
use crate::problems::Failure;

/// What a handler answers.
type Answer = Result<HttpResponse, Failure>;

/// The two listeners, which have different routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// For those who use keys.
    Client,
    /// For administrators and the monitoring.
    Administration,
}

impl Listener {
    /// Its name in the log, the metrics and the OpenAPI document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Administration => "administration",
        }
    }

    /// The web interface that it has.
    pub(crate) const fn side(self) -> Side {
        match self {
            Self::Client => Side::Owners,
            Self::Administration => Side::Administration,
        }
    }

    /// Its routes.
    pub(crate) fn routes(self, services: &mut ServiceConfig<'_>) {
        // The first route that fits takes a request, and each before it is tried.
        match self {
            // What keys are used by comes first: of it there are a thousand requests for each other.
            Self::Client => {
                client_routes(services);
                common_routes(services);
            }
            // /v1/accounts/me of the common ones comes before /v1/accounts/{account}.
            Self::Administration => {
                common_routes(services);
                administration_routes(services);
            }
        }
    }
}

/// The index of the leaf that an answer tells of, for the log line of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf(pub(crate) u64);

fn common_routes(services: &mut ServiceConfig<'_>) {
    services
        .service(enrolments::start)
        .service(enrolments::finish)
        .service(sessions::start)
        .service(sessions::finish)
        .service(sessions::second_factor)
        .service(sessions::start_passkey)
        .service(sessions::finish_passkey)
        .service(sessions::list)
        .service(sessions::start_step_up)
        .service(sessions::finish_step_up)
        .service(sessions::start_second_factor_step_up)
        .service(sessions::finish_second_factor_step_up)
        // Before the one with the identifier, which would take it for one.
        .service(sessions::end_current)
        .service(sessions::end)
        .service(accounts::own)
        .service(oidc::providers)
        .service(oidc::start)
        .service(oidc::finish)
        .service(oidc::identities)
        .service(oidc::start_link)
        .service(oidc::finish_link)
        .service(oidc::unlink)
        .service(credentials::list)
        .service(credentials::remove)
        .service(credentials::start_password)
        .service(credentials::finish_password)
        .service(credentials::start_totp)
        .service(credentials::confirm_totp)
        .service(credentials::make_recovery_codes)
        .service(credentials::start_passkey)
        .service(credentials::register_passkey)
        .service(proposals::make)
        .service(proposals::list)
        .service(proposals::show)
        .service(proposals::decide)
        .service(proposals::withdraw)
        .service(approval_keys::list)
        .service(approval_keys::add)
        .service(approval_keys::remove)
        .service(recoveries::own)
        .service(recoveries::cancel_own)
        .service(recoveries::start_password)
        .service(recoveries::finish_password)
        .service(devices::list)
        .service(devices::show)
        .service(devices::update)
        .service(devices::issue_secret)
        .service(certificates::list)
        .service(certificates::register)
        .service(certificates::remove)
        .service(disclosures::notifications)
        .service(audit::records)
        .service(audit::checkpoint)
        .service(audit::proof)
        .service(audit::consistency)
        .service(audit::export)
        .service(health::show)
        .service(openapi::show);
}

fn client_routes(services: &mut ServiceConfig<'_>) {
    services
        .service(operations::operate)
        .service(keys::release)
        .service(operations::operate_many)
        .service(batch::release)
        .service(keys::create)
        .service(operations::public_key)
        .service(objects::find)
        .service(objects::show)
        .service(objects::put_object)
        .service(objects::remove)
        .service(keys::list)
        .service(keys::show)
        .service(keys::tighten)
        .service(keys::destroy)
        .service(keys::rotate)
        .service(keys::change_state)
        .service(policies::preview)
        .service(policies::mechanisms)
        .service(policies::set_of_key)
        .service(policies::set_of_grant)
        .service(grants::share)
        .service(grants::list)
        .service(grants::revoke)
        .service(groups::members)
        .service(groups::add)
        .service(recoveries::invite)
        .service(groups::remove)
        .service(certificates::open)
        .service(pairings::start)
        // Before the one with the code, which would take it for one.
        .service(pairings::token)
        .service(pairings::show)
        .service(pairings::decide);
}

fn administration_routes(services: &mut ServiceConfig<'_>) {
    services
        .service(accounts::create)
        .service(accounts::list)
        .service(accounts::show)
        .service(accounts::update)
        .service(accounts::invite)
        .service(recoveries::start)
        .service(recoveries::approve)
        .service(recoveries::show)
        .service(recoveries::cancel)
        .service(devices::import)
        .service(devices::update_fleet)
        .service(policies::of_domain)
        .service(policies::set_of_domain)
        .service(authorisations::enter)
        .service(authorisations::list)
        .service(authorisations::put_document)
        .service(authorisations::show)
        .service(authorisations::generations)
        .service(authorisations::change)
        .service(authorisations::decide)
        .service(authorisations::move_to)
        .service(authorisations::document)
        .service(rotation::rotate_account_kek)
        .service(rotation::show)
        .service(rotation::rotate_master_kek)
        .service(rotation::retire_master_kek)
        .service(rotation::destroy_master_kek)
        .service(disclosures::preview)
        .service(disclosures::execute)
        .service(disclosures::list)
        .service(disclosures::hold)
        .service(disclosures::show)
        .service(disclosures::release)
        .service(disclosures::deliver)
        .service(directories::list)
        .service(directories::add)
        .service(directories::renew)
        .service(directories::remove)
        .service(directories::adopt)
        .service(directories::release)
        .service(updates::show)
        .service(updates::send)
        .service(updates::drop_update)
        .service(updates::install)
        .service(updates::restart)
        .service(updates::reset)
        .service(attestation::attest)
        .service(metrics::show)
        // Described by SCIM's own documents, not by ours.
        .map(|services| services.configure(scim::routes));
}

/// The largest form that is read, in bytes: two codes and the name of a grant.
const LARGEST_FORM: usize = 4096;

/// Settings of the extractors that handlers use.
pub(crate) fn extractor_settings(services: &mut web::ServiceConfig) {
    services
        .app_data(web::PathConfig::default().error_handler(|error, request| {
            // To a person with a browser it is an address with nothing at it.
            if strongroom_console::request_wants_page(request) {
                let response = page_of(request, &Failure::no_such_page());
                return InternalError::from_response(error, response).into();
            }
            Failure::from(error).into()
        }))
        .app_data(web::QueryConfig::default().error_handler(|error, _| Failure::from(error).into()))
        .app_data(web::FormConfig::default().limit(LARGEST_FORM));
}

/// The addresses of a listener and the methods that each takes: what tells a wrong method from a wrong address.
pub(crate) struct RouteTable(Vec<(ResourceDef, String)>);

impl RouteTable {
    /// The routes of `listener`.
    pub(crate) fn new(listener: Listener) -> Self {
        let routes = document::methods(listener);
        Self(
            routes
                .into_iter()
                .map(|(path, methods)| (ResourceDef::new(path), methods.join(", ")))
                .collect(),
        )
    }

    fn methods(&self, path: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(route, _)| route.is_match(path))
            .map(|(_, methods)| methods.as_str())
    }
}

/// Answers what no route took.
pub(crate) async fn unrouted(request: HttpRequest, table: web::Data<RouteTable>) -> Answer {
    if strongroom_console::request_wants_page(&request) {
        return Ok(page_of(&request, &Failure::no_such_page()));
    }
    Err(match table.methods(request.path()) {
        Some(allow) => Failure::method_not_allowed(allow),
        None => Failure::no_such_route(),
    })
}

/// The page that tells a person with a browser of a failure.
pub(crate) fn page_of(request: &HttpRequest, failure: &Failure) -> HttpResponse {
    let listener = request.app_data::<web::Data<Listener>>();
    let side = listener.map_or(Side::Owners, |listener| listener.side());
    strongroom_console::problem_page(side, failure.problem())
}

/// Makes one call into the keystore, on a thread that may wait.
pub(crate) async fn ask<T: Send + 'static>(
    keystore: OpenKeystore,
    call: impl FnOnce(&Keystore) -> KeystoreAnswer<T> + Send + 'static,
) -> Result<T, Failure> {
    wait_for(move || call(&keystore))
        .await?
        .map_err(Failure::from)
}

/// Runs what may wait on a thread that may.
pub(crate) async fn wait_for<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    web::block(call).await.map_err(|_| {
        // The call panicked; the panic hook has logged where.
        counters::panic();
        Failure::internal()
    })
}

/// The answer to a request that changed nothing.
fn shown(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(body)
}

/// The answer to an act, with the index of its leaf.
fn acted(status: StatusCode, body: &impl Serialize, leaf: u64) -> HttpResponse {
    let mut response = HttpResponse::build(status).json(body);
    response.extensions_mut().insert(Leaf(leaf));
    response
}

#[cfg(test)]
mod tests;
