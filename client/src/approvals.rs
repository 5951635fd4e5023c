//! Approving: what is signed, and the keys that people approve with.
//!
//! Whoever approves signs a [`Statement`] of the exact act. This library makes it from what it has read and checked itself, never from what a server says
//! that it is; what signs it (a card, a token, a file, an authenticator) is for whoever uses the library.

pub use strongroom_approval::{ApprovalKey as PublicKey, Decision, Of, Scheme, Statement};
use strongroom_wire::account::Done;
use strongroom_wire::approval::{
    ADD_APPROVAL_KEY, AddApprovalKey, ApprovalCredentials, ApprovalKeyAdded, Decide, SignedBy,
};
use strongroom_wire::credential::PasskeyAssertion;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::ApprovalKeyId;

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

/// The decision that a statement says, signed by an approval key: `signature` is over [`PublicKey::signing_input`] of the statement's bytes.
///
/// ```no_run
/// # use strongroom_client::approvals::{PublicKey, Statement};
/// # fn run(statement: &Statement, id: strongroom_wire::id::ApprovalKeyId, key: &PublicKey, token_signs: impl Fn(&[u8]) -> Vec<u8>) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::approvals;
///
/// let signature = token_signs(&key.signing_input(&statement.to_bytes()));
/// let decision = approvals::signed_by_key(statement, id, key, &signature)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::Setup`] when it is not the key's signature.
pub fn signed_by_key(
    statement: &Statement,
    id: ApprovalKeyId,
    key: &PublicKey,
    signature: &[u8],
) -> Result<Decide, ClientError> {
    let bytes = statement.to_bytes();
    let jws = jws(key, &bytes, signature)?;
    Ok(Decide {
        statement: bytes.into(),
        signed_by: SignedBy::ApprovalKey { id, jws },
    })
}

/// The decision that a statement says, signed by a passkey, whose challenge was [`Statement::challenge`].
///
/// ```no_run
/// # use strongroom_client::approvals::Statement;
/// # use strongroom_wire::credential::PasskeyAssertion;
/// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::ProposalId, statement: &Statement, authenticator_signs: impl Fn([u8; 32]) -> PasskeyAssertion) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::approvals;
///
/// let assertion = authenticator_signs(statement.challenge());
/// session.decide_proposal(id, &approvals::signed_by_passkey(statement, assertion))?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn signed_by_passkey(statement: &Statement, assertion: PasskeyAssertion) -> Decide {
    Decide {
        statement: statement.to_bytes().into(),
        signed_by: SignedBy::Passkey(assertion),
    }
}

fn jws(key: &PublicKey, payload: &[u8], signature: &[u8]) -> Result<String, ClientError> {
    let jws = key.jws(signature);
    jws.and_then(|jws| key.verify(&jws, payload).map(|()| jws))
        .map_err(|error| ClientError::Setup(error.to_string()))
}

impl Session {
    /// What the caller can approve with.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// for key in session.approval_credentials()?.keys {
    ///     println!("{}: {}", key.name, key.sha256);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn approval_credentials(&self) -> Result<ApprovalCredentials, ClientError> {
        self.call(&Call::get("/v1/accounts/me/approval-keys"))
    }

    /// The statement with which an approval key is added to the caller's account, good until this moment.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, spki: &[u8], until: strongroom_wire::encoding::Timestamp) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::approvals::PublicKey;
    ///
    /// let key = PublicKey::from_spki(spki)?;
    /// let statement = session.approval_key_statement(&key, until)?;
    /// println!("to be signed: {} bytes", key.signing_input(&statement.to_bytes()).len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of asking the appliance for the domain's origin.
    pub fn approval_key_statement(
        &self,
        key: &PublicKey,
        valid_until: Timestamp,
    ) -> Result<Statement, ClientError> {
        let credentials = self.approval_credentials()?;
        Ok(Statement {
            domain_origin: credentials.domain_origin,
            subject: credentials.account.to_string(),
            of: Of::Request {
                act: ADD_APPROVAL_KEY.to_owned(),
                request_sha256: key.fingerprint(),
            },
            decision: Decision::Approve,
            valid_until,
        })
    }

    /// Adds an approval key to the caller's account. `signature` is the key's own over [`PublicKey::signing_input`] of the statement's bytes
    /// ([`approval_key_statement`](Self::approval_key_statement)).
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, spki: &[u8], until: strongroom_wire::encoding::Timestamp) -> Result<(), Box<dyn std::error::Error>> {
    /// # fn token_signs(_: &[u8]) -> Vec<u8> { todo!() }
    /// use strongroom_client::approvals::PublicKey;
    ///
    /// let key = PublicKey::from_spki(spki)?;
    /// let statement = session.approval_key_statement(&key, until)?;
    /// let signature = token_signs(&key.signing_input(&statement.to_bytes()));
    /// session.add_approval_key("my card", &key, &statement, &signature)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the signature is not the key's.
    pub fn add_approval_key(
        &self,
        name: &str,
        key: &PublicKey,
        statement: &Statement,
        signature: &[u8],
    ) -> Result<ApprovalKeyAdded, ClientError> {
        let bytes = statement.to_bytes();
        let request = AddApprovalKey {
            name: name.to_owned(),
            public_key: key.spki().into(),
            jws: jws(key, &bytes, signature)?,
            statement: bytes.into(),
        };
        self.call(&Call::post("/v1/accounts/me/approval-keys").with(&request)?)
    }

    /// Removes an approval key of the caller's. What was approved with it stays approved.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, lost: strongroom_wire::id::ApprovalKeyId) -> Result<(), strongroom_client::ClientError> {
    /// session.remove_approval_key(lost)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_approval_key(&self, key: ApprovalKeyId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!(
            "/v1/accounts/me/approval-keys/{key}"
        )))
    }
}
