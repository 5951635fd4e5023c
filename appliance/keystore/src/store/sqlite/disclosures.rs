//! Disclosures, keys on hold, notifications.

use rusqlite::{Row, params};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, AuthorisationId, DisclosureId, KeyId};

use super::rows::{
    Rows, all, array, count, millis, number, one, optional_array, optional_number, optional_time,
    time,
};
use crate::store::{
    DisclosureItemRecord, DisclosureRecord, DomainNumber, HeldKeyRecord, NotificationRecord,
    ReadDisclosures, ReleasedRecord, ScopeFilter, StoreError, WriteDisclosures,
};

const DISCLOSURE: &str = "SELECT id, domain, authorisation, generation, executor, executed, items, digest, releaser, released, \
     manifest, leaf, mac FROM disclosures";
const ITEM: &str = "SELECT disclosure, sequence, authorisation, generation, key, version, record, sealed, mac FROM disclosure_items";
const NOTIFICATION: &str = "SELECT account, disclosure, domain, due, told, mac FROM notifications";

impl ReadDisclosures for Rows<'_> {
    fn disclosure(&self, id: DisclosureId) -> Result<Option<DisclosureRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{DISCLOSURE} WHERE id = ?1"))?,
            [id.as_bytes()],
            disclosure,
        )
    }

    fn disclosures_of(
        &self,
        authorisation: AuthorisationId,
    ) -> Result<Vec<DisclosureRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{DISCLOSURE} WHERE authorisation = ?1 ORDER BY executed, id"
            ))?,
            [authorisation.as_bytes()],
            disclosure,
        )
    }

    fn disclosure_items(
        &self,
        disclosure: DisclosureId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<DisclosureItemRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ITEM} WHERE disclosure = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3"
            ))?,
            params![disclosure.as_bytes(), after, limit],
            item,
        )
    }

    fn delivered(
        &self,
        authorisation: AuthorisationId,
        generation: u32,
        key: KeyId,
    ) -> Result<Option<DisclosureItemRecord>, StoreError> {
        one(
            &mut self.connection().prepare_cached(&format!(
                "{ITEM} WHERE authorisation = ?1 AND generation = ?2 AND key = ?3 ORDER BY version DESC LIMIT 1"
            ))?,
            params![authorisation.as_bytes(), generation, key.as_bytes()],
            item,
        )
    }

    fn count_delivered(
        &self,
        authorisation: AuthorisationId,
        generation: u32,
    ) -> Result<u64, StoreError> {
        let counted = one(
            &mut self.connection().prepare_cached(
                "SELECT COUNT(DISTINCT key) AS delivered FROM disclosure_items WHERE authorisation = ?1 AND generation = ?2",
            )?,
            params![authorisation.as_bytes(), generation],
            |row| number(row, "delivered", ITEM_IS),
        )?;
        Ok(counted.unwrap_or_default())
    }

    fn keys_in_scope(
        &self,
        filter: ScopeFilter<'_>,
        from: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, KeyId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, KeyId)>, StoreError> {
        let mut statement = self.connection().prepare_cached(scope(filter))?;
        // Without one it begins after all that could be of the moment before.
        let (from, after) = match after {
            Some((moment, key)) => (millis(moment), *key.as_bytes()),
            None => (millis(from) - 1, [0xff; 16]),
        };
        let until = millis(until);
        let read = |row: &Row<'_>| {
            Ok((
                time(row, "created", "key")?,
                KeyId::from_bytes(array(row, "key", "key")?),
            ))
        };
        match filter {
            ScopeFilter::Label { owner, label } => all(
                &mut statement,
                params![from, after, until, limit, owner.as_bytes(), label],
                read,
            ),
            ScopeFilter::From(account) | ScopeFilter::To(account) => all(
                &mut statement,
                params![from, after, until, limit, account.as_bytes()],
                read,
            ),
            ScopeFilter::Between(giver, grantee) => all(
                &mut statement,
                params![
                    from,
                    after,
                    until,
                    limit,
                    giver.as_bytes(),
                    grantee.as_bytes()
                ],
                read,
            ),
        }
    }

    fn held_versions(&self, key: KeyId) -> Result<Vec<HeldKeyRecord>, StoreError> {
        const WHAT: &str = "held key";
        all(
            &mut self.connection().prepare_cached(
                "SELECT key, version, domain, held, sealed FROM held_keys WHERE key = ?1 ORDER BY version",
            )?,
            [key.as_bytes()],
            |row| {
                Ok(HeldKeyRecord {
                    key: KeyId::from_bytes(array(row, "key", WHAT)?),
                    version: number(row, "version", WHAT)?,
                    domain: number(row, "domain", WHAT)?,
                    held: time(row, "held", WHAT)?,
                    sealed: row.get("sealed")?,
                })
            },
        )
    }

    fn held_keys(&self, domain: DomainNumber) -> Result<Vec<(Timestamp, KeyId)>, StoreError> {
        const WHAT: &str = "held key";
        all(
            &mut self.connection().prepare_cached(
                "SELECT held, key FROM held_keys WHERE domain = ?1 GROUP BY held, key ORDER BY held, key",
            )?,
            [domain],
            |row| {
                Ok((
                    time(row, "held", WHAT)?,
                    KeyId::from_bytes(array(row, "key", WHAT)?),
                ))
            },
        )
    }

    fn notifications_of(&self, account: AccountId) -> Result<Vec<NotificationRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{NOTIFICATION} WHERE account = ?1 ORDER BY due, disclosure"
            ))?,
            [account.as_bytes()],
            notification,
        )
    }

    fn notifications_due(
        &self,
        domain: DomainNumber,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<NotificationRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{NOTIFICATION} WHERE domain = ?1 AND due <= ?2 AND told IS NULL ORDER BY due LIMIT ?3"
            ))?,
            params![domain, millis(now), limit],
            notification,
        )
    }
}

impl WriteDisclosures for Rows<'_> {
    fn put_disclosure(&mut self, disclosure: &DisclosureRecord) -> Result<(), StoreError> {
        let release = disclosure.release.as_ref();
        self.connection()
            .prepare_cached(
                "INSERT INTO disclosures (id, domain, authorisation, generation, executor, executed, items, digest,
                 releaser, released, manifest, leaf, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT (id) DO UPDATE SET
                 releaser = excluded.releaser, released = excluded.released, manifest = excluded.manifest,
                 leaf = excluded.leaf, mac = excluded.mac",
            )?
            .execute(params![
                disclosure.id.as_bytes(),
                disclosure.domain,
                disclosure.authorisation.as_bytes(),
                disclosure.generation,
                disclosure.executor.as_bytes(),
                millis(disclosure.executed),
                disclosure.items,
                disclosure.digest,
                release.map(|release| *release.releaser.as_bytes()),
                release.map(|release| millis(release.released)),
                release.map(|release| release.manifest),
                release.map(|release| count(release.leaf)),
                disclosure.mac,
            ])?;
        Ok(())
    }

    fn add_disclosure_item(&mut self, item: &DisclosureItemRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO disclosure_items (disclosure, sequence, authorisation, generation, key, version, record, sealed, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                item.disclosure.as_bytes(),
                item.sequence,
                item.authorisation.as_bytes(),
                item.generation,
                item.key.as_bytes(),
                item.version,
                item.record,
                item.sealed,
                item.mac,
            ])?;
        Ok(())
    }

    fn hold_key(&mut self, held: &HeldKeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO held_keys (key, version, domain, held, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                held.key.as_bytes(),
                held.version,
                held.domain,
                millis(held.held),
                held.sealed,
            ])?;
        Ok(())
    }

    fn end_hold_of(&mut self, key: KeyId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM held_keys WHERE key = ?1")?
            .execute([key.as_bytes()])?;
        Ok(())
    }

    fn put_notification(&mut self, notification: &NotificationRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO notifications (account, disclosure, domain, due, told, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (account, disclosure) DO UPDATE SET due = excluded.due, told = excluded.told, mac = excluded.mac",
            )?
            .execute(params![
                notification.account.as_bytes(),
                notification.disclosure.as_bytes(),
                notification.domain,
                millis(notification.due),
                notification.told.map(millis),
                notification.mac,
            ])?;
        Ok(())
    }
}

/// The query of a scope, whose parameters are after what, before when, how many, and the filter's own. Conditions on `granted_by <> grantee`
/// stand as the indexes have them, so that they are used. What was given to several at once is found once.
const fn scope(filter: ScopeFilter<'_>) -> &'static str {
    match filter {
        ScopeFilter::Label { .. } => {
            "SELECT created, id AS key FROM keys INDEXED BY keys_by_owner_and_label
             WHERE owner = ?5 AND label = ?6 AND (created, id) > (?1, ?2) AND created < ?3 ORDER BY created, id LIMIT ?4"
        }
        ScopeFilter::From(_) => {
            "SELECT created, key FROM grants INDEXED BY grants_sent
             WHERE granted_by = ?5 AND granted_by <> grantee AND (created, key) > (?1, ?2) AND created < ?3
             GROUP BY created, key ORDER BY created, key LIMIT ?4"
        }
        ScopeFilter::To(_) => {
            "SELECT created, key FROM grants INDEXED BY grants_received
             WHERE grantee = ?5 AND granted_by <> grantee AND (created, key) > (?1, ?2) AND created < ?3
             GROUP BY created, key ORDER BY created, key LIMIT ?4"
        }
        ScopeFilter::Between(..) => {
            "SELECT created, key FROM grants INDEXED BY grants_between
             WHERE granted_by = ?5 AND grantee = ?6 AND granted_by <> grantee AND (created, key) > (?1, ?2) AND created < ?3
             GROUP BY created, key ORDER BY created, key LIMIT ?4"
        }
    }
}

const ITEM_IS: &str = "disclosed item";

fn disclosure(row: &Row<'_>) -> Result<DisclosureRecord, StoreError> {
    const WHAT: &str = "disclosure";
    let releaser = optional_array(row, "releaser", WHAT)?;
    let released = optional_time(row, "released", WHAT)?;
    let manifest = optional_array(row, "manifest", WHAT)?;
    let leaf = optional_number(row, "leaf", WHAT)?;
    let release = match (releaser, released, manifest, leaf) {
        (None, None, None, None) => None,
        (Some(releaser), Some(released), Some(manifest), Some(leaf)) => Some(ReleasedRecord {
            releaser: AccountId::from_bytes(releaser),
            released,
            manifest,
            leaf,
        }),
        _ => return Err(StoreError::MalformedRow(WHAT)),
    };
    Ok(DisclosureRecord {
        id: DisclosureId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        authorisation: AuthorisationId::from_bytes(array(row, "authorisation", WHAT)?),
        generation: number(row, "generation", WHAT)?,
        executor: AccountId::from_bytes(array(row, "executor", WHAT)?),
        executed: time(row, "executed", WHAT)?,
        items: number(row, "items", WHAT)?,
        digest: array(row, "digest", WHAT)?,
        release,
        mac: array(row, "mac", WHAT)?,
    })
}

fn item(row: &Row<'_>) -> Result<DisclosureItemRecord, StoreError> {
    Ok(DisclosureItemRecord {
        disclosure: DisclosureId::from_bytes(array(row, "disclosure", ITEM_IS)?),
        sequence: number(row, "sequence", ITEM_IS)?,
        authorisation: AuthorisationId::from_bytes(array(row, "authorisation", ITEM_IS)?),
        generation: number(row, "generation", ITEM_IS)?,
        key: KeyId::from_bytes(array(row, "key", ITEM_IS)?),
        version: number(row, "version", ITEM_IS)?,
        record: array(row, "record", ITEM_IS)?,
        sealed: row.get("sealed")?,
        mac: array(row, "mac", ITEM_IS)?,
    })
}

fn notification(row: &Row<'_>) -> Result<NotificationRecord, StoreError> {
    const WHAT: &str = "notification";
    Ok(NotificationRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        disclosure: DisclosureId::from_bytes(array(row, "disclosure", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        due: time(row, "due", WHAT)?,
        told: optional_time(row, "told", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rusqlite::{Connection, params_from_iter};

    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn a_scope_is_read_from_an_index_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let account = AccountId::generate();
        let label = ScopeFilter::Label {
            owner: account,
            label: "Re: plans",
        };
        for filter in [
            label,
            ScopeFilter::From(account),
            ScopeFilter::To(account),
            ScopeFilter::Between(account, account),
        ] {
            let mut statement = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {}", scope(filter)))
                .unwrap();
            let nothing = vec![0; statement.parameter_count()];
            let plan: Vec<String> = statement
                .query_map(params_from_iter(nothing), |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let plan = plan.join("; ");
            assert!(plan.starts_with("SEARCH"), "{filter:?}: {plan}");
            assert!(plan.contains("COVERING INDEX"), "{filter:?}: {plan}");
            assert!(plan.contains(">(?,?) AND created<?"), "{filter:?}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        }
    }
}
