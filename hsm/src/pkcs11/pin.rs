//! The PIN that logs in to a token, and the file that holds it.

use std::{
    env, fmt,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::HsmError;

/// The most bytes that a PIN may have: what PKCS#11 modules commonly take.
const MAX_PIN_LEN: usize = 255;

/// A token's PIN. It is zeroised when dropped, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Pin(SecretString);

/// Where a PIN comes from, as a configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinSource {
    /// `file:<path>`: a file of mode 0600.
    File(PathBuf),
    /// `env:<name>`: an environment variable. Whoever may read the process's environment reads it, and so may its children: take it
    /// only where nothing else is offered, such as in a container.
    Environment(String),
    /// `credential:<name>`: a systemd credential (`LoadCredential=` or `LoadCredentialEncrypted=`, which a TPM can hold), the file of that name
    /// in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `prompt`: the caller asks a person and calls [`Pin::new`].
    Prompt,
}

impl FromStr for PinSource {
    type Err = HsmError;

    fn from_str(text: &str) -> Result<Self, HsmError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            // A credential's name is a file's name: it never leaves its folder.
            Some(("credential", name))
                if !name.is_empty() && !name.contains('/') && !name.starts_with('.') =>
            {
                Ok(Self::Credential(name.to_owned()))
            }
            None if text == "prompt" => Ok(Self::Prompt),
            _ => Err(HsmError::Malformed {
                what: "source of the PIN",
                reason: "it must be file:<path>, env:<name>, credential:<name> or prompt",
            }),
        }
    }
}

impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Prompt => f.write_str("prompt"),
        }
    }
}

impl PinSource {
    /// Reads the PIN; none when a person is to be asked.
    ///
    /// # Errors
    /// [`HsmError::PinFile`] and [`HsmError::PinSource`], when it is not there or is no PIN.
    pub fn read(&self) -> Result<Option<Pin>, HsmError> {
        match self {
            Self::File(path) => Pin::from_file(path).map(Some),
            Self::Environment(name) => {
                let unusable = |reason: &str| HsmError::PinSource {
                    pin_source: format!("environment variable {name}"),
                    reason: reason.to_owned(),
                };
                let value = env::var(name).map_err(|error| match error {
                    env::VarError::NotPresent => unusable("it is not set"),
                    env::VarError::NotUnicode(_) => unusable("it is not UTF-8 text"),
                })?;
                let pin = Pin(SecretString::from(value));
                match flaw(pin.expose()) {
                    Some(reason) => Err(unusable(reason)),
                    None => Ok(Some(pin)),
                }
            }
            Self::Credential(name) => {
                let folder = env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| HsmError::PinSource {
                    pin_source: format!("systemd credential {name}"),
                    reason: "CREDENTIALS_DIRECTORY is not set: start the service by systemd with LoadCredential="
                        .to_owned(),
                })?;
                // systemd guards the folder. An access list it set shows in the mode as rights of the group.
                read_file(&Path::new(&folder).join(name), 0o007).map(Some)
            }
            Self::Prompt => Ok(None),
        }
    }
}

impl Pin {
    /// Takes a PIN of 1 to 255 bytes that came from elsewhere than a file, such as a prompt. The text is moved, not copied.
    ///
    /// # Errors
    /// [`HsmError::Malformed`] when it is empty, too long or holds a control character.
    pub fn new(pin: String) -> Result<Self, HsmError> {
        let pin = Self(SecretString::from(pin));
        match flaw(pin.expose()) {
            Some(reason) => Err(HsmError::Malformed {
                what: "PIN",
                reason,
            }),
            None => Ok(pin),
        }
    }

    /// A new PIN of 26 random letters and digits, which hold 130 bits.
    ///
    /// # Errors
    /// [`HsmError::NoRandomness`] when the operating system gives none.
    pub fn random() -> Result<Self, HsmError> {
        // 32 characters, none of which is mistaken for another when a person copies it from paper.
        const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
        let mut bytes = Zeroizing::new([0_u8; 26]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| HsmError::NoRandomness {
            reason: error.to_string(),
        })?;
        // A byte modulo 32 is uniform. The string has the capacity that it needs: it is never copied.
        let mut pin = String::with_capacity(bytes.len());
        pin.extend(
            bytes
                .iter()
                .map(|byte| char::from(ALPHABET[usize::from(byte % 32)])),
        );
        Ok(Self(SecretString::from(pin)))
    }

    /// Reads the PIN from a file. One line end after it is ignored.
    ///
    /// # Errors
    /// [`HsmError::PinFile`] when the file cannot be read, when its group or others may read or write it, or when it does
    /// not hold a PIN of 1 to 255 bytes.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, HsmError> {
        read_file(path.as_ref(), 0o077)
    }

    /// Writes the PIN to a new file of mode 0600 and syncs it to the disk.
    ///
    /// # Errors
    /// [`HsmError::PinFile`] when the file exists, which is never overwritten, or cannot be written.
    pub fn write_new_file(&self, path: impl AsRef<Path>) -> Result<(), HsmError> {
        let path = path.as_ref();
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(self.expose().as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(|error| HsmError::PinFile {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.0
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Reads a file whose mode has none of the bits `forbidden`.
fn read_file(path: &Path, forbidden: u32) -> Result<Pin, HsmError> {
    let unusable = |reason: String| HsmError::PinFile {
        path: path.to_owned(),
        reason,
    };
    let mut file = File::open(path).map_err(|error| unusable(error.to_string()))?;
    // Of the opened file, not of the path: it cannot change in between.
    let metadata = file
        .metadata()
        .map_err(|error| unusable(error.to_string()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(unusable(format!(
            "its mode is {mode:03o}, so that others than its owner may use it; run chmod 600 on it, and change the PIN if somebody may have read it"
        )));
    }
    // Fixed space, so that the text is never copied while it grows.
    let mut text = Zeroizing::new([0_u8; MAX_PIN_LEN + 3]);
    let mut len = 0;
    loop {
        match file.read(&mut text[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unusable(error.to_string())),
        }
    }
    let text = std::str::from_utf8(&text[..len])
        .map_err(|_| unusable("it is not UTF-8 text".to_owned()))?;
    let pin = text.strip_suffix('\n').unwrap_or(text);
    let pin = pin.strip_suffix('\r').unwrap_or(pin);
    match flaw(pin) {
        Some(reason) => Err(unusable(reason.to_owned())),
        None => Ok(Pin(SecretString::from(pin))),
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

fn flaw(pin: &str) -> Option<&'static str> {
    match pin.len() {
        0 => Some("it is empty"),
        len if len > MAX_PIN_LEN => Some("it holds more than a PIN of at most 255 bytes"),
        _ if pin.chars().any(char::is_control) => Some("the PIN holds a control character"),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_written_pin_reads_back_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let pin = Pin::random().unwrap();
        pin.write_new_file(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(Pin::from_file(&path).unwrap().expose(), pin.expose());
        assert!(matches!(
            Pin::random().unwrap().write_new_file(&path),
            Err(HsmError::PinFile { .. })
        ));
    }

    #[test]
    fn random_pins_differ_and_show_nothing() {
        let (a, b) = (Pin::random().unwrap(), Pin::random().unwrap());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose().len(), 26);
        assert_eq!(format!("{a:?}"), "Pin(..)");
    }

    #[test]
    fn files_that_others_may_use_are_refused() {
        for mode in [0o640, 0o604, 0o620, 0o666, 0o644] {
            let (_folder, path) = file(b"12345678\n", mode);
            let error = Pin::from_file(&path).unwrap_err().to_string();
            assert!(
                error.contains(&format!("{mode:03o}")) && error.contains("chmod 600"),
                "{error}"
            );
            assert!(!error.contains("12345678"), "{error}");
        }
        let (_folder, path) = file(b"12345678\n", 0o400);
        assert_eq!(Pin::from_file(&path).unwrap().expose(), "12345678");
    }

    #[test]
    fn line_ends_are_ignored_and_other_content_is_refused() {
        for good in [&b"12345678"[..], b"12345678\n", b"12345678\r\n"] {
            let (_folder, path) = file(good, 0o600);
            assert_eq!(Pin::from_file(&path).unwrap().expose(), "12345678");
        }
        let long = vec![b'1'; 256];
        let longer = vec![b'1'; 4096];
        for bad in [
            &b""[..],
            b"\n",
            b"1234\n5678\n",
            b"\xff\xfe",
            &long,
            &longer,
        ] {
            let (_folder, path) = file(bad, 0o600);
            assert!(matches!(
                Pin::from_file(&path),
                Err(HsmError::PinFile { .. })
            ));
        }
        let (_folder, path) = file(&[b'1'; 255], 0o600);
        assert_eq!(Pin::from_file(&path).unwrap().expose().len(), 255);
    }

    #[test]
    fn pins_from_elsewhere_are_checked() {
        assert!(Pin::new("1234".to_owned()).is_ok());
        assert!(matches!(
            Pin::new(String::new()),
            Err(HsmError::Malformed { .. })
        ));
        assert!(matches!(
            Pin::new("12\n34".to_owned()),
            Err(HsmError::Malformed { .. })
        ));
    }
}
