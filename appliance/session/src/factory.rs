//! New devices' secrets on their way to the factory that builds the devices: HPKE (RFC 9180), base mode.
//!
//! Whoever has the appliance make devices gives it the factory's public key. The secrets come back wrapped to that key, so that nobody
//! between the appliance and the factory, the administrator who asked included, learns them.
//!
//! The suite is that of [`strongroom_hpke`]. `info` is `strongroom/v1/factory`; the associated data are these lines, each ended by a line feed but the last:
//!
//! ```text
//! 0198d3c1-…        the account's identifier
//! 1                 the secret's generation
//! SN-000001         the device's serial number
//! default           the domain
//! ```

use std::fmt;

pub use strongroom_hpke::{PRIVATE_KEY_LEN, PUBLIC_KEY_LEN, SUITE};
use strongroom_hpke::{PrivateKey, PublicKey, Sealed};
use strongroom_wire::id::AccountId;
use zeroize::Zeroizing;

use crate::AccountSecret;

const INFO: &[u8] = b"strongroom/v1/factory";

/// What a wrapped secret is bound to.
#[derive(Debug, Clone, Copy)]
pub struct WrappedFor<'a> {
    /// The domain's name.
    pub domain: &'a str,
    /// The device's account.
    pub account: AccountId,
    /// The secret's generation.
    pub generation: u32,
    /// The device's serial number, without line feeds.
    pub serial: &'a str,
}

impl WrappedFor<'_> {
    fn associated_data(&self) -> String {
        let Self {
            domain,
            account,
            generation,
            serial,
        } = self;
        format!("{account}\n{generation}\n{serial}\n{domain}")
    }
}

/// The bytes are no key of X-Wing, or the secret does not open: it was wrapped to another key or for another device, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactoryError {
    /// A public key has [`PUBLIC_KEY_LEN`] bytes, a private one [`PRIVATE_KEY_LEN`], and this is neither.
    #[error("this is no key of a factory")]
    NoKey,
    /// The secret was not wrapped to this key and for this device.
    #[error("the secret was wrapped to another key or for another device, or was altered")]
    Mismatch,
}

/// The factory's public key.
#[derive(Clone)]
pub struct FactoryPublicKey(PublicKey);

impl FactoryPublicKey {
    /// The key with these [`PUBLIC_KEY_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`FactoryError::NoKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FactoryError> {
        PublicKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| FactoryError::NoKey)
    }

    /// The key's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Wraps a device's secret: the encapsulated key (1120 bytes) and the sealed secret (48 bytes).
    ///
    /// # Errors
    ///
    /// [`FactoryError::NoKey`] when nothing can be wrapped to the key.
    pub fn wrap(
        &self,
        secret: &AccountSecret,
        wrapped_for: &WrappedFor<'_>,
    ) -> Result<(Vec<u8>, Vec<u8>), FactoryError> {
        let associated = wrapped_for.associated_data();
        let Sealed {
            encapsulated,
            ciphertext,
        } = self
            .0
            .seal(INFO, associated.as_bytes(), secret.as_bytes())
            .map_err(|_| FactoryError::NoKey)?;
        Ok((encapsulated, ciphertext))
    }
}

impl fmt::Debug for FactoryPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactoryPublicKey")
    }
}

/// The factory's private key. Zeroised when dropped.
pub struct FactoryKey(PrivateKey);

impl FactoryKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(PrivateKey::generate())
    }

    /// The key with these [`PRIVATE_KEY_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`FactoryError::NoKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FactoryError> {
        PrivateKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| FactoryError::NoKey)
    }

    /// The key's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; PRIVATE_KEY_LEN]> {
        self.0.to_bytes()
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> FactoryPublicKey {
        FactoryPublicKey(self.0.public_key())
    }

    /// Unwraps a device's secret.
    ///
    /// # Errors
    ///
    /// [`FactoryError::Mismatch`].
    pub fn unwrap(
        &self,
        encapsulated: &[u8],
        sealed: &[u8],
        wrapped_for: &WrappedFor<'_>,
    ) -> Result<AccountSecret, FactoryError> {
        let associated = wrapped_for.associated_data();
        let secret = self
            .0
            .open(INFO, associated.as_bytes(), encapsulated, sealed)
            .map_err(|_| FactoryError::Mismatch)?;
        let secret = secret
            .as_slice()
            .try_into()
            .map_err(|_| FactoryError::Mismatch)?;
        Ok(AccountSecret::from_bytes(secret))
    }
}

impl fmt::Debug for FactoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactoryKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_secret_opens_for_its_factory_and_its_device_alone() {
        let factory = FactoryKey::generate();
        let public = factory.public_key().to_bytes();
        assert_eq!(public.len(), PUBLIC_KEY_LEN);
        let public = FactoryPublicKey::from_bytes(&public).unwrap();
        let factory = FactoryKey::from_bytes(&*factory.to_bytes()).unwrap();
        let secret = AccountSecret::from_bytes([7; 32]);
        let wrapped_for = WrappedFor {
            domain: "default",
            account: AccountId::generate(),
            generation: 1,
            serial: "SN-000001",
        };
        let (encapsulated, sealed) = public.wrap(&secret, &wrapped_for).unwrap();
        assert_eq!((encapsulated.len(), sealed.len()), (1120, 48));
        let opened = factory
            .unwrap(&encapsulated, &sealed, &wrapped_for)
            .unwrap();
        assert_eq!(opened.as_bytes(), secret.as_bytes());

        for other in [
            WrappedFor {
                domain: "other",
                ..wrapped_for
            },
            WrappedFor {
                account: AccountId::generate(),
                ..wrapped_for
            },
            WrappedFor {
                generation: 2,
                ..wrapped_for
            },
            WrappedFor {
                serial: "SN-000002",
                ..wrapped_for
            },
        ] {
            let refused = factory.unwrap(&encapsulated, &sealed, &other);
            assert_eq!(refused.err(), Some(FactoryError::Mismatch));
        }
        let stranger = FactoryKey::generate();
        assert!(
            stranger
                .unwrap(&encapsulated, &sealed, &wrapped_for)
                .is_err()
        );
        for at in [0, 600, 1119] {
            let mut altered = encapsulated.clone();
            altered[at] ^= 1;
            assert!(factory.unwrap(&altered, &sealed, &wrapped_for).is_err());
        }
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            let refused = factory.unwrap(&encapsulated, &altered, &wrapped_for);
            assert!(refused.is_err());
        }
    }
}
