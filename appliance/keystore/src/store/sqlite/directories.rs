//! Directories and what they say of accounts.

use rusqlite::{Row, params};
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::id::{AccountId, DirectoryId};

use super::rows::{Rows, all, array, count, millis, number, numbered, one, optional_time, time};
use crate::store::{
    AccountRecord, DirectoryAccountRecord, DirectoryRecord, DomainNumber, ReadDirectories,
    StoreError, WriteDirectories, account_state_from, account_state_number, kind_from, kind_number,
    roles_bits,
};

const DIRECTORY: &str = "SELECT id, domain, name, token_hash, token_created, expires, networks, created, mac FROM directories";
const ACCOUNT: &str = "SELECT account, directory, kind, name, external_id, document, suspended, invited, created, updated, mac FROM directory_accounts";

impl ReadDirectories for Rows<'_> {
    fn directory(&self, id: DirectoryId) -> Result<Option<DirectoryRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{DIRECTORY} WHERE id = ?1"))?,
            [id.as_bytes()],
            directory,
        )
    }

    fn directory_by_token(&self, hash: &[u8; 32]) -> Result<Option<DirectoryRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{DIRECTORY} WHERE token_hash = ?1"))?,
            [hash],
            directory,
        )
    }

    fn directories(&self, domain: DomainNumber) -> Result<Vec<DirectoryRecord>, StoreError> {
        all(
            &mut self
                .connection()
                .prepare_cached(&format!("{DIRECTORY} WHERE domain = ?1 ORDER BY name"))?,
            [domain],
            directory,
        )
    }

    fn directory_account(
        &self,
        account: AccountId,
    ) -> Result<Option<DirectoryAccountRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{ACCOUNT} WHERE account = ?1"))?,
            [account.as_bytes()],
            directory_account,
        )
    }

    fn directory_accounts_named(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
        name: &str,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ACCOUNT} WHERE directory = ?1 AND kind = ?2 AND name = ?3 ORDER BY account"
            ))?,
            params![directory.as_bytes(), kind_number(kind), name],
            directory_account,
        )
    }

    fn directory_accounts_known_as(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
        external_id: &str,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ACCOUNT} WHERE directory = ?1 AND kind = ?2 AND external_id = ?3 ORDER BY account"
            ))?,
            params![directory.as_bytes(), kind_number(kind), external_id],
            directory_account,
        )
    }

    fn directory_accounts(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
        after: u64,
        limit: u64,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ACCOUNT} WHERE directory = ?1 AND kind = ?2 ORDER BY account LIMIT ?3 OFFSET ?4"
            ))?,
            params![
                directory.as_bytes(),
                kind_number(kind),
                count(limit),
                count(after)
            ],
            directory_account,
        )
    }

    fn directory_accounts_suspended(
        &self,
        directory: DirectoryId,
        from: AccountState,
    ) -> Result<Vec<DirectoryAccountRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ACCOUNT} WHERE directory = ?1 AND suspended = ?2 ORDER BY account"
            ))?,
            params![directory.as_bytes(), account_state_number(from)],
            directory_account,
        )
    }

    fn count_directory_accounts(
        &self,
        directory: DirectoryId,
        kind: AccountKind,
    ) -> Result<u64, StoreError> {
        let counted = one(
            &mut self.connection().prepare_cached(
                "SELECT count(*) AS managed FROM directory_accounts WHERE directory = ?1 AND kind = ?2",
            )?,
            params![directory.as_bytes(), kind_number(kind)],
            |row| number(row, "managed", "directory account"),
        )?;
        Ok(counted.unwrap_or_default())
    }
}

impl WriteDirectories for Rows<'_> {
    fn put_directory(&mut self, directory: &DirectoryRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO directories
                 (id, domain, name, token_hash, token_created, expires, networks, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (id) DO UPDATE SET
                 token_hash = excluded.token_hash, token_created = excluded.token_created,
                 expires = excluded.expires, networks = excluded.networks, mac = excluded.mac",
            )?
            .execute(params![
                directory.id.as_bytes(),
                directory.domain,
                directory.name,
                directory.token_hash,
                millis(directory.token_created),
                directory.expires.map(millis),
                directory.networks_text(),
                millis(directory.created),
                directory.mac,
            ])?;
        Ok(())
    }

    fn delete_directory(&mut self, directory: DirectoryId) -> Result<(), StoreError> {
        for statement in [
            "DELETE FROM directory_accounts WHERE directory = ?1",
            "DELETE FROM directories WHERE id = ?1",
        ] {
            self.connection()
                .prepare_cached(statement)?
                .execute([directory.as_bytes()])?;
        }
        Ok(())
    }

    fn put_directory_account(
        &mut self,
        account: &DirectoryAccountRecord,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO directory_accounts
                 (account, directory, kind, name, external_id, document, suspended, invited, created, updated, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                account.account.as_bytes(),
                account.directory.as_bytes(),
                kind_number(account.kind),
                account.name,
                account.external_id,
                account.document,
                account.suspended.map(account_state_number),
                account.invited.map(millis),
                millis(account.created),
                millis(account.updated),
                account.mac,
            ])?;
        Ok(())
    }

    fn delete_directory_account(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM directory_accounts WHERE account = ?1")?
            .execute([account.as_bytes()])?;
        Ok(())
    }

    fn retire_account(&mut self, account: &AccountRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE accounts SET name = ?2, state = ?3, roles = ?4, mac = ?5 WHERE id = ?1",
            )?
            .execute(params![
                account.id.as_bytes(),
                account.name,
                account_state_number(account.state),
                roles_bits(&account.roles),
                account.mac,
            ])?;
        for table in [
            "sessions",
            "credentials",
            "passkeys",
            "account_recoveries",
            "outbox",
            "invitations",
            "certificate_names",
            "identity_links",
        ] {
            self.connection()
                .prepare_cached(&format!("DELETE FROM {table} WHERE account = ?1"))?
                .execute([account.id.as_bytes()])?;
        }
        Ok(())
    }
}

fn directory(row: &Row<'_>) -> Result<DirectoryRecord, StoreError> {
    const WHAT: &str = "directory";
    let networks: String = row.get("networks")?;
    let networks = networks
        .split(',')
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|_| StoreError::MalformedRow(WHAT)))
        .collect::<Result<_, _>>()?;
    Ok(DirectoryRecord {
        id: DirectoryId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        name: row.get("name")?,
        token_hash: array(row, "token_hash", WHAT)?,
        token_created: time(row, "token_created", WHAT)?,
        expires: optional_time(row, "expires", WHAT)?,
        networks,
        created: time(row, "created", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn directory_account(row: &Row<'_>) -> Result<DirectoryAccountRecord, StoreError> {
    const WHAT: &str = "directory account";
    let suspended = match row.get_ref("suspended")? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(numbered(row, "suspended", account_state_from, WHAT)?),
    };
    Ok(DirectoryAccountRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        directory: DirectoryId::from_bytes(array(row, "directory", WHAT)?),
        kind: numbered(row, "kind", kind_from, WHAT)?,
        name: row.get("name")?,
        external_id: row.get("external_id")?,
        document: row.get("document")?,
        suspended,
        invited: optional_time(row, "invited", WHAT)?,
        created: time(row, "created", WHAT)?,
        updated: time(row, "updated", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
