//! Attestation of the machine: who may ask for it, which state of the log a quote is bound to, and the leaves of those that nobody asked for. What a
//! quote is, and whether it holds, those know who serve the keystore.

use strongroom_audit::tree;
use strongroom_wire::audit::Act;

use crate::act::Presented;
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, LOCALHOST};
use crate::roles::May;

/// The state of an audit log that its newest signed checkpoint is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// The log's name (origin).
    pub origin: String,
    /// How many leaves it is over; none before the first checkpoint.
    pub size: u64,
    /// The root of the tree of so many leaves.
    pub root: [u8; 32],
}

impl Keystore {
    /// Refuses who may not have the machine attested: auditors, and those who look after the machine, may.
    ///
    /// # Errors
    /// [`Error::NotPermitted`].
    pub fn may_attest(&self, caller: &Presented) -> Answer<()> {
        self.core.look(caller, |_, caller, _| {
            caller
                .require(May::ReadAudit)
                .or_else(|_| caller.require(May::RotateKeks))
        })
    }

    /// The state of the log that its newest signed checkpoint is over.
    ///
    /// # Errors
    /// [`Error::Integrity`] when the tree is damaged, [`Error::Store`].
    pub fn log_head(&self) -> Result<LogHead, Error> {
        self.core.glance(|view| {
            let number = view.domain.number;
            let newest = view.snapshot.newest_checkpoint(number)?;
            let size = newest.map_or(0, |(size, _)| size);
            let root = tree::root(size, &*view.snapshot.nodes(number))
                .map_err(|_| Error::Integrity("audit log"))?;
            Ok(LogHead {
                origin: view.domain.domain_key(view.snapshot)?.0.origin,
                size,
                root: root.0,
            })
        })
    }

    /// Records a quote that nobody asked for, or the sentence that says why there is none. Answers the leaf.
    ///
    /// # Errors
    /// [`Error::Store`] when the store does not take it.
    pub fn record_attestation(&self, quoted: Result<String, String>) -> Result<Option<u64>, Error> {
        let recorded = self
            .core
            .act(Act::ApplianceAttest, LOCALHOST, move |scope| {
                match &quoted {
                    Ok(note) => {
                        scope.detail.note = Some(note.clone());
                        scope.record(Act::ApplianceAttest)
                    }
                    Err(why) => {
                        // Nobody asked, and it leaves a leaf all the same.
                        scope.record_strangers = true;
                        scope.about = Some(why.clone());
                        Err(Error::NotAttested(why.clone()))
                    }
                }
            });
        match recorded {
            Ok(leaf) => Ok(Some(leaf)),
            Err(refusal) if matches!(refusal.error, Error::NotAttested(_)) => Ok(refusal.leaf),
            Err(refusal) => Err(refusal.error),
        }
    }
}
