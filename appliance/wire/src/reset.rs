//! The factory reset of the machine that the appliance's image runs on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/appliance/reset`: to destroy all keys and data on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FactoryReset {
    /// The appliance's name, as somebody has typed it: nothing is reset under another one.
    pub name: String,
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderedReset {
    /// The index of the audit leaf.
    pub leaf: u64,
    /// The receivers of the log, such as a site's SIEM, and whether each has that leaf.
    pub receivers: Vec<ToldReceiver>,
}

/// A receiver of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToldReceiver {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it has confirmed the leaf. Whoever has not in time is not waited for.
    pub told: bool,
}
