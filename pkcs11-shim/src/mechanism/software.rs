//! Whole operations with keys whose material is at hand, given as attributes: what session objects do, in one call each.
//!
//! For programs that link this crate and want a [`Token`](crate::token::Token) that computes by itself, such as its tests.

use std::sync::Arc;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::blocks::Blocks;
use super::gcm::Gcm;
use super::mac::Mac;
use super::public::PublicKey;
use super::soft::{KeyUse, SoftKey};
use super::{Family, Mechanism, making, wrapping};
use crate::error::{CkResult, fail};
use crate::object::Attributes;
use crate::secret_memory::Locked;
use crate::token::{Input, Use};

/// Makes a secret key's value: `CKA_VALUE`, as long as `CKA_VALUE_LEN` says.
///
/// # Errors
/// As `C_GenerateKey`.
pub fn make_key(attributes: &mut Attributes) -> CkResult<()> {
    let length = making::secret_length(attributes, None)?;
    attributes.set_bytes(CKA_VALUE, &making::random(length)?);
    Ok(())
}

/// Makes a key pair's values.
///
/// # Errors
/// As `C_GenerateKeyPair`.
pub fn make_pair(
    mechanism: &Mechanism,
    public: &mut Attributes,
    private: &mut Attributes,
) -> CkResult<()> {
    making::pair(mechanism, public, private)
}

/// Signs, encrypts or decrypts with a secret or private key.
///
/// # Errors
/// As `C_Sign`, `C_Encrypt` and `C_Decrypt`.
pub fn operate(
    key: &Attributes,
    what: Use,
    mechanism: &Mechanism,
    input: Input<'_>,
) -> CkResult<Zeroizing<Vec<u8>>> {
    let key = Arc::new(Locked::new(SoftKey::of(key)?)?);
    let (Input::Data(data) | Input::Digest(data) | Input::Blocks(data)) = input;
    let encrypts = what == Use::Encrypt;
    match (mechanism.family, what) {
        (Family::Hmac { .. } | Family::Cmac { .. }, Use::Sign) => {
            let mut mac = Mac::new(mechanism, &key)?;
            mac.update(data)?;
            let mut made = Zeroizing::new(vec![0; super::mac::length(mechanism)?]);
            mac.sign(&mut made)?;
            Ok(made)
        }
        (_, Use::Sign | Use::SignRecover) => key.sign(mechanism, input),
        (Family::AesEcb | Family::AesCbc | Family::AesCbcPad | Family::AesCtr, _) => {
            let mut blocks = match input {
                Input::Blocks(_) => Blocks::inner(mechanism.clone(), KeyUse::Here(key), encrypts)?,
                _ => Blocks::new(mechanism.clone(), KeyUse::Here(key), encrypts)?,
            };
            let mut done = Zeroizing::new(vec![0; data.len() + 16]);
            let length = blocks.update_length(data.len());
            blocks.update(data, &mut done[..length])?;
            let last = match input {
                Input::Blocks(_) => 0,
                _ => blocks.finish(&mut done[length..])?,
            };
            done.truncate(length + last);
            Ok(done)
        }
        (Family::AesGcm, _) => {
            let gcm = Gcm::new(mechanism.clone(), KeyUse::Here(key), encrypts)?;
            let mut done = Zeroizing::new(vec![0; gcm.whole_length(data.len())?]);
            gcm.whole(data, &mut done)?;
            Ok(done)
        }
        (Family::AesKw | Family::AesKwp, Use::Encrypt) => wrapping::wrap(mechanism, &key, data),
        (Family::AesKw | Family::AesKwp, _) => wrapping::unwrap(mechanism, &key, data),
        (_, Use::Decrypt) => key.decrypt(mechanism, data),
        _ => fail(CKR_MECHANISM_INVALID, "the mechanism does not do this"),
    }
}

/// Verifies a MAC with a secret key, a signature with a public one.
///
/// # Errors
/// As `C_Verify`.
pub fn verify(key: &Attributes, mechanism: &Mechanism, data: &[u8], mac: &[u8]) -> CkResult<()> {
    if key.number(CKA_CLASS) == Some(CKO_PUBLIC_KEY) {
        return PublicKey::of(key)?.verify(mechanism, Input::Data(data), mac);
    }
    let mut made = Mac::new(mechanism, &SoftKey::of(key)?)?;
    made.update(data)?;
    made.verify(mac)
}

/// The secret that a key derives.
///
/// # Errors
/// As `C_DeriveKey`.
pub fn derive(
    key: &Attributes,
    mechanism: &Mechanism,
    length: Option<usize>,
) -> CkResult<Zeroizing<Vec<u8>>> {
    let key = Arc::new(Locked::new(SoftKey::of(key)?)?);
    making::derive(mechanism, &KeyUse::Here(key), length)
}

/// The secret that a key decapsulates.
///
/// # Errors
/// As `C_DecapsulateKey`.
pub fn decapsulate(key: &Attributes, ciphertext: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
    SoftKey::of(key)?.decapsulate(ciphertext)
}

/// A new secret, and what encapsulates it to a public key.
///
/// # Errors
/// As `C_EncapsulateKey`.
pub fn encapsulate(key: &Attributes) -> CkResult<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    PublicKey::of(key)?.encapsulate()
}

/// The material of a secret key, or PKCS #8 of a private one: what is wrapped and released.
///
/// # Errors
/// `CKR_KEY_NOT_WRAPPABLE` and its like.
pub fn material(key: &Attributes) -> CkResult<Zeroizing<Vec<u8>>> {
    match key.number(CKA_CLASS) {
        Some(CKO_PRIVATE_KEY) => making::pkcs8(key),
        _ => Ok(Zeroizing::new(
            key.bytes(CKA_VALUE).unwrap_or_default().to_vec(),
        )),
    }
}

/// Puts material into attributes: the contrary of [`material`].
///
/// # Errors
/// `CKR_WRAPPED_KEY_INVALID`.
pub fn set_material(key: &mut Attributes, material: &[u8]) -> CkResult<()> {
    if key.number(CKA_CLASS) == Some(CKO_PRIVATE_KEY) {
        return making::of_pkcs8(material, key);
    }
    let length = making::secret_length(key, Some(material.len()))?;
    let value = material.get(..length).unwrap_or(material);
    key.set_bytes(CKA_VALUE, value);
    key.set_number(CKA_VALUE_LEN, crate::session::ulong(value.len()));
    Ok(())
}
