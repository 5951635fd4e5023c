//! Usage policies: one type at three levels, the domain's, the key's and the grant's. The strictest wins.

mod hours;
mod network;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use hours::{Hours, MalformedTimeOfDay, TimeOfDay, Weekday};
pub use network::{MalformedNetwork, Network};

use crate::account::AccountKind;
use crate::authorisation::LawfulPolicy;
use crate::encoding::Timestamp;
use crate::id::AccountId;
use crate::invitation::AccountPolicy;
use crate::key::Right;
use crate::operation::Mechanism;
use crate::problem::Code;
use crate::proposal::QuorumRule;
use crate::session::SignInStrength;

/// The most networks of one policy.
pub const MOST_NETWORKS: usize = 64;
/// The most entries of a policy's hours.
pub const MOST_HOURS: usize = 16;
/// The longest that a client may be told to keep material, in seconds: ten years.
pub const LONGEST_KEEP: u32 = 10 * 366 * 24 * 3600;

/// When, how often, from where, by whom and for what a key may be used. Absent members restrict nothing. Where several policies apply (the
/// domain's, the key's and the grant's), all of them must allow the act.
///
/// All members bind *uses*: releases, and operations that the appliance does with the key; `mechanisms` binds operations only. `networks`, `kinds`, `min_sign_in` and `rights`
/// bind sharing and destroying, too. None binds administering the key, so that an owner can always change a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsagePolicy {
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Not at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// At most so many releases: of the domain's policy and of a key's over all grants of a key together, of a grant's policy under that
    /// grant. They are counted while a policy limits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_releases: Option<u64>,
    /// Only from one of these networks: 1 to [`MOST_NETWORKS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<Network>>,
    /// Only by accounts of these kinds. Who uses a key as a member of a group counts by the member's own kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<AccountKind>>,
    /// Only in sessions whose sign-in was at least so strong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_sign_in: Option<SignInStrength>,
    /// Only in these hours: every entry must allow the moment, so that an entry can only restrict. At most [`MOST_HOURS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<Hours>,
    /// Only these rights may be exercised, whatever the grant gives. `administer` is never restricted and does not stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Vec<Right>>,
    /// The key is not released: the appliance uses it for the caller.
    #[serde(default, skip_serializing_if = "is_false")]
    pub operations_only: bool,
    /// The appliance uses the key by these mechanisms only. What a later version of the appliance adds is not among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanisms: Option<Vec<Mechanism>>,
    /// A client may keep released material for so many seconds, 1 to [`LONGEST_KEEP`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_for: Option<u32>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Whose policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyLevel {
    /// The domain's: set by its administrators, for every key.
    Domain,
    /// The key's: set by its owner, for every grant.
    Key,
    /// The grant's: set by whoever shares, for one grantee.
    Grant,
}

impl PolicyLevel {
    /// Every level, from the widest to the narrowest.
    pub const ALL: [Self; 3] = [Self::Domain, Self::Key, Self::Grant];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Key => "key",
            Self::Grant => "grant",
        }
    }
}

/// What a policy can be made of, each a member of [`UsagePolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyRule {
    /// `not_before`.
    NotBefore,
    /// `not_after`.
    NotAfter,
    /// `max_releases`.
    MaxReleases,
    /// `networks`.
    Networks,
    /// `kinds`.
    Kinds,
    /// `min_sign_in`.
    MinSignIn,
    /// `hours`.
    Hours,
    /// `rights`.
    Rights,
    /// `operations_only`.
    OperationsOnly,
    /// `mechanisms`.
    Mechanisms,
}

impl PolicyRule {
    /// Every rule, in the order in which they are held against an act.
    pub const ALL: [Self; 10] = [
        Self::Rights,
        Self::OperationsOnly,
        Self::Mechanisms,
        Self::Kinds,
        Self::MinSignIn,
        Self::Networks,
        Self::NotBefore,
        Self::NotAfter,
        Self::Hours,
        Self::MaxReleases,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotBefore => "not-before",
            Self::NotAfter => "not-after",
            Self::MaxReleases => "max-releases",
            Self::Networks => "networks",
            Self::Kinds => "kinds",
            Self::MinSignIn => "min-sign-in",
            Self::Hours => "hours",
            Self::Rights => "rights",
            Self::OperationsOnly => "operations-only",
            Self::Mechanisms => "mechanisms",
        }
    }

    /// The problem code that a caller gets where this rule refuses.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::NotBefore => Code::PolicyNotYetValid,
            Self::NotAfter => Code::PolicyExpired,
            Self::MaxReleases => Code::PolicyReleasesUsedUp,
            Self::Mechanisms => Code::MechanismRefused,
            Self::Networks
            | Self::Kinds
            | Self::MinSignIn
            | Self::Hours
            | Self::Rights
            | Self::OperationsOnly => Code::PolicyRefused,
        }
    }
}

/// One rule of one level's policy. Written `policy:key:networks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct RuleName {
    /// Whose policy it stands in.
    pub level: PolicyLevel,
    /// Which rule it is.
    pub rule: PolicyRule,
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy:{}:{}", self.level.as_str(), self.rule.as_str())
    }
}

/// `GET /v1/keys/{key}/preview`: what to decide. What is left out about another account is not known, and what depends on it is said to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PreviewQuery {
    /// The name of the account that would act; the caller where it is absent. Another than the caller: by the key's owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it would do; `release` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<Right>,
    /// By this mechanism, where the appliance would use the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
    /// From this network address; for the caller, that of the request where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// At this moment; now where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// In a session with a sign-in of this strength; for the caller, the present session's where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignInStrength>,
}

/// What would be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It would be allowed.
    Allowed,
    /// It would be refused.
    Refused,
    /// It depends on what the query does not say.
    Depends,
}

/// The answer to [`PreviewQuery`]: what would be decided, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// Who would act.
    pub account: AccountId,
    /// Its name.
    pub account_name: String,
    /// What it would do.
    pub right: Right,
    /// At which moment.
    pub at: Timestamp,
    /// Whether it would be allowed.
    pub verdict: Verdict,
    /// Where it would be refused: the problem code that the caller would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// For the key's owner: what refuses it, or the first that it depends on. `policy:key:networks` for a policy's rule; `key:state`,
    /// `key:authenticate-each`, `account:state`, `grant:none`, `grant:revoked` or `grant:rights` for what else is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// For the key's owner: every rule of the three policies that binds this act, and what each says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleVerdict>,
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleVerdict {
    /// The rule, such as `policy:key:networks`.
    pub rule: String,
    /// What it says.
    pub verdict: Verdict,
}

/// `GET` and `PUT /v1/domain/policy`: what holds for every key, session and account of the domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainPolicy {
    /// The usage policy of every key.
    #[serde(default)]
    pub usage: UsagePolicy,
    /// Whether a session is refused when it is used from another network address than the one from which it was opened: the same address,
    /// or for IPv6 the same /64. Off where it is absent: devices that move change their address.
    #[serde(default)]
    pub bind_sessions_to_address: bool,
    /// Sharing, destroying and changing policies need a sign-in at most so many seconds ago; 0, and where it is absent: at any time in the
    /// session.
    #[serde(default)]
    pub step_up_within: u32,
    /// How accounts are recovered, and who may invite whom.
    #[serde(default)]
    pub accounts: AccountPolicy,
    /// How many people approve authorisations, and how long emergencies last.
    #[serde(default)]
    pub lawful: LawfulPolicy,
    /// Which acts take several people: at most [`MOST_QUORUMS`](crate::proposal::MOST_QUORUMS) rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quorums: Vec<QuorumRule>,
    /// How many of the appliance's witnesses must have cosigned a checkpoint over a disclosure before it goes out; 0, and where it is absent:
    /// none has to.
    #[serde(default)]
    pub witnesses: u32,
}

/// The answer to a change of the domain's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedDomainPolicy {
    /// The policy as it is now.
    pub policy: DomainPolicy,
    /// The index of the audit leaf.
    pub leaf: u64,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_are_spelt_alike_everywhere() {
        for rule in PolicyRule::ALL {
            let json = serde_json::to_string(&rule).unwrap();
            assert_eq!(json, format!("{:?}", rule.as_str()));
        }
        for level in PolicyLevel::ALL {
            let json = serde_json::to_string(&level).unwrap();
            assert_eq!(json, format!("{:?}", level.as_str()));
        }
        let name = RuleName {
            level: PolicyLevel::Key,
            rule: PolicyRule::Networks,
        };
        assert_eq!(name.to_string(), "policy:key:networks");
    }

    #[test]
    fn a_policy_reads_as_it_is_written_and_a_misspelt_restriction_is_an_error() {
        let text = r#"{"not_after":"2026-11-27T18:00:00Z","max_releases":3,"networks":["10.0.0.0/8","2001:db8::/32"],
            "kinds":["person","device"],"min_sign_in":"two-factor",
            "hours":[{"days":["monday"],"from":"08:00","until":"18:00","zone":"Europe/Zurich"}],
            "rights":["release"],"operations_only":true,"mechanisms":["aes-gcm","ecdsa-sha-256"],"keep_for":60}"#;
        let policy: UsagePolicy = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<UsagePolicy>(&again).unwrap(), policy);
        assert!(serde_json::from_str::<UsagePolicy>(r#"{"network":["10.0.0.0/8"]}"#).is_err());
        let nothing = serde_json::to_string(&UsagePolicy::default()).unwrap();
        assert_eq!(nothing, "{}");
    }
}
