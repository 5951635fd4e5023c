//! A token in memory. Its cryptography is real; what it lacks is a network, an audit log and a second account.

mod acts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cryptoki_sys::*;
use strongroom_pkcs11::mechanism::Mechanism;
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
