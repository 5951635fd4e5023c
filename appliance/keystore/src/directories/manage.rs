//! What administrators do with directories: register them, renew their tokens, remove them; put accounts under their management.

use strongroom_scim::{Resource, ResourceType};
use strongroom_wire::account::{AccountKind, AccountState, Done};
use strongroom_wire::audit::Act;
use strongroom_wire::directory::{
    AddDirectory, AdoptAccount, AdoptedAccount, Directories, Directory, DirectoryWithToken,
    RenewToken,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, DirectoryId};

use super::{DirectoryToken, actor, render};
use crate::accounts::{check_name, describe, find as find_account, to_wire as account_to_wire};
use crate::act::{Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::store::{DirectoryAccountRecord, DirectoryRecord};

/// The most networks of one directory.
const MOST_NETWORKS: usize = 64;

impl Keystore {
    /// Every directory; administrators only.
    pub fn directories(&self, caller: &Presented) -> Answer<Directories> {
        self.core.look(caller, |view, caller, _| {
            caller.require(May::ManageAccounts)?;
            let directories = view
                .snapshot
                .directories(view.domain.number)?
                .into_iter()
                .map(|record| to_wire(view, &view.domain.check_directory(record)?))
                .collect::<Result<_, Error>>()?;
            Ok(Directories { directories })
        })
    }

    /// Registers a directory and makes its token; administrators only.
    pub fn add_directory(
        &self,
        caller: &Presented,
        request: AddDirectory,
    ) -> Answer<DirectoryWithToken> {
        let presented = caller.clone();
        let id = DirectoryId::generate();
        self.core
            .act(Act::DirectoryAdd, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::ManageAccounts)?;
                caller.require_recent(scope.now)?;
                let name = check_name(&request.name)?;
                let directories = scope.tx.directories(scope.domain.number)?;
                if directories.iter().any(|other| other.name == name) {
                    return Err(Error::Conflict(
                        "There is a directory with this name already.".to_owned(),
                    ));
                }
                if request.networks.len() > MOST_NETWORKS {
                    return Err(Error::Invalid(format!(
                        "A directory has at most {MOST_NETWORKS} networks."
                    )));
                }
                check_expires(request.expires, scope.now)?;
                let token = DirectoryToken::generate()?;
                let mut record = DirectoryRecord {
                    id,
                    domain: scope.domain.number,
                    name,
                    token_hash: token.hash(),
                    token_created: scope.now,
                    expires: request.expires,
                    networks: request.networks.clone(),
                    created: scope.now,
                    mac: [0; 32],
                };
                put(scope, &mut record)?;
                with_token(scope, &record, &token, "registered")
            })
    }

    /// Makes a new token for a directory, whose old one is void; administrators only.
    pub fn renew_directory_token(
        &self,
        caller: &Presented,
        directory: DirectoryId,
        request: RenewToken,
    ) -> Answer<DirectoryWithToken> {
        let presented = caller.clone();
        self.core
            .act(Act::DirectoryAdd, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(actor(directory));
                caller.require(May::ManageAccounts)?;
                caller.require_recent(scope.now)?;
                check_expires(request.expires, scope.now)?;
                let mut record = find(&scope.view(), directory)?;
                let token = DirectoryToken::generate()?;
                record.token_hash = token.hash();
                record.token_created = scope.now;
                record.expires = request.expires;
                put(scope, &mut record)?;
                with_token(scope, &record, &token, "new token")
            })
    }

    /// Removes a directory: its token is void, its users are for administrators to manage, and nobody can add members to its groups any
    /// more. Whom it suspended before enrolment is pending again. Administrators only.
    pub fn remove_directory(&self, caller: &Presented, directory: DirectoryId) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::DirectoryRemove, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(actor(directory));
                caller.require(May::ManageAccounts)?;
                let record = find(&scope.view(), directory)?;
                let suspended = scope
                    .tx
                    .directory_accounts_suspended(directory, AccountState::Pending)?;
                for said in suspended {
                    let said = scope.domain.check_directory_account(said)?;
                    to_pending_again(scope, &said)?;
                }
                scope.tx.delete_directory(directory)?;
                scope.detail.subject = Some(actor(directory));
                scope.detail.note = Some(record.name);
                let leaf = scope.record(Act::DirectoryRemove)?;
                Ok(Done { leaf })
            })
    }

    /// Puts a person's account, which somebody else has made, under a directory's management; administrators only.
    pub fn adopt_account(
        &self,
        caller: &Presented,
        directory: DirectoryId,
        request: AdoptAccount,
    ) -> Answer<AdoptedAccount> {
        let presented = caller.clone();
        self.core
            .act(Act::DirectoryAdopt, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::ManageAccounts)?;
                caller.require_recent(scope.now)?;
                let record = find(&scope.view(), directory)?;
                let account = scope.view().require_account(&request.account)?;
                scope.detail.subject = Some(account.id);
                if account.kind != AccountKind::Person || !account.roles.is_empty() {
                    return Err(Error::Conflict(
                        "Directories manage the accounts of people without a role.".to_owned(),
                    ));
                }
                if scope.view().directory_account(account.id)?.is_some() {
                    return Err(Error::Conflict(
                        "A directory manages this account already.".to_owned(),
                    ));
                }
                let resource =
                    Resource::from_iter([("userName".to_owned(), account.name.clone().into())]);
                let (name, external_id, document) = render::kept(ResourceType::User, &resource)?;
                let mut said = DirectoryAccountRecord {
                    account: account.id,
                    directory: record.id,
                    kind: account.kind,
                    name,
                    external_id,
                    document,
                    suspended: None,
                    invited: None,
                    created: scope.now,
                    updated: scope.now,
                    mac: [0; 32],
                };
                scope.put_said(&mut said)?;
                scope.detail.note = Some(format!("by {directory}"));
                let leaf = scope.record(Act::DirectoryAdopt)?;
                Ok(AdoptedAccount {
                    account: account_to_wire(&account),
                    leaf,
                })
            })
    }

    /// Takes an account from a directory's management; it stays as it is, but whom the directory suspended before enrolment is pending
    /// again. Administrators only.
    pub fn release_account(
        &self,
        caller: &Presented,
        directory: DirectoryId,
        account: AccountId,
    ) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::DirectoryAdopt, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                caller.require(May::ManageAccounts)?;
                let record = find(&scope.view(), directory)?;
                let (_, said) = scope
                    .view()
                    .managed(&record, AccountKind::Person, account)
                    .map_err(|error| match error {
                        Error::AccountNotFound(_) => Error::DirectoryNotFound,
                        error => error,
                    })?;
                to_pending_again(scope, &said)?;
                scope.tx.delete_directory_account(said.account)?;
                scope.detail.note = Some(format!("released by {directory}"));
                let leaf = scope.record(Act::DirectoryAdopt)?;
                Ok(Done { leaf })
            })
    }
}

fn find(view: &View<'_>, directory: DirectoryId) -> Result<DirectoryRecord, Error> {
    view.directory(directory)?.ok_or(Error::DirectoryNotFound)
}

/// Nobody has held an account that was suspended before enrolment: without this an administrator could neither activate nor invite it.
fn to_pending_again(scope: &mut Scope<'_>, said: &DirectoryAccountRecord) -> Result<(), Error> {
    if said.suspended != Some(AccountState::Pending) {
        return Ok(());
    }
    let mut account = find_account(&scope.view(), said.account)?;
    account.state = AccountState::Pending;
    scope.domain.authenticate_account(&mut account);
    scope.tx.update_account(&account)?;
    scope.detail.subject = Some(account.id);
    scope.detail.note = Some(describe(&account));
    scope.record(Act::AccountUpdate).map(drop)
}

fn put(scope: &mut Scope<'_>, record: &mut DirectoryRecord) -> Result<(), Error> {
    scope.domain.authenticate_directory(record);
    Ok(scope.tx.put_directory(record)?)
}

fn check_expires(expires: Option<Timestamp>, now: Timestamp) -> Result<(), Error> {
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Error::Invalid(
            "A token lapses at a moment that is to come.".to_owned(),
        ));
    }
    Ok(())
}

/// The answer with a new token, and its leaf.
fn with_token(
    scope: &mut Scope<'_>,
    record: &DirectoryRecord,
    token: &DirectoryToken,
    what: &str,
) -> Result<DirectoryWithToken, Error> {
    scope.detail.subject = Some(actor(record.id));
    scope.detail.note = Some(format!("{}: {what}", record.name));
    let leaf = scope.record(Act::DirectoryAdd)?;
    Ok(DirectoryWithToken {
        directory: to_wire(&scope.view(), record)?,
        token: token.text(),
        leaf,
    })
}

fn to_wire(view: &View<'_>, record: &DirectoryRecord) -> Result<Directory, Error> {
    let count = |kind| view.snapshot.count_directory_accounts(record.id, kind);
    Ok(Directory {
        id: record.id,
        name: record.name.clone(),
        created: record.created,
        token_created: record.token_created,
        expires: record.expires,
        networks: record.networks.clone(),
        users: count(AccountKind::Person)?,
        groups: count(AccountKind::Group)?,
    })
}
