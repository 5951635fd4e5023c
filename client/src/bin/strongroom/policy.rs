//! Usage policies on the command line, and as text for a person.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::tz::TimeZone;
use strongroom_wire::account::AccountKind;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::{Right, UsagePolicy};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{Hours, Network, Weekday};
use strongroom_wire::session::SignInStrength;

use crate::moment;
use crate::output::{plain, spelling, spellings, spelt};

/// What can be lifted from a policy, each after the option that sets it.
const LIFTABLE: [&str; 11] = [
    "not-before",
    "until",
    "releases",
    "from",
    "hours",
    "kinds",
    "min-sign-in",
    "only-rights",
    "operations-only",
    "mechanisms",
    "keep-for",
];

/// When, how often, from where, by whom and for what a key may be used.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Usage policy")]
pub(crate) struct Policy {
    /// The key is not used before this time.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    not_before: Option<Timestamp>,
    /// The key is used until this time; of a day, until its end.
    #[arg(long, alias = "not-after", value_name = "TIME", value_parser = moment::parse_end, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// The key is released at most so many times.
    #[arg(long, alias = "max-releases", value_name = "NUMBER")]
    releases: Option<u64>,
    /// The key is used from these networks only, such as 10.0.0.0/8; may be given several times.
    #[arg(long = "from", value_name = "NETWORK", value_delimiter = ',')]
    networks: Vec<Network>,
    /// The key is used in these hours only, such as 08:00-18:00 or 'mon-fri 08:00-18:00 Europe/Zurich' [default zone: this
    /// machine's]. Given several times, all must allow it.
    #[arg(long, value_name = "HOURS", value_parser = parse_hours)]
    hours: Vec<Hours>,
    /// The key is used by these kinds of accounts only.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind_parser())]
    kinds: Vec<AccountKind>,
    /// The key is used in sessions with at least so strong a sign-in only.
    #[arg(long, value_name = "STRENGTH", value_parser = strength_parser())]
    min_sign_in: Option<SignInStrength>,
    /// These rights alone are exercised, whatever grants give.
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',', value_parser = right_parser())]
    only_rights: Vec<Right>,
    /// The key is not released: the appliance uses it.
    #[arg(long)]
    operations_only: bool,
    /// The appliance uses the key by these mechanisms only, such as aes-gcm,ecdsa-sha-256.
    #[arg(long, value_name = "MECHANISMS", value_delimiter = ',', value_parser = mechanism_parser(), conflicts_with = "forbid_mechanisms")]
    mechanisms: Vec<Mechanism>,
    /// The appliance uses the key by none of these mechanisms. All others that there are now stay allowed, where they were.
    #[arg(long, value_name = "MECHANISMS", value_delimiter = ',', value_parser = mechanism_parser())]
    forbid_mechanisms: Vec<Mechanism>,
    /// Clients forget the key after so long, such as 15m.
    #[arg(long, value_name = "SPAN", value_parser = moment::span)]
    keep_for: Option<u32>,
}

/// What is taken out of a policy that is there.
#[derive(Args, Debug, Default)]
pub(crate) struct Lift {
    /// Lift this restriction; may be given several times.
    #[arg(long, value_name = "RESTRICTION", value_delimiter = ',', value_parser = PossibleValuesParser::new(LIFTABLE))]
    lift: Vec<String>,
}

impl Policy {
    pub(crate) fn into_wire(self) -> UsagePolicy {
        let mut policy = UsagePolicy::default();
        self.apply(&mut policy);
        policy
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.not_before.is_none()
            && self.until.is_none()
            && self.releases.is_none()
            && self.networks.is_empty()
            && self.hours.is_empty()
            && self.kinds.is_empty()
            && self.min_sign_in.is_none()
            && self.only_rights.is_empty()
            && !self.operations_only
            && self.mechanisms.is_empty()
            && self.forbid_mechanisms.is_empty()
            && self.keep_for.is_none()
    }

    /// Puts what it says in place of what the policy said of that; leaves the rest.
    pub(crate) fn apply(self, policy: &mut UsagePolicy) {
        fn some<T>(values: Vec<T>) -> Option<Vec<T>> {
            (!values.is_empty()).then_some(values)
        }
        policy.not_before = self.not_before.or(policy.not_before);
        policy.not_after = self.until.or(policy.not_after);
        policy.max_releases = self.releases.or(policy.max_releases);
        policy.networks = some(self.networks).or(policy.networks.take());
        policy.kinds = some(self.kinds).or(policy.kinds.take());
        policy.min_sign_in = self.min_sign_in.or(policy.min_sign_in);
        if !self.hours.is_empty() {
            policy.hours = self.hours;
        }
        policy.rights = some(self.only_rights).or(policy.rights.take());
        policy.operations_only |= self.operations_only;
        policy.mechanisms = some(self.mechanisms).or(policy.mechanisms.take());
        if !self.forbid_mechanisms.is_empty() {
            let mut allowed = policy.mechanisms.take();
            let allowed = allowed.get_or_insert_with(|| Mechanism::ALL.to_vec());
            allowed.retain(|mechanism| !self.forbid_mechanisms.contains(mechanism));
            policy.mechanisms = Some(std::mem::take(allowed));
        }
        policy.keep_for = self.keep_for.or(policy.keep_for);
    }
}

impl Lift {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.lift.is_empty()
    }

    /// Takes what it names out of the policy.
    pub(crate) fn apply(&self, policy: &mut UsagePolicy) {
        for name in &self.lift {
            match name.as_str() {
                "not-before" => policy.not_before = None,
                "until" => policy.not_after = None,
                "releases" => policy.max_releases = None,
                "from" => policy.networks = None,
                "hours" => policy.hours.clear(),
                "kinds" => policy.kinds = None,
                "min-sign-in" => policy.min_sign_in = None,
                "only-rights" => policy.rights = None,
                "operations-only" => policy.operations_only = false,
                "mechanisms" => policy.mechanisms = None,
                _ => policy.keep_for = None,
            }
        }
    }
}

/// A policy in words; empty where it restricts nothing.
pub(crate) fn describe(policy: &UsagePolicy, releases: Option<u64>) -> String {
    let mut parts = Vec::new();
    if let Some(moment) = policy.not_before {
        parts.push(format!("not before {moment}"));
    }
    if let Some(moment) = policy.not_after {
        parts.push(format!("until {moment}"));
    }
    match (policy.max_releases, releases) {
        (Some(most), Some(used)) => parts.push(format!("{used} of {most} releases used")),
        (Some(most), None) => parts.push(format!("{most} releases")),
        (None, _) => {}
    }
    if let Some(networks) = &policy.networks {
        let networks: Vec<_> = networks.iter().map(Network::to_string).collect();
        parts.push(format!("from {}", networks.join(" or ")));
    }
    parts.extend(policy.hours.iter().map(describe_hours));
    if let Some(kinds) = &policy.kinds {
        let kinds: Vec<_> = kinds.iter().map(spelling).collect();
        parts.push(format!("by a {}", kinds.join(" or ")));
    }
    if let Some(strength) = &policy.min_sign_in {
        parts.push(format!("signed in by {} at least", spelling(strength)));
    }
    if let Some(rights) = &policy.rights {
        parts.push(format!("only to {}", spellings(rights)));
    }
    if policy.operations_only {
        parts.push("never released".to_owned());
    }
    if let Some(mechanisms) = &policy.mechanisms {
        let (few, names) = mechanisms_in_words(mechanisms);
        parts.push(format!("{few} {names}"));
    }
    if let Some(seconds) = policy.keep_for {
        parts.push(format!("kept for {seconds} s at most"));
    }
    parts.join(", ")
}

/// Mechanisms in the shorter of the two ways to say which they are.
fn mechanisms_in_words(allowed: &[Mechanism]) -> (&'static str, String) {
    let others = Mechanism::ALL.iter();
    let others: Vec<_> = others
        .filter(|mechanism| !allowed.contains(mechanism))
        .copied()
        .collect();
    if others.len() < allowed.len() && !others.is_empty() {
        ("not by", spellings(&others))
    } else {
        ("only by", spellings(allowed))
    }
}

fn describe_hours(hours: &Hours) -> String {
    let days = hours.days.as_ref().map_or_else(String::new, |days| {
        let days: Vec<_> = days
            .iter()
            .map(|day| spelling(day)[..3].to_owned())
            .collect();
        format!("{} ", days.join(","))
    });
    let zone = plain(&hours.zone);
    format!("{days}{}-{} {zone}", hours.from, hours.until)
}

/// Hours: days, where not every one is meant; the span; the zone, where it is not this machine's.
fn parse_hours(text: &str) -> Result<Hours, String> {
    let wrong = || {
        "hours are written as 08:00-18:00, with days before them and a time zone after them where that is meant: 'mon-fri \
         08:00-18:00 Europe/Zurich'"
            .to_owned()
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let (days, span, zone) = match words.as_slice() {
        [span] => (None, span, None),
        [days, span] if span.contains(':') => (Some(days), span, None),
        [span, zone] => (None, span, Some(zone)),
        [days, span, zone] => (Some(days), span, Some(zone)),
        _ => return Err(wrong()),
    };
    let (from, until) = span.split_once('-').ok_or_else(wrong)?;
    Ok(Hours {
        days: days
            .map(|days| parse_days(days).ok_or_else(wrong))
            .transpose()?,
        from: from.parse().map_err(|_| wrong())?,
        until: until.parse().map_err(|_| wrong())?,
        zone: zone.map_or_else(own_zone, |zone| (*zone).to_owned()),
    })
}

/// Days such as `mon-fri` or `saturday,sunday`, in the order of the week.
fn parse_days(text: &str) -> Option<Vec<Weekday>> {
    let mut meant = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (moment::weekday(first)?, moment::weekday(last)?);
        // From Saturday to Monday goes over the end of the week.
        let length = (last + 7 - first) % 7;
        (first..=first + length).for_each(|day| meant[day % 7] = true);
    }
    let days = Weekday::ALL.into_iter().zip(meant);
    Some(
        days.filter(|(_, meant)| *meant)
            .map(|(day, _)| day)
            .collect(),
    )
}

/// The name of this machine's time zone, where it has one.
fn own_zone() -> String {
    let zone = TimeZone::system();
    zone.iana_name().unwrap_or("UTC").to_owned()
}

pub(crate) fn right_parser() -> impl TypedValueParser<Value = Right> {
    PossibleValuesParser::new([
        "release",
        "encrypt",
        "decrypt",
        "sign",
        "verify",
        "wrap",
        "unwrap",
        "derive",
        "share",
        "destroy",
        "administer",
    ])
    .try_map(|text| spelt::<Right>(&text))
}

pub(crate) fn mechanism_parser() -> impl TypedValueParser<Value = Mechanism> {
    let names = Mechanism::ALL.iter().map(|mechanism| mechanism.as_str());
    PossibleValuesParser::new(names).try_map(|text| spelt::<Mechanism>(&text))
}

pub(crate) fn strength_parser() -> impl TypedValueParser<Value = SignInStrength> {
    PossibleValuesParser::new(["secret", "password", "two-factor", "passkey"])
        .try_map(|text| spelt::<SignInStrength>(&text))
}

fn kind_parser() -> impl TypedValueParser<Value = AccountKind> {
    PossibleValuesParser::new(["person", "device", "service"])
        .try_map(|text| spelt::<AccountKind>(&text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        policy: Policy,
        #[command(flatten)]
        lift: Lift,
    }

    fn line(words: &[&str]) -> Line {
        Line::try_parse_from([&["set"], words].concat()).unwrap()
    }

    #[test]
    fn a_policy_is_said_in_words_and_read_back_in_words() {
        let line = line(&[
            "--until",
            "2026-11-27T17:00:00Z",
            "--releases",
            "3",
            "--from",
            "10.0.0.0/8,192.0.2.7",
            "--hours",
            "mon-fri 08:00-18:00 Europe/Zurich",
            "--kinds",
            "person,device",
            "--min-sign-in",
            "two-factor",
            "--keep-for",
            "15m",
        ]);
        assert!(!line.policy.is_empty());
        assert_eq!(
            describe(&line.policy.into_wire(), Some(1)),
            "until 2026-11-27T17:00:00.000Z, 1 of 3 releases used, from 10.0.0.0/8 or 192.0.2.7/32, \
             mon,tue,wed,thu,fri 08:00-18:00 Europe/Zurich, by a person or device, signed in by two-factor at least, \
             kept for 900 s at most"
        );
        assert_eq!(describe(&UsagePolicy::default(), None), "");
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut policy = line(&["--releases", "3", "--from", "10.0.0.0/8"])
            .policy
            .into_wire();
        let change = line(&["--releases", "5", "--operations-only", "--lift", "from"]);
        change.lift.apply(&mut policy);
        change.policy.apply(&mut policy);
        let expected = UsagePolicy {
            max_releases: Some(5),
            operations_only: true,
            ..UsagePolicy::default()
        };
        assert_eq!(policy, expected);
        assert!(line(&[]).policy.is_empty() && line(&[]).lift.is_empty());
    }

    #[test]
    fn mechanisms_are_named_or_all_but_some() {
        let mut policy = line(&["--mechanisms", "aes-gcm,aes-ctr"])
            .policy
            .into_wire();
        assert_eq!(describe(&policy, None), "only by aes-gcm, aes-ctr");
        let forbid = || line(&["--forbid-mechanisms", "rsa-pkcs1,aes-ctr"]).policy;
        forbid().apply(&mut policy);
        assert_eq!(policy.mechanisms, Some(vec![Mechanism::AesGcm]));
        let all_but = forbid().into_wire();
        let allowed = all_but.mechanisms.as_ref().map(Vec::len);
        assert_eq!(allowed, Some(Mechanism::ALL.len() - 2));
        assert_eq!(describe(&all_but, None), "not by aes-ctr, rsa-pkcs1");
        let both = ["set", "--mechanisms", "ecdh", "--forbid-mechanisms", "ecdh"];
        assert!(Line::try_parse_from(both).is_err());
        assert!(Line::try_parse_from(["set", "--mechanisms", "sha-1"]).is_err());
    }

    #[test]
    fn everything_that_is_set_can_be_lifted() {
        let mut policy = line(&[
            "--not-before",
            "+1h",
            "--until",
            "+2h",
            "--releases",
            "1",
            "--from",
            "::1",
            "--hours",
            "22:00-06:00",
            "--kinds",
            "device",
            "--min-sign-in",
            "passkey",
            "--only-rights",
            "sign",
            "--operations-only",
            "--mechanisms",
            "ecdsa,ecdh",
            "--keep-for",
            "60s",
        ])
        .policy
        .into_wire();
        for name in LIFTABLE {
            let before = policy.clone();
            line(&["--lift", name]).lift.apply(&mut policy);
            assert_ne!(policy, before, "{name}");
        }
        assert_eq!(policy, UsagePolicy::default());
    }

    #[test]
    fn hours_and_days() {
        let days = |text: &str| parse_hours(text).unwrap().days;
        assert_eq!(days("08:00-18:00"), None);
        assert_eq!(
            days("mon-fri 08:00-18:00"),
            Some(Weekday::ALL[..5].to_vec())
        );
        let weekend = [Weekday::Monday, Weekday::Saturday, Weekday::Sunday];
        assert_eq!(days("sat-mon 08:00-18:00 UTC"), Some(weekend.to_vec()));
        assert_eq!(
            days("Sunday,mon,saturday 08:00-18:00"),
            Some(weekend.to_vec())
        );
        let night = parse_hours("22:30-06:00 America/New_York").unwrap();
        assert_eq!((night.from.minutes(), night.until.minutes()), (1350, 360));
        assert_eq!(night.zone, "America/New_York");
        for wrong in [
            "",
            "8-18",
            "08:00",
            "noon-18:00",
            "08:00-25:00",
            "someday 08:00-18:00",
            "a b 08:00-18:00 c",
        ] {
            assert!(parse_hours(wrong).is_err(), "{wrong}");
        }
    }
}
