//! Acts that several people have to approve, because the domain's policy says so.

use strongroom_approval::{Decision, Of, Statement, canonical, sha256};
use strongroom_wire::approval::Decide;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::ProposalId;
use strongroom_wire::proposal::{
    ChangedProposal, GuardedAct, Proposal, ProposalPage, ProposalQuery, Propose, ProposedRequest,
    RestoreRequest,
};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

impl Session {
    /// Proposes an act. Whoever proposes it does it, once enough people have approved it, with a client that names the proposal:
    /// [`Client::by_proposal`](crate::Client::by_proposal).
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::proposal::ProposedRequest;
    ///
    /// let made = session.propose(ProposedRequest::KeyDestroy { key })?;
    /// println!("{} people have to approve {}", made.proposal.count, made.proposal.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn propose(&self, request: ProposedRequest) -> Result<ChangedProposal, ClientError> {
        self.call(&Call::post("/v1/proposals").with(&Propose { request })?)
    }

    /// A proposal.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::ProposalId) -> Result<(), strongroom_client::ClientError> {
    /// if session.proposal(id)?.approved {
    ///     println!("it can be done");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn proposal(&self, id: ProposalId) -> Result<Proposal, ClientError> {
        self.call(&Call::get(format!("/v1/proposals/{id}")))
    }

    /// Proposals that the caller made or that people of the caller's roles approve, the newest first.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::proposal::ProposalQuery;
    ///
    /// let open = ProposalQuery { open: true, before: None };
    /// println!("{} are open", session.proposals(&open)?.proposals.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn proposals(&self, query: &ProposalQuery) -> Result<ProposalPage, ClientError> {
        self.call(&Call::find("/v1/proposals", query))
    }

    /// What is signed to decide on a proposal as it is shown here. It is made from the request that is shown, so that what one reads is what one signs.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::ProposalId, until: strongroom_wire::encoding::Timestamp) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::approvals::Decision;
    ///
    /// let shown = session.proposal(id)?;
    /// println!("it is to {}", shown.request.act().as_str());
    /// let statement = session.proposal_statement(&shown, Decision::Approve, until)?;
    /// assert_eq!(statement.subject, id.to_string());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAnswer`] when what is shown is not what the appliance names by its SHA-256, or says things that this version does not know.
    pub fn proposal_statement(
        &self,
        shown: &Proposal,
        decision: Decision,
        valid_until: Timestamp,
    ) -> Result<Statement, ClientError> {
        let other = || {
            self.client()
                .unexpected("a proposal that says other things than its request")
        };
        let request = canonical::to_vec(&shown.request).map_err(|_| other())?;
        let request_sha256 = sha256(&request);
        if hex::encode(request_sha256) != shown.request_sha256 {
            return Err(other());
        }
        Ok(Statement {
            domain_origin: shown.domain_origin.clone(),
            subject: shown.id.to_string(),
            of: Of::Request {
                act: shown.request.act().as_str().to_owned(),
                request_sha256,
            },
            decision,
            valid_until,
        })
    }

    /// Approves or rejects a proposal, as a signed statement says.
    ///
    /// ```no_run
    /// # use strongroom_wire::approval::Decide;
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::ProposalId, signed: &Decide) -> Result<(), strongroom_client::ClientError> {
    /// let decided = session.decide_proposal(id, signed)?;
    /// println!("enough have: {}", decided.proposal.approved);
    /// # Ok(())
    /// # }
    /// ```
    pub fn decide_proposal(
        &self,
        id: ProposalId,
        decision: &Decide,
    ) -> Result<ChangedProposal, ClientError> {
        self.call(&Call::post(format!("/v1/proposals/{id}/approvals")).with(decision)?)
    }

    /// Withdraws a proposal of the caller's.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::ProposalId) -> Result<(), strongroom_client::ClientError> {
    /// session.withdraw_proposal(id)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn withdraw_proposal(&self, id: ProposalId) -> Result<ChangedProposal, ClientError> {
        self.call(&Call::delete(format!("/v1/proposals/{id}")))
    }
}

/// What somebody signs, beside the appliance, who approves that a backup is restored.
///
/// ```no_run
/// # fn run(until: strongroom_wire::encoding::Timestamp) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::proposals::restore_statement;
///
/// let request = serde_json::from_slice(&std::fs::read("restore.json")?)?;
/// let statement = restore_statement(&request, until)?;
/// std::fs::write("restore.statement", statement.to_bytes())?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::Setup`] when it is no request to restore one.
pub fn restore_statement(
    request: &RestoreRequest,
    valid_until: Timestamp,
) -> Result<Statement, ClientError> {
    let act = request.request.act();
    let bytes = canonical::to_vec(&request.request);
    let (GuardedAct::DomainRestore, Ok(bytes)) = (act, bytes) else {
        return Err(ClientError::Setup(
            "this is no request to restore a backup".to_owned(),
        ));
    };
    Ok(Statement {
        domain_origin: request.domain_origin.clone(),
        subject: request.subject.clone(),
        of: Of::Request {
            act: act.as_str().to_owned(),
            request_sha256: sha256(&bytes),
        },
        decision: Decision::Approve,
        valid_until,
    })
}
