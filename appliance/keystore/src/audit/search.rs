//! Searching the audit log. A search looks at a bounded number of leaves and says how far it came, so that it takes as long in a log of a
//! hundred million as in one of a hundred thousand; it goes on from there when it is asked to.

use strongroom_audit::Event;
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};

use super::{WHAT, is_auditor, to_wire};
use crate::accounts::normal_name;
use crate::act::{Presented, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::store::{LeafFilter, LeafRecord};

/// The most leaves that one search looks at.
const MOST_LOOKED_AT: u64 = 10_000;
/// How many are read at once.
const CHUNK: u32 = 500;
/// The most records of one answer.
const MOST_FOUND: usize = 1000;

/// Which records to find. Members that are given must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordSearch {
    /// About this key.
    pub key: Option<KeyId>,
    /// Done by, done to or about a key of the account of this name.
    pub account: Option<String>,
    /// One of these acts; none: any.
    pub acts: Vec<Act>,
    /// Whether it was done, or refused.
    pub done: Option<bool>,
    /// At or after this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Below this index: what [`FoundRecords::next`] said.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundRecords {
    /// The records, the newest first.
    pub records: Vec<Record>,
    /// Where the search goes on; none when all has been looked at.
    pub next: Option<u64>,
    /// How many leaves were looked at.
    pub looked_at: u64,
    /// The time of the last leaf that was.
    pub reached: Option<Timestamp>,
}

impl Keystore {
    /// Searches the records: all for auditors, those that concern them or their keys for everyone else.
    pub fn search_records(&self, caller: &Presented, search: RecordSearch) -> Answer<FoundRecords> {
        self.core.look(caller, |view, caller, _| {
            let auditor = is_auditor(caller);
            let account = match &search.account {
                None => None,
                Some(name) => match view.account_by_name(&normal_name(name))? {
                    Some(account) => Some(account.id),
                    None => return Ok(FoundRecords::default()),
                },
            };
            let own = (!auditor).then_some(caller.account.id);
            let mut filter = LeafFilter {
                concerning: own.or(account),
                key: search.key,
                before: search.before,
                after: None,
                limit: CHUNK,
            };
            if let Some(until) = search.until {
                let first = first_at(view, until)?;
                filter.before = Some(filter.before.map_or(first, |before| before.min(first)));
            }
            if let Some(from) = search.from {
                match first_at(view, from)?.checked_sub(1) {
                    Some(last) => filter.after = Some(last),
                    None => filter.after = None,
                }
            }
            let limit = search.limit.clamp(1, MOST_FOUND);
            let mut found = FoundRecords::default();
            loop {
                let leaves = view.snapshot.find_leaves(view.domain.number, &filter)?;
                let last_chunk = leaves.len() < CHUNK as usize;
                for leaf in &leaves {
                    if found.records.len() == limit {
                        found.next = Some(leaf.index + 1);
                        return Ok(found);
                    }
                    let event = leaf.leaf.open().map_err(|_| Error::Integrity(WHAT))?;
                    found.looked_at += 1;
                    found.reached = Some(event.time);
                    filter.before = Some(leaf.index);
                    // What the leaves themselves say decides, not the rows by which they were found.
                    if concerns(&event, own)
                        && concerns(&event, account)
                        && search.key.is_none_or(|key| event.detail.key == Some(key))
                        && matches(&event, &search)
                    {
                        found.records.push(to_wire(view, caller, leaf)?);
                    }
                }
                if last_chunk {
                    return Ok(found);
                }
                if found.looked_at >= MOST_LOOKED_AT {
                    found.next = filter.before;
                    return Ok(found);
                }
            }
        })
    }
}

fn concerns(event: &Event, account: Option<AccountId>) -> bool {
    let detail = &event.detail;
    account.is_none() || [detail.actor, detail.subject, detail.owner].contains(&account)
}

fn matches(event: &Event, search: &RecordSearch) -> bool {
    (search.acts.is_empty() || search.acts.contains(&event.act))
        && search.done.is_none_or(|done| event.done == done)
        && search.from.is_none_or(|from| event.time >= from)
        && search.until.is_none_or(|until| event.time < until)
}

/// The index of the first leaf at or after a moment; the tree's size where there is none. Leaves are in the order of time, as far as the
/// clock is: what stands out of it by a clock that was set back is found by its neighbours' time.
fn first_at(view: &View<'_>, moment: Timestamp) -> Result<u64, Error> {
    let number = view.domain.number;
    let (mut low, mut high) = (0, view.snapshot.tree_size(number)?);
    while low < high {
        let middle = low + (high - low) / 2;
        let LeafRecord { leaf, .. } = view
            .snapshot
            .leaf(number, middle)?
            .ok_or(Error::Integrity(WHAT))?;
        let event = leaf.open().map_err(|_| Error::Integrity(WHAT))?;
        if event.time < moment {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
