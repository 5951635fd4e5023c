//! Identities at OpenID providers: their records and the part of the traits that they need.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

use super::{DomainNumber, StoreError};
use crate::canonical::Canonical;

/// An identity at an OpenID provider that an account is linked with.
#[derive(Debug, Clone)]
pub struct IdentityLinkRecord {
    /// The domain.
    pub domain: DomainNumber,
    /// The provider's issuer identifier.
    pub issuer: String,
    /// The provider's name for whom it signs in; with the issuer, there is one in a domain.
    pub subject: String,
    /// The account.
    pub account: AccountId,
    /// Since when.
    pub created: Timestamp,
    /// When a session was last opened with it.
    pub used: Option<Timestamp>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl IdentityLinkRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("identity-link", 6)
            .uint(self.domain.into())
            .text(&self.issuer)
            .text(&self.subject)
            .bytes(self.account.as_bytes())
            .time(self.created)
            .optional_time(self.used)
            .finish()
    }
}

/// That a membership is there because a provider says so.
#[derive(Debug, Clone)]
pub struct IdentityMembershipRecord {
    /// The group.
    pub group: AccountId,
    /// The member.
    pub member: AccountId,
    /// The provider's issuer identifier.
    pub issuer: String,
    /// Since when.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl IdentityMembershipRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("identity-membership", 4)
            .bytes(self.group.as_bytes())
            .bytes(self.member.as_bytes())
            .text(&self.issuer)
            .time(self.created)
            .finish()
    }
}

/// Reading identities.
pub trait ReadIdentities {
    /// The link of an identity.
    fn identity_link(
        &self,
        domain: DomainNumber,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<IdentityLinkRecord>, StoreError>;
    /// An account's links, the oldest first.
    fn identity_links_of(&self, account: AccountId) -> Result<Vec<IdentityLinkRecord>, StoreError>;
    /// An account's memberships that are there because providers say so.
    fn identity_memberships_of(
        &self,
        member: AccountId,
    ) -> Result<Vec<IdentityMembershipRecord>, StoreError>;
}

/// Changing identities.
pub trait WriteIdentities {
    /// A link, in place of the one of its identity.
    fn put_identity_link(&mut self, link: &IdentityLinkRecord) -> Result<(), StoreError>;
    /// An account's link with an identity of this issuer is deleted.
    fn delete_identity_link(&mut self, account: AccountId, issuer: &str) -> Result<(), StoreError>;
    /// A new membership is there because a provider says so. It is forgotten when the membership ends.
    fn put_identity_membership(
        &mut self,
        membership: &IdentityMembershipRecord,
    ) -> Result<(), StoreError>;
}
