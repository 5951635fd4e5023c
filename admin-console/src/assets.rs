//! The files of pages: one style sheet and a few small scripts, each at an address that names its content, so that browsers may keep them.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};
use sha2::{Digest as _, Sha256};

/// A file.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! asset {
    ($name:literal, $type:literal) => {
        Asset {
            name: $name,
            content_type: $type,
            text: include_str!(concat!("../assets/", $name)),
        }
    };
}

const ASSETS: [Asset; 11] = [
    asset!("console.css", "text/css; charset=utf-8"),
    asset!("theme.js", "text/javascript; charset=utf-8"),
    asset!("console.js", "text/javascript; charset=utf-8"),
    asset!("webauthn.js", "text/javascript; charset=utf-8"),
    asset!("passkey.js", "text/javascript; charset=utf-8"),
    asset!("approve.js", "text/javascript; charset=utf-8"),
    asset!("progress.js", "text/javascript; charset=utf-8"),
    asset!("export.js", "text/javascript; charset=utf-8"),
    asset!("proof.js", "text/javascript; charset=utf-8"),
    asset!("import.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
];

/// Names all files' content.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = ASSETS
        .iter()
        .fold(Sha256::new(), |hash, asset| hash.chain_update(asset.text));
    hex::encode(&hash.finalize()[..8])
});

pub(crate) fn routes(services: &mut ServiceConfig) {
    services.route("/assets/{version}/{name}", web::get().to(show));
}

async fn show(path: web::Path<(String, String)>) -> HttpResponse {
    let (version, name) = path.into_inner();
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let Some(asset) = found.filter(|_| version == *VERSION) else {
        return HttpResponse::NotFound().finish();
    };
    let mut response: HttpResponseBuilder = HttpResponse::Ok();
    crate::show::headers(&mut response);
    response
        .insert_header((CONTENT_TYPE, asset.content_type))
        // The address changes with the content.
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.text)
}
