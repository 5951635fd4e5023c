//! What acts and looks see: who asks, and the accounts of the domain.

use strongroom_session::TransportKey;
use strongroom_wire::account::AccountState;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, DirectoryId};

use super::{Caller, Presented, Proof};
use crate::error::Error;
use crate::hierarchy::{Domain, Keks};
use crate::seal;
use crate::sessions;
use crate::store::{AccountRecord, Snapshot};

/// What can be seen while an act or a look runs.
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a dyn Snapshot,
    pub(crate) domain: &'a Domain,
    pub(crate) keks: &'a Keks<'a>,
    pub(crate) now: Timestamp,
}

impl View<'_> {
    /// Finds out who presents this.
    pub(crate) fn authenticate(&self, presented: &Presented) -> Result<Caller, Error> {
        let token = match &presented.proof {
            Proof::Session(token) => token,
            Proof::Signature(admitted) => {
                return Ok(Caller {
                    proposal: presented.proposal,
                    ..admitted.caller(self, presented.source)?
                });
            }
        };
        let session = self
            .snapshot
            .session(&token.hash())?
            .filter(|session| self.now < session.expires)
            .ok_or(Error::NotSignedIn)?;
        let account = self.account(session.account)?.ok_or(Error::NotSignedIn)?;
        if account.state != AccountState::Active {
            return Err(Error::NotSignedIn);
        }
        let kek = self.keks.get(account.id, session.kek_version)?;
        let transport = seal::open(&kek, &session.canonical(), &session.sealed, "session")?;
        let transport = transport
            .as_slice()
            .try_into()
            .map(TransportKey::from_bytes)
            .map_err(|_| Error::Integrity("session"))?;
        let policy = self.domain.record(self.snapshot)?.policy;
        sessions::admit(self, &session, &policy, presented.source)?;
        Ok(Caller {
            account,
            session: Some(session.id),
            import: transport.clone(),
            transport,
            source: presented.source,
            strength: session.strength,
            confirmed: session.confirmed,
            policy,
            proposal: presented.proposal,
        })
    }

    /// An account of the domain, its record checked.
    pub(crate) fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, Error> {
        let Some(account) = self.snapshot.account(id)? else {
            return Ok(None);
        };
        let account = self.domain.check_account(account)?;
        Ok((account.domain == self.domain.number).then_some(account))
    }

    /// The account of this name, its record checked.
    pub(crate) fn account_by_name(&self, name: &str) -> Result<Option<AccountRecord>, Error> {
        self.snapshot
            .account_by_name(self.domain.number, name)?
            .map(|account| self.domain.check_account(account))
            .transpose()
    }

    /// The account of this name; an error that names it where there is none.
    pub(crate) fn require_account(&self, name: &str) -> Result<AccountRecord, Error> {
        let name = crate::accounts::normal_name(name);
        self.account_by_name(&name)?
            .ok_or(Error::AccountNotFound(name))
    }

    /// An account's name, for people.
    pub(crate) fn name_of(&self, id: AccountId) -> Result<String, Error> {
        if let Some(account) = self.account(id)? {
            return Ok(account.name);
        }
        let directory = self.directory(DirectoryId::from_bytes(*id.as_bytes()))?;
        Ok(directory.map_or_else(|| id.to_string(), |directory| directory.name))
    }
}
