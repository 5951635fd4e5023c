//! Credentials and sessions.

use rusqlite::{Row, params};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, SessionId};

use super::memo::Query;
use super::rows::{Rows, all, array, flag, millis, number, numbered, one, optional_time, time};
use crate::store::{
    CredentialKind, CredentialRecord, DomainNumber, ReadCredentials, SessionRecord, StoreError,
    WriteCredentials, credential_from, credential_number, strength_from, strength_number,
};

pub(super) const SESSION: &str = "SELECT token_hash, id, account, created, expires, source, strength, confirmed, kek_version, sealed, \
     seen, seen_from, seen_mac FROM sessions";

impl ReadCredentials for Rows<'_> {
    fn credential(
        &self,
        account: AccountId,
        kind: CredentialKind,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        const WHAT: &str = "credential";
        one(
            &mut self.connection().prepare_cached(
                "SELECT account, kind, data, expires, created, used, second_factor, mac FROM credentials
                 WHERE account = ?1 AND kind = ?2",
            )?,
            params![account.as_bytes(), credential_number(kind)],
            |row| {
                Ok(CredentialRecord {
                    account: AccountId::from_bytes(array(row, "account", WHAT)?),
                    kind: numbered(row, "kind", credential_from, WHAT)?,
                    data: row.get("data")?,
                    expires: optional_time(row, "expires", WHAT)?,
                    created: optional_time(row, "created", WHAT)?,
                    used: optional_time(row, "used", WHAT)?,
                    second_factor: flag(row, "second_factor", WHAT)?,
                    mac: array(row, "mac", WHAT)?,
                })
            },
        )
    }

    fn session(&self, token_hash: &[u8; 32]) -> Result<Option<SessionRecord>, StoreError> {
        self.remembered(Query::Session, token_hash, || {
            one(
                &mut self
                    .connection()
                    .prepare_cached(&format!("{SESSION} WHERE token_hash = ?1"))?,
                [token_hash],
                session,
            )
        })
    }

    fn session_with(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{SESSION} WHERE id = ?1"))?,
            [id.as_bytes()],
            session,
        )
    }

    fn sessions_of(&self, account: AccountId) -> Result<Vec<SessionRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{SESSION} WHERE account = ?1 ORDER BY created DESC, id DESC"
            ))?,
            [account.as_bytes()],
            session,
        )
    }
}

impl WriteCredentials for Rows<'_> {
    fn put_credential(&mut self, credential: &CredentialRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO credentials
                 (account, kind, data, expires, created, used, second_factor, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                credential.account.as_bytes(),
                credential_number(credential.kind),
                credential.data,
                credential.expires.map(millis),
                credential.created.map(millis),
                credential.used.map(millis),
                credential.second_factor,
                credential.mac,
            ])?;
        Ok(())
    }

    fn delete_credential(
        &mut self,
        account: AccountId,
        kind: CredentialKind,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM credentials WHERE account = ?1 AND kind = ?2")?
            .execute(params![account.as_bytes(), credential_number(kind)])?;
        Ok(())
    }

    fn open_session(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO sessions
                 (token_hash, id, account, created, expires, source, strength, confirmed, kek_version, sealed,
                 seen, seen_from, seen_mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                session.token_hash,
                session.id.as_bytes(),
                session.account.as_bytes(),
                millis(session.created),
                millis(session.expires),
                session.source,
                strength_number(session.strength),
                millis(session.confirmed),
                session.kek_version,
                session.sealed,
                millis(session.seen),
                session.seen_from,
                session.seen_mac,
            ])?;
        Ok(())
    }

    fn confirm_session(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE sessions SET strength = ?2, confirmed = ?3, sealed = ?4 WHERE token_hash = ?1",
            )?
            .execute(params![
                session.token_hash,
                strength_number(session.strength),
                millis(session.confirmed),
                session.sealed,
            ])?;
        Ok(())
    }

    fn note_use(&mut self, session: &SessionRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE sessions SET seen = ?2, seen_from = ?3, seen_mac = ?4 WHERE token_hash = ?1",
            )?
            .execute(params![
                session.token_hash,
                millis(session.seen),
                session.seen_from,
                session.seen_mac,
            ])?;
        Ok(())
    }

    fn end_session(&mut self, account: AccountId, session: SessionId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM sessions WHERE account = ?1 AND id = ?2")?
            .execute(params![account.as_bytes(), session.as_bytes()])?;
        Ok(())
    }

    fn end_sessions(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM sessions WHERE account = ?1")?
            .execute([account.as_bytes()])?;
        Ok(())
    }

    fn end_all_sessions(&mut self, domain: DomainNumber) -> Result<u64, StoreError> {
        let ended = self
            .connection()
            .prepare_cached(
                "DELETE FROM sessions WHERE account IN (SELECT id FROM accounts WHERE domain = ?1)",
            )?
            .execute([domain])?;
        Ok(ended as u64)
    }

    fn forget_expired(&mut self, now: Timestamp, idle_since: Timestamp) -> Result<u64, StoreError> {
        let sessions = self
            .connection()
            .prepare_cached("DELETE FROM sessions WHERE expires <= ?1 OR seen <= ?2")?
            .execute([millis(now), millis(idle_since)])?;
        let credentials = self
            .connection()
            .prepare_cached("DELETE FROM credentials WHERE expires <= ?1")?
            .execute([millis(now)])?;
        let recoveries = self
            .connection()
            .prepare_cached("DELETE FROM account_recoveries WHERE expires <= ?1")?
            .execute([millis(now)])?;
        // Whose time is over is of no use anyway: the log does not tell of it.
        self.untouch()?;
        Ok((sessions + credentials + recoveries) as u64)
    }
}

pub(super) fn session(row: &Row<'_>) -> Result<SessionRecord, StoreError> {
    const WHAT: &str = "session";
    Ok(SessionRecord {
        token_hash: array(row, "token_hash", WHAT)?,
        id: SessionId::from_bytes(array(row, "id", WHAT)?),
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        created: time(row, "created", WHAT)?,
        expires: time(row, "expires", WHAT)?,
        source: row.get("source")?,
        strength: numbered(row, "strength", strength_from, WHAT)?,
        confirmed: time(row, "confirmed", WHAT)?,
        kek_version: number(row, "kek_version", WHAT)?,
        sealed: row.get("sealed")?,
        seen: time(row, "seen", WHAT)?,
        seen_from: row.get("seen_from")?,
        seen_mac: array(row, "seen_mac", WHAT)?,
    })
}
