//! The one-time code of an account that a directory made: it goes to the address that the directory gave, and to nobody else. Where
//! the site sends no mail, an administrator makes the code.

use serde_json::Value;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::{WHAT, render};
use crate::accounts::code_lasting;
use crate::act::Scope;
use crate::error::Error;
use crate::mail::{self, MailContent};
use crate::store::{AccountRecord, DirectoryAccountRecord};

/// Mails an account's holder a new code, if that can be; answers when it lapses. The record is changed, and for the caller to write.
pub(super) fn invite(
    scope: &mut Scope<'_>,
    directory: &str,
    account: &AccountRecord,
    said: &mut DirectoryAccountRecord,
) -> Result<Option<Timestamp>, Error> {
    let Some(address) = address(account, said)?.filter(|_| scope.domain.sends_mail) else {
        return Ok(None);
    };
    let policy = scope.domain.record(scope.tx.as_snapshot())?.policy;
    let lifetime = policy.accounts.invitation_lifetime;
    let (code, credential) = code_lasting(scope.domain, account.id, scope.now, lifetime.into())?;
    scope.tx.put_credential(&credential)?;
    let expires = scope.now.plus_seconds(lifetime.into());
    let content = MailContent::Account {
        account: account.name.clone(),
        by: directory.to_owned(),
        code,
        expires,
    };
    mail::put_to(scope, account, &address, &content, expires)?;
    said.invited = Some(scope.now);
    Ok(Some(expires))
}

/// Mails a new code to an account that a directory made, on an administrator's behalf, who does not see it; none where no directory manages
/// the account, or no mail can go there.
pub(crate) fn remind(
    scope: &mut Scope<'_>,
    account: &AccountRecord,
) -> Result<Option<Timestamp>, Error> {
    let Some(mut said) = scope.view().directory_account(account.id)? else {
        return Ok(None);
    };
    let directory = scope
        .view()
        .directory(said.directory)?
        .ok_or(Error::Integrity(WHAT))?;
    let expires = invite(scope, &directory.name, account, &mut said)?;
    scope.put_said(&mut said)?;
    Ok(expires)
}

/// The first invitation of an account, with its leaf.
pub(super) fn invite_first(
    scope: &mut Scope<'_>,
    directory: &str,
    account: &AccountRecord,
    said: &mut DirectoryAccountRecord,
) -> Result<(), Error> {
    if invite(scope, directory, account, said)?.is_some() {
        scope.record(Act::AccountInvite)?;
    }
    Ok(())
}

/// Where mail goes: the primary address, else the first, else the name if it is one.
fn address(
    account: &AccountRecord,
    said: &DirectoryAccountRecord,
) -> Result<Option<String>, Error> {
    let document = render::document(said)?;
    let emails = document.get("emails").and_then(Value::as_array);
    let emails: Vec<&Value> = emails.into_iter().flatten().collect();
    let primary = emails.iter().find(|email| email["primary"] == true);
    let chosen = primary.or(emails.first());
    let address = chosen
        .and_then(|email| email["value"].as_str())
        .unwrap_or(&account.name);
    Ok(mail::is_address(address).then(|| address.to_owned()))
}
