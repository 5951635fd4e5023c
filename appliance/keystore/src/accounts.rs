//! Accounts: created and managed by administrators, who get no key by it.

use strongroom_hsm::Aes256Key;
use strongroom_wire::account::{
    Account, AccountKind, AccountPage, AccountState, ChangedAccount, CreateAccount, CreatedAccount,
    Membership, Role, UpdateAccount,
};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;
use strongroom_wire::proposal::ProposedRequest;

use crate::act::{Presented, Scope, View};
use crate::credentials;
use crate::directories;
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::groups;
use crate::hierarchy::Domain;
use crate::invitations;
use crate::keystore::{Keystore, Options};
use crate::roles::{self, May};
use crate::store::{
    AccountFilter, AccountKekRecord, AccountRecord, CredentialKind, CredentialRecord, Snapshot,
};

/// The longest name of an account, in bytes.
const LONGEST_NAME: usize = 254;
/// How many accounts a page has by default, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1000;

/// Which accounts to find. Members that are given must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountSearch {
    /// The name contains this.
    pub contains: Option<String>,
    /// The kind is this.
    pub kind: Option<AccountKind>,
    /// The state is this.
    pub state: Option<AccountState>,
    /// This role is among the account's.
    pub role: Option<Role>,
    /// Beginning after this name.
    pub after: Option<String>,
    /// At most so many: 1 to 1000.
    pub limit: u32,
}

impl Keystore {
    /// The caller's own account.
    pub fn own_account(&self, caller: &Presented) -> Answer<Account> {
        self.core
            .look(caller, |_, caller, _| Ok(to_wire(&caller.account)))
    }

    /// Creates an account; administrators only. Keys can be shared with it at once, and its holder enrols with the code in the answer.
    /// A group comes with its first manager and without a code.
    pub fn create_account(
        &self,
        caller: &Presented,
        request: CreateAccount,
    ) -> Answer<CreatedAccount> {
        let (presented, core) = (caller.clone(), &self.core);
        let _wrapping = core.rotation.wrapping();
        // The HSM makes the KEK, so it is made before the transaction begins; a refusal lets it fall unused.
        self.core
            .look(caller, |_, caller, _| Ok(caller.may(May::ManageAccounts)))
            .and_then(|permitted| {
                let prepared = if permitted {
                    let name = check_name(&request.name)?;
                    check_roles(request.kind, &request.roles)?;
                    let state = match request.kind {
                        AccountKind::Group => AccountState::Active,
                        _ => AccountState::Pending,
                    };
                    let id = AccountId::generate();
                    let (kek, kek_record) = core.new_kek(id, 1)?;
                    let account = account_record(
                        &core.domain,
                        id,
                        name,
                        request.kind,
                        state,
                        request.roles,
                        core.clock.now(),
                    );
                    let code = match request.kind {
                        AccountKind::Group => None,
                        _ => Some(new_code(&core.domain, id, core.clock.now(), &core.options)?),
                    };
                    Some((account, kek, kek_record, code))
                } else {
                    None
                };
                let manager = request.manager;
                core.act(Act::AccountCreate, presented.source, move |scope| {
                    let caller = scope.authenticate(&presented)?;
                    caller.require(May::ManageAccounts)?;
                    let Some((account, kek, kek_record, code)) = &prepared else {
                        return Err(Error::NotPermitted(May::ManageAccounts.needs()));
                    };
                    if scope.view().account_by_name(&account.name)?.is_some() {
                        return Err(Error::AccountExists(account.name.clone()));
                    }
                    scope.require_room(Counted::Accounts, 1, true)?;
                    scope.require_room(Counted::Bytes, 1, true)?;
                    scope.detail.subject = Some(account.id);
                    if !account.roles.is_empty() {
                        // Where it takes several people to give roles, an account is made without.
                        let (account, roles) = (account.id, account.roles.clone());
                        let proposed = ProposedRequest::AccountUpdate { account, roles };
                        scope.require_quorum(&caller, &proposed, None)?;
                    }
                    scope.tx.create_account(account, kek_record)?;
                    match code {
                        Some((_, credential)) => scope.tx.put_credential(credential)?,
                        None => first_manager(scope, account, kek, manager.as_deref())?,
                    }
                    scope.detail.note = Some(describe(account));
                    let leaf = scope.record(Act::AccountCreate)?;
                    Ok(CreatedAccount {
                        account: to_wire(account),
                        enrolment_code: code.as_ref().map(|(code, _)| code.clone()),
                        enrolment_expires: code
                            .as_ref()
                            .and_then(|(_, credential)| credential.expires),
                        leaf,
                    })
                })
            })
    }

    /// A page of accounts; administrators only.
    pub fn accounts(
        &self,
        caller: &Presented,
        after: Option<String>,
        limit: Option<u32>,
    ) -> Answer<AccountPage> {
        let limit = limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        let after = after.unwrap_or_default();
        self.core.look(caller, |view, caller, _| {
            caller.require(May::ManageAccounts)?;
            let mut accounts = view
                .snapshot
                .accounts(view.domain.number, &after, limit + 1)?
                .into_iter()
                .map(|account| Ok(to_wire(&view.domain.check_account(account)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            let more = accounts.len() > limit as usize;
            accounts.truncate(limit as usize);
            let next = more
                .then(|| accounts.last().map(|account| account.name.clone()))
                .flatten();
            Ok(AccountPage { accounts, next })
        })
    }

    /// A page of the accounts that match, by name; administrators only. A search looks at so many accounts at a time that it takes no long: a page may have fewer
    /// than asked for, and tell where the search goes on.
    pub fn find_accounts(&self, caller: &Presented, search: AccountSearch) -> Answer<AccountPage> {
        let limit = search.limit.clamp(1, LONGEST_PAGE);
        self.core.look(caller, |view, caller, _| {
            caller.require(May::ManageAccounts)?;
            let filter = AccountFilter {
                contains: search.contains.as_deref().map(normal_name),
                kind: search.kind,
                state: search.state,
                role: search.role,
                after: search.after.clone().unwrap_or_default(),
                limit: limit + 1,
            };
            let found = view.snapshot.find_accounts(view.domain.number, &filter)?;
            let mut accounts = found
                .accounts
                .into_iter()
                .map(|account| Ok(to_wire(&view.domain.check_account(account)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            let more = accounts.len() > limit as usize;
            accounts.truncate(limit as usize);
            let next = if more {
                accounts.last().map(|account| account.name.clone())
            } else {
                found.looked_until
            };
            Ok(AccountPage { accounts, next })
        })
    }

    /// One account; administrators only.
    pub fn account(&self, caller: &Presented, account: AccountId) -> Answer<Account> {
        self.core.look(caller, |view, caller, _| {
            caller.require(May::ManageAccounts)?;
            find(view, account).map(|account| to_wire(&account))
        })
    }

    /// Changes an account's state or roles; administrators only. Suspending an account ends its sessions. The last active administrator
    /// stays one.
    pub fn update_account(
        &self,
        caller: &Presented,
        account: AccountId,
        request: UpdateAccount,
    ) -> Answer<ChangedAccount> {
        let presented = caller.clone();
        self.core
            .act(Act::AccountUpdate, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                caller.require(May::ManageAccounts)?;
                let mut record = find(&scope.view(), account)?;
                let before = record.clone();
                if let Some(state) = request.state {
                    change_state(&mut record, state)?;
                }
                if record.state != before.state {
                    directories::decided_by_administrator(scope, &mut record)?;
                }
                if let Some(roles) = &request.roles {
                    check_roles(record.kind, roles)?;
                    record.roles = sorted(roles);
                }
                if is_administrator(&before)
                    && !is_administrator(&record)
                    && !another_administrator(&scope.view(), account)?
                {
                    return Err(Error::Conflict(
                        "This is the last active administrator: make another one first.".to_owned(),
                    ));
                }
                if record.roles != before.roles {
                    let roles = record.roles.clone();
                    let proposed = ProposedRequest::AccountUpdate { account, roles };
                    scope.require_quorum(&caller, &proposed, None)?;
                }
                scope.domain.authenticate_account(&mut record);
                scope.tx.update_account(&record)?;
                if record.state == AccountState::Suspended {
                    scope.tx.end_sessions(account)?;
                }
                scope.detail.note = Some(describe(&record));
                let leaf = scope.record(Act::AccountUpdate)?;
                Ok(ChangedAccount {
                    account: to_wire(&record),
                    leaf,
                })
            })
    }

    /// Makes a new enrolment code for an account whose holder has not enrolled yet; administrators only. The old code is void. The code of
    /// an account that was invited by mail goes there and is not in the answer.
    pub fn invite_account(&self, caller: &Presented, account: AccountId) -> Answer<CreatedAccount> {
        let (presented, core) = (caller.clone(), self.core.clone());
        self.core
            .act(Act::AccountInvite, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                caller.require(May::ManageAccounts)?;
                let record = find(&scope.view(), account)?;
                if record.state != AccountState::Pending {
                    // A code for an enrolled account would let administrators take it over, and its keys with it.
                    return Err(Error::Conflict(format!(
                        "{} has enrolled already; a new code is for those who have not.",
                        record.name
                    )));
                }
                // What was shared with somebody who was invited by mail is for whoever reads that mail, and not for an administrator.
                let (code, expires) = if scope.view().code_goes_by_mail(account)? {
                    (None, Some(invitations::remind(scope, &caller, &record)?))
                } else {
                    let (code, credential) =
                        new_code(scope.domain, record.id, scope.now, &core.options)?;
                    scope.tx.put_credential(&credential)?;
                    (Some(code), credential.expires)
                };
                let leaf = scope.record(Act::AccountInvite)?;
                Ok(CreatedAccount {
                    account: to_wire(&record),
                    enrolment_code: code,
                    enrolment_expires: expires,
                    leaf,
                })
            })
    }
}

/// An account's name as it is kept and looked up.
pub(crate) fn normal_name(name: &str) -> String {
    name.trim().to_lowercase()
}

/// An account's name as it is kept, if it can be one.
pub(crate) fn check_name(name: &str) -> Result<String, Error> {
    let name = normal_name(name);
    if name.is_empty()
        || name.len() > LONGEST_NAME
        || !name.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Error::Invalid(format!(
            "An account's name has 1 to {LONGEST_NAME} printable ASCII characters and no spaces."
        )));
    }
    Ok(name)
}

/// A new account with the first version of its KEK.
pub(crate) fn new_account(
    domain: &Domain,
    snapshot: &dyn Snapshot,
    name: String,
    kind: AccountKind,
    state: AccountState,
    roles: Vec<Role>,
    now: Timestamp,
) -> Result<(AccountRecord, AccountKekRecord), Error> {
    let id = AccountId::generate();
    let (_, kek) = domain.new_kek(snapshot, id, 1)?;
    Ok((
        account_record(domain, id, name, kind, state, roles, now),
        kek,
    ))
}

/// A new one-time enrolment code and what it is checked against.
pub(crate) fn new_code(
    domain: &Domain,
    account: AccountId,
    now: Timestamp,
    options: &Options,
) -> Result<(String, CredentialRecord), Error> {
    let lifetime = options.enrolment_lifetime.as_secs();
    code_lasting(domain, account, now, lifetime)
}

/// The same, good for so many seconds.
pub(crate) fn code_lasting(
    domain: &Domain,
    account: AccountId,
    now: Timestamp,
    lifetime: u64,
) -> Result<(String, CredentialRecord), Error> {
    let code = credentials::generate_code()?;
    let mut credential = CredentialRecord::new(
        account,
        CredentialKind::EnrolmentCode,
        credentials::code_hash(&code).to_vec(),
        Some(now.plus_seconds(lifetime)),
        now,
    );
    domain.authenticate_credential(&mut credential);
    Ok((code, credential))
}

/// An account as the API shows it.
pub(crate) fn to_wire(account: &AccountRecord) -> Account {
    Account {
        id: account.id,
        name: account.name.clone(),
        kind: account.kind,
        state: account.state,
        roles: account.roles.clone(),
        created: account.created,
    }
}

pub(crate) fn account_record(
    domain: &Domain,
    id: AccountId,
    name: String,
    kind: AccountKind,
    state: AccountState,
    roles: Vec<Role>,
    now: Timestamp,
) -> AccountRecord {
    let mut record = AccountRecord {
        id,
        domain: domain.number,
        name,
        kind,
        state,
        roles: sorted(&roles),
        kek_version: 1,
        oldest_kek_version: 1,
        created: now,
        mac: [0; 32],
    };
    domain.authenticate_account(&mut record);
    record
}

fn first_manager(
    scope: &mut Scope<'_>,
    group: &AccountRecord,
    kek: &Aes256Key,
    manager: Option<&str>,
) -> Result<(), Error> {
    let manager = manager.ok_or_else(|| {
        Error::Invalid("A group needs a manager: the account that adds its members.".to_owned())
    })?;
    let manager = scope.view().require_account(manager)?;
    let membership = groups::seal_membership(scope, group, kek, &manager, Membership::Manager)?;
    Ok(scope.tx.add_member(&membership)?)
}

pub(crate) fn find(view: &View<'_>, account: AccountId) -> Result<AccountRecord, Error> {
    view.account(account)?
        .ok_or_else(|| Error::AccountNotFound(account.to_string()))
}

fn change_state(record: &mut AccountRecord, state: AccountState) -> Result<(), Error> {
    let allowed = matches!(
        (record.state, state),
        (
            AccountState::Active | AccountState::Suspended,
            AccountState::Active | AccountState::Suspended
        )
    );
    if !allowed {
        return Err(Error::Conflict(
            "An enrolled account can be made active or suspended; a pending one enrols first."
                .to_owned(),
        ));
    }
    record.state = state;
    Ok(())
}

fn check_roles(kind: AccountKind, roles: &[Role]) -> Result<(), Error> {
    if kind != AccountKind::Person && !roles.is_empty() {
        return Err(Error::Invalid("Only people have roles.".to_owned()));
    }
    roles::check(roles)
}

/// Roles as an account has them.
pub(crate) fn sorted(roles: &[Role]) -> Vec<Role> {
    let mut roles = roles.to_vec();
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn is_administrator(account: &AccountRecord) -> bool {
    account.state == AccountState::Active && account.roles.contains(&Role::Administrator)
}

fn another_administrator(view: &View<'_>, than: AccountId) -> Result<bool, Error> {
    for account in view.snapshot.accounts_with_roles(view.domain.number)? {
        if account.id != than && is_administrator(&view.domain.check_account(account)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What an account is from now on, for the leaf.
pub(crate) fn describe(account: &AccountRecord) -> String {
    let state = match account.state {
        AccountState::Pending => "pending",
        AccountState::Active => "active",
        AccountState::Suspended => "suspended",
    };
    let roles: Vec<&str> = account.roles.iter().map(|role| role.as_str()).collect();
    format!("state {state}, roles [{}]", roles.join(", "))
}
