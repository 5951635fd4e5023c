//! The records that a store keeps, and the canonical encoding of each.
//!
//! A record with a `mac` is covered by it; one with a `sealed` value is its associated data. What neither covers decides nothing.

mod filters;
mod keys;

use strongroom_audit::Leaf;
use strongroom_wire::account::{AccountKind, AccountState, Membership, Role};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, GrantId, KeyId, SessionId};
use strongroom_wire::key::{GrantState, Right, UsagePolicy};
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::session::SignInStrength;

use super::numbers::{
    account_state_number, algorithm_number, credential_number, grant_state_number, kind_number,
    membership_number, rights_bits, roles_bits, strength_number,
};
use super::{policies, settings};
use crate::canonical::Canonical;
use crate::domains::DomainSettings;

pub use filters::{AccountFilter, FoundAccounts, FoundKeys, KeyFilter, LeafFilter};
pub use keys::{KeyRecord, KeyTraits, PublicKeyRecord};

/// The number of a domain in one store.
pub type DomainNumber = u32;

/// A domain (tenant).
#[derive(Debug, Clone)]
pub struct DomainRecord {
    /// Its number.
    pub number: DomainNumber,
    /// Its name.
    pub name: String,
    /// The origin of its checkpoints.
    pub origin: String,
    /// The domain key, wrapped by the master KEK ([`strongroom_hsm::WrappedKey`]).
    pub domain_key: Vec<u8>,
    /// The OPAQUE server set-up, sealed.
    pub opaque_setup: Vec<u8>,
    /// The public key of its checkpoints: Ed25519, 32 bytes.
    pub checkpoint_key: [u8; 32],
    /// When it was initialised.
    pub created: Timestamp,
    /// Its policy.
    pub policy: DomainPolicy,
    /// What its operators have set.
    pub settings: DomainSettings,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl DomainRecord {
    /// What the MAC covers. A policy that restricts nothing, and settings that are the usual ones, are left out: so were the records of
    /// the schema that had none. Settings never stand without a policy before them, be it empty.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let settings = settings::to_bytes(&self.settings);
        let policy =
            policies::domain_policy(&self.policy).or_else(|| settings.is_some().then(Vec::new));
        let more = u64::from(policy.is_some()) + u64::from(settings.is_some());
        Canonical::new("domain", 7 + more)
            .uint(self.number.into())
            .text(&self.name)
            .text(&self.origin)
            .bytes(&self.domain_key)
            .bytes(&self.opaque_setup)
            .bytes(&self.checkpoint_key)
            .time(self.created)
            .where_present(policy.as_deref())
            .where_present(settings.as_deref())
            .finish()
    }
}

/// An account.
#[derive(Debug, Clone)]
pub struct AccountRecord {
    /// Its identifier.
    pub id: AccountId,
    /// Its domain.
    pub domain: DomainNumber,
    /// Its name, in lower case.
    pub name: String,
    /// What it stands for.
    pub kind: AccountKind,
    /// Whether it may act.
    pub state: AccountState,
    /// Its roles, sorted.
    pub roles: Vec<Role>,
    /// The version of its KEK that seals from now on.
    pub kek_version: u32,
    /// The oldest version of its KEK that still counts: `kek_version`, unless a rotation is under way.
    pub oldest_kek_version: u32,
    /// When it was created.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl AccountRecord {
    /// What the MAC covers. While the first version of the KEK still counts, that is left out: so were the records of the schema that
    /// had no rotation.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let rotated = self.oldest_kek_version != 1;
        let canonical = Canonical::new("account", if rotated { 9 } else { 8 })
            .bytes(self.id.as_bytes())
            .uint(self.domain.into())
            .text(&self.name)
            .uint(kind_number(self.kind).into())
            .uint(account_state_number(self.state).into())
            .uint(roles_bits(&self.roles).into())
            .uint(self.kek_version.into())
            .time(self.created);
        if rotated {
            canonical.uint(self.oldest_kek_version.into()).finish()
        } else {
            canonical.finish()
        }
    }

    /// Whether what is sealed under this version of the KEK counts.
    #[must_use]
    pub fn kek_counts(&self, version: u32) -> bool {
        (self.oldest_kek_version..=self.kek_version).contains(&version)
    }

    /// Whether its KEK's rotation is under way.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.oldest_kek_version < self.kek_version
    }
}

/// One version of an account's KEK.
#[derive(Debug, Clone)]
pub struct AccountKekRecord {
    /// The account.
    pub account: AccountId,
    /// The version; the first is 1.
    pub version: u32,
    /// The KEK, wrapped by the master KEK ([`strongroom_hsm::WrappedKey`]).
    pub wrapped: Vec<u8>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl AccountKekRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("account-kek", 3)
            .bytes(self.account.as_bytes())
            .uint(self.version.into())
            .bytes(&self.wrapped)
            .finish()
    }
}

/// A version of a domain's master KEK that counts no more. Its version is never used again.
#[derive(Debug, Clone)]
pub struct RetiredMasterKekRecord {
    /// The domain.
    pub domain: DomainNumber,
    /// The version.
    pub version: u32,
    /// When it was retired.
    pub retired: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl RetiredMasterKekRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("retired-master-kek", 3)
            .uint(self.domain.into())
            .uint(self.version.into())
            .time(self.retired)
            .finish()
    }
}

/// A member's sealed copy of a group's KEK.
#[derive(Debug, Clone)]
pub struct MembershipRecord {
    /// The group.
    pub group: AccountId,
    /// The member.
    pub member: AccountId,
    /// As what.
    pub membership: Membership,
    /// The version of the group's KEK that is sealed.
    pub group_kek_version: u32,
    /// The version of the member's KEK that seals it.
    pub member_kek_version: u32,
    /// The group's KEK, sealed.
    pub sealed: Vec<u8>,
}

impl MembershipRecord {
    /// The associated data of the seal.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("membership", 5)
            .bytes(self.group.as_bytes())
            .bytes(self.member.as_bytes())
            .uint(membership_number(self.membership).into())
            .uint(self.group_kek_version.into())
            .uint(self.member_kek_version.into())
            .finish()
    }
}

/// What kind of credential a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// SHA-256 of a one-time enrolment code.
    EnrolmentCode,
    /// An OPAQUE registration record (RFC 9807 section 5).
    Opaque,
    /// The secret of an authenticator app (RFC 6238), sealed, and the last step whose code was used.
    Totp,
    /// The same before its first code.
    TotpPending,
    /// SHA-256 of each recovery code that is left.
    RecoveryCodes,
}

/// A credential of an account; one of each kind at most.
#[derive(Debug, Clone)]
pub struct CredentialRecord {
    /// Whose it is.
    pub account: AccountId,
    /// What kind.
    pub kind: CredentialKind,
    /// What it is checked against.
    pub data: Vec<u8>,
    /// When it lapses, if it does.
    pub expires: Option<Timestamp>,
    /// When it was set up; none of records older than this field.
    pub created: Option<Timestamp>,
    /// When it was last used to sign in.
    pub used: Option<Timestamp>,
    /// Whether it opens a session only together with a second factor: so a password whose account has one.
    pub second_factor: bool,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl CredentialRecord {
    /// A credential that is set up `now`, without its MAC.
    #[must_use]
    pub const fn new(
        account: AccountId,
        kind: CredentialKind,
        data: Vec<u8>,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            account,
            kind,
            data,
            expires,
            created: Some(now),
            used: None,
            second_factor: false,
            mac: [0; 32],
        }
    }

    /// What the MAC covers. Records that say nothing of when they were made and used are covered as they were before they could.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let said = self.created.is_some() || self.used.is_some() || self.second_factor;
        let canonical = Canonical::new("credential", if said { 7 } else { 4 })
            .bytes(self.account.as_bytes())
            .uint(credential_number(self.kind).into())
            .bytes(&self.data)
            .optional_time(self.expires);
        if said {
            canonical
                .optional_time(self.created)
                .optional_time(self.used)
                .uint(self.second_factor.into())
                .finish()
        } else {
            canonical.finish()
        }
    }
}

/// A session.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// Its identifier.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// When its holder signed in.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// The network address from which its holder signed in.
    pub source: String,
    /// How strongly its holder signed in.
    pub strength: SignInStrength,
    /// When its holder last signed in in it.
    pub confirmed: Timestamp,
    /// The version of the account's KEK that seals the transport key.
    pub kek_version: u32,
    /// The transport key, sealed.
    pub sealed: Vec<u8>,
    /// When it was last used, to some minutes. Memory knows it better while the appliance serves.
    pub seen: Timestamp,
    /// The network address from which it was last used.
    pub seen_from: String,
    /// HMAC over these two and the identifier.
    pub seen_mac: [u8; 32],
}

impl SessionRecord {
    /// The associated data of the seal: all but when and from where it was last used, which changes too often for it.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("session", 9)
            .bytes(&self.token_hash)
            .bytes(self.id.as_bytes())
            .bytes(self.account.as_bytes())
            .time(self.created)
            .time(self.expires)
            .text(&self.source)
            .uint(self.kek_version.into())
            .uint(strength_number(self.strength).into())
            .time(self.confirmed)
            .finish()
    }

    /// What the MAC of its last use covers.
    #[must_use]
    pub fn use_canonical(&self) -> Vec<u8> {
        Canonical::new("session-use", 3)
            .bytes(self.id.as_bytes())
            .time(self.seen)
            .text(&self.seen_from)
            .finish()
    }
}

/// A grant: that one account has sealed copies of one key's versions, and what it may do with them.
#[derive(Debug, Clone)]
pub struct GrantRecord {
    /// Its identifier.
    pub id: GrantId,
    /// The key.
    pub key: KeyId,
    /// Who has it.
    pub grantee: AccountId,
    /// Who gave it; the grantee of the owner's own grant is its giver too.
    pub granted_by: AccountId,
    /// Whether it holds.
    pub state: GrantState,
    /// What the grantee may do, sorted.
    pub rights: Vec<Right>,
    /// Its usage policy.
    pub policy: UsagePolicy,
    /// How often the key has been released under it; counted where the policy limits it.
    pub releases: u64,
    /// When it was given.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl GrantRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let restrictions = policies::restrictions(&self.policy);
        Canonical::new("grant", 11 + u64::from(restrictions.is_some()))
            .bytes(self.id.as_bytes())
            .bytes(self.key.as_bytes())
            .bytes(self.grantee.as_bytes())
            .bytes(self.granted_by.as_bytes())
            .uint(grant_state_number(self.state).into())
            .uint(rights_bits(&self.rights).into())
            .policy(&self.policy)
            .uint(self.releases)
            .time(self.created)
            .where_present(restrictions.as_deref())
            .finish()
    }

    /// The associated data of this grant's sealed copy of one version of `key`: all that decides who may do what with it and
    /// does not change while the grant holds.
    #[must_use]
    pub fn copy_canonical(&self, key: &KeyRecord, version: u32, kek_version: u32) -> Vec<u8> {
        let restrictions = policies::restrictions(&self.policy);
        Canonical::new("grant-copy", 14 + u64::from(restrictions.is_some()))
            .bytes(self.id.as_bytes())
            .uint(key.domain.into())
            .bytes(self.key.as_bytes())
            .uint(version.into())
            .uint(algorithm_number(key.algorithm).into())
            .bytes(key.owner.as_bytes())
            .bytes(self.grantee.as_bytes())
            .bytes(self.granted_by.as_bytes())
            .uint(rights_bits(&self.rights).into())
            .policy(&self.policy)
            .time(self.created)
            .uint(kek_version.into())
            .where_present(restrictions.as_deref())
            .finish()
    }
}

/// A grant's sealed copy of one version of the key's material.
#[derive(Debug, Clone)]
pub struct CopyRecord {
    /// The grant.
    pub grant: GrantId,
    /// The key's version.
    pub version: u32,
    /// The version of the grantee's KEK that seals it.
    pub kek_version: u32,
    /// The material, sealed.
    pub sealed: Vec<u8>,
}

/// A leaf of the audit tree and what it is found by. The latter repeats what the leaf's detail says.
#[derive(Debug, Clone)]
pub struct LeafRecord {
    /// Its index.
    pub index: u64,
    /// The leaf.
    pub leaf: Leaf,
}

/// How often an act was done, or refused, in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafCount {
    /// Hours since 1970.
    pub hour: u64,
    /// The act's number.
    pub act: u16,
    /// Whether it was done.
    pub done: bool,
    /// How often.
    pub count: u64,
}
