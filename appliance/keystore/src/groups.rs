//! Groups: accounts whose KEK their members hold, sealed under their own.
//!
//! Whoever holds the group's KEK opens the grants that were given to the group. Members are added by a member who manages the group and
//! so holds the KEK; an administrator who is no member can add nobody, not even themselves.

use strongroom_hsm::Aes256Key;
use strongroom_wire::account::{
    AccountKind, AddMember, Done, GroupMember, GroupMembers, Membership,
};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use crate::act::{Caller, Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::rotation::begin_kek_rotation;
use crate::seal;
use crate::store::{AccountRecord, MembershipRecord};

/// A group that an account is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnGroup {
    /// The group.
    pub group: AccountId,
    /// Its name.
    pub name: String,
    /// As what the account is a member.
    pub membership: Membership,
    /// How many members there are.
    pub members: u64,
}

const WHAT: &str = "membership";
const MANAGER: &str = "to manage the group";

impl Keystore {
    /// A group's members; for its members.
    pub fn group_members(&self, caller: &Presented, group: AccountId) -> Answer<GroupMembers> {
        self.core.look(caller, |view, caller, _| {
            own_membership(view, caller, group)?;
            let mut members = view
                .snapshot
                .members_of(group)?
                .into_iter()
                .map(|member| {
                    Ok(GroupMember {
                        account: member.member,
                        name: view.name_of(member.member)?,
                        membership: member.membership,
                    })
                })
                .collect::<Result<Vec<_>, Error>>()?;
            members.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(GroupMembers { members })
        })
    }

    /// The groups that the caller is a member of, by name.
    pub fn own_groups(&self, caller: &Presented) -> Answer<Vec<OwnGroup>> {
        self.core.look(caller, |view, caller, _| {
            let mut groups = view
                .snapshot
                .memberships_of(caller.account.id)?
                .into_iter()
                .map(|membership| {
                    own_membership(view, caller, membership.group)?;
                    let members = view.snapshot.members_of(membership.group)?;
                    Ok(OwnGroup {
                        group: membership.group,
                        name: view.name_of(membership.group)?,
                        membership: membership.membership,
                        members: members.len() as u64,
                    })
                })
                .collect::<Result<Vec<_>, Error>>()?;
            groups.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(groups)
        })
    }

    /// Adds a member: seals the group's KEK for it. By a manager of the group.
    pub fn add_member(
        &self,
        caller: &Presented,
        group: AccountId,
        request: AddMember,
    ) -> Answer<Done> {
        let presented = caller.clone();
        self.core.act(Act::GroupAdd, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            let (record, kek) = managed(&scope.view(), &caller, group)?;
            // It shares every key of the group.
            caller.require_recent(scope.now)?;
            let member = scope.view().require_account(&request.account)?;
            scope.detail.subject = Some(member.id);
            if member.kind == AccountKind::Group {
                return Err(Error::Invalid(
                    "A group cannot be a member of a group.".to_owned(),
                ));
            }
            let exists = scope
                .tx
                .members_of(group)?
                .iter()
                .any(|other| other.member == member.id);
            if exists {
                return Err(Error::Conflict(format!(
                    "{} is a member already.",
                    member.name
                )));
            }
            let membership = seal_membership(scope, &record, &kek, &member, request.membership)?;
            scope.tx.add_member(&membership)?;
            scope.detail.note = Some(group.to_string());
            let leaf = scope.record(Act::GroupAdd)?;
            Ok(Done { leaf })
        })
    }

    /// Removes a member: deletes its copy of the group's KEK and gives that a new version. What is sealed for the group from now on is sealed
    /// under the new one, and what older ones sealed is sealed again in the background. By a manager of the group, of whom one must stay, or by the
    /// member itself.
    ///
    /// The answer's leaf is that of the removal; the leaf after it records the new version.
    pub fn remove_member(
        &self,
        caller: &Presented,
        group: AccountId,
        member: AccountId,
    ) -> Answer<Done> {
        let core = &self.core;
        let _wrapping = core.rotation.wrapping();
        // The HSM makes the KEK, so it is made before the transaction begins; a refusal lets it fall unused.
        let next = core.look(caller, |view, caller, _| {
            match may_remove(view, caller, group, member) {
                Ok(record) => Ok(record.kek_version.checked_add(1)),
                // The act refuses, and records it.
                Err(Error::NotPermitted(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        let prepared = next
            .map(|version| core.new_kek(group, version))
            .transpose()?
            .map(|(_, record)| record);
        let presented = caller.clone();
        core.act(Act::GroupRemove, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            scope.detail.subject = Some(member);
            let record = may_remove(&scope.view(), &caller, group, member)?;
            let members = scope.tx.members_of(group)?;
            if !members.iter().any(|other| other.member == member) {
                return Err(Error::AccountNotFound(member.to_string()));
            }
            // A group that a directory manages has no managers among its members.
            let mut managers = members
                .iter()
                .filter(|other| other.membership == Membership::Manager)
                .map(|other| other.member);
            if managers.next() == Some(member) && managers.next().is_none() {
                return Err(Error::Conflict(
                    "This is the group's last manager: add another one first.".to_owned(),
                ));
            }
            let kek = prepared
                .as_ref()
                .filter(|kek| kek.version.checked_sub(1) == Some(record.kek_version))
                .ok_or_else(|| {
                    Error::Conflict(
                        "The group's KEK was given a new version at the same moment: try again."
                            .to_owned(),
                    )
                })?;
            scope.tx.remove_member(group, member)?;
            scope.detail.note = Some(group.to_string());
            let leaf = scope.record(Act::GroupRemove)?;
            begin_kek_rotation(scope, record, kek)?;
            Ok(Done { leaf })
        })
    }
}

/// Seals a group's KEK for a member.
pub(crate) fn seal_membership(
    scope: &Scope<'_>,
    group: &AccountRecord,
    kek: &Aes256Key,
    member: &AccountRecord,
    membership: Membership,
) -> Result<MembershipRecord, Error> {
    let mut record = MembershipRecord {
        group: group.id,
        member: member.id,
        membership,
        group_kek_version: group.kek_version,
        member_kek_version: member.kek_version,
        sealed: Vec::new(),
    };
    let member_kek = scope.keks.get(member.id, member.kek_version)?;
    record.sealed = seal::seal(&member_kek, &record.canonical(), kek.as_bytes())?;
    Ok(record)
}

/// One version of a group's KEK, for a member that proves to be one by opening its copy.
///
/// While the group's KEK is rotated, keys and memberships move to the new version one after another: a membership of one version that still
/// counts then stands for both. One of a version that counts no more is refused, so that a removed member's cannot be put back.
pub(crate) fn group_kek(
    view: &View<'_>,
    membership: &MembershipRecord,
    version: u32,
) -> Result<Aes256Key, Error> {
    let kek = open_membership(view, membership)?;
    let group = view
        .account(membership.group)?
        .ok_or(Error::Integrity(WHAT))?;
    if !group.kek_counts(membership.group_kek_version) || !group.kek_counts(version) {
        return Err(Error::Integrity(WHAT));
    }
    if membership.group_kek_version == version {
        return Ok(kek);
    }
    view.keks.get(group.id, version)
}

/// Opens a member's copy of a group's KEK.
fn open_membership(view: &View<'_>, membership: &MembershipRecord) -> Result<Aes256Key, Error> {
    let kek = view
        .keks
        .get(membership.member, membership.member_kek_version)?;
    let group_kek = seal::open(&kek, &membership.canonical(), &membership.sealed, WHAT)?;
    group_kek
        .as_slice()
        .try_into()
        .map(Aes256Key::from_bytes)
        .map_err(|_| Error::Integrity(WHAT))
}

/// The caller's membership of a group, proved by opening it, and the newest version of the group's KEK.
fn own_membership(
    view: &View<'_>,
    caller: &Caller,
    group: AccountId,
) -> Result<(MembershipRecord, Aes256Key), Error> {
    let membership = view
        .snapshot
        .memberships_of(caller.account.id)?
        .into_iter()
        .find(|membership| membership.group == group)
        .ok_or(Error::NotPermitted("to be a member of the group"))?;
    let version = view
        .account(group)?
        .ok_or(Error::Integrity(WHAT))?
        .kek_version;
    let kek = group_kek(view, &membership, version)?;
    Ok((membership, kek))
}

/// The group and its KEK, if the caller manages it.
fn managed(
    view: &View<'_>,
    caller: &Caller,
    group: AccountId,
) -> Result<(AccountRecord, Aes256Key), Error> {
    let (membership, kek) = own_membership(view, caller, group)?;
    if membership.membership != Membership::Manager {
        return Err(Error::NotPermitted(MANAGER));
    }
    let record = view.account(group)?.ok_or(Error::Integrity(WHAT))?;
    Ok((record, kek))
}

/// The group, if the caller manages it or leaves it.
fn may_remove(
    view: &View<'_>,
    caller: &Caller,
    group: AccountId,
    member: AccountId,
) -> Result<AccountRecord, Error> {
    if caller.account.id == member {
        own_membership(view, caller, group)?;
        return view.account(group)?.ok_or(Error::Integrity(WHAT));
    }
    managed(view, caller, group).map(|(record, _)| record)
}
