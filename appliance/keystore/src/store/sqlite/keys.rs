//! Keys.

use rusqlite::{Row, ToSql, params};
use strongroom_wire::id::{AccountId, KeyId};

use super::rows::{
    Rows, all, array, count, millis, number, numbered, one, pack, policy, time, unpack,
};
use crate::store::{
    KeyFilter, KeyRecord, ReadKeys, StoreError, WriteKeys, algorithm_from, algorithm_number,
    key_state_from, key_state_number,
};

const COLUMNS: &str = "k.id, k.domain, k.owner, k.sender, k.recipients, k.algorithm, k.state, k.label, k.content_type, \
     k.version, k.not_before, k.not_after, k.max_releases, k.releases, k.created, k.mac";

impl ReadKeys for Rows<'_> {
    fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("SELECT {COLUMNS} FROM keys k WHERE k.id = ?1"))?,
            [id.as_bytes()],
            key,
        )
    }

    fn find_keys(
        &self,
        holders: &[AccountId],
        filter: &KeyFilter,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        // The statement is put together from fixed pieces; every value is bound.
        let mut sql = format!(
            "SELECT {COLUMNS} FROM keys k WHERE EXISTS (SELECT 1 FROM grants g WHERE g.key = k.id AND g.grantee IN ("
        );
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        for (position, holder) in holders.iter().enumerate() {
            sql.push_str(if position == 0 { "?" } else { ", ?" });
            values.push(Box::new(*holder.as_bytes()));
        }
        sql.push_str("))");
        let mut condition = |text: &str, value: Box<dyn ToSql>| {
            sql.push_str(text);
            values.push(value);
        };
        if let Some(after) = filter.after {
            condition(" AND k.id < ?", Box::new(*after.as_bytes()));
        }
        if let Some(label) = &filter.label {
            let pattern = label
                .replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_");
            condition(
                " AND k.label LIKE ? ESCAPE '\\'",
                Box::new(format!("%{pattern}%")),
            );
        }
        if let Some(sender) = filter.sender {
            condition(" AND k.sender = ?", Box::new(*sender.as_bytes()));
        }
        if let Some(recipient) = filter.recipient {
            condition(
                " AND EXISTS (SELECT 1 FROM key_recipients r WHERE r.key = k.id AND r.recipient = ?)",
                Box::new(*recipient.as_bytes()),
            );
        }
        if let Some(state) = filter.state {
            condition(" AND k.state = ?", Box::new(key_state_number(state)));
        }
        if let Some(from) = filter.from {
            condition(" AND k.created >= ?", Box::new(millis(from)));
        }
        if let Some(until) = filter.until {
            condition(" AND k.created < ?", Box::new(millis(until)));
        }
        condition(" ORDER BY k.id DESC LIMIT ?", Box::new(filter.limit));
        all(
            &mut self.connection().prepare_cached(&sql)?,
            rusqlite::params_from_iter(values),
            key,
        )
    }
}

impl WriteKeys for Rows<'_> {
    fn create_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO keys (id, domain, owner, sender, recipients, algorithm, state, label, content_type,
                 version, not_before, not_after, max_releases, releases, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                key.id.as_bytes(),
                key.domain,
                key.owner.as_bytes(),
                key.sender.as_bytes(),
                pack(&key.recipients),
                algorithm_number(key.algorithm),
                key_state_number(key.state),
                key.label,
                key.content_type,
                key.version,
                key.policy.not_before.map(millis),
                key.policy.not_after.map(millis),
                key.policy.max_releases.map(count),
                count(key.releases),
                millis(key.created),
                key.mac,
            ])?;
        let mut insert = self
            .connection()
            .prepare_cached("INSERT INTO key_recipients (recipient, key) VALUES (?1, ?2)")?;
        for recipient in &key.recipients {
            insert.execute(params![recipient.as_bytes(), key.id.as_bytes()])?;
        }
        Ok(())
    }

    fn update_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE keys SET state = ?2, version = ?3, releases = ?4, mac = ?5 WHERE id = ?1",
            )?
            .execute(params![
                key.id.as_bytes(),
                key_state_number(key.state),
                key.version,
                count(key.releases),
                key.mac,
            ])?;
        Ok(())
    }

    fn destroy_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "DELETE FROM grant_copies WHERE grant_id IN (SELECT id FROM grants WHERE key = ?1)",
            )?
            .execute([key.id.as_bytes()])?;
        self.update_key(key)
    }
}

fn key(row: &Row<'_>) -> Result<KeyRecord, StoreError> {
    const WHAT: &str = "key";
    Ok(KeyRecord {
        id: KeyId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        owner: AccountId::from_bytes(array(row, "owner", WHAT)?),
        sender: AccountId::from_bytes(array(row, "sender", WHAT)?),
        recipients: unpack(row, "recipients", WHAT)?,
        algorithm: numbered(row, "algorithm", algorithm_from, WHAT)?,
        state: numbered(row, "state", key_state_from, WHAT)?,
        label: row.get("label")?,
        content_type: row.get("content_type")?,
        version: number(row, "version", WHAT)?,
        policy: policy(row, WHAT)?,
        releases: number(row, "releases", WHAT)?,
        created: time(row, "created", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
