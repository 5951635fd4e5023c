//! The description of this interface.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, get};

use super::{Answer, document};

/// Show this document.
#[utoipa::path(
    tag = "health",
    operation_id = "show_openapi",
    security(()),
    responses((status = 200, description = "The OpenAPI 3.1 document.", body = serde_json::Value)),
)]
#[get("/v1/openapi.json")]
pub(super) async fn show() -> Answer {
    let text = document::text()?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(text))
}
