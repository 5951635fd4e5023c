//! Usage policies in sentences.

use strongroom_wire::account::AccountKind;
use strongroom_wire::policy::{Hours, UsagePolicy, Weekday};
use strongroom_wire::session::SignInStrength;

use super::{listed, right_value, span};
use crate::pieces::{count, utc};

/// A usage policy, a sentence for each rule.
pub(crate) fn policy(policy: &UsagePolicy) -> Vec<String> {
    let mut sentences = Vec::new();
    if policy.operations_only {
        sentences.push("The key stays in the appliance, which uses it for its holders.".to_owned());
    }
    match (policy.not_before, policy.not_after) {
        (Some(from), Some(until)) => {
            sentences.push(format!("Only from {} until {}.", utc(from).0, utc(until).0));
        }
        (Some(from), None) => sentences.push(format!("Not before {}.", utc(from).0)),
        (None, Some(until)) => sentences.push(format!("Not after {}.", utc(until).0)),
        (None, None) => {}
    }
    if let Some(most) = policy.max_releases {
        sentences.push(match most {
            1 => "Released once.".to_owned(),
            most => format!("Released at most {} times.", count(most)),
        });
    }
    if let Some(networks) = &policy.networks {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        sentences.push(format!("Only from {}.", listed(&networks, "or")));
    }
    if let Some(kinds) = &policy.kinds {
        let kinds: Vec<String> = kinds
            .iter()
            .map(|kind| {
                match kind {
                    AccountKind::Person => "people",
                    AccountKind::Device => "devices",
                    AccountKind::Service => "services",
                    AccountKind::Group => "groups",
                }
                .to_owned()
            })
            .collect();
        sentences.push(format!("Only for {}.", listed(&kinds, "and")));
    }
    match policy.min_sign_in {
        None | Some(SignInStrength::Secret) => {}
        Some(SignInStrength::Password) => {
            sentences.push("Only for those who signed in with a password at least.".to_owned());
        }
        Some(SignInStrength::TwoFactor) => sentences
            .push("Only for those who signed in with a second factor or a passkey.".to_owned()),
        Some(SignInStrength::Passkey) => {
            sentences.push("Only for those who signed in with a passkey.".to_owned());
        }
    }
    for hours in &policy.hours {
        sentences.push(hours_sentence(hours));
    }
    if let Some(rights) = &policy.rights {
        let rights: Vec<&str> = rights.iter().map(|right| right_value(*right)).collect();
        sentences.push(if rights.is_empty() {
            "It cannot be used at all.".to_owned()
        } else {
            format!("Only to {}.", listed(&rights, "and"))
        });
    }
    if let Some(mechanisms) = &policy.mechanisms {
        let mechanisms: Vec<&str> = mechanisms
            .iter()
            .map(|mechanism| mechanism.as_str())
            .collect();
        sentences.push(format!(
            "By these mechanisms only: {}.",
            listed(&mechanisms, "and")
        ));
    }
    if let Some(seconds) = policy.keep_for {
        sentences.push(format!(
            "A client forgets it {} after it came.",
            span(seconds.into())
        ));
    }
    sentences
}

fn hours_sentence(hours: &Hours) -> String {
    let days = hours.days.as_ref().map_or_else(
        || "Every day".to_owned(),
        |days| {
            let days: Vec<&str> = days.iter().map(|day| weekday(*day)).collect();
            format!("On {}", listed(&days, "and"))
        },
    );
    format!(
        "{days} from {} to {} ({}).",
        hours.from, hours.until, hours.zone
    )
}

const fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn policies_are_said_in_sentences() {
        assert!(policy(&UsagePolicy::default()).is_empty());
        let whole: UsagePolicy = serde_json::from_str(
            r#"{"not_before":"2026-11-01T00:00:00Z","not_after":"2026-12-01T08:30:00Z","max_releases":3,"networks":["10.0.0.0/8","2001:db8::/32"],
            "kinds":["person","device"],"min_sign_in":"two-factor","hours":[{"days":["monday","tuesday"],"from":"08:00","until":"18:00","zone":"Europe/Zurich"}],
            "rights":["release","decrypt"],"operations_only":true,"mechanisms":["aes-gcm"],"keep_for":7200}"#,
        )
        .unwrap();
        let said = policy(&whole).join(" ");
        for part in [
            "Only from 1 Nov 2026, 00:00 UTC until 1 Dec 2026, 08:30 UTC.",
            "at most 3 times",
            "10.0.0.0/8 or 2001:db8::/32",
            "Only for people and devices.",
            "second factor",
            "On Monday and Tuesday from 08:00 to 18:00 (Europe/Zurich).",
            "Only to release and decrypt.",
            "stays in the appliance",
            "aes-gcm",
            "2 hours after it came",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
