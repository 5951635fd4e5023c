//! Witnesses: what they are shown of the log, and what their cosignatures are worth.
//!
//! A cosignature counts if it is by a witness that the configuration names, over a checkpoint that one of the log's keys has signed and whose root is
//! that of the tree. The database is asked where to look, never whether it counts.

use std::collections::BTreeSet;

use strongroom_audit::cosignature::{self, WitnessKey};
use strongroom_audit::keys::verify_by;
use strongroom_audit::tree;
use strongroom_wire::audit::{CheckpointNote, WitnessedBy};
use strongroom_wire::encoding::Timestamp;

use crate::act::View;
use crate::checkpoint_keys;
use crate::error::Error;
use crate::hierarchy::Domain;
use crate::keystore::Keystore;
use crate::store::{Abort, Snapshot};

const WHAT: &str = "audit tree";
/// How many cosigned checkpoints are looked at before it is said that a leaf is in none.
const MOST_LOOKED_AT: u32 = 8;

/// A checkpoint that a witness is to cosign.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The log's name.
    pub origin: String,
    /// The size of the tree that the proof begins from.
    pub old: u64,
    /// The size of the checkpoint.
    pub size: u64,
    /// The consistency proof (RFC 9162 section 2.1.4) from the one to the other.
    pub proof: Vec<strongroom_audit::Hash>,
    /// The checkpoint: a signed note.
    pub checkpoint: String,
}

impl Submission {
    /// The body of `POST /add-checkpoint` (C2SP `tlog-witness`).
    #[must_use]
    pub fn to_body(&self) -> String {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;

        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&STANDARD.encode(hash.0));
            body.push('\n');
        }
        body + "\n" + &self.checkpoint
    }
}

impl Keystore {
    /// The size of the largest checkpoint that this witness is known to have cosigned; 0 where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn cosigned_size(&self, witness: &WitnessKey) -> Result<u64, Error> {
        let snapshot = self.core.store.snapshot()?;
        let number = self.core.domain.number;
        Ok(snapshot
            .newest_cosigned(number, &witness.to_string())?
            .unwrap_or(0))
    }

    /// The newest checkpoint with the proof from a tree of `old` leaves; none where there is no checkpoint yet.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the newest checkpoint is over fewer leaves; [`Error::Integrity`] when the tree is damaged; [`Error::Store`].
    pub fn submission(&self, old: u64) -> Result<Option<Submission>, Error> {
        let domain = &self.core.domain;
        let snapshot = self.core.store.snapshot()?;
        let Some((size, checkpoint)) = snapshot.newest_checkpoint(domain.number)? else {
            return Ok(None);
        };
        if old > size {
            return Err(Error::Invalid(format!(
                "the witness has seen {old} leaves, and the newest checkpoint has {size}"
            )));
        }
        let proof = tree::prove_consistency(old, size, &*snapshot.nodes(domain.number))
            .map_err(|_| Error::Integrity(WHAT))?;
        Ok(Some(Submission {
            origin: domain.origin.clone(),
            old,
            size,
            proof,
            checkpoint,
        }))
    }

    /// Keeps a witness's cosignature of the checkpoint of this size, if there is one that verifies among these signature lines. Answers its time.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there is none; [`Error::Store`].
    pub fn record_cosignature(
        &self,
        witness: &WitnessKey,
        size: u64,
        lines: &str,
    ) -> Result<Timestamp, Error> {
        let core = &self.core;
        let number = core.domain.number;
        let note = core.store.snapshot()?.checkpoint_of(number, size)?;
        let (text, _) = note
            .as_deref()
            .and_then(cosignature::split)
            .ok_or(Error::Integrity("checkpoint"))?;
        let cosignature = cosignature::find(text, lines, witness).ok_or_else(|| {
            Error::Invalid("the answer has no cosignature by the key that is configured".to_owned())
        })?;
        let (key, line) = (witness.to_string(), cosignature.line);
        core.store.write(Box::new(move |tx| {
            tx.put_cosignature(number, size, &key, &line)
                .map_err(|_| Abort)
        }))?;
        Ok(seconds(cosignature.time))
    }
}

/// Whether the leaf with this index is under a checkpoint that at least `k` of the configured witnesses have cosigned. With 0, it always is.
///
/// # Errors
///
/// [`Error::Integrity`] when the tree is damaged, [`Error::Store`].
pub(crate) fn is_cosigned(view: &View<'_>, leaf: u64, k: u32) -> Result<bool, Error> {
    if k == 0 {
        return Ok(true);
    }
    let (domain, snapshot) = (view.domain, view.snapshot);
    for size in snapshot.cosigned_sizes(domain.number, leaf, k, MOST_LOOKED_AT)? {
        if cosigners(domain, snapshot, size)?.len() >= k as usize {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The witnesses that have cosigned the checkpoint of this size, with the times and lines of their cosignatures; none where it is no checkpoint of
/// the tree as it stands.
fn cosigners(
    domain: &Domain,
    snapshot: &dyn Snapshot,
    size: u64,
) -> Result<Vec<(WitnessKey, cosignature::Cosignature)>, Error> {
    let number = domain.number;
    let Some(note) = snapshot.checkpoint_of(number, size)? else {
        return Ok(Vec::new());
    };
    let record = domain.record(snapshot)?;
    let keys = checkpoint_keys::log_keys(snapshot, &record)?;
    let signed = verify_by(&note, &keys).is_ok_and(|(checkpoint, key)| {
        let root = tree::root(size, &*snapshot.nodes(number));
        checkpoint.size == size
            && key.may_sign(size)
            && root.is_ok_and(|root| root == checkpoint.root)
    });
    let Some((text, _)) = cosignature::split(&note).filter(|_| signed) else {
        return Ok(Vec::new());
    };
    let lines: String = snapshot
        .cosignatures(number, size)?
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    // Witnesses are told apart by their keys: one with two names is one.
    let mut counted = BTreeSet::new();
    let found = domain.witnesses.iter().filter_map(|witness| {
        let cosignature = cosignature::find(text, &lines, witness)?;
        counted
            .insert(*witness.public_key())
            .then(|| (witness.clone(), cosignature))
    });
    Ok(found.collect())
}

/// Adds what witnesses say to a checkpoint that is shown: their lines to its note, and where it has fewer than `k` of them (at least one), the newest
/// checkpoint that has as many.
pub(crate) fn show(
    view: &View<'_>,
    size: u64,
    shown: &mut CheckpointNote,
    k: u32,
) -> Result<(), Error> {
    let (domain, snapshot) = (view.domain, view.snapshot);
    if domain.witnesses.is_empty() {
        return Ok(());
    }
    let found = cosigners(domain, snapshot, size)?;
    shown.witnesses = found.iter().map(by).collect();
    shown.note.extend(
        found
            .iter()
            .map(|(_, cosignature)| cosignature.line.as_str()),
    );
    let wanted = k.max(1);
    if found.len() >= wanted as usize {
        return Ok(());
    }
    for other in snapshot.cosigned_sizes(domain.number, 0, wanted, MOST_LOOKED_AT)? {
        let found = cosigners(domain, snapshot, other)?;
        let note = snapshot.checkpoint_of(domain.number, other)?;
        if found.len() >= wanted as usize
            && let Some(mut note) = note
        {
            note.extend(
                found
                    .iter()
                    .map(|(_, cosignature)| cosignature.line.as_str()),
            );
            shown.cosigned = Some(note);
            break;
        }
    }
    Ok(())
}

fn by((witness, cosignature): &(WitnessKey, cosignature::Cosignature)) -> WitnessedBy {
    WitnessedBy {
        name: witness.name().to_owned(),
        verifier_key: witness.to_string(),
        time: seconds(cosignature.time),
    }
}

fn seconds(time: u64) -> Timestamp {
    Timestamp::from_millis(time.saturating_mul(1000))
}
