//! Grants: keys travel between people by being sealed again under the grantee's KEK; to revoke is to delete that copy.

use strongroom_wire::account::Done;
use strongroom_wire::audit::Act;
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{Grant, GrantState, Grants, Right, ShareKey, Shared, UsagePolicy};

use crate::act::{Presented, View};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keys::RECIPIENT_RIGHTS;
use crate::keys::access;
use crate::keys::{give, seal_copy};
use crate::keystore::Keystore;
use crate::policy;
use crate::roles::May;
use crate::seal;
use crate::store::{CopyRecord, GrantRecord, KeyRecord};

impl Keystore {
    /// Shares a key: with no more than the caller's own rights, and within the caller's own policy.
    pub fn share(&self, caller: &Presented, key: KeyId, request: ShareKey) -> Answer<Shared> {
        let asked = policy::checked(request.policy.clone())?;
        let presented = caller.clone();
        self.core.act(Act::KeyShare, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            scope.detail.key = Some(key);
            let access = access::require(&scope.view(), &caller, key, Right::Share)?;
            scope.detail.owner = Some(access.key.owner);
            access.allow(&caller, Right::Share, scope.now)?;
            caller.require_recent(scope.now)?;
            let mut usual = RECIPIENT_RIGHTS.to_vec();
            let releasable = access.key.traits.releasable.is_by_policy();
            usual.retain(|right| *right != Right::Release || releasable);
            let rights = request.rights.as_deref().unwrap_or(&usual);
            if rights.is_empty() {
                return Err(Error::Invalid("A grant has at least one right.".to_owned()));
            }
            if !rights
                .iter()
                .all(|right| access.grant.rights.contains(right))
            {
                return Err(Error::NotPermitted(
                    "every right that is to be given, and this account has not all of them",
                ));
            }
            let grantee = scope.view().require_account(&request.grantee)?;
            scope.detail.subject = Some(grantee.id);
            let has_one = scope
                .tx
                .grants_to(key, &[grantee.id])?
                .iter()
                .any(|grant| grant.state == GrantState::Active);
            if has_one {
                return Err(Error::Conflict(format!(
                    "{} has this key already: revoke that grant first.",
                    grantee.name
                )));
            }
            scope.require_room(Counted::Bytes, 1, caller.may(May::ManageAccounts))?;
            let policy = policy::checked(policy::strictest(&asked, &access.grant.policy))?;
            let view = scope.view();
            let versions = (1..=access.key.version)
                .map(|version| Ok((version, access.open(&view, version)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            let versions: Vec<(u32, &[u8])> = versions
                .iter()
                .map(|(version, material)| (*version, material.as_slice()))
                .collect();
            let grant = give(
                scope,
                &access.key,
                &caller.account,
                &grantee,
                rights,
                &policy,
                &versions,
            )?;
            scope.detail.grant = Some(grant.id);
            let leaf = scope.record(Act::KeyShare)?;
            let grant = to_wire(&scope.view(), &grant)?;
            Ok(Shared { grant, leaf })
        })
    }

    /// Gives a grant another usage policy in place of the one it has, and seals its copies under that; by the key's owner. Releases so far
    /// stay counted.
    pub fn change_grant_policy(
        &self,
        caller: &Presented,
        key: KeyId,
        grant: GrantId,
        request: UsagePolicy,
    ) -> Answer<Shared> {
        let policy = policy::checked(request)?;
        let presented = caller.clone();
        self.core
            .act(Act::GrantPolicy, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.key = Some(key);
                scope.detail.grant = Some(grant);
                let access = access::require(&scope.view(), &caller, key, Right::Administer)?;
                scope.detail.owner = Some(access.key.owner);
                access.require_owner(&caller)?;
                caller.require_recent(scope.now)?;
                let mut record = find(&scope.view(), key, grant)?;
                scope.detail.subject = Some(record.grantee);
                if record.grantee == access.key.owner {
                    return Err(Error::Conflict(
                        "The owner's own grant has no policy of its own: change the key's."
                            .to_owned(),
                    ));
                }
                if record.state == GrantState::Revoked {
                    return Err(Error::Conflict("This grant was revoked.".to_owned()));
                }
                let before = record.clone();
                record.policy = policy.clone();
                scope.domain.authenticate_grant(&mut record);
                let copies = resealed(&scope.view(), &access.key, &before, &record)?;
                scope.tx.change_grant_policy(&record, &copies)?;
                scope.detail.note = Some(policy::describe(&policy));
                let leaf = scope.record(Act::GrantPolicy)?;
                let grant = to_wire(&scope.view(), &record)?;
                Ok(Shared { grant, leaf })
            })
    }

    /// A key's grants, for those who administer it.
    pub fn grants(&self, caller: &Presented, key: KeyId) -> Answer<Grants> {
        self.core.look(caller, |view, caller, _| {
            access::require(view, caller, key, Right::Administer)?;
            let grants = view
                .snapshot
                .grants_of(key)?
                .into_iter()
                .map(|grant| to_wire(view, &view.domain.check_grant(grant)?))
                .collect::<Result<_, _>>()?;
            Ok(Grants { grants })
        })
    }

    /// Revokes a grant: deletes the grantee's copies. By those who administer the key, and by whoever gave the grant.
    pub fn revoke(&self, caller: &Presented, key: KeyId, grant: GrantId) -> Answer<Done> {
        let presented = caller.clone();
        self.core.act(Act::KeyRevoke, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            scope.detail.key = Some(key);
            scope.detail.grant = Some(grant);
            let access =
                access::require(&scope.view(), &caller, key, Right::Share).or_else(|error| {
                    match error {
                        Error::NotPermitted(_) => {
                            access::require(&scope.view(), &caller, key, Right::Administer)
                        }
                        error => Err(error),
                    }
                })?;
            scope.detail.owner = Some(access.key.owner);
            let mut record = find(&scope.view(), key, grant)?;
            let administers = access.grant.rights.contains(&Right::Administer);
            if !administers && record.granted_by != caller.account.id {
                return Err(Error::NotPermitted("the right to administer the key"));
            }
            scope.detail.subject = Some(record.grantee);
            if record.grantee == access.key.owner {
                return Err(Error::Conflict(
                    "The owner's own grant cannot be revoked: destroy the key instead.".to_owned(),
                ));
            }
            if record.state == GrantState::Revoked {
                return Err(Error::Conflict(
                    "This grant was revoked already.".to_owned(),
                ));
            }
            record.state = GrantState::Revoked;
            scope.domain.authenticate_grant(&mut record);
            scope.tx.revoke_grant(&record)?;
            let leaf = scope.record(Act::KeyRevoke)?;
            Ok(Done { leaf })
        })
    }
}

/// A grant of a key, its record checked.
fn find(view: &View<'_>, key: KeyId, grant: GrantId) -> Result<GrantRecord, Error> {
    let record = view
        .snapshot
        .grants_of(key)?
        .into_iter()
        .find(|record| record.id == grant)
        .ok_or(Error::GrantNotFound)?;
    view.domain.check_grant(record)
}

/// Every copy of a grant, opened as the grant was and sealed as it is to be, under the newest version of the grantee's KEK.
fn resealed(
    view: &View<'_>,
    key: &KeyRecord,
    before: &GrantRecord,
    grant: &GrantRecord,
) -> Result<Vec<CopyRecord>, Error> {
    const WHAT: &str = "grant";
    let grantee = view.account(grant.grantee)?.ok_or(Error::Integrity(WHAT))?;
    let newest = view.keks.get(grantee.id, grantee.kek_version)?;
    (1..=key.version)
        .map(|version| {
            let copy = view
                .snapshot
                .copy(grant.id, version)?
                .ok_or(Error::Integrity(WHAT))?;
            let kek = view.keks.get(grantee.id, copy.kek_version)?;
            let data = before.copy_canonical(key, version, copy.kek_version);
            let material = seal::open(&kek, &data, &copy.sealed, WHAT)?;
            seal_copy(key, grant, version, &newest, grantee.kek_version, &material)
        })
        .collect()
}

fn to_wire(view: &View<'_>, grant: &GrantRecord) -> Result<Grant, Error> {
    Ok(Grant {
        id: grant.id,
        key: grant.key,
        grantee: grant.grantee,
        grantee_name: view.name_of(grant.grantee)?,
        granted_by: grant.granted_by,
        state: grant.state,
        rights: grant.rights.clone(),
        policy: grant.policy.clone(),
        releases: (grant.policy.max_releases.is_some() || grant.releases > 0)
            .then_some(grant.releases),
        created: grant.created,
    })
}
