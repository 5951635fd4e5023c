//! What the matrix saw, as a table.

use std::time::Duration;

use super::kvm;
use crate::terminal::{duration, say};

/// One case and how it came out.
pub(crate) struct Row {
    /// What was tried, and what has to be seen.
    pub(crate) case: &'static str,
    /// What was seen, or why it failed.
    pub(crate) outcome: Result<String, String>,
    /// How long it took.
    pub(crate) time: Duration,
}

/// Says a row as soon as it is known.
pub(crate) fn tell(row: &Row) {
    let (word, what) = match &row.outcome {
        Ok(seen) => ("ok    ", seen),
        Err(why) => ("FAILED", why),
    };
    say!("{word}  {}: {what} ({})", row.case, duration(row.time));
}

/// The page that the matrix leaves behind, with the cases that it has not come to.
pub(crate) fn page<'a>(
    rows: &[Row],
    missing: impl Iterator<Item = &'a str>,
    machine: &str,
    total: Duration,
) -> String {
    use std::fmt::Write as _;
    let mut page = format!(
        "# The image's tests\n\n`cargo xtask image --test` wrote this page, measured on {machine}, in {}.\n\n\
         | case | seen | time |\n|---|---|---|\n",
        duration(total)
    );
    for row in rows {
        let seen = match &row.outcome {
            Ok(seen) => seen.clone(),
            Err(why) => format!("**failed**: {why}"),
        };
        // A table's cell ends at a bar. Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            row.case,
            seen.replace('|', "\\|"),
            duration(row.time)
        );
    }
    for case in missing {
        let _ = writeln!(page, "| {case} | not come to | |");
    }
    page
}

/// What the measurements depend on.
pub(super) fn this_machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let how = if kvm::works() {
        "KVM"
    } else {
        "QEMU's emulation, as KVM cannot be used there"
    };
    format!("a machine with {processors} processors, by {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_in_the_table() {
        let rows = [
            Row {
                case: "a",
                outcome: Ok("seen".to_owned()),
                time: Duration::from_secs(61),
            },
            Row {
                case: "b",
                outcome: Err("x|y".to_owned()),
                time: Duration::from_secs(1),
            },
        ];
        let page = page(
            &rows,
            ["c"].into_iter(),
            "a machine",
            Duration::from_secs(62),
        );
        assert!(
            page.ends_with(
                "| a | seen | 1 min 01 s |\n| b | **failed**: x\\|y | 1.00 s |\n| c | not come to | |\n"
            ),
            "{page}"
        );
    }
}
