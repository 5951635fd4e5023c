//! Passkeys, recoveries of accounts, invitations and mail.

use rusqlite::{Row, params};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, MailId, PasskeyId};

use super::rows::{Rows, all, array, millis, number, one, optional_array, optional_time, time};
use crate::store::{
    AccountRecoveryRecord, DomainNumber, InvitationRecord, OutboxRecord, PasskeyRecord, ReadPeople,
    StoreError, WritePeople,
};

const PASSKEY: &str = "SELECT id, account, credential, public_key, sign_count, name, created, used, mac FROM passkeys";

const RECOVERY: &str = "SELECT account, started_by, started, code, approved_by, approval, effective, expires, mac FROM account_recoveries";
const MAIL: &str =
    "SELECT id, domain, account, expires, sealed, attempts, next_attempt FROM outbox";

impl ReadPeople for Rows<'_> {
    fn passkeys_of(&self, account: AccountId) -> Result<Vec<PasskeyRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{PASSKEY} WHERE account = ?1 ORDER BY created, id"
            ))?,
            [account.as_bytes()],
            passkey,
        )
    }

    fn passkey(&self, credential: &[u8]) -> Result<Option<PasskeyRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{PASSKEY} WHERE credential = ?1"))?,
            [credential],
            passkey,
        )
    }

    fn account_recovery(
        &self,
        account: AccountId,
    ) -> Result<Option<AccountRecoveryRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{RECOVERY} WHERE account = ?1"))?,
            [account.as_bytes()],
            recovery,
        )
    }

    fn invitations_of(&self, account: AccountId) -> Result<Vec<InvitationRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT account, created, inviter, mac FROM invitations
                 WHERE account = ?1 ORDER BY created",
            )?,
            [account.as_bytes()],
            invitation,
        )
    }

    fn count_invitations(&self, inviter: AccountId, since: Timestamp) -> Result<u64, StoreError> {
        let counted = one(
            &mut self.connection().prepare_cached(
                "SELECT count(*) AS sent FROM invitations WHERE inviter = ?1 AND created > ?2",
            )?,
            params![inviter.as_bytes(), millis(since)],
            |row| number(row, "sent", "invitation"),
        )?;
        Ok(counted.unwrap_or_default())
    }

    fn due_mail(
        &self,
        domain: DomainNumber,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{MAIL} WHERE domain = ?1 AND next_attempt <= ?2 ORDER BY next_attempt LIMIT ?3"
            ))?,
            params![domain, millis(now), limit],
            mail,
        )
    }

    fn mail(&self, id: MailId) -> Result<Option<OutboxRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{MAIL} WHERE id = ?1"))?,
            [id.as_bytes()],
            mail,
        )
    }
}

impl WritePeople for Rows<'_> {
    fn put_passkey(&mut self, passkey: &PasskeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO passkeys
                 (id, account, credential, public_key, sign_count, name, created, used, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (id) DO UPDATE SET
                 sign_count = excluded.sign_count, used = excluded.used, mac = excluded.mac",
            )?
            .execute(params![
                passkey.id.as_bytes(),
                passkey.account.as_bytes(),
                passkey.credential,
                passkey.public_key,
                passkey.sign_count,
                passkey.name,
                millis(passkey.created),
                passkey.used.map(millis),
                passkey.mac,
            ])?;
        Ok(())
    }

    fn delete_passkey(&mut self, account: AccountId, passkey: PasskeyId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM passkeys WHERE account = ?1 AND id = ?2")?
            .execute(params![account.as_bytes(), passkey.as_bytes()])?;
        Ok(())
    }

    fn put_account_recovery(&mut self, recovery: &AccountRecoveryRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO account_recoveries
                 (account, started_by, started, code, approved_by, approval, effective, expires, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                recovery.account.as_bytes(),
                recovery.started_by.as_bytes(),
                millis(recovery.started),
                recovery.code,
                recovery.approved_by.as_ref().map(AccountId::as_bytes),
                recovery.approval,
                millis(recovery.effective),
                millis(recovery.expires),
                recovery.mac,
            ])?;
        Ok(())
    }

    fn delete_account_recovery(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM account_recoveries WHERE account = ?1")?
            .execute([account.as_bytes()])?;
        Ok(())
    }

    fn put_invitation(&mut self, invitation: &InvitationRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO invitations (account, created, inviter, mac)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                invitation.account.as_bytes(),
                millis(invitation.created),
                invitation.inviter.as_bytes(),
                invitation.mac,
            ])?;
        Ok(())
    }

    fn put_mail(&mut self, mail: &OutboxRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO outbox (id, domain, account, expires, sealed, attempts, next_attempt)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                mail.id.as_bytes(),
                mail.domain,
                mail.account.as_bytes(),
                millis(mail.expires),
                mail.sealed,
                mail.attempts,
                millis(mail.next_attempt),
            ])?;
        Ok(())
    }

    fn retry_mail(
        &mut self,
        id: MailId,
        attempts: u32,
        next_attempt: Timestamp,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("UPDATE outbox SET attempts = ?2, next_attempt = ?3 WHERE id = ?1")?
            .execute(params![id.as_bytes(), attempts, millis(next_attempt)])?;
        Ok(())
    }

    fn delete_mail(&mut self, id: MailId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM outbox WHERE id = ?1")?
            .execute([id.as_bytes()])?;
        Ok(())
    }
}

fn recovery(row: &Row<'_>) -> Result<AccountRecoveryRecord, StoreError> {
    const WHAT: &str = "account recovery";
    Ok(AccountRecoveryRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        started_by: AccountId::from_bytes(array(row, "started_by", WHAT)?),
        started: time(row, "started", WHAT)?,
        code: array(row, "code", WHAT)?,
        approved_by: optional_array(row, "approved_by", WHAT)?.map(AccountId::from_bytes),
        approval: optional_array(row, "approval", WHAT)?,
        effective: time(row, "effective", WHAT)?,
        expires: time(row, "expires", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn invitation(row: &Row<'_>) -> Result<InvitationRecord, StoreError> {
    const WHAT: &str = "invitation";
    Ok(InvitationRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        created: time(row, "created", WHAT)?,
        inviter: AccountId::from_bytes(array(row, "inviter", WHAT)?),
        mac: array(row, "mac", WHAT)?,
    })
}

fn mail(row: &Row<'_>) -> Result<OutboxRecord, StoreError> {
    const WHAT: &str = "mail";
    Ok(OutboxRecord {
        id: MailId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        expires: time(row, "expires", WHAT)?,
        sealed: row.get("sealed")?,
        attempts: number(row, "attempts", WHAT)?,
        next_attempt: time(row, "next_attempt", WHAT)?,
    })
}

fn passkey(row: &Row<'_>) -> Result<PasskeyRecord, StoreError> {
    const WHAT: &str = "passkey";
    Ok(PasskeyRecord {
        id: PasskeyId::from_bytes(array(row, "id", WHAT)?),
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        credential: row.get("credential")?,
        public_key: row.get("public_key")?,
        sign_count: number(row, "sign_count", WHAT)?,
        name: row.get("name")?,
        created: time(row, "created", WHAT)?,
        used: optional_time(row, "used", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
