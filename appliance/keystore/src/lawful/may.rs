//! Whether somebody's roles allow what they are about to do with a case: asked before a form for it is shown, so that nobody fills it in for nothing.
//! The act itself asks again.

use strongroom_wire::audit::Act;
use strongroom_wire::id::AuthorisationId;

use super::{case, require_sight};
use crate::act::Presented;
use crate::error::Answer;
use crate::keystore::Keystore;
use crate::roles::May;

/// What somebody is about to do with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseAct {
    /// Enter it or change it.
    Enter,
    /// Approve it, reject it, resume it.
    Approve,
    /// Suspend it or cancel it.
    Suspend,
    /// See what it reaches, in counts.
    Preview,
    /// Execute it.
    Execute,
    /// Release what was executed.
    Release,
}

impl CaseAct {
    const fn needs(self) -> May {
        match self {
            Self::Enter => May::EnterAuthorisations,
            Self::Approve => May::ApproveAuthorisations,
            Self::Suspend => May::SuspendAuthorisations,
            Self::Preview | Self::Execute => May::ExecuteDisclosures,
            Self::Release => May::ReleaseDisclosures,
        }
    }
}

impl Keystore {
    /// Refuses whose roles do not allow this, with a leaf; where it is about a case that is there already, who does not see that.
    pub fn may_act_on_case(
        &self,
        caller: &Presented,
        id: Option<AuthorisationId>,
        act: CaseAct,
    ) -> Answer<()> {
        self.core.watched_look(
            caller,
            Act::AuthorisationRead,
            id.map(case),
            |view, caller, _| {
                if let Some(id) = id {
                    require_sight(caller, &view.authorisation(id)?)?;
                }
                if act == CaseAct::Preview && caller.may(May::ReleaseDisclosures) {
                    return Ok(());
                }
                caller.require(act.needs())
            },
        )
    }
}
