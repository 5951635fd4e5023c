//! Objects of an account, as PKCS #11 has them: certificates, data, public keys of their own, and what an application says of the account's keys.
//!
//! The numbers are those of PKCS #11 3.2: `CKO_...` of classes, `CKK_...` of key types. What an application sets beside them is kept as it is: the
//! appliance does not read it, and nothing that decides what may be done with a key stands there.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::encoding::{Base64, Timestamp};
use crate::id::ObjectId;
use crate::key::Key;

/// The longest `CKA_LABEL` and `CKA_ID`, in bytes.
pub const LONGEST_NAME: usize = 1024;
/// The longest attributes of one object together, in bytes.
pub const LONGEST_ATTRIBUTES: usize = 256 * 1024;

/// The label of an object by which the owner of a key tells the SHA-256 of what it protects: of the class 0 (`CKO_DATA`), with the key's identifier, the
/// 32 bytes as its `CKA_ID`, and no attributes. Delivery records of lawful access carry it.
pub const CIPHERTEXT_HASH: &str = "strongroom/ciphertext-sha256";

/// Which part of what has the identifier.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ObjectPart {
    /// A secret key.
    Secret,
    /// The private half of a key pair.
    Private,
    /// The public half of a key pair, or a public key of its own.
    Public,
    /// A certificate, data, or another object that is no key.
    Object,
}

/// What an application says of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectDescription {
    /// `CKA_CLASS`.
    pub class: u32,
    /// `CKA_KEY_TYPE` of a key, `CKA_CERTIFICATE_TYPE` of a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<u32>,
    /// `CKA_LABEL`: at most [`LONGEST_NAME`] bytes.
    #[serde(default)]
    pub label: Base64,
    /// `CKA_ID`: at most [`LONGEST_NAME`] bytes.
    #[serde(default)]
    pub id: Base64,
    /// The other attributes, in an encoding of the application's: at most [`LONGEST_ATTRIBUTES`] bytes.
    #[serde(default)]
    pub attributes: Base64,
}

/// What an application says of one part of a new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyObject {
    /// Which part.
    pub part: ObjectPart,
    /// What is said of it.
    pub description: ObjectDescription,
}

/// An object of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountObject {
    /// Its identifier. Of a part of a key it is the key's.
    pub id: ObjectId,
    /// Which part.
    pub part: ObjectPart,
    /// What is said of it.
    pub description: ObjectDescription,
    /// The key that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// When it was made.
    pub created: Timestamp,
    /// When what is said of it was last changed.
    pub updated: Timestamp,
}

/// `GET /v1/objects`: which objects to find. Members that are given must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ObjectQuery {
    /// `CKA_CLASS` is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<u32>,
    /// `CKA_KEY_TYPE` or `CKA_CERTIFICATE_TYPE` is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<u32>,
    /// `CKA_LABEL` is this, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = Byte)]
    pub label: Option<Base64>,
    /// `CKA_ID` is this, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = Byte)]
    pub id: Option<Base64>,
    /// Go on after this: what [`ObjectPage::next`] said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most about so many objects: up to 1000, 100 by default. With 0 the answer is the state alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The query of a request for one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PartQuery {
    /// Which part.
    #[param(inline)]
    pub part: ObjectPart,
}

/// A page of objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectPage {
    /// The objects, whole.
    pub objects: Vec<AccountObject>,
    /// Given to `after` it brings the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The state of all that the account sees, and of the domain's policy: another number after any change, whoever made it.
    pub change: u64,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownObject {
    /// The object.
    pub object: AccountObject,
    /// The state of all that the account sees, as in [`ObjectPage::change`].
    pub change: u64,
}

/// An object after it was made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedObject {
    /// The object.
    pub object: AccountObject,
    /// The state of all that the account sees, as in [`ObjectPage::change`].
    pub change: u64,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// An object was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedObject {
    /// The state of all that the account sees, as in [`ObjectPage::change`].
    pub change: u64,
    /// The index of the audit leaf.
    pub leaf: u64,
}
