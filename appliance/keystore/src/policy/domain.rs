//! The domain's policy: what holds for every key, session and account of it, and for lawful access.

use std::ops::RangeInclusive;

use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::LawfulPolicy;
use strongroom_wire::invitation::{AccountPolicy, LONGEST_PATTERN, MOST_PATTERNS};
use strongroom_wire::operation::{AllowedMechanisms, Mechanism};
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};
use strongroom_wire::proposal::ProposedRequest;

use super::{checked, describe};
use crate::act::Presented;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::quorum;
use crate::roles::May;

impl Keystore {
    /// The domain's policy; for those who may set it, and auditors.
    pub fn domain_policy(&self, caller: &Presented) -> Answer<DomainPolicy> {
        self.core.look(caller, |_, caller, _| {
            caller
                .require(May::SetDomainPolicy)
                .or_else(|_| caller.require(May::ReadAudit))?;
            Ok(caller.policy.clone())
        })
    }

    /// By which mechanisms the domain's usage policy lets the appliance use keys; for everyone of the domain.
    pub fn allowed_mechanisms(&self, caller: &Presented) -> Answer<AllowedMechanisms> {
        self.core.look(caller, |_, caller, _| {
            let mechanisms = caller.policy.usage.mechanisms.clone();
            Ok(AllowedMechanisms {
                mechanisms: mechanisms.unwrap_or_else(|| Mechanism::ALL.to_vec()),
            })
        })
    }

    /// Sets the domain's policy. No usage policy binds this, so that none can lock its authors out.
    pub fn set_domain_policy(
        &self,
        caller: &Presented,
        request: DomainPolicy,
    ) -> Answer<ChangedDomainPolicy> {
        let known = self.core.domain.witnesses.len();
        if request.witnesses as usize > known {
            return Err(Error::Invalid(format!(
                "The policy demands the cosignatures of {} witnesses, and the appliance is configured with {known}.",
                request.witnesses
            ))
            .into());
        }
        let policy = DomainPolicy {
            usage: checked(request.usage)?,
            accounts: checked_accounts(request.accounts)?,
            lawful: checked_lawful(request.lawful)?,
            quorums: quorum::checked(request.quorums)?,
            ..request
        };
        let presented = caller.clone();
        self.core
            .act(Act::DomainPolicy, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::SetDomainPolicy)?;
                caller.require_recent(scope.now)?;
                quorum::check_people(&scope.view(), &caller, &policy.quorums)?;
                let mut record = scope.domain.record(scope.tx.as_snapshot())?;
                record.policy = policy.clone();
                scope.domain.authenticate_domain(&mut record);
                if !scope.tx.set_domain_policy(&record)? {
                    return Err(Error::Internal("the domain has no record"));
                }
                let proposed = ProposedRequest::DomainPolicy {
                    policy: Box::new(policy.clone()),
                };
                scope.require_quorum(&caller, &proposed, None)?;
                scope.detail.note = Some(describe(&policy));
                let leaf = scope.record(Act::DomainPolicy)?;
                Ok(ChangedDomainPolicy {
                    policy: policy.clone(),
                    leaf,
                })
            })
    }
}

/// The fewest and the most approvals of an authorisation: one person alone is none.
const APPROVALS: RangeInclusive<u32> = 2..=16;
/// The shortest and the longest time in which an emergency has to be ratified, in seconds.
const RATIFY_WITHIN: RangeInclusive<u32> = 3600..=30 * 24 * 3600;

/// The policy of lawful access, if it can be one.
fn checked_lawful(policy: LawfulPolicy) -> Result<LawfulPolicy, Error> {
    if !APPROVALS.contains(&policy.approvals) {
        return Err(Error::Invalid(
            "An authorisation is approved by 2 people at least and 16 at most.".to_owned(),
        ));
    }
    if !RATIFY_WITHIN.contains(&policy.ratify_within) {
        return Err(Error::Invalid(
            "An emergency is to be ratified within an hour at least and 30 days at most."
                .to_owned(),
        ));
    }
    Ok(policy)
}

/// The shortest delay of a recovery, in seconds: less, and nobody would see it in time.
const SHORTEST_DELAY: u32 = 3600;
/// The longest of an account policy's times, in seconds: a year.
const LONGEST: u32 = 366 * 24 * 3600;

/// The account policy, if it can be one.
fn checked_accounts(policy: AccountPolicy) -> Result<AccountPolicy, Error> {
    let sound = |patterns: &Vec<String>| {
        patterns.len() <= MOST_PATTERNS
            && patterns.iter().all(|pattern| {
                !pattern.is_empty()
                    && pattern.len() <= LONGEST_PATTERN
                    && pattern.bytes().all(|byte| byte.is_ascii_graphic())
            })
    };
    if !sound(&policy.inviters) || !sound(&policy.invitees) {
        return Err(Error::Invalid(format!(
            "A list of inviters or invitees has {MOST_PATTERNS} patterns at most, each of 1 to {LONGEST_PATTERN} printable ASCII characters."
        )));
    }
    if !(SHORTEST_DELAY..=LONGEST).contains(&policy.recovery_delay) {
        return Err(Error::Invalid(
            "The delay of recoveries is an hour at least, so that the account's holder can see one in time, and a year at most."
                .to_owned(),
        ));
    }
    if !(1..=LONGEST).contains(&policy.invitation_lifetime) {
        return Err(Error::Invalid(
            "An invitation lapses after a second at least and a year at most.".to_owned(),
        ));
    }
    Ok(policy)
}
