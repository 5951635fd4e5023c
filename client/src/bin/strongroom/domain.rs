//! `domain`.

use clap::{Args, Subcommand};
use strongroom_client::ClientError;
use strongroom_wire::policy::DomainPolicy;

use crate::failure::{Failure, elsewhere};
use crate::output::facts;
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
    #[command(flatten)]
    lift: Lift,
    #[command(flatten)]
    policy: Policy,
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
            && self.lift.is_empty()
            && self.policy.is_empty()
    }

    fn apply(self, mut policy: DomainPolicy) -> DomainPolicy {
        self.lift.apply(&mut policy.usage);
        self.policy.apply(&mut policy.usage);
        DomainPolicy {
            usage: policy.usage,
            bind_sessions_to_address: self
                .bind_sessions_to_address
                .unwrap_or(policy.bind_sessions_to_address),
            step_up_within: self.step_up_within.unwrap_or(policy.step_up_within),
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
    ])
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}
