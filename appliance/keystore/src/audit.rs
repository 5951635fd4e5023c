//! The audit tree of a domain: who may read it, its checkpoints, proofs, and its verification.

mod search;

use strongroom_audit::keys::verify_by;
use strongroom_audit::{Detail, Event, LogKey, checkpoint, note, tree, verify};
use strongroom_wire::audit::{CheckpointNote, InclusionProof, Record, RecordPage, RecordQuery};
use strongroom_wire::id::AccountId;

use crate::act::{Caller, Presented, View};
use crate::checkpoint_keys;
use crate::cosigning;
use crate::error::{Answer, Error};
use crate::hierarchy::checkpoint_key_label;
use crate::keystore::Keystore;
use crate::recovery::transcript_note;
use crate::roles::May;
use crate::store::{DomainRecord, LeafFilter, LeafRecord, Snapshot, Store};

pub(crate) use crate::cosigning::is_cosigned;
pub use search::{FoundRecords, RecordSearch};

pub(crate) const WHAT: &str = "audit tree";
/// What stands in the note of a policy's refusal between the code and the rule's level.
const RULE: &str = " policy:";
/// How many records a page has by default, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1000;
/// How many leaves are read at once when the tree is verified.
const CHUNK: u32 = 4096;

impl Keystore {
    /// A page of audit records, the newest first: all for auditors, those that concern them or their keys for everyone else.
    pub fn records(&self, caller: &Presented, query: RecordQuery) -> Answer<RecordPage> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        self.core.look(caller, |view, caller, _| {
            let filter = LeafFilter {
                concerning: (!is_auditor(caller)).then_some(caller.account.id),
                key: query.key,
                before: query.before,
                after: query.after,
                limit: limit + 1,
            };
            let mut found = view.snapshot.find_leaves(view.domain.number, &filter)?;
            let more = found.len() > limit as usize;
            found.truncate(limit as usize);
            let next = more.then(|| found.last().map(|leaf| leaf.index)).flatten();
            let mut records = found
                .iter()
                .map(|leaf| to_wire(view, caller, leaf))
                .collect::<Result<Vec<_>, _>>()?;
            // What the leaves themselves say decides, not the rows by which they were found.
            records.retain(|record| {
                let concerned = [record.actor, record.subject, record.owner];
                (is_auditor(caller) || concerned.contains(&Some(caller.account.id)))
                    && (query.key.is_none() || query.key == record.key)
            });
            Ok(RecordPage { records, next })
        })
    }

    /// The newest signed checkpoint.
    pub fn checkpoint(&self, caller: &Presented) -> Answer<CheckpointNote> {
        if self.newest_checkpoint()?.is_none() {
            // In the first second of a log, before the background has come by.
            self.sign_checkpoint()?;
        }
        self.core
            .look(caller, |view, _, _| newest(view).map(|(_, note)| note))
    }

    /// The proof that a leaf is in the tree of the newest checkpoint; for those who may read the leaf.
    pub fn inclusion_proof(&self, caller: &Presented, index: u64) -> Answer<InclusionProof> {
        self.sign_checkpoint()?;
        self.core.look(caller, |view, caller, _| {
            let number = view.domain.number;
            let LeafRecord { leaf, .. } = view
                .snapshot
                .leaf(number, index)?
                .ok_or(Error::Invalid(format!("There is no leaf {index}.")))?;
            let event = leaf.open().map_err(|_| Error::Integrity(WHAT))?;
            let detail = &event.detail;
            let concerned =
                [detail.actor, detail.subject, detail.owner].contains(&Some(caller.account.id));
            if !is_auditor(caller) && !concerned {
                return Err(Error::NotPermitted(
                    "the role auditor, or to be concerned by the leaf",
                ));
            }
            let note = detail.note.as_deref().unwrap_or_default();
            if note.contains(RULE) && !event.done && !sees_rules(caller, detail) {
                return Err(Error::NotPermitted(
                    "to own the key, as the leaf names the rule that refused",
                ));
            }
            let (size, checkpoint) = newest(view)?;
            let hashes = tree::prove_inclusion(size, index, &*view.snapshot.nodes(number))
                .map_err(|_| Error::Integrity(WHAT))?;
            Ok(InclusionProof {
                index,
                envelope: leaf.envelope.into(),
                salt: leaf.salt.as_slice().into(),
                detail: leaf.detail.into(),
                hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
                checkpoint,
            })
        })
    }

    /// Whether a leaf is under a checkpoint that as many witnesses have cosigned as the domain's policy demands before a disclosure goes out.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when the tree is damaged, [`Error::Store`].
    pub fn is_cosigned(&self, leaf: u64) -> Result<bool, Error> {
        self.core.glance(|view| {
            let k = view.domain.record(view.snapshot)?.policy.witnesses;
            is_cosigned(view, leaf, k)
        })
    }

    /// Signs a checkpoint of the tree as it stands, unless the newest one is of that size. Answers the size.
    ///
    /// # Errors
    ///
    /// [`Error::Hsm`] when the HSM does not sign, [`Error::Store`] when the storage fails, [`Error::Integrity`] when the tree is damaged.
    pub fn sign_checkpoint(&self) -> Result<Option<u64>, Error> {
        let core = &self.core;
        let domain = &core.domain;
        let (size, root, keys) = {
            let snapshot = core.store.snapshot()?;
            let size = snapshot.tree_size(domain.number)?;
            let newest = snapshot.newest_checkpoint(domain.number)?;
            if newest.is_some_and(|(newest, _)| newest >= size) {
                return Ok(None);
            }
            let root = tree::root(size, &*snapshot.nodes(domain.number))
                .map_err(|_| Error::Integrity(WHAT))?;
            let keys = domain.checkpoint_keys(&*snapshot)?;
            let keys: Vec<_> = keys.iter().map(|key| key.key).collect();
            (size, root, keys)
        };
        let label = checkpoint_key_label(&domain.name);
        let note = checkpoint::sign(&domain.origin, size, &root, &keys, |message| {
            domain.hsm().sign(&label, message)
        })
        .map_err(|error| match error {
            checkpoint::SignError::Signer(error) => Error::Hsm(error),
            error => {
                tracing::error!(%error, "the checkpoint was not signed");
                Error::Internal("the checkpoint was not signed")
            }
        })?;
        let number = domain.number;
        core.store.write(Box::new(move |tx| {
            tx.record_checkpoint(number, size, &note)
                .map_err(|_| crate::store::Abort)
        }))?;
        Ok(Some(size))
    }
}

/// What [`verify_audit`] found.
#[derive(Debug, Clone)]
pub struct AuditReport {
    /// The origin of the domain's checkpoints.
    pub origin: String,
    /// The keys that the checkpoints were verified with, in the order in which they began.
    pub verifier_keys: Vec<LogKey>,
    /// How many leaves there are.
    pub leaves: u64,
    /// How many checkpoints there are.
    pub checkpoints: u64,
    /// The size of the newest checkpoint.
    pub newest_checkpoint_size: Option<u64>,
    /// Everything that is wrong, a sentence each; empty when all is well.
    pub problems: Vec<String>,
}

/// Recomputes a domain's whole audit tree from its leaves and holds nodes and checkpoints against it. Needs no HSM. `progress` is told how
/// many leaves of how many are done.
///
/// # Errors
///
/// [`Error::Domain`] when there is no such domain, [`Error::Store`] when the store cannot be read.
pub fn verify_audit(
    store: &dyn Store,
    domain: &str,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AuditReport, Error> {
    let snapshot = store.snapshot()?;
    let domain = snapshot
        .domain(domain)?
        .ok_or_else(|| Error::Domain(format!("Domain {domain:?} is not initialised.")))?;
    let verifier_keys = checkpoint_keys::log_keys(&*snapshot, &domain)?;
    let mut verifier =
        verify::Verifier::with_keys(verifier_keys.clone(), &domain.origin).map_err(|error| {
            Error::Domain(format!(
                "The domain's checkpoint key cannot be used: {error}."
            ))
        })?;
    let mut problems = Vec::new();
    for (size, note) in snapshot.checkpoints(domain.number)? {
        verifier.checkpoint(&note);
        let noted = verify_by(&note, &verifier_keys).map(|(checkpoint, _)| checkpoint.size);
        if noted.is_ok_and(|noted| noted != size) {
            problems.push(format!(
                "The checkpoint that is kept for {size} leaves is of another size."
            ));
        }
    }
    for (leaf, note) in snapshot.transcripts(domain.number)? {
        if !is_transcript(&*snapshot, &domain, leaf, &note)? {
            problems.push(format!(
                "The transcript that is kept for leaf {leaf} is not the one that the leaf names."
            ));
        }
    }
    let size = snapshot.tree_size(domain.number)?;
    let mut done = 0;
    progress(0, size);
    while done < size {
        let leaves = snapshot.leaves_from(domain.number, done, CHUNK)?;
        let Some(last) = leaves.last().map(|leaf| leaf.index) else {
            break;
        };
        for LeafRecord { index, leaf } in &leaves {
            verifier.leaf(*index, leaf);
        }
        let nodes = tree::node_count(done)..tree::node_count(last + 1);
        for (index, hash) in snapshot.nodes_in(domain.number, nodes)? {
            verifier.node(index, &strongroom_audit::Hash(hash));
        }
        done = last + 1;
        progress(done, size);
    }
    let beyond = tree::node_count(size)..u64::MAX;
    for (index, hash) in snapshot.nodes_in(domain.number, beyond)? {
        verifier.node(index, &strongroom_audit::Hash(hash));
    }
    let report = verifier.finish();
    problems.extend(report.problems.iter().map(ToString::to_string));
    if report.unlisted > 0 {
        problems.push(format!("{} more problems are not listed", report.unlisted));
    }
    Ok(AuditReport {
        origin: domain.origin,
        verifier_keys,
        leaves: report.leaves,
        checkpoints: report.checkpoints,
        newest_checkpoint_size: report.newest_checkpoint,
        problems,
    })
}

/// Whether the leaf names this transcript, and a key of the log has signed it.
fn is_transcript(
    snapshot: &dyn Snapshot,
    domain: &DomainRecord,
    leaf: u64,
    transcript: &str,
) -> Result<bool, Error> {
    let named = snapshot
        .leaf(domain.number, leaf)?
        .and_then(|record| record.leaf.open().ok())
        .and_then(|event| event.detail.note);
    let signed = checkpoint_keys::log_keys(snapshot, domain)?
        .iter()
        .any(|key| note::verify(transcript, &key.verifier_key).is_ok());
    Ok(signed && named == Some(transcript_note(transcript)))
}

pub(crate) fn is_auditor(caller: &Caller) -> bool {
    caller.may(May::ReadAudit)
}

pub(crate) fn newest(view: &View<'_>) -> Result<(u64, CheckpointNote), Error> {
    let domain = view.domain;
    let (size, note) = view
        .snapshot
        .newest_checkpoint(domain.number)?
        .ok_or(Error::Internal("no checkpoint has been signed yet"))?;
    let keys = checkpoint_keys::log_keys(view.snapshot, &domain.domain_key(view.snapshot)?.0)?;
    let (_, key) = verify_by(&note, &keys).map_err(|_| Error::Integrity(WHAT))?;
    let verifier_key = key.verifier_key.clone();
    let mut shown = CheckpointNote {
        note,
        verifier_key,
        witnesses: Vec::new(),
        cosigned: None,
    };
    let wanted = domain.record(view.snapshot)?.policy.witnesses;
    cosigning::show(view, size, &mut shown, wanted)?;
    Ok((size, shown))
}

/// A leaf's note as the caller may see it: of a policy's refusal, who does not own the key learns the code alone.
fn note_for(caller: &Caller, done: bool, detail: &Detail) -> Option<String> {
    let note = detail.note.as_deref()?;
    match note.split_once(RULE).filter(|_| !done) {
        Some((code, _)) if !sees_rules(caller, detail) => Some(code.to_owned()),
        _ => Some(note.to_owned()),
    }
}

/// Whether a refusal names a rule that this account, which is no auditor, does not see, as it does not own the key.
pub(crate) fn hides_rule(event: &Event, account: Option<AccountId>) -> bool {
    let note = event.detail.note.as_deref().unwrap_or_default();
    !event.done && note.contains(RULE) && event.detail.owner != account
}

fn sees_rules(caller: &Caller, detail: &Detail) -> bool {
    is_auditor(caller) || detail.owner == Some(caller.account.id)
}

fn to_wire(view: &View<'_>, caller: &Caller, record: &LeafRecord) -> Result<Record, Error> {
    let event = record.leaf.open().map_err(|_| Error::Integrity(WHAT))?;
    let detail = event.detail;
    let note = note_for(caller, event.done, &detail);
    let name = |account: Option<_>| account.map(|account| view.name_of(account)).transpose();
    Ok(Record {
        index: record.index,
        time: event.time,
        act: event.act,
        done: event.done,
        actor: detail.actor,
        actor_name: name(detail.actor)?,
        session: detail.session,
        source: detail.source.map(|source| source.to_string()),
        subject: detail.subject,
        subject_name: name(detail.subject)?,
        key: detail.key,
        key_version: detail.key_version,
        owner: detail.owner,
        grant: detail.grant,
        note,
    })
}
