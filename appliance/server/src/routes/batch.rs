//! Many keys at once.

use actix_web::http::StatusCode;
use actix_web::post;
use strongroom_wire::key::{KeyRelease, ReleaseKeys, ReleasedKeys};

use super::body::LargeJson;
use super::{Answer, acted, ask, body::Json};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Release many keys' material to the caller.
///
/// Each is decided by itself and has a leaf of its own, and that one is refused stops no other. All leaves are durable before the answer.
#[utoipa::path(
    tag = "keys",
    operation_id = "release_keys",
    request_body = ReleaseKeys,
    responses((status = 200, description = "The wrapped material, or why there is none, in the order asked for.", body = ReleasedKeys)),
)]
#[post("/v1/keys/release")]
pub(super) async fn release(
    caller: Caller,
    Json(request): LargeJson<ReleaseKeys>,
    keystore: OpenKeystore,
) -> Answer {
    let released = ask(keystore, move |keystore| {
        keystore.release_keys(&caller, request)
    })
    .await?;
    let first = released.keys.iter().find_map(|key| match key {
        KeyRelease::Released(material) => Some(material.leaf),
        KeyRelease::Refused(problem) => problem.leaf,
    });
    Ok(acted(StatusCode::OK, &released, first.unwrap_or_default()))
}
