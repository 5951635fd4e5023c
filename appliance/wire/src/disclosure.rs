//! Disclosures: what a scope reaches, what was executed and released, what a hold keeps, and what people are told in the end.
//!
//! Names follow ETSI TS 103 120 where it has one (Delivery, Notification); `docs/lawful-access.md` has the table.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::Timestamp;
use crate::id::{AuthorisationId, DisclosureId, KeyId};
use crate::key::{Algorithm, KeyState};

/// The most items of one delivery. What a scope has beyond them goes out with further disclosures.
pub const MOST_DELIVERED: u32 = 10_000;
/// How many items a preview shows one by one.
pub const PREVIEWED: usize = 100;

/// `POST /v1/authorisations/{authorisation}/preview`: what its scope reaches now, in counts and metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisclosurePreview {
    /// The authorisation.
    pub authorisation: AuthorisationId,
    /// The generation that is approved.
    pub generation: u32,
    /// How many items a disclosure would deliver now.
    pub items: u32,
    /// Whether there are more than one delivery has.
    pub more: bool,
    /// How many items it may still deliver, of those that the order caps it at.
    pub left: u32,
    /// Items in scope that it would not deliver.
    pub withheld: Withheld,
    /// When the first of the items was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When the last of them was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Who owns how many of them.
    pub owners: Vec<OwnedItems>,
    /// The first ones, at most [`PREVIEWED`].
    pub shown: Vec<PreviewedItem>,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// Items in scope that are not delivered, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Withheld {
    /// Delivered before under this generation.
    pub delivered: u32,
    /// Destroyed before a hold was there to keep them.
    pub destroyed: u32,
    /// Keys that only sign or authenticate, which open nothing and are never disclosed.
    pub signing: u32,
    /// Keys in the HSM, which gives their material to nobody.
    #[serde(default)]
    pub in_hsm: u32,
}

/// How many items an account owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnedItems {
    /// The account's name.
    pub owner: String,
    /// How many.
    pub items: u32,
}

/// An item as a preview shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewedItem {
    /// Its key.
    pub key: KeyId,
    /// What the key is for.
    pub algorithm: Algorithm,
    /// The key's state.
    pub state: KeyState,
    /// The label.
    pub label: String,
    /// The media type of what it protects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Who owns it.
    pub owner: String,
    /// To whom it was sent.
    pub recipients: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The reference of the task that it matches.
    pub task: String,
    /// By what it matches, in words.
    pub matched: String,
}

/// How far a disclosure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisclosureState {
    /// Prepared; nothing has gone out.
    Executed,
    /// Let out: the agency can be given the package.
    Released,
}

/// A disclosure: that an approved authorisation was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disclosure {
    /// Its identifier; also that of its delivery.
    pub id: DisclosureId,
    /// The authorisation.
    pub authorisation: AuthorisationId,
    /// The generation that was approved.
    pub generation: u32,
    /// How far it is.
    pub state: DisclosureState,
    /// How many items: that there were when it was executed, or that were delivered.
    pub items: u32,
    /// The name of who executed it.
    pub executor: String,
    /// When.
    pub executed: Timestamp,
    /// The name of who released it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releaser: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
    /// SHA-256 of the delivery's manifest, in hexadecimal, which the leaf of the release has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// The index of the leaf of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_leaf: Option<u64>,
}

/// The answer to an act on a disclosure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedDisclosure {
    /// The disclosure.
    pub disclosure: Disclosure,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `GET /v1/authorisations/{authorisation}/disclosures`: the disclosures under an authorisation, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disclosures {
    /// The disclosures.
    pub disclosures: Vec<Disclosure>,
}

/// `GET /v1/authorisations/{authorisation}/hold`: what the authorisation keeps from destruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hold {
    /// Whether it keeps what is destroyed from now on.
    pub in_force: bool,
    /// The keys in its scope that were destroyed and are kept.
    pub kept: Vec<KeptKey>,
}

/// A destroyed key that a hold keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptKey {
    /// The key.
    pub key: KeyId,
    /// Its label.
    pub label: String,
    /// Who owned it.
    pub owner: String,
    /// When it was destroyed.
    pub destroyed: Timestamp,
}

/// `GET /v1/notifications`: what was disclosed of the caller's, as far as its delay is over, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notifications {
    /// The notifications.
    pub notifications: Vec<Notification>,
}

/// That something of the caller's was disclosed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// The order's reference.
    pub reference: String,
    /// What kind of order it was in law.
    pub legal_type: String,
    /// The provision that it rested on.
    pub legal_basis: String,
    /// Who issued it.
    pub issuing_authority: String,
    /// The provision that the delay rested on, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_basis: Option<String>,
    /// The delivery.
    pub delivery: DisclosureId,
    /// When it was released.
    pub released: Timestamp,
    /// What of the caller's it delivered.
    pub items: Vec<NotifiedItem>,
}

/// An item that was disclosed, as its owner or another whom it concerns sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifiedItem {
    /// Its key.
    pub key: KeyId,
    /// The label.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// The name of who owns it.
    pub owner: String,
    /// The index of the leaf that records its disclosure.
    pub leaf: u64,
}
