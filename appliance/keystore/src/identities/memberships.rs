//! The memberships that a provider says: at each sign-in they are brought in line with its token.
//!
//! Only groups that the configuration maps are touched, and a membership that somebody in the group has given is not the provider's to take.

use std::collections::HashMap;

use strongroom_wire::account::{AccountKind, Membership};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use super::Claimed;
use crate::accounts::normal_name;
use crate::act::{Scope, View};
use crate::error::Error;
use crate::groups::seal_membership;
use crate::keystore::Core;
use crate::rotation::begin_kek_rotation;
use crate::store::{AccountKekRecord, AccountRecord, IdentityMembershipRecord, StoreError};

/// New versions of groups' KEKs, for the groups that lose a member.
pub(super) type Prepared = HashMap<AccountId, AccountKekRecord>;

/// What is to be done.
#[derive(Default)]
struct Changes {
    added: Vec<AccountRecord>,
    removed: Vec<AccountRecord>,
}

impl Core {
    /// Makes the KEKs of the groups that a sign-in will take its account out of: the HSM makes them, so they are made before the transaction.
    pub(super) fn prepare_removals(&self, claimed: &Claimed) -> Result<Prepared, Error> {
        let removed = self.glance(|view| {
            let link = view.snapshot.identity_link(
                view.domain.number,
                &claimed.issuer,
                &claimed.subject,
            )?;
            match link {
                Some(link) => {
                    let link = view.domain.check_identity_link(link)?;
                    Ok(changes(view, link.account, claimed)?.removed)
                }
                None => Ok(Vec::new()),
            }
        });
        let removed = match removed {
            // The act meets it as well, and records it.
            Err(error) if error.is_tampering() => Vec::new(),
            removed => removed?,
        };
        removed
            .into_iter()
            .filter_map(|group| Some((group.id, group.kek_version.checked_add(1)?)))
            .map(|(group, version)| Ok((group, self.new_kek(group, version)?.1)))
            .collect()
    }
}

/// Brings an account's memberships in line with what the provider says.
pub(super) fn bring_in_line(
    scope: &mut Scope<'_>,
    account: &AccountRecord,
    claimed: &Claimed,
    prepared: &Prepared,
) -> Result<(), Error> {
    let changes = changes(&scope.view(), account.id, claimed)?;
    let mut needed: Vec<&AccountRecord> = changes.added.iter().collect();
    needed.push(account);
    scope.keks.require(&needed)?;
    for group in &changes.added {
        let kek = scope.keks.get(group.id, group.kek_version)?;
        let membership = seal_membership(scope, group, &kek, account, Membership::Member)?;
        scope.tx.add_member(&membership)?;
        let mut by_provider = IdentityMembershipRecord {
            group: group.id,
            member: account.id,
            issuer: claimed.issuer.clone(),
            created: scope.now,
            mac: [0; 32],
        };
        scope
            .domain
            .authenticate_identity_membership(&mut by_provider);
        scope.tx.put_identity_membership(&by_provider)?;
        record(scope, account.id, group.id, Act::IdentityGroupAdd)?;
    }
    for group in changes.removed {
        // Where the group has got another version since, or another mapping, the client tries again.
        let kek = prepared
            .get(&group.id)
            .filter(|kek| kek.version.checked_sub(1) == Some(group.kek_version))
            .ok_or(Error::Store(StoreError::Busy))?;
        scope.tx.remove_member(group.id, account.id)?;
        record(scope, account.id, group.id, Act::IdentityGroupRemove)?;
        begin_kek_rotation(scope, group, kek)?;
        scope.detail.note = None;
    }
    Ok(())
}

fn record(
    scope: &mut Scope<'_>,
    account: AccountId,
    group: AccountId,
    act: Act,
) -> Result<(), Error> {
    scope.detail.subject = Some(account);
    scope.detail.note = Some(group.to_string());
    scope.record(act)?;
    scope.detail.note = None;
    Ok(())
}

fn changes(view: &View<'_>, account: AccountId, claimed: &Claimed) -> Result<Changes, Error> {
    let mut changes = Changes::default();
    let Some(groups) = &claimed.groups else {
        return Ok(changes);
    };
    let held: Vec<String> = groups.held.iter().map(|name| normal_name(name)).collect();
    let memberships = view.snapshot.memberships_of(account)?;
    let given = view
        .snapshot
        .identity_memberships_of(account)?
        .into_iter()
        .map(|given| view.domain.check_identity_membership(given))
        .collect::<Result<Vec<_>, _>>()?;
    let mut mapped: Vec<String> = groups.mapped.iter().map(|name| normal_name(name)).collect();
    mapped.sort_unstable();
    mapped.dedup();
    for name in mapped {
        let group = view
            .account_by_name(&name)?
            .filter(|group| group.kind == AccountKind::Group);
        let Some(group) = group else {
            tracing::warn!(
                group = name,
                "an OpenID provider's groups are mapped to a group that is not there"
            );
            continue;
        };
        let is_member = memberships.iter().any(|other| other.group == group.id);
        let by_provider = given
            .iter()
            .any(|given| given.group == group.id && given.issuer == claimed.issuer);
        match (held.contains(&name), is_member) {
            (true, false) => changes.added.push(group),
            (false, true) if by_provider => changes.removed.push(group),
            _ => {}
        }
    }
    Ok(changes)
}
