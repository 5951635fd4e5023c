//! The users of a directory: it makes their accounts, suspends and activates them, and deletes what it says of them. It comes to no key by
//! it and destroys none.

use std::sync::Arc;

use serde_json::Value;
use strongroom_scim::patch::Patch;
use strongroom_scim::{Resource, ResourceType};
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use super::groups::{self, NewKeks};
use super::invite::invite_first;
use super::{
    DirectoryCall, IfMatch, Written, check_match, invalid_value, render, retired_name, uniqueness,
};
use crate::accounts::{account_record, check_name, describe};
use crate::act::{Scope, View};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::store::{AccountRecord, CredentialKind, DirectoryAccountRecord, DirectoryRecord};

const TAKEN: &str = "There is an account with this userName already. If the directory is to manage it, an administrator puts it under its \
                     management: strongroom directory adopt.";

/// How a directory changes one of its resources. Where nothing is said of `active` any more, that stays as it was: nobody is let in again by
/// an omission.
#[derive(Debug, Clone)]
pub enum Change {
    /// By PUT: what it says from now on.
    Replace(Resource),
    /// By PATCH.
    Patch(Patch),
}

impl Change {
    /// What becomes of a resource by it.
    pub(super) fn of(
        &self,
        resource_type: ResourceType,
        before: &Resource,
    ) -> Result<Resource, Error> {
        let mut wanted = match self {
            Self::Replace(resource) => resource.clone(),
            Self::Patch(patch) => {
                let mut wanted = before.clone();
                patch.apply(resource_type, &mut wanted)?;
                wanted
            }
        };
        if let (None, Some(active)) = (wanted.get("active"), before.get("active")) {
            wanted.insert("active".to_owned(), active.clone());
        }
        Ok(wanted)
    }
}

impl Keystore {
    /// Makes a user: a pending account, whose holder is sent the one-time code where the site sends mail.
    pub fn create_user(&self, call: &DirectoryCall, resource: Resource) -> Answer<Written> {
        let core = &self.core;
        let name = user_name(&resource)?;
        let _wrapping = core.rotation.wrapping();
        // The HSM makes the KEK, so it is made before the transaction begins; a refusal lets it fall unused.
        let free = core.read(call, |view, _| Ok(view.account_by_name(&name)?.is_none()))?;
        let id = AccountId::generate();
        let prepared = if free {
            Some(core.new_kek(id, 1)?.1)
        } else {
            None
        };
        let call = call.clone();
        core.act(Act::AccountCreate, call.source, move |scope| {
            let directory = scope.directory(&call)?;
            let Some(kek) = &prepared else {
                return Err(uniqueness(TAKEN));
            };
            let mut said = new_said(scope, &directory, id, ResourceType::User, &resource)?;
            check_unique(&scope.view(), &said, true)?;
            scope.require_room(Counted::Accounts, 1, true)?;
            scope.require_room(Counted::Bytes, 1, true)?;
            let active = resource.get("active") != Some(&Value::Bool(false));
            let state = if active {
                AccountState::Pending
            } else {
                said.suspended = Some(AccountState::Pending);
                AccountState::Suspended
            };
            let account = account_record(
                scope.domain,
                id,
                name.clone(),
                AccountKind::Person,
                state,
                Vec::new(),
                scope.now,
            );
            scope.detail.subject = Some(id);
            scope.tx.create_account(&account, kek)?;
            let leaf = scope.record(Act::AccountCreate)?;
            if active {
                invite_first(scope, &directory.name, &account, &mut said)?;
            }
            scope.put_said(&mut said)?;
            Ok(Written {
                resource: render::user(&scope.view(), &account, &said)?,
                leaf: Some(leaf),
            })
        })
    }

    /// Changes a user.
    pub fn change_user(
        &self,
        call: &DirectoryCall,
        id: AccountId,
        change: Change,
        condition: IfMatch,
    ) -> Answer<Written> {
        let call = call.clone();
        self.core
            .act(Act::DirectoryWrite, call.source, move |scope| {
                let directory = scope.directory(&call)?;
                scope.detail.subject = Some(id);
                let (account, said) = scope.view().managed(&directory, AccountKind::Person, id)?;
                let before = render::user(&scope.view(), &account, &said)?;
                check_match(&condition, &before)?;
                let wanted = change.of(ResourceType::User, &before)?;
                write(scope, &directory, account, said, &before, &wanted)
            })
    }

    /// Deletes a user: its holder can sign in no more, it leaves the directory's groups, and what the directory said of it is deleted.
    /// The account stays, under a name that says nothing, and so do its keys.
    pub fn delete_user(
        &self,
        call: &DirectoryCall,
        id: AccountId,
        condition: IfMatch,
    ) -> Answer<u64> {
        let core = &self.core;
        let _wrapping = core.rotation.wrapping();
        let left = core.read(call, |view, directory| {
            view.managed(directory, AccountKind::Person, id)?;
            groups_of(view, directory, id)
        });
        let keks = Arc::new(match left {
            Ok(groups) => NewKeks::prepare(core, &groups)?,
            // The act refuses, and records it.
            Err(_) => NewKeks::default(),
        });
        let call = call.clone();
        core.act(Act::DirectoryWrite, call.source, move |scope| {
            let directory = scope.directory(&call)?;
            scope.detail.subject = Some(id);
            let (mut account, said) = scope.view().managed(&directory, AccountKind::Person, id)?;
            check_match(&condition, &render::user(&scope.view(), &account, &said)?)?;
            refuse_roles(&account)?;
            for group in groups_of(&scope.view(), &directory, id)? {
                groups::remove(scope, group, &[id], &keks)?;
            }
            account.name = retired_name(id);
            account.state = AccountState::Suspended;
            scope.domain.authenticate_account(&mut account);
            scope.tx.retire_account(&account)?;
            scope.tx.delete_directory_account(id)?;
            scope.detail.subject = Some(id);
            scope.detail.note = Some(describe(&account));
            scope.record(Act::AccountUpdate)?;
            scope.detail.note = Some("deleted".to_owned());
            scope.record(Act::DirectoryWrite)
        })
    }
}

/// What a directory says of a new account.
pub(super) fn new_said(
    scope: &Scope<'_>,
    directory: &DirectoryRecord,
    account: AccountId,
    resource_type: ResourceType,
    resource: &Resource,
) -> Result<DirectoryAccountRecord, Error> {
    let (name, external_id, document) = render::kept(resource_type, resource)?;
    Ok(DirectoryAccountRecord {
        account,
        directory: directory.id,
        kind: render::kind_of(resource_type),
        name,
        external_id,
        document,
        suspended: None,
        invited: None,
        created: scope.now,
        updated: scope.now,
        mac: [0; 32],
    })
}

/// Refuses a name (of a user) or an `externalId` that another resource has.
pub(super) fn check_unique(
    view: &View<'_>,
    said: &DirectoryAccountRecord,
    name_is_new: bool,
) -> Result<(), Error> {
    let others = |found: Vec<DirectoryAccountRecord>| {
        found.iter().any(|other| other.account != said.account)
    };
    if said.kind == AccountKind::Person && name_is_new {
        let named =
            view.snapshot
                .directory_accounts_named(said.directory, said.kind, &said.name)?;
        let account = view.account_by_name(&said.name)?;
        if others(named) || account.is_some_and(|account| account.id != said.account) {
            return Err(uniqueness(TAKEN));
        }
    }
    if let Some(external_id) = &said.external_id {
        let known =
            view.snapshot
                .directory_accounts_known_as(said.directory, said.kind, external_id)?;
        if others(known) {
            return Err(uniqueness("Another resource has this externalId already."));
        }
    }
    Ok(())
}

/// Which attributes are not the same in both, for a leaf: their names, and nothing of what they say.
pub(super) fn changed(before: &Resource, wanted: &Resource, among: &[&str]) -> Option<String> {
    let changed: Vec<&str> = among
        .iter()
        .copied()
        .filter(|name| before.get(*name) != wanted.get(*name))
        .collect();
    (!changed.is_empty()).then(|| changed.join(", "))
}

fn write(
    scope: &mut Scope<'_>,
    directory: &DirectoryRecord,
    mut account: AccountRecord,
    mut said: DirectoryAccountRecord,
    before: &Resource,
    wanted: &Resource,
) -> Result<Written, Error> {
    const KEPT: [&str; 5] = ["userName", "externalId", "name", "displayName", "emails"];
    let mut leaf = None;
    if let Some(names) = changed(before, wanted, &KEPT) {
        user_name(wanted)?;
        let old_name = said.name.clone();
        (said.name, said.external_id, said.document) = render::kept(ResourceType::User, wanted)?;
        check_unique(&scope.view(), &said, said.name != old_name)?;
        scope.detail.note = Some(names);
        leaf = Some(scope.record(Act::DirectoryWrite)?);
    }
    let active = |resource: &Resource| resource.get("active") != Some(&Value::Bool(false));
    if active(before) != active(wanted) {
        if active(wanted) {
            activate(scope, directory, &mut account, &mut said)?;
        } else {
            suspend(scope, &mut account, &mut said)?;
        }
        scope.detail.note = Some(describe(&account));
        leaf = Some(scope.record(Act::AccountUpdate)?);
        if account.state == AccountState::Pending {
            scope.detail.note = None;
            invite_first(scope, &directory.name, &account, &mut said)?;
        }
    }
    if leaf.is_some() {
        said.updated = scope.now;
        scope.put_said(&mut said)?;
    }
    Ok(Written {
        resource: render::user(&scope.view(), &account, &said)?,
        leaf,
    })
}

fn suspend(
    scope: &mut Scope<'_>,
    account: &mut AccountRecord,
    said: &mut DirectoryAccountRecord,
) -> Result<(), Error> {
    refuse_roles(account)?;
    said.suspended = Some(account.state);
    account.state = AccountState::Suspended;
    scope.domain.authenticate_account(account);
    scope.tx.update_account(account)?;
    scope
        .tx
        .delete_credential(account.id, CredentialKind::EnrolmentCode)?;
    Ok(scope.tx.end_sessions(account.id)?)
}

fn activate(
    scope: &mut Scope<'_>,
    directory: &DirectoryRecord,
    account: &mut AccountRecord,
    said: &mut DirectoryAccountRecord,
) -> Result<(), Error> {
    debug_assert_eq!(directory.id, said.directory);
    let state = said.suspended.take().ok_or(Error::NotPermitted(
        "an administrator, because an administrator suspended the account",
    ))?;
    account.state = state;
    scope.domain.authenticate_account(account);
    Ok(scope.tx.update_account(account)?)
}

/// Whoever has a role is suspended and deleted by people alone: so the last administrator stays whatever a directory says.
fn refuse_roles(account: &AccountRecord) -> Result<(), Error> {
    if account.roles.is_empty() {
        return Ok(());
    }
    Err(Error::NotPermitted(
        "an administrator, because the account has a role",
    ))
}

/// The account's name that a `userName` stands for.
fn user_name(resource: &Resource) -> Result<String, Error> {
    let name = resource
        .get("userName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    check_name(name).map_err(|_| {
        invalid_value("A userName has 1 to 254 printable ASCII characters and no spaces.")
    })
}

/// The directory's groups that have this user.
fn groups_of(
    view: &View<'_>,
    directory: &DirectoryRecord,
    user: AccountId,
) -> Result<Vec<AccountId>, Error> {
    let mut groups = Vec::new();
    for membership in view.snapshot.memberships_of(user)? {
        let said = view.directory_account(membership.group)?;
        if said.is_some_and(|said| said.directory == directory.id) {
            groups.push(membership.group);
        }
    }
    Ok(groups)
}
