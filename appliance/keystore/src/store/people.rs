//! Passkeys, recoveries of accounts, invitations and mail: their records and the part of the traits that they need.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, MailId, PasskeyId};

use super::{DomainNumber, StoreError};
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

/// A recovery of an account that is under way.
#[derive(Debug, Clone)]
pub struct AccountRecoveryRecord {
    /// Whose account it is.
    pub account: AccountId,
    /// The administrator who started it.
    pub started_by: AccountId,
    /// When.
    pub started: Timestamp,
    /// SHA-256 of the code that they were given.
    pub code: [u8; 32],
    /// Who approved it.
    pub approved_by: Option<AccountId>,
    /// SHA-256 of the code that they were given.
    pub approval: Option<[u8; 32]>,
    /// From when on it can be finished.
    pub effective: Timestamp,
    /// When it lapses.
    pub expires: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl AccountRecoveryRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("account-recovery", 8)
            .bytes(self.account.as_bytes())
            .bytes(self.started_by.as_bytes())
            .time(self.started)
            .bytes(&self.code)
            .optional_bytes(self.approved_by.as_ref().map(|by| by.as_bytes().as_slice()))
            .optional_bytes(self.approval.as_ref().map(<[u8; 32]>::as_slice))
            .time(self.effective)
            .time(self.expires)
            .finish()
    }
}

/// An invitation that was mailed.
#[derive(Debug, Clone)]
pub struct InvitationRecord {
    /// Who was invited.
    pub account: AccountId,
    /// By whom.
    pub inviter: AccountId,
    /// When.
    pub created: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

impl InvitationRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("invitation", 3)
            .bytes(self.account.as_bytes())
            .bytes(self.inviter.as_bytes())
            .time(self.created)
            .finish()
    }
}

/// Mail that waits to be sent.
#[derive(Debug, Clone)]
pub struct OutboxRecord {
    /// Its identifier.
    pub id: MailId,
    /// The domain.
    pub domain: DomainNumber,
    /// For whom it is.
    pub account: AccountId,
    /// When it is given up.
    pub expires: Timestamp,
    /// Address and content, sealed.
    pub sealed: Vec<u8>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt: Timestamp,
}

impl OutboxRecord {
    /// The associated data of the seal.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("mail", 4)
            .bytes(self.id.as_bytes())
            .uint(self.domain.into())
            .bytes(self.account.as_bytes())
            .time(self.expires)
            .finish()
    }
}

/// Reading passkeys, recoveries, invitations and mail.
pub trait ReadPeople {
    /// An account's passkeys, the oldest first.
    fn passkeys_of(&self, account: AccountId) -> Result<Vec<PasskeyRecord>, StoreError>;
    /// The passkey that an authenticator knows by this identifier.
    fn passkey(&self, credential: &[u8]) -> Result<Option<PasskeyRecord>, StoreError>;
    /// The recovery of an account.
    fn account_recovery(
        &self,
        account: AccountId,
    ) -> Result<Option<AccountRecoveryRecord>, StoreError>;
    /// The invitations of an account, the oldest first.
    fn invitations_of(&self, account: AccountId) -> Result<Vec<InvitationRecord>, StoreError>;
    /// How many invitations an account has sent since then.
    fn count_invitations(&self, inviter: AccountId, since: Timestamp) -> Result<u64, StoreError>;
    /// Mail whose next attempt is due, the longest due first.
    fn due_mail(
        &self,
        domain: DomainNumber,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRecord>, StoreError>;
    /// One piece of mail.
    fn mail(&self, id: MailId) -> Result<Option<OutboxRecord>, StoreError>;
}

/// Changing passkeys, recoveries, invitations and mail.
pub trait WritePeople {
    /// A passkey, in place of the one with its identifier.
    fn put_passkey(&mut self, passkey: &PasskeyRecord) -> Result<(), StoreError>;
    /// A passkey of an account is deleted.
    fn delete_passkey(&mut self, account: AccountId, passkey: PasskeyId) -> Result<(), StoreError>;
    /// A recovery, in place of the one that the account has.
    fn put_account_recovery(&mut self, recovery: &AccountRecoveryRecord) -> Result<(), StoreError>;
    /// The recovery of an account is deleted.
    fn delete_account_recovery(&mut self, account: AccountId) -> Result<(), StoreError>;
    /// A new invitation.
    fn put_invitation(&mut self, invitation: &InvitationRecord) -> Result<(), StoreError>;
    /// New mail.
    fn put_mail(&mut self, mail: &OutboxRecord) -> Result<(), StoreError>;
    /// Mail is tried again at that moment.
    fn retry_mail(
        &mut self,
        id: MailId,
        attempts: u32,
        next_attempt: Timestamp,
    ) -> Result<(), StoreError>;
    /// Mail is deleted.
    fn delete_mail(&mut self, id: MailId) -> Result<(), StoreError>;
}
