//! The delivery record of an item.

use serde::{Deserialize, Serialize};
use strongroom_approval::canonical;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, AuthorisationId, DisclosureId, KeyId};
use strongroom_wire::key::Algorithm;

use crate::DisclosureError;

/// What a delivery record's `format` says.
pub const FORMAT: &str = "strongroom-delivery-record/1";

/// What was disclosed of one item. In JSON in the form of RFC 8785; hashes are SHA-256 in hexadecimal.
///
/// The leaf [`leaf`](Self::leaf) of the domain's audit tree, `disclosure.item`, has the record's SHA-256 in its note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryRecord {
    /// [`FORMAT`].
    pub format: String,
    /// The name of the log (C2SP `tlog-checkpoint`) that the leaf is in.
    pub domain_origin: String,
    /// The authorisation's identifier.
    pub authorisation: AuthorisationId,
    /// Its generation whose approvals allowed this.
    pub generation: u32,
    /// The hash of that generation's authorisation record.
    pub authorisation_sha256: String,
    /// The order's reference.
    pub reference: String,
    /// The delivery.
    pub delivery: DisclosureId,
    /// The item's place in it; the first is 1.
    pub sequence: u32,
    /// The place of the delivery's last item.
    pub last_sequence: u32,
    /// The item: its key.
    pub item: KeyId,
    /// What the key is for.
    pub algorithm: Algorithm,
    /// How many versions of it were disclosed; the first is 1.
    pub versions: u32,
    /// The key's label.
    pub label: String,
    /// The media type of what it protects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// When the item was made.
    pub created: Timestamp,
    /// Who owns it.
    pub owner: Named,
    /// Who sent it.
    pub sender: Named,
    /// To whom it was sent.
    pub recipients: Vec<Named>,
    /// What of the scope it matched.
    pub matched: Matched,
    /// The hash of what the key protects, where the item's owner has told the appliance, which holds no ciphertext and cannot check it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ciphertext_sha256: Option<String>,
    /// The fingerprint of the certificate or key to which the key was sealed.
    pub sealing_key_sha256: String,
    /// The hash of the sealed key.
    pub sealed_sha256: String,
    /// Who executed the disclosure.
    pub executor: Named,
    /// When.
    pub executed: Timestamp,
    /// Who released it.
    pub releaser: Named,
    /// When.
    pub released: Timestamp,
    /// The index of the item's leaf.
    pub leaf: u64,
}

/// An account and its name at the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its identifier.
    pub account: AccountId,
    /// Its name.
    pub name: String,
}

/// Which entry of the scope an item matched, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matched {
    /// The place of the entry (`LDTask`) in the authorisation; the first is 1.
    pub task: u32,
    /// In words of the entry, such as `from alice@example.com`.
    pub predicate: String,
    /// The person whose messages the entry names, where it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Named>,
}

impl DeliveryRecord {
    /// Its bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Failed`], never for what is well-formed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DisclosureError> {
        canonical::to_vec(self).map_err(|_| DisclosureError::Failed)
    }

    /// The record of these bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DisclosureError> {
        canonical::from_slice(bytes)
            .ok()
            .filter(|record: &Self| {
                record.format == FORMAT
                    // No identifier in capitals, either.
                    && record.to_bytes().is_ok_and(|again| again == bytes)
            })
            .ok_or(DisclosureError::Malformed)
    }
}
