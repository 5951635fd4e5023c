//! Sealing to an agency's public key: HPKE (RFC 9180), base mode.
//!
//! The suite is that of [`strongroom_hpke`], as for factories. `info` is `strongroom/v1/disclosure`; there are no associated data: what is sealed says itself with which delivery it came.

use std::fmt;

use serde::{Deserialize, Serialize};
use strongroom_approval::canonical;
use strongroom_hpke::{HpkeError, PrivateKey, PublicKey, Sealed};
pub use strongroom_hpke::{PRIVATE_KEY_LEN, PUBLIC_KEY_LEN, SUITE};
use strongroom_wire::encoding::Base64;
use zeroize::Zeroizing;

use crate::DisclosureError;

/// What a sealed file's `format` says.
const FORMAT: &str = "strongroom-hpke/1";
const INFO: &[u8] = b"strongroom/v1/disclosure";

/// What the file of a sealed key holds, in JSON in the form of RFC 8785.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedFile {
    format: String,
    suite: String,
    encapsulated: Base64,
    sealed: Base64,
}

/// An agency's public key.
#[derive(Clone)]
pub struct HpkePublicKey(PublicKey);

impl HpkePublicKey {
    /// The key with these [`PUBLIC_KEY_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoSealingKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DisclosureError> {
        PublicKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| DisclosureError::NoSealingKey)
    }

    /// The key's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Seals to the key.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Failed`] when nothing can be sealed to it.
    pub fn seal(&self, content: &[u8]) -> Result<Vec<u8>, DisclosureError> {
        let Sealed {
            encapsulated,
            ciphertext,
        } = self
            .0
            .seal(INFO, &[], content)
            .map_err(|_| DisclosureError::Failed)?;
        let file = SealedFile {
            format: FORMAT.to_owned(),
            suite: SUITE.to_owned(),
            encapsulated: Base64(encapsulated),
            sealed: Base64(ciphertext),
        };
        canonical::to_vec(&file).map_err(|_| DisclosureError::Failed)
    }
}

impl fmt::Debug for HpkePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HpkePublicKey")
    }
}

/// An agency's private key. Zeroised when dropped.
pub struct HpkePrivateKey(PrivateKey);

impl HpkePrivateKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(PrivateKey::generate())
    }

    /// The key with these [`PRIVATE_KEY_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoAgencyKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DisclosureError> {
        PrivateKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| DisclosureError::NoAgencyKey)
    }

    /// The key's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; PRIVATE_KEY_LEN]> {
        self.0.to_bytes()
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> HpkePublicKey {
        HpkePublicKey(self.0.public_key())
    }

    /// Opens what was sealed to the public key.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Malformed`], [`DisclosureError::NotAuthentic`].
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, DisclosureError> {
        let file: SealedFile = canonical::from_slice(file)
            .ok()
            .filter(|file: &SealedFile| file.format == FORMAT && file.suite == SUITE)
            .ok_or(DisclosureError::Malformed)?;
        self.0
            .open(INFO, &[], &file.encapsulated.0, &file.sealed.0)
            .map_err(|error| match error {
                HpkeError::NotEncapsulated => DisclosureError::Malformed,
                _ => DisclosureError::NotAuthentic,
            })
    }
}

impl fmt::Debug for HpkePrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HpkePrivateKey(hidden)")
    }
}

/// Whether the file has the form of what [`HpkePublicKey::seal`] makes.
pub(crate) fn is_sealed(file: &[u8]) -> bool {
    file.first() == Some(&b'{')
}
