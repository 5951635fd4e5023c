//! What is searched for, and what was found.

use strongroom_wire::account::{AccountKind, AccountState, Role};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::KeyState;

use super::{AccountRecord, KeyRecord};

/// Which keys to find.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// The label contains this, whatever the case of ASCII letters.
    pub label: Option<String>,
    /// Created by this account.
    pub sender: Option<AccountId>,
    /// Recorded with this recipient.
    pub recipient: Option<AccountId>,
    /// In this state.
    pub state: Option<KeyState>,
    /// Created at or after this moment.
    pub from: Option<Timestamp>,
    /// Created before this moment.
    pub until: Option<Timestamp>,
    /// Only keys older than this one.
    pub after: Option<KeyId>,
    /// At most so many.
    pub limit: u32,
}

/// Keys that were found.
#[derive(Debug, Clone, Default)]
pub struct FoundKeys {
    /// The keys, the newest first.
    pub keys: Vec<KeyRecord>,
    /// Where the search stopped, as it had looked at enough: it goes on after this key.
    pub looked_until: Option<KeyId>,
}

/// Which accounts to find. Members that are given must all match.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// The name contains this.
    pub contains: Option<String>,
    /// The kind is this.
    pub kind: Option<AccountKind>,
    /// The state is this.
    pub state: Option<AccountState>,
    /// This role is among the account's.
    pub role: Option<Role>,
    /// Beginning after this name.
    pub after: String,
    /// At most so many.
    pub limit: u32,
}

/// Accounts that were found.
#[derive(Debug, Clone, Default)]
pub struct FoundAccounts {
    /// The accounts, by name.
    pub accounts: Vec<AccountRecord>,
    /// Where the search stopped, as it had looked at enough: it goes on after this name.
    pub looked_until: Option<String>,
}

/// Which leaves to find.
#[derive(Debug, Clone, Default)]
pub struct LeafFilter {
    /// Only those whose actor, subject or owner is this account; all where it is absent.
    pub concerning: Option<AccountId>,
    /// Only those about this key.
    pub key: Option<KeyId>,
    /// Only those below this index.
    pub before: Option<u64>,
    /// Only those above this index.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: u32,
}
