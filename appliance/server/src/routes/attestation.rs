//! Attestation of the machine that the appliance runs on.

use std::sync::Arc;

use actix_web::{post, web};
use strongroom_wire::attestation::{Attestation, AttestationRequest};
use strongroom_wire::problem::Code;

use super::body::Json;
use super::{Answer, shown, wait_for};
use crate::attestation::Attestor;
use crate::auth::Caller;
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// What has the TPM attest, for an appliance that runs from an image; none of one that does not.
pub(crate) type Attesting = Option<Arc<Attestor>>;

/// Have the machine attested.
///
/// Administrators, security officers and auditors of the appliance's first domain. The machine's TPM signs what it has measured, and besides: the nonce, the
/// release, the certificate that this listener shows, and the newest signed checkpoint of the domain's audit log. Nothing is recorded.
#[utoipa::path(
    tag = "updates",
    operation_id = "attest_appliance",
    request_body = AttestationRequest,
    responses((status = 200, description = "The TPM's quote.", body = Attestation)),
)]
#[post("/v1/appliance/attestation")]
pub(super) async fn attest(
    caller: Caller,
    Json(request): Json<AttestationRequest>,
    keystore: OpenKeystore,
    attesting: web::Data<Attesting>,
) -> Answer {
    let attestation = wait_for(move || {
        keystore.may_attest(&caller)?;
        if !keystore.is_first() {
            return Err(Failure::new(
                Code::NotPermitted,
                "The machine is attested to the auditors and the administrators of its first domain.",
            ));
        }
        let attestor = attesting.as_deref().ok_or_else(|| {
            Failure::new(
                Code::NotAnImage,
                "This appliance does not run from Strongroom's image, and only the image's machine is attested.",
            )
        })?;
        attestor.attest_for(&keystore, &caller, request.nonce)
    })
    .await??;
    Ok(shown(&attestation))
}
