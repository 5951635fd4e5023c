//! The log as it is fed to receivers outside, such as a site's SIEM: leaf by leaf, from where a receiver has come to.

use strongroom_audit::Event;

use crate::error::Error;
use crate::keystore::Keystore;
use crate::store::{Abort, LeafRecord};

/// A leaf on its way to a receiver.
#[derive(Debug, Clone)]
pub struct FedLeaf {
    /// Its index.
    pub index: u64,
    /// Its leaf hash (RFC 6962 section 2.1).
    pub hash: [u8; 32],
    /// What it says; none where it does not open, which verification of the log finds too.
    pub event: Option<Event>,
}

impl Keystore {
    /// The index of the leaf that the receiver of this name gets next: 0 for one that is new.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn fed_up_to(&self, receiver: &str) -> Result<u64, Error> {
        let core = &self.core;
        let snapshot = core.store.snapshot()?;
        Ok(snapshot
            .fed_up_to(core.domain.number, receiver)?
            .unwrap_or(0))
    }

    /// The receiver of this name has all leaves below `next`. Once it answers, that is durable.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn set_fed_up_to(&self, receiver: &str, next: u64) -> Result<(), Error> {
        let core = &self.core;
        let (number, receiver) = (core.domain.number, receiver.to_owned());
        core.store.write(Box::new(move |tx| {
            tx.set_fed_up_to(number, &receiver, next).map_err(|_| Abort)
        }))?;
        Ok(())
    }

    /// Leaves in order, from `first`, at most so many.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn leaves_to_feed(&self, first: u64, limit: u32) -> Result<Vec<FedLeaf>, Error> {
        let core = &self.core;
        let snapshot = core.store.snapshot()?;
        let leaves = snapshot.leaves_from(core.domain.number, first, limit)?;
        let fed = leaves
            .into_iter()
            .map(|LeafRecord { index, leaf }| FedLeaf {
                index,
                hash: leaf.hash().0,
                event: leaf.open().ok(),
            });
        Ok(fed.collect())
    }

    /// How many leaves the log has.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn leaves(&self) -> Result<u64, Error> {
        let core = &self.core;
        Ok(core.store.snapshot()?.tree_size(core.domain.number)?)
    }
}
