//! The agency's sealing certificate or key, and its private key.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use strongroom_wire::encoding::{Base64, Timestamp};
use zeroize::Zeroizing;

use crate::DisclosureError;
use crate::cms::{CmsPrivateKey, SealingCertificate};
use crate::hpke::{self, HpkePrivateKey, HpkePublicKey};

/// What the text of an agency's public key for HPKE begins with; base64url (RFC 4648 section 5) without padding follows.
pub const PUBLIC: &str = "strongroom-agency-public-key-1:";
/// What the text of an agency's private key for HPKE begins with.
pub const PRIVATE: &str = "strongroom-agency-key-1:";

/// How a key is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SealedForm {
    /// CMS, in DER: a file that ends in `.p7m`.
    Cms,
    /// HPKE: a file that ends in `.hpke`.
    Hpke,
}

impl SealedForm {
    /// How the name of a file in this form ends, after the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Cms => "p7m",
            Self::Hpke => "hpke",
        }
    }
}

/// What an agency has keys sealed to.
#[derive(Debug)]
pub enum SealingKey {
    /// An X.509 certificate.
    Certificate(Box<SealingCertificate>),
    /// A public key for HPKE.
    Hpke(Box<HpkePublicKey>),
}

impl SealingKey {
    /// The certificate in PEM or DER, or the line of a public key for HPKE, that this is.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoSealingKey`], [`DisclosureError::KeyNotTaken`], [`DisclosureError::KeyUsage`].
    pub fn parse(text: &[u8]) -> Result<Self, DisclosureError> {
        if let Some(bytes) = line(text, PUBLIC) {
            let key = HpkePublicKey::from_bytes(&bytes)?;
            return Ok(Self::Hpke(Box::new(key)));
        }
        let certificate = match CertificateDer::from_pem_slice(text) {
            Ok(der) => SealingCertificate::from_der(&der)?,
            Err(_) => SealingCertificate::from_der(text)?,
        };
        Ok(Self::Certificate(Box::new(certificate)))
    }

    /// The public key for HPKE with these bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoSealingKey`].
    pub fn from_public_key(bytes: &[u8]) -> Result<Self, DisclosureError> {
        HpkePublicKey::from_bytes(bytes).map(|key| Self::Hpke(Box::new(key)))
    }

    /// The form in which it is kept: a certificate's DER, or the line of a public key for HPKE. [`parse`](Self::parse) takes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Certificate(certificate) => certificate.as_der().to_vec(),
            Self::Hpke(key) => format!("{PUBLIC}{}", Base64(key.to_bytes()).to_text()).into_bytes(),
        }
    }

    /// Its fingerprint: SHA-256 of the certificate's DER, as `openssl x509 -fingerprint -sha256` shows it, or of the public key's bytes.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        match self {
            Self::Certificate(certificate) => sha256(certificate.as_der()),
            Self::Hpke(key) => sha256(&key.to_bytes()),
        }
    }

    /// From when until when it is good, where it says so itself.
    #[must_use]
    pub fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Certificate(certificate) => Some(certificate.validity()),
            Self::Hpke(_) => None,
        }
    }

    /// The form of what is sealed to it.
    #[must_use]
    pub const fn form(&self) -> SealedForm {
        match self {
            Self::Certificate(_) => SealedForm::Cms,
            Self::Hpke(_) => SealedForm::Hpke,
        }
    }

    /// Seals to it.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Failed`].
    pub fn seal(&self, content: &[u8]) -> Result<Vec<u8>, DisclosureError> {
        match self {
            Self::Certificate(certificate) => certificate.seal(content),
            Self::Hpke(key) => key.seal(content),
        }
    }
}

/// The private key with which an agency opens what was sealed to it.
pub enum AgencyKey {
    /// A certificate's.
    Cms(Box<CmsPrivateKey>),
    /// One for HPKE.
    Hpke(Box<HpkePrivateKey>),
}

impl AgencyKey {
    /// The key of this text: a private key in PEM or DER, or the line of one for HPKE.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoAgencyKey`].
    pub fn parse(text: &[u8]) -> Result<Self, DisclosureError> {
        if let Some(bytes) = line(text, PRIVATE).map(Zeroizing::new) {
            let key = HpkePrivateKey::from_bytes(&bytes)?;
            return Ok(Self::Hpke(Box::new(key)));
        }
        CmsPrivateKey::parse(text).map(|key| Self::Cms(Box::new(key)))
    }

    /// Opens what was sealed to it; `certificate`, where it is given, has to be the one that the message names.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Malformed`], [`DisclosureError::NotAuthentic`].
    pub fn open(
        &self,
        sealed: &[u8],
        certificate: Option<&SealingCertificate>,
    ) -> Result<Zeroizing<Vec<u8>>, DisclosureError> {
        match self {
            Self::Cms(_) if hpke::is_sealed(sealed) => Err(DisclosureError::NotAuthentic),
            Self::Cms(key) => key.open(sealed, certificate),
            Self::Hpke(_) if !hpke::is_sealed(sealed) => Err(DisclosureError::NotAuthentic),
            Self::Hpke(key) => key.open(sealed),
        }
    }
}

impl fmt::Debug for AgencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgencyKey(hidden)")
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The bytes behind this beginning, where the text has it.
fn line(text: &[u8], beginning: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bytes: Base64 = text.strip_prefix(beginning)?.parse().ok()?;
    Some(bytes.0)
}
