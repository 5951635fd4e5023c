//! Authorisations: orders of lawful access, what they may reach, and how far they are.
//!
//! Names follow ETSI TS 103 120 (Authorisation, `LDTask`, Document), written as elsewhere in this interface; `docs/lawful-access.md` has the table, and
//! says what the standard lacks and is ours.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::account::Role;
use crate::approval::GivenApproval;
use crate::encoding::{Base64, Timestamp};
use crate::id::{AccountId, AuthorisationId, KeyId};

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

/// How urgent an authorisation is (`AuthorisationPriority`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// In the usual course.
    #[default]
    Routine,
    /// Before those in the usual course.
    High,
    /// At once.
    Urgent,
}

/// What holds of an authorisation besides (`AuthorisationFlags`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorisationFlags {
    /// One legal approver puts it into effect, and it lapses unless the others ratify it in time.
    #[serde(default)]
    pub emergency: bool,
    /// The person concerned consents.
    #[serde(default)]
    pub consensual: bool,
    /// It is for a test.
    #[serde(default)]
    pub test: bool,
}

/// From when until when (`AuthorisationTimespan`; of a task, the window of its items).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Timespan {
    /// From this moment on.
    pub start: Timestamp,
    /// Before this moment.
    pub end: Timestamp,
}

impl Timespan {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.start <= moment && moment < self.end
    }
}

/// A document that an order rests on (`DocumentObject`): what the warrant is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WarrantDocument {
    /// The file's name.
    pub name: String,
    /// The media type, such as `application/pdf`.
    pub media_type: String,
    /// SHA-256 of its bytes, in 64 lower-case hexadecimal digits; they were uploaded before.
    pub sha256: String,
}

/// What disclosed keys are sealed to: the agency's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgencyKey {
    /// An X.509 certificate in DER.
    Certificate(Base64),
    /// A public key for HPKE with X-Wing (RFC 9180, draft-connolly-cfrg-xwing-kem), 1216 bytes.
    Hpke(Base64),
}

/// Which way messages go, seen from the person. Ours: the standard has no word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the person.
    To,
    /// From the person.
    From,
    /// To or from the person.
    ToOrFrom,
}

impl Direction {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::From => "from",
            Self::ToOrFrom => "to-or-from",
        }
    }
}

/// What one task may reach (`LDTask`, `RequestDetails`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
pub enum Scope {
    /// One data item: the message or object that one key protects. Ours: the item's identifier is its key's.
    Item {
        /// The key.
        item: KeyId,
    },
    /// Every item of one person with a label.
    Label {
        /// The name of the account that owns them.
        owner: String,
        /// The label.
        label: String,
        /// Only those that were made in this window.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<Timespan>,
    },
    /// Every message to or from a person in a window.
    Messages {
        /// The name of the person's account.
        person: String,
        /// Which way they go.
        direction: Direction,
        /// Only those with one of these other people, by their accounts' names; with anybody where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counterparts: Option<Vec<String>>,
        /// When they were made.
        window: Timespan,
    },
}

impl Scope {
    /// The names of the accounts that it speaks of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (one, more) = match self {
            Self::Item { .. } => (None, None),
            Self::Label { owner, .. } => (Some(owner), None),
            Self::Messages {
                person,
                counterparts,
                ..
            } => (Some(person), counterparts.as_ref()),
        };
        one.into_iter()
            .chain(more.into_iter().flatten())
            .map(String::as_str)
    }
}

/// One task of an authorisation (`LDTask`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LdTask {
    /// Its reference: unique in the authorisation.
    pub reference: String,
    /// What it may reach.
    pub scope: Scope,
}

/// What an authorisation orders: what a case officer enters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorisationOrder {
    /// The issuing authority's own reference (`AuthorisationReference`).
    pub reference: String,
    /// What kind of order it is in law (`AuthorisationLegalType`).
    pub legal_type: String,
    /// The provision that it rests on. Ours.
    pub legal_basis: String,
    /// Where it holds (`AuthorisationJurisdiction`).
    pub jurisdiction: String,
    /// What the case is about (`AuthorisationTypeOfCase`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_of_case: Option<String>,
    /// The country, by its two letters of ISO 3166-1 (`CountryCode`).
    pub country_code: String,
    /// Who issued it (`AuthorisationApprovalDetails`).
    pub issuing_authority: String,
    /// Who validated it, such as a court, where that is another (`AuthorisationApprovalDetails`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validating_authority: Option<String>,
    /// How urgent it is (`AuthorisationPriority`).
    #[serde(default)]
    pub priority: Priority,
    /// What holds of it besides (`AuthorisationFlags`).
    #[serde(default)]
    pub flags: AuthorisationFlags,
    /// When disclosures may be made under it (`AuthorisationTimespan`).
    pub timespan: Timespan,
    /// When it was served (`AuthorisationServedTimestamp`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Timestamp>,
    /// The warrant; only an emergency may be without (`DocumentObject`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warrant: Option<WarrantDocument>,
    /// Why it is necessary. Ours.
    pub necessity: String,
    /// Why it is proportionate. Ours.
    pub proportionality: String,
    /// Seconds from a disclosure until the owner sees it; 0: at once. Ours.
    #[serde(default)]
    pub notification_delay: u32,
    /// The provision that the delay rests on; required where there is one. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_delay_basis: Option<String>,
    /// What disclosed keys are sealed to. Ours.
    pub agency_key: AgencyKey,
    /// At most so many items are disclosed under it, 1 to [`MOST_ITEMS`]. Ours.
    pub max_items: u32,
    /// What it may reach: 1 to [`MOST_TASKS`].
    pub tasks: Vec<LdTask>,
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
