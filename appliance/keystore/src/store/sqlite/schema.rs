//! Numbered migrations, forward only. `PRAGMA user_version` is the number of the newest that has run.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

/// The migrations in their order; the first is number 1.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_initial.sql"),
    include_str!("schema/0002_rotation.sql"),
    include_str!("schema/0003_recovery.sql"),
    include_str!("schema/0004_policy.sql"),
    include_str!("schema/0005_devices.sql"),
    include_str!("schema/0006_people.sql"),
    include_str!("schema/0007_certificates.sql"),
    include_str!("schema/0008_oidc.sql"),
    include_str!("schema/0009_domains.sql"),
    include_str!("schema/0010_idempotency.sql"),
    include_str!("schema/0011_directories.sql"),
    include_str!("schema/0012_key_pairs.sql"),
    include_str!("schema/0013_objects.sql"),
    include_str!("schema/0014_restrictions.sql"),
    include_str!("schema/0015_lawful.sql"),
    include_str!("schema/0016_witness.sql"),
    include_str!("schema/0017_console.sql"),
    include_str!("schema/0018_disclosure.sql"),
    include_str!("schema/0019_lists.sql"),
    include_str!("schema/0020_nonces.sql"),
];

/// The newest schema that this version knows.
#[expect(clippy::cast_possible_truncation, reason = "there are few migrations")]
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Brings the database to this version's schema, each migration in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > NEWEST {
            return Err(StoreError::NewerSchema {
                found,
                known: NEWEST,
            });
        }
        let Some(migration) = MIGRATIONS.get(found as usize) else {
            return Ok(());
        };
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn migrations_run_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let version: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, NEWEST);
    }

    /// What was spent before the migration is spent after it.
    #[test]
    fn spent_nonces_are_kept() {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..19] {
            connection.execute_batch(migration).unwrap();
        }
        connection.pragma_update(None, "user_version", 19).unwrap();
        connection
            .execute_batch("INSERT INTO spent_nonces (account, nonce, expires) VALUES (x'01', x'02', 3), (x'01', x'03', 1)")
            .unwrap();
        migrate(&mut connection).unwrap();
        let mut rows = connection
            .prepare("SELECT expires, account, nonce FROM spent_nonces")
            .unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let rows: Vec<(u32, Vec<u8>, Vec<u8>)> = rows.unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [(1, vec![1], vec![3]), (3, vec![1], vec![2])]);
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .pragma_update(None, "user_version", NEWEST + 1)
            .unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { .. }));
        assert!(error.to_string().contains("start the newer version"));
    }
}
