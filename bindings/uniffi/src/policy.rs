//! Usage policies.

use std::time::SystemTime;

use strongroom_wire::policy as wire;

use crate::StrongroomError;
use crate::keys::{Right, moment, rights, timestamp, to_rights};
use crate::operations::Mechanism;

/// Names an enum's values once, for both directions.
macro_rules! mirror {
    ($(#[$meta:meta])* $ours:ident = $theirs:path { $($(#[doc = $doc:literal])* $name:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, uniffi::Enum)]
        pub enum $ours {
            $($(#[doc = $doc])* $name,)*
        }

        impl From<$ours> for $theirs {
            fn from(value: $ours) -> Self {
                match value {
                    $($ours::$name => Self::$name,)*
                }
            }
        }

        impl From<$theirs> for $ours {
            fn from(value: $theirs) -> Self {
                use $theirs as Theirs;
                match value {
                    $(Theirs::$name => Self::$name,)*
                }
            }
        }
    };
}
pub(crate) use mirror;

mirror! {
    /// What an account stands for.
    AccountKind = strongroom_wire::account::AccountKind {
        /// A human being.
        Person,
        /// A machine that holds a secret of its own.
        Device,
        /// An application.
        Service,
        /// A set of accounts. Nobody signs in as a group.
        Group,
    }
}

mirror! {
    /// How strong a sign-in was, from the weakest to the strongest.
    SignInStrength = strongroom_wire::session::SignInStrength {
        /// With a secret that a machine keeps.
        Secret,
        /// With a password that a person knows.
        Password,
        /// With a password and a second factor.
        TwoFactor,
        /// With a passkey, which no imitated page can be given.
        Passkey,
    }
}

mirror! {
    /// A day of the week.
    Weekday = wire::Weekday {
        /// Monday.
        Monday,
        /// Tuesday.
        Tuesday,
        /// Wednesday.
        Wednesday,
        /// Thursday.
        Thursday,
        /// Friday.
        Friday,
        /// Saturday.
        Saturday,
        /// Sunday.
        Sunday,
    }
}

/// Hours in which a key may be used.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Hours {
    /// On these days; on every day where it is absent.
    pub days: Option<Vec<Weekday>>,
    /// From this time of day on, such as `08:00`.
    pub from: String,
    /// Until this time of day, such as `18:00`; `24:00` is midnight.
    pub until: String,
    /// The time zone, such as `Europe/Zurich`.
    pub zone: String,
}

/// When, how often, from where, by whom and for what a key may be used. Absent members restrict nothing; where several policies apply, all of
/// them must allow the act.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct UsagePolicy {
    /// Not before this moment.
    #[uniffi(default = None)]
    pub not_before: Option<SystemTime>,
    /// Not at or after this moment.
    #[uniffi(default = None)]
    pub not_after: Option<SystemTime>,
    /// At most so many releases.
    #[uniffi(default = None)]
    pub max_releases: Option<u64>,
    /// Only from one of these networks, such as `10.0.0.0/8`.
    #[uniffi(default = None)]
    pub networks: Option<Vec<String>>,
    /// Only by accounts of these kinds.
    #[uniffi(default = None)]
    pub kinds: Option<Vec<AccountKind>>,
    /// Only in sessions whose sign-in was at least so strong.
    #[uniffi(default = None)]
    pub min_sign_in: Option<SignInStrength>,
    /// Only in these hours: every entry must allow the moment.
    #[uniffi(default = [])]
    pub hours: Vec<Hours>,
    /// Only these rights may be exercised, whatever the grant gives.
    #[uniffi(default = None)]
    pub rights: Option<Vec<Right>>,
    /// The key is not released: the appliance uses it for the caller.
    #[uniffi(default = false)]
    pub operations_only: bool,
    /// The appliance uses the key by these mechanisms only.
    #[uniffi(default = None)]
    pub mechanisms: Option<Vec<Mechanism>>,
    /// Released material may be kept for so many seconds.
    #[uniffi(default = None)]
    pub keep_for: Option<u32>,
}

impl TryFrom<Hours> for wire::Hours {
    type Error = StrongroomError;

    fn try_from(hours: Hours) -> Result<Self, Self::Error> {
        let time = |text: &str| {
            text.parse()
                .map_err(|_| StrongroomError::invalid("a time of day is written as 08:00"))
        };
        Ok(Self {
            days: hours
                .days
                .map(|days| days.into_iter().map(Into::into).collect()),
            from: time(&hours.from)?,
            until: time(&hours.until)?,
            zone: hours.zone,
        })
    }
}

impl TryFrom<UsagePolicy> for wire::UsagePolicy {
    type Error = StrongroomError;

    fn try_from(policy: UsagePolicy) -> Result<Self, Self::Error> {
        let networks = policy.networks.map(|networks| {
            let parse = |text: &String| {
                text.parse()
                    .map_err(|_| StrongroomError::invalid("a network is written as 10.0.0.0/8"))
            };
            networks.iter().map(parse).collect()
        });
        let hours = policy.hours.into_iter().map(TryInto::try_into);
        Ok(Self {
            not_before: policy.not_before.map(timestamp),
            not_after: policy.not_after.map(timestamp),
            max_releases: policy.max_releases,
            networks: networks.transpose()?,
            kinds: policy
                .kinds
                .map(|kinds| kinds.into_iter().map(Into::into).collect()),
            min_sign_in: policy.min_sign_in.map(Into::into),
            hours: hours.collect::<Result<_, _>>()?,
            rights: policy.rights.map(to_rights),
            operations_only: policy.operations_only,
            mechanisms: policy
                .mechanisms
                .map(|mechanisms| mechanisms.into_iter().map(Into::into).collect()),
            keep_for: policy.keep_for,
        })
    }
}

impl From<wire::UsagePolicy> for UsagePolicy {
    fn from(policy: wire::UsagePolicy) -> Self {
        let hours = |hours: wire::Hours| Hours {
            days: hours
                .days
                .map(|days| days.into_iter().map(Into::into).collect()),
            from: hours.from.to_string(),
            until: hours.until.to_string(),
            zone: hours.zone,
        };
        Self {
            not_before: policy.not_before.map(moment),
            not_after: policy.not_after.map(moment),
            max_releases: policy.max_releases,
            networks: policy
                .networks
                .map(|networks| networks.iter().map(ToString::to_string).collect()),
            kinds: policy
                .kinds
                .map(|kinds| kinds.into_iter().map(Into::into).collect()),
            min_sign_in: policy.min_sign_in.map(Into::into),
            hours: policy.hours.into_iter().map(hours).collect(),
            rights: policy.rights.map(rights),
            operations_only: policy.operations_only,
            mechanisms: policy
                .mechanisms
                .map(|mechanisms| mechanisms.into_iter().map(Into::into).collect()),
            keep_for: policy.keep_for,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_policy_survives_both_ways() {
        let policy = UsagePolicy {
            not_before: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)),
            not_after: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)),
            max_releases: Some(3),
            networks: Some(vec!["10.0.0.0/8".to_owned()]),
            kinds: Some(vec![AccountKind::Device, AccountKind::Service]),
            min_sign_in: Some(SignInStrength::TwoFactor),
            hours: vec![Hours {
                days: Some(vec![Weekday::Monday]),
                from: "08:00".to_owned(),
                until: "24:00".to_owned(),
                zone: "Europe/Zurich".to_owned(),
            }],
            rights: Some(vec![Right::Release]),
            operations_only: true,
            mechanisms: Some(vec![Mechanism::AesGcm, Mechanism::Ecdsa]),
            keep_for: Some(60),
        };
        let wire = wire::UsagePolicy::try_from(policy.clone()).unwrap();
        assert_eq!(UsagePolicy::from(wire), policy);
        let empty = wire::UsagePolicy::try_from(UsagePolicy::default()).unwrap();
        assert_eq!(empty, wire::UsagePolicy::default());
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let policy = UsagePolicy {
            networks: Some(vec!["everywhere".to_owned()]),
            ..UsagePolicy::default()
        };
        assert!(wire::UsagePolicy::try_from(policy).is_err());
    }
}
