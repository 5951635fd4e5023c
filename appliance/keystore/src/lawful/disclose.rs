//! Disclosures: what a scope reaches is shown in counts, executed by one person and released by another.
//!
//! Executing fixes until when items were made that the disclosure is about. Releasing evaluates the scope of the approved generation once more,
//! inside its own transaction, seals exactly the keys that it reaches and leaves a leaf for each: all of it or nothing. Nobody does both, and
//! nobody who entered or approved the authorisation does either.

use strongroom_disclosure::{DisclosureError, SealingKey};
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::AgencyKey;
use strongroom_wire::disclosure::{
    ChangedDisclosure, Disclosure, DisclosurePreview, DisclosureState, Disclosures, MOST_DELIVERED,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AuthorisationId, DisclosureId};

use super::preview::preview;
use super::release::{deliver, materials};
use super::scope::{self, Item, Reached};
use super::{InEffect, case, case_generation, order, require_sight};
use crate::act::{Caller, Presented, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::seal::{self, hex};
use crate::store::DisclosureRecord;

impl Keystore {
    /// What the scope of an authorisation that is in effect reaches now: counts and metadata, for those who execute and release. It leaves a leaf.
    pub fn preview_disclosure(
        &self,
        caller: &Presented,
        id: AuthorisationId,
    ) -> Answer<DisclosurePreview> {
        let presented = caller.clone();
        self.core
            .act(Act::DisclosurePreview, caller.source, move |scope| {
                scope.about = Some(case(id));
                let caller = scope.authenticate(&presented)?;
                if !caller.may(May::ReleaseDisclosures) {
                    caller.require(May::ExecuteDisclosures)?;
                }
                let view = scope.view();
                let order = view.in_effect(id)?;
                let reached = reach(&view, &order, scope.now)?;
                let mut preview = preview(&view, &order, &reached)?;
                let items = preview.items;
                scope.detail.note = Some(format!("{} items {items}", case_generation(&order.row)));
                preview.leaf = scope.record(Act::DisclosurePreview)?;
                Ok(preview)
            })
    }

    /// Executes an authorisation that is in effect: what it reaches now is what may be released. Nothing goes out.
    pub fn execute_disclosure(
        &self,
        caller: &Presented,
        id: AuthorisationId,
    ) -> Answer<ChangedDisclosure> {
        let presented = caller.clone();
        self.core
            .act(Act::DisclosureExecute, caller.source, move |scope| {
                scope.about = Some(case(id));
                let caller = scope.authenticate(&presented)?;
                caller.require(May::ExecuteDisclosures)?;
                let view = scope.view();
                let order = view.in_effect(id)?;
                order::require_no_part(&view, &caller, &order)?;
                sealing_key(&order, scope.now)?;
                let reached = reach(&view, &order, scope.now)?;
                require_some_within_cap(&order, &reached)?;
                let mut disclosure = DisclosureRecord {
                    id: DisclosureId::generate(),
                    domain: scope.domain.number,
                    authorisation: id,
                    generation: order.record.generation,
                    executor: caller.account.id,
                    executed: scope.now,
                    items: number(&reached.items),
                    digest: digest(&reached.items),
                    release: None,
                    mac: [0; 32],
                };
                scope.domain.authenticate_disclosure(&mut disclosure);
                scope.tx.put_disclosure(&disclosure)?;
                scope.detail.note = Some(format!(
                    "{} disclosure {} items {} sha256 {}",
                    case_generation(&order.row),
                    disclosure.id,
                    disclosure.items,
                    hex(&disclosure.digest)
                ));
                let leaf = scope.record(Act::DisclosureExecute)?;
                let disclosure = to_wire(&scope.view(), &disclosure)?;
                Ok(ChangedDisclosure { disclosure, leaf })
            })
    }

    /// Releases a disclosure that somebody else has executed: seals each key in scope to the agency, with a record and a leaf an item.
    pub fn release_disclosure(
        &self,
        caller: &Presented,
        id: DisclosureId,
    ) -> Answer<ChangedDisclosure> {
        let presented = caller.clone();
        self.core
            .act(Act::DisclosureRelease, caller.source, move |scope| {
                scope.about = Some(format!("disclosure {id}"));
                let caller = scope.authenticate(&presented)?;
                caller.require(May::ReleaseDisclosures)?;
                let view = scope.view();
                let disclosure = find(&view, id)?;
                scope.about = Some(about(&disclosure));
                let view = scope.view();
                let order = view.in_effect(disclosure.authorisation)?;
                let reached = allow_release(&view, &caller, &order, &disclosure)?;
                let materials = materials(&view, &reached.items)?;
                let (disclosure, leaf) = deliver(
                    scope,
                    &caller,
                    &order,
                    disclosure,
                    &reached.items,
                    &materials,
                )?;
                let disclosure = to_wire(&scope.view(), &disclosure)?;
                Ok(ChangedDisclosure { disclosure, leaf })
            })
    }

    /// The disclosures under an authorisation, for those who see it.
    pub fn disclosures(&self, caller: &Presented, id: AuthorisationId) -> Answer<Disclosures> {
        let about = Some(case(id));
        self.core
            .watched_look(caller, Act::AuthorisationRead, about, |view, caller, _| {
                require_sight(caller, &view.authorisation(id)?)?;
                let disclosures = view
                    .snapshot
                    .disclosures_of(id)?
                    .into_iter()
                    .map(|disclosure| to_wire(view, &view.domain.check_disclosure(disclosure)?))
                    .collect::<Result<_, _>>()?;
                Ok(Disclosures { disclosures })
            })
    }

    /// One disclosure, for those who see its authorisation.
    pub fn disclosure(&self, caller: &Presented, id: DisclosureId) -> Answer<Disclosure> {
        let about = Some(format!("disclosure {id}"));
        self.core
            .watched_look(caller, Act::AuthorisationRead, about, |view, caller, _| {
                caller.require(May::SeeAuthorisations)?;
                let disclosure = find(view, id)?;
                require_sight(caller, &view.authorisation(disclosure.authorisation)?)?;
                to_wire(view, &disclosure)
            })
    }
}

/// What leaves say first of a disclosure.
pub(super) fn about(disclosure: &DisclosureRecord) -> String {
    let DisclosureRecord {
        id, authorisation, ..
    } = disclosure;
    format!("{} disclosure {id}", case(*authorisation))
}

/// A disclosure of the domain, its record checked.
pub(super) fn find(view: &View<'_>, id: DisclosureId) -> Result<DisclosureRecord, Error> {
    let disclosure = view
        .snapshot
        .disclosure(id)?
        .ok_or(Error::DisclosureNotFound)?;
    let disclosure = view.domain.check_disclosure(disclosure)?;
    if disclosure.domain == view.domain.number {
        Ok(disclosure)
    } else {
        Err(Error::DisclosureNotFound)
    }
}

/// The certificate or key to which an order has keys sealed, if it is good now.
pub(super) fn sealing_key(order: &InEffect, now: Timestamp) -> Result<SealingKey, Error> {
    let unusable = |error: &dyn std::fmt::Display| {
        Error::Conflict(format!(
            "Nothing can be sealed to what the order names for the agency: {error}."
        ))
    };
    let sealing =
        read_sealing_key(&order.record.order.agency_key).map_err(|error| unusable(&error))?;
    match sealing.validity() {
        Some((from, _)) if now < from => Err(unusable(&"the certificate is not valid yet")),
        Some((_, until)) if until < now => Err(unusable(&"the certificate has expired")),
        _ => Ok(sealing),
    }
}

/// What an order names for the agency, as a certificate or key to which something can be sealed.
pub(super) fn read_sealing_key(key: &AgencyKey) -> Result<SealingKey, DisclosureError> {
    match key {
        AgencyKey::Certificate(der) => SealingKey::parse(&der.0),
        AgencyKey::Hpke(bytes) => SealingKey::from_public_key(&bytes.0),
    }
}

/// What an order reaches of what was made until then.
fn reach(view: &View<'_>, order: &InEffect, until: Timestamp) -> Result<Reached, Error> {
    let cap = order.record.order.max_items;
    scope::evaluate(view, &order.record, until, MOST_DELIVERED, cap)
}

fn require_some_within_cap(order: &InEffect, reached: &Reached) -> Result<(), Error> {
    let cap = order.record.order.max_items;
    if reached.counted > u64::from(cap) {
        return Err(Error::TooManyItems(cap));
    }
    if reached.items.is_empty() {
        return Err(Error::Conflict(
            "There is nothing in scope that was not delivered already.".to_owned(),
        ));
    }
    Ok(())
}

/// Refuses what must not go out, and says what does.
fn allow_release(
    view: &View<'_>,
    caller: &Caller,
    order: &InEffect,
    disclosure: &DisclosureRecord,
) -> Result<Reached, Error> {
    if disclosure.release.is_some() {
        return Err(Error::Conflict(
            "This disclosure was released already.".to_owned(),
        ));
    }
    if caller.account.id == disclosure.executor {
        return Err(Error::NotPermitted(
            "another person than who executed the disclosure",
        ));
    }
    order::require_no_part(view, caller, order)?;
    if order.record.generation != disclosure.generation {
        return Err(Error::Conflict(
            "The authorisation was changed since this was executed: it has to be executed anew."
                .to_owned(),
        ));
    }
    let reached = reach(view, order, disclosure.executed)?;
    require_some_within_cap(order, &reached)?;
    Ok(reached)
}

/// A disclosure as the API shows it.
pub(super) fn to_wire(view: &View<'_>, disclosure: &DisclosureRecord) -> Result<Disclosure, Error> {
    let release = disclosure.release.as_ref();
    Ok(Disclosure {
        id: disclosure.id,
        authorisation: disclosure.authorisation,
        generation: disclosure.generation,
        state: match release {
            None => DisclosureState::Executed,
            Some(_) => DisclosureState::Released,
        },
        items: disclosure.items,
        executor: view.name_of(disclosure.executor)?,
        executed: disclosure.executed,
        releaser: release
            .map(|release| view.name_of(release.releaser))
            .transpose()?,
        released: release.map(|release| release.released),
        manifest_sha256: release.map(|release| hex(&release.manifest)),
        release_leaf: release.map(|release| release.leaf),
    })
}

/// SHA-256 of the keys' identifiers, in order.
fn digest(items: &[Item]) -> [u8; 32] {
    let keys: Vec<u8> = items
        .iter()
        .flat_map(|item| *item.key.id.as_bytes())
        .collect();
    seal::sha256(&keys)
}

/// How many there are.
pub(super) fn number<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
