//! What the health routes answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a part of the appliance works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Ok,
    /// It does not.
    Failing,
}

/// `GET /v1/health`. Status 200 when all is well, else 503.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// The appliance as a whole.
    pub status: Status,
    /// Whether the HSM answers.
    pub hsm: Status,
    /// Whether the database takes writes.
    pub storage: Status,
    /// The appliance's version.
    pub version: String,
}
