//! Why something is not sealed, or does not open.

/// Why something is not sealed, or does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DisclosureError {
    /// It is neither a certificate nor an agency's public key.
    #[error("this is neither an X.509 certificate nor an agency's public key")]
    NoSealingKey,
    /// It is neither a private key that opens CMS nor an agency's private key.
    #[error(
        "this is neither a private key for RSA or ECDH, in PKCS #8, nor an agency's private key"
    )]
    NoAgencyKey,
    /// Nothing is sealed to keys of this kind.
    #[error(
        "keys are sealed to RSA keys of 2048 to 8192 bits and to keys on P-256, P-384 and P-521"
    )]
    KeyNotTaken,
    /// The certificate's key usage (RFC 5280 section 4.2.1.3) does not have what it takes.
    #[error("the certificate's key usage forbids it: RSA takes keyEncipherment, ECDH keyAgreement")]
    KeyUsage,
    /// What is to be opened has not the form of what the appliance seals.
    #[error("this is nothing that the appliance has sealed for an agency")]
    Malformed,
    /// It was sealed to another key, or altered.
    #[error("it was sealed to another key, or altered")]
    NotAuthentic,
    /// What opened is no disclosed key.
    #[error("what is sealed is no disclosed key")]
    NoDisclosedKey,
    /// A primitive failed: never for what is well-formed.
    #[error("sealing failed")]
    Failed,
}
