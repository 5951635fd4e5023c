//! Mail that waits to be sent: kept in the database, so that it survives a restart, and sealed, as it can hold a one-time code.
//!
//! The keystore says what is to be told to whom; whoever serves it writes the words and hands them to the site's relay.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use strongroom_audit::Detail;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::MailId;
use zeroize::Zeroizing;

use crate::act::{Caller, Scope};
use crate::error::Error;
use crate::keystore::{Keystore, LOCALHOST};
use crate::store::{AccountRecord, OutboxRecord};

/// How long after a failure the next attempt is made, in seconds; each time twice as long.
const FIRST_PAUSE: u64 = 60;
/// The longest pause between two attempts, in seconds.
const LONGEST_PAUSE: u64 = 3600;
/// How long mail about a changed credential waits for the relay, in seconds.
const CHANGE_LIFETIME: u64 = 7 * 24 * 3600;
const WHAT: &str = "mail";

/// Mail that is due.
#[derive(Debug)]
pub struct Mail {
    /// Its identifier.
    pub id: MailId,
    /// The address.
    pub to: String,
    /// What to say.
    pub content: MailContent,
}

/// What mail says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailContent {
    /// Somebody wants to share keys with an address that had no account.
    Invitation {
        /// Who.
        by: String,
        /// The one-time code with which its holder enrols.
        code: String,
        /// When the code lapses.
        expires: Timestamp,
    },
    /// A directory has made an account.
    Account {
        /// The account's name, to enrol with.
        account: String,
        /// The directory's name.
        by: String,
        /// The one-time code with which its holder enrols.
        code: String,
        /// When the code lapses.
        expires: Timestamp,
    },
    /// A recovery of the account was started.
    RecoveryStarted {
        /// The account's name.
        account: String,
        /// Who started it.
        by: String,
        /// When it can be finished.
        effective: Timestamp,
    },
    /// A recovery of the account was approved.
    RecoveryApproved {
        /// The account's name.
        account: String,
        /// Who approved it.
        by: String,
        /// When it can be finished.
        effective: Timestamp,
    },
    /// A recovery of the account was finished: it has a new password.
    RecoveryFinished {
        /// The account's name.
        account: String,
    },
    /// A way to sign in to the account has changed.
    CredentialChanged {
        /// The account's name.
        account: String,
        /// What has changed.
        change: CredentialChange,
        /// When.
        time: Timestamp,
        /// From which address.
        source: IpAddr,
    },
    /// Something of the account's was disclosed under an order, and the delay after which its holder learns of it is over.
    Disclosure {
        /// The account's name.
        account: String,
        /// The order's reference.
        reference: String,
    },
}

/// What has changed of the ways to sign in to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialChange {
    /// There is a new password.
    Password,
    /// An authenticator app was added.
    TotpAdded,
    /// A passkey was added, with the name that its holder gave it.
    PasskeyAdded(String),
    /// There are new recovery codes.
    RecoveryCodes,
    /// A credential was removed, by its [name](strongroom_wire::credential::CredentialName).
    Removed(String),
    /// The account was linked with an identity at this provider.
    Linked(String),
    /// The link with an identity at this provider was removed.
    Unlinked(String),
}

impl fmt::Debug for MailContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invitation { .. } => "Invitation(..)",
            Self::Account { .. } => "Account(..)",
            Self::RecoveryStarted { .. } => "RecoveryStarted(..)",
            Self::RecoveryApproved { .. } => "RecoveryApproved(..)",
            Self::RecoveryFinished { .. } => "RecoveryFinished(..)",
            Self::CredentialChanged { .. } => "CredentialChanged(..)",
            Self::Disclosure { .. } => "Disclosure(..)",
        })
    }
}

impl Keystore {
    /// Mail that is due, the oldest first. What has waited too long is given up, and that is recorded.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be read or does not take it.
    pub fn due_mail(&self, limit: u32) -> Result<Vec<Mail>, Error> {
        let core = &self.core;
        let now = core.clock.now();
        let due = core
            .store
            .snapshot()?
            .due_mail(core.domain.number, now, limit)?;
        let mut mail = Vec::new();
        for record in due {
            let waits_no_more = record.expires <= now;
            let opened = (!waits_no_more).then(|| open(&core.domain, &record));
            match opened {
                Some(Ok(opened)) => mail.push(opened),
                Some(Err(error)) => {
                    tracing::error!("mail: {error}");
                    self.end_mail(record.id, Some(error.code().as_str()))?;
                }
                None => self.end_mail(record.id, Some("lapsed"))?,
            }
        }
        Ok(mail)
    }

    /// The relay has taken a piece of mail.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not take it.
    pub fn mail_sent(&self, mail: MailId) -> Result<(), Error> {
        self.end_mail(mail, None)
    }

    /// The relay has refused a piece of mail for good, or could not be reached: it is tried again later, after ever longer pauses.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not take it.
    pub fn mail_failed(&self, mail: MailId, for_good: bool) -> Result<(), Error> {
        if for_good {
            return self.end_mail(mail, Some("refused by the relay"));
        }
        self.core
            .act(Act::MailSend, LOCALHOST, move |scope| {
                if let Some(record) = scope.tx.mail(mail)? {
                    let attempts = record.attempts.saturating_add(1);
                    let next = scope.now.plus_seconds(pause_after(attempts));
                    scope.tx.retry_mail(mail, attempts, next)?;
                }
                Ok(())
            })
            .map_err(|refusal| refusal.error)
    }

    /// Mail leaves the outbox; the leaf says whether it was sent, or why not.
    fn end_mail(&self, mail: MailId, given_up: Option<&'static str>) -> Result<(), Error> {
        self.core
            .act(Act::MailSend, LOCALHOST, move |scope| {
                let Some(record) = scope.tx.mail(mail)? else {
                    return Ok(());
                };
                scope.tx.delete_mail(mail)?;
                scope.detail = Detail {
                    subject: Some(record.account),
                    note: given_up.map(str::to_owned),
                    ..Detail::default()
                };
                match given_up {
                    None => scope.record(Act::MailSend)?,
                    Some(_) => scope.record_refused(Act::MailSend)?,
                };
                Ok(())
            })
            .map_err(|refusal| refusal.error)
    }
}

/// Puts mail for an account's holder into the outbox, if the site sends mail and the account's name is an address.
pub(crate) fn put(
    scope: &mut Scope<'_>,
    account: &AccountRecord,
    content: &MailContent,
    expires: Timestamp,
) -> Result<(), Error> {
    put_to(scope, account, &account.name, content, expires)
}

/// Tells an account's holder that a way to sign in as them has changed. The change stands, whatever becomes of the mail.
pub(crate) fn tell_of_change(scope: &mut Scope<'_>, caller: &Caller, change: CredentialChange) {
    let account = &caller.account;
    let content = MailContent::CredentialChanged {
        account: account.name.clone(),
        change,
        time: scope.now,
        source: caller.source,
    };
    let expires = scope.now.plus_seconds(CHANGE_LIFETIME);
    if let Err(error) = put(scope, account, &content, expires) {
        tracing::error!(account = %account.id, %error, "nobody is told by mail of a changed credential");
    }
}

/// The same, to this address.
pub(crate) fn put_to(
    scope: &mut Scope<'_>,
    account: &AccountRecord,
    address: &str,
    content: &MailContent,
    expires: Timestamp,
) -> Result<(), Error> {
    if !scope.domain.sends_mail || !is_address(address) {
        return Ok(());
    }
    let text = serde_json::to_vec(&(address, content))
        .map(Zeroizing::new)
        .map_err(|_| Error::Internal("mail cannot be encoded"))?;
    let mut record = OutboxRecord {
        id: MailId::generate(),
        domain: scope.domain.number,
        account: account.id,
        expires,
        sealed: Vec::new(),
        attempts: 0,
        next_attempt: scope.now,
    };
    record.sealed = scope.domain.seal_secret(&record.canonical(), &text)?;
    Ok(scope.tx.put_mail(&record)?)
}

/// Whether mail can go to this name: `local@domain`, as far as that can be said without sending it.
pub(crate) fn is_address(name: &str) -> bool {
    let Some((local, domain)) = name.rsplit_once('@') else {
        return false;
    };
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let labels = || domain.split('.');
    !local.is_empty()
        && local.len() <= 64
        && local
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
        && labels().count() > 1
        && labels().all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(good)
        })
}

fn open(domain: &crate::hierarchy::Domain, record: &OutboxRecord) -> Result<Mail, Error> {
    let text = domain.open_secret(&record.canonical(), &record.sealed, WHAT)?;
    let (to, content) = serde_json::from_slice(&text).map_err(|_| Error::Integrity(WHAT))?;
    Ok(Mail {
        id: record.id,
        to,
        content,
    })
}

/// The pause after so many failures, in seconds.
fn pause_after(attempts: u32) -> u64 {
    (FIRST_PAUSE << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow() {
        assert_eq!(
            [1, 2, 3, 6, 7, 99].map(pause_after),
            [60, 120, 240, 1920, 3600, 3600]
        );
    }

    #[test]
    fn addresses_are_told_from_names() {
        for good in ["alice@example.com", "a.b+c@sub.example-site.org"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "surgery",
            "@example.com",
            "alice@",
            "alice@localhost",
            "alice@exa mple.com",
            "alice@example..com",
            "alice@-example.com",
            "a@b@example.com",
            "alice\r\nbcc:x@example.com",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
