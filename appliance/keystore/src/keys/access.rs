//! Whether, and by which grant, an account may do something with a key: the one way to a key's material.
//!
//! A grant holds only if its sealed copy opens under the grantee's KEK with the rights, the policy and the owner that the records show.
//! Nobody who can write to the database, but not use the HSM, can make such a copy.

use strongroom_hsm::Aes256Key;
use strongroom_wire::account::AccountState;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{AUTHENTICATED_FOR, GrantState, KeyState, Right};
use strongroom_wire::operation::Operation;
use strongroom_wire::policy::{DomainPolicy, PolicyLevel, PolicyRule, RuleName};
use zeroize::Zeroizing;

use crate::act::{Caller, View};
use crate::error::Error;
use crate::groups;
use crate::policy::decide::{Attempt, Policies, decide};
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

    /// Refuses what the usage policies of the domain, the key and the grant do not allow the caller now.
    pub(crate) fn allow(&self, caller: &Caller, right: Right, now: Timestamp) -> Result<(), Error> {
        self.allow_attempt(caller, &self.attempt(caller, right, now))
    }

    /// Refuses an operation that the usage policies do not allow the caller now, or that wants to know anew who it is for. What a pair's public
    /// key does is for whoever may do it, however long ago they signed in.
    pub(crate) fn allow_operation(
        &self,
        caller: &Caller,
        operation: &Operation,
        now: Timestamp,
    ) -> Result<(), Error> {
        let attempt = Attempt {
            mechanism: Some(operation.mechanism()),
            ..self.attempt(caller, operation.right(), now)
        };
        self.allow_attempt(caller, &attempt)?;
        if self.key.traits.authenticate_each
            && !operation.is_with_public_key(self.key.algorithm)
            && !caller.is_just_confirmed(now)
        {
            return Err(Error::StepUpRequired(AUTHENTICATED_FOR));
        }
        Ok(())
    }

    fn allow_attempt(&self, caller: &Caller, attempt: &Attempt) -> Result<(), Error> {
        decide(&self.policies(&caller.policy), attempt).map_err(|rule| Error::PolicyRefused {
            rule,
            tell: caller.account.id == self.key.owner,
        })
    }

    /// Refuses to let go of a key that is never released, or no more.
    pub(crate) const fn require_releasable(&self) -> Result<(), Error> {
        if self.key.traits.releasable.is_by_policy() {
            return Ok(());
        }
        Err(Error::PolicyRefused {
            rule: RuleName {
                level: PolicyLevel::Key,
                rule: PolicyRule::OperationsOnly,
            },
            tell: true,
        })
    }

    /// Refuses everyone but the key's owner.
    pub(crate) fn require_owner(&self, caller: &Caller) -> Result<(), Error> {
        if caller.account.id == self.key.owner {
            return Ok(());
        }
        Err(Error::NotPermitted("to own the key"))
    }

    /// The three policies that this access is under.
    pub(crate) fn policies<'a>(&'a self, domain: &'a DomainPolicy) -> Policies<'a> {
        Policies {
            domain: &domain.usage,
            key: &self.key.policy,
            grant: &self.grant.policy,
            legacy: &domain.legacy_mechanisms,
        }
    }

    /// The exercise of a right by the caller, in the present session.
    pub(crate) fn attempt(&self, caller: &Caller, right: Right, now: Timestamp) -> Attempt {
        Attempt {
            right,
            mechanism: None,
            kind: caller.account.kind,
            strength: Some(caller.strength),
            source: Some(caller.source),
            at: now,
            releases_of_key: self.key.releases,
            releases_under_grant: self.grant.releases,
        }
    }

    /// Refuses a use of the key that its state does not allow.
    pub(crate) fn check_state(&self, by_owner: bool) -> Result<(), Error> {
        match self.key.state {
            KeyState::Active | KeyState::Deactivated => Ok(()),
            // What a compromised key protected is opened by its owner, to protect it anew.
            KeyState::Compromised if by_owner => Ok(()),
            KeyState::Destroyed => Err(Error::KeyDestroyed),
            state => Err(Error::KeyStateForbids(state)),
        }
    }

    /// Refuses what would protect something new with a key that must not: only an active one may (SP 800-57 part 1 section 7).
    pub(crate) const fn check_protects(&self) -> Result<(), Error> {
        match self.key.state {
            KeyState::Active => Ok(()),
            KeyState::Destroyed => Err(Error::KeyDestroyed),
            state => Err(Error::KeyStateForbids(state)),
        }
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
    let standing = standing(view, caller.account.id, key, Some(right))?;
    standing.with(right)
}

impl Standing {
    /// The access with this right, or why there is none.
    pub(crate) fn with(self, right: Right) -> Result<Access, Error> {
        match self {
            Self::Lost(key) if key.state == KeyState::Destroyed => Err(Error::KeyDestroyed),
            Self::Lost(_) => Err(Error::GrantRevoked),
            Self::Holds(access) if access.grant.rights.contains(&right) => Ok(*access),
            Self::Holds(_) => Err(Error::NotPermitted(right_name(right))),
        }
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
