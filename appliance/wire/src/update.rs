//! Releases of the appliance's image: which one runs, and updates to another.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::encoding::Timestamp;

/// The most bytes of an update that are sent at once.
pub const PIECE_MAX: usize = 8 * 1024 * 1024;
/// The media type of an update's bytes.
pub const PIECE_TYPE: &str = "application/octet-stream";

/// `GET /v1/appliance/release`: which release of the image runs, and what becomes of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApplianceRelease {
    /// The release that runs.
    pub running: RunningRelease,
    /// Whether it has yet to prove itself. Where it does not, the machine goes back to the release before by itself.
    pub trial: bool,
    /// Since when the appliance serves with it.
    pub since: Timestamp,
    /// An update of which some has arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving: Option<ReceivingUpdate>,
    /// An update that is whole and waits to be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<StagedUpdate>,
    /// Whether it was ordered to be installed, and has not been yet.
    #[serde(default)]
    pub installing: bool,
    /// Whether a restart was ordered, and has not begun yet.
    #[serde(default)]
    pub restarting: bool,
    /// The release that stands in the other slot, to be tried at the next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<InstalledRelease>,
    /// The newest update that could not be installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedUpdate>,
    /// What came of the newest trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Trial>,
}

/// The release that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunningRelease {
    /// Its version.
    pub version: String,
    /// Releases with a lower one than the machine has ever blessed do not start.
    pub security_version: u32,
    /// Which of the two slots it stands in.
    pub slot: Slot,
}

/// One of the two places for a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// An update of which some has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceivingUpdate {
    /// The release's version.
    pub version: String,
    /// How many bytes have arrived: where it goes on.
    pub offset: u64,
    /// How many there are in all.
    pub length: u64,
    /// How long its signed head is, in bytes.
    pub head_length: u64,
    /// SHA-256 of the head, in hexadecimal: by this, whoever goes on knows that it is the same update.
    pub head_sha256: String,
}

/// An update that is whole, verified, and waits to be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StagedUpdate {
    /// The release's version.
    pub version: String,
    /// Its security version.
    pub security_version: u32,
    /// How many bytes it has.
    pub length: u64,
}

/// A release that stands in the other slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstalledRelease {
    /// Its version.
    pub version: String,
    /// Its security version.
    pub security_version: u32,
    /// When it was installed.
    pub at: Timestamp,
}

/// An update that could not be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedUpdate {
    /// The release's version, as far as it is known.
    pub version: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// The version of the release that was on trial.
    pub version: String,
    /// What came of it.
    pub outcome: TrialOutcome,
    /// Why, where it went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What may come of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrialOutcome {
    /// The release has proved itself and stays.
    Blessed,
    /// The machine went back to the release before.
    RolledBack,
}

impl TrialOutcome {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blessed => "blessed",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// `PUT /v1/appliance/update`: where in the update the bytes of the body stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UpdateQuery {
    /// How many bytes of the update come before them. 0 begins anew.
    pub offset: u64,
}

/// `PUT /v1/appliance/update`: how far the update is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceivedUpdate {
    /// The release's version.
    pub version: String,
    /// How many bytes have arrived: where it goes on.
    pub offset: u64,
    /// How many there are in all.
    pub length: u64,
    /// Where it is whole and verified: the index of the audit leaf that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
}

/// `POST /v1/appliance/update/install`: what will be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderedInstall {
    /// The release's version.
    pub version: String,
    /// The index of the audit leaf.
    pub leaf: u64,
}
