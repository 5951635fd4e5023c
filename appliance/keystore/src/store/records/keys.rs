//! Keys and the public keys of key pairs.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{Algorithm, KeyState, Origin, Protection, Releasable, UsagePolicy};

use crate::canonical::Canonical;
use crate::store::numbers::{
    algorithm_number, key_state_number, origin_number, protection_number, releasable_number,
};
use crate::store::{DomainNumber, policies};

/// A key, over all its versions. Its material stands in the grants' copies only.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// Its identifier.
    pub id: KeyId,
    /// Its domain.
    pub domain: DomainNumber,
    /// Who owns it.
    pub owner: AccountId,
    /// Who created it.
    pub sender: AccountId,
    /// The recipients recorded when it was created, sorted.
    pub recipients: Vec<AccountId>,
    /// What it is for.
    pub algorithm: Algorithm,
    /// Its state.
    pub state: KeyState,
    /// The name for people.
    pub label: String,
    /// The media type of what it protects.
    pub content_type: Option<String>,
    /// The newest version; the first is 1.
    pub version: u32,
    /// Its usage policy.
    pub policy: UsagePolicy,
    /// How often it has been released; counted where the policy limits it.
    pub releases: u64,
    /// When it was created.
    pub created: Timestamp,
    /// What was settled when it was created, or since.
    pub traits: KeyTraits,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

/// What is settled about a key: nothing of it changes but to become stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyTraits {
    /// The length of a generic secret, in bytes.
    pub length: Option<u16>,
    /// Whether its material may go to clients.
    pub releasable: Releasable,
    /// Where its material comes from.
    pub origin: Origin,
    /// What keeps it.
    pub protection: Protection,
    /// Whether each use wants to know anew who it is for.
    pub authenticate_each: bool,
}

impl KeyRecord {
    /// What the MAC covers. A key of which nothing special was settled has 15 fields, or 16 where its policy restricts more; every other has
    /// 20, the restrictions being `null` where there are none, and one more where each use is authenticated.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let restrictions = policies::restrictions(&self.policy);
        let settled = self.traits != KeyTraits::default();
        let fields = match (settled, &restrictions) {
            (false, None) => 15,
            (false, Some(_)) => 16,
            (true, _) => 20 + u64::from(self.traits.authenticate_each),
        };
        let common = Canonical::new("key", fields)
            .bytes(self.id.as_bytes())
            .uint(self.domain.into())
            .bytes(self.owner.as_bytes())
            .bytes(self.sender.as_bytes())
            .accounts(&self.recipients)
            .uint(algorithm_number(self.algorithm).into())
            .uint(key_state_number(self.state).into())
            .text(&self.label)
            .optional_text(self.content_type.as_deref())
            .uint(self.version.into())
            .policy(&self.policy)
            .uint(self.releases)
            .time(self.created);
        if !settled {
            return common.where_present(restrictions.as_deref()).finish();
        }
        let settled = common
            .optional_bytes(restrictions.as_deref())
            .optional_uint(self.traits.length.map(u64::from))
            .uint(releasable_number(self.traits.releasable).into())
            .uint(origin_number(self.traits.origin).into())
            .uint(protection_number(self.traits.protection).into());
        if self.traits.authenticate_each {
            settled.uint(1).finish()
        } else {
            settled.finish()
        }
    }
}

/// The public key of one version of a key pair.
#[derive(Debug, Clone)]
pub struct PublicKeyRecord {
    /// The key.
    pub key: KeyId,
    /// Its version.
    pub version: u32,
    /// `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl PublicKeyRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("public-key", 3)
            .bytes(self.key.as_bytes())
            .uint(self.version.into())
            .bytes(&self.public_key)
            .finish()
    }
}
