//! Recovery of an account whose holder has lost their password: started by an administrator, who gets nothing by it.
//!
//! It takes two codes from two hands: the one that the administrator who started it was given, and either one of the holder's own recovery
//! codes or the one that a second administrator was given. It takes effect after a delay, of which the holder is told, and the holder can
//! cancel it from any session.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{Base64, Timestamp};
use crate::id::AccountId;

/// A recovery that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recovery {
    /// Whose account is recovered.
    pub account: AccountId,
    /// Its name.
    pub account_name: String,
    /// The administrator who started it.
    pub started_by: AccountId,
    /// Their name.
    pub started_by_name: String,
    /// When.
    pub started: Timestamp,
    /// The administrator or security officer who approved it, if one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<AccountId>,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by_name: Option<String>,
    /// From when on it can be finished.
    pub effective: Timestamp,
    /// When it lapses.
    pub expires: Timestamp,
}

/// `GET /v1/accounts/me/recovery` and `GET /v1/accounts/{account}/recovery`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PresentRecovery {
    /// The recovery that is under way, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// The answer to `POST /v1/accounts/{account}/recovery` and to its approval.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCode {
    /// The recovery.
    pub recovery: Recovery,
    /// One of the two codes that it takes, to be handed to the account's holder; shown this once.
    pub code: String,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// The code from the second hand.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecondCode {
    /// One of the holder's own recovery codes, which is used up.
    RecoveryCode(String),
    /// The one that the second administrator was given.
    ApprovalCode(String),
}

impl fmt::Debug for SecondCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecoveryCode(_) => "RecoveryCode(hidden)",
            Self::ApprovalCode(_) => "ApprovalCode(hidden)",
        })
    }
}

/// `POST /v1/recoveries/start`: an OPAQUE registration request (RFC 9807 section 5.1) with the two codes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRecovery {
    /// The account's name.
    pub account: String,
    /// The code of the administrator who started the recovery.
    pub code: String,
    /// The code from the second hand.
    pub second: SecondCode,
    /// `RegistrationRequest`.
    pub request: Base64,
}

/// `POST /v1/recoveries/finish`: the OPAQUE registration record. From now on the account has the new password alone, and no session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishRecovery {
    /// The account's name.
    pub account: String,
    /// The code of the administrator who started the recovery.
    pub code: String,
    /// The code from the second hand.
    pub second: SecondCode,
    /// `RegistrationUpload`.
    pub upload: Base64,
}
