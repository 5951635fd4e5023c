//! Restoring a backup where the policy that is in it demands a quorum. The appliance may be gone, so people sign beside it, and what they sign is held
//! against the backup's own records: who they are, their keys and roles.

use strongroom_approval::evidence::{CredentialKind, Signed};
use strongroom_approval::{Credential, Decision, Evidence, Of, Quorum, Statement};
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::proposal::{GuardedAct, ProposedRequest, RestoreRequest, SignedApproval};

use super::{rule, to_bytes};
use crate::backup::RestoreApproved;
use crate::error::Error;
use crate::keystore::Keystore;
use crate::lawful::stands_for;
use crate::seal;

/// Why a backup is not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreRefused {
    /// Its policy demands a quorum that is not there.
    #[error(
        "the backup's policy demands that {count} people of the role {role} approve its restoring, and {have} have: {detail}"
    )]
    Quorum {
        /// How many.
        count: u32,
        /// Of which role.
        role: &'static str,
        /// How many of the approvals count.
        have: usize,
        /// What is wrong with those that do not, or what to do.
        detail: String,
        /// What there is to sign.
        request: Box<RestoreRequest>,
    },
    /// Its records cannot be read.
    #[error(transparent)]
    Keystore(#[from] Error),
}

impl Keystore {
    /// Holds the restoring of this database against the domain's policy in it. Answers what is to be recorded of the approvals; nothing where the policy
    /// demands none.
    ///
    /// # Errors
    ///
    /// [`RestoreRefused`].
    pub fn require_restore_quorum(
        &self,
        request: ProposedRequest,
        approvals: &[SignedApproval],
    ) -> Result<Option<RestoreApproved>, RestoreRefused> {
        let core = &self.core;
        let now = core.clock.now();
        core.glance(|view| {
            let policy = view.domain.record(view.snapshot)?.policy;
            let Some(rule) = rule(&policy, GuardedAct::DomainRestore, None) else {
                return Ok(Ok(None));
            };
            let bytes = to_bytes(&request)?;
            let subject = match &request {
                ProposedRequest::DomainRestore {
                    database_sha256, ..
                } => database_sha256.clone(),
                _ => return Err(Error::Internal("what is restored is no backup")),
            };
            let act = Statement {
                domain_origin: view.domain.origin.clone(),
                subject: subject.clone(),
                of: Of::Request {
                    act: GuardedAct::DomainRestore.as_str().to_owned(),
                    request_sha256: seal::sha256(&bytes),
                },
                decision: Decision::Approve,
                valid_until: Timestamp::from_millis(0),
            };
            let (mut counted, mut evidence, mut problems) = (Vec::new(), Vec::new(), Vec::new());
            for approval in approvals {
                let record = view.snapshot.approval_key(&approval.public_key.0)?;
                let Some(record) = record else {
                    problems.push("a key is nobody's in the backup");
                    continue;
                };
                let record = view.domain.check_approval_key(record)?;
                if !stands_for(view, record.account, rule.role)? {
                    problems.push("a key is of somebody without the role");
                    continue;
                }
                let Ok(statement) = Statement::from_bytes(&approval.statement.0) else {
                    problems.push("a statement cannot be read");
                    continue;
                };
                let credential = Credential {
                    id: record.id.to_string(),
                    kind: CredentialKind::ApprovalKey,
                    public_key: record.public_key.clone().into(),
                };
                let who = (record.account, view.name_of(record.account)?, rule.role);
                let signed = Signed::Jws(approval.jws.clone());
                let made = Evidence::new(&statement, who, credential, signed, now);
                match made.verify() {
                    Ok(approval) => {
                        counted.push(approval);
                        evidence.push(made);
                    }
                    Err(_) => problems.push("a signature does not hold, or is out of date"),
                }
            }
            let quorum = Quorum {
                count: rule.count,
                role: rule.role,
            };
            let tally = quorum.tally(&act, &counted, &[], now);
            if tally.is_met() {
                let counts = |place: usize| !tally.discounted.iter().any(|(at, _)| *at == place);
                let evidence = evidence.into_iter().enumerate();
                let counted: Vec<Evidence> = evidence
                    .filter(|(place, _)| counts(*place))
                    .map(|(_, evidence)| evidence)
                    .collect();
                return Ok(Ok(Some(RestoreApproved {
                    request: Base64(bytes),
                    count: rule.count,
                    role: rule.role,
                    evidence: Base64(Evidence::list_to_bytes(&counted)),
                })));
            }
            if !tally.discounted.is_empty() {
                problems.push("an approval is of another backup, against it, or somebody's second");
            }
            Ok(Err(RestoreRefused::Quorum {
                count: rule.count,
                role: rule.role.as_str(),
                have: tally.counted.len(),
                detail: if problems.is_empty() {
                    "write what is to be signed with --quorum-request FILE".to_owned()
                } else {
                    problems.join("; ")
                },
                request: Box::new(RestoreRequest {
                    domain_origin: view.domain.origin.clone(),
                    subject,
                    request: request.clone(),
                }),
            }))
        })?
    }
}
