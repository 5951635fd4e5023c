//! The part of the traits that rotation needs.

use strongroom_wire::id::{AccountId, GrantId, KeyId};

use super::{
    AccountKekRecord, AccountRecord, CopyRecord, DomainNumber, DomainRecord, GrantRecord,
    MembershipRecord, RetiredMasterKekRecord, SessionRecord, StoreError,
};

/// Where a copy stands among those of one grantee: its key, its grant and its version.
pub type CopyPlace = (KeyId, GrantId, u32);

/// How many values are sealed under an account's KEK.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedUnder {
    /// Under the versions that still count and are not the newest.
    pub older: u64,
    /// Under the newest.
    pub newest: u64,
}

/// Reading what rotation has left. Of an account's KEKs only the versions that count are looked for.
pub trait ReadRotation {
    /// Account KEKs wrapped by versions of the master KEK before this one, by account and version, beginning after `after`.
    fn account_keks_wrapped_before(
        &self,
        domain: DomainNumber,
        master_kek: u32,
        after: Option<(AccountId, u32)>,
        limit: u32,
    ) -> Result<Vec<AccountKekRecord>, StoreError>;
    /// How many account KEKs each version of the master KEK wraps, by version.
    fn account_keks_by_master_kek(
        &self,
        domain: DomainNumber,
    ) -> Result<Vec<(u32, u64)>, StoreError>;
    /// Whether any account KEK is wrapped by a version of the master KEK before this one.
    fn is_account_kek_wrapped_before(
        &self,
        domain: DomainNumber,
        master_kek: u32,
    ) -> Result<bool, StoreError>;
    /// How many account KEKs are.
    fn count_account_keks_wrapped_before(
        &self,
        domain: DomainNumber,
        master_kek: u32,
    ) -> Result<u64, StoreError>;
    /// The retirement of this version of the master KEK.
    fn retired_master_kek(
        &self,
        domain: DomainNumber,
        version: u32,
    ) -> Result<Option<RetiredMasterKekRecord>, StoreError>;
    /// Accounts whose KEK's rotation is under way, by identifier.
    fn rotating_accounts(
        &self,
        domain: DomainNumber,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError>;
    /// How many accounts' KEKs are being rotated.
    fn count_rotating_accounts(&self, domain: DomainNumber) -> Result<u64, StoreError>;
    /// How many values are sealed under the account's KEK.
    fn sealed_under(&self, account: &AccountRecord) -> Result<SealedUnder, StoreError>;
    /// Copies sealed under older versions of the account's KEK, with their grants, in the order of their places.
    fn older_copies(
        &self,
        account: &AccountRecord,
        after: Option<CopyPlace>,
        limit: u32,
    ) -> Result<Vec<(GrantRecord, CopyRecord)>, StoreError>;
    /// Memberships sealed under, or of, older versions of the account's KEK, by group and member.
    fn older_memberships(
        &self,
        account: &AccountRecord,
        after: Option<(AccountId, AccountId)>,
        limit: u32,
    ) -> Result<Vec<MembershipRecord>, StoreError>;
    /// Sessions sealed under older versions of the account's KEK, by the hash of their token.
    fn older_sessions(
        &self,
        account: &AccountRecord,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError>;
}

/// Moving what is wrapped or sealed from old KEKs to new ones. Where a value is replaced, `before` is what stands there: when it is not,
/// nothing is changed and the answer is `false`.
pub trait WriteRotation {
    /// The domain key, wrapped again.
    fn rewrap_domain_key(
        &mut self,
        before: &[u8],
        domain: &DomainRecord,
    ) -> Result<bool, StoreError>;
    /// An account KEK, wrapped again.
    fn rewrap_account_kek(
        &mut self,
        before: &[u8],
        kek: &AccountKekRecord,
    ) -> Result<bool, StoreError>;
    /// A version of an account's KEK is deleted.
    fn forget_account_kek(&mut self, account: AccountId, version: u32) -> Result<(), StoreError>;
    /// A version of the master KEK is retired.
    fn retire_master_kek(&mut self, retired: &RetiredMasterKekRecord) -> Result<(), StoreError>;
    /// A new version of an account's KEK, and the account's record, which names it.
    fn begin_kek_rotation(
        &mut self,
        account: &AccountRecord,
        kek: &AccountKekRecord,
    ) -> Result<(), StoreError>;
    /// Versions of the account's KEK before the oldest that counts are deleted.
    fn end_kek_rotation(&mut self, account: &AccountRecord) -> Result<(), StoreError>;
    /// A copy, sealed again.
    fn reseal_copy(&mut self, before: &[u8], copy: &CopyRecord) -> Result<bool, StoreError>;
    /// A membership, sealed again.
    fn reseal_membership(
        &mut self,
        before: &[u8],
        membership: &MembershipRecord,
    ) -> Result<bool, StoreError>;
    /// A session, sealed again.
    fn reseal_session(
        &mut self,
        before: &[u8],
        session: &SessionRecord,
    ) -> Result<bool, StoreError>;
}
