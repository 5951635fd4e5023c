//! Creating, copying, reading, changing and destroying objects.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::rules::{self, Origin};
use super::{Attributes, Home, Object, Record, Value};
use crate::config::Level;
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::making;
use crate::mechanism::public::PublicKey;
use crate::mechanism::soft::SoftKey;
use crate::session::{Module, Session, new_request, ulong};
use crate::token::{Answer, Part, Place};

/// A line of `C_GetAttributeValue`: which attribute, and how its value is given.
pub trait Wanted {
    /// Which attribute.
    fn attribute(&self) -> CK_ATTRIBUTE_TYPE;

    /// Gives the value, or its length alone, as the application asked.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL`.
    fn give(&mut self, value: &Value) -> CkResult<()>;

    /// Says that there is no value.
    fn unavailable(&mut self);
}

impl Module {
    /// `C_CreateObject`.
    pub(crate) fn create_object(
        &self,
        session: CK_SESSION_HANDLE,
        template: Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let session = self.session(session)?;
        let attributes = rules::complete(template, Origin::Created)?;
        session.check_place(&attributes)?;
        check_material(&attributes)?;
        self.add(&session, attributes)
    }

    /// Makes an object of complete attributes: here, or in the token.
    pub(crate) fn add(
        &self,
        session: &Session,
        attributes: Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        if !attributes.is(CKA_TOKEN) {
            return self.add_session_object(session, attributes);
        }
        let slot = &session.slot;
        let answer = slot.token()?.create(new_request()?, &attributes);
        let Answer { value, change } = answer.inspect_err(|error| slot.failed(error))?;
        slot.changed(change);
        self.log.line(
            Level::Info,
            format_args!("the object {} was created", value.id.uuid),
        );
        self.handle_of(slot, value, change)
    }

    /// `C_CopyObject`.
    pub(crate) fn copy_object(
        &self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        changes: &Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let session = self.session(session)?;
        let (object, record) = self.object(&session, handle, CKR_OBJECT_HANDLE_INVALID)?;
        if !record.attributes.is(CKA_COPYABLE) {
            return fail(CKR_ACTION_PROHIBITED, "the object may not be copied");
        }
        rules::check_changes(&record.attributes, changes, true)?;
        let mut copy = record.attributes.clone();
        copy.remove(CKA_UNIQUE_ID);
        copy.extend(changes.clone());
        if record.attributes.is(CKA_PRIVATE) && !copy.is(CKA_PRIVATE) && is_secret_or_private(&copy)
        {
            return fail(
                CKR_TEMPLATE_INCONSISTENT,
                "a private key does not become public by a copy",
            );
        }
        session.check_place(&copy)?;
        match (object.home, copy.is(CKA_TOKEN)) {
            (Home::Token(id), true) => {
                let slot = &session.slot;
                let answer = slot.token()?.copy(new_request()?, id, changes);
                let Answer { value, change } = answer.inspect_err(|error| slot.failed(error))?;
                slot.changed(change);
                self.handle_of(slot, value, change)
            }
            (Home::Token(_), false) => {
                if is_secret_or_private(&copy) {
                    let material = session.material(&object, &record)?;
                    copy.extend(material);
                }
                self.add_session_object(&session, copy)
            }
            (Home::Session(_), true) => {
                copy.remove(super::CKA_STRONGROOM_OPERATIONS);
                self.add(&session, copy)
            }
            (Home::Session(_), false) => self.add_session_object(&session, copy),
        }
    }

    /// `C_DestroyObject`.
    pub(crate) fn destroy_object(
        &self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        let (object, record) = self.object(&session, handle, CKR_OBJECT_HANDLE_INVALID)?;
        if let Home::Token(id) = object.home {
            if !session.writes {
                return fail(CKR_SESSION_READ_ONLY, "the session is for reading");
            }
            if !record.attributes.is(CKA_DESTROYABLE) {
                return fail(CKR_ACTION_PROHIBITED, "the object may not be destroyed");
            }
            let slot = &session.slot;
            let answer = slot
                .token()?
                .destroy(id)
                .inspect_err(|error| slot.failed(error))?;
            slot.changed(answer.change);
            slot.forget(id, handle);
            self.log.line(
                Level::Info,
                format_args!("the object {} was destroyed", id.uuid),
            );
        } else if !record.attributes.is(CKA_DESTROYABLE) {
            return fail(CKR_ACTION_PROHIBITED, "the object may not be destroyed");
        }
        object.forget();
        self.objects.remove(handle);
        Ok(())
    }

    /// `C_GetObjectSize`: the bytes of its attributes.
    pub(crate) fn object_size(
        &self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
    ) -> CkResult<CK_ULONG> {
        let session = self.session(session)?;
        let (_, record) = self.object(&session, handle, CKR_OBJECT_HANDLE_INVALID)?;
        let sizes = record
            .attributes
            .iter()
            .map(|(_, value)| size_of::<CK_ATTRIBUTE>() + value.size());
        Ok(ulong(sizes.sum()))
    }

    /// `C_GetAttributeValue`: as much as can be given, and then the reason why something could not.
    pub(crate) fn get_attributes<W: Wanted>(
        &self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        wanted: &mut [W],
    ) -> CkResult<()> {
        let session = self.session(session)?;
        let (object, record) = self.object(&session, handle, CKR_OBJECT_HANDLE_INVALID)?;
        let mut outcome = Ok(());
        let mut material = None;
        for wanted in wanted {
            let attribute = wanted.attribute();
            let given = if rules::is_hidden(&record.attributes, attribute) {
                wanted.unavailable();
                fail(CKR_ATTRIBUTE_SENSITIVE, "the key's material is not shown")
            } else if let Some(value) = record.attributes.get(attribute) {
                wanted.give(value)
            } else if rules::is_material(&record.attributes, attribute) {
                if material.is_none() {
                    material = session.material(&object, &record).ok();
                }
                let value = material
                    .as_ref()
                    .and_then(|material| material.get(attribute));
                if let Some(value) = value {
                    wanted.give(value)
                } else {
                    wanted.unavailable();
                    fail(
                        CKR_ATTRIBUTE_TYPE_INVALID,
                        "the key has no such attribute, or it was not released",
                    )
                }
            } else {
                wanted.unavailable();
                fail(
                    CKR_ATTRIBUTE_TYPE_INVALID,
                    "the object has no such attribute",
                )
            };
            // All are tried; the first failure is told.
            outcome = outcome.and(given);
        }
        outcome
    }

    /// `C_SetAttributeValue`.
    pub(crate) fn set_attributes(
        &self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        changes: &Attributes,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        let (object, record) = self.object(&session, handle, CKR_OBJECT_HANDLE_INVALID)?;
        if matches!(object.home, Home::Token(_)) && !session.writes {
            return fail(CKR_SESSION_READ_ONLY, "the session is for reading");
        }
        if !record.attributes.is(CKA_MODIFIABLE) {
            return fail(CKR_ACTION_PROHIBITED, "the object may not be changed");
        }
        rules::check_changes(&record.attributes, changes, false)?;
        match object.home {
            Home::Token(id) => {
                let slot = &session.slot;
                let answer = slot.token()?.set(id, changes);
                let Answer { value, change } = answer.inspect_err(|error| slot.failed(error))?;
                slot.changed(change);
                self.handle_of(slot, value, change)?;
            }
            Home::Session(_) => {
                let mut attributes = record.attributes.clone();
                attributes.extend(changes.clone());
                object.learn(
                    Record::new(attributes, Place::Process).into(),
                    crate::token::Change::default(),
                );
            }
        }
        Ok(())
    }
}

impl Session {
    /// Whether a session may make an object of these attributes.
    pub(crate) fn check_place(&self, attributes: &Attributes) -> CkResult<()> {
        if attributes.is(CKA_TOKEN) && !self.writes {
            return fail(CKR_SESSION_READ_ONLY, "the session is for reading");
        }
        if attributes.is(CKA_PRIVATE) && !self.slot.sees_private()? {
            return fail(
                CKR_USER_NOT_LOGGED_IN,
                "private objects need a sign-in first",
            );
        }
        Ok(())
    }

    /// The attributes that are a key's material.
    pub(crate) fn material(&self, object: &Object, record: &Record) -> CkResult<Attributes> {
        let Home::Token(id) = object.home else {
            let material = record.attributes.iter();
            let material = material
                .filter(|(attribute, _)| rules::is_material(&record.attributes, *attribute));
            return Ok(material
                .map(|(attribute, value)| (attribute, value.clone()))
                .collect());
        };
        if !record.attributes.is(CKA_EXTRACTABLE) {
            return fail(
                CKR_KEY_UNEXTRACTABLE,
                "the key's material stays in the appliance",
            );
        }
        let slot = &self.slot;
        let answer = slot
            .token()?
            .release(id)
            .inspect_err(|error| slot.failed(error))?;
        slot.hear(answer.change);
        let released: Zeroizing<Vec<u8>> = answer.value.material;
        let mut material = Attributes::new();
        if id.part == Part::Private {
            making::of_pkcs8(&released, &mut material)?;
            material.remove(CKA_KEY_TYPE);
            material.remove(CKA_EC_PARAMS);
        } else {
            material.set_bytes(CKA_VALUE, &released);
        }
        Ok(material)
    }
}

fn is_secret_or_private(attributes: &Attributes) -> bool {
    matches!(
        attributes.number(CKA_CLASS),
        Some(CKO_SECRET_KEY | CKO_PRIVATE_KEY)
    )
}

/// Whether material that an application gives is a key's.
fn check_material(attributes: &Attributes) -> CkResult<()> {
    let wrong = |error: CkError| error.told_as(CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID);
    match attributes.number(CKA_CLASS) {
        Some(CKO_SECRET_KEY | CKO_PRIVATE_KEY) => {
            SoftKey::of(attributes).map(|_| ()).map_err(wrong)
        }
        Some(CKO_PUBLIC_KEY) => PublicKey::of(attributes).map(|_| ()).map_err(wrong),
        _ => Ok(()),
    }
}
