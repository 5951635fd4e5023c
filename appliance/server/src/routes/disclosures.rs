//! Disclosures under authorisations, their deliveries, holds and notifications.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, get, post, web};
use strongroom_wire::disclosure::{
    ChangedDisclosure, Disclosure, DisclosurePreview, Disclosures, Hold, Notifications,
};
use strongroom_wire::id::{AuthorisationId, DisclosureId};

use super::{Answer, Leaf, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;

/// Show what the scope of an authorisation reaches.
///
/// Executors and releasers, while the authorisation is in effect. Counts and metadata; a leaf says who looked.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "preview_disclosure",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    responses((status = 200, description = "What it reaches now.", body = DisclosurePreview)),
)]
#[post("/v1/authorisations/{authorisation}/preview")]
pub(super) async fn preview(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let preview = ask(keystore, move |keystore| {
        keystore.preview_disclosure(&caller, id)
    })
    .await?;
    Ok(acted(StatusCode::OK, &preview, preview.leaf))
}

/// Execute an authorisation.
///
/// Executors, while it is in effect; nobody who entered or approved it. What it reaches now can be released by another person. Nothing goes out.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "execute_disclosure",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    responses((status = 201, description = "The disclosure.", body = ChangedDisclosure)),
)]
#[post("/v1/authorisations/{authorisation}/disclosures")]
pub(super) async fn execute(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let executed = ask(keystore, move |keystore| {
        keystore.execute_disclosure(&caller, id)
    })
    .await?;
    Ok(acted(StatusCode::CREATED, &executed, executed.leaf))
}

/// List the disclosures under an authorisation.
///
/// Those who have a role in cases, and auditors.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "list_disclosures",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    responses((status = 200, description = "The disclosures, the oldest first.", body = Disclosures)),
)]
#[get("/v1/authorisations/{authorisation}/disclosures")]
pub(super) async fn list(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let disclosures = ask(keystore, move |keystore| keystore.disclosures(&caller, id)).await?;
    Ok(shown(&disclosures))
}

/// Show what an authorisation keeps from destruction.
///
/// Those who have a role in cases, and auditors.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "show_hold",
    params(("authorisation" = AuthorisationId, Path, description = "The authorisation.")),
    responses((status = 200, description = "Whether it keeps keys, and which.", body = Hold)),
)]
#[get("/v1/authorisations/{authorisation}/hold")]
pub(super) async fn hold(
    caller: Caller,
    authorisation: web::Path<AuthorisationId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = authorisation.into_inner();
    let hold = ask(keystore, move |keystore| keystore.hold(&caller, id)).await?;
    Ok(shown(&hold))
}

/// Show a disclosure.
///
/// Those who have a role in cases, and auditors.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "show_disclosure",
    params(("disclosure" = DisclosureId, Path, description = "The disclosure.")),
    responses((status = 200, description = "The disclosure.", body = Disclosure)),
)]
#[get("/v1/disclosures/{disclosure}")]
pub(super) async fn show(
    caller: Caller,
    disclosure: web::Path<DisclosureId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = disclosure.into_inner();
    let disclosure = ask(keystore, move |keystore| keystore.disclosure(&caller, id)).await?;
    Ok(shown(&disclosure))
}

/// Release a disclosure.
///
/// Releasers; nobody who executed it, or entered or approved its authorisation. Each key in scope is sealed to the agency, with a record and a leaf an
/// item, or nothing is.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "release_disclosure",
    params(("disclosure" = DisclosureId, Path, description = "The disclosure.")),
    responses((status = 200, description = "The disclosure.", body = ChangedDisclosure)),
)]
#[post("/v1/disclosures/{disclosure}/release")]
pub(super) async fn release(
    caller: Caller,
    disclosure: web::Path<DisclosureId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = disclosure.into_inner();
    let released = ask(keystore, move |keystore| {
        keystore.release_disclosure(&caller, id)
    })
    .await?;
    Ok(acted(StatusCode::OK, &released, released.leaf))
}

/// Fetch the package of a released disclosure.
///
/// Releasers. A leaf says that it was handed out. What was suspended, cancelled or became invalid since stays where it is.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "deliver_disclosure",
    params(("disclosure" = DisclosureId, Path, description = "The disclosure.")),
    responses((status = 200, description = "The package, a tape archive: manifest, delivery records, sealed keys.", content_type = "application/x-tar", body = Vec<u8>)),
)]
#[post("/v1/disclosures/{disclosure}/delivery")]
pub(super) async fn deliver(
    caller: Caller,
    disclosure: web::Path<DisclosureId>,
    keystore: OpenKeystore,
) -> Answer {
    let id = disclosure.into_inner();
    let delivery = ask(keystore, move |keystore| keystore.delivery(&caller, id)).await?;
    let mut response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/x-tar"))
        .insert_header((
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"delivery-{id}.tar\""),
        ))
        .body(delivery.package);
    response.extensions_mut().insert(Leaf(delivery.leaf));
    Ok(response)
}

/// Show what was disclosed of the caller's.
///
/// Everyone. Each disclosure appears once the delay that its order names is over.
#[utoipa::path(
    tag = "disclosures",
    operation_id = "list_notifications",
    responses((status = 200, description = "The notifications, the newest first.", body = Notifications)),
)]
#[get("/v1/notifications")]
pub(super) async fn notifications(caller: Caller, keystore: OpenKeystore) -> Answer {
    let notifications = ask(keystore, move |keystore| keystore.notifications(&caller)).await?;
    Ok(shown(&notifications))
}
