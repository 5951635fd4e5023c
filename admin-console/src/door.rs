//! The door: sign-in, second factor, passkeys, enrolment, recovery, step-up, sign-out.
//!
//! | module | what lives there |
//! |---|---|
//! | `opaque` | the client's side of OPAQUE, run here on the password of a form |
//! | `sign_in` | sign-in and sign-out |
//! | `provider` | sign-in at an OpenID provider |
//! | `factor` | what a second factor is asked for with, at sign-in and at step-up |
//! | `step_up` | signing in again in a session |
//! | `new_password` | a new password in a form |
//! | `enrol` | the first password, and a new one after a recovery |
//!
//! Passwords are stretched by the browser's owner elsewhere; here the appliance does it, for browsers that run no script. `docs/decisions/0023` says
//! what that means. The transport key that comes of it is dropped where it is made.

mod enrol;
mod factor;
mod new_password;
pub(crate) mod opaque;
pub(crate) mod provider;
mod sign_in;
mod step_up;

use actix_web::web::{self, ServiceConfig};

use crate::page;

pub(crate) use factor::{PASSKEY_SCRIPTS, complaint};
pub(crate) use new_password::{new_password, password_fields};

pub(crate) fn routes(services: &mut ServiceConfig) {
    page(services, "/", vec![web::get().to(sign_in::start)]);
    page(
        services,
        "/sign-in",
        vec![
            web::get().to(sign_in::show),
            web::post().to(sign_in::password),
        ],
    );
    page(
        services,
        "/sign-in/second-factor",
        vec![web::post().to(sign_in::second_factor)],
    );
    page(
        services,
        "/sign-in/passkey",
        vec![web::post().to(sign_in::start_passkey)],
    );
    page(
        services,
        "/sign-in/passkey/finish",
        vec![web::post().to(sign_in::finish_passkey)],
    );
    page(
        services,
        "/sign-in/provider",
        vec![web::post().to(provider::start)],
    );
    page(
        services,
        crate::PROVIDER_PAGE,
        vec![web::get().to(provider::back)],
    );
    page(services, "/sign-out", vec![web::post().to(sign_in::out)]);
    page(
        services,
        "/enrol",
        vec![web::get().to(enrol::show), web::post().to(enrol::enrol)],
    );
    page(
        services,
        "/recover",
        vec![
            web::get().to(enrol::show_recovery),
            web::post().to(enrol::recover),
        ],
    );
    page(
        services,
        "/step-up",
        vec![
            web::get().to(step_up::show),
            web::post().to(step_up::password),
        ],
    );
    page(
        services,
        "/step-up/second-factor",
        vec![web::post().to(step_up::second_factor)],
    );
}
