//! The kept checkpoint: one that is kept outside of the database, against which a rolled back or cut database shows.

use std::net::{IpAddr, Ipv4Addr};

use strongroom_audit::keys::verify_by;
use strongroom_audit::{Checkpoint, tree};
use strongroom_wire::audit::Act;

use crate::backup::{ManifestCheckpoint, Restored};
use crate::checkpoint_keys;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::store::{DocumentKind, DomainRecord, Snapshot, Store};

const WHAT: &str = "audit tree";

/// How a database stands to a checkpoint of its log that was kept outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The tree has all that the checkpoint is signed over.
    Continues,
    /// The tree ends before the checkpoint does: the database is older than the checkpoint, or was cut.
    Behind {
        /// The database's leaves.
        leaves: u64,
        /// The checkpoint's.
        known: u64,
    },
    /// The tree is as long, and its beginning is not what the checkpoint is signed over: another history.
    Diverges {
        /// The checkpoint's leaves.
        known: u64,
    },
}

/// Holds the tree of `domain` against a checkpoint. Needs no HSM and is done in the time of a few reads, as it trusts the stored nodes:
/// whether they belong to their leaves is [`verify_audit`](crate::verify_audit)'s to find.
///
/// # Errors
///
/// [`Error::Invalid`] when `note` is no checkpoint signed by this domain's log; [`Error::Domain`] when there is no such domain;
/// [`Error::Integrity`] when the tree cannot be computed; [`Error::Store`].
pub fn hold_against(store: &dyn Store, domain: &str, note: &str) -> Result<Held, Error> {
    let snapshot = store.snapshot()?;
    let record = snapshot
        .domain(domain)?
        .ok_or_else(|| Error::Domain(format!("Domain {domain:?} is not initialised.")))?;
    let (known, in_force) = verified(&*snapshot, &record, note)?;
    let leaves = snapshot.tree_size(record.number)?;
    if leaves < known.size {
        return Ok(Held::Behind {
            leaves,
            known: known.size,
        });
    }
    let root = tree::root(known.size, &*snapshot.nodes(record.number))
        .map_err(|_| Error::Integrity(WHAT))?;
    // A key that has ended signed it after that: it is of a history that was left.
    if root == known.root && in_force {
        Ok(Held::Continues)
    } else {
        Ok(Held::Diverges { known: known.size })
    }
}

/// The newest checkpoint in a database, its signature and its root checked.
pub(crate) fn newest_checkpoint(
    store: &dyn Store,
    record: &DomainRecord,
) -> Result<Option<ManifestCheckpoint>, Error> {
    let snapshot = store.snapshot()?;
    let Some((_, note)) = snapshot.newest_checkpoint(record.number)? else {
        return Ok(None);
    };
    let (signed, in_force) = verified(&*snapshot, record, &note)?;
    let root = tree::root(signed.size, &*snapshot.nodes(record.number));
    if root.map_err(|_| Error::Integrity(WHAT))? != signed.root || !in_force {
        return Err(Error::Integrity(WHAT));
    }
    Ok(Some(ManifestCheckpoint {
        size: signed.size,
        root: signed.root.0.to_vec().into(),
        note,
    }))
}

/// What a checkpoint by one of the log's keys says, and whether that key may sign its size.
fn verified(
    snapshot: &dyn Snapshot,
    record: &DomainRecord,
    note: &str,
) -> Result<(Checkpoint, bool), Error> {
    let keys = checkpoint_keys::log_keys(snapshot, record)?;
    let (checkpoint, key) = verify_by(note, &keys)
        .map_err(|error| Error::Invalid(format!("It is no checkpoint of this log: {error}.")))?;
    let in_force = key.may_sign(checkpoint.size);
    Ok((checkpoint, in_force))
}

impl Keystore {
    /// The newest signed checkpoint, its size and its note, to be kept outside of the database.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be read.
    pub fn newest_checkpoint(&self) -> Result<Option<(u64, String)>, Error> {
        let core = &self.core;
        Ok(core
            .store
            .snapshot()?
            .newest_checkpoint(core.domain.number)?)
    }

    /// Records that the database was restored from a backup, and keeps what those approved who had to, with their evidence.
    pub fn record_restore(&self, restored: &Restored) -> Answer<u64> {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (note, approved) = (restored.note(), restored.approved.clone());
        self.core.act(Act::DomainRestore, here, move |scope| {
            if let Some(approved) = &approved {
                scope.put_document(DocumentKind::Request, &approved.request.0)?;
                scope.put_document(DocumentKind::Evidence, &approved.evidence.0)?;
            }
            scope.detail.note = Some(note.clone());
            scope.record(Act::DomainRestore)
        })
    }
}
