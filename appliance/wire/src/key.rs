//! Keys, versions, grants and rights.

mod kind;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::encoding::{Base64, Timestamp};
use crate::id::{AccountId, GrantId, IdempotencyKey, KeyId};
use crate::object::KeyObject;
pub use crate::policy::UsagePolicy;
use crate::problem::Problem;
pub use kind::{Algorithm, Origin, Protection, Releasable};

/// The most keys that one request creates or releases.
pub const MOST_KEYS_A_REQUEST: usize = 1000;
/// How long a request with an idempotency key is remembered, in seconds.
pub const REMEMBERED_FOR: u64 = 3600;
/// The longest generic secret, in bytes.
pub const LONGEST_SECRET: u16 = 1024;
/// The most RSA keys that one request creates: they take long to find.
pub const MOST_RSA_KEYS_A_REQUEST: usize = 8;
/// The most keys that one request generates in the HSM.
pub const MOST_HSM_KEYS_A_REQUEST: usize = 8;
/// For how long a sign-in counts as made for the use of a key, where each use wants one, in seconds.
pub const AUTHENTICATED_FOR: u32 = 10;
/// The longest label, in bytes of UTF-8.
pub const LONGEST_LABEL: usize = 1024;
/// The longest content type, in bytes.
pub const LONGEST_CONTENT_TYPE: usize = 255;
/// The most recipients that are named when a key is created.
pub const MOST_RECIPIENTS: usize = 1000;

/// The states of NIST SP 800-57 part 1, section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Created, not yet to be used.
    PreActive,
    /// In use.
    Active,
    /// Out of use for a time.
    Suspended,
    /// Protects nothing new; what it protected can still be opened.
    Deactivated,
    /// Believed to be known to somebody who should not know it; what it protected can still be opened by its owner.
    Compromised,
    /// Every copy is gone.
    Destroyed,
}

/// What a grant lets its grantee do with the key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Receive the key's material.
    Release,
    /// Have the appliance encrypt.
    Encrypt,
    /// Have the appliance decrypt.
    Decrypt,
    /// Have the appliance sign or make a MAC.
    Sign,
    /// Have the appliance verify.
    Verify,
    /// Have the appliance wrap other keys.
    Wrap,
    /// Have the appliance unwrap other keys.
    Unwrap,
    /// Have the appliance derive keys.
    Derive,
    /// Give the key to others, with no more than one's own rights and within one's own policy.
    Share,
    /// Destroy the key.
    Destroy,
    /// Rotate the key, change its state, revoke grants.
    Administer,
}

impl Right {
    /// Every right, in the order of their bits in the canonical encoding.
    pub const ALL: [Self; 11] = [
        Self::Release,
        Self::Encrypt,
        Self::Decrypt,
        Self::Sign,
        Self::Verify,
        Self::Wrap,
        Self::Unwrap,
        Self::Derive,
        Self::Share,
        Self::Destroy,
        Self::Administer,
    ];
}

/// One key of [`CreateKeys`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What it is for.
    pub algorithm: Algorithm,
    /// A name for people, such as a file's; at most [`LONGEST_LABEL`] bytes, no control characters.
    #[serde(default)]
    pub label: String,
    /// The media type of what it protects; at most [`LONGEST_CONTENT_TYPE`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Names of the accounts that receive what it protects; each is granted `release`, `decrypt` and `verify`.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// The key's own usage policy.
    #[serde(default)]
    pub policy: UsagePolicy,
    /// `pre-active` or `active`.
    #[serde(default = "active")]
    pub state: KeyState,
    /// For a generic secret: its length in bytes, 1 to [`LONGEST_SECRET`]; 32 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u16>,
    /// Whether its material may go to clients: `by-policy` or `never`. This only ever gets stricter, by [`TightenKey`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub releasable: Releasable,
    /// Whether who uses it has to show each time who they are: the request is signed, or its session's sign-in or step-up is at most
    /// [`AUTHENTICATED_FOR`] seconds old. What the public key of a pair does is for everyone. Such a key is `never` released.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authenticate_each: bool,
    /// What keeps it. One of `hsm` is generated in the HSM, is lost with it, and is `never` released.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protection: Protection,
    /// To bring an existing key: AES-KWP (RFC 5649) of its bytes, or of the private key as PKCS #8 in DER, under a key that follows from the
    /// session's transport key. The key is recorded as imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<Base64>,
    /// What an application says of the key's parts, of all of them or of none. It is for its owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<KeyObject>,
}

impl NewKey {
    /// An active key for this that the appliance generates, with nothing else said.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            label: String::new(),
            content_type: None,
            recipients: Vec::new(),
            policy: UsagePolicy::default(),
            state: KeyState::Active,
            length: None,
            releasable: Releasable::ByPolicy,
            authenticate_each: false,
            protection: Protection::Software,
            material: None,
            objects: Vec::new(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn active() -> KeyState {
    KeyState::Active
}

/// `POST /v1/keys`: new keys, made by the appliance. All are created or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKeys {
    /// 1 to [`MOST_KEYS_A_REQUEST`] keys.
    pub keys: Vec<NewKey>,
    /// Whether to release each to its creator in the same answer. Such a release is an act of its own, with its own leaf. The domain's
    /// usage policy binds it, the key's does not: so that something can be protected now that is to be opened later, or once.
    #[serde(default)]
    pub release: bool,
}

/// The query of `POST /v1/keys`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CreateKeysQuery {
    /// A UUID that the client made for this request. The same account's same request with it, made again within [`REMEMBERED_FOR`] seconds,
    /// makes no other keys: it is answered with those that are there, which are released once more where that is asked for. Another request
    /// with it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = Uuid)]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The answer to [`CreateKeys`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedKeys {
    /// The keys, in the order asked for.
    pub keys: Vec<CreatedKey>,
}

/// One key of [`CreatedKeys`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    /// The key.
    pub key: Key,
    /// Its material, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<Material>,
    /// The index of the audit leaf of its creation.
    pub leaf: u64,
}

/// A key as an account with a grant to it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its identifier.
    pub id: KeyId,
    /// What it is for.
    pub algorithm: Algorithm,
    /// Its state.
    pub state: KeyState,
    /// The name for people.
    pub label: String,
    /// The media type of what it protects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Who owns it.
    pub owner: AccountId,
    /// The owner's name.
    pub owner_name: String,
    /// Who created it: the sender of what it protects.
    pub sender: String,
    /// The names of the recipients recorded when it was created.
    pub recipients: Vec<String>,
    /// The newest version; the first is 1.
    pub version: u32,
    /// The key's usage policy; for its owner and those who administer it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<UsagePolicy>,
    /// How often it has been released over all grants, for those who see its policy; counted where a policy limits releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases: Option<u64>,
    /// When it was created.
    pub created: Timestamp,
    /// What the caller may do with it, sorted; empty once the caller's grant is revoked or the key destroyed.
    pub rights: Vec<Right>,
    /// The length of a generic secret, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u16>,
    /// Whether its material may go to clients.
    #[serde(default)]
    pub releasable: Releasable,
    /// Whether each use wants to know anew who it is for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authenticate_each: bool,
    /// Where its material comes from.
    #[serde(default)]
    pub origin: Origin,
    /// What keeps it.
    #[serde(default)]
    pub protection: Protection,
    /// Of a key pair: the newest version's public key, `SubjectPublicKeyInfo` in DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Base64>,
}

/// `GET /v1/keys`: which keys to list. Members that are given must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct KeyQuery {
    /// The label contains this, whatever the case of ASCII letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The sender's name is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// One of the recipients' names is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The state is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<KeyState>,
    /// Created at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Created before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Go on after this key: what [`KeyPage::next`] said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<KeyId>,
    /// At most so many keys: 1 to 1000, 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of keys, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<Key>,
    /// Given to `after` it brings the next page; absent on the last. A page of a search may have few keys, or none, and not be the last: so many keys
    /// are looked at for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<KeyId>,
}

/// `POST /v1/keys/{key}/release`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseKey {
    /// Which version; the newest where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// `POST /v1/keys/release`: the material of many keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseKeys {
    /// 1 to [`MOST_KEYS_A_REQUEST`] keys.
    pub keys: Vec<KeyVersion>,
}

/// One key of [`ReleaseKeys`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyVersion {
    /// The key.
    pub key: KeyId,
    /// Which version; the newest where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// The answer to [`ReleaseKeys`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleasedKeys {
    /// What became of each key, in the order asked for. That one is refused stops no other.
    pub keys: Vec<KeyRelease>,
}

/// What became of one key of [`ReleaseKeys`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyRelease {
    /// It was released.
    Released(Box<Material>),
    /// It was refused, as the release of it alone would have been.
    Refused(Box<Problem>),
}

/// A key's material on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Material {
    /// The key.
    pub key: KeyId,
    /// The version.
    pub version: u32,
    /// What it is for.
    pub algorithm: Algorithm,
    /// Who created the key: the sender of what it protects.
    pub sender: AccountId,
    /// AES-KWP (RFC 5649) of the material, under a key that follows from the session's transport key, the key's identifier and its
    /// version.
    pub wrapped: Base64,
    /// The client must forget the material at this moment, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The client must forget the material so many seconds after it came, by its own clock, if there is such a span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_for: Option<u32>,
    /// Whether the client must ask again for each further use, as usage policies say what only the appliance can judge: how often the key is
    /// released, or from where. Material that is kept for further use without asking is kept only where this is absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ask_again: bool,
    /// The index of the audit leaf of the release.
    pub leaf: u64,
}

/// `POST /v1/keys/{key}/grants`: share the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareKey {
    /// The grantee's name.
    pub grantee: String,
    /// What the grantee may do; `release`, `decrypt` and `verify` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Vec<Right>>,
    /// The grant's usage policy.
    #[serde(default)]
    pub policy: UsagePolicy,
}

/// Whether a grant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrantState {
    /// The grantee has a sealed copy.
    Active,
    /// The copy has been deleted.
    Revoked,
}

/// A grant as those who administer the key see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Its identifier.
    pub id: GrantId,
    /// The key.
    pub key: KeyId,
    /// Who has it.
    pub grantee: AccountId,
    /// The grantee's name.
    pub grantee_name: String,
    /// Who gave it.
    pub granted_by: AccountId,
    /// Whether it holds.
    pub state: GrantState,
    /// What the grantee may do, sorted.
    pub rights: Vec<Right>,
    /// Its usage policy.
    pub policy: UsagePolicy,
    /// How often the key has been released under it; counted where its policy limits releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases: Option<u64>,
    /// When it was given.
    pub created: Timestamp,
}

/// `GET /v1/keys/{key}/grants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grants {
    /// The grants, the oldest (the owner's) first.
    pub grants: Vec<Grant>,
}

/// The answer to [`ShareKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Shared {
    /// The grant.
    pub grant: Grant,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `POST /v1/keys/{key}/state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeState {
    /// The state it shall have. Destruction is `DELETE /v1/keys/{key}`.
    pub state: KeyState,
}

/// `PATCH /v1/keys/{key}`: restrictions that its owner puts on a key and nobody lifts. What is absent stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TightenKey {
    /// `no-more`: its material goes to no client from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releasable: Option<Releasable>,
    /// `true`: each use wants to know anew who it is for, as [`NewKey::authenticate_each`] says. The key is not released, or is
    /// `no-more` from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticate_each: Option<bool>,
}

/// A key after an act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedKey {
    /// The key.
    pub key: Key,
    /// The index of the audit leaf.
    pub leaf: u64,
}
