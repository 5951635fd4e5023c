//! Storage behind one trait.
//!
//! A [`Store`] gives [`Snapshot`]s to readers, who never wait for writers, and runs acts in [`Transaction`]s, of which many may share
//! one durable commit. The traits' methods speak of the domain's acts, so that another engine can stand in for the embedded
//! one ([`sqlite`]). What a store holds is checked by whoever reads it, not by the store: it is trusted with durability only.
//!
//! | module | what lives there |
//! |---|---|
//! | [`records`] | the records and their canonical encodings |
//! | `devices` | devices and account secrets: their records, and the part of the traits that they need |
//! | `disclosures` | disclosures, keys on hold, notifications: their records and part of the traits |
//! | `directories` | directories and what they say of accounts: their records and part of the traits |
//! | `idempotency` | requests that are remembered: their record and part of the traits |
//! | `objects` | objects of accounts: their record and part of the traits |
//! | `people` | passkeys, recoveries, invitations, mail: their records and part of the traits |
//! | `settings` | what operators have set for a domain, in its column and in the canonical encoding |
//! | `identities` | identities at OpenID providers: their records and part of the traits |
//! | `lawful` | documents, approval keys, authorisations, approvals: their records and part of the traits |
//! | `policies` | usage policies in columns and in the canonical encoding |
//! | `rotation`, `recovery` | the parts of the traits, and the records, that rotation and recovery need |
//! | `witnessing` | cosignatures, what the scrub reads, and feeds: records and part of the traits |
//! | [`sqlite`] | the embedded engine |

mod devices;
mod directories;
mod disclosures;
mod idempotency;
mod identities;
mod lawful;
mod numbers;
mod objects;
mod people;
mod policies;
mod records;
mod recovery;
mod rotation;
mod settings;
pub mod sqlite;
mod witnessing;

use std::ops::Range;

use strongroom_audit::Event;
use strongroom_audit::tree::NodeReader;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, GrantId, KeyId, SessionId};

use crate::domains::Counted;

pub use devices::{
    AccountSecretRecord, CertificateNameRecord, DeviceFilter, DeviceRecord, ReadDevices,
    SpentNonce, WriteDevices,
};
pub use directories::{DirectoryAccountRecord, DirectoryRecord, ReadDirectories, WriteDirectories};
pub use disclosures::{
    DisclosureItemRecord, DisclosureRecord, HeldKeyRecord, NotificationRecord, ReadDisclosures,
    ReleasedRecord, ScopeFilter, WriteDisclosures,
};
pub use idempotency::{CreatedThen, ReadRequests, RequestRecord, WriteRequests};
pub use identities::{
    IdentityLinkRecord, IdentityMembershipRecord, ReadIdentities, WriteIdentities,
};
pub use lawful::{
    ApprovalKeyRecord, ApprovalRow, AuthorisationFilter, AuthorisationRow, DocumentKind,
    DocumentRecord, GenerationRow, ProposalFilter, ProposalRow, ReadLawful, Waiting, WaitingFilter,
    WriteLawful,
};
pub(crate) use numbers::*;
pub use objects::{ObjectFilter, ObjectRecord, PlainKeyFilter, ReadObjects, WriteObjects};
pub use people::{
    AccountRecoveryRecord, InvitationRecord, OutboxRecord, PasskeyRecord, ReadPeople, WritePeople,
};
pub use records::*;
pub use recovery::{
    CheckpointKeyRecord, ReadRecovery, RecoveryBlobRecord, RecoveryKekRecord, WriteRecovery,
};
pub use rotation::{CopyPlace, ReadRotation, SealedUnder, WriteRotation};
pub use witnessing::{FollowedRow, FollowedTable, ReadWitnessing, RowKey, WriteWitnessing};

/// Where a keystore's records are kept.
pub trait Store: Send + Sync {
    /// A consistent view for reading. Never waits for a writer.
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// A quicker view, for what an act looks at again before it counts: each row is as of the newest act that was answered, or of a later one, but two
    /// rows may be as of different acts. Never waits for a writer.
    fn glimpse(&self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// Runs `act` in a transaction and returns once what it did is durable. When it answers [`Abort`], nothing that it did remains.
    /// Acts run one after another, each seeing all before it.
    fn write(&self, act: Box<dyn Act>) -> Result<(), StoreError>;

    /// How many acts wait to be run.
    fn queued(&self) -> u64;

    /// Whether the newest commit failed because the disk is full. Where it is said to be, this tries whether it still is.
    fn is_full(&self) -> bool;
}

/// An act to be run in a transaction.
pub trait Act: FnOnce(&mut dyn Transaction) -> Result<(), Abort> + Send + 'static {}

impl<F: FnOnce(&mut dyn Transaction) -> Result<(), Abort> + Send + 'static> Act for F {}

/// The act asks for its transaction to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort;

/// What can be read.
pub trait Snapshot:
    ReadAccounts
    + ReadCredentials
    + ReadDevices
    + ReadDirectories
    + ReadDisclosures
    + ReadPeople
    + ReadIdentities
    + ReadLawful
    + ReadKeys
    + ReadObjects
    + ReadRequests
    + ReadGrants
    + ReadRotation
    + ReadRecovery
    + ReadAudit
    + ReadWitnessing
{
}

/// What can be changed. Everything that one act changes is one call where that is possible.
pub trait Transaction:
    Snapshot
    + WriteAccounts
    + WriteCredentials
    + WriteDevices
    + WriteDirectories
    + WriteDisclosures
    + WritePeople
    + WriteIdentities
    + WriteLawful
    + WriteKeys
    + WriteObjects
    + WriteRequests
    + WriteGrants
    + WriteRotation
    + WriteRecovery
    + WriteAudit
    + WriteWitnessing
{
    /// What has been done in this act so far is undone; the act goes on.
    fn start_over(&mut self) -> Result<(), StoreError>;

    /// As [`Snapshot`], for functions that only read.
    fn as_snapshot(&self) -> &dyn Snapshot;
}

/// Reading domains, accounts and groups.
pub trait ReadAccounts {
    /// The domain of this name.
    fn domain(&self, name: &str) -> Result<Option<DomainRecord>, StoreError>;
    /// The account with this identifier.
    fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError>;
    /// The account with this name.
    fn account_by_name(
        &self,
        domain: DomainNumber,
        name: &str,
    ) -> Result<Option<AccountRecord>, StoreError>;
    /// Accounts by name, beginning after `after`.
    fn accounts(
        &self,
        domain: DomainNumber,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError>;
    /// Accounts that match, by name: so many are looked at that it takes no long.
    fn find_accounts(
        &self,
        domain: DomainNumber,
        filter: &AccountFilter,
    ) -> Result<FoundAccounts, StoreError>;
    /// Every account with at least one role.
    fn accounts_with_roles(&self, domain: DomainNumber) -> Result<Vec<AccountRecord>, StoreError>;
    /// One version of an account's KEK.
    fn account_kek(
        &self,
        account: AccountId,
        version: u32,
    ) -> Result<Option<AccountKekRecord>, StoreError>;
    /// The groups that an account is a member of.
    fn memberships_of(&self, member: AccountId) -> Result<Vec<MembershipRecord>, StoreError>;
    /// The members of a group.
    fn members_of(&self, group: AccountId) -> Result<Vec<MembershipRecord>, StoreError>;
    /// How much there is in the domain of what a quota counts.
    fn count(&self, domain: DomainNumber, of: Counted) -> Result<u64, StoreError>;
}

/// Changing domains, accounts and groups.
pub trait WriteAccounts {
    /// A new domain.
    fn create_domain(&mut self, domain: &DomainRecord) -> Result<(), StoreError>;
    /// A domain's policy, as it stands in the record. Answers whether there is such a domain.
    fn set_domain_policy(&mut self, domain: &DomainRecord) -> Result<bool, StoreError>;
    /// What a domain's operators have set, as it stands in the record. Answers whether there is such a domain.
    fn set_domain_settings(&mut self, domain: &DomainRecord) -> Result<bool, StoreError>;
    /// A new account with the first version of its KEK.
    fn create_account(
        &mut self,
        account: &AccountRecord,
        kek: &AccountKekRecord,
    ) -> Result<(), StoreError>;
    /// An account's state and roles, as they stand in the record.
    fn update_account(&mut self, account: &AccountRecord) -> Result<(), StoreError>;
    /// A new member of a group.
    fn add_member(&mut self, membership: &MembershipRecord) -> Result<(), StoreError>;
    /// The member's copy of the group's KEK is deleted.
    fn remove_member(&mut self, group: AccountId, member: AccountId) -> Result<(), StoreError>;
}

/// Reading credentials and sessions.
pub trait ReadCredentials {
    /// An account's credential of this kind.
    fn credential(
        &self,
        account: AccountId,
        kind: CredentialKind,
    ) -> Result<Option<CredentialRecord>, StoreError>;
    /// The session whose token has this SHA-256.
    fn session(&self, token_hash: &[u8; 32]) -> Result<Option<SessionRecord>, StoreError>;
    /// The session with this identifier.
    fn session_with(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError>;
    /// An account's sessions, the newest first.
    fn sessions_of(&self, account: AccountId) -> Result<Vec<SessionRecord>, StoreError>;
}

/// Changing credentials and sessions.
pub trait WriteCredentials {
    /// A credential, in place of one of its kind.
    fn put_credential(&mut self, credential: &CredentialRecord) -> Result<(), StoreError>;
    /// An account's credential of this kind is deleted.
    fn delete_credential(
        &mut self,
        account: AccountId,
        kind: CredentialKind,
    ) -> Result<(), StoreError>;
    /// A new session.
    fn open_session(&mut self, session: &SessionRecord) -> Result<(), StoreError>;
    /// One session of an account is deleted.
    fn end_session(&mut self, account: AccountId, session: SessionId) -> Result<(), StoreError>;
    /// Every session of an account is deleted.
    fn end_sessions(&mut self, account: AccountId) -> Result<(), StoreError>;
    /// Every session of the domain's accounts is deleted; says how many.
    fn end_all_sessions(&mut self, domain: DomainNumber) -> Result<u64, StoreError>;
    /// A session whose holder signed in again in it, sealed again.
    fn confirm_session(&mut self, session: &SessionRecord) -> Result<(), StoreError>;
    /// When and from where a session was last used, as it stands in the record.
    fn note_use(&mut self, session: &SessionRecord) -> Result<(), StoreError>;
    /// Sessions and enrolment codes that ended before `now` are deleted, and sessions last used at or before `idle_since`; says how many.
    fn forget_expired(&mut self, now: Timestamp, idle_since: Timestamp) -> Result<u64, StoreError>;
}

/// Reading keys.
pub trait ReadKeys {
    /// The key with this identifier.
    fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError>;
    /// The public key of one version of a key pair.
    fn public_key(&self, key: KeyId, version: u32) -> Result<Option<PublicKeyRecord>, StoreError>;
    /// Keys to which one of `holders` has a grant, the newest first.
    fn find_keys(&self, holders: &[AccountId], filter: &KeyFilter)
    -> Result<FoundKeys, StoreError>;
    /// The keys of the protection level `hsm` that are not destroyed.
    fn keys_in_hsm(&self, domain: DomainNumber) -> Result<Vec<KeyId>, StoreError>;
}

/// Changing keys.
pub trait WriteKeys {
    /// A new key.
    fn create_key(&mut self, key: &KeyRecord) -> Result<(), StoreError>;
    /// The public key of a version of a key pair.
    fn add_public_key(&mut self, key: &PublicKeyRecord) -> Result<(), StoreError>;
    /// A key's state, version, usage policy and count of releases, as they stand in the record.
    fn update_key(&mut self, key: &KeyRecord) -> Result<(), StoreError>;
    /// Every copy of the key is overwritten and deleted, and the record says `destroyed`.
    fn destroy_key(&mut self, key: &KeyRecord) -> Result<(), StoreError>;
}

/// Reading grants.
pub trait ReadGrants {
    /// The grants of `key` to any of `holders`, the active ones first.
    fn grants_to(&self, key: KeyId, holders: &[AccountId]) -> Result<Vec<GrantRecord>, StoreError>;
    /// All grants of `key`, the oldest first.
    fn grants_of(&self, key: KeyId) -> Result<Vec<GrantRecord>, StoreError>;
    /// A grant's copy of one version.
    fn copy(&self, grant: GrantId, version: u32) -> Result<Option<CopyRecord>, StoreError>;
}

/// Changing grants.
pub trait WriteGrants {
    /// A new grant with its copies.
    fn create_grant(
        &mut self,
        grant: &GrantRecord,
        copies: &[CopyRecord],
    ) -> Result<(), StoreError>;
    /// A further version's copy under a grant.
    fn add_copy(&mut self, copy: &CopyRecord) -> Result<(), StoreError>;
    /// A grant's count of releases, as it stands in the record.
    fn count_release(&mut self, grant: &GrantRecord) -> Result<(), StoreError>;
    /// A grant's usage policy, as it stands in the record, and its copies, sealed again.
    fn change_grant_policy(
        &mut self,
        grant: &GrantRecord,
        copies: &[CopyRecord],
    ) -> Result<(), StoreError>;
    /// The grant's copies are overwritten and deleted, and the record says `revoked`.
    fn revoke_grant(&mut self, grant: &GrantRecord) -> Result<(), StoreError>;
}

/// Reading the audit tree.
pub trait ReadAudit {
    /// How many leaves the domain's tree has.
    fn tree_size(&self, domain: DomainNumber) -> Result<u64, StoreError>;
    /// One leaf.
    fn leaf(&self, domain: DomainNumber, index: u64) -> Result<Option<LeafRecord>, StoreError>;
    /// Leaves, the newest first.
    fn find_leaves(
        &self,
        domain: DomainNumber,
        filter: &LeafFilter,
    ) -> Result<Vec<LeafRecord>, StoreError>;
    /// Leaves in order, from `first`, at most `limit`.
    fn leaves_from(
        &self,
        domain: DomainNumber,
        first: u64,
        limit: u32,
    ) -> Result<Vec<LeafRecord>, StoreError>;
    /// Leaves of this range whose actor, subject or owner is this account, in order, at most `limit`.
    fn leaves_concerning(
        &self,
        domain: DomainNumber,
        account: AccountId,
        leaves: Range<u64>,
        limit: u32,
    ) -> Result<Vec<LeafRecord>, StoreError>;
    /// The envelopes of the leaves of this range, in order, with their indexes.
    fn envelopes(
        &self,
        domain: DomainNumber,
        leaves: Range<u64>,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
    /// The stored nodes with these storage indexes, in order, with their indexes.
    fn nodes_in(
        &self,
        domain: DomainNumber,
        indexes: Range<u64>,
    ) -> Result<Vec<(u64, [u8; 32])>, StoreError>;
    /// The stored nodes of the domain's tree.
    fn nodes(&self, domain: DomainNumber) -> Box<dyn NodeReader + '_>;
    /// The newest checkpoint: its size and its note.
    fn newest_checkpoint(&self, domain: DomainNumber) -> Result<Option<(u64, String)>, StoreError>;
    /// The note of the checkpoint of this size.
    fn checkpoint(&self, domain: DomainNumber, size: u64) -> Result<Option<String>, StoreError>;
    /// The newest checkpoints, the newest first.
    fn recent_checkpoints(
        &self,
        domain: DomainNumber,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, StoreError>;
    /// How often each act was done and refused, in each hour from this one on (hours since 1970).
    fn leaf_counts(&self, domain: DomainNumber, from: u64) -> Result<Vec<LeafCount>, StoreError>;
    /// Every checkpoint, by size.
    fn checkpoints(&self, domain: DomainNumber) -> Result<Vec<(u64, String)>, StoreError>;
}

/// Growing the audit tree.
pub trait WriteAudit {
    /// Appends the leaf of an event, under 32 bytes that are random and used for no other leaf, and answers its index. The rows that the act
    /// has changed since its leaf before, and after its last one, are what the leaf commits to. The tree's nodes are stored when the transaction
    /// commits.
    fn append_leaf(
        &mut self,
        domain: DomainNumber,
        event: Event,
        salt: [u8; 32],
    ) -> Result<u64, StoreError>;
    /// One more leaf of this kind in this hour (hours since 1970), for charts.
    fn count_leaf(
        &mut self,
        domain: DomainNumber,
        hour: u64,
        act: u16,
        done: bool,
    ) -> Result<(), StoreError>;
    /// A signed checkpoint.
    fn record_checkpoint(
        &mut self,
        domain: DomainNumber,
        size: u64,
        note: &str,
    ) -> Result<(), StoreError>;
}

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The engine failed: file gone, damaged database.
    #[error("The database failed: {0}.")]
    Engine(#[source] rusqlite::Error),
    /// There is no room for what was to be written. Nothing was.
    #[error("The disk is full.")]
    Full,
    /// The database file cannot be used.
    #[error("{0}")]
    File(String),
    /// The database was written by a newer version.
    #[error(
        "The database has schema {found}, and this version of strongroomd knows schemas up to {known}: start the newer version."
    )]
    NewerSchema {
        /// What stands in the file.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// A row holds a value that no version of Strongroom writes.
    #[error("The stored {0} holds a value that was never written by the appliance.")]
    MalformedRow(&'static str),
    /// The commit that several acts shared failed; none of them was done.
    #[error("The database did not take the change: {0}.")]
    NotCommitted(String),
    /// The act itself failed in a way that it should not.
    #[error("The act failed inside the appliance.")]
    ActFailed,
    /// More is under way than the appliance can hold.
    #[error("The appliance is too busy.")]
    Busy,
    /// The store is stopping.
    #[error("The appliance is stopping.")]
    Stopped,
}

/// SQLite's code where the file beside the write-ahead log cannot grow.
const SHARED_MEMORY_CANNOT_GROW: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error();
        let full = code.is_some_and(|code| {
            code.code == rusqlite::ErrorCode::DiskFull
                || code.extended_code == SHARED_MEMORY_CANNOT_GROW
        });
        if full {
            Self::Full
        } else {
            Self::Engine(error)
        }
    }
}
