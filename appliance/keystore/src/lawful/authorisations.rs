//! Entering authorisations, changing them, and seeing them.

use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{
    Authorisation, AuthorisationOrder, AuthorisationPage, AuthorisationQuery, AuthorisationState,
    ChangeAuthorisation, ChangedAuthorisation, ListedAuthorisation,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AuthorisationId;

use super::states::{keep, stands, written_as};
use super::{approvals, case, case_generation, record, require_sight, states_seen};
use crate::act::{Caller, Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::seal;
use crate::store::{AuthorisationFilter, AuthorisationRow, DocumentKind, GenerationRow};

/// How many authorisations a page has by default, and at most.
const PAGE: u32 = 50;
const LONGEST_PAGE: u32 = 200;
/// How often the store is asked for more, where time has made others of what was read.
const MOST_READ: u32 = 10;

impl Keystore {
    /// Enters an authorisation, which then awaits approval; case officers only.
    pub fn enter_authorisation(
        &self,
        caller: &Presented,
        order: AuthorisationOrder,
    ) -> Answer<ChangedAuthorisation> {
        let presented = caller.clone();
        self.core
            .act(Act::AuthorisationEnter, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::EnterAuthorisations)?;
                let order = record::checked(order.clone())?;
                let id = AuthorisationId::generate();
                let first = Generation {
                    number: 1,
                    ratify_by: None,
                };
                generate(scope, &caller, Act::AuthorisationEnter, id, first, order)
            })
    }

    /// Gives an authorisation another generation, which voids its approvals; case officers only. None that was cancelled.
    pub fn change_authorisation(
        &self,
        caller: &Presented,
        id: AuthorisationId,
        request: ChangeAuthorisation,
    ) -> Answer<ChangedAuthorisation> {
        let presented = caller.clone();
        self.core
            .act(Act::AuthorisationChange, caller.source, move |scope| {
                scope.about = Some(case(id));
                let caller = scope.authenticate(&presented)?;
                caller.require(May::EnterAuthorisations)?;
                let order = record::checked(request.order.clone())?;
                let row = scope.view().authorisation(id)?;
                require_sight(&caller, &row)?;
                if row.state == AuthorisationState::Cancelled {
                    return Err(stands(row.state));
                }
                if row.generation != request.generation {
                    return Err(Error::Conflict(format!(
                        "The authorisation has generation {} by now: look at it again.",
                        row.generation
                    )));
                }
                let next = row.generation.checked_add(1);
                let next = Generation {
                    number: next
                        .ok_or(Error::Internal("an authorisation has too many generations"))?,
                    ratify_by: row.ratify_by,
                };
                generate(scope, &caller, Act::AuthorisationChange, id, next, order)
            })
    }

    /// An authorisation, for those who have to do with it.
    pub fn authorisation(&self, caller: &Presented, id: AuthorisationId) -> Answer<Authorisation> {
        self.core.watched_look(
            caller,
            Act::AuthorisationRead,
            Some(case(id)),
            |view, caller, _| {
                let row = view.authorisation(id)?;
                require_sight(caller, &row)?;
                to_wire(view, &row)
            },
        )
    }

    /// Authorisations that the caller has to do with, the newest first. So many are looked at that it takes no long: a page may have fewer than asked for, and tell
    /// where the list goes on.
    pub fn authorisations(
        &self,
        caller: &Presented,
        query: AuthorisationQuery,
    ) -> Answer<AuthorisationPage> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        self.core
            .watched_look(caller, Act::AuthorisationRead, None, |view, caller, _| {
                let mut wanted = states_seen(caller)?.to_vec();
                wanted.retain(|state| query.state.is_none_or(|asked| asked == *state));
                // What time has done to them since they were written is not in their rows.
                let mut states = AuthorisationState::ALL.to_vec();
                states.retain(|state| wanted.iter().any(|now| written_as(*now).contains(state)));
                let mut filter = AuthorisationFilter {
                    states: &states,
                    before: query.before,
                    limit: limit + 1,
                };
                let mut page = AuthorisationPage {
                    authorisations: Vec::new(),
                    next: None,
                };
                for _ in 0..MOST_READ {
                    let rows = view.snapshot.authorisations(view.domain.number, &filter)?;
                    let last_piece = rows.len() < filter.limit as usize;
                    for row in rows {
                        if page.authorisations.len() == limit as usize {
                            page.next = filter.before;
                            return Ok(page);
                        }
                        filter.before = Some(row.id);
                        let row =
                            super::states::at(view.domain.check_authorisation(row)?, view.now);
                        if wanted.contains(&row.state) {
                            page.authorisations.push(list(view, &row)?);
                        }
                    }
                    if last_piece {
                        return Ok(page);
                    }
                }
                page.next = filter.before;
                Ok(page)
            })
    }
}

/// What a generation has from the one before.
struct Generation {
    number: u32,
    /// When an emergency has to be ratified that nobody has ratified yet: a change gives it no more time.
    ratify_by: Option<Timestamp>,
}

/// Writes a generation and its leaf.
fn generate(
    scope: &mut Scope<'_>,
    caller: &Caller,
    act: Act,
    id: AuthorisationId,
    generation: Generation,
    order: AuthorisationOrder,
) -> Result<ChangedAuthorisation, Error> {
    let (generation, ratify_by) = (generation.number, generation.ratify_by);
    let record = record::make(&scope.view(), caller, id, generation, order)?;
    let sha256 = scope.put_document(DocumentKind::Record, &record::to_bytes(&record)?)?;
    let mut row = AuthorisationRow {
        id,
        domain: scope.domain.number,
        generation,
        record: sha256,
        state: AuthorisationState::AwaitingApproval,
        since: scope.now,
        resumes_to: None,
        reason: None,
        ratify_by,
        terminated: None,
        ends: record.order.timespan.end,
        mac: [0; 32],
    };
    keep(scope, &mut row)?;
    let mut entered = GenerationRow {
        authorisation: id,
        generation,
        record: sha256,
        entered_by: caller.account.id,
        entered: scope.now,
        mac: [0; 32],
    };
    scope.domain.authenticate_generation(&mut entered);
    scope.tx.put_generation(&entered)?;
    let note = format!("{} record {}", case_generation(&row), seal::hex(&sha256));
    scope.detail.note = Some(note);
    let leaf = scope.record(act)?;
    Ok(ChangedAuthorisation {
        authorisation: to_wire(&scope.view(), &row)?,
        leaf,
    })
}

/// An authorisation as the API shows it.
pub(super) fn to_wire(view: &View<'_>, row: &AuthorisationRow) -> Result<Authorisation, Error> {
    Ok(Authorisation {
        id: row.id,
        generation: row.generation,
        state: row.state,
        since: row.since,
        reason: row.reason.clone(),
        ratify_by: ratify_by(row),
        terminated: row.terminated,
        record_sha256: seal::hex(&row.record),
        record: record::of(view, row)?,
        approvals: approvals::given(view, row.id.as_bytes(), row.generation)?,
    })
}

/// When it lapses unless it is ratified; none while it is not in effect for lack of any approval.
fn ratify_by(row: &AuthorisationRow) -> Option<Timestamp> {
    let waits = row.state == AuthorisationState::AwaitingApproval;
    row.ratify_by.filter(|_| !waits)
}

/// One as it stands in lists.
pub(super) fn list(view: &View<'_>, row: &AuthorisationRow) -> Result<ListedAuthorisation, Error> {
    let record = record::of(view, row)?;
    Ok(ListedAuthorisation {
        id: row.id,
        generation: row.generation,
        state: row.state,
        since: row.since,
        reference: record.order.reference,
        priority: record.order.priority,
        flags: record.order.flags,
        timespan: record.order.timespan,
        ratify_by: ratify_by(row),
        approved_by: approvals::approved_by(view, row)?,
        approvals_needed: record.approvals_needed,
        entered_by_name: record.entered_by_name,
    })
}
