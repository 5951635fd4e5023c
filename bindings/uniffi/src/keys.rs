//! Keys, grants, and material that was obtained.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strongroom_client::sign_in::account_name;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key as wire;

use crate::policy::mirror;
use crate::{Failure, StrongroomError, UsagePolicy};

mirror! {
    /// What a key is for.
    Algorithm = wire::Algorithm {
        /// 32 bytes for AES-256 in an AEAD mode.
        Aes256,
        /// 32 bytes for HMAC-SHA-256.
        HmacSha256,
        /// 16 bytes for AES-128.
        Aes128,
        /// 24 bytes for AES-192.
        Aes192,
        /// Bytes for HMAC, or for whatever an application has them for.
        GenericSecret,
        /// An RSA key pair with a modulus of 2048 bits.
        Rsa2048,
        /// An RSA key pair with a modulus of 3072 bits.
        Rsa3072,
        /// An RSA key pair with a modulus of 4096 bits.
        Rsa4096,
        /// A key pair on the curve P-256.
        EcP256,
        /// A key pair on the curve P-384.
        EcP384,
        /// A key pair on the curve P-521.
        EcP521,
        /// A key pair for Ed25519.
        Ed25519,
        /// A key pair for X25519.
        X25519,
        /// A key pair for ML-DSA-65.
        MlDsa65,
        /// A key pair for ML-KEM-768.
        MlKem768,
    }
}

mirror! {
    /// The states of NIST SP 800-57 part 1, section 7.
    KeyState = wire::KeyState {
        /// Created, not yet to be used.
        PreActive,
        /// In use.
        Active,
        /// Out of use for a time.
        Suspended,
        /// Protects nothing new; what it protected can still be opened.
        Deactivated,
        /// Believed to be known to somebody who should not know it.
        Compromised,
        /// Every copy is gone.
        Destroyed,
    }
}

mirror! {
    /// What a grant lets its grantee do with the key.
    Right = wire::Right {
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
        /// Give the key to others.
        Share,
        /// Destroy the key.
        Destroy,
        /// Rotate the key, change its state, revoke grants.
        Administer,
    }
}

mirror! {
    /// Whether a key's material may go to clients.
    Releasable = wire::Releasable {
        /// As usage policies say.
        ByPolicy,
        /// Never, from the day it was made: the appliance uses it for its clients.
        Never,
        /// No more, from some day on.
        NoMore,
    }
}

mirror! {
    /// Where a key's material comes from.
    Origin = wire::Origin {
        /// The appliance generated it.
        Generated,
        /// A client brought it.
        Imported,
        /// It was unwrapped under another key.
        Unwrapped,
        /// It was derived with another key.
        Derived,
    }
}

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NewKey {
    /// Its name for people.
    pub label: String,
    /// What it is for.
    pub algorithm: Algorithm,
    /// The media type of what it protects.
    #[uniffi(default = None)]
    pub content_type: Option<String>,
    /// The names of the accounts that receive what it protects.
    #[uniffi(default = [])]
    pub recipients: Vec<String>,
    /// The key's usage policy.
    #[uniffi(default = None)]
    pub policy: Option<UsagePolicy>,
    /// Whether its material may go to clients, which never changes: as usage policies say, where it is absent.
    #[uniffi(default = None)]
    pub releasable: Option<Releasable>,
    /// The length of a generic secret in bytes, 1 to 1024; 32 where it is absent.
    #[uniffi(default = None)]
    pub length: Option<u16>,
}

/// A key as an account with a grant to it sees it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Key {
    /// Its identifier.
    pub id: String,
    /// What it is for.
    pub algorithm: Algorithm,
    /// Its state.
    pub state: KeyState,
    /// The name for people.
    pub label: String,
    /// The media type of what it protects.
    pub content_type: Option<String>,
    /// The owner's name.
    pub owner: String,
    /// The name of who created it: the sender of what it protects.
    pub sender: String,
    /// The names of the recipients recorded when it was created.
    pub recipients: Vec<String>,
    /// The newest version; the first is 1.
    pub version: u32,
    /// The key's usage policy, for its owner and those who administer it.
    pub policy: Option<UsagePolicy>,
    /// When it was created.
    pub created: SystemTime,
    /// What the caller may do with it.
    pub rights: Vec<Right>,
    /// Whether its material may go to clients.
    pub releasable: Releasable,
    /// Where its material comes from.
    pub origin: Origin,
    /// The length of a generic secret in bytes.
    pub length: Option<u16>,
}

/// Which keys to find. Members that are given must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct KeyQuery {
    /// The label contains this.
    #[uniffi(default = None)]
    pub label: Option<String>,
    /// The sender's name is this.
    #[uniffi(default = None)]
    pub sender: Option<String>,
    /// One of the recipients' names is this.
    #[uniffi(default = None)]
    pub recipient: Option<String>,
    /// The state is this.
    #[uniffi(default = None)]
    pub state: Option<KeyState>,
    /// Created at or after this moment.
    #[uniffi(default = None)]
    pub since: Option<SystemTime>,
    /// Created before this moment.
    #[uniffi(default = None)]
    pub until: Option<SystemTime>,
    /// Go on after this key: what the page before said.
    #[uniffi(default = None)]
    pub after: Option<String>,
    /// At most so many keys: 1 to 1000, 100 by default.
    #[uniffi(default = None)]
    pub limit: Option<u32>,
}

/// A page of keys, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<Key>,
    /// Given as `after` it brings the next page; absent on the last.
    pub next: Option<String>,
}

/// Who has a key.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Grant {
    /// Its identifier.
    pub id: String,
    /// The key's identifier.
    pub key: String,
    /// The name of who has it.
    pub grantee: String,
    /// Whether it holds: the grantee has a sealed copy, which has not been taken back.
    pub active: bool,
    /// What the grantee may do.
    pub rights: Vec<Right>,
    /// Its usage policy.
    pub policy: UsagePolicy,
    /// When it was given.
    pub created: SystemTime,
}

/// A key that was made and released in the same answer.
#[derive(uniffi::Record)]
pub struct CreatedKey {
    /// The key.
    pub key: Key,
    /// Its material.
    pub released: Arc<Released>,
}

/// What became of one of several keys that were to be obtained.
#[derive(uniffi::Enum)]
pub enum Obtained {
    /// It was released.
    Released {
        /// Its material.
        released: Arc<Released>,
    },
    /// It was refused.
    Refused {
        /// Why.
        failure: Failure,
    },
}

/// A key's material, for an application that does its own encryption. It is held in locked memory, and overwritten when this is dropped, when
/// usage policies do not allow to keep it any more, and by `forget`.
#[derive(uniffi::Object)]
pub struct Released {
    /// None once it was dropped.
    inner: Mutex<Option<strongroom_client::Released>>,
    key: String,
    version: u32,
    algorithm: Algorithm,
    not_after: Option<SystemTime>,
    leaf: u64,
}

impl Released {
    pub(crate) fn new(released: strongroom_client::Released) -> Arc<Self> {
        Arc::new(Self {
            key: released.key().to_string(),
            version: released.version(),
            algorithm: released.algorithm().into(),
            not_after: released.not_after().map(moment),
            leaf: released.leaf(),
            inner: Mutex::new(Some(released)),
        })
    }
}

#[uniffi::export]
impl Released {
    /// The key's identifier.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.clone()
    }

    /// The version, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// When the material must be forgotten, if there is such a moment.
    #[must_use]
    pub fn not_after(&self) -> Option<SystemTime> {
        self.not_after
    }

    /// The index of the release's leaf in the audit log.
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// A copy of the bytes. This library cannot overwrite that copy: let go of it as soon as it was used.
    pub fn material(&self) -> Result<Vec<u8>, StrongroomError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let released = inner.as_mut().ok_or_else(|| Failure {
            kind: crate::ErrorKind::Expired,
            reason: "the key's material was dropped".to_owned(),
            rule: None,
            code: None,
            safe_to_retry: false,
        });
        let released = released.map_err(|failure| StrongroomError::Failed { failure })?;
        Ok(released.material()?.to_vec())
    }

    /// Overwrites the material, unless another handle of the same key has it.
    pub fn wipe(&self) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// A moment as the wire has it; what lies before 1970 becomes its beginning.
pub(crate) fn timestamp(moment: SystemTime) -> Timestamp {
    let millis = moment
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

pub(crate) fn moment(timestamp: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(timestamp.as_millis())
}

pub(crate) fn rights(rights: Vec<wire::Right>) -> Vec<Right> {
    rights.into_iter().map(Into::into).collect()
}

pub(crate) fn to_rights(rights: Vec<Right>) -> Vec<wire::Right> {
    rights.into_iter().map(Into::into).collect()
}

/// An identifier that the caller gave.
pub(crate) fn identifier<T: std::str::FromStr>(text: &str) -> Result<T, StrongroomError> {
    text.trim()
        .parse()
        .map_err(|_| StrongroomError::invalid("that is no identifier"))
}

impl TryFrom<NewKey> for wire::NewKey {
    type Error = StrongroomError;

    fn try_from(key: NewKey) -> Result<Self, Self::Error> {
        Ok(Self {
            label: key.label,
            content_type: key.content_type,
            recipients: key
                .recipients
                .iter()
                .map(|name| account_name(name))
                .collect(),
            policy: key.policy.unwrap_or_default().try_into()?,
            releasable: key.releasable.map(Into::into).unwrap_or_default(),
            length: key.length,
            ..Self::new(key.algorithm.into())
        })
    }
}

impl TryFrom<KeyQuery> for wire::KeyQuery {
    type Error = StrongroomError;

    fn try_from(query: KeyQuery) -> Result<Self, Self::Error> {
        Ok(Self {
            label: query.label,
            sender: query.sender.as_deref().map(account_name),
            recipient: query.recipient.as_deref().map(account_name),
            state: query.state.map(Into::into),
            from: query.since.map(timestamp),
            until: query.until.map(timestamp),
            after: query.after.as_deref().map(identifier).transpose()?,
            limit: query.limit,
        })
    }
}

impl From<wire::KeyPage> for KeyPage {
    fn from(page: wire::KeyPage) -> Self {
        Self {
            keys: page.keys.into_iter().map(Into::into).collect(),
            next: page.next.map(|key| key.to_string()),
        }
    }
}

impl From<wire::Key> for Key {
    fn from(key: wire::Key) -> Self {
        Self {
            id: key.id.to_string(),
            algorithm: key.algorithm.into(),
            state: key.state.into(),
            label: key.label,
            content_type: key.content_type,
            owner: key.owner_name,
            sender: key.sender,
            recipients: key.recipients,
            version: key.version,
            policy: key.policy.map(Into::into),
            created: moment(key.created),
            rights: rights(key.rights),
            releasable: key.releasable.into(),
            origin: key.origin.into(),
            length: key.length,
        }
    }
}

impl From<wire::Grant> for Grant {
    fn from(grant: wire::Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            key: grant.key.to_string(),
            grantee: grant.grantee_name,
            active: grant.state == wire::GrantState::Active,
            rights: rights(grant.rights),
            policy: grant.policy.into(),
            created: moment(grant.created),
        }
    }
}
