//! The audit tree: leaves, what they are found by, nodes and checkpoints.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{Connection, Row, ToSql, params, params_from_iter};
use sha2::{Digest as _, Sha256};
use strongroom_audit::tree::{NodeReadError, NodeReader, RightEdge};
use strongroom_audit::{Event, Hash, Leaf};
use strongroom_wire::id::AccountId;

use super::rows::{Pending, Rows, Tail, all, array, count, flag, number, one};
use crate::store::{
    DomainNumber, LeafCount, LeafFilter, LeafRecord, ReadAudit, StoreError, WriteAudit,
};

const LEAF: &str = "SELECT l.idx, l.envelope, l.salt, l.detail FROM leaves l";

/// The right edge of every domain's tree, as it stands in the database.
pub(super) fn load_edges(
    connection: &Connection,
) -> Result<BTreeMap<DomainNumber, RightEdge>, StoreError> {
    let domains = all(
        &mut connection.prepare_cached("SELECT number FROM domains")?,
        [],
        |row| number::<DomainNumber>(row, "number", "domain"),
    )?;
    domains
        .into_iter()
        .map(|domain| {
            let size = tree_size(connection, domain)?;
            let edge = RightEdge::load(size, &Nodes { connection, domain }).map_err(|error| {
                StoreError::File(format!("The audit tree cannot be read: {error}."))
            })?;
            Ok((domain, edge))
        })
        .collect()
}

/// Tells the rows of a transaction where each domain's tree ends.
pub(super) fn set_tails(rows: &mut Rows<'_>, edges: &BTreeMap<DomainNumber, RightEdge>) {
    for (domain, edge) in edges {
        rows.tails.insert(
            *domain,
            Tail {
                size: edge.size(),
                appended: Vec::new(),
            },
        );
    }
}

/// Stores the new nodes of every tree that grew and answers the new edges, which hold once the transaction has committed.
pub(super) fn store_nodes(
    connection: &Connection,
    edges: &BTreeMap<DomainNumber, RightEdge>,
    tails: BTreeMap<DomainNumber, Tail>,
) -> Result<BTreeMap<DomainNumber, RightEdge>, StoreError> {
    let mut grown = BTreeMap::new();
    for (domain, tail) in tails {
        if tail.appended.is_empty() {
            continue;
        }
        let mut edge = match edges.get(&domain) {
            Some(edge) => edge.clone(),
            None => RightEdge::load(0, &Nodes { connection, domain }).map_err(|error| {
                StoreError::File(format!("The audit tree cannot begin: {error}."))
            })?,
        };
        let mut insert = connection
            .prepare_cached("INSERT INTO tree_nodes (domain, idx, hash) VALUES (?1, ?2, ?3)")?;
        for (index, hash) in edge.append(&tail.appended) {
            insert.execute(params![domain, count(index), hash.0])?;
        }
        grown.insert(domain, edge);
    }
    Ok(grown)
}

impl ReadAudit for Rows<'_> {
    fn tree_size(&self, domain: DomainNumber) -> Result<u64, StoreError> {
        let pending = self.pending.as_ref();
        if let Some(leaf) = pending.filter(|leaf| leaf.domain == domain) {
            return Ok(leaf.index + 1);
        }
        match self.tails.get(&domain) {
            Some(tail) => Ok(tail.size + tail.appended.len() as u64),
            None => tree_size(self.connection(), domain),
        }
    }

    fn leaf(&self, domain: DomainNumber, index: u64) -> Result<Option<LeafRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{LEAF} WHERE l.domain = ?1 AND l.idx = ?2"))?,
            params![domain, count(index)],
            leaf,
        )
    }

    fn find_leaves(
        &self,
        domain: DomainNumber,
        filter: &LeafFilter,
    ) -> Result<Vec<LeafRecord>, StoreError> {
        // The statement is put together from fixed pieces; every value is bound. Walking the narrowest index backwards
        // finds the newest first without sorting.
        let mut sql = LEAF.to_owned();
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        let mut walked = "l";
        if let Some(account) = filter.concerning {
            sql.push_str(
                " JOIN leaves_by_account a ON a.domain = l.domain AND a.idx = l.idx AND a.account = ?",
            );
            values.push(Box::new(*account.as_bytes()));
            walked = "a";
        }
        if let Some(key) = filter.key {
            sql.push_str(
                " JOIN leaves_by_key k ON k.domain = l.domain AND k.idx = l.idx AND k.key = ?",
            );
            values.push(Box::new(*key.as_bytes()));
            walked = "k";
        }
        let mut condition = |text: String, value: Box<dyn ToSql>| {
            sql.push_str(&text);
            values.push(value);
        };
        condition(format!(" WHERE {walked}.domain = ?"), Box::new(domain));
        if let Some(before) = filter.before {
            condition(format!(" AND {walked}.idx < ?"), Box::new(count(before)));
        }
        if let Some(after) = filter.after {
            condition(format!(" AND {walked}.idx > ?"), Box::new(count(after)));
        }
        condition(
            format!(" ORDER BY {walked}.idx DESC LIMIT ?"),
            Box::new(filter.limit),
        );
        all(
            &mut self.connection().prepare_cached(&sql)?,
            params_from_iter(values),
            leaf,
        )
    }

    fn leaves_from(
        &self,
        domain: DomainNumber,
        first: u64,
        limit: u32,
    ) -> Result<Vec<LeafRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{LEAF} WHERE l.domain = ?1 AND l.idx >= ?2 ORDER BY l.idx LIMIT ?3"
            ))?,
            params![domain, count(first), limit],
            leaf,
        )
    }

    fn leaves_concerning(
        &self,
        domain: DomainNumber,
        account: AccountId,
        leaves: Range<u64>,
        limit: u32,
    ) -> Result<Vec<LeafRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{LEAF} JOIN leaves_by_account a ON a.domain = l.domain AND a.idx = l.idx
                 WHERE a.account = ?1 AND a.domain = ?2 AND a.idx >= ?3 AND a.idx < ?4
                 ORDER BY a.idx LIMIT ?5"
            ))?,
            params![
                account.as_bytes(),
                domain,
                count(leaves.start),
                count(leaves.end),
                limit
            ],
            leaf,
        )
    }

    fn envelopes(
        &self,
        domain: DomainNumber,
        leaves: Range<u64>,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT idx, envelope FROM leaves
                 WHERE domain = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx",
            )?,
            params![domain, count(leaves.start), count(leaves.end)],
            |row| Ok((number(row, "idx", "leaf")?, row.get("envelope")?)),
        )
    }

    fn nodes_in(
        &self,
        domain: DomainNumber,
        indexes: Range<u64>,
    ) -> Result<Vec<(u64, [u8; 32])>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT idx, hash FROM tree_nodes
                 WHERE domain = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx",
            )?,
            params![domain, count(indexes.start), count(indexes.end)],
            |row| {
                Ok((
                    number(row, "idx", "tree node")?,
                    array(row, "hash", "tree node")?,
                ))
            },
        )
    }

    fn nodes(&self, domain: DomainNumber) -> Box<dyn NodeReader + '_> {
        Box::new(Nodes {
            connection: self.connection(),
            domain,
        })
    }

    fn newest_checkpoint(&self, domain: DomainNumber) -> Result<Option<(u64, String)>, StoreError> {
        one(
            &mut self.connection().prepare_cached(
                "SELECT size, note FROM checkpoints WHERE domain = ?1 ORDER BY size DESC LIMIT 1",
            )?,
            [domain],
            checkpoint,
        )
    }

    fn recent_checkpoints(
        &self,
        domain: DomainNumber,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT size, note FROM checkpoints WHERE domain = ?1 ORDER BY size DESC LIMIT ?2",
            )?,
            params![domain, limit],
            checkpoint,
        )
    }

    fn leaf_counts(&self, domain: DomainNumber, from: u64) -> Result<Vec<LeafCount>, StoreError> {
        const WHAT: &str = "leaf count";
        all(
            &mut self.connection().prepare_cached(
                "SELECT hour, act, done, count FROM leaf_counts WHERE domain = ?1 AND hour >= ?2",
            )?,
            params![domain, count(from)],
            |row| {
                Ok(LeafCount {
                    hour: number(row, "hour", WHAT)?,
                    act: number(row, "act", WHAT)?,
                    done: flag(row, "done", WHAT)?,
                    count: number(row, "count", WHAT)?,
                })
            },
        )
    }

    fn checkpoint(&self, domain: DomainNumber, size: u64) -> Result<Option<String>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached("SELECT note FROM checkpoints WHERE domain = ?1 AND size = ?2")?,
            params![domain, count(size)],
            |row| Ok(row.get("note")?),
        )
    }

    fn checkpoints(&self, domain: DomainNumber) -> Result<Vec<(u64, String)>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT size, note FROM checkpoints WHERE domain = ?1 ORDER BY size",
            )?,
            [domain],
            checkpoint,
        )
    }
}

impl WriteAudit for Rows<'_> {
    fn append_leaf(
        &mut self,
        domain: DomainNumber,
        event: Event,
        salt: [u8; 32],
    ) -> Result<u64, StoreError> {
        let index = self.tree_size(domain)?;
        // What was changed so far belongs to this leaf; the one before says what it says.
        let rows = self.take_touched()?;
        self.store_pending()?;
        self.pending = Some(Pending {
            domain,
            index,
            event,
            salt,
            rows,
        });
        Ok(index)
    }

    fn count_leaf(
        &mut self,
        domain: DomainNumber,
        hour: u64,
        act: u16,
        done: bool,
    ) -> Result<(), StoreError> {
        self.unremembered(|connection| {
            connection
                .prepare_cached(
                    "INSERT INTO leaf_counts (domain, hour, act, done, count) VALUES (?1, ?2, ?3, ?4, 1)
                     ON CONFLICT (domain, hour, act, done) DO UPDATE SET count = count + 1",
                )?
                .execute(params![domain, count(hour), act, done])?;
            Ok(())
        })
    }

    fn record_checkpoint(
        &mut self,
        domain: DomainNumber,
        size: u64,
        note: &str,
    ) -> Result<(), StoreError> {
        self.unremembered(|connection| {
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO checkpoints (domain, size, note) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![domain, count(size), note])?;
            Ok(())
        })
    }
}

impl Rows<'_> {
    /// Stores the newest leaf of the act, which says no more than it does now.
    pub(super) fn store_pending(&mut self) -> Result<(), StoreError> {
        let Some(Pending {
            domain,
            index,
            mut event,
            salt,
            rows,
        }) = self.pending.take()
        else {
            return Ok(());
        };
        if !rows.is_empty() {
            event.detail.rows = Some(Sha256::digest(&rows).into());
            self.put_leaf_rows(domain, index, &rows)?;
        }
        let leaf = Leaf::seal(&event, salt);
        let detail = &event.detail;
        self.unremembered(|connection| {
        connection
            .prepare_cached(
                "INSERT INTO leaves (domain, idx, envelope, salt, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                domain,
                count(index),
                leaf.envelope,
                leaf.salt,
                leaf.detail
            ])?;
        let mut concerned: Vec<_> = [detail.actor, detail.subject, detail.owner]
            .into_iter()
            .flatten()
            .collect();
        concerned.sort_unstable();
        concerned.dedup();
        for account in concerned {
            connection
                .prepare_cached(
                    "INSERT INTO leaves_by_account (account, domain, idx) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![account.as_bytes(), domain, count(index)])?;
        }
        if let Some(key) = detail.key {
            connection
                .prepare_cached("INSERT INTO leaves_by_key (key, domain, idx) VALUES (?1, ?2, ?3)")?
                .execute(params![key.as_bytes(), domain, count(index)])?;
        }
            Ok(())
        })?;
        self.tails
            .entry(domain)
            .or_default()
            .appended
            .push(leaf.hash());
        Ok(())
    }
}

/// The stored nodes of one domain's tree.
struct Nodes<'a> {
    connection: &'a Connection,
    domain: DomainNumber,
}

impl NodeReader for Nodes<'_> {
    fn read_nodes(&self, indexes: &[u64]) -> Result<Vec<Hash>, NodeReadError> {
        indexes
            .iter()
            .map(|index| {
                one(
                    &mut self.connection.prepare_cached(
                        "SELECT hash FROM tree_nodes WHERE domain = ?1 AND idx = ?2",
                    )?,
                    params![self.domain, count(*index)],
                    |row| array(row, "hash", "tree node"),
                )?
                .map(Hash)
                .ok_or(StoreError::MalformedRow("tree node"))
            })
            .collect::<Result<_, StoreError>>()
            .map_err(NodeReadError::new)
    }
}

fn tree_size(connection: &Connection, domain: DomainNumber) -> Result<u64, StoreError> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(idx) FROM leaves WHERE domain = ?1")?
        .query_row([domain], |row| row.get(0))?;
    newest.map_or(Ok(0), |newest| {
        u64::try_from(newest)
            .map(|newest| newest + 1)
            .map_err(|_| StoreError::MalformedRow("leaf"))
    })
}

fn leaf(row: &Row<'_>) -> Result<LeafRecord, StoreError> {
    Ok(LeafRecord {
        index: number(row, "idx", "leaf")?,
        leaf: Leaf {
            envelope: row.get("envelope")?,
            salt: array(row, "salt", "leaf")?,
            detail: row.get("detail")?,
        },
    })
}

fn checkpoint(row: &Row<'_>) -> Result<(u64, String), StoreError> {
    Ok((number(row, "size", "checkpoint")?, row.get("note")?))
}
