//! Using keys: signatures, MACs, encryption, wrapping and agreed secrets, by the appliance, which keeps the keys; and what their public keys can
//! do without it.
//!
//! | module | what lives there |
//! |---|---|
//! | `local` | what needs no appliance: digests, verifying, keys as text |
//! | `requests` | the requests that operations are, and what of their answers is taken |
//!
//! ```no_run
//! # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
//! use strongroom_client::operations::{Operate, Signing};
//! use strongroom_wire::key::{Algorithm, NewKey, Releasable};
//!
//! let new = NewKey { releasable: Releasable::Never, ..NewKey::new(Algorithm::EcP256) };
//! let key = session.create_keys(vec![new])?.remove(0).key;
//! let signature = session.sign(key.id, Signing::new(key.algorithm)?, b"the message")?;
//!
//! let public_key = session.public_key(key.id, None)?; // anyone's from here on
//! assert!(public_key.verify(Signing::new(key.algorithm)?, b"the message", &signature.bytes)?);
//! # Ok(())
//! # }
//! ```

mod local;
mod requests;

use strongroom_wire::id::KeyId;
use strongroom_wire::key::{CreatedKey, Key, NewKey};
use strongroom_wire::operation::{KeyOperation, Mechanism, Operation, Performed};
use zeroize::Zeroizing;

use crate::ClientError;
use crate::keys;
use crate::requester::Requester;

pub use local::{Hashing, PublicKey, Signature, Signing, private_key_from_pem};
pub use strongroom_mechanisms::encrypt::Ciphertext;

/// Having the appliance use keys, in a session or by signed requests alike. The keys stay there: nothing of this needs the right to release
/// them, and a key made never to be released is of use in no other way.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::operations::{Operate, Signing};
/// use strongroom_client::ClientError;
/// use strongroom_wire::{id::KeyId, key::Algorithm};
///
/// /// Works in a session and on a device alike.
/// fn approve(signer: &impl Operate, key: KeyId, order: &[u8]) -> Result<Vec<u8>, ClientError> {
///     Ok(signer.sign(key, Signing::new(Algorithm::Ed25519)?, order)?.bytes)
/// }
/// approve(session, key, b"order 4711")?;
/// # Ok(())
/// # }
/// ```
#[expect(
    private_bounds,
    reason = "sealed: how requests are made is this crate's own affair"
)]
pub trait Operate: Requester + Sized {
    /// Uses a key: its newest version, or this one.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::{Mechanism, Operation};
    ///
    /// let data = b"the message".as_slice().into();
    /// let performed = session.operate(key, Some(2), Operation::Mac { mechanism: Mechanism::HmacSha256, data })?;
    /// println!("by version {}; leaf {} of the audit log", performed.version, performed.leaf);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the appliance does not do it, with the reason.
    fn operate(
        &self,
        key: KeyId,
        version: Option<u32>,
        operation: Operation,
    ) -> Result<Performed, ClientError> {
        requests::operate(self, key, version, operation)
    }

    /// Uses keys many times, in few requests. That one operation is refused stops no other.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, readings: &[Vec<u8>]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::{KeyOperation, Mechanism, Operation};
    ///
    /// let mechanism = Mechanism::HmacSha256;
    /// let macs = readings.iter().map(|reading| Operation::Mac { mechanism, data: reading.as_slice().into() });
    /// let macs = macs.map(|operation| KeyOperation { key, operation, version: None }).collect();
    /// for performed in session.operate_many(macs)? {
    ///     println!("{:?}", performed?.result);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the appliance refuses a request as a whole. What is wrong with one operation stands in its place.
    fn operate_many(
        &self,
        operations: Vec<KeyOperation>,
    ) -> Result<Vec<Result<Performed, ClientError>>, ClientError> {
        requests::operate_many(self, operations)
    }

    /// Signs a message. Where the mechanism signs its digest, that alone is sent.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::{Operate, Signing};
    /// use strongroom_wire::key::Algorithm;
    ///
    /// let signature = session.sign(key, Signing::new(Algorithm::EcP256)?, b"the message")?;
    /// println!("{} bytes by version {}", signature.bytes.len(), signature.version);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`].
    fn sign(&self, key: KeyId, signing: Signing, message: &[u8]) -> Result<Signature, ClientError> {
        if let Ok(mut hashing) = Hashing::new(signing.mechanism) {
            hashing.update(message);
            return self.sign_digest(key, signing, &hashing.finish());
        }
        requests::signature(self, key, signing, message, false)
    }

    /// Signs the digest of a message.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::{Hashing, Operate, Signing};
    /// use strongroom_wire::key::Algorithm;
    ///
    /// let signing = Signing::new(Algorithm::EcP256)?;
    /// let mut hashing = Hashing::new(signing.mechanism)?;
    /// hashing.update(&std::fs::read("firmware.bin")?);
    /// let signature = session.sign_digest(key, signing, &hashing.finish())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`].
    fn sign_digest(
        &self,
        key: KeyId,
        signing: Signing,
        digest: &[u8],
    ) -> Result<Signature, ClientError> {
        requests::signature(self, key, signing, digest, true)
    }

    /// The public key of a version of a key pair, or of the newest.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::Operate;
    ///
    /// std::fs::write("signer.pem", session.public_key(key, None)?.pem())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the caller has no grant to it, or it is no key pair.
    fn public_key(&self, key: KeyId, version: Option<u32>) -> Result<PublicKey, ClientError> {
        requests::public_key(self, key, version)
    }

    /// Makes a MAC of a message.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let mac = session.mac(key, Mechanism::HmacSha256, b"the message")?;
    /// assert_eq!(mac.len(), 32);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`].
    fn mac(
        &self,
        key: KeyId,
        mechanism: Mechanism,
        message: &[u8],
    ) -> Result<Vec<u8>, ClientError> {
        requests::mac(self, key, mechanism, message)
    }

    /// Whether this is the MAC of the message, by this version of the key or the newest.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, mac: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// if !session.verify_mac(key, None, Mechanism::HmacSha256, b"the message", mac)? {
    ///     println!("It was altered.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`].
    fn verify_mac(
        &self,
        key: KeyId,
        version: Option<u32>,
        mechanism: Mechanism,
        message: &[u8],
        mac: &[u8],
    ) -> Result<bool, ClientError> {
        requests::verify_mac(self, key, version, mechanism, message, mac)
    }

    /// Encrypts. The appliance draws the nonce or initialisation vector, which the answer has.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let ciphertext = session.encrypt(key, Mechanism::AesGcm, b"the card's number", Some(b"customer 4711"))?;
    /// println!("{} bytes, and the nonce {:?}", ciphertext.data.len(), ciphertext.iv);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`].
    fn encrypt(
        &self,
        key: KeyId,
        mechanism: Mechanism,
        plaintext: &[u8],
        associated_data: Option<&[u8]>,
    ) -> Result<Ciphertext, ClientError> {
        requests::encrypt(self, key, mechanism, plaintext, associated_data)
    }

    /// Decrypts with this version of the key, or the newest.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, data: Vec<u8>, nonce: Vec<u8>) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::{Ciphertext, Operate};
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let ciphertext = Ciphertext { data, iv: Some(nonce) };
    /// let plaintext = session.decrypt(key, None, Mechanism::AesGcm, &ciphertext, Some(b"customer 4711"))?;
    /// println!("{} bytes", plaintext.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`]; of kind [`Altered`](crate::ErrorKind::Altered) when it was not made under this key.
    fn decrypt(
        &self,
        key: KeyId,
        version: Option<u32>,
        mechanism: Mechanism,
        ciphertext: &Ciphertext,
        associated_data: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        requests::decrypt(self, key, version, mechanism, ciphertext, associated_data)
    }

    /// Wraps another key under this one: the other leaves the appliance so, which is a release of it. By a mechanism with a nonce or initialisation
    /// vector use [`operate`](Self::operate), whose answer has it.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, other: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let wrapped = session.wrap(key, Mechanism::AesKwp, other)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`].
    fn wrap(&self, key: KeyId, mechanism: Mechanism, other: KeyId) -> Result<Vec<u8>, ClientError> {
        requests::wrap(self, key, mechanism, other)
    }

    /// Unwraps what was wrapped under this key into a new key.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, wrapped: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::key::{Algorithm, NewKey};
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// let new = NewKey { label: "from the other site".to_owned(), ..NewKey::new(Algorithm::Aes256) };
    /// let key = session.unwrap(key, Mechanism::AesKwp, wrapped, new)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`]; of kind [`Altered`](crate::ErrorKind::Altered) when it was not wrapped under this key.
    fn unwrap(
        &self,
        key: KeyId,
        mechanism: Mechanism,
        wrapped: &[u8],
        new: NewKey,
    ) -> Result<Key, ClientError> {
        requests::unwrap(self, key, mechanism, wrapped, new)
    }

    /// The secret that Diffie-Hellman makes of this key and another's public key: its x-coordinate, or that of X25519.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, theirs: &strongroom_client::operations::PublicKey) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    ///
    /// let secret = session.agree(key, &theirs.der)?; // goes into a key derivation function
    /// assert_eq!(secret.len(), 32); // with P-256 and X25519
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`]; [`ClientError::AlteredMaterial`] when what came is not what the appliance sent.
    fn agree(&self, key: KeyId, public_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        requests::agree(self, key, public_key)
    }

    /// A new key of the last bytes of the secret that [`agree`](Self::agree) would answer, which does not leave the appliance.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, theirs: &strongroom_client::operations::PublicKey) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::key::{Algorithm, NewKey};
    ///
    /// let shared = session.derive(key, &theirs.der, NewKey::new(Algorithm::Aes256))?;
    /// println!("{} stays in the appliance", shared.id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::operate`].
    fn derive(&self, key: KeyId, public_key: &[u8], new: NewKey) -> Result<Key, ClientError> {
        requests::derive(self, key, public_key, new)
    }

    /// A secret for the holder of this ML-KEM key, and the ciphertext that the holder learns it from.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    ///
    /// let (ciphertext, secret) = session.encapsulate(key)?;
    /// println!("send {} bytes to the key's holder", ciphertext.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::agree`].
    fn encapsulate(&self, key: KeyId) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), ClientError> {
        requests::encapsulate(self, key)
    }

    /// The secret that was encapsulated for this version of the key, or the newest.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, ciphertext: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    ///
    /// let secret = session.decapsulate(key, None, ciphertext)?;
    /// assert_eq!(secret.len(), 32);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::agree`].
    fn decapsulate(
        &self,
        key: KeyId,
        version: Option<u32>,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        requests::decapsulate(self, key, version, ciphertext)
    }

    /// The secret that an operation answers: [`Operation::Derive`] and [`Operation::Unwrap`] without a new key, and [`Operation::Decapsulate`].
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::operations::Operate;
    /// use strongroom_wire::operation::{Hash, Kdf, Mechanism, Operation};
    ///
    /// let info = Some(b"backups of 2027".as_slice().into());
    /// let kdf = Some(Kdf::Hkdf { hash: Hash::Sha256, extract: true, expand: true, salt: None, info });
    /// let mechanism = Mechanism::Hkdf;
    /// let derive = Operation::Derive { mechanism, public_key: None, kdf, length: Some(32), new: None };
    /// let secret = session.secret(key, None, derive)?;
    /// assert_eq!(secret.len(), 32);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::agree`].
    fn secret(
        &self,
        key: KeyId,
        version: Option<u32>,
        operation: Operation,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        requests::secret(self, key, version, operation)
    }

    /// Brings an existing key: the bytes of a secret key, or a private key as PKCS #8 in DER. It is checked, and recorded as brought. On its way
    /// it is wrapped under the transport key.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::operations::{private_key_from_pem, Operate};
    /// use strongroom_wire::key::{Algorithm, NewKey};
    ///
    /// let material = private_key_from_pem(&std::fs::read("signer.pem")?).ok_or("no private key")?;
    /// let imported = session.import_key(NewKey::new(Algorithm::Rsa3072), &material)?;
    /// println!("{:?}", imported.key.origin);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the appliance does not take it, with the reason.
    fn import_key(&self, new: NewKey, material: &[u8]) -> Result<CreatedKey, ClientError> {
        keys::import(self, new, material)
    }
}

#[cfg(feature = "sessions")]
impl Operate for crate::Session {}

impl Operate for crate::Device {}
