//! The evidence of an approval: everything that is needed to verify it, in one document.

use serde::{Deserialize, Serialize};
use strongroom_wire::account::Role;
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::AccountId;

use crate::canonical::{self, CanonicalError};
use crate::key::{ApprovalKey, KeyError};
use crate::sha256;
use crate::statement::Statement;
use crate::webauthn::{self, Expected, Party, Rejected};

/// What the person signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The appliance's identifier of the passkey or the approval key: a UUID.
    pub id: String,
    /// Which of the two.
    pub kind: CredentialKind,
    /// Of a passkey, its `COSE_Key` as the authenticator wrote it; of an approval key, its `SubjectPublicKeyInfo` in DER.
    pub public_key: Base64,
}

impl Credential {
    /// What the leaf `credential.add` names it by: SHA-256 of the public key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.public_key.0)
    }
}

/// What kind of credential a person approves with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A passkey (Web Authentication Level 3).
    Passkey,
    /// An approval key: see [`ApprovalKey`].
    ApprovalKey,
}

/// What a passkey's authenticator and browser answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// `authenticatorData`.
    pub authenticator_data: Base64,
    /// `clientDataJSON`.
    pub client_data: Base64,
    /// `signature`.
    pub signature: Base64,
}

/// An approval as it is kept and exported. Its bytes are canonical JSON, and the leaf of the approval names their SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Who.
    pub account: AccountId,
    /// The account's name then, for people.
    pub account_name: String,
    /// Of a passkey: what was signed with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
    /// With what.
    pub credential: Credential,
    format: Format,
    /// Of an approval key: the detached JWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jws: Option<String>,
    /// Of a passkey: the origins at which the domain's passkeys may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<String>>,
    /// The role that the account acted in.
    pub role: Role,
    /// Of a passkey: the relying party's identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rp_id: Option<String>,
    /// The statement's bytes, which were signed.
    pub statement: Base64,
    /// When the appliance took it, in milliseconds since 1970.
    time: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "strongroom-evidence/1")]
    One,
}

/// Why evidence does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The document is none of evidence, or in another spelling.
    #[error("the evidence cannot be read: {0}")]
    Document(CanonicalError),
    /// The statement is none, or in another spelling.
    #[error("the evidence's statement cannot be read: {0}")]
    Statement(CanonicalError),
    /// Kind and signature do not go together.
    #[error("the evidence lacks what its kind of credential signs, or has what another kind does")]
    Kind,
    /// It was given after the moment until which the statement says it counts.
    #[error("the statement was out of date when it was given")]
    Late,
    /// The passkey's assertion does not hold.
    #[error("the passkey's assertion does not hold: {0}")]
    Passkey(Rejected),
    /// The approval key's signature does not hold.
    #[error("the approval key's signature does not hold: {0}")]
    Key(KeyError),
}

/// An approval whose evidence holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What was decided.
    pub statement: Statement,
    /// Who decided.
    pub account: AccountId,
    /// In which role.
    pub role: Role,
    /// SHA-256 of the public key that signed: a leaf `credential.add` of the account names it.
    pub key: [u8; 32],
    /// When, as the appliance says.
    pub time: Timestamp,
}

/// What an approval is signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// By an approval key: a detached JWS.
    Jws(String),
    /// By a passkey, for this relying party and these origins.
    Passkey {
        /// What the authenticator answered.
        assertion: Assertion,
        /// The relying party's identifier.
        rp_id: String,
        /// The origins at which its passkeys may be used.
        origins: Vec<String>,
    },
}

impl Evidence {
    /// The evidence of an approval; it is not verified yet.
    #[must_use]
    pub fn new(
        statement: &Statement,
        (account, account_name, role): (AccountId, String, Role),
        credential: Credential,
        signed: Signed,
        time: Timestamp,
    ) -> Self {
        let (assertion, jws, rp_id, origins) = match signed {
            Signed::Jws(jws) => (None, Some(jws), None, None),
            Signed::Passkey {
                assertion,
                rp_id,
                origins,
            } => (Some(assertion), None, Some(rp_id), Some(origins)),
        };
        Self {
            account,
            account_name,
            assertion,
            credential,
            format: Format::One,
            jws,
            origins,
            role,
            rp_id,
            statement: statement.to_bytes().into(),
            time: time.as_millis(),
        }
    }

    /// Its bytes: JSON in the form of RFC 8785. Leaves name their SHA-256.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings and a whole number below 2^53, as timestamps are, have a canonical form.
        canonical::to_vec(self).unwrap_or_default()
    }

    /// Reads evidence; it is not verified yet.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Document`] where [`to_bytes`](Self::to_bytes) cannot have made these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvidenceError> {
        canonical::from_slice(bytes).map_err(EvidenceError::Document)
    }

    /// Several pieces of evidence as one document, as a restore has them: an array in the form of RFC 8785.
    #[must_use]
    pub fn list_to_bytes(list: &[Self]) -> Vec<u8> {
        canonical::to_vec(&list).unwrap_or_default()
    }

    /// Reads several pieces of evidence; they are not verified yet.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Document`] where [`list_to_bytes`](Self::list_to_bytes) cannot have made these bytes.
    pub fn list_from_bytes(bytes: &[u8]) -> Result<Vec<Self>, EvidenceError> {
        canonical::from_slice(bytes).map_err(EvidenceError::Document)
    }

    /// When the appliance took it.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.time)
    }

    /// Verifies the evidence: the statement is one, was in date when it was given, and is signed by the credential's key. That the key is the
    /// account's and that the account had the role then is what leaves say: see the section "Approvals" of `FORMAT.md`.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`] says which of it does not hold.
    pub fn verify(&self) -> Result<Approval, EvidenceError> {
        let statement =
            Statement::from_bytes(&self.statement.0).map_err(EvidenceError::Statement)?;
        if self.time() >= statement.valid_until {
            return Err(EvidenceError::Late);
        }
        match (self.credential.kind, &self.assertion, &self.jws) {
            (CredentialKind::Passkey, Some(assertion), None) => {
                let (Some(rp_id), Some(origins)) = (&self.rp_id, &self.origins) else {
                    return Err(EvidenceError::Kind);
                };
                let expected = Expected {
                    party: Party { id: rp_id, origins },
                    challenge: &sha256(&self.statement.0),
                    user_verified: true,
                };
                webauthn::verify(
                    &expected,
                    &self.credential.public_key.0,
                    &assertion.client_data.0,
                    &assertion.authenticator_data.0,
                    &assertion.signature.0,
                )
                .map_err(EvidenceError::Passkey)?;
            }
            (CredentialKind::ApprovalKey, None, Some(jws))
                if self.rp_id.is_none() && self.origins.is_none() =>
            {
                ApprovalKey::from_spki(&self.credential.public_key.0)
                    .and_then(|key| key.verify(jws, &self.statement.0))
                    .map_err(EvidenceError::Key)?;
            }
            _ => return Err(EvidenceError::Kind),
        }
        Ok(Approval {
            statement,
            account: self.account,
            role: self.role,
            key: self.credential.fingerprint(),
            time: self.time(),
        })
    }
}

#[cfg(test)]
mod tests;
