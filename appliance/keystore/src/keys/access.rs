//! Whether, and by which grant, an account may do something with a key: the one way to a key's material.
//!
//! A grant holds only if its sealed copy opens under the grantee's KEK with the rights, the policy and the owner that the records show.
//! Nobody who can write to the database, but not use the HSM, can make such a copy.

use strongroom_hsm::Aes256Key;
use strongroom_wire::account::AccountState;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{GrantState, KeyState, Right};
use zeroize::Zeroizing;

use crate::act::{Caller, View};
use crate::error::Error;
use crate::groups;
use crate::seal;
use crate::store::{GrantRecord, KeyRecord, MembershipRecord};

/// A grant that holds.
pub(crate) struct Access {
    pub(crate) key: KeyRecord,
    pub(crate) grant: GrantRecord,
    /// The membership by which the caller is the grantee, where the grantee is a group.
    membership: Option<MembershipRecord>,
}

/// What an account has, or had, of a key.
pub(crate) enum Standing {
    /// At least one grant that holds.
    Holds(Box<Access>),
    /// All grants have been revoked, or the key is destroyed.
    Lost(Box<KeyRecord>),
}

impl Access {
    /// Opens the grant's copy of one version.
    pub(crate) fn open(&self, view: &View<'_>, version: u32) -> Result<Zeroizing<Vec<u8>>, Error> {
        const WHAT: &str = "grant";
        let copy = view
            .snapshot
            .copy(self.grant.id, version)?
            .ok_or(Error::Integrity(WHAT))?;
        let kek = self.kek(view, copy.kek_version)?;
        let data = self
            .grant
            .copy_canonical(&self.key, version, copy.kek_version);
        seal::open(&kek, &data, &copy.sealed, WHAT)
    }

    fn kek(&self, view: &View<'_>, version: u32) -> Result<Aes256Key, Error> {
        match &self.membership {
            None => view.keks.get(self.grant.grantee, version),
            Some(membership) => groups::group_kek(view, membership, version),
        }
    }
}

/// The caller's access to a key by a grant with this right; whoever has or had none learns nothing of the key.
pub(crate) fn require(
    view: &View<'_>,
    caller: &Caller,
    key: KeyId,
    right: Right,
) -> Result<Access, Error> {
    match standing(view, caller.account.id, key, Some(right))? {
        Standing::Lost(key) if key.state == KeyState::Destroyed => Err(Error::KeyDestroyed),
        Standing::Lost(_) => Err(Error::GrantRevoked),
        Standing::Holds(access) if access.grant.rights.contains(&right) => Ok(*access),
        Standing::Holds(_) => Err(Error::NotPermitted(right_name(right))),
    }
}

/// What an account has of a key: of several grants one with `right`, its own before a group's.
pub(crate) fn standing(
    view: &View<'_>,
    account: AccountId,
    key: KeyId,
    right: Option<Right>,
) -> Result<Standing, Error> {
    let record = view.snapshot.key(key)?.ok_or(Error::KeyNotFound)?;
    let memberships = view.snapshot.memberships_of(account)?;
    let mut holders = vec![account];
    holders.extend(memberships.iter().map(|membership| membership.group));
    let grants = view.snapshot.grants_to(key, &holders)?;
    if grants.is_empty() || record.domain != view.domain.number {
        return Err(Error::KeyNotFound);
    }
    let key = view.domain.check_key(record)?;
    for membership in &memberships {
        // What the caller sees of a key through a group, it sees as a member only.
        if grants.iter().any(|grant| grant.grantee == membership.group) {
            groups::group_kek(view, membership, membership.group_kek_version)?;
        }
    }
    let mut held = Vec::new();
    for grant in grants {
        let grant = view.domain.check_grant(grant)?;
        let membership = memberships
            .iter()
            .find(|membership| grant.grantee != account && membership.group == grant.grantee);
        if grant.state == GrantState::Active
            && key.state != KeyState::Destroyed
            && group_may_act(view, membership)?
        {
            held.push((grant, membership.cloned()));
        }
    }
    held.sort_by_key(|(grant, membership)| {
        let suits = right.is_none_or(|right| grant.rights.contains(&right));
        (!suits, membership.is_some())
    });
    let Some((grant, membership)) = held.into_iter().next() else {
        return Ok(Standing::Lost(Box::new(key)));
    };
    let access = Access {
        key,
        grant,
        membership,
    };
    // The proof that the grant is what the records show.
    access.open(view, access.key.version)?;
    Ok(Standing::Holds(Box::new(access)))
}

/// A suspended group opens nothing.
fn group_may_act(view: &View<'_>, membership: Option<&MembershipRecord>) -> Result<bool, Error> {
    match membership {
        None => Ok(true),
        Some(membership) => Ok(view
            .account(membership.group)?
            .is_some_and(|group| group.state == AccountState::Active)),
    }
}

const fn right_name(right: Right) -> &'static str {
    match right {
        Right::Release => "the right to have the key released",
        Right::Encrypt => "the right to encrypt",
        Right::Decrypt => "the right to decrypt",
        Right::Sign => "the right to sign",
        Right::Verify => "the right to verify",
        Right::Wrap => "the right to wrap",
        Right::Unwrap => "the right to unwrap",
        Right::Derive => "the right to derive",
        Right::Share => "the right to share the key",
        Right::Destroy => "the right to destroy the key",
        Right::Administer => "the right to administer the key",
    }
}
