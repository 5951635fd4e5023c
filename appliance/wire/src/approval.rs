//! Approvals as people give them: what they sign with, and what they have decided.
//!
//! What exactly is signed, and how it is verified, is in `strongroom-approval` and in `appliance/audit/FORMAT.md`, section "Approvals".

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::credential::PasskeyAssertion;
use crate::encoding::{Base64, Timestamp};
use crate::id::{AccountId, ApprovalKeyId};

/// The longest time for which a statement may count, in seconds: 90 days.
pub const LONGEST_VALIDITY: u64 = 90 * 24 * 3600;
/// The most approval keys of one account.
pub const MOST_APPROVAL_KEYS: usize = 20;
/// The act that the statement of a new approval key says.
pub const ADD_APPROVAL_KEY: &str = "approval-key.add";

/// Whether a person is for or against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The act may be done.
    Approve,
    /// It may not.
    Reject,
}

impl Decision {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// A public key whose private half its holder approves with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalKey {
    /// Its identifier.
    pub id: ApprovalKeyId,
    /// What its holder calls it.
    pub name: String,
    /// `SubjectPublicKeyInfo` in DER: Ed25519 or P-256.
    pub public_key: Base64,
    /// SHA-256 of that, in hexadecimal: what leaves name it by.
    pub sha256: String,
    /// When it was added.
    pub created: Timestamp,
}

/// `GET /v1/accounts/me/approval-keys`: what the caller can approve with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalCredentials {
    /// The caller's account.
    pub account: AccountId,
    /// The origin of the domain's log, which statements name.
    pub domain_origin: String,
    /// The caller's approval keys, the oldest first.
    pub keys: Vec<ApprovalKey>,
    /// The relying party's identifier, for approvals with a passkey.
    pub rp_id: String,
    /// The caller's passkeys, by the authenticators' identifiers (`allowCredentials`).
    pub passkeys: Vec<Base64>,
}

/// `POST /v1/accounts/me/approval-keys`: a new approval key. Whoever adds it shows that they have its private half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddApprovalKey {
    /// What its holder calls it: 1 to 64 characters.
    pub name: String,
    /// `SubjectPublicKeyInfo` in DER: Ed25519 or P-256 with an uncompressed point.
    pub public_key: Base64,
    /// A statement of the act [`ADD_APPROVAL_KEY`]: its subject is the account, its request the public key.
    pub statement: Base64,
    /// The detached JWS over the statement by the new key.
    pub jws: String,
}

/// The answer to [`AddApprovalKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalKeyAdded {
    /// The key.
    pub key: ApprovalKey,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// What a decision is signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SignedBy {
    /// One of the caller's approval keys.
    ApprovalKey {
        /// Which.
        id: ApprovalKeyId,
        /// The detached JWS (RFC 7515 appendix F) over the statement.
        jws: String,
    },
    /// One of the caller's passkeys, whose challenge was the statement's SHA-256.
    Passkey(PasskeyAssertion),
}

/// `POST …/approvals`: a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// The bytes of the statement, which were signed.
    pub statement: Base64,
    /// By what.
    pub signed_by: SignedBy,
}

/// A decision that somebody has given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GivenApproval {
    /// Who.
    pub account: AccountId,
    /// Their name.
    pub account_name: String,
    /// How.
    pub decision: Decision,
    /// When.
    pub time: Timestamp,
    /// Until when it counts towards a quorum that is not reached yet.
    pub valid_until: Timestamp,
    /// SHA-256 of the evidence, in hexadecimal.
    pub evidence_sha256: String,
}
