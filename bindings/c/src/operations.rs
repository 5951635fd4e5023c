//! Using keys that stay in the appliance, and public keys, which stay nowhere.

use std::ffi::c_char;
use std::ptr;

use strongroom_client::operations::{
    Ciphertext, Operate as _, PublicKey, Signature, private_key_from_pem,
};

use crate::client::{sr_session, with};
use crate::error::{sr_error, sr_kind};
use crate::ffi::{self, Out, Outcome, entry, invalid, shared, values};
use crate::keys::{identifier, number_of};
use crate::mechanisms::{mechanism as named, signing};
use crate::values::{hand_out, sr_bytes};

/// The public key of one version of a key pair. What it can do, it does here, without the appliance. Freed with sr_public_key_free.
pub struct sr_public_key(PublicKey);

/// What came with a ciphertext; nothing where it is empty.
fn some(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

/// Has the appliance sign a message. Where the mechanism signs its digest, that alone is sent.
///
/// `mechanism` is SR_MECHANISM_OF_KEY or another, `encoding` SR_ENCODING_DER or SR_ENCODING_FIXED, which counts for ECDSA. `signature` receives
/// the signature, freed with sr_bytes_free; `version`, which may be NULL, the version of the key that made it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_sign(
    session: *const sr_session,
    key: *const c_char,
    mechanism: i32,
    encoding: i32,
    message: *const u8,
    message_length: usize,
    signature: *mut sr_bytes,
    version: *mut u32,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Made::new(signature, version)?;
            let message = values(message, message_length, "the message")?;
            let key = identifier(key)?;
            let session = shared(session, "the session")?;
            out.set(with!(session, |who| {
                let signing = signing(mechanism, encoding, || Ok(who.key(key)?.algorithm))?;
                who.sign(key, signing, message)
            })?);
            Ok(())
        })
    }
}

/// The same with the digest of a message, for ECDSA and RSA.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_sign_digest(
    session: *const sr_session,
    key: *const c_char,
    mechanism: i32,
    encoding: i32,
    digest: *const u8,
    digest_length: usize,
    signature: *mut sr_bytes,
    version: *mut u32,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Made::new(signature, version)?;
            let digest = values(digest, digest_length, "the digest")?;
            let key = identifier(key)?;
            let session = shared(session, "the session")?;
            out.set(with!(session, |who| {
                let signing = signing(mechanism, encoding, || Ok(who.key(key)?.algorithm))?;
                who.sign_digest(key, signing, digest)
            })?);
            Ok(())
        })
    }
}

/// Where a signature goes.
struct Made {
    signature: Out<sr_bytes>,
    version: Out<u32>,
}

impl Made {
    /// # Safety
    /// As [`Out::new`] and [`Out::optional`].
    unsafe fn new(signature: *mut sr_bytes, version: *mut u32) -> Outcome<Self> {
        // SAFETY: as this function's.
        unsafe {
            Ok(Self {
                signature: Out::new(signature, sr_bytes::NONE)?,
                version: Out::optional(version, 0),
            })
        }
    }

    fn set(self, made: Signature) {
        self.version.set(|| made.version);
        self.signature.set(|| sr_bytes::new(made.bytes));
    }
}

/// The public key of this version of a key pair, or with 0 of the newest: it verifies. Free it with sr_public_key_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_get(
    session: *const sr_session,
    key: *const c_char,
    version: u32,
    public_key: *mut *mut sr_public_key,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(public_key, ptr::null_mut())?;
            let key = identifier(key)?;
            let version = (version > 0).then_some(version);
            let session = shared(session, "the session")?;
            let found = with!(session, |who| who.public_key(key, version))?;
            out.set(|| Box::into_raw(Box::new(sr_public_key(found))));
            Ok(())
        })
    }
}

/// Which version of the key it is, from 1; 0 where it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_version(public_key: *const sr_public_key) -> u32 {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { public_key.as_ref() }.map_or(0, |public_key| public_key.0.version)
}

/// What it is for, such as SR_EC_P256; -1 where it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_algorithm(public_key: *const sr_public_key) -> i32 {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { public_key.as_ref() }.map_or(-1, |public_key| number_of(public_key.0.algorithm))
}

/// The public key as SubjectPublicKeyInfo (RFC 5280) in DER, freed with sr_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_der(
    public_key: *const sr_public_key,
    der: *mut sr_bytes,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(der, sr_bytes::NONE)?;
            let public_key = &shared(public_key, "the public key")?.0;
            out.set(|| sr_bytes::new(public_key.der.clone()));
            Ok(())
        })
    }
}

/// The same in PEM (RFC 7468), what OpenSSL and most tools take: freed with sr_text_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_pem(
    public_key: *const sr_public_key,
    pem: *mut *mut c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(pem, ptr::null_mut())?;
            let public_key = &shared(public_key, "the public key")?.0;
            out.set(|| hand_out(&public_key.pem()));
            Ok(())
        })
    }
}

/// Says in `valid` whether this is the key's signature of the message. A signature that is not right is no failure: SR_KIND_OK says that it was
/// looked at, `valid` what came of it. `mechanism` and `encoding` are as for sr_sign.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_verify(
    public_key: *const sr_public_key,
    mechanism: i32,
    encoding: i32,
    message: *const u8,
    message_length: usize,
    signature: *const u8,
    signature_length: usize,
    valid: *mut bool,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(valid, false)?;
            let message = values(message, message_length, "the message")?;
            let signature = values(signature, signature_length, "the signature")?;
            let public_key = &shared(public_key, "the public key")?.0;
            let signing = signing(mechanism, encoding, || Ok(public_key.algorithm))?;
            let verdict = public_key.verify(signing, message, signature)?;
            out.set(|| verdict);
            Ok(())
        })
    }
}

/// The same of a message's digest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_verify_digest(
    public_key: *const sr_public_key,
    mechanism: i32,
    encoding: i32,
    digest: *const u8,
    digest_length: usize,
    signature: *const u8,
    signature_length: usize,
    valid: *mut bool,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(valid, false)?;
            let digest = values(digest, digest_length, "the digest")?;
            let signature = values(signature, signature_length, "the signature")?;
            let public_key = &shared(public_key, "the public key")?.0;
            let signing = signing(mechanism, encoding, || Ok(public_key.algorithm))?;
            let verdict = public_key.verify_digest(signing, digest, signature)?;
            out.set(|| verdict);
            Ok(())
        })
    }
}

/// Encrypts to the holder of an RSA key. `ciphertext` is freed with sr_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_encrypt(
    public_key: *const sr_public_key,
    mechanism: i32,
    plaintext: *const u8,
    plaintext_length: usize,
    ciphertext: *mut sr_bytes,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(ciphertext, sr_bytes::NONE)?;
            let plaintext = values(plaintext, plaintext_length, "the plaintext")?;
            let public_key = &shared(public_key, "the public key")?.0;
            let made = public_key.encrypt(named(mechanism)?, plaintext)?;
            out.set(|| sr_bytes::new(made));
            Ok(())
        })
    }
}

/// Frees a public key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_public_key_free(public_key: *mut sr_public_key) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { ffi::free(public_key) };
}

/// Has the appliance make a MAC of a message. `mac` is freed with sr_bytes_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_mac(
    session: *const sr_session,
    key: *const c_char,
    mechanism: i32,
    message: *const u8,
    message_length: usize,
    mac: *mut sr_bytes,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(mac, sr_bytes::NONE)?;
            let message = values(message, message_length, "the message")?;
            let (key, mechanism) = (identifier(key)?, named(mechanism)?);
            let session = shared(session, "the session")?;
            let made = with!(session, |who| who.mac(key, mechanism, message))?;
            out.set(|| sr_bytes::new(made));
            Ok(())
        })
    }
}

/// Says in `valid` whether this is the MAC of the message, by this version of the key or with 0 the newest. A MAC that is not right is no
/// failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_verify_mac(
    session: *const sr_session,
    key: *const c_char,
    version: u32,
    mechanism: i32,
    message: *const u8,
    message_length: usize,
    mac: *const u8,
    mac_length: usize,
    valid: *mut bool,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(valid, false)?;
            let message = values(message, message_length, "the message")?;
            let mac = values(mac, mac_length, "the MAC")?;
            let (key, mechanism) = (identifier(key)?, named(mechanism)?);
            let version = (version > 0).then_some(version);
            let session = shared(session, "the session")?;
            let verdict = with!(session, |who| who
                .verify_mac(key, version, mechanism, message, mac))?;
            out.set(|| verdict);
            Ok(())
        })
    }
}

/// Has the appliance encrypt. `associated_data` may be NULL.
///
/// `ciphertext` and `iv`, the nonce or initialisation vector that the appliance has drawn, if there is one, are freed with sr_bytes_free: it
/// takes both to decrypt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_encrypt(
    session: *const sr_session,
    key: *const c_char,
    mechanism: i32,
    plaintext: *const u8,
    plaintext_length: usize,
    associated_data: *const u8,
    associated_data_length: usize,
    ciphertext: *mut sr_bytes,
    iv: *mut sr_bytes,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let (out, out_iv) = (
                Out::new(ciphertext, sr_bytes::NONE),
                Out::new(iv, sr_bytes::NONE),
            );
            let (out, out_iv) = (out?, out_iv?);
            let plaintext = values(plaintext, plaintext_length, "the plaintext")?;
            let beside = values(
                associated_data,
                associated_data_length,
                "the associated data",
            )?;
            let (key, mechanism) = (identifier(key)?, named(mechanism)?);
            let session = shared(session, "the session")?;
            let made = with!(session, |who| who.encrypt(
                key,
                mechanism,
                plaintext,
                some(beside)
            ))?;
            out.set(|| sr_bytes::new(made.data));
            out_iv.set(|| sr_bytes::new(made.iv.unwrap_or_default()));
            Ok(())
        })
    }
}

/// Has the appliance decrypt, with this version of the key or with 0 the newest. `iv` and `associated_data` may be NULL where there were none.
/// `plaintext` is freed with sr_bytes_free, which overwrites it. Fails with SR_KIND_ALTERED when it was not made under this key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_decrypt(
    session: *const sr_session,
    key: *const c_char,
    version: u32,
    mechanism: i32,
    ciphertext: *const u8,
    ciphertext_length: usize,
    iv: *const u8,
    iv_length: usize,
    associated_data: *const u8,
    associated_data_length: usize,
    plaintext: *mut sr_bytes,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(plaintext, sr_bytes::NONE)?;
            let data = values(ciphertext, ciphertext_length, "the ciphertext")?;
            let iv = values(iv, iv_length, "the initialisation vector")?;
            let ciphertext = Ciphertext {
                data: data.to_vec(),
                iv: some(iv).map(<[u8]>::to_vec),
            };
            let beside = values(
                associated_data,
                associated_data_length,
                "the associated data",
            )?;
            let (key, mechanism) = (identifier(key)?, named(mechanism)?);
            let version = (version > 0).then_some(version);
            let session = shared(session, "the session")?;
            let mut opened = with!(session, |who| who.decrypt(
                key,
                version,
                mechanism,
                &ciphertext,
                some(beside)
            ))?;
            out.set(|| sr_bytes::new(std::mem::take(&mut *opened)));
            Ok(())
        })
    }
}

/// The DER of the first private key in a PEM text, as sr_key_import takes it: PKCS #8, or the older forms of RSA and EC keys. Freed with
/// sr_bytes_free, which overwrites it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_private_key_from_pem(
    pem: *const u8,
    pem_length: usize,
    der: *mut sr_bytes,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(der, sr_bytes::NONE)?;
            let mut key = private_key_from_pem(values(pem, pem_length, "the text")?)
                .ok_or_else(|| invalid("there is no private key in this text"))?;
            out.set(|| sr_bytes::new(std::mem::take(&mut *key)));
            Ok(())
        })
    }
}
