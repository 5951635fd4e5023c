//! Which versions of a master KEK are in service, where HSMs do not hold the same.
//!
//! A new version is generated in the primary. Until the replica has it nothing may be wrapped by it, or the replica could not take over: so
//! the newest version is the newest that all hold. Older ones count where any HSM holds them: what they wrapped still opens there, and they
//! can be destroyed there.

use std::collections::BTreeSet;

/// Of what each HSM holds, the versions in service, in ascending order. An HSM that holds none is no replica yet: it does not count.
pub(super) fn in_service(lists: &[Vec<u32>]) -> Vec<u32> {
    let lists: Vec<BTreeSet<u32>> = lists
        .iter()
        .filter(|list| !list.is_empty())
        .map(|list| list.iter().copied().collect())
        .collect();
    let any: BTreeSet<u32> = lists.iter().flatten().copied().collect();
    let newest = any
        .iter()
        .rev()
        .find(|version| lists.iter().all(|list| list.contains(version)));
    any.iter()
        .copied()
        .filter(|version| newest.is_some_and(|newest| version <= newest))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_is_one_that_all_hold() {
        for (lists, expected) in [
            (&[vec![1, 2], vec![1]][..], &[1][..]),
            (&[vec![1, 2], vec![1, 2]], &[1, 2]),
            // The primary destroyed it already.
            (&[vec![2], vec![1, 2]], &[1, 2]),
            (&[vec![1, 2, 3], vec![2]], &[1, 2]),
            // No replica yet.
            (&[vec![1, 2], vec![]], &[1, 2]),
            // Not the same keys at all.
            (&[vec![1], vec![2]], &[]),
            (&[vec![]], &[]),
            (&[], &[]),
        ] {
            assert_eq!(in_service(lists), expected, "{lists:?}");
        }
    }

    proptest! {
        #[test]
        fn one_hsm_alone_is_believed(list in prop::collection::btree_set(any::<u32>(), 0..8)) {
            let list: Vec<u32> = list.into_iter().collect();
            prop_assert_eq!(in_service(std::slice::from_ref(&list)), list);
        }

        #[test]
        fn whatever_is_wrapped_by_the_newest_opens_everywhere(
            lists in prop::collection::vec(prop::collection::btree_set(1_u32..6, 1..6), 1..4),
        ) {
            let lists: Vec<Vec<u32>> = lists.into_iter().map(|list| list.into_iter().collect()).collect();
            let found = in_service(&lists);
            prop_assert!(found.is_sorted());
            if let Some(newest) = found.last() {
                prop_assert!(lists.iter().all(|list| list.contains(newest)));
            }
        }
    }
}
