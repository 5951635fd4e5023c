//! The objects of the module by their handles, and what of the token's objects is known here, for how long.
//!
//! What the token said of an object is taken as current as long as the token's state of all objects ([`Change`]) is the one it was said in,
//! and that state was heard of less than a second ago. Else the token is asked: for the state, which is a small request, and for the object
//! where it is another one.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use cryptoki_sys::*;

use super::{Attributes, CKA_STRONGROOM_OPERATIONS, Value};
use crate::config::{Compatibility, Hidden, Level};
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::public::PublicKey;
use crate::mechanism::soft::SoftKey;
use crate::secret_memory::Locked;
use crate::session::{Module, Session, Slot, new_request};
use crate::token::{Answer, Change, ObjectId, ObjectRecord, Place, TokenErrorKind};

/// Where an object lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// In this process, as long as the session.
    Session(CK_SESSION_HANDLE),
    /// In the appliance.
    Token(ObjectId),
}

/// An object that has a handle.
pub(crate) struct Object {
    pub(crate) slot: usize,
    pub(crate) home: Home,
    known: RwLock<Known>,
    /// A key's released material.
    held: Mutex<Option<Held>>,
}

struct Known {
    record: Arc<Record>,
    seen: Change,
}

/// What is known of an object at a moment.
pub(crate) struct Record {
    pub(crate) attributes: Attributes,
    pub(crate) place: Place,
    public: OnceLock<PublicKey>,
    soft: OnceLock<Arc<Locked<SoftKey>>>,
}

/// Released material, ready for use.
struct Held {
    key: Arc<Locked<SoftKey>>,
    not_after: Option<SystemTime>,
    deadline: Option<Instant>,
}

impl Record {
    pub(crate) fn new(attributes: Attributes, place: Place) -> Self {
        Self {
            attributes,
            place,
            public: OnceLock::new(),
            soft: OnceLock::new(),
        }
    }

    fn of(object: ObjectRecord) -> Arc<Self> {
        let mut attributes = object.attributes;
        if attributes.has(CKA_KEY_TYPE) {
            let place = object.place.as_str().as_bytes();
            attributes.set_bytes(CKA_STRONGROOM_OPERATIONS, place);
        }
        Arc::new(Self::new(attributes, object.place))
    }

    /// The public key that this is.
    pub(crate) fn public(&self) -> CkResult<&PublicKey> {
        if let Some(key) = self.public.get() {
            return Ok(key);
        }
        let key = PublicKey::of(&self.attributes)?;
        Ok(self.public.get_or_init(|| key))
    }

    /// The key that this session object is.
    pub(crate) fn soft(&self) -> CkResult<Arc<Locked<SoftKey>>> {
        if let Some(key) = self.soft.get() {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(Locked::new(SoftKey::of(&self.attributes)?)?);
        Ok(Arc::clone(self.soft.get_or_init(|| key)))
    }
}

impl Held {
    fn is_over(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
            || self
                .not_after
                .is_some_and(|moment| moment <= SystemTime::now())
    }
}

impl Object {
    pub(crate) fn new(slot: usize, home: Home, record: Arc<Record>, seen: Change) -> Self {
        Self {
            slot,
            home,
            known: RwLock::new(Known { record, seen }),
            held: Mutex::default(),
        }
    }

    pub(crate) fn record(&self) -> Arc<Record> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.record)
    }

    fn seen(&self) -> Change {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .seen
    }

    /// Takes up what was said of it. Material that was released for another policy is not kept.
    pub(crate) fn learn(&self, record: Arc<Record>, seen: Change) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.record.attributes != record.attributes || known.record.place != record.place {
            known.record = record;
            self.forget();
        }
        known.seen = seen;
    }

    /// Overwrites released material.
    pub(crate) fn forget(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Overwrites released material whose time is over.
    pub(crate) fn forget_what_is_over(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(Held::is_over) {
            *held = None;
        }
    }

    /// When its released material ends, if it has any that does.
    pub(crate) fn end(&self) -> Option<Instant> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().and_then(end_of)
    }

    fn held(&self) -> Option<Arc<Locked<SoftKey>>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref().filter(|held| !held.is_over())?;
        Some(Arc::clone(&held.key))
    }
}

impl Module {
    /// An object, and what is known of it now. `missing` is what the application is told where there is no such object for it.
    pub(crate) fn object(
        &self,
        session: &Session,
        handle: CK_OBJECT_HANDLE,
        missing: CK_RV,
    ) -> CkResult<(Arc<Object>, Arc<Record>)> {
        let gone = || {
            CkError::new(
                missing,
                "there is no such object, or it is not for this session",
            )
        };
        let object = self.objects.get(handle).ok_or_else(gone)?;
        if object.slot != session.slot.id {
            return Err(gone());
        }
        let record = match self.current(&session.slot, &object) {
            Err(error) if error.rv == CKR_OBJECT_HANDLE_INVALID => {
                self.objects.remove(handle);
                if let Home::Token(id) = object.home {
                    session.slot.forget(id, handle);
                }
                object.forget();
                return Err(CkError {
                    rv: missing,
                    ..error
                });
            }
            record => record?,
        };
        if record.attributes.is(CKA_PRIVATE) && !session.slot.sees_private()? {
            return Err(gone());
        }
        Ok((object, record))
    }

    /// What is known of an object, asked for anew where that may have changed.
    pub(crate) fn current(&self, slot: &Slot, object: &Object) -> CkResult<Arc<Record>> {
        let Home::Token(id) = object.home else {
            return Ok(object.record());
        };
        let token = slot.token()?;
        let change = if let Some(change) = slot.heard(self.config.freshness()) {
            change
        } else {
            match token.change() {
                Ok(change) => {
                    slot.hear(change);
                    change
                }
                // What was released may be used as long as its policy says; whatever needs the appliance fails by itself.
                Err(error)
                    if matches!(
                        error.kind,
                        TokenErrorKind::Unreachable | TokenErrorKind::Unavailable
                    ) =>
                {
                    self.log
                        .line(Level::Error, format_args!("{}", CkError::from(error)));
                    slot.hear_nothing();
                    return Ok(object.record());
                }
                Err(error) => {
                    slot.failed(&error);
                    return Err(error.into());
                }
            }
        };
        if object.seen() != change {
            let Answer { value, change } =
                token.object(id).inspect_err(|error| slot.failed(error))?;
            slot.hear(change);
            object.learn(Record::of(value), change);
        }
        Ok(object.record())
    }

    /// The handle of an object of the token, which is always the same one.
    pub(crate) fn handle_of(
        &self,
        slot: &Slot,
        object: ObjectRecord,
        change: Change,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let id = object.id;
        let record = Record::of(object);
        if let Some(handle) = slot.handle_of(id)
            && let Some(known) = self.objects.get(handle)
        {
            known.learn(record, change);
            return Ok(handle);
        }
        let object = |_| Object::new(slot.id, Home::Token(id), record, change);
        let (handle, _) = self.objects.insert(object)?;
        match slot.remember(id, handle) {
            // Another thread was first.
            Some(first) => {
                self.objects.remove(handle);
                Ok(first)
            }
            None => Ok(handle),
        }
    }

    /// A session object.
    pub(crate) fn add_session_object(
        &self,
        session: &Session,
        mut attributes: Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        attributes.set_bool(CKA_TOKEN, false);
        let unique = new_request()?.0.to_string();
        attributes.set_bytes(CKA_UNIQUE_ID, unique.as_bytes());
        if attributes.has(CKA_KEY_TYPE) {
            attributes.set(
                CKA_STRONGROOM_OPERATIONS,
                Value::bytes(Place::Process.as_str().as_bytes()),
            );
        }
        let record = Arc::new(Record::new(attributes, Place::Process));
        let home = Home::Session(session.handle);
        let (handle, _) = self
            .objects
            .insert(|_| Object::new(session.slot.id, home, record, Change::default()))?;
        // The session may have been closed meanwhile, and its objects with it.
        if self.sessions.get(session.handle).is_none() {
            self.objects.remove(handle);
            return fail(CKR_SESSION_HANDLE_INVALID, "the session was closed");
        }
        Ok(handle)
    }

    /// A key's material for use in this process: released, and kept as long as the key's policy allows. None where it does not.
    pub(crate) fn released(
        &self,
        slot: &Slot,
        object: &Object,
        record: &Record,
    ) -> CkResult<Option<Arc<Locked<SoftKey>>>> {
        let Home::Token(id) = object.home else {
            return Ok(Some(record.soft()?));
        };
        if record.place != Place::Process {
            return Ok(None);
        }
        if let Some(key) = object.held() {
            return Ok(Some(key));
        }
        let Answer { value, change } = match slot.token()?.release(id) {
            Err(error)
                if matches!(
                    error.kind,
                    TokenErrorKind::NotPermitted | TokenErrorKind::PolicyRefused
                ) =>
            {
                self.log.line(
                    Level::Info,
                    format_args!("a key is used by the appliance: {}", CkError::from(error)),
                );
                return Ok(None);
            }
            answer => answer.inspect_err(|error| slot.failed(error))?,
        };
        slot.hear(change);
        let mut attributes = record.attributes.clone();
        attributes.set_bytes(CKA_VALUE, &value.material);
        let key = Arc::new(Locked::new(SoftKey::of(&attributes)?)?);
        let deadline = value
            .keep_for
            .and_then(|span| Instant::now().checked_add(span));
        let held = Held {
            key: Arc::clone(&key),
            not_after: value.not_after,
            deadline,
        };
        self.log.line(
            Level::Info,
            format_args!("the key {} was released to this process", id.uuid),
        );
        // What is not locked in memory is not kept.
        if key.is_locked() && !held.is_over() {
            let end = end_of(&held);
            *object.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
            if let Some(end) = end {
                self.reaper.at(end);
            }
        }
        Ok(Some(key))
    }

    /// Whether an old application is not to see this object.
    pub(crate) fn is_hidden(&self, attributes: &Attributes) -> bool {
        let key_type = attributes.number(CKA_KEY_TYPE);
        key_type.is_some_and(|key_type| hides(&self.config.compatibility, key_type))
    }
}

/// Whether keys of a type are hidden.
pub(crate) fn hides(compatibility: &Compatibility, key_type: CK_KEY_TYPE) -> bool {
    let hidden = match key_type {
        CKK_EC_EDWARDS => Hidden::Edwards,
        CKK_EC_MONTGOMERY => Hidden::Montgomery,
        CKK_ML_KEM | CKK_ML_DSA => Hidden::PostQuantum,
        _ => return false,
    };
    compatibility.hide.contains(&hidden)
}

fn end_of(held: &Held) -> Option<Instant> {
    let left = held.not_after.map(|moment| {
        moment
            .duration_since(SystemTime::now())
            .unwrap_or(Duration::ZERO)
    });
    let moment = left.and_then(|left| Instant::now().checked_add(left));
    [moment, held.deadline].into_iter().flatten().min()
}
