//! Seals (AES-256-GCM with canonical associated data) and MACs (HMAC-SHA-256).
//!
//! A sealed value is a 12-byte random nonce, the ciphertext and a 16-byte tag. Each KEK seals far fewer than the 2^32 values that
//! NIST SP 800-38D section 8.3 allows for random nonces.

use std::fmt::Write as _;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest, Sha256};
use strongroom_hsm::Aes256Key;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::Error;

/// A seal's nonce, in bytes.
const NONCE: usize = 12;

/// Seals `plaintext` under `key`, bound to `associated_data`.
pub(crate) fn seal(
    key: &Aes256Key,
    associated_data: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    let nonce = random::<NONCE>()?;
    let ciphertext = Aes256Gcm::new(key.as_bytes().into())
        .encrypt(
            &Nonce::from(nonce),
            Payload {
                msg: plaintext,
                aad: associated_data,
            },
        )
        .map_err(|_| Error::Internal("a value was too long to be sealed"))?;
    let mut sealed = Vec::with_capacity(NONCE + ciphertext.len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens what [`seal`] made. `what` names the record in the error.
pub(crate) fn open(
    key: &Aes256Key,
    associated_data: &[u8],
    sealed: &[u8],
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (nonce, ciphertext) = sealed
        .split_first_chunk::<NONCE>()
        .ok_or(Error::Integrity(what))?;
    Aes256Gcm::new(key.as_bytes().into())
        .decrypt(
            &Nonce::from(*nonce),
            Payload {
                msg: ciphertext,
                aad: associated_data,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| Error::Integrity(what))
}

/// The key of a domain's MACs: HMAC-SHA-256 (RFC 2104), 32 bytes.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct MacKey([u8; 32]);

impl MacKey {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The MAC of a canonical encoding.
    pub(crate) fn mac(&self, canonical: &[u8]) -> [u8; 32] {
        let mut mac = self.keyed();
        mac.update(canonical);
        mac.finalize().into_bytes().into()
    }

    /// Checks a MAC in constant time. `what` names the record in the error.
    pub(crate) fn check(
        &self,
        canonical: &[u8],
        mac: &[u8; 32],
        what: &'static str,
    ) -> Result<(), Error> {
        if bool::from(self.mac(canonical).ct_eq(mac)) {
            Ok(())
        } else {
            Err(Error::Integrity(what))
        }
    }

    fn keyed(&self) -> Hmac<Sha256> {
        #[expect(
            clippy::expect_used,
            reason = "HMAC takes keys of every length (RFC 2104 section 2)"
        )]
        <Hmac<Sha256> as hmac::Mac>::new_from_slice(&self.0)
            .expect("HMAC takes a key of any length")
    }
}

/// The key with this label that follows from the domain's key: HKDF-SHA-256 (RFC 5869) without salt.
pub(crate) fn derive(domain_key: &Aes256Key, label: &str) -> [u8; 32] {
    let mut derived = [0; 32];
    // 32 bytes are below HKDF's limit of 255 times 32, its only error.
    let _ = Hkdf::<Sha256>::new(None, domain_key.as_bytes()).expand(label.as_bytes(), &mut derived);
    derived
}

/// SHA-256.
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// Bytes in hexadecimal, as leaves name digests.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::Internal("the operating system gave no random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn random_key() -> Result<Aes256Key, Error> {
        Ok(Aes256Key::from_bytes(random()?))
    }

    #[test]
    fn a_seal_opens_only_with_its_key_and_its_associated_data() {
        let key = random_key().unwrap();
        let sealed = seal(&key, b"alice may release", b"material").unwrap();
        assert_eq!(sealed.len(), 8 + NONCE + 16);
        assert_eq!(
            **open(&key, b"alice may release", &sealed, "grant").unwrap(),
            *b"material"
        );
        assert!(open(&key, b"mallory may release", &sealed, "grant").is_err());
        assert!(
            open(
                &random_key().unwrap(),
                b"alice may release",
                &sealed,
                "grant"
            )
            .is_err()
        );
        for byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[byte] ^= 1;
            assert!(open(&key, b"alice may release", &altered, "grant").is_err());
        }
        for length in 0..sealed.len() {
            assert!(open(&key, b"alice may release", &sealed[..length], "grant").is_err());
        }
    }

    #[test]
    fn rfc_4231_test_case_with_a_key_of_hash_length() {
        // RFC 4231 has no case with a 32-byte key; case 1's key padded with zeros to the block is the same HMAC key.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let mac = MacKey::new(key).mac(b"Hi There");
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(hex::encode(mac), expected);
        assert!(MacKey::new(key).check(b"Hi There", &mac, "test").is_ok());
        assert!(MacKey::new(key).check(b"Hi there", &mac, "test").is_err());
    }
}
