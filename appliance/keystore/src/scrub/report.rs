//! What a scrub found.

use std::fmt;

/// How many findings a leaf names.
const MOST_NAMED: usize = 8;
/// How many findings are told one by one. All are counted.
const MOST_TOLD: usize = 100;

/// How far a scrub has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many leaves it has taken in.
    pub leaves: u64,
    /// Of how many, as far as is known.
    pub of: u64,
    /// How many rows it has held against them.
    pub rows: u64,
}

/// A row, or a leaf, that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is, such as `grant`, or `log`.
    pub what: &'static str,
    /// Which one: the parts of its key, identifiers and numbers as they are usually written.
    pub row: String,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The leaf with this index says that it is something else.
    Differs(u64),
    /// The leaf with this index says that it is gone.
    Gone(u64),
    /// The leaf with this index says that it is there, and it is not.
    Missing(u64),
    /// No leaf says that it was ever made.
    Untold,
    /// It was not what the leaves before the one with this index say when that leaf's act changed it: somebody had put something else there.
    Before(u64),
    /// Of the log itself: one sentence.
    Log(String),
}

/// What a scrub found.
#[derive(Debug, Clone, Default)]
pub struct ScrubReport {
    /// How many leaves there were.
    pub leaves: u64,
    /// How many rows were held against them.
    pub rows: u64,
    /// The first of what was found.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub count: u64,
    /// How many acts that were built on rows which somebody had put back are not told again: a leaf of an earlier scrub tells of them.
    pub recorded: u64,
    /// From which leaf on the log commits to rows; none where it does not yet.
    pub from: Option<u64>,
    /// It was asked to stop, and did not come to its end.
    pub stopped: bool,
}

impl ScrubReport {
    /// What a leaf says of the findings.
    #[must_use]
    pub fn note(&self) -> String {
        let named: Vec<String> = self
            .findings
            .iter()
            .take(MOST_NAMED)
            .map(ToString::to_string)
            .collect();
        let rows = if self.count == 1 {
            "row does"
        } else {
            "rows do"
        };
        format!(
            "{} {rows} not follow from the log of {} leaves: {}",
            self.count,
            self.leaves,
            named.join("; ")
        )
    }

    /// Adds what was found of the log by other means: one sentence.
    pub fn add_log_problem(&mut self, sentence: String) {
        self.found(Finding {
            what: "log",
            row: String::new(),
            wrong: Wrong::Log(sentence),
        });
    }

    pub(super) fn found(&mut self, finding: Finding) {
        self.count += 1;
        if self.findings.len() < MOST_TOLD {
            self.findings.push(finding);
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, row, wrong } = self;
        match wrong {
            Wrong::Differs(leaf) => write!(f, "{what} {row} is not what leaf {leaf} says"),
            Wrong::Gone(leaf) => write!(
                f,
                "{what} {row} is there, and leaf {leaf} says that it is gone"
            ),
            Wrong::Missing(leaf) => write!(
                f,
                "{what} {row} is gone, and leaf {leaf} says that it is there"
            ),
            Wrong::Untold => write!(
                f,
                "{what} {row} is there, and no leaf says that it was made"
            ),
            Wrong::Before(leaf) => write!(
                f,
                "{what} {row} was not what the log says when the act of leaf {leaf} changed it"
            ),
            Wrong::Log(sentence) => write!(f, "{sentence}"),
        }
    }
}
