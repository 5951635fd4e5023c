//! The one function that decides whether usage policies allow an act, and by which rule they do not.
//!
//! It knows nothing but its arguments: the three policies, and what is attempted.

use std::net::IpAddr;

use strongroom_wire::account::AccountKind;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::{Right, UsagePolicy};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{PolicyLevel, PolicyRule, RuleName, Verdict};
use strongroom_wire::session::SignInStrength;

use super::hours;

/// The three policies that must all allow an act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policies<'a> {
    pub(crate) domain: &'a UsagePolicy,
    pub(crate) key: &'a UsagePolicy,
    pub(crate) grant: &'a UsagePolicy,
    /// Which legacy mechanisms the domain allows.
    pub(crate) legacy: &'a [Mechanism],
}

/// What is attempted, by whom and under which circumstances. Only a preview leaves something open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) right: Right,
    /// How the appliance would use the key, where it would.
    pub(crate) mechanism: Option<Mechanism>,
    pub(crate) kind: AccountKind,
    /// How strong the session's sign-in was.
    pub(crate) strength: Option<SignInStrength>,
    /// Where the request came from.
    pub(crate) source: Option<IpAddr>,
    pub(crate) at: Timestamp,
    /// How often the key has been released over all grants.
    pub(crate) releases_of_key: u64,
    /// How often it has been released under this grant.
    pub(crate) releases_under_grant: u64,
}

/// Whether every policy allows the attempt; else the first rule that does not. What depends on something that is not known is not allowed.
pub(crate) fn decide(policies: &Policies<'_>, attempt: &Attempt) -> Result<(), RuleName> {
    match verdicts(policies, attempt).find(|(_, verdict)| *verdict != Verdict::Allowed) {
        Some((rule, _)) => Err(rule),
        None => Ok(()),
    }
}

/// What each rule says that binds the attempt, in the order of [`PolicyRule::ALL`] and, within a rule, from the domain to the grant.
pub(crate) fn verdicts<'a>(
    policies: &'a Policies<'a>,
    attempt: &'a Attempt,
) -> impl Iterator<Item = (RuleName, Verdict)> {
    let rules = PolicyRule::ALL
        .into_iter()
        .filter(|rule| binds(*rule, attempt.right));
    rules.flat_map(move |rule| {
        PolicyLevel::ALL.into_iter().filter_map(move |level| {
            let (policy, releases) = match level {
                PolicyLevel::Domain => (policies.domain, attempt.releases_of_key),
                PolicyLevel::Key => (policies.key, attempt.releases_of_key),
                PolicyLevel::Grant => (policies.grant, attempt.releases_under_grant),
            };
            let verdict = match rule {
                PolicyRule::LegacyMechanisms => legacy_verdict(level, policies.legacy, attempt)?,
                rule => verdict(rule, policy, attempt, releases)?,
            };
            Some((RuleName { level, rule }, verdict))
        })
    })
}

/// Whether a rule has a say in the exercise of a right.
const fn binds(rule: PolicyRule, right: Right) -> bool {
    match right {
        // So that whoever owns a key can always repair its policy.
        Right::Administer => false,
        Right::Share | Right::Destroy => matches!(
            rule,
            PolicyRule::Rights | PolicyRule::Kinds | PolicyRule::MinSignIn | PolicyRule::Networks
        ),
        Right::Release => !matches!(rule, PolicyRule::Mechanisms | PolicyRule::LegacyMechanisms),
        Right::Encrypt
        | Right::Decrypt
        | Right::Sign
        | Right::Verify
        | Right::Wrap
        | Right::Unwrap
        | Right::Derive => !matches!(rule, PolicyRule::OperationsOnly | PolicyRule::MaxReleases),
    }
}

/// What the domain says of a legacy mechanism; none of any other. Where no mechanism is named, none of these is meant.
fn legacy_verdict(level: PolicyLevel, legacy: &[Mechanism], attempt: &Attempt) -> Option<Verdict> {
    let mechanism = attempt
        .mechanism
        .filter(|mechanism| mechanism.is_legacy())?;
    (level == PolicyLevel::Domain).then(|| verdict_of(legacy.contains(&mechanism)))
}

const fn verdict_of(allowed: bool) -> Verdict {
    if allowed {
        Verdict::Allowed
    } else {
        Verdict::Refused
    }
}

/// What a rule of one policy says; none where the policy does not have it.
fn verdict(
    rule: PolicyRule,
    policy: &UsagePolicy,
    attempt: &Attempt,
    releases: u64,
) -> Option<Verdict> {
    let allowed = match rule {
        PolicyRule::NotBefore => policy.not_before? <= attempt.at,
        PolicyRule::NotAfter => attempt.at < policy.not_after?,
        PolicyRule::MaxReleases => releases < policy.max_releases?,
        PolicyRule::Kinds => policy.kinds.as_ref()?.contains(&attempt.kind),
        PolicyRule::Rights => policy.rights.as_ref()?.contains(&attempt.right),
        PolicyRule::OperationsOnly => {
            policy.operations_only.then_some(())?;
            false
        }
        PolicyRule::Mechanisms => {
            let mechanisms = policy.mechanisms.as_ref()?;
            let Some(mechanism) = attempt.mechanism else {
                return Some(Verdict::Depends);
            };
            mechanisms.contains(&mechanism)
        }
        PolicyRule::Hours => {
            (!policy.hours.is_empty()).then_some(())?;
            policy
                .hours
                .iter()
                .all(|hours| hours::contain(hours, attempt.at))
        }
        PolicyRule::Networks => {
            let networks = policy.networks.as_ref()?;
            let Some(source) = attempt.source else {
                return Some(Verdict::Depends);
            };
            networks.iter().any(|network| network.contains(source))
        }
        PolicyRule::MinSignIn => {
            let least = policy.min_sign_in?;
            let Some(strength) = attempt.strength else {
                return Some(Verdict::Depends);
            };
            least <= strength
        }
        // Said by the domain alone: `legacy_verdict`.
        PolicyRule::LegacyMechanisms => return None,
    };
    Some(verdict_of(allowed))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use strongroom_wire::policy::{Hours, Weekday};

    use super::*;
    use crate::policy::tests::{any_attempt, any_policy};

    proptest! {
        #[test]
        fn a_further_restriction_at_any_level_never_allows_more(
            policies in prop::array::uniform3(any_policy()), more in any_policy(), level in 0_usize..3, attempt in any_attempt(),
        ) {
            let decides = |policies: &[UsagePolicy; 3]| {
                let [domain, key, grant] = policies;
                decide(&Policies { domain, key, grant, legacy: &Mechanism::LEGACY }, &attempt).is_ok()
            };
            let none: [UsagePolicy; 3] = std::array::from_fn(|_| UsagePolicy::default());
            prop_assert!(decides(&none));
            for member in 0..10 {
                // One more member of the policy at a time, and all of them.
                let mut stricter = policies.clone();
                stricter[level] = crate::policy::strictest(&stricter[level], &only(&more, member));
                prop_assert!(decides(&policies) || !decides(&stricter));
            }
        }

        #[test]
        fn the_levels_are_alike_but_for_what_they_count(
            policy in any_policy(), attempt in any_attempt(), releases in 0_u64..5,
        ) {
            let attempt = Attempt { releases_of_key: releases, releases_under_grant: releases, ..attempt };
            let none = UsagePolicy::default();
            let of = |domain, key, grant| {
                decide(&Policies { domain, key, grant, legacy: &Mechanism::LEGACY }, &attempt).map_err(|name| name.rule)
            };
            prop_assert_eq!(of(&policy, &none, &none), of(&none, &policy, &none));
            prop_assert_eq!(of(&none, &policy, &none), of(&none, &none, &policy));
        }

        #[test]
        fn what_is_not_known_is_not_allowed_where_it_matters(
            policy in any_policy(), attempt in any_attempt(), strength: bool, source: bool, mechanism: bool,
        ) {
            let none = UsagePolicy::default();
            let policies = Policies { domain: &none, key: &policy, grant: &none, legacy: &Mechanism::LEGACY };
            let vague = Attempt {
                strength: attempt.strength.filter(|_| strength),
                source: attempt.source.filter(|_| source),
                mechanism: attempt.mechanism.filter(|_| mechanism),
                ..attempt
            };
            if decide(&policies, &vague).is_ok() {
                prop_assert!(decide(&policies, &attempt).is_ok());
            }
            // And nothing depends on what is known.
            let depends = verdicts(&policies, &attempt).any(|(_, verdict)| verdict == Verdict::Depends);
            prop_assert!(!depends);
        }

        #[test]
        fn administering_is_never_refused(policies in prop::array::uniform3(any_policy()), attempt in any_attempt()) {
            let attempt = Attempt { right: Right::Administer, ..attempt };
            let [domain, key, grant] = &policies;
            prop_assert_eq!(decide(&Policies { domain, key, grant, legacy: &Mechanism::LEGACY }, &attempt), Ok(()));
        }
    }

    /// The policy with one of its members alone, or whole.
    fn only(policy: &UsagePolicy, member: usize) -> UsagePolicy {
        let mut only = UsagePolicy::default();
        let policy = policy.clone();
        match member {
            0 => only.not_before = policy.not_before,
            1 => only.not_after = policy.not_after,
            2 => only.max_releases = policy.max_releases,
            3 => only.networks = policy.networks,
            4 => only.kinds = policy.kinds,
            5 => only.min_sign_in = policy.min_sign_in,
            6 => only.hours = policy.hours,
            7 => only.rights = policy.rights,
            8 => only.mechanisms = policy.mechanisms,
            _ => only = policy,
        }
        only
    }

    fn attempt() -> Attempt {
        Attempt {
            right: Right::Release,
            mechanism: Some(Mechanism::AesGcm),
            kind: AccountKind::Person,
            strength: Some(SignInStrength::Password),
            source: Some("10.1.2.3".parse().unwrap()),
            // A Friday.
            at: "2026-11-27T12:00:00Z".parse().unwrap(),
            releases_of_key: 2,
            releases_under_grant: 1,
        }
    }

    fn of(member: impl FnOnce(&mut UsagePolicy)) -> UsagePolicy {
        let mut policy = UsagePolicy::default();
        member(&mut policy);
        policy
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn networks(texts: &[&str]) -> UsagePolicy {
        let networks = texts.iter().map(|text| text.parse().unwrap()).collect();
        of(|policy| policy.networks = Some(networks))
    }

    /// These hours on Fridays.
    fn fridays(spans: &[(&str, &str)]) -> UsagePolicy {
        let hours = spans.iter().map(|(from, until)| Hours {
            days: Some(vec![Weekday::Friday]),
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            zone: "Europe/Zurich".to_owned(),
        });
        of(|policy| policy.hours = hours.collect())
    }

    #[test]
    fn each_rule_bites_where_it_should_and_nowhere_else() {
        use PolicyRule as Rule;
        let uses = [Right::Release, Right::Encrypt, Right::Derive];
        let release = [Right::Release];
        let all = [Right::Release, Right::Verify, Right::Share, Right::Destroy];
        // What the policy is, what it refuses and by which rule.
        let operations = [Right::Encrypt, Right::Sign, Right::Unwrap, Right::Derive];
        let cases: [(UsagePolicy, &[Right], Rule); 11] = [
            (
                of(|p| p.not_before = Some(at("2026-11-27T12:00:00.001Z"))),
                &uses,
                Rule::NotBefore,
            ),
            (
                of(|p| p.not_after = Some(at("2026-11-27T12:00:00Z"))),
                &uses,
                Rule::NotAfter,
            ),
            (
                of(|p| p.max_releases = Some(2)),
                &release,
                Rule::MaxReleases,
            ),
            (networks(&["10.2.0.0/16"]), &all, Rule::Networks),
            (
                of(|p| p.kinds = Some(vec![AccountKind::Device])),
                &all,
                Rule::Kinds,
            ),
            (
                of(|p| p.min_sign_in = Some(SignInStrength::TwoFactor)),
                &all,
                Rule::MinSignIn,
            ),
            (fridays(&[("13:01", "18:00")]), &uses, Rule::Hours),
            (
                fridays(&[("12:00", "14:00"), ("08:00", "13:00")]),
                &uses,
                Rule::Hours,
            ),
            (
                of(|p| p.rights = Some(vec![Right::Sign])),
                &all,
                Rule::Rights,
            ),
            (
                of(|p| p.operations_only = true),
                &release,
                Rule::OperationsOnly,
            ),
            (
                of(|p| p.mechanisms = Some(vec![Mechanism::AesCtr])),
                &operations,
                Rule::Mechanisms,
            ),
        ];
        let none = UsagePolicy::default();
        for (policy, refused, rule) in &cases {
            let policies = Policies {
                domain: &none,
                key: policy,
                grant: &none,
                legacy: &Mechanism::LEGACY,
            };
            for right in Right::ALL {
                let decided = decide(&policies, &Attempt { right, ..attempt() });
                let by_rule = Err(RuleName {
                    level: PolicyLevel::Key,
                    rule: *rule,
                });
                assert!(
                    decided.is_ok() || decided == by_rule,
                    "{policy:?} {right:?} {decided:?}"
                );
                if refused.contains(&right) {
                    assert_eq!(decided, by_rule, "{policy:?} {right:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_just_met_is_allowed() {
        for policy in [
            of(|p| p.not_before = Some(at("2026-11-27T12:00:00Z"))),
            of(|p| p.not_after = Some(at("2026-11-27T12:00:00.001Z"))),
            of(|p| p.max_releases = Some(3)),
            networks(&["10.2.0.0/16", "10.1.2.3"]),
            of(|p| p.kinds = Some(vec![AccountKind::Person])),
            of(|p| p.min_sign_in = Some(SignInStrength::Password)),
            fridays(&[("13:00", "13:01")]),
            of(|p| p.rights = Some(vec![Right::Release])),
            of(|p| p.keep_for = Some(1)),
            of(|p| p.mechanisms = Some(vec![Mechanism::AesCtr])),
        ] {
            let policies = Policies {
                domain: &policy,
                key: &policy,
                grant: &policy,
                legacy: &Mechanism::LEGACY,
            };
            assert_eq!(decide(&policies, &attempt()), Ok(()), "{policy:?}");
        }
    }

    #[test]
    fn the_first_rule_that_refuses_is_named_from_the_domain_down() {
        let (near, far) = (networks(&["10.0.0.0/8"]), networks(&["192.0.2.0/24"]));
        let none = UsagePolicy::default();
        let named = |domain, key, grant| {
            decide(
                &Policies {
                    domain,
                    key,
                    grant,
                    legacy: &Mechanism::LEGACY,
                },
                &attempt(),
            )
            .map_err(|name| name.to_string())
        };
        assert_eq!(named(&none, &near, &near), Ok(()));
        assert_eq!(
            named(&near, &far, &far),
            Err("policy:key:networks".to_owned())
        );
        assert_eq!(
            named(&far, &far, &far),
            Err("policy:domain:networks".to_owned())
        );
        assert_eq!(
            named(&near, &near, &far),
            Err("policy:grant:networks".to_owned())
        );
    }

    #[test]
    fn releases_are_counted_at_their_level() {
        let most = |max_releases| UsagePolicy {
            max_releases,
            ..UsagePolicy::default()
        };
        let named = |domain, key, grant| {
            let policies = Policies {
                domain: &most(domain),
                key: &most(key),
                grant: &most(grant),
                legacy: &Mechanism::LEGACY,
            };
            decide(&policies, &attempt()).map_err(|name| name.level)
        };
        assert_eq!(named(Some(3), Some(3), Some(2)), Ok(()));
        assert_eq!(named(Some(2), None, None), Err(PolicyLevel::Domain));
        assert_eq!(named(None, Some(2), None), Err(PolicyLevel::Key));
        assert_eq!(named(None, None, Some(1)), Err(PolicyLevel::Grant));
    }

    #[test]
    fn a_legacy_mechanism_is_for_the_domain_to_allow_and_for_everyone_to_forbid() {
        let none = UsagePolicy::default();
        let raw_alone = of(|policy| policy.mechanisms = Some(vec![Mechanism::RsaRaw]));
        let decides = |legacy: &[Mechanism], key: &UsagePolicy, mechanism| {
            let attempt = Attempt {
                right: Right::Sign,
                mechanism,
                ..attempt()
            };
            let policies = Policies {
                domain: &none,
                key,
                grant: &none,
                legacy,
            };
            decide(&policies, &attempt).map_err(|name| name.to_string())
        };
        let refused = |rule: &str| Err(format!("policy:{rule}"));
        for mechanism in Mechanism::LEGACY {
            let by = Some(mechanism);
            assert_eq!(decides(&[], &none, by), refused("domain:legacy-mechanisms"));
            assert_eq!(decides(&[mechanism], &none, by), Ok(()));
        }
        // One does not stand for another, and a key's policy that names one allows nothing by that.
        let (raw, sha_1) = (Some(Mechanism::RsaRaw), Some(Mechanism::RsaPkcs1Sha1));
        let not_raw = refused("domain:legacy-mechanisms");
        assert_eq!(decides(&[Mechanism::RsaPkcs1Sha1], &none, raw), not_raw);
        assert_eq!(decides(&[], &raw_alone, raw), not_raw);
        assert_eq!(decides(&Mechanism::LEGACY, &raw_alone, raw), Ok(()));
        let others = refused("key:mechanisms");
        assert_eq!(decides(&Mechanism::LEGACY, &raw_alone, sha_1), others);
        // What is none, and what is not named, is not bound.
        assert_eq!(decides(&[], &none, Some(Mechanism::RsaPkcs1)), Ok(()));
        assert_eq!(decides(&[], &none, None), Ok(()));
    }
}
