//! By which indexes SQLite would answer, for tests.

#![expect(clippy::unwrap_used, reason = "tests")]

use rusqlite::Connection;

/// The plan of a query, whatever is bound to it.
pub(super) fn plan_of(connection: &Connection, sql: &str) -> String {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let mut rows = statement.raw_query();
    let mut plan: Vec<String> = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get(3).unwrap());
    }
    plan.join("; ")
}
