//! Directories and what they say of accounts: their records and the part of the traits that they need.

use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, DirectoryId};
use strongroom_wire::policy::Network;

use super::numbers::{account_state_number, kind_number};
use super::{AccountRecord, DomainNumber, StoreError};
use crate::canonical::Canonical;

/// A directory.
#[derive(Debug, Clone)]
pub struct DirectoryRecord {
    /// Its identifier.
    pub id: DirectoryId,
    /// Its domain.
    pub domain: DomainNumber,
    /// Its name, in lower case.
    pub name: String,
    /// SHA-256 of its token.
    pub token_hash: [u8; 32],
    /// When its token was made.
    pub token_created: Timestamp,
    /// When its token lapses.
    pub expires: Option<Timestamp>,
    /// The networks from which its token may be used; any where it is empty.
    pub networks: Vec<Network>,
    /// When it was registered.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl DirectoryRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("directory", 8)
            .bytes(self.id.as_bytes())
            .uint(self.domain.into())
            .text(&self.name)
            .bytes(&self.token_hash)
            .time(self.token_created)
            .optional_time(self.expires)
            .text(&self.networks_text())
            .time(self.created)
            .finish()
    }

    /// The networks, as they stand in the column: parted by commas.
    #[must_use]
    pub fn networks_text(&self) -> String {
        let networks: Vec<_> = self.networks.iter().map(Network::to_string).collect();
        networks.join(",")
    }
}

/// What a directory says of an account that it manages: a person or a group.
#[derive(Debug, Clone)]
pub struct DirectoryAccountRecord {
    /// The account.
    pub account: AccountId,
    /// The directory.
    pub directory: DirectoryId,
    /// The account's kind.
    pub kind: AccountKind,
    /// `userName`, or `displayName` of a group, in lower case.
    pub name: String,
    /// `externalId`.
    pub external_id: Option<String>,
    /// The attributes that are kept, as a JSON object.
    pub document: String,
    /// The state that the account had before the directory suspended it; none where it did not.
    pub suspended: Option<AccountState>,
    /// When its holder was last sent a one-time code.
    pub invited: Option<Timestamp>,
    /// When it came under the directory's management.
    pub created: Timestamp,
    /// When the directory last changed it.
    pub updated: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl DirectoryAccountRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("directory-account", 10)
            .bytes(self.account.as_bytes())
            .bytes(self.directory.as_bytes())
            .uint(kind_number(self.kind).into())
            .text(&self.name)
            .optional_text(self.external_id.as_deref())
            .text(&self.document)
            .optional_uint(
                self.suspended
                    .map(|state| account_state_number(state).into()),
            )
            .optional_time(self.invited)
            .time(self.created)
            .time(self.updated)
            .finish()
    }
}

/// Reading directories and what they say of accounts.
pub trait ReadDirectories {
    /// The directory with this identifier.
    fn directory(&self, id: DirectoryId) -> Result<Option<DirectoryRecord>, StoreError>;
    /// The directory whose token has this SHA-256.
    fn directory_by_token(&self, hash: &[u8; 32]) -> Result<Option<DirectoryRecord>, StoreError>;
    /// Every directory, by name.
    fn directories(&self, domain: DomainNumber) -> Result<Vec<DirectoryRecord>, StoreError>;
    /// What a directory says of an account.
    fn directory_account(
        &self,
        account: AccountId,
    ) -> Result<Option<DirectoryAccountRecord>, StoreError>;
    /// A directory's accounts of this kind with this name in lower case.
    fn directory_accounts_named(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
        name: &str,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError>;
    /// A directory's accounts of this kind with this `externalId`.
    fn directory_accounts_known_as(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
        external_id: &str,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError>;
    /// A directory's accounts of this kind, the oldest first, after so many of them.
    fn directory_accounts(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
        after: u64,
        limit: u64,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError>;
    /// The accounts that a directory suspended when they were in this state.
    fn directory_accounts_suspended(
        &self,
        directory: DirectoryId,
        from: AccountState,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError>;
    /// How many accounts of this kind a directory manages.
    fn count_directory_accounts(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
    ) -> Result<u64, StoreError>;
}

/// Changing directories and what they say of accounts.
pub trait WriteDirectories {
    /// A directory, in place of the one with its identifier.
    fn put_directory(&mut self, directory: &DirectoryRecord) -> Result<(), StoreError>;
    /// A directory is deleted, with all that it says of accounts.
    fn delete_directory(&mut self, directory: DirectoryId) -> Result<(), StoreError>;
    /// What a directory says of an account, in place of what it said before.
    fn put_directory_account(&mut self, account: &DirectoryAccountRecord)
    -> Result<(), StoreError>;
    /// What a directory says of an account is deleted.
    fn delete_directory_account(&mut self, account: AccountId) -> Result<(), StoreError>;
    /// An account's name, state and roles, as they stand in the record; all by which its holder could sign in, and mail to them, is
    /// deleted.
    fn retire_account(&mut self, account: &AccountRecord) -> Result<(), StoreError>;
}
