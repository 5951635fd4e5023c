//! Recovery: the recovery KEK, master KEKs that are exported under it when they are generated, and the way back into another device.
//!
//! To put a wrap key into the device takes the administrators' authentication key: the ceremony and recovery log in with that. Generating a
//! master KEK and exporting it under the recovery KEK takes the service's own.

use ::yubihsm::{Capability, device::ErrorKind, object, wrap};

use super::{
    YubiHsm,
    device::Failure,
    lock,
    objects::{self, Kind},
};
use crate::{Aes256Key, HsmError, MasterKekId, RecoveryBlob, RecoveryKekId, WrapScheme};

/// The label of a recovery KEK while a master KEK is imported under it.
const RECOVERING: &str = "strongroom/recovering";

pub(super) fn put(hsm: &YubiHsm, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
    let label = id.label()?;
    hsm.generate(Kind::RecoveryKek, &label, |client, id| {
        client.put_wrap_key(
            id,
            objects::label(Kind::RecoveryKek, &label),
            hsm.device.domain(),
            objects::RECOVERY_KEK,
            objects::RECOVERY_KEK_DELEGATED,
            wrap::Algorithm::Aes256Ccm,
            key.as_bytes().to_vec(),
        )
    })?;
    Ok(())
}

pub(super) fn generate(
    hsm: &YubiHsm,
    id: &MasterKekId,
    recovery: &RecoveryKekId,
) -> Result<RecoveryBlob, HsmError> {
    recovery.check_same_domain(id)?;
    let (label, under) = (id.label()?, recovery.label()?);
    let explain = |failure| hsm.device.explain(failure);
    let under = objects::find(&hsm.device, Kind::RecoveryKek, &under)
        .map_err(explain)?
        .ok_or_else(|| explain(hsm.device.key_not_found(&under)))?;
    let key = hsm.generate(Kind::MasterKek, &label, |client, id| {
        client.generate_wrap_key(
            id,
            objects::label(Kind::MasterKek, &label),
            hsm.device.domain(),
            objects::RECOVERABLE_MASTER_KEK,
            objects::MASTER_KEK_DELEGATED,
            wrap::Algorithm::Aes256Ccm,
        )
    })?;
    let exported = hsm
        .device
        .run("EXPORT WRAPPED", |client| {
            client.export_wrapped(under, object::Type::WrapKey, key)
        })
        .map_err(explain);
    let checked = exported.and_then(|message| {
        let blob = RecoveryBlob {
            scheme: WrapScheme::YubiHsmCcm,
            recovery_kek_version: recovery.version,
            blob: message.into_vec(),
        };
        blob.check_len().map(|()| blob)
    });
    if checked.is_err() {
        // It wrapped nothing yet, and without its blob it could never be recovered.
        delete(hsm, key).map_err(explain)?;
    }
    checked
}

pub(super) fn recover(
    hsm: &YubiHsm,
    id: &MasterKekId,
    recovery_kek: &Aes256Key,
    blob: &RecoveryBlob,
) -> Result<(), HsmError> {
    let label = id.label()?;
    if blob.scheme != WrapScheme::YubiHsmCcm {
        return Err(HsmError::SchemeUnknown {
            token: hsm.device.name().to_owned(),
            scheme: blob.scheme,
        });
    }
    blob.check_len()?;
    let _alone = lock(&hsm.generating);
    import(hsm, &label, recovery_kek, blob).map_err(|failure| hsm.device.explain(failure))
}

fn import(
    hsm: &YubiHsm,
    label: &str,
    recovery_kek: &Aes256Key,
    blob: &RecoveryBlob,
) -> Result<(), Failure> {
    let device = &hsm.device;
    // What an interrupted recovery left.
    sweep(hsm)?;
    if objects::find(device, Kind::MasterKek, label)?.is_some() {
        return Err(Failure::Known(HsmError::KeyExists {
            token: device.name().to_owned(),
            label: label.to_owned(),
        }));
    }
    // The master KEK comes back under the identifier that it had, which follows from its label: this one follows from another.
    let under = objects::free_id(device, Kind::RecoveryKek, &format!("{RECOVERING} {label}"))?;
    device.run_once("PUT WRAP KEY", |client| {
        client.put_wrap_key(
            under,
            object::Label::from(RECOVERING),
            device.domain(),
            Capability::IMPORT_WRAPPED,
            objects::RECOVERY_KEK_DELEGATED,
            wrap::Algorithm::Aes256Ccm,
            recovery_kek.as_bytes().to_vec(),
        )
    })?;
    let imported = device.run_once("IMPORT WRAPPED", |client| {
        let message = wrap::Message::from_vec(blob.blob.clone());
        // Its length was checked: it holds more than a nonce.
        client.import_wrapped(
            under,
            message.unwrap_or_else(|_| wrap::Message::new([0; 13], [])),
        )
    });
    delete(hsm, under)?;
    let rejected = |code| {
        Failure::Known(HsmError::RecoveryBlobRejected {
            token: device.name().to_owned(),
            label: label.to_owned(),
            version: blob.recovery_kek_version,
            code,
        })
    };
    let handle = match imported {
        // The device says no more than that the command is invalid. It took the recovery KEK, so it is the blob that it refuses.
        Err(Failure::Device(
            command,
            kind @ (ErrorKind::InvalidData
            | ErrorKind::WrongLength
            | ErrorKind::InvalidCommand
            | ErrorKind::GenericError),
        )) => return Err(rejected(format!("{command} answered {kind}"))),
        Err(Failure::Device(command, ErrorKind::ObjectExists)) => {
            return Err(Failure::Known(HsmError::Refused {
                token: device.name().to_owned(),
                function: command.to_owned(),
                code: "object exists: another wrap key has the identifier that the master KEK had; delete that one with Yubico's tools"
                    .to_owned(),
            }));
        }
        imported => imported?,
    };
    let another = || rejected("IMPORT WRAPPED gave another object".to_owned());
    let checked = check(hsm, &handle, label, another);
    if let Err(Failure::Known(_)) = &checked {
        device.run("DELETE OBJECT", |client| {
            client.delete_object(handle.object_id, handle.object_type)
        })?;
    }
    checked
}

/// Refuses an imported object that is another one than the blob should hold, or one that the service would not use.
fn check(
    hsm: &YubiHsm,
    handle: &object::Handle,
    label: &str,
    another: impl Fn() -> Failure,
) -> Result<(), Failure> {
    let device = &hsm.device;
    if handle.object_type != object::Type::WrapKey {
        return Err(another());
    }
    let info = device.run("GET OBJECT INFO", |client| {
        client.get_object_info(handle.object_id, handle.object_type)
    })?;
    if info.label != objects::label(Kind::MasterKek, label) {
        return Err(another());
    }
    if !info.domains.contains(device.domain()) {
        return Err(Failure::Known(HsmError::Refused {
            token: device.name().to_owned(),
            function: "IMPORT WRAPPED".to_owned(),
            code: "the master KEK belongs to another of the device's domains: configure the one that the first device had".to_owned(),
        }));
    }
    match Kind::MasterKek.flaw(&info) {
        None => Ok(()),
        Some(reason) => Err(Failure::Known(HsmError::KeyUnprotected {
            token: device.name().to_owned(),
            label: label.to_owned(),
            reason,
        })),
    }
}

fn sweep(hsm: &YubiHsm) -> Result<(), Failure> {
    let filters = || {
        [
            object::Filter::Type(object::Type::WrapKey),
            object::Filter::Label(object::Label::from(RECOVERING)),
        ]
    };
    let left = hsm
        .device
        .run("LIST OBJECTS", |client| client.list_objects(&filters()))?;
    for entry in left {
        delete(hsm, entry.object_id)?;
    }
    Ok(())
}

/// Deletes a wrap key. That it is gone already is no error.
fn delete(hsm: &YubiHsm, id: object::Id) -> Result<(), Failure> {
    match hsm.device.run("DELETE OBJECT", |client| {
        client.delete_object(id, object::Type::WrapKey)
    }) {
        Err(Failure::Device(_, ErrorKind::ObjectNotFound)) => Ok(()),
        done => done,
    }
}
