//! Lawful access, at the appliance's administration address: authorisations, and what is decided on them.

use strongroom_approval::{Decision, Of, Statement, canonical, sha256};
use strongroom_wire::approval::Decide;
use strongroom_wire::authorisation::{
    Authorisation, AuthorisationOrder, AuthorisationPage, AuthorisationQuery, ChangeAuthorisation,
    ChangedAuthorisation, Document, DocumentPut, MoveAuthorisation, PutDocument,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AuthorisationId;

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

impl Session {
    /// Uploads a warrant, which orders name by its SHA-256. For case officers.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let put = session.put_warrant(&std::fs::read("warrant.pdf")?)?;
    /// println!("{} bytes, SHA-256 {}", put.length, put.sha256);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_warrant(&self, content: &[u8]) -> Result<DocumentPut, ClientError> {
        let content = content.into();
        self.call(&Call::post("/v1/authorisations/documents").with(&PutDocument { content })?)
    }

    /// Enters an authorisation, which then awaits approval. For case officers.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let entered = session.enter_authorisation(&serde_json::from_str(text)?)?;
    /// println!("{} awaits approval", entered.authorisation.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn enter_authorisation(
        &self,
        order: &AuthorisationOrder,
    ) -> Result<ChangedAuthorisation, ClientError> {
        self.call(&Call::post("/v1/authorisations").with(order)?)
    }

    /// Gives an authorisation another generation in place of the one that was seen, which voids its approvals. For case officers.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::authorisation::ChangeAuthorisation;
    ///
    /// let seen = session.authorisation(id)?;
    /// let mut order = seen.record.order;
    /// order.max_items = 10;
    /// session.change_authorisation(id, &ChangeAuthorisation { generation: seen.generation, order })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn change_authorisation(
        &self,
        id: AuthorisationId,
        change: &ChangeAuthorisation,
    ) -> Result<ChangedAuthorisation, ClientError> {
        self.call(&Call::put(format!("/v1/authorisations/{id}")).with(change)?)
    }

    /// Authorisations that the caller has to do with, the newest first.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::authorisation::{AuthorisationQuery, AuthorisationState};
    ///
    /// let query = AuthorisationQuery { state: Some(AuthorisationState::AwaitingApproval), ..AuthorisationQuery::default() };
    /// println!("{} wait", session.authorisations(&query)?.authorisations.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn authorisations(
        &self,
        query: &AuthorisationQuery,
    ) -> Result<AuthorisationPage, ClientError> {
        self.call(&Call::find("/v1/authorisations", query))
    }

    /// An authorisation.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// let authorisation = session.authorisation(id)?;
    /// println!("{} is {}", authorisation.record.order.reference, authorisation.state);
    /// # Ok(())
    /// # }
    /// ```
    pub fn authorisation(&self, id: AuthorisationId) -> Result<Authorisation, ClientError> {
        self.call(&Call::get(format!("/v1/authorisations/{id}")))
    }

    /// A document of an authorisation, whose bytes have this SHA-256: its warrant, a record, or the evidence of an approval.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// let authorisation = session.authorisation(id)?;
    /// for approval in &authorisation.approvals {
    ///     let evidence = session.document_of_authorisation(id, &approval.evidence_sha256)?;
    ///     println!("{} bytes that prove what {} decided", evidence.len(), approval.account_name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAnswer`] when other bytes came.
    pub fn document_of_authorisation(
        &self,
        id: AuthorisationId,
        sha256_hex: &str,
    ) -> Result<Vec<u8>, ClientError> {
        let document: Document = self.call(&Call::get(format!(
            "/v1/authorisations/{id}/documents/{sha256_hex}"
        )))?;
        if hex::encode(sha256(&document.content.0)) == sha256_hex {
            Ok(document.content.0)
        } else {
            Err(self.client().unexpected("a document of other bytes"))
        }
    }

    /// What is signed to decide on an authorisation's generation as it is shown here. It is made from what is shown, so that what one reads is
    /// what one signs.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::AuthorisationId, until: strongroom_wire::encoding::Timestamp) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::approvals::Decision;
    ///
    /// let shown = session.authorisation(id)?;
    /// let statement = session.authorisation_statement(&shown, Decision::Reject, until)?;
    /// assert_eq!(statement.subject, id.to_string());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAnswer`] when what is shown is not what the appliance names by its SHA-256, or says things that this version does not know.
    pub fn authorisation_statement(
        &self,
        shown: &Authorisation,
        decision: Decision,
        valid_until: Timestamp,
    ) -> Result<Statement, ClientError> {
        let other = || {
            self.client()
                .unexpected("an authorisation that says other things than its record")
        };
        let record = canonical::to_vec(&shown.record).map_err(|_| other())?;
        let record_sha256 = sha256(&record);
        let says = (shown.record.authorisation, shown.record.generation);
        if hex::encode(record_sha256) != shown.record_sha256 || says != (shown.id, shown.generation)
        {
            return Err(other());
        }
        Ok(Statement {
            domain_origin: shown.record.domain_origin.clone(),
            subject: shown.id.to_string(),
            of: Of::Authorisation {
                generation: shown.generation,
                record_sha256,
            },
            decision,
            valid_until,
        })
    }

    /// Approves or rejects an authorisation, as a signed statement says. For legal approvers.
    ///
    /// ```no_run
    /// # use strongroom_client::approvals::PublicKey;
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::AuthorisationId, key: &PublicKey, until: strongroom_wire::encoding::Timestamp) -> Result<(), strongroom_client::ClientError> {
    /// # fn token_signs(_: &[u8]) -> Vec<u8> { todo!() }
    /// use strongroom_client::approvals::{self, Decision};
    ///
    /// let shown = session.authorisation(id)?;
    /// let statement = session.authorisation_statement(&shown, Decision::Approve, until)?;
    /// let signature = token_signs(&key.signing_input(&statement.to_bytes()));
    /// let own = session.approval_credentials()?.keys.remove(0);
    /// let decision = approvals::signed_by_key(&statement, own.id, key, &signature)?;
    /// println!("it is {}", session.decide_authorisation(id, &decision)?.authorisation.state);
    /// # Ok(())
    /// # }
    /// ```
    pub fn decide_authorisation(
        &self,
        id: AuthorisationId,
        decision: &Decide,
    ) -> Result<ChangedAuthorisation, ClientError> {
        self.call(&Call::post(format!("/v1/authorisations/{id}/approvals")).with(decision)?)
    }

    /// Suspends an authorisation, resumes it or cancels it. For case officers and legal approvers.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::authorisation::{Move, MoveAuthorisation};
    ///
    /// let reason = "the court has revoked it".to_owned();
    /// session.move_authorisation(id, &MoveAuthorisation { to: Move::Cancel, reason })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn move_authorisation(
        &self,
        id: AuthorisationId,
        to: &MoveAuthorisation,
    ) -> Result<ChangedAuthorisation, ClientError> {
        self.call(&Call::post(format!("/v1/authorisations/{id}/state")).with(to)?)
    }
}
