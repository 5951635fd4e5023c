//! What is sealed to the agency: a key with the material of its versions.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::{DisclosureId, KeyId};
use strongroom_wire::key::Algorithm;
use zeroize::{Zeroize as _, Zeroizing};

use crate::DisclosureError;

/// What a disclosed key's `format` says.
pub const FORMAT: &str = "strongroom-disclosed-key/1";

/// A key as the agency gets it. In JSON in the form of RFC 8785.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosedKey {
    /// [`FORMAT`].
    pub format: String,
    /// The reference of the order under which it was disclosed.
    pub reference: String,
    /// The delivery with which it came.
    pub delivery: DisclosureId,
    /// Its place in it; the first is 1.
    pub sequence: u32,
    /// The key.
    pub key: KeyId,
    /// What it is for.
    pub algorithm: Algorithm,
    /// The material of each version, the oldest first.
    pub versions: Vec<DisclosedVersion>,
}

/// One version of a disclosed key.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosedVersion {
    /// The version; the first is 1.
    pub version: u32,
    /// Its material: a symmetric key's bytes, or the private key of a pair in PKCS #8.
    pub material: Base64,
}

impl DisclosedKey {
    /// The bytes that are sealed.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Failed`], never for what is well-formed.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, DisclosureError> {
        let failed = |_| DisclosureError::Failed;
        let length: usize = self.versions.iter().map(|one| one.material.0.len()).sum();
        // Room for all of it, so that no part of the material is left behind where it was too small.
        let room =
            512 + 6 * self.reference.len() + 64 * self.versions.len() + length.div_ceil(3) * 4;
        let mut text = Zeroizing::new(String::with_capacity(room));
        let quoted = |value: &str| serde_json::to_string(value).map_err(failed);
        // In the order that section 3.2.3 of the RFC has. Writing to a string does not fail.
        let _ = write!(
            text,
            "{{\"algorithm\":{},\"delivery\":\"{}\",\"format\":{},\"key\":\"{}\",\"reference\":{},\"sequence\":{},\"versions\":[",
            quoted(self.algorithm.as_str())?,
            self.delivery,
            quoted(&self.format)?,
            self.key,
            quoted(&self.reference)?,
            self.sequence,
        );
        for (position, one) in self.versions.iter().enumerate() {
            text.push_str(if position == 0 { "" } else { "," });
            text.push_str("{\"material\":\"");
            URL_SAFE_NO_PAD.encode_string(&one.material.0, &mut text);
            let _ = write!(text, "\",\"version\":{}}}", one.version);
        }
        text.push_str("]}");
        Ok(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
    }

    /// The disclosed key of these bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoDisclosedKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DisclosureError> {
        let key: Self =
            serde_json::from_slice(bytes).map_err(|_| DisclosureError::NoDisclosedKey)?;
        if key.format == FORMAT && !key.versions.is_empty() && **key.to_bytes()? == *bytes {
            Ok(key)
        } else {
            Err(DisclosureError::NoDisclosedKey)
        }
    }

    /// The material of one version.
    #[must_use]
    pub fn material(&self, version: u32) -> Option<&[u8]> {
        self.versions
            .iter()
            .find(|one| one.version == version)
            .map(|one| one.material.0.as_slice())
    }
}

impl Drop for DisclosedVersion {
    fn drop(&mut self) {
        self.material.0.zeroize();
    }
}

impl fmt::Debug for DisclosedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisclosedKey({})", self.key)
    }
}

impl fmt::Debug for DisclosedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisclosedVersion({})", self.version)
    }
}
