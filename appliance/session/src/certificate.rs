//! Sign-in by client certificate: how the session that it opens gets a transport key.
//!
//! TLS has shown that the client holds the certificate's key. Within that connection it sends an ephemeral X-Wing public key, and the
//! appliance seals the session's transport key to it by HPKE (RFC 9180). A proxy that opens the TLS cannot present the client's
//! certificate to the appliance, so it can put in no key of its own; and who records the traffic learns nothing later.
//!
//! The suite is that of [`passkey`]. `info` is `strongroom/v1/certificate-transport-key`, the associated data the account's and the
//! session's identifiers, 16 bytes each.

use strongroom_wire::id::{AccountId, SessionId};

use crate::TransportKey;
use crate::passkey::{self, EphemeralKey, SealError, SealedTransportKey};

const INFO: &[u8] = b"strongroom/v1/certificate-transport-key";

/// Seals the transport key of a session to the client's ephemeral public key.
///
/// # Errors
///
/// [`SealError`] when the public key is none.
pub fn seal(
    public: &[u8],
    account: AccountId,
    session: SessionId,
    key: &TransportKey,
) -> Result<SealedTransportKey, SealError> {
    let names = [account.as_bytes(), session.as_bytes()];
    passkey::seal_with(INFO, public, names, key)
}

/// Opens the transport key of a session.
///
/// # Errors
///
/// [`SealError`] when it was sealed to another key, for another account, session or kind of sign-in, or was altered on the way.
pub fn open(
    key: &EphemeralKey,
    account: AccountId,
    session: SessionId,
    sealed: &SealedTransportKey,
) -> Result<TransportKey, SealError> {
    let names = [account.as_bytes(), session.as_bytes()];
    key.open_with(INFO, names, sealed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::id::SignInId;

    use super::*;

    #[test]
    fn a_transport_key_opens_for_its_session_alone() {
        let client = EphemeralKey::generate();
        let (account, session) = (AccountId::generate(), SessionId::generate());
        let key = TransportKey::from_bytes([7; 32]);
        let sealed = seal(client.public(), account, session, &key).unwrap();
        let opened = open(&client, account, session, &sealed).unwrap();
        assert_eq!(opened.as_bytes(), key.as_bytes());
        for (account, session) in [
            (AccountId::generate(), session),
            (account, SessionId::generate()),
        ] {
            assert!(open(&client, account, session, &sealed).is_err());
        }
        let stranger = EphemeralKey::generate();
        assert!(open(&stranger, account, session, &sealed).is_err());
        let mut altered = sealed.clone();
        altered.ciphertext[3] ^= 1;
        assert!(open(&client, account, session, &altered).is_err());
        assert!(seal(&client.public()[1..], account, session, &key).is_err());
        // Nor for another kind of sign-in with the same identifiers.
        let sign_in = SignInId::from_bytes(*account.as_bytes());
        assert!(client.open(sign_in, session, &sealed).is_err());
    }
}
