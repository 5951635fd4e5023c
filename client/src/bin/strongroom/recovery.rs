//! `recover`, `recovery`: the way back for whoever has lost their password.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_wire::recovery::{Recovery, SecondCode};

use crate::failure::Failure;
use crate::output::{facts, plain};
use crate::sign_in::Appliance;
use crate::{Context, prompt};

/// `strongroom recover`.
#[derive(Args, Debug)]
pub(crate) struct Recover {
    /// The account's name.
    account: String,
    #[command(flatten)]
    appliance: Appliance,
    /// The code of the administrator who started the recovery; asked for where it is not given.
    #[arg(long)]
    code: Option<String>,
    /// One of one's own recovery codes.
    #[arg(long, value_name = "CODE", conflicts_with = "approval_code")]
    recovery_code: Option<String>,
    /// The code of the second administrator, in place of a recovery code.
    #[arg(long, value_name = "CODE")]
    approval_code: Option<String>,
    /// A file whose first line is the new password, or - for standard input; asked for where it is not given.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// `strongroom recovery`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Say whether a recovery of this account is under way.
    Show,
    /// Cancel the recovery of this account.
    Cancel,
}

impl Recover {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let chosen = self.appliance.choose(context, Some(&self.account))?;
        let code = asked(self.code, "Code of the administrator: ", "--code")?;
        let second = match (self.recovery_code, self.approval_code) {
            (Some(code), _) => SecondCode::RecoveryCode(code),
            (None, Some(code)) => SecondCode::ApprovalCode(code),
            (None, None) => {
                let question = "Recovery code, or nothing where a second administrator gave one: ";
                let typed = asked(None, question, "--recovery-code or --approval-code")?;
                if typed.is_empty() {
                    let question = "Code of the second administrator: ";
                    SecondCode::ApprovalCode(asked(None, question, "--approval-code")?)
                } else {
                    SecondCode::RecoveryCode(typed)
                }
            }
        };
        let password = prompt::new_password(self.password_file.as_deref())?;
        let client = chosen.client()?;
        let done = client.recover(&self.account, &code, &second, password.as_bytes())?;
        chosen.forget_and_save(context)?;
        let account = chosen.account();
        context.output.answer(
            &json!({ "account": account, "server": client.origin(), "leaf": done.leaf }),
            || {
                format!(
                    "{account} has its new password, and no second factor: set one up after strongroom login {account}"
                )
            },
        )
    }
}

fn asked(given: Option<String>, question: &str, option: &str) -> Result<String, Failure> {
    match given {
        Some(code) => Ok(code),
        None if prompt::is_possible() => prompt::ask(question),
        None => Err(Failure::Usage(format!(
            "nobody is there to type the code: give it with {option}"
        ))),
    }
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::Show => {
                let present = session.own_recovery()?;
                context.output.answer(&present, || match &present.recovery {
                    Some(recovery) => describe(recovery),
                    None => "No recovery of this account is under way.".to_owned(),
                })
            }
            Self::Cancel => {
                let done = session.cancel_own_recovery()?;
                context
                    .output
                    .answer(&done, || "The recovery is cancelled.".to_owned())
            }
        }
    }
}

/// A recovery for a person.
pub(crate) fn describe(recovery: &Recovery) -> String {
    facts(&described(recovery))
}

/// The same and the code that came with it.
pub(crate) fn describe_code(recovery: &Recovery, code: &str) -> String {
    let mut described = described(recovery);
    described.push(("code for its holder", code.to_owned()));
    facts(&described)
}

fn described(recovery: &Recovery) -> Vec<(&'static str, String)> {
    let approved = recovery.approved_by_name.as_deref().map(plain);
    vec![
        ("recovery of", plain(&recovery.account_name)),
        ("started by", plain(&recovery.started_by_name)),
        ("started", recovery.started.to_string()),
        (
            "approved by",
            approved.unwrap_or_else(|| "nobody yet".to_owned()),
        ),
        ("takes effect", recovery.effective.to_string()),
        ("lapses", recovery.expires.to_string()),
    ]
}
