//! What everybody has: keys, sharing, policies, groups, devices, sessions, credentials, history. Sessions and credentials are on both sides,
//! keys on the owners' alone.

pub(crate) mod devices;
mod groups;
pub(crate) mod history;
mod key;
mod key_acts;
mod keys;
mod password;
pub(crate) mod policy;
mod security;
mod sessions;
mod sharing;

use actix_web::web::{self, ServiceConfig};

use crate::form::Fields;
use crate::host::Side;
use crate::page;
use crate::pieces::{Html, Note, Tone, count};

pub(crate) use keys::search_form;

pub(crate) fn routes(side: Side, services: &mut ServiceConfig) {
    security::routes(services);
    password::routes(services);
    page(
        services,
        "/sessions",
        vec![web::get().to(sessions::list), web::post().to(sessions::end)],
    );
    if side == Side::Owners {
        key_routes(services);
        page(services, "/groups", vec![web::get().to(groups::list)]);
        page(
            services,
            "/groups/{group}",
            vec![web::get().to(groups::show)],
        );
        page(
            services,
            "/groups/{group}/add",
            vec![web::get().to(groups::show_add), web::post().to(groups::add)],
        );
        page(
            services,
            "/groups/{group}/remove/{member}",
            vec![
                web::get().to(groups::show_remove),
                web::post().to(groups::remove),
            ],
        );
        page(services, "/devices", vec![web::get().to(devices::list)]);
        page(
            services,
            "/devices/{device}",
            vec![
                web::get().to(devices::show),
                web::post().to(devices::change),
            ],
        );
        page(
            services,
            "/pair",
            vec![
                web::get().to(devices::ask_pair),
                web::post().to(devices::pair),
            ],
        );
        history::routes("/history", services);
    }
}

fn key_routes(services: &mut ServiceConfig) {
    page(services, "/keys", vec![web::get().to(keys::list)]);
    page(
        services,
        "/keys/new",
        vec![
            web::get().to(key_acts::show_new),
            web::post().to(key_acts::create),
        ],
    );
    page(services, "/keys/{key}", vec![web::get().to(key::show)]);
    page(
        services,
        "/keys/{key}/rotate",
        vec![
            web::get().to(key_acts::show_rotate),
            web::post().to(key_acts::rotate),
        ],
    );
    page(
        services,
        "/keys/{key}/state",
        vec![
            web::get().to(key_acts::show_state),
            web::post().to(key_acts::state),
        ],
    );
    page(
        services,
        "/keys/{key}/destroy",
        vec![
            web::get().to(key_acts::show_destroy),
            web::post().to(key_acts::destroy),
        ],
    );
    page(
        services,
        "/keys/{key}/policy",
        vec![
            web::get().to(policy::show_of_key),
            web::post().to(policy::set_of_key),
        ],
    );
    page(
        services,
        "/keys/{key}/share",
        vec![web::get().to(sharing::show), web::post().to(sharing::share)],
    );
    page(
        services,
        "/keys/{key}/grants/{grant}/policy",
        vec![
            web::get().to(policy::show_of_grant),
            web::post().to(policy::set_of_grant),
        ],
    );
    page(
        services,
        "/keys/{key}/grants/{grant}/revoke",
        vec![
            web::get().to(sharing::show_revoke),
            web::post().to(sharing::revoke),
        ],
    );
    page(
        services,
        "/keys/{key}/preview",
        vec![web::get().to(key::preview)],
    );
}

/// What has just been done, as the page after it says: its words stand here, the address holds their name and the leaf alone.
pub(crate) fn done(query: &Fields) -> Option<Html> {
    let (title, more) = match query.one("done") {
        "created" => ("The key is made", ""),
        "shared" => (
            "The key is shared",
            "The grantee finds it in their list from now on.",
        ),
        "revoked" => (
            "The grant is revoked",
            "The grantee's copy is deleted. What they received before, they may have kept.",
        ),
        "rotated" => (
            "The key has a new version",
            "What older versions protected can still be opened.",
        ),
        "state" => ("The key's state is changed", ""),
        "destroyed" => ("The key is destroyed", "Every copy is gone."),
        "policy" => ("The usage policy is changed", "It holds from now on."),
        "domain-policy" => ("The domain's policy is changed", "It holds from now on."),
        "member-added" => ("The member is added", ""),
        "member-removed" => (
            "The member is removed",
            "The group's key is being replaced in the background.",
        ),
        "session" => ("The session is ended", ""),
        "removed" => ("The credential is removed", ""),
        "passkey" => (
            "The passkey is registered",
            "From now on it opens sessions, and your password alone does not.",
        ),
        "password" => ("The password is changed", "Your other sessions have ended."),
        "totp" => ("The authenticator app is set up", ""),
        "device" => ("The device is changed", ""),
        "paired" => ("The device is paired", "It fetches its secret by itself."),
        "denied" => ("The device was denied", ""),
        "account" => ("The account is changed", ""),
        "recovery-cancelled" => ("The recovery is cancelled", ""),
        "fleet" => ("The fleet is changed", ""),
        "master-rotated" => (
            "The master KEK has a new version",
            "Account KEKs are moved to it in the background; nobody has to wait.",
        ),
        "master-retired" => ("The version is retired", ""),
        "master-destroyed" => ("The version is destroyed in the HSM", ""),
        "update-install" => (
            "The update is being installed",
            "Load the page again in a moment: it says when that is done.",
        ),
        "update-restart" => (
            "The machine restarts",
            "It is away for some minutes, and you have to sign in again then.",
        ),
        "update-drop" => ("The update is dropped", ""),
        "log-level" => ("The log level is changed", "It goes back by itself."),
        "kek-rotated" => (
            "The account's KEK has a new version",
            "What older versions sealed is moved to it in the background; nobody has to wait.",
        ),
        "linked" => (
            "Your account is linked",
            "You can sign in with that identity from now on.",
        ),
        "unlinked" => ("The link is removed", ""),
        "directory" => ("The directory is removed", ""),
        _ => return None,
    };
    Some(recorded(title, more, query))
}

/// A note that something is done, and as which leaf, as the address says.
pub(crate) fn recorded(title: &str, more: &str, query: &Fields) -> Html {
    let mut body = Html::from(more);
    if let Ok(leaf) = query.one("leaf").parse::<u64>() {
        body = Html::join(
            " ",
            [body, format!("Recorded as leaf {}.", count(leaf)).into()],
        );
    }
    Note::new(Tone::Good, title, body).html()
}
