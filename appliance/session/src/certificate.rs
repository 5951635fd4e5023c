//! Sign-in by client certificate: how the session that it opens gets a transport key.
//!
//! TLS has shown that the client holds the certificate's key. Within that connection it sends an ephemeral X-Wing public key, and the
//! appliance seals the session's transport key to it by HPKE (RFC 9180). A proxy that opens the TLS cannot present the client's
//! certificate to the appliance, so it can put in no key of its own; and who records the traffic learns nothing later.
//!
//! The suite is that of [`factory`](crate::factory). `info` is `strongroom/v1/certificate-transport-key`, the associated data the account's and the
//! session's identifiers, 16 bytes each.

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha512;
use hpke::kem::XWing;
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal,
};
use strongroom_wire::id::{AccountId, SessionId};
use zeroize::Zeroizing;

use crate::TransportKey;

/// The length of an ephemeral public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = crate::factory::PUBLIC_KEY_LEN;

const INFO: &[u8] = b"strongroom/v1/certificate-transport-key";

/// A client's ephemeral key: made for one sign-in and forgotten after it.
pub struct CertificateSignInKey(<XWing as hpke::Kem>::PrivateKey);

/// A transport key that only the holder of the ephemeral key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedForCertificate {
    /// The encapsulated key, 1120 bytes.
    pub encapsulated: Vec<u8>,
    /// The transport key, sealed: 48 bytes.
    pub sealed: Vec<u8>,
}

/// The key is none of X-Wing, or the transport key does not open: it was sealed to another key or for another session, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session's transport key was not sealed to this end's key, or was altered on its way")]
pub struct SealError;

impl CertificateSignInKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(XWing::gen_keypair().0)
    }

    /// Its public key: [`PUBLIC_KEY_LEN`] bytes.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        XWing::sk_to_pk(&self.0).to_bytes().to_vec()
    }

    /// Opens a session's transport key.
    ///
    /// # Errors
    ///
    /// [`SealError`].
    pub fn open(
        &self,
        account: AccountId,
        session: SessionId,
        sealed: &SealedForCertificate,
    ) -> Result<TransportKey, SealError> {
        let encapsulated = <XWing as hpke::Kem>::EncappedKey::from_bytes(&sealed.encapsulated)
            .map_err(|_| SealError)?;
        let opened = single_shot_open::<AesGcm256, HkdfSha512, XWing>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            INFO,
            &sealed.sealed,
            &associated_data(account, session),
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError)?;
        let key = opened.as_slice().try_into().map_err(|_| SealError)?;
        Ok(TransportKey::from_bytes(key))
    }
}

impl fmt::Debug for CertificateSignInKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateSignInKey(hidden)")
    }
}

/// Seals a session's transport key to a client's ephemeral public key.
///
/// # Errors
///
/// [`SealError`] when the public key is none.
pub fn seal(
    public: &[u8],
    account: AccountId,
    session: SessionId,
    key: &TransportKey,
) -> Result<SealedForCertificate, SealError> {
    let public = <XWing as hpke::Kem>::PublicKey::from_bytes(public).map_err(|_| SealError)?;
    let (encapsulated, sealed) = single_shot_seal::<AesGcm256, HkdfSha512, XWing>(
        &OpModeS::Base,
        &public,
        INFO,
        key.as_bytes(),
        &associated_data(account, session),
    )
    .map_err(|_| SealError)?;
    Ok(SealedForCertificate {
        encapsulated: encapsulated.to_bytes().to_vec(),
        sealed,
    })
}

fn associated_data(account: AccountId, session: SessionId) -> [u8; 32] {
    let mut data = [0; 32];
    data[..16].copy_from_slice(account.as_bytes());
    data[16..].copy_from_slice(session.as_bytes());
    data
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_transport_key_opens_for_its_session_alone() {
        let client = CertificateSignInKey::generate();
        let (account, session) = (AccountId::generate(), SessionId::generate());
        let key = TransportKey::from_bytes([7; 32]);
        let sealed = seal(&client.public(), account, session, &key).unwrap();
        let opened = client.open(account, session, &sealed).unwrap();
        assert_eq!(opened.as_bytes(), key.as_bytes());
        for (account, session) in [
            (AccountId::generate(), session),
            (account, SessionId::generate()),
        ] {
            assert!(client.open(account, session, &sealed).is_err());
        }
        let stranger = CertificateSignInKey::generate();
        assert!(stranger.open(account, session, &sealed).is_err());
        let mut altered = sealed.clone();
        altered.sealed[3] ^= 1;
        assert!(client.open(account, session, &altered).is_err());
        assert!(seal(&client.public()[1..], account, session, &key).is_err());
    }
}
