//! What is done with a named key, inside the token.

use cryptoki::{
    error::Error,
    mechanism::{
        Mechanism, MechanismType,
        aead::GcmParams,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        elliptic_curve::{EcKdf, Ecdh1DeriveParams},
        rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, SessionState},
    types::Ulong,
};
use zeroize::Zeroizing;

use super::super::pool::CallError;
use crate::{NamedHash, NamedKeyType, NamedWork};

pub(super) fn perform(
    session: &Session,
    key: ObjectHandle,
    key_type: NamedKeyType,
    work: &NamedWork,
) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let done = match work {
        NamedWork::RsaPkcs1 { encoded } => session.sign(&Mechanism::RsaPkcs, key, encoded)?,
        NamedWork::RsaPss {
            hash,
            digest,
            salt_length,
        } => {
            let (hash_alg, mgf) = hash_names(*hash);
            let parameters = PkcsPssParams {
                hash_alg,
                mgf,
                s_len: Ulong::new((*salt_length).into()),
            };
            session.sign(&Mechanism::RsaPkcsPss(parameters), key, digest)?
        }
        NamedWork::Ecdsa { digest } => {
            // Of a longer digest the leftmost bits count (FIPS 186-5 section 6.4.1), which tokens leave to the caller: here whole bytes.
            let order = key_type.curve().map_or(0, |(_, coordinate)| coordinate);
            let digest = digest.get(..order).unwrap_or(digest);
            session.sign(&Mechanism::Ecdsa, key, digest)?
        }
        NamedWork::Eddsa { message } => {
            let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
            session.sign(&mechanism, key, message)?
        }
        NamedWork::Hmac { message } => session.sign(&Mechanism::Sha256Hmac, key, message)?,
        NamedWork::RsaOaep { hash, ciphertext } => {
            let (hash_alg, mgf) = hash_names(*hash);
            let parameters = PkcsOaepParams::new(hash_alg, mgf, PkcsOaepSource::empty());
            session.decrypt(&Mechanism::RsaPkcsOaep(parameters), key, ciphertext)?
        }
        NamedWork::GcmEncrypt {
            nonce,
            associated_data,
            tag_length,
            plaintext,
        } => with_gcm(*nonce, associated_data, *tag_length, |mechanism| {
            session.encrypt(mechanism, key, plaintext)
        })?,
        NamedWork::GcmDecrypt {
            nonce,
            associated_data,
            tag_length,
            ciphertext,
        } => with_gcm(*nonce, associated_data, *tag_length, |mechanism| {
            session.decrypt(mechanism, key, ciphertext)
        })?,
        NamedWork::Ecdh { point } => return agree(session, key, key_type, point),
    };
    Ok(Zeroizing::new(done))
}

pub(super) fn with_gcm<T>(
    nonce: [u8; 12],
    associated_data: &[u8],
    tag_length: u8,
    act: impl FnOnce(&Mechanism) -> Result<T, Error>,
) -> Result<T, Error> {
    // PKCS#11 lets a module write to it; ours is not to change.
    let mut nonce = nonce;
    let tag_bits = Ulong::new(u64::from(tag_length) * 8);
    act(&Mechanism::AesGcm(GcmParams::new(
        &mut nonce,
        associated_data,
        tag_bits,
    )?))
}

/// Agrees on a secret, which is a key of the session until it is read.
pub(super) fn agree(
    session: &Session,
    key: ObjectHandle,
    key_type: NamedKeyType,
    point: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let coordinate = key_type.curve().map_or(0, |(_, coordinate)| coordinate);
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(Ulong::new(coordinate as u64)),
    ];
    let parameters = Ecdh1DeriveParams::new(EcKdf::null(), point);
    let secret = session.derive_key(&Mechanism::Ecdh1Derive(parameters), key, &template)?;
    let read = session.get_attributes(secret, &[AttributeType::Value]);
    session
        .destroy_object(secret)
        .map_err(CallError::Leftover)?;
    let value = read?.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(value),
        _ => None,
    });
    // One that the token does not give has not the length that it must have.
    Ok(Zeroizing::new(value.unwrap_or_default()))
}

/// Whether the session and, where that can be tried with what is there, the key work: asked when a module does not say why it failed.
pub(super) fn works(session: &Session, key: ObjectHandle, work: &NamedWork) -> bool {
    match work {
        NamedWork::GcmDecrypt { tag_length, .. } => {
            let encrypted = with_gcm([0x5a; 12], b"", *tag_length, |mechanism| {
                session.encrypt(mechanism, key, b"probe")
            });
            encrypted
                .and_then(|encrypted| {
                    with_gcm([0x5a; 12], b"", *tag_length, |mechanism| {
                        session.decrypt(mechanism, key, &encrypted)
                    })
                })
                .is_ok_and(|decrypted| decrypted == b"probe")
        }
        _ => session
            .get_session_info()
            .is_ok_and(|info| info.session_state() == SessionState::RwUser),
    }
}

pub(super) const fn hash_names(hash: NamedHash) -> (MechanismType, PkcsMgfType) {
    match hash {
        NamedHash::Sha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        NamedHash::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
        NamedHash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
        NamedHash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
    }
}
