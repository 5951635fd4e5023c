//! Holds: while an authorisation is in effect or suspended, keys in its scope survive their destruction in copies that only disclosures open.
//!
//! To its owner a destruction looks and answers as ever, and takes as long: the copies are made of every key that is destroyed, and written for
//! those that are held. No leaf is written then: the log would grow by one more than its owner can explain. While any authorisation is
//! in force, a leaf an hour says which keys are kept, whether they have changed or not.
//!
//! Copies go when no authorisation that has not ended has their keys in scope.

use serde::Serialize;
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::AuthorisationState;
use strongroom_wire::disclosure::{Hold, KeptKey};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AuthorisationId, KeyId};
use strongroom_wire::key::{KeyState, Protection};

use super::{case, order, record, require_sight, scope};
use crate::act::{Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keys::access::Access;
use crate::keystore::{Keystore, LOCALHOST};
use crate::seal::hex;
use crate::store::{DocumentKind, HeldKeyRecord, KeyRecord};

/// How often a leaf says which keys are kept, in seconds.
const REVIEW_EVERY: u64 = 3600;
/// How many keys' copies are deleted in one act.
const ENDED_AT_ONCE: usize = 500;

impl Keystore {
    /// What an authorisation keeps from destruction, for those who see it.
    pub fn hold(&self, caller: &Presented, id: AuthorisationId) -> Answer<Hold> {
        let about = Some(case(id));
        self.core
            .watched_look(caller, Act::AuthorisationRead, about, |view, caller, _| {
                let row = view.authorisation(id)?;
                require_sight(caller, &row)?;
                let order = record::of(view, &row)?;
                let mut kept = Vec::new();
                if !row.state.has_ended() {
                    for (destroyed, key) in view.snapshot.held_keys(view.domain.number)? {
                        let key = kept_key(view, key)?;
                        if scope::matched(view, &order, &key, view.now)?.is_some() {
                            kept.push(KeptKey {
                                key: key.id,
                                owner: view.name_of(key.owner)?,
                                label: key.label,
                                destroyed,
                            });
                        }
                    }
                }
                Ok(Hold {
                    in_force: holds(row.state),
                    kept,
                })
            })
    }

    /// Deletes the copies that no hold covers any more, and records from time to time which are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not take it.
    pub fn review_holds(&self) -> Result<(), Error> {
        let core = &self.core;
        let ended = {
            let snapshot = core.store.snapshot()?;
            snapshot.held_keys(core.domain.number)?
        };
        if !ended.is_empty() {
            core.act(Act::HoldEnd, LOCALHOST, end_holds)
                .map_err(|refusal| refusal.error)?;
        }
        let now = core.clock.now();
        if core.reviewed.is_due(now, REVIEW_EVERY) {
            core.act(Act::HoldReview, LOCALHOST, review)
                .map_err(|refusal| refusal.error)?;
            core.reviewed.was_done(now);
        }
        Ok(())
    }
}

/// Destroys a key: every copy of every version is overwritten and deleted, but for those that a hold keeps apart.
pub(crate) fn destroy(scope: &mut Scope<'_>, access: &mut Access) -> Result<(), Error> {
    if access.key.traits.protection == Protection::Hsm {
        // Destroyed there once this is durable: destroy_doomed.
        scope
            .domain
            .doomed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(access.key.id);
    }
    // Made of every key, so that it takes as long whether or not they are kept.
    let copies = copies(scope, access)?;
    // What names an object in the HSM keeps nothing.
    let held = is_held(&scope.view(), &access.key)?
        && access.key.traits.protection == Protection::Software;
    let key = &mut access.key;
    key.state = KeyState::Destroyed;
    scope.domain.authenticate_key(key);
    scope.tx.destroy_key(key)?;
    if held {
        for copy in &copies {
            scope.tx.hold_key(copy)?;
        }
    }
    Ok(())
}

/// When holds were last reviewed. Begins anew with the keystore.
#[derive(Default)]
pub(crate) struct Reviewed(std::sync::Mutex<Option<Timestamp>>);

impl Reviewed {
    pub(crate) fn is_due(&self, now: Timestamp, every: u64) -> bool {
        let last = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        last.is_none_or(|last| last.plus_seconds(every) <= now)
    }

    pub(crate) fn was_done(&self, now: Timestamp) {
        let mut last = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = Some(now);
    }
}

/// A copy of each version that opens, sealed below the domain's key.
fn copies(scope: &Scope<'_>, access: &Access) -> Result<Vec<HeldKeyRecord>, Error> {
    let view = scope.view();
    let mut copies = Vec::new();
    for version in 1..=access.key.version {
        let material = match access.open(&view, version) {
            Ok(material) => material,
            // What was damaged can be destroyed, and cannot be kept.
            Err(error) if error.is_tampering() => continue,
            Err(error) => return Err(error),
        };
        let mut copy = HeldKeyRecord {
            key: access.key.id,
            version,
            domain: scope.domain.number,
            held: scope.now,
            sealed: Vec::new(),
        };
        scope.domain.seal_held(&mut copy, &access.key, &material)?;
        copies.push(copy);
    }
    Ok(copies)
}

/// Whether an authorisation in this state keeps what is destroyed.
const fn holds(state: AuthorisationState) -> bool {
    matches!(
        state,
        AuthorisationState::Approved
            | AuthorisationState::EmergencyApproval
            | AuthorisationState::Suspended
    )
}

/// Whether a key is kept when it is destroyed now.
fn is_held(view: &View<'_>, key: &KeyRecord) -> Result<bool, Error> {
    let mut held = false;
    // All are looked at, however early one has it in scope.
    for (state, order) in order::not_ended(view)? {
        if holds(state) {
            held |= scope::matched(view, &order, key, view.now)?.is_some();
        }
    }
    Ok(held)
}

fn kept_key(view: &View<'_>, key: KeyId) -> Result<KeyRecord, Error> {
    let key = view
        .snapshot
        .key(key)?
        .ok_or(Error::Integrity("held key"))?;
    view.domain.check_key(key)
}

/// Deletes copies that no authorisation which has not ended has in scope.
fn end_holds(scope: &mut Scope<'_>) -> Result<(), Error> {
    let view = scope.view();
    let orders = order::not_ended(&view)?;
    let mut over = Vec::new();
    for (_, key) in view.snapshot.held_keys(scope.domain.number)? {
        let record = kept_key(&view, key)?;
        let mut covered = false;
        for (_, order) in &orders {
            covered |= scope::matched(&view, order, &record, scope.now)?.is_some();
        }
        if !covered && over.len() < ENDED_AT_ONCE {
            over.push(key);
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    for key in &over {
        scope.tx.end_hold_of(*key)?;
    }
    scope.detail.note = Some(format!("keys {}", over.len()));
    scope.record(Act::HoldEnd).map(|_| ())
}

/// Which keys are kept.
#[derive(Serialize)]
struct Review {
    format: &'static str,
    time: Timestamp,
    kept: Vec<ReviewedKey>,
}

#[derive(Serialize)]
struct ReviewedKey {
    key: KeyId,
    destroyed: Timestamp,
}

/// Records which keys are kept, where any authorisation keeps some.
fn review(scope: &mut Scope<'_>) -> Result<(), Error> {
    let view = scope.view();
    let orders = order::not_ended(&view)?;
    if !orders.iter().any(|(state, _)| holds(*state)) {
        return Ok(());
    }
    let kept: Vec<_> = view
        .snapshot
        .held_keys(scope.domain.number)?
        .into_iter()
        .map(|(destroyed, key)| ReviewedKey { key, destroyed })
        .collect();
    let number = kept.len();
    let review = Review {
        format: "strongroom-hold-review/1",
        time: scope.now,
        kept,
    };
    let document = strongroom_approval::canonical::to_vec(&review)
        .map_err(|_| Error::Internal("a review of holds cannot be written"))?;
    let sha256 = scope.put_document(DocumentKind::Hold, &document)?;
    scope.detail.note = Some(format!("keys {number} review {}", hex(&sha256)));
    scope.record(Act::HoldReview).map(|_| ())
}
