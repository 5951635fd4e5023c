//! The audit log.

use actix_web::{HttpResponse, get, web};
use strongroom_console::exporting::{Broken, cosigned, pieces};
use strongroom_keystore::Refusal;
use strongroom_wire::audit::{
    CheckpointNote, ConsistencyProof, ConsistencyQuery, ExportQuery, InclusionProof, RecordPage,
    RecordQuery,
};

use super::{Answer, Leaf, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;
use crate::metrics as counters;
use crate::problems::Failure;

/// List audit records.
///
/// Owners see what concerns them or their keys; auditors see all.
#[utoipa::path(
    tag = "audit",
    operation_id = "list_records",
    params(RecordQuery),
    responses((status = 200, description = "A page of records, the newest first.", body = RecordPage)),
)]
#[get("/v1/audit")]
pub(super) async fn records(
    caller: Caller,
    query: web::Query<RecordQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let page = ask(keystore, move |keystore| keystore.records(&caller, query)).await?;
    Ok(shown(&page))
}

/// Show the newest signed checkpoint.
#[utoipa::path(
    tag = "audit",
    operation_id = "show_checkpoint",
    responses((status = 200, description = "The checkpoint (C2SP tlog-checkpoint).", body = CheckpointNote)),
)]
#[get("/v1/audit/checkpoint")]
pub(super) async fn checkpoint(caller: Caller, keystore: OpenKeystore) -> Answer {
    let note = ask(keystore, move |keystore| keystore.checkpoint(&caller)).await?;
    Ok(shown(&note))
}

/// Prove that a leaf is in the tree.
#[utoipa::path(
    tag = "audit",
    operation_id = "prove_inclusion",
    params(("index" = u64, Path, description = "The leaf's index.")),
    responses((status = 200, description = "The leaf and its inclusion proof (RFC 9162 section 2.1.3).", body = InclusionProof)),
)]
#[get("/v1/audit/{index}/proof")]
pub(super) async fn proof(caller: Caller, index: web::Path<u64>, keystore: OpenKeystore) -> Answer {
    let index = index.into_inner();
    let proof = ask(keystore, move |keystore| {
        keystore.inclusion_proof(&caller, index)
    })
    .await?;
    Ok(shown(&proof))
}

/// Prove that the log has only grown.
#[utoipa::path(
    tag = "audit",
    operation_id = "prove_consistency",
    params(ConsistencyQuery),
    responses((status = 200, description = "The consistency proof (RFC 9162 section 2.1.4).", body = ConsistencyProof)),
)]
#[get("/v1/audit/consistency")]
pub(super) async fn consistency(
    caller: Caller,
    query: web::Query<ConsistencyQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let growth = ask(keystore, move |keystore| {
        keystore.consistency_proof(&caller, query)
    })
    .await?;
    Ok(shown(&growth))
}

/// Export audit records.
///
/// A bundle, in lines of JSON, that is verified without the appliance. Owners get what concerns them or their keys; auditors get all that is asked for. The export has a
/// leaf of its own. An answer that breaks off is no bundle.
#[utoipa::path(
    tag = "audit",
    operation_id = "export_records",
    params(ExportQuery),
    responses((status = 200, description = "The bundle.", body = String, content_type = "application/x-ndjson")),
)]
#[get("/v1/audit/export")]
pub(super) async fn export(
    caller: Caller,
    query: web::Query<ExportQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let open = keystore.while_open();
    let begun = ask(keystore, move |keystore| {
        keystore.export_audit(&caller, query)
    })
    .await?;
    let begun = cosigned(&open, begun)
        .await
        .map_err(|broken| match broken {
            Broken::Keystore(error) => Refusal::from(error).into(),
            Broken::Closed | Broken::NotWhole | Broken::Failed => Failure::internal(),
        })?;
    let leaf = begun.leaf();
    let mut response = HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .body(pieces(open, begun, counters::panic));
    response.extensions_mut().insert(Leaf(leaf));
    Ok(response)
}
