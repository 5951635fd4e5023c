//! How a token wraps account KEKs: the mechanisms that Strongroom can use, the best first, and the calls.

use cryptoki::{
    mechanism::{Mechanism, MechanismType, aead::GcmParams},
    object::{Attribute, ObjectHandle},
    session::Session,
    types::Ulong,
};

use super::{keys, pool::CallError};
use crate::{Aes256Key, HsmError, WrapScheme};

/// The length of an AES-GCM initialisation vector in bytes. They are random: NIST SP 800-38D section 8.3 allows 2^32 for one key.
const GCM_IV_LEN: usize = 12;

/// What a token may offer, in the order in which Strongroom takes it. PKCS#11 v3.0's `CKM_AES_KEY_WRAP_KWP` does what scheme 3 needs as well,
/// but the `cryptoki` crate cannot name it.
pub(super) const WRAPPINGS: [(WrapScheme, MechanismType, &str); 3] = [
    (
        WrapScheme::Rfc3394,
        MechanismType::AES_KEY_WRAP,
        "CKM_AES_KEY_WRAP",
    ),
    (
        WrapScheme::Rfc5649,
        MechanismType::AES_KEY_WRAP_PAD,
        "CKM_AES_KEY_WRAP_PAD",
    ),
    (WrapScheme::AesGcm, MechanismType::AES_GCM, "CKM_AES_GCM"),
];

/// Wraps `key` under `kek`.
pub(super) fn wrap(
    session: &Session,
    scheme: WrapScheme,
    kek: ObjectHandle,
    key: &Aes256Key,
) -> Result<Vec<u8>, CallError> {
    let key = session.create_object(&keys::key_to_wrap(key))?;
    let blob = wrap_there(session, scheme, kek, key);
    session.destroy_object(key).map_err(CallError::Leftover)?;
    blob
}

/// Wraps a key that is in the HSM already under `kek`.
pub(super) fn wrap_there(
    session: &Session,
    scheme: WrapScheme,
    kek: ObjectHandle,
    key: ObjectHandle,
) -> Result<Vec<u8>, CallError> {
    let iv = match scheme {
        WrapScheme::AesGcm => session.generate_random_vec(12)?,
        _ => Vec::new(),
    };
    let blob = with_mechanism(scheme, &iv, |mechanism| {
        Ok(session.wrap_key(mechanism, kek, key)?)
    })?;
    Ok([iv, blob].concat())
}

/// Unwraps what [`wrap`] made. The session holds the key until it is read.
pub(super) fn unwrap(
    session: &Session,
    scheme: WrapScheme,
    kek: ObjectHandle,
    blob: &[u8],
) -> Result<ObjectHandle, CallError> {
    unwrap_as(session, scheme, kek, blob, &keys::unwrapped_key())
}

/// Unwraps to a key of that template.
pub(super) fn unwrap_as(
    session: &Session,
    scheme: WrapScheme,
    kek: ObjectHandle,
    blob: &[u8],
    template: &[Attribute],
) -> Result<ObjectHandle, CallError> {
    let iv_len = match scheme {
        WrapScheme::AesGcm => GCM_IV_LEN.min(blob.len()),
        _ => 0,
    };
    let (iv, blob) = blob.split_at(iv_len);
    with_mechanism(scheme, iv, |mechanism| {
        Ok(session.unwrap_key(mechanism, kek, blob, template)?)
    })
}

fn with_mechanism<T>(
    scheme: WrapScheme,
    iv: &[u8],
    act: impl FnOnce(&Mechanism) -> Result<T, CallError>,
) -> Result<T, CallError> {
    match scheme {
        WrapScheme::Rfc3394 => act(&Mechanism::AesKeyWrap),
        WrapScheme::Rfc5649 => act(&Mechanism::AesKeyWrapPad),
        WrapScheme::AesGcm => {
            // PKCS#11 lets a module write to it; ours is not to change.
            let mut iv = iv.to_vec();
            act(&Mechanism::AesGcm(GcmParams::new(
                &mut iv,
                &[],
                Ulong::new(128),
            )?))
        }
        // Refused before a session is asked for.
        WrapScheme::YubiHsmCcm => Err(CallError::Known(HsmError::Malformed {
            what: "wrapped key",
            reason: "a YubiHSM 2 made it",
        })),
    }
}
