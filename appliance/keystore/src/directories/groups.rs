//! The groups of a directory. A directory manages the groups that it made, whole: they have no managers among their members, and nobody else
//! adds to them. Members come and go by the same seals and the same rotation as in any group.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;
use strongroom_scim::{Resource, ResourceType};
use strongroom_wire::account::{AccountKind, AccountState, Membership};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use super::users::{Change, changed, check_unique, new_said};
use super::{DirectoryCall, IfMatch, Written, check_match, invalid_value, render, retired_name};
use crate::accounts::{account_record, check_name, describe, find};
use crate::act::{Scope, View};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::groups::seal_membership;
use crate::keystore::{Core, Keystore};
use crate::rotation::begin_kek_rotation;
use crate::store::{AccountKekRecord, AccountRecord, DirectoryRecord};

/// New versions of groups' KEKs, made before the transaction in which members leave.
#[derive(Default)]
pub(super) struct NewKeks(HashMap<AccountId, AccountKekRecord>);

impl NewKeks {
    pub(super) fn prepare(core: &Arc<Core>, groups: &[AccountId]) -> Result<Self, Error> {
        let mut prepared = HashMap::new();
        for group in groups {
            let version = core.glance(|view| Ok(find(view, *group)?.kek_version.checked_add(1)))?;
            if let Some(version) = version {
                let (_, record) = core.new_kek(*group, version)?;
                prepared.insert(*group, record);
            }
        }
        Ok(Self(prepared))
    }
}

impl Keystore {
    /// Makes a group with these members.
    pub fn create_group(&self, call: &DirectoryCall, resource: Resource) -> Answer<Written> {
        let core = &self.core;
        let _wrapping = core.rotation.wrapping();
        // The HSM makes the KEK, so it is made before the transaction begins; a refusal lets it fall unused.
        core.read(call, |_, _| Ok(()))?;
        let id = AccountId::generate();
        let (kek, kek_record) = core.new_kek(id, 1)?;
        let call = call.clone();
        core.act(Act::AccountCreate, call.source, move |scope| {
            let directory = scope.directory(&call)?;
            let mut said = new_said(scope, &directory, id, ResourceType::Group, &resource)?;
            check_unique(&scope.view(), &said, true)?;
            scope.require_room(Counted::Accounts, 1, true)?;
            scope.require_room(Counted::Bytes, 1, true)?;
            let members = wanted_members(&resource)?;
            let group = account_record(
                scope.domain,
                id,
                account_name(&scope.view(), &resource, id)?,
                AccountKind::Group,
                AccountState::Active,
                Vec::new(),
                scope.now,
            );
            scope.detail.subject = Some(id);
            scope.tx.create_account(&group, &kek_record)?;
            scope.put_said(&mut said)?;
            let leaf = scope.record(Act::AccountCreate)?;
            add(scope, &directory, &group, &kek, &members)?;
            Ok(Written {
                resource: render::group(&scope.view(), &said, true)?,
                leaf: Some(leaf),
            })
        })
    }

    /// Changes a group. Where members leave, its KEK gets a new version.
    pub fn change_group(
        &self,
        call: &DirectoryCall,
        id: AccountId,
        change: Change,
        condition: IfMatch,
    ) -> Answer<Written> {
        let core = &self.core;
        let _wrapping = core.rotation.wrapping();
        let leaving = core.read(call, |view, directory| {
            let (_, said) = view.managed(directory, AccountKind::Group, id)?;
            let before = render::group(view, &said, true)?;
            let wanted = wanted_members(&change.of(ResourceType::Group, &before)?)?;
            Ok(wanted_members(&before)?
                .difference(&wanted)
                .next()
                .is_some())
        });
        // Where this is refused the act refuses, too, and records it.
        let keks = Arc::new(if matches!(leaving, Ok(true)) {
            NewKeks::prepare(core, &[id])?
        } else {
            NewKeks::default()
        });
        let call = call.clone();
        core.act(Act::DirectoryWrite, call.source, move |scope| {
            let directory = scope.directory(&call)?;
            scope.detail.subject = Some(id);
            let (group, mut said) = scope.view().managed(&directory, AccountKind::Group, id)?;
            let before = render::group(&scope.view(), &said, true)?;
            check_match(&condition, &before)?;
            let wanted = change.of(ResourceType::Group, &before)?;
            let mut leaf = None;
            if let Some(names) = changed(&before, &wanted, &["displayName", "externalId"]) {
                (said.name, said.external_id, said.document) =
                    render::kept(ResourceType::Group, &wanted)?;
                check_unique(&scope.view(), &said, true)?;
                scope.detail.note = Some(names);
                leaf = Some(scope.record(Act::DirectoryWrite)?);
            }
            let (old, new) = (wanted_members(&before)?, wanted_members(&wanted)?);
            let joining: BTreeSet<_> = new.difference(&old).copied().collect();
            if !joining.is_empty() {
                let kek = scope.keks.get(group.id, group.kek_version)?;
                leaf = add(scope, &directory, &group, &kek, &joining)?.or(leaf);
            }
            let leaving: Vec<_> = old.difference(&new).copied().collect();
            if !leaving.is_empty() {
                leaf = Some(remove(scope, id, &leaving, &keks)?);
            }
            if leaf.is_some() {
                said.updated = scope.now;
                scope.put_said(&mut said)?;
            }
            Ok(Written {
                resource: render::group(&scope.view(), &said, true)?,
                leaf,
            })
        })
    }

    /// Deletes a group: all its members leave it. The account stays, under a name that says nothing, and what was shared with it opens for
    /// nobody by it any more.
    pub fn delete_group(
        &self,
        call: &DirectoryCall,
        id: AccountId,
        condition: IfMatch,
    ) -> Answer<u64> {
        let core = &self.core;
        let _wrapping = core.rotation.wrapping();
        let found = core.read(call, |view, directory| {
            view.managed(directory, AccountKind::Group, id).map(drop)
        });
        let keks = Arc::new(match found {
            Ok(()) => NewKeks::prepare(core, &[id])?,
            Err(_) => NewKeks::default(),
        });
        let call = call.clone();
        core.act(Act::DirectoryWrite, call.source, move |scope| {
            let directory = scope.directory(&call)?;
            scope.detail.subject = Some(id);
            let (_, said) = scope.view().managed(&directory, AccountKind::Group, id)?;
            check_match(&condition, &render::group(&scope.view(), &said, true)?)?;
            let members = render::members(&scope.view(), id)?;
            if !members.is_empty() {
                remove(scope, id, &members, &keks)?;
            }
            let mut group = find(&scope.view(), id)?;
            group.name = retired_name(id);
            group.state = AccountState::Suspended;
            scope.domain.authenticate_account(&mut group);
            scope.tx.retire_account(&group)?;
            scope.tx.delete_directory_account(id)?;
            scope.detail.subject = Some(id);
            scope.detail.note = Some(describe(&group));
            scope.record(Act::AccountUpdate)?;
            scope.detail.note = Some("deleted".to_owned());
            scope.record(Act::DirectoryWrite)
        })
    }
}

/// Removes members: their copies of the group's KEK are deleted, and that gets one new version for all of them. Answers the last
/// removal's leaf.
pub(super) fn remove(
    scope: &mut Scope<'_>,
    group: AccountId,
    leaving: &[AccountId],
    keks: &NewKeks,
) -> Result<u64, Error> {
    let record = find(&scope.view(), group)?;
    let again =
        || Error::Conflict("The group was changed at the same moment: try again.".to_owned());
    let kek = keks
        .0
        .get(&group)
        .filter(|kek| kek.version.checked_sub(1) == Some(record.kek_version))
        .ok_or_else(again)?;
    let mut leaf = None;
    for member in leaving {
        scope.tx.remove_member(group, *member)?;
        scope.detail.subject = Some(*member);
        scope.detail.note = Some(group.to_string());
        leaf = Some(scope.record(Act::GroupRemove)?);
    }
    begin_kek_rotation(scope, record, kek)?;
    scope.detail.note = None;
    leaf.ok_or_else(again)
}

/// Adds members: seals the group's KEK for them. They are users of this directory. Answers the last one's leaf.
fn add(
    scope: &mut Scope<'_>,
    directory: &DirectoryRecord,
    group: &AccountRecord,
    kek: &strongroom_hsm::Aes256Key,
    joining: &BTreeSet<AccountId>,
) -> Result<Option<u64>, Error> {
    let mut accounts = Vec::with_capacity(joining.len());
    for member in joining {
        match scope
            .view()
            .managed(directory, AccountKind::Person, *member)
        {
            Ok((account, _)) => accounts.push(account),
            Err(Error::AccountNotFound(_)) => {
                return Err(invalid_value("A member is no user of this directory."));
            }
            Err(error) => return Err(error),
        }
    }
    scope.keks.require(&accounts.iter().collect::<Vec<_>>())?;
    let mut leaf = None;
    for account in &accounts {
        let membership = seal_membership(scope, group, kek, account, Membership::Member)?;
        scope.tx.add_member(&membership)?;
        scope.detail.subject = Some(account.id);
        scope.detail.note = Some(group.id.to_string());
        leaf = Some(scope.record(Act::GroupAdd)?);
    }
    scope.detail.note = None;
    Ok(leaf)
}

/// The members that a resource names.
fn wanted_members(resource: &Resource) -> Result<BTreeSet<AccountId>, Error> {
    let members = resource.get("members").and_then(Value::as_array);
    members
        .into_iter()
        .flatten()
        .map(|member| {
            member["value"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| invalid_value("A member's value is the identifier of a user."))
        })
        .collect()
}

/// The name of a group's account, by which people share with it: the group's name with `-` for what no account's name has. It stays
/// when the directory gives the group another, so that nobody shares with a group that has taken another's name.
fn account_name(view: &View<'_>, resource: &Resource, id: AccountId) -> Result<String, Error> {
    let shown = resource
        .get("displayName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut name = String::new();
    for letter in shown.to_lowercase().chars() {
        let letter = if letter.is_ascii_graphic() {
            letter
        } else {
            '-'
        };
        if letter != '-' || !name.ends_with('-') {
            name.push(letter);
        }
    }
    let mut name = name.trim_matches('-').to_owned();
    name.truncate(200);
    if name.is_empty() || view.account_by_name(&name)?.is_some() {
        // The identifier's end is random.
        let id = id.to_string();
        let end = id.rsplit('-').next().unwrap_or_default();
        name = format!("{}-{end}", if name.is_empty() { "group" } else { &name });
    }
    check_name(&name)
}
