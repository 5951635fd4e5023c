//! Objects.

use rusqlite::{Row, ToSql, params};
use strongroom_wire::id::{AccountId, KeyId, ObjectId};
use strongroom_wire::key::KeyState;
use strongroom_wire::object::{ObjectDescription, ObjectPart};

use super::rows::{
    Rows, all, array, count, flag, millis, number, numbered, one, optional_array, optional_number,
    time,
};
use crate::store::{
    ObjectFilter, ObjectRecord, PlainKeyFilter, ReadObjects, StoreError, WriteObjects,
    algorithm_number, key_state_number, object_part_from, object_part_number,
};

const COLUMNS: &str = "SELECT owner, id, part, domain, key, class, kind, label, cka_id, attributes, gone, created, updated, mac FROM objects";
const WHAT: &str = "object";

impl ReadObjects for Rows<'_> {
    fn object(
        &self,
        owner: AccountId,
        id: ObjectId,
        part: ObjectPart,
    ) -> Result<Option<ObjectRecord>, StoreError> {
        one(
            &mut self.connection().prepare_cached(&format!(
                "{COLUMNS} WHERE owner = ?1 AND id = ?2 AND part = ?3"
            ))?,
            params![owner.as_bytes(), id.as_bytes(), object_part_number(part)],
            object,
        )
    }

    fn find_objects(
        &self,
        owner: AccountId,
        filter: &ObjectFilter,
    ) -> Result<Vec<ObjectRecord>, StoreError> {
        let (sql, values) = find(owner, filter);
        all(
            &mut self.connection().prepare_cached(&sql)?,
            rusqlite::params_from_iter(values),
            object,
        )
    }

    fn find_plain_keys(
        &self,
        holders: &[AccountId],
        owner: AccountId,
        filter: &PlainKeyFilter<'_>,
    ) -> Result<Vec<KeyId>, StoreError> {
        let sql = plain(filter.label.is_some());
        let algorithms = filter.algorithms.iter().fold(0_i64, |bits, algorithm| {
            bits | 1 << algorithm_number(*algorithm)
        });
        let after = filter.after.map_or([0; 16], |after| *after.as_bytes());
        let mut found = Vec::new();
        for holder in holders {
            found.extend(all(
                &mut self.connection().prepare_cached(sql)?,
                params![
                    holder.as_bytes(),
                    owner.as_bytes(),
                    after,
                    key_state_number(KeyState::Destroyed),
                    filter.limit,
                    filter.label,
                    algorithms
                ],
                |row| Ok(KeyId::from_bytes(array(row, "id", "key")?)),
            )?);
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(filter.limit as usize);
        Ok(found)
    }

    fn change(&self, accounts: &[AccountId]) -> Result<u64, StoreError> {
        let mut newest = 0;
        for account in accounts {
            let number = one(
                &mut self
                    .connection()
                    .prepare_cached("SELECT number FROM changes WHERE account = ?1")?,
                [account.as_bytes()],
                |row| number(row, "number", "change"),
            )?;
            newest = newest.max(number.unwrap_or(0));
        }
        Ok(newest)
    }
}

impl WriteObjects for Rows<'_> {
    fn put_object(&mut self, object: &ObjectRecord) -> Result<(), StoreError> {
        let description = &object.description;
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO objects
                 (owner, id, part, domain, key, class, kind, label, cka_id, attributes, gone, created, updated, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                object.owner.as_bytes(),
                object.id.as_bytes(),
                object_part_number(object.part),
                object.domain,
                object.key.map(|key| *key.as_bytes()),
                description.class,
                description.kind,
                description.label.0,
                description.id.0,
                description.attributes.0,
                object.gone,
                millis(object.created),
                millis(object.updated),
                object.mac,
            ])?;
        Ok(())
    }

    fn delete_object(
        &mut self,
        owner: AccountId,
        id: ObjectId,
        part: ObjectPart,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM objects WHERE owner = ?1 AND id = ?2 AND part = ?3")?
            .execute(params![
                owner.as_bytes(),
                id.as_bytes(),
                object_part_number(part)
            ])?;
        Ok(())
    }

    fn note_change(&mut self, accounts: &[AccountId], number: u64) -> Result<(), StoreError> {
        for account in accounts {
            self.connection()
                .prepare_cached("INSERT OR REPLACE INTO changes (account, number) VALUES (?1, ?2)")?
                .execute(params![account.as_bytes(), count(number)])?;
        }
        Ok(())
    }
}

/// The query for one holder's keys of which the owner says nothing: with a label, the few keys that have it are looked at; else the
/// holder's, in order.
const fn plain(with_label: bool) -> &'static str {
    if with_label {
        "SELECT k.id FROM keys k INDEXED BY keys_by_label WHERE k.label = ?6 AND k.id > ?3 AND k.state <> ?4 AND ?7 >> k.algorithm & 1
         AND EXISTS (SELECT 1 FROM grants g WHERE g.key = k.id AND g.grantee = ?1)
         AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.owner = ?2 AND o.id = k.id AND o.key = k.id)
         ORDER BY k.id LIMIT ?5"
    } else {
        "SELECT k.id FROM grants g CROSS JOIN keys k ON k.id = g.key WHERE g.grantee = ?1 AND g.key > ?3
         AND k.state <> ?4 AND ?6 IS NULL AND ?7 >> k.algorithm & 1
         AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.owner = ?2 AND o.id = k.id AND o.key = k.id)
         GROUP BY g.key ORDER BY g.key LIMIT ?5"
    }
}

/// The query. It is put together from fixed pieces; every value is bound.
fn find(owner: AccountId, filter: &ObjectFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let index = if filter.cka_id.is_some() {
        "INDEXED BY objects_by_cka_id"
    } else if filter.label.is_some() {
        "INDEXED BY objects_by_label"
    } else if filter.class.is_some() {
        "INDEXED BY objects_by_class"
    } else {
        "NOT INDEXED"
    };
    let mut sql = format!("{COLUMNS} {index} WHERE owner = ? AND gone = 0");
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(*owner.as_bytes())];
    let mut condition = |text: &str, value: Box<dyn ToSql>| {
        sql.push_str(text);
        values.push(value);
    };
    if let Some(id) = &filter.cka_id {
        condition(" AND cka_id = ?", Box::new(id.clone()));
    }
    if let Some(label) = &filter.label {
        condition(" AND label = ?", Box::new(label.clone()));
    }
    if let Some(class) = filter.class {
        condition(" AND class = ?", Box::new(class));
    }
    if let Some(kind) = filter.kind {
        condition(" AND kind = ?", Box::new(kind));
    }
    if let Some((id, part)) = filter.after {
        condition(" AND (id, part) > (?", Box::new(*id.as_bytes()));
        condition(", ?)", Box::new(object_part_number(part)));
    }
    condition(" ORDER BY id, part LIMIT ?", Box::new(filter.limit));
    (sql, values)
}

fn object(row: &Row<'_>) -> Result<ObjectRecord, StoreError> {
    Ok(ObjectRecord {
        owner: AccountId::from_bytes(array(row, "owner", WHAT)?),
        id: ObjectId::from_bytes(array(row, "id", WHAT)?),
        part: numbered(row, "part", object_part_from, WHAT)?,
        domain: number(row, "domain", WHAT)?,
        key: optional_array(row, "key", WHAT)?.map(KeyId::from_bytes),
        description: ObjectDescription {
            class: number(row, "class", WHAT)?,
            kind: optional_number(row, "kind", WHAT)?
                .map(|kind| u32::try_from(kind).map_err(|_| StoreError::MalformedRow(WHAT)))
                .transpose()?,
            label: row.get::<_, Vec<u8>>("label")?.into(),
            id: row.get::<_, Vec<u8>>("cka_id")?.into(),
            attributes: row.get::<_, Vec<u8>>("attributes")?.into(),
        },
        gone: flag(row, "gone", WHAT)?,
        created: time(row, "created", WHAT)?,
        updated: time(row, "updated", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rusqlite::Connection;

    use super::*;
    use crate::store::sqlite::schema;

    /// How `SQLite` goes about a query.
    fn plan(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> String {
        let mut explained = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps = explained.query_map(values, |row| row.get(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        steps.join("; ")
    }

    #[test]
    fn keys_of_which_nothing_is_said_are_read_from_indices_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        for (label, indices) in [
            (
                Some("web"),
                [
                    "k USING INDEX keys_by_label (label=? AND id>?)",
                    "grants_by_grantee (grantee=? AND key=?)",
                ],
            ),
            (
                None,
                [
                    "g USING COVERING INDEX grants_by_grantee (grantee=? AND key>?)",
                    "k USING PRIMARY KEY (id=?)",
                ],
            ),
        ] {
            let values = params![[1_u8; 16], [2_u8; 16], [0_u8; 16], 6, 100, label, 2];
            let plan = plan(&connection, plain(label.is_some()), values);
            for index in indices {
                assert!(plan.contains(index), "{plan}");
            }
            let of_owner = "objects_by_key (key=? AND owner=? AND id=?)";
            assert!(plan.contains(of_owner), "{plan}");
            assert!(
                !plan.contains("TEMP B-TREE") && !plan.contains("SCAN"),
                "{plan}"
            );
        }
    }

    #[test]
    fn a_page_is_read_from_an_index_in_order() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let all = ObjectFilter {
            class: Some(1),
            kind: Some(0),
            label: Some(vec![1]),
            cka_id: Some(vec![2]),
            after: Some((ObjectId::generate(), ObjectPart::Object)),
            limit: 100,
        };
        let by_label = ObjectFilter {
            cka_id: None,
            ..all.clone()
        };
        let by_class = ObjectFilter {
            label: None,
            ..by_label.clone()
        };
        for (filter, index) in [
            (all, "objects_by_cka_id"),
            (by_label, "objects_by_label"),
            (by_class, "objects_by_class"),
            (ObjectFilter::default(), "PRIMARY KEY"),
        ] {
            let (sql, values) = find(AccountId::generate(), &filter);
            let plan = plan(&connection, &sql, rusqlite::params_from_iter(values));
            assert!(plan.contains(index), "{plan}");
            assert!(
                !plan.contains("TEMP B-TREE") && !plan.contains("SCAN"),
                "{plan}"
            );
        }
    }
}
