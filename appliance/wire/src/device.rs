//! Devices: bulk provisioning, fleets, account secrets, and pairing by RFC 8628.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::account::Account;
use crate::encoding::{Base64, Timestamp};
use crate::id::AccountId;
use crate::problem::{Code, Problem};

/// The most devices of one import.
pub const MOST_IMPORTED: usize = 100_000;
/// The longest serial number, in bytes.
pub const LONGEST_SERIAL: usize = 128;
/// The longest name of a fleet, in bytes.
pub const LONGEST_FLEET: usize = 64;
/// The longest name that a device which asks to be paired gives itself, in bytes.
pub const LONGEST_CLIENT: usize = 128;

/// A device as its administrators and whoever paired it see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its account. It is pending until its first request.
    pub account: Account,
    /// Its serial number, if it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The fleet it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Who paired it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired_by: Option<AccountId>,
    /// The name of who paired it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired_by_name: Option<String>,
    /// When its first request was admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_request: Option<Timestamp>,
    /// The generation of its newest secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// When that secret was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_created: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// `GET /v1/devices`: which devices to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeviceQuery {
    /// Only those of this fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Only the one with this serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Go on after this device: what [`DevicePage::next`] said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AccountId>,
    /// At most so many devices: 1 to 1000, 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of devices, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DevicePage {
    /// The devices.
    pub devices: Vec<Device>,
    /// Given to `after` it brings the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AccountId>,
}

/// What a device or a fleet can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// Its requests are admitted.
    Active,
    /// Its requests are refused until it is made active again.
    Suspended,
    /// Its secrets are deleted, and it never comes back.
    Revoked,
}

/// `PATCH /v1/devices/{device}`: what can be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateDevice {
    /// What it shall be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    /// The fleet it shall belong to; empty: none. Administrators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
}

/// A device after an act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedDevice {
    /// The device.
    pub device: Device,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `PATCH /v1/fleets/{fleet}`: what all devices of a fleet shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateFleet {
    /// What they shall be. Those that are revoked stay so.
    pub state: DeviceState,
}

/// A fleet after an act on all its devices, each of which has a leaf of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedFleet {
    /// How many devices were changed; those that were so already are not among them.
    pub changed: u64,
    /// The index of the fleet's audit leaf.
    pub leaf: u64,
}

/// `POST /v1/devices/import`: devices to be made. Also taken as CSV, with the other members in the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportDevices {
    /// The factory's public key, to which the secrets are wrapped: X-Wing, 1216 bytes.
    pub factory_key: Base64,
    /// The fleet of those that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Whether devices that exist and have never made a request get new secrets in place of theirs: so when the answer to an
    /// earlier import was lost.
    #[serde(default)]
    pub replace_secrets: bool,
    /// The devices: 1 to 100,000.
    pub devices: Vec<NewDevice>,
}

/// [`ImportDevices`] without its devices: the query of an import as CSV.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ImportQuery {
    /// Of CSV: the factory's public key.
    #[param(value_type = Option<String>)]
    pub factory_key: Base64,
    /// Of CSV: the fleet of those that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Of CSV: whether devices that exist and have never made a request get new secrets.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    pub replace_secrets: bool,
}

/// A device to be made; as CSV a line of `serial,name,fleet`, of which the last two may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDevice {
    /// Its serial number: 1 to 128 visible ASCII characters. No two devices of a domain have the same.
    pub serial: String,
    /// The name of its account; the serial number in lower case where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The fleet: 1 to 64 letters, digits, dots, hyphens and underscores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
}

/// One line of the answer to an import: newline-delimited JSON. The first is `started`, the last `done` or `failed`; an answer
/// without is not whole. Sending the same import again goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum ImportLine {
    /// The manifest was read.
    Started {
        /// How many devices it has.
        devices: u64,
    },
    /// A device was made. Its secret stands here and nowhere else.
    Created(ImportedDevice),
    /// A device that existed and had never made a request got a new secret.
    Replaced(ImportedDevice),
    /// A device exists with this serial number. It keeps its secret.
    Existing {
        /// Its serial number.
        serial: String,
        /// Its account.
        account: AccountId,
    },
    /// A device could not be made.
    Refused {
        /// Its serial number.
        serial: String,
        /// Why, to branch on.
        code: Code,
        /// Why, in a sentence.
        detail: String,
    },
    /// The import is whole.
    Done {
        /// How many devices were made.
        created: u64,
        /// How many got a new secret.
        replaced: u64,
        /// How many existed.
        existing: u64,
        /// How many could not be made.
        refused: u64,
    },
    /// The import stopped here.
    Failed(Problem),
}

/// A device that was made by an import, with its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedDevice {
    /// Its serial number.
    pub serial: String,
    /// Its account's identifier, which its requests name.
    pub account: AccountId,
    /// Its account's name.
    pub name: String,
    /// The domain.
    pub domain: String,
    /// The secret's generation.
    pub generation: u32,
    /// How the secret is wrapped: `x-wing/hkdf-sha-512/aes-256-gcm` (HPKE, RFC 9180).
    pub suite: String,
    /// The encapsulated key, 1120 bytes.
    pub encapsulated: Base64,
    /// The secret, sealed: 48 bytes.
    pub sealed: Base64,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `POST /v1/accounts/{account}/secret`: the answer, with a new secret of a device or service, shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedSecret {
    /// Whose secret it is.
    pub account: AccountId,
    /// The secret's generation.
    pub generation: u32,
    /// The secret's 32 bytes, wrapped (AES-KWP, RFC 5649) under the caller's transport key: 40 bytes.
    pub wrapped: Base64,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `POST /v1/pairings`: the device authorization request (RFC 8628 section 3.1), form-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartPairing {
    /// What the device calls itself, shown to who approves it: 1 to 128 visible ASCII characters or spaces.
    pub client_id: String,
}

/// The device authorization response (RFC 8628 section 3.2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairingStarted {
    /// What the device asks for its secret with.
    pub device_code: String,
    /// What a person types: eight letters, such as `WDJB-MJHT`.
    pub user_code: String,
    /// Where that person finds out how.
    pub verification_uri: String,
    /// The seconds after which both codes lapse.
    pub expires_in: u64,
    /// The seconds that the device waits between two requests for its secret.
    pub interval: u64,
}

/// `POST /v1/pairings/token`: the device access token request (RFC 8628 section 3.4), form-encoded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairingToken {
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    pub grant_type: String,
    /// What [`PairingStarted`] said.
    pub device_code: String,
    /// As in [`StartPairing`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// The device access token response (RFC 6749 section 5.1): who the device is and its secret, given out this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairedDevice {
    /// The secret: 32 bytes in base64url.
    pub access_token: String,
    /// `urn:strongroom:account-secret`: requests are signed with it (RFC 9421), it is never sent.
    pub token_type: String,
    /// The device's account, which its requests name as `keyid`.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// The secret's generation.
    pub generation: u32,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// The answer where there is no secret yet, or never (RFC 8628 section 3.5, RFC 6749 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairingError {
    /// `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`, `invalid_request` or
    /// `unsupported_grant_type`.
    pub error: String,
    /// The same for people.
    pub error_description: String,
}

/// `GET /v1/pairings/{code}`: a device that waits to be paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pairing {
    /// What it calls itself.
    pub client: String,
    /// The network address that it asked from.
    pub source: String,
    /// When it asked.
    pub requested: Timestamp,
    /// When its code lapses.
    pub expires: Timestamp,
}

/// `POST /v1/pairings/{code}`: whether the device is paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecidePairing {
    /// Whether it is.
    pub approve: bool,
    /// The name of its account; what it calls itself where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The answer to [`DecidePairing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecidedPairing {
    /// The device, if it was paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// The index of the audit leaf.
    pub leaf: u64,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn lines_of_an_import_are_told_apart_by_their_outcome() {
        let account = AccountId::generate();
        let line = ImportLine::Existing {
            serial: "SN-1".to_owned(),
            account,
        };
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(
            json,
            format!("{{\"outcome\":\"existing\",\"serial\":\"SN-1\",\"account\":\"{account}\"}}")
        );
        let failed = ImportLine::Failed(Problem::new(Code::HsmUnavailable, "No."));
        for line in [line, failed] {
            let json = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<ImportLine>(&json).unwrap(), line);
        }
    }
}
