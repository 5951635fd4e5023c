//! What goes into an HSM and comes out of it.

use std::{fmt, ops::RangeInclusive};

use zeroize::Zeroize;

use crate::HsmError;

/// The length of an AES-256 key in bytes.
pub const AES256_KEY_LEN: usize = 32;

/// An Ed25519 public key: 32 bytes, RFC 8032 section 5.1.5.
pub type Ed25519PublicKey = [u8; 32];

/// An AES-256 key in the appliance's memory, such as an account KEK. It is zeroised when dropped, and stays at one
/// address while it lives, so that moving it leaves no copies behind.
pub struct Aes256Key(Box<[u8; AES256_KEY_LEN]>);

impl Aes256Key {
    /// Takes the key's 32 bytes. The caller zeroises whatever it took them from.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; AES256_KEY_LEN]) -> Self {
        let mut key = Self(Box::new([0; AES256_KEY_LEN]));
        key.0.copy_from_slice(&bytes);
        bytes.zeroize();
        key
    }

    /// The key's 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; AES256_KEY_LEN] {
        &self.0
    }
}

impl Drop for Aes256Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl zeroize::ZeroizeOnDrop for Aes256Key {}

impl fmt::Debug for Aes256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aes256Key(..)")
    }
}

/// Names one version of a domain's master KEK.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MasterKekId {
    /// The domain: 1 to 64 of the characters `a-z`, `0-9`, `.`, `_` and `-`.
    pub domain: String,
    /// The version; the first is 1.
    pub version: u32,
}

impl MasterKekId {
    /// The label of this master KEK in the HSM: `strongroom/<domain>/master-kek/v<version>`.
    ///
    /// # Errors
    /// [`HsmError::Malformed`] when the domain has a character that would make the label ambiguous, or is empty
    /// or too long.
    pub fn label(&self) -> Result<String, HsmError> {
        let prefix = Self::label_prefix(&self.domain)?;
        Ok(format!("{prefix}{}", self.version))
    }

    /// The version that `label` names if it is the label of a master KEK of `domain`.
    pub(crate) fn version_in_label(domain: &str, label: &str) -> Result<Option<u32>, HsmError> {
        Ok(version_after(&Self::label_prefix(domain)?, label))
    }

    fn label_prefix(domain: &str) -> Result<String, HsmError> {
        check_domain(domain)?;
        Ok(format!("strongroom/{domain}/master-kek/v"))
    }
}

/// Names one version of a domain's recovery KEK: the key that wraps master KEKs so that custodians can bring them into another HSM.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecoveryKekId {
    /// The domain: 1 to 64 of the characters `a-z`, `0-9`, `.`, `_` and `-`.
    pub domain: String,
    /// The version; the first is 1.
    pub version: u32,
}

impl RecoveryKekId {
    /// The label of this recovery KEK in the HSM: `strongroom/<domain>/recovery-kek/v<version>`.
    ///
    /// # Errors
    /// [`HsmError::Malformed`] as for [`MasterKekId::label`].
    pub fn label(&self) -> Result<String, HsmError> {
        let prefix = Self::label_prefix(&self.domain)?;
        Ok(format!("{prefix}{}", self.version))
    }

    /// The version that `label` names if it is the label of a recovery KEK of `domain`.
    pub(crate) fn version_in_label(domain: &str, label: &str) -> Result<Option<u32>, HsmError> {
        Ok(version_after(&Self::label_prefix(domain)?, label))
    }

    /// Refuses a master KEK of another domain: the custodians of one domain are not those of another.
    pub(crate) fn check_same_domain(&self, master: &MasterKekId) -> Result<(), HsmError> {
        if self.domain == master.domain {
            return Ok(());
        }
        Err(HsmError::Malformed {
            what: "recovery KEK's name",
            reason: "its domain is not the master KEK's",
        })
    }

    fn label_prefix(domain: &str) -> Result<String, HsmError> {
        check_domain(domain)?;
        Ok(format!("strongroom/{domain}/recovery-kek/v"))
    }
}

pub(crate) fn check_domain(domain: &str) -> Result<(), HsmError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if domain.is_empty() || domain.len() > 64 || !domain.chars().all(allowed) {
        return Err(HsmError::Malformed {
            what: "domain name",
            reason: "it must be 1 to 64 of the characters a-z, 0-9, '.', '_' and '-'",
        });
    }
    Ok(())
}

fn version_after(prefix: &str, label: &str) -> Option<u32> {
    let digits = label.strip_prefix(prefix)?;
    let version = digits.parse::<u32>().ok()?;
    // Only the canonical digits: "v01" and "v+1" name nothing.
    (digits == version.to_string()).then_some(version)
}

/// How a key was wrapped. The numbers are stored: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum WrapScheme {
    /// AES-KW, RFC 3394 section 2.2.1 with the default initial value, under an AES-256 master KEK.
    Rfc3394 = 1,
    /// A YubiHSM 2's export of an opaque object under an AES-256-CCM wrap key: nonce, ciphertext and tag as the device gives them.
    YubiHsmCcm = 2,
    /// AES-KWP, RFC 5649, under an AES-256 master KEK.
    Rfc5649 = 3,
    /// AES-256-GCM (NIST SP 800-38D): a random initialisation vector of 12 bytes, the ciphertext, the tag of 16 bytes.
    AesGcm = 4,
}

impl WrapScheme {
    const ALL: [Self; 4] = [Self::Rfc3394, Self::YubiHsmCcm, Self::Rfc5649, Self::AesGcm];

    /// The lengths in bytes that a wrapped AES-256 key may have.
    const fn blob_lens(self) -> &'static [usize] {
        match self {
            Self::Rfc3394 | Self::Rfc5649 => &[AES256_KEY_LEN + 8],
            Self::AesGcm => &[12 + AES256_KEY_LEN + 16],
            // Nonce, the device's object header, key, tag; and as the `yubihsm` crate's MockHsm has them.
            Self::YubiHsmCcm => &[13 + 59 + AES256_KEY_LEN + 16, 13 + 66 + AES256_KEY_LEN + 8],
        }
    }

    /// The lengths in bytes that a wrapped master KEK may have.
    const fn recovery_blob_lens(self) -> RangeInclusive<usize> {
        match self {
            Self::Rfc3394 | Self::Rfc5649 => AES256_KEY_LEN + 8..=AES256_KEY_LEN + 8,
            Self::AesGcm => 12 + AES256_KEY_LEN + 16..=12 + AES256_KEY_LEN + 16,
            // Nonce, the device's object header, key, tag, and what its firmware adds to a wrap key (8 bytes of delegated capabilities).
            Self::YubiHsmCcm => 13 + 59 + AES256_KEY_LEN + 8..=256,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| *scheme as u8 == number)
    }
}

impl fmt::Display for WrapScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rfc3394 => "AES-KW (RFC 3394)",
            Self::YubiHsmCcm => "YubiHSM 2 export (AES-256-CCM)",
            Self::Rfc5649 => "AES-KWP (RFC 5649)",
            Self::AesGcm => "AES-256-GCM",
        })
    }
}

/// An AES-256 key wrapped under a master KEK, with what is needed to unwrap it. It is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// How it was wrapped.
    pub scheme: WrapScheme,
    /// The version of the master KEK that wrapped it.
    pub master_kek_version: u32,
    /// The wrapped key: 40 bytes for [`WrapScheme::Rfc3394`] and [`WrapScheme::Rfc5649`], 60 for
    /// [`WrapScheme::AesGcm`], 120 for [`WrapScheme::YubiHsmCcm`].
    pub blob: Vec<u8>,
}

impl WrappedKey {
    /// The stored form: one byte for the scheme, four for the version (big-endian), then the blob.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        stored(self.scheme, self.master_kek_version, &self.blob)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`HsmError::Malformed`] when the scheme is unknown or the length is not exactly that scheme's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HsmError> {
        let (scheme, master_kek_version, blob) = read_stored("wrapped key", bytes)?;
        let wrapped = Self {
            scheme,
            master_kek_version,
            blob,
        };
        wrapped.check_len()?;
        Ok(wrapped)
    }

    /// Checks the blob's length before an HSM is troubled with it.
    pub(crate) fn check_len(&self) -> Result<(), HsmError> {
        if !self.scheme.blob_lens().contains(&self.blob.len()) {
            return Err(HsmError::Malformed {
                what: "wrapped key",
                reason: "its length is not that of a wrapped AES-256 key",
            });
        }
        Ok(())
    }
}

/// A master KEK wrapped under a recovery KEK, inside the HSM. It is no secret, and opens only with the shares of M custodians.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryBlob {
    /// How it was wrapped.
    pub scheme: WrapScheme,
    /// The version of the recovery KEK that wrapped it.
    pub recovery_kek_version: u32,
    /// The wrapped master KEK: 40 bytes for [`WrapScheme::Rfc3394`] and [`WrapScheme::Rfc5649`], 60 for
    /// [`WrapScheme::AesGcm`], 112 to 256 for [`WrapScheme::YubiHsmCcm`].
    pub blob: Vec<u8>,
}

impl RecoveryBlob {
    /// The stored form: one byte for the scheme, four for the version (big-endian), then the blob.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        stored(self.scheme, self.recovery_kek_version, &self.blob)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`HsmError::Malformed`] when the scheme is unknown or the length is not that scheme's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HsmError> {
        let (scheme, recovery_kek_version, blob) = read_stored("recovery blob", bytes)?;
        let wrapped = Self {
            scheme,
            recovery_kek_version,
            blob,
        };
        wrapped.check_len()?;
        Ok(wrapped)
    }

    /// Checks the blob's length before an HSM is troubled with it.
    pub(crate) fn check_len(&self) -> Result<(), HsmError> {
        if !self.scheme.recovery_blob_lens().contains(&self.blob.len()) {
            return Err(HsmError::Malformed {
                what: "recovery blob",
                reason: "its length is not that of a wrapped master KEK",
            });
        }
        Ok(())
    }
}

fn stored(scheme: WrapScheme, version: u32, blob: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + blob.len());
    bytes.push(scheme as u8);
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(blob);
    bytes
}

fn read_stored(what: &'static str, bytes: &[u8]) -> Result<(WrapScheme, u32, Vec<u8>), HsmError> {
    let malformed = |reason| HsmError::Malformed { what, reason };
    let Some((&[scheme, v0, v1, v2, v3], blob)) = bytes.split_first_chunk::<5>() else {
        return Err(malformed("it is shorter than its five-byte header"));
    };
    let Some(scheme) = WrapScheme::from_number(scheme) else {
        return Err(malformed("its scheme is unknown to this version"));
    };
    Ok((scheme, u32::from_be_bytes([v0, v1, v2, v3]), blob.to_vec()))
}

/// What the log of the device holds that was not acknowledged yet. It is the device's own: what it was asked, hash-chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLog {
    /// Starts of the device that found the log full.
    pub unlogged_boots: u16,
    /// Logins that found the log full.
    pub unlogged_logins: u16,
    /// The entries, the oldest first.
    pub entries: Vec<DeviceLogEntry>,
}

/// One entry of the device's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogEntry {
    /// Its number, which begins again after 65,535.
    pub number: u16,
    /// The command.
    pub command: String,
    /// The command's length in bytes.
    pub length: u16,
    /// The authentication key of the session.
    pub auth_key: u16,
    /// The object that the command was for.
    pub target: u16,
    /// Another object that it was for.
    pub second_target: u16,
    /// What the device answered.
    pub result: String,
    /// The device's clock: ticks since it started.
    pub tick: u32,
    /// The first 16 bytes of SHA-256 over this entry and the digest of the one before.
    pub digest: [u8; 16],
}

/// What an HSM says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// The token's label.
    pub label: String,
    /// Who made it.
    pub manufacturer: String,
    /// Which model it is.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Its firmware version, as `major.minor`.
    pub firmware: String,
}

/// Checks the label of a signing key.
pub(crate) fn check_signing_label(label: &str) -> Result<(), HsmError> {
    if label.is_empty() || label.len() > 128 || label.chars().any(char::is_control) {
        return Err(HsmError::Malformed {
            what: "signing key's label",
            reason: "it must have 1 to 128 bytes and no control characters",
        });
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(domain: &str, version: u32) -> MasterKekId {
        MasterKekId {
            domain: domain.to_owned(),
            version,
        }
    }

    #[test]
    fn a_key_shows_nothing_of_itself() {
        let key = Aes256Key::from_bytes([0xab; 32]);
        assert_eq!(format!("{key:?}"), "Aes256Key(..)");
        assert_eq!(key.as_bytes(), &[0xab; 32]);
    }

    #[test]
    fn labels_are_canonical() {
        let label = id("default", 12).label().unwrap();
        assert_eq!(label, "strongroom/default/master-kek/v12");
        let version = |label| MasterKekId::version_in_label("default", label).unwrap();
        assert_eq!(version(&label), Some(12));
        for foreign in [
            "strongroom/default/master-kek/v012",
            "strongroom/default/master-kek/v+1",
            "strongroom/default/master-kek/v",
            "strongroom/default/master-kek/v4294967296",
            "strongroom/other/master-kek/v1",
            "xstrongroom/default/master-kek/v1",
        ] {
            assert_eq!(version(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn domains_that_would_confuse_labels_are_refused() {
        for domain in ["", "a/b", "A", "a b", "ä", "a\0", &"a".repeat(65)] {
            assert!(
                matches!(id(domain, 1).label(), Err(HsmError::Malformed { .. })),
                "{domain:?}"
            );
        }
    }

    #[test]
    fn recovery_keks_have_labels_of_their_own() {
        let recovery = RecoveryKekId {
            domain: "default".to_owned(),
            version: 3,
        };
        let label = recovery.label().unwrap();
        assert_eq!(label, "strongroom/default/recovery-kek/v3");
        let version = |label| RecoveryKekId::version_in_label("default", label).unwrap();
        assert_eq!(version(&label), Some(3));
        assert_eq!(version(&id("default", 3).label().unwrap()), None);
        let as_master = MasterKekId::version_in_label("default", &label);
        assert_eq!(as_master.unwrap(), None);
        recovery.check_same_domain(&id("default", 1)).unwrap();
        recovery.check_same_domain(&id("other", 1)).unwrap_err();
    }

    #[test]
    fn the_stored_form_is_what_the_documentation_says() {
        let wrapped = WrappedKey {
            scheme: WrapScheme::Rfc3394,
            master_kek_version: 0x0102_0304,
            blob: vec![0x55; 40],
        };
        let bytes = wrapped.to_bytes();
        assert_eq!(bytes[..5], [1, 1, 2, 3, 4]);
        assert_eq!(bytes[5..], [0x55; 40]);
    }

    proptest! {
        #[test]
        fn stored_forms_read_back(version: u32, blob in prop::collection::vec(any::<u8>(), 40)) {
            let wrapped = WrappedKey { scheme: WrapScheme::Rfc3394, master_kek_version: version, blob };
            prop_assert_eq!(WrappedKey::from_bytes(&wrapped.to_bytes()).unwrap(), wrapped);
        }

        #[test]
        fn every_scheme_reads_back(version: u32, which in 0..WrapScheme::ALL.len(), first: bool) {
            let scheme = WrapScheme::ALL[which];
            let lens = scheme.blob_lens();
            let len = if first { lens[0] } else { lens[lens.len() - 1] };
            let wrapped = WrappedKey { scheme, master_kek_version: version, blob: vec![3; len] };
            let bytes = wrapped.to_bytes();
            prop_assert_eq!(WrappedKey::from_bytes(&bytes).unwrap(), wrapped);
            prop_assert!(WrappedKey::from_bytes(&bytes[..20]).is_err());
        }

        #[test]
        fn recovery_blobs_read_back(version: u32, which in 0..WrapScheme::ALL.len(), longer in 0_usize..200) {
            let scheme = WrapScheme::ALL[which];
            let lens = scheme.recovery_blob_lens();
            let blob = RecoveryBlob { scheme, recovery_kek_version: version, blob: vec![3; lens.start() + longer] };
            let bytes = blob.to_bytes();
            prop_assert_eq!(&bytes[1..5], version.to_be_bytes());
            let read = RecoveryBlob::from_bytes(&bytes);
            if lens.contains(&blob.blob.len()) {
                prop_assert_eq!(read.unwrap(), blob);
            } else {
                prop_assert!(read.is_err());
            }
            prop_assert!(RecoveryBlob::from_bytes(&bytes[..20]).is_err());
        }

        /// Whatever is accepted is exactly what would have been written: there is one form of each value.
        #[test]
        fn only_canonical_forms_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64), plausible: bool) {
            let mut bytes = bytes;
            if plausible && !bytes.is_empty() {
                bytes[0] = 1;
                bytes.resize(45, 7);
            }
            match WrappedKey::from_bytes(&bytes) {
                Ok(wrapped) => prop_assert_eq!(wrapped.to_bytes(), bytes),
                Err(_) => prop_assert!(bytes.len() != 45 || bytes[0] != 1),
            }
        }

        #[test]
        fn labels_read_back(domain in "[a-z0-9._-]{1,64}", version: u32) {
            let label = id(&domain, version).label().unwrap();
            prop_assert_eq!(MasterKekId::version_in_label(&domain, &label).unwrap(), Some(version));
        }
    }
}
