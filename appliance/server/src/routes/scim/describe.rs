//! What the service says of itself (RFC 7644 section 4).

use actix_web::http::StatusCode;
use actix_web::web;
use serde_json::Value;
use strongroom_scim::{ResourceType, list_response, schema};

use super::{Answer, Directory, LONGEST_PAGE, Limits, answer, ask};
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// Answers a document that describes the service, to directories alone.
async fn described(
    directory: Directory,
    limits: Limits,
    keystore: OpenKeystore,
    document: impl FnOnce(&str) -> Option<Value>,
) -> Answer {
    let call = directory.call.clone();
    ask(keystore, limits, &directory.call, move |keystore| {
        keystore.check_directory(&call)
    })
    .await?;
    let document = document(&directory.base).ok_or_else(Failure::no_such_route)?;
    Ok(answer(StatusCode::OK, &document))
}

pub(super) async fn config(directory: Directory, limits: Limits, keystore: OpenKeystore) -> Answer {
    let document = |base: &str| Some(schema::service_provider_config(base, LONGEST_PAGE));
    described(directory, limits, keystore, document).await
}

pub(super) async fn resource_types(
    directory: Directory,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let all = |base: &str| {
        let all = ResourceType::ALL.map(|of| schema::resource_type(of, base));
        Some(list_response(2, 1, all.to_vec()))
    };
    described(directory, limits, keystore, all).await
}

pub(super) async fn resource_type(
    directory: Directory,
    name: web::Path<String>,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let found = ResourceType::ALL.into_iter().find(|of| of.name() == *name);
    let document = |base: &str| Some(schema::resource_type(found?, base));
    described(directory, limits, keystore, document).await
}

pub(super) async fn schemas(
    directory: Directory,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let all = |base: &str| {
        let all = ResourceType::ALL.map(|of| schema::schema(of, base));
        Some(list_response(2, 1, all.to_vec()))
    };
    described(directory, limits, keystore, all).await
}

pub(super) async fn schema_with(
    directory: Directory,
    id: web::Path<String>,
    limits: Limits,
    keystore: OpenKeystore,
) -> Answer {
    let found = ResourceType::ALL.into_iter().find(|of| of.schema() == *id);
    let document = |base: &str| Some(schema::schema(found?, base));
    described(directory, limits, keystore, document).await
}
