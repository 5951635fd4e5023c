//! What the service, and with it whoever asks, is told of releases.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use semver::Version;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where it is written for the service.
const FILE: &str = "/var/lib/strongroom/updates/outbox/state.json";

/// What runs, what is installed, and what came of the last that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) running: Running,
    /// Whether what runs has not proved itself yet.
    pub(crate) trial: bool,
    /// In the other slot, for the next start.
    pub(crate) installed: Option<Installed>,
    /// The last that was not installed.
    pub(crate) refused: Option<Refused>,
    /// The last that was installed and started.
    pub(crate) last: Option<Outcome>,
    /// What this machine still starts; 0 where nothing was counted yet.
    #[serde(default)]
    pub(crate) least_security_version: u32,
}

/// The release that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) version: Version,
    pub(crate) security_version: u32,
    pub(crate) slot: Slot,
}

/// One of the two roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Slot {
    A,
    B,
}

/// A release that waits for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installed {
    pub(crate) version: Version,
    pub(crate) security_version: u32,
    /// When, as RFC 3339 has it.
    pub(crate) at: String,
}

/// An update that was not installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// As the update says it; `unknown` where its head cannot be believed.
    pub(crate) version: String,
    pub(crate) why: String,
    pub(crate) at: String,
}

/// What came of a release that was installed and started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) version: Version,
    #[serde(rename = "outcome")]
    pub(crate) fate: Fate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    pub(crate) at: String,
}

/// Kept, or gone back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fate {
    Blessed,
    RolledBack,
}

impl Slot {
    /// The one that does not run while this one does.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its letter in the names of partitions.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl State {
    /// As it was last written; none where it never was.
    pub(crate) fn read() -> Result<Option<Self>> {
        match fs::read(FILE) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .with_context(|| format!("{FILE} cannot be read")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{FILE} cannot be read")),
        }
    }

    /// Writes it, whole, for everybody to read.
    pub(crate) fn write(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("the state cannot be written")?;
        crate::files::replace(Path::new(FILE), 0o644, &text)
    }
}

/// The present moment, in whole seconds.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    // The years that this cannot write are beyond 9999.
    whole.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_state_is_written_as_the_service_reads_it() {
        let state = State {
            running: Running {
                version: Version::new(0, 2, 0),
                security_version: 2,
                slot: Slot::B,
            },
            trial: true,
            installed: None,
            refused: None,
            last: Some(Outcome {
                version: Version::new(0, 1, 9),
                fate: Fate::RolledBack,
                why: Some("it panicked".to_owned()),
                at: "2026-11-30T12:00:00Z".to_owned(),
            }),
            least_security_version: 1,
        };
        let json = serde_json::json!({
            "running": {"version": "0.2.0", "security_version": 2, "slot": "b"},
            "trial": true, "installed": null, "refused": null,
            "last": {"version": "0.1.9", "outcome": "rolled-back", "why": "it panicked", "at": "2026-11-30T12:00:00Z"},
            "least_security_version": 1,
        });
        assert_eq!(serde_json::to_value(&state).unwrap(), json);
        assert_eq!(serde_json::from_value::<State>(json).unwrap(), state);
    }

    #[test]
    fn a_moment_has_whole_seconds() {
        let now = now();
        assert_eq!(now.len(), "2026-11-30T12:00:00Z".len(), "{now}");
    }
}
