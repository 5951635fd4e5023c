//! Restoring a backup whose policy demands a quorum. People approve it beside the appliance, which may be gone: one leaf names the request and a document with the evidence of all of them.

use strongroom_approval::{Decision, Discount, Evidence, Of, Quorum, Statement, canonical, sha256};
use strongroom_wire::account::Role;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::proposal::{GuardedAct, ProposedRequest};

use super::{ApprovalProblem, Approvals};
use crate::bundle::{Document, DocumentKind};

/// The leaf of a restore, until the documents that it names have come.
#[derive(Debug, Clone)]
pub(super) struct Restore {
    index: u64,
    quorum: Quorum,
    /// When the backup was made, and how many leaves it has, in the note's words.
    created: String,
    leaves: String,
    /// What was to be signed, once the request has come.
    act: Option<Statement>,
}

impl Restore {
    /// What a leaf's note says of the quorum, if it says that there was one.
    ///
    /// # Errors
    ///
    /// [`ApprovalProblem::Quorum`] when the note names a quorum that there cannot be.
    pub(super) fn of(index: u64, words: &[&str]) -> Result<Option<Self>, ApprovalProblem> {
        let [
            "backup",
            "of",
            created,
            "with",
            leaves,
            "leaves",
            "request",
            _,
            "quorum",
            count,
            "of",
            role,
            rest @ ..,
        ] = words
        else {
            return Ok(None);
        };
        let role = Role::ALL.into_iter().find(|other| other.as_str() == *role);
        let (Ok(count), Some(role), ["evidence", _, ..]) = (count.parse(), role, rest) else {
            return Err(ApprovalProblem::Quorum);
        };
        Ok(Some(Self {
            index,
            quorum: Quorum { count, role },
            created: (*created).to_owned(),
            leaves: (*leaves).to_owned(),
            act: None,
        }))
    }

    /// The act that this request asks for, if it is the restore of the backup that the leaf names.
    fn act(&self, bytes: &[u8], origin: &str) -> Option<Statement> {
        let request: ProposedRequest = canonical::from_slice(bytes).ok()?;
        let ProposedRequest::DomainRestore {
            database_sha256,
            created,
            leaves,
        } = request
        else {
            return None;
        };
        let is_of_it = created.to_string() == self.created && leaves.to_string() == self.leaves;
        is_of_it.then(|| Statement {
            domain_origin: origin.to_owned(),
            subject: database_sha256,
            of: Of::Request {
                act: GuardedAct::DomainRestore.as_str().to_owned(),
                request_sha256: sha256(bytes),
            },
            decision: Decision::Approve,
            valid_until: Timestamp::from_millis(0),
        })
    }
}

impl Approvals {
    /// Takes a document that the leaf of a restore names. Answers the leaf's index and what is wrong.
    pub(super) fn restored(
        &mut self,
        mut restore: Restore,
        document: &Document,
        origin: &str,
    ) -> Option<(u64, ApprovalProblem)> {
        let index = restore.index;
        let content = &document.content.0;
        match document.kind {
            DocumentKind::Request => {
                restore.act = restore.act(content, origin);
                if restore.act.is_none() {
                    return Some((index, ApprovalProblem::Request));
                }
            }
            DocumentKind::Evidence => {
                let problem = self.approved_restore(&restore, content).err();
                return problem.map(|problem| (index, problem));
            }
            _ => {}
        }
        self.restore = Some(restore);
        None
    }

    /// Whether each piece of evidence holds, and all of them together are enough at the moment of the last one.
    fn approved_restore(
        &mut self,
        restore: &Restore,
        evidence: &[u8],
    ) -> Result<(), ApprovalProblem> {
        let unfit = |error: strongroom_approval::EvidenceError| {
            ApprovalProblem::Evidence(error.to_string())
        };
        let act = restore.act.as_ref().ok_or(ApprovalProblem::Request)?;
        let quorum = restore.quorum;
        let mut approvals = Vec::new();
        for evidence in Evidence::list_from_bytes(evidence).map_err(unfit)? {
            let approval = evidence.verify().map_err(unfit)?;
            let statement = &approval.statement;
            if !statement.same_act(act) || statement.decision != Decision::Approve {
                return Err(ApprovalProblem::Statement);
            }
            if !self.has_key(&approval, &evidence.credential.id, restore.index) {
                return Err(ApprovalProblem::Key);
            }
            if approval.role != quorum.role || !self.has_role(&approval, restore.index) {
                return Err(ApprovalProblem::Role);
            }
            self.verified += 1;
            approvals.push(approval);
        }
        let latest = approvals.iter().map(|approval| approval.time).max();
        let latest = latest.ok_or(ApprovalProblem::Quorum)?;
        let tally = quorum.tally(act, &approvals, &[], latest);
        let twice = |why: &Discount| matches!(why, Discount::Repeated | Discount::SharedKey);
        if tally.discounted.iter().any(|(_, why)| twice(why)) {
            return Err(ApprovalProblem::Repeated);
        }
        if !tally.is_met() {
            return Err(ApprovalProblem::Quorum);
        }
        self.quorums += 1;
        Ok(())
    }
}
