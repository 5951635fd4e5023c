//! Invitations: a pending account for an address that has none, whose one-time code goes to that address alone. The domain's policy says
//! who may invite whom.

use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;
use strongroom_wire::invitation::{AccountPolicy, Invite, Invited, fits};

use crate::accounts::{check_name, code_lasting, new_account};
use crate::act::{Caller, Presented, Scope, View};
use crate::directories;
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::mail::{self, MailContent};
use crate::roles::May;
use crate::store::{AccountRecord, InvitationRecord};

/// What the number of invitations is counted over, in seconds.
const DAY: u64 = 24 * 3600;

impl Keystore {
    /// Invites an address: makes a pending account, with which keys can be shared at once, and mails its code. Inviting an address again
    /// that has not enrolled makes a new code.
    pub fn invite(&self, caller: &Presented, request: Invite) -> Answer<Invited> {
        let name = check_name(&request.address)?;
        let (presented, core) = (caller.clone(), &self.core);
        let _wrapping = core.rotation.wrapping();
        // The HSM makes the KEK, so it is made before the transaction begins; a refusal lets it fall unused.
        let wanted = core.look(caller, |view, caller, _| {
            Ok(may_invite(view, caller, &name).is_ok() && view.account_by_name(&name)?.is_none())
        })?;
        let prepared = if wanted {
            let (kind, state) = (AccountKind::Person, AccountState::Pending);
            let now = core.clock.now();
            let snapshot = core.store.snapshot().map_err(Error::from)?;
            Some(new_account(
                &core.domain,
                &*snapshot,
                name.clone(),
                kind,
                state,
                Vec::new(),
                now,
            )?)
        } else {
            None
        };
        core.act(Act::AccountInvite, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            let found = scope.view().account_by_name(&name)?;
            scope.detail.subject = found.as_ref().map(|account| account.id);
            may_invite(&scope.view(), &caller, &name)?;
            let account = match (found, &prepared) {
                (Some(account), _) => {
                    again(&scope.view(), &account)?;
                    account
                }
                (None, Some((account, kek))) => {
                    let tell = caller.may(May::ManageAccounts);
                    scope.require_room(Counted::Accounts, 1, tell)?;
                    scope.require_room(Counted::Bytes, 1, tell)?;
                    scope.detail.subject = Some(account.id);
                    scope.tx.create_account(account, kek)?;
                    scope.record(Act::AccountCreate)?;
                    account.clone()
                }
                // The account that there was when this began has gone: that does not happen.
                (None, None) => return Err(Error::AccountNotFound(name.clone())),
            };
            let lifetime = caller.policy.accounts.invitation_lifetime;
            let (code, credential) =
                code_lasting(scope.domain, account.id, scope.now, lifetime.into())?;
            scope.tx.put_credential(&credential)?;
            let expires = scope.now.plus_seconds(lifetime.into());
            let mut invitation = InvitationRecord {
                account: account.id,
                inviter: caller.account.id,
                created: scope.now,
                mac: [0; 32],
            };
            scope.domain.authenticate_invitation(&mut invitation);
            scope.tx.put_invitation(&invitation)?;
            let content = MailContent::Invitation {
                by: caller.account.name.clone(),
                code,
                expires,
            };
            mail::put(scope, &account, &content, expires)?;
            let leaf = scope.record(Act::AccountInvite)?;
            Ok(Invited {
                account: account.id,
                name: account.name,
                expires,
                leaf,
            })
        })
    }
}

impl View<'_> {
    /// Whether an account's code goes to an address alone, because a person or a directory invited it by mail.
    pub(crate) fn code_goes_by_mail(&self, account: AccountId) -> Result<bool, Error> {
        Ok(self.was_invited(account)? || self.was_invited_by_directory(account)?)
    }

    /// Whether a person invited an account by mail: what was shared with it is for whoever reads that.
    pub(crate) fn was_invited(&self, account: AccountId) -> Result<bool, Error> {
        let mut invited = false;
        for invitation in self.snapshot.invitations_of(account)? {
            self.domain.check_invitation(invitation)?;
            invited = true;
        }
        Ok(invited)
    }
}

/// Refuses whom the domain's policy does not let invite this address now.
fn may_invite(view: &View<'_>, caller: &Caller, address: &str) -> Result<(), Error> {
    let policy: &AccountPolicy = &caller.policy.accounts;
    let listed =
        |patterns: &[String], name: &str| patterns.iter().any(|pattern| fits(pattern, name));
    if !listed(&policy.inviters, &caller.account.name) || !listed(&policy.invitees, address) {
        return Err(Error::NotPermitted(
            "that the domain's policy lets it invite this address",
        ));
    }
    if !view.domain.sends_mail {
        return Err(Error::Conflict(
            "This site has no mail relay, so nobody can be invited by mail.".to_owned(),
        ));
    }
    if !mail::is_address(address) {
        return Err(Error::Invalid("This is no e-mail address.".to_owned()));
    }
    let since = view.now.minus_seconds(DAY);
    let sent = view.snapshot.count_invitations(caller.account.id, since)?;
    if sent >= u64::from(policy.invitations_per_day) {
        return Err(Error::InvitationsUsedUp(policy.invitations_per_day));
    }
    Ok(())
}

/// Whether an account that there is can be invited again: its holder has not enrolled, and no administrator has the code.
fn again(view: &View<'_>, account: &AccountRecord) -> Result<(), Error> {
    if account.state == AccountState::Pending && view.was_invited(account.id)? {
        Ok(())
    } else {
        Err(Error::AccountExists(account.name.clone()))
    }
}

/// Mails a new code to an account that was invited by mail, on an administrator's behalf, who does not see it.
pub(crate) fn remind(
    scope: &mut Scope<'_>,
    caller: &Caller,
    account: &AccountRecord,
) -> Result<strongroom_wire::encoding::Timestamp, Error> {
    if let Some(expires) = directories::remind(scope, account)? {
        return Ok(expires);
    }
    let lifetime = caller.policy.accounts.invitation_lifetime;
    let (code, credential) = code_lasting(scope.domain, account.id, scope.now, lifetime.into())?;
    scope.tx.put_credential(&credential)?;
    let expires = scope.now.plus_seconds(lifetime.into());
    let content = MailContent::Invitation {
        by: caller.account.name.clone(),
        code,
        expires,
    };
    mail::put(scope, account, &content, expires)?;
    Ok(expires)
}
