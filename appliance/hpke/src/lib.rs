//! Sealing to somebody's public key: HPKE (RFC 9180), base mode, one message an encapsulation.
//!
//! There is one suite: X-Wing (ML-KEM-768 with X25519; KEM 0x647a), HKDF-SHA-512 (0x0003) and AES-256-GCM (0x0002). Whoever seals says by `info` what
//! for, so that what was sealed for one purpose does not open for another under the same key.

#![forbid(unsafe_code)]

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha512;
use hpke::kem::XWing;
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal,
};
use zeroize::Zeroizing;

/// The name of the suite, in files and answers. Another suite gets another name.
pub const SUITE: &str = "x-wing/hkdf-sha-512/aes-256-gcm";
/// The length of a public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = 1216;
/// The length of a private key, in bytes: the seed of X-Wing.
pub const PRIVATE_KEY_LEN: usize = 32;
/// The length of an encapsulated key, in bytes.
pub const ENCAPSULATED_LEN: usize = 1120;

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HpkeError {
    /// A public key has [`PUBLIC_KEY_LEN`] bytes and reduced coefficients (FIPS 203 section 7.2), a private one [`PRIVATE_KEY_LEN`]; this is neither.
    #[error("this is no key of X-Wing")]
    NoKey,
    /// An encapsulated key has [`ENCAPSULATED_LEN`] bytes.
    #[error("this is no encapsulated key of X-Wing")]
    NotEncapsulated,
    /// It was sealed to another key, for something else, or altered.
    #[error("it was sealed to another key or for something else, or was altered")]
    NotAuthentic,
}

/// What was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key, [`ENCAPSULATED_LEN`] bytes.
    pub encapsulated: Vec<u8>,
    /// The ciphertext, 16 bytes longer than what was sealed.
    pub ciphertext: Vec<u8>,
}

/// A public key.
#[derive(Clone)]
pub struct PublicKey(<XWing as hpke::Kem>::PublicKey);

impl PublicKey {
    /// The key with these [`PUBLIC_KEY_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`HpkeError::NoKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        <XWing as hpke::Kem>::PublicKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| HpkeError::NoKey)
    }

    /// The key's [`PUBLIC_KEY_LEN`] bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// Seals `content` to the key, for what `info` says, bound to `associated` data.
    ///
    /// # Errors
    ///
    /// [`HpkeError::NoKey`] when nothing can be sealed to it.
    pub fn seal(
        &self,
        info: &[u8],
        associated: &[u8],
        content: &[u8],
    ) -> Result<Sealed, HpkeError> {
        let (encapsulated, ciphertext) = single_shot_seal::<AesGcm256, HkdfSha512, XWing>(
            &OpModeS::Base,
            &self.0,
            info,
            content,
            associated,
        )
        .map_err(|_| HpkeError::NoKey)?;
        Ok(Sealed {
            encapsulated: encapsulated.to_bytes().to_vec(),
            ciphertext,
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// A private key. Zeroised when dropped.
pub struct PrivateKey(<XWing as hpke::Kem>::PrivateKey);

impl PrivateKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(XWing::gen_keypair().0)
    }

    /// The key with these [`PRIVATE_KEY_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`HpkeError::NoKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        <XWing as hpke::Kem>::PrivateKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| HpkeError::NoKey)
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
    pub fn public_key(&self) -> PublicKey {
        PublicKey(XWing::sk_to_pk(&self.0))
    }

    /// Opens what was sealed to the public key with this `info` and these `associated` data.
    ///
    /// # Errors
    ///
    /// [`HpkeError::NotEncapsulated`], [`HpkeError::NotAuthentic`].
    pub fn open(
        &self,
        info: &[u8],
        associated: &[u8],
        encapsulated: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        let encapsulated = <XWing as hpke::Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| HpkeError::NotEncapsulated)?;
        single_shot_open::<AesGcm256, HkdfSha512, XWing>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            info,
            ciphertext,
            associated,
        )
        .map(Zeroizing::new)
        .map_err(|_| HpkeError::NotAuthentic)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const INFO: &[u8] = b"strongroom/v1/test";

    #[test]
    fn it_opens_for_its_key_and_its_purpose_alone() {
        let private = PrivateKey::generate();
        let public = PublicKey::from_bytes(&private.public_key().to_bytes()).unwrap();
        let Sealed {
            encapsulated,
            ciphertext,
        } = public.seal(INFO, b"for you", b"secret").unwrap();
        assert_eq!(
            (encapsulated.len(), ciphertext.len()),
            (ENCAPSULATED_LEN, 22)
        );
        let kept = PrivateKey::from_bytes(&*private.to_bytes()).unwrap();
        let opened = kept.open(INFO, b"for you", &encapsulated, &ciphertext);
        assert_eq!(**opened.unwrap(), *b"secret");
        let refused = |key: &PrivateKey, info: &[u8], associated: &[u8]| {
            key.open(info, associated, &encapsulated, &ciphertext).err()
        };
        let not_authentic = Some(HpkeError::NotAuthentic);
        assert_eq!(
            refused(&PrivateKey::generate(), INFO, b"for you"),
            not_authentic
        );
        assert_eq!(refused(&private, b"another", b"for you"), not_authentic);
        assert_eq!(refused(&private, INFO, b"for me"), not_authentic);
        let short = private.open(INFO, b"for you", &encapsulated[1..], &ciphertext);
        assert_eq!(short.err(), Some(HpkeError::NotEncapsulated));
    }

    #[test]
    fn what_is_no_key_is_refused_and_keys_are_not_shown() {
        for length in [0, 31, 33, 1215, 1217] {
            let bytes = vec![1; length];
            assert_eq!(PublicKey::from_bytes(&bytes).err(), Some(HpkeError::NoKey));
            assert_eq!(PrivateKey::from_bytes(&bytes).err(), Some(HpkeError::NoKey));
        }
        // Coefficients that are not reduced (FIPS 203 section 7.2).
        assert!(PublicKey::from_bytes(&[0xff; PUBLIC_KEY_LEN]).is_err());
        assert_eq!(
            format!("{:?}", PrivateKey::generate()),
            "PrivateKey(hidden)"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_altered_opens(at in 0..ENCAPSULATED_LEN + 22, bit in 0..8) {
            let private = PrivateKey::generate();
            let mut sealed = private.public_key().seal(INFO, b"", b"secret").unwrap();
            match at.checked_sub(ENCAPSULATED_LEN) {
                None => sealed.encapsulated[at] ^= 1_u8 << bit,
                Some(at) => sealed.ciphertext[at] ^= 1_u8 << bit,
            }
            prop_assert!(private.open(INFO, b"", &sealed.encapsulated, &sealed.ciphertext).is_err());
        }
    }
}
