//! Objects: what PKCS #11 has beside keys, and what applications say of keys.

use actix_web::http::StatusCode;
use actix_web::{delete, get, put, web};
use strongroom_wire::id::ObjectId;
use strongroom_wire::object::{
    ChangedObject, ObjectDescription, ObjectPage, ObjectQuery, PartQuery, RemovedObject,
    ShownObject,
};

use super::body::{Json, LargeJson};
use super::{Answer, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Find objects.
///
/// Those of the caller's, whole, from an index; the parts of keys with their keys.
#[utoipa::path(
    tag = "objects",
    operation_id = "find_objects",
    params(ObjectQuery),
    responses((status = 200, description = "A page of objects.", body = ObjectPage)),
)]
#[get("/v1/objects")]
pub(super) async fn find(
    caller: Caller,
    query: web::Query<ObjectQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let page = ask(keystore, move |keystore| keystore.objects(&caller, query)).await?;
    Ok(shown(&page))
}

/// Show an object.
#[utoipa::path(
    tag = "objects",
    operation_id = "show_object",
    params(("object" = ObjectId, Path, description = "The object, or the key."), PartQuery),
    responses((status = 200, description = "The object.", body = ShownObject)),
)]
#[get("/v1/objects/{object}")]
pub(super) async fn show(
    caller: Caller,
    object: web::Path<ObjectId>,
    query: web::Query<PartQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let (object, part) = (object.into_inner(), query.part);
    let object = ask(keystore, move |keystore| {
        keystore.object(&caller, object, part)
    })
    .await?;
    Ok(shown(&object))
}

/// Make an object, or change what is said of one.
///
/// The caller chooses the identifier of a new one. Of a part of a key it is the key's.
#[utoipa::path(
    tag = "objects",
    operation_id = "put_object",
    params(("object" = ObjectId, Path, description = "The object, or the key."), PartQuery),
    request_body = ObjectDescription,
    responses((status = 200, description = "The object.", body = ChangedObject)),
)]
#[put("/v1/objects/{object}")]
pub(super) async fn put_object(
    caller: Caller,
    object: web::Path<ObjectId>,
    query: web::Query<PartQuery>,
    Json(description): LargeJson<ObjectDescription>,
    keystore: OpenKeystore,
) -> Answer {
    let (object, part) = (object.into_inner(), query.part);
    let changed = ask(keystore, move |keystore| {
        keystore.put_object(&caller, object, part, description)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Remove an object.
///
/// To remove a secret key, or the private half of a key pair, is to destroy the key.
#[utoipa::path(
    tag = "objects",
    operation_id = "remove_object",
    params(("object" = ObjectId, Path, description = "The object, or the key."), PartQuery),
    responses((status = 200, description = "The object is removed.", body = RemovedObject)),
)]
#[delete("/v1/objects/{object}")]
pub(super) async fn remove(
    caller: Caller,
    object: web::Path<ObjectId>,
    query: web::Query<PartQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let (object, part) = (object.into_inner(), query.part);
    let removed = ask(keystore, move |keystore| {
        keystore.remove_object(&caller, object, part)
    })
    .await?;
    Ok(acted(StatusCode::OK, &removed, removed.leaf))
}
