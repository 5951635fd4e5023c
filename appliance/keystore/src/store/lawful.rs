//! Lawful access and approvals: their records and the part of the traits that they need.

use strongroom_wire::account::Role;
use strongroom_wire::approval::Decision;
use strongroom_wire::authorisation::AuthorisationState;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, ApprovalKeyId, AuthorisationId, ProposalId};
use strongroom_wire::proposal::ProposalState;

use super::{
    DomainNumber, StoreError, authorisation_state_number, decision_number, document_kind_number,
    proposal_state_number, role_number,
};
use crate::canonical::Canonical;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A warrant, as it was uploaded.
    Warrant,
    /// A generation of an authorisation.
    Record,
    /// The evidence of an approval.
    Evidence,
    /// The request of a proposal.
    Request,
    /// The record of a disclosed item, or the manifest of a delivery.
    Delivery,
    /// Which keys holds keep.
    Hold,
}

impl DocumentKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warrant => "warrant",
            Self::Record => "record",
            Self::Evidence => "evidence",
            Self::Request => "request",
            Self::Delivery => "delivery",
            Self::Hold => "hold",
        }
    }
}

/// A document that leaves name by its SHA-256.
#[derive(Debug, Clone)]
pub struct DocumentRecord {
    /// The domain.
    pub domain: DomainNumber,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// What it is.
    pub kind: DocumentKind,
    /// When it was put.
    pub created: Timestamp,
    /// Its bytes under the domain's secrets key, bound to the rest.
    pub sealed: Vec<u8>,
}

impl DocumentRecord {
    /// What the seal is bound to.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("document", 4)
            .uint(self.domain.into())
            .bytes(&self.sha256)
            .uint(document_kind_number(self.kind).into())
            .time(self.created)
            .finish()
    }
}

/// A public key that an account approves with.
#[derive(Debug, Clone)]
pub struct ApprovalKeyRecord {
    /// Its identifier.
    pub id: ApprovalKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// What its holder calls it.
    pub name: String,
    /// When it was added.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl ApprovalKeyRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("approval-key", 5)
            .bytes(self.id.as_bytes())
            .bytes(self.account.as_bytes())
            .bytes(&self.public_key)
            .text(&self.name)
            .time(self.created)
            .finish()
    }
}

/// An authorisation: its present generation, and how far it is.
#[derive(Debug, Clone)]
pub struct AuthorisationRow {
    /// Its identifier.
    pub id: AuthorisationId,
    /// The domain.
    pub domain: DomainNumber,
    /// The present generation.
    pub generation: u32,
    /// SHA-256 of the generation's record.
    pub record: [u8; 32],
    /// How far it is, when it was last looked at.
    pub state: AuthorisationState,
    /// Since when.
    pub since: Timestamp,
    /// Of a suspended one, and of one that expired while it was suspended: the state that it resumes to, or would have.
    pub resumes_to: Option<AuthorisationState>,
    /// Why it was suspended, cancelled or is invalid.
    pub reason: Option<String>,
    /// When an emergency lapses unless it is ratified.
    pub ratify_by: Option<Timestamp>,
    /// When it ended.
    pub terminated: Option<Timestamp>,
    /// The end of its timespan.
    pub ends: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl AuthorisationRow {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("authorisation", 11)
            .bytes(self.id.as_bytes())
            .uint(self.domain.into())
            .uint(self.generation.into())
            .bytes(&self.record)
            .uint(authorisation_state_number(self.state).into())
            .time(self.since)
            .optional_uint(
                self.resumes_to
                    .map(|state| authorisation_state_number(state).into()),
            )
            .optional_text(self.reason.as_deref())
            .optional_time(self.ratify_by)
            .optional_time(self.terminated)
            .time(self.ends)
            .finish()
    }
}

/// A generation that an authorisation has or has had.
#[derive(Debug, Clone)]
pub struct GenerationRow {
    /// The authorisation.
    pub authorisation: AuthorisationId,
    /// Which generation.
    pub generation: u32,
    /// SHA-256 of its record.
    pub record: [u8; 32],
    /// Who entered it.
    pub entered_by: AccountId,
    /// When.
    pub entered: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl GenerationRow {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("authorisation-generation", 5)
            .bytes(self.authorisation.as_bytes())
            .uint(self.generation.into())
            .bytes(&self.record)
            .bytes(self.entered_by.as_bytes())
            .time(self.entered)
            .finish()
    }
}

/// What somebody decided on a generation of an authorisation, or on a proposal.
#[derive(Debug, Clone)]
pub struct ApprovalRow {
    /// The authorisation or proposal.
    pub subject: [u8; 16],
    /// The generation; 1 of a proposal.
    pub generation: u32,
    /// Who.
    pub account: AccountId,
    /// How.
    pub decision: Decision,
    /// When.
    pub time: Timestamp,
    /// Until when it counts towards a quorum that is not reached yet.
    pub valid_until: Timestamp,
    /// SHA-256 of the evidence.
    pub evidence: [u8; 32],
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl ApprovalRow {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("approval", 7)
            .bytes(&self.subject)
            .uint(self.generation.into())
            .bytes(self.account.as_bytes())
            .uint(decision_number(self.decision).into())
            .time(self.time)
            .time(self.valid_until)
            .bytes(&self.evidence)
            .finish()
    }
}

/// An act that was proposed.
#[derive(Debug, Clone)]
pub struct ProposalRow {
    /// Its identifier.
    pub id: ProposalId,
    /// The domain.
    pub domain: DomainNumber,
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// Who proposed it.
    pub proposed_by: AccountId,
    /// When.
    pub created: Timestamp,
    /// Until when it can be approved and carried out.
    pub expires: Timestamp,
    /// How many people have to approve it.
    pub count: u32,
    /// Of which role.
    pub role: Role,
    /// How far it is.
    pub state: ProposalState,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl ProposalRow {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("proposal", 9)
            .bytes(self.id.as_bytes())
            .uint(self.domain.into())
            .bytes(&self.request)
            .bytes(self.proposed_by.as_bytes())
            .time(self.created)
            .time(self.expires)
            .uint(self.count.into())
            .uint(role_number(self.role).into())
            .uint(proposal_state_number(self.state).into())
            .finish()
    }
}

/// Which authorisations to list, the newest first.
#[derive(Debug, Clone, Copy)]
pub struct AuthorisationFilter<'a> {
    /// Those in one of these states.
    pub states: &'a [AuthorisationState],
    /// Those with lower identifiers than this.
    pub before: Option<AuthorisationId>,
    /// At most so many.
    pub limit: u32,
}

/// What of an authorisation waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Its change, by whoever entered the present generation.
    Change,
    /// A decision, of somebody who entered no generation and has not approved the present one.
    Decision,
    /// Being executed: the present generation has not been.
    Execution,
    /// Being released: the present generation was executed by somebody else.
    Release,
}

/// Which authorisations wait for somebody, those first that end first.
#[derive(Debug, Clone, Copy)]
pub struct WaitingFilter {
    /// What for.
    pub what: Waiting,
    /// For whom.
    pub account: AccountId,
    /// Those in this state.
    pub state: AuthorisationState,
    /// The moment. What is over by then waits no more.
    pub now: Timestamp,
    /// Only those after the one that ends then and has this identifier.
    pub after: Option<(Timestamp, AuthorisationId)>,
    /// At most so many.
    pub limit: u32,
}

/// Which proposals to list, the newest first.
#[derive(Debug, Clone, Copy)]
pub struct ProposalFilter<'a> {
    /// Those that this account made,
    pub by: AccountId,
    /// and those that people of one of these roles approve.
    pub roles: &'a [Role],
    /// Only those that are open at this moment.
    pub open: Option<Timestamp>,
    /// Those with lower identifiers than this.
    pub before: Option<ProposalId>,
    /// At most so many.
    pub limit: u32,
}

/// Reading what lawful access needs.
pub trait ReadLawful {
    /// A document of the domain.
    fn document(
        &self,
        domain: DomainNumber,
        sha256: &[u8; 32],
    ) -> Result<Option<DocumentRecord>, StoreError>;
    /// An account's approval keys, the oldest first.
    fn approval_keys_of(&self, account: AccountId) -> Result<Vec<ApprovalKeyRecord>, StoreError>;
    /// The approval key with this public key, whoever's it is.
    fn approval_key(&self, public_key: &[u8]) -> Result<Option<ApprovalKeyRecord>, StoreError>;
    /// An authorisation.
    fn authorisation(&self, id: AuthorisationId) -> Result<Option<AuthorisationRow>, StoreError>;
    /// Authorisations of the domain.
    fn authorisations(
        &self,
        domain: DomainNumber,
        filter: &AuthorisationFilter<'_>,
    ) -> Result<Vec<AuthorisationRow>, StoreError>;
    /// Authorisations of the domain that are to end: those whose timespan ends by `now`, and emergencies that lapse by then.
    fn authorisations_over(
        &self,
        domain: DomainNumber,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<AuthorisationRow>, StoreError>;
    /// Authorisations of the domain that wait for somebody.
    fn authorisations_waiting(
        &self,
        domain: DomainNumber,
        filter: &WaitingFilter,
    ) -> Result<Vec<AuthorisationRow>, StoreError>;
    /// Every generation of an authorisation, the first first.
    fn generations_of(&self, id: AuthorisationId) -> Result<Vec<GenerationRow>, StoreError>;
    /// What was decided on a generation of an authorisation, the oldest first.
    fn approvals_of(
        &self,
        subject: &[u8; 16],
        generation: u32,
    ) -> Result<Vec<ApprovalRow>, StoreError>;
    /// A proposal.
    fn proposal(&self, id: ProposalId) -> Result<Option<ProposalRow>, StoreError>;
    /// Proposals of the domain.
    fn proposals(
        &self,
        domain: DomainNumber,
        filter: &ProposalFilter<'_>,
    ) -> Result<Vec<ProposalRow>, StoreError>;
}

/// Changing what lawful access needs.
pub trait WriteLawful {
    /// A document; one with its SHA-256 that is there already stays as it is.
    fn put_document(&mut self, document: &DocumentRecord) -> Result<(), StoreError>;
    /// A new approval key.
    fn put_approval_key(&mut self, key: &ApprovalKeyRecord) -> Result<(), StoreError>;
    /// An account's approval key is deleted.
    fn delete_approval_key(
        &mut self,
        account: AccountId,
        key: ApprovalKeyId,
    ) -> Result<(), StoreError>;
    /// An authorisation, in place of what was kept of it.
    fn put_authorisation(&mut self, authorisation: &AuthorisationRow) -> Result<(), StoreError>;
    /// A new generation.
    fn put_generation(&mut self, generation: &GenerationRow) -> Result<(), StoreError>;
    /// A decision, in place of the one that the account gave on this generation before.
    fn put_approval(&mut self, approval: &ApprovalRow) -> Result<(), StoreError>;
    /// A proposal, in place of what was kept of it.
    fn put_proposal(&mut self, proposal: &ProposalRow) -> Result<(), StoreError>;
}
