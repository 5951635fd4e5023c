//! What the health routes answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::Timestamp;

/// Whether a part of the appliance works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Ok,
    /// It does not.
    Failing,
}

/// Whether the appliance takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does. What needs the HSM may still fail while that is away.
    Serving,
    /// It has not reached its HSM yet; it goes on trying by itself.
    Opening,
    /// It waits for its operators.
    Sealed,
}

/// `GET /v1/health`. Status 200 when all is well, else 503.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// The appliance as a whole.
    pub status: Status,
    /// Whether it takes requests.
    pub state: State,
    /// Whether an HSM answers.
    pub hsm: Status,
    /// Whether the database takes writes.
    pub storage: Status,
    /// How many of its domains cannot be opened, or lack something in the background. The others are not concerned.
    #[serde(default)]
    pub failing_domains: u64,
    /// How many witnesses do not cosign: they are away, or refuse the log.
    #[serde(default)]
    pub failing_witnesses: u64,
    /// How many receivers of the log, such as a site's SIEM, do not take it.
    #[serde(default)]
    pub failing_receivers: u64,
    /// How many rows of the database the newest scrubs found that do not follow from the log.
    #[serde(default)]
    pub scrub_findings: u64,
    /// Whether the files of the certificate that the appliance shows can be used, and it is good for two weeks more. Where that is
    /// not so, the appliance is not unhealthy: it goes on.
    #[serde(default = "works")]
    pub certificate: Status,
    /// When that certificate lapses; absent where the appliance does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_lapses: Option<Timestamp>,
    /// The appliance's version.
    pub version: String,
}

/// What is not said to fail.
const fn works() -> Status {
    Status::Ok
}
