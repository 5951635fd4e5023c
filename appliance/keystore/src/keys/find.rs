//! Metadata: one key, or lists by label, sender, recipient, state and time. No material, no leaf.

use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{Key, KeyPage, KeyQuery};

use super::access::{self, Standing};
use super::to_wire;
use crate::accounts::normal_name;
use crate::act::{Caller, Presented, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::store::KeyFilter;

/// How many keys a page has by default, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1000;

impl Keystore {
    /// One key, for whoever has or had a grant to it.
    pub fn key(&self, caller: &Presented, key: KeyId) -> Answer<Key> {
        self.core
            .look(caller, |view, caller, _| see(view, caller.account.id, key))
    }

    /// A page of the keys that the caller has or had a grant to, the newest first. A key whose record does not match its seal is left
    /// out, and a leaf says so. A search looks at so many keys at a time that it takes no long: a page may have fewer than asked for, and
    /// tell where the search goes on.
    pub fn keys(&self, caller: &Presented, query: KeyQuery) -> Answer<KeyPage> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        self.core.look(caller, |view, caller, damage| {
            let Some(filter) = filter(view, &query, limit + 1)? else {
                return Ok(KeyPage {
                    keys: Vec::new(),
                    next: None,
                });
            };
            let found = view.snapshot.find_keys(&holders(view, caller)?, &filter)?;
            let (mut found, looked_until) = (found.keys, found.looked_until);
            let more = found.len() > limit as usize;
            found.truncate(limit as usize);
            let next = if more {
                found.last().map(|key| key.id)
            } else {
                looked_until
            };
            let mut keys = Vec::with_capacity(found.len());
            for record in found {
                keys.extend(damage.leave_out(record.id, see(view, caller.account.id, record.id))?);
            }
            Ok(KeyPage { keys, next })
        })
    }
}

/// A key with the rights of whoever looks.
pub(crate) fn see(view: &View<'_>, account: AccountId, key: KeyId) -> Result<Key, Error> {
    match access::standing(view, account, key, None)? {
        Standing::Holds(access) => to_wire(view, &access.key, &access.grant.rights),
        Standing::Lost(key) => to_wire(view, &key, &[]),
    }
}

/// The caller and the groups that it is a member of.
pub(crate) fn holders(view: &View<'_>, caller: &Caller) -> Result<Vec<AccountId>, Error> {
    let mut holders = vec![caller.account.id];
    let memberships = view.snapshot.memberships_of(caller.account.id)?;
    holders.extend(memberships.iter().map(|membership| membership.group));
    Ok(holders)
}

/// The query with names resolved; none when it names an account that does not exist, and so finds nothing.
fn filter(view: &View<'_>, query: &KeyQuery, limit: u32) -> Result<Option<KeyFilter>, Error> {
    let resolve = |name: &Option<String>| -> Result<Option<Option<AccountId>>, Error> {
        match name {
            None => Ok(Some(None)),
            Some(name) => Ok(view
                .account_by_name(&normal_name(name))?
                .map(|account| Some(account.id))),
        }
    };
    let (Some(sender), Some(recipient)) = (resolve(&query.sender)?, resolve(&query.recipient)?)
    else {
        return Ok(None);
    };
    Ok(Some(KeyFilter {
        label: query.label.clone(),
        sender,
        recipient,
        state: query.state,
        from: query.from,
        until: query.until,
        after: query.after,
        limit,
    }))
}
