//! Proposals: made by whoever may do the act, approved by others, carried out by whoever made them.

use strongroom_approval::{Decision, canonical};
use strongroom_wire::account::Role;
use strongroom_wire::approval::Decide;
use strongroom_wire::audit::Act;
use strongroom_wire::id::ProposalId;
use strongroom_wire::key::Right;
use strongroom_wire::proposal::{
    ChangedProposal, Proposal, ProposalPage, ProposalQuery, ProposalState, Propose, ProposedRequest,
};

use super::{GENERATION, is_approved, rule, statement_of, to_bytes};
use crate::accounts;
use crate::act::{Caller, Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keys::access;
use crate::keystore::Keystore;
use crate::lawful::{decide, given, read_statement};
use crate::roles::May;
use crate::seal;
use crate::store::{DocumentKind, ProposalFilter, ProposalRow};

/// How many proposals a page has.
const PAGE: u32 = 100;

const WHAT: &str = "proposal";

impl Keystore {
    /// Proposes an act that the domain's policy demands a quorum for; whoever may do it.
    pub fn propose(&self, caller: &Presented, request: Propose) -> Answer<ChangedProposal> {
        let presented = caller.clone();
        self.core
            .act(Act::ProposalMake, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                let request = normal(request.request.clone());
                let label = permitted(&scope.view(), &caller, &request)?;
                let act = request.act();
                let rule = rule(&caller.policy, act, label.as_deref()).ok_or_else(|| {
                    Error::Conflict(
                        "The domain's policy demands no quorum for this: it can be done at once."
                            .to_owned(),
                    )
                })?;
                let sha256 = scope.put_document(DocumentKind::Request, &to_bytes(&request)?)?;
                let mut row = ProposalRow {
                    id: ProposalId::generate(),
                    domain: scope.domain.number,
                    request: sha256,
                    proposed_by: caller.account.id,
                    created: scope.now,
                    expires: scope.now.plus_seconds(rule.valid_for.into()),
                    count: rule.count,
                    role: rule.role,
                    state: ProposalState::Open,
                    mac: [0; 32],
                };
                keep(scope, &mut row)?;
                scope.detail.note = Some(format!(
                    "proposal {} act {} request {} quorum {} of {} until {}",
                    row.id,
                    act.as_str(),
                    seal::hex(&sha256),
                    row.count,
                    row.role.as_str(),
                    row.expires
                ));
                let leaf = scope.record(Act::ProposalMake)?;
                changed(scope, &row, leaf)
            })
    }

    /// Approves a proposal or rejects it, as the statement says; people of the role that it names, and not whoever made it.
    pub fn decide_proposal(
        &self,
        caller: &Presented,
        id: ProposalId,
        request: Decide,
    ) -> Answer<ChangedProposal> {
        let statement = read_statement(&request.statement)?;
        let act = match statement.decision {
            Decision::Approve => Act::ProposalApprove,
            Decision::Reject => Act::ProposalReject,
        };
        let (presented, party) = (caller.clone(), self.core.options.passkeys.clone());
        self.core.act(act, caller.source, move |scope| {
            scope.about = Some(format!("proposal {id}"));
            let caller = scope.authenticate(&presented)?;
            let mut row = scope.view().proposal(id)?;
            require_sight(&caller, &row)?;
            if !caller.account.roles.contains(&row.role) {
                return Err(Error::NotPermitted(needs(row.role)));
            }
            if row.proposed_by == caller.account.id {
                return Err(Error::NotPermitted(
                    "somebody else: nobody approves what they proposed",
                ));
            }
            if row.state != ProposalState::Open {
                return Err(stands(row.state));
            }
            let proposed = scope.view().proposed(&row)?;
            let origin = scope.domain.origin.clone();
            let expected = statement_of(origin, &row, proposed.act().as_str());
            let evidence = decide(
                scope,
                &caller,
                row.role,
                (*id.as_bytes(), GENERATION),
                (&expected, &statement),
                &request.signed_by,
                &party,
            )?;
            if statement.decision == Decision::Reject {
                row.state = ProposalState::Rejected;
                keep(scope, &mut row)?;
            }
            scope.detail.note = Some(format!("proposal {id} evidence {}", seal::hex(&evidence)));
            let leaf = scope.record(act)?;
            changed(scope, &row, leaf)
        })
    }

    /// Withdraws a proposal; by whoever made it.
    pub fn withdraw_proposal(&self, caller: &Presented, id: ProposalId) -> Answer<ChangedProposal> {
        let presented = caller.clone();
        self.core
            .act(Act::ProposalWithdraw, caller.source, move |scope| {
                scope.about = Some(format!("proposal {id}"));
                let caller = scope.authenticate(&presented)?;
                let mut row = scope.view().proposal(id)?;
                require_sight(&caller, &row)?;
                if row.proposed_by != caller.account.id {
                    return Err(Error::NotPermitted("to have made the proposal"));
                }
                if row.state != ProposalState::Open {
                    return Err(stands(row.state));
                }
                row.state = ProposalState::Withdrawn;
                keep(scope, &mut row)?;
                scope.detail.note = Some(format!("proposal {id}"));
                let leaf = scope.record(Act::ProposalWithdraw)?;
                changed(scope, &row, leaf)
            })
    }

    /// A proposal, for whoever made it, people of the role that approves it, and auditors.
    pub fn proposal(&self, caller: &Presented, id: ProposalId) -> Answer<Proposal> {
        let about = Some(format!("proposal {id}"));
        self.core
            .watched_look(caller, Act::AuthorisationRead, about, |view, caller, _| {
                let row = view.proposal(id)?;
                require_sight(caller, &row)?;
                to_wire(view, &row)
            })
    }

    /// Proposals that the caller has to do with, the newest first.
    pub fn proposals(&self, caller: &Presented, query: ProposalQuery) -> Answer<ProposalPage> {
        self.core.look(caller, |view, caller, _| {
            let roles: &[Role] = if caller.may(May::ReadAudit) {
                &Role::ALL
            } else {
                &caller.account.roles
            };
            let filter = ProposalFilter {
                by: caller.account.id,
                roles,
                open: query.open.then_some(view.now),
                before: query.before,
                limit: PAGE + 1,
            };
            let rows = view.snapshot.proposals(view.domain.number, &filter)?;
            let more = rows.len() > PAGE as usize;
            let mut proposals = Vec::new();
            for row in rows.into_iter().take(PAGE as usize) {
                proposals.push(to_wire(view, &at(view, view.domain.check_proposal(row)?))?);
            }
            let next = proposals.last().filter(|_| more);
            let next = next.map(|last: &Proposal| last.id);
            Ok(ProposalPage { proposals, next })
        })
    }
}

impl View<'_> {
    /// A proposal as it is at this moment, its record checked.
    pub(crate) fn proposal(&self, id: ProposalId) -> Result<ProposalRow, Error> {
        let row = self.snapshot.proposal(id)?.ok_or(Error::ProposalNotFound)?;
        let row = self.domain.check_proposal(row)?;
        if row.domain != self.domain.number {
            return Err(Error::ProposalNotFound);
        }
        Ok(at(self, row))
    }

    /// What is proposed.
    fn proposed(&self, row: &ProposalRow) -> Result<ProposedRequest, Error> {
        let bytes = self.document(&row.request)?.ok_or(Error::Integrity(WHAT))?;
        canonical::from_slice(&bytes).map_err(|_| Error::Integrity(WHAT))
    }
}

/// Time goes on without anybody's doing.
fn at(view: &View<'_>, mut row: ProposalRow) -> ProposalRow {
    if row.state == ProposalState::Open && row.expires <= view.now {
        row.state = ProposalState::Expired;
    }
    row
}

/// Keeps what became of a proposal.
pub(super) fn keep(scope: &mut Scope<'_>, row: &mut ProposalRow) -> Result<(), Error> {
    scope.domain.authenticate_proposal(row);
    Ok(scope.tx.put_proposal(row)?)
}

/// A request in the one form that acts are held against.
pub(super) fn normal(request: ProposedRequest) -> ProposedRequest {
    match request {
        ProposedRequest::AccountUpdate { account, roles } => ProposedRequest::AccountUpdate {
            account,
            roles: accounts::sorted(&roles),
        },
        request => request,
    }
}

/// Refuses to propose what the caller could not do either. Answers the label of a key.
fn permitted(
    view: &View<'_>,
    caller: &Caller,
    request: &ProposedRequest,
) -> Result<Option<String>, Error> {
    let of_key = |key, right| {
        let access = access::require(view, caller, key, right)?;
        Ok(Some(access.key.label))
    };
    match request {
        ProposedRequest::KeyDestroy { key } => of_key(*key, Right::Destroy),
        ProposedRequest::KeyRelease { key } => of_key(*key, Right::Release),
        ProposedRequest::DomainPolicy { .. } => {
            caller.require(May::SetDomainPolicy).map(|()| None)
        }
        ProposedRequest::AccountUpdate { account, .. } => {
            caller.require(May::ManageAccounts)?;
            accounts::find(view, *account).map(|_| None)
        }
        ProposedRequest::MasterKekRotate {}
        | ProposedRequest::MasterKekRetire { .. }
        | ProposedRequest::MasterKekDestroy { .. }
        | ProposedRequest::ApplianceReset {} => {
            caller.require(May::RotateKeks).map(|()| None)
        }
        ProposedRequest::DomainRestore { .. } => Err(Error::Invalid(
            "Restoring is proposed and approved beside the appliance: strongroomd restore says how."
                .to_owned(),
        )),
    }
}

/// Refuses who has nothing to do with a proposal, in the words that are used where there is none.
fn require_sight(caller: &Caller, row: &ProposalRow) -> Result<(), Error> {
    let concerned = row.proposed_by == caller.account.id
        || caller.account.roles.contains(&row.role)
        || caller.may(May::ReadAudit);
    if concerned {
        Ok(())
    } else {
        Err(Error::ProposalNotFound)
    }
}

const fn needs(role: Role) -> &'static str {
    match role {
        Role::Administrator => "the role administrator",
        Role::Auditor => "the role auditor",
        Role::SecurityOfficer => "the role security-officer",
        Role::CaseOfficer => "the role case-officer",
        Role::LegalApprover => "the role legal-approver",
        Role::Executor => "the role executor",
        Role::Releaser => "the role releaser",
    }
}

fn stands(state: ProposalState) -> Error {
    Error::Conflict(format!("This proposal is {}.", state.as_str()))
}

fn changed(scope: &Scope<'_>, row: &ProposalRow, leaf: u64) -> Result<ChangedProposal, Error> {
    Ok(ChangedProposal {
        proposal: to_wire(&scope.view(), row)?,
        leaf,
    })
}

fn to_wire(view: &View<'_>, row: &ProposalRow) -> Result<Proposal, Error> {
    let request = view.proposed(row)?;
    let label = match &request {
        ProposedRequest::KeyDestroy { key } | ProposedRequest::KeyRelease { key } => {
            let key = view.snapshot.key(*key)?;
            let key = key.map(|key| view.domain.check_key(key)).transpose()?;
            key.map(|key| key.label)
        }
        _ => None,
    };
    Ok(Proposal {
        id: row.id,
        state: row.state,
        request_sha256: seal::hex(&row.request),
        domain_origin: view.domain.origin.clone(),
        label,
        proposed_by: row.proposed_by,
        proposed_by_name: view.name_of(row.proposed_by)?,
        created: row.created,
        expires: row.expires,
        count: row.count,
        role: row.role,
        approved: is_approved(view, row, request.act().as_str())?,
        approvals: given(view, row.id.as_bytes(), GENERATION)?,
        request,
    })
}
