//! Releases of the image: which one runs, and updates to another.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, delete, get, post, put, web};
use strongroom_keystore::{Keystore, Presented};
use strongroom_wire::account::Done;
use strongroom_wire::problem::Code;
use strongroom_wire::reset::{FactoryReset, OrderedReset};
use strongroom_wire::update::{
    ApplianceRelease, OrderedInstall, PIECE_MAX, ReceivedUpdate, UpdateQuery,
};

use super::{Answer, acted, body, shown, wait_for};
use crate::auth::Caller;
use crate::gate::{Gate, OpenKeystore};
use crate::problems::Failure;
use crate::updates::Updates;

/// The updates of an appliance that runs from an image; none of one that does not.
pub(crate) type Image = Option<Arc<Updates>>;

/// Show which release of the image runs, and what becomes of updates.
///
/// Administrators and security officers of the appliance's first domain.
#[utoipa::path(
    tag = "updates",
    operation_id = "show_release",
    responses((status = 200, description = "The release.", body = ApplianceRelease)),
)]
#[get("/v1/appliance/release")]
pub(super) async fn show(
    caller: Caller,
    keystore: OpenKeystore,
    image: web::Data<Image>,
) -> Answer {
    let release = wait_for(move || {
        let updates = for_machine(&keystore, &caller, &image)?;
        keystore.may_see_machine(&caller)?;
        updates.told()
    })
    .await??;
    Ok(shown(&release))
}

/// Send a piece of an update.
///
/// Administrators and security officers of the appliance's first domain. The first piece, at offset 0, holds the head of the update: its signature, flavour and versions are
/// looked at before a byte is written. Whoever was cut off goes on at the offset that the release is shown with. With the last byte the update is
/// verified; then it is staged.
#[utoipa::path(
    tag = "updates",
    operation_id = "send_update",
    params(UpdateQuery),
    request_body(content = [u8], content_type = "application/octet-stream", description = "At most 8 MiB of the update."),
    responses((status = 200, description = "How far it is.", body = ReceivedUpdate)),
)]
#[put("/v1/appliance/update")]
pub(super) async fn send(
    caller: Caller,
    query: web::Query<UpdateQuery>,
    request: HttpRequest,
    payload: web::Payload,
    keystore: OpenKeystore,
    image: web::Data<Image>,
) -> Answer {
    let offset = query.offset;
    // Who may not is told before anything of theirs is read.
    let (asked, first, known) = (caller.clone(), keystore.clone(), image.clone());
    wait_for(move || {
        for_machine(&first, &asked, &known)?;
        if offset == 0 {
            first.may_update(&asked)?;
        } else {
            first.may_see_machine(&asked)?;
        }
        Ok::<_, Failure>(())
    })
    .await??;
    let piece = body::bytes(&request, payload, PIECE_MAX).await?;
    let received = wait_for(move || {
        let updates = for_machine(&keystore, &caller, &image)?;
        updates.receive_from(&keystore, &caller, offset, &piece)
    })
    .await??;
    Ok(match received.leaf {
        Some(leaf) => acted(StatusCode::OK, &received, leaf),
        None => shown(&received),
    })
}

/// Drop what has arrived of an update.
///
/// Administrators and security officers of the appliance's first domain.
#[utoipa::path(
    tag = "updates",
    operation_id = "drop_update",
    responses((status = 200, description = "It is gone.", body = Done)),
)]
#[delete("/v1/appliance/update")]
pub(super) async fn drop_update(
    caller: Caller,
    keystore: OpenKeystore,
    image: web::Data<Image>,
) -> Answer {
    let done = order(caller, keystore, image, Updates::drop_for).await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Have the staged update installed.
///
/// Administrators and security officers of the appliance's first domain. It is verified again and written into the slot beside the running release's; a
/// restart then puts it on trial.
#[utoipa::path(
    tag = "updates",
    operation_id = "install_update",
    responses((status = 202, description = "It is ordered.", body = OrderedInstall)),
)]
#[post("/v1/appliance/update/install")]
pub(super) async fn install(
    caller: Caller,
    keystore: OpenKeystore,
    image: web::Data<Image>,
) -> Answer {
    let ordered = order(caller, keystore, image, Updates::install_for).await?;
    Ok(acted(StatusCode::ACCEPTED, &ordered, ordered.leaf))
}

/// Restart the machine.
///
/// Administrators and security officers of the appliance's first domain. Where another release is installed, that is started, on trial.
#[utoipa::path(
    tag = "updates",
    operation_id = "restart_appliance",
    responses((status = 202, description = "It is ordered.", body = Done)),
)]
#[post("/v1/appliance/restart")]
pub(super) async fn restart(
    caller: Caller,
    keystore: OpenKeystore,
    image: web::Data<Image>,
) -> Answer {
    let done = order(caller, keystore, image, Updates::restart_for).await?;
    Ok(acted(StatusCode::ACCEPTED, &done, done.leaf))
}

/// Reset the machine to how it left the factory.
///
/// Administrators and security officers of the appliance's first domain, with the approvals that its policy demands. All keys and data on the machine are destroyed, at
/// once and for ever, once the order is a leaf and the receivers of the log have it; who does not take it within seconds is not waited for.
#[utoipa::path(
    tag = "updates",
    operation_id = "reset_appliance",
    request_body = FactoryReset,
    responses((status = 202, description = "It is ordered.", body = OrderedReset)),
)]
#[post("/v1/appliance/reset")]
pub(super) async fn reset(
    caller: Caller,
    body::Json(request): body::Json<FactoryReset>,
    keystore: OpenKeystore,
    image: web::Data<Image>,
    gate: web::Data<Gate>,
) -> Answer {
    let ordered = wait_for(move || {
        let updates = for_machine(&keystore, &caller, &image)?;
        keystore.may_update(&caller)?;
        if request.name != gate.appliance() {
            return Err(Failure::new(
                Code::Invalid,
                "That is not this appliance's name: nothing was reset.",
            ));
        }
        updates.reset_for(&keystore, &caller, |leaf| {
            gate.tell_receivers(&keystore, leaf)
        })
    })
    .await??;
    Ok(acted(StatusCode::ACCEPTED, &ordered, ordered.leaf))
}

/// Has something done with updates by those who look after the machine.
async fn order<T: Send + 'static>(
    caller: Caller,
    keystore: OpenKeystore,
    image: web::Data<Image>,
    order: fn(&Updates, &Keystore, &Presented) -> Result<T, Failure>,
) -> Result<T, Failure> {
    wait_for(move || {
        let updates = for_machine(&keystore, &caller, &image)?;
        order(updates, &keystore, &caller)
    })
    .await?
}

/// The updates of this appliance, for those who look after the machine: the administrators of its first domain. Whoever has not signed in learns
/// neither whether it is the first one nor whether there is an image.
fn for_machine<'a>(
    keystore: &OpenKeystore,
    caller: &Presented,
    image: &'a Image,
) -> Result<&'a Updates, Failure> {
    if !keystore.is_first() {
        keystore.may_see_machine(caller)?;
        return Err(Failure::new(
            Code::NotPermitted,
            "The machine is looked after by the administrators of its first domain.",
        ));
    }
    of_image(image).or_else(|failure| {
        keystore.may_see_machine(caller)?;
        Err(failure)
    })
}

/// The updates of this appliance, if it runs from an image.
pub(crate) fn of_image(image: &Image) -> Result<&Updates, Failure> {
    image.as_deref().ok_or_else(|| {
        Failure::new(
            Code::NotAnImage,
            "This appliance does not run from Strongroom's image, and only the image is updated: its programs are updated as they were installed.",
        )
    })
}
