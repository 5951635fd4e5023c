//! Finding keys, the newest first, however many there are.
//!
//! A holder's keys, a sender's and a recipient's stand in indexes in the order of identifiers, which is that of time: what one search wants is what they have in
//! common. A window of time is found by bisection. Labels and states are looked at key by key, so many at most; the answer says how far that came.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};

use super::descending::{Common, Descending, Position, Step};
use super::keys::{COLUMNS, key};
use super::rows::millis;
use crate::store::{FoundKeys, KeyFilter, KeyRecord, StoreError, key_state_number};

/// How often one search looks into the database at most, for all holders together.
const MOST_LOOKED_AT: u32 = 10_000;

/// A key of which the holder has two grants, because it was revoked and shared again, stands once.
const HELD: &str = "SELECT DISTINCT key FROM grants INDEXED BY grants_by_grantee
     WHERE grantee = ?1 AND key <= ?2 ORDER BY key DESC LIMIT ?3";
const SENT: &str = "SELECT id FROM keys INDEXED BY keys_by_sender
     WHERE sender = ?1 AND id <= ?2 ORDER BY id DESC LIMIT ?3";
const RECEIVED: &str = "SELECT key FROM key_recipients
     WHERE recipient = ?1 AND key <= ?2 ORDER BY key DESC LIMIT ?3";
/// When the newest key was made that somebody holds, from among those at or below an identifier.
const MADE: &str = "SELECT g.key, k.created FROM grants g INDEXED BY grants_by_grantee CROSS JOIN keys k ON k.id = g.key
     WHERE g.grantee = ?1 AND g.key <= ?2 ORDER BY g.key DESC LIMIT 1";

/// What the holders hold together, and the filter lets through.
pub(super) fn find(
    connection: &Connection,
    holders: &[AccountId],
    filter: &KeyFilter,
) -> Result<FoundKeys, StoreError> {
    let mut common = Common {
        any: holders
            .iter()
            .map(|holder| held(connection, *holder, filter))
            .collect::<Result<_, _>>()?,
        all: Vec::new(),
    };
    for (sql, account) in [(SENT, filter.sender), (RECEIVED, filter.recipient)] {
        if let Some(account) = account {
            let index = Descending::new(connection, sql, *account.as_bytes())?;
            common.all.push(index);
        }
    }
    let (sql, values) = looking(filter);
    let mut statement = connection.prepare_cached(&sql)?;
    for (number, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(number + 2, value)?;
    }
    let mut look = |at: Position| -> Result<Option<KeyRecord>, StoreError> {
        statement.raw_bind_parameter(1, at.to_be_bytes())?;
        let mut rows = statement.raw_query();
        rows.next()?.map(key).transpose()
    };

    let mut found = FoundKeys::default();
    let Some(mut at) = filter
        .after
        .map_or(Some(Position::MAX), |after| position(after).checked_sub(1))
    else {
        return Ok(found);
    };
    for _ in 0..MOST_LOOKED_AT {
        if found.keys.len() == filter.limit as usize {
            return Ok(found);
        }
        match common.step(at)? {
            Step::Over => return Ok(found),
            Step::Behind(next) => at = next,
            Step::Found(id) => {
                found.keys.extend(look(id)?);
                match id.checked_sub(1) {
                    Some(next) => at = next,
                    None => return Ok(found),
                }
            }
        }
    }
    if found.keys.len() < filter.limit as usize {
        found.looked_until = at.checked_add(1).map(identifier);
    }
    Ok(found)
}

/// What somebody holds, within the window of time.
fn held<'a>(
    connection: &'a Connection,
    holder: AccountId,
    filter: &KeyFilter,
) -> Result<Descending<'a>, StoreError> {
    let index = Descending::new(connection, HELD, *holder.as_bytes())?;
    let lowest = filter
        .from
        .map_or(Ok(0), |from| first_at(connection, holder, from))?;
    let Some(until) = filter.until else {
        return Ok(index.between(lowest, Position::MAX));
    };
    Ok(match first_at(connection, holder, until)?.checked_sub(1) {
        Some(highest) => index.between(lowest, highest),
        // Lowest above highest: nothing.
        None => index.between(1, 0),
    })
}

/// The position from which on what somebody holds was made at or after a moment. Identifiers are in the order of time, as far as the clock is: what stands out of
/// it by a clock that was set back is found by its neighbours' time.
fn first_at(
    connection: &Connection,
    holder: AccountId,
    moment: Timestamp,
) -> Result<Position, StoreError> {
    let mut made = connection.prepare_cached(MADE)?;
    let (mut low, mut high) = (0, Position::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        let newest: Option<([u8; 16], i64)> = made
            .query_row(params![holder.as_bytes(), middle.to_be_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        match newest {
            Some((id, created)) if created >= millis(moment) => {
                high = Position::from_be_bytes(id);
            }
            _ => low = middle + 1,
        }
    }
    Ok(low)
}

/// The query for one key, where it fits the filter, and the values after its identifier. It is put together from fixed pieces; every value is bound.
fn looking(filter: &KeyFilter) -> (String, Vec<Value>) {
    let mut sql = format!("SELECT {COLUMNS} FROM keys k WHERE k.id = ?");
    let mut values = Vec::new();
    let mut condition = |text: &str, value: Value| {
        sql.push_str(text);
        values.push(value);
    };
    if let Some(label) = &filter.label {
        let pattern = label
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        condition(
            " AND k.label LIKE ? ESCAPE '\\'",
            Value::Text(format!("%{pattern}%")),
        );
    }
    if let Some(state) = filter.state {
        condition(
            " AND k.state = ?",
            Value::Integer(key_state_number(state).into()),
        );
    }
    if let Some(from) = filter.from {
        condition(" AND k.created >= ?", Value::Integer(millis(from)));
    }
    if let Some(until) = filter.until {
        condition(" AND k.created < ?", Value::Integer(millis(until)));
    }
    (sql, values)
}

fn position(id: KeyId) -> Position {
    Position::from_be_bytes(*id.as_bytes())
}

fn identifier(position: Position) -> KeyId {
    KeyId::from_bytes(position.to_be_bytes())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::store::sqlite::plans::plan_of;
    use crate::store::sqlite::schema;

    #[test]
    fn each_index_is_read_in_order_and_from_where_it_is_asked() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let (one, _) = looking(&KeyFilter {
            label: Some("report".to_owned()),
            ..KeyFilter::default()
        });
        for (sql, index) in [
            (
                HELD,
                "COVERING INDEX grants_by_grantee (grantee=? AND key<?)",
            ),
            (SENT, "COVERING INDEX keys_by_sender (sender=? AND id<?)"),
            (RECEIVED, "PRIMARY KEY (recipient=? AND key<?)"),
            (
                MADE,
                "COVERING INDEX grants_by_grantee (grantee=? AND key<?)",
            ),
            (one.as_str(), "PRIMARY KEY (id=?)"),
        ] {
            let plan = plan_of(&connection, sql);
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
    }
}
