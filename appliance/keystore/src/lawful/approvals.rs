//! Approving and rejecting: each decision a signature over the exact generation, whose evidence is kept and named by the leaf.

use strongroom_approval::evidence::{CredentialKind, Signed};
use strongroom_approval::webauthn::Expected;
use strongroom_approval::{
    Approval, ApprovalKey, Assertion, Credential, Decision, Evidence, Of, Quorum, Statement,
};
use strongroom_wire::account::{AccountState, Role};
use strongroom_wire::approval::{Decide, GivenApproval, LONGEST_VALIDITY, SignedBy};
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{
    AuthorisationRecord, AuthorisationState, ChangedAuthorisation,
};
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::{AccountId, AuthorisationId};

use super::authorisations::to_wire;
use super::states::{end, keep, stands};
use super::{case, case_generation, notify, record, require_sight};
use crate::act::{Caller, Presented, Scope, View};
use crate::credentials::passkeys::use_passkey;
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, PasskeyParty};
use crate::roles::May;
use crate::seal;
use crate::store::{ApprovalRow, AuthorisationRow, DocumentKind};

const WHAT: &str = "approval";

impl Keystore {
    /// Approves an authorisation's present generation or rejects it, as the statement says; legal approvers only, and nobody who entered any
    /// generation of it. When enough people have approved it, it is in effect.
    pub fn decide_authorisation(
        &self,
        caller: &Presented,
        id: AuthorisationId,
        request: Decide,
    ) -> Answer<ChangedAuthorisation> {
        let statement = read_statement(&request.statement)?;
        let act = match statement.decision {
            Decision::Approve => Act::AuthorisationApprove,
            Decision::Reject => Act::AuthorisationReject,
        };
        let (presented, party) = (caller.clone(), self.core.options.passkeys.clone());
        self.core.act(act, caller.source, move |scope| {
            scope.about = Some(case(id));
            let caller = scope.authenticate(&presented)?;
            caller.require(May::ApproveAuthorisations)?;
            let mut row = scope.view().authorisation(id)?;
            require_sight(&caller, &row)?;
            let record = record::of(&scope.view(), &row)?;
            let excluded = excluded(&scope.view(), id)?;
            if excluded.contains(&caller.account.id) {
                return Err(Error::NotPermitted(
                    "another legal approver: nobody approves what they entered",
                ));
            }
            if !matches!(
                row.state,
                AuthorisationState::AwaitingApproval | AuthorisationState::EmergencyApproval
            ) {
                return Err(stands(row.state));
            }
            let expected = statement_of(scope.view().domain.origin.clone(), &row);
            let subject = (*id.as_bytes(), row.generation);
            let evidence = decide(
                scope,
                &caller,
                Role::LegalApprover,
                subject,
                (&expected, &statement),
                &request.signed_by,
                &party,
            )?;
            let before = row.state;
            advance(
                scope,
                &caller,
                &mut row,
                &record,
                &excluded,
                statement.decision,
            )?;
            let mut note = format!(
                "{} evidence {}",
                case_generation(&row),
                seal::hex(&evidence)
            );
            if row.state != before {
                keep(scope, &mut row)?;
                if row.state == AuthorisationState::Approved {
                    notify::prolong(scope, &row, record.order.notification_delay)?;
                }
                note = format!("{note} state {}", row.state);
            }
            scope.detail.note = Some(note);
            let leaf = scope.record(act)?;
            Ok(ChangedAuthorisation {
                authorisation: to_wire(&scope.view(), &row)?,
                leaf,
            })
        })
    }
}

/// What an approval of an authorisation's present generation says. How, and until when, is for who approves.
fn statement_of(domain_origin: String, row: &AuthorisationRow) -> Statement {
    Statement {
        domain_origin,
        subject: row.id.to_string(),
        of: Of::Authorisation {
            generation: row.generation,
            record_sha256: row.record,
        },
        decision: Decision::Approve,
        valid_until: Timestamp::from_millis(0),
    }
}

/// Where a decision leads.
fn advance(
    scope: &Scope<'_>,
    caller: &Caller,
    row: &mut AuthorisationRow,
    record: &AuthorisationRecord,
    excluded: &[AccountId],
    decision: Decision,
) -> Result<(), Error> {
    let view = scope.view();
    if decision == Decision::Reject {
        end(row, AuthorisationState::Rejected, view.now);
        return Ok(());
    }
    let act = statement_of(view.domain.origin.clone(), row);
    let approvals = approvals(&view, row.id.as_bytes(), row.generation)?;
    // Somebody who has lost the role meanwhile, or has been suspended, does not bring it about any more.
    let mut standing = Vec::with_capacity(approvals.len());
    for approval in approvals {
        if stands_for(&view, approval.account, record.approvers)? {
            standing.push(approval);
        }
    }
    let count = record.approvals_needed;
    let quorum = Quorum {
        count,
        role: record.approvers,
    };
    if quorum.met(&act, &standing, excluded, view.now) {
        row.state = AuthorisationState::Approved;
        row.ratify_by = None;
    } else if record.order.flags.emergency && row.state == AuthorisationState::AwaitingApproval {
        // From the first of its generations that took effect in this way: changes would keep it alive for ever.
        let within = caller.policy.lawful.ratify_within;
        let by = row.ratify_by;
        let by = by.unwrap_or_else(|| view.now.plus_seconds(within.into()));
        if by <= view.now {
            return Ok(());
        }
        row.state = AuthorisationState::EmergencyApproval;
        row.ratify_by = Some(by);
    } else {
        return Ok(());
    }
    row.since = view.now;
    row.reason = None;
    Ok(())
}

/// Refuses an authorisation whose approvals do not put it into effect, by their own evidence: whatever its row says.
pub(super) fn require(
    view: &View<'_>,
    row: &AuthorisationRow,
    record: &AuthorisationRecord,
) -> Result<(), Error> {
    let approvals = approvals(view, row.id.as_bytes(), row.generation)?;
    let count = match row.state {
        AuthorisationState::EmergencyApproval if record.order.flags.emergency => 1,
        _ => record.approvals_needed,
    };
    let quorum = Quorum {
        count,
        role: record.approvers,
    };
    // None is taken after the one that put it into effect.
    let at = approvals.iter().map(|approval| approval.time).max();
    let act = statement_of(view.domain.origin.clone(), row);
    let excluded = excluded(view, row.id)?;
    if at.is_some_and(|at| quorum.met(&act, &approvals, &excluded, at)) {
        Ok(())
    } else {
        Err(Error::Integrity(WHAT))
    }
}

/// Who may have no part in approving: whoever entered any generation of it.
pub(super) fn excluded(view: &View<'_>, id: AuthorisationId) -> Result<Vec<AccountId>, Error> {
    let generations = view.snapshot.generations_of(id)?;
    generations
        .into_iter()
        .map(|row| Ok(view.domain.check_generation(row)?.entered_by))
        .collect()
}

/// How many approvals of the present generation there are.
pub(super) fn approved_by(view: &View<'_>, row: &AuthorisationRow) -> Result<u32, Error> {
    let rows = rows(view, row.id.as_bytes(), row.generation)?;
    let approved = rows
        .iter()
        .filter(|row| row.decision == Decision::Approve)
        .count();
    Ok(u32::try_from(approved).unwrap_or(u32::MAX))
}

/// What was decided, for people.
pub(crate) fn given(
    view: &View<'_>,
    subject: &[u8; 16],
    generation: u32,
) -> Result<Vec<GivenApproval>, Error> {
    rows(view, subject, generation)?
        .into_iter()
        .map(|row| {
            Ok(GivenApproval {
                account: row.account,
                account_name: view.name_of(row.account)?,
                decision: row.decision,
                time: row.time,
                valid_until: row.valid_until,
                evidence_sha256: seal::hex(&row.evidence),
            })
        })
        .collect()
}

/// The decisions on a generation of an authorisation or on a proposal, verified by their evidence.
pub(crate) fn approvals(
    view: &View<'_>,
    subject: &[u8; 16],
    generation: u32,
) -> Result<Vec<Approval>, Error> {
    rows(view, subject, generation)?
        .into_iter()
        .map(|row| {
            let bytes = view
                .document(&row.evidence)?
                .ok_or(Error::Integrity(WHAT))?;
            let approval = Evidence::from_bytes(&bytes)
                .and_then(|evidence| evidence.verify())
                .map_err(|_| Error::Integrity(WHAT))?;
            let says = (approval.account, approval.time, approval.statement.decision);
            if says == (row.account, row.time, row.decision) {
                Ok(approval)
            } else {
                Err(Error::Integrity(WHAT))
            }
        })
        .collect()
}

/// Whether an account may still decide in this role.
pub(crate) fn stands_for(view: &View<'_>, account: AccountId, role: Role) -> Result<bool, Error> {
    Ok(view.account(account)?.is_some_and(|account| {
        account.state == AccountState::Active && account.roles.contains(&role)
    }))
}

/// Reads what somebody says they have signed.
pub(crate) fn read_statement(bytes: &Base64) -> Result<Statement, Error> {
    Statement::from_bytes(&bytes.0).map_err(|error| {
        Error::Invalid(format!(
            "The statement is none that can be signed: {error}."
        ))
    })
}

/// Takes a decision: the statement must be of the expected act and signed with one of the caller's credentials. Keeps the evidence and answers its
/// SHA-256.
pub(crate) fn decide(
    scope: &mut Scope<'_>,
    caller: &Caller,
    role: Role,
    (subject, generation): ([u8; 16], u32),
    (expected, statement): (&Statement, &Statement),
    signed_by: &SignedBy,
    party: &PasskeyParty,
) -> Result<[u8; 32], Error> {
    if !statement.same_act(expected) {
        return Err(Error::ApprovalRefused(
            "what was signed is not what stands here now, such as another generation of it",
        ));
    }
    check_validity(scope.now, statement.valid_until)?;
    let before = rows(&scope.view(), &subject, generation)?;
    let repeated = before.iter().any(|row| {
        row.account == caller.account.id
            && row.decision == statement.decision
            && scope.now < row.valid_until
    });
    if repeated {
        return Err(Error::Conflict(format!(
            "This account's decision is {} already.",
            statement.decision.as_str()
        )));
    }
    let (credential, signed) = sign(scope, caller, statement, signed_by, party)?;
    let who = (caller.account.id, caller.account.name.clone(), role);
    let evidence = Evidence::new(statement, who, credential, signed, scope.now);
    evidence.verify().map_err(|error| {
        tracing::info!(%error, "an approval was refused");
        Error::ApprovalRefused("the signature does not hold")
    })?;
    let evidence = scope.put_document(DocumentKind::Evidence, &evidence.to_bytes())?;
    let mut row = ApprovalRow {
        subject,
        generation,
        account: caller.account.id,
        decision: statement.decision,
        time: scope.now,
        valid_until: statement.valid_until,
        evidence,
        mac: [0; 32],
    };
    scope.domain.authenticate_approval(&mut row);
    scope.tx.put_approval(&row)?;
    Ok(evidence)
}

/// Refuses a statement that counts for too long, or no more.
pub(super) fn check_validity(now: Timestamp, until: Timestamp) -> Result<(), Error> {
    if until <= now {
        Err(Error::ApprovalRefused("the statement is out of date"))
    } else if until > now.plus_seconds(LONGEST_VALIDITY) {
        Err(Error::ApprovalRefused(
            "the statement would count for more than 90 days",
        ))
    } else {
        Ok(())
    }
}

/// The credential of the caller's that signed, and what it signed with.
fn sign(
    scope: &mut Scope<'_>,
    caller: &Caller,
    statement: &Statement,
    signed_by: &SignedBy,
    party: &PasskeyParty,
) -> Result<(Credential, Signed), Error> {
    let account = caller.account.id;
    match signed_by {
        SignedBy::ApprovalKey { id, jws } => {
            let keys = scope.view().approval_keys(account)?;
            let key = keys
                .into_iter()
                .find(|key| key.id == *id)
                .ok_or(Error::CredentialNotFound)?;
            ApprovalKey::from_spki(&key.public_key)
                .map_err(|_| Error::Integrity("approval key"))?;
            let credential = Credential {
                id: key.id.to_string(),
                kind: CredentialKind::ApprovalKey,
                public_key: key.public_key.into(),
            };
            Ok((credential, Signed::Jws(jws.clone())))
        }
        SignedBy::Passkey(assertion) => {
            let passkey = scope
                .tx
                .passkey(&assertion.credential.0)?
                .ok_or(Error::CredentialNotFound)?;
            let passkey = scope.domain.check_passkey(passkey)?;
            if passkey.account != account {
                return Err(Error::CredentialNotFound);
            }
            let credential = Credential {
                id: passkey.id.to_string(),
                kind: CredentialKind::Passkey,
                public_key: passkey.public_key.clone().into(),
            };
            let challenge = statement.challenge();
            let expected = Expected {
                party: party.as_party(),
                challenge: &challenge,
                user_verified: true,
            };
            // Its counter goes up, as at a sign-in.
            use_passkey(scope, &expected, passkey, assertion).map_err(|error| match error {
                Error::SecondFactorRefused => {
                    Error::ApprovalRefused("the passkey's assertion does not hold")
                }
                error => error,
            })?;
            let signed = Signed::Passkey {
                assertion: Assertion {
                    authenticator_data: assertion.authenticator_data.clone(),
                    client_data: assertion.client_data.clone(),
                    signature: assertion.signature.clone(),
                },
                rp_id: party.id.clone(),
                origins: party.origins.clone(),
            };
            Ok((credential, signed))
        }
    }
}

fn rows(view: &View<'_>, subject: &[u8; 16], generation: u32) -> Result<Vec<ApprovalRow>, Error> {
    let rows = view.snapshot.approvals_of(subject, generation)?;
    rows.into_iter()
        .map(|row| view.domain.check_approval(row))
        .collect()
}
