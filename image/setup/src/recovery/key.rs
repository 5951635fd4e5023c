//! The recovery key of the data partition, as systemd makes it, and as custodians share it.

use std::fmt::{self, Write as _};

use anyhow::{Context as _, Result};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use strongroom_custodians::{KEY_BYTES, SharedKey};
use zeroize::Zeroizing;

/// What stands for the sixteen halves of a byte: letters that are on the same key of nearly every keyboard (systemd-cryptenroll(1), "modhex").
const LETTERS: &[u8; 16] = b"cbdefghijklnrtuv";
/// How many letters stand between two hyphens.
const GROUP: usize = 8;
/// What a fingerprint is computed over.
const CONTEXT: &[u8] = b"strongroom/v1/data-recovery-check";

/// The key. In the LUKS header it is the passphrase that [`passphrase`](Self::passphrase) answers; custodians share its 32 bytes.
pub(super) struct RecoveryKey(SharedKey);

impl RecoveryKey {
    /// The key with this passphrase, with or without the end of a line.
    pub(super) fn from_passphrase(text: &[u8]) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let mut halves = 0;
        for letter in text.trim_ascii().iter().filter(|letter| **letter != b'-') {
            let value = LETTERS.iter().position(|known| known == letter);
            let value = value.and_then(|value| u8::try_from(value).ok());
            let byte = bytes.get_mut(halves / 2);
            let (Some(value), Some(byte)) = (value, byte) else {
                anyhow::bail!("what was made is no recovery key");
            };
            *byte = *byte << 4 | value;
            halves += 1;
        }
        anyhow::ensure!(halves == 2 * KEY_BYTES, "what was made is no recovery key");
        Ok(Self(SharedKey::from_bytes(&bytes)))
    }

    /// The key that custodians have restored.
    pub(super) fn restored(key: SharedKey) -> Self {
        Self(key)
    }

    /// What custodians share.
    pub(super) fn shared(&self) -> &SharedKey {
        &self.0
    }

    /// What opens the slot: 64 letters in groups of 8.
    pub(super) fn passphrase(&self) -> Zeroizing<Vec<u8>> {
        let halves = self
            .0
            .as_bytes()
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15]);
        let mut text = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + KEY_BYTES / 4));
        for (at, half) in halves.enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push(b'-');
            }
            text.extend(LETTERS.get(usize::from(half)));
        }
        text
    }

    /// By which the key is known, which tells nothing of it: 8 bytes in hexadecimal.
    pub(super) fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.0)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

/// By which a key that is shared is known: the first 8 bytes of an HMAC-SHA-256 under it.
pub(super) fn fingerprint(key: &SharedKey) -> Result<String> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).context("a key has no fingerprint")?;
    mac.update(CONTEXT);
    let mac = mac.finalize().into_bytes();
    let bytes = mac.split_at(8).0;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// As systemd-cryptenroll printed it.
    const PRINTED: &[u8] =
        b"cnlithhu-uevbthif-ucjuidhg-krgbbgre-hnccrrbc-iteuljtl-vgjdhnnd-dvhncrnd\n";

    #[test]
    fn a_key_is_read_and_written_as_systemd_has_it() {
        let key = RecoveryKey::from_passphrase(PRINTED).unwrap();
        assert_eq!(key.passphrase().as_slice(), PRINTED.trim_ascii());
        // c is 0, n is 11, l is 10, i is 7.
        assert_eq!(key.shared().as_bytes()[..2], [0x0b, 0xa7]);
        assert_eq!(key.shared().as_bytes()[31], 0xb2);
        assert_eq!(format!("{key:?}"), "RecoveryKey(..)");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let cut = &PRINTED[..70];
        let long = [PRINTED.trim_ascii(), b"c"].concat();
        for wrong in [b"".as_slice(), b"abcd", cut, &long] {
            assert!(RecoveryKey::from_passphrase(wrong).is_err());
        }
    }

    #[test]
    fn a_fingerprint_is_the_documented_one() {
        let key = SharedKey::from_bytes(&[1; 32]);
        // printf strongroom/v1/data-recovery-check | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…
        assert_eq!(fingerprint(&key).unwrap(), "f25b81471881babd");
        let other = RecoveryKey::restored(SharedKey::from_bytes(&[2; 32]));
        assert_ne!(other.fingerprint().unwrap(), fingerprint(&key).unwrap());
    }
}
