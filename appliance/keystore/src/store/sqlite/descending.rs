//! Identifiers that stand in several indexes at once, the highest first.
//!
//! What one holds of somebody's is where two indexes agree, each in the order of identifiers. The search follows the one that is behind: it asks each for the
//! highest at or below where the other stands. So a few that agree are found among a million that do not in a few steps.

use std::collections::VecDeque;

use rusqlite::{CachedStatement, Connection, params};

use crate::store::StoreError;

/// The most that are read ahead from an index whose identifiers are wanted one after another.
const MOST_AHEAD: u32 = 256;
const WHAT: &str = "key";

/// An identifier as a number: the order is that of its bytes.
pub(super) type Position = u128;

/// The identifiers that one account has in an index.
pub(super) struct Descending<'a> {
    statement: CachedStatement<'a>,
    account: [u8; 16],
    /// None below this.
    lowest: Position,
    /// None above this.
    highest: Position,
    ahead: VecDeque<Position>,
    /// How many are read the next time.
    length: u32,
    /// Whether all have been read.
    over: bool,
}

impl<'a> Descending<'a> {
    /// `sql` answers at most `?3` identifiers at or below `?2` of the account `?1`, the highest first.
    pub(super) fn new(
        connection: &'a Connection,
        sql: &str,
        account: [u8; 16],
    ) -> Result<Self, StoreError> {
        Ok(Self {
            statement: connection.prepare_cached(sql)?,
            account,
            lowest: 0,
            highest: Position::MAX,
            ahead: VecDeque::new(),
            length: 1,
            over: false,
        })
    }

    /// Only those from `lowest` to `highest`.
    pub(super) const fn between(mut self, lowest: Position, highest: Position) -> Self {
        self.lowest = lowest;
        self.highest = highest;
        self
    }

    /// The highest at or below `at`, which is never above what was asked for before.
    fn at_most(&mut self, at: Position) -> Result<Option<Position>, StoreError> {
        let at = at.min(self.highest);
        let mut passed = 0;
        while self.ahead.front().is_some_and(|next| *next > at) {
            self.ahead.pop_front();
            passed += 1;
        }
        if self.ahead.is_empty() && !self.over {
            // One that was jumped over is read anew from there; one that is used to the end is read ahead.
            self.length = if passed <= 1 {
                (self.length * 2).min(MOST_AHEAD)
            } else {
                1
            };
            self.read(at)?;
        }
        Ok(self
            .ahead
            .front()
            .copied()
            .filter(|next| *next >= self.lowest))
    }

    fn read(&mut self, at: Position) -> Result<(), StoreError> {
        let mut rows =
            self.statement
                .query(params![self.account, at.to_be_bytes(), self.length])?;
        while let Some(row) = rows.next()? {
            let id: [u8; 16] = row
                .get_ref(0)?
                .as_blob()
                .ok()
                .and_then(|id| id.try_into().ok())
                .ok_or(StoreError::MalformedRow(WHAT))?;
            self.ahead.push_back(Position::from_be_bytes(id));
        }
        self.over = self.ahead.len() < self.length as usize;
        Ok(())
    }
}

/// A step of a search.
pub(super) enum Step {
    /// This one stands in one of the first indexes and in all the others.
    Found(Position),
    /// Nothing more above this: look from here on.
    Behind(Position),
    /// There are no more.
    Over,
}

/// What stands in any of some indexes and in all of others.
pub(super) struct Common<'a> {
    /// In one of these.
    pub(super) any: Vec<Descending<'a>>,
    /// And in each of these.
    pub(super) all: Vec<Descending<'a>>,
}

impl Common<'_> {
    /// Looks once into each index, for what is at or below `at`.
    pub(super) fn step(&mut self, at: Position) -> Result<Step, StoreError> {
        let mut highest = None;
        for index in &mut self.any {
            highest = highest.max(index.at_most(at)?);
        }
        let Some(highest) = highest else {
            return Ok(Step::Over);
        };
        let mut lowest = highest;
        for index in &mut self.all {
            match index.at_most(lowest)? {
                Some(next) => lowest = next,
                None => return Ok(Step::Over),
            }
        }
        Ok(if lowest == highest {
            Step::Found(highest)
        } else {
            // All between them is missing from one of the indexes.
            Step::Behind(lowest)
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn common(of: &Connection, any: &[u8], all: &[u8]) -> Vec<Position> {
        let sql = "SELECT id FROM held WHERE account = ?1 AND id <= ?2 ORDER BY id DESC LIMIT ?3";
        let index = |account: &u8| Descending::new(of, sql, [*account; 16]).unwrap();
        let mut common = Common {
            any: any.iter().map(index).collect(),
            all: all.iter().map(index).collect(),
        };
        let (mut found, mut at) = (Vec::new(), Position::MAX);
        loop {
            match common.step(at).unwrap() {
                Step::Found(id) => {
                    found.push(id);
                    at = id - 1;
                }
                Step::Behind(next) => at = next,
                Step::Over => return found,
            }
        }
    }

    #[test]
    fn what_stands_in_one_of_the_first_and_in_all_others_is_found_once() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE held (account BLOB, id BLOB, PRIMARY KEY (account, id)) WITHOUT ROWID")
            .unwrap();
        let held = [
            (1_u8, (1..2000).collect::<Vec<u128>>()),
            (2, (1..4000).step_by(3).collect()),
            (3, vec![5, 7, 1000, 1001, 2500, 3998]),
            (4, (1..4000).rev().step_by(7).collect()),
        ];
        for (account, ids) in &held {
            for id in ids {
                connection
                    .execute(
                        "INSERT INTO held VALUES (?1, ?2)",
                        params![[*account; 16], id.to_be_bytes()],
                    )
                    .unwrap();
            }
        }
        let of = |account: u8| &held.iter().find(|(held, _)| *held == account).unwrap().1;
        for (any, all) in [
            (&[1_u8][..], &[][..]),
            (&[1, 2], &[]),
            (&[1], &[3]),
            (&[1, 2], &[3]),
            (&[2], &[3, 4]),
            (&[1, 3], &[4, 2]),
            (&[9], &[1]),
            (&[1], &[9]),
        ] {
            let is_held = |account: &u8, id: &u128| *account != 9 && of(*account).contains(id);
            let expected: Vec<u128> = (1..4000)
                .rev()
                .filter(|id| any.iter().any(|account| is_held(account, id)))
                .filter(|id| all.iter().all(|account| is_held(account, id)))
                .collect();
            assert_eq!(common(&connection, any, all), expected, "{any:?} {all:?}");
        }
    }
}
