//! Metrics for the monitoring.

use actix_web::{HttpResponse, get, web};
use metrics_exporter_prometheus::PrometheusHandle;

use super::health::NewestStorage;
use super::{Answer, wait_for};
use crate::gate::Gate;
use crate::metrics;

/// The media type of the Prometheus text format.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Show metrics in the Prometheus text format.
///
/// Needs no session, and is answered whatever the appliance's state is: this listener belongs on the management network. Nothing in it names an account or a key.
#[utoipa::path(
    tag = "health",
    operation_id = "show_metrics",
    security(()),
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")),
)]
#[get("/metrics")]
pub(super) async fn show(
    storage: web::Data<NewestStorage>,
    handle: web::Data<PrometheusHandle>,
    gate: web::Data<Gate>,
) -> Answer {
    let text = wait_for(move || {
        metrics::state(&gate.health(&storage), gate.statistics().as_ref());
        metrics::domains(gate.tally().as_ref());
        metrics::watch(gate.watched().as_ref());
        metrics::storage_full(gate.is_full());
        for (member, status) in gate.hsms() {
            metrics::hsm(member.place.name(), status.as_ref());
        }
        handle.render()
    })
    .await?;
    Ok(HttpResponse::Ok().content_type(FORMAT).body(text))
}
