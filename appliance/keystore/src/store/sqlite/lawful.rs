//! Lawful access and approvals.

mod lists;

use rusqlite::{Row, params};
use strongroom_wire::authorisation::AuthorisationState;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, ApprovalKeyId, AuthorisationId, ProposalId};

use super::rows::{
    Rows, all, array, millis, number, numbered, one, optional_number, optional_time, time,
};
use crate::store::{
    ApprovalKeyRecord, ApprovalRow, AuthorisationFilter, AuthorisationRow, DocumentRecord,
    DomainNumber, GenerationRow, ProposalFilter, ProposalRow, ReadLawful, StoreError,
    WaitingFilter, WriteLawful, authorisation_state_from, authorisation_state_number,
    decision_from, decision_number, document_kind_from, document_kind_number, proposal_state_from,
    proposal_state_number, role_from, role_number,
};

const KEY: &str = "SELECT id, account, public_key, name, created, mac FROM approval_keys";
const PROPOSAL: &str = "SELECT id, domain, request, proposed_by, created, expires, count, role, state, mac FROM proposals";
const AUTHORISATION: &str = "SELECT a.id, a.domain, a.generation, a.record, a.state, a.since, a.resumes_to, a.reason, a.ratify_by, \
     a.terminated, a.ends, a.mac FROM";

impl ReadLawful for Rows<'_> {
    fn document(
        &self,
        domain: DomainNumber,
        sha256: &[u8; 32],
    ) -> Result<Option<DocumentRecord>, StoreError> {
        one(
            &mut self.connection().prepare_cached(
                "SELECT domain, sha256, kind, created, sealed FROM documents
                 WHERE domain = ?1 AND sha256 = ?2",
            )?,
            params![domain, sha256],
            document,
        )
    }

    fn approval_keys_of(&self, account: AccountId) -> Result<Vec<ApprovalKeyRecord>, StoreError> {
        all(
            &mut self
                .connection()
                .prepare_cached(&format!("{KEY} WHERE account = ?1 ORDER BY created, id"))?,
            [account.as_bytes()],
            key,
        )
    }

    fn approval_key(&self, public_key: &[u8]) -> Result<Option<ApprovalKeyRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{KEY} WHERE public_key = ?1"))?,
            [public_key],
            key,
        )
    }

    fn authorisation(&self, id: AuthorisationId) -> Result<Option<AuthorisationRow>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{AUTHORISATION} authorisations a WHERE a.id = ?1"))?,
            [id.as_bytes()],
            authorisation,
        )
    }

    fn authorisations(
        &self,
        domain: DomainNumber,
        filter: &AuthorisationFilter<'_>,
    ) -> Result<Vec<AuthorisationRow>, StoreError> {
        lists::authorisations(self.connection(), domain, filter)
    }

    fn authorisations_over(
        &self,
        domain: DomainNumber,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<AuthorisationRow>, StoreError> {
        // Whatever has not ended yet: the four states from which time leads on.
        all(
            &mut self.connection().prepare_cached(&format!(
                "{AUTHORISATION} authorisations a WHERE a.domain = ?1 AND a.state IN (?2, ?3, ?4, ?5)
                 AND (a.ends <= ?6 OR (a.ratify_by <= ?6 AND a.state <> ?2)) ORDER BY a.id LIMIT ?7"
            ))?,
            params![
                domain,
                authorisation_state_number(AuthorisationState::AwaitingApproval),
                authorisation_state_number(AuthorisationState::Approved),
                authorisation_state_number(AuthorisationState::Suspended),
                authorisation_state_number(AuthorisationState::EmergencyApproval),
                millis(now),
                limit,
            ],
            authorisation,
        )
    }

    fn authorisations_waiting(
        &self,
        domain: DomainNumber,
        filter: &WaitingFilter,
    ) -> Result<Vec<AuthorisationRow>, StoreError> {
        lists::waiting(self.connection(), domain, filter)
    }

    fn generations_of(&self, id: AuthorisationId) -> Result<Vec<GenerationRow>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT authorisation, generation, record, entered_by, entered, mac
                 FROM authorisation_generations WHERE authorisation = ?1 ORDER BY generation",
            )?,
            [id.as_bytes()],
            generation,
        )
    }

    fn approvals_of(
        &self,
        subject: &[u8; 16],
        generation: u32,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT subject, generation, account, decision, time, valid_until, evidence, mac
                 FROM approvals WHERE subject = ?1 AND generation = ?2 ORDER BY time, account",
            )?,
            params![subject, generation],
            approval,
        )
    }

    fn proposal(&self, id: ProposalId) -> Result<Option<ProposalRow>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{PROPOSAL} WHERE id = ?1"))?,
            [id.as_bytes()],
            proposal,
        )
    }

    fn proposals(
        &self,
        domain: DomainNumber,
        filter: &ProposalFilter<'_>,
    ) -> Result<Vec<ProposalRow>, StoreError> {
        lists::proposals(self.connection(), domain, filter)
    }
}

impl WriteLawful for Rows<'_> {
    fn put_document(&mut self, document: &DocumentRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR IGNORE INTO documents (domain, sha256, kind, created, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                document.domain,
                document.sha256,
                document_kind_number(document.kind),
                millis(document.created),
                document.sealed,
            ])?;
        Ok(())
    }

    fn put_approval_key(&mut self, key: &ApprovalKeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO approval_keys (id, account, public_key, name, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key.id.as_bytes(),
                key.account.as_bytes(),
                key.public_key,
                key.name,
                millis(key.created),
                key.mac,
            ])?;
        Ok(())
    }

    fn delete_approval_key(
        &mut self,
        account: AccountId,
        key: ApprovalKeyId,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM approval_keys WHERE account = ?1 AND id = ?2")?
            .execute(params![account.as_bytes(), key.as_bytes()])?;
        Ok(())
    }

    fn put_authorisation(&mut self, row: &AuthorisationRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO authorisations
                 (id, domain, generation, record, state, since, resumes_to, reason, ratify_by, terminated, ends, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, record = excluded.record,
                 state = excluded.state, since = excluded.since, resumes_to = excluded.resumes_to,
                 reason = excluded.reason, ratify_by = excluded.ratify_by, terminated = excluded.terminated,
                 ends = excluded.ends, mac = excluded.mac",
            )?
            .execute(params![
                row.id.as_bytes(),
                row.domain,
                row.generation,
                row.record,
                authorisation_state_number(row.state),
                millis(row.since),
                row.resumes_to.map(authorisation_state_number),
                row.reason,
                row.ratify_by.map(millis),
                row.terminated.map(millis),
                millis(row.ends),
                row.mac,
            ])?;
        Ok(())
    }

    fn put_generation(&mut self, row: &GenerationRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO authorisation_generations
                 (authorisation, generation, record, entered_by, entered, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                row.authorisation.as_bytes(),
                row.generation,
                row.record,
                row.entered_by.as_bytes(),
                millis(row.entered),
                row.mac,
            ])?;
        Ok(())
    }

    fn put_approval(&mut self, row: &ApprovalRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO approvals
                 (subject, generation, account, decision, time, valid_until, evidence, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                row.subject,
                row.generation,
                row.account.as_bytes(),
                decision_number(row.decision),
                millis(row.time),
                millis(row.valid_until),
                row.evidence,
                row.mac,
            ])?;
        Ok(())
    }

    fn put_proposal(&mut self, row: &ProposalRow) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO proposals
                 (id, domain, request, proposed_by, created, expires, count, role, state, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (id) DO UPDATE SET state = excluded.state, mac = excluded.mac",
            )?
            .execute(params![
                row.id.as_bytes(),
                row.domain,
                row.request,
                row.proposed_by.as_bytes(),
                millis(row.created),
                millis(row.expires),
                row.count,
                role_number(row.role),
                proposal_state_number(row.state),
                row.mac,
            ])?;
        Ok(())
    }
}

fn proposal(row: &Row<'_>) -> Result<ProposalRow, StoreError> {
    const WHAT: &str = "proposal";
    Ok(ProposalRow {
        id: ProposalId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        request: array(row, "request", WHAT)?,
        proposed_by: AccountId::from_bytes(array(row, "proposed_by", WHAT)?),
        created: time(row, "created", WHAT)?,
        expires: time(row, "expires", WHAT)?,
        count: number(row, "count", WHAT)?,
        role: numbered(row, "role", role_from, WHAT)?,
        state: numbered(row, "state", proposal_state_from, WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn document(row: &Row<'_>) -> Result<DocumentRecord, StoreError> {
    const WHAT: &str = "document";
    Ok(DocumentRecord {
        domain: number(row, "domain", WHAT)?,
        sha256: array(row, "sha256", WHAT)?,
        kind: numbered(row, "kind", document_kind_from, WHAT)?,
        created: time(row, "created", WHAT)?,
        sealed: row.get("sealed")?,
    })
}

fn key(row: &Row<'_>) -> Result<ApprovalKeyRecord, StoreError> {
    const WHAT: &str = "approval key";
    Ok(ApprovalKeyRecord {
        id: ApprovalKeyId::from_bytes(array(row, "id", WHAT)?),
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        public_key: row.get("public_key")?,
        name: row.get("name")?,
        created: time(row, "created", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn authorisation(row: &Row<'_>) -> Result<AuthorisationRow, StoreError> {
    const WHAT: &str = "authorisation";
    let resumes_to = optional_number(row, "resumes_to", WHAT)?
        .map(|state| {
            u8::try_from(state)
                .ok()
                .and_then(authorisation_state_from)
                .ok_or(StoreError::MalformedRow(WHAT))
        })
        .transpose()?;
    Ok(AuthorisationRow {
        id: AuthorisationId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        generation: number(row, "generation", WHAT)?,
        record: array(row, "record", WHAT)?,
        state: numbered(row, "state", authorisation_state_from, WHAT)?,
        since: time(row, "since", WHAT)?,
        resumes_to,
        reason: row.get("reason")?,
        ratify_by: optional_time(row, "ratify_by", WHAT)?,
        terminated: optional_time(row, "terminated", WHAT)?,
        ends: time(row, "ends", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn generation(row: &Row<'_>) -> Result<GenerationRow, StoreError> {
    const WHAT: &str = "authorisation's generation";
    Ok(GenerationRow {
        authorisation: AuthorisationId::from_bytes(array(row, "authorisation", WHAT)?),
        generation: number(row, "generation", WHAT)?,
        record: array(row, "record", WHAT)?,
        entered_by: AccountId::from_bytes(array(row, "entered_by", WHAT)?),
        entered: time(row, "entered", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn approval(row: &Row<'_>) -> Result<ApprovalRow, StoreError> {
    const WHAT: &str = "approval";
    Ok(ApprovalRow {
        subject: array(row, "subject", WHAT)?,
        generation: number(row, "generation", WHAT)?,
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        decision: numbered(row, "decision", decision_from, WHAT)?,
        time: time(row, "time", WHAT)?,
        valid_until: time(row, "valid_until", WHAT)?,
        evidence: array(row, "evidence", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
