//! Which release this is: what the build wrote into the image.

use std::fs;

use anyhow::{Context as _, Result};
use semver::Version;
use serde::Deserialize;
use strongroom_update::Flavour;

/// In the root, which the kernel checks block by block, and in the initial RAM disk.
const FILE: &str = "/usr/share/strongroom/release.json";

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    pub(crate) version: Version,
    /// What the TPM's count is compared with.
    pub(crate) security_version: u32,
    /// For which machines it is.
    pub(crate) flavour: Flavour,
}

impl Release {
    /// The one that runs.
    pub(crate) fn running() -> Result<Self> {
        let text = fs::read(FILE).with_context(|| format!("{FILE} cannot be read"))?;
        serde_json::from_slice(&text).with_context(|| format!("{FILE} is no release"))
    }
}
