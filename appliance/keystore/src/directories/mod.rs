//! Directories: what of an enterprise manages people's accounts and groups by SCIM 2.0 (RFC 7644).
//!
//! A directory is no account. It has a token and neither a session nor a transport key, and what it may ask for stands in this module:
//! nothing here opens a key or a grant. `docs/decisions/0014-what-a-directory-may-do.md` says why it is as it is.
//!
//! | module | what lives there |
//! |---|---|
//! | `manage` | administrators register directories, renew tokens, put accounts under their management |
//! | `find` | what a directory reads |
//! | `users`, `groups` | what it changes |
//! | `invite` | the one-time code of an account that a directory made |
//! | `render` | records as SCIM resources, and back |

mod find;
mod groups;
mod invite;
mod manage;
mod render;
mod users;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_scim::{Resource, ScimError, ScimType};
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, DirectoryId};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use find::Find;
pub(crate) use invite::remind;
pub use users::Change;

use crate::act::{Scope, View};
use crate::error::{Answer, Error, Refusal};
use crate::hierarchy::{Fetched, Keks};
use crate::keystore::Core;
use crate::seal;
use crate::store::{AccountRecord, DirectoryAccountRecord, DirectoryRecord};

/// What stands before the token's 32 bytes, so that whoever finds one knows what it is.
const TOKEN_PREFIX: &str = "srd_";
const WHAT: &str = "directory";
const WHAT_IT_SAYS: &str = "directory account";

/// A directory's token: 32 random bytes that it presents with each request.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DirectoryToken([u8; 32]);

impl DirectoryToken {
    /// The token that this text is: `srd_` and 32 bytes in base64url without padding.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(TOKEN_PREFIX)?;
        let mut bytes = Zeroizing::new([0; 48]);
        let length = URL_SAFE_NO_PAD
            .decode_slice(text, bytes.as_mut_slice())
            .ok()?;
        bytes.get(..length)?.try_into().ok().map(Self)
    }

    fn generate() -> Result<Self, Error> {
        seal::random().map(Self)
    }

    fn text(&self) -> String {
        format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    fn hash(&self) -> [u8; 32] {
        seal::sha256(&self.0)
    }
}

impl fmt::Debug for DirectoryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryToken(hidden)")
    }
}

/// What a directory's request presents, and the network address that it came from.
#[derive(Debug, Clone)]
pub struct DirectoryCall {
    /// The token.
    pub token: DirectoryToken,
    /// The address.
    pub source: IpAddr,
}

/// What a directory made or changed.
#[derive(Debug, Clone)]
pub struct Written {
    /// The resource as it is now.
    pub resource: Resource,
    /// The index of the audit leaf; none where nothing was to be changed.
    pub leaf: Option<u64>,
}

/// The condition of a request: the value of its header `If-Match` (RFC 9110 section 13.1.1).
pub type IfMatch = Option<String>;

impl View<'_> {
    /// A directory of the domain, its record checked.
    pub(crate) fn directory(&self, id: DirectoryId) -> Result<Option<DirectoryRecord>, Error> {
        let Some(directory) = self.snapshot.directory(id)? else {
            return Ok(None);
        };
        let directory = self.domain.check_directory(directory)?;
        Ok((directory.domain == self.domain.number).then_some(directory))
    }

    /// What a directory says of an account, the record checked.
    pub(crate) fn directory_account(
        &self,
        account: AccountId,
    ) -> Result<Option<DirectoryAccountRecord>, Error> {
        self.snapshot
            .directory_account(account)?
            .map(|record| self.domain.check_directory_account(record))
            .transpose()
    }

    /// Whether a directory had an account's code mailed, so that it is for whoever reads that mail.
    pub(crate) fn was_invited_by_directory(&self, account: AccountId) -> Result<bool, Error> {
        let said = self.directory_account(account)?;
        Ok(said.is_some_and(|said| said.invited.is_some()))
    }

    /// The directory whose token this is.
    fn whose(&self, token: &DirectoryToken) -> Result<DirectoryRecord, Error> {
        self.snapshot
            .directory_by_token(&token.hash())?
            .map(|directory| self.domain.check_directory(directory))
            .transpose()?
            .filter(|directory| directory.domain == self.domain.number)
            .ok_or(Error::NotSignedIn)
    }

    /// An account of this kind that the directory manages, and what it says of it.
    fn managed(
        &self,
        directory: &DirectoryRecord,
        kind: AccountKind,
        account: AccountId,
    ) -> Result<(AccountRecord, DirectoryAccountRecord), Error> {
        let not_found = || Error::AccountNotFound(account.to_string());
        let said = self
            .directory_account(account)?
            .filter(|said| said.directory == directory.id && said.kind == kind)
            .ok_or_else(not_found)?;
        let record = self
            .account(account)?
            .ok_or(Error::Integrity(WHAT_IT_SAYS))?;
        // What a directory manages is a person or a group, whatever a database says.
        if record.kind != kind {
            return Err(Error::Integrity(WHAT_IT_SAYS));
        }
        Ok((record, said))
    }
}

impl Scope<'_> {
    /// Finds out which directory calls, and says so in the leaves to come.
    fn directory(&mut self, call: &DirectoryCall) -> Result<DirectoryRecord, Error> {
        let directory = self.view().whose(&call.token)?;
        self.detail.actor = Some(actor(directory.id));
        admit(&directory, call.source, self.now)?;
        Ok(directory)
    }

    fn put_said(&mut self, said: &mut DirectoryAccountRecord) -> Result<(), Error> {
        self.domain.authenticate_directory_account(said);
        Ok(self.tx.put_directory_account(said)?)
    }
}

impl Core {
    /// Runs what a directory reads, and what has to be known before an act of its.
    fn read<T>(
        self: &Arc<Self>,
        call: &DirectoryCall,
        run: impl FnOnce(&View<'_>, &DirectoryRecord) -> Result<T, Error>,
    ) -> Answer<T> {
        let mut who = None;
        let result = {
            let snapshot = self.store.snapshot().map_err(Error::from)?;
            let fetched = Fetched::default();
            let keks = Keks::new(&self.domain, &fetched);
            let view = View {
                snapshot: &*snapshot,
                domain: &self.domain,
                keks: &keks,
                now: self.clock.now(),
            };
            view.whose(&call.token).and_then(|directory| {
                who = Some(actor(directory.id));
                admit(&directory, call.source, view.now)?;
                run(&view, &directory)
            })
        };
        match result {
            Err(Error::DirectoryRefused) => {
                let presented = call.clone();
                let refused = self.act(Act::DirectoryUse, call.source, move |scope| {
                    scope.directory(&presented).map(drop)
                });
                // It may have been renewed in between.
                Err(refused.err().unwrap_or(Error::DirectoryRefused.into()))
            }
            Err(error) if error.is_tampering() => {
                let found = vec![(None, error.code().as_str())];
                let who = who.map(|who| (who, None));
                let leaf = self.record_damage(call.source, who, found)?;
                Err(Refusal { error, leaf })
            }
            result => result.map_err(Refusal::from),
        }
    }
}

/// An administrator changes an account's state: what the directory did before is not the directory's to undo any more. Whom it suspended
/// before enrolment has still to enrol.
pub(crate) fn decided_by_administrator(
    scope: &mut Scope<'_>,
    account: &mut AccountRecord,
) -> Result<(), Error> {
    if let Some(mut said) = scope.view().directory_account(account.id)?
        && let Some(before) = said.suspended.take()
    {
        if before == AccountState::Pending && account.state == AccountState::Active {
            account.state = before;
        }
        scope.put_said(&mut said)?;
    }
    Ok(())
}

/// A directory as who acted, in a leaf.
const fn actor(directory: DirectoryId) -> AccountId {
    AccountId::from_bytes(*directory.as_bytes())
}

fn admit(directory: &DirectoryRecord, source: IpAddr, now: Timestamp) -> Result<(), Error> {
    let lapsed = directory.expires.is_some_and(|expires| expires <= now);
    let elsewhere = !directory.networks.is_empty()
        && !directory
            .networks
            .iter()
            .any(|network| network.contains(source));
    if lapsed || elsewhere {
        return Err(Error::DirectoryRefused);
    }
    Ok(())
}

/// Refuses what is not done to the resource that the directory has seen.
fn check_match(condition: &IfMatch, resource: &Resource) -> Result<(), Error> {
    let Some(condition) = condition else {
        return Ok(());
    };
    let version = render::version_of(resource).unwrap_or_default();
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let fits = condition
        .split(',')
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(version));
    if fits {
        Ok(())
    } else {
        Err(Error::ChangedMeanwhile)
    }
}

/// The name of an account that its directory has deleted: its own is free again, and no personal data is left in it.
fn retired_name(account: AccountId) -> String {
    format!("deleted-{account}")
}

fn uniqueness(detail: &str) -> Error {
    ScimError::new(ScimType::Uniqueness, detail).into()
}

fn invalid_value(detail: &str) -> Error {
    ScimError::new(ScimType::InvalidValue, detail).into()
}
