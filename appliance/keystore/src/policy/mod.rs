//! Usage policies: what the domain's, the key's and the grant's allow together.
//!
//! | module | what lives there |
//! |---|---|
//! | `decide` | the one function that decides, and by which rule |
//! | `hours` | hours of the day by the clock of a time zone |
//! | `domain` | the domain's policy: shown and set |
//!
//! This file holds what a policy must be like to be taken, and the strictest of two.

pub(crate) mod decide;
mod domain;
mod hours;

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::{Right, UsagePolicy};
use strongroom_wire::policy::{LONGEST_KEEP, MOST_HOURS, MOST_NETWORKS};

use crate::error::Error;

/// The policy in its one form, in which sets are sorted; refuses one that could never allow anything.
pub(crate) fn checked(mut policy: UsagePolicy) -> Result<UsagePolicy, Error> {
    if let (Some(from), Some(until)) = (policy.not_before, policy.not_after)
        && until <= from
    {
        return invalid(
            "The usage policy ends before it begins: not_after must be later than not_before.",
        );
    }
    if policy.max_releases == Some(0) {
        return invalid(
            "A usage policy that allows 0 releases allows nothing: leave max_releases out for no limit, \
             or say operations_only.",
        );
    }
    sort(policy.networks.as_mut());
    sort(policy.kinds.as_mut());
    sort(policy.rights.as_mut());
    sort(policy.mechanisms.as_mut());
    let empty = |set: Option<usize>| set == Some(0);
    if empty(policy.networks.as_ref().map(Vec::len))
        || empty(policy.kinds.as_ref().map(Vec::len))
        || empty(policy.rights.as_ref().map(Vec::len))
        || empty(policy.mechanisms.as_ref().map(Vec::len))
    {
        return invalid(
            "A usage policy with an empty list of networks, kinds, rights or mechanisms allows nothing: leave the list out for no limit.",
        );
    }
    if policy
        .networks
        .as_ref()
        .is_some_and(|networks| networks.len() > MOST_NETWORKS)
    {
        return Err(Error::Invalid(format!(
            "A usage policy has at most {MOST_NETWORKS} networks."
        )));
    }
    if policy
        .rights
        .as_ref()
        .is_some_and(|rights| rights.contains(&Right::Administer))
    {
        return invalid(
            "A usage policy does not restrict the right to administer: leave it out of its rights.",
        );
    }
    if policy
        .keep_for
        .is_some_and(|seconds| !(1..=LONGEST_KEEP).contains(&seconds))
    {
        return Err(Error::Invalid(format!(
            "A usage policy lets clients keep material for 1 to {LONGEST_KEEP} seconds; say operations_only where they shall not have it."
        )));
    }
    if policy.hours.len() > MOST_HOURS {
        return Err(Error::Invalid(format!(
            "A usage policy has at most {MOST_HOURS} entries of hours."
        )));
    }
    for hours in &mut policy.hours {
        hours::check(hours)?;
        sort(hours.days.as_mut());
    }
    policy.hours.sort_unstable();
    policy.hours.dedup();
    Ok(policy)
}

/// The policy that allows what both allow. Where they have nothing in common it has an empty set, and [`checked`] refuses it.
pub(crate) fn strictest(a: &UsagePolicy, b: &UsagePolicy) -> UsagePolicy {
    let mut hours = a.hours.clone();
    hours.extend(b.hours.iter().cloned());
    hours.sort_unstable();
    hours.dedup();
    UsagePolicy {
        not_before: a.not_before.max(b.not_before),
        not_after: lesser(a.not_after, b.not_after),
        max_releases: lesser(a.max_releases, b.max_releases),
        networks: common(a.networks.as_ref(), b.networks.as_ref(), |a, b| a.both(*b)),
        kinds: common(a.kinds.as_ref(), b.kinds.as_ref(), same),
        min_sign_in: a.min_sign_in.max(b.min_sign_in),
        hours,
        rights: common(a.rights.as_ref(), b.rights.as_ref(), same),
        operations_only: a.operations_only || b.operations_only,
        mechanisms: common(a.mechanisms.as_ref(), b.mechanisms.as_ref(), same),
        keep_for: lesser(a.keep_for, b.keep_for),
    }
}

/// When the hours end in which this moment is, if the policy has any: the earliest end where it has several.
pub(crate) fn hours_end(policy: &UsagePolicy, at: Timestamp) -> Option<Timestamp> {
    let ends = policy.hours.iter();
    ends.filter_map(|hours| hours::end(hours, at)).min()
}

/// What a leaf says of a policy: its JSON.
pub(crate) fn describe(policy: &impl serde::Serialize) -> String {
    // Such types always have a JSON form.
    serde_json::to_string(policy).unwrap_or_default()
}

fn invalid<T>(sentence: &str) -> Result<T, Error> {
    Err(Error::Invalid(sentence.to_owned()))
}

fn sort<T: Ord>(set: Option<&mut Vec<T>>) {
    if let Some(set) = set {
        set.sort_unstable();
        set.dedup();
    }
}

fn lesser<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn same<T: Copy + PartialEq>(a: &T, b: &T) -> Option<T> {
    (a == b).then_some(*a)
}

/// What is in both sets, where there are two.
fn common<T: Copy + Ord>(
    a: Option<&Vec<T>>,
    b: Option<&Vec<T>>,
    both: impl Fn(&T, &T) -> Option<T>,
) -> Option<Vec<T>> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b).cloned();
    };
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    let mut common: Vec<T> = pairs.filter_map(|(a, b)| both(a, b)).collect();
    common.sort_unstable();
    common.dedup();
    Some(common)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::IpAddr;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};
    use strongroom_wire::account::AccountKind;
    use strongroom_wire::encoding::Timestamp;
    use strongroom_wire::operation::Mechanism;
    use strongroom_wire::policy::{Hours, Network, TimeOfDay, Weekday};
    use strongroom_wire::session::SignInStrength;

    use super::decide::{Attempt, Policies, decide};
    use super::*;

    const KINDS: [AccountKind; 3] = [
        AccountKind::Person,
        AccountKind::Device,
        AccountKind::Service,
    ];
    /// A week, from a Monday at 00:00 UTC on.
    const MONDAY: u64 = 1_764_547_200_000;

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0_u8..4, 0_u8..4).prop_map(|(a, b)| IpAddr::from([10, a, 0, b])),
            (0_u16..4, 0_u16..4).prop_map(|(a, b)| IpAddr::from([0x2001, a, 0, 0, 0, 0, 0, b])),
        ]
    }

    fn any_network() -> impl Strategy<Value = Network> {
        (any_address(), select(vec![0, 8, 14, 15, 16, 31, 32]))
            .prop_filter_map("a prefix", |(address, prefix)| {
                Network::new(address, prefix)
            })
    }

    fn any_hours() -> impl Strategy<Value = Hours> {
        (
            option::of(subsequence(Weekday::ALL.to_vec(), 1..=7)),
            0_u16..24,
            0_u16..=24,
            select(vec!["UTC", "Europe/Zurich", "America/New_York"]),
        )
            .prop_filter_map("times", |(days, from, until, zone)| {
                Some(Hours {
                    days,
                    from: TimeOfDay::from_minutes(from * 60)?,
                    until: TimeOfDay::from_minutes(until * 60)?,
                    zone: zone.to_owned(),
                })
            })
    }

    /// A policy as [`checked`] leaves it, or one that it refuses because its window is empty.
    pub(crate) fn any_policy() -> impl Strategy<Value = UsagePolicy> {
        let rights: Vec<Right> = Right::ALL[..10].to_vec();
        let window = (
            option::of(0_u64..168),
            option::of(0_u64..168),
            option::of(1_u64..5),
        );
        let who = (
            option::weighted(0.4, vec(any_network(), 1..4)),
            option::weighted(0.4, subsequence(KINDS.to_vec(), 1..=3)),
            option::weighted(0.4, select(SignInStrength::ALL.to_vec())),
        );
        let how = (
            vec(any_hours(), 0..3),
            option::weighted(0.4, subsequence(rights, 1..=10)),
            prop::bool::weighted(0.2),
            option::of(1_u32..100),
            option::weighted(0.4, subsequence(Mechanism::ALL.to_vec(), 1..=20)),
        );
        (window, who, how).prop_map(|(window, who, how)| {
            let hour = |hour: u64| Timestamp::from_millis(MONDAY + hour * 3_600_000);
            let (mut networks, mut hours) = (who.0, how.0);
            sort(networks.as_mut());
            hours.sort_unstable();
            hours.dedup();
            UsagePolicy {
                not_before: window.0.map(hour),
                not_after: window.1.map(hour),
                max_releases: window.2,
                networks,
                kinds: who.1,
                min_sign_in: who.2,
                hours,
                rights: how.1,
                operations_only: how.2,
                keep_for: how.3,
                mechanisms: how.4,
            }
        })
    }

    pub(crate) fn any_attempt() -> impl Strategy<Value = Attempt> {
        (
            select(Right::ALL.to_vec()),
            select(KINDS.to_vec()),
            select(SignInStrength::ALL.to_vec()),
            any_address(),
            0_u64..168 * 4,
            (0_u64..5, 0_u64..5),
            select(Mechanism::ALL.to_vec()),
        )
            .prop_map(
                |(right, kind, strength, source, quarter, releases, mechanism)| Attempt {
                    right,
                    mechanism: Some(mechanism),
                    kind,
                    strength: Some(strength),
                    source: Some(source),
                    at: Timestamp::from_millis(MONDAY + quarter * 900_000),
                    releases_of_key: releases.0,
                    releases_under_grant: releases.1,
                },
            )
    }

    proptest! {
        #[test]
        fn the_strictest_allows_what_both_allow(
            a in any_policy(), b in any_policy(), attempt in any_attempt(), releases in 0_u64..5,
        ) {
            let attempt = Attempt { releases_of_key: releases, releases_under_grant: releases, ..attempt };
            let none = UsagePolicy::default();
            let allows = |policy: &UsagePolicy| {
                decide(&Policies { domain: &none, key: policy, grant: &none }, &attempt).is_ok()
            };
            prop_assert_eq!(allows(&strictest(&a, &b)), allows(&a) && allows(&b));
            // At whichever levels they stand.
            let apart = decide(&Policies { domain: &a, key: &none, grant: &b }, &attempt).is_ok();
            prop_assert_eq!(apart, allows(&a) && allows(&b));
        }

        #[test]
        fn what_is_taken_is_in_its_one_form_and_says_the_same(policy in any_policy(), attempt in any_attempt()) {
            if let Ok(taken) = checked(policy.clone()) {
                prop_assert_eq!(checked(taken.clone()).ok(), Some(taken.clone()));
                let none = UsagePolicy::default();
                let says = |policy: &UsagePolicy| {
                    decide(&Policies { domain: &none, key: policy, grant: &none }, &attempt)
                };
                prop_assert_eq!(says(&taken), says(&policy));
            }
        }
    }

    #[test]
    fn what_could_never_allow_anything_is_refused() {
        let moment = |hour: u64| Some(Timestamp::from_millis(hour));
        let none = UsagePolicy::default;
        for policy in [
            UsagePolicy {
                not_before: moment(2),
                not_after: moment(2),
                ..none()
            },
            UsagePolicy {
                max_releases: Some(0),
                ..none()
            },
            UsagePolicy {
                networks: Some(Vec::new()),
                ..none()
            },
            UsagePolicy {
                kinds: Some(Vec::new()),
                ..none()
            },
            UsagePolicy {
                rights: Some(Vec::new()),
                ..none()
            },
            UsagePolicy {
                mechanisms: Some(Vec::new()),
                ..none()
            },
            UsagePolicy {
                rights: Some(vec![Right::Administer]),
                ..none()
            },
            UsagePolicy {
                keep_for: Some(0),
                ..none()
            },
        ] {
            assert!(matches!(checked(policy), Err(Error::Invalid(_))));
        }
        assert!(checked(none()).is_ok());
    }

    #[test]
    fn networks_that_are_apart_have_nothing_in_common() {
        let of = |text: &str| UsagePolicy {
            networks: Some(text.split(',').filter_map(|net| net.parse().ok()).collect()),
            ..UsagePolicy::default()
        };
        let both = strictest(
            &of("10.0.0.0/8,2001:db8::/32"),
            &of("10.1.0.0/16,192.0.2.0/24"),
        );
        assert_eq!(both, of("10.1.0.0/16"));
        let nothing = strictest(&of("10.0.0.0/8"), &of("192.0.2.0/24"));
        assert!(checked(nothing).is_err());
    }
}
