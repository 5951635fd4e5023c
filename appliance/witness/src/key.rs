//! The witness's own key, and the file that holds it.
//!
//! The file has one line: `PRIVATE+KEY+NAME+KEYID+SEED`, where SEED is in base64 the type of the key (4: Ed25519 cosignature) and the 32 bytes of the
//! Ed25519 private key, as the reference implementation of signed notes writes private keys.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use strongroom_audit::cosignature::{self, WitnessKey};
use zeroize::Zeroizing;

/// The type before the key's bytes.
const ED25519_COSIGNATURE: u8 = 4;

/// A witness's private key. It has no `Debug`, and is zeroised when dropped.
pub struct SecretKey {
    signing: SigningKey,
    public: WitnessKey,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A name is not empty and has neither spaces nor control characters nor a plus sign.
    #[error("{0:?} cannot be the name of a witness: take one like witness.example.com/w1")]
    Name(String),
    /// Everybody could sign with it.
    #[error("the key file {0} can be read by others than its owner: chmod 600 {0}")]
    Exposed(PathBuf),
    /// Not what was written.
    #[error("the key file {0} does not hold a witness's key")]
    Malformed(PathBuf),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The system's error.
    #[error("the key file {0} cannot be used: {1}")]
    Io(PathBuf, #[source] io::Error),
}

impl SecretKey {
    /// A new key of this name.
    ///
    /// # Errors
    ///
    /// When there can be no such name, or the system gives no random numbers.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| KeyError::Random)?;
        Self::from_seed(name, &seed).ok_or_else(|| KeyError::Name(name.to_owned()))
    }

    fn from_seed(name: &str, seed: &[u8; 32]) -> Option<Self> {
        let signing = SigningKey::from_bytes(seed);
        let public = WitnessKey::new(name, signing.verifying_key().to_bytes()).ok()?;
        Some(Self { signing, public })
    }

    /// Reads a key file.
    ///
    /// # Errors
    ///
    /// When others may read it, or it holds no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let io = |error| KeyError::Io(path.to_owned(), error);
        let mode = fs::metadata(path).map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed(path.to_owned()));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        Self::parse(text.trim_end()).ok_or_else(|| KeyError::Malformed(path.to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("PRIVATE+KEY+")?.splitn(3, '+');
        let (name, id) = (parts.next()?, parts.next()?);
        let bytes = Zeroizing::new(STANDARD.decode(parts.next()?).ok()?);
        let (&ED25519_COSIGNATURE, seed) = bytes.split_first()? else {
            return None;
        };
        let key = Self::from_seed(name, seed.try_into().ok()?)?;
        (format!("{:08x}", key.public.id()) == id).then_some(key)
    }

    /// Writes a new key file that its owner alone may read.
    ///
    /// # Errors
    ///
    /// When there is a file already, or the system's.
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let mut bytes = Zeroizing::new([ED25519_COSIGNATURE; 33]);
        bytes[1..].copy_from_slice(self.signing.as_bytes());
        let encoded = Zeroizing::new(STANDARD.encode(*bytes));
        let (name, id) = (self.public.name(), self.public.id());
        let line = Zeroizing::new(format!("PRIVATE+KEY+{name}+{id:08x}+{}\n", *encoded));
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| KeyError::Io(path.to_owned(), error))
    }

    /// The name and the public key.
    #[must_use]
    pub const fn public(&self) -> &WitnessKey {
        &self.public
    }

    /// The cosignature of a checkpoint with this text, at this time in seconds since 1970: its signature line.
    #[must_use]
    pub fn cosign(&self, text: &str, time: u64) -> String {
        let signature = self.signing.sign(&cosignature::message(time, text));
        cosignature::line(&self.public, time, &signature.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness.key");
        let key = SecretKey::generate("witness.example/w1").unwrap();
        key.write(&path).unwrap();
        let again = SecretKey::read(&path).unwrap();
        assert_eq!(again.public(), key.public());
        let text = "log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        assert_eq!(again.cosign(text, 5), key.cosign(text, 5));
        assert!(cosignature::find(text, &key.cosign(text, 5), key.public()).is_some());
        assert!(matches!(key.write(&path), Err(KeyError::Io(..))));
    }

    #[test]
    fn a_file_that_others_may_read_or_that_was_altered_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness.key");
        SecretKey::generate("witness.example/w1")
            .unwrap()
            .write(&path)
            .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for altered in [
            text.replacen("w1", "w2", 1),
            text.replacen("PRIVATE", "PUBLIC", 1),
            text[..text.len() - 6].to_owned(),
            String::new(),
        ] {
            fs::write(&path, altered).unwrap();
            assert!(matches!(
                SecretKey::read(&path),
                Err(KeyError::Malformed(_))
            ));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SecretKey::read(&path), Err(KeyError::Exposed(_))));
        for name in ["", "two words", "a+b"] {
            assert!(matches!(SecretKey::generate(name), Err(KeyError::Name(_))));
        }
    }
}
