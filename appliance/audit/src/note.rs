//! Signed notes: text that a key of the log has signed (C2SP `signed-note`, Ed25519).

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, StandardVerifier, Verifier as _, VerifierList};

/// The signature type of Ed25519 in verifier keys and key ids.
const ED25519: u8 = 1;

/// Why a note is not what a key has signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The verifier key cannot be read, its key id is wrong, or it is not Ed25519.
    #[error("the verifier key is not a C2SP verifier key for Ed25519")]
    VerifierKey,
    /// The text is no signed note.
    #[error("the text is not a signed note")]
    Note,
    /// The key has not signed the note, or its signature is wrong.
    #[error("the note is not signed by the key {0}")]
    Signature(String),
}

/// Why no note was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError<E: Error + 'static> {
    /// A name, which is the origin of a checkpoint, is not empty and has neither spaces nor control characters nor a plus sign.
    #[error("{0:?} cannot be the name of a key or the origin of checkpoints")]
    Origin(String),
    /// The text does not end with a line feed, or has other control characters.
    #[error("the text cannot be that of a signed note")]
    Text,
    /// The signer failed.
    #[error("the note could not be signed")]
    Signer(#[source] E),
    /// What the signer made does not verify: it signs with none of the keys, or wrongly.
    #[error("the signature that was made does not verify")]
    Unverified(#[source] NoteError),
}

/// The verifier key (`vkey`) of a log: `ORIGIN+KEYID+KEY`, with the key id in hexadecimal and the key in base64.
#[must_use]
pub fn verifier_key(origin: &str, public_key: &[u8; 32]) -> String {
    let key = typed(public_key);
    let id = signed_note::key_id(origin, &key);
    format!("{origin}+{id:08x}+{}", STANDARD.encode(key))
}

/// The note of `text`, signed under `name`. `sign` makes the Ed25519 signature of the bytes it is given, with one of `public_keys`,
/// whichever: that is found by verifying it.
///
/// # Errors
///
/// When name or text cannot stand in a note, the signer fails, or its signature verifies under none of the keys.
pub fn sign<E: Error + 'static>(
    name: &str,
    text: &str,
    public_keys: &[[u8; 32]],
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
) -> Result<String, SignError<E>> {
    if !signed_note::is_key_name_valid(name) || name.chars().any(char::is_control) {
        return Err(SignError::Origin(name.to_owned()));
    }
    let stray = |c: char| c.is_control() && c != '\n';
    if !text.ends_with('\n') || text.contains(stray) {
        return Err(SignError::Text);
    }
    let signature = sign(text.as_bytes()).map_err(SignError::Signer)?;
    let mut failure = NoteError::VerifierKey;
    for public_key in public_keys {
        let mut signed = signed_note::key_id(name, &typed(public_key))
            .to_be_bytes()
            .to_vec();
        signed.extend(signature);
        let note = format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signed));
        match verify(&note, &verifier_key(name, public_key)) {
            Ok(_) => return Ok(note),
            Err(error) => failure = error,
        }
    }
    Err(SignError::Unverified(failure))
}

/// The text of the note, if the key has signed it. Signatures by others are ignored.
///
/// # Errors
///
/// When it has not.
pub fn verify(note: &str, verifier_key: &str) -> Result<Vec<u8>, NoteError> {
    let key = StandardVerifier::new(verifier_key).map_err(|_| NoteError::VerifierKey)?;
    let note = Note::from_bytes(note.as_bytes()).map_err(|_| NoteError::Note)?;
    note.verify(&VerifierList::new(vec![Box::new(key)]))
        .map_err(|_| NoteError::Signature(verifier_key.to_owned()))?;
    Ok(note.text().to_vec())
}

/// The name (origin) in a verifier key that can be used.
pub(crate) fn name(verifier_key: &str) -> Result<String, NoteError> {
    StandardVerifier::new(verifier_key)
        .map(|key| key.name().to_owned())
        .map_err(|_| NoteError::VerifierKey)
}

/// A public key with its type before it.
pub(crate) fn typed(public_key: &[u8; 32]) -> [u8; 33] {
    let mut key = [ED25519; 33];
    key[1..].copy_from_slice(public_key);
    key
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;

    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    const NAME: &str = "strongroom.example/default";

    fn signed_by(seed: u8, keys: &[u8], text: &str) -> Result<String, SignError<Infallible>> {
        let public: Vec<[u8; 32]> = keys.iter().map(|seed| public(*seed)).collect();
        sign(NAME, text, &public, |text| {
            Ok(SigningKey::from_bytes(&[seed; 32]).sign(text).to_bytes())
        })
    }

    fn public(seed: u8) -> [u8; 32] {
        SigningKey::from_bytes(&[seed; 32])
            .verifying_key()
            .to_bytes()
    }

    #[test]
    fn the_key_that_signed_is_found_among_several() {
        let text = "A transcript\n\nof two paragraphs\n";
        let note = signed_by(2, &[1, 2, 3], text).unwrap();
        assert_eq!(note, signed_by(2, &[2], text).unwrap());
        assert_eq!(
            verify(&note, &verifier_key(NAME, &public(2))).unwrap(),
            text.as_bytes()
        );
        assert!(matches!(
            verify(&note, &verifier_key(NAME, &public(1))),
            Err(NoteError::Signature(_))
        ));
        assert!(matches!(
            signed_by(4, &[1, 2, 3], text),
            Err(SignError::Unverified(_))
        ));
        assert!(matches!(
            signed_by(4, &[], text),
            Err(SignError::Unverified(_))
        ));
    }

    #[test]
    fn what_cannot_stand_in_a_note_is_not_signed() {
        for text in ["", "no end", "a bell\u{7}\n", "a tab\t\n"] {
            assert!(
                matches!(signed_by(1, &[1], text), Err(SignError::Text)),
                "{text:?}"
            );
        }
    }
}
