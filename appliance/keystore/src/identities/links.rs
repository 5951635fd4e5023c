//! Which account an identity is linked with, by whom and when.

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_wire::account::{AccountKind, AccountState, Done};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;
use strongroom_wire::oidc::{Identities, Identity};

use super::{Claimed, IdentityRules, NOT_LINKED, linked, log};
use crate::accounts::{check_name, new_account};
use crate::act::{Caller, Presented, Scope, View};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::mail::{self, CredentialChange};
use crate::store::{AccountKekRecord, AccountRecord, CredentialKind, IdentityLinkRecord};

/// The longest subject, in bytes: OpenID Connect Core section 2 has 255 ASCII characters.
const LONGEST_SUBJECT: usize = 255;

impl Keystore {
    /// The identities that the caller's account is linked with.
    pub fn identities(&self, caller: &Presented) -> Answer<Identities> {
        self.core.look(caller, |view, caller, _| {
            let identities = view
                .snapshot
                .identity_links_of(caller.account.id)?
                .into_iter()
                .map(|link| {
                    let link = view.domain.check_identity_link(link)?;
                    Ok(Identity {
                        issuer: link.issuer,
                        subject: link.subject,
                        created: link.created,
                        used: link.used,
                    })
                })
                .collect::<Result<_, Error>>()?;
            Ok(Identities { identities })
        })
    }

    /// The caller's account, if it may be linked with an identity: what is asked before its holder is sent to a provider.
    pub fn begin_identity_link(&self, caller: &Presented) -> Answer<AccountId> {
        self.core.look(caller, |view, caller, _| {
            may_link(caller, view.now)?;
            Ok(caller.account.id)
        })
    }

    /// Links the caller's account with an identity, with which it can be signed in from then on.
    pub fn link_identity(&self, caller: &Presented, claimed: Claimed) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::IdentityLink, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                may_link(&caller, scope.now)?;
                if linked(scope, &claimed)?.is_some() {
                    return Err(Error::Conflict(
                        "An account is linked with this identity already.".to_owned(),
                    ));
                }
                let links = scope.tx.identity_links_of(caller.account.id)?;
                if links.iter().any(|link| link.issuer == claimed.issuer) {
                    return Err(Error::Conflict(
                        "This account is linked with another identity of this provider: remove that link first.".to_owned(),
                    ));
                }
                let change = CredentialChange::Linked(claimed.issuer.clone());
                mail::tell_of_change(scope, &caller, change);
                let leaf = link(scope, caller.account.id, &claimed)?;
                Ok(Done { leaf })
            })
    }

    /// Removes the caller's link with an identity of this issuer. The last thing with which a session can be opened stays, and so does a link
    /// by which the account is in groups.
    pub fn unlink_identity(&self, caller: &Presented, issuer: String) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::IdentityUnlink, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require_recent(scope.now)?;
                let account = caller.account.id;
                let links = scope.tx.identity_links_of(account)?;
                let link = links
                    .iter()
                    .find(|link| link.issuer == issuer)
                    .ok_or(Error::IdentityNotFound)?;
                let others = links.len() > 1
                    || scope
                        .view()
                        .credential(account, CredentialKind::Opaque)?
                        .is_some()
                    || !scope.tx.passkeys_of(account)?.is_empty();
                if !others {
                    return Err(Error::Conflict(
                        "Without this identity nobody could sign in to the account.".to_owned(),
                    ));
                }
                let by_it = scope.tx.identity_memberships_of(account)?;
                if by_it.iter().any(|membership| membership.issuer == issuer) {
                    return Err(Error::Conflict(
                        "This account is in groups because the provider says so: leave them first."
                            .to_owned(),
                    ));
                }
                scope.detail.note = Some(describe(&link.issuer, &link.subject));
                scope.tx.delete_identity_link(account, &issuer)?;
                let change = CredentialChange::Unlinked(issuer.clone());
                mail::tell_of_change(scope, &caller, change);
                let leaf = scope.record(Act::IdentityUnlink)?;
                Ok(Done { leaf })
            })
    }

    /// Links an identity that signs in for the first time with an account, if the rules allow it: a new one, or one that nobody has held.
    pub(super) fn ensure_link(
        &self,
        source: IpAddr,
        claimed: &Arc<Claimed>,
        rules: IdentityRules,
    ) -> Answer<()> {
        let core = &self.core;
        // The account's KEK is wrapped here and written below.
        let _wrapping = core.rotation.wrapping();
        let number = core.domain.number;
        let name = claimed
            .name
            .as_deref()
            .and_then(|name| check_name(name).ok());
        let (is_linked, is_free) = core.glance(|view| {
            let link = view
                .snapshot
                .identity_link(number, &claimed.issuer, &claimed.subject)?;
            let account = name.as_ref().map(|name| view.account_by_name(name));
            let is_free = account
                .transpose()?
                .is_some_and(|account| account.is_none());
            Ok((link.is_some(), is_free))
        })?;
        if is_linked {
            return Ok(());
        }
        let prepared = if rules.create && is_free {
            let snapshot = core.store.snapshot().map_err(Error::from)?;
            let name = name.clone().unwrap_or_default();
            let (kind, state) = (AccountKind::Person, AccountState::Active);
            let now = core.clock.now();
            Some(new_account(
                &core.domain,
                &*snapshot,
                name,
                kind,
                state,
                Vec::new(),
                now,
            )?)
        } else {
            None
        };
        let claimed = Arc::clone(claimed);
        core.act(Act::SessionOpen, source, move |scope| {
            scope.record_strangers = true;
            // Somebody else's sign-in with the same identity may have been quicker.
            if linked(scope, &claimed)?.is_some() {
                return Ok(());
            }
            if claimed.subject.len() > LONGEST_SUBJECT {
                return Err(Error::IdentityRefused("the subject is too long"));
            }
            let name = name.as_ref().ok_or(Error::IdentityRefused(
                "the token says no name of an account",
            ))?;
            match (scope.view().account_by_name(name)?, &prepared) {
                (None, Some(prepared)) => create(scope, prepared, &claimed),
                (None, None) => Err(Error::IdentityRefused(NOT_LINKED)),
                (Some(account), _) => take_over(scope, account, &claimed, rules),
            }
        })
        .inspect_err(|refusal| log(&refusal.error))
    }
}

fn may_link(caller: &Caller, now: Timestamp) -> Result<(), Error> {
    if caller.account.kind != AccountKind::Person {
        return Err(Error::Invalid(
            "Only people sign in at an OpenID provider.".to_owned(),
        ));
    }
    caller.require_recent(now)
}

/// Makes an account for an identity.
fn create(
    scope: &mut Scope<'_>,
    (account, kek): &(AccountRecord, AccountKekRecord),
    claimed: &Claimed,
) -> Result<(), Error> {
    // Whoever signs in for the first time manages nothing, and is not told which quota it is.
    scope.require_room(Counted::Accounts, 1, false)?;
    scope.require_room(Counted::Bytes, 1, false)?;
    scope.tx.create_account(account, kek)?;
    scope.detail.subject = Some(account.id);
    scope.detail.note = Some(claimed.issuer.clone());
    scope.record(Act::IdentityCreate)?;
    link(scope, account.id, claimed).map(drop)
}

/// Gives an identity the account of its name, if nobody has held that yet.
fn take_over(
    scope: &mut Scope<'_>,
    mut account: AccountRecord,
    claimed: &Claimed,
    rules: IdentityRules,
) -> Result<(), Error> {
    scope.detail.subject = Some(account.id);
    if let Some(reason) = why_not(&scope.view(), &account, rules)? {
        return Err(Error::IdentityRefused(reason));
    }
    scope
        .tx
        .delete_credential(account.id, CredentialKind::EnrolmentCode)?;
    account.state = AccountState::Active;
    scope.domain.authenticate_account(&mut account);
    scope.tx.update_account(&account)?;
    link(scope, account.id, claimed).map(drop)
}

/// Why an identity does not get the account of its name.
fn why_not(
    view: &View<'_>,
    account: &AccountRecord,
    rules: IdentityRules,
) -> Result<Option<&'static str>, Error> {
    Ok(if account.kind != AccountKind::Person {
        Some("the account of this name is not a person's")
    } else if account.state != AccountState::Pending {
        Some("the account of this name is held already, and its holder has not linked it")
    } else if !rules.link_pending {
        Some("the provider's rules link no pending accounts")
    } else if !account.roles.is_empty() {
        Some("the account of this name has a role, so that its holder has to link it")
    } else if view.was_invited(account.id)? {
        Some("the account of this name is for whoever reads the mail with its code")
    } else {
        None
    })
}

fn link(scope: &mut Scope<'_>, account: AccountId, claimed: &Claimed) -> Result<u64, Error> {
    let mut link = IdentityLinkRecord {
        domain: scope.domain.number,
        issuer: claimed.issuer.clone(),
        subject: claimed.subject.clone(),
        account,
        created: scope.now,
        used: None,
        mac: [0; 32],
    };
    scope.domain.authenticate_identity_link(&mut link);
    scope.tx.put_identity_link(&link)?;
    scope.detail.subject = Some(account);
    scope.detail.note = Some(describe(&link.issuer, &link.subject));
    scope.record(Act::IdentityLink)
}

/// An identity as leaves name it.
fn describe(issuer: &str, subject: &str) -> String {
    format!("{issuer} {subject}")
}
