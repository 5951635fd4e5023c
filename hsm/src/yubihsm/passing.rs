//! Wrapping and unwrapping: an account KEK passes through the device as an opaque object.
//!
//! The object's identifier is sealed into what the device exports, so that an import puts it where it was when it was wrapped. Identifiers
//! are drawn from a range of their own, one account KEK passes at a time, and whatever stays behind (a crash, a lost connector) is found
//! by its label and deleted before the next one.

use ::yubihsm::{Capability, device::ErrorKind, object, opaque, wrap};
use zeroize::{Zeroize as _, Zeroizing};

use super::{YubiHsm, device::Failure, lock, objects::Kind};
use crate::{Aes256Key, HsmError, MasterKekId, WrapScheme, WrappedKey};

/// The label of an account KEK while it is in the device.
const LABEL: &str = "strongroom/passing";

/// The identifiers of account KEKs while they are in the device.
const FIRST_ID: u16 = 0x5200;

/// Whether something may have stayed behind.
#[derive(Default)]
pub(super) struct State {
    leftover: bool,
}

pub(super) fn wrap(
    hsm: &YubiHsm,
    kek: &MasterKekId,
    key: &Aes256Key,
) -> Result<WrappedKey, HsmError> {
    let label = kek.label()?;
    let message = hsm
        .pass(&label, |kek| export(hsm, kek, key))
        .map_err(|failure| hsm.device.explain(failure))?;
    let wrapped = WrappedKey {
        scheme: WrapScheme::YubiHsmCcm,
        master_kek_version: kek.version,
        blob: message.into_vec(),
    };
    wrapped.check_len()?;
    Ok(wrapped)
}

pub(super) fn unwrap(
    hsm: &YubiHsm,
    domain: &str,
    wrapped: &WrappedKey,
) -> Result<Aes256Key, HsmError> {
    let id = MasterKekId {
        domain: domain.to_owned(),
        version: wrapped.master_kek_version,
    };
    let label = id.label()?;
    if wrapped.scheme != WrapScheme::YubiHsmCcm {
        return Err(HsmError::SchemeUnknown {
            token: hsm.device.name().to_owned(),
            scheme: wrapped.scheme,
        });
    }
    wrapped.check_len()?;
    let failure = match hsm.pass(&label, |kek| import(hsm, kek, &wrapped.blob)) {
        Ok(key) => return Ok(key),
        Err(failure) => failure,
    };
    // The device may say no more than that the command is invalid: the key is at fault when the master KEK works.
    match failure {
        Failure::Device(command @ "IMPORT WRAPPED", kind)
            if matches!(kind, ErrorKind::InvalidData | ErrorKind::WrongLength)
                || (matches!(kind, ErrorKind::InvalidCommand | ErrorKind::GenericError)
                    && works(hsm, &id)) =>
        {
            Err(HsmError::WrappedKeyRejected {
                token: hsm.device.name().to_owned(),
                label,
                code: format!("{command} answered {kind}"),
            })
        }
        failure => Err(hsm.device.explain(failure)),
    }
}

fn works(hsm: &YubiHsm, kek: &MasterKekId) -> bool {
    let probe = Aes256Key::from_bytes([0x5a; 32]);
    let label = kek.label();
    let probed = wrap(hsm, kek, &probe).and_then(|wrapped| {
        hsm.pass(&label?, |kek| import(hsm, kek, &wrapped.blob))
            .map_err(|failure| hsm.device.explain(failure))
    });
    probed.is_ok_and(|read| read.as_bytes() == probe.as_bytes())
}

impl YubiHsm {
    /// Does `act` with a master KEK while nothing else passes, and again where the session broke or a leftover was in the way.
    fn pass<T>(
        &self,
        label: &str,
        act: impl Fn(object::Id) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut state = lock(&self.passing);
        let mut repeats = 1;
        loop {
            let had_session = self.device.has_session();
            if state.leftover {
                self.sweep_in(&mut state)?;
            }
            state.leftover = true;
            let failure = match self.with_key(Kind::MasterKek, label, &act) {
                Ok(done) => {
                    state.leftover = false;
                    return Ok(done);
                }
                Err(failure) => failure,
            };
            let again = match &failure {
                Failure::Lost(_) => had_session,
                // An object of that identifier: ours from before, or another process's, which will repeat its own call.
                Failure::Device("IMPORT WRAPPED" | "PUT OPAQUE", ErrorKind::ObjectExists)
                | Failure::Device("EXPORT WRAPPED" | "GET OPAQUE", ErrorKind::ObjectNotFound) => {
                    true
                }
                _ => {
                    // Whatever was put in was deleted on the way out, or the sweep before the next one sees to it.
                    return Err(failure);
                }
            };
            if !again || repeats == 0 {
                return Err(failure);
            }
            repeats -= 1;
        }
    }

    /// Deletes what an interrupted wrapping left in the device.
    pub(super) fn sweep(&self, state: &mut State) -> Result<(), HsmError> {
        self.sweep_in(state)
            .map_err(|failure| self.device.explain(failure))
    }

    fn sweep_in(&self, state: &mut State) -> Result<(), Failure> {
        let filters = || {
            [
                object::Filter::Type(object::Type::Opaque),
                object::Filter::Label(object_label()),
            ]
        };
        let left = self
            .device
            .run("LIST OBJECTS", |client| client.list_objects(&filters()))?;
        for entry in &left {
            delete(self, entry.object_id)?;
        }
        if !left.is_empty() {
            tracing::warn!(
                count = left.len(),
                "deleted account KEKs that an interrupted call had left in the YubiHSM 2"
            );
        }
        state.leftover = false;
        Ok(())
    }
}

fn export(hsm: &YubiHsm, kek: object::Id, key: &Aes256Key) -> Result<wrap::Message, Failure> {
    let mut random = [0];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::Known(HsmError::NoRandomness {
            reason: error.to_string(),
        })
    })?;
    let id = FIRST_ID + u16::from(random[0]);
    hsm.device.run_once("PUT OPAQUE", |client| {
        client.put_opaque(
            id,
            object_label(),
            hsm.device.domain(),
            Capability::EXPORTABLE_UNDER_WRAP,
            opaque::Algorithm::Data,
            key.as_bytes().to_vec(),
        )
    })?;
    let exported = hsm.device.run_once("EXPORT WRAPPED", |client| {
        client.export_wrapped(kek, object::Type::Opaque, id)
    });
    let deleted = delete(hsm, id);
    let message = exported?;
    deleted?;
    Ok(message)
}

fn import(hsm: &YubiHsm, kek: object::Id, blob: &[u8]) -> Result<Aes256Key, Failure> {
    let handle = hsm.device.run_once("IMPORT WRAPPED", |client| {
        let message = wrap::Message::from_vec(blob.to_vec());
        // Its length was checked: it holds more than a nonce.
        client.import_wrapped(
            kek,
            message.unwrap_or_else(|_| wrap::Message::new([0; 13], [])),
        )
    })?;
    let not_a_key = || {
        Failure::Known(HsmError::WrongAnswer {
            token: hsm.device.name().to_owned(),
            function: "IMPORT WRAPPED",
            reason: "what it unwrapped is not an AES-256 key",
        })
    };
    if handle.object_type != object::Type::Opaque {
        // Only somebody with the device's own tools makes such a thing. Nothing is left of it if we may delete it.
        let _ = hsm.device.run_once("DELETE OBJECT", |client| {
            client.delete_object(handle.object_id, handle.object_type)
        });
        return Err(not_a_key());
    }
    let read = hsm.device.run_once("GET OPAQUE", |client| {
        client.get_opaque(handle.object_id).map(Zeroizing::new)
    });
    let deleted = delete(hsm, handle.object_id);
    let value = read?;
    deleted?;
    let mut bytes = <[u8; 32]>::try_from(value.as_slice()).map_err(|_| not_a_key())?;
    let key = Aes256Key::from_bytes(bytes);
    bytes.zeroize();
    Ok(key)
}

/// Deletes an account KEK. That it is gone already is no error.
fn delete(hsm: &YubiHsm, id: object::Id) -> Result<(), Failure> {
    match hsm.device.run("DELETE OBJECT", |client| {
        client.delete_object(id, object::Type::Opaque)
    }) {
        Err(Failure::Device(_, ErrorKind::ObjectNotFound)) => Ok(()),
        done => done,
    }
}

fn object_label() -> object::Label {
    let mut bytes = [0; object::LABEL_SIZE];
    bytes[..LABEL.len()].copy_from_slice(LABEL.as_bytes());
    object::Label(bytes)
}
