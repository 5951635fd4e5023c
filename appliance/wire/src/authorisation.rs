//! Authorisations: orders of lawful access, what they may reach, and how far they are.
//!
//! Names follow ETSI TS 103 120 (Authorisation, `LDTask`, Document), written as elsewhere in this interface; `docs/lawful-access.md` has the table, and
//! says what the standard lacks and is ours.

mod order;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use order::{
    AgencyKey, AuthorisationFlags, AuthorisationOrder, Direction, LdTask, Priority, Scope,
    Timespan, WarrantDocument,
};

use crate::account::Role;
use crate::approval::GivenApproval;
use crate::encoding::{Base64, Timestamp};
use crate::id::{AccountId, AuthorisationId};

/// The most tasks of one authorisation.
pub const MOST_TASKS: usize = 64;
/// The most counterparts of one task.
pub const MOST_COUNTERPARTS: usize = 64;
/// The longest text of an order, such as why it is necessary, in bytes.
pub const LONGEST_TEXT: usize = 8192;
/// The longest short text of an order, such as its reference, in bytes.
pub const LONGEST_LINE: usize = 256;
/// The largest document, in bytes.
pub const LARGEST_DOCUMENT: usize = 3_000_000;
/// The most items that an order may cap its disclosures at.
pub const MOST_ITEMS: u32 = 1_000_000;
/// The longest delay of a notification, in seconds: twenty years.
pub const LONGEST_DELAY: u32 = 20 * 366 * 24 * 3600;

/// How far an authorisation is (`AuthorisationStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorisationState {
    /// Entered or changed, and not approved by enough people yet.
    AwaitingApproval,
    /// In effect.
    Approved,
    /// A legal approver was against it; only a change brings it back.
    Rejected,
    /// Approved, and not in effect until a legal approver resumes it.
    Suspended,
    /// Ended for good by those who entered or approved it.
    Cancelled,
    /// Its timespan is over.
    Expired,
    /// An emergency that was not ratified in time, which is void.
    Invalid,
    /// An emergency that one legal approver has approved: in effect, until it lapses.
    EmergencyApproval,
}

impl AuthorisationState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::AwaitingApproval,
        Self::Approved,
        Self::Rejected,
        Self::Suspended,
        Self::Cancelled,
        Self::Expired,
        Self::Invalid,
        Self::EmergencyApproval,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting-approval",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::EmergencyApproval => "emergency-approval",
        }
    }

    /// Whether disclosures may be made under it.
    #[must_use]
    pub const fn is_in_effect(self) -> bool {
        matches!(self, Self::Approved | Self::EmergencyApproval)
    }

    /// Whether it has ended: nothing leads out of it, but of `rejected`, `expired` and `invalid` a change.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(
            self,
            Self::Rejected | Self::Cancelled | Self::Expired | Self::Invalid
        )
    }
}

impl fmt::Display for AuthorisationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An account that an order names, as it was when it was entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedPerson {
    /// The account.
    pub account: AccountId,
    /// The name by which the order names it.
    pub name: String,
}

/// The format of [`AuthorisationRecord`].
pub const RECORD_FORMAT: &str = "strongroom-authorisation/1";

/// One generation of an authorisation: what is approved. Its canonical JSON (RFC 8785) is what approvals name by its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorisationRecord {
    /// [`RECORD_FORMAT`].
    pub format: String,
    /// The authorisation.
    pub authorisation: AuthorisationId,
    /// Which generation it is; the first is 1.
    pub generation: u32,
    /// The origin of the domain's log.
    pub domain_origin: String,
    /// When it was entered.
    pub entered: Timestamp,
    /// Who entered it.
    pub entered_by: AccountId,
    /// Their name then.
    pub entered_by_name: String,
    /// How many people have to approve it.
    pub approvals_needed: u32,
    /// Who they are.
    pub approvers: Role,
    /// What it orders.
    pub order: AuthorisationOrder,
    /// The accounts that the order names, by name.
    pub persons: Vec<NamedPerson>,
}

impl AuthorisationRecord {
    /// The account that the order names so.
    #[must_use]
    pub fn account_of(&self, name: &str) -> Option<AccountId> {
        let mut persons = self.persons.iter();
        persons
            .find(|person| person.name == name)
            .map(|person| person.account)
    }
}

/// An authorisation as those see it who have to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authorisation {
    /// Its identifier.
    pub id: AuthorisationId,
    /// The present generation.
    pub generation: u32,
    /// How far it is.
    pub state: AuthorisationState,
    /// Since when.
    pub since: Timestamp,
    /// Why it was suspended, cancelled or is invalid (`AuthorisationInvalidReason`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When an emergency lapses unless it is ratified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratify_by: Option<Timestamp>,
    /// When it ended (`AuthorisationTerminationTimestamp`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminated: Option<Timestamp>,
    /// SHA-256 of the canonical JSON of `record`, in hexadecimal.
    pub record_sha256: String,
    /// The generation.
    pub record: AuthorisationRecord,
    /// What was decided on this generation, the oldest first.
    pub approvals: Vec<GivenApproval>,
}

/// The answer to an act on an authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedAuthorisation {
    /// The authorisation.
    pub authorisation: Authorisation,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// One generation of an authorisation, with what was decided on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Generation {
    /// SHA-256 of the canonical JSON of `record`, in hexadecimal.
    pub record_sha256: String,
    /// The generation.
    pub record: AuthorisationRecord,
    /// What was decided on it, the oldest first. On all but the present generation it is void.
    pub approvals: Vec<GivenApproval>,
}

/// `GET /v1/authorisations/{authorisation}/generations`: every generation of an authorisation, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Generations {
    /// The generations.
    pub generations: Vec<Generation>,
}

/// `GET /v1/authorisations`: which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuthorisationQuery {
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AuthorisationState>,
    /// Only those entered before this one: what [`AuthorisationPage::next`] said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<AuthorisationId>,
    /// At most so many: 1 to 200, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// An authorisation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedAuthorisation {
    /// Its identifier.
    pub id: AuthorisationId,
    /// The present generation.
    pub generation: u32,
    /// How far it is.
    pub state: AuthorisationState,
    /// Since when.
    pub since: Timestamp,
    /// The issuing authority's reference.
    pub reference: String,
    /// How urgent it is.
    pub priority: Priority,
    /// What holds of it besides.
    pub flags: AuthorisationFlags,
    /// When disclosures may be made under it.
    pub timespan: Timespan,
    /// When an emergency lapses unless it is ratified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratify_by: Option<Timestamp>,
    /// How many people have approved it, of how many that are needed.
    pub approved_by: u32,
    /// How many are needed.
    pub approvals_needed: u32,
    /// Who entered this generation.
    pub entered_by_name: String,
}

/// A page of authorisations, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorisationPage {
    /// The authorisations.
    pub authorisations: Vec<ListedAuthorisation>,
    /// Given to `before` it brings the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AuthorisationId>,
}

/// `PUT /v1/authorisations/{authorisation}`: another generation in place of the one that was seen. It voids all approvals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAuthorisation {
    /// The generation that was seen.
    pub generation: u32,
    /// What it shall order.
    pub order: AuthorisationOrder,
}

/// What becomes of an authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// It is not in effect for now.
    Suspend,
    /// It is in effect again; by a legal approver.
    Resume,
    /// It ends for good.
    Cancel,
}

/// `POST /v1/authorisations/{authorisation}/state`: what shall become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveAuthorisation {
    /// What.
    pub to: Move,
    /// Why: 1 to [`LONGEST_LINE`] bytes.
    pub reason: String,
}

/// `POST /v1/authorisations/documents`: a warrant, to be named by its SHA-256 in an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutDocument {
    /// Its bytes: 1 to [`LARGEST_DOCUMENT`].
    pub content: Base64,
}

/// The answer to [`PutDocument`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DocumentPut {
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// How many bytes it has.
    pub length: u64,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `GET /v1/authorisations/{authorisation}/documents/{sha256}`: a document of a case, such as its warrant, a record, or an approval's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub content: Base64,
}

/// Who has to approve what, as far as it is for the domain's policy to say. A part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LawfulPolicy {
    /// How many legal approvers an authorisation needs: 2 to 16, 2 by default.
    pub approvals: u32,
    /// Seconds after which an emergency lapses unless it is ratified: an hour to 30 days, 48 hours by default.
    pub ratify_within: u32,
}

impl Default for LawfulPolicy {
    fn default() -> Self {
        Self {
            approvals: 2,
            ratify_within: 48 * 3600,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn states_are_spelt_alike_everywhere() {
        for state in AuthorisationState::ALL {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("{:?}", state.as_str()));
            assert!(!(state.is_in_effect() && state.has_ended()));
        }
        for direction in [Direction::To, Direction::From, Direction::ToOrFrom] {
            let json = serde_json::to_string(&direction).unwrap();
            assert_eq!(json, format!("{:?}", direction.as_str()));
        }
    }

    #[test]
    fn scopes_read_as_they_are_written_and_a_misspelt_one_is_an_error() {
        let text = r#"{"messages":{"person":"eve@example.com","direction":"to-or-from","counterparts":["mallory@example.com"],
            "window":{"start":"2026-11-01T00:00:00.000Z","end":"2026-12-01T00:00:00.000Z"}}}"#;
        let scope: Scope = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&scope).unwrap();
        assert_eq!(serde_json::from_str::<Scope>(&again).unwrap(), scope);
        let names: Vec<_> = scope.names().collect();
        assert_eq!(names, ["eve@example.com", "mallory@example.com"]);
        for wrong in [
            text.replace("counterparts", "counterpart"),
            text.replace("to-or-from", "both"),
            r#"{"item":{"item":"01939c2f-1a00-7a11-8111-111111111111","also":1}}"#.to_owned(),
        ] {
            assert!(serde_json::from_str::<Scope>(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_timespan_ends_before_its_end() {
        let moment = Timestamp::from_millis;
        let span = Timespan {
            start: moment(10),
            end: moment(20),
        };
        let within = [9, 10, 19, 20].map(|at| span.contains(moment(at)));
        assert_eq!(within, [false, true, true, false]);
    }
}
