//! What an update says of itself.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, PartName};

/// The format of the manifest that this crate makes and reads.
pub const FORMAT: u64 = 1;

/// What an update says of itself, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u64,
    /// The release's version. It has no build metadata: boot loaders read what follows a `+` in a file's name as a count of tries.
    pub version: Version,
    /// What the least security version that a machine still starts is compared with, from 1. It is raised when older releases are no longer to
    /// start.
    pub security_version: u32,
    /// For which machines the image is.
    pub flavour: Flavour,
    /// The root hash of the image's root (dm-verity), which the kernel's command line holds and which names both partitions.
    pub root_hash: Sha256Hash,
    /// The parts that follow.
    pub parts: Parts,
}

/// For which machines an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// Virtual machines: the small kernel.
    Vm,
    /// Servers in a rack: the kernel with every driver.
    Metal,
}

/// The parts of an update, in the order in which they follow its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The unified kernel image, signed for Secure Boot.
    pub kernel: Part,
    /// The root file system.
    pub root: Part,
    /// The tree of hashes over the root (dm-verity).
    pub verity: Part,
}

/// What is known of a part before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// How long it is, in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
}

/// A SHA-256, which is written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256Hash(pub [u8; 32]);

impl Manifest {
    /// The manifest of an update.
    ///
    /// # Errors
    /// [`Error::Unusable`] where it says what none may say.
    pub fn new(
        version: Version,
        security_version: u32,
        flavour: Flavour,
        root_hash: Sha256Hash,
        parts: Parts,
    ) -> Result<Self, Error> {
        let manifest = Self {
            format: FORMAT,
            version,
            security_version,
            flavour,
            root_hash,
            parts,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// The name of the update's file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("strongroom_{}.update", self.version)
    }

    /// A manifest whose signature was verified.
    pub(crate) fn read(json: &[u8]) -> Result<Self, Error> {
        /// What every format says of itself, whatever else it may say.
        #[derive(Deserialize)]
        struct Formatted {
            format: u64,
        }

        let Formatted { format } = serde_json::from_slice(json).map_err(Error::Manifest)?;
        if format != FORMAT {
            return Err(Error::Format(format));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(Error::Manifest)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), Error> {
        if !self.version.build.is_empty() {
            return Err(Error::Unusable("a version with build metadata"));
        }
        if self.security_version == 0 {
            return Err(Error::Unusable("the security version 0"));
        }
        if self.parts.iter().any(|(_, part)| part.size == 0) {
            return Err(Error::Unusable("a part without a byte"));
        }
        if self.parts.length().is_none() {
            return Err(Error::Unusable("parts longer than any file"));
        }
        Ok(())
    }
}

impl Parts {
    /// All parts, in the order in which they stand.
    pub fn iter(&self) -> impl Iterator<Item = (PartName, &Part)> {
        [
            (PartName::Kernel, &self.kernel),
            (PartName::Root, &self.root),
            (PartName::Verity, &self.verity),
        ]
        .into_iter()
    }

    /// How long they are together, in bytes. None where that is more than any file has.
    pub(crate) fn length(&self) -> Option<u64> {
        self.iter()
            .try_fold(0_u64, |sum, (_, part)| sum.checked_add(part.size))
            // So that the head fits beside them.
            .filter(|sum| *sum <= i64::MAX.unsigned_abs())
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vm => "vm",
            Self::Metal => "metal",
        })
    }
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Sha256Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut hash = [0; 32];
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut hash) {
            Ok(()) if is_lower => Ok(Self(hash)),
            _ => Err(Error::Unusable("a hash that is not 64 hexadecimal digits")),
        }
    }
}

impl Serialize for Sha256Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
