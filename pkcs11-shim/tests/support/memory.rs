//! A token in memory. Its cryptography is real; what it lacks is a network, an audit log and a second account.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cryptoki_sys::*;
use strongroom_pkcs11::mechanism::{Mechanism, software};
use strongroom_pkcs11::object::Attributes;
use strongroom_pkcs11::token::*;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::PIN;
use super::answers::{refused, shown};

#[derive(Default)]
pub struct MemoryToken {
    objects: Mutex<BTreeMap<ObjectId, Entry>>,
    made: Mutex<BTreeMap<Uuid, Vec<ObjectId>>>,
    change: AtomicU64,
    signed_in: AtomicBool,
    /// How many calls there were.
    pub calls: AtomicUsize,
    /// Operations that the token did itself.
    pub operations: AtomicUsize,
    pub releases: AtomicUsize,
    /// Calls fail from now on.
    pub broken: AtomicBool,
    /// So many calls fail after they did what they should.
    pub lost_answers: AtomicU32,
    /// Milliseconds that each call takes.
    pub delay: AtomicU64,
    /// For how many milliseconds released material may be kept; 0 for ever.
    pub keep_for: AtomicU64,
    /// Whether nothing is released.
    pub keeps_all: AtomicBool,
    /// Whether no PIN is asked for.
    pub pin_less: AtomicBool,
    /// The PIN, where it is another one than [`PIN`].
    pin: Mutex<Option<Vec<u8>>>,
    /// Panics in the next call.
    pub panics: AtomicBool,
}

#[derive(Clone)]
pub struct Entry {
    pub attributes: Attributes,
    pub place: Place,
}

/// A secret key with this label is one whose policy allows release.
pub const RELEASABLE: &[u8] = b"releasable";

impl MemoryToken {
    pub fn reset(&self) {
        self.heal();
        self.objects().clear();
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.signed_in.store(false, Ordering::SeqCst);
        self.keep_for.store(0, Ordering::SeqCst);
        self.keeps_all.store(false, Ordering::SeqCst);
        self.pin_less.store(false, Ordering::SeqCst);
        self.calls.store(0, Ordering::SeqCst);
        self.operations.store(0, Ordering::SeqCst);
        self.releases.store(0, Ordering::SeqCst);
        self.bump();
    }

    pub fn heal(&self) {
        self.broken.store(false, Ordering::SeqCst);
        self.lost_answers.store(0, Ordering::SeqCst);
        self.delay.store(0, Ordering::SeqCst);
        self.panics.store(false, Ordering::SeqCst);
    }

    /// The account has this PIN.
    pub fn use_pin(&self, pin: &[u8]) {
        *self.pin.lock().unwrap_or_else(PoisonError::into_inner) = Some(pin.to_vec());
    }

    fn is_pin(&self, given: &[u8]) -> bool {
        let pin = self.pin.lock().unwrap_or_else(PoisonError::into_inner);
        given == pin.as_deref().unwrap_or(PIN)
    }

    /// How many objects there are.
    pub fn count(&self) -> usize {
        self.objects().len()
    }

    /// Another client changes the label of everything.
    pub fn relabel(&self, label: &[u8]) {
        for entry in self.objects().values_mut() {
            entry.attributes.set_bytes(CKA_LABEL, label);
        }
        self.bump();
    }

    /// Another client destroys everything.
    pub fn destroy_all(&self) {
        self.objects().clear();
        self.bump();
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectId, Entry>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bump(&self) -> Change {
        Change(self.change.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// What every call goes through: faults.
    fn enter(&self) -> TokenResult<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let delay = self.delay.load(Ordering::SeqCst);
        if delay > 0 {
            std::thread::sleep(Duration::from_millis(delay));
        }
        assert!(!self.panics.swap(false, Ordering::SeqCst), "told to panic");
        if self.broken.load(Ordering::SeqCst) {
            return Err(TokenError::new(
                TokenErrorKind::Unreachable,
                "the connection was lost",
            ));
        }
        Ok(())
    }

    fn signed_in(&self) -> TokenResult<()> {
        self.enter()?;
        if self.signed_in.load(Ordering::SeqCst) || self.pin_less.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(TokenError::new(
            TokenErrorKind::NotSignedIn,
            "sign in first",
        ))
    }

    fn answer<T>(&self, value: T) -> TokenResult<Answer<T>> {
        Ok(Answer {
            value,
            change: Change(self.change.load(Ordering::SeqCst)),
        })
    }

    fn entry(&self, id: ObjectId) -> TokenResult<Entry> {
        let gone = || TokenError::new(TokenErrorKind::NoSuchObject, "there is no such object");
        self.objects().get(&id).cloned().ok_or_else(gone)
    }

    /// Puts objects in, once for each request.
    fn add<const N: usize>(
        &self,
        request: RequestId,
        new: [(Part, Attributes); N],
    ) -> TokenResult<Answer<[ObjectRecord; N]>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = made.entry(request.0).or_insert_with(|| {
            let uuid = Uuid::from_u128(
                u128::from(self.change.load(Ordering::SeqCst)) << 64 | request.0.as_u128() >> 64,
            );
            new.iter()
                .map(|(part, attributes)| {
                    let id = ObjectId { uuid, part: *part };
                    let releasable = attributes.bytes(CKA_LABEL) == Some(RELEASABLE);
                    let place = if releasable {
                        Place::Process
                    } else {
                        Place::Appliance
                    };
                    self.objects().insert(
                        id,
                        Entry {
                            attributes: attributes.clone(),
                            place,
                        },
                    );
                    id
                })
                .collect()
        });
        let records: Vec<_> = ids
            .iter()
            .map(|id| self.entry(*id).map(|entry| shown(*id, &entry)))
            .collect::<Result<_, _>>()?;
        self.bump();
        if self.lost_answers.load(Ordering::SeqCst) > 0 {
            self.lost_answers.fetch_sub(1, Ordering::SeqCst);
            return Err(TokenError::new(
                TokenErrorKind::Unreachable,
                "the answer was lost",
            ));
        }
        self.answer(
            records
                .try_into()
                .unwrap_or_else(|_| unreachable!("as many as were made")),
        )
    }

    fn add_one(
        &self,
        request: RequestId,
        attributes: Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let part = match attributes.number(CKA_CLASS) {
            Some(CKO_SECRET_KEY) => Part::Secret,
            Some(CKO_PRIVATE_KEY) => Part::Private,
            Some(CKO_PUBLIC_KEY) => Part::Public,
            _ => Part::Object,
        };
        // What a client does after an answer was lost: the same request once more.
        let Answer {
            value: [record],
            change,
        } = match self.add(request, [(part, attributes.clone())]) {
            Err(error) if error.kind == TokenErrorKind::Unreachable => {
                self.add(request, [(part, attributes)])?
            }
            answer => answer?,
        };
        Ok(Answer {
            value: record,
            change,
        })
    }
}

impl Token for MemoryToken {
    fn info(&self) -> TokenResult<Answer<TokenInfo>> {
        self.enter()?;
        self.answer(TokenInfo {
            label: "memory".to_owned(),
            manufacturer: "tests".to_owned(),
            model: "memory".to_owned(),
            serial: "1".to_owned(),
            firmware: (0, 1),
            login_required: !self.pin_less.load(Ordering::SeqCst),
            pin_length: (4, 255),
            forbidden: vec![CKM_SHA1_RSA_PKCS],
            smallest_rsa: 2048,
        })
    }

    fn login(&self, _user: User, pin: Option<&Pin>) -> TokenResult<()> {
        self.enter()?;
        if pin.is_some_and(|Pin(pin)| self.is_pin(pin)) || self.pin_less.load(Ordering::SeqCst) {
            self.signed_in.store(true, Ordering::SeqCst);
            return Ok(());
        }
        Err(TokenError::new(
            TokenErrorKind::PinIncorrect,
            "the PIN is wrong",
        ))
    }

    fn logout(&self) -> TokenResult<()> {
        self.enter()?;
        self.signed_in.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn set_pin(&self, _old: &Pin, _new: &Pin) -> TokenResult<()> {
        self.signed_in()?;
        Err(TokenError::new(
            TokenErrorKind::PinUnsuitable,
            "the PIN of tests stays",
        ))
    }

    fn change(&self) -> TokenResult<Change> {
        self.enter()?;
        Ok(Change(self.change.load(Ordering::SeqCst)))
    }

    fn find(&self, query: &Query<'_>) -> TokenResult<Answer<Page>> {
        self.enter()?;
        let after = query.after.map(|after| after.parse::<usize>().unwrap());
        let skipped = after.unwrap_or(0);
        let mut objects: Vec<_> = self
            .objects()
            .iter()
            .filter(|(_, entry)| query.private || !entry.attributes.is(CKA_PRIVATE))
            .filter(|(id, entry)| shown(**id, entry).attributes.matches(query.template))
            .skip(skipped)
            .take(query.limit + 1)
            .map(|(id, entry)| shown(*id, entry))
            .collect();
        let more = objects.len() > query.limit;
        objects.truncate(query.limit);
        let next = more.then(|| (skipped + query.limit).to_string());
        self.answer(Page { objects, next })
    }

    fn object(&self, id: ObjectId) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        let entry = self.entry(id)?;
        self.answer(shown(id, &entry))
    }

    fn create(
        &self,
        request: RequestId,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        self.add_one(request, attributes.clone())
    }

    fn copy(
        &self,
        request: RequestId,
        id: ObjectId,
        changes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        let mut attributes = self.entry(id)?.attributes;
        attributes.extend(changes.clone());
        self.add_one(request, attributes)
    }

    fn set(&self, id: ObjectId, changes: &Attributes) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        self.entry(id)?;
        if let Some(entry) = self.objects().get_mut(&id) {
            entry.attributes.extend(changes.clone());
        }
        self.bump();
        self.object(id)
    }

    fn destroy(&self, id: ObjectId) -> TokenResult<Answer<()>> {
        self.enter()?;
        self.entry(id)?;
        self.objects().remove(&id);
        self.bump();
        self.answer(())
    }

    fn generate_key(
        &self,
        request: RequestId,
        _mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        let mut attributes = attributes.clone();
        software::make_key(&mut attributes).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn generate_key_pair(
        &self,
        request: RequestId,
        mechanism: &Mechanism,
        public: &Attributes,
        private: &Attributes,
    ) -> TokenResult<Answer<(ObjectRecord, ObjectRecord)>> {
        self.enter()?;
        let (mut public, mut private) = (public.clone(), private.clone());
        software::make_pair(mechanism, &mut public, &mut private).map_err(refused)?;
        let Answer {
            value: [public, private],
            change,
        } = self.add(request, [(Part::Public, public), (Part::Private, private)])?;
        Ok(Answer {
            value: (public, private),
            change,
        })
    }

    fn operate(
        &self,
        id: ObjectId,
        what: Use,
        mechanism: &Mechanism,
        input: Input<'_>,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.signed_in()?;
        self.operations.fetch_add(1, Ordering::SeqCst);
        let entry = self.entry(id)?;
        self.answer(software::operate(&entry.attributes, what, mechanism, input).map_err(refused)?)
    }

    fn verify(
        &self,
        id: ObjectId,
        mechanism: &Mechanism,
        data: &[u8],
        signature: &[u8],
    ) -> TokenResult<Answer<()>> {
        self.signed_in()?;
        self.operations.fetch_add(1, Ordering::SeqCst);
        let entry = self.entry(id)?;
        software::verify(&entry.attributes, mechanism, data, signature).map_err(refused)?;
        self.answer(())
    }

    fn wrap(
        &self,
        wrapping: ObjectId,
        mechanism: &Mechanism,
        key: ObjectId,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.signed_in()?;
        let material = software::material(&self.entry(key)?.attributes).map_err(refused)?;
        let wrapping = self.entry(wrapping)?.attributes;
        self.answer(
            software::operate(&wrapping, Use::Encrypt, mechanism, Input::Data(&material))
                .map_err(refused)?,
        )
    }

    fn unwrap(
        &self,
        request: RequestId,
        unwrapping: ObjectId,
        mechanism: &Mechanism,
        wrapped: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let plain = self
            .secret_of(unwrapping, Outcome::Unwrapped, mechanism, wrapped)?
            .value;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &plain).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn derive(
        &self,
        request: RequestId,
        base: ObjectId,
        mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let length = attributes
            .number(cryptoki_sys::CKA_VALUE_LEN)
            .and_then(|length| usize::try_from(length).ok());
        let secret = self
            .secret_of(base, Outcome::Derived { length }, mechanism, &[])?
            .value;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &secret).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn encapsulate(
        &self,
        request: RequestId,
        public: ObjectId,
        _mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<Encapsulated>> {
        self.signed_in()?;
        let (secret, ciphertext) =
            software::encapsulate(&self.entry(public)?.attributes).map_err(refused)?;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &secret).map_err(refused)?;
        let Answer {
            value: object,
            change,
        } = self.add_one(request, attributes)?;
        Ok(Answer {
            value: Encapsulated { object, ciphertext },
            change,
        })
    }

    fn decapsulate(
        &self,
        request: RequestId,
        private: ObjectId,
        mechanism: &Mechanism,
        ciphertext: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let secret = self
            .secret_of(private, Outcome::Decapsulated, mechanism, ciphertext)?
            .value;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &secret).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn secret_of(
        &self,
        id: ObjectId,
        outcome: Outcome,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.signed_in()?;
        self.operations.fetch_add(1, Ordering::SeqCst);
        let key = self.entry(id)?.attributes;
        let secret = match outcome {
            Outcome::Derived { length } => software::derive(&key, mechanism, length),
            Outcome::Decapsulated => software::decapsulate(&key, data),
            Outcome::Unwrapped => {
                software::operate(&key, Use::Decrypt, mechanism, Input::Data(data))
            }
        };
        self.answer(secret.map_err(refused)?)
    }

    fn release(&self, id: ObjectId) -> TokenResult<Answer<Released>> {
        self.signed_in()?;
        let entry = self.entry(id)?;
        if self.keeps_all.load(Ordering::SeqCst) {
            return Err(TokenError::new(
                TokenErrorKind::PolicyRefused,
                "no releases today",
            ));
        }
        if entry.place != Place::Process && !entry.attributes.is(CKA_EXTRACTABLE) {
            return Err(TokenError::new(
                TokenErrorKind::Unextractable,
                "it stays here",
            ));
        }
        self.releases.fetch_add(1, Ordering::SeqCst);
        let keep_for = self.keep_for.load(Ordering::SeqCst);
        self.answer(Released {
            material: software::material(&entry.attributes).map_err(refused)?,
            not_after: None,
            keep_for: (keep_for > 0).then(|| Duration::from_millis(keep_for)),
        })
    }

    fn close(&self) {}
}
