//! Usage policies: what the key's and the grant's allow together.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::UsagePolicy;

use crate::error::Error;

/// Refuses a policy that could never allow anything.
pub(crate) fn check(policy: &UsagePolicy) -> Result<(), Error> {
    if let (Some(from), Some(until)) = (policy.not_before, policy.not_after)
        && until <= from
    {
        return Err(Error::Invalid(
            "The usage policy ends before it begins: not_after must be later than not_before."
                .to_owned(),
        ));
    }
    if policy.max_releases == Some(0) {
        return Err(Error::Invalid(
            "A usage policy that allows 0 releases allows nothing: leave max_releases out for no limit."
                .to_owned(),
        ));
    }
    Ok(())
}

/// Refuses a release that the policy does not allow now, after so many releases.
pub(crate) fn allow_release(
    policy: &UsagePolicy,
    releases: u64,
    now: Timestamp,
) -> Result<(), Error> {
    if let Some(from) = policy.not_before
        && now < from
    {
        return Err(Error::PolicyNotYetValid(from));
    }
    if let Some(until) = policy.not_after
        && until <= now
    {
        return Err(Error::PolicyExpired(until));
    }
    match policy.max_releases {
        Some(most) if most <= releases => Err(Error::PolicyReleasesUsedUp(most)),
        _ => Ok(()),
    }
}

/// The policy that allows what both allow.
pub(crate) fn strictest(a: &UsagePolicy, b: &UsagePolicy) -> UsagePolicy {
    UsagePolicy {
        not_before: a.not_before.max(b.not_before),
        not_after: lesser(a.not_after, b.not_after),
        max_releases: lesser(a.max_releases, b.max_releases),
    }
}

fn lesser<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_policy()(
            from in proptest::option::of(0_u64..20),
            until in proptest::option::of(0_u64..20),
            most in proptest::option::of(0_u64..5),
        ) -> UsagePolicy {
            UsagePolicy {
                not_before: from.map(Timestamp::from_millis),
                not_after: until.map(Timestamp::from_millis),
                max_releases: most,
            }
        }
    }

    proptest! {
        #[test]
        fn the_strictest_allows_what_both_allow(
            a in any_policy(), b in any_policy(), now in 0_u64..20, releases in 0_u64..5,
        ) {
            let now = Timestamp::from_millis(now);
            let allows = |policy: &UsagePolicy| allow_release(policy, releases, now).is_ok();
            prop_assert_eq!(allows(&strictest(&a, &b)), allows(&a) && allows(&b));
        }

        #[test]
        fn what_is_checked_allows_something(policy in any_policy()) {
            let ever = (0..20).any(|now| {
                allow_release(&policy, 0, Timestamp::from_millis(now)).is_ok()
            });
            if check(&policy).is_ok() && policy.not_after != Some(Timestamp::from_millis(0)) {
                prop_assert!(ever);
            }
        }
    }

    #[test]
    fn the_window_is_closed_at_its_start_and_open_at_its_end() {
        let policy = UsagePolicy {
            not_before: Some(Timestamp::from_millis(10)),
            not_after: Some(Timestamp::from_millis(20)),
            max_releases: Some(2),
        };
        let at = |now, releases| allow_release(&policy, releases, Timestamp::from_millis(now));
        assert!(matches!(at(9, 0), Err(Error::PolicyNotYetValid(_))));
        assert!(at(10, 1).is_ok());
        assert!(at(19, 1).is_ok());
        assert!(matches!(at(19, 2), Err(Error::PolicyReleasesUsedUp(2))));
        assert!(matches!(at(20, 0), Err(Error::PolicyExpired(_))));
    }
}
