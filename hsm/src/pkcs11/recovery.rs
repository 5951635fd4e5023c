//! Recovery: the recovery KEK, master KEKs that are wrapped under it when they are generated, and the way back into another HSM.
//!
//! A master KEK that can be recovered is generated as an extractable key of the session, wrapped under the recovery KEK, and copied to the
//! token as a key that is not extractable. What is extractable never outlives its session, and its only wrapping is the recovery blob.

use cryptoki::{mechanism::Mechanism, object::ObjectHandle, session::Session};

use super::{
    Pkcs11Hsm,
    keys::{self, Kind},
    pool::CallError,
    rv, wrapping,
};
use crate::{Aes256Key, HsmError, MasterKekId, RecoveryBlob, RecoveryKekId, WrapScheme};

pub(super) fn put(hsm: &Pkcs11Hsm, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
    let (label, kind) = (id.label()?, Kind::RecoveryKek);
    let _alone = hsm.token().module().generating();
    hsm.pool
        .run(|session| keys::check_free(session, hsm.token(), kind, &label))?;
    hsm.pool.run_once(|session| {
        let template = keys::recovery_kek(&label, key, true);
        let key = match session.create_object(&template) {
            Err(error) if rv::rejects_attribute(&error) => {
                session.create_object(&keys::recovery_kek(&label, key, false))?
            }
            created => created?,
        };
        keys::check_new(session, hsm.token(), kind, &label, key)
    })
}

pub(super) fn generate(
    hsm: &Pkcs11Hsm,
    id: &MasterKekId,
    recovery: &RecoveryKekId,
) -> Result<RecoveryBlob, HsmError> {
    recovery.check_same_domain(id)?;
    let (label, kind, under) = (id.label()?, Kind::MasterKek, recovery.label()?);
    let _alone = hsm.token().module().generating();
    hsm.pool
        .run(|session| keys::check_free(session, hsm.token(), kind, &label))?;
    hsm.pool.run_once(|session| {
        let under = keys::find_one(session, hsm.token(), Kind::RecoveryKek, &under)?;
        let template = keys::master_kek_to_copy();
        let key = keys::generate_aes(session, hsm.token(), kind, &label, &template)?;
        let made = wrap_and_copy(session, hsm.scheme(), under, key, recovery.version, &label);
        let (blob, copy) = finish(session, key, made, |(_, copy)| *copy)?;
        keys::check_new(session, hsm.token(), kind, &label, copy)?;
        Ok(blob)
    })
}

pub(super) fn recover(
    hsm: &Pkcs11Hsm,
    id: &MasterKekId,
    recovery_kek: &Aes256Key,
    blob: &RecoveryBlob,
) -> Result<(), HsmError> {
    let (label, kind, scheme) = (id.label()?, Kind::MasterKek, blob.scheme);
    blob.check_len()?;
    if !hsm.schemes.contains(&scheme) {
        return Err(HsmError::SchemeUnknown {
            token: hsm.token().name(),
            scheme,
        });
    }
    let _alone = hsm.token().module().generating();
    hsm.pool
        .run(|session| keys::check_free(session, hsm.token(), kind, &label))?;
    hsm.pool.run_once(|session| {
        let under = session.create_object(&keys::recovery_kek_in_session(recovery_kek, false))?;
        let template = keys::recovered_master_kek(&label);
        let unwrapped = wrapping::unwrap_as(session, scheme, under, &blob.blob, &template);
        let key = match finish(session, under, unwrapped, |key| *key) {
            Err(CallError::Module(error))
                if rv::rejects_wrapped_key(&error)
                    || (rv::may_reject_wrapped_key(&error)
                        && works(hsm, session, scheme, recovery_kek)?) =>
            {
                return Err(CallError::Known(HsmError::RecoveryBlobRejected {
                    token: hsm.token().name(),
                    label: label.clone(),
                    version: blob.recovery_kek_version,
                    code: rv::answer(&error),
                }));
            }
            done => done?,
        };
        // It has 32 bytes: AES knows no other length that a blob of this length holds.
        keys::check_new(session, hsm.token(), kind, &label, key)
    })
}

/// Makes the calls of generating and of recovering a master KEK, with keys that end with the session.
pub(super) fn probe(session: &Session, scheme: WrapScheme) -> Result<(), CallError> {
    const LABEL: &str = "strongroom/measured";
    let recovery_kek = Aes256Key::from_bytes([0x5a; 32]);
    let mut made = Vec::new();
    let mut calls = || {
        let template = keys::recovery_kek_in_session(&recovery_kek, true);
        let under = session.create_object(&template)?;
        made.push(under);
        let key = session.generate_key(&Mechanism::AesKeyGen, &keys::master_kek_to_copy())?;
        made.push(key);
        let blob = wrapping::wrap_there(session, scheme, under, key)?;
        made.push(keys::copy_master_kek(session, key, LABEL, false)?);
        let template = keys::in_session(keys::recovered_master_kek(LABEL));
        made.push(wrapping::unwrap_as(
            session, scheme, under, &blob, &template,
        )?);
        Ok(())
    };
    let outcome = calls();
    for key in made {
        session.destroy_object(key).map_err(CallError::Leftover)?;
    }
    outcome
}

fn wrap_and_copy(
    session: &Session,
    scheme: WrapScheme,
    under: ObjectHandle,
    key: ObjectHandle,
    recovery_kek_version: u32,
    label: &str,
) -> Result<(RecoveryBlob, ObjectHandle), CallError> {
    let blob = RecoveryBlob {
        scheme,
        recovery_kek_version,
        blob: wrapping::wrap_there(session, scheme, under, key)?,
    };
    blob.check_len()?;
    let copy = keys::copy_master_kek(session, key, label, true)?;
    Ok((blob, copy))
}

/// Destroys a key of the session that has done its work. Where that fails, what was made by it is destroyed as well, so that the caller
/// is told of all or nothing; closing the session destroys the rest.
fn finish<T>(
    session: &Session,
    key: ObjectHandle,
    made: Result<T, CallError>,
    on_token: impl Fn(&T) -> ObjectHandle,
) -> Result<T, CallError> {
    let Err(error) = session.destroy_object(key) else {
        return made;
    };
    if let Ok(made) = made
        && let Err(error) = session.destroy_object(on_token(&made))
    {
        tracing::error!(%error, "a master KEK stays on the token that was not to stay: destroy it with the HSM's own tools");
    }
    Err(CallError::Leftover(error))
}

/// Whether the recovery KEK wraps and unwraps something else, asked when a module does not say why it failed to unwrap the blob.
fn works(
    hsm: &Pkcs11Hsm,
    session: &Session,
    scheme: WrapScheme,
    key: &Aes256Key,
) -> Result<bool, CallError> {
    let key = session.create_object(&keys::recovery_kek_in_session(key, true))?;
    let works = hsm.works(session, scheme, key);
    session.destroy_object(key).map_err(CallError::Leftover)?;
    Ok(works)
}
