//! What is done here with public keys, and with messages before they are signed.

use aws_lc_rs::digest::{
    Context, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA224, SHA256, SHA384, SHA512,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use strongroom_mechanisms::encrypt;
use strongroom_mechanisms::sign::{self, Signed};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{Mechanism, SignatureEncoding};
use zeroize::Zeroizing;

use crate::ClientError;

/// How a message is signed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::operations::Signing;
/// use strongroom_wire::key::Algorithm;
/// use strongroom_wire::operation::{Mechanism, SignatureEncoding};
///
/// let signing = Signing::new(Algorithm::EcP256)?;
/// assert_eq!(signing.mechanism, Mechanism::EcdsaSha256);
/// let for_jws = Signing { encoding: SignatureEncoding::Fixed, ..signing };
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signing {
    /// By which mechanism.
    pub mechanism: Mechanism,
    /// How an ECDSA signature is written: DER, as OpenSSL and X.509 have it, or the fixed length of PKCS #11 and JWS.
    pub encoding: SignatureEncoding,
}

impl Signing {
    /// As keys for this algorithm sign where nothing else is said, with ECDSA signatures in DER.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::Signing;
    /// use strongroom_wire::key::Algorithm;
    ///
    /// assert!(Signing::new(Algorithm::MlDsa65).is_ok());
    /// assert!(Signing::new(Algorithm::Aes256).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when such keys do not sign.
    pub fn new(algorithm: Algorithm) -> Result<Self, ClientError> {
        let mechanism = Mechanism::of_signatures(algorithm).ok_or_else(|| {
            ClientError::Setup(format!("keys for {} do not sign", algorithm.as_str()))
        })?;
        Ok(Self {
            mechanism,
            encoding: SignatureEncoding::Der,
        })
    }

    /// Whether the mechanism signs a digest of the message, so that the message itself need not be sent.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::Signing;
    /// use strongroom_wire::key::Algorithm;
    ///
    /// assert!(Signing::new(Algorithm::EcP384)?.takes_digest());
    /// assert!(!Signing::new(Algorithm::Ed25519)?.takes_digest());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn takes_digest(self) -> bool {
        hash_of(self.mechanism).is_some()
    }
}

/// The hash function of a message that is signed as it comes in.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::operations::Hashing;
/// use strongroom_wire::operation::Mechanism;
///
/// let mut hashing = Hashing::new(Mechanism::EcdsaSha384)?;
/// for part in ["the ", "message"] {
///     hashing.update(part.as_bytes());
/// }
/// assert_eq!(hashing.finish().len(), 48);
/// # Ok(())
/// # }
/// ```
pub struct Hashing(Option<Context>);

impl Hashing {
    /// For this mechanism.
    ///
    /// ```
    /// use strongroom_client::operations::Hashing;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// assert!(Hashing::new(Mechanism::RsaPssSha256).is_ok());
    /// assert!(Hashing::new(Mechanism::Ed25519).is_err()); // signs messages whole
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when it signs messages whole, or digests of which it does not know the hash function.
    pub fn new(mechanism: Mechanism) -> Result<Self, ClientError> {
        let hash = hash_of(mechanism).ok_or_else(|| {
            ClientError::Setup(format!("{mechanism} does not sign the digest of a message"))
        })?;
        Ok(Self(Some(Context::new(hash))))
    }

    /// Takes the message's next bytes.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::Hashing;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let (mut whole, mut parts) = (Hashing::new(Mechanism::EcdsaSha256)?, Hashing::new(Mechanism::EcdsaSha256)?);
    /// whole.update(b"the message");
    /// parts.update(b"the ");
    /// parts.update(b"message");
    /// assert_eq!(whole.finish(), parts.finish());
    /// # Ok(())
    /// # }
    /// ```
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(context) = &mut self.0 {
            context.update(bytes);
        }
    }

    /// The digest.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::Hashing;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let mut hashing = Hashing::new(Mechanism::EcdsaSha256)?;
    /// hashing.update(b"abc");
    /// assert_eq!(hex::encode(hashing.finish())[..8], *"ba7816bf"); // FIPS 180-4
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let digest = self.0.take().map(Context::finish);
        digest.map_or_else(Vec::new, |digest: Digest| digest.as_ref().to_vec())
    }
}

const fn hash_of(mechanism: Mechanism) -> Option<&'static aws_lc_rs::digest::Algorithm> {
    match mechanism {
        Mechanism::EcdsaSha1 | Mechanism::RsaPkcs1Sha1 | Mechanism::RsaPssSha1 => {
            Some(&SHA1_FOR_LEGACY_USE_ONLY)
        }
        Mechanism::EcdsaSha224 | Mechanism::RsaPkcs1Sha224 | Mechanism::RsaPssSha224 => {
            Some(&SHA224)
        }
        Mechanism::EcdsaSha256 | Mechanism::RsaPkcs1Sha256 | Mechanism::RsaPssSha256 => {
            Some(&SHA256)
        }
        Mechanism::EcdsaSha384 | Mechanism::RsaPkcs1Sha384 | Mechanism::RsaPssSha384 => {
            Some(&SHA384)
        }
        Mechanism::EcdsaSha512 | Mechanism::RsaPkcs1Sha512 | Mechanism::RsaPssSha512 => {
            Some(&SHA512)
        }
        _ => None,
    }
}

/// A signature that the appliance made.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::operations::{Operate, Signing};
/// use strongroom_wire::key::Algorithm;
///
/// let signing = Signing::new(Algorithm::Ed25519)?;
/// let signature = session.sign(key, signing, b"the message")?;
/// let signer = session.public_key(key, Some(signature.version))?; // the newest may be another by now
/// assert!(signer.verify(signing, b"the message", &signature.bytes)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The signature.
    pub bytes: Vec<u8>,
    /// The version of the key that made it.
    pub version: u32,
    /// The index of the leaf in the audit log.
    pub leaf: u64,
}

/// The public key of one version of a key pair. What it can do, it does here, without the appliance.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::operations::{PublicKey, Signing};
/// use strongroom_wire::{id::KeyId, key::Algorithm};
///
/// // RFC 8032 section 7.1, test 2, in a SubjectPublicKeyInfo (RFC 8410).
/// let der = hex::decode("302a300506032b65700321003d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")?;
/// let signer = PublicKey { key: KeyId::generate(), version: 1, algorithm: Algorithm::Ed25519, der };
/// let signature = hex::decode(concat!(
///     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
///     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
/// ))?;
/// let signing = Signing::new(Algorithm::Ed25519)?;
/// assert!(signer.verify(signing, &[0x72], &signature)?);
/// assert!(!signer.verify(signing, &[0x73], &signature)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key.
    pub key: KeyId,
    /// The version.
    pub version: u32,
    /// What it is for.
    pub algorithm: Algorithm,
    /// `SubjectPublicKeyInfo` (RFC 5280) in DER: what OpenSSL calls a public key.
    pub der: Vec<u8>,
}

impl PublicKey {
    /// Whether this is the key's signature of the message.
    ///
    /// ```no_run
    /// # fn run(signer: &strongroom_client::operations::PublicKey, document: &[u8], signature: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Signing;
    ///
    /// if !signer.verify(Signing::new(signer.algorithm)?, document, signature)? {
    ///     println!("This is not what was signed.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the mechanism is none for this key, or the public key is none.
    pub fn verify(
        &self,
        signing: Signing,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, ClientError> {
        self.check(signing, message, false, signature)
    }

    /// The same of a message's digest.
    ///
    /// ```no_run
    /// # fn run(signer: &strongroom_client::operations::PublicKey, document: &[u8], signature: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::{Hashing, Signing};
    ///
    /// let signing = Signing::new(signer.algorithm)?;
    /// let mut hashing = Hashing::new(signing.mechanism)?;
    /// hashing.update(document);
    /// let valid = signer.verify_digest(signing, &hashing.finish(), signature)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::verify`], and when the digest has not the length of the hash function's.
    pub fn verify_digest(
        &self,
        signing: Signing,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, ClientError> {
        self.check(signing, digest, true, signature)
    }

    /// Encrypts to the holder of an RSA key.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let holder = session.public_key(key, None)?; // of an RSA key
    /// let ciphertext = holder.encrypt(Mechanism::RsaOaepSha256, b"a short secret")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the mechanism is none for this key, or the plaintext too long for it.
    pub fn encrypt(&self, mechanism: Mechanism, plaintext: &[u8]) -> Result<Vec<u8>, ClientError> {
        encrypt::encrypt(self.algorithm, &self.der, mechanism, plaintext, None, None)
            .map(|made| made.data)
            .map_err(refused)
    }

    /// The public key in PEM (RFC 7468): what `openssl pkeyutl -pubin -inkey` and most tools take.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::PublicKey;
    /// use strongroom_wire::{id::KeyId, key::Algorithm};
    ///
    /// let der = hex::decode("302a300506032b65700321003d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")?;
    /// let signer = PublicKey { key: KeyId::generate(), version: 1, algorithm: Algorithm::Ed25519, der };
    /// assert!(signer.pem().starts_with("-----BEGIN PUBLIC KEY-----"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn pem(&self) -> String {
        crate::pem::encode("PUBLIC KEY", &self.der)
    }

    fn check(
        &self,
        signing: Signing,
        data: &[u8],
        prehashed: bool,
        signature: &[u8],
    ) -> Result<bool, ClientError> {
        let signed = Signed {
            mechanism: signing.mechanism,
            data,
            prehashed,
            encoding: signing.encoding,
            salt_length: None,
        };
        sign::verify(self.algorithm, &self.der, signed, signature).map_err(refused)
    }
}

/// The DER of the first private key in a PEM text: PKCS #8, or the older forms of RSA and EC keys. None where there is none.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::operations::{private_key_from_pem, Operate};
/// use strongroom_wire::key::{Algorithm, NewKey};
///
/// let material = private_key_from_pem(&std::fs::read("signer.pem")?).ok_or("no private key")?;
/// session.import_key(NewKey::new(Algorithm::EcP256), &material)?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn private_key_from_pem(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = PrivateKeyDer::from_pem_slice(text).ok()?;
    Some(Zeroizing::new(key.secret_der().to_vec()))
}

fn refused(refusal: strongroom_mechanisms::Refusal) -> ClientError {
    ClientError::Setup(refusal.to_string())
}
