//! Grants: keys travel between people by being sealed again under the grantee's KEK; to revoke is to delete that copy.

use strongroom_wire::account::Done;
use strongroom_wire::audit::Act;
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{Grant, GrantState, Grants, Right, ShareKey, Shared};

use crate::act::{Presented, View};
use crate::error::{Answer, Error};
use crate::keys::RECIPIENT_RIGHTS;
use crate::keys::access;
use crate::keys::give;
use crate::keystore::Keystore;
use crate::policy;
use crate::store::GrantRecord;

impl Keystore {
    /// Shares a key: with no more than the caller's own rights, and within the caller's own policy.
    pub fn share(&self, caller: &Presented, key: KeyId, request: ShareKey) -> Answer<Shared> {
        policy::check(&request.policy)?;
        let presented = caller.clone();
        self.core.act(Act::KeyShare, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            scope.detail.key = Some(key);
            let access = access::require(&scope.view(), &caller, key, Right::Share)?;
            scope.detail.owner = Some(access.key.owner);
            let rights = request.rights.as_deref().unwrap_or(&RECIPIENT_RIGHTS);
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
            let policy = policy::strictest(&request.policy, &access.grant.policy);
            policy::check(&policy)?;
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
            let view = scope.view();
            let record = view
                .snapshot
                .grants_of(key)?
                .into_iter()
                .find(|record| record.id == grant)
                .ok_or(Error::GrantNotFound)?;
            let mut record = view.domain.check_grant(record)?;
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
        releases: grant.policy.max_releases.map(|_| grant.releases),
        created: grant.created,
    })
}
