//! The KEKs of one act: fetched for it before its transaction, and gone with it.

use std::collections::{HashMap, HashSet};

use strongroom_hsm::Aes256Key;
use strongroom_wire::id::AccountId;

use super::{ACCOUNT_KEK, Domain, KekName};
use crate::error::Error;
use crate::store::AccountRecord;

/// KEKs that were fetched for one act, and those that cannot be had.
#[derive(Default)]
pub(crate) struct Fetched {
    keks: HashMap<KekName, Aes256Key>,
    refused: HashSet<KekName>,
}

impl Fetched {
    pub(crate) fn put(&mut self, name: KekName, kek: Aes256Key) {
        self.keks.insert(name, kek);
    }

    /// The KEK's record does not count.
    pub(crate) fn refuse(&mut self, name: KekName) {
        self.refused.insert(name);
    }

    pub(crate) fn copy(&self) -> Self {
        let keks = self
            .keks
            .iter()
            .map(|(name, kek)| (*name, Aes256Key::from_bytes(*kek.as_bytes())))
            .collect();
        Self {
            keks,
            refused: self.refused.clone(),
        }
    }
}

/// The KEKs that one act may use: those that were fetched for it, and the cache. They are gone with it.
pub(crate) struct Keks<'a> {
    domain: &'a Domain,
    fetched: &'a Fetched,
}

impl<'a> Keks<'a> {
    pub(crate) const fn new(domain: &'a Domain, fetched: &'a Fetched) -> Self {
        Self { domain, fetched }
    }

    /// The KEK.
    ///
    /// # Errors
    ///
    /// [`Error::NeedKeks`] when it must be fetched from the HSM first: whoever runs the act does that and runs it again.
    /// [`Error::Integrity`] when it was, and its record does not count.
    pub(crate) fn get(&self, account: AccountId, version: u32) -> Result<Aes256Key, Error> {
        let name = (account, version);
        if let Some(kek) = self.fetched.keks.get(&name) {
            return Ok(Aes256Key::from_bytes(*kek.as_bytes()));
        }
        if self.fetched.refused.contains(&name) {
            return Err(Error::Integrity(ACCOUNT_KEK));
        }
        self.domain
            .keks
            .get(account, version)
            .ok_or_else(|| Error::NeedKeks(vec![name]))
    }

    /// The KEKs of many accounts at once, so that all that are missing are fetched together.
    pub(crate) fn require(&self, accounts: &[&AccountRecord]) -> Result<(), Error> {
        let mut missing = Vec::new();
        for account in accounts {
            match self.get(account.id, account.kek_version) {
                Ok(_) => {}
                Err(Error::NeedKeks(name)) => missing.extend(name),
                Err(error) => return Err(error),
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::NeedKeks(missing))
        }
    }
}
