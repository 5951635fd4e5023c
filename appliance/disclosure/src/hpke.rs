//! Sealing to an agency's public key: HPKE (RFC 9180), base mode.
//!
//! The suite is X-Wing (ML-KEM-768 with X25519; KEM 0x647a), HKDF-SHA-512 (0x0003) and AES-256-GCM (0x0002), as for factories. `info` is
//! `strongroom/v1/disclosure`; there are no associated data: what is sealed says itself with which delivery it came.

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha512;
use hpke::kem::XWing;
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal,
};
use serde::{Deserialize, Serialize};
use strongroom_approval::canonical;
use strongroom_wire::encoding::Base64;
use zeroize::Zeroizing;

use crate::DisclosureError;

/// The name of the suite. Another suite gets another name.
pub const SUITE: &str = "x-wing/hkdf-sha-512/aes-256-gcm";
/// The length of a public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = 1216;
/// The length of a private key, in bytes: the seed of X-Wing.
pub const PRIVATE_KEY_LEN: usize = 32;

/// What a sealed file's `format` says.
const FORMAT: &str = "strongroom-hpke/1";
const INFO: &[u8] = b"strongroom/v1/disclosure";

type PublicKey = <XWing as hpke::Kem>::PublicKey;
type PrivateKey = <XWing as hpke::Kem>::PrivateKey;
type EncappedKey = <XWing as hpke::Kem>::EncappedKey;

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
        self.0.to_bytes().to_vec()
    }

    /// Seals to the key.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Failed`] when nothing can be sealed to it.
    pub fn seal(&self, content: &[u8]) -> Result<Vec<u8>, DisclosureError> {
        let (encapsulated, sealed) = single_shot_seal::<AesGcm256, HkdfSha512, XWing>(
            &OpModeS::Base,
            &self.0,
            INFO,
            content,
            &[],
        )
        .map_err(|_| DisclosureError::Failed)?;
        let file = SealedFile {
            format: FORMAT.to_owned(),
            suite: SUITE.to_owned(),
            encapsulated: Base64(encapsulated.to_bytes().to_vec()),
            sealed: Base64(sealed),
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
        Self(XWing::gen_keypair().0)
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
        let mut bytes = Zeroizing::new([0; PRIVATE_KEY_LEN]);
        self.0.write_exact(&mut *bytes);
        bytes
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> HpkePublicKey {
        HpkePublicKey(XWing::sk_to_pk(&self.0))
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
        let encapsulated = EncappedKey::from_bytes(&file.encapsulated.0)
            .map_err(|_| DisclosureError::Malformed)?;
        single_shot_open::<AesGcm256, HkdfSha512, XWing>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            INFO,
            &file.sealed.0,
            &[],
        )
        .map(Zeroizing::new)
        .map_err(|_| DisclosureError::NotAuthentic)
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
