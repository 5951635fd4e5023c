//! What a passkey signs, and how the session that it opens gets a transport key.
//!
//! A passkey's assertion (Web Authentication Level 3) covers a challenge, which here is made of the appliance's random bytes and of what
//! the client binds the assertion to:
//!
//! - with a passkey alone: the client's ephemeral X-Wing public key, to which the appliance seals the session's transport key by HPKE
//!   (RFC 9180). Whoever stands between the two ends can put in no other key, as the passkey has signed the client's;
//! - as a second factor: a value that follows from the transport key which both ends have from OPAQUE.
//!
//! X-Wing and its use in HPKE follow drafts (draft-connolly-cfrg-xwing-kem, draft-ietf-hpke-pq), so the suite has a versioned name.

use std::fmt;

use sha2::{Digest, Sha256};
pub use strongroom_hpke::PUBLIC_KEY_LEN as PUBLIC_KEY;
use strongroom_hpke::{PrivateKey, PublicKey, Sealed};
use strongroom_wire::id::{SessionId, SignInId};

use crate::transport::TransportKey;

/// The suite: X-Wing, HKDF-SHA-512, AES-256-GCM.
pub const SUITE: &str = "x-wing-06/hkdf-sha512/aes-256-gcm";
/// The length of the appliance's random bytes.
pub const RANDOM: usize = 32;

const INFO: &[u8] = b"strongroom/v1/passkey-transport-key";

/// The challenge that the passkey signs: SHA-256 of `strongroom/v1/passkey-challenge`, the appliance's `random` bytes and `binding`.
#[must_use]
pub fn challenge(random: &[u8; RANDOM], binding: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"strongroom/v1/passkey-challenge")
        .chain_update(random)
        .chain_update(binding)
        .finalize()
        .into()
}

/// A client's ephemeral key: made for one sign-in and forgotten after it.
pub struct EphemeralKey {
    private: PrivateKey,
    public: Vec<u8>,
}

impl EphemeralKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        let private = PrivateKey::generate();
        let public = private.public_key().to_bytes();
        Self { private, public }
    }

    /// The public key: [`PUBLIC_KEY`] bytes, which the challenge covers.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Opens the transport key of a session.
    ///
    /// # Errors
    ///
    /// [`SealError`] when it was sealed to another key or for another session, or was altered on the way.
    pub fn open(
        &self,
        sign_in: SignInId,
        session: SessionId,
        sealed: &SealedTransportKey,
    ) -> Result<TransportKey, SealError> {
        self.open_with(INFO, [sign_in.as_bytes(), session.as_bytes()], sealed)
    }

    /// As [`Self::open`], for the kind of sign-in that `info` names, and what these two identifiers stand for.
    pub(crate) fn open_with(
        &self,
        info: &[u8],
        names: [&[u8; 16]; 2],
        sealed: &SealedTransportKey,
    ) -> Result<TransportKey, SealError> {
        let associated = names.map(|name| *name);
        let opened = self
            .private
            .open(
                info,
                associated.as_flattened(),
                &sealed.encapsulated,
                &sealed.ciphertext,
            )
            .map_err(|_| SealError)?;
        let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| SealError)?;
        Ok(TransportKey::from_bytes(bytes))
    }
}

impl fmt::Debug for EphemeralKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EphemeralKey(hidden)")
    }
}

/// A transport key that only the holder of an ephemeral key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTransportKey {
    /// The encapsulated key: 1120 bytes.
    pub encapsulated: Vec<u8>,
    /// The transport key, encrypted: 48 bytes.
    pub ciphertext: Vec<u8>,
}

/// Seals the transport key of a session to a client's ephemeral public key.
///
/// # Errors
///
/// [`SealError`] when the public key is none.
pub fn seal(
    public: &[u8],
    sign_in: SignInId,
    session: SessionId,
    key: &TransportKey,
) -> Result<SealedTransportKey, SealError> {
    seal_with(INFO, public, [sign_in.as_bytes(), session.as_bytes()], key)
}

/// As [`seal`], for the kind of sign-in that `info` names, and what these two identifiers stand for.
pub(crate) fn seal_with(
    info: &[u8],
    public: &[u8],
    names: [&[u8; 16]; 2],
    key: &TransportKey,
) -> Result<SealedTransportKey, SealError> {
    let associated = names.map(|name| *name);
    let Sealed {
        encapsulated,
        ciphertext,
    } = PublicKey::from_bytes(public)
        .and_then(|public| public.seal(info, associated.as_flattened(), key.as_bytes()))
        .map_err(|_| SealError)?;
    Ok(SealedTransportKey {
        encapsulated,
        ciphertext,
    })
}

/// Whether these bytes are an ephemeral public key.
#[must_use]
pub fn is_public_key(bytes: &[u8]) -> bool {
    PublicKey::from_bytes(bytes).is_ok()
}

/// The transport key was sealed to another key, or what came is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session's transport key was not sealed to this end's key, or was altered on its way")]
pub struct SealError;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_transport_key_opens_with_the_right_key_for_the_right_session_only() {
        let client = EphemeralKey::generate();
        assert_eq!(client.public().len(), PUBLIC_KEY);
        assert!(is_public_key(client.public()) && !is_public_key(&client.public()[1..]));
        let (sign_in, session) = (SignInId::generate(), SessionId::generate());
        let key = TransportKey::from_bytes([7; 32]);
        let sealed = seal(client.public(), sign_in, session, &key).unwrap();
        assert_eq!(
            (sealed.encapsulated.len(), sealed.ciphertext.len()),
            (1120, 48)
        );
        let opened = client.open(sign_in, session, &sealed).unwrap();
        assert_eq!(opened.as_bytes(), key.as_bytes());

        let other = client.open(sign_in, SessionId::generate(), &sealed);
        assert_eq!(other.unwrap_err(), SealError);
        let other = client.open(SignInId::generate(), session, &sealed);
        assert_eq!(other.unwrap_err(), SealError);
        let other = EphemeralKey::generate().open(sign_in, session, &sealed);
        assert_eq!(other.unwrap_err(), SealError);
        for altered in [0, 500, 1119] {
            let mut altered_key = sealed.clone();
            altered_key.encapsulated[altered] ^= 1;
            assert!(client.open(sign_in, session, &altered_key).is_err());
        }
        assert_eq!(seal(&[1; 32], sign_in, session, &key), Err(SealError));
    }

    #[test]
    fn a_challenge_is_of_both_ends() {
        let random = [1; RANDOM];
        let one = challenge(&random, b"one key");
        assert_ne!(one, challenge(&random, b"another"));
        assert_ne!(one, challenge(&[2; RANDOM], b"one key"));
        assert_eq!(one, challenge(&random, b"one key"));
    }
}
