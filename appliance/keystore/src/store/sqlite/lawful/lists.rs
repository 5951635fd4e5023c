//! Lists of authorisations and proposals, each read from an index in its order, however many there are that are not in it.

use rusqlite::{Connection, params};

use super::super::rows::{all, millis};
use super::{AUTHORISATION, PROPOSAL, authorisation, proposal};
use crate::store::{
    AuthorisationFilter, AuthorisationRow, DomainNumber, ProposalFilter, ProposalRow, StoreError,
    Waiting, WaitingFilter, authorisation_state_number, role_number, roles_bits,
};

const OWN_PROPOSALS: &str =
    "WHERE domain = ?1 AND id < ?2 AND proposed_by = ?4 ORDER BY id DESC LIMIT ?3";
const PROPOSALS_BY_ROLE: &str =
    "WHERE domain = ?1 AND id < ?2 AND role = ?4 ORDER BY id DESC LIMIT ?3";
/// 1 is open.
const OPEN_PROPOSALS: &str = "INDEXED BY proposals_open WHERE domain = ?1 AND state = 1 AND id < ?2
     AND (proposed_by = ?4 OR (1 << role) & ?5 <> 0) AND expires > ?6 ORDER BY id DESC LIMIT ?3";
const BY_STATE: &str = "authorisations a INDEXED BY authorisations_by_state
     WHERE a.domain = ?1 AND a.state = ?2 AND a.id < ?3 ORDER BY a.id DESC LIMIT ?4";
/// What holds of all that wait.
const WAITS: &str = "a.domain = ?1 AND a.state = ?2 AND (a.ends, a.id) > (?3, ?4)
     ORDER BY a.ends, a.id LIMIT ?7";
const CHANGE: &str = "authorisations a INDEXED BY authorisations_by_end
     WHERE EXISTS (SELECT 1 FROM authorisation_generations g
     WHERE g.authorisation = a.id AND g.generation = a.generation AND g.entered_by = ?6) AND";
/// 1 is approved.
const DECISION: &str = "authorisations a INDEXED BY authorisations_by_end
     WHERE NOT EXISTS (SELECT 1 FROM authorisation_generations g WHERE g.authorisation = a.id AND g.entered_by = ?6)
     AND NOT EXISTS (SELECT 1 FROM approvals p WHERE p.subject = a.id AND p.generation = a.generation
     AND p.account = ?6 AND p.decision = 1 AND p.valid_until > ?5) AND";
const EXECUTION: &str = "authorisations a INDEXED BY authorisations_by_end WHERE NOT EXISTS
     (SELECT 1 FROM disclosures d WHERE d.authorisation = a.id AND d.generation = a.generation) AND";
const RELEASE: &str = "disclosures d INDEXED BY disclosures_unreleased
     CROSS JOIN authorisations a ON a.id = d.authorisation AND a.generation = d.generation
     WHERE d.domain = ?1 AND d.released IS NULL AND d.executor <> ?6 AND";

pub(super) fn authorisations(
    connection: &Connection,
    domain: DomainNumber,
    filter: &AuthorisationFilter<'_>,
) -> Result<Vec<AuthorisationRow>, StoreError> {
    // Each state's newest come from an index in order; together they hold the newest of all.
    let before = filter
        .before
        .map_or([0xff; 16], |before| *before.as_bytes());
    let mut statement = connection.prepare_cached(&format!("{AUTHORISATION} {BY_STATE}"))?;
    let mut found = Vec::new();
    for state in filter.states {
        let state = authorisation_state_number(*state);
        found.extend(all(
            &mut statement,
            params![domain, state, before, filter.limit],
            authorisation,
        )?);
    }
    found.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
    found.truncate(filter.limit as usize);
    Ok(found)
}

pub(super) fn waiting(
    connection: &Connection,
    domain: DomainNumber,
    filter: &WaitingFilter,
) -> Result<Vec<AuthorisationRow>, StoreError> {
    let (ends, id) = match filter.after {
        Some((ends, id)) => (millis(ends), *id.as_bytes()),
        // What has ended by now is passed by in the index.
        None => (millis(filter.now), [0xff; 16]),
    };
    all(
        &mut connection.prepare_cached(&waiting_sql(filter.what))?,
        params![
            domain,
            authorisation_state_number(filter.state),
            ends,
            id,
            millis(filter.now),
            filter.account.as_bytes(),
            filter.limit
        ],
        authorisation,
    )
}

pub(super) fn proposals(
    connection: &Connection,
    domain: DomainNumber,
    filter: &ProposalFilter<'_>,
) -> Result<Vec<ProposalRow>, StoreError> {
    let (by, limit) = (filter.by.as_bytes(), filter.limit);
    let before = filter
        .before
        .map_or([0xff; 16], |before| *before.as_bytes());
    if let Some(now) = filter.open {
        return all(
            &mut connection.prepare_cached(&format!("{PROPOSAL} {OPEN_PROPOSALS}"))?,
            params![
                domain,
                before,
                limit,
                by,
                roles_bits(filter.roles),
                millis(now)
            ],
            proposal,
        );
    }
    // As with authorisations: one's own, and each role's.
    let mut found = all(
        &mut connection.prepare_cached(&format!("{PROPOSAL} {OWN_PROPOSALS}"))?,
        params![domain, before, limit, by],
        proposal,
    )?;
    let mut statement = connection.prepare_cached(&format!("{PROPOSAL} {PROPOSALS_BY_ROLE}"))?;
    for role in filter.roles {
        found.extend(all(
            &mut statement,
            params![domain, before, limit, role_number(*role)],
            proposal,
        )?);
    }
    found.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
    found.dedup_by_key(|row| row.id);
    found.truncate(limit as usize);
    Ok(found)
}

fn waiting_sql(what: Waiting) -> String {
    let from = match what {
        Waiting::Change => CHANGE,
        Waiting::Decision => DECISION,
        Waiting::Execution => EXECUTION,
        Waiting::Release => RELEASE,
    };
    format!("{AUTHORISATION} {from} {WAITS}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::approval::Decision;
    use strongroom_wire::proposal::ProposalState;

    use super::*;
    use crate::store::sqlite::plans::plan_of;
    use crate::store::sqlite::schema;
    use crate::store::{decision_number, proposal_state_number};

    #[test]
    fn lists_are_read_from_indexes() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let proposals = |of: &str| format!("{PROPOSAL} {of}");
        // What was executed and not released is little: it is sorted.
        for (sql, index, sorted) in [
            (
                proposals(OWN_PROPOSALS),
                "proposals_by_account (proposed_by=? AND id<?)",
                false,
            ),
            (
                proposals(PROPOSALS_BY_ROLE),
                "proposals_by_role (domain=? AND role=? AND id<?)",
                false,
            ),
            (
                proposals(OPEN_PROPOSALS),
                "proposals_open (domain=? AND id<?)",
                false,
            ),
            (
                format!("{AUTHORISATION} {BY_STATE}"),
                "authorisations_by_state (domain=? AND state=? AND id<?)",
                false,
            ),
            (
                waiting_sql(Waiting::Decision),
                "authorisations_by_end (domain=? AND state=?",
                false,
            ),
            (
                waiting_sql(Waiting::Execution),
                "authorisations_by_end (domain=? AND state=?",
                false,
            ),
            (
                waiting_sql(Waiting::Change),
                "authorisations_by_end (domain=? AND state=?",
                false,
            ),
            (
                waiting_sql(Waiting::Release),
                "disclosures_unreleased (domain=?)",
                true,
            ),
        ] {
            let plan = plan_of(&connection, &sql);
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
            assert_eq!(plan.contains("TEMP B-TREE"), sorted, "{plan}");
        }
        // The literals of the statements and of a partial index.
        assert_eq!(proposal_state_number(ProposalState::Open), 1);
        assert_eq!(decision_number(Decision::Approve), 1);
    }
}
