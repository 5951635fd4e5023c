//! The keys that sign a log's checkpoints, and the sizes that each may sign.
//!
//! A log begins with one key. Another begins when the log gets another HSM, and ends when it loses one: a `domain.checkpoint-key` leaf says so
//! in its note, [`KeyChange`].

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::checkpoint::{self, Checkpoint, CheckpointError};

/// A key of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// Its verifier key (C2SP `signed-note`, `vkey`).
    pub verifier_key: String,
    /// The size of the smallest tree that it may sign: 0 for the key with which the log began.
    pub from: u64,
    /// The size of the largest; none while the key may sign.
    pub to: Option<u64>,
}

impl LogKey {
    /// The one key of a log that has had no other.
    #[must_use]
    pub fn only(verifier_key: &str) -> Self {
        Self {
            verifier_key: verifier_key.to_owned(),
            from: 0,
            to: None,
        }
    }

    /// Whether it may sign a tree of this size.
    #[must_use]
    pub fn may_sign(&self, size: u64) -> bool {
        self.from <= size && self.to.is_none_or(|to| size <= to)
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.verifier_key)?;
        match (self.from, self.to) {
            (0, None) => Ok(()),
            (from, None) => write!(f, " (from {from} leaves)"),
            (from, Some(to)) => write!(f, " (from {from} to {to} leaves)"),
        }
    }
}

/// What the note of a `domain.checkpoint-key` leaf says: `begins VKEY` or `ends VKEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// The key may sign trees that have the leaf.
    Begins(String),
    /// The key may sign no tree that has the leaf.
    Ends(String),
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins(key) => write!(f, "begins {key}"),
            Self::Ends(key) => write!(f, "ends {key}"),
        }
    }
}

impl FromStr for KeyChange {
    type Err = ();

    fn from_str(note: &str) -> Result<Self, ()> {
        match note.split_once(' ') {
            Some(("begins", key)) => Ok(Self::Begins(key.to_owned())),
            Some(("ends", key)) => Ok(Self::Ends(key.to_owned())),
            _ => Err(()),
        }
    }
}

/// What a checkpoint says, by which key, if one of `keys` has signed it; whether it may have, [`LogKey::may_sign`] tells.
///
/// # Errors
///
/// When none has.
pub fn verify_by<'a>(
    note: &str,
    keys: &'a [LogKey],
) -> Result<(Checkpoint, &'a LogKey), CheckpointError> {
    let mut failure = CheckpointError::VerifierKey;
    for key in keys {
        match checkpoint::verify(note, &key.verifier_key) {
            Ok(checkpoint) => return Ok((checkpoint, key)),
            // That a key has signed it and it is no checkpoint says more than that another has not.
            Err(CheckpointError::Signature(_)) if failure != CheckpointError::VerifierKey => {}
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Holds what is said of a log's keys against the leaves that say it.
#[derive(Debug, Clone)]
pub(crate) struct KeyTrail {
    keys: Vec<LogKey>,
    begun: BTreeSet<usize>,
    ended: BTreeSet<usize>,
}

impl KeyTrail {
    pub(crate) fn new(keys: Vec<LogKey>) -> Self {
        Self {
            keys,
            begun: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }

    pub(crate) fn keys(&self) -> &[LogKey] {
        &self.keys
    }

    /// Takes the change that the leaf with this index records; whether it is as was said.
    pub(crate) fn change(&mut self, index: u64, note: &str) -> bool {
        let find = |change: &dyn Fn(&LogKey) -> bool| self.keys.iter().position(change);
        match note.parse() {
            Ok(KeyChange::Begins(named)) => {
                let from = index.saturating_add(1);
                find(&|key| key.verifier_key == named && key.from == from)
                    .is_some_and(|at| self.begun.insert(at))
            }
            Ok(KeyChange::Ends(named)) => {
                find(&|key| key.verifier_key == named && key.to == Some(index))
                    .is_some_and(|at| self.ended.insert(at))
            }
            Err(()) => false,
        }
    }

    /// The keys of which the leaves do not say what was said.
    pub(crate) fn untold(&self) -> Vec<&LogKey> {
        let keys = self.keys.iter().enumerate();
        keys.filter(|(at, key)| {
            (key.from > 0 && !self.begun.contains(at))
                || (key.to.is_some() && !self.ended.contains(at))
        })
        .map(|(_, key)| key)
        .collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_key_signs_within_its_sizes() {
        let key = |from, to| LogKey {
            verifier_key: "k".to_owned(),
            from,
            to,
        };
        assert!(LogKey::only("k").may_sign(0) && LogKey::only("k").may_sign(u64::MAX));
        let former = key(0, Some(7));
        assert!(former.may_sign(7) && !former.may_sign(8));
        let successor = key(8, None);
        assert!(!successor.may_sign(7) && successor.may_sign(8));
        assert_eq!(key(3, Some(7)).to_string(), "k (from 3 to 7 leaves)");
    }

    #[test]
    fn changes_read_back_and_nothing_else_is_one() {
        for change in [
            KeyChange::Begins("a+1+b".to_owned()),
            KeyChange::Ends("a+1+b".to_owned()),
        ] {
            assert_eq!(change.to_string().parse::<KeyChange>().unwrap(), change);
        }
        for note in ["", "begins", "starts a+1+b", "Begins a+1+b"] {
            assert!(note.parse::<KeyChange>().is_err(), "{note:?}");
        }
    }

    #[test]
    fn the_leaves_and_what_is_said_must_agree() {
        let key = |name: &str, from, to| LogKey {
            verifier_key: name.to_owned(),
            from,
            to,
        };
        let trail = || KeyTrail::new(vec![key("one", 0, Some(7)), key("two", 7, None)]);
        let mut good = trail();
        assert!(good.change(6, "begins two") && good.change(7, "ends one"));
        assert_eq!(good.untold(), Vec::<&LogKey>::new());
        // At another place, of another key, twice, or not at all.
        let mut bad = trail();
        assert!(!bad.change(5, "begins two"));
        assert!(!bad.change(6, "begins three"));
        assert!(!bad.change(6, "ends one"));
        assert!(bad.change(6, "begins two") && !bad.change(6, "begins two"));
        assert_eq!(bad.untold(), [&key("one", 0, Some(7))]);
    }
}
