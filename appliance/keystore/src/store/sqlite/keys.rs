//! Keys.

use rusqlite::{Row, ToSql, params};
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{KeyState, Protection};
use strongroom_wire::object::ObjectPart;

use super::rows::{
    Rows, all, array, count, flag, millis, number, numbered, one, optional_number, pack, policy,
    time, unpack,
};
use crate::store::{
    DomainNumber, FoundKeys, KeyFilter, KeyRecord, KeyTraits, PublicKeyRecord, ReadKeys,
    StoreError, WriteKeys, algorithm_from, algorithm_number, key_state_from, key_state_number,
    object_part_number, origin_from, origin_number, policies, protection_from, protection_number,
    releasable_from, releasable_number,
};

const COLUMNS: &str = "k.id, k.domain, k.owner, k.sender, k.recipients, k.algorithm, k.state, k.label, k.content_type, \
     k.version, k.not_before, k.not_after, k.max_releases, k.restrictions, k.releases, k.created, k.length, k.releasable, \
     k.origin, k.protection, k.authenticate_each, k.mac";

/// The most of a holder's keys that one search looks at.
const MOST_LOOKED_AT: u32 = 20_000;

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

    fn public_key(&self, key: KeyId, version: u32) -> Result<Option<PublicKeyRecord>, StoreError> {
        const WHAT: &str = "public key";
        one(
            &mut self.connection().prepare_cached(
                "SELECT key, version, public_key, mac FROM public_keys WHERE key = ?1 AND version = ?2",
            )?,
            params![key.as_bytes(), version],
            |row| {
                let public_key = row.get_ref("public_key")?.as_blob();
                Ok(PublicKeyRecord {
                    key: KeyId::from_bytes(array(row, "key", WHAT)?),
                    version: number(row, "version", WHAT)?,
                    public_key: public_key
                        .map_err(|_| StoreError::MalformedRow(WHAT))?
                        .to_vec(),
                    mac: array(row, "mac", WHAT)?,
                })
            },
        )
    }

    fn keys_in_hsm(&self, domain: DomainNumber) -> Result<Vec<KeyId>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT id FROM keys WHERE domain = ?1 AND protection = ?2 AND state <> ?3 ORDER BY id",
            )?,
            params![
                domain,
                protection_number(Protection::Hsm),
                key_state_number(KeyState::Destroyed)
            ],
            |row| Ok(KeyId::from_bytes(array(row, "id", "key")?)),
        )
    }

    fn find_keys(
        &self,
        holders: &[AccountId],
        filter: &KeyFilter,
    ) -> Result<FoundKeys, StoreError> {
        // Each holder's newest come from an index in order; together they hold the newest of all.
        let mut found = FoundKeys::default();
        for holder in holders {
            let (sql, values) = find(*holder, filter);
            let mut statement = self.connection().prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let (mut looked_at, mut fitting) = (0, 0);
            while let Some(row) = rows.next()? {
                if fitting == filter.limit {
                    break;
                }
                looked_at += 1;
                if flag(row, "fits", "key")? {
                    fitting += 1;
                    found.keys.push(key(row)?);
                }
                if looked_at == MOST_LOOKED_AT && fitting < filter.limit {
                    let last = KeyId::from_bytes(array(row, "id", "key")?);
                    found.looked_until = found.looked_until.max(Some(last));
                    break;
                }
            }
        }
        // What is older than that is found when the search goes on from there.
        if let Some(until) = found.looked_until {
            found.keys.retain(|key| key.id >= until);
        }
        found
            .keys
            .sort_unstable_by_key(|key| std::cmp::Reverse(key.id));
        found.keys.dedup_by_key(|key| key.id);
        found.keys.truncate(filter.limit as usize);
        Ok(found)
    }
}

impl WriteKeys for Rows<'_> {
    fn create_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO keys (id, domain, owner, sender, recipients, algorithm, state, label, content_type,
                 version, not_before, not_after, max_releases, restrictions, releases, created, length,
                 releasable, origin, protection, authenticate_each, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
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
                policies::restrictions(&key.policy),
                count(key.releases),
                millis(key.created),
                key.traits.length,
                releasable_number(key.traits.releasable),
                origin_number(key.traits.origin),
                protection_number(key.traits.protection),
                key.traits.authenticate_each,
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

    fn add_public_key(&mut self, key: &PublicKeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO public_keys (key, version, public_key, mac) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key.key.as_bytes(),
                key.version,
                key.public_key,
                key.mac
            ])?;
        Ok(())
    }

    fn update_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE keys SET state = ?2, version = ?3, releases = ?4, mac = ?5, not_before = ?6,
                 not_after = ?7, max_releases = ?8, restrictions = ?9, releasable = ?10, authenticate_each = ?11 WHERE id = ?1",
            )?
            .execute(params![
                key.id.as_bytes(),
                key_state_number(key.state),
                key.version,
                count(key.releases),
                key.mac,
                key.policy.not_before.map(millis),
                key.policy.not_after.map(millis),
                key.policy.max_releases.map(count),
                policies::restrictions(&key.policy),
                releasable_number(key.traits.releasable),
                key.traits.authenticate_each,
            ])?;
        Ok(())
    }

    fn destroy_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "DELETE FROM grant_copies WHERE grant_id IN (SELECT id FROM grants WHERE key = ?1)",
            )?
            .execute([key.id.as_bytes()])?;
        // The public half outlives the key, where somebody says something of it and has not removed it.
        self.connection()
            .prepare_cached("DELETE FROM objects WHERE key = ?1 AND (part <> ?2 OR gone = 1)")?
            .execute(params![
                key.id.as_bytes(),
                object_part_number(ObjectPart::Public)
            ])?;
        self.update_key(key)
    }
}

/// The query for one holder's keys, the newest first, each with whether it fits the filter. It is put together from fixed pieces; every value is
/// bound.
fn find(holder: AccountId, filter: &KeyFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let mut fits = String::from("1");
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut condition = |text: &str, value: Box<dyn ToSql>| {
        fits.push_str(text);
        values.push(value);
    };
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
    // CROSS JOIN keeps SQLite from walking all keys in search of the holder's.
    let mut sql = format!(
        "SELECT {COLUMNS}, ({fits}) AS fits FROM grants g CROSS JOIN keys k ON k.id = g.key WHERE g.grantee = ?"
    );
    values.push(Box::new(*holder.as_bytes()));
    if let Some(after) = filter.after {
        sql.push_str(" AND g.key < ?");
        values.push(Box::new(*after.as_bytes()));
    }
    // A key that was revoked and shared again stands once.
    sql.push_str(" GROUP BY g.key ORDER BY g.key DESC");
    (sql, values)
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
        traits: KeyTraits {
            length: optional_number(row, "length", WHAT)?
                .map(|length| u16::try_from(length).map_err(|_| StoreError::MalformedRow(WHAT)))
                .transpose()?,
            releasable: numbered(row, "releasable", releasable_from, WHAT)?,
            origin: numbered(row, "origin", origin_from, WHAT)?,
            protection: numbered(row, "protection", protection_from, WHAT)?,
            authenticate_each: flag(row, "authenticate_each", WHAT)?,
        },
        mac: array(row, "mac", WHAT)?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rusqlite::Connection;

    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn a_page_is_read_from_an_index_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let filter = KeyFilter {
            label: Some("report".to_owned()),
            after: Some(KeyId::generate()),
            limit: 100,
            ..KeyFilter::default()
        };
        let (sql, values) = find(AccountId::generate(), &filter);
        let plan: Vec<String> = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap()
            .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let plan = plan.join("; ");
        assert!(plan.contains("grants_by_grantee"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
    }
}
