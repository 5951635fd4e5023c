//! What waits for somebody, by what their roles do: it decides nothing. Who may do it is found when they do.

use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{AuthorisationState, ListedAuthorisation};

use super::authorisations::list;
use super::{record, require_sight};
use crate::act::{Caller, Presented, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::store::{Waiting, WaitingFilter};

/// What is to be done with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseTask {
    /// Ratify an emergency, or reject it.
    Ratify,
    /// Approve or reject it.
    Decide,
    /// Change it: a legal approver was against it.
    ChangeRejected,
    /// Change it: its emergency was not ratified.
    ChangeInvalid,
    /// Preview and execute it.
    Execute,
    /// Release what was executed.
    Release,
}

/// A case that waits for somebody.
#[derive(Debug, Clone)]
pub struct WaitingCase {
    /// What for.
    pub task: CaseTask,
    /// The case.
    pub case: ListedAuthorisation,
}

/// How many rows are read at once.
const A_PIECE: u32 = 50;

/// What waits for people of a role, the most pressing first: in which state, for what, and what that is called.
const TASKS: [(Role, AuthorisationState, Waiting, CaseTask); 8] = [
    (
        Role::LegalApprover,
        AuthorisationState::EmergencyApproval,
        Waiting::Decision,
        CaseTask::Ratify,
    ),
    (
        Role::LegalApprover,
        AuthorisationState::AwaitingApproval,
        Waiting::Decision,
        CaseTask::Decide,
    ),
    (
        Role::CaseOfficer,
        AuthorisationState::Rejected,
        Waiting::Change,
        CaseTask::ChangeRejected,
    ),
    (
        Role::CaseOfficer,
        AuthorisationState::Invalid,
        Waiting::Change,
        CaseTask::ChangeInvalid,
    ),
    (
        Role::Executor,
        AuthorisationState::EmergencyApproval,
        Waiting::Execution,
        CaseTask::Execute,
    ),
    (
        Role::Executor,
        AuthorisationState::Approved,
        Waiting::Execution,
        CaseTask::Execute,
    ),
    (
        Role::Releaser,
        AuthorisationState::EmergencyApproval,
        Waiting::Release,
        CaseTask::Release,
    ),
    (
        Role::Releaser,
        AuthorisationState::Approved,
        Waiting::Release,
        CaseTask::Release,
    ),
];

impl Keystore {
    /// The first `limit` cases that wait for the caller, the most pressing first: emergencies before the rest, and what ends first before what ends later.
    pub fn waiting_cases(&self, caller: &Presented, limit: usize) -> Answer<Vec<WaitingCase>> {
        self.core
            .watched_look(caller, Act::AuthorisationRead, None, |view, caller, _| {
                let mut found = Vec::new();
                for (role, state, what, task) in TASKS {
                    if caller.account.roles.contains(&role) {
                        let filter = WaitingFilter {
                            what,
                            account: caller.account.id,
                            state,
                            now: view.now,
                            after: None,
                            limit: A_PIECE,
                        };
                        find(view, caller, filter, task, limit, &mut found)?;
                    }
                }
                Ok(found)
            })
    }
}

fn find(
    view: &View<'_>,
    caller: &Caller,
    mut filter: WaitingFilter,
    task: CaseTask,
    limit: usize,
    found: &mut Vec<WaitingCase>,
) -> Result<(), Error> {
    loop {
        let rows = view
            .snapshot
            .authorisations_waiting(view.domain.number, &filter)?;
        let last_piece = rows.len() < filter.limit as usize;
        for row in rows {
            if found.len() >= limit {
                return Ok(());
            }
            filter.after = Some((row.ends, row.id));
            let row = super::states::at(view.domain.check_authorisation(row)?, view.now);
            // What the database says of it and its record does not, waits for nobody.
            if row.state != filter.state || require_sight(caller, &row).is_err() {
                continue;
            }
            // When it begins is in its record.
            let timespan = record::of(view, &row)?.order.timespan;
            let begun = match filter.what {
                Waiting::Change | Waiting::Decision => true,
                Waiting::Execution | Waiting::Release => timespan.contains(view.now),
            };
            if begun {
                let case = list(view, &row)?;
                found.push(WaitingCase { task, case });
            }
        }
        if last_piece {
            return Ok(());
        }
    }
}
