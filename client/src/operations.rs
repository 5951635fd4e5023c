//! Using keys: signatures, MACs, encryption, wrapping and agreed secrets, by the appliance, which keeps the keys; and what their public keys can
//! do without it.
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

use strongroom_wire::id::{IdempotencyKey, KeyId};
use strongroom_wire::key::{CreatedKey, Key, NewKey};
use strongroom_wire::operation::{
    KeyOperation, MOST_OPERATIONS_A_REQUEST, Mechanism, Operate as OperateRequest, OperateMany,
    OperateQuery, Operated, Operation, OperationOutcome, OperationResult, Performed,
    PublicKeyQuery,
};
use zeroize::Zeroizing;

use crate::ClientError;
use crate::api::Call;
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
        let request = OperateRequest { operation, version };
        let call = Call::post(format!("/v1/keys/{key}/operations")).with(&request)?;
        let (performed, _) = self.request::<Performed>(&call)?;
        Ok(performed)
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
        let mut outcomes = Vec::with_capacity(operations.len());
        for part in operations.chunks(MOST_OPERATIONS_A_REQUEST) {
            let request = OperateMany {
                operations: part.to_vec(),
            };
            let call = Call::post("/v1/keys/operations").with(&request)?;
            let (operated, _) = self.request::<Operated>(&call)?;
            if operated.operations.len() != part.len() {
                return Err(self.client().unexpected("another number of operations"));
            }
            outcomes.extend(
                operated
                    .operations
                    .into_iter()
                    .map(|outcome| match outcome {
                        OperationOutcome::Done(performed) => Ok(*performed),
                        OperationOutcome::Refused(problem) => Err(ClientError::Refused(problem)),
                    }),
            );
        }
        Ok(outcomes)
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
        signature(self, key, signing, message, false)
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
        signature(self, key, signing, digest, true)
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
        let call = Call::find(
            &format!("/v1/keys/{key}/public"),
            &PublicKeyQuery { version },
        );
        let (found, _) = self.request::<strongroom_wire::operation::PublicKey>(&call)?;
        if found.key != key || version.is_some_and(|version| version != found.version) {
            return Err(self.client().unexpected("another key's public key"));
        }
        Ok(PublicKey {
            key,
            version: found.version,
            algorithm: found.algorithm,
            der: found.public_key.0,
        })
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
        let data = message.into();
        match self
            .operate(key, None, Operation::Mac { mechanism, data })?
            .result
        {
            OperationResult::Mac { mac } => Ok(mac.0),
            _ => Err(self.client().unexpected("something else than a MAC")),
        }
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
        let operation = Operation::VerifyMac {
            mechanism,
            data: message.into(),
            mac: mac.into(),
            length: None,
        };
        match self.operate(key, version, operation)?.result {
            OperationResult::Verified { valid } => Ok(valid),
            _ => Err(self.client().unexpected("something else than a verdict")),
        }
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
        let operation = Operation::Encrypt {
            mechanism,
            data: plaintext.into(),
            iv: None,
            associated_data: associated_data.map(Into::into),
            tag_length: None,
        };
        match self.operate(key, None, operation)?.result {
            OperationResult::Ciphertext { data, iv } => Ok(Ciphertext {
                data: data.0,
                iv: iv.map(|iv| iv.0),
            }),
            _ => Err(self.client().unexpected("something else than a ciphertext")),
        }
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
        let operation = Operation::Decrypt {
            mechanism,
            data: ciphertext.data.as_slice().into(),
            iv: ciphertext.iv.as_deref().map(Into::into),
            associated_data: associated_data.map(Into::into),
            tag_length: None,
        };
        match self.operate(key, version, operation)?.result {
            OperationResult::Plaintext { data } => Ok(Zeroizing::new(data.0)),
            _ => Err(self.client().unexpected("something else than a plaintext")),
        }
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
        let operation = Operation::Wrap {
            mechanism,
            key: other,
            version: None,
            iv: None,
            associated_data: None,
        };
        match self.operate(key, None, operation)?.result {
            OperationResult::Wrapped { wrapped, .. } => Ok(wrapped.0),
            _ => Err(self
                .client()
                .unexpected("something else than a wrapped key")),
        }
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
        let operation = Operation::Unwrap {
            mechanism,
            wrapped: wrapped.into(),
            iv: None,
            associated_data: None,
            new: Some(Box::new(new)),
            alternatives: Vec::new(),
        };
        match once(self, key, operation)?.result {
            OperationResult::Created { key } => Ok(*key),
            _ => Err(self.client().unexpected("something else than a key")),
        }
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
        let operation = Operation::Derive {
            mechanism: Mechanism::Ecdh,
            public_key: Some(public_key.into()),
            kdf: None,
            length: None,
            new: None,
        };
        Ok(secret(self, key, None, operation)?.secret)
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
        let operation = Operation::Derive {
            mechanism: Mechanism::Ecdh,
            public_key: Some(public_key.into()),
            kdf: None,
            length: None,
            new: Some(Box::new(new)),
        };
        match once(self, key, operation)?.result {
            OperationResult::Created { key } => Ok(*key),
            _ => Err(self.client().unexpected("something else than a key")),
        }
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
        let mechanism = Mechanism::MlKem768;
        let made = secret(self, key, None, Operation::Encapsulate { mechanism })?;
        let ciphertext = made.ciphertext;
        let ciphertext =
            ciphertext.ok_or_else(|| self.client().unexpected("a secret without a ciphertext"))?;
        Ok((ciphertext, made.secret))
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
        let operation = Operation::Decapsulate {
            mechanism: Mechanism::MlKem768,
            data: ciphertext.into(),
        };
        Ok(secret(self, key, version, operation)?.secret)
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
        Ok(secret(self, key, version, operation)?.secret)
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

/// An operation that makes one key, however often it has to be asked for.
fn once(
    requester: &impl Operate,
    key: KeyId,
    operation: Operation,
) -> Result<Performed, ClientError> {
    let query = OperateQuery {
        idempotency_key: Some(IdempotencyKey::generate()),
    };
    let request = OperateRequest {
        operation,
        version: None,
    };
    let path = format!("/v1/keys/{key}/operations");
    let call = Call::post_with(&path, &query).with(&request)?;
    let (performed, _) = requester.request::<Performed>(&call.repeatable())?;
    Ok(performed)
}

fn signature(
    requester: &impl Operate,
    key: KeyId,
    signing: Signing,
    data: &[u8],
    prehashed: bool,
) -> Result<Signature, ClientError> {
    let operation = Operation::Sign {
        mechanism: signing.mechanism,
        data: data.into(),
        prehashed,
        encoding: signing.encoding,
        salt_length: None,
    };
    let performed = requester.operate(key, None, operation)?;
    match performed.result {
        OperationResult::Signature { signature } => Ok(Signature {
            bytes: signature.0,
            version: performed.version,
            leaf: performed.leaf,
        }),
        _ => Err(requester
            .client()
            .unexpected("something else than a signature")),
    }
}

/// A secret that came under the transport key, and the ciphertext beside it.
fn secret(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
    operation: Operation,
) -> Result<Secret, ClientError> {
    let request = OperateRequest { operation, version };
    let call = Call::post(format!("/v1/keys/{key}/operations")).with(&request)?;
    let (performed, transport) = requester.request::<Performed>(&call)?;
    let OperationResult::Secret {
        wrapped,
        ciphertext,
    } = performed.result
    else {
        return Err(requester
            .client()
            .unexpected("something else than a secret"));
    };
    let secret = transport
        .unwrap_agreed(key, performed.version, &wrapped.0)
        .map_err(|_| ClientError::AlteredMaterial)?;
    Ok(Secret {
        secret,
        ciphertext: ciphertext.map(|ciphertext| ciphertext.0),
    })
}

/// A secret, and what the other side learns it from.
struct Secret {
    secret: Zeroizing<Vec<u8>>,
    ciphertext: Option<Vec<u8>>,
}
