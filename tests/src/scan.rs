//! Looking for secrets where none may be.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Secrets that are looked for, each in every form in which one could slip out.
#[derive(Default)]
pub struct Secrets(Vec<Secret>);

struct Secret {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Secrets {
    /// No secrets yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for this text also.
    pub fn add_text(&mut self, name: &str, text: &str) {
        self.add(name, vec![text.as_bytes().to_vec()]);
    }

    /// Looks for these bytes also: as they are, in hexadecimal, in base64 and base64url, and as a list of numbers.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        let numbers = |separator: &str| {
            let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
            numbers.join(separator).into_bytes()
        };
        let forms = vec![
            bytes.to_vec(),
            hex::encode(bytes).into_bytes(),
            hex::encode_upper(bytes).into_bytes(),
            URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
            STANDARD_NO_PAD.encode(bytes).into_bytes(),
            numbers(", "),
            numbers(","),
        ];
        self.add(name, forms);
    }

    fn add(&mut self, name: &str, forms: Vec<Vec<u8>>) {
        assert!(
            forms.iter().all(|form| form.len() >= 6),
            "{name} is too short to be looked for"
        );
        self.0.push(Secret {
            name: name.to_owned(),
            forms,
        });
    }

    /// The names of the secrets that stand in these bytes.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        self.0
            .iter()
            .filter(|secret| secret.forms.iter().any(|form| contains(bytes, form)))
            .map(|secret| secret.name.as_str())
            .collect()
    }

    /// Panics when one of the secrets stands in these bytes.
    pub fn assert_absent(&self, place: &str, bytes: &[u8]) {
        let found = self.found_in(bytes);
        assert!(found.is_empty(), "{place} holds {}", found.join(", "));
    }

    /// Panics when one of the secrets stands in one of these files, or in a file's name.
    pub fn assert_absent_from_files(&self, files: &[PathBuf]) {
        for file in files {
            let name = file.display().to_string();
            self.assert_absent(&format!("the name of {name}"), name.as_bytes());
            self.assert_absent(&name, &fs::read(file).unwrap());
        }
    }
}

/// All files below a folder, sorted.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Whether these bytes hold, in plain, hexadecimal, base64 or base64url, 32 bytes whose SHA-256 is one of these: so a stored session
/// token is found without being known.
#[must_use]
pub fn holds_preimage(bytes: &[u8], hashes: &[[u8; 32]]) -> bool {
    let in_plain = |bytes: &[u8]| {
        bytes
            .windows(32)
            .any(|window| hashes.contains(&Sha256::digest(window).into()))
    };
    let words = bytes
        .split(|byte| !(byte.is_ascii_alphanumeric() || b"-_+/".contains(byte)))
        .filter(|word| word.len() >= 43);
    in_plain(bytes)
        || words.into_iter().any(|word| {
            let hexadecimal = word.windows(64).filter_map(|text| hex::decode(text).ok());
            let base64 = word.windows(43).flat_map(|text| {
                [URL_SAFE_NO_PAD.decode(text), STANDARD_NO_PAD.decode(text)]
                    .into_iter()
                    .flatten()
            });
            hexadecimal.chain(base64).any(|decoded| in_plain(&decoded))
        })
}

fn contains(bytes: &[u8], pattern: &[u8]) -> bool {
    let Some((first, _)) = pattern.split_first() else {
        return true;
    };
    let mut rest = bytes;
    while let Some(position) = rest.iter().position(|byte| byte == first) {
        rest = &rest[position..];
        if rest.starts_with(pattern) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let mut secrets = Secrets::new();
        let key: Vec<u8> = (200..232).collect();
        secrets.add_bytes("the key", &key);
        secrets.add_text("the password", "correct horse");
        for form in [
            key.clone(),
            hex::encode(&key).into_bytes(),
            URL_SAFE_NO_PAD.encode(&key).into_bytes(),
            format!("{key:?}").into_bytes(),
        ] {
            let around = [b"before ".as_slice(), &form, b" after"].concat();
            assert_eq!(secrets.found_in(&around), ["the key"]);
        }
        assert_eq!(secrets.found_in(b"a correct horse"), ["the password"]);
        assert!(secrets.found_in(&key[1..]).is_empty());
    }

    #[test]
    fn a_token_is_found_by_its_hash() {
        let token: Vec<u8> = (100..132).collect();
        let hashes = [Sha256::digest(&token).into()];
        let encoded = URL_SAFE_NO_PAD.encode(&token);
        assert!(holds_preimage(
            format!("token = \"{encoded}\"").as_bytes(),
            &hashes
        ));
        assert!(holds_preimage(hex::encode(&token).as_bytes(), &hashes));
        assert!(holds_preimage(
            &[&[1, 2, 3], token.as_slice()].concat(),
            &hashes
        ));
        assert!(!holds_preimage(&encoded.as_bytes()[1..], &hashes));
    }
}
