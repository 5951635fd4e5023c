//! Passkeys.

use rusqlite::{Row, params};
use strongroom_wire::id::{AccountId, PasskeyId};

use super::rows::{Rows, all, array, millis, number, one, optional_time, time};
use crate::store::{PasskeyRecord, ReadPeople, StoreError, WritePeople};

const PASSKEY: &str = "SELECT id, account, credential, public_key, sign_count, name, created, used, mac FROM passkeys";

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
