//! The audit log as an account may see it, and proof of it that does not rest on the appliance's word.

pub mod bundle;

use strongroom_audit::checkpoint::{self, Checkpoint};
use strongroom_audit::proof::TlogProof;
use strongroom_audit::tree::{verify_consistency, verify_inclusion};
use strongroom_audit::{Event, Hash, Leaf};
use strongroom_wire::audit::{
    CheckpointNote, ConsistencyProof, ConsistencyQuery, InclusionProof, RecordPage, RecordQuery,
};
use strongroom_wire::encoding::Base64;

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

impl Session {
    /// A page of the audit records that concern the caller and the caller's keys, the newest first; auditors see all.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::audit::RecordQuery;
    ///
    /// let of_the_key = RecordQuery { key: Some(key), ..RecordQuery::default() };
    /// for record in session.records(&of_the_key)?.records {
    ///     println!("{} {} by {:?}", record.time, record.act, record.actor_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn records(&self, query: &RecordQuery) -> Result<RecordPage, ClientError> {
        self.call(&Call::find("/v1/audit", query))
    }

    /// The newest signed checkpoint, to be held against a verifier key with [`verify_checkpoint`].
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, verifier_key: &str) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::audit::verify_checkpoint;
    ///
    /// let checkpoint = verify_checkpoint(&session.checkpoint()?, verifier_key)?;
    /// println!("{} leaves", checkpoint.size);
    /// # Ok(())
    /// # }
    /// ```
    pub fn checkpoint(&self) -> Result<CheckpointNote, ClientError> {
        self.call(&Call::get("/v1/audit/checkpoint"))
    }

    /// The proof that a leaf is in the tree of a checkpoint, to be held against a verifier key with [`verify_proof`].
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, verifier_key: &str) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::audit::verify_proof;
    ///
    /// let (event, _) = verify_proof(&session.inclusion_proof(41)?, verifier_key)?;
    /// println!("{} {}", event.time, event.act);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inclusion_proof(&self, index: u64) -> Result<InclusionProof, ClientError> {
        self.call(&Call::get(format!("/v1/audit/{index}/proof")))
    }

    /// The proof that a tree of the log begins with an earlier one, to be held against their checkpoints with [`verify_growth`].
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, old: &strongroom_audit::Checkpoint, new: &strongroom_audit::Checkpoint) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::audit::verify_growth;
    ///
    /// verify_growth(old, new, &session.consistency_proof(old.size, new.size)?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<ConsistencyProof, ClientError> {
        let query = ConsistencyQuery {
            old,
            new: Some(new),
        };
        self.call(&Call::find("/v1/audit/consistency", &query))
    }
}

/// Whether the log only grew from one checkpoint to another, both of which were verified.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, kept: &strongroom_wire::audit::CheckpointNote, verifier_key: &str) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::audit::{verify_checkpoint, verify_growth};
///
/// let old = verify_checkpoint(kept, verifier_key)?;
/// let new = verify_checkpoint(&session.checkpoint()?, verifier_key)?;
/// verify_growth(&old, &new, &session.consistency_proof(old.size, new.size)?)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::NotProved`] when that is not proved.
pub fn verify_growth(
    old: &Checkpoint,
    new: &Checkpoint,
    proof: &ConsistencyProof,
) -> Result<(), ClientError> {
    let not_proved = |reason: &str| ClientError::NotProved(reason.to_owned());
    if old.origin != new.origin {
        return Err(not_proved("the checkpoints are of two logs"));
    }
    let hashes: Option<Vec<Hash>> = proof
        .hashes
        .iter()
        .map(|hash| bytes(hash).map(Hash))
        .collect();
    let hashes = hashes.ok_or_else(|| not_proved("a hash of the proof does not have 32 bytes"))?;
    verify_consistency(old.size, new.size, &old.root, &new.root, &hashes).map_err(|_| {
        not_proved("the newer tree does not begin with the older one: the log has two histories")
    })
}

/// The proof of a leaf in a file that others verify (C2SP `tlog-proof`).
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::audit::to_tlog_proof;
///
/// let proof = to_tlog_proof(&session.inclusion_proof(41)?)?;
/// std::fs::write("leaf-41.tlog-proof", proof.to_text())?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::NotProved`] when the appliance's proof is none.
pub fn to_tlog_proof(proof: &InclusionProof) -> Result<TlogProof, ClientError> {
    let not_proved =
        || ClientError::NotProved("a hash or a salt does not have 32 bytes".to_owned());
    let hashes: Option<Vec<Hash>> = proof
        .hashes
        .iter()
        .map(|hash| bytes(hash).map(Hash))
        .collect();
    let leaf = Leaf {
        envelope: proof.envelope.0.clone(),
        salt: bytes(&proof.salt).ok_or_else(not_proved)?,
        detail: proof.detail.0.clone(),
    };
    let hashes = hashes.ok_or_else(not_proved)?;
    let note = proof.checkpoint.note.clone();
    Ok(TlogProof::of(proof.index, &leaf, hashes, note))
}

/// What a checkpoint says, once its signature is found to be by the log with this verifier key (C2SP `signed-note`).
///
/// ```
/// use strongroom_client::audit::verify_checkpoint;
/// use strongroom_client::ErrorKind;
/// use strongroom_wire::audit::CheckpointNote;
///
/// let forged = CheckpointNote { note: "keys.example.com\n0\n".to_owned(), verifier_key: String::new(), ..CheckpointNote::default() };
/// let error = verify_checkpoint(&forged, "the verifier key that one was given").err();
/// assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Altered));
/// ```
///
/// # Errors
/// [`ClientError::NotProved`] when it is not.
pub fn verify_checkpoint(
    note: &CheckpointNote,
    verifier_key: &str,
) -> Result<Checkpoint, ClientError> {
    checkpoint::verify(&note.note, verifier_key)
        .map_err(|error| ClientError::NotProved(error.to_string()))
}

/// What a leaf says, once it is found to be in the log with this verifier key, and the checkpoint that proves it.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, released: &strongroom_client::Released, verifier_key: &str) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::audit::verify_proof;
///
/// let proof = session.inclusion_proof(released.leaf())?;
/// let (event, checkpoint) = verify_proof(&proof, verifier_key)?; // one's own copy, not the appliance's word
/// println!("{} at {}, in a log of {} leaves", event.act, event.time, checkpoint.size);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::NotProved`] when it is not.
pub fn verify_proof(
    proof: &InclusionProof,
    verifier_key: &str,
) -> Result<(Event, Checkpoint), ClientError> {
    let not_proved = |reason: &str| ClientError::NotProved(reason.to_owned());
    let checkpoint = verify_checkpoint(&proof.checkpoint, verifier_key)?;
    let hashes: Option<Vec<Hash>> = proof
        .hashes
        .iter()
        .map(|hash| bytes(hash).map(Hash))
        .collect();
    let hashes = hashes.ok_or_else(|| not_proved("a hash of the proof does not have 32 bytes"))?;
    let leaf = Leaf {
        envelope: proof.envelope.0.clone(),
        salt: bytes(&proof.salt).ok_or_else(|| not_proved("the salt does not have 32 bytes"))?,
        detail: proof.detail.0.clone(),
    };
    verify_inclusion(
        checkpoint.size,
        proof.index,
        &leaf.hash(),
        &hashes,
        &checkpoint.root,
    )
    .map_err(|error| ClientError::NotProved(error.to_string()))?;
    let event = leaf
        .open()
        .map_err(|error| ClientError::NotProved(error.to_string()))?;
    Ok((event, checkpoint))
}

fn bytes(text: &Base64) -> Option<[u8; 32]> {
    text.0.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use strongroom_audit::{Detail, RightEdge};
    use strongroom_wire::audit::Act;
    use strongroom_wire::encoding::Timestamp;

    use super::*;

    const ORIGIN: &str = "strongroom.example/default";

    /// The proof of the second of two leaves, the verifier key of its log, and what the leaf says.
    fn proof() -> (InclusionProof, String, Event) {
        let event = |act| Event {
            time: Timestamp::from_millis(1_795_802_400_123),
            act,
            done: true,
            detail: Detail::default(),
        };
        let first = Leaf::seal(&event(Act::DomainInitialise), [1; 32]);
        let second = Leaf::seal(&event(Act::KeyRelease), [2; 32]);
        let mut edge = RightEdge::empty();
        let _ = edge.append(&[first.hash(), second.hash()]);
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public: [u8; 32] = key.public_key().as_ref().try_into().unwrap();
        let note = checkpoint::sign(ORIGIN, edge.size(), &edge.root(), &[public], |text| {
            Ok::<[u8; 64], std::convert::Infallible>(key.sign(text).as_ref().try_into().unwrap())
        })
        .unwrap();
        let verifier_key = checkpoint::verifier_key(ORIGIN, &public);
        let proof = InclusionProof {
            index: 1,
            envelope: Base64(second.envelope),
            salt: Base64(second.salt.to_vec()),
            detail: Base64(second.detail),
            hashes: vec![Base64(first.hash().0.to_vec())],
            checkpoint: CheckpointNote {
                note,
                verifier_key: verifier_key.clone(),
                ..CheckpointNote::default()
            },
        };
        (proof, verifier_key, event(Act::KeyRelease))
    }

    #[test]
    fn a_leaf_in_the_log_is_proved() {
        let (proof, verifier_key, event) = proof();
        let (proved, checkpoint) = verify_proof(&proof, &verifier_key).unwrap();
        assert_eq!(proved, event);
        assert_eq!((checkpoint.size, checkpoint.origin.as_str()), (2, ORIGIN));
    }

    #[test]
    fn anything_altered_proves_nothing() {
        let (whole, verifier_key, _) = proof();
        let altered: [fn(&mut InclusionProof); 7] = [
            |proof| proof.index = 0,
            |proof| proof.envelope.0[5] ^= 1,
            |proof| proof.salt.0[0] ^= 1,
            |proof| proof.detail.0.push(0),
            |proof| proof.hashes[0].0[31] ^= 1,
            |proof| proof.hashes[0].0.truncate(31),
            |proof| proof.checkpoint.note = proof.checkpoint.note.replacen("\n2\n", "\n3\n", 1),
        ];
        for (index, alter) in altered.iter().enumerate() {
            let mut proof = whole.clone();
            alter(&mut proof);
            assert_ne!(proof, whole);
            let error = verify_proof(&proof, &verifier_key).unwrap_err();
            assert!(
                matches!(error, ClientError::NotProved(_)),
                "{index}: {error:?}"
            );
        }
        let other = checkpoint::verifier_key(ORIGIN, &[9; 32]);
        assert!(verify_proof(&whole, &other).is_err());
    }
}
