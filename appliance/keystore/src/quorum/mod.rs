//! Quorums: acts that several people have to approve, each with a signature over the exact request, because the domain's policy says so.
//!
//! | module | what lives there |
//! |---|---|
//! | this one | which rule is about what; holding an act against it, in the act's own transaction |
//! | `proposals` | proposing, approving, rejecting, withdrawing, seeing |
//! | `restore` | restoring a backup, which is approved beside the appliance |
//!
//! Whoever may do such an act proposes it, enough others approve it, and whoever proposed it does it, once, naming the proposal. The check stands where
//! the act is done ([`Scope::require_quorum`]), so that no route leads around it.

mod proposals;
mod restore;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use strongroom_approval::{Decision, Of, Quorum, Statement, canonical};
use strongroom_wire::account::AccountState;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::proposal::{
    GuardedAct, MOST_QUORUMS, ProposalState, ProposedRequest, QuorumRule,
};

pub use restore::RestoreRefused;

use crate::act::{Caller, Scope, View};
use crate::error::Error;
use crate::lawful::{approvals, stands_for};
use crate::seal;
use crate::store::ProposalRow;

/// How many people a rule may ask for.
const COUNT: RangeInclusive<u32> = 1..=16;
/// For how long a proposal may stand, in seconds.
const VALID_FOR: RangeInclusive<u32> = 60..=90 * 24 * 3600;
/// The longest label of a rule, in bytes: that of keys.
const LONGEST_LABEL: usize = 1024;
/// What approvals of a proposal name as its generation.
const GENERATION: u32 = 1;

/// The rules, if they can be ones.
pub(crate) fn checked(rules: Vec<QuorumRule>) -> Result<Vec<QuorumRule>, Error> {
    let invalid = |sentence: &str| Err(Error::Invalid(sentence.to_owned()));
    if rules.len() > MOST_QUORUMS {
        return Err(Error::Invalid(format!(
            "A policy has {MOST_QUORUMS} rules about quorums at most."
        )));
    }
    let mut known = BTreeSet::new();
    for rule in &rules {
        let of_keys = matches!(rule.act, GuardedAct::KeyDestroy | GuardedAct::KeyRelease);
        match &rule.label {
            Some(_) if !of_keys => return invalid("Only quorums about keys have a label."),
            Some(label) if label.is_empty() || label.len() > LONGEST_LABEL => {
                return invalid("A quorum's label is that of keys.");
            }
            _ => {}
        }
        if !known.insert((rule.act.as_str(), rule.label.clone())) {
            return invalid("Two quorums are about the same act.");
        }
        if !COUNT.contains(&rule.count) {
            return invalid("A quorum is of 1 to 16 people.");
        }
        if !VALID_FOR.contains(&rule.valid_for) {
            return invalid("A proposal stands for a minute at least and 90 days at most.");
        }
    }
    Ok(rules)
}

/// Refuses rules that nobody could satisfy: of each role there must be enough people besides whoever sets them.
pub(crate) fn check_people(
    view: &View<'_>,
    caller: &Caller,
    rules: &[QuorumRule],
) -> Result<(), Error> {
    let mut active = Vec::new();
    for account in view.snapshot.accounts_with_roles(view.domain.number)? {
        let account = view.domain.check_account(account)?;
        if account.state == AccountState::Active && account.id != caller.account.id {
            active.push(account);
        }
    }
    for rule in rules {
        let holders = active
            .iter()
            .filter(|account| account.roles.contains(&rule.role))
            .count();
        if holders < rule.count as usize {
            return Err(Error::Conflict(format!(
                "A quorum of {} {}s for {} could not be reached: besides this account there are {holders}.",
                rule.count,
                rule.role.as_str(),
                rule.act.as_str()
            )));
        }
    }
    Ok(())
}

/// The rule that is about this act, on a key with this label where it is on a key: one about the label before one about all.
fn rule<'a>(
    policy: &'a DomainPolicy,
    act: GuardedAct,
    label: Option<&str>,
) -> Option<&'a QuorumRule> {
    let about = |rule: &&QuorumRule| {
        rule.act == act
            && rule
                .label
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == label)
    };
    let mut rules: Vec<_> = policy.quorums.iter().filter(about).collect();
    rules.sort_by_key(|rule| rule.label.is_none());
    rules.first().copied()
}

/// The bytes of a request, whose SHA-256 approvals name.
fn to_bytes(request: &ProposedRequest) -> Result<Vec<u8>, Error> {
    canonical::to_vec(request)
        .map_err(|_| Error::Invalid("The request holds a number that is too large.".to_owned()))
}

/// The proposal by which the caller may do this, where the policy demands one.
///
/// # Errors
///
/// [`Error::QuorumRequired`] where it does and the caller has none that holds.
pub(crate) fn held(
    view: &View<'_>,
    caller: &Caller,
    request: &ProposedRequest,
    label: Option<&str>,
) -> Result<Option<ProposalRow>, Error> {
    let Some(rule) = rule(&caller.policy, request.act(), label) else {
        return Ok(None);
    };
    let required = |why| Error::QuorumRequired {
        count: rule.count,
        role: rule.role,
        why,
    };
    let id = caller.proposal.ok_or(required("make a proposal of it"))?;
    let row = view.proposal(id)?;
    if row.proposed_by != caller.account.id {
        return Err(Error::ProposalNotFound);
    }
    if row.request != seal::sha256(&to_bytes(request)?) {
        return Err(required("the proposal is of another request"));
    }
    if row.state != ProposalState::Open {
        return Err(required("the proposal is not open any more"));
    }
    if row.count < rule.count || row.role != rule.role {
        return Err(required(
            "the policy has changed since it was proposed: propose it anew",
        ));
    }
    if is_approved(view, &row, request.act().as_str())? {
        Ok(Some(row))
    } else {
        Err(required("not enough people have approved the proposal yet"))
    }
}

/// Whether enough people have approved a proposal and still hold the role.
fn is_approved(view: &View<'_>, row: &ProposalRow, act: &str) -> Result<bool, Error> {
    let mut standing = Vec::new();
    for approval in approvals(view, row.id.as_bytes(), GENERATION)? {
        if stands_for(view, approval.account, row.role)? {
            standing.push(approval);
        }
    }
    let quorum = Quorum {
        count: row.count,
        role: row.role,
    };
    let statement = statement_of(view.domain.origin.clone(), row, act);
    Ok(quorum.met(&statement, &standing, &[row.proposed_by], view.now))
}

/// What an approval of a proposal says. How, and until when, is for who approves.
fn statement_of(domain_origin: String, row: &ProposalRow, act: &str) -> Statement {
    Statement {
        domain_origin,
        subject: row.id.to_string(),
        of: Of::Request {
            act: act.to_owned(),
            request_sha256: row.request,
        },
        decision: Decision::Approve,
        valid_until: Timestamp::from_millis(0),
    }
}

impl Scope<'_> {
    /// Refuses an act that the policy demands a quorum for and that has none. One that it has is used up by this, and a leaf says so: the act's own leaf
    /// has to follow at once.
    pub(crate) fn require_quorum(
        &mut self,
        caller: &Caller,
        request: &ProposedRequest,
        label: Option<&str>,
    ) -> Result<(), Error> {
        let Some(mut row) = held(&self.view(), caller, request, label)? else {
            return Ok(());
        };
        row.state = ProposalState::Used;
        proposals::keep(self, &mut row)?;
        let note = self.detail.note.replace(format!("proposal {}", row.id));
        self.record(Act::ProposalUse)?;
        self.detail.note = note;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use strongroom_wire::account::Role;

    use super::*;

    fn about(act: GuardedAct, label: Option<&str>, count: u32) -> QuorumRule {
        QuorumRule {
            act,
            label: label.map(str::to_owned),
            count,
            role: Role::SecurityOfficer,
            valid_for: 3600,
        }
    }

    #[test]
    fn the_rule_about_the_label_is_the_one_that_holds() {
        let policy = DomainPolicy {
            quorums: vec![
                about(GuardedAct::KeyDestroy, None, 1),
                about(GuardedAct::KeyDestroy, Some("root CA"), 3),
                about(GuardedAct::KeyRelease, Some("root CA"), 2),
            ],
            ..DomainPolicy::default()
        };
        let count = |act, label| rule(&policy, act, label).map(|rule| rule.count);
        assert_eq!(count(GuardedAct::KeyDestroy, Some("root CA")), Some(3));
        assert_eq!(count(GuardedAct::KeyDestroy, Some("report")), Some(1));
        assert_eq!(count(GuardedAct::KeyRelease, Some("root CA")), Some(2));
        assert_eq!(count(GuardedAct::KeyRelease, Some("report")), None);
        assert_eq!(count(GuardedAct::MasterKekRotate, None), None);
    }

    #[test]
    fn rules_that_cannot_be_are_refused() {
        let good = about(GuardedAct::KeyDestroy, Some("x"), 2);
        assert!(checked(vec![good.clone()]).is_ok());
        assert!(checked(vec![good.clone(), good.clone()]).is_err());
        for wrong in [
            about(GuardedAct::DomainPolicy, Some("x"), 2),
            about(GuardedAct::KeyDestroy, Some(""), 2),
            about(GuardedAct::KeyDestroy, None, 0),
            about(GuardedAct::KeyDestroy, None, 17),
            QuorumRule {
                valid_for: 59,
                ..good.clone()
            },
        ] {
            assert!(checked(vec![wrong.clone()]).is_err(), "{wrong:?}");
        }
        assert!(checked(vec![good; MOST_QUORUMS + 1]).is_err());
    }
}
