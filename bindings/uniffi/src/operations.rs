//! Using keys that stay in the appliance, and public keys, which stay nowhere.

use std::sync::Arc;

use strongroom_client::ClientError;
use strongroom_client::operations as theirs;
use strongroom_client::operations::Operate as _;
use strongroom_wire::operation as wire;

use crate::keys::identifier;
use crate::policy::mirror;
use crate::{Algorithm, Device, Key, NewKey, Session, StrongroomError};

mirror! {
    /// How a key is used.
    Mechanism = wire::Mechanism {
        /// ECDSA (FIPS 186-5) of a digest that the caller has made: see `sign_digest`. Of a digest longer than the curve's order its leftmost bits
        /// count, as FIPS 186-5 section 6.4.1 says.
        Ecdsa,
        /// ECDSA with SHA-256.
        EcdsaSha256,
        /// ECDSA with SHA-384.
        EcdsaSha384,
        /// ECDSA with SHA-512.
        EcdsaSha512,
        /// Ed25519 (RFC 8032), of the message itself.
        Ed25519,
        /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2) with SHA-256.
        RsaPkcs1Sha256,
        /// RSASSA-PKCS1-v1_5 with SHA-384.
        RsaPkcs1Sha384,
        /// RSASSA-PKCS1-v1_5 with SHA-512.
        RsaPkcs1Sha512,
        /// RSASSA-PSS (RFC 8017 section 8.1) with SHA-256, MGF1 with the same, and a salt of 32 bytes.
        RsaPssSha256,
        /// RSASSA-PSS with SHA-384, MGF1 with the same, and a salt of 48 bytes.
        RsaPssSha384,
        /// RSASSA-PSS with SHA-512, MGF1 with the same, and a salt of 64 bytes.
        RsaPssSha512,
        /// ML-DSA-65 (FIPS 204), of the message itself, with an empty context.
        MlDsa65,
        /// HMAC (RFC 2104) with SHA-256.
        HmacSha256,
        /// HMAC with SHA-384.
        HmacSha384,
        /// HMAC with SHA-512.
        HmacSha512,
        /// CMAC with AES (NIST SP 800-38B).
        AesCmac,
        /// AES-GCM (NIST SP 800-38D) with a nonce of 12 bytes and a tag of 16, which follows the ciphertext. Where the caller gives no nonce the
        /// appliance draws it; one key makes at most 2^32 ciphertexts so (section 8.3).
        AesGcm,
        /// AES-CBC (NIST SP 800-38A) of whole blocks. Nothing tells of an alteration.
        AesCbc,
        /// AES-CBC with the padding of PKCS #7 (RFC 5652 section 6.3). Nothing tells of an alteration.
        AesCbcPad,
        /// AES-CTR with a first counter block of 16 bytes. Nothing tells of an alteration, and a counter block that comes twice reveals what it
        /// protects.
        AesCtr,
        /// AES-ECB of whole blocks: equal blocks are seen to be equal. For applications that build on it.
        AesEcb,
        /// RSAES-OAEP (RFC 8017 section 7.1) with SHA-1 and MGF1 with SHA-1, as many applications have it.
        RsaOaepSha1,
        /// RSAES-OAEP with SHA-256 and MGF1 with the same.
        RsaOaepSha256,
        /// RSAES-OAEP with SHA-384 and MGF1 with the same.
        RsaOaepSha384,
        /// RSAES-OAEP with SHA-512 and MGF1 with the same.
        RsaOaepSha512,
        /// RSAES-PKCS1-v1_5 (RFC 8017 section 7.2). Whoever may have chosen ciphertexts decrypted can decrypt and sign: for applications that have
        /// nothing else.
        RsaPkcs1,
        /// AES-KW (RFC 3394): of material whose length is a multiple of 8 bytes.
        AesKw,
        /// AES-KWP (RFC 5649).
        AesKwp,
        /// Elliptic-curve Diffie-Hellman: on the P curves the x-coordinate (NIST SP 800-56A section 5.7.1.2), or X25519 (RFC 7748).
        Ecdh,
        /// ML-KEM-768 (FIPS 203).
        MlKem768,
        /// HMAC with SHA-1, as old applications have it. Its weakness to collisions does not concern MACs (NIST SP 800-131A).
        HmacSha1,
        /// HMAC with SHA-224.
        HmacSha224,
        /// HKDF (RFC 5869) of a secret key.
        Hkdf,
        /// Legacy, and refused unless the domain's policy allows it: RSA of a number, without an encoding (RFC 8017 sections 5.1 and 5.2).
        RsaRaw,
        /// Legacy likewise: RSASSA-PKCS1-v1_5 with SHA-1.
        RsaPkcs1Sha1,
        /// Legacy likewise: RSASSA-PKCS1-v1_5 with SHA-224.
        RsaPkcs1Sha224,
        /// Legacy likewise: RSASSA-PSS with SHA-1, MGF1 with the same, and a salt of 20 bytes.
        RsaPssSha1,
        /// Legacy likewise: RSASSA-PSS with SHA-224, MGF1 with the same, and a salt of 28 bytes.
        RsaPssSha224,
        /// Legacy likewise: ECDSA with SHA-1.
        EcdsaSha1,
        /// Legacy likewise: ECDSA with SHA-224.
        EcdsaSha224,
    }
}

mirror! {
    /// How an ECDSA signature is written.
    SignatureEncoding = wire::SignatureEncoding {
        /// In DER (RFC 3279 section 2.2.3): what OpenSSL, X.509 and TLS take.
        Der,
        /// r and s, each as long as the curve's order, one after the other: what PKCS #11 and JWS (RFC 7518) take.
        Fixed,
    }
}

/// By which mechanism keys for this algorithm sign where none is named. None where they do not sign.
#[uniffi::export]
#[must_use]
pub fn mechanism_of_signatures(algorithm: Algorithm) -> Option<Mechanism> {
    wire::Mechanism::of_signatures(algorithm.into()).map(Into::into)
}

/// The DER of the first private key in a PEM text, as `import_key` takes it: PKCS #8, or the older forms of RSA and EC keys. None where there is
/// none.
#[uniffi::export]
#[must_use]
pub fn private_key_from_pem(text: Vec<u8>) -> Option<Vec<u8>> {
    theirs::private_key_from_pem(&text).map(|mut key| std::mem::take(&mut *key))
}

/// A signature that the appliance made.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Signature {
    /// The signature.
    pub bytes: Vec<u8>,
    /// The version of the key that made it.
    pub version: u32,
    /// The index of the leaf in the audit log.
    pub leaf: u64,
}

impl From<theirs::Signature> for Signature {
    fn from(signature: theirs::Signature) -> Self {
        Self {
            bytes: signature.bytes,
            version: signature.version,
            leaf: signature.leaf,
        }
    }
}

/// A ciphertext, and what it was made with.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Ciphertext {
    /// The ciphertext; of AES-GCM with the tag.
    pub data: Vec<u8>,
    /// The nonce, initialisation vector or first counter block, where there is one.
    #[uniffi(default = None)]
    pub iv: Option<Vec<u8>>,
}

/// The public key of one version of a key pair. What it can do, it does here, without the appliance.
#[derive(uniffi::Object)]
pub struct PublicKey(theirs::PublicKey);

/// What was asked for, or what keys for this algorithm do where nothing was.
fn signing(
    mechanism: Option<Mechanism>,
    encoding: Option<SignatureEncoding>,
    algorithm: impl FnOnce() -> Result<strongroom_wire::key::Algorithm, ClientError>,
) -> Result<theirs::Signing, ClientError> {
    let mechanism = match mechanism {
        Some(mechanism) => mechanism.into(),
        None => theirs::Signing::new(algorithm()?)?.mechanism,
    };
    Ok(theirs::Signing {
        mechanism,
        encoding: encoding.map(Into::into).unwrap_or_default(),
    })
}

#[uniffi::export]
impl PublicKey {
    /// The key's identifier.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.key.to_string()
    }

    /// The version, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// What it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm.into()
    }

    /// `SubjectPublicKeyInfo` (RFC 5280) in DER.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        self.0.der.clone()
    }

    /// The same in PEM (RFC 7468): what OpenSSL and most tools take.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Whether this is the key's signature of the message. Where no mechanism is named it is the one that such keys sign by.
    #[uniffi::method(default(mechanism = None, encoding = None))]
    pub fn verify(
        &self,
        message: Vec<u8>,
        signature: Vec<u8>,
        mechanism: Option<Mechanism>,
        encoding: Option<SignatureEncoding>,
    ) -> Result<bool, StrongroomError> {
        let signing = signing(mechanism, encoding, || Ok(self.0.algorithm))?;
        Ok(self.0.verify(signing, &message, &signature)?)
    }

    /// The same of a message's digest.
    #[uniffi::method(default(mechanism = None, encoding = None))]
    pub fn verify_digest(
        &self,
        digest: Vec<u8>,
        signature: Vec<u8>,
        mechanism: Option<Mechanism>,
        encoding: Option<SignatureEncoding>,
    ) -> Result<bool, StrongroomError> {
        let signing = signing(mechanism, encoding, || Ok(self.0.algorithm))?;
        Ok(self.0.verify_digest(signing, &digest, &signature)?)
    }

    /// Encrypts to the holder of an RSA key.
    pub fn encrypt(
        &self,
        mechanism: Mechanism,
        plaintext: Vec<u8>,
    ) -> Result<Vec<u8>, StrongroomError> {
        Ok(self.0.encrypt(mechanism.into(), &plaintext)?)
    }
}

/// What sessions and devices can both do.
macro_rules! operates {
    ($who:ident) => {
        #[uniffi::export]
        impl $who {
            /// Has the appliance sign a message. Where the mechanism signs its digest, that alone is sent. Where none is named it is the one
            /// that such keys sign by: then the appliance is asked what the key is for.
            #[uniffi::method(default(mechanism = None, encoding = None))]
            pub fn sign(
                &self,
                key: String,
                message: Vec<u8>,
                mechanism: Option<Mechanism>,
                encoding: Option<SignatureEncoding>,
            ) -> Result<Signature, StrongroomError> {
                let (inner, key) = (self.inner()?, identifier(&key)?);
                let signing = signing(mechanism, encoding, || Ok(inner.key(key)?.algorithm))?;
                Ok(inner.sign(key, signing, &message)?.into())
            }

            /// The same with the digest of a message.
            #[uniffi::method(default(mechanism = None, encoding = None))]
            pub fn sign_digest(
                &self,
                key: String,
                digest: Vec<u8>,
                mechanism: Option<Mechanism>,
                encoding: Option<SignatureEncoding>,
            ) -> Result<Signature, StrongroomError> {
                let (inner, key) = (self.inner()?, identifier(&key)?);
                let signing = signing(mechanism, encoding, || Ok(inner.key(key)?.algorithm))?;
                Ok(inner.sign_digest(key, signing, &digest)?.into())
            }

            /// The public key of a version of a key pair, or of the newest: it verifies.
            #[uniffi::method(default(version = None))]
            pub fn public_key(
                &self,
                key: String,
                version: Option<u32>,
            ) -> Result<Arc<PublicKey>, StrongroomError> {
                let found = self.inner()?.public_key(identifier(&key)?, version)?;
                Ok(Arc::new(PublicKey(found)))
            }

            /// Has the appliance make a MAC of a message.
            pub fn mac(
                &self,
                key: String,
                mechanism: Mechanism,
                message: Vec<u8>,
            ) -> Result<Vec<u8>, StrongroomError> {
                let key = identifier(&key)?;
                Ok(self.inner()?.mac(key, mechanism.into(), &message)?)
            }

            /// Whether this is the MAC of the message, by this version of the key or the newest.
            #[uniffi::method(default(version = None))]
            pub fn verify_mac(
                &self,
                key: String,
                mechanism: Mechanism,
                message: Vec<u8>,
                mac: Vec<u8>,
                version: Option<u32>,
            ) -> Result<bool, StrongroomError> {
                let key = identifier(&key)?;
                let inner = self.inner()?;
                Ok(inner.verify_mac(key, version, mechanism.into(), &message, &mac)?)
            }

            /// Has the appliance encrypt. It draws the nonce or initialisation vector, which the answer has.
            #[uniffi::method(default(associated_data = None))]
            pub fn encrypt(
                &self,
                key: String,
                mechanism: Mechanism,
                plaintext: Vec<u8>,
                associated_data: Option<Vec<u8>>,
            ) -> Result<Ciphertext, StrongroomError> {
                let made = self.inner()?.encrypt(
                    identifier(&key)?,
                    mechanism.into(),
                    &plaintext,
                    associated_data.as_deref(),
                )?;
                Ok(Ciphertext {
                    data: made.data,
                    iv: made.iv,
                })
            }

            /// Has the appliance decrypt, with this version of the key or the newest. Fails as altered when it was not made under this key.
            #[uniffi::method(default(associated_data = None, version = None))]
            pub fn decrypt(
                &self,
                key: String,
                mechanism: Mechanism,
                ciphertext: Ciphertext,
                associated_data: Option<Vec<u8>>,
                version: Option<u32>,
            ) -> Result<Vec<u8>, StrongroomError> {
                let mut plaintext = self.inner()?.decrypt(
                    identifier(&key)?,
                    version,
                    mechanism.into(),
                    &theirs::Ciphertext {
                        data: ciphertext.data,
                        iv: ciphertext.iv,
                    },
                    associated_data.as_deref(),
                )?;
                Ok(std::mem::take(&mut *plaintext))
            }

            /// Brings an existing key: the bytes of a secret key, or a private key as PKCS #8 in DER. It is checked, and recorded as brought. On
            /// its way it is wrapped under the transport key.
            pub fn import_key(
                &self,
                key: NewKey,
                material: Vec<u8>,
            ) -> Result<Key, StrongroomError> {
                let created = self.inner()?.import_key(key.try_into()?, &material)?;
                Ok(created.key.into())
            }
        }
    };
}

operates!(Session);
operates!(Device);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_signs_is_the_librarys_word() {
        for &algorithm in strongroom_wire::key::Algorithm::ALL {
            let ours = mechanism_of_signatures(algorithm.into());
            let told = signing(None, None, || Ok(algorithm)).ok();
            assert_eq!(ours, told.map(|signing| signing.mechanism.into()));
        }
        let named = signing(
            Some(Mechanism::RsaPssSha512),
            Some(SignatureEncoding::Fixed),
            || Err(ClientError::NotSignedIn),
        );
        let named = named.unwrap();
        assert_eq!(named.mechanism, wire::Mechanism::RsaPssSha512);
        assert_eq!(named.encoding, wire::SignatureEncoding::Fixed);
    }
}
