//! What the scope of an approved generation reaches.
//!
//! An index proposes keys; whether one is in scope is decided on its own records, each checked. A message is a key that one account gave
//! another, at the moment of the giving: its maker to a recipient, or later somebody who shared it. It is from who gave it and to who got it,
//! itself and not as a member of a group.

use std::collections::HashSet;

use strongroom_wire::authorisation::{AuthorisationRecord, Direction, LdTask, Scope, Timespan};
use strongroom_wire::disclosure::Withheld;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{Algorithm, KeyState, Protection};

use crate::act::View;
use crate::error::Error;
use crate::store::{GrantRecord, KeyRecord, ScopeFilter};

/// How many keys are read from an index at once.
const PAGE: u32 = 2048;

/// By what a key is in scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    /// Which task, the first being 0.
    pub(crate) task: usize,
    /// In words.
    pub(crate) predicate: String,
    /// The person whose messages the task names.
    pub(crate) person: Option<AccountId>,
}

/// An item that would be delivered.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) key: KeyRecord,
    pub(crate) matched: Match,
}

/// What a scope reaches.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// What would be delivered, the oldest first.
    pub(crate) items: Vec<Item>,
    /// What would not.
    pub(crate) withheld: Withheld,
    /// Whether there are more than were asked for.
    pub(crate) more: bool,
    /// How many items under this generation there are, delivered ones included: as many as were counted before there were too many.
    pub(crate) counted: u64,
}

/// Evaluates the scope of a generation for what was made or given at `until` or before: at most `limit` items, and counting up to one more
/// than `cap`.
pub(crate) fn evaluate(
    view: &View<'_>,
    record: &AuthorisationRecord,
    until: Timestamp,
    limit: u32,
    cap: u32,
) -> Result<Reached, Error> {
    let mut reached = Reached::default();
    let mut seen = HashSet::new();
    for task in &record.order.tasks {
        candidates(view, record, task, until, &mut |key| {
            if !seen.insert(key) {
                return Ok(true);
            }
            if reached.more {
                // Beyond what is delivered at once they are counted, and not looked at.
                reached.counted += 1;
            } else {
                consider(view, record, key, until, limit, &mut reached)?;
            }
            Ok(!(reached.more && reached.counted > u64::from(cap)))
        })?;
    }
    reached
        .items
        .sort_by_key(|item| (item.key.created, item.key.id));
    Ok(reached)
}

/// Takes a key that an index proposed, if it is in scope.
fn consider(
    view: &View<'_>,
    record: &AuthorisationRecord,
    key: KeyId,
    until: Timestamp,
    limit: u32,
    reached: &mut Reached,
) -> Result<(), Error> {
    let Some(key) = view.snapshot.key(key)? else {
        return Ok(());
    };
    let key = view.domain.check_key(key)?;
    if key.domain != view.domain.number {
        return Ok(());
    }
    let Some(matched) = matched(view, record, &key, until)? else {
        return Ok(());
    };
    if key.traits.protection == Protection::Hsm {
        reached.withheld.in_hsm += 1;
        return Ok(());
    }
    if only_signs(&key) {
        reached.withheld.signing += 1;
        return Ok(());
    }
    let delivered = view
        .snapshot
        .delivered(record.authorisation, record.generation, key.id)?;
    if let Some(item) = delivered
        && view.domain.check_disclosure_item(item)?.version >= key.version
    {
        reached.withheld.delivered += 1;
        reached.counted += 1;
        return Ok(());
    }
    if key.state == KeyState::Destroyed && view.snapshot.held_versions(key.id)?.is_empty() {
        reached.withheld.destroyed += 1;
        return Ok(());
    }
    reached.counted += 1;
    if reached.items.len() >= limit as usize {
        reached.more = true;
    } else {
        reached.items.push(Item { key, matched });
    }
    Ok(())
}

/// By what a key is in the scope of a generation, if it is, for what was made or given at `until` or before.
pub(crate) fn matched(
    view: &View<'_>,
    record: &AuthorisationRecord,
    key: &KeyRecord,
    until: Timestamp,
) -> Result<Option<Match>, Error> {
    let mut grants = None;
    for (position, task) in record.order.tasks.iter().enumerate() {
        let found = match &task.scope {
            Scope::Item { item } => (key.id == *item && key.created <= until).then(|| Match {
                task: position,
                predicate: format!("item {item}"),
                person: None,
            }),
            Scope::Label {
                owner,
                label,
                window,
            } => {
                let within = window.is_none_or(|window| window.contains(key.created));
                let is = record.account_of(owner) == Some(key.owner)
                    && key.label == *label
                    && within
                    && key.created <= until;
                is.then(|| Match {
                    task: position,
                    predicate: format!("label {label:?} of {owner}"),
                    person: None,
                })
            }
            Scope::Messages {
                person,
                direction,
                counterparts,
                window,
            } => {
                let grants = match &grants {
                    Some(grants) => grants,
                    None => grants.insert(given(view, key.id)?),
                };
                let messages = Messages {
                    record,
                    person,
                    direction: *direction,
                    counterparts: counterparts.as_deref(),
                    window,
                };
                messages.matched(position, grants, until)
            }
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// A scope of messages.
struct Messages<'a> {
    record: &'a AuthorisationRecord,
    person: &'a str,
    direction: Direction,
    counterparts: Option<&'a [String]>,
    window: &'a Timespan,
}

impl Messages<'_> {
    fn matched(&self, task: usize, grants: &[GrantRecord], until: Timestamp) -> Option<Match> {
        let person = self.record.account_of(self.person)?;
        let counterparts = self.counterparts.map(|names| {
            let accounts = names.iter().filter_map(|name| self.record.account_of(name));
            accounts.collect::<Vec<_>>()
        });
        let with = |other: AccountId| {
            counterparts
                .as_ref()
                .is_none_or(|counterparts| counterparts.contains(&other))
        };
        let mut in_time = grants
            .iter()
            .filter(|grant| self.window.contains(grant.created) && grant.created <= until);
        in_time.find_map(|grant| {
            let from = self.direction != Direction::To
                && grant.granted_by == person
                && with(grant.grantee);
            let to = self.direction != Direction::From
                && grant.grantee == person
                && with(grant.granted_by);
            let way = if from {
                "from"
            } else if to {
                "to"
            } else {
                return None;
            };
            Some(Match {
                task,
                predicate: format!("{way} {}", self.person),
                person: Some(person),
            })
        })
    }

    /// The filters by which an index finds them.
    fn filters(&self) -> Vec<ScopeFilter<'static>> {
        let Some(person) = self.record.account_of(self.person) else {
            return Vec::new();
        };
        let mut filters = Vec::new();
        match self.counterparts {
            None => {
                if self.direction != Direction::To {
                    filters.push(ScopeFilter::From(person));
                }
                if self.direction != Direction::From {
                    filters.push(ScopeFilter::To(person));
                }
            }
            Some(names) => {
                for other in names.iter().filter_map(|name| self.record.account_of(name)) {
                    if self.direction != Direction::To {
                        filters.push(ScopeFilter::Between(person, other));
                    }
                    if self.direction != Direction::From {
                        filters.push(ScopeFilter::Between(other, person));
                    }
                }
            }
        }
        filters
    }
}

/// Hands `take` the keys that a task may reach, until it says that it has enough.
fn candidates(
    view: &View<'_>,
    record: &AuthorisationRecord,
    task: &LdTask,
    until: Timestamp,
    take: &mut impl FnMut(KeyId) -> Result<bool, Error>,
) -> Result<(), Error> {
    let always = Timespan {
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(u64::MAX),
    };
    let (filters, window) = match &task.scope {
        Scope::Item { item } => return take(*item).map(|_| ()),
        Scope::Label {
            owner,
            label,
            window,
        } => {
            let owner = record.account_of(owner);
            let filter = owner.map(|owner| ScopeFilter::Label { owner, label });
            (filter.into_iter().collect(), window.unwrap_or(always))
        }
        Scope::Messages {
            person,
            direction,
            counterparts,
            window,
        } => {
            let messages = Messages {
                record,
                person,
                direction: *direction,
                counterparts: counterparts.as_deref(),
                window,
            };
            (messages.filters(), *window)
        }
    };
    let after_until = Timestamp::from_millis(until.as_millis().saturating_add(1));
    let end = window.end.min(after_until);
    for filter in filters {
        let mut after = None;
        loop {
            let page = view
                .snapshot
                .keys_in_scope(filter, window.start, end, after, PAGE)?;
            for (_, key) in &page {
                if !take(*key)? {
                    return Ok(());
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some(*last),
                _ => break,
            }
        }
    }
    Ok(())
}

/// The grants of a key that one account gave another, their records checked, the oldest first.
fn given(view: &View<'_>, key: KeyId) -> Result<Vec<GrantRecord>, Error> {
    let mut given = Vec::new();
    for grant in view.snapshot.grants_of(key)? {
        let grant = view.domain.check_grant(grant)?;
        if grant.granted_by != grant.grantee {
            given.push(grant);
        }
    }
    given.sort_by_key(|grant| (grant.created, grant.id));
    Ok(given)
}

/// Whether a key can do nothing but sign or authenticate, whatever is said of it. Such a key opens nothing that an order could want opened,
/// and who has it speaks in its owner's name. Usage policies do not count: an owner can change them.
const fn only_signs(key: &KeyRecord) -> bool {
    matches!(
        key.algorithm,
        Algorithm::Ed25519 | Algorithm::MlDsa65 | Algorithm::HmacSha256
    )
}
