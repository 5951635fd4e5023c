//! What an authorisation orders: what a case officer enters.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{Base64, Timestamp};
use crate::id::KeyId;

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
    /// At most so many items are disclosed under it, 1 to [`MOST_ITEMS`](super::MOST_ITEMS). Ours.
    pub max_items: u32,
    /// What it may reach: 1 to [`MOST_TASKS`](super::MOST_TASKS).
    pub tasks: Vec<LdTask>,
}
