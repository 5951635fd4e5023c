//! The lists of rows that leaves commit to (`appliance/audit/FORMAT.md`, "Rows"), and what the leaves of earlier scrubs say.

use crate::store::RowKey;
use crate::store::sqlite::{IS_THERE, WAS_THERE, WAS_TOLD};

/// The hash of a row; none where it is not there.
type RowHash = Option<[u8; 32]>;

/// What a list says of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) table: u8,
    pub(super) key: RowKey,
    /// What it is.
    pub(super) hash: RowHash,
    /// What it was before, where that is told.
    pub(super) was: Option<RowHash>,
}

/// Of how many leaves the log was that a scrub held the rows against, by its leaf's note.
pub(super) fn recorded_up_to(note: &str) -> Option<u64> {
    let (_, rest) = note.split_once(" not follow from the log of ")?;
    let (leaves, _) = rest.split_once(" leaves: ")?;
    leaves.parse().ok()
}

/// The entries of a list; none where it is not spelled as lists are.
pub(super) fn entries(mut list: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while let Some((&table, rest)) = list.split_first() {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (&said, rest) = rest.split_first()?;
        let well_formed = said & !(IS_THERE | WAS_TOLD | WAS_THERE) == 0
            && (said & WAS_THERE == 0 || said & WAS_TOLD != 0);
        if !well_formed {
            return None;
        }
        let mut rest = rest;
        let mut hash_if = |there: bool| -> Option<RowHash> {
            if !there {
                return Some(None);
            }
            let (hash, behind) = rest.split_first_chunk::<32>()?;
            rest = behind;
            Some(Some(*hash))
        };
        let hash = hash_if(said & IS_THERE != 0)?;
        let was = hash_if(said & WAS_THERE != 0)?;
        entries.push(Entry {
            table,
            key: RowKey(key.to_vec()),
            hash,
            was: (said & WAS_TOLD != 0).then_some(was),
        });
        list = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::super::ScrubReport;
    use super::*;

    fn entry(table: u8, key: &[u8], hash: RowHash, was: Option<RowHash>) -> Entry {
        Entry {
            table,
            key: RowKey(key.to_vec()),
            hash,
            was,
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_in_no_other_spelling() {
        let list = [&[24, 0, 2, 7, 7, 1][..], &[9; 32], &[21, 0, 1, 5, 0]].concat();
        let expected = vec![
            entry(24, &[7, 7], Some([9; 32]), None),
            entry(21, &[5], None, None),
        ];
        assert_eq!(entries(&list), Some(expected));
        assert_eq!(entries(&[]), Some(Vec::new()));
        for cut in 1..list.len() {
            if cut != 38 {
                assert_eq!(entries(&list[..cut]), None, "cut at {cut}");
            }
        }
        for said in [4, 5, 8, 15] {
            let list = [&[24, 0, 1, 7, said][..], &[9; 64]].concat();
            assert_eq!(entries(&list), None, "{said}");
        }
    }

    #[test]
    fn what_a_row_was_stands_behind_what_it_is() {
        for (said, hashes, hash, was) in [
            (2, 0, None, Some(None)),
            (3, 1, Some([8; 32]), Some(None)),
            (6, 1, None, Some(Some([8; 32]))),
            (7, 2, Some([8; 32]), Some(Some([9; 32]))),
        ] {
            let bytes = [[8; 32], [9; 32]].concat();
            let list = [&[24, 0, 1, 7, said][..], &bytes[..32 * hashes]].concat();
            assert_eq!(entries(&list), Some(vec![entry(24, &[7], hash, was)]));
        }
    }

    #[test]
    fn a_scrub_s_leaf_says_up_to_where_it_has_looked() {
        let mut report = ScrubReport {
            leaves: 41,
            ..ScrubReport::default()
        };
        report.add_log_problem("the log of 7 leaves: is cut".to_owned());
        assert_eq!(recorded_up_to(&report.note()), Some(41));
        report.add_log_problem("another".to_owned());
        assert_eq!(recorded_up_to(&report.note()), Some(41));
        assert_eq!(
            recorded_up_to("2 rows do not follow from the log: grant"),
            None
        );
    }
}
