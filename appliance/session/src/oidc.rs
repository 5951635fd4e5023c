//! What an ID token's nonce commits to, and how the session that it opens gets a transport key.
//!
//! In OpenID Connect the relying party chooses a nonce which the provider signs into the ID token. Here it is a hash of the client's
//! ephemeral X-Wing public key and of the appliance's random bytes. The client sees it in the address to which it sends its user, and
//! goes on only if it is that of its own key; the appliance seals the session's transport key to the key whose nonce the provider has
//! signed. So whoever stands between the two ends can put in no key of their own without one of them noticing.
//!
//! The suite is that of [`passkey`]; `info` is `strongroom/v1/oidc-transport-key`, the associated data the identifiers
//! of the sign-in and of the session.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use strongroom_wire::id::{SessionId, SignInId};

use crate::TransportKey;
use crate::passkey::{self, EphemeralKey, SealError, SealedTransportKey};

/// The length of the appliance's random bytes.
pub const RANDOM: usize = 32;

const INFO: &[u8] = b"strongroom/v1/oidc-transport-key";

/// The nonce: SHA-256 of `strongroom/v1/oidc-nonce`, the appliance's `random` bytes and the client's ephemeral public key, in base64url
/// without padding: 43 characters.
#[must_use]
pub fn nonce(random: &[u8; RANDOM], client_key: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(b"strongroom/v1/oidc-nonce")
        .chain_update(random)
        .chain_update(client_key)
        .finalize();
    URL_SAFE_NO_PAD.encode(hash)
}

/// Seals the transport key of a session to the client's ephemeral public key.
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
    let names = [sign_in.as_bytes(), session.as_bytes()];
    passkey::seal_with(INFO, public, names, key)
}

/// Opens the transport key of a session.
///
/// # Errors
///
/// [`SealError`] when it was sealed to another key, for another session or for another kind of sign-in, or was altered on the way.
pub fn open(
    key: &EphemeralKey,
    sign_in: SignInId,
    session: SessionId,
    sealed: &SealedTransportKey,
) -> Result<TransportKey, SealError> {
    let names = [sign_in.as_bytes(), session.as_bytes()];
    key.open_with(INFO, names, sealed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_nonce_is_the_documented_one() {
        let made = nonce(&[7; RANDOM], b"a key");
        let mut input = b"strongroom/v1/oidc-nonce".to_vec();
        input.extend([7; RANDOM]);
        input.extend(b"a key");
        assert_eq!(made, URL_SAFE_NO_PAD.encode(Sha256::digest(&input)));
        assert_eq!(made.len(), 43);
        assert_ne!(made, nonce(&[7; RANDOM], b"another"));
        assert_ne!(made, nonce(&[8; RANDOM], b"a key"));
    }

    #[test]
    fn a_transport_key_opens_for_its_own_kind_of_sign_in_alone() {
        let client = EphemeralKey::generate();
        let (sign_in, session) = (SignInId::generate(), SessionId::generate());
        let key = TransportKey::from_bytes([7; 32]);
        let sealed = seal(client.public(), sign_in, session, &key).unwrap();
        let opened = open(&client, sign_in, session, &sealed).unwrap();
        assert_eq!(opened.as_bytes(), key.as_bytes());
        assert!(client.open(sign_in, session, &sealed).is_err());
        assert!(open(&client, sign_in, SessionId::generate(), &sealed).is_err());
        assert!(open(&EphemeralKey::generate(), sign_in, session, &sealed).is_err());
        let of_a_passkey = passkey::seal(client.public(), sign_in, session, &key).unwrap();
        assert!(open(&client, sign_in, session, &of_a_passkey).is_err());
    }
}
