//! Whose signature counts.

use std::fmt;

use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use rustls_pki_types::pem::{SectionKind, from_buf};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::Error;

/// The fewest bytes of a modulus: RSA with 2048 bits.
const MODULUS_MIN: usize = 256;

/// The public key whose signature an update needs.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(RsaPublicKey);

impl SigningKey {
    /// The key of the first certificate (RFC 5280) or public key (RFC 5280 `SubjectPublicKeyInfo`) in a PEM text. Of a certificate nothing but
    /// its key is looked at: firmware, which checks signatures by the same key, looks at no date either.
    ///
    /// # Errors
    /// [`Error::Key`] where there is none, or none of RSA with at least 2048 bits.
    pub fn from_pem(mut pem: &[u8]) -> Result<Self, Error> {
        let key = loop {
            match from_buf(&mut pem).map_err(|_| Error::Key)? {
                Some((SectionKind::Certificate, der)) => {
                    let certificate = Certificate::from_der(&der).map_err(|_| Error::Key)?;
                    let info = &certificate.tbs_certificate.subject_public_key_info;
                    break info.to_der().map_err(|_| Error::Key)?;
                }
                Some((SectionKind::PublicKey, der)) => break der,
                Some(_) => {}
                None => return Err(Error::Key),
            }
        };
        let key = RsaPublicKey::from_public_key_der(&key).map_err(|_| Error::Key)?;
        if key.size() < MODULUS_MIN {
            return Err(Error::Key);
        }
        Ok(Self(key))
    }

    /// Whether this key made a signature of a message, as it makes them of updates (RSASSA-PKCS1-v1_5 with SHA-256; RFC 8017 section 8.2).
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify(&Sha256::digest(message), signature).is_ok()
    }

    /// Whether this key signed what has this SHA-256.
    ///
    /// # Errors
    /// [`Error::Signature`] where it did not.
    pub(crate) fn verify(&self, sha256: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.0
            .verify(Pkcs1v15Sign::new::<Sha256>(), sha256, signature)
            .map_err(|_| Error::Signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(RSA, {} bits)", self.0.n().bits())
    }
}
