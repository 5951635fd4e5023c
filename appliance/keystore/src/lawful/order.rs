//! Authorisations as disclosures need them: those that have not ended, their generations, and who has had a part in them.

use strongroom_wire::authorisation::{AuthorisationRecord, AuthorisationState};
use strongroom_wire::id::AuthorisationId;

use super::{InEffect, record, states};
use crate::act::{Caller, View};
use crate::error::Error;
use crate::store::AuthorisationFilter;

const WHAT: &str = "authorisation";
/// How many authorisations are read at once.
const PAGE: u32 = 256;
/// The states of an authorisation that has not ended.
const NOT_ENDED: [AuthorisationState; 4] = [
    AuthorisationState::AwaitingApproval,
    AuthorisationState::Approved,
    AuthorisationState::Suspended,
    AuthorisationState::EmergencyApproval,
];

/// Every authorisation that has not ended at this moment, with its present generation.
pub(super) fn not_ended(
    view: &View<'_>,
) -> Result<Vec<(AuthorisationState, AuthorisationRecord)>, Error> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let filter = AuthorisationFilter {
            states: &NOT_ENDED,
            before,
            limit: PAGE,
        };
        let rows = view.snapshot.authorisations(view.domain.number, &filter)?;
        let Some(last) = rows.last() else {
            return Ok(found);
        };
        before = Some(last.id);
        for row in rows {
            let row = states::at(view.domain.check_authorisation(row)?, view.now);
            if !row.state.has_ended() {
                found.push((row.state, record::of(view, &row)?));
            }
        }
    }
}

/// What one generation of an authorisation orders, or has ordered.
pub(super) fn generation(
    view: &View<'_>,
    id: AuthorisationId,
    generation: u32,
) -> Result<AuthorisationRecord, Error> {
    let row = view
        .snapshot
        .generations_of(id)?
        .into_iter()
        .find(|row| row.generation == generation)
        .ok_or(Error::Integrity(WHAT))?;
    let row = view.domain.check_generation(row)?;
    record::read(view, &row.record)
}

/// Refuses whoever has entered any generation of the authorisation, or decided on the present one.
pub(super) fn require_no_part(
    view: &View<'_>,
    caller: &Caller,
    order: &InEffect,
) -> Result<(), Error> {
    let id = order.row.id;
    for row in view.snapshot.generations_of(id)? {
        if view.domain.check_generation(row)?.entered_by == caller.account.id {
            return Err(Error::NotPermitted(
                "another person than who entered the authorisation",
            ));
        }
    }
    for row in view
        .snapshot
        .approvals_of(id.as_bytes(), order.row.generation)?
    {
        if view.domain.check_approval(row)?.account == caller.account.id {
            return Err(Error::NotPermitted(
                "another person than who approved the authorisation",
            ));
        }
    }
    Ok(())
}
