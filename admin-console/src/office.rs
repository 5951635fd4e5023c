//! What administrators, security officers and auditors have, on the administration listener.
//!
//! | module | what lives there |
//! |---|---|
//! | `overview` | the dashboard |
//! | `accounts` | accounts: search, creation, state, roles, codes, recovery |
//! | `fleet` | devices and fleets, bulk import |
//! | `directories` | directories that manage accounts by SCIM |
//! | `rules` | roles and their conflicts; the domain's policy |
//! | `master_key` | versions of the master KEK: rotation, its progress, retiring, destroying |
//! | `checkpoints` | signed checkpoints, and two of them compared |
//! | `hsm` | HSMs and what they offer; sealing |
//! | `machine` | backups, certificates, configuration |
//! | `updates` | updates of the image |
//! | `log_level` | how much the appliance's own log says |

mod accounts;
mod checkpoints;
mod directories;
mod fleet;
mod hsm;
mod log_level;
mod machine;
mod master_key;
mod overview;
mod rules;
mod updates;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::problem::Problem;

use crate::own::history;
use crate::page;

pub(crate) fn routes(services: &mut ServiceConfig) {
    page(services, "/overview", vec![web::get().to(overview::show)]);
    accounts::routes(services);
    fleet::routes(services);
    directories::routes(services);
    rules::routes(services);
    master_key::routes(services);
    history::routes("/log", services);
    checkpoints::routes(services);
    hsm::routes(services);
    machine::routes(services);
    updates::routes(services);
}

/// The status of a page that may tell a refusal.
fn status(refused: Option<&Problem>) -> StatusCode {
    refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    })
}
