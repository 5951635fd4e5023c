//! Which key may do what, and where it is done.
//!
//! Public keys work in this process. So do secret keys whose policy allows release, and the keys of session objects. All others work in the
//! appliance or its HSM.

use std::sync::Arc;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::{Module, Session, Slot};
use crate::config::Level;
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::soft::{KeyUse, Remote};
use crate::mechanism::{Family, Hash, Mechanism, Parameter};
use crate::object::{Attributes, Home, Object, Record, rules};
use crate::token::{Answer, Input, ObjectId, Place, Use};

/// What a key is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Sign,
    SignRecover,
    Verify,
    VerifyRecover,
    Encrypt,
    Decrypt,
    Wrap,
    Unwrap,
    Derive,
    Encapsulate,
    Decapsulate,
}

impl Purpose {
    /// The attribute that allows it, and the flag of mechanisms that do it.
    const fn says(self) -> (CK_ATTRIBUTE_TYPE, CK_FLAGS) {
        match self {
            Self::Sign => (CKA_SIGN, CKF_SIGN),
            Self::SignRecover => (CKA_SIGN_RECOVER, CKF_SIGN_RECOVER),
            Self::Verify => (CKA_VERIFY, CKF_VERIFY),
            Self::VerifyRecover => (CKA_VERIFY_RECOVER, CKF_VERIFY_RECOVER),
            Self::Encrypt => (CKA_ENCRYPT, CKF_ENCRYPT),
            Self::Decrypt => (CKA_DECRYPT, CKF_DECRYPT),
            Self::Wrap => (CKA_WRAP, CKF_WRAP),
            Self::Unwrap => (CKA_UNWRAP, CKF_UNWRAP),
            Self::Derive => (CKA_DERIVE, CKF_DERIVE),
            Self::Encapsulate => (CKA_ENCAPSULATE, CKF_ENCAPSULATE),
            Self::Decapsulate => (CKA_DECAPSULATE, CKF_DECAPSULATE),
        }
    }

    /// Whether the public half of a pair does it.
    const fn is_public(self) -> bool {
        matches!(
            self,
            Self::Verify | Self::VerifyRecover | Self::Encrypt | Self::Wrap | Self::Encapsulate
        )
    }
}

/// A key that may do what it is wanted for.
pub(crate) struct Key {
    pub(crate) object: Arc<Object>,
    pub(crate) record: Arc<Record>,
}

impl Key {
    pub(crate) fn attributes(&self) -> &Attributes {
        &self.record.attributes
    }

    /// Whether it is the public half of a pair.
    pub(crate) fn is_public(&self) -> bool {
        self.attributes().number(CKA_CLASS) == Some(CKO_PUBLIC_KEY)
    }

    /// Whether the application has to sign in for each operation.
    pub(crate) fn asks_each_time(&self) -> bool {
        self.attributes().is(CKA_ALWAYS_AUTHENTICATE)
    }

    /// Its identifier, where it lives in the token.
    pub(crate) fn id(&self) -> Option<ObjectId> {
        match self.object.home {
            Home::Token(id) => Some(id),
            Home::Session(_) => None,
        }
    }

    /// The length of an RSA modulus, in bytes.
    pub(crate) fn modulus_length(&self) -> Option<usize> {
        let modulus = self.attributes().bytes(CKA_MODULUS)?;
        Some(crate::der::trimmed(modulus).len())
    }
}

impl Module {
    /// The key of a handle, where it may do this by this mechanism.
    pub(crate) fn key(
        &self,
        session: &Session,
        handle: CK_OBJECT_HANDLE,
        mechanism: &Mechanism,
        purpose: Purpose,
    ) -> CkResult<Key> {
        self.key_or(session, handle, mechanism, purpose, CKR_KEY_HANDLE_INVALID)
    }

    /// As [`Self::key`], with another name for a handle that is none.
    pub(crate) fn key_or(
        &self,
        session: &Session,
        handle: CK_OBJECT_HANDLE,
        mechanism: &Mechanism,
        purpose: Purpose,
        missing: CK_RV,
    ) -> CkResult<Key> {
        let (object, record) = self.object(session, handle, missing)?;
        let attributes = &record.attributes;
        let (allows, flag) = purpose.says();
        if !attributes.has(CKA_KEY_TYPE) {
            return fail(missing, "the object is no key");
        }
        if !attributes.is(allows) {
            return fail(CKR_KEY_FUNCTION_NOT_PERMITTED, "the key is not for this");
        }
        let info = session.slot.info_now(self.config.freshness())?;
        let listed = self.served(&info, mechanism.kind)?;
        if let Some(kind) = pss_by_name(mechanism)
            && info.forbidden.contains(&kind)
        {
            return fail(
                CKR_MECHANISM_PARAM_INVALID,
                "policies forbid PSS with this hash",
            );
        }
        if listed.flags & flag == 0 {
            return fail(CKR_MECHANISM_INVALID, "the mechanism is not for this");
        }
        let allowed = attributes.numbers(CKA_ALLOWED_MECHANISMS);
        if allowed.is_some_and(|allowed| !allowed.is_empty() && !allowed.contains(&mechanism.kind))
        {
            return fail(
                CKR_MECHANISM_INVALID,
                "the key allows other mechanisms alone",
            );
        }
        if !fits(mechanism.family, attributes, purpose) {
            return fail(
                CKR_KEY_TYPE_INCONSISTENT,
                "the mechanism is not for keys of this type",
            );
        }
        Ok(Key { object, record })
    }

    /// Where a private or secret key is used, ready to be.
    pub(crate) fn key_use(
        &self,
        session: &Session,
        key: &Key,
        mechanism: &Mechanism,
    ) -> CkResult<KeyUse> {
        let here = self.released_key(&session.slot, key)?;
        if let Some(id) = key.id() {
            self.log.line(
                Level::Debug,
                format_args!(
                    "the key {} works in the {} by mechanism {:#x}",
                    id.uuid,
                    key.record.place.as_str(),
                    mechanism.kind
                ),
            );
        }
        if let Some(soft) = here {
            return Ok(KeyUse::Here(soft));
        }
        let Some(id) = key.id() else {
            return fail(CKR_KEY_HANDLE_INVALID, "the key is nowhere");
        };
        Ok(KeyUse::There(Arc::new(There {
            slot: Arc::clone(&session.slot),
            id,
        })))
    }

    fn released_key(
        &self,
        slot: &Slot,
        key: &Key,
    ) -> CkResult<Option<Arc<crate::secret_memory::Locked<crate::mechanism::soft::SoftKey>>>> {
        match (key.object.home, key.record.place) {
            (Home::Session(_), _) => Ok(Some(key.record.soft()?)),
            (_, Place::Process) if key.attributes().number(CKA_CLASS) == Some(CKO_SECRET_KEY) => {
                self.released(slot, &key.object, &key.record)
            }
            _ => Ok(None),
        }
    }
}

/// A key of the token, used there.
struct There {
    slot: Arc<Slot>,
    id: ObjectId,
}

impl Remote for There {
    fn operate(
        &self,
        what: Use,
        mechanism: &Mechanism,
        input: Input<'_>,
    ) -> CkResult<Zeroizing<Vec<u8>>> {
        let answer = self.slot.token()?.operate(self.id, what, mechanism, input);
        let Answer { value, change } = answer.map_err(|error| {
            self.slot.failed(&error);
            // The handle was good when the operation began.
            CkError::from(error).told_as(CKR_OBJECT_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID)
        })?;
        self.slot.hear(change);
        Ok(value)
    }

    fn verify(&self, mechanism: &Mechanism, data: &[u8], signature: &[u8]) -> CkResult<()> {
        let answer = self
            .slot
            .token()?
            .verify(self.id, mechanism, data, signature);
        let Answer { change, .. } = answer.map_err(|error| {
            self.slot.failed(&error);
            CkError::from(error).told_as(CKR_OBJECT_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID)
        })?;
        self.slot.hear(change);
        Ok(())
    }
}

/// The mechanism that says by its name what `CKM_RSA_PKCS_PSS` says by its parameter, if there is one: what forbids one forbids the other.
const fn pss_by_name(mechanism: &Mechanism) -> Option<CK_MECHANISM_TYPE> {
    match (mechanism.family, &mechanism.parameter) {
        (Family::RsaPss(None), Parameter::Pss { hash, .. }) => match hash {
            Hash::Sha1 => Some(CKM_SHA1_RSA_PKCS_PSS),
            Hash::Sha224 => Some(CKM_SHA224_RSA_PKCS_PSS),
            Hash::Sha256 => Some(CKM_SHA256_RSA_PKCS_PSS),
            Hash::Sha384 => Some(CKM_SHA384_RSA_PKCS_PSS),
            Hash::Sha512 => Some(CKM_SHA512_RSA_PKCS_PSS),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a mechanism is for keys of this class and type.
fn fits(family: Family, attributes: &Attributes, purpose: Purpose) -> bool {
    let (Some(class), Some(key_type)) = (
        attributes.number(CKA_CLASS),
        attributes.number(CKA_KEY_TYPE),
    ) else {
        return false;
    };
    let half = if purpose.is_public() {
        CKO_PUBLIC_KEY
    } else {
        CKO_PRIVATE_KEY
    };
    let (wanted_class, types): (_, &[CK_KEY_TYPE]) = match family {
        Family::Hmac { hash, .. } => {
            let own = crate::mechanism::mac::key_type(hash);
            return class == CKO_SECRET_KEY
                && (key_type == CKK_GENERIC_SECRET || Some(key_type) == own);
        }
        Family::Hkdf | Family::Concatenate => {
            return class == CKO_SECRET_KEY && rules::is_secret(key_type);
        }
        Family::Cmac { .. }
        | Family::AesEcb
        | Family::AesCbc
        | Family::AesCbcPad
        | Family::AesCtr
        | Family::AesGcm
        | Family::AesKw
        | Family::AesKwp
        | Family::AesEncryptData => (CKO_SECRET_KEY, &[CKK_AES]),
        Family::RsaPkcs(_) | Family::RsaPss(_) | Family::RsaOaep | Family::RsaRaw => {
            (half, &[CKK_RSA])
        }
        Family::Ecdsa(_) => (half, &[CKK_EC]),
        Family::Eddsa => (half, &[CKK_EC_EDWARDS]),
        Family::Ecdh => (CKO_PRIVATE_KEY, &[CKK_EC, CKK_EC_MONTGOMERY]),
        Family::MlDsa => (half, &[CKK_ML_DSA]),
        Family::MlKem => (half, &[CKK_ML_KEM]),
        Family::Digest(_) | Family::MakeKey(_) | Family::MakePair(_) => return false,
    };
    class == wanted_class && types.contains(&key_type)
}
