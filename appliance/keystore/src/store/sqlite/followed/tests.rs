#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use super::super::schema;
use super::*;

/// Every table is followed or listed with the reason why not; of a followed one, every column is or is listed with the reason.
#[test]
fn every_table_and_column_is_accounted_for() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT t.name, c.name, c.pk FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid",
        )
        .unwrap();
    let mut tables: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let columns = tables.entry(row.get(0).unwrap()).or_default();
        columns.push((row.get(1).unwrap(), row.get(2).unwrap()));
    }
    for (position, followed) in FOLLOWED.iter().enumerate() {
        assert_eq!(usize::from(followed.number), position + 1);
        let columns = tables.remove(followed.table).unwrap();
        let mut key: Vec<_> = columns.iter().filter(|(_, pk)| *pk > 0).collect();
        key.sort_by_key(|(_, pk)| *pk);
        let key: Vec<_> = key.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(key, followed.key, "{}", followed.table);
        let mut rest: Vec<_> = columns
            .iter()
            .filter(|(_, pk)| *pk == 0)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut listed: Vec<_> = followed.columns.to_vec();
        listed.extend(followed.loose.iter().map(|(name, reason)| {
            assert!(!reason.is_empty());
            *name
        }));
        rest.sort_unstable();
        listed.sort_unstable();
        assert_eq!(rest, listed, "{}", followed.table);
    }
    for (table, reason) in OTHERS {
        assert!(tables.remove(*table).is_some(), "{table}");
        assert!(!reason.is_empty());
    }
    assert!(
        tables.is_empty(),
        "neither followed nor listed: {:?}",
        tables.keys()
    );
}

#[test]
fn keys_are_read_as_they_were_written() {
    for key in [
        vec![Value::Blob(vec![7; 16])],
        vec![Value::Integer(-1), Value::Text("é".to_owned()), Value::Null],
        vec![Value::Blob(Vec::new()), Value::Integer(i64::MAX)],
    ] {
        assert_eq!(values_of(&key_bytes(&key)), Some(key));
    }
    assert_eq!(values_of(&[1, 0]), None);
    assert_eq!(values_of(&[2, 0, 0, 0, 0, 0, 0, 0, 9, 65]), None);
    assert_eq!(values_of(&[9, 0, 0, 0, 0, 0, 0, 0, 0]), None);
}
