//! Cosignatures: what a witness says of a checkpoint (C2SP `tlog-cosignature`, Ed25519, `cosignature/v1`).
//!
//! A witness has checked that the log's tree grew from the tree it saw before, and says by its cosignature that, at that time, this was the largest
//! tree of the log that it had seen. Its signature is one more signature line under the checkpoint.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use signed_note::Signature as Line;

/// The signature type of Ed25519 cosignatures in verifier keys and key ids.
const ED25519_COSIGNATURE: u8 = 4;
/// The latest time that a cosignature may have (C2SP `tlog-cosignature`, "Format").
const LATEST: u64 = i64::MAX as u64;

/// The key of a witness: its name and its Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WitnessKey {
    name: String,
    public_key: [u8; 32],
}

/// A text that is no verifier key of a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no C2SP verifier key of a witness: NAME+KEYID+KEY, of the type Ed25519 cosignature (4)"
)]
pub struct MalformedWitnessKey;

/// A cosignature that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// When the witness made it, in seconds since 1970.
    pub time: u64,
    /// Its signature line, with the line feed at its end.
    pub line: String,
}

impl WitnessKey {
    /// The key of this name.
    ///
    /// # Errors
    ///
    /// When the name cannot stand in a note, or the bytes are no Ed25519 public key.
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, MalformedWitnessKey> {
        if !signed_note::is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(MalformedWitnessKey);
        }
        VerifyingKey::from_bytes(&public_key).map_err(|_| MalformedWitnessKey)?;
        Ok(Self {
            name: name.to_owned(),
            public_key,
        })
    }

    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its Ed25519 public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The key id: the first four bytes of `SHA-256(name || 0x0A || 0x04 || public key)`.
    #[must_use]
    pub fn id(&self) -> u32 {
        signed_note::key_id(&self.name, &self.typed())
    }

    fn typed(&self) -> [u8; 33] {
        let mut key = [ED25519_COSIGNATURE; 33];
        key[1..].copy_from_slice(&self.public_key);
        key
    }
}

impl fmt::Display for WitnessKey {
    /// As a verifier key (`vkey`): `NAME+KEYID+KEY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode(self.typed());
        write!(f, "{}+{:08x}+{key}", self.name, self.id())
    }
}

impl FromStr for WitnessKey {
    type Err = MalformedWitnessKey;

    fn from_str(text: &str) -> Result<Self, MalformedWitnessKey> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(MalformedWitnessKey);
        };
        let key = STANDARD.decode(key).map_err(|_| MalformedWitnessKey)?;
        let Some((&ED25519_COSIGNATURE, public_key)) = key.split_first() else {
            return Err(MalformedWitnessKey);
        };
        let public_key = public_key.try_into().map_err(|_| MalformedWitnessKey)?;
        let key = Self::new(name, public_key)?;
        // The one spelling, its key id among it.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(MalformedWitnessKey)
        }
    }
}

/// The text that is signed and the signature lines of a note; none where it is no note.
#[must_use]
pub fn split(note: &str) -> Option<(&str, &str)> {
    let at = note.rfind("\n\n")?;
    Some((&note[..=at], &note[at + 2..]))
}

/// What a witness signs: that it saw the checkpoint with this text (without its signature lines) at this time, in seconds since 1970.
#[must_use]
pub fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The signature line of the signature over [`message`], with its line feed.
#[must_use]
pub fn line(key: &WitnessKey, time: u64, signature: &[u8; 64]) -> String {
    let signed = [
        &key.id().to_be_bytes()[..],
        &time.to_be_bytes(),
        &signature[..],
    ]
    .concat();
    format!("\u{2014} {} {}\n", key.name, STANDARD.encode(signed))
}

/// The cosignature by this key of the checkpoint with this text, among these signature lines. Lines of other keys are ignored; so are malformed
/// ones. Where there are several, the newest.
#[must_use]
pub fn find(text: &str, lines: &str, key: &WitnessKey) -> Option<Cosignature> {
    let verifier = VerifyingKey::from_bytes(&key.public_key).ok()?;
    let found = lines.split_terminator('\n').filter_map(|line| {
        let signed = Line::from_bytes(line.as_bytes()).ok()?;
        if signed.name() != key.name || signed.id() != key.id() {
            return None;
        }
        let (time, signature) = signed.signature().split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        let signature = Signature::from_bytes(signature.try_into().ok()?);
        let holds = time <= LATEST
            && verifier
                .verify_strict(&message(time, text), &signature)
                .is_ok();
        holds.then(|| Cosignature {
            time,
            line: format!("{line}\n"),
        })
    });
    found.max_by_key(|cosignature| cosignature.time)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const TEXT: &str =
        "strongroom.example/default\n2\nxpZZAa3ER26+85fUzbgV1+GdNTzeXXFBKOzaeax+G/k=\n";

    fn signer(seed: u8) -> (SigningKey, WitnessKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = key.verifying_key().to_bytes();
        (key, WitnessKey::new("witness.example/w1", public).unwrap())
    }

    fn cosigned(seed: u8, time: u64, text: &str) -> String {
        let (signer, key) = signer(seed);
        line(&key, time, &signer.sign(&message(time, text)).to_bytes())
    }

    #[test]
    fn a_cosignature_is_found_among_others() {
        let (_, key) = signer(1);
        let lines = [
            cosigned(2, 8, TEXT),
            cosigned(1, 7, TEXT),
            cosigned(1, 9, TEXT),
            "no signature line\n".to_owned(),
        ];
        let found = find(TEXT, &lines.concat(), &key).unwrap();
        assert_eq!((found.time, &found.line), (9, &lines[2]));
        assert_eq!(find(TEXT, &lines[0], &key), None);
        assert_eq!(find(&TEXT.replace('2', "3"), &lines.concat(), &key), None);
    }

    /// The example of C2SP `tlog-cosignature` has this shape: its checkpoint, and a line by `witness.example.com/w1`.
    #[test]
    fn the_message_is_the_documented_one() {
        let text =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let expected = format!("cosignature/v1\ntime 1679315147\n{text}");
        assert_eq!(message(1_679_315_147, text), expected.as_bytes());
        let example = "\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==";
        let parsed = Line::from_bytes(example.as_bytes()).unwrap();
        let (time, signature) = parsed.signature().split_first_chunk::<8>().unwrap();
        assert_eq!(u64::from_be_bytes(*time), 1_679_315_147);
        assert_eq!(signature.len(), 64);
    }

    #[test]
    fn no_altered_byte_of_the_line_passes() {
        let (_, key) = signer(1);
        let good = cosigned(1, 1_795_802_400, TEXT);
        assert!(find(TEXT, &good, &key).is_some());
        let bytes = good.trim_end().as_bytes();
        for at in 0..bytes.len() {
            let mut altered = bytes.to_vec();
            altered[at] ^= 1;
            if let Ok(altered) = String::from_utf8(altered) {
                assert_eq!(find(TEXT, &altered, &key), None, "byte {at}");
            }
        }
    }

    #[test]
    fn verifier_keys_have_one_spelling() {
        let (_, key) = signer(1);
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        for bad in [
            "",
            "witness.example/w1",
            &text.replace('+', "-"),
            &text.replacen("w1", "w2", 1),
            &text.to_uppercase(),
            &format!("{text} "),
            // A log's key: another type.
            &crate::checkpoint::verifier_key("witness.example/w1", &[7; 32]),
        ] {
            assert_eq!(bad.parse::<WitnessKey>(), Err(MalformedWitnessKey), "{bad}");
        }
        for name in ["", "two words", "a+b", "bell\u{7}"] {
            assert!(WitnessKey::new(name, *signer(1).1.public_key()).is_err());
        }
    }

    #[test]
    fn a_note_is_split_at_its_signatures() {
        let note = format!("{TEXT}\n{}", cosigned(1, 7, TEXT));
        let (text, lines) = split(&note).unwrap();
        assert_eq!(text, TEXT);
        assert!(find(text, lines, &signer(1).1).is_some());
        assert_eq!(split("no note"), None);
    }
}
