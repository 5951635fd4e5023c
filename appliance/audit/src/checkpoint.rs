//! Checkpoints: the tree's size and root, signed (C2SP `tlog-checkpoint` in a C2SP `signed-note`, Ed25519).

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tlog_tiles::Hash;

use crate::note::{self, NoteError};
use crate::tree::MAX_SIZE;

pub use crate::note::{SignError, verifier_key};

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Which log: the name that the log's verifier key carries too.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree of so many leaves.
    pub root: Hash,
}

/// Why a note is no checkpoint of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The verifier key cannot be read, its key id is wrong, or it is not Ed25519.
    #[error("the verifier key is not a C2SP verifier key for Ed25519")]
    VerifierKey,
    /// The text is no signed note.
    #[error("the checkpoint is not a signed note")]
    Note,
    /// The log's key has not signed the note, or its signature is wrong.
    #[error("the checkpoint is not signed by the key {0}")]
    Signature(String),
    /// The signed text is no checkpoint, or its tree is larger than can be.
    #[error("the signed note is not a checkpoint")]
    Body,
    /// The checkpoint is signed with the log's key but names another log.
    #[error("the checkpoint is of the log {0}")]
    Origin(String),
    /// A key has signed it that may not sign trees of its size: one whose time was over, or had not come.
    #[error(
        "the checkpoint of {size} leaves is signed by the key {key}, which may not sign trees of that size"
    )]
    KeyNotInForce {
        /// The size.
        size: u64,
        /// The verifier key.
        key: String,
    },
}

/// The signed checkpoint of the tree with this size and root. `sign` makes the Ed25519 signature of the bytes it is given, with one of
/// the log's keys; the signature is verified before the note goes out.
///
/// # Errors
///
/// When the origin is no key name, the signer fails, or its signature verifies under none of `public_keys`.
pub fn sign<E: Error + 'static>(
    origin: &str,
    size: u64,
    root: &Hash,
    public_keys: &[[u8; 32]],
    sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
) -> Result<String, SignError<E>> {
    let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.0));
    note::sign(origin, &text, public_keys, sign)
}

/// What the note says, if it is a checkpoint signed by the log with this verifier key. Signatures by others, such as
/// witnesses, are ignored.
///
/// # Errors
///
/// When it is not.
pub fn verify(note: &str, verifier_key: &str) -> Result<Checkpoint, CheckpointError> {
    let origin = name(verifier_key)?;
    let text = note::verify(note, verifier_key)?;
    let body = tlog_tiles::Checkpoint::from_bytes(&text).map_err(|_| CheckpointError::Body)?;
    if body.size() > MAX_SIZE {
        return Err(CheckpointError::Body);
    }
    if body.origin() != origin {
        return Err(CheckpointError::Origin(body.origin().to_owned()));
    }
    Ok(Checkpoint {
        origin,
        size: body.size(),
        root: *body.hash(),
    })
}

/// Whether a verifier key can be used.
///
/// # Errors
///
/// [`CheckpointError::VerifierKey`] when it cannot be read, its key id is wrong, or it is not Ed25519.
pub fn check_verifier_key(verifier_key: &str) -> Result<(), CheckpointError> {
    name(verifier_key).map(drop)
}

/// The name (origin) in a verifier key that can be used.
pub(crate) fn name(verifier_key: &str) -> Result<String, CheckpointError> {
    Ok(note::name(verifier_key)?)
}

impl From<NoteError> for CheckpointError {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::VerifierKey => Self::VerifierKey,
            NoteError::Note => Self::Note,
            NoteError::Signature(key) => Self::Signature(key),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;

    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    const ORIGIN: &str = "strongroom.example/default";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn signed(key: &SigningKey, text: &str) -> String {
        signed_as(key, ORIGIN, text)
    }

    /// A note of any text, as a log with this name would sign it.
    fn signed_as(key: &SigningKey, name: &str, text: &str) -> String {
        let id = signed_note::key_id(name, &note::typed(key.verifying_key().as_bytes()));
        let signature = [&id.to_be_bytes()[..], &key.sign(text.as_bytes()).to_bytes()].concat();
        format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
    }

    fn checkpoint(key: &SigningKey, size: u64, root: &Hash) -> String {
        let public = key.verifying_key().to_bytes();
        sign(ORIGIN, size, root, &[public], |text| {
            Ok::<_, Infallible>(key.sign(text).to_bytes())
        })
        .unwrap()
    }

    fn vkey(key: &SigningKey) -> String {
        verifier_key(ORIGIN, key.verifying_key().as_bytes())
    }

    #[test]
    fn verifier_keys_are_those_of_the_library() {
        let key = key(1);
        let expected = signed_note::new_ed25519_verifier_key(ORIGIN, &key.verifying_key());
        assert_eq!(vkey(&key), expected);
    }

    #[test]
    fn a_signed_checkpoint_verifies() {
        let key = key(1);
        let note = checkpoint(&key, 5, &Hash([9; 32]));
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(lines[..2], [ORIGIN, "5"]);
        assert_eq!(lines.len(), 5);
        assert_eq!(
            verify(&note, &vkey(&key)).unwrap(),
            Checkpoint {
                origin: ORIGIN.to_owned(),
                size: 5,
                root: Hash([9; 32]),
            }
        );
    }

    #[test]
    fn a_witness_may_sign_too() {
        let key = key(1);
        let note = checkpoint(&key, 5, &Hash([9; 32]));
        let text = &note[..=note.find("\n\n").unwrap()];
        let witness = signed_as(&self::key(2), "witness.example", text);
        let both = format!("{note}{}", &witness[text.len() + 1..]);
        assert_eq!(verify(&both, &vkey(&key)).unwrap().size, 5);
        // By the witness alone it is not the log's.
        assert!(matches!(
            verify(&witness, &vkey(&key)),
            Err(CheckpointError::Signature(_))
        ));
    }

    #[test]
    fn a_wrong_key_is_refused() {
        let note = checkpoint(&key(1), 5, &Hash([9; 32]));
        assert!(matches!(
            verify(&note, &vkey(&key(2))),
            Err(CheckpointError::Signature(_))
        ));
        // The right name and key id over a signature by another key.
        let other = checkpoint(&key(2), 5, &Hash([9; 32]));
        let id = &note.lines().last().unwrap().rsplit_once(' ').unwrap().1[..5];
        let at = other.rfind(' ').unwrap() + 1;
        let forged = format!("{}{id}{}", &other[..at], &other[at + 5..]);
        assert!(matches!(
            verify(&forged, &vkey(&key(1))),
            Err(CheckpointError::Signature(_))
        ));
    }

    #[test]
    fn no_altered_byte_passes() {
        let key = key(1);
        let note = checkpoint(&key, 1234, &Hash([9; 32]));
        let bytes = note.as_bytes();
        for at in 0..bytes.len() {
            let mut altered = bytes.to_vec();
            altered[at] ^= 1;
            if let Ok(altered) = String::from_utf8(altered) {
                assert!(verify(&altered, &vkey(&key)).is_err(), "byte {at}");
            }
            let cut = String::from_utf8_lossy(&bytes[..at]);
            assert!(verify(&cut, &vkey(&key)).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_signed_text_that_is_no_checkpoint_is_refused() {
        let key = key(1);
        let root = STANDARD.encode([9; 32]);
        for text in [
            "hello\n".to_owned(),
            format!("{ORIGIN}\n05\n{root}\n"),
            format!("{ORIGIN}\n-5\n{root}\n"),
            format!("{ORIGIN}\n5\nAAAA\n"),
            format!("{ORIGIN}\n{}\n{root}\n", u64::MAX),
        ] {
            let note = signed(&key, &text);
            assert_eq!(
                verify(&note, &vkey(&key)),
                Err(CheckpointError::Body),
                "{text}"
            );
        }
        let other = signed(&key, &format!("other.example\n5\n{root}\n"));
        assert_eq!(
            verify(&other, &vkey(&key)),
            Err(CheckpointError::Origin("other.example".to_owned()))
        );
        assert_eq!(verify("no note", &vkey(&key)), Err(CheckpointError::Note));
        for bad in ["", "a+b+c", "a+00000000+AQ==", "no plus"] {
            let note = signed(&key, "x\n");
            assert_eq!(verify(&note, bad), Err(CheckpointError::VerifierKey));
        }
    }

    #[test]
    fn what_cannot_be_signed_is_not() {
        let key = key(1);
        let public = key.verifying_key().to_bytes();
        let good = |text: &[u8]| Ok::<_, Infallible>(key.sign(text).to_bytes());
        for origin in ["", "two words", "a+b", "line\nbreak", "bell\u{7}"] {
            let result = sign(origin, 0, &Hash([0; 32]), &[public], good);
            assert!(matches!(result, Err(SignError::Origin(_))), "{origin:?}");
        }
        let wrong = |_: &[u8]| Ok::<_, Infallible>([7; 64]);
        assert!(matches!(
            sign(ORIGIN, 0, &Hash([0; 32]), &[public], wrong),
            Err(SignError::Unverified(NoteError::Signature(_)))
        ));
        let failing = |_: &[u8]| Err(std::io::Error::other("the HSM is away"));
        assert!(matches!(
            sign(ORIGIN, 0, &Hash([0; 32]), &[public], failing),
            Err(SignError::Signer(_))
        ));
    }
}
