//! The domain's policy: what holds for every key, session and account of it.

use strongroom_wire::audit::Act;
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};

use super::{checked, describe};
use crate::act::Presented;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
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

    /// Sets the domain's policy. No usage policy binds this, so that none can lock its authors out.
    pub fn set_domain_policy(
        &self,
        caller: &Presented,
        request: DomainPolicy,
    ) -> Answer<ChangedDomainPolicy> {
        let policy = DomainPolicy {
            usage: checked(request.usage)?,
            ..request
        };
        let presented = caller.clone();
        self.core
            .act(Act::DomainPolicy, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::SetDomainPolicy)?;
                caller.require_recent(scope.now)?;
                let mut record = scope.domain.record(scope.tx.as_snapshot())?;
                record.policy = policy.clone();
                scope.domain.authenticate_domain(&mut record);
                if !scope.tx.set_domain_policy(&record)? {
                    return Err(Error::Internal("the domain has no record"));
                }
                scope.detail.note = Some(describe(&policy));
                let leaf = scope.record(Act::DomainPolicy)?;
                Ok(ChangedDomainPolicy {
                    policy: policy.clone(),
                    leaf,
                })
            })
    }
}
