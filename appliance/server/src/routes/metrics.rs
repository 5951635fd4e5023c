//! Metrics for the monitoring.

use actix_web::{HttpResponse, get, web};
use metrics_exporter_prometheus::PrometheusHandle;
use strongroom_keystore::Keystore;

use super::health::NewestHealth;
use super::{Answer, wait_for};
use crate::metrics;

/// The media type of the Prometheus text format.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Show metrics in the Prometheus text format.
///
/// Needs no session: this listener belongs on the management network. Nothing in it names an account or a key.
#[utoipa::path(
    tag = "health",
    operation_id = "show_metrics",
    security(()),
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")),
)]
#[get("/metrics")]
pub(super) async fn show(
    newest: web::Data<NewestHealth>,
    handle: web::Data<PrometheusHandle>,
    keystore: web::Data<Keystore>,
) -> Answer {
    let text = wait_for(move || {
        let health = newest.get(|| keystore.health());
        metrics::state(&health, keystore.statistics().ok().as_ref());
        handle.render()
    })
    .await?;
    Ok(HttpResponse::Ok().content_type(FORMAT).body(text))
}
