//! Which rows have to follow from the log, and what a leaf says of them.
//!
//! While an act runs, triggers note which rows it touches. When it records a leaf, the rows touched so far go, with a hash of what they are now, into
//! the list of that leaf, and the leaf's detail has the list's SHA-256: so the leaves and their lists say of every row what it has to be. An act
//! that touches rows and records no leaf is undone.
//!
//! The triggers are temporary ones of the writer's connection: they are in no file, and who edits the file meets none.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};
use sha2::{Digest, Sha256};
use strongroom_wire::id::AccountId;

use super::rows::Rows;
use crate::seal;
use crate::store::{FollowedRow, RowKey, StoreError};

/// A table whose rows follow from the log.
pub(super) struct Followed {
    /// Its number in lists: added, never changed.
    pub(super) number: u8,
    /// Its name.
    pub(super) table: &'static str,
    /// What one of its rows is, for people.
    pub(super) what: &'static str,
    /// The columns of its primary key, in their order.
    pub(super) key: &'static [&'static str],
    /// The columns that change by acts alone.
    pub(super) columns: &'static [&'static str],
    /// The columns that change without an act, and why that is no matter.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a test holds the list against the schema")
    )]
    pub(super) loose: &'static [(&'static str, &'static str)],
    /// Which rows may be gone although no leaf says so.
    pub(super) lapses: Lapses,
    /// Rows of which this column has this value are not followed.
    pub(super) but: Option<(&'static str, i64)>,
}

/// Whether rows of a table go by themselves when their time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lapses {
    Never,
    /// They do, and are of no use then wherever they come from: the time is in the row and covered.
    InTime,
    /// Those whose key ends with this number do.
    Kind(i64),
}

const WRAPPED: &str = "wrapped again by a newer master KEK; the bytes are covered by a MAC, and older master KEKs count no more when they are retired";
const RESEALED: &str = "sealed again under a newer KEK; the seal covers the rest, and older KEKs count no more when a rotation ends";
const USED: &str = "when and from where a session was last used: under a MAC of its own, and only ever shortens it";

const fn all(
    number: u8,
    table: &'static str,
    what: &'static str,
    key: &'static [&'static str],
    columns: &'static [&'static str],
) -> Followed {
    Followed {
        number,
        table,
        what,
        key,
        columns,
        loose: &[],
        lapses: Lapses::Never,
        but: None,
    }
}

/// Every table that is followed, by its number, which is its position and 1.
#[rustfmt::skip]
pub(super) const FOLLOWED: &[Followed] = &[
    Followed {
        loose: &[("domain_key", WRAPPED), ("mac", WRAPPED)],
        ..all(1, "domains", "domain", &["number"], &["name", "origin", "opaque_setup", "checkpoint_key", "created", "policy", "settings"])
    },
    all(2, "accounts", "account", &["id"], &["domain", "name", "kind", "state", "roles", "kek_version", "oldest_kek_version", "created", "mac"]),
    Followed {
        loose: &[("wrapped", WRAPPED), ("mac", WRAPPED)],
        ..all(3, "account_keks", "account KEK", &["account", "version"], &[])
    },
    all(4, "retired_master_keks", "retired master KEK", &["domain", "version"], &["retired", "mac"]),
    all(5, "recovery_keks", "recovery KEK", &["domain", "version"], &["share_set", "threshold", "custodians", "check_value", "created", "mac"]),
    all(6, "recovery_blobs", "recovery blob", &["domain", "master_kek"], &["blob", "mac"]),
    all(7, "checkpoint_keys", "checkpoint key", &["domain", "key"], &["from_size", "to_size", "mac"]),
    Followed {
        loose: &[("group_kek_version", RESEALED), ("member_kek_version", RESEALED), ("sealed", RESEALED)],
        ..all(8, "memberships", "membership", &["group_id", "member"], &["membership"])
    },
    Followed {
        // Enrolment codes.
        lapses: Lapses::Kind(1),
        // Authenticator apps before their first code: they open nothing, and lapse in minutes.
        but: Some(("kind", 11)),
        ..all(9, "credentials", "credential", &["account", "kind"], &["data", "expires", "created", "used", "second_factor", "mac"])
    },
    all(10, "passkeys", "passkey", &["id"], &["account", "credential", "public_key", "sign_count", "name", "created", "used", "mac"]),
    Followed {
        lapses: Lapses::InTime,
        ..all(11, "account_recoveries", "account recovery", &["account"], &["started_by", "started", "code", "approved_by", "approval", "effective", "expires", "mac"])
    },
    all(12, "invitations", "invitation", &["account", "created"], &["inviter", "mac"]),
    Followed {
        loose: &[("kek_version", RESEALED), ("sealed", RESEALED), ("seen", USED), ("seen_from", USED), ("seen_mac", USED)],
        lapses: Lapses::InTime,
        ..all(13, "sessions", "session", &["token_hash"], &["id", "account", "created", "expires", "source", "strength", "confirmed"])
    },
    all(14, "devices", "device", &["account"], &["domain", "serial", "fleet", "paired_by", "admitted", "revoked", "mac"]),
    Followed {
        loose: &[("kek_version", RESEALED), ("sealed", RESEALED)],
        ..all(15, "account_secrets", "account secret", &["account", "generation"], &["created"])
    },
    all(16, "certificate_names", "certificate name", &["domain", "kind", "value"], &["account", "created", "mac"]),
    all(17, "identity_links", "identity link", &["domain", "issuer", "subject"], &["account", "created", "used", "mac"]),
    all(18, "identity_memberships", "membership by an OpenID provider", &["member", "group_id"], &["issuer", "created", "mac"]),
    all(19, "directories", "directory", &["id"], &["domain", "name", "token_hash", "token_created", "expires", "networks", "created", "mac"]),
    all(20, "directory_accounts", "account of a directory", &["account"], &["directory", "kind", "name", "external_id", "document", "suspended", "invited", "created", "updated", "mac"]),
    all(21, "keys", "key", &["id"], &["domain", "owner", "sender", "recipients", "algorithm", "state", "label", "content_type", "version", "not_before", "not_after", "max_releases", "restrictions", "releases", "created", "length", "releasable", "origin", "protection", "authenticate_each", "mac"]),
    all(22, "public_keys", "public key", &["key", "version"], &["public_key", "mac"]),
    all(23, "objects", "object", &["owner", "id", "part"], &["domain", "key", "class", "kind", "label", "cka_id", "attributes", "gone", "created", "updated", "mac"]),
    all(24, "grants", "grant", &["id"], &["key", "grantee", "granted_by", "state", "rights", "not_before", "not_after", "max_releases", "restrictions", "releases", "created", "mac"]),
    Followed {
        loose: &[("kek_version", RESEALED), ("sealed", RESEALED)],
        ..all(25, "grant_copies", "sealed copy", &["grant_id", "version"], &[])
    },
    Followed {
        lapses: Lapses::InTime,
        ..all(26, "requests", "remembered request", &["account", "idempotency_key"], &["digest", "keys", "expires", "mac"])
    },
    all(27, "documents", "document", &["domain", "sha256"], &["kind", "created", "sealed"]),
    all(28, "approval_keys", "approval key", &["id"], &["account", "public_key", "name", "created", "mac"]),
    all(29, "authorisations", "authorisation", &["id"], &["domain", "generation", "record", "state", "since", "resumes_to", "reason", "ratify_by", "terminated", "ends", "mac"]),
    all(30, "authorisation_generations", "generation of an authorisation", &["authorisation", "generation"], &["record", "entered_by", "entered", "mac"]),
    all(31, "approvals", "approval", &["subject", "generation", "account"], &["decision", "time", "valid_until", "evidence", "mac"]),
    all(32, "proposals", "proposal", &["id"], &["domain", "request", "proposed_by", "created", "expires", "count", "role", "state", "mac"]),
    all(33, "disclosures", "disclosure", &["id"], &["domain", "authorisation", "generation", "executor", "executed", "items", "digest", "releaser", "released", "manifest", "leaf", "mac"]),
    all(34, "disclosure_items", "item of a disclosure", &["disclosure", "sequence"], &["authorisation", "generation", "key", "version", "record", "sealed", "mac"]),
    all(35, "held_keys", "held key", &["key", "version"], &["domain", "held", "sealed"]),
    all(36, "notifications", "notification", &["account", "disclosure"], &["domain", "due", "told", "mac"]),
];

/// Tables that are not followed, and why.
#[cfg(test)]
const OTHERS: &[(&str, &str)] = &[
    ("transcripts", "signed by the HSM; the leaf has its SHA-256"),
    (
        "outbox",
        "mail decides over no access; the leaf says what was sent",
    ),
    (
        "spent_nonces",
        "can only take a request away, and lapse in minutes",
    ),
    (
        "changes",
        "tells clients when to ask anew; what they are told then is checked itself",
    ),
    (
        "key_recipients",
        "an index; what is found through it is checked itself",
    ),
    (
        "leaf_counts",
        "drawn in the console; what decides anything is counted from the leaves themselves",
    ),
    ("leaves", "the log itself"),
    (
        "leaves_by_account",
        "an index; what is found through it is checked itself",
    ),
    (
        "leaves_by_key",
        "an index; what is found through it is checked itself",
    ),
    ("leaf_rows", "the lists themselves, held against the leaves"),
    ("tree_nodes", "recomputed from the leaves"),
    ("checkpoints", "signed by the HSM"),
    ("cosignatures", "signed by the witnesses"),
    ("feeds", "tells what a receiver was sent"),
];

/// Prepares the writer's connection: from now on it notes which rows are touched.
pub(super) fn watch(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("CREATE TEMP TABLE touched (t INTEGER NOT NULL, k1, k2, k3)")?;
    for followed in FOLLOWED {
        let Followed { number, table, .. } = followed;
        let values = |row: &str| {
            let keys = (0..3).map(|at| match followed.key.get(at) {
                Some(column) => format!("{row}.{column}"),
                None => "NULL".to_owned(),
            });
            keys.collect::<Vec<_>>().join(", ")
        };
        let mut triggers = vec![("INSERT".to_owned(), "new"), ("DELETE".to_owned(), "old")];
        if !followed.columns.is_empty() {
            triggers.push((format!("UPDATE OF {}", followed.columns.join(", ")), "new"));
        }
        for (on, row) in triggers {
            let name = format!("followed_{table}_{row}_{}", &on[..6]);
            let when = followed
                .but
                .map(|(column, value)| format!("WHEN {row}.{column} <> {value}"))
                .unwrap_or_default();
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER {name} AFTER {on} ON main.{table} {when}
                 BEGIN INSERT INTO touched VALUES ({number}, {}); END",
                values(row)
            ))?;
        }
    }
    Ok(())
}

impl Rows<'_> {
    /// The list of the rows that were touched since it was last asked: empty where there are none.
    pub(super) fn take_touched(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut touched = self.touched()?;
        if touched.is_empty() {
            return Ok(Vec::new());
        }
        self.untouch()?;
        // In the order in which they were first touched.
        let mut listed = std::collections::BTreeSet::new();
        touched.retain(|(number, key)| listed.insert((*number, key_bytes(key))));
        let mut list = Vec::with_capacity(touched.len() * 64);
        for (number, key) in touched {
            let followed = by_number(number)?;
            let bytes = key_bytes(&key);
            let hash = self.hash_of(followed, &key)?;
            list.push(number);
            let length = u16::try_from(bytes.len()).map_err(|_| StoreError::ActFailed)?;
            list.extend(length.to_be_bytes());
            list.extend(&bytes);
            match hash {
                None => list.push(0),
                Some(hash) => {
                    list.push(1);
                    list.extend(hash);
                }
            }
        }
        Ok(list)
    }

    fn touched(&self) -> Result<Vec<(u8, Vec<Value>)>, StoreError> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT t, k1, k2, k3 FROM temp.touched ORDER BY rowid")?;
        let mut rows = statement.query([])?;
        let mut touched = Vec::new();
        while let Some(row) = rows.next()? {
            let number: u8 = row.get(0)?;
            let parts = by_number(number)?.key.len();
            let key = (1..=parts).map(|at| row.get(at));
            touched.push((number, key.collect::<Result<Vec<Value>, _>>()?));
        }
        Ok(touched)
    }

    /// What was touched since it was last asked is no change that the log tells of.
    pub(super) fn untouch(&mut self) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM temp.touched")?
            .execute([])?;
        Ok(())
    }

    fn hash_of(&self, followed: &Followed, key: &[Value]) -> Result<Option<[u8; 32]>, StoreError> {
        let conditions: Vec<String> = (1..)
            .zip(followed.key)
            .map(|(at, column)| format!("{column} = ?{at}"))
            .collect();
        let mut statement = self.connection().prepare_cached(&format!(
            "SELECT {} FROM {} WHERE {}",
            selected(followed),
            followed.table,
            conditions.join(" AND ")
        ))?;
        let mut rows = statement.query(params_from_iter(key))?;
        let row = rows.next()?;
        row.map(|row| row_hash(followed, row)).transpose()
    }

    /// Every row of a followed table after this key, at most so many, by its key.
    pub(super) fn followed_page(
        &self,
        followed: &Followed,
        after: Option<&RowKey>,
        limit: u32,
    ) -> Result<Vec<FollowedRow>, StoreError> {
        let columns = followed.key.join(", ");
        let mut values = match after {
            Some(key) => values_of(&key.0).ok_or(StoreError::MalformedRow("row key"))?,
            None => Vec::new(),
        };
        let mut conditions = Vec::new();
        if !values.is_empty() {
            let places: Vec<String> = (1..=values.len()).map(|at| format!("?{at}")).collect();
            conditions.push(format!("({columns}) > ({})", places.join(", ")));
        }
        if let Some((column, value)) = followed.but {
            conditions.push(format!("{column} <> {value}"));
        }
        let condition = if conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", conditions.join(" AND "))
        };
        values.push(Value::Integer(limit.into()));
        let mut statement = self.connection().prepare_cached(&format!(
            "SELECT {} FROM {} {condition} ORDER BY {columns} LIMIT ?{}",
            selected(followed),
            followed.table,
            values.len()
        ))?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let key = (0..followed.key.len()).map(|at| row.get(at));
            let key = key.collect::<Result<Vec<Value>, _>>()?;
            found.push(FollowedRow {
                key: RowKey(key_bytes(&key)),
                hash: row_hash(followed, row)?,
            });
        }
        Ok(found)
    }

    /// Whether there is a row with this key.
    pub(super) fn followed_exists(
        &self,
        followed: &Followed,
        key: &RowKey,
    ) -> Result<bool, StoreError> {
        let values = values_of(&key.0).ok_or(StoreError::MalformedRow("row key"))?;
        Ok(self.hash_of(followed, &values)?.is_some())
    }

    /// Notes rows of a table after this key as touched, at most so many. Answers the last one's key; none where there are no more.
    pub(super) fn touch_page(
        &mut self,
        followed: &Followed,
        after: Option<&RowKey>,
        limit: u32,
    ) -> Result<Option<RowKey>, StoreError> {
        let page = self.followed_page(followed, after, limit)?;
        for row in &page {
            let mut values = vec![Value::Integer(followed.number.into())];
            values.extend(values_of(&row.key.0).ok_or(StoreError::MalformedRow("row key"))?);
            values.resize(4, Value::Null);
            self.connection()
                .prepare_cached("INSERT INTO temp.touched VALUES (?1, ?2, ?3, ?4)")?
                .execute(params_from_iter(values))?;
        }
        Ok(page.into_iter().last().map(|row| row.key))
    }
}

/// The table with this number.
pub(super) fn by_number(number: u8) -> Result<&'static Followed, StoreError> {
    let at = usize::from(number).checked_sub(1);
    at.and_then(|at| FOLLOWED.get(at))
        .ok_or(StoreError::MalformedRow("row list"))
}

fn selected(followed: &Followed) -> String {
    let columns: Vec<&str> = followed
        .key
        .iter()
        .chain(followed.columns)
        .copied()
        .collect();
    columns.join(", ")
}

/// The hash of a row whose columns were selected as [`selected`] says.
fn row_hash(followed: &Followed, row: &Row<'_>) -> Result<[u8; 32], StoreError> {
    let mut hash = Sha256::new_with_prefix([followed.number]);
    let mut value = Vec::new();
    for at in 0..followed.key.len() + followed.columns.len() {
        value.clear();
        write_value(&mut value, row.get_ref(at)?);
        hash.update(&value);
    }
    Ok(hash.finalize().into())
}

fn key_bytes(key: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in key {
        write_value(&mut bytes, value.into());
    }
    bytes
}

fn write_value(to: &mut Vec<u8>, value: ValueRef<'_>) {
    let sized = |to: &mut Vec<u8>, kind: u8, bytes: &[u8]| {
        to.push(kind);
        to.extend((bytes.len() as u64).to_be_bytes());
        to.extend(bytes);
    };
    match value {
        ValueRef::Null => to.push(0),
        ValueRef::Integer(number) => {
            to.push(1);
            to.extend(number.to_be_bytes());
        }
        // No column has that type; where an edited row has, it is another value than any.
        ValueRef::Real(number) => sized(to, 4, &number.to_be_bytes()),
        ValueRef::Text(text) => sized(to, 2, text),
        ValueRef::Blob(bytes) => sized(to, 3, bytes),
    }
}

/// The values of a key; none where they are not spelled as above.
pub(super) fn values_of(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        if kind == 0 {
            values.push(Value::Null);
            bytes = rest;
            continue;
        }
        let (number, rest) = rest.split_first_chunk::<8>()?;
        if kind == 1 {
            values.push(Value::Integer(i64::from_be_bytes(*number)));
            bytes = rest;
            continue;
        }
        let length = usize::try_from(u64::from_be_bytes(*number)).ok()?;
        let (value, rest) = rest.split_at_checked(length)?;
        values.push(match kind {
            2 => Value::Text(String::from_utf8(value.to_vec()).ok()?),
            3 => Value::Blob(value.to_vec()),
            _ => return None,
        });
        bytes = rest;
    }
    Some(values)
}

/// The parts of a key, for people: numbers and texts as they are, 16 bytes as an identifier, other bytes in hexadecimal.
pub(crate) fn key_parts(key: &RowKey) -> Option<Vec<String>> {
    let part = |value| match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Blob(bytes) => match <[u8; 16]>::try_from(bytes.as_slice()) {
            Ok(id) => AccountId::from_bytes(id).to_string(),
            Err(_) => seal::hex(&bytes),
        },
        Value::Null | Value::Real(_) => "-".to_owned(),
    };
    Some(values_of(&key.0)?.into_iter().map(part).collect())
}

impl Followed {
    /// Whether a row with this key may be gone although no leaf says so.
    pub(super) fn may_be_gone(&self, key: &RowKey) -> bool {
        match self.lapses {
            Lapses::Never => false,
            Lapses::InTime => true,
            Lapses::Kind(kind) => {
                let values = values_of(&key.0).unwrap_or_default();
                values.last() == Some(&Value::Integer(kind))
            }
        }
    }
}

#[cfg(test)]
mod tests;
