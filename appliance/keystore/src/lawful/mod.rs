//! Lawful access: authorisations, which nobody puts into effect alone, and disclosing exactly what they name.
//!
//! | module | what lives there |
//! |---|---|
//! | `authorisations` | entering and changing them, seeing them |
//! | [`may`] | whether somebody's roles allow what they are about to do, before they are asked how |
//! | `generations` | every generation of one, for those who ask what was changed |
//! | `record` | what an order may say, and the record of a generation, which is what is approved |
//! | `states` | how far they are: what time does to them, suspending, resuming, cancelling |
//! | `approvals` | approving and rejecting; who has approved what, by their evidence |
//! | `approval_keys` | the keys that people approve with |
//! | `order` | authorisations as disclosures need them |
//! | `scope` | what a scope reaches |
//! | `disclose`, `preview`, `release`, [`deliver`] | previewing, executing and releasing a disclosure; handing it out |
//! | `prepared` | what is sealed to the agency before the releasing transaction |
//! | `hold` | keeping keys in scope from destruction |
//! | `notify` | telling people what was disclosed of theirs, when the delay is over |
//! | [`waiting`] | what waits for somebody |
//! | `documents` | documents that leaves name by SHA-256: records, evidence, warrants |
//!
//! A person's approval is a signature over the exact generation: [`strongroom_approval`]. Whoever acts under an authorisation asks
//! [`View::in_effect`] inside the transaction in which they act: it holds the generation, its approvals and the clock together.
//!
//! What must never happen here: a decision on a generation other than the present one; a name of somebody concerned in a leaf; an account KEK or a master KEK in a delivery.

mod approval_keys;
mod approvals;
mod authorisations;
pub(crate) mod deliver;
mod disclose;
mod documents;
mod generations;
pub(crate) mod hold;
pub(crate) mod may;
mod notify;
mod order;
mod prepared;
mod preview;
mod record;
mod release;
mod scope;
mod states;
pub(crate) mod waiting;

use std::sync::Arc;

use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{AuthorisationRecord, AuthorisationState};
use strongroom_wire::id::AuthorisationId;

pub(crate) use self::approvals::{approvals, decide, given, read_statement, stands_for};
pub(crate) use self::documents::digest;
use crate::act::{Caller, Damage, Presented, View};
use crate::error::{Answer, Error, Refusal};
use crate::keystore::Core;
use crate::roles::May;
use crate::store::AuthorisationRow;

/// An authorisation that is in effect, with the generation that was approved.
pub(crate) struct InEffect {
    /// What is kept of it.
    pub(crate) row: AuthorisationRow,
    /// The generation.
    pub(crate) record: AuthorisationRecord,
}

impl View<'_> {
    /// An authorisation as it is at this moment, its record checked.
    pub(crate) fn authorisation(&self, id: AuthorisationId) -> Result<AuthorisationRow, Error> {
        let row = self
            .snapshot
            .authorisation(id)?
            .ok_or(Error::AuthorisationNotFound)?;
        let row = self.domain.check_authorisation(row)?;
        if row.domain != self.domain.number {
            return Err(Error::AuthorisationNotFound);
        }
        Ok(states::at(row, self.now))
    }

    /// An authorisation under which something may be done now: approved, within its timespan, its approvals holding by their own evidence.
    ///
    /// # Errors
    ///
    /// [`Error::AuthorisationNotInEffect`] says how far it is; [`Error::Integrity`] when its approvals do not hold.
    pub(crate) fn in_effect(&self, id: AuthorisationId) -> Result<InEffect, Error> {
        let row = self.authorisation(id)?;
        let record = record::of(self, &row)?;
        if !row.state.is_in_effect() || !record.order.timespan.contains(self.now) {
            return Err(Error::AuthorisationNotInEffect(row.state));
        }
        approvals::require(self, &row, &record)?;
        Ok(InEffect { row, record })
    }
}

/// In which states somebody sees authorisations: officers and auditors in all, those who carry out and hand out disclosures where there is something
/// to be carried out.
pub(crate) fn states_seen(caller: &Caller) -> Result<&'static [AuthorisationState], Error> {
    caller.require(May::SeeAuthorisations)?;
    let all = [
        May::EnterAuthorisations,
        May::ApproveAuthorisations,
        May::ReadAudit,
    ];
    Ok(if all.into_iter().any(|may| caller.may(may)) {
        &AuthorisationState::ALL
    } else {
        &[
            AuthorisationState::Approved,
            AuthorisationState::EmergencyApproval,
        ]
    })
}

/// Refuses who does not see this authorisation, in the words that are used where there is none.
pub(crate) fn require_sight(caller: &Caller, row: &AuthorisationRow) -> Result<(), Error> {
    if states_seen(caller)?.contains(&row.state) {
        Ok(())
    } else {
        Err(Error::AuthorisationNotFound)
    }
}

/// What a leaf of a case says first.
pub(crate) fn case(id: AuthorisationId) -> String {
    format!("case {id}")
}

/// The same, of a generation.
pub(crate) fn case_generation(row: &AuthorisationRow) -> String {
    format!("{} generation {}", case(row.id), row.generation)
}

impl Core {
    /// Runs a look that leaves a leaf, named by `act`, where the caller may not have it.
    pub(crate) fn watched_look<T>(
        self: &Arc<Self>,
        presented: &Presented,
        act: Act,
        about: Option<String>,
        run: impl Fn(&View<'_>, &Caller, &Damage) -> Result<T, Error>,
    ) -> Answer<T> {
        let refusal = match self.look(presented, run) {
            Err(refusal) if refusal.leaf.is_none() => refusal,
            answer => return answer,
        };
        let again: fn(&'static str) -> Error = match &refusal.error {
            Error::NotPermitted(_) => Error::NotPermitted,
            Error::AuthorisationNotFound => |_| Error::AuthorisationNotFound,
            Error::ProposalNotFound => |_| Error::ProposalNotFound,
            _ => return Err(refusal),
        };
        let needs = match &refusal.error {
            Error::NotPermitted(needs) => needs,
            _ => "",
        };
        let presented = presented.clone();
        let recorded = self.act(act, presented.source, move |scope| {
            scope.about.clone_from(&about);
            scope.authenticate(&presented)?;
            Err::<(), _>(again(needs))
        });
        let leaf = recorded.err().and_then(|refusal| refusal.leaf);
        Err(Refusal {
            error: refusal.error,
            leaf,
        })
    }
}
