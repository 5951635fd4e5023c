//! How far an authorisation is: what time does to it, and what people do.
//!
//! ```text
//! awaiting-approval ─ enough people ──────────▶ approved ◀─ the others ratify ─ emergency-approval ◀─ one person, of an emergency
//!    │                                            │ ▲                               │ ▲
//!    └ one is against it ▶ rejected       suspend ▼ │ resume                suspend ▼ │ resume
//!                                               suspended                         suspended
//! ```
//!
//! From each of these cancelling leads to `cancelled`, the end of the timespan to `expired`, and of an emergency that is not ratified in time to
//! `invalid`. A change leads from all but `cancelled` back to the beginning.

use strongroom_audit::Detail;
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{
    AuthorisationState, ChangedAuthorisation, LONGEST_LINE, Move, MoveAuthorisation,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AuthorisationId;

use super::approvals::excluded;
use super::authorisations::to_wire;
use super::{case, case_generation, require_sight};
use crate::act::{Presented, Scope};
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, LOCALHOST};
use crate::roles::May;
use crate::store::AuthorisationRow;

/// How many authorisations end in one act.
const ENDING_AT_ONCE: u32 = 100;

const NOT_RATIFIED: &str = "The emergency was not ratified in time.";

impl Keystore {
    /// Suspends an authorisation, resumes it or cancels it: suspending and cancelling for those who enter and those who approve, resuming
    /// for those who approve and did not enter it.
    pub fn move_authorisation(
        &self,
        caller: &Presented,
        id: AuthorisationId,
        request: MoveAuthorisation,
    ) -> Answer<ChangedAuthorisation> {
        let act = match request.to {
            Move::Suspend => Act::AuthorisationSuspend,
            Move::Resume => Act::AuthorisationResume,
            Move::Cancel => Act::AuthorisationCancel,
        };
        let reason = request.reason.trim().to_owned();
        let presented = caller.clone();
        self.core.act(act, caller.source, move |scope| {
            scope.about = Some(case(id));
            let caller = scope.authenticate(&presented)?;
            caller.require(match request.to {
                Move::Suspend | Move::Cancel => May::SuspendAuthorisations,
                Move::Resume => May::ApproveAuthorisations,
            })?;
            if reason.is_empty()
                || reason.len() > LONGEST_LINE
                || reason.chars().any(char::is_control)
            {
                return Err(Error::Invalid(format!(
                    "The reason has 1 to {LONGEST_LINE} bytes, none of them control characters."
                )));
            }
            let mut row = scope.view().authorisation(id)?;
            require_sight(&caller, &row)?;
            if request.to == Move::Resume
                && excluded(&scope.view(), id)?.contains(&caller.account.id)
            {
                return Err(Error::NotPermitted(
                    "another legal approver: nobody resumes what they entered",
                ));
            }
            go(&mut row, request.to, &reason, scope.now)?;
            keep(scope, &mut row)?;
            scope.detail.note = Some(format!("{} {reason}", case_generation(&row)));
            let leaf = scope.record(act)?;
            Ok(ChangedAuthorisation {
                authorisation: to_wire(&scope.view(), &row)?,
                leaf,
            })
        })
    }

    /// Ends authorisations whose timespan is over, and emergencies that were not ratified in time, with a leaf each; says how many. On time they are not
    /// in effect whether this has run or not.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when a record was edited, [`Error::Store`].
    pub fn end_authorisations(&self) -> Result<u64, Error> {
        let (store, number) = (&self.core.store, self.core.domain.number);
        let now = self.core.clock.now();
        if store
            .snapshot()?
            .authorisations_over(number, now, 1)?
            .is_empty()
        {
            return Ok(0);
        }
        self.core
            .act(Act::AuthorisationEnd, LOCALHOST, |scope| {
                let over =
                    scope
                        .tx
                        .authorisations_over(scope.domain.number, scope.now, ENDING_AT_ONCE)?;
                let mut ended = 0;
                for row in over {
                    let row = scope.domain.check_authorisation(row)?;
                    let (before, mut row) = (row.state, at(row, scope.now));
                    if row.state == before {
                        continue;
                    }
                    keep(scope, &mut row)?;
                    let note = format!("{} state {}", case_generation(&row), row.state);
                    scope.detail = Detail {
                        note: Some(note),
                        ..Detail::default()
                    };
                    scope.record(Act::AuthorisationEnd)?;
                    ended += 1;
                }
                Ok(ended)
            })
            .map_err(|refusal| refusal.error)
    }
}

/// What an authorisation is at this moment, whatever is written of it: time goes on without anybody's doing.
pub(super) fn at(mut row: AuthorisationRow, now: Timestamp) -> AuthorisationRow {
    if row.state.has_ended() {
        return row;
    }
    let unratified = row.state == AuthorisationState::EmergencyApproval
        || row.resumes_to == Some(AuthorisationState::EmergencyApproval);
    let lapses = row
        .ratify_by
        .filter(|by| unratified && *by <= now && *by <= row.ends);
    if let Some(moment) = lapses {
        end(&mut row, AuthorisationState::Invalid, moment);
        row.reason = Some(NOT_RATIFIED.to_owned());
    } else if row.ends <= now {
        let (moment, suspended) = (row.ends, row.resumes_to);
        end(&mut row, AuthorisationState::Expired, moment);
        // That it was suspended still stops what was released.
        row.resumes_to = suspended;
    }
    row
}

/// The states in which what is in this one by now may have been written: [`at`] read backwards.
pub(super) fn written_as(now: AuthorisationState) -> &'static [AuthorisationState] {
    match now {
        AuthorisationState::Invalid => &[
            AuthorisationState::Invalid,
            AuthorisationState::EmergencyApproval,
            AuthorisationState::Suspended,
        ],
        AuthorisationState::Expired => &[
            AuthorisationState::Expired,
            AuthorisationState::AwaitingApproval,
            AuthorisationState::Approved,
            AuthorisationState::Suspended,
            AuthorisationState::EmergencyApproval,
        ],
        AuthorisationState::AwaitingApproval => &[AuthorisationState::AwaitingApproval],
        AuthorisationState::Approved => &[AuthorisationState::Approved],
        AuthorisationState::Rejected => &[AuthorisationState::Rejected],
        AuthorisationState::Suspended => &[AuthorisationState::Suspended],
        AuthorisationState::Cancelled => &[AuthorisationState::Cancelled],
        AuthorisationState::EmergencyApproval => &[AuthorisationState::EmergencyApproval],
    }
}

/// Whether what was released while it was in effect stays at the appliance. The end of its timespan alone does not stop it; but whoever suspends it need not
/// remember to cancel it in time, and an emergency that nobody has ratified until then is none that others have approved.
pub(super) fn stops_delivery(row: &AuthorisationRow) -> bool {
    match row.state {
        AuthorisationState::Approved | AuthorisationState::EmergencyApproval => false,
        AuthorisationState::Expired => row.resumes_to.is_some() || row.ratify_by.is_some(),
        AuthorisationState::AwaitingApproval
        | AuthorisationState::Suspended
        | AuthorisationState::Cancelled
        | AuthorisationState::Rejected
        | AuthorisationState::Invalid => true,
    }
}

/// Does what somebody asks for.
fn go(row: &mut AuthorisationRow, to: Move, reason: &str, now: Timestamp) -> Result<(), Error> {
    match (to, row.state) {
        (Move::Suspend, AuthorisationState::Approved | AuthorisationState::EmergencyApproval) => {
            row.resumes_to = Some(row.state);
            row.state = AuthorisationState::Suspended;
        }
        (Move::Resume, AuthorisationState::Suspended) => {
            row.state = row
                .resumes_to
                .take()
                .ok_or(Error::Integrity("authorisation"))?;
        }
        (Move::Cancel, state) if !state.has_ended() => {
            end(row, AuthorisationState::Cancelled, now);
        }
        (_, state) => return Err(stands(state)),
    }
    row.since = now;
    row.reason = (to != Move::Resume).then(|| reason.to_owned());
    Ok(())
}

/// Ends it.
pub(super) fn end(row: &mut AuthorisationRow, state: AuthorisationState, moment: Timestamp) {
    row.state = state;
    row.since = moment;
    row.resumes_to = None;
    row.terminated = Some(moment);
}

/// The refusal of what an authorisation's state does not allow.
pub(super) fn stands(state: AuthorisationState) -> Error {
    Error::Conflict(format!(
        "This authorisation is {state}, which does not allow that."
    ))
}

/// Keeps what became of it.
pub(super) fn keep(scope: &mut Scope<'_>, row: &mut AuthorisationRow) -> Result<(), Error> {
    scope.domain.authenticate_authorisation(row);
    Ok(scope.tx.put_authorisation(row)?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use strongroom_wire::authorisation::AuthorisationState::{
        Approved, AwaitingApproval, Cancelled, EmergencyApproval, Expired, Invalid, Rejected,
        Suspended,
    };

    use super::*;

    fn row(state: AuthorisationState) -> AuthorisationRow {
        AuthorisationRow {
            id: AuthorisationId::from_bytes([1; 16]),
            domain: 1,
            generation: 1,
            record: [0; 32],
            state,
            since: Timestamp::from_millis(1),
            resumes_to: (state == Suspended).then_some(EmergencyApproval),
            reason: None,
            ratify_by: Some(Timestamp::from_millis(100)),
            terminated: None,
            ends: Timestamp::from_millis(200),
            mac: [0; 32],
        }
    }

    #[test]
    fn time_ends_what_has_not_ended() {
        let after = |state, now| at(row(state), Timestamp::from_millis(now)).state;
        for state in [AwaitingApproval, Approved] {
            assert_eq!([after(state, 199), after(state, 200)], [state, Expired]);
        }
        for state in [EmergencyApproval, Suspended] {
            assert_eq!([after(state, 99), after(state, 100)], [state, Invalid]);
        }
        for state in [Rejected, Cancelled, Expired, Invalid] {
            assert_eq!(after(state, 1000), state);
        }
        let mut early = row(EmergencyApproval);
        early.ends = Timestamp::from_millis(50);
        assert_eq!(at(early, Timestamp::from_millis(150)).state, Expired);
    }

    #[test]
    fn the_end_of_the_timespan_lets_nothing_out_that_was_stopped() {
        let expired = |mut row: AuthorisationRow, ratify_by: Option<u64>| {
            row.ratify_by = ratify_by.map(Timestamp::from_millis);
            let row = at(row, Timestamp::from_millis(200));
            assert_eq!(row.state, Expired);
            stops_delivery(&row)
        };
        let mut suspended = row(Suspended);
        suspended.resumes_to = Some(Approved);
        assert!(!expired(row(Approved), None));
        assert!(expired(suspended, None));
        assert!(expired(row(EmergencyApproval), Some(300)));
    }

    #[test]
    fn a_suspended_one_resumes_to_what_it_was() {
        for state in [Approved, EmergencyApproval] {
            let mut row = row(state);
            go(&mut row, Move::Suspend, "why", Timestamp::from_millis(10)).unwrap();
            assert_eq!((row.state, row.reason.as_deref()), (Suspended, Some("why")));
            go(&mut row, Move::Resume, "why", Timestamp::from_millis(11)).unwrap();
            assert_eq!((row.state, row.reason, row.resumes_to), (state, None, None));
        }
    }

    proptest! {
        /// Nothing that people do short of a change leads out of an end, and nothing leads into effect from where it was not.
        #[test]
        fn an_end_is_one(state in prop::sample::select(&AuthorisationState::ALL[..]), moves in prop::collection::vec(0..3, 0..8)) {
            let mut row = row(state);
            for step in moves {
                let to = [Move::Suspend, Move::Resume, Move::Cancel][usize::try_from(step).unwrap()];
                let before = row.clone();
                if go(&mut row, to, "why", Timestamp::from_millis(10)).is_err() {
                    prop_assert_eq!(row.canonical(), before.canonical());
                }
                prop_assert!(!before.state.has_ended() || row.state == before.state);
            }
            prop_assert!(!row.state.is_in_effect() || state.is_in_effect() || state == Suspended);
        }
    }
}
