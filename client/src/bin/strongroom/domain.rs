//! `domain`.

use clap::{Args, Subcommand};
use strongroom_client::ClientError;
use strongroom_wire::authorisation::LawfulPolicy;
use strongroom_wire::invitation::AccountPolicy;
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::proposal::{GuardedAct, QuorumRule};

use crate::failure::{Failure, elsewhere};
use crate::output::{facts, plain, spelt};
use crate::policy::{self, Lift, Policy};
use crate::step_up::with_recent_sign_in;
use crate::{Context, moment};

const HINT: &str = "the domain is managed at the appliance's administration address, and this home is signed in elsewhere: sign in \
                    there with strongroom login ACCOUNT --server URL, in another --home";

/// `strongroom domain`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// The policy that holds for every key, session and account of the domain.
    #[command(subcommand)]
    Policy(PolicyCommand),
}

/// `strongroom domain policy`.
#[derive(Subcommand, Debug)]
pub(crate) enum PolicyCommand {
    /// Show it.
    Show,
    /// Change it: what is not named stays.
    Set(Box<Set>),
}

/// `strongroom domain policy set`.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Refuse sessions that are used from another address than the one from which they were opened.
    #[arg(long, value_name = "YES", num_args = 0..=1, default_missing_value = "true")]
    bind_sessions_to_address: Option<bool>,
    /// Sharing, destroying and changing policies need a sign-in at most so long ago, such as 5m; 0s: at any time.
    #[arg(long, value_name = "SPAN", value_parser = moment::span)]
    step_up_within: Option<u32>,
    /// Recoveries of accounts take effect after so long, such as 24h: an hour at least.
    #[arg(long, value_name = "SPAN", value_parser = moment::span)]
    recovery_delay: Option<u32>,
    /// Who may invite by mail, such as *@example.com; may be given several times, and with an empty value for nobody.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    inviter: Option<Vec<String>>,
    /// Who may be invited, such as *@partner.example.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    invitee: Option<Vec<String>>,
    /// How many invitations an account may send in 24 hours.
    #[arg(long, value_name = "COUNT")]
    invitations_per_day: Option<u32>,
    /// Invitations lapse after so long, such as 7d.
    #[arg(long, value_name = "SPAN", value_parser = moment::span)]
    invitation_lifetime: Option<u32>,
    /// How many legal approvers an authorisation takes: 2 at least.
    #[arg(long, value_name = "COUNT")]
    approvals: Option<u32>,
    /// An emergency lapses after so long unless it is ratified, such as 48h.
    #[arg(long, value_name = "SPAN", value_parser = moment::span)]
    ratify_within: Option<u32>,
    /// An act takes several people: ACT=COUNT:ROLE:SPAN, or for keys with one label ACT/LABEL=COUNT:ROLE:SPAN, such as
    /// "key.destroy/root CA=2:security-officer:7d". May be given several times.
    #[arg(long = "quorum", value_name = "RULE", value_parser = quorum)]
    quorums: Vec<QuorumRule>,
    /// An act takes no more than one any more: ACT or ACT/LABEL.
    #[arg(long = "no-quorum", value_name = "ACT", value_parser = guarded)]
    no_quorums: Vec<Guarded>,
    /// How many of the appliance's witnesses must have cosigned a checkpoint over a disclosure before it goes out.
    #[arg(long, value_name = "COUNT")]
    witnesses: Option<u32>,
    #[command(flatten)]
    lift: Lift,
    #[command(flatten)]
    policy: Policy,
}

/// An act that may take several people, and of keys the label.
type Guarded = (GuardedAct, Option<String>);

fn guarded(text: &str) -> Result<Guarded, String> {
    let (act, label) = match text.split_once('/') {
        Some((act, label)) => (act, Some(label.to_owned())),
        None => (text, None),
    };
    let names: Vec<_> = GuardedAct::ALL.iter().map(|act| act.as_str()).collect();
    spelt::<GuardedAct>(act)
        .map(|act| (act, label))
        .map_err(|_| format!("an act is one of {}", names.join(", ")))
}

fn quorum(text: &str) -> Result<QuorumRule, String> {
    let wrong = || {
        "a quorum is one such as key.destroy=2:security-officer:7d, or key.destroy/LABEL=2:security-officer:7d"
            .to_owned()
    };
    // A label may have any character.
    let (about, what) = text.rsplit_once('=').ok_or_else(wrong)?;
    let mut parts = what.split(':');
    let (Some(count), Some(role), Some(span), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let (act, label) = guarded(about)?;
    Ok(QuorumRule {
        act,
        label,
        count: count.parse().map_err(|_| wrong())?,
        role: spelt(role).map_err(|_| wrong())?,
        valid_for: moment::span(span)?,
    })
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let Self::Policy(command) = self;
        let session = context.session()?;
        let before = session.domain_policy().map_err(here)?;
        let PolicyCommand::Set(set) = command else {
            return context.output.answer(&before, || describe(&before));
        };
        if set.says_nothing() {
            return Err(Failure::Usage(
                "say what to change: a restriction, one to --lift, or another option".to_owned(),
            ));
        }
        let after = set.apply(before);
        let changed = with_recent_sign_in(context, &session, || session.set_domain_policy(&after))?;
        context
            .output
            .answer(&changed, || describe(&changed.policy))
    }
}

impl Set {
    fn says_nothing(&self) -> bool {
        self.bind_sessions_to_address.is_none()
            && self.step_up_within.is_none()
            && self.recovery_delay.is_none()
            && self.inviter.is_none()
            && self.invitee.is_none()
            && self.invitations_per_day.is_none()
            && self.invitation_lifetime.is_none()
            && self.approvals.is_none()
            && self.ratify_within.is_none()
            && self.quorums.is_empty()
            && self.no_quorums.is_empty()
            && self.witnesses.is_none()
            && self.lift.is_empty()
            && self.policy.is_empty()
    }

    fn apply(self, mut policy: DomainPolicy) -> DomainPolicy {
        self.lift.apply(&mut policy.usage);
        self.policy.apply(&mut policy.usage);
        let before = policy.accounts;
        let patterns = |given: Option<Vec<String>>, before: Vec<String>| match given {
            Some(mut given) => {
                given.retain(|pattern| !pattern.is_empty());
                given
            }
            None => before,
        };
        DomainPolicy {
            accounts: AccountPolicy {
                recovery_delay: self.recovery_delay.unwrap_or(before.recovery_delay),
                inviters: patterns(self.inviter, before.inviters),
                invitees: patterns(self.invitee, before.invitees),
                invitations_per_day: self
                    .invitations_per_day
                    .unwrap_or(before.invitations_per_day),
                invitation_lifetime: self
                    .invitation_lifetime
                    .unwrap_or(before.invitation_lifetime),
            },
            usage: policy.usage,
            bind_sessions_to_address: self
                .bind_sessions_to_address
                .unwrap_or(policy.bind_sessions_to_address),
            step_up_within: self.step_up_within.unwrap_or(policy.step_up_within),
            lawful: LawfulPolicy {
                approvals: self.approvals.unwrap_or(policy.lawful.approvals),
                ratify_within: self.ratify_within.unwrap_or(policy.lawful.ratify_within),
            },
            quorums: {
                let mut quorums = policy.quorums;
                let named = |rule: &QuorumRule| (rule.act, rule.label.clone());
                quorums.retain(|rule| {
                    !self.no_quorums.contains(&named(rule))
                        && !self.quorums.iter().any(|new| named(new) == named(rule))
                });
                quorums.extend(self.quorums);
                quorums
            },
            witnesses: self.witnesses.unwrap_or(policy.witnesses),
        }
    }
}

fn describe(policy: &DomainPolicy) -> String {
    let usage = policy::describe(&policy.usage, None);
    let bound = if policy.bind_sessions_to_address {
        "from the address where they were opened only"
    } else {
        "from any address"
    };
    let recent = match policy.step_up_within {
        0 => "at any time in the session".to_owned(),
        seconds => format!("within {seconds} s"),
    };
    let usage = if usage.is_empty() {
        "without restriction".to_owned()
    } else {
        usage
    };
    facts(&[
        ("keys are used", usage),
        ("sessions hold", bound.to_owned()),
        ("sign-in for grave acts", recent),
        (
            "recoveries take effect",
            format!("after {} s", policy.accounts.recovery_delay),
        ),
        ("invitations", invitations(&policy.accounts)),
        (
            "lawful access",
            format!(
                "{} legal approvers; an emergency is ratified within {} s",
                policy.lawful.approvals, policy.lawful.ratify_within
            ),
        ),
        ("several people for", quorums(&policy.quorums)),
        (
            "disclosures go out",
            match policy.witnesses {
                0 => "without waiting for witnesses".to_owned(),
                count => format!("once {count} witnesses have cosigned"),
            },
        ),
    ])
}

fn quorums(rules: &[QuorumRule]) -> String {
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| {
            let label = rule.label.as_deref().map(plain);
            let label = label.map(|label| format!(" of keys {label:?}"));
            format!(
                "{}{}: {} of the role {}, within {} s",
                rule.act.as_str(),
                label.unwrap_or_default(),
                rule.count,
                rule.role.as_str(),
                rule.valid_for
            )
        })
        .collect();
    rules.join("; ")
}

fn invitations(policy: &AccountPolicy) -> String {
    if policy.inviters.is_empty() || policy.invitees.is_empty() {
        return "by administrators only".to_owned();
    }
    let list = |patterns: &[String]| {
        patterns
            .iter()
            .map(|text| plain(text))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "{} may invite {}, {} a day; they lapse after {} s",
        list(&policy.inviters),
        list(&policy.invitees),
        policy.invitations_per_day,
        policy.invitation_lifetime
    )
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}
