//! What the image says of itself.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use semver::Version;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use strongroom_update::Flavour;
use strongroom_wire::update::{InstalledRelease, RefusedUpdate, RunningRelease, Trial};

/// The release that an image is: `release.json` in its root, which dm-verity covers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ImageRelease {
    pub(super) version: Version,
    /// Releases with a lower one are not installed.
    pub(super) security_version: u32,
    pub(super) flavour: Flavour,
}

/// How it stands with releases: `state.json`, which the image's own units write at each boot and whenever something changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct State {
    pub(super) running: RunningRelease,
    pub(super) trial: bool,
    /// The least security version that the machine still starts, by its TPM's count; 0 where there is no count yet.
    #[serde(default)]
    pub(super) least_security_version: u32,
    #[serde(default)]
    pub(super) installed: Option<InstalledRelease>,
    #[serde(default)]
    pub(super) refused: Option<RefusedUpdate>,
    #[serde(default)]
    pub(super) last: Option<Trial>,
}

impl ImageRelease {
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        read(&folder.join("release.json"))
    }
}

impl State {
    pub(super) fn read(outbox: &Path) -> anyhow::Result<Self> {
        read(&outbox.join("state.json"))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} cannot be understood", path.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::update::{Slot, TrialOutcome};

    use super::*;

    #[test]
    fn what_the_image_writes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "release.json",
            r#"{"version":"0.2.0","security_version":3,"flavour":"metal"}"#,
        );
        let image = ImageRelease::read(folder.path()).unwrap();
        assert_eq!(image.version, Version::new(0, 2, 0));
        assert_eq!((image.security_version, image.flavour), (3, Flavour::Metal));

        write(
            "state.json",
            r#"{"running":{"version":"0.2.0","security_version":3,"slot":"b"},"trial":false,"installed":null,"refused":null,
                "last":{"version":"0.3.0","outcome":"rolled-back","why":"it was not blessed in time","at":"2026-12-01T10:00:00Z"}}"#,
        );
        let state = State::read(folder.path()).unwrap();
        assert_eq!(state.running.slot, Slot::B);
        let last = state.last.unwrap();
        assert_eq!(last.outcome, TrialOutcome::RolledBack);
        assert_eq!(last.why.as_deref(), Some("it was not blessed in time"));
        assert!(state.installed.is_none() && state.refused.is_none());

        write("state.json", r#"{"running":{"version":"0.2.0"}}"#);
        assert!(State::read(folder.path()).is_err());
    }
}
