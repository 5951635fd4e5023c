//! Passkeys: their records and the part of the traits that they need.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, PasskeyId};

use super::StoreError;
use crate::canonical::Canonical;

/// A passkey of an account.
#[derive(Debug, Clone)]
pub struct PasskeyRecord {
    /// Its identifier.
    pub id: PasskeyId,
    /// Whose it is.
    pub account: AccountId,
    /// The authenticator's identifier of it: 1 to 1023 bytes.
    pub credential: Vec<u8>,
    /// Its public key: a `COSE_Key` (RFC 9052 section 7).
    pub public_key: Vec<u8>,
    /// The authenticator's count of signatures when it was last used; 0 of those that do not count.
    pub sign_count: u32,
    /// What its holder calls it.
    pub name: String,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl PasskeyRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("passkey", 8)
            .bytes(self.id.as_bytes())
            .bytes(self.account.as_bytes())
            .bytes(&self.credential)
            .bytes(&self.public_key)
            .uint(self.sign_count.into())
            .text(&self.name)
            .time(self.created)
            .optional_time(self.used)
            .finish()
    }
}

/// Reading passkeys.
pub trait ReadPeople {
    /// An account's passkeys, the oldest first.
    fn passkeys_of(&self, account: AccountId) -> Result<Vec<PasskeyRecord>, StoreError>;
    /// The passkey that an authenticator knows by this identifier.
    fn passkey(&self, credential: &[u8]) -> Result<Option<PasskeyRecord>, StoreError>;
}

/// Changing passkeys.
pub trait WritePeople {
    /// A passkey, in place of the one with its identifier.
    fn put_passkey(&mut self, passkey: &PasskeyRecord) -> Result<(), StoreError>;
    /// A passkey of an account is deleted.
    fn delete_passkey(&mut self, account: AccountId, passkey: PasskeyId) -> Result<(), StoreError>;
}
