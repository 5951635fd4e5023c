//! MACs with keys whose material is here: HMAC (FIPS 198-1) and AES-CMAC (SP 800-38B), by AWS-LC, in parts with constant memory.

use aws_lc_rs::{cmac, hmac};
use cryptoki_sys::*;
use subtle::ConstantTimeEq;

use super::soft::SoftKey;
use super::{Family, Hash, Mechanism, Parameter};
use crate::error::{CkError, CkResult, fail};

/// A MAC under way.
pub(crate) struct Mac {
    context: Context,
    length: usize,
}

#[expect(
    clippy::large_enum_variant,
    reason = "kept in place: no allocation for each MAC"
)]
enum Context {
    Hmac(hmac::Context),
    Cmac(cmac::Context),
}

/// How long the MACs of a mechanism are, in bytes.
pub(crate) fn length(mechanism: &Mechanism) -> CkResult<usize> {
    let (whole, general, smallest) = match mechanism.family {
        Family::Hmac { hash, general } => (hash.length(), general, 1),
        Family::Cmac { general } => (16, general, 1),
        _ => return fail(CKR_MECHANISM_INVALID, "the mechanism makes no MAC"),
    };
    match (&mechanism.parameter, general) {
        (Parameter::None, false) => Ok(whole),
        (Parameter::Length(length), true) if (smallest..=whole).contains(length) => Ok(*length),
        _ => fail(CKR_MECHANISM_PARAM_INVALID, "a MAC cannot have this length"),
    }
}

impl Mac {
    pub(crate) fn new(mechanism: &Mechanism, key: &SoftKey) -> CkResult<Self> {
        let length = length(mechanism)?;
        let context = if let Family::Hmac { hash, .. } = mechanism.family {
            let key = hmac::Key::new(algorithm(hash)?, key.secret()?);
            Context::Hmac(hmac::Context::with_key(&key))
        } else {
            let material = key.aes()?.material();
            let algorithm = match material.len() {
                16 => cmac::AES_128,
                24 => cmac::AES_192,
                _ => cmac::AES_256,
            };
            let key = cmac::Key::new(algorithm, material).map_err(|_| failed())?;
            Context::Cmac(cmac::Context::with_key(&key))
        };
        Ok(Self { context, length })
    }

    pub(crate) fn update(&mut self, data: &[u8]) -> CkResult<()> {
        match &mut self.context {
            Context::Hmac(context) => context.update(data),
            Context::Cmac(context) => context.update(data).map_err(|_| failed())?,
        }
        Ok(())
    }

    /// The MAC, into a buffer of exactly its length.
    pub(crate) fn sign(self, mac: &mut [u8]) -> CkResult<()> {
        let mut whole = [0; 64];
        let length = match self.context {
            Context::Hmac(context) => fill(&mut whole, context.sign().as_ref()),
            Context::Cmac(context) => {
                fill(&mut whole, context.sign().map_err(|_| failed())?.as_ref())
            }
        };
        mac.copy_from_slice(&whole[..self.length.min(length)]);
        Ok(())
    }

    pub(crate) fn verify(self, mac: &[u8]) -> CkResult<()> {
        if mac.len() != self.length {
            return fail(
                CKR_SIGNATURE_LEN_RANGE,
                "a MAC of this mechanism is not so long",
            );
        }
        let mut made = [0; 64];
        let made = &mut made[..self.length];
        self.sign(made)?;
        if bool::from(made.ct_eq(mac)) {
            Ok(())
        } else {
            fail(
                CKR_SIGNATURE_INVALID,
                "the MAC is of other data or of another key",
            )
        }
    }
}

fn fill(whole: &mut [u8; 64], tag: &[u8]) -> usize {
    let length = tag.len().min(whole.len());
    whole[..length].copy_from_slice(&tag[..length]);
    length
}

/// The type of the keys that are for HMAC with this hash alone.
pub(crate) fn key_type(hash: Hash) -> Option<CK_KEY_TYPE> {
    match hash {
        Hash::Sha1 => Some(CKK_SHA_1_HMAC),
        Hash::Sha224 => Some(CKK_SHA224_HMAC),
        Hash::Sha256 => Some(CKK_SHA256_HMAC),
        Hash::Sha384 => Some(CKK_SHA384_HMAC),
        Hash::Sha512 => Some(CKK_SHA512_HMAC),
        _ => None,
    }
}

fn algorithm(hash: Hash) -> CkResult<hmac::Algorithm> {
    Ok(match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha224 => hmac::HMAC_SHA224,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
        _ => return fail(CKR_MECHANISM_INVALID, "there is no HMAC with this hash"),
    })
}

/// HMAC of a whole, for key derivation.
pub(crate) fn hmac_of(hash: Hash, key: &[u8], parts: &[&[u8]]) -> CkResult<hmac::Tag> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm(hash)?, key));
    for part in parts {
        context.update(part);
    }
    Ok(context.sign())
}

fn failed() -> CkError {
    CkError::new(CKR_FUNCTION_FAILED, "AWS-LC made no MAC")
}
