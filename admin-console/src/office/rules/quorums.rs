//! Rules about acts that take several people, a line each, as at the command line: `key.destroy/LABEL=2:security-officer:7d`.

use strongroom_wire::account::Role;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::proposal::{GuardedAct, QuorumRule};

use crate::pieces::plural;
use crate::words;

/// The units of spans, the longest first.
const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// The acts that can take several people, for whoever writes a rule.
pub(super) fn acts() -> String {
    let names: Vec<&str> = GuardedAct::ALL.iter().map(|act| act.as_str()).collect();
    words::listed(&names, "and")
}

/// A rule as a line.
pub(super) fn line(rule: &QuorumRule) -> String {
    let label = rule
        .label
        .as_ref()
        .map_or_else(String::new, |label| format!("/{label}"));
    format!(
        "{}{label}={}:{}:{}",
        rule.act.as_str(),
        rule.count,
        rule.role.as_str(),
        span(rule.valid_for)
    )
}

/// The rules of some lines; empty ones are none.
///
/// # Errors
/// Which line is no rule.
pub(super) fn read(lines: &str) -> Result<Vec<QuorumRule>, Problem> {
    lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            rule(line).ok_or_else(|| {
                Problem::new(
                    Code::Invalid,
                    format!("“{line}” is no rule: write one as key.destroy=2:security-officer:7d, or of keys with a label as key.destroy/LABEL=2:security-officer:7d."),
                )
            })
        })
        .collect()
}

fn rule(line: &str) -> Option<QuorumRule> {
    // A label may have any character.
    let (about, what) = line.rsplit_once('=')?;
    let (act, label) = match about.split_once('/') {
        Some((act, label)) => (act, Some(label.to_owned())),
        None => (about, None),
    };
    let mut parts = what.split(':');
    let (Some(count), Some(role), Some(valid_for), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Some(QuorumRule {
        act: GuardedAct::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == act)?,
        label,
        count: count.parse().ok()?,
        role: Role::ALL.into_iter().find(|known| known.as_str() == role)?,
        valid_for: seconds(valid_for)?,
    })
}

/// In the longest unit that it is a whole number of.
fn span(seconds: u32) -> String {
    UNITS
        .into_iter()
        .find(|(_, length)| seconds.is_multiple_of(*length))
        .map_or_else(String::new, |(unit, length)| {
            format!("{}{unit}", seconds / length)
        })
}

fn seconds(text: &str) -> Option<u32> {
    let unit = text.chars().last()?;
    let (_, length) = UNITS.into_iter().find(|(known, _)| *known == unit)?;
    text.strip_suffix(unit)?
        .parse::<u32>()
        .ok()?
        .checked_mul(length)
}

/// A rule in a sentence.
pub(super) fn sentence(rule: &QuorumRule) -> String {
    let of = rule.label.as_ref().map_or_else(String::new, |label| {
        format!(" of keys with the label “{label}”")
    });
    format!(
        "{}{of} takes {} of {}, besides whoever proposes it, within {}.",
        act(rule.act),
        plural(rule.count.into(), "approval", "approvals"),
        words::role(rule.role).to_lowercase(),
        words::span(rule.valid_for.into())
    )
}

const fn act(act: GuardedAct) -> &'static str {
    match act {
        GuardedAct::KeyDestroy => "Destroying",
        GuardedAct::KeyRelease => "Releasing",
        GuardedAct::DomainPolicy => "Changing the domain's policy",
        GuardedAct::AccountUpdate => "Giving an account other roles",
        GuardedAct::MasterKekRotate => "Rotating the master KEK",
        GuardedAct::MasterKekRetire => "Retiring a version of the master KEK",
        GuardedAct::MasterKekDestroy => "Destroying a version of the master KEK",
        GuardedAct::DomainRestore => "Restoring the domain from a backup",
        GuardedAct::ApplianceReset => "The machine's factory reset",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_rule_reads_as_it_is_written() {
        let lines =
            "key.destroy/root CA=1=2:security-officer:7d\n\n  domain.policy=3:administrator:90m ";
        let rules = read(lines).unwrap();
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].label.as_deref(), Some("root CA=1"));
        assert_eq!((rules[0].count, rules[0].valid_for), (2, 7 * 86_400));
        assert_eq!(
            (rules[1].act, rules[1].valid_for),
            (GuardedAct::DomainPolicy, 5400)
        );
        let again: Vec<String> = rules.iter().map(line).collect();
        assert_eq!(read(&again.join("\n")).unwrap(), rules);
        for act in GuardedAct::ALL {
            let written = format!("{}=2:auditor:60s", act.as_str());
            assert_eq!(
                line(&read(&written).unwrap()[0]),
                format!("{}=2:auditor:1m", act.as_str())
            );
        }
    }

    #[test]
    fn what_is_no_rule_is_said() {
        for wrong in [
            "key.destroy",
            "key.destroy=2",
            "key.destroy=two:auditor:7d",
            "key.destroy=2:nobody:7d",
            "key.destroy=2:auditor:7",
            "key.destroy=2:auditor:7w",
            "key.destroy=2:auditor:99999999d",
            "key.make=2:auditor:7d",
            "key.destroy=2:auditor:7d:more",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
