//! `keys policy` and `keys preview`.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_client::objects::Objects as _;
use strongroom_client::sign_in::account_name;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::{GrantState, Right, UsagePolicy};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{Preview, PreviewQuery, Verdict};
use strongroom_wire::session::SignInStrength;

use super::{here, identify};
use crate::failure::Failure;
use crate::output::{facts, plain, spelling, table};
use crate::policy::{self, Lift, Policy, mechanism_parser, right_parser, strength_parser};
use crate::step_up::with_recent_sign_in;
use crate::{Context, moment};

/// `strongroom keys policy`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show the usage policies of a key and of its grants.
    Show {
        /// The key.
        key: String,
    },
    /// Change the usage policy of a key, or of one grant: what is not named stays.
    Set(Box<Set>),
}

/// `strongroom keys policy set`.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// The key.
    key: String,
    /// Of the grant to this account, and not of the key.
    #[arg(long, value_name = "ACCOUNT")]
    grant: Option<String>,
    #[command(flatten)]
    lift: Lift,
    #[command(flatten)]
    policy: Policy,
}

/// `strongroom keys preview`.
#[derive(Args, Debug)]
pub(crate) struct PreviewOf {
    /// The key.
    key: String,
    /// Of the key's owner: for this account, and not for oneself.
    #[arg(long = "for", value_name = "ACCOUNT")]
    account: Option<String>,
    /// Whether it may do this.
    #[arg(long, default_value = "release", value_parser = right_parser())]
    right: Right,
    /// By this mechanism, where the appliance would use the key.
    #[arg(long, value_name = "MECHANISM", value_parser = mechanism_parser())]
    mechanism: Option<Mechanism>,
    /// From this address [default for oneself: the present one].
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// At this time [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Signed in like this [default for oneself: as one is].
    #[arg(long, value_name = "STRENGTH", value_parser = strength_parser())]
    sign_in: Option<SignInStrength>,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Show { key } => show(context, &key),
            Self::Set(set) => set.run(context),
        }
    }
}

fn show(context: &Context, key: &str) -> Result<(), Failure> {
    let id = identify(key)?;
    let session = context.session()?;
    let key = session.key(id).map_err(here)?;
    let mut grants = session.grants(id).map_err(here)?.grants;
    grants.retain(|grant| grant.state == GrantState::Active && grant.grantee != key.owner);
    let answer = json!({ "key_id": id, "policy": key.policy, "grants": grants });
    context.output.answer(&answer, || {
        let of_key = key
            .policy
            .as_ref()
            .map(|policy| in_words(policy, key.releases));
        let mut rows = vec![["the key".to_owned(), of_key.unwrap_or_default()]];
        rows.extend(grants.iter().map(|grant| {
            let policy = in_words(&grant.policy, grant.releases);
            [plain(&grant.grantee_name), policy]
        }));
        table(["OF", "USAGE POLICY"], &rows)
    })
}

impl Set {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if self.policy.is_empty() && self.lift.is_empty() {
            return Err(Failure::Usage(
                "say what to change: a restriction, or one to --lift".to_owned(),
            ));
        }
        let id = identify(&self.key)?;
        let session = context.session()?;
        let changed = |mut policy: UsagePolicy| {
            self.lift.apply(&mut policy);
            self.policy.apply(&mut policy);
            policy
        };
        if let Some(account) = &self.grant {
            let grant = session.grant_to(id, account).map_err(here)?;
            let policy = changed(grant.policy);
            let set = with_recent_sign_in(context, &session, || {
                session.set_grant_policy(id, grant.id, &policy)
            });
            let set = set.map_err(Failure::at_clients)?;
            return context.output.answer(&set, || {
                let policy = in_words(&set.grant.policy, set.grant.releases);
                let name = plain(&set.grant.grantee_name);
                format!("{name} may use key {id}: {policy}.")
            });
        }
        let key = session.key(id).map_err(here)?;
        let policy = changed(key.policy.unwrap_or_default());
        let set = with_recent_sign_in(context, &session, || session.set_key_policy(id, &policy));
        let set = set.map_err(Failure::at_clients)?;
        context.output.answer(&set, || {
            let policy = set
                .key
                .policy
                .as_ref()
                .map(|policy| in_words(policy, set.key.releases));
            format!("Key {id} may be used: {}.", policy.unwrap_or_default())
        })
    }
}

impl PreviewOf {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let id = identify(&self.key)?;
        let session = context.session()?;
        let query = PreviewQuery {
            account: self.account.as_deref().map(account_name),
            right: Some(self.right),
            source: self.from.map(|address| address.to_string()),
            mechanism: self.mechanism,
            at: self.at,
            sign_in: self.sign_in,
        };
        let preview = session.preview(id, &query).map_err(here)?;
        context.output.answer(&preview, || describe(&preview))
    }
}

fn in_words(policy: &UsagePolicy, releases: Option<u64>) -> String {
    let words = policy::describe(policy, releases);
    if words.is_empty() {
        "without restriction".to_owned()
    } else {
        words
    }
}

fn describe(preview: &Preview) -> String {
    let verdict = match preview.verdict {
        Verdict::Allowed => "allowed",
        Verdict::Refused => "refused",
        Verdict::Depends => "depends on what was not said",
    };
    let mut text = facts(&[
        ("account", plain(&preview.account_name)),
        ("right", spelling(&preview.right)),
        ("at", preview.at.to_string()),
        ("decision", verdict.to_owned()),
        (
            "code",
            preview
                .code
                .map_or_else(String::new, |code| code.to_string()),
        ),
        (
            "decided by",
            plain(preview.decided_by.as_deref().unwrap_or_default()),
        ),
    ]);
    if !preview.rules.is_empty() {
        let rows: Vec<_> = preview
            .rules
            .iter()
            .map(|rule| [plain(&rule.rule), spelling(&rule.verdict)])
            .collect();
        text.push('\n');
        text.push_str(&table(["RULE", "SAYS"], &rows));
    }
    text
}
