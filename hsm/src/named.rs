//! Named keys inside the HSM: those of the protection level `hsm`. They are generated there, never leave, and each operation is done there.

use std::fmt;

use zeroize::Zeroizing;

use crate::{HsmError, types::check_domain};

/// What a key inside the HSM is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NamedKeyType {
    /// 32 bytes for AES-256 in GCM.
    Aes256,
    /// 32 bytes for HMAC-SHA-256 (RFC 2104).
    HmacSha256,
    /// An RSA key pair (RFC 8017) with a modulus of 2048 bits and the exponent 65537.
    Rsa2048,
    /// The same with a modulus of 3072 bits.
    Rsa3072,
    /// The same with a modulus of 4096 bits.
    Rsa4096,
    /// A key pair on P-256 (NIST SP 800-186).
    EcP256,
    /// A key pair on P-384.
    EcP384,
    /// A key pair on P-521.
    EcP521,
    /// A key pair for Ed25519 (RFC 8032).
    Ed25519,
}

impl NamedKeyType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::Aes256,
        Self::HmacSha256,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::EcP256,
        Self::EcP384,
        Self::EcP521,
        Self::Ed25519,
    ];

    /// Whether it is a key pair, which has a public key.
    #[must_use]
    pub const fn is_pair(self) -> bool {
        !matches!(self, Self::Aes256 | Self::HmacSha256)
    }

    /// The length of an RSA modulus, in bits.
    pub(crate) const fn modulus_bits(self) -> Option<u16> {
        match self {
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
            _ => None,
        }
    }

    /// The object identifier of its curve of NIST SP 800-186 (RFC 5480 section 2.1.1.1) in DER, and the length of one coordinate in bytes.
    pub(crate) const fn curve(self) -> Option<(&'static [u8], usize)> {
        match self {
            Self::EcP256 => Some((b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 32)),
            Self::EcP384 => Some((b"\x06\x05\x2b\x81\x04\x00\x22", 48)),
            Self::EcP521 => Some((b"\x06\x05\x2b\x81\x04\x00\x23", 66)),
            _ => None,
        }
    }
}

impl fmt::Display for NamedKeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes256 => "AES-256",
            Self::HmacSha256 => "HMAC-SHA-256",
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::EcP256 => "P-256",
            Self::EcP384 => "P-384",
            Self::EcP521 => "P-521",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// Names one version of a named key of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedKeyId {
    /// The domain: 1 to 64 of the characters `a-z`, `0-9`, `.`, `_` and `-`.
    pub domain: String,
    /// The key: 1 to 64 of the characters `a-z`, `0-9` and `-`, which say nothing of what it is for.
    pub key: String,
    /// The version; the first is 1.
    pub version: u32,
}

impl NamedKeyId {
    /// The label of this key in the HSM: `strongroom/<domain>/key/<key>/v<version>`. Its `CKA_ID` has the same bytes.
    ///
    /// # Errors
    /// [`HsmError::Malformed`] when the domain or the key has a character that would make the label ambiguous, or is empty or too long.
    pub fn label(&self) -> Result<String, HsmError> {
        let prefix = Self::prefix(&self.domain)?;
        check_key(&self.key)?;
        Ok(format!("{prefix}{}/v{}", self.key, self.version))
    }

    /// The key of `domain` that a label names; none where it names something else.
    ///
    /// # Errors
    /// [`HsmError::Malformed`] when the domain has a character that would make labels ambiguous, or is empty or too long.
    pub fn of_label(domain: &str, label: &str) -> Result<Option<Self>, HsmError> {
        let prefix = Self::prefix(domain)?;
        let read = || {
            let (key, version) = label.strip_prefix(&prefix)?.split_once("/v")?;
            let number = version.parse::<u32>().ok()?;
            // Only the canonical digits: "v01" and "v+1" name nothing.
            (check_key(key).is_ok() && version == number.to_string()).then(|| Self {
                domain: domain.to_owned(),
                key: key.to_owned(),
                version: number,
            })
        };
        Ok(read())
    }

    fn prefix(domain: &str) -> Result<String, HsmError> {
        check_domain(domain)?;
        Ok(format!("strongroom/{domain}/key/"))
    }
}

fn check_key(key: &str) -> Result<(), HsmError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if key.is_empty() || key.len() > 64 || !key.chars().all(allowed) {
        return Err(HsmError::Malformed {
            what: "named key's name",
            reason: "it must be 1 to 64 of the characters a-z, 0-9 and '-'",
        });
    }
    Ok(())
}

/// A hash function, where an RSA encoding names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NamedHash {
    /// SHA-1: of OAEP alone.
    Sha1,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl fmt::Display for NamedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// What an HSM may do with named keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NamedMechanism {
    /// RSASSA-PKCS1-v1_5 signatures (RFC 8017 section 8.2).
    RsaPkcs1,
    /// RSASSA-PSS signatures (section 8.1).
    RsaPss,
    /// RSAES-OAEP decryption (section 7.1).
    RsaOaep,
    /// ECDSA signatures (FIPS 186-5).
    Ecdsa,
    /// Ed25519 signatures (RFC 8032).
    Eddsa,
    /// HMAC-SHA-256.
    Hmac,
    /// AES-GCM (NIST SP 800-38D).
    AesGcm,
    /// Elliptic-curve Diffie-Hellman (NIST SP 800-56A section 5.7.1.2).
    Ecdh,
}

impl fmt::Display for NamedMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaPkcs1 => "RSA signatures with PKCS #1 v1.5",
            Self::RsaPss => "RSA-PSS signatures",
            Self::RsaOaep => "RSA-OAEP decryption",
            Self::Ecdsa => "ECDSA",
            Self::Eddsa => "Ed25519",
            Self::Hmac => "HMAC-SHA-256",
            Self::AesGcm => "AES-GCM",
            Self::Ecdh => "ECDH",
        })
    }
}

/// What an HSM offers for named keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedOffer {
    /// The types that it generates; of curves it may still refuse one that it does not know.
    pub key_types: Vec<NamedKeyType>,
    /// What it does with them.
    pub mechanisms: Vec<NamedMechanism>,
}

/// One operation with a named key.
#[derive(Clone)]
#[non_exhaustive]
pub enum NamedWork {
    /// Sign with RSASSA-PKCS1-v1_5 what was hashed and encoded, usually a `DigestInfo` (RFC 8017 section 9.2, step 2): at least 11 bytes
    /// shorter than the modulus. Gives a signature of the modulus's length.
    RsaPkcs1 {
        /// What is padded and signed.
        encoded: Vec<u8>,
    },
    /// Sign a digest with RSASSA-PSS, MGF1 with the same hash function. Gives a signature of the modulus's length.
    RsaPss {
        /// The hash function that made the digest.
        hash: NamedHash,
        /// The digest.
        digest: Vec<u8>,
        /// The length of the salt in bytes.
        salt_length: u16,
    },
    /// Sign a digest with ECDSA; of one that is longer than the order its leftmost bits count. Gives r and s, each as long as the order.
    Ecdsa {
        /// The digest.
        digest: Vec<u8>,
    },
    /// Sign a message with Ed25519. Gives 64 bytes.
    Eddsa {
        /// The message.
        message: Vec<u8>,
    },
    /// Make an HMAC-SHA-256. Gives 32 bytes.
    Hmac {
        /// The message.
        message: Vec<u8>,
    },
    /// Decrypt with RSAES-OAEP, MGF1 with the same hash function and an empty label. Gives the plaintext.
    RsaOaep {
        /// The hash function.
        hash: NamedHash,
        /// The ciphertext, of the modulus's length.
        ciphertext: Vec<u8>,
    },
    /// Encrypt with AES-GCM. Gives the ciphertext and the tag.
    GcmEncrypt {
        /// The nonce, which never comes twice.
        nonce: [u8; 12],
        /// What is authenticated besides.
        associated_data: Vec<u8>,
        /// The tag's length in bytes: 12 to 16.
        tag_length: u8,
        /// The plaintext.
        plaintext: Zeroizing<Vec<u8>>,
    },
    /// Decrypt with AES-GCM. Gives the plaintext.
    GcmDecrypt {
        /// The nonce.
        nonce: [u8; 12],
        /// What is authenticated besides.
        associated_data: Vec<u8>,
        /// The tag's length in bytes: 12 to 16.
        tag_length: u8,
        /// The ciphertext and the tag.
        ciphertext: Vec<u8>,
    },
    /// Agree on a secret. Gives the x-coordinate, as long as the field.
    Ecdh {
        /// The other side's point, uncompressed (SEC 1 section 2.3.3).
        point: Vec<u8>,
    },
}

impl NamedWork {
    /// What it is.
    #[must_use]
    pub const fn mechanism(&self) -> NamedMechanism {
        match self {
            Self::RsaPkcs1 { .. } => NamedMechanism::RsaPkcs1,
            Self::RsaPss { .. } => NamedMechanism::RsaPss,
            Self::Ecdsa { .. } => NamedMechanism::Ecdsa,
            Self::Eddsa { .. } => NamedMechanism::Eddsa,
            Self::Hmac { .. } => NamedMechanism::Hmac,
            Self::RsaOaep { .. } => NamedMechanism::RsaOaep,
            Self::GcmEncrypt { .. } | Self::GcmDecrypt { .. } => NamedMechanism::AesGcm,
            Self::Ecdh { .. } => NamedMechanism::Ecdh,
        }
    }

    /// Whether it suits keys of that type.
    #[must_use]
    pub const fn suits(&self, key_type: NamedKeyType) -> bool {
        match self.mechanism() {
            NamedMechanism::RsaPkcs1 | NamedMechanism::RsaPss | NamedMechanism::RsaOaep => {
                key_type.modulus_bits().is_some()
            }
            NamedMechanism::Ecdsa | NamedMechanism::Ecdh => key_type.curve().is_some(),
            NamedMechanism::Eddsa => matches!(key_type, NamedKeyType::Ed25519),
            NamedMechanism::Hmac => matches!(key_type, NamedKeyType::HmacSha256),
            NamedMechanism::AesGcm => matches!(key_type, NamedKeyType::Aes256),
        }
    }

    /// What it is with all that an HSM may lack, for messages.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::RsaPss { hash, .. } | Self::RsaOaep { hash, .. } => {
                format!("{} with {hash}", self.mechanism())
            }
            _ => self.mechanism().to_string(),
        }
    }

    pub(crate) fn check(&self, key_type: NamedKeyType) -> Result<(), HsmError> {
        if self.suits(key_type) {
            return Ok(());
        }
        Err(HsmError::Malformed {
            what: "operation with a named key",
            reason: "a key of its type is not for that",
        })
    }
}

impl fmt::Debug for NamedWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedWork({})", self.in_words())
    }
}

/// What Strongroom asks of an HSM that keeps named keys. Every call may block, as those of [`Hsm`](crate::Hsm) may.
pub trait NamedKeys: Send + Sync {
    /// What the HSM offers.
    fn named_offer(&self) -> Result<NamedOffer, HsmError>;

    /// Generates a key inside the HSM: sensitive, non-extractable, for what its type is for and nothing else. Of a key pair it gives the public
    /// key, `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1). After an error that is not
    /// [transient](HsmError::is_transient) the HSM holds no new key.
    ///
    /// # Errors
    /// [`HsmError::KeyExists`] when that version exists, which is never replaced; [`HsmError::NotOffered`] when the HSM does not make such keys;
    /// [`HsmError::SingleCopy`] where a replica is to hold the same keys.
    fn generate_named_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
    ) -> Result<Option<Vec<u8>>, HsmError>;

    /// The public key of a key pair, as it was given when it was generated.
    ///
    /// # Errors
    /// [`HsmError::KeyNotFound`] when the HSM does not hold it.
    fn named_public_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
    ) -> Result<Vec<u8>, HsmError>;

    /// Does one operation, inside the HSM.
    ///
    /// # Errors
    /// [`HsmError::KeyNotFound`] when the HSM does not hold the key, [`HsmError::NotOffered`] when it does not do that,
    /// [`HsmError::InputRejected`] when it did not decrypt what it was given, or the point is none.
    fn use_named_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
        work: &NamedWork,
    ) -> Result<Zeroizing<Vec<u8>>, HsmError>;

    /// Destroys a key inside the HSM, with its public half. No backup has it.
    ///
    /// # Errors
    /// [`HsmError::KeyNotFound`] when the HSM does not hold it.
    fn destroy_named_key(&self, id: &NamedKeyId) -> Result<(), HsmError>;

    /// The named keys of `domain` that the HSM holds, in ascending order.
    fn named_keys(&self, domain: &str) -> Result<Vec<NamedKeyId>, HsmError>;
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn id(domain: &str, key: &str, version: u32) -> NamedKeyId {
        NamedKeyId {
            domain: domain.to_owned(),
            key: key.to_owned(),
            version,
        }
    }

    #[test]
    fn labels_read_back_and_are_canonical() {
        let key = id("default", "0190-ab", 12);
        let label = key.label().unwrap();
        assert_eq!(label, "strongroom/default/key/0190-ab/v12");
        assert_eq!(NamedKeyId::of_label("default", &label).unwrap(), Some(key));
        for foreign in [
            "strongroom/other/key/0190-ab/v12",
            "strongroom/default/key/0190-ab/v012",
            "strongroom/default/key/0190-ab/v+1",
            "strongroom/default/key//v1",
            "strongroom/default/key/a/b/v1",
            "strongroom/default/master-kek/v1",
            "strongroom/default/key/0190-ab/v4294967296",
        ] {
            assert_eq!(NamedKeyId::of_label("default", foreign).unwrap(), None);
        }
        for bad in [id("A", "a", 1), id("a", "a/b", 1), id("a", "", 1)] {
            assert!(matches!(bad.label(), Err(HsmError::Malformed { .. })));
        }
    }

    #[test]
    fn work_suits_the_keys_that_it_is_for_and_shows_nothing() {
        let work = NamedWork::GcmEncrypt {
            nonce: [7; 12],
            associated_data: Vec::new(),
            tag_length: 16,
            plaintext: Zeroizing::new(b"very secret".to_vec()),
        };
        let suited: Vec<NamedKeyType> = NamedKeyType::ALL
            .into_iter()
            .filter(|key_type| work.suits(*key_type))
            .collect();
        assert_eq!(suited, [NamedKeyType::Aes256]);
        work.check(NamedKeyType::HmacSha256).unwrap_err();
        assert_eq!(format!("{work:?}"), "NamedWork(AES-GCM)");
    }
}
