//! Rotation, the states of NIST SP 800-57 part 1 section 7, usage policies, and destruction.

use strongroom_wire::audit::Act;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    ChangeState, ChangedKey, GrantState, KeyState, Releasable, Right, TightenKey, UsagePolicy,
};
use strongroom_wire::proposal::ProposedRequest;

use super::access::{self, Access};
use super::create::add_public_key;
use super::{find, fresh, seal_copy};
use crate::act::{Caller, Presented, Scope};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::lawful::hold;
use crate::policy;
use crate::store::{AccountRecord, GrantRecord, KeyTraits};

impl Keystore {
    /// Gives a key a new version, sealed for everyone who has a grant. What older versions protected still opens.
    pub fn rotate(&self, caller: &Presented, key: KeyId) -> Answer<ChangedKey> {
        let (fresh, pending) = fresh::of_version(&self.core, caller, key)?;
        let answer = self.change(
            caller,
            key,
            Act::KeyRotate,
            Right::Administer,
            move |scope, _, access| {
                let key = &mut access.key;
                if key.state != KeyState::Active {
                    return Err(Error::KeyStateForbids(key.state));
                }
                let holders = grantees(scope, key.id)?;
                let needed: Vec<&AccountRecord> =
                    holders.iter().map(|(_, grantee)| grantee).collect();
                scope.keks.require(&needed)?;
                key.version = key
                    .version
                    .checked_add(1)
                    .ok_or(Error::Internal("a key has too many versions"))?;
                let fresh = fresh.as_ref().ok_or_else(changed_meanwhile)?;
                let of_version = fresh.in_hsm.as_ref().map(|made| made.version);
                if of_version.is_some_and(|version| version != key.version) {
                    return Err(changed_meanwhile());
                }
                add_public_key(scope, key, fresh)?;
                for (grant, grantee) in &holders {
                    let kek = scope.keks.get(grantee.id, grantee.kek_version)?;
                    let copy = seal_copy(
                        key,
                        grant,
                        key.version,
                        &kek,
                        grantee.kek_version,
                        &fresh.material.bytes,
                    )?;
                    scope.tx.add_copy(&copy)?;
                }
                scope.detail.key_version = Some(key.version);
                scope.domain.authenticate_key(key);
                Ok(scope.tx.update_key(key)?)
            },
        );
        pending.settle(&answer, |_, _| true);
        answer
    }

    /// Changes a key's state.
    pub fn change_state(
        &self,
        caller: &Presented,
        key: KeyId,
        request: ChangeState,
    ) -> Answer<ChangedKey> {
        self.change(
            caller,
            key,
            Act::KeyState,
            Right::Administer,
            move |scope, _, access| {
                let key = &mut access.key;
                if !may_become(key.state, request.state) {
                    return Err(Error::KeyStateForbids(key.state));
                }
                key.state = request.state;
                scope.detail.note = Some(format!("{:?}", key.state).to_lowercase());
                scope.domain.authenticate_key(key);
                Ok(scope.tx.update_key(key)?)
            },
        )
    }

    /// Gives a key another usage policy in place of the one it has; by its owner. Releases so far stay counted.
    pub fn change_key_policy(
        &self,
        caller: &Presented,
        key: KeyId,
        request: UsagePolicy,
    ) -> Answer<ChangedKey> {
        let policy = policy::checked(request)?;
        self.change(
            caller,
            key,
            Act::KeyPolicy,
            Right::Administer,
            move |scope, caller, access| {
                access.require_owner(caller)?;
                caller.require_recent(scope.now)?;
                let key = &mut access.key;
                if !key.traits.releasable.is_by_policy() && !policy.operations_only {
                    return Err(Error::Conflict(
                        "This key is not released: its usage policy stays operations_only."
                            .to_owned(),
                    ));
                }
                key.policy = policy.clone();
                scope.detail.note = Some(policy::describe(&policy));
                scope.domain.authenticate_key(key);
                Ok(scope.tx.update_key(key)?)
            },
        )
    }

    /// Puts restrictions on a key that nobody lifts; by its owner. What the request says of it already stays as it is.
    pub fn tighten(
        &self,
        caller: &Presented,
        key: KeyId,
        request: TightenKey,
    ) -> Answer<ChangedKey> {
        if request == TightenKey::default() {
            let nothing = "Say what is to be stricter: releasable, or authenticate_each.";
            return Err(Error::Invalid(nothing.to_owned()).into());
        }
        self.change(
            caller,
            key,
            Act::KeyTighten,
            Right::Administer,
            move |scope, caller, access| {
                access.require_owner(caller)?;
                caller.require_recent(scope.now)?;
                let key = &mut access.key;
                tighten(&mut key.traits, request)?;
                if !key.traits.releasable.is_by_policy() {
                    key.policy.operations_only = true;
                }
                scope.detail.note = Some(policy::describe(&request));
                scope.domain.authenticate_key(key);
                Ok(scope.tx.update_key(key)?)
            },
        )
    }

    /// Destroys a key: every copy of every version is overwritten and deleted, and what the HSM holds of it is destroyed there. Nobody can open
    /// what it protected, ever.
    pub fn destroy(&self, caller: &Presented, key: KeyId) -> Answer<ChangedKey> {
        let answer = self.change(
            caller,
            key,
            Act::KeyDestroy,
            Right::Destroy,
            |scope, caller, access| {
                access.allow(caller, Right::Destroy, scope.now)?;
                caller.require_recent(scope.now)?;
                hold::destroy(scope, access)?;
                let (id, label) = (access.key.id, access.key.label.as_str());
                scope.require_quorum(
                    caller,
                    &ProposedRequest::KeyDestroy { key: id },
                    Some(label),
                )
            },
        );
        self.core.destroy_doomed();
        answer
    }

    fn change(
        &self,
        caller: &Presented,
        key: KeyId,
        act: Act,
        right: Right,
        change: impl Fn(&mut Scope<'_>, &Caller, &mut Access) -> Result<(), Error>
        + Send
        + Sync
        + 'static,
    ) -> Answer<ChangedKey> {
        let presented = caller.clone();
        self.core.act(act, caller.source, move |scope| {
            let caller: Caller = scope.authenticate(&presented)?;
            scope.detail.key = Some(key);
            let mut access = access::require(&scope.view(), &caller, key, right)?;
            scope.detail.owner = Some(access.key.owner);
            scope.detail.grant = Some(access.grant.id);
            change(scope, &caller, &mut access)?;
            let leaf = scope.record(act)?;
            let key = find::see(&scope.view(), caller.account.id, key)?;
            Ok(ChangedKey { key, leaf })
        })
    }
}

/// Makes the traits as strict as is asked for; refuses to make them less strict.
fn tighten(traits: &mut KeyTraits, request: TightenKey) -> Result<(), Error> {
    let stays = |text: &str| Err(Error::Conflict(text.to_owned()));
    match (traits.releasable, request.releasable) {
        // What was never released is no more released than what is no more.
        (_, None)
        | (Releasable::Never, Some(Releasable::Never | Releasable::NoMore))
        | (Releasable::ByPolicy, Some(Releasable::ByPolicy)) => {}
        (Releasable::ByPolicy | Releasable::NoMore, Some(Releasable::NoMore)) => {
            traits.releasable = Releasable::NoMore;
        }
        (Releasable::Never | Releasable::NoMore, Some(Releasable::ByPolicy)) => {
            return stays("This key is not released, and that stays.");
        }
        (Releasable::ByPolicy | Releasable::NoMore, Some(Releasable::Never)) => {
            return stays(
                "This key was made to be released by policy: that it is no-more can be said of it.",
            );
        }
    }
    match request.authenticate_each {
        Some(true) if traits.releasable.is_by_policy() => {
            stays("A key whose every use is authenticated is not released: say that it is no-more.")
        }
        Some(false) if traits.authenticate_each => {
            stays("Each use of this key is authenticated, and that stays.")
        }
        each => {
            traits.authenticate_each |= each == Some(true);
            Ok(())
        }
    }
}

/// What was looked up before the act is not there, or not so, any more.
pub(crate) fn changed_meanwhile() -> Error {
    Error::Conflict("The key was changed meanwhile; nothing was done. Try again.".to_owned())
}

/// The active grants of a key and who has them, their records checked.
pub(crate) fn grantees(
    scope: &Scope<'_>,
    key: KeyId,
) -> Result<Vec<(GrantRecord, AccountRecord)>, Error> {
    let view = scope.view();
    let mut grantees = Vec::new();
    for grant in view.snapshot.grants_of(key)? {
        let grant = view.domain.check_grant(grant)?;
        if grant.state == GrantState::Active {
            let grantee = view
                .account(grant.grantee)?
                .ok_or(Error::Integrity("grant"))?;
            grantees.push((grant, grantee));
        }
    }
    Ok(grantees)
}

/// The transitions of SP 800-57 part 1 revision 5, section 7, without destruction, which is an act of its own.
const fn may_become(from: KeyState, to: KeyState) -> bool {
    use KeyState::{Active, Compromised, Deactivated, PreActive, Suspended};
    matches!(
        (from, to),
        (PreActive, Active | Compromised)
            | (Active, Suspended | Deactivated | Compromised)
            | (Suspended, Active | Deactivated | Compromised)
            | (Deactivated, Compromised)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_leads_back_from_where_it_must_not() {
        use KeyState::{Active, Compromised, Deactivated, Destroyed, PreActive, Suspended};
        let all = [
            PreActive,
            Active,
            Suspended,
            Deactivated,
            Compromised,
            Destroyed,
        ];
        for to in all {
            assert!(!may_become(Destroyed, to));
            assert!(!may_become(Compromised, to));
            assert!(
                !may_become(to, Destroyed),
                "destruction is an act of its own"
            );
            assert!(!may_become(to, PreActive));
            assert!(!may_become(to, to));
        }
        assert!(may_become(PreActive, Active));
        assert!(may_become(Active, Suspended) && may_become(Suspended, Active));
        assert!(!may_become(Deactivated, Active));
    }
}
