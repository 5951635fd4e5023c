//! A seed's form: TOML between a first line that says what it is and a last one with the signature, both of them comments.
//!
//! ```text
//! # Strongroom seed, format 1
//! name = "keys.example.com"
//! …
//! # signature: BASE64
//! ```
//!
//! What is signed is everything before the last line, RSASSA-PKCS1-v1_5 with SHA-256 as of updates. Nothing else that such a key signs begins with those
//! words: an update begins with `SRUPDATE`, and for a program of the firmware a DER structure is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_update::SigningKey;

use super::Refusal;

/// What a seed begins with, before the number of its format.
pub(super) const BEGINNING: &str = "# Strongroom seed, format ";
/// The format that is read.
pub(super) const FORMAT: &str = "1";
/// What its last line begins with.
const SIGNATURE: &str = "# signature: ";

/// A seed, taken apart. Nothing in it is believed yet.
pub(super) struct Parts<'a> {
    /// All that is signed.
    pub(super) text: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes one apart.
    ///
    /// # Errors
    /// [`Refusal::NotASeed`], [`Refusal::Unsigned`].
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let all = str::from_utf8(bytes).map_err(|_| Refusal::NotASeed)?;
        if !all.starts_with(BEGINNING) {
            return Err(Refusal::NotASeed);
        }
        let all = all.trim_end();
        let last = all.rfind('\n').ok_or(Refusal::Unsigned)? + 1;
        let (text, line) = all.split_at(last);
        let signature = line.strip_prefix(SIGNATURE).ok_or(Refusal::Unsigned)?;
        Ok(Self {
            text,
            signature: signature.trim(),
        })
    }
}

/// What was signed by this key: a document of the format that is read.
///
/// # Errors
/// [`Refusal::NotASeed`], [`Refusal::Unsigned`], [`Refusal::Foreign`], and [`Refusal::Format`] once the signature was verified.
pub(super) fn verified<'a>(bytes: &'a [u8], key: &SigningKey) -> Result<&'a str, Refusal> {
    let Parts { text, signature } = Parts::of(bytes)?;
    let signature = STANDARD.decode(signature).map_err(|_| Refusal::Foreign)?;
    if !key.has_signed(text.as_bytes(), &signature) {
        return Err(Refusal::Foreign);
    }
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix(BEGINNING).map(str::trim) {
        Some(FORMAT) => Ok(text),
        other => Err(Refusal::Format(other.unwrap_or_default().to_owned())),
    }
}

/// Keys and signatures for tests, by OpenSSL.
#[cfg(test)]
pub(super) mod signing {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use strongroom_update::SigningKey;

    fn openssl(folder: &Path, words: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl")
            .args(words)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Makes the key `NAME.key` and its public half `NAME.pem` in a folder.
    pub(in crate::seed) fn key(folder: &Path, name: &str) -> SigningKey {
        let (private, public) = (format!("{name}.key"), format!("{name}.pem"));
        openssl(folder, &["genrsa", "-out", &private, "2048"]);
        openssl(
            folder,
            &["rsa", "-in", &private, "-pubout", "-out", &public],
        );
        SigningKey::from_pem(&fs::read(folder.join(public)).unwrap()).unwrap()
    }

    /// A text with its signature, as image/README.md says how to make it.
    pub(in crate::seed) fn sign(folder: &Path, name: &str, text: &str) -> Vec<u8> {
        fs::write(folder.join("text"), text).unwrap();
        let private = format!("{name}.key");
        let signature = openssl(folder, &["dgst", "-sha256", "-sign", &private, "text"]);
        format!("{text}# signature: {}\n", STANDARD.encode(signature)).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const TEXT: &str = "# Strongroom seed, format 1\nname = \"keys.example.com\"\n";

    #[test]
    fn what_the_key_has_signed_is_believed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let ours = signing::key(folder.path(), "ours");
        let other = signing::key(folder.path(), "other");
        let seed = signing::sign(folder.path(), "ours", TEXT);
        assert_eq!(verified(&seed, &ours).unwrap(), TEXT);
        assert!(matches!(verified(&seed, &other), Err(Refusal::Foreign)));

        // One byte of what it says, and of its signature.
        for position in [TEXT.len() - 4, TEXT.len() + SIGNATURE.len() + 3] {
            let mut changed = seed.clone();
            changed[position] = if changed[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            assert!(matches!(verified(&changed, &ours), Err(Refusal::Foreign)));
        }
        // A line more, before the signature.
        let more = String::from_utf8(seed.clone()).unwrap();
        let more = more.replace(SIGNATURE, "ntp = [\"evil.example.com\"]\n# signature: ");
        assert!(matches!(
            verified(more.as_bytes(), &ours),
            Err(Refusal::Foreign)
        ));
        // A line more, behind it.
        let behind = [seed.as_slice(), b"ntp = []\n"].concat();
        assert!(matches!(verified(&behind, &ours), Err(Refusal::Unsigned)));
    }

    #[test]
    fn what_is_no_seed_or_of_another_format_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let key = signing::key(folder.path(), "ours");
        assert!(matches!(
            verified(TEXT.as_bytes(), &key),
            Err(Refusal::Unsigned)
        ));
        for no_seed in [
            b"".as_slice(),
            b"name = \"x\"\n# signature: AA",
            b"\xff\xfe",
        ] {
            assert!(matches!(verified(no_seed, &key), Err(Refusal::NotASeed)));
        }
        let newer = TEXT.replace("format 1", "format 2");
        let seed = signing::sign(folder.path(), "ours", &newer);
        let refusal = verified(&seed, &key).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "it has format 2, and this release reads format 1"
        );
        // Of a format that somebody else wrote nothing is said.
        let foreign = String::from_utf8(seed)
            .unwrap()
            .replace("format 2", "format 3");
        assert!(matches!(
            verified(foreign.as_bytes(), &key),
            Err(Refusal::Foreign)
        ));
    }
}
