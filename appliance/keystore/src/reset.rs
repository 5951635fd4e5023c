//! The factory reset of the machine: who may order it, and the leaf that says so. How a machine is reset, those know who serve the keystore.

use strongroom_wire::account::Done;
use strongroom_wire::audit::Act;
use strongroom_wire::proposal::ProposedRequest;

use crate::act::Presented;
use crate::error::Answer;
use crate::keystore::Keystore;
use crate::roles::May;

impl Keystore {
    /// Records that somebody orders the factory reset, before it is done: administrators and security officers do, with a sign-in as recent as the domain's
    /// policy wants it and the approvals that it demands, which are used up by this.
    ///
    /// # Errors
    /// [`Error::NotPermitted`](crate::Error::NotPermitted), [`Error::StepUpRequired`](crate::Error::StepUpRequired),
    /// [`Error::QuorumRequired`](crate::Error::QuorumRequired).
    pub fn order_reset(&self, caller: &Presented) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::ApplianceReset, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::RotateKeks)?;
                caller.require_recent(scope.now)?;
                scope.require_quorum(&caller, &ProposedRequest::ApplianceReset {}, None)?;
                scope.detail.note = Some("ordered at the administration address".to_owned());
                let leaf = scope.record(Act::ApplianceReset)?;
                Ok(Done { leaf })
            })
    }
}
